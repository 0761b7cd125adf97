-- Runs the bodies of specs inside of what a client may live in: a group, a generator of llama_cloud.wrap, an event loop.
--
--   LLAMA_CLOUD_TEST_HOST=cqueues busted --helper=spec/support/hosts.lua spec/http/request_spec.lua
--   require("spec.support.hosts").run("luv", function() … end)
--
-- Whatever a body raises comes out as it is: errors, failures of luassert, `pending`. A body that does not end, or that its
-- host drops, fails. As busted's helper it ends busted with status 77 where the host is missing.

local core = require("llama_cloud.core")

local hosts = {}

--- How long a body may take, in seconds.
hosts.limit = 60 * math.min(tonumber(os.getenv("LLAMA_CLOUD_TEST_SLOWDOWN")) or 1, 5)

--- All of them; which of them are there, `hosts.missing` tells.
hosts.names = { "main", "group", "wrap", "cqueues", "luv", "copas" }

-- The module as the spec that runs at the moment has loaded it: busted gives each file its own.
local function llama_cloud()
  return require("llama_cloud")
end

-- Calls step(seconds) until the body has ended.
local function until_ended(outcome, step)
  local deadline = core.now() + hosts.limit
  while not outcome.ended do
    local left = deadline - core.now()
    if left <= 0 then
      error("the body has not ended within " .. hosts.limit .. " s", 0)
    end
    step(left)
  end
end

local runners = {}

function runners.main(body)
  body()
end

-- A group within one that step() drives: a timer of our own would be among what the specs count.
function runners.group(body, outcome)
  local module = llama_cloud()
  local transport = require("llama_cloud.loop").transport()
  local task = module.spawn(module.run, body)
  local ok, err = pcall(until_ended, outcome, function(left)
    transport:wait(module.step() > 0 and left or 0)
    assert(outcome.ended or task:status() == "pending", "the body was dropped")
  end)
  task:cancel()
  module.step()
  if not ok then
    error(err, 0)
  end
end

function runners.wrap(body, outcome)
  runners.group(function()
    llama_cloud().wrap(body)()
  end, outcome)
end

function runners.cqueues(body, outcome)
  local controller = require("cqueues").new()
  controller:wrap(body)
  until_ended(outcome, function(left)
    assert(controller:step(left))
    assert(outcome.ended or not controller:empty(), "the body was dropped")
  end)
  for _ = 1, 10 do -- what the body has woken
    controller:step(0)
  end
end

function runners.luv(body, outcome)
  local uv = require("luv")
  llama_cloud().use_loop("luv")
  local watchdog = uv.new_timer()
  watchdog:start(math.ceil(hosts.limit * 1000), 10, function() end)
  local ok, err = pcall(function()
    require("llama_cloud.loop.luv").spawn(body)
    until_ended(outcome, function()
      uv.run("once")
    end)
  end)
  watchdog:close()
  for _ = 1, 10 do
    uv.run("nowait")
  end
  llama_cloud().use_loop(nil)
  if not ok then
    error(err, 0)
  end
end

function runners.copas(body, outcome)
  local copas = require("copas")
  copas.addthread(body)
  copas.running = true -- as copas.loop says
  local ok, err = pcall(until_ended, outcome, function(left)
    copas.step(math.min(left, 1))
  end)
  for _ = 1, 10 do
    copas.step(0)
  end
  copas.running = false
  if not ok then
    error(err, 0)
  end
end

--- Why a host cannot be used here; nil if it can.
---@param name string
---@return string? reason
function hosts.missing(name)
  if name == "copas" then
    local found, copas = pcall(require, "copas")
    if not found then
      return "Copas is not installed"
    elseif not copas.pauseforever then
      return "this Copas is older than version 4"
    end
  elseif name == "luv" or name == "cqueues" then
    return not pcall(require, name) and name .. " is not installed" or nil
  elseif not runners[name] then
    error("there is no host '" .. tostring(name) .. "'", 2)
  end
end

--- Runs a body inside a host, until it ends. Returns nothing; raises what it raised.
---@param name string
---@param body fun()
function hosts.run(name, body)
  local outcome = { ended = false }
  runners[name](function()
    outcome.ok, outcome.error = pcall(body)
    outcome.ended = true
  end, outcome)
  if not outcome.ok then
    error(outcome.error, 0)
  end
end

--- Runs a body inside a host, and then the host's own loop until that ends by itself. Raises what the body raised.
---@param name string
---@param body fun()
function hosts.loop(name, body)
  local ok, err
  local function guarded()
    ok, err = pcall(body)
  end
  if name == "cqueues" then
    local controller = require("cqueues").new()
    controller:wrap(guarded)
    assert(controller:loop(hosts.limit))
    assert(controller:empty(), "the controller's loop did not end")
  elseif name == "luv" then
    local uv = require("luv")
    llama_cloud().use_loop("luv")
    local watchdog = uv.new_timer()
    watchdog:start(math.ceil(hosts.limit * 1000), 0, uv.stop)
    watchdog:unref()
    require("llama_cloud.loop.luv").spawn(guarded)
    uv.run()
    watchdog:close()
    uv.run("nowait")
    llama_cloud().use_loop(nil)
    assert(not uv.loop_alive(), "uv.run did not end")
  elseif name == "copas" then
    local copas = require("copas")
    local watchdog = core.now() + hosts.limit
    copas.addthread(guarded)
    copas.running = true
    while not copas.finished() do -- what copas.loop does
      assert(core.now() < watchdog, "the loop of Copas did not end")
      copas.step(1)
    end
    copas.running = false
  else
    return hosts.run(name, body)
  end
  if not ok then
    error(err, 0)
  end
end

--- Defines a spec in each of these hosts that is there; body(host) runs inside.
---@param names string[]
---@param name string
---@param body fun(host: string)
function hosts.in_each(names, name, body)
  local it = require("busted").it
  for _, host in ipairs(names) do
    if not hosts.missing(host) then
      it(name .. ", in " .. host, function()
        hosts.run(host, function()
          body(host)
        end)
      end)
    end
  end
end

--- Starts a coroutine of the event loop that runs this.
---@param host string
---@param f fun()
function hosts.start(host, f)
  if host == "luv" then
    require("llama_cloud.loop.luv").spawn(f)
  elseif host == "cqueues" then
    require("cqueues").running():wrap(f)
  else
    require("copas").addthread(f)
  end
end

--- Sleeps by the event loop's own means.
---@param host string
---@param seconds number
function hosts.sleep(host, seconds)
  if host == "luv" then
    local co = coroutine.running()
    local timer = require("luv").new_timer()
    timer:start(math.ceil(seconds * 1000), 0, function()
      timer:close()
      coroutine.resume(co)
    end)
    coroutine.yield()
  elseif host == "cqueues" then
    require("cqueues").sleep(seconds)
  else
    require("copas").pause(seconds)
  end
end

local wanted = os.getenv("LLAMA_CLOUD_TEST_HOST")
if wanted and wanted ~= "" then
  local reason = hosts.missing(wanted)
  if reason then
    io.stderr:write("skipped: ", reason, "\n")
    os.exit(77, true)
  end
  require("busted").subscribe({ "test", "start" }, function(element)
    local body = element.run
    element.run = function()
      hosts.run(wanted, body)
    end
    return nil, true -- others hear of it too
  end)
end

return hosts

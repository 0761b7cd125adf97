-- Calls that a finalizer interrupts at their n-th allocation, for every n; run by spec/whole/finalizers_spec.lua in a
-- process of their own. Only the public face is used.
--
--   require("spec.support.finalizing").run("get", "uses", url, 1)

local collector = require("spec.support.collector")
local leftovers = require("spec.support.leftovers")
local llama_cloud = require("llama_cloud")
local process = require("spec.support.process")
local support = require("spec.support.client")

local spawn, sleep, step = llama_cloud.spawn, llama_cloud.sleep, llama_cloud.step

local finalizing = {}

-- The first so many failures are told; what comes after them may come of them.
local MOST_FAILURES = 3
-- What each call may take, and what ends those that hang.
local TOTAL = 2 * math.ceil(process.slowdown ^ 0.5)
local MOST_ALLOCATIONS = 100000

local probe, client
local under_way -- what the call that is interrupted is about: a list, or tasks

local QUICKLY = { polling_interval = 0.001, backoff = "constant", total_timeout = TOTAL }
local IN_TIME = { total_timeout = TOTAL }

local function step_all()
  for _ = 1, 10000 do
    if step() == 0 then
      return
    end
    if not probe.readable(llama_cloud.pollfd(), 1000 * TOTAL) then
      error("the descriptor is quiet though tasks can go on", 0)
    end
  end
  error("tasks are left for ever", 0)
end

local function ids_of(...)
  local ids = {}
  for item, batch, err in ... do
    if type(item) ~= "table" and not batch then
      error(err, 0)
    end
    ids[#ids + 1] = type(item) == "table" and item.id or batch.id
  end
  table.sort(ids)
  return table.concat(ids, " ")
end

local BIG = {}
for i = 1, 40 do
  BIG[i] = { id = "bat-" .. i, name = ("name \\ %d "):format(i):rep(i), n = { i, i / 2, true }, none = {} }
end
local BIG_TEXT = assert(llama_cloud.json.encode { items = BIG })

-- The calls; each returns its answer, or nil and an error, or raises.
local calls = {}

function calls.get()
  local batch, err = client.batches:get("bat-1", nil, IN_TIME)
  return batch and batch.id, err
end

function calls.create()
  local batch, err = client.batches:create(support.BATCH, IN_TIME)
  return batch and batch.id, err
end

function calls.list()
  local list, _, _, closing = client.batches:list({ page_size = 2 }, IN_TIME)
  under_way.list = list
  return ids_of(list, nil, nil, closing)
end

calls["list, broken off"] = function()
  local id
  for batch in client.batches:list({ page_size = 2 }, IN_TIME) do -- luacheck: ignore 512
    id = batch.id
    break
  end
  return id, "an empty list"
end

function calls.wait()
  local batch, err = client.batches:wait("bat-1", nil, QUICKLY)
  return batch and batch.id, err
end

function calls.wait_all()
  return ids_of(client.batches:wait_all({ "bat-1", "bat-2" }, nil, QUICKLY))
end

local function two_results()
  local one, two = spawn(calls.get), spawn(function()
    sleep(0)
    return 2
  end)
  under_way.tasks = { one, two }
  local id, err = one:result()
  if not id then
    return nil, err
  end
  local second, problem = two:result()
  return second and id .. " " .. second, problem
end

function calls.run()
  return llama_cloud.run(two_results)
end

calls["result outside of run"] = two_results

function calls.step()
  local task = spawn(calls.get)
  under_way.tasks = { task }
  step_all()
  return task:result()
end

function calls.decode()
  local value, message = llama_cloud.json.decode(BIG_TEXT)
  return value and #value.items, message
end

function calls.encode()
  local text, message = llama_cloud.json.encode { items = BIG }
  return text == BIG_TEXT or nil, message
end

-- The finalizers. Each is called once.
local finalizers = {}

-- Uses the client in many ways. What it interrupts is not to be disturbed by that.
function finalizers.uses()
  assert(client.batches:get("bat-2", nil, IN_TIME))
  sleep(0)
  local ran = 0
  local function work()
    sleep(0)
    ran = ran + 1
  end
  local task = spawn(work)
  step()
  task:result()
  llama_cloud.run(function()
    spawn(work)
    work()
  end)
  assert(ran == 3, "the finalizer's tasks did not run once each")
  assert(client.batches:list({ page_size = 2 }, IN_TIME)()).field = "another"
  local list = client.batches:list({ page_size = 2 }, IN_TIME)
  assert(list() and list())
  list:close()
  spawn(sleep, 60):cancel()
  assert(llama_cloud.json.decode("[1]")[1] == 1)
end

-- Ends what is under way.
function finalizers.ends()
  if under_way.list then
    under_way.list:close()
  end
  for _, task in ipairs(under_way.tasks or {}) do
    task:cancel()
  end
  client:close()
end

-- Whether a call that was ended may give this.
local function is_ending(err)
  return llama_cloud.is_error(err) and err.kind == "cancelled"
    or type(err) == "string" and err:find("closed", 1, true) ~= nil
end

-- Runs a call, with the finalizer at its n-th allocation. Returns what was wrong, if anything, and whether it came to that.
local function run_once(call, finalizer, n, expected)
  local label, failure = ("finalized at allocation %d"):format(n), nil
  probe.guard(5 * TOTAL, label)
  under_way = {}
  setmetatable({}, {
    __gc = function()
      local place = debug.getinfo(2, "Sl")
      label = ("%s (%s:%d)"):format(label, place.short_src:match("[^/]*$"), place.currentline)
      probe.guard(5 * TOTAL, label)
      local ok, err = pcall(finalizer)
      failure = not ok and "the finalizer: " .. tostring(err) or nil
    end,
  })
  probe.collect_at(n)
  local ok, value, err = pcall(call)
  local collected = probe.collected()
  collectgarbage("restart")
  if failure then
    return label .. ": " .. failure, collected
  elseif ok and value == expected then
    return nil, collected
  end
  err = not ok and value or err
  if finalizer == finalizers.ends and collected and (ok and value or is_ending(err)) then
    return nil, collected -- a list that was closed has given fewer
  end
  return ("%s: %s"):format(label, tostring(ok and value or err)), collected
end

-- What must hold after each: no task is left, and the descriptor becomes quiet.
local function aftermath()
  local ok, err = pcall(step_all)
  if not ok then
    return tostring(err)
  end
  for _ = 1, 100 do
    if not probe.readable(llama_cloud.pollfd()) then
      return nil
    end
    step()
  end
  return "the descriptor is readable though nothing is left"
end

--- The names of the calls.
---@return string[]
function finalizing.names()
  local names = {}
  for name in pairs(calls) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

--- Interrupts a call at every `stride`-th of its allocations. Writes what was wrong, and how many times it ran, and ends the
--- process.
---@param name string
---@param way "uses"|"ends"
---@param url string
---@param stride string|integer
function finalizing.run(name, way, url, stride)
  stride = math.tointeger(stride)
  probe = process.probe()
  collector.at_once()
  local call, finalizer = calls[name], finalizers[way]
  client, under_way = support.client(url), {}
  local expected = assert(call())
  local failed, runs = 0, 0
  local before
  for n = 1, MOST_ALLOCATIONS, stride do
    if way == "ends" then
      client = support.client(url)
      assert(client.batches:get("bat-1"))
    end
    local wrong, collected = run_once(call, finalizer, n, expected)
    wrong = wrong or aftermath()
    if wrong then
      print(wrong)
      failed = failed + 1
    end
    if not collected or failed >= MOST_FAILURES then
      break
    end
    runs = runs + 1
    if runs == 20 then
      before = leftovers.count()
    end
  end
  client:close()
  client, under_way = nil, nil
  if failed == 0 and runs > 40 and leftovers.has_more(before) then
    failed = 1
  end
  probe.guard(0)
  print(("%d runs"):format(runs))
  os.exit(failed == 0, true)
end

return finalizing

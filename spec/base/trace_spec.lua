-- Where a task has failed: in err.traceback, and in what a message handler of the caller's sees.

local errors = require("llama_cloud.base.errors")
local llama_cloud = require("llama_cloud")
local process = require("spec.support.process")
local support = require("spec.support.client")

local run, sleep, spawn = llama_cloud.run, llama_cloud.sleep, llama_cloud.spawn

local function guilty(what)
  error(what or "a fault")
end

local function accomplice(what)
  guilty(what)
  return true
end

-- The line of this file at which guilty raises.
local LINE = debug.getinfo(guilty, "S").linedefined + 1

local function failing(what)
  return function()
    sleep(0)
    accomplice(what)
  end
end

-- That a traceback names both, the one that raised first.
local function shows(traceback)
  assert.is_string(traceback)
  local place = ("base/trace_spec.lua:%d: in "):format(LINE)
  local first = assert(traceback:find(place, 1, true), traceback)
  assert.is_truthy(traceback:find("'guilty'", first, true), traceback)
  local second = assert(traceback:find("'accomplice'", first, true), traceback)
  assert.is_truthy(traceback:find("base/trace_spec.lua:", second, true), traceback)
end

describe("a traceback of what", function()
  it("run raises names the function at fault, and the caller of run", function()
    local function caller()
      run(failing())
      return true
    end
    local ok, message = xpcall(caller, debug.traceback)
    assert.is_false(ok)
    assert.matches("^[^\n]*base/trace_spec.lua:" .. LINE .. ": a fault\nstack traceback:\n", message)
    shows(message)
    assert.is_truthy(message:find("'llama_cloud.run'", 1, true) or message:find("group.run'", 1, true))
    assert.is_truthy(message:find("in function <[^\n]*base/trace_spec.lua:"))
  end)

  it("a spawned task, a task of a task, step and a generator raise does so, too", function()
    shows(select(
      2,
      xpcall(run, debug.traceback, function()
        spawn(failing())
      end)
    ))
    shows(select(
      2,
      xpcall(run, debug.traceback, function()
        run(failing())
      end)
    ))
    spawn(failing())
    shows(select(
      2,
      xpcall(function()
        while llama_cloud.step() > 0 do
          sleep(0.001)
        end
      end, debug.traceback)
    ))
    shows(select(2, xpcall(llama_cloud.wrap(failing()), debug.traceback)))
  end)

  it("on_poll raises in a wait for many does so, too", function()
    local s <close>, client = support.start { { body = '{"id":"a","status":"COMPLETED"}' } }
    shows(select(
      2,
      xpcall(function()
        for _ in client.batches:wait_all({ "a" }, nil, { on_poll = failing() }) do
          error("it should not come here")
        end
      end, function(err)
        return debug.traceback(type(err) == "string" and err or "what on_poll got")
      end)
    ))
    assert.equal(1, s:count())
  end)

  it("Lua itself raises, and a deep recursion, does so, too", function()
    local function deep(n)
      return n == 0 and (nil).x or 1 + deep(n - 1)
    end
    local message = select(2, xpcall(run, debug.traceback, deep, 100))
    assert.matches("attempt to index a nil value", message)
    assert.is_truthy(message:find("'deep'", 1, true), message)
    local function endless()
      return 1 + endless()
    end
    message = select(2, xpcall(run, debug.traceback, endless))
    assert.matches("stack overflow", message)
    assert.is_truthy(message:find("'endless'", 1, true), message)
  end)

  it("a program dies of is on its standard error", function()
    local output, well = process.run([[
      local llama_cloud = require("llama_cloud")
      local function guilty() error("a fault") end
      llama_cloud.run(function()
        llama_cloud.sleep(0)
        guilty()
      end)
    ]])
    assert.is_false(well)
    assert.matches(":2: a fault\nstack traceback:\n", output)
    assert.matches("'guilty'", output)
  end)
end)

describe("what a task raises", function()
  it("stays what it is", function()
    local place = ("base/trace_spec.lua:%d: a fault"):format(LINE)
    local ok, message = pcall(run, failing())
    assert.is_false(ok)
    assert.equal(place, message:match("base/trace.*"))
    local object = {}
    for _, value in ipairs { object, 5, true } do
      ok, message = pcall(run, failing(value))
      assert.is_false(ok)
      assert.equal(value, message)
    end
    assert.same({ pcall(error) }, { pcall(run, error) }) -- nil is a message in Lua 5.5
    ok, message = pcall(run, function()
      error("no place", 0)
    end)
    assert.is_false(ok)
    assert.equal("no place", message)
  end)

  it("keeps the traceback if it is an error object", function()
    local err = errors.new { kind = "timeout", message = "m" }
    local ok, caught = pcall(run, failing(err))
    assert.is_false(ok)
    assert.equal(err, caught)
    shows(err.traceback)
    assert.equal("llama_cloud: timeout: m", tostring(err))

    local failed = errors.new { kind = "timeout", message = "m" }
    run(function()
      local task = spawn(failing(failed))
      assert.equal(failed, select(2, task:result()))
    end)
    shows(failed.traceback)

    local traceback = failed.traceback
    pcall(run, function()
      error(failed) -- again, somewhere else
    end)
    assert.equal(traceback, failed.traceback)
  end)

  it("has no traceback where it is returned", function()
    local client = support.client("http://127.0.0.1:1")
    run(function()
      assert.is_nil(select(2, client:get("/x")).traceback)
    end)
  end)

  it("has one where it is raised by a loop over a list, or by the caller", function()
    local client = support.client("http://127.0.0.1:1")
    local function loop()
      for _ in client.batches:list() do
        error("it should not come here")
      end
    end
    local ok, err = pcall(run, loop)
    assert.is_false(ok)
    assert.equal("connection", err.kind)
    assert.is_truthy(err.traceback:find("base/trace_spec.lua", 1, true))
    ok, err = pcall(run, function()
      error(select(2, client.batches:get("x"))) -- as Lua's assert would: busted has another
    end)
    assert.is_false(ok)
    assert.is_truthy(err.traceback:find("base/trace_spec.lua", 1, true))
  end)

  for what, taken in pairs {
    ["debug and load are missing"] = "debug, load = nil, nil",
    ["debug has only traceback"] = "debug = { traceback = debug.traceback }",
    ["debug has only getinfo"] = "debug = { getinfo = debug.getinfo }",
    ["load refuses"] = "load = function() return nil, 'not here' end",
  } do
    it("is raised as it is where Lua's " .. what, function()
      local output, well = process.run(taken .. [[

        local llama_cloud = require("llama_cloud")
        local function guilty() error("a fault", 0) end
        print(pcall(llama_cloud.run, function() llama_cloud.sleep(0) guilty() end))
        print(pcall(llama_cloud.wrap(guilty)))
      ]])
      assert.is_true(well, output)
      assert.equal("false\ta fault\nfalse\ta fault\n", output)
    end)
  end
end)

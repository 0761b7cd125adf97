-- Tasks that are spawned outside of every group: step() drives them, or the event loop that they were spawned in.

local core = require("llama_cloud.core")
local llama_cloud = require("llama_cloud")
local group = require("llama_cloud.loop.group")
local loop = require("llama_cloud.loop")
local process = require("spec.support.process")
local support = require("spec.support.client")

local spawn, step, sleep = llama_cloud.spawn, llama_cloud.step, llama_cloud.sleep

-- Steps as an application does that waits for the descriptor, until no task is left.
local function step_all(seconds)
  local deadline = core.now() + (seconds or 10)
  while step() > 0 do
    assert(loop.transport():wait(deadline - core.now()), "the descriptor stays silent")
  end
end

local function is_readable()
  return loop.transport():wait(0)
end

describe("llama_cloud.step", function()
  it("drives what was spawned outside of run, and tells how much is left", function()
    assert.equal(0, step())
    local reached = {}
    for i = 1, 3 do
      spawn(function()
        sleep(i / 100)
        reached[i] = core.now()
      end)
    end
    assert.same({}, reached)
    assert.equal(3, step())
    step_all()
    assert.equal(3, #reached)
    assert.equal(0, (loop.transport():count()))
  end)

  it("never waits", function()
    local task = spawn(sleep, 60)
    local before = core.now()
    for _ = 1, 100 do
      assert.equal(1, step())
    end
    assert.is_true(core.now() - before < support.scaled(0.5))
    task:cancel()
    assert.equal(0, step())
  end)

  it("goes on with a task that yields by itself at the next step", function()
    local frames = 0
    spawn(function()
      for _ = 1, 3 do
        frames = frames + 1
        coroutine.yield()
      end
    end)
    for i = 1, 3 do
      assert.equal(1, step())
      assert.equal(i, frames)
      assert.is_true(is_readable())
    end
    assert.equal(0, step())
    assert.equal(3, frames)
    assert.is_false(is_readable())
  end)

  it("stops after its budget, but makes progress", function()
    local done = 0
    for _ = 1, 20 do
      spawn(function()
        local till = core.now() + 0.005
        repeat
        until core.now() >= till
        done = done + 1
      end)
    end
    step(0.02)
    assert.is_true(done >= 1 and done <= 8, done)
    assert.is_true(is_readable())
    local before = done
    step(0) -- not even time for one
    assert.equal(before + 1, done)
    step()
    assert.equal(20, done)
    support.raises_here(function()
      step("x")
    end, "budget must be a number of seconds")
  end)

  it("raises the first failure, then the next, and goes on with the others", function()
    local reached
    spawn(error, "one", 0)
    spawn(error, "two", 0)
    local known = spawn(error, "three", 0)
    spawn(function()
      known:result()
    end)
    spawn(function()
      sleep(0.01)
      reached = true
    end)
    assert.has_error(step, "one")
    assert.has_error(step, "two")
    step_all()
    assert.is_true(reached)
  end)

  it("called by a task of its own goes on with the others", function()
    local order = {}
    spawn(function()
      order[#order + 1] = "before"
      step()
      order[#order + 1] = "after"
    end)
    spawn(function()
      order[#order + 1] = "other"
    end)
    assert.equal(0, step())
    assert.same({ "before", "other", "after" }, order)
  end)

  it("drives groups of tasks", function()
    local result
    spawn(function()
      result = llama_cloud.run(function()
        spawn(sleep, 0.01)
        sleep(0.005)
        return "inner"
      end)
    end)
    step_all()
    assert.equal("inner", result)
  end)
end)

describe("a task outside of run", function()
  it("is driven by result()", function()
    local task = spawn(function(...)
      sleep(0.01)
      return ...
    end, 1, nil)
    assert.same({ 1, nil, n = 2 }, table.pack(task:result()))
    local failed = spawn(error, "failed", 0)
    assert.same({ nil, "failed", n = 2 }, table.pack(failed:result()))
    assert.equal(0, step())
  end)

  it("is not forgotten when result() of another has driven it halfway", function()
    local reached = false
    spawn(function()
      sleep(0.005)
      coroutine.yield()
      reached = true
    end)
    spawn(function()
      sleep(0.01)
    end):result()
    step_all()
    assert.is_true(reached)
  end)

  it("can wait for another that it has spawned or not, directly or inside a group", function()
    for _, wait in ipairs {
      function(other)
        return other:result()
      end,
      function(other)
        return llama_cloud.run(other.result, other)
      end,
      function(other)
        return llama_cloud.run(llama_cloud.run, function()
          return spawn(other.result, other):result()
        end)
      end,
    } do
      local function work(value)
        sleep(0.01)
        return value
      end
      local before = spawn(work, "before")
      local waiting = spawn(function()
        return wait(before) .. wait(spawn(work, "within"))
      end)
      local unrelated = spawn(work, "unrelated")
      step_all(2)
      assert.equal("beforewithin", (waiting:result()))
      assert.equal("unrelated", (unrelated:result()))
    end
  end)

  it("can wait for one that yields by itself from where it cannot be suspended", function()
    local other
    local result = llama_cloud.run(function()
      other = spawn(function()
        coroutine.yield()
        coroutine.yield()
        return "done"
      end)
      return coroutine.wrap(function()
        return other:result()
      end)()
    end)
    assert.equal("done", result)
  end)

  it("can wait for another, and be waited for from a group", function()
    local a = spawn(function()
      sleep(0.01)
      return "a"
    end)
    local b = spawn(function()
      return a:result() .. "b"
    end)
    assert.equal(
      "abc",
      llama_cloud.run(function()
        local result = spawn(function()
          return b:result()
        end):result()
        return result .. "c"
      end)
    )
    assert.equal(0, step())
  end)

  it("is told of a deadlock with others", function()
    local a, b
    a = spawn(function()
      return b:result()
    end)
    b = spawn(function()
      return a:result()
    end)
    local _, err = a:result()
    assert.truthy(tostring(err):find("deadlock", 1, true), tostring(err))
    assert.equal(0, step())
  end)

  it("that waits for nothing that could come raises instead of hanging", function()
    local task = spawn(function()
      group.new():drive(function()
        return false
      end)
    end)
    local ok, err = pcall(task.result, task)
    assert.is_false(ok)
    assert.truthy(tostring(err):find("deadlock: every task waits for another", 1, true), tostring(err))
    task:cancel()
    assert.equal(0, step())
  end)
end)

describe("llama_cloud.pollfd", function()
  it("is readable when step has work, and only then", function()
    assert.equal(loop.transport():fd(), llama_cloud.pollfd())
    step()
    assert.is_false(is_readable())
    local task = spawn(sleep, 0.02)
    assert.is_true(is_readable())
    step()
    assert.is_false(is_readable())
    assert.is_true(loop.transport():wait(10))
    assert.equal("pending", task:status())
    assert.equal(0, step())
    assert.is_false(is_readable())
  end)

  it("stays readable when a call that blocks has seen to what a task waits for", function()
    local reached
    spawn(function()
      sleep(0.005)
      reached = true
    end)
    step()
    sleep(0.03) -- in the main program: blocks, and takes the task's timer
    assert.is_nil(reached)
    assert.is_true(is_readable())
    assert.equal(0, step())
    assert.is_true(reached)
  end)

  it("stays readable when such a call comes between spawn and step", function()
    spawn(function() end)
    sleep(0.005)
    assert.is_true(is_readable())
    assert.equal(0, step())
  end)
end)

describe("with luv, tasks outside of run", function()
  local uv = require("luv")

  before_each(function()
    llama_cloud.use_loop("luv")
  end)

  after_each(function()
    llama_cloud.use_loop(nil)
  end)

  it("run in uv.run, which ends after them", function()
    local order = {}
    for i = 1, 3 do
      spawn(function()
        order[#order + 1] = "begin " .. i
        sleep(0.01 * i)
        order[#order + 1] = "end " .. i
      end)
    end
    assert.same({}, order)
    uv.run()
    assert.same({ "begin 1", "begin 2", "begin 3", "end 1", "end 2", "end 3" }, order)
    -- and again, from nothing
    local result
    local task = spawn(function()
      sleep(0.01)
      return "value"
    end)
    spawn(function()
      result = task:result()
    end)
    uv.run()
    assert.equal("value", result)
    assert.equal(0, (loop.transport():count()))
    assert.is_false(uv.loop_alive())
  end)

  it("are not left alone when one of libuv's coroutines has driven them for a while", function()
    llama_cloud.use_loop(nil)
    local first = spawn(sleep, 0.01) -- belongs to step()
    llama_cloud.use_loop("luv")
    local driven, reached
    require("llama_cloud.loop.luv").spawn(function()
      first:result()
      driven = true
    end)
    spawn(function()
      repeat
        sleep(0.005)
      until driven
      sleep(0.005)
      reached = true
    end)
    uv.run()
    assert.is_true(reached)
  end)

  it("are complained about at the end of a program that neither steps nor watches their descriptor", function()
    local chunk = 'local l = require("llama_cloud") %s l.spawn(function() l.sleep(60) end)'
    assert.matches("tasks that nothing runs have not ended (1 of them)", process.run(chunk:format("")), 1, true)
    assert.equal("", (process.run(chunk:format("l.pollfd()"))))
  end)

  it("can be waited for in the main program", function()
    assert.equal(
      "value",
      spawn(function()
        sleep(0.01)
        return "value"
      end):result()
    )
    uv.run()
  end)
end)

describe("with cqueues, tasks outside of run", function()
  local cqueues = require("cqueues")

  it("run in the controller whose coroutine has spawned them", function()
    local controller = cqueues.new()
    local order = {}
    controller:wrap(function()
      spawn(function()
        sleep(0.01)
        order[#order + 1] = "task"
      end)
      order[#order + 1] = "spawned"
    end)
    assert(controller:loop(10))
    assert.is_true(controller:empty())
    assert.same({ "spawned", "task" }, order)
  end)

  it("raise out of its loop, one after another, and the others go on", function()
    local controller = cqueues.new()
    local reached
    controller:wrap(function()
      spawn(error, "one", 0)
      spawn(function()
        sleep(0.01)
        error("two", 0)
      end)
      spawn(function()
        sleep(0.03)
        reached = true
      end)
    end)
    local ok, err = controller:loop(10)
    assert.is_false(ok)
    assert.equal("one", err)
    ok, err = controller:loop(10)
    assert.is_false(ok)
    assert.equal("two", err)
    assert(controller:loop(10))
    assert.is_true(reached)
  end)

  it("go on when another one fails while they wait for each other", function()
    local controller = cqueues.new()
    local first, second
    controller:wrap(function()
      first = spawn(function()
        sleep(0.03)
        return "first"
      end)
      second = spawn(function()
        return first:result() .. " and second"
      end)
      spawn(function()
        sleep(0.01)
        error("one", 0)
      end)
    end)
    local ok, err = controller:loop(10)
    assert.is_false(ok)
    assert.equal("one", err)
    assert(controller:loop(10))
    assert.equal("done", first:status())
    assert.equal("first and second", (second:result()))
  end)

  it("are driven by step again when the controller has been dropped", function()
    local reached
    do
      local controller = cqueues.new()
      controller:wrap(function()
        spawn(function()
          sleep(0.02)
          reached = true
        end)
      end)
      for _ = 1, 3 do
        controller:step(0)
      end
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(reached)
    step_all()
    assert.is_true(reached)
  end)
end)

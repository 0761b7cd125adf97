-- Groups of tasks. All of it must hold wherever it runs: in the main program, in a group, in an event loop
-- (LLAMA_CLOUD_TEST_HOST). What step() does with tasks outside of groups is in loop/step_spec.lua.

local core = require("llama_cloud.core")
local llama_cloud = require("llama_cloud")
local loop = require("llama_cloud.loop")
local support = require("spec.support.client")

local run, spawn, sleep = llama_cloud.run, llama_cloud.spawn, llama_cloud.sleep

-- A to-be-closed value that notes its closing in `list`.
local function closing(list, name)
  return setmetatable({}, {
    __close = function()
      list[#list + 1] = name
    end,
  })
end

describe("llama_cloud.run", function()
  it("passes arguments and results through, nils included", function()
    local results = table.pack(run(function(...)
      assert.equal(4, select("#", ...))
      sleep(0.001)
      return ...
    end, nil, 2, nil, nil))
    assert.same({ nil, 2, nil, nil, n = 4 }, results)
    assert.equal(0, select("#", run(function() end)))
  end)

  it("gives tasks whose methods want a colon", function()
    run(function()
      local task = spawn(function() end)
      for _, method in ipairs { "result", "cancel", "status" } do
        local complaint = ("call the methods of a task with a colon: task:%s()"):format(method)
        assert.equal(complaint, select(2, pcall(task[method])))
      end
    end)
  end)

  it("waits for everything that was spawned, concurrently", function()
    local order = {}
    local before = core.now()
    local result = run(function()
      for i = 1, 20 do
        spawn(function(n)
          sleep(0.1)
          order[#order + 1] = n
        end, i)
      end
      return "first"
    end)
    assert.equal("first", result)
    assert.equal(20, #order)
    assert.is_true(core.now() - before < support.scaled(1))
  end)

  it("waits for tasks that tasks spawn", function()
    local count = 0
    local function breed(depth)
      count = count + 1
      sleep(0)
      if depth > 0 then
        spawn(breed, depth - 1)
        spawn(breed, depth - 1)
      end
    end
    run(breed, 6)
    assert.equal(127, count)
  end)

  it("refuses what is no function", function()
    support.raises_here(function()
      run(12)
    end, "a function is needed, not number")
    support.raises_here(function()
      spawn("x")
    end, "a function is needed, not string")
  end)

  it("raises the first error when all have finished", function()
    local finished = {}
    local problem = setmetatable({}, {
      __tostring = function()
        return "a problem"
      end,
    })
    local ok, err = pcall(run, function()
      spawn(function()
        sleep(0.02)
        error("the second", 0)
      end)
      spawn(function()
        sleep(0.01)
        error(problem)
      end)
      spawn(function()
        sleep(0.05)
        finished[1] = true
      end)
    end)
    assert.is_false(ok)
    assert.equal(problem, err)
    assert.same({ true }, finished)
  end)

  it("raises an error of its own function, and a nil", function()
    assert.has_error(function()
      run(error, "mine", 0)
    end, "mine")
    local ok, err = pcall(run, function()
      sleep(0)
      error(nil)
    end)
    assert.is_false(ok)
    assert.equal(select(2, pcall(error)), err) -- Lua 5.5 makes a message of it
  end)

  it("raises what a to-be-closed variable raises in place of the error", function()
    local ok, err = pcall(run, function()
      local _ <close> = setmetatable({}, {
        __close = function(_, first)
          error(first .. ", then another", 0)
        end,
      })
      error("one", 0)
    end)
    assert.is_false(ok)
    assert.equal("one, then another", err)
  end)

  it("does not raise a failure whose result was asked for, but the next one", function()
    local kept, message
    run(function()
      local task = spawn(error, "known", 0)
      kept, message = task:result()
    end)
    assert.is_nil(kept)
    assert.equal("known", message)

    local ok, err = pcall(run, function()
      local known = spawn(error, "known", 0)
      spawn(error, "unknown", 0)
      sleep(0.01)
      assert.equal("failed", known:status())
      known:result()
    end)
    assert.is_false(ok)
    assert.equal("unknown", err)
  end)

  it("cancels what is left when an error leaves it", function()
    -- the driver is closed: by its own task, inside of another group
    local closed = {}
    run(function()
      local outer = spawn(function()
        run(function()
          spawn(function()
            local _ <close> = closing(closed, "inner")
            sleep(60)
          end)
          sleep(60)
        end)
      end)
      sleep(0.01)
      outer:cancel()
      assert.equal("cancelled", outer:status())
    end)
    assert.same({ "inner" }, closed)
    assert.equal(0, (loop.transport():count()))
  end)

  it("nests", function()
    local trace = {}
    local value = run(function()
      spawn(function()
        for i = 1, 3 do
          sleep(0.02)
          trace[#trace + 1] = "outer " .. i
        end
      end)
      return run(function()
        spawn(function()
          sleep(0.03)
          trace[#trace + 1] = "inner"
        end)
        return run(function()
          sleep(0.005)
          trace[#trace + 1] = "innermost"
          return 42
        end)
      end)
    end)
    assert.equal(42, value)
    assert.same({ "innermost", "outer 1", "inner", "outer 2", "outer 3" }, trace)
  end)

  it("leaves the errors of an inner group to whoever called it", function()
    local caught, reached
    run(function()
      local ok, err = pcall(run, function()
        spawn(error, "inside", 0)
        sleep(0.01)
      end)
      caught = not ok and err
      sleep(0)
      reached = true
    end)
    assert.equal("inside", caught)
    assert.is_true(reached)
  end)

  it("gives each of 1,000 tasks its own result", function()
    local sum = 0
    run(function()
      local tasks = {}
      for i = 1, 1000 do
        tasks[i] = spawn(function()
          sleep(i % 7 / 1000)
          return i
        end)
      end
      for _, task in ipairs(tasks) do
        sum = sum + task:result()
      end
    end)
    assert.equal(500500, sum)
  end)
end)

describe("a task", function()
  it("has a status and a result, to be asked for any number of times", function()
    run(function()
      local task = spawn(function(a, b)
        sleep(0.005)
        return a, nil, b, nil
      end, 1, 3)
      assert.equal("pending", task:status())
      assert.equal("llama_cloud.task (pending)", tostring(task))
      assert.same({ 1, nil, 3, nil, n = 4 }, table.pack(task:result()))
      assert.same({ 1, nil, 3, nil, n = 4 }, table.pack(task:result()))
      assert.equal("done", task:status())
    end)
  end)

  it("is waited for by several", function()
    local seen = {}
    run(function()
      local task = spawn(function()
        sleep(0.01)
        return "it"
      end)
      for i = 1, 3 do
        spawn(function()
          seen[i] = task:result()
        end)
      end
    end)
    assert.same({ "it", "it", "it" }, seen)
  end)

  it("gives its result after its group has ended", function()
    local good, bad
    run(function()
      good = spawn(function()
        return "value"
      end)
      bad = spawn(error, "failed", 0)
      bad:result()
    end)
    assert.equal("value", good:result())
    assert.same({ nil, "failed", n = 2 }, table.pack(bad:result()))
  end)

  it("of another group is waited for", function()
    run(function()
      local outer = spawn(function()
        sleep(0.01)
        return "outer"
      end)
      assert.equal(
        "outer",
        run(function()
          return spawn(function()
            return outer:result()
          end):result()
        end)
      )
    end)
  end)

  it("begins after spawn has returned, in the order of spawning", function()
    local order = {}
    run(function()
      for i = 1, 3 do
        spawn(function()
          order[#order + 1] = i
        end)
      end
      order[#order + 1] = "spawned"
    end)
    assert.same({ "spawned", 1, 2, 3 }, order)
  end)

  it("that fails has its to-be-closed variables closed before anybody hears of it", function()
    local closed = {}
    run(function()
      local task = spawn(function()
        local _ <close> = closing(closed, "it")
        sleep(0)
        error("failed", 0)
      end)
      local _, err = task:result()
      assert.equal("failed", err)
      assert.same({ "it" }, closed)
    end)
  end)

  it("that yields by itself goes on after the others, and does not keep them from anything", function()
    local flag, turns = false, 0
    local before = core.now()
    run(function()
      spawn(function()
        while not flag do
          coroutine.yield("ignored", turns)
          turns = turns + 1
        end
      end)
      sleep(0.03)
      flag = true
    end)
    assert.is_true(turns > 0)
    assert.is_true(core.now() - before < support.scaled(2))
    local order = {}
    run(function()
      spawn(function()
        order[#order + 1] = "a1"
        coroutine.yield()
        order[#order + 1] = "a2"
      end)
      spawn(function()
        order[#order + 1] = "b"
      end)
    end)
    assert.same({ "a1", "b", "a2" }, order)
  end)

  it("that spawns for ever does not keep others from waiting", function()
    local over, generations = false, 0
    local function again()
      generations = generations + 1
      if not over then
        spawn(again)
      end
    end
    run(function()
      spawn(again)
      sleep(0.03)
      over = true
    end)
    assert.is_true(generations > 1)
  end)
end)

describe("task:cancel", function()
  it("ends a task where it waits", function()
    local closed, reached = {}, false
    run(function()
      local task = spawn(function()
        local _ <close> = closing(closed, "outer")
        local _ <close> = closing(closed, "inner")
        sleep(60)
        reached = true
      end)
      sleep(0.005)
      task:cancel()
      assert.same({ "inner", "outer" }, closed)
      assert.equal("cancelled", task:status())
      local value, err = task:result()
      assert.is_nil(value)
      assert.is_true(llama_cloud.is_error(err))
      assert.equal("cancelled", err.kind)
      task:cancel() -- and again, which does nothing
      assert.equal("cancelled", task:status())
    end)
    assert.is_false(reached)
    assert.equal(0, (loop.transport():count()))
  end)

  it("ends one that has not begun, and is no error of the group", function()
    local begun = false
    run(function()
      spawn(function()
        begun = true
      end):cancel()
    end)
    assert.is_false(begun)
  end)

  it("does nothing to one that has ended", function()
    run(function()
      local task = spawn(function()
        return "value"
      end)
      task:result()
      task:cancel()
      assert.equal("value", task:result())
    end)
  end)

  it("wakes those who wait for it", function()
    local err
    run(function()
      local task = spawn(sleep, 60)
      spawn(function()
        err = select(2, task:result())
      end)
      sleep(0.005)
      task:cancel()
    end)
    assert.equal("cancelled", err.kind)
  end)

  it("of itself takes effect when it waits next, or yields", function()
    for _, wait in ipairs {
      coroutine.yield,
      function()
        sleep(60)
      end,
    } do
      local stages = {}
      local task
      run(function()
        task = spawn(function()
          local _ <close> = closing(stages, "closed")
          task:cancel()
          stages[#stages + 1] = "goes on"
          wait()
          stages[#stages + 1] = "never"
        end)
      end)
      assert.same({ "goes on", "closed" }, stages)
      assert.equal("cancelled", task:status())
    end
  end)

  it("of itself does not hide an error", function()
    assert.has_error(function()
      run(function()
        local task
        task = spawn(function()
          task:cancel()
          error("still raised", 0)
        end)
      end)
    end, "still raised")
  end)

  it("gives what its to-be-closed variables raise as the cause", function()
    run(function()
      local task = spawn(function()
        local _ <close> = setmetatable({}, {
          __close = function()
            error("in closing", 0)
          end,
        })
        sleep(60)
      end)
      sleep(0.001)
      task:cancel()
      assert.equal("in closing", select(2, task:result()).cause)
    end)
  end)

  it("cancels the groups that it runs, however deep, also from inside", function()
    local closed = {}
    local top
    run(function()
      top = spawn(function()
        run(function()
          spawn(function()
            run(function()
              local _ <close> = closing(closed, "deep")
              sleep(60)
            end)
          end)
          spawn(function()
            local _ <close> = closing(closed, "beside")
            sleep(0.01)
            top:cancel()
            sleep(60)
          end)
        end)
      end)
    end)
    assert.equal("cancelled", top:status())
    table.sort(closed)
    assert.same({ "beside", "deep" }, closed)
    assert.equal(0, (loop.transport():count()))
  end)

  it("from the closing of the same task does nothing more", function()
    run(function()
      local task
      task = spawn(function()
        local _ <close> = setmetatable({}, {
          __close = function()
            task:cancel()
          end,
        })
        sleep(60)
      end)
      sleep(0.001)
      task:cancel()
      assert.equal("cancelled", task:status())
      assert.is_nil(select(2, task:result()).cause)
    end)
  end)

  it("lets the closing wait", function()
    local waited
    run(function()
      local task = spawn(function()
        local _ <close> = setmetatable({}, {
          __close = function()
            sleep(0.01)
            waited = run(function()
              sleep(0.01)
              return true
            end)
          end,
        })
        sleep(60)
      end)
      sleep(0.001)
      task:cancel()
      assert.is_true(waited)
    end)
  end)

  it("of one that waits for another's result leaves the other alone", function()
    run(function()
      local other = spawn(function()
        sleep(0.02)
        return "value"
      end)
      local task = spawn(function()
        return other:result()
      end)
      sleep(0.001)
      task:cancel()
      assert.equal("value", other:result())
    end)
  end)
end)

describe("tasks that wait for each other", function()
  it("are told so instead of hanging", function()
    local err
    run(function()
      local a, b
      a = spawn(function()
        return b:result()
      end)
      b = spawn(function()
        a:result()
      end)
      err = select(2, a:result())
    end)
    assert.truthy(tostring(err):find("deadlock: that task waits for this one", 1, true), tostring(err))
  end)

  it("in a circle of three, or through groups", function()
    local errs = {}
    run(function()
      local tasks = {}
      for i = 1, 3 do
        tasks[i] = spawn(function()
          local _, err = tasks[i % 3 + 1]:result()
          errs[i] = tostring(err or "none")
        end)
      end
      sleep(0.01)
    end)
    assert.truthy(table.concat(errs):find("deadlock", 1, true), table.concat(errs, "; "))
    local ok, err = pcall(run, function()
      local parent
      parent = spawn(function()
        run(function()
          spawn(function()
            parent:result()
          end)
        end)
      end)
    end)
    assert.is_false(ok)
    assert.truthy(tostring(err):find("deadlock", 1, true), tostring(err))
    ok, err = pcall(run, function()
      local parent, stranger
      stranger = spawn(function()
        sleep(0.001)
        return parent:result()
      end)
      parent = spawn(function()
        run(function()
          spawn(function()
            assert(stranger:result())
          end)
        end)
      end)
    end)
    assert.is_false(ok)
    assert.truthy(tostring(err):find("deadlock", 1, true), tostring(err))
  end)

  it("also for itself", function()
    local ok, err = pcall(run, function()
      local task
      task = spawn(function()
        task:result()
      end)
    end)
    assert.is_false(ok)
    assert.truthy(err:find("a task cannot wait for itself", 1, true), err)
  end)
end)

describe("requests of tasks", function()
  -- holds every request until the peer goes, and tells how many went
  local HOLD = [[
    local gone = 0
    return function(connection, request)
      if request.path == "/hold" then
        if connection:wait_closed(20) then
          gone = gone + 1
        end
        connection:close()
      elseif request.path == "/slow" then
        connection:sleep(0.1)
        connection:json(200, '{"ok":true}')
      else
        connection:json(200, ('{"gone":%d}'):format(gone))
      end
    end
  ]]

  it("are under way at the same time", function()
    local s <close>, client = support.start(HOLD)
    local before = core.now()
    local good = 0
    run(function()
      for _ = 1, 20 do
        spawn(function()
          local ok = assert(client:get("/slow")).ok
          good = good + (ok and 1 or 0)
        end)
      end
    end)
    assert.equal(20, good)
    assert.equal(20, s:count())
    assert.is_true(core.now() - before < support.scaled(1.5))
  end)

  -- Waits until the server has seen n connections closed by us.
  local function until_gone(client, n)
    local deadline = core.now() + 10
    repeat
      local answer = assert(client:get("/count"))
      sleep(0.01)
    until answer.gone == n or core.now() > deadline
    assert.equal(n, assert(client:get("/count")).gone)
  end

  it("are given up when the task is cancelled, its group is left, or an error passes", function()
    local s <close>, client = support.start(HOLD)
    run(function()
      local task = spawn(client.get, client, "/hold")
      sleep(support.scaled(0.05))
      task:cancel()
      assert.equal(0, (loop.transport():count()))
      until_gone(client, 1)

      local outer = spawn(run, function()
        spawn(client.get, client, "/hold")
        client:get("/hold")
      end)
      sleep(support.scaled(0.05))
      outer:cancel()
      assert.equal(0, (loop.transport():count()))
      until_gone(client, 3)
    end)
    s:stop()
  end)
end)

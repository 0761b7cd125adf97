-- llama_cloud.wrap: a generator through which waiting works.

local core = require("llama_cloud.core")
local hosts = require("spec.support.hosts")
local llama_cloud = require("llama_cloud")
local loop = require("llama_cloud.loop")
local support = require("spec.support.client")

local run, spawn, sleep, wrap = llama_cloud.run, llama_cloud.spawn, llama_cloud.sleep, llama_cloud.wrap

-- One that waits before each of its values.
local function counting(n, seconds)
  return wrap(function()
    for i = 1, n do
      sleep(seconds or 0.001)
      coroutine.yield(i)
    end
  end)
end

describe("llama_cloud.wrap", function()
  hosts.in_each(hosts.names, "passes values both ways, nils included", function()
    local f = wrap(function(...)
      assert.same({ 1, nil, n = 2 }, table.pack(...))
      sleep(0.001)
      local got = table.pack(coroutine.yield(nil, "a", nil))
      assert.same({ nil, n = 1 }, got)
      sleep(0)
      assert.equal(0, select("#", coroutine.yield()))
      return "end", nil
    end)
    assert.same({ nil, "a", nil, n = 3 }, table.pack(f(1, nil)))
    assert.equal(0, select("#", f(nil)))
    assert.same({ "end", nil, n = 2 }, table.pack(f()))
  end)

  hosts.in_each(hosts.names, "is consumed by a for loop", function()
    local seen = {}
    for i in counting(5) do
      seen[i] = true
      sleep(0)
    end
    assert.same({ true, true, true, true, true }, seen)
  end)

  hosts.in_each(hosts.names, "nests, with plain generators between", function()
    local seen = {}
    for value in
      wrap(function()
        for i in counting(3) do
          for j in
            wrap(function()
              for k in counting(2) do
                sleep(0)
                coroutine.yield(i * 10 + k)
              end
            end)
          do
            for plain in
              coroutine.wrap(function()
                coroutine.yield(j)
              end)
            do
              coroutine.yield(plain)
            end
          end
        end
      end)
    do
      seen[#seen + 1] = value
    end
    assert.same({ 11, 12, 21, 22, 31, 32 }, seen)
  end)

  hosts.in_each({ "main", "group", "cqueues", "luv", "copas" }, "lets other tasks go on while it waits", function()
    local before = core.now()
    local sum = 0
    run(function()
      for _ = 1, 20 do
        spawn(function()
          for i in counting(5, 0.02) do
            sum = sum + i
          end
        end)
      end
    end)
    assert.equal(300, sum)
    assert.is_true(core.now() - before < support.scaled(1))
  end)

  hosts.in_each(hosts.names, "raises what its function raises, once", function()
    local problem = {}
    local closed
    local f = wrap(function()
      local _ <close> = setmetatable({}, {
        __close = function()
          closed = true
        end,
      })
      sleep(0.001)
      error(problem)
    end)
    local ok, err = pcall(f)
    assert.is_false(ok)
    assert.equal(problem, err)
    assert.is_true(closed)
    support.raises_here(function()
      local value = f()
      return value
    end, "cannot resume a dead generator")
  end)

  it("raises what its closing raises", function()
    local f = wrap(function()
      local _ <close> = setmetatable({}, {
        __close = function()
          error("in closing", 0)
        end,
      })
      error("first", 0)
    end)
    assert.has_error(f, "in closing")
  end)

  it("passes on an error that is nil", function()
    local ok, err = pcall(wrap(function()
      error(nil)
    end))
    assert.is_false(ok)
    assert.equal(select(2, pcall(error)), err) -- Lua 5.5 makes a message of it
  end)

  it("refuses what is no function", function()
    support.raises_here(function()
      wrap {}
    end, "a function is needed, not table")
  end)

  it("cannot be called by itself", function()
    local f
    f = wrap(function()
      coroutine.yield(pcall(f))
      coroutine.yield("goes on")
    end)
    local ok, err = f()
    assert.is_false(ok)
    assert.truthy(err:find("cannot resume a running generator", 1, true), err)
    assert.equal("goes on", f())
  end)

  it("cannot be called by two tasks at once", function()
    run(function()
      local f = counting(2, 0.02)
      local first
      local task = spawn(function()
        first = f()
      end)
      sleep(0.001)
      local ok, err = pcall(f)
      assert.is_false(ok)
      assert.truthy(err:find("waits for something already, in another coroutine", 1, true), err)
      task:result()
      assert.equal(1, first)
      assert.equal(2, f())
    end)
  end)

  it("may be continued by another task", function()
    local seen = {}
    run(function()
      local f = counting(4)
      for _ = 1, 4 do
        spawn(function()
          local value = f()
          seen[#seen + 1] = value
        end):result()
      end
    end)
    assert.same({ 1, 2, 3, 4 }, seen)
  end)

  it("may be continued by the main program, and back", function()
    local f = counting(3)
    assert.equal(1, f())
    assert.equal(2, run(f))
    assert.equal(3, f())
  end)

  hosts.in_each(
    { "group", "cqueues", "luv", "copas" },
    "is closed when its caller is cancelled while it waits",
    function()
      local closed = {}
      local s <close>, client = support.start([[
      return function(connection)
        connection:wait_closed(20)
        connection:close()
      end
    ]])
      run(function()
        local task = spawn(function()
          for _ in
            wrap(function()
              for _ in
                wrap(function()
                  local _ <close> = setmetatable({}, {
                    __close = function()
                      closed[#closed + 1] = "inner"
                    end,
                  })
                  client:get("/")
                end)
              do
                closed[#closed + 1] = "never"
              end
            end)
          do
            closed[#closed + 1] = "never"
          end
        end)
        sleep(support.scaled(0.02))
        task:cancel()
        assert.same({ "inner" }, closed)
        assert.equal(0, (loop.transport():count()))
      end)
      s:stop()
    end
  )

  it("gives what its closing raises to whoever cancels its caller", function()
    run(function()
      local task = spawn(wrap(function()
        local _ <close> = setmetatable({}, {
          __close = function()
            error("in closing", 0)
          end,
        })
        sleep(60)
      end))
      sleep(0.001)
      task:cancel()
      assert.equal("in closing", select(2, task:result()).cause)
    end)
  end)

  it("may hold a group", function()
    local results = {}
    for value in
      wrap(function()
        run(function()
          local tasks = {}
          for i = 1, 3 do
            tasks[i] = spawn(function()
              sleep(0.01 / i)
              return i
            end)
          end
          for _, task in ipairs(tasks) do
            results[#results + 1] = task:result()
          end
        end)
        coroutine.yield("ran")
      end)
    do
      results[#results + 1] = value
    end
    assert.same({ 1, 2, 3, "ran" }, results)
  end)
end)

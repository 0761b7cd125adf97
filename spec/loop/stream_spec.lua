-- Streams: tasks side by side, with queues between them, whose results a loop takes. The loop itself is loop/map_spec's.

local gates = require("spec.support.gates")
local llama_cloud = require("llama_cloud")
local streams = require("llama_cloud.loop.stream")

local run, spawn, sleep = llama_cloud.run, llama_cloud.spawn, llama_cloud.sleep

-- The values that a stream gives, and what it raises.
local function drain(stream)
  local values = {}
  local ok, err = pcall(function()
    for value in stream:loop() do
      values[#values + 1] = value
    end
  end)
  return values, not ok and err or nil
end

describe("a condition of tasks", function()
  it("is not kept when nobody waits for it any more", function()
    local stream, come, kept = streams.new(1), false, setmetatable({}, { __mode = "k" })
    stream:spawn(function()
      local condition = stream:condition(function()
        return come
      end)
      kept[condition] = true
      condition:wait()
      stream:put(1)
    end)
    stream:spawn(function()
      sleep(0)
      come = true
      stream:notify()
    end)
    assert.equal(1, stream:take())
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(kept))
    stream:close()
  end)
end)

describe("a queue between tasks", function()
  it("gives what was put in that order, and holds no more than its bound", function()
    local stream, most = streams.new(1), 0
    local queue = stream:queue(3)
    stream:spawn(function()
      for i = 1, 100 do
        assert.is_true(queue:put(i))
        most = math.max(most, queue.count)
      end
      queue:close()
      queue:close()
    end)
    stream:spawn(function()
      for value in queue:each() do
        if value % 7 == 0 then
          sleep(0)
        end
        stream:put(value)
      end
      assert.is_nil(queue:take())
    end)
    local values = drain(stream)
    assert.equal(100, #values)
    for i, value in ipairs(values) do
      assert.equal(i, value)
    end
    assert.equal(3, most)
  end)

  it("is shared by many that put and many that take, each value once", function()
    local stream, seen, putting = streams.new(2), {}, 5
    local queue = stream:queue(2)
    for i = 1, 5 do
      stream:spawn(function()
        for j = 1, 20 do
          queue:put(i * 100 + j)
          if j % 3 == 0 then
            sleep(0)
          end
        end
        putting = putting - 1
        if putting == 0 then
          queue:close()
        end
      end)
      stream:spawn(function()
        for value in queue:each() do
          stream:put(value)
        end
      end)
    end
    local values = drain(stream)
    for _, value in ipairs(values) do
      assert.is_nil(seen[value])
      seen[value] = true
    end
    assert.equal(100, #values)
  end)

  it("takes nothing more when it is closed, and lets those go on who waited", function()
    local stream = streams.new(1)
    local full, empty = stream:queue(1), stream:queue(1)
    local closed = 0
    stream:spawn(function()
      assert.is_true(full:put("kept"))
      assert.is_false(full:put("dropped"))
      closed = closed + 1
    end)
    stream:spawn(function()
      assert.is_nil(empty:take())
      closed = closed + 1
    end)
    stream:spawn(function()
      sleep(0)
      full:close()
      empty:close()
      stream:put(full:take())
      assert.is_nil(full:take())
    end)
    assert.same({ "kept" }, (drain(stream)))
    assert.equal(2, closed)
  end)

  it("holds false, and no nil", function()
    local stream = streams.new(1)
    local queue = stream:queue(1)
    stream:spawn(function()
      queue:put(false)
      stream:put(queue:take())
      queue:put(nil)
    end)
    local values, err = drain(stream)
    assert.same({ false }, values)
    assert.matches("a queue holds no nil", err)
  end)
end)

describe("a stream", function()
  it("has at most so many values waiting as it is told", function()
    local stream, put = streams.new(3), 0
    stream:spawn(function()
      for i = 1, 50 do
        stream:put(i)
        put = put + 1
      end
    end)
    local taken = 0
    for value in stream:loop() do
      taken = taken + 1
      assert.equal(taken, value)
      assert.is_true(put <= taken + 3)
    end
    assert.equal(50, taken)
  end)

  it("lets its tasks wait for what others do", function()
    local stream, level, order = streams.new(1), 0, {}
    local high = stream:condition(function()
      return level >= 3
    end)
    for i = 1, 2 do
      stream:spawn(function()
        high:wait()
        order[#order + 1] = i
        high:wait() -- it is so already
      end)
    end
    stream:spawn(function()
      for _ = 1, 3 do
        assert.equal(0, #order)
        level = level + 1
        stream:notify()
        sleep(0)
      end
    end)
    assert.same({}, (drain(stream)))
    table.sort(order)
    assert.same({ 1, 2 }, order)
  end)

  it("raises what a task has raised, after all that was done before it", function()
    local stream, problem = streams.new(2), {}
    for i = 1, 6 do -- two put their values, four wait to
      stream:spawn(function()
        stream:put(i)
      end)
    end
    stream:spawn(error, problem)
    local closed = false
    stream:spawn(function()
      local leaving <close> = setmetatable({}, { -- luacheck: ignore leaving
        __close = function()
          closed = true
        end,
      })
      sleep(3600)
    end)
    local values, err = drain(stream)
    table.sort(values)
    assert.same({ 1, 2, 3, 4, 5, 6 }, values)
    assert.equal(problem, err)
    assert.is_true(closed)
    assert.equal(problem, select(2, pcall(stream.take, stream)))
  end)

  it("gives what its loop is to see", function()
    local stream = streams.new(4)
    stream:spawn(function()
      stream:put { 1, "a" }
      stream:put { 2, nil }
    end)
    local seen = {}
    for number, name in
      stream:loop(function(value)
        return value[1], value[2]
      end)
    do
      seen[number] = name or "none"
    end
    assert.same({ "a", "none" }, seen)
  end)

  it("ends when it is closed: its tasks are cancelled, what was not taken is dropped", function()
    local stream, closed = streams.new(2), 0
    for _ = 1, 5 do
      stream:spawn(function()
        local leaving <close> = setmetatable({}, { -- luacheck: ignore leaving
          __close = function()
            closed = closed + 1
          end,
        })
        while true do
          stream:put("value")
        end
      end)
    end
    assert.equal("value", stream:take())
    stream:close()
    stream:close()
    assert.equal(5, closed)
    assert.is_nil(stream:take())
    assert.is_nil(stream:take())
  end)

  it("goes on while the body waits in another task, and is left to itself when that ends", function()
    local gate, stream, puts = gates.new(), streams.new(3), 0
    run(function()
      spawn(function()
        stream:spawn(function()
          for i = 1, 10 do
            stream:put(i)
            puts = i
            gate:open(i)
          end
        end)
        assert.equal(1, stream:take())
        gate:wait(4) -- the first, and as many as wait
        assert.equal(4, puts)
      end)
    end)
    assert.equal(4, puts)
    run(function() -- another group takes it up
      for i = 2, 10 do
        assert.equal(i, stream:take())
      end
      assert.is_nil(stream:take())
    end)
    assert.equal(10, puts)
  end)

  it("goes on while the body waits in a generator", function()
    local gate, stream = gates.new(), streams.new(2)
    local values = {}
    run(function()
      local generate = llama_cloud.wrap(function()
        for i = 1, 5 do
          stream:spawn(function()
            sleep(0)
            gate:open(i)
            stream:put(i)
          end)
        end
        for value in stream:loop() do
          gate:wait(5)
          coroutine.yield(value)
        end
      end)
      for value in generate do
        values[#values + 1] = value
      end
    end)
    table.sort(values)
    assert.same({ 1, 2, 3, 4, 5 }, values)
  end)
end)

-- Who runs what is ready: several who wait for one group, generators in which a group is driven, those who leave, and event
-- loops that fail or are dropped.

local cqueues = require("cqueues")

local core = require("llama_cloud.core")
local gates = require("spec.support.gates")
local llama_cloud = require("llama_cloud")
local loop = require("llama_cloud.loop")
local streams = require("llama_cloud.loop.stream")

local run, sleep, spawn, step, wrap =
  llama_cloud.run, llama_cloud.sleep, llama_cloud.spawn, llama_cloud.step, llama_cloud.wrap

-- A group that is driven inside a generator.
local function generator()
  return wrap(function()
    for i = 1, 2 do
      coroutine.yield((run(function()
        sleep(0.005)
        local task = spawn(function()
          sleep(0.005)
          return i
        end)
        return (task:result())
      end)))
    end
  end)
end

local function take_two()
  local next_one = generator()
  return { next_one(), next_one() }
end

describe("a generator that runs a group", function()
  it("is waited for by a task of run", function()
    run(function()
      local other = spawn(sleep, 60)
      assert.same({ 1, 2 }, take_two())
      assert.equal("pending", other:status())
      other:cancel()
    end)
  end)

  it("is waited for by a task of step", function()
    local task = spawn(take_two)
    local deadline = core.now() + 20
    while step() > 0 do
      assert(loop.transport():wait(deadline - core.now()), "the descriptor stays silent")
    end
    assert.same({ 1, 2 }, (task:result()))
  end)

  it("is waited for by a coroutine of cqueues", function()
    local controller, got = cqueues.new(), nil
    controller:wrap(function()
      got = take_two()
    end)
    assert(controller:loop(20))
    assert.same({ 1, 2 }, got)
  end)
end)

describe("a generator whose group is never without something to do", function()
  it("lets others go on", function()
    run(function()
      local done = false
      spawn(function()
        sleep(0.02)
        done = true
      end)
      wrap(function()
        run(function()
          while not done do
            coroutine.yield()
          end
        end)
      end)()
      assert.is_true(done)
    end)
  end)
end)

describe("a driver that leaves", function()
  it("leaves no task behind that has let others go first", function()
    local done = false
    local yields = spawn(function()
      sleep(0.01)
      while not done do
        coroutine.yield()
      end
      return "yielded"
    end)
    local first = spawn(function()
      sleep(0.02)
      return "first"
    end)
    local long = spawn(sleep, 60)
    run(function()
      spawn(function()
        assert.equal("first", (first:result()))
        done = true
      end)
      spawn(function()
        assert.equal("yielded", (yields:result())) -- which was waited for by the other one, too
      end)
    end)
    assert.equal("pending", long:status())
    long:cancel()
    assert.equal(0, step())
  end)

  it("leaves the descriptor readable for such a task", function()
    local turns = 0
    local task = spawn(function()
      while true do
        turns = turns + 1
        coroutine.yield()
      end
    end)
    assert.equal("done", (spawn(function()
      return "done"
    end):result()))
    local before = turns
    assert.is_true(loop.transport():wait(0))
    step()
    assert.equal(before + 1, turns)
    task:cancel()
    assert.equal(0, step())
  end)
end)

describe("a deadlock", function()
  it("is told to a task that waits for the one that runs it", function()
    run(function()
      local me
      me = spawn(function()
        return run(function()
          local ok, err = pcall(me.result, me)
          assert.is_false(ok)
          assert.matches("deadlock: that task waits for this one", err, 1, true)
          return "told"
        end)
      end)
      assert.equal("told", (me:result()))
    end)
  end)

  it("is looked for among those only who still wait", function()
    run(function()
      local other = spawn(sleep, 60)
      local task
      task = spawn(function()
        local on_close <close> = setmetatable({}, { -- luacheck: ignore on_close
          __close = function()
            other:cancel()
            other = nil
            collectgarbage()
            pcall(run, function()
              pcall(task.result, task)
            end)
          end,
        })
        other:result()
      end)
      sleep(0)
      task:cancel()
      assert.equal("cancelled", task:status())
    end)
  end)
end)

describe("an event loop", function()
  -- One of the application's own: coroutines by name, and what it watches.
  local own, ready, watch

  local host = {
    current = function(co)
      return own[co] and co or nil
    end,
    park = function()
      coroutine.yield()
    end,
    wake = function(co)
      assert(own[co], "no such coroutine")
      ready[#ready + 1] = co
    end,
    watch = function(fd, on_readable)
      watch = { pollfd = fd, events = "r", on_readable = on_readable }
      return function()
        watch = nil
      end
    end,
  }

  before_each(function()
    own, ready, watch = {}, {}, nil
    llama_cloud.use_loop(host)
  end)

  after_each(function()
    llama_cloud.use_loop(nil)
  end)

  local function start(f)
    local co = coroutine.create(f)
    own[co] = true
    ready[#ready + 1] = co
    return co
  end

  -- Goes on until a coroutine has ended; returns how often it was told that the descriptor is readable, and what that raised.
  local function go_on(co)
    local told, failures = 0, {}
    local deadline = core.now() + 20
    while coroutine.status(co) ~= "dead" do
      assert(core.now() < deadline, "it hangs")
      local batch = ready
      ready = {}
      for _, one in ipairs(batch) do
        if own[one] then
          assert(coroutine.resume(one))
        end
      end
      if #ready == 0 and watch and coroutine.status(co) ~= "dead" then
        local watching = watch
        if cqueues.poll(watching, 1) == watching then
          told = told + 1
          local ok, err = pcall(watching.on_readable)
          failures[#failures + 1] = not ok and err or nil
        end
      end
    end
    return told, failures
  end

  it("is not kept busy by tasks that only step runs", function()
    local task = spawn(sleep, 0.01)
    step()
    local told = go_on(start(function()
      sleep(0.1)
    end))
    assert.is_true(told <= 5, told)
    assert.equal("pending", task:status())
    assert.equal(0, step())
    assert.equal("done", task:status())
  end)

  it("that cannot wake one coroutine wakes the others", function()
    local dropped = start(function()
      sleep(0.01)
    end)
    local other = start(function()
      sleep(0.02)
      sleep(0.01)
    end)
    local batch = ready
    ready = {}
    for _, one in ipairs(batch) do
      assert(coroutine.resume(one))
    end
    own[dropped] = nil
    local _, failures = go_on(other)
    assert.is_true(#failures >= 1 and #failures <= 2, #failures)
    assert.matches("no such coroutine", failures[1], 1, true)
    sleep(0.001) -- blocks
    assert.equal(0, step())
  end)

  it("is asked to watch again after an error right behind the end of a watch", function()
    local ending = 0
    local watching = host.watch
    finally(function()
      host.watch = watching
    end)
    host.watch = function(...)
      local unwatch = watching(...)
      return function()
        unwatch()
        ending = ending + 1
        if ending == 1 then
          error("right behind it", 0)
        end
      end
    end
    local _, failures = go_on(start(function()
      sleep(0.005)
    end))
    assert.same({ "right behind it" }, failures)
    assert.same(
      {},
      select(
        2,
        go_on(start(function()
          sleep(0.005)
        end))
      )
    )
  end)

  it("of cqueues that has died holds up no other", function()
    llama_cloud.use_loop(nil)
    do
      local controller = cqueues.new()
      controller:wrap(function()
        spawn(sleep, 0.01)
        sleep(0.001)
        error("it dies", 0)
      end)
      assert.is_false((controller:loop(20)))
    end
    collectgarbage()
    collectgarbage()
    local controller, ran = cqueues.new(), false
    controller:wrap(function()
      spawn(function()
        ran = true
      end)
    end)
    assert(controller:loop(20))
    assert.is_true(ran)
    assert.equal(0, step())
  end)

  it("that is dropped lets another drive a stream whose loop is left in the middle", function()
    llama_cloud.use_loop(nil)
    local stream, gate = streams.new(3), gates.new()
    for i = 1, 4 do
      stream:spawn(function()
        gate:wait("begin " .. i)
        stream:put(i)
        gate:open(i)
      end)
    end
    local function body(f)
      local controller = cqueues.new()
      local ended = false
      controller:wrap(function()
        f()
        ended = true
      end)
      for _ = 1, 1000 do
        assert(controller:step(0.01))
        if ended then
          return
        end
      end
      error("the body does not end")
    end
    gate:open("begin 1")
    body(function()
      assert.equal(1, stream:take())
    end)
    collectgarbage()
    collectgarbage()
    gate:open("begin 2")
    body(function()
      assert.equal(2, stream:take())
      for i = 3, 4 do
        gate:open("begin " .. i)
        gate:wait(i)
        assert.equal(i, stream:take())
      end
    end)
    assert.is_nil(stream:take())
  end)
end)

describe("a stream whose loop is begun in the main program", function()
  local stream, gate

  before_each(function()
    stream, gate = streams.new(1), gates.new()
    for i = 1, 4 do
      stream:spawn(function()
        sleep(0.001)
        stream:put(i)
        gate:open("put " .. i)
      end)
    end
    assert.equal(1, stream:take())
    gate:wait("put 2") -- which the main program has run
  end)

  it("is gone on with in an event loop", function()
    local controller, sum = cqueues.new(), 0
    controller:wrap(function()
      for value in stream:loop() do
        sum = sum + value
      end
    end)
    assert(controller:loop(20))
    assert.equal(2 + 3 + 4, sum)
  end)

  it("is gone on with in a task of step", function()
    local sum = 0
    spawn(function()
      for value in stream:loop() do
        sum = sum + value
      end
    end)
    local deadline = core.now() + 20
    while step() > 0 do
      assert(loop.transport():wait(deadline - core.now()), "the descriptor stays silent")
    end
    assert.equal(2 + 3 + 4, sum)
  end)

  it("is kept by nobody when the loop is left", function()
    local closed = setmetatable({}, { __mode = "k" })
    closed[stream] = true
    do
      local handle <close> = stream:loop() -- luacheck: ignore
    end
    stream = nil
    for _ = 1, 3 do
      collectgarbage()
    end
    assert.is_nil(next(closed))
  end)
end)

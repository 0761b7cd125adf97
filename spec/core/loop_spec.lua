-- The invariants of src/lua_loop.h, seen from Lua: a loop of the core's with hosts and functions made for it.

local core = require("llama_cloud.core")

describe("core.loop", function()
  local engine, transport, root, place, called, left

  -- What a host does: parks by yielding, and takes note of whom it is to wake.
  local woken
  local host = {
    park = function()
      coroutine.yield("parked")
    end,
    wake = function(handle)
      woken[#woken + 1] = handle
    end,
  }

  local function attend()
    local one = engine:first()
    while one do
      if one.call then
        one.call()
      else
        one.host.wake(one.handle)
      end
      engine:pass(one)
      one = engine:first()
    end
  end

  local function new(functions)
    local all = {
      attend = attend,
      place = function(yieldable)
        return yieldable and place and place() or nil
      end,
      unwatch = function() end,
      root_left = function()
        left = left + 1
      end,
      cancelled = function()
        return { kind = "cancelled", cause = false }
      end,
      trace_of = function() end,
      trace_raise = function(err)
        error(err, 0)
      end,
      close = coroutine.close,
    }
    for name, f in pairs(functions or {}) do
      all[name] = f
    end
    engine, transport, root = core.loop("PARK", all)
  end

  before_each(function()
    woken, called, left = {}, 0, 0
    place = nil
    new()
  end)

  after_each(function()
    transport:close()
  end)

  local function is_readable()
    return transport:wait(0)
  end

  -- Starts a coroutine that waits for a token in a host; returns it.
  local function park(token, watch)
    local co = coroutine.create(function()
      engine:await(token)
      return "on"
    end)
    place = function()
      return { host = host, handle = co, watch = watch }
    end
    assert.same({ true, "parked" }, { coroutine.resume(co) })
    return co
  end

  it("makes who waits for a token ready in the call that ends it, and the descriptor readable", function()
    for _, how in ipairs { "cancel", "close" } do
      local timer = transport:timer(60)
      local co = park(timer)
      assert.is_false(is_readable())
      timer[how](timer)
      assert.is_true(is_readable())
      assert.equal(co, engine:first().handle)
      engine:dispatch()
      assert.same({ co }, woken)
      assert.is_false(is_readable())
      assert.same({ true, "on" }, { coroutine.resume(co) })
      woken = {}
    end
    local timer = transport:timer(0)
    local co = park(timer)
    engine:dispatch()
    assert.same({ co }, woken)
  end)

  it("keeps first what Lua has not seen to, whatever is raised meanwhile", function()
    local timer = transport:timer(60)
    local co = park(timer)
    local wake = host.wake
    finally(function()
      host.wake = wake
    end)
    host.wake = function()
      error("no", 0)
    end
    timer:cancel()
    for _ = 1, 3 do
      assert.has_error(function()
        engine:dispatch()
      end, "no")
      assert.is_true(is_readable())
    end
    host.wake = wake
    engine:dispatch()
    assert.same({ co }, woken)
  end)

  it("goes on waiting where a host resumes it without having been told to", function()
    local watch = { count = 0 }
    local timer = transport:timer(60)
    local co = park(timer, watch)
    for _ = 1, 3 do
      assert.equal(1, watch.count)
      assert.same({ true, "parked" }, { coroutine.resume(co) })
    end
    timer:cancel()
    engine:dispatch()
    assert.equal(0, watch.count)
    assert.same({ true, "on" }, { coroutine.resume(co) })
    assert.equal(0, watch.count)
  end)

  it("lets a coroutine that is closed, or left by an error, wait no more", function()
    local watch = { count = 0 }
    local timer <close> = transport:timer(60)
    local co = park(timer, watch)
    assert.is_true(coroutine.close(co))
    assert.equal(0, watch.count)
    timer:cancel()
    engine:dispatch()
    assert.same({}, woken)
    local parking = host.park
    finally(function()
      host.park = parking
    end)
    host.park = function()
      error("cannot park", 0)
    end
    local other <close> = transport:timer(60)
    local generator = coroutine.wrap(function()
      engine:await(other)
    end)
    assert.has_error(generator, "cannot park")
    assert.equal(0, watch.count)
    other:cancel()
    engine:dispatch()
    assert.same({}, woken)
  end)

  it("lets a task wait that is closed where it waits, wait no more, and its group end", function()
    local timer <close> = transport:timer(60)
    local task = root:spawn(function()
      engine:await(timer)
    end)
    engine:step()
    assert.equal("pending", task:status())
    task:cancel()
    assert.equal("cancelled", task:status())
    assert.equal(0, root:live())
    timer:cancel()
    assert.equal(0, engine:step())
  end)

  it("tests after it has allocated: what a finalizer ends meanwhile is not waited for", function()
    for _ = 1, 200 do
      local timer <close> = transport:timer(60)
      place = function()
        local handle = coroutine.running()
        setmetatable({}, {
          __gc = function()
            timer:cancel()
          end,
        })
        collectgarbage() -- as any allocation may
        return { host = host, handle = handle }
      end
      local co = coroutine.create(function()
        engine:await(timer)
        return "on"
      end)
      assert.same({ true, "on" }, { coroutine.resume(co) })
    end
  end)

  describe("the descriptor", function()
    it("is readable while a task of the root can go on that nobody drives", function()
      engine:step()
      assert.is_false(is_readable())
      local timer = transport:timer(60)
      root:spawn(function()
        engine:await(timer)
      end)
      assert.is_true(is_readable())
      engine:step()
      assert.is_false(is_readable())
      timer:cancel()
      assert.is_true(is_readable())
      assert.equal(0, engine:step())
      assert.is_false(is_readable())
    end)

    it("says nothing of tasks that somebody drives, until he leaves", function()
      local co = coroutine.create(function()
        root:drive()
      end)
      local timer = transport:timer(60)
      root:spawn(function()
        engine:await(timer)
      end)
      place = function()
        return { host = host, handle = co }
      end
      assert.same({ true, "parked" }, { coroutine.resume(co) })
      assert.is_true(root:driven())
      timer:cancel() -- wakes the driver, and so has to be seen to
      assert.equal(co, engine:first().handle)
      assert.equal(1, engine:step()) -- whoever steps leaves the tasks to him
      assert.same({ co }, woken)
      assert.is_false(is_readable())
      assert.is_true(coroutine.close(co)) -- he leaves without having run it
      assert.equal(1, left)
      assert.is_true(is_readable())
      assert.equal(0, engine:step())
    end)
  end)

  it("wakes the next driver where one that was woken leaves", function()
    local timer = transport:timer(60)
    root:spawn(function()
      engine:await(timer)
    end)
    engine:step()
    local drivers = {}
    for i = 1, 3 do
      local co = coroutine.create(function()
        root:drive()
        return "driven"
      end)
      drivers[i] = co
      place = function()
        return { host = host, handle = co }
      end
      coroutine.resume(co)
    end
    timer:cancel()
    engine:dispatch()
    assert.same({ drivers[1] }, woken) -- one of them is enough
    coroutine.close(drivers[1])
    engine:dispatch()
    assert.same({ drivers[1], drivers[2] }, woken)
    coroutine.close(drivers[2])
    engine:dispatch()
    assert.equal(drivers[3], woken[3])
    assert.same({ true, "driven" }, { coroutine.resume(drivers[3]) })
    assert.equal(0, root:live())
  end)

  it("calls an alarm until it has been seen to, and never once it is closed", function()
    local times = 0
    local function ring()
      times = times + 1
      if times == 1 then
        error("not yet", 0)
      end
      called = called + 1
    end
    local alarm = engine:alarm(transport:timer(0), ring)
    assert.is_false(alarm:done())
    assert.has_error(function()
      engine:dispatch()
    end, "not yet")
    engine:dispatch()
    engine:dispatch()
    assert.equal(1, called)
    assert.is_true(alarm:done())
    local other = engine:alarm(transport:timer(0), ring)
    other:close()
    other:close()
    assert.equal(0, (transport:count()))
    engine:dispatch()
    assert.equal(1, called)
  end)

  it("takes out what a generator waits for, for its caller to wait in its place", function()
    local timer = transport:timer(60)
    place = function()
      return true
    end
    local co = coroutine.create(function()
      engine:await(timer)
      return "on"
    end)
    local ok, park_mark, what, group = coroutine.resume(co)
    assert.same({ true, "PARK", timer, nil }, { ok, park_mark, what, group })
    timer:cancel()
    assert.same({ true, "on" }, { coroutine.resume(co) })
  end)

  it("raises what a hook raises where a task's traceback is taken, when the task has ended", function()
    new {
      trace_of = function()
        error("interrupted!", 0)
      end,
    }
    local task = root:spawn(error, "its own", 0)
    local ok, err = pcall(engine.step, engine)
    assert.same({ false, "interrupted!" }, { ok, err })
    assert.equal("failed", task:status())
    assert.same({ nil, "its own" }, { task:result() })
    assert.equal(0, engine:step())
  end)
end)

-- Tokens: timers and transfers from their start to their end, in whatever order things are cancelled, closed and collected.

local core = require("llama_cloud.core")
local process = require("spec.support.process")
local server = require("spec.support.server")
local support = require("spec.support.transport")

local slowdown = process.slowdown

-- Answers after the number of seconds that the path names.
local DELAYS = [[
return function(connection, request)
  connection:sleep(tonumber(request.path:match("[%d.]+")) or 0)
  connection:json(200, "{}")
end]]

-- All tokens that have ended, in order.
local function take(t)
  local taken = {}
  for token in t.next, t do
    taken[#taken + 1] = token
  end
  return taken
end

local function collect()
  collectgarbage()
  collectgarbage()
end

-- Calls `f` while the collector runs finalizers at almost every allocation, each of which calls `on_finalize`.
local function finalizing(on_finalize, f)
  local ran, armed = 0, false
  local mt = {
    __gc = function()
      ran = ran + 1
      if armed then
        on_finalize()
      end
    end,
  }
  collect()
  for _ = 1, 20000 do
    setmetatable({}, mt)
  end
  collectgarbage("incremental", 100, 100, 2) -- tiny steps, each of a few finalizers
  repeat
    collectgarbage("step", 0)
  until ran > 0
  armed = true
  local well, message = pcall(f)
  armed = false
  collectgarbage("incremental", 200, 100, 13)
  assert(well, message)
  collect()
  assert(ran == 20000)
end

describe("a transport", function()
  local t, s

  setup(function()
    s = server.start(DELAYS)
  end)

  teardown(function()
    s:stop()
  end)

  before_each(function()
    t = core.transport()
  end)

  after_each(function()
    t:close()
  end)

  local function start(seconds, more)
    local request = { method = "GET", url = s:url("/" .. (seconds or 0)) }
    for name, value in pairs(more or {}) do
      request[name] = value
    end
    return t:start(request)
  end

  describe("has timers that", function()
    it("end in the order of their times", function()
      local timers = {}
      local random = 7
      for i = 1, 500 do
        random = random * 16807 % 2147483647
        local seconds = random % 100000 / 2000000
        local earliest = core.now() + seconds
        local timer = t:timer(seconds)
        timers[timer] = { earliest = earliest, latest = core.now() + seconds }
        if i % 3 == 0 then
          timers[timer] = nil
          timer:close()
        end
      end
      support.step_for(t, 0.06)
      t:step()
      local count, before = 0, { latest = -math.huge, earliest = -math.huge }
      local latest_end = -math.huge
      for timer in t.next, t do
        local times = assert(timers[timer], "a closed timer came out")
        assert.is_true(times.latest >= before.earliest)
        latest_end = math.max(latest_end, times.latest)
        before = times
        count = count + 1
      end
      assert.equal(334, count)
      assert.is_true(core.now() >= latest_end - 0.001)
      assert.equal(0, (t:count()))
    end)

    it("never end early", function()
      local begin = core.now()
      local timer = t:timer(0.05)
      assert.is_true(t:wait())
      assert.is_true(core.now() - begin >= 0.05)
      assert.is_true(t:step())
      assert.is_true(timer:done())
    end)

    it("end at the next step when they have no time, in the order in which they were started", function()
      local expected = { t:timer(0), t:timer(-1), t:timer(0), t:timer(-math.huge) }
      assert.is_true(t:wait(0))
      assert.is_false(expected[1]:done())
      assert.is_true(t:step())
      assert.same(expected, take(t))
    end)

    it("never end when they are endless", function()
      local timer = t:timer(math.huge)
      local long = t:timer(1e300)
      assert.is_false(t:wait(0))
      assert.is_false(t:step())
      assert.is_false(timer:done() or long:done())
      assert.equal(2, (t:count()))
    end)

    it("need a number", function()
      assert.error_matches(function()
        t:timer(0 / 0)
      end, "NaN")
      assert.error_matches(function()
        t:timer("soon")
      end, "number expected")
      assert.equal(0, (t:count()))
    end)
  end)

  it("counts what is pending until it is handed out", function()
    t:max_concurrency(1)
    local first, second, timer = start(5), start(), t:timer(0)
    assert.same({ 3, 1 }, { t:count() })
    t:step()
    assert.is_true(timer:done())
    assert.same({ 3, 1 }, { t:count() })
    assert.equal(timer, t:next())
    assert.is_nil(t:next())
    assert.same({ 2, 1 }, { t:count() })
    first:close()
    assert.same({ 1, 1 }, { t:count() })
    second:close()
    assert.same({ 0, 0 }, { t:count() })
  end)

  describe("cancels", function()
    local function cancelled(token, state)
      assert.equal(("llama_cloud.%s (%s)"):format(token.outcome and "transfer" or "timer", state), tostring(token))
      assert.is_false(token:done())
      token:cancel()
      assert.is_true(token:done())
      assert.is_true(t:wait(0))
      token:cancel()
      assert.same({ token }, take(t))
      assert.is_nil(t:next())
      if t:count() == 0 then
        assert.is_false(t:wait(0))
      end
      if token.outcome then
        assert.same({ "cancelled", "cancelled" }, { token:outcome() })
        assert.equal("", token:body())
        assert.same({}, token:headers())
      end
    end

    it("a timer", function()
      cancelled(t:timer(60), "active")
    end)

    it("a transfer that is queued, which the server then never sees", function()
      t:max_concurrency(1)
      local first <close> = start(0.1)
      local requests = s:count()
      local queued = start()
      cancelled(queued, "queued")
      assert.same({ 0, false }, { queued:status(), queued:sent() })
      support.finish(t, first)
      assert.equal(requests + 1, s:count())
    end)

    it("a transfer that is under way", function()
      local requests = s:count()
      local transfer = start(60)
      support.step_until(t, function()
        return s:count() > requests
      end)
      cancelled(transfer, "active")
      assert.same({ 0, true }, { transfer:status(), transfer:sent() })
    end)

    it("a transfer that has not even connected", function()
      local transfer = start()
      cancelled(transfer, "active")
      assert.is_false(transfer:sent())
    end)

    it("nothing that has ended", function()
      local transfer = start()
      support.step_until(t, function()
        return transfer:done()
      end)
      assert.equal("llama_cloud.transfer (finished)", tostring(transfer))
      transfer:cancel()
      assert.equal("response", (transfer:outcome()))
      assert.same({ transfer }, take(t))
      assert.equal("llama_cloud.transfer (taken)", tostring(transfer))
      transfer:cancel()
      assert.equal("response", (transfer:outcome()))
      assert.is_nil(t:next())
      local timer = t:timer(0)
      t:step()
      timer:cancel()
      assert.same({ timer }, take(t))
    end)

    it("some of many, and lets others in for them", function()
      t:max_concurrency(2)
      local tokens = {}
      for i = 1, 20 do
        tokens[i] = start(i % 2 == 0 and 60 or 0)
      end
      for i = 2, 20, 2 do
        tokens[i]:cancel()
      end
      local ended = {}
      support.step_until(t, function()
        for _, token in ipairs(take(t)) do
          ended[token] = (ended[token] or 0) + 1
        end
        return t:count() == 0
      end)
      for i, token in ipairs(tokens) do
        assert.equal(1, ended[token])
        assert.equal(i % 2 == 0 and "cancelled" or "response", (token:outcome()))
      end
    end)
  end)

  describe("lets go of tokens that are closed", function()
    local function closed(token)
      token:close()
      assert.is_true(token:done())
      assert.matches("%(closed%)$", tostring(token))
      token:close()
      token:cancel()
      assert.is_nil(t:next())
      assert.equal(0, (t:count()))
      assert.is_false(t:wait(0))
      if token.outcome then
        for _, method in ipairs { "outcome", "status", "sent", "body", "decode", "headers" } do
          assert.error_matches(function()
            token[method](token)
          end, "attempt to use a closed transfer")
        end
      end
    end

    it("while they are queued", function()
      t:max_concurrency(1)
      local first = start(60)
      local queued = start()
      first:close()
      closed(queued)
    end)

    it("while they are under way", function()
      local transfer = start(60)
      support.step_for(t, 0.02)
      closed(transfer)
      closed(t:timer(1))
    end)

    it("when they have ended", function()
      local transfer, timer = start(), t:timer(0)
      support.step_until(t, function()
        return transfer:done() and timer:done()
      end)
      timer:close()
      closed(transfer)
    end)

    it("when they were handed out", function()
      closed(support.finish(t, start()))
    end)

    it("by a to-be-closed variable", function()
      local transfer
      do
        local scoped <close> = start(60)
        transfer = scoped
      end
      closed(transfer)
    end)
  end)

  it("cancels tokens that nobody holds when they are collected", function()
    local closing = server.start([[return function(connection)
      connection:json(connection:wait_closed() and 200 or 500, "{}")
    end]])
    t:max_concurrency(1)
    local dropped = {
      t:start { method = "GET", url = closing:url() },
      start(),
      t:timer(0.01),
    }
    support.step_until(t, function()
      return closing:count() == 1
    end)
    assert.equal(3, #dropped)
    local requests = s:count()
    dropped = nil -- luacheck: ignore 311
    collect()
    assert.same({ 0, 0 }, { t:count() })
    support.step_for(t, 0.05)
    assert.is_nil(t:next())
    assert.equal(requests, s:count())
    closing:stop()
  end)

  it("is kept by its tokens", function()
    local other = core.transport()
    local weak = setmetatable({ other }, { __mode = "v" })
    local timer = other:timer(60)
    other = nil -- luacheck: ignore 311
    collect()
    assert.is_truthy(weak[1])
    timer:cancel()
    timer = nil -- luacheck: ignore 311
    collect()
    assert.is_nil(weak[1])
  end)

  it("frees its tokens when it is closed", function()
    t:max_concurrency(1)
    local ended = start()
    support.step_until(t, function()
      return ended:done()
    end)
    local taken = support.finish(t, start())
    local active, queued, timer = start(60), start(nil, { deadline = 60 }), t:timer(60)
    local untaken = t:timer(0)
    support.step_until(t, function()
      return untaken:done()
    end)
    t:close()
    t:close()
    for _, token in ipairs { active, queued, timer, untaken, taken } do
      assert.is_true(token:done())
      assert.matches("%(closed%)$", tostring(token))
      token:cancel()
    end
    assert.has_error(function()
      taken:outcome()
    end, "attempt to use a closed transfer")
    active:close()
    queued:close()
    collect()
  end)

  it("cannot be used when it is closed", function()
    local other = core.transport()
    do
      local scoped <close> = other
      assert.matches("^llama_cloud.transport %(0x%x+%)$", tostring(scoped))
    end
    assert.equal("llama_cloud.transport (closed)", tostring(other))
    local calls = {
      { "fd" },
      { "step" },
      { "next" },
      { "wait", 0 },
      { "count" },
      { "max_concurrency" },
      { "timer", 1 },
      { "start", { method = "GET", url = s:url() } },
    }
    for _, call in ipairs(calls) do
      assert.error_matches(function()
        other[call[1]](other, call[2])
      end, "attempt to use a closed transport")
    end
    other:close()
  end)

  it("gives nobody its metatables", function()
    for _, object in ipairs { t, t:timer(1), start() } do
      assert.is_false(getmetatable(object))
    end
  end)

  describe("tells by its descriptor whether step has work:", function()
    it("a descriptor that others can poll", function()
      assert.equal("integer", math.type(t:fd()))
      assert.is_true(t:fd() >= 0)
    end)

    it("not without tokens", function()
      local begin = core.now()
      assert.is_false(t:wait(0.05))
      assert.is_true(core.now() - begin >= 0.05)
      assert.is_false(t:wait(0))
      assert.is_false(t:wait(-1))
    end)

    it("from a timer's end until its token is taken", function()
      local timer = t:timer(0.02)
      assert.is_false(t:wait(0))
      assert.is_true(t:wait(10))
      assert.is_true(t:wait(0))
      assert.is_true(t:step())
      assert.is_true(t:wait(0))
      assert.is_true(t:step())
      assert.equal(timer, t:next())
      assert.is_false(t:wait(0))
      assert.is_false(t:step())
    end)

    it("not while the server thinks", function()
      local transfer = start(0.4 * slowdown)
      assert.is_true(t:wait(0))
      local requests = s:count()
      repeat
        support.step_for(t, 0.01) -- and no longer: libcurl need not wake before the answer comes
      until s:count() > requests
      support.step_for(t, 0.1 * slowdown)
      assert.is_false(t:wait(0))
      assert.is_true(t:wait(20 * slowdown))
      support.finish(t, transfer)
      assert.equal("response", (transfer:outcome()))
      -- an idle connection is not watched
      support.step_for(t, 0.05)
      assert.is_false(t:wait(0))
    end)

    it("with more tokens ended than one batch of events holds", function()
      local count = 200
      local tokens = {}
      for i = 1, count do
        tokens[i] = start()
      end
      local taken = 0
      support.step_until(t, function()
        while t:next() do
          taken = taken + 1
        end
        return taken == count
      end)
      assert.same({ 0, 0 }, { t:count() })
      assert.equal("response", (tokens[count]:outcome()))
    end)
  end)

  it("never blocks in a step", function()
    local transfers = { start(60), t:start { method = "GET", url = "http://127.0.0.1:1/" } }
    local deadline = core.now() + 0.2
    local longest, steps = 0, 0
    while core.now() < deadline do
      local begin = core.now()
      t:step()
      longest = math.max(longest, core.now() - begin)
      steps = steps + 1
    end
    assert.is_true(longest < 0.1 * slowdown, ("a step took %g s"):format(longest))
    assert.is_true(steps > 10)
    assert.is_true(transfers[2]:done())
  end)

  describe("survives a finalizer that", function()
    it("closes the transport while a request is made", function()
      local closed_by_index = setmetatable({ method = "GET", url = s:url() }, {
        __index = function()
          t:close()
        end,
      })
      assert.error_matches(function()
        t:start(closed_by_index)
      end, "attempt to use a closed transport")
      collect()
    end)

    it("closes a transfer while it is decoded", function()
      local items = {}
      for i = 1, 5000 do
        items[i] = ('{"id":"%d","name":"item %d"}'):format(i, i)
      end
      local long = server.start { { body = '{"items":[' .. table.concat(items, ",") .. "]}" } }
      local transfer = support.send(t, { url = long:url() })
      local closed = false
      finalizing(function()
        transfer:close()
        closed = true
      end, function()
        local value = assert(transfer:decode())
        assert.is_true(closed)
        assert.equal(5000, #value.items)
        assert.equal("item 5000", value.items[5000].name)
      end)
      -- the closing was put off, not forgotten
      assert.matches("closed", tostring(transfer))
      long:stop()
    end)

    it("takes the body away while it is decoded", function()
      local items = {}
      for i = 1, 5000 do
        items[i] = ('{"id":"%d"}'):format(i)
      end
      local long = server.start { { body = '{"items":[' .. table.concat(items, ",") .. "]}" } }
      local transfer = support.send(t, { url = long:url() })
      local message
      finalizing(function()
        local taken
        taken, message = pcall(transfer.page, transfer)
        if taken then
          message:close()
        end
      end, function()
        local value = assert(transfer:decode())
        assert.matches("while it is read", message)
        assert.equal("5000", value.items[5000].id)
      end)
      long:stop()
    end)

    it("closes a transfer while its headers are read", function()
      local headers = {}
      for i = 1, 1000 do
        headers["X-Header-" .. i] = "value " .. i
      end
      local many = server.start { { headers = headers } }
      local transfer = support.send(t, { url = many:url() })
      local closed = false
      finalizing(function()
        transfer:close()
        closed = true
      end, function()
        local found = transfer:headers()
        assert.is_true(closed)
        assert.equal("value 1000", found["x-header-1000"])
      end)
      assert.matches("closed", tostring(transfer))
      many:stop()
    end)

    it("closes a transfer while its outcome is read", function()
      local transfer
      finalizing(function()
        transfer:close()
      end, function()
        for _ = 1, 300 do
          transfer = t:start { method = "GET", url = "nothing://" .. ("x"):rep(100) }
          support.step_until(t, function()
            return transfer:done()
          end)
          local well, kind, message = pcall(transfer.outcome, transfer)
          if well then
            assert.equal("refused", kind)
            assert.matches("nothing", message)
          else
            assert.matches("closed transfer", kind)
          end
        end
      end)
    end)
  end)

  it("can be closed after a decode that raised", function()
    local transfer = support.finish(t, start())
    assert.error_matches(function()
      transfer:decode {}
    end, "decoder expected")
    assert.same({}, transfer:decode())
    transfer:close()
    assert.error_matches(function()
      transfer:decode()
    end, "closed transfer")
  end)

  it("checks its arguments", function()
    local ok = { method = "GET", url = s:url() }
    local cases = {
      { {}, "a request needs a method" },
      { { method = "GET" }, "a request needs a url" },
      { { method = 1, url = ok.url }, "field 'method' must be a string" },
      { { method = "GET", url = 1 }, "field 'url' must be a string" },
      { { body = {} }, "the body of a request must be a string or a form" },
      { { proxy = 1 }, "field 'proxy' must be a string" },
      { { ca_file = "a\0b" }, "field 'ca_file' contains a NUL" },
      { { timeout = "1" }, "field 'timeout' must be a number" },
      { { timeout = 0 / 0 }, "field 'timeout' is NaN" },
      { { deadline = 0 / 0 }, "field 'deadline' is NaN" },
      { { max_response_bytes = -1 }, "field 'max_response_bytes' is negative" },
      { { headers = "X: 1" }, "table expected" },
      { { headers = { 1, {} } }, "a header's name or value is not a string" },
    }
    for _, case in ipairs(cases) do
      local request = case[1]
      if not case[2]:find("needs") then
        request.method, request.url = request.method or ok.method, request.url or ok.url
      end
      assert.error_matches(function()
        t:start(request)
      end, case[2], nil, true)
    end
    assert.error_matches(function()
      t:start("http://127.0.0.1/")
    end, "table expected")
    assert.error_matches(function()
      t.step(t:timer(1))
    end, "llama_cloud.transport expected, got llama_cloud.timer")
    assert.error_matches(function()
      t:timer(1).cancel(t)
    end, "llama_cloud.timer expected, got llama_cloud.transport")
    local transfer = start(60)
    assert.error_matches(function()
      transfer:outcome()
    end, "the transfer has not ended")
    collect()
    assert.equal(1, (t:count()))
  end)
end)

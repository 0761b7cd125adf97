-- The queue before the multi, deadlines and time-outs.

local core = require("llama_cloud.core")
local process = require("spec.support.process")
local server = require("spec.support.server")
local support = require("spec.support.transport")

local slowdown = process.slowdown

-- Answers after the number of seconds that the path names, with how many requests it had at once until then at most.
local COUNTING = [[
local now, most = 0, 0
return function(connection, request)
  now = now + 1
  most = math.max(most, now)
  connection:sleep(tonumber(request.path:match("[%d.]+")) or 0)
  now = now - 1
  connection:json(200, tostring(most))
end]]

describe("the queue of a transport", function()
  local t, s

  before_each(function()
    s = server.start(COUNTING)
    t = core.transport()
  end)

  after_each(function()
    t:close()
    s:stop()
  end)

  local function start(seconds, more)
    local request = { method = "GET", url = s:url("/" .. seconds) }
    for name, value in pairs(more or {}) do
      request[name] = value
    end
    return t:start(request)
  end

  local function run_all(transfers)
    support.step_until(t, function()
      while t:next() do
      end
      return t:count() == 0
    end)
    local most = 0
    for _, transfer in ipairs(transfers) do
      assert.same({ "response", "" }, { transfer:outcome() })
      most = math.max(most, transfer:decode())
    end
    return most
  end

  it("lets at most max_concurrency transfers into the multi", function()
    assert.equal(128, t:max_concurrency())
    assert.equal(3, t:max_concurrency(3))
    local transfers = {}
    for i = 1, 12 do
      transfers[i] = start(0.03)
      assert.same({ i, math.min(i, 3) }, { t:count() })
    end
    assert.equal(3, run_all(transfers))
    assert.equal(3, s:connections())
  end)

  it("is as wide as it is told to be", function()
    t:max_concurrency(50)
    local transfers = {}
    for i = 1, 50 do
      transfers[i] = start(0.3 * slowdown)
    end
    assert.equal(50, run_all(transfers))
  end)

  it("is in the order in which transfers were started", function()
    t:max_concurrency(1)
    local transfers = {}
    for i = 1, 10 do
      transfers[i] = t:start { method = "GET", url = s:url("/0/number-" .. i) }
    end
    run_all(transfers)
    for i, request in ipairs(s:requests()) do
      assert.equal("/0/number-" .. i, request.path)
    end
    assert.equal(1, s:connections())
  end)

  it("lets more in when max_concurrency grows, and takes none out when it shrinks", function()
    t:max_concurrency(1)
    local transfers = {}
    for i = 1, 9 do
      transfers[i] = start(0.03)
    end
    assert.same({ 9, 1 }, { t:count() })
    t:max_concurrency(4)
    assert.same({ 9, 4 }, { t:count() })
    t:max_concurrency(2)
    assert.same({ 9, 4 }, { t:count() })
    transfers[2]:close()
    table.remove(transfers, 2)
    assert.same({ 8, 3 }, { t:count() })
    assert.is_true(run_all(transfers) <= 4)
    -- easy handles and connections of a smaller pool
    t:max_concurrency(1)
    assert.equal("response", (support.finish(t, start(0)):outcome()))
  end)

  it("has bounds", function()
    for _, n in ipairs { 0, -1, 100001 } do
      assert.error_matches(function()
        t:max_concurrency(n)
      end, "from 1 to 100000")
    end
    assert.error_matches(function()
      t:max_concurrency(1.5)
    end, "no integer representation")
    assert.equal(100000, t:max_concurrency(100000))
  end)

  it("goes on behind requests that cannot even begin", function()
    t:max_concurrency(1)
    local first = start(0)
    local bad = {}
    for i = 1, 1000 do
      bad[i] = t:start { method = "GET", url = "nothing://" }
    end
    local last = start(0)
    support.step_until(t, function()
      return last:done()
    end)
    assert.equal("response", (first:outcome()))
    assert.equal("response", (last:outcome()))
    for _, transfer in ipairs(bad) do
      assert.equal("refused", (transfer:outcome()))
    end
  end)

  it("does not count towards `timeout`", function()
    t:max_concurrency(1)
    local patience = 0.25 * slowdown
    local first = start(0.4 * slowdown)
    local second = start(0, { timeout = patience })
    support.step_until(t, function()
      return second:done()
    end)
    assert.equal("response", (first:outcome()))
    assert.equal("response", (second:outcome()))
  end)

  it("counts towards `deadline`", function()
    t:max_concurrency(1)
    local first = start(60)
    local queued = start(0, { deadline = 0.1 })
    local later = start(0, { deadline = 0.05 })
    local begin = core.now()
    support.step_until(t, function()
      return queued:done()
    end)
    assert.is_true(core.now() - begin >= 0.09)
    assert.is_false(first:done())
    assert.same({ "timeout", "total_timeout passed while the request was queued" }, { queued:outcome() })
    assert.is_false(queued:sent())
    assert.equal(later, t:next())
    assert.equal(queued, t:next())
    assert.equal(1, #s:wait_for_requests(1))
    first:close()
    support.step_for(t, 0.05)
    assert.equal(1, s:count())
  end)

  it("sends nothing once the deadline has passed", function()
    for _, deadline in ipairs { 0, -1, -math.huge } do
      local transfer = start(0, { deadline = deadline })
      assert.is_true(transfer:done())
      assert.equal("timeout", (transfer:outcome()))
    end
    assert.equal(0, s:connections())
  end)
end)

describe("the time of an attempt", function()
  local t, s

  before_each(function()
    t = core.transport()
  end)

  after_each(function()
    t:close()
    if s then
      s:stop()
    end
    s = nil
  end)

  local function timed_out(request, seconds)
    local begin = core.now()
    local transfer = support.send(t, request)
    local took = core.now() - begin
    assert.equal("timeout", (transfer:outcome()))
    assert.is_true(took >= seconds - 0.01 and took < seconds + 1 * slowdown, ("it took %g s"):format(took))
    return transfer
  end

  it("ends at `timeout`, whether the server is silent", function()
    s = server.start { { delay = 60 } }
    local transfer = timed_out({ url = s:url(), timeout = 0.2 }, 0.2)
    assert.same({ 0, true }, { transfer:status(), transfer:sent() })
    assert.matches("Operation timed out after 2%d%d milliseconds", (select(2, transfer:outcome())))
  end)

  it("or slow", function()
    s = server.start { { body = ("x"):rep(100000), bytes_per_second = 100 } }
    local transfer = timed_out({ url = s:url(), timeout = 0.4 * slowdown }, 0.4 * slowdown)
    assert.equal(200, transfer:status())
    assert.is_true(#transfer:body() > 0)
  end)

  it("ends at `deadline`, if that comes first", function()
    s = server.start { { delay = 60 } }
    timed_out({ url = s:url(), timeout = 60, deadline = 0.2 }, 0.2)
    timed_out({ url = s:url(), timeout = 0.2, deadline = 60 }, 0.2)
  end)

  it("ends at `connect_timeout` while there is no connection", function()
    s = server.start({ {} }, { accept = false })
    -- the kernel accepts, but nobody answers the TLS handshake
    local url = s:url():gsub("^http:", "https:")
    local transfer = timed_out({ url = url, connect_timeout = 0.2 }, 0.2)
    assert.is_false(transfer:sent())
  end)

  it("is unlimited by default", function()
    s = server.start { { delay = 0.5 } }
    local endless = { url = s:url(), timeout = math.huge, connect_timeout = math.huge, deadline = math.huge }
    assert.equal("response", (support.send(t, endless):outcome()))
    assert.equal("response", (support.send(t, { url = s:url(), timeout = 1e18, deadline = 1e18 }):outcome()))
  end)
end)

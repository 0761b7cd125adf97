-- How long a call may take, and how much it may receive.

local llama_cloud = require("llama_cloud")
local retry = require("llama_cloud.http.retry")
local server = require("spec.support.server")
local support = require("spec.support.client")

local scaled, start = support.scaled, support.start

-- Seconds of the monotonic clock that f takes, and what it returns.
local function timed(f)
  local now = require("llama_cloud.core").now
  local from = now()
  local value, err = f()
  return now() - from, value, err
end

describe("timeout", function()
  support.pause_for(0.001)

  it("ends an attempt that is not answered", function()
    local s <close>, client = start { { delay = 60 } }
    local limit = scaled(0.15)
    local seconds, value, err = timed(function()
      return client:get("/x", { timeout = limit })
    end)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.is_nil(err.status)
    assert.is_nil(err.cause)
    assert.equal(1, err.attempts)
    assert.is_true(seconds >= limit * 0.99, seconds)
    assert.is_true(seconds < 30, seconds)
    assert.equal(1, #s:wait_for_requests(1))
  end)

  it("ends an attempt whose answer does not end", function()
    local _ <close>, client = start { { body = ("x"):rep(100000), bytes_per_second = 50 } }
    local seconds, value, err = timed(function()
      return client:get("/x", { timeout = scaled(0.2) })
    end)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.equal(200, err.status)
    assert.is_true(seconds < 30, seconds)
  end)

  it("is for each attempt", function()
    local s <close>, client = start({ { delay = 60 } }, { timeout = scaled(0.1), max_retries = 2 })
    local _, err = client:get("/x")
    assert.equal("timeout", err.kind)
    assert.equal(3, err.attempts)
    assert.equal(3, #s:wait_for_requests(3))
  end)

  it("is the client's, or the call's", function()
    local _ <close>, client = start({ { delay = 60 } }, { timeout = scaled(0.1) })
    assert.equal("timeout", select(2, client:get("/x")).kind)
    local _ <close>, patient = start({ { delay = scaled(0.3), body = "{}" } }, { timeout = scaled(0.1) })
    assert(patient:get("/x", { timeout = 60 }))
    assert(patient.batches:get("bat-1", {}, { timeout = math.huge }))
  end)

  it("leaves the client fit for use", function()
    local _ <close>, client = start { { delay = 60 }, { body = "{}" } }
    assert.is_nil((client:get("/x", { timeout = scaled(0.1) })))
    assert(client:get("/x"))
  end)
end)

describe("total_timeout", function()
  local real_backoff = retry.backoff

  after_each(function()
    retry.backoff = real_backoff
  end)

  local function backoff(seconds)
    retry.backoff = function()
      return seconds
    end
  end

  it("is checked before anything is sent", function()
    local s <close>, client = start { { body = "{}" } }
    for _, call in ipairs {
      function(options)
        return client:get("/x", options)
      end,
      function(options)
        return client.batches:create(support.BATCH, options)
      end,
    } do
      local value, err = call { total_timeout = 1e-12 }
      assert.is_nil(value)
      assert.equal("timeout", err.kind)
      assert.equal(0, err.attempts)
      assert.is_false(err.maybe_sent)
      assert.is_truthy(err.message:find("total_timeout of 1e-12 s has passed", 1, true))
    end
    assert.equal(0, s:count())
    assert.equal(0, s:connections())
  end)

  it("ends the attempt under way", function()
    local _ <close>, client = start({ { delay = 60 } }, { max_retries = 5 })
    local limit = scaled(0.2)
    local seconds, value, err = timed(function()
      return client:get("/x", { total_timeout = limit })
    end)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.equal(1, err.attempts)
    assert.is_truthy(err.message:find("total_timeout of ", 1, true))
    assert.is_true(seconds >= limit * 0.99, seconds)
    assert.is_true(seconds < 30, seconds)
  end)

  it("is for all attempts and the pauses between them", function()
    backoff(scaled(0.1))
    local s <close>, client = start({ { status = 500, body = '{"detail":"down"}' } }, { max_retries = 1000 })
    local limit = scaled(0.45)
    local seconds, value, err = timed(function()
      return client:get("/x", { total_timeout = limit })
    end)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.is_true(err.attempts >= 2 and err.attempts <= 5, err.attempts)
    local unseen = err.attempts - s:count() -- the last may end before the server has heard of it
    assert.is_true(unseen == 0 or unseen == 1, unseen)
    assert.is_true(seconds <= limit + 10, seconds)
    -- what went wrong before is not forgotten
    assert.is_true(llama_cloud.is_error(err.cause))
    assert.equal("500: down", err.cause.message)
  end)

  it("keeps the cause when a later attempt takes too long", function()
    backoff(0.001)
    local _ <close>, client = start({ { status = 500 }, { delay = 60 } }, { max_retries = 5 })
    local _, err = client:get("/x", { total_timeout = scaled(0.3) })
    assert.equal("timeout", err.kind)
    assert.equal(2, err.attempts)
    assert.equal(500, err.cause.status)
  end)

  it("ends a call at once whose pause would outlast it", function()
    backoff(1000)
    for _, case in ipairs {
      { { status = 500 }, "internal_server" },
      { { status = 429 }, "rate_limit" },
      { { status = 503, headers = { ["Retry-After"] = "50" } }, "internal_server", 50 },
      { { status = 429, headers = { ["Retry-After"] = "50" } }, "rate_limit", 50 },
      { { close_before = true }, "connection" },
    } do
      local s <close>, client = start({ case[1] }, { max_retries = 5 })
      local seconds, value, err = timed(function()
        return client:get("/x", { total_timeout = 40 })
      end)
      assert.is_nil(value)
      assert.equal("timeout", err.kind)
      assert.equal(case[2], err.cause.kind)
      assert.equal(err.cause.status, err.status)
      assert.is_truthy(err.message:find("the last error was: " .. err.cause.message, 1, true))
      assert.equal(case[3], err.retry_after)
      assert.equal(1, err.attempts)
      assert.equal(1, s:count())
      assert.is_true(seconds < 20, seconds)
    end
  end)

  it("says of a creation that it may have been acted on", function()
    local s <close>, client = start({ { delay = 60 } }, { max_retries = 5 })
    local value, err = client.batches:create(support.BATCH, { total_timeout = scaled(0.2) })
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.is_true(err.maybe_sent)
    assert.equal(1, #s:wait_for_requests(1))
  end)

  it("may be the client's", function()
    local _ <close>, client = start({ { delay = 60 } }, { total_timeout = scaled(0.1) })
    assert.equal("timeout", select(2, client:get("/x")).kind)
    assert.equal("timeout", select(2, client.batches:get("bat-1")).kind)
  end)
end)

describe("max_response_bytes", function()
  local CHUNKED = [[
    return function(connection)
      connection:chunked(200, { ["Content-Type"] = "text/plain" }, { ("x"):rep(600), ("x"):rep(600) })
    end
  ]]

  it("ends an answer that is larger", function()
    for _, behaviour in ipairs {
      { { body = ("x"):rep(1001) } },
      { { status = 404, body = ("x"):rep(1001) } },
      { { body = ("x"):rep(100000) } },
      CHUNKED,
    } do
      local s <close>, client = start(behaviour, { max_response_bytes = 1000, max_retries = 3 })
      local value, err = client:get("/x")
      assert.is_nil(value)
      assert.equal("too_large", err.kind)
      assert.is_truthy(err.message:find("max_response_bytes", 1, true))
      assert.equal(1, err.attempts)
      assert.equal(1, s:count())
    end
  end)

  it("lets an answer through that is just as large", function()
    local text = { ["Content-Type"] = "text/plain" }
    for size = 998, 1000 do
      local _ <close>, client = start({ { body = ("x"):rep(size), headers = text } }, { max_response_bytes = 1000 })
      assert.equal(size, #assert(client:get("/x")))
    end
    local _ <close>, client = start(CHUNKED, { max_response_bytes = 1200 })
    assert.equal(1200, #assert(client:get("/x")))
  end)

  it("counts what comes out of a compressed answer", function()
    -- a million zeros
    local gzipped = "\31\139\8\0\0\0\0\0\2\3\237\193\1\1\0\0\0\130\32\255\175\110\72\64\1"
      .. ("\0"):rep(968)
      .. "\175\6\158\203\121\18\64\66\15\0"
    local _ <close>, client = start({
      { body = gzipped, headers = { ["Content-Encoding"] = "gzip", ["Content-Type"] = "text/plain" } },
    }, { max_response_bytes = 10000 })
    local value, err = client:get("/x")
    assert.is_nil(value)
    assert.equal("too_large", err.kind)
    local _ <close>, large = start({
      { body = gzipped, headers = { ["Content-Encoding"] = "gzip", ["Content-Type"] = "text/plain" } },
    }, { max_response_bytes = 1000000 })
    assert.equal(("\0"):rep(1000000), (large:get("/x")))
  end)

  it("may be nought, for answers without a body", function()
    local _ <close>, client = start({ { status = 204 } }, { max_response_bytes = 0 })
    assert.is_true((client:get("/x")))
    local s <close>, other = start({ { body = "{}" } }, { max_response_bytes = 0 })
    assert.equal("too_large", select(2, other:get("/x")).kind)
    assert.equal(1, s:count())
  end)

  it("says of a creation that it may have been acted on", function()
    local s <close> = server.start { { body = ("x"):rep(1001) } }
    local _, err = support.client(s, { max_response_bytes = 1000 }).batches:create(support.BATCH)
    assert.equal("too_large", err.kind)
    assert.is_true(err.maybe_sent)
  end)

  it("of a body that an error keeps is 16 MiB", function()
    local _ <close>, client = start([[
      local LONG = ("\\u0041"):rep(3 << 20)
      return function(c, r)
        c:respond(r.path == "/200" and 200 or 400, { ["Content-Type"] = "application/json" }, LONG)
      end
    ]])
    for path, kind in pairs { ["/200"] = "decode", ["/400"] = "bad_request" } do
      local _, err = client:get(path)
      assert.equal(kind, err.kind)
      assert.equal(16 << 20, #err.body)
    end
  end)

  it("of such a body does not cut a secret in two, whose first part would be kept", function()
    for _, more in ipairs { 10, 1 << 20 } do
      local s <close> = server.start(
        [[
          local LONG = ("x"):rep((16 << 20) - 10) .. args.key .. ("x"):rep(args.more)
          return function(c, r)
            c:respond(r.path == "/200" and 200 or 400, { ["Content-Type"] = "application/json" }, LONG)
          end
        ]],
        { args = { key = support.KEY, more = more } }
      )
      for path, kind in pairs { ["/200"] = "decode", ["/400"] = "bad_request" } do
        local _, err = support.client(s):get(path)
        assert.equal(kind, err.kind)
        assert.is_nil(err.body:find(support.KEY:sub(1, 8), -100, true))
        assert.is_true(#err.body > (16 << 20) - 100 and #err.body <= 16 << 20)
      end
    end
  end)
end)

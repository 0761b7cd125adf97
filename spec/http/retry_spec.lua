local locale = require("spec.support.locale")
local retry = require("llama_cloud.http.retry")

describe("retry.backoff", function()
  it("doubles from half a second up to eight", function()
    local pauses = {}
    for retries = 0, 7 do
      pauses[#pauses + 1] = retry.backoff(retries, 0)
    end
    assert.same({ 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0 }, pauses)
    assert.equal(8, retry.backoff(5000, 0))
  end)

  it("is shortened by up to a quarter", function()
    assert.equal(0.375, retry.backoff(0, 1))
    assert.equal(6, retry.backoff(9, 1))
    for i = 0, 100 do
      local pause = retry.backoff(2, i / 100)
      assert.is_true(pause <= 2 and pause >= 1.5)
    end
  end)
end)

describe("retry.server_delay", function()
  local function after(value, more)
    local headers = { ["retry-after"] = value }
    for name, other in pairs(more or {}) do
      headers[name] = other
    end
    return retry.server_delay(headers)
  end

  it("is nothing where nothing is asked for", function()
    assert.is_nil(retry.server_delay {})
  end)

  it("reads seconds, with a fraction, too", function()
    assert.equal(0, after("0"))
    assert.equal(2, after("2"))
    assert.equal(120, after("120"))
    assert.equal(0.05, after("0.05"))
    assert.equal(1.25, after("1.25"))
    assert.equal(3, after(" 3"))
    assert.equal(3, after("3."))
    assert.equal(2, after("2 seconds"))
    assert.equal(2, after("2, 5")) -- the header was there twice
    assert.equal(86400, after("86400"))
  end)

  it("does not depend on the locale's decimal point", function()
    local output = locale.run(
      ",",
      [[
      local headers = { ["retry-after"] = "1.5" }
      io.write(tostring(require("llama_cloud.http.retry").server_delay(headers) == 3 / 2))]]
    )
    if not output then
      pending("no such locale can be made here")
    end
    assert.equal("true", output)
  end)

  it("prefers milliseconds", function()
    assert.equal(0.25, retry.server_delay { ["retry-after-ms"] = "250" })
    assert.equal(0.0015, retry.server_delay { ["retry-after-ms"] = "1.5" })
    assert.equal(0, retry.server_delay { ["retry-after-ms"] = "0" })
    assert.equal(0.25, after("7", { ["retry-after-ms"] = "250" }))
    assert.equal(7, after("7", { ["retry-after-ms"] = "soon" }))
  end)

  it("reads a date against the response's own clock", function()
    local now = "Sun, 06 Nov 1994 08:49:37 GMT"
    assert.equal(23, after("Sun, 06 Nov 1994 08:50:00 GMT", { date = now }))
    assert.equal(86400, after("Mon, 07 Nov 1994 08:49:37 GMT", { date = now }))
    assert.equal(0, after(now, { date = now }))
  end)

  it("takes a date that is past for no pause", function()
    assert.equal(0, after("Sun, 06 Nov 1994 08:49:00 GMT", { date = "Sun, 06 Nov 1994 08:49:37 GMT" }))
    assert.equal(0, after("Sun, 06 Nov 1994 08:49:37 GMT"))
  end)

  it("reads a date against this machine's clock where the response has none", function()
    local due = os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + 100)
    for _, other in ipairs { {}, { date = "yesterday" } } do
      local seconds = after(due, other)
      assert.is_true(seconds > 90 and seconds <= 100)
    end
  end)

  it("takes what it does not understand for nothing", function()
    for _, value in ipairs {
      "",
      " ",
      "soon",
      "-1",
      "-0.5",
      "+5",
      ".5",
      "nan",
      "inf",
      "Infinity",
      ("9"):rep(16),
      "1994-11-06",
      "0x10",
      "1e3",
      "5s",
    } do
      assert.is_nil(after(value), value)
    end
    assert.is_nil(retry.server_delay { ["retry-after-ms"] = "-5" })
  end)
end)

-- What an attempt came to.
local function attempt(kind, status, fields)
  local result = { kind = kind, status = status or 0, sent = false, headers = {} }
  for name, value in pairs(fields or {}) do
    result[name] = value
  end
  return result
end

local function response(status, headers)
  return attempt("response", status, { sent = true, headers = headers })
end

describe("retry.again", function()
  it("sends again what cannot have been seen", function()
    for _, kind in ipairs { "connection", "timeout" } do
      assert.is_true(retry.again(attempt(kind), true))
      assert.is_true(retry.again(attempt(kind), false))
    end
  end)

  it("sends again what may have been seen only if that does no harm", function()
    for _, kind in ipairs { "connection", "timeout" } do
      assert.is_true(retry.again(attempt(kind, 0, { sent = true }), true))
      assert.is_false(retry.again(attempt(kind, 0, { sent = true }), false))
      assert.is_false(retry.again(attempt(kind, 200, { sent = true }), false))
    end
  end)

  it("sends nothing again that would fail again", function()
    for _, kind in ipairs { "refused", "too_large", "cancelled", "decode" } do
      for _, repeatable in ipairs { true, false } do
        assert.is_false(retry.again(attempt(kind, 200), repeatable))
      end
    end
  end)

  it("obeys 408 and 429 for every method", function()
    for _, status in ipairs { 408, 429 } do
      assert.is_true(retry.again(response(status), true))
      assert.is_true(retry.again(response(status), false))
    end
  end)

  it("takes a 503 for a refusal only if it says when to come again", function()
    assert.is_true(retry.again(response(503), true))
    assert.is_false(retry.again(response(503), false))
    assert.is_true(retry.again(response(503, { ["retry-after"] = "1" }), false))
    assert.is_true(retry.again(response(503, { ["retry-after"] = "0" }), false))
    assert.is_true(retry.again(response(503, { ["retry-after-ms"] = "5" }), false))
    assert.is_false(retry.again(response(503, { ["retry-after"] = "soon" }), false))
    assert.is_false(retry.again(response(500, { ["retry-after"] = "1" }), false))
  end)

  it("repeats other failures of the service only if that does no harm", function()
    for _, status in ipairs { 500, 501, 502, 504, 505, 529, 599 } do
      assert.is_true(retry.again(response(status), true), status)
      assert.is_false(retry.again(response(status), false), status)
    end
  end)

  it("repeats nothing that is the caller's fault", function()
    for _, status in ipairs { 300, 301, 304, 307, 400, 401, 402, 403, 404, 405, 409, 410, 413, 418, 422, 425, 451 } do
      assert.is_false(retry.again(response(status), true), status)
      assert.is_false(retry.again(response(status), false), status)
    end
  end)

  it("obeys x-should-retry, in exactly these two spellings", function()
    for _, repeatable in ipairs { true, false } do
      assert.is_true(retry.again(response(409, { ["x-should-retry"] = "true" }), repeatable))
      assert.is_true(retry.again(response(429, { ["x-should-retry"] = "true" }), repeatable))
      assert.is_false(retry.again(response(429, { ["x-should-retry"] = "false" }), repeatable))
      assert.is_false(retry.again(response(503, { ["x-should-retry"] = "false", ["retry-after"] = "1" }), repeatable))
      assert.is_true(retry.again(response(429, { ["x-should-retry"] = "no" }), repeatable))
      assert.is_false(retry.again(response(409, { ["x-should-retry"] = "True" }), repeatable))
    end
  end)

  it("is not talked into doing something twice", function()
    for _, status in ipairs { 200, 201, 500, 502, 503, 504, 599 } do
      assert.is_true(retry.again(response(status, { ["x-should-retry"] = "true" }), true), status)
      assert.is_false(retry.again(response(status, { ["x-should-retry"] = "true" }), false), status)
    end
    assert.is_true(retry.again(response(503, { ["x-should-retry"] = "true", ["retry-after"] = "1" }), false))
  end)

  it("never sends again what the service may have acted on, unless that does no harm", function()
    for _, kind in ipairs {
      "response",
      "connection",
      "refused",
      "timeout",
      "too_large",
      "encoding",
      "cancelled",
      "decode",
    } do
      for status = kind == "response" and 200 or 0, kind == "response" and 599 or 0 do
        for _, sent in ipairs { true, false } do
          for _, wish in ipairs { "true", "false", "" } do
            for _, delay in ipairs { "1", "" } do
              local case = attempt(kind, status, {
                sent = sent,
                headers = { ["x-should-retry"] = wish, ["retry-after"] = delay },
              })
              local both = retry.maybe_sent(case, false) and retry.again(case, false)
              assert.is_false(both, ("%s %d %s %s %s"):format(kind, status, sent, wish, delay))
            end
          end
        end
      end
    end
  end)
end)

describe("retry.maybe_sent", function()
  it("is never true of what can be repeated", function()
    for _, case in ipairs {
      attempt("connection", 0, { sent = true }),
      response(500),
      response(200),
      attempt("decode", 200),
    } do
      assert.is_false(retry.maybe_sent(case, true))
    end
  end)

  it("is true of what went out and was not refused", function()
    for _, kind in ipairs { "connection", "timeout", "too_large", "cancelled", "decode" } do
      assert.is_true(retry.maybe_sent(attempt(kind, 0, { sent = true }), false), kind)
      assert.is_false(retry.maybe_sent(attempt(kind), false), kind)
    end
  end)

  it("is true of failures of the service, but not of a 503 that says when to come again", function()
    assert.is_true(retry.maybe_sent(response(500), false))
    assert.is_true(retry.maybe_sent(response(504), false))
    assert.is_true(retry.maybe_sent(response(503), false))
    assert.is_false(retry.maybe_sent(response(503, { ["retry-after"] = "1" }), false))
  end)

  it("is false of what the service refused", function()
    for _, status in ipairs { 302, 400, 401, 404, 408, 409, 422, 429 } do
      assert.is_false(retry.maybe_sent(response(status), false), status)
    end
  end)
end)

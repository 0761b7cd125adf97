-- When something is sent again: what the service asks for, and the gate that a 429 closes.

local retry = require("llama_cloud.http.retry")
local server = require("spec.support.server")
local support = require("spec.support.client")

local start = support.start

describe("Retry-After", function()
  local real_backoff = retry.backoff
  local backoff

  before_each(function()
    backoff = 0
    retry.backoff = function()
      return backoff
    end
  end)

  after_each(function()
    retry.backoff = real_backoff
  end)

  -- Whether a call is sent again after an answer with these headers; the seconds between its requests; and its error.
  local function repeated(status, headers, options)
    local s <close> = server.start { { status = status, headers = headers }, { body = "{}" } }
    local given = { max_retries = 1, total_timeout = 60 }
    for name, value in pairs(options or {}) do
      given[name] = value
    end
    local value, err = support.client(s, given):get("/x")
    local sent = s:requests()
    return value ~= nil, sent[2] and sent[2].time - sent[1].time, err
  end

  -- Checks that the pause after such an answer is at least so long, and not very much longer.
  local function check_pause(least, status, headers)
    local again, seconds = repeated(status, headers)
    assert.is_true(again)
    assert.is_true(seconds >= least - 0.01, seconds)
    assert.is_true(seconds < 20, seconds)
  end

  local PAST = "Sun, 06 Nov 1994 08:49:37 GMT"

  for _, status in ipairs { 429, 500, 503 } do
    describe("of a " .. status, function()
      it("is obeyed in seconds and milliseconds", function()
        for _, headers in ipairs {
          { ["Retry-After"] = "0.1" },
          { ["Retry-After-Ms"] = "100" },
          { ["Retry-After-Ms"] = "100.5", ["Retry-After"] = "50" },
          { ["Retry-After-Ms"] = "soon", ["Retry-After"] = "0.1" },
        } do
          check_pause(0.1, status, headers)
        end
      end)

      it("is obeyed as a date by the service's own clock", function()
        check_pause(1, status, { ["Date"] = PAST, ["Retry-After"] = "Sun, 06 Nov 1994 08:49:38 GMT" })
      end)

      it("is the least pause beside the backoff, and may be nought, past, or not understood", function()
        backoff = 0.1
        for _, headers in ipairs {
          {},
          { ["Retry-After"] = "0" },
          { ["Retry-After"] = "0.001" },
          { ["Retry-After-Ms"] = "0" },
          { ["Retry-After-Ms"] = "0", ["Retry-After"] = "50" },
          { ["Retry-After"] = PAST },
          { ["Retry-After"] = PAST, ["Date"] = PAST },
          { ["Retry-After"] = "soon" },
          { ["Retry-After"] = "-1" },
          { ["Retry-After"] = "" },
          { ["Retry-After"] = "nan" },
          { ["Retry-After"] = "1e3" },
          { ["Retry-After"] = "2026-11-26T09:00:00Z" },
        } do
          check_pause(0.1, status, headers)
        end
      end)

      it("is not told by the error where it is not understood", function()
        for _, value in ipairs { "soon", "-1", "", "nan", "1e3" } do
          local _, _, err = repeated(status, { ["Retry-After"] = value }, { max_retries = 0 })
          assert.equal(status, err.status)
          assert.is_nil(err.retry_after)
        end
      end)

      it("ends the call at once if the pause would go past total_timeout", function()
        for _, case in ipairs { { 1000, "0" }, { 0, "50" } } do
          backoff = case[1]
          local again, _, err = repeated(status, { ["Retry-After"] = case[2] }, { total_timeout = 40 })
          assert.is_false(again)
          assert.equal("timeout", err.kind)
          assert.equal(status, err.cause.status)
        end
      end)
    end)
  end

  it("beyond max_retry_after is reported at once, with the time that was asked for", function()
    for _, case in ipairs { { 429, "rate_limit" }, { 503, "internal_server" }, { 500, "internal_server" } } do
      local again, _, err = repeated(case[1], { ["Retry-After"] = "61" }, { max_retries = 5 })
      assert.is_false(again)
      assert.equal(case[2], err.kind)
      assert.equal(case[1], err.status)
      assert.equal(61, err.retry_after)
      assert.equal(1, err.attempts)
      assert.is_truthy(err.message:find("to wait 61 s, which is more than max_retry_after (60 s)", 1, true))
    end
  end)

  it("is obeyed up to the client's own max_retry_after", function()
    assert.is_false((repeated(503, { ["Retry-After"] = "0.2" }, { max_retry_after = 0.1 })))
    assert.is_true((repeated(503, { ["Retry-After"] = "0.2" }, { max_retry_after = 0.2 })))
    assert.is_true((repeated(503, { ["Retry-After"] = "0" }, { max_retry_after = 0 })))
    -- it does not limit the backoff, which nobody asked for
    backoff = 0.01
    assert.is_true((repeated(503, {}, { max_retry_after = 0 })))
  end)

  it("is told of an answer that is not sent again, too", function()
    local s <close>, client = start { { status = 404, headers = { ["Retry-After"] = "7" } } }
    local _, err = client:get("/x")
    assert.equal(7, err.retry_after)
    assert.equal(1, s:count())
  end)
end)

describe("a 429", function()
  -- Seconds between the two requests of a server.
  local function between(s)
    local sent = s:wait_for_requests(2)
    return sent[2].time - sent[1].time
  end

  it("makes other calls of the client wait, even if the refused one is not sent again", function()
    local s <close>, client = start { { status = 429, headers = { ["Retry-After"] = "0.4" } }, { body = "{}" } }
    local _, err = client:get("/x")
    assert.equal("rate_limit", err.kind)
    assert.equal(0.4, err.retry_after)
    assert(client.batches:get("bat-1"))
    assert.is_true(between(s) >= 0.39, between(s))
  end)

  it("makes calls of copies wait, and those of the client of the copy", function()
    for _, first in ipairs { true, false } do
      local s <close>, client = start { { status = 429, headers = { ["Retry-After"] = "0.4" } }, { body = "{}" } }
      local copy = client:with_options { timeout = 50 }
      local a, b = client, copy
      if first then
        a, b = copy, client
      end
      assert.is_nil((a:get("/x")))
      assert(b:get("/x"))
      assert.is_true(between(s) >= 0.39, between(s))
    end
  end)

  it("does not concern another client", function()
    local s <close>, client = start { { status = 429, headers = { ["Retry-After"] = "50" } }, { body = "{}" } }
    assert.is_nil((client:get("/x")))
    assert(support.client(s):get("/x"))
    assert.is_true(between(s) < 25, between(s))
  end)

  it("that asks for more than max_retry_after holds nobody up", function()
    local s <close>, client = start { { status = 429, headers = { ["Retry-After"] = "3600" } }, { body = "{}" } }
    assert.is_nil((client:get("/x")))
    assert(client:get("/x"))
    assert.is_true(between(s) < 25, between(s))
  end)

  it("lets a call end at its total_timeout, with nothing sent", function()
    local s <close>, client = start { { status = 429, headers = { ["Retry-After"] = "50" } }, { body = "{}" } }
    assert.is_nil((client:get("/x")))
    local value, err = client:get("/x", { total_timeout = 0.1 })
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.equal(0, err.attempts)
    assert.equal(1, s:count())
  end)
end)

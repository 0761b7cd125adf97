-- What follows an attempt: cases, each with what differs from a GET whose first attempt was answered with 500 at second 100.

local decision = require("llama_cloud.http.decision")

local function merged(base, more)
  local result = {}
  for name, value in pairs(base) do
    result[name] = value
  end
  for name, value in pairs(more or {}) do
    result[name] = value
  end
  return result
end

local CALL = { method = "GET", repeatable = true, max_retries = 3, total_timeout = math.huge }
local COURSE = {
  target = "https://host/a",
  deadline = math.huge,
  max_retry_after = 60,
  attempts = 1,
  retries = 0,
  redirects = 0,
}
local ATTEMPT = { kind = "response", status = 500, sent = true, headers = {}, started = 99 }

local LOG_IN = ": check the client's option base_url, and whether the network wants you to log in with a browser first"

local POST = { method = "POST", repeatable = false }
local LOST = { kind = "connection", status = 0 }
local UNSENT = { kind = "connection", status = 0, sent = false }
local SLOW = { kind = "timeout", status = 0 }
local TOO_LONG = "; the service asks to wait 61 s, which is more than max_retry_after (60 s)"

local DELETE = { method = "DELETE" }

local function resuming(may_restart)
  return {
    resume = {
      may_restart = function()
        return may_restart
      end,
    },
  }
end

local function answer(status, headers)
  return { status = status, headers = headers or {} }
end

local function to(status, location)
  return answer(status, { location = location })
end

-- In the order: the case, what of the call, the course and the attempt differs, and what is decided. The second is such
-- that chance takes nothing off the backoff.
local CASES = {
  { "a success", nil, nil, false, { act = "done" } },

  { "a 500 of a GET", nil, nil, nil, { act = "again", delay = 0.5, maybe_sent = false } },
  { "its fourth attempt", nil, { retries = 2 }, nil, { act = "again", delay = 2, maybe_sent = false } },
  { "no retries left", nil, { retries = 3 }, nil, { act = "fail", maybe_sent = false } },
  { "no retries at all", { max_retries = 0 }, nil, nil, { act = "fail", maybe_sent = false } },
  { "a 500 of a POST", POST, nil, nil, { act = "fail", maybe_sent = true } },
  { "a 404", nil, nil, answer(404), { act = "fail", maybe_sent = false } },
  { "a 404 of a DELETE", DELETE, nil, answer(404), { act = "fail", maybe_sent = false } },
  { "that was doubtful", DELETE, { doubtful = true }, answer(404), { act = "done", gone = true } },
  { "a 410 of one", DELETE, { doubtful = true }, answer(410), { act = "fail", maybe_sent = false } },
  { "a DELETE that is lost", DELETE, nil, LOST, { act = "again", delay = 0.5, maybe_sent = false, doubtful = true } },
  { "that did not go out", DELETE, nil, UNSENT, { act = "again", delay = 0.5, maybe_sent = false } },
  { "a 404 of a doubtful GET", nil, { doubtful = true }, answer(404), { act = "fail", maybe_sent = false } },
  { "a file that fails", nil, nil, { kind = "file", status = 0, sent = false }, { act = "fail", maybe_sent = false } },
  { "one of a POST", POST, nil, { kind = "file", status = 0, sent = false }, { act = "fail", maybe_sent = false } },
  { "a 416 of a range", resuming(true), nil, answer(416), { act = "restart" } },
  { "another", resuming(false), nil, answer(416), { act = "fail", maybe_sent = false } },
  {
    "a 500 that asks for a retry",
    nil,
    nil,
    answer(500, { ["retry-after"] = "7" }),
    { act = "again", delay = 7, retry_after = 7, maybe_sent = false },
  },
  {
    "a 500 that wants none",
    nil,
    nil,
    answer(500, { ["x-should-retry"] = "false" }),
    { act = "fail", maybe_sent = false },
  },

  { "a lost GET", nil, nil, LOST, { act = "again", delay = 0.5, maybe_sent = false } },
  { "a lost POST", POST, nil, LOST, { act = "fail", maybe_sent = true } },
  { "a POST that did not go out", POST, nil, UNSENT, { act = "again", delay = 0.5, maybe_sent = false } },
  { "a response that is not JSON", nil, nil, { kind = "decode", status = 200 }, { act = "fail", maybe_sent = false } },
  { "one of a POST", POST, nil, { kind = "decode", status = 200 }, { act = "fail", maybe_sent = true } },
  {
    "a bad certificate",
    nil,
    nil,
    { kind = "refused", status = 0, sent = false },
    { act = "fail", maybe_sent = false },
  },
  { "a cancelled GET", nil, nil, { kind = "cancelled", status = 0 }, { act = "fail", maybe_sent = false } },

  { "a 429", POST, nil, answer(429), { act = "again", delay = 0.5, gate = 0.5, maybe_sent = false } },
  {
    "a 429 that says for how long",
    POST,
    nil,
    answer(429, { ["retry-after"] = "60" }),
    { act = "again", delay = 60, gate = 60, retry_after = 60, maybe_sent = false },
  },
  {
    "a 429 that says for less than the backoff",
    nil,
    { retries = 1 },
    answer(429, { ["retry-after-ms"] = "20" }),
    { act = "again", delay = 1, gate = 0.02, retry_after = 0.02, maybe_sent = false },
  },
  {
    "a 429 that says: now",
    nil,
    nil,
    answer(429, { ["retry-after"] = "0" }),
    { act = "again", delay = 0.5, gate = 0.5, retry_after = 0, maybe_sent = false },
  },
  {
    "a 429 that is the last",
    { max_retries = 0 },
    nil,
    answer(429),
    { act = "fail", gate = 0.5, maybe_sent = false },
  },
  {
    "a 429 for too long", -- the gate stays open: others need not wait for what one call gives up
    nil,
    nil,
    answer(429, { ["retry-after"] = "61" }),
    { act = "fail", words = TOO_LONG, retry_after = 61, maybe_sent = false },
  },
  {
    "a 404 with a long Retry-After",
    nil,
    nil,
    answer(404, { ["retry-after"] = "61" }),
    { act = "fail", retry_after = 61, maybe_sent = false },
  },

  { "no time for the pause", nil, { deadline = 100.5 }, nil, { act = "fail", overdue = "near", maybe_sent = false } },
  { "just time for it", nil, { deadline = 100.75 }, nil, { act = "again", delay = 0.5, maybe_sent = false } },
  { "no time left", nil, { deadline = 100 }, SLOW, { act = "fail", overdue = "passed", maybe_sent = false } },
  { "no time left, but an answer", nil, { deadline = 100 }, nil, { act = "fail", maybe_sent = false } },
  {
    "no retry, and no time for one",
    { max_retries = 0 },
    { deadline = 100.5 },
    nil,
    { act = "fail", maybe_sent = false },
  },
  { "patience at its end", { patient_until = 100.5 }, nil, LOST, { act = "fail", maybe_sent = false } },
  { "patience left", { patient_until = 100.75 }, nil, LOST, { act = "again", delay = 0.5, maybe_sent = false } },
  { "patience with an answer", { patient_until = 99 }, nil, nil, { act = "again", delay = 0.5, maybe_sent = false } },

  { "a redirect", nil, nil, to(302, "/b"), { act = "redirect", target = "https://host/b" } },
  { "the tenth", nil, { redirects = 9 }, to(302, "/b"), { act = "redirect", target = "https://host/b" } },
  {
    "the eleventh",
    nil,
    { redirects = 10 },
    to(302, "/b"),
    { act = "fail", words = "; not followed: there were more than 10 redirects", maybe_sent = false },
  },
  { "a POST with 307", POST, nil, to(307, "/b"), { act = "redirect", target = "https://host/b" } },
  {
    "a POST with 302",
    POST,
    nil,
    to(302, "/b"),
    { act = "fail", words = "; not followed: it would turn a POST into a GET", maybe_sent = false },
  },
  { "another port", nil, nil, to(301, "https://host:8443/"), { act = "redirect", target = "https://host:8443/" } },
  {
    "another port for a PUT",
    { method = "PUT" },
    nil,
    to(308, "https://host:8443/"),
    { act = "fail", words = "; not followed: it leads to another origin" .. LOG_IN, maybe_sent = false },
  },
  {
    "another host",
    nil,
    nil,
    to(302, "https://other/"),
    { act = "fail", words = "; not followed: it leads to another origin" .. LOG_IN, maybe_sent = false },
  },
  {
    "away from https",
    nil,
    nil,
    to(302, "http://host/"),
    { act = "fail", words = "; not followed: it leads from https to http" .. LOG_IN, maybe_sent = false },
  },
  {
    "another protocol",
    nil,
    nil,
    to(302, "ftp://host/"),
    { act = "fail", words = "; not followed: it leads to another protocol", maybe_sent = false },
  },
  {
    "a user name",
    nil,
    nil,
    to(302, "https://me@host/"),
    { act = "fail", words = "; not followed: it holds a user name", maybe_sent = false },
  },
  { "a redirect to nowhere", nil, nil, answer(302), { act = "fail", maybe_sent = false } },
  { "a 304 with a location", nil, nil, to(304, "/b"), { act = "fail", maybe_sent = false } },
  { "a 500 with a location", nil, nil, to(500, "/b"), { act = "again", delay = 0.5, maybe_sent = false } },
}

describe("decision.after", function()
  for _, case in ipairs(CASES) do
    it("decides about " .. case[1], function()
      local call, course = merged(CALL, case[2]), merged(COURSE, case[3])
      local attempt = case[4] ~= false and merged(ATTEMPT, case[4]) or nil
      local before = { merged(call), merged(course), attempt and merged(attempt) }
      assert.same(case[5], decision.after(call, course, attempt, 100))
      assert.same(before, { call, course, attempt }) -- it has changed nothing
    end)
  end

  it("takes up to a quarter off the backoff, by the clock's microseconds", function()
    assert.equal(0.4375, decision.after(CALL, COURSE, ATTEMPT, 100.0005).delay)
  end)
end)

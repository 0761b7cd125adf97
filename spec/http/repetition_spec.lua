-- What is sent again, counted where it arrives.

local cjson = require("cjson")
local llama_cloud = require("llama_cloud")
local retry = require("llama_cloud.http.retry")
local server = require("spec.support.server")
local support = require("spec.support.client")

local BATCH = support.BATCH
local start = support.start

-- Calls that may be repeated, and calls that must not be.
local repeatable = {
  get = function(client)
    return client.batches:get("bat-1")
  end,
  ["get of a path"] = function(client)
    return client:get("/x")
  end,
  put = function(client)
    return client:put("/x", { body = { a = 1 } })
  end,
  delete = function(client)
    return client:delete("/x")
  end,
  ["cancel of a batch, a POST without a body"] = function(client)
    return client.batches:cancel("bat-1")
  end,
  ["cancel of a job, a POST with one"] = function(client)
    return client.beta.batch:cancel("bjb-1", { reason = "enough" })
  end,
}
local others = {
  ["create of a batch"] = function(client)
    return client.batches:create(BATCH)
  end,
  ["create of a job"] = function(client)
    return client.beta.batch:create { job_config = { job_name = "parse_raw_file_job" }, directory_id = "dir-1" }
  end,
  post = function(client)
    return client:post("/x", { body = "bytes" })
  end,
  ["post without a body"] = function(client)
    return client:post("/x")
  end,
  patch = function(client)
    return client:patch("/x", { body = { a = 1 } })
  end,
}

-- Makes a call with a time limit until its attempts have reached the server, giving it more time each time: on a busy machine
-- the limit may have passed before anything was sent, which says nothing.
local function call_in_time(s, call, given, expected)
  local before, value, err
  repeat
    before = s:count()
    value, err = call(support.client(s, given))
    if not given.timeout then
      s:wait_for_requests(before + expected)
    end
    for _ = 1, 200 do
      if s:count() >= before + expected then
        break
      end
      llama_cloud.sleep(0.01)
    end
    given.timeout = given.timeout and given.timeout * 3
  until s:count() >= before + expected or given.timeout > 30
  return s:count() - before, value, err
end

-- Makes every call to a server that always answers like this, with one retry allowed. `again` is how often a call may be
-- seen: "all" twice, "none" once, "repeatable" twice if it may be repeated.
local function check(answer, kind, again, maybe_sent, options)
  local s <close> = server.start { answer }
  for may_repeat, calls in pairs { [true] = repeatable, [false] = others } do
    for name, call in pairs(calls) do
      local given = { max_retries = 1 }
      for option, value in pairs(options or {}) do
        given[option] = value
      end
      local expected = (again == "all" or again == "repeatable" and may_repeat) and 2 or 1
      local count, value, err = call_in_time(s, call, given, expected)
      assert.is_nil(value, name)
      assert.equal(kind, err.kind, name)
      assert.equal(expected, count, name)
      assert.equal(expected, err.attempts, name)
      assert.equal(maybe_sent and not may_repeat, err.maybe_sent, name)
      local says_so = err.message:find("look before you repeat it", 1, true) ~= nil
      assert.equal(err.maybe_sent and kind ~= "decode", says_so, name)
    end
  end
end

describe("what is sent again", function()
  local real_backoff = retry.backoff
  local backoffs

  before_each(function()
    backoffs = {}
    retry.backoff = function(retries, random)
      backoffs[#backoffs + 1] = { retries = retries, random = random }
      return 0.005
    end
  end)

  after_each(function()
    retry.backoff = real_backoff
  end)

  describe("after an attempt whose body was never asked for is every call, when", function()
    local function check_unseen(base_url)
      for _, calls in ipairs { repeatable, others } do
        for name, call in pairs(calls) do
          local value, err = call(support.client(base_url, { max_retries = 2 }))
          assert.is_nil(value, name)
          assert.equal("connection", err.kind, name)
          assert.equal(3, err.attempts, name)
          assert.is_false(err.maybe_sent, name)
          assert.is_nil(err.status, name)
        end
      end
    end

    it("nobody listens", function()
      local s <close> = server.start { { body = "{}" } }
      local url = s:url()
      s:stop()
      check_unseen(url)
    end)

    it("TLS cannot be agreed upon", function()
      local s <close> = server.start([[
        return function() end, function(connection)
          connection:raw("this is not TLS\r\n")
          connection:close()
        end
      ]])
      check_unseen("https://127.0.0.1:" .. s.port)
      assert.equal(0, s:count())
    end)
  end)

  describe("is only what may be repeated, when", function()
    for name, answer in pairs {
      ["the connection is closed without an answer"] = { close_before = true },
      ["the connection is reset"] = { reset = true },
      ["the headers break off"] = { raw = "HTTP/1.1 200 OK\r\nContent-Le" },
      ["the body breaks off"] = { body = '{"id":"bat-1"}', truncate = 5 },
      ["the connection is reset within the body"] = { body = '{"id":"bat-1"}', truncate = 5, reset = true },
      ["the answer is no HTTP"] = { raw = "nonsense\r\n\r\n" },
    } do
      it(name, function()
        check(answer, "connection", "repeatable", true)
      end)
    end

    it("the answer does not come in time", function()
      check({ delay = 30 }, "timeout", "repeatable", true, { timeout = support.scaled(0.1) })
    end)

    it("the answer does not end in time", function()
      check({ body = ("x"):rep(1000), bytes_per_second = 60 }, "timeout", "repeatable", true, {
        timeout = support.scaled(0.1),
      })
    end)

    for _, status in ipairs { 500, 502, 503, 599 } do
      it("the status is " .. status .. ", even with x-should-retry: true", function()
        check({ status = status, body = "{}" }, "internal_server", "repeatable", true)
        local headers = { ["X-Should-Retry"] = "true" }
        check({ status = status, body = "{}", headers = headers }, "internal_server", "repeatable", true)
      end)
    end

    it("the status is 503 and Retry-After says nothing", function()
      check({ status = 503, headers = { ["Retry-After"] = "soon" } }, "internal_server", "repeatable", true)
    end)
  end)

  describe("is every call, when", function()
    for name, answer in pairs {
      ["the status is 408"] = { "status", status = 408 },
      ["the status is 429"] = { "rate_limit", status = 429 },
      ["the status is 429, with Retry-After"] = { "rate_limit", status = 429, headers = { ["Retry-After"] = "0.01" } },
      ["the status is 503, with Retry-After"] = {
        "internal_server",
        status = 503,
        headers = { ["Retry-After"] = "0" },
      },
      ["the status is 503, with Retry-After-Ms"] = {
        "internal_server",
        status = 503,
        headers = { ["Retry-After-Ms"] = "5" },
      },
    } do
      it(name, function()
        check(answer, answer[1], "all", false)
      end)
    end

    it("a rejected one says x-should-retry: true", function()
      check({ status = 409, headers = { ["X-Should-Retry"] = "true" } }, "conflict", "all", false)
    end)
  end)

  describe("is nothing, when", function()
    local kinds = {
      [302] = "status",
      [304] = "status",
      [400] = "bad_request",
      [401] = "authentication",
      [404] = "not_found",
      [409] = "conflict",
      [422] = "unprocessable_entity",
    }
    for status, kind in pairs(kinds) do
      it("the status is " .. status, function()
        check({ status = status, body = status ~= 304 and "{}" or nil }, kind, "none", false)
      end)
    end

    it("a failed one says x-should-retry: false", function()
      check({ status = 429, headers = { ["X-Should-Retry"] = "false" } }, "rate_limit", "none", false)
      check({ status = 408, headers = { ["X-Should-Retry"] = "false" } }, "status", "none", false)
      check({ status = 500, headers = { ["X-Should-Retry"] = "false" } }, "internal_server", "none", true)
    end)

    it("the answer is not what the API promises", function()
      check({ body = "{broken" }, "decode", "none", true)
    end)

    it("the answer is too large", function()
      check({ body = ("x"):rep(2000) }, "too_large", "none", true, { max_response_bytes = 1000 })
    end)
  end)

  describe("over a connection that is kept, and closed as soon as it is used again,", function()
    -- The first request of a connection is answered, the second one is read and the connection closed.
    local SECOND_CLOSES = [[
      local seen = {}
      return function(connection, request)
        if seen[request.connection] then
          return connection:close()
        end
        seen[request.connection] = true
        connection:json(200, '{"id":"bat-1"}')
      end
    ]]

    it("a creation does not use it, and reaches the service exactly once", function()
      for _, name in ipairs { "create of a batch", "create of a job", "post", "patch" } do
        local s <close>, client = start(SECOND_CLOSES, { max_retries = 5 })
        assert(client.batches:get("bat-1"))
        assert(others[name](client))
        assert.same({ 2, 2 }, { s:count(), s:connections() }, name)
      end
    end)

    it("a POST without a body does not use it", function()
      local s <close>, client = start(SECOND_CLOSES, { max_retries = 5 })
      assert(client.batches:get("bat-1"))
      assert(client:post("/x"))
      assert.equal(2, s:connections())
      assert.equal(2, s:count())
    end)

    it("what may be repeated is repeated", function()
      for name, call in pairs(repeatable) do
        local s <close>, client = start(SECOND_CLOSES, { max_retries = 1 })
        assert(client.batches:get("bat-1"))
        assert.is_table(assert(call(client)), name)
        assert.equal(2, s:connections(), name)
        assert.equal(3, s:count(), name)
      end
    end)
  end)

  it("is the same request, with the number of the retry", function()
    local s <close>, client = start({
      { status = 429 },
      { status = 503, headers = { ["Retry-After"] = "0" } },
      { status = 408 },
      { status = 201, body = '{"id":"bat-1"}' },
    }, { max_retries = 3 })
    local batch, err =
      client.batches:create(BATCH, { headers = { ["X-Mine"] = "1" }, query = { project_id = "prj-1" } })
    assert.is_nil(err)
    assert.equal("bat-1", batch.id)
    local sent = s:requests()
    assert.equal(4, #sent)
    for i, one in ipairs(sent) do
      assert.equal(tostring(i - 1), one.headers["x-stainless-retry-count"])
      assert.equal("POST", one.method)
      assert.equal("/api/v2/batches?project_id=prj-1", one.target)
      assert.equal("1", one.headers["x-mine"])
      assert.equal("Bearer " .. support.KEY, one.headers.authorization)
      assert.same(BATCH, cjson.decode(one.body))
    end
  end)

  it("is sent after the pause of the backoff", function()
    local _, err
    do
      local s <close>, client = start({ { status = 500 } }, { max_retries = 4 })
      _, err = client:get("/x")
      assert.equal(5, s:count())
    end
    assert.equal(5, err.attempts)
    for i = 1, 4 do
      assert.equal(i - 1, backoffs[i].retries)
      assert.is_true(backoffs[i].random >= 0 and backoffs[i].random < 1)
    end
  end)

  it("is as often as the client, or the call, allows", function()
    local s <close> = server.start { { status = 500 } }
    local function attempts(of_client, of_call)
      local before = s:count()
      local client = support.client(s, { max_retries = of_client })
      local _, err = client:get("/x", { max_retries = of_call })
      assert.equal(err.attempts, s:count() - before)
      local _, err_of_endpoint = client.batches:get("bat-1", nil, { max_retries = of_call })
      assert.equal(err.attempts, err_of_endpoint.attempts)
      return err.attempts
    end
    assert.equal(1, attempts(0))
    assert.equal(3, attempts(2))
    assert.equal(1, attempts(2, 0))
    assert.equal(4, attempts(0, 3))
    assert.equal(3, attempts(2.0))
  end)

  it("is told at warn, with the attempt, the pause and the reason", function()
    local entries = {}
    local s <close>, client = start(
      { { status = 503, body = '{"detail":"busy"}' }, { status = 502 }, { body = "{}" } },
      {
        max_retries = 5,
        log = function(level, message, fields)
          if level == "warn" then
            entries[#entries + 1] = { message = message, status = fields.status }
          end
        end,
      }
    )
    assert(client:get("/x", { query = { a = "b" } }))
    assert.equal(2, #entries)
    assert.equal(("GET %s: attempt 2 of 6 in 0.0 s: 503: busy"):format(s:url("/x")), entries[1].message)
    assert.equal(503, entries[1].status)
    assert.matches(": attempt 3 of 6 in 0%.0 s: 502: ", entries[2].message)
  end)

  it("is not told where nothing follows", function()
    local count = 0
    local s <close> = server.start { { status = 503 } }
    local client = support.client(s, {
      max_retries = 0,
      log = function(level)
        count = count + (level == "warn" and 1 or 0)
      end,
    })
    assert.is_nil((client:get("/x")))
    assert.is_nil((client.batches:create(BATCH, { max_retries = 3 })))
    assert.equal(0, count)
  end)

  it("ends with success as soon as there is some", function()
    local s <close>, client = start({
      { close_before = true },
      { status = 500 },
      { body = "{}", truncate = 1 },
      { body = '{"id":"bat-1"}' },
    }, { max_retries = 5 })
    local batch, err = client.batches:get("bat-1")
    assert.same({ id = "bat-1" }, batch)
    assert.is_nil(err)
    assert.equal(4, s:count())
  end)
end)

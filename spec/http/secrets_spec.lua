-- What is never shown: the API key, and what else may be secret, in errors, texts and logs.

local llama_cloud = require("llama_cloud")
local server = require("spec.support.server")
local support = require("spec.support.client")

local KEY, mentions, start = support.KEY, support.mentions, support.start

-- A service that quotes the key wherever it can.
local ECHO = [[
  return function(connection, request)
    local key = request.headers.authorization or "no key"
    local headers = { ["X-Echo"] = key, ["Content-Type"] = "application/json" }
    local status = tonumber(request.path:match("%d%d%d")) or 200
    if request.path:find("location") then
      headers.Location = "http://elsewhere.example/" .. key
    end
    if request.path:find("html") then
      return connection:respond(status, headers, "<p>" .. key .. "</p>")
    end
    connection:respond(status, headers, '{"detail":"invalid key ' .. key .. '","more":["' .. key .. '"]}')
  end
]]

-- A function for `log`, and the list of what it was given.
local function recorder()
  local entries = {}
  return function(level, message, fields)
    entries[#entries + 1] = { level = level, message = message, fields = fields }
  end,
    entries
end

-- What f writes to standard error.
local function captured(f)
  local real = io.stderr
  local file = assert(io.tmpfile())
  io.stderr = file -- luacheck: ignore 122
  local ok, message = pcall(f)
  io.stderr = real -- luacheck: ignore 122
  file:seek("set")
  local text = file:read("a")
  file:close()
  assert(ok, message)
  return text
end

describe("the API key", function()
  it("is in no error, even if the service quotes it", function()
    local s <close>, client = start(ECHO)
    for _, path in ipairs { "/401", "/401/html", "/500", "/302/location", "/422", "/200/html" } do
      local value, err = client:get(path)
      assert.is_nil(value, path)
      assert.is_truthy(s:requests()[s:count()].headers.authorization:find(KEY, 1, true))
      assert.is_false(mentions(err, KEY), path)
      assert.is_true(mentions(err, "***"), path)
    end
    local _, err = client:get("/401")
    assert.equal("Bearer ***", err.headers["x-echo"])
    assert.equal("Bearer ***", err.body.more[1])
    assert.is_truthy(err.message:find("401: invalid key Bearer ***", 1, true))
  end)

  it("is in no error about what never arrived", function()
    local client = support.client("http://127.0.0.1:1")
    local _, err = client.batches:create(support.BATCH)
    assert.equal("connection", err.kind)
    assert.is_false(mentions(err, KEY))
  end)

  it("is in no log, at any level, to a function or to standard error", function()
    local log, entries = recorder()
    local s <close> = server.start(ECHO)
    local function calls(target)
      local client = support.client(s, { log = target, max_retries = 1 })
      client:get("/200")
      client:get("/401")
      client:get("/302/location")
      client:get("/503") -- and once again, after a pause
      client.batches:create(support.BATCH, { headers = { ["X-Key"] = KEY } })
    end
    calls(log)
    assert.is_true(#entries >= 10)
    assert.is_false(mentions(entries, KEY))
    for _, level in ipairs { "debug", "info", "warn" } do
      local text = captured(function()
        calls(level)
      end)
      assert.is_nil(text:find(KEY, 1, true))
      assert.equal(level == "warn", text:find("info:", 1, true) == nil)
      assert.equal(level == "debug", text:find("debug:", 1, true) ~= nil)
    end
  end)

  it("is not to be found in a client or what belongs to it", function()
    local _ <close>, client = start { { body = '{"items":[{"id":"bat-1"}]}' } }
    assert.is_false(mentions(client, KEY))
    assert.is_false(mentions(client.batches, KEY))
    assert.is_false(mentions(client:with_options { timeout = 1 }, KEY))
    local list = client.batches:list()
    assert.is_false(mentions(list, KEY))
    assert(list:next_page())
    assert.is_false(mentions(list, KEY))
    list:close()
  end)

  it("is in no error either when it is a call's own and the service quotes it", function()
    local own = "llx-only-for-this-call"
    local s <close>, client = start { { status = 401, body = ('{"detail":"unknown key %s"}'):format(own) } }
    local log, entries = recorder()
    client = client:with_options { log = log }
    local given = { headers = { authorization = "Bearer " .. own } }
    for _, call in ipairs {
      function()
        return client.batches:get("bat-1", nil, given)
      end,
      function()
        return client:get("/x", given)
      end,
      function()
        return client.batches:list(nil, given):next_page()
      end,
    } do
      local result, err = call()
      assert.is_nil(result)
      assert.equal("authentication", err.kind)
      assert.matches("unknown key %*%*%*", err.message)
      assert.is_false(mentions(err, own))
      assert.is_nil(tostring(err):find(own, 1, true))
    end
    assert.is_false(mentions(entries, own))
    assert.equal("Bearer " .. own, s:requests()[1].headers.authorization)
  end)

  it("is in no complaint about arguments", function()
    local client = llama_cloud.new { api_key = KEY, base_url = "http://127.0.0.1:1" }
    for _, f in ipairs {
      function()
        llama_cloud.new { api_key = KEY .. "\n" .. KEY }
      end,
      function()
        llama_cloud.new { api_key = KEY, timeout = KEY }
      end,
      function()
        llama_cloud.new { KEY }
      end,
      function()
        llama_cloud.new(KEY)
      end,
      function()
        client:with_options { api_key = KEY .. "\0" }
      end,
      function()
        client:with_options { default_headers = { Authorization = "Bearer " .. KEY .. "\r\n" } }
      end,
      function()
        client:get("/x", { headers = { Authorization = KEY .. "\n" } })
      end,
      function()
        client:get("/x", KEY)
      end,
    } do
      local ok, message = pcall(f)
      assert.is_false(ok)
      assert.is_nil(message:find(KEY, 1, true))
    end
  end)
end)

describe("a log", function()
  it("tells of each attempt at info, without queries", function()
    local log, entries = recorder()
    local s <close> = server.start {
      { status = 503, headers = { ["Retry-After"] = "0", ["X-Request-Id"] = "req-1" } },
      { body = "{}", headers = { ["X-Correlation-Id"] = "cor-2" } },
    }
    assert(support.client(s, { log = log, max_retries = 1 }):get("/x", { query = { name = "private" } }))
    local told = {}
    for _, entry in ipairs(entries) do
      if entry.level == "info" then
        told[#told + 1] = entry
      end
    end
    assert.equal(2, #told)
    assert.matches("^GET http://127%.0%.0%.1:%d+/x: 503 in %d+ ms$", told[1].message)
    assert.matches("^GET http://127%.0%.0%.1:%d+/x: 200 in %d+ ms$", told[2].message)
    assert.equal(1, told[1].fields.attempt)
    assert.equal(503, told[1].fields.status)
    assert.equal("req-1", told[1].fields.request_id)
    assert.equal(2, told[2].fields.attempt)
    assert.equal("cor-2", told[2].fields.request_id)
    assert.is_false(mentions(entries, "private"))
  end)

  it("tells why there was no answer", function()
    local log, entries = recorder()
    support.client("http://127.0.0.1:1", { log = log }):get("/x")
    local entry = entries[#entries]
    assert.equal("info", entry.level)
    assert.matches(": connection in %d+ ms$", entry.message)
    assert.is_string(entry.fields.reason)
    assert.is_nil(entry.fields.status)
  end)

  it("tells of headers and sizes at debug, but not of bodies", function()
    local log, entries = recorder()
    local s <close> = server.start {
      { body = '{"id":"bat-1","secret":"in the answer"}', headers = { ["Set-Cookie"] = "session=abc" } },
    }
    local client = support.client(s, { log = log, default_headers = { ["X-Token"] = "in a header" } })
    assert(client.batches:create(support.BATCH, { body = { webhook_signing_secret = "in the body" } }))
    local sending, response, created = entries[1], entries[#entries - 1], entries[#entries]
    assert.equal("POST /api/v2/batches created bat-1", created.message)
    assert.equal("debug", sending.level)
    assert.matches("^sending POST ", sending.message)
    assert.equal("***", sending.fields.headers.Authorization)
    assert.equal("***", sending.fields.headers["X-Token"])
    assert.equal("application/json", sending.fields.headers["Content-Type"])
    assert.equal(#s:requests()[1].body, sending.fields.body_bytes)
    assert.equal("debug", response.level)
    assert.equal("***", response.fields.headers["set-cookie"])
    assert.equal("application/json", response.fields.headers["content-type"])
    for _, secret in ipairs { "in the answer", "in the body", "in a header", "session=abc" } do
      assert.is_false(mentions(entries, secret))
    end
  end)

  it("follows LLAMA_CLOUD_LOG", function()
    local s <close> = server.start { { body = "{}" } }
    support.with_environment({ LLAMA_CLOUD_LOG = "info" }, function()
      local text = captured(function()
        support.client(s):get("/x")
      end)
      assert.matches("^llama_cloud info: GET [^\n]*: 200 in %d+ ms attempt=1 status=200\n$", text)
    end)
    for _, level in ipairs { "off", "error", "", "warn" } do
      support.with_environment({ LLAMA_CLOUD_LOG = level }, function()
        assert.equal(
          "",
          captured(function()
            support.client(s):get("/x")
          end)
        )
      end)
    end
    -- the option wins
    support.with_environment({ LLAMA_CLOUD_LOG = "debug" }, function()
      assert.equal(
        "",
        captured(function()
          support.client(s, { log = "warn" }):get("/x")
        end)
      )
    end)
  end)

  it("is silent by default", function()
    local s <close> = server.start(ECHO)
    support.with_environment({}, function()
      assert.equal(
        "",
        captured(function()
          local client = support.client(s)
          client:get("/200")
          client:get("/500")
        end)
      )
    end)
  end)
end)

describe("a presigned URL", function()
  it("is fetched without the key, and its signature shown nowhere", function()
    local log, entries = recorder()
    local s <close> = server.start { { status = 403, body = "<Error>expired</Error>" } }
    local client = support.client("https://api.example", { log = log })
    local _, err = client:get(s:url("/object?X-Amz-Signature=0123456789"))
    assert.equal("permission_denied", err.kind)
    assert.equal(s:url("/object"), err.url)
    assert.is_false(mentions(err, "0123456789"))
    assert.is_false(mentions(entries, "0123456789"))
    assert.equal("/object?X-Amz-Signature=0123456789", s:requests()[1].target)
    assert.is_false(mentions(s:requests(), KEY))
  end)
end)

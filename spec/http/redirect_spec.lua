-- Which redirects are followed, and with what.

local certificates = require("spec.support.certificates")
local server = require("spec.support.server")
local support = require("spec.support.client")

local start = support.start

-- Answers /from/STATUS with that status and the Location of the query's `to`, and everything else with its own request.
local ROUTES = [[
  local function unescape(text)
    return (text:gsub("%%(%x%x)", function(digits)
      return string.char(tonumber(digits, 16))
    end))
  end
  return function(connection, request)
    local status = request.path:match("^/from/(%d+)")
    if status then
      local to = request.query and request.query:match("to=([^&]*)")
      connection:json(tonumber(status), '{"detail":"moved"}', { Location = to and unescape(to) })
    else
      connection:json(200, '{"id":"bat-1"}')
    end
  end
]]

-- Calls a path that redirects there; and the requests that came of it.
local function redirected(s, client, method, status, location, options)
  local before = s:count()
  local given = { query = { to = location } }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  local value, err = client[method](client, "/from/" .. status, given)
  local sent = {}
  for i = before + 1, s:count() do
    sent[#sent + 1] = s:requests()[i]
  end
  return value, err, sent
end

-- Checks that an answer was the end: of kind status, once, with the Location named, and why it was not followed.
local function check_refused(value, err, sent, status, location, why)
  assert.is_nil(value)
  assert.equal("status", err.kind)
  assert.equal(status, err.status)
  assert.equal(1, #sent)
  assert.equal(1, err.attempts)
  assert.is_false(err.maybe_sent)
  assert.is_truthy(err.message:find(("(Location: %s)"):format(location), 1, true), err.message)
  assert.is_truthy(err.message:find("not followed: " .. why, 1, true), err.message)
end

local METHODS = { "get", "post", "put", "patch", "delete" }

-- libcurl 8.21 and later write escapes in capitals, which is the same URL (RFC 3986 section 6.2.2.1).
local function capitals(target)
  return (target:gsub("%%%x%x", string.upper))
end

describe("a redirect of a GET", function()
  support.pause_for(0.005)

  it("is followed at the same origin, whatever its status", function()
    local s <close>, client = start(ROUTES)
    for _, status in ipairs { 301, 302, 303, 307, 308 } do
      local value, err, sent = redirected(s, client, "get", status, "/target?x=1", { headers = { ["X-Mine"] = "1" } })
      assert.is_nil(err)
      assert.same({ id = "bat-1" }, value)
      assert.equal(2, #sent)
      assert.equal("GET", sent[2].method)
      assert.equal("/target?x=1", sent[2].target)
      assert.equal("Bearer " .. support.KEY, sent[2].headers.authorization)
      assert.equal("1", sent[2].headers["x-mine"])
      assert.equal("0", sent[2].headers["x-stainless-retry-count"])
    end
    assert.equal(1, s:connections())
  end)

  it("is followed for declared endpoints, too", function()
    local s <close>, client = start([[
      return function(connection, request)
        if request.path == "/moved" then
          return connection:json(200, '{"id":"bat-1"}')
        end
        connection:respond(307, { Location = "/moved" }, "")
      end
    ]])
    assert.same({ id = "bat-1" }, (client.batches:get("bat-1")))
    assert.equal(2, s:count())
  end)

  it("is followed by any form of Location", function()
    local s <close>, client = start(ROUTES)
    for location, target in pairs {
      ["/target"] = "/target",
      ["target"] = "/from/target",
      ["../target"] = "/target",
      ["./a/b"] = "/from/a/b",
      ["?y=2"] = "/from/302?y=2",
      ["/target#fragment"] = "/target",
      ["/with space/ü"] = "/with%20space/%c3%bc",
      [s:url("/absolute?a=b")] = "/absolute?a=b",
      [("//127.0.0.1:%d/network"):format(s.port)] = "/network",
      [("HTTP://127.0.0.1:%d/case"):format(s.port)] = "/case",
    } do
      if location ~= "?y=2" then
        local value, err, sent = redirected(s, client, "get", 302, location)
        assert.is_nil(err, location)
        assert.is_table(value, location)
        assert.equal(capitals(target), capitals(sent[2].target), location)
      else
        local _, err, sent = redirected(s, client, "get", 302, location)
        assert.equal(target, sent[2].target)
        assert.equal(302, err.status) -- which leads nowhere
      end
    end
  end)

  it("is followed to another port of the same host, without the API key and what else is the service's", function()
    local s <close> = server.start(ROUTES)
    local other <close> = server.start(ROUTES)
    local client = support.client(s, { default_headers = { ["X-Tenant"] = "secret" } })
    for _, status in ipairs { 301, 302, 303, 307, 308 } do
      local value = redirected(s, client, "get", status, other:url("/target"), { headers = { ["X-Mine"] = "1" } })
      assert.same({ id = "bat-1" }, value)
      local sent = other:requests()[other:count()]
      assert.equal("/target", sent.target)
      for _, name in ipairs { "authorization", "x-tenant", "x-mine", "x-stainless-lang", "cookie" } do
        assert.is_nil(sent.headers[name], name)
      end
      assert.equal("application/json", sent.headers.accept)
      assert.matches("^llama%-cloud%-lua/", sent.headers["user-agent"])
    end
  end)

  it("may lead away and back", function()
    local s <close>, client = start(ROUTES)
    local other <close> = server.start(ROUTES)
    local back = other:url("/from/302?to=" .. s:url("/home"):gsub("%W", function(c)
      return ("%%%02X"):format(c:byte())
    end))
    local value, _, sent = redirected(s, client, "get", 302, back)
    assert.is_table(value)
    assert.is_nil(other:requests()[1].headers.authorization)
    assert.equal("Bearer " .. support.KEY, sent[2].headers.authorization)
  end)

  it("keeps the headers of a call to another origin at that origin", function()
    local s <close> = server.start(ROUTES)
    local client = support.client("https://api.example")
    assert(client:get(s:url("/from/302?to=/target"), { headers = { ["X-Mine"] = "1" } }))
    assert.equal("1", s:requests()[2].headers["x-mine"])
    assert.is_nil(s:requests()[2].headers.authorization)
  end)

  it("is not followed to another host, protocol or user", function()
    local s <close>, client = start(ROUTES)
    for location, why in pairs {
      [("http://localhost:%d/x"):format(s.port)] = "it leads to another origin",
      ["http://api.example/x"] = "it leads to another origin",
      ["//api.example/x"] = "it leads to another origin",
      ["file:///etc/passwd"] = "it leads to another protocol",
      ["ftp://127.0.0.1/x"] = "it leads to another protocol",
      ["gopher://127.0.0.1/x"] = "it leads to another protocol",
      [("http://user:pass@127.0.0.1:%d/x"):format(s.port)] = "it holds a user name",
      [("http://user@127.0.0.1:%d/x"):format(s.port)] = "it holds a user name",
    } do
      local value, err, sent = redirected(s, client, "get", 302, location)
      check_refused(value, err, sent, 302, location, why)
    end
  end)

  it("is not followed by a Location that is no URL", function()
    local s <close>, client = start(ROUTES)
    for _, location in ipairs { "http://", "http://127.0.0.1:99999/x", "http://[::1/x" } do
      local value, err, sent = redirected(s, client, "get", 302, location)
      check_refused(value, err, sent, 302, location, "")
    end
  end)

  it("without a Location is an error", function()
    local s <close>, client = start(ROUTES)
    for _, status in ipairs { 301, 302, 303, 307, 308 } do
      local value, err, sent = redirected(s, client, "get", status, nil)
      assert.is_nil(value)
      assert.equal("status", err.kind)
      assert.equal(status .. ": moved", err.message)
      assert.equal(1, #sent)
    end
  end)

  it("is none with another status", function()
    local s <close>, client = start(ROUTES)
    for _, status in ipairs { 300, 304, 305, 306, 399, 404 } do
      local value, err, sent = redirected(s, client, "get", status, "/target")
      assert.is_nil(value)
      assert.equal(status, err.status)
      assert.equal(1, #sent)
      assert.is_nil(err.message:find("not followed", 1, true))
    end
    local value = redirected(s, client, "get", 201, "/target")
    assert.same({ detail = "moved" }, value)
  end)

  describe("after others", function()
    -- /N leads to /N-1, and /0 is the end.
    local CHAIN = [[
      return function(connection, request)
        local n = tonumber(request.path:match("%d+"))
        if n == 0 then
          return connection:json(200, '{"id":"bat-1"}')
        end
        connection:respond(302, { Location = "/" .. n - 1 }, "")
      end
    ]]

    it("is followed ten times", function()
      local s <close>, client = start(CHAIN)
      assert.is_table((client:get("/10")))
      assert.equal(11, s:count())
    end)

    it("is not followed an eleventh time", function()
      local s <close>, client = start(CHAIN)
      local value, err = client:get("/11")
      assert.is_nil(value)
      assert.equal("status", err.kind)
      assert.is_truthy(err.message:find("(Location: /0); not followed: there were more than 10 redirects", 1, true))
      assert.equal(11, s:count())
      assert.equal(11, err.attempts)
      assert.equal(s:url("/1"), err.url)
    end)

    it("does not go round for ever", function()
      local s <close>, client = start { { status = 302, headers = { Location = "/x" } } }
      local _, err = client:get("/x", { max_retries = 5 })
      assert.equal("status", err.kind)
      assert.equal(11, s:count())
    end)
  end)

  it("does not use up a retry, and a retry goes where it led", function()
    local s <close>, client = start([[
      local failures = 0
      return function(connection, request)
        if request.path == "/x" then
          return connection:respond(302, { Location = "/target" }, "")
        end
        failures = failures + 1
        connection:json(failures < 3 and 500 or 200, '{"id":"bat-1"}')
      end
    ]])
    local value, err = client:get("/x", { max_retries = 2 })
    assert.is_nil(err)
    assert.is_table(value)
    local sent = s:requests()
    assert.equal(4, #sent)
    assert.equal("/target", sent[4].path)
    assert.equal("2", sent[4].headers["x-stainless-retry-count"])
  end)

  it("is part of what total_timeout is for", function()
    local s <close>, client = start {
      { status = 302, headers = { Location = "/x" }, delay = support.scaled(0.15) },
    }
    local _, err = client:get("/x", { total_timeout = support.scaled(0.4) })
    assert.equal("timeout", err.kind)
    assert.is_true(s:count() < 5)
  end)

  it("says in an error where it led, but not what may be secret there", function()
    local s <close>, client = start(ROUTES)
    local other <close> = server.start { { status = 403, body = '{"detail":"expired"}' } }
    local _, err = redirected(s, client, "get", 302, other:url("/object?X-Signature=a-secret"))
    assert.equal("permission_denied", err.kind)
    assert.equal(other:url("/object"), err.url)
    assert.is_false(support.mentions(err, "a-secret"))
  end)

  it("nor where it is not followed to, nor at the service's own origin", function()
    local s <close>, client = start(ROUTES)
    local _, err = redirected(s, client, "get", 302, "https://store.example/object?X-Signature=abcdefgh")
    assert.matches("(Location: https://store.example/object); not followed", err.message, 1, true)
    local own <close>, of_own = support.start {
      { status = 302, headers = { Location = "/object?X-Signature=abcdefgh" } },
      { status = 403, body = "{}" },
    }
    local _, second = of_own:get("/x")
    assert.equal(own:url("/object"), second.url)
    err.url = nil -- which has it in the query that was given
    assert.is_false(support.mentions({ err, second }, "abcdefgh"))
  end)
end)

describe("a redirect of another method", function()
  it("that would become a GET is not followed", function()
    local s <close>, client = start(ROUTES)
    for _, method in ipairs(METHODS) do
      for _, status in ipairs { 301, 302, 303 } do
        if method ~= "get" then
          local value, err, sent = redirected(s, client, method, status, "/target")
          local why = ("it would turn a %s into a GET"):format(method:upper())
          check_refused(value, err, sent, status, "/target", why)
        end
      end
    end
  end)

  it("that keeps it is followed at the same origin, with the body again", function()
    local s <close>, client = start(ROUTES)
    for _, method in ipairs(METHODS) do
      for _, status in ipairs { 307, 308 } do
        local body = method ~= "get" and { a = { 1, 2 } } or nil
        local value, err, sent = redirected(s, client, method, status, "/target", { body = body })
        assert.is_nil(err)
        assert.is_table(value)
        assert.equal(2, #sent)
        assert.equal(method:upper(), sent[2].method)
        assert.equal("/target", sent[2].target)
        assert.equal(body and '{"a":[1,2]}' or "", sent[2].body)
        assert.equal(body and "application/json" or nil, sent[2].headers["content-type"])
        assert.equal("Bearer " .. support.KEY, sent[2].headers.authorization)
      end
    end
  end)

  it("that keeps it is not followed to another origin, not even of the same host", function()
    local s <close>, client = start(ROUTES)
    local other <close> = server.start(ROUTES)
    for _, method in ipairs(METHODS) do
      for _, status in ipairs { 307, 308 } do
        if method ~= "get" then
          local value, err, sent = redirected(s, client, method, status, other:url("/target"))
          check_refused(value, err, sent, status, other:url("/target"), "it leads to another origin")
        end
      end
    end
    assert.equal(0, other:count())
  end)

  it("is followed for a creation, which the service has passed on and not acted upon", function()
    local s <close>, client = start([[
      return function(connection, request)
        if request.path == "/moved" then
          return connection:json(201, '{"id":"bat-1"}')
        end
        connection:respond(308, { Location = "/moved" }, "")
      end
    ]])
    assert.same({ id = "bat-1" }, (client.batches:create(support.BATCH)))
    assert.equal(2, s:count())
    assert.equal(s:requests()[1].body, s:requests()[2].body)
  end)
end)

describe("a redirect between http and https", function()
  local set

  setup(function()
    if certificates.available() then
      set = certificates.make()
    end
  end)

  teardown(function()
    if set then
      set:remove()
    end
  end)

  it("is never followed from https to http", function()
    if not set then
      pending("needs the openssl program and luaossl")
    end
    local plain <close> = server.start(ROUTES)
    local s <close> = server.start(ROUTES, { tls = set.good })
    local client = support.client(s, { ca_file = set.ca })
    for _, port in ipairs { plain.port, s.port } do
      local location = ("http://localhost:%d/target"):format(port)
      local value, err, sent = redirected(s, client, "get", 302, location)
      check_refused(value, err, sent, 302, location, "it leads from https to http")
    end
    assert.equal(0, plain:count())
    assert.is_table((redirected(s, client, "get", 302, "/target")))
  end)

  it("is followed from http to https, without the API key", function()
    if not set then
      pending("needs the openssl program and luaossl")
    end
    local s <close> = server.start(ROUTES)
    local secure <close> = server.start(ROUTES, { tls = set.good })
    local client = support.client(("http://localhost:%d"):format(s.port), { ca_file = set.ca })
    local value, err = redirected(s, client, "get", 302, secure:url("/target"))
    assert.is_nil(err)
    assert.is_table(value)
    assert.is_nil(secure:requests()[1].headers.authorization)
  end)
end)

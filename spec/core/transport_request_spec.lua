-- What a request looks like on the wire, and how often it gets there.

local core = require("llama_cloud.core")
local process = require("spec.support.process")
local server = require("spec.support.server")
local support = require("spec.support.transport")

describe("a request", function()
  local t, s

  setup(function()
    s = server.start { { body = "{}" } }
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

  -- Sends a request to the recording server and returns what it saw.
  local function seen(request)
    local count = s:count()
    request.url = request.url or s:url()
    local transfer = support.send(t, request)
    assert.same({ "response", "" }, { transfer:outcome() })
    assert.equal(count + 1, s:count())
    return s:requests()[count + 1], transfer
  end

  it("has the method, path and query that it was given", function()
    for _, method in ipairs { "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND" } do
      local request = seen { method = method, url = s:url("/a/../%2e%2E/b%2Fc//d?x=1&y=%20") }
      assert.equal(method, request.method)
      -- libcurl 8.21 and later write escapes in capitals, which is the same URL (RFC 3986 section 6.2.2.1)
      assert.equal("/a/../%2E%2E/b%2Fc//d?x=1&y=%20", (request.target:gsub("%%%x%x", string.upper)))
    end
  end)

  it("has no body unless it was given one, and says so where one is usual", function()
    for method, length in pairs { GET = false, DELETE = false, POST = "0", PUT = "0", PATCH = "0" } do
      for _, body in ipairs { false, "" } do
        local request, transfer = seen { method = method, body = body or nil }
        assert.equal("", request.body)
        assert.equal(length or nil, request.headers["content-length"])
        assert.is_nil(request.headers["transfer-encoding"])
        assert.is_true(transfer:sent())
      end
    end
  end)

  it("has the body that it was given", function()
    for _, method in ipairs { "POST", "PUT", "PATCH", "DELETE", "GET" } do
      local request, transfer = seen { method = method, body = "a\0b\r\n\255" }
      assert.equal(method, request.method)
      assert.equal("a\0b\r\n\255", request.body)
      assert.equal("6", request.headers["content-length"])
      assert.is_true(transfer:sent())
    end
  end)

  it("sends a large body in one go, without asking whether it may", function()
    local body = ("0123456789abcdef"):rep(200000)
    local request = seen { method = "POST", body = body }
    assert.is_true(request.body == body)
    assert.is_nil(request.headers.expect)
  end)

  it("can be HEAD", function()
    local head = server.start([[
      return function(connection) connection:raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n") end
    ]])
    local transfer = support.send(t, { method = "HEAD", url = head:url(), max_response_bytes = 10 })
    assert.equal("response", (transfer:outcome()))
    assert.equal("", transfer:body())
    assert.equal("1000", transfer:headers()["content-length"])
    head:stop()
  end)

  it("has the headers that it was given, in order, and no header of ours but for HTTP itself", function()
    local expected = {
      { "X-One", "1" },
      { "x-Two", "a, b" },
      { "X-One", "again" },
      { "X-Empty", "" },
      { "X-Blank", " \t" },
      { "Accept", "a/b" },
    }
    local headers = {}
    for _, header in ipairs(expected) do
      table.move(header, 1, 2, #headers + 1, headers)
    end
    local request = seen { headers = headers }
    expected[5][2] = ""
    table.insert(expected, 1, { "Host", "127.0.0.1:" .. s.port })
    local found = {}
    for _, header in ipairs(request.header_list) do
      if header[1] ~= "Accept-Encoding" then
        found[#found + 1] = header
      end
    end
    assert.same(expected, found)
    assert.matches("gzip", request.headers["accept-encoding"])
  end)

  it("sends another Accept-Encoding where one is given, or none", function()
    local given = seen { headers = { "accept-encoding", "identity" } }
    assert.equal("identity", given.headers["accept-encoding"])
    assert.is_nil(seen({ headers = { "Accept-Encoding", false } }).headers["accept-encoding"])
  end)

  it("leaves out headers that libcurl would send", function()
    local headers = { "Content-Type", false, "Accept", false, "Host", false }
    local request = seen { method = "POST", body = "x", headers = headers }
    assert.is_nil(request.headers["content-type"])
    assert.is_nil(request.headers.accept)
    assert.is_nil(request.headers.host)
  end)

  it("may have long headers", function()
    local value = ("v"):rep(60000)
    assert.equal(value, seen({ headers = { "X-Long", value } }).headers["x-long"])
  end)

  it("is refused when its head is longer than libcurl can send", function()
    for _, request in ipairs {
      { url = s:url("/?q=" .. ("q"):rep(2 << 20)) },
      { url = s:url("/?q=" .. ("q"):rep(9 << 20)) },
      { url = s:url(), headers = { "X", ("v"):rep(2 << 20) } },
    } do
      local count = s:count()
      local transfer = support.send(t, request)
      assert.equal("refused", (transfer:outcome()))
      assert.is_false(transfer:sent())
      assert.equal(count, s:count())
    end
  end)

  it("cannot smuggle anything in by a header, a method or a URL", function()
    local count = s:connections()
    for _, bad in ipairs { "a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rb", "a\0b" } do
      for _, headers in ipairs { { "X", bad }, { bad, "x" } } do
        assert.error_matches(function()
          t:start { method = "GET", url = s:url(), headers = headers }
        end, "CR, LF or NUL")
      end
    end
    for _, name in ipairs { "", "X: 1" } do
      assert.error_matches(function()
        t:start { method = "GET", url = s:url(), headers = { name, "x" } }
      end, "name is empty or contains a colon")
    end
    for _, method in ipairs { "", "get", "GET /x HTTP/1.1\r\nX-Evil: 1\r\n\r\n", "GE T", "GET\n" } do
      assert.error_matches(function()
        t:start { method = method, url = s:url() }
      end, "a word in capital letters")
    end
    assert.error_matches(function()
      t:start { method = "GET\0", url = s:url() }
    end, "NUL")
    assert.error_matches(function()
      t:start { method = "GET", url = s:url("/\0") }
    end, "NUL")
    for _, path in ipairs { "/\r\nX-Evil: 1", "/\n", "/ HTTP/1.1", "/\127" } do
      assert.equal("refused", (support.send(t, { url = s:url(path) }):outcome()))
    end
    assert.equal(0, (t:count()))
    assert.equal(count, s:connections())
  end)

  it("is refused for what no second attempt would change", function()
    for _, url in ipairs {
      "",
      "http://",
      "http://a b/",
      "ftp://127.0.0.1/",
      "file:///etc/passwd",
      "nothing://x",
      "http://[/",
    } do
      local transfer = support.send(t, { url = url })
      local kind, message = transfer:outcome()
      assert.equal("refused", kind, url)
      assert.is_true(#message > 5)
      assert.same({ 0, false, "" }, { transfer:status(), transfer:sent(), transfer:body() })
    end
  end)

  it("that finds no server was not sent", function()
    local closed = server.start { {} }
    local url = closed:url()
    closed:stop()
    for _, method in ipairs { "GET", "POST" } do
      local transfer = support.send(t, { method = method, url = url, body = method == "POST" and "x" or nil })
      assert.equal("connection", (transfer:outcome()))
      assert.is_false(transfer:sent())
    end
    local transfer = support.send(t, { url = "http://does-not-exist.invalid/", connect_timeout = 5 })
    assert.is_false(transfer:sent())
    assert.is_true(transfer:outcome() == "connection" or transfer:outcome() == "timeout")
  end)

  describe("on a kept connection that dies without an answer", function()
    -- Answers the first request of a connection; reads the second one whole and closes, as a server does whose
    -- keep-alive time ends just then.
    local DYING = [[
      local seen = {}
      return function(connection, request)
        seen[connection] = (seen[connection] or 0) + 1
        if seen[connection] == 1 then
          connection:json(200, "{}")
        else
          connection:close()
        end
      end]]

    local function lost(request)
      local dying = server.start(DYING)
      request.url = dying:url()
      assert.equal("response", (support.send(t, { url = dying:url() }):outcome()))
      local transfer = support.send(t, request)
      support.step_for(t, 0.05)
      local count, connections = dying:count() - 1, dying:connections()
      local last = dying:requests()[#dying:requests()]
      dying:stop()
      return transfer, count, connections, last
    end

    it("reaches the server once if it must not be repeated", function()
      for _, body in ipairs { "x", ("y"):rep(300000) } do
        local transfer, count = lost { method = "POST", body = body }
        assert.same({ "connection", "the connection was closed before the answer" }, { transfer:outcome() })
        assert.is_true(transfer:sent())
        assert.equal(1, count)
        assert.equal(0, transfer:status())
      end
    end)

    it("does not use it if it is to have a connection of its own, which is not kept", function()
      local transfer, count, connections = lost { method = "POST", body = "x", fresh = true }
      assert.same({ "response", "" }, { transfer:outcome() })
      assert.same({ 1, 2 }, { count, connections })
      local before = s:connections()
      for _ = 1, 3 do
        seen { method = "POST", body = "x", fresh = true }
      end
      assert.equal(before + 3, s:connections())
    end)

    it("does not use one that has been idle if it must not be repeated", function()
      local one <close> = server.start { { body = "{}" } }
      local function send(more)
        more.url = one:url()
        assert.equal("response", (support.send(t, more):outcome()))
        return one:connections()
      end
      assert.equal(1, send {})
      assert.equal(1, send { method = "POST", body = "x" })
      support.step_for(t, 2.2)
      assert.equal(1, send {})
      support.step_for(t, 2.2)
      assert.equal(2, send { method = "POST", body = "x" })
    end)

    it("is sent again, whole, if it may be repeated", function()
      for _, body in ipairs { "x", ("y"):rep(300000) } do
        local transfer, count, connections, last = lost { method = "POST", body = body, repeatable = true }
        assert.equal("response", (transfer:outcome()))
        assert.same({ 2, 2 }, { count, connections })
        assert.is_true(last.body == body)
      end
      local transfer, count = lost { method = "DELETE", body = "x", repeatable = true }
      assert.equal("response", (transfer:outcome()))
      assert.equal(2, count)
    end)

    it("is sent again if it is a GET", function()
      local transfer, count = lost { method = "GET" }
      assert.equal("response", (transfer:outcome()))
      assert.equal(2, count)
    end)

    it("without a body takes a new connection if it must not be repeated", function()
      for _, method in ipairs { "POST", "PATCH" } do
        local transfer, count, connections = lost { method = method }
        assert.equal("response", (transfer:outcome()))
        assert.same({ 1, 2 }, { count, connections })
      end
      -- and is sent once even there
      local gone = server.start { { close_before = true } }
      local transfer = support.send(t, { method = "POST", url = gone:url() })
      assert.same({ "connection", true, 1 }, { (transfer:outcome()), transfer:sent(), gone:count() })
      gone:stop()
    end)

    it("is sent again without a body if it may be repeated", function()
      local transfer, count = lost { method = "POST", repeatable = true }
      assert.equal("response", (transfer:outcome()))
      assert.equal(2, count)
    end)
  end)

  it("takes a new connection where the server has closed the kept one meanwhile", function()
    local short = server.start { { body = "{}", close = true } }
    for i = 1, 3 do
      local transfer = support.send(t, { method = "POST", body = "x", url = short:url() })
      assert.equal("response", (transfer:outcome()))
      support.step_for(t, 0.05)
      assert.same({ i, i }, { short:count(), short:connections() })
    end
    short:stop()
  end)

  it("keeps connections, one after another and side by side", function()
    local before = s:connections()
    for _ = 1, 50 do
      seen { method = "POST", body = "x" }
    end
    assert.equal(before + 1, s:connections())
    for _ = 1, 3 do
      local transfers = {}
      for i = 1, 10 do
        transfers[i] = t:start { method = "GET", url = s:url() }
      end
      for _, transfer in ipairs(transfers) do
        support.step_until(t, function()
          return transfer:done()
        end)
      end
    end
    assert.is_true(s:connections() - before <= 10)
  end)

  it("leaves its connection to no program that is started meanwhile", function()
    local function sockets()
      local pipe = assert(io.popen("ls -l /proc/self/fd"))
      local _, count = pipe:read("a"):gsub("socket:", "")
      pipe:close()
      return count
    end
    local before = sockets()
    seen {}
    local transfer = t:start { method = "GET", url = s:url() }
    assert.equal(before, sockets())
    support.finish(t, transfer)
  end)

  describe("goes through a proxy", function()
    -- A proxy is asked for a whole URL.
    local function via(proxy, url, environment)
      local output, well = process.run(
        [[
        local core = require("llama_cloud.core")
        local url, proxy = ...
        local t = core.transport()
        local transfer = t:start { method = "GET", url = url, proxy = proxy }
        while not transfer:done() do t:wait(10) t:step() end
        print((transfer:outcome()))
        ]],
        { args = { url, proxy }, environment = environment }
      )
      assert.equal("response\n", output)
      assert.is_true(well)
      local requests = s:requests()
      return requests[#requests].target
    end

    it("that it was given", function()
      assert.equal("http://service.invalid/x", via(s:url(), "http://service.invalid/x", {}))
    end)

    it("of the environment", function()
      local environment = { http_proxy = s:url(), no_proxy = false }
      assert.equal("http://service.invalid/x", via(nil, "http://service.invalid/x", environment))
      environment = { ALL_PROXY = s:url(), http_proxy = false }
      assert.equal("http://service.invalid/x", via(nil, "http://service.invalid/x", environment))
    end)

    it("not, if the environment makes an exception", function()
      local environment = { http_proxy = "http://127.0.0.1:1", no_proxy = "127.0.0.1" }
      assert.equal("/x", via(nil, s:url("/x"), environment))
    end)

    it("not, if it is told so by an empty string", function()
      assert.equal("/x", via("", s:url("/x"), { http_proxy = "http://127.0.0.1:1", no_proxy = false }))
    end)
  end)
end)

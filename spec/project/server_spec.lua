-- The server that other specs test the client against: what it records and sends must be true.

local certificates = require("spec.support.certificates")
local plain_http = require("spec.support.plain_http")
local serial = require("spec.support.serial")
local server = require("spec.support.server")

local luv_found = pcall(require, "luv")

describe("the recording server", function()
  local s

  local function start(...)
    s = server.start(...)
  end

  after_each(function()
    if s then
      s:stop()
      s = nil
    end
  end)

  local function request(method, target, body, headers)
    return plain_http.request(s.port, method, target, body, headers)
  end

  it("gives its canned answers in order, the last again and again", function()
    start {
      { status = 201, body = "{}", headers = { ["Retry-After"] = "1", Warning = { "a", "b" } } },
      { body = "last", headers = { ["Content-Type"] = "text/plain" } },
    }
    local answer = request("GET", "/")
    assert.equal(201, answer.status)
    assert.equal("{}", answer.body)
    assert.equal("1", answer.headers["retry-after"])
    assert.equal("application/json", answer.headers["content-type"])
    assert.matches("Warning: a\r\nWarning: b\r\n", answer.head)
    for _ = 1, 2 do
      answer = request("GET", "/")
      assert.equal(200, answer.status)
      assert.equal("last", answer.body)
      assert.equal("text/plain", answer.headers["content-type"])
    end
    assert.equal(3, s:count())
  end)

  it("records requests exactly, before it answers", function()
    start { { body = "{}" } }
    local body = "a\0b\r\n\255\\\n"
    assert.equal(200, request("POST", "/a%20b?x=1&y=%C3%A9", body, { ["X-One"] = "1", ["x-two"] = " 2 " }).status)
    local recorded = s:requests()
    assert.equal(1, #recorded)
    local first = recorded[1]
    assert.equal("POST", first.method)
    assert.equal("/a%20b?x=1&y=%C3%A9", first.target)
    assert.equal("/a%20b", first.path)
    assert.equal("x=1&y=%C3%A9", first.query)
    assert.equal(body, first.body)
    assert.equal("1", first.headers["x-one"])
    assert.equal("2", first.headers["x-two"])
    assert.equal(1, first.connection)
    assert.equal(1, first.number)
    assert.matches("^POST /a%%20b%?x=1&y=%%C3%%A9 HTTP/1.1\r\n.*\r\n\r\n$", first.raw)
    assert.same({ "Host", "127.0.0.1" }, first.header_list[1])
    assert.is_number(first.time)
    assert.equal(200, request("GET", "/").status)
    assert.is_nil(s:requests()[2].query)
    assert.equal("", s:requests()[2].body)
    assert.equal(2, s:connections())
  end)

  it("joins repeated headers and reads chunked bodies", function()
    start { { body = "{}" } }
    local connection = plain_http.connect(s.port)
    connection:send(
      "PUT / HTTP/1.1\r\nA: 1\r\na: 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    assert.equal(200, connection:receive().status)
    connection:send("GET / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert.equal(100, connection:receive().status)
    connection:send("ok")
    assert.equal(200, connection:receive().status)
    connection:close()
    assert.equal("1, 2", s:requests()[1].headers.a)
    assert.equal("abcde", s:requests()[1].body)
    assert.equal("ok", s:requests()[2].body)
    assert.equal(1, s:connections())
  end)

  it("goes wrong in every way that a canned answer has", function()
    start {
      { delay = 0.1, body = "late" },
      { close_before = true },
      { truncate = 3, body = "abcdef" },
      { raw = "HTTP/1.1 200 OK\r\n\r\nto the end" },
      { close = true, body = "bye" },
      { bytes_per_second = 100, body = ("x"):rep(20) },
    }
    local from = plain_http.now()
    assert.equal("late", request("GET", "/").body)
    assert.is_true(plain_http.now() - from >= 0.1)
    local _, reason, partial = request("GET", "/")
    assert.equal("end", reason)
    assert.equal("", partial)
    _, reason, partial = request("GET", "/")
    assert.equal("end", reason)
    assert.matches("\r\nContent%-Length: 6\r\n", partial)
    assert.matches("\r\n\r\nabc$", partial)
    local connection = plain_http.connect(s.port)
    connection:send("GET / HTTP/1.1\r\n\r\n")
    assert.equal("HTTP/1.1 200 OK\r\n\r\nto the end", (connection:read_all()))
    connection:close()
    connection = plain_http.connect(s.port)
    assert.equal("bye", connection:request("GET", "/").body)
    assert.equal("", (connection:read_all()))
    connection:close()
    from = plain_http.now()
    assert.equal(20, #request("GET", "/").body)
    assert.is_true(plain_http.now() - from >= 0.15)
    assert.equal(6, s:count())
  end)

  local with_luv = luv_found and it or pending
  with_luv("resets", function()
    start { { reset = true }, { reset = true, truncate = 2, body = "abcd" } }
    local _, reason, partial = request("GET", "/")
    assert.equal("ECONNRESET", reason)
    assert.equal("", partial)
    _, reason, partial = request("GET", "/")
    assert.equal("ECONNRESET", reason)
    assert.matches("\r\n\r\nab$", partial)
  end)

  it("runs a script", function()
    start(
      [[
        return function(connection, request, n)
          if request.path == "/chunked" then
            connection:chunked(200, { A = 1 }, { "one", "two" }, 0.01)
          elseif request.path == "/head" then
            connection:head(200, { ["Content-Length"] = 2 })
            connection:raw("ok")
          elseif request.path == "/bodyless" then
            connection:respond(204)
          elseif request.path == "/keep" then
            connection:json(200, "{}", { Connection = "keep-alive" })
            connection:close()
          else
            connection:json(400 + n, ('{"n":%d,"connection":%d,"args":"%s"}'):format(n, connection.number, args.name))
          end
        end
      ]],
      { args = { name = "x" } }
    )
    local connection = plain_http.connect(s.port)
    connection:send("GET /chunked HTTP/1.1\r\n\r\n")
    local head, rest
    repeat
      assert(connection:fill())
      head, rest = connection.buffer:match("^(.-\r\n\r\n)(.*0\r\n\r\n)$")
    until head
    assert.matches("\r\nTransfer%-Encoding: chunked\r\n", head)
    assert.equal("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n", rest)
    connection.buffer = ""
    assert.equal("ok", connection:request("GET", "/head").body)
    assert.equal(204, connection:request("GET", "/bodyless").status)
    local answer = connection:request("GET", "/else")
    assert.equal(404, answer.status)
    assert.equal('{"n":4,"connection":1,"args":"x"}', answer.body)
    assert.equal(200, connection:request("GET", "/keep").status)
    assert.is_nil((connection:request("GET", "/keep")))
    connection:close()
    assert.equal(5, s:count())
  end)

  it("tells what came that was no request", function()
    start { { body = "{}" } }
    local connection = plain_http.connect(s.port)
    connection:send("nonsense\r\n\r\n")
    connection:read_all()
    connection:close()
    assert.matches("malformed request line", s:wait_for_requests(1)[1].malformed)
  end)

  it("closes connections as they come, or leaves them waiting", function()
    start("return function() end, function(connection) connection:close() end")
    assert.is_nil((request("GET", "/")))
    assert.equal(1, s:connections())
    s:stop()
    start({ { body = "{}" } }, { accept = false })
    local connection = plain_http.connect(s.port)
    connection.socket:settimeout(0.1)
    connection:send("GET / HTTP/1.1\r\n\r\n")
    local _, reason = connection:receive()
    assert.equal("ETIMEDOUT", reason)
    connection:close()
    assert.equal(0, s:connections())
  end)

  it("comes back on the same port", function()
    start { { body = "one" } }
    local port = s.port
    local kept = plain_http.connect(port)
    assert.equal("one", kept:request("GET", "/").body)
    s:stop()
    assert.equal("", (kept:read_all()))
    kept:close()
    start({ { body = "two" } }, { port = port })
    assert.equal("two", request("GET", "/").body)
  end)

  it("says what is wrong with a script", function()
    assert.has_error(function()
      server.start("return function(")
    end)
    local ok, message = pcall(server.start, "error('at once')")
    assert.is_false(ok)
    assert.matches("at once", message, 1, true)
    for _, source in ipairs { "return function() error('later') end", "return function() end" } do
      local failing = server.start(source)
      assert.is_nil((plain_http.request(failing.port, "GET", "/")))
      ok, message = pcall(failing.stop, failing)
      assert.is_false(ok)
      assert.matches(source:find("later") and "later" or "answered nothing to GET /", message, 1, true)
      failing:stop()
    end
  end)

  it("ends when it is stopped, forgotten, or left alone", function()
    start { { body = "{}" } }
    assert.equal(200, request("GET", "/").status)
    local stopped = plain_http.connect(s.port)
    s:stop()
    s:stop()
    assert.is_true(stopped:has_ended())
    assert.equal(1, s:count())

    local forgotten = plain_http.connect(server.start({ { body = "{}" } }).port)
    collectgarbage()
    collectgarbage()
    assert.is_true(forgotten:has_ended())

    -- A parent that is killed in the middle of things.
    local script = os.tmpname()
    local file = assert(io.open(script, "w"))
    file:write([[
      local s = require("spec.support.server").start({ { body = "{}" } })
      io.stdout:write(s.port, "\n")
      io.stdout:flush()
      io.read("a")
    ]])
    file:close()
    local parent = assert(io.popen("echo $$; " .. server.command(script, {}) .. " 2>&1 </dev/zero"))
    local parent_pid = parent:read("l")
    local orphan = plain_http.connect(assert(tonumber(parent:read("l"))))
    os.execute("kill -9 " .. parent_pid)
    parent:close()
    os.remove(script)
    assert.is_true(orphan:has_ended())
  end)

  describe("with TLS", function()
    local set

    lazy_setup(function()
      set = certificates.available() and certificates.make()
    end)

    lazy_teardown(function()
      if set then
        set.remove()
      end
    end)

    -- What a strict client says to a server with a certificate: the openssl program is one.
    local function verdict(kind)
      start({ { body = "{}" } }, { tls = set[kind] })
      assert.equal("https://localhost:" .. s.port, s:url())
      local command = "printf 'GET / HTTP/1.1\\r\\nConnection: close\\r\\n\\r\\n' | env -u LD_PRELOAD openssl s_client "
        .. "-connect 127.0.0.1:%d -CAfile %s -verify_hostname localhost -verify_return_error -quiet 2>&1"
      local pipe = assert(io.popen(command:format(s.port, set.ca)))
      local text = pipe:read("a")
      pipe:close()
      s:stop()
      return text
    end

    local with_tls = certificates.available() and it or pending
    with_tls("answers with a good certificate, and offers bad ones", function()
      assert.matches("HTTP/1.1 200 OK", verdict("good"), 1, true)
      assert.matches("ostname mismatch", verdict("wrong_name"), 1, true)
      assert.matches("certificate has expired", verdict("expired"), 1, true)
      assert.matches("unable to get local issuer certificate", verdict("unknown_ca"), 1, true)
    end)
  end)

  it("carries values unchanged", function()
    local values = {
      1,
      -1,
      9007199254740993,
      math.mininteger,
      0.1,
      1e300,
      true,
      false,
      "",
      'a\nb\r\0"\\\200',
      { a = { 1, { "x" } }, [2] = false },
    }
    for _, value in ipairs(values) do
      local line = serial.encode(value)
      assert.is_nil(line:find("[\r\n]"))
      local back = serial.decode(line)
      assert.same(value, back)
      assert.equal(math.type(value), math.type(back))
    end
    assert.is_nil(serial.decode(serial.encode(nil)))
    assert.has_error(function()
      serial.encode(print)
    end)
  end)
end)

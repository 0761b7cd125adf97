-- What comes back: headers, bodies, their bounds, and what is no response.

local core = require("llama_cloud.core")
local process = require("spec.support.process")
local server = require("spec.support.server")
local support = require("spec.support.transport")

-- Sends the bytes of `args[path]` and closes.
local RAW = [[
return function(connection, request)
  connection:raw(args[request.path:sub(2)])
  connection:close()
end]]

-- The contents of `text` as the gzip program packs them.
local function gzip(command)
  local pipe = assert(io.popen(command .. " | gzip -9"))
  local bytes = pipe:read("a")
  pipe:close()
  return bytes
end

describe("a response", function()
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

  -- What the transport makes of these bytes. `more`: fields of the request.
  local function receive(bytes, more)
    s = server.start(RAW, { args = { it = bytes } })
    local request = { url = s:url("/it") }
    for name, value in pairs(more or {}) do
      request[name] = value
    end
    local transfer = support.send(t, request)
    s:stop()
    s = nil
    return transfer
  end

  local function response(bytes, more)
    local transfer = receive(bytes, more)
    assert.same({ "response", "" }, { transfer:outcome() })
    return transfer
  end

  it("has a status, headers and a body, whatever the status", function()
    for _, status in ipairs { 200, 201, 299, 301, 404, 429, 500, 599, 999 } do
      local transfer =
        response(("HTTP/1.1 %d X\r\nContent-Length: 5\r\nLocation: /elsewhere\r\n\r\n\0\1\r\n\255"):format(status))
      assert.equal(status, transfer:status())
      assert.equal("\0\1\r\n\255", transfer:body())
      assert.equal("\0\1\r\n\255", transfer:body())
      assert.same({ ["content-length"] = "5", location = "/elsewhere" }, transfer:headers())
      assert.is_true(transfer:sent())
    end
  end)

  it("may have no body", function()
    for _, head in ipairs {
      "204 No Content\r\n",
      "304 Not Modified\r\nContent-Length: 7\r\n",
      "200 OK\r\nContent-Length: 0\r\n",
    } do
      assert.equal("", response("HTTP/1.1 " .. head .. "\r\n"):body())
    end
  end)

  it("may end with its connection", function()
    assert.equal("until the end", response("HTTP/1.1 200 OK\r\n\r\nuntil the end"):body())
    assert.equal("old", response("HTTP/1.0 200 OK\r\n\r\nold"):body())
  end)

  it("may come in pieces", function()
    s = server.start([[return function(connection)
      connection:chunked(200, {}, { "one ", "two ", "three" }, 0.02)
    end]])
    assert.equal("one two three", support.send(t, { url = s:url() }):body())
    s:stop()
    s = server.start { { body = ("0123456789"):rep(20), bytes_per_second = 2000 } }
    assert.equal(("0123456789"):rep(20), support.send(t, { url = s:url() }):body())
  end)

  describe("has headers", function()
    it("in lower case, without the white space around them, repeated ones joined", function()
      local transfer = response(table.concat({
        "HTTP/1.1 200 All: right",
        "X-One:1",
        "X-two:   2  \t ",
        "x-ONE: one, more",
        "Set-Cookie: a=b; c",
        "SET-COOKIE: d",
        "X-Empty:",
        "X-Spaced : yes",
        "X-Colon: a:b: c",
        "X-Latin: \228",
        "Content-Length: 0",
        "\r\n",
      }, "\r\n"))
      assert.same({
        ["x-one"] = "1, one, more",
        ["x-two"] = "2",
        ["set-cookie"] = "a=b; c, d",
        ["x-empty"] = "",
        ["x-spaced"] = "yes",
        ["x-colon"] = "a:b: c",
        ["x-latin"] = "\228",
        ["content-length"] = "0",
      }, transfer:headers())
    end)

    it("of which one name may come thousands of times", function()
      local function lines(count)
        return "HTTP/1.1 200 OK\r\n" .. ("a:1\r\nA: 2\r\nB:\r\n"):rep(count) .. "Content-Length: 0\r\n\r\n"
      end
      local function expected(count)
        return { a = ("1, 2, "):rep(count - 1) .. "1, 2", b = (", "):rep(count - 1), ["content-length"] = "0" }
      end
      assert.same(expected(1600), response(lines(1600)):headers())
      local transfer = receive(lines(5000)) -- libcurl 8.14 and later take 5,000 of them
      if transfer:outcome() == "response" then
        assert.same(expected(5000), transfer:headers())
      else
        local message = "the response's headers or trailers are too long or too many"
        assert.same({ "too_large", message }, { transfer:outcome() })
        assert.equal(200, transfer:status())
      end
    end)

    it("that may go on in the next line", function()
      local transfer =
        response("HTTP/1.1 200 OK\r\nX-Long: one\r\n two: 2\r\n\t three \r\nX-Next: 4\r\nContent-Length: 0\r\n\r\n")
      assert.same({ ["x-long"] = "one two: 2 three", ["x-next"] = "4", ["content-length"] = "0" }, transfer:headers())
    end)

    it("that may end in bare line feeds", function()
      local transfer = response("HTTP/1.1 200 OK\nX-One: 1\nContent-Length: 2\n\nab")
      assert.same({ ["x-one"] = "1", ["content-length"] = "2" }, transfer:headers())
      assert.equal("ab", transfer:body())
    end)

    it("none of which are an interim response's", function()
      local transfer = response(
        "HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
          .. "HTTP/1.1 200 OK\r\nX-Last: 1\r\nContent-Length: 2\r\n\r\n{}"
      )
      assert.equal(200, transfer:status())
      assert.same({ ["x-last"] = "1", ["content-length"] = "2" }, transfer:headers())
      assert.same({}, transfer:decode())
    end)

    it("none of which are trailers", function()
      local head = "HTTP/1.1 200 OK\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
      local transfer = response(head .. "2\r\n{}\r\n0\r\nX-One: 2\r\nRetry-After: 9\r\n\r\n")
      assert.same({ ["x-one"] = "1", ["transfer-encoding"] = "chunked" }, transfer:headers())
      assert.equal("{}", transfer:body())
    end)

    it("which may be called as a status line begins", function()
      local head = "HTTP/1.1 200 OK\r\nRetry-After: 7\r\nHTTP/9: 1xx\r\nTransfer-Encoding: chunked\r\n\r\n"
      local transfer = response(head .. "2\r\n{}\r\n0\r\nHTTP/x: oops\r\n\r\n")
      assert.same({ ["retry-after"] = "7", ["http/9"] = "1xx", ["transfer-encoding"] = "chunked" }, transfer:headers())
      assert.equal("{}", transfer:body())
    end)

    it("of up to 256 KiB", function()
      local line = "X-%05d: " .. ("v"):rep(53) .. "\r\n" -- 64 bytes
      local function headers(count)
        local lines = { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" }
        for i = 1, count do
          lines[#lines + 1] = line:format(i)
        end
        return table.concat(lines) .. "\r\n"
      end
      local transfer = response(headers(4000))
      assert.equal(("v"):rep(53), transfer:headers()["x-04000"])
      transfer = receive(headers(4096))
      assert.same({ "too_large", "the response's headers exceed 256 KiB" }, { transfer:outcome() })
      assert.same({ 200, true, "" }, { transfer:status(), transfer:sent(), transfer:body() })
    end)

    it("of up to 256 KiB over all interim responses and trailers", function()
      local interim = ("HTTP/1.1 103 Early Hints\r\nLink: %s\r\n\r\n"):format(("x"):rep(10000))
      local rest = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
      assert.equal(200, response(interim:rep(20) .. rest):status())
      assert.equal("too_large", (receive(interim:rep(30) .. rest):outcome()))
      local chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
      local trailers = ("X-Trailer: " .. ("x"):rep(1000) .. "\r\n"):rep(300)
      assert.equal("too_large", (receive(chunked .. trailers .. "\r\n"):outcome()))
    end)

    it("whose lines may be long, but not endless", function()
      local long = ("v"):rep(90000)
      assert.equal(long, response("HTTP/1.1 200 OK\r\nX: " .. long .. "\r\nContent-Length: 0\r\n\r\n"):headers().x)
      for _, bytes in ipairs {
        "HTTP/1.1 200 OK\r\nX: " .. ("v"):rep(1 << 20) .. "\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 " .. ("v"):rep(1 << 20) .. "\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n" .. ("N"):rep(1 << 20),
      } do
        local transfer = receive(bytes)
        assert.equal("too_large", (transfer:outcome()))
        assert.is_true(transfer:sent())
      end
      assert.equal(
        "too_large",
        (receive("HTTP/1.1 200 OK\r\nX: " .. ("v"):rep(1 << 20), { method = "POST", body = "x" }):outcome())
      )
    end)
  end)

  describe("has a body of up to max_response_bytes", function()
    local chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n4\r\n7890\r\n0\r\n\r\n"

    it("as its Content-Length says before it comes", function()
      local bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1234567890"
      assert.equal("1234567890", response(bytes, { max_response_bytes = 10 }):body())
      local transfer = receive(bytes, { max_response_bytes = 9 })
      assert.same({ "too_large", "the response's body exceeds max_response_bytes" }, { transfer:outcome() })
      assert.same({ 200, true, "" }, { transfer:status(), transfer:sent(), transfer:body() })
      assert.equal("10", transfer:headers()["content-length"])
    end)

    it("as it turns out", function()
      for _, bytes in ipairs { chunked, "HTTP/1.1 200 OK\r\n\r\n1234567890" } do
        assert.equal("1234567890", response(bytes, { max_response_bytes = 10 }):body())
        local transfer = receive(bytes, { max_response_bytes = 9 })
        assert.same({ "too_large", "the response's body exceeds max_response_bytes" }, { transfer:outcome() })
        assert.is_true(#transfer:body() <= 9)
      end
    end)

    it("of which none may be allowed", function()
      assert.equal("", response("HTTP/1.1 204 No Content\r\n\r\n", { max_response_bytes = 0 }):body())
      assert.equal("too_large", (receive(chunked, { max_response_bytes = 0 }):outcome()))
      assert.equal(
        "too_large",
        (receive("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", { max_response_bytes = 0 }):outcome())
      )
      assert.equal(
        "too_large",
        (receive("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", { max_response_bytes = 0.5 }):outcome())
      )
    end)

    it("counted after decompression", function()
      local bomb = gzip("head -c 50000000 /dev/zero")
      assert.is_true(#bomb < 1000000)
      local head = ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"):format(#bomb)
      local transfer = receive(head .. bomb, { max_response_bytes = 1000000 })
      assert.same({ "too_large", "the response's body exceeds max_response_bytes" }, { transfer:outcome() })
      assert.is_true(#transfer:body() <= 1000000)
    end)
  end)

  it("is decoded", function()
    local packed = gzip([[printf '{"a":1}']])
    local head = ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"):format(#packed)
    local transfer = response(head .. packed)
    assert.equal('{"a":1}', transfer:body())
    assert.same({ a = 1 }, transfer:decode())
    transfer = receive(head .. packed:sub(1, 12) .. ("\0"):rep(#packed - 12))
    assert.equal("connection", (transfer:outcome()))
  end)

  describe("may have a Content-Encoding", function()
    -- The contents of a file as zlib's own format, which is "deflate", and as what is in it, which is sent under that name,
    -- too. (gzip's is a head of ten bytes, the bare data, a checksum and the length.)
    local function deflated(text)
      local bare = gzip(("printf '%s'"):format(text)):sub(11, -9)
      local a, b = 1, 0
      for i = 1, #text do -- Adler-32 (RFC 1950)
        a = (a + text:byte(i)) % 65521
        b = (b + a) % 65521
      end
      return "\x78\x9c" .. bare .. string.pack(">I2I2", b, a), bare
    end

    local function encoded(encoding, bytes, more)
      return receive(
        ("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s"):format(
          encoding:gsub("[^\n]+", "Content-Encoding: %0\r"):gsub("\r$", "\r\n"),
          #bytes,
          bytes
        ),
        more
      )
    end

    local JSON = '{"a":1}'
    local packed = gzip(("printf '%s'"):format(JSON))
    local zlibs, bare = deflated(JSON)

    it("that is undone, in every form of it", function()
      for name, form in pairs {
        gzip = { "gzip", packed },
        ["in capitals"] = { "GZIP", packed },
        ["x-gzip"] = { "x-gzip", packed },
        ["with a parameter, which it has none of"] = { "gzip;q=1", packed },
        deflate = { "deflate", zlibs },
        ["deflate without zlib's head"] = { "deflate", bare },
        ["two members"] = { "gzip", gzip([[printf '{"a"']]) .. gzip([[printf ':1}']]) },
        ["followed by something"] = { "gzip", packed .. ("\0"):rep(100) },
        ["followed by more of it"] = { "deflate", zlibs .. zlibs },
      } do
        local transfer = encoded(form[1], form[2])
        assert.same({ "response", "" }, { transfer:outcome() }, name)
        assert.equal(JSON, transfer:body(), name)
        assert.same({ a = 1 }, transfer:decode(), name)
      end
    end)

    it("and another upon it", function()
      local path = os.tmpname()
      local file = assert(io.open(path, "wb"))
      file:write(packed)
      file:close()
      local twice = gzip("cat " .. path)
      os.remove(path)
      for _, encoding in ipairs { "gzip, gzip", "gzip,x-gzip", "gzip\ngzip" } do
        assert.equal(JSON, encoded(encoding, twice):body(), encoding)
      end
      local transfer = encoded("gzip, gzip, gzip, gzip, gzip, gzip", twice)
      assert.equal("encoding", (transfer:outcome()))
    end)

    it("whatever the pieces are in which it comes", function()
      for encoding, bytes in pairs { gzip = packed .. packed, deflate = zlibs } do
        local one <close> = server.start(
          [[return function(connection)
            local pieces = {}
            for i = 1, #args.bytes do
              pieces[i] = args.bytes:sub(i, i)
            end
            connection:chunked(200, { ["Content-Encoding"] = args.encoding }, pieces, 0.001)
          end]],
          { args = { encoding = encoding, bytes = bytes } }
        )
        local transfer = support.send(t, { url = one:url() })
        assert.equal(encoding == "gzip" and JSON .. JSON or JSON, transfer:body())
      end
    end)

    it("that names none, and then the body is taken as it is", function()
      for _, encoding in ipairs {
        "UTF-8",
        "utf8",
        "aws-chunked",
        "",
        " ",
        ",",
        "identity",
        "none",
        "binary",
        "chunked",
        "iso-8859-1",
        "US-ASCII",
        "windows-1252",
        "application/json",
        "charset=utf-8",
        '"utf-8"',
        "UTF-8, identity",
        "UTF-8\naws-chunked",
      } do
        local transfer = encoded(encoding, JSON)
        assert.same({ "response", "" }, { transfer:outcome() }, encoding)
        assert.equal(JSON, transfer:body(), encoding)
      end
      for _, encoding in ipairs { "gzip, UTF-8", "utf-8,gzip", "aws-chunked, gzip", "gzip\nUTF-8" } do
        assert.equal(JSON, encoded(encoding, packed):body(), encoding)
      end
    end)

    it("that is not known, and then it is told at once which", function()
      for encoding, name in pairs {
        compress = "compress",
        zstd = "zstd",
        br = "br",
        foo = "foo",
        ["gzip, foo"] = "foo",
        ["gzip\nfoo"] = "foo",
        [("x"):rep(1000)] = ("x"):rep(40),
      } do
        local transfer = encoded(encoding, packed)
        local kind, message = transfer:outcome()
        assert.same({ "encoding", 200, true }, { kind, transfer:status(), transfer:sent() }, encoding)
        assert.matches("'" .. name .. "'", message, 1, true)
      end
      -- but for one that has no body
      assert.equal("response", (encoded("foo", ""):outcome()))
      assert.equal("", receive("HTTP/1.1 204 No Content\r\nContent-Encoding: foo\r\n\r\n"):body())
    end)

    it("of an interim response, which does not count", function()
      local head =
        "HTTP/1.1 103 Early Hints\r\nContent-Encoding: foo\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"
      assert.equal(JSON, response(head .. JSON):body())
    end)

    it("that the body is not of, or not to its end", function()
      for name, form in pairs {
        ["no gzip"] = { "gzip", JSON },
        ["damaged"] = { "gzip", packed:sub(1, 12) .. ("\0"):rep(#packed - 12) },
        ["a wrong checksum"] = { "gzip", packed:sub(1, -9) .. "\0\0\0\0" .. packed:sub(-4) },
        ["no deflate"] = { "deflate", "\255\255\255" },
        ["cut off"] = { "gzip", packed:sub(1, -2) },
        ["cut off in the head"] = { "gzip", packed:sub(1, 1) },
        ["cut off below"] = { "gzip, gzip", gzip("printf '\\037\\213\\010'") },
      } do
        local kind, message = encoded(form[1], form[2]):outcome()
        assert.equal("connection", kind, name)
        assert.matches(name:find("cut off") and "cut off" or "not encoded as", message)
      end
    end)

    it("that unfolds to much which unfolds to nothing", function()
      local empty = { gzip = gzip("printf ''"), deflate = ("\0\0\0\255\255"):rep(4) } -- members; blocks
      for encoding, unit in pairs(empty) do
        local path = os.tmpname()
        local file = assert(io.open(path, "wb"))
        file:write(unit:rep(100000))
        file:close()
        local kind, message = encoded(encoding .. ", gzip", gzip("cat " .. path)):outcome()
        os.remove(path)
        assert.equal("connection", kind, encoding)
        assert.matches("not encoded as", message)
      end
    end)

    it("that unfolds to more than is accepted", function()
      for encoding, command in pairs {
        gzip = "head -c 50000000 /dev/zero",
        ["gzip, gzip"] = "head -c 50000000 /dev/zero | gzip -9",
      } do
        local bomb = gzip(command)
        local transfer = encoded(encoding, bomb, { max_response_bytes = 1000000 })
        assert.same({ "too_large", "the response's body exceeds max_response_bytes" }, { transfer:outcome() })
        assert.is_true(#transfer:body() <= 1000000)
      end
    end)
  end)

  describe("is none", function()
    it("when it ends too early or makes no sense", function()
      for name, bytes in pairs {
        ["no byte"] = "",
        ["half a status line"] = "HTTP/1.1 20",
        ["half of the headers"] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
        ["an interim response only"] = "HTTP/1.1 100 Continue\r\n\r\n",
        ["a short body"] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
        ["no body"] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
        ["a missing last chunk"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        ["half a chunk"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
        ["a chunk of no size"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n",
        ["a chunk of another size"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
        ["not HTTP"] = "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        ["JSON"] = '{"a":1}',
        ["a status that is none"] = "HTTP/1.1 abc OK\r\n\r\n",
        ["a length that is none"] = "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}",
      } do
        local transfer = receive(bytes)
        local kind, message = transfer:outcome()
        assert.equal("connection", kind, name)
        assert.is_true(#message > 5, name)
        assert.is_true(transfer:sent(), name)
      end
    end)

    it("when the connection is reset", function()
      s = server.start { { reset = true }, { reset = true, truncate = 3, body = "0123456789" } }
      for _ = 1, 2 do
        local transfer = support.send(t, { url = s:url(), method = "POST", body = "x" })
        assert.equal("connection", (transfer:outcome()))
        assert.is_true(transfer:sent())
      end
    end)

    it("and then the next request is as good as any", function()
      s = server.start { { truncate = 1, body = "{}" }, { body = "{}" } }
      assert.equal("connection", (support.send(t, { url = s:url() }):outcome()))
      assert.equal("response", (support.send(t, { url = s:url() }):outcome()))
    end)
  end)

  describe("is decoded", function()
    it("straight from where it arrived", function()
      local transfer =
        response('HTTP/1.1 200 OK\r\n\r\n {"id":"bat-1","n":12,"none":null,"list":[],"big":9007199254740993}')
      local value = transfer:decode()
      assert.same({ id = "bat-1", n = 12, list = {}, big = 9007199254740993 }, value)
      assert.equal("integer", math.type(value.n))
      assert.equal(core.array, getmetatable(value.list))
      local decoder = core.decoder()
      for _ = 1, 2 do
        assert.same({ none = value.none, id = value.id }, transfer:decode(decoder, math.huge, { "none", "id" }))
        assert.same(value, transfer:decode(decoder))
      end
    end)

    it("with a message and a place if it is no JSON", function()
      assert.same(
        { nil, "expected ',' or '}' but found 'x' at byte 10", 10 },
        { response('HTTP/1.1 200 OK\r\n\r\n{"a": 1  x'):decode() }
      )
      local value, message, offset = response("HTTP/1.1 204 No Content\r\n\r\n"):decode()
      assert.is_nil(value)
      assert.matches("empty", message)
      assert.equal(1, offset)
    end)

    it("however large it is", function()
      local body = "[" .. ('{"id":"bat-1"},'):rep(200000) .. "7]"
      local value = response("HTTP/1.1 200 OK\r\n\r\n" .. body):decode()
      assert.equal(200001, #value)
      assert.equal("bat-1", value[200000].id)
    end)
  end)

  it("frees its memory when it is closed, whether or not it is collected", function()
    if process.instrumented then
      pending("memory is not what it is otherwise under a sanitizer or valgrind")
      return
    end
    local function resident()
      for line in io.lines("/proc/self/status") do
        local kib = line:match("^VmRSS:%s*(%d+)")
        if kib then
          return tonumber(kib) / 1024
        end
      end
    end
    s = server.start { { body = ("x"):rep(20000000) } }
    local kept = {}
    local before = resident()
    for i = 1, 20 do
      kept[i] = support.send(t, { url = s:url() })
      assert.equal("response", (kept[i]:outcome()))
      kept[i]:close()
    end
    assert.is_true(resident() - before < 80, "closed transfers keep their bodies")
  end)
end)

-- HTTP/2: what was not processed, and connections that are dead without a sign of it.

local certificates = require("spec.support.certificates")
local core = require("llama_cloud.core")
local process = require("spec.support.process")
local server = require("spec.support.server")
local support = require("spec.support.transport")

local slowdown = process.slowdown

-- What becomes of a request tells its body; each such body is treated so once, or, with a `!`, always.
local SERVER = [[
  local cqueues = require("cqueues")
  local http2 = require("spec.support.http2")
  local seen = {}
  local faults = {
    ["refused"] = function(stream) stream:reset(http2.REFUSED_STREAM) end,
    ["refused, then closed"] = function(stream)
      stream:reset(http2.REFUSED_STREAM)
      repeat
        cqueues.sleep(0.01)
      until seen["refused, then closed"] == 2 -- both at once could look like a connection that broke
      stream:close()
    end,
    ["GOAWAY below"] = function(stream) stream:goaway(0) end,
    ["GOAWAY below with an error"] = function(stream) stream:goaway(0, http2.ENHANCE_YOUR_CALM) end,
    ["GOAWAY below, then closed"] = function(stream) stream:goaway(0) stream:close() end,
    ["GOAWAY with notice"] = function(stream)
      stream:goaway(0x7fffffff)
      cqueues.sleep(0.05)
      stream:goaway(0)
    end,
    ["GOAWAY above, then closed"] = function(stream) stream:goaway(stream.id) stream:close() end,
    ["GOAWAY above, then failed"] = function(stream)
      stream:goaway(stream.id, http2.INTERNAL_ERROR)
      stream:reset(http2.INTERNAL_ERROR)
    end,
    ["failed, then GOAWAY above"] = function(stream)
      stream:reset(http2.INTERNAL_ERROR)
      stream:goaway(stream.id, http2.INTERNAL_ERROR)
      stream:close()
    end,
    ["closed"] = function(stream) stream:close() end,
    ["reset"] = function(stream) stream.connection:reset() end,
    ["failed"] = function(stream) stream:reset(http2.INTERNAL_ERROR) end,
    ["cancelled"] = function(stream) stream:reset(http2.CANCEL) end,
    ["ended without an error"] = function(stream) stream:reset(http2.NO_ERROR) end,
    ["to be calm"] = function(stream) stream:reset(http2.ENHANCE_YOUR_CALM) end,
    ["HTTP/1.1 required"] = function(stream) stream:reset(http2.HTTP_1_1_REQUIRED) end,
    ["refused after its headers"] = function(stream) stream:head(200) stream:reset(http2.REFUSED_STREAM) end,
    ["a frame too large"] = function(stream)
      http2.send(stream.connection, http2.DATA, 0, stream.id, ("x"):rep(40000))
    end,
    ["garbage"] = function(stream) stream.connection:raw(("z"):rep(100)) stream:close() end,
  }
  local connections = {}
  return http2.serve(function(stream)
    local name, always = stream.body:match("^(.-)(!?)$")
    connections[stream.connection] = true
    if name == "half an answer" then
      stream:head(200)
    end
    if name == "hole" or name == "half an answer" then
      for connection in pairs(connections) do
        connection.silent = true
      end
      return
    end
    local delay = tonumber(name:match("^after ([%d.]+)"))
    if delay then
      cqueues.sleep(delay)
    elseif name:match("^with company, ") then
      repeat
        cqueues.sleep(0.01)
      until seen["company"]
      return faults[name:match(", (.*)")](stream)
    elseif name == "company" then
      seen[name] = true
      return
    elseif faults[name] and (always ~= "" or not seen[name]) then
      seen[name] = 1
      return faults[name](stream)
    end
    seen[name] = 2
    stream:respond(200, '{"connection":' .. stream.connection.number .. "}")
  end, args)
]]

describe("HTTP/2", function()
  local t, set, s

  if not certificates.available() then
    pending("the openssl program or its Lua module is missing")
    return
  end

  setup(function()
    set = certificates.make()
  end)

  teardown(function()
    set:remove()
  end)

  before_each(function()
    t = core.transport()
  end)

  after_each(function()
    t:close()
    s:stop()
  end)

  local function serve(alpn, args)
    local tls = { certificate = set.good.certificate, key = set.good.key, alpn = alpn or "h2" }
    s = server.start(SERVER, { tls = tls, args = args })
  end

  local function start(request)
    request.url, request.ca_file = request.url or s:url(), set.ca
    request.method = request.method or request.body and "POST" or "GET"
    request.timeout = request.timeout or 5 * slowdown
    return t:start(request)
  end

  local function send(request)
    return support.finish(t, start(request))
  end

  -- How often a request with this body has come.
  local function seen(body)
    local count = 0
    for _, request in ipairs(s:requests()) do
      count = count + (request.body == body and 1 or 0)
    end
    return count
  end

  for _, name in ipairs {
    "refused",
    "refused, then closed",
    "GOAWAY below",
    "GOAWAY below with an error",
    "GOAWAY below, then closed",
    "GOAWAY with notice",
  } do
    it("says that a request was not processed, which is sent again: " .. name, function()
      serve()
      assert.equal("response", (send({}):outcome())) -- a connection that could be taken, and is not
      local transfer = send { body = name, fresh = true }
      if transfer:outcome() == "connection" then -- libcurl 7.88 gives up after a GOAWAY
        assert.is_false(transfer:sent())
        assert.equal(1, seen(name))
        transfer = send { body = name, fresh = true }
      end
      assert.same({ "response", "" }, { transfer:outcome() })
      assert.equal(2, seen(name))
      -- and so is one that may be repeated, on whatever connection
      s:stop()
      serve()
      assert.equal("response", (send({}):outcome()))
      transfer = send { body = name, repeatable = true }
      if transfer:outcome() == "connection" then
        transfer = send { body = name, repeatable = true }
      end
      assert.same({ "response", "" }, { transfer:outcome() })
    end)
  end

  for _, name in ipairs {
    "GOAWAY above, then closed",
    "GOAWAY above, then failed",
    "failed, then GOAWAY above",
    "closed",
    "reset",
    "failed",
    "cancelled",
    "ended without an error",
    "to be calm",
    "refused after its headers",
    "a frame too large",
    "garbage",
  } do
    it("says nothing of that, and a request that may not be repeated is not: " .. name, function()
      serve()
      local transfer = send { body = name, fresh = true, timeout = 2 * slowdown }
      assert.not_equal("response", (transfer:outcome()))
      assert.is_true(transfer:sent())
      assert.equal(1, seen(name))
    end)
  end

  for _, fault in ipairs { "GOAWAY above, then closed", "closed", "reset", "failed", "garbage" } do
    it("nor when others, which may be repeated, come while it is under way: " .. fault, function()
      for _, fresh in ipairs { true, false } do
        serve()
        local name = "with company, " .. fault
        local transfer = start { body = name, fresh = fresh, timeout = 2 * slowdown }
        support.step_until(t, function()
          return seen(name) == 1
        end)
        start { body = "company", repeatable = true }
        support.finish(t, transfer)
        assert.not_equal("response", (transfer:outcome()))
        assert.is_true(transfer:sent())
        assert.equal(1, seen(name))
        s:stop()
      end
    end)
  end

  it("may ask for HTTP/1.1, which does not say that the request was not processed", function()
    serve { "h2", "http/1.1" }
    local transfer = send { body = "HTTP/1.1 required", fresh = true }
    assert.equal("connection", (transfer:outcome()))
    assert.is_true(transfer:sent())
    s:stop()
    serve { "h2", "http/1.1" }
    transfer = send { body = "HTTP/1.1 required", repeatable = true }
    assert.equal('{"version":1}', transfer:body())
  end)

  it("may refuse for ever, which ends, and the request was not sent", function()
    serve()
    local transfer = send { body = "refused!", fresh = true }
    local kind, message = transfer:outcome()
    assert.equal("connection", kind)
    assert.matches("refused", message)
    assert.is_false(transfer:sent())
    assert.equal(4, seen("refused!"))
  end)

  it("says so of a request without a body, too", function()
    serve()
    for name in pairs { PATCH = true, POST = true } do
      local transfer = send { method = name } -- with a connection of its own because it is not repeatable
      assert.same({ "response", "" }, { transfer:outcome() })
      assert.is_true(transfer:sent())
    end
    assert.equal(2, s:connections())
  end)

  for _, streams in ipairs { 1, 3, 100 } do
    local requests = process.instrumented and 30 or 100
    it(
      ("loses none of %d requests at once that are not repeatable, with %d streams"):format(requests, streams),
      function()
        serve(nil, { max_streams = streams })
        local transfers = {}
        for i = 1, requests do
          transfers[i] = start { body = "after 0.01 " .. i, fresh = true, timeout = 60 * slowdown }
        end
        for i, transfer in ipairs(transfers) do
          support.step_until(t, function()
            return transfer:done()
          end)
          assert.same({ "response", "" }, { transfer:outcome() })
          assert.equal(1, seen("after 0.01 " .. i))
        end
      end
    )
  end

  it("shares a connection between requests that may be repeated", function()
    serve()
    send {}
    local transfers = {}
    for i = 1, 20 do
      transfers[i] = start { body = "after 0.01", repeatable = true }
    end
    for _, transfer in ipairs(transfers) do
      support.step_until(t, function()
        return transfer:done()
      end)
      assert.equal('{"connection":1}', transfer:body())
    end
    assert.equal(1, s:connections())
  end)

  describe("leaves a connection on which an attempt times out", function()
    local patience = 0.4 * slowdown

    local function connection(request)
      request.repeatable = true
      local transfer = send(request)
      assert.same({ "response", "" }, { transfer:outcome() })
      return transfer:decode().connection
    end

    local function dig_hole()
      local transfer = send { body = "hole", repeatable = true, timeout = patience }
      assert.equal("timeout", (transfer:outcome()))
    end

    it("and takes another, again and again", function()
      serve()
      local rounds = process.instrumented and 2 or 5
      for round = 1, rounds do
        assert.equal(round, connection {})
        assert.equal(round, connection {})
        dig_hole()
      end
      assert.equal(rounds + 1, connection {})
      assert.equal(rounds + 1, s:connections())
    end)

    it("though others hang on it, and does not wait for them", function()
      serve()
      local hanging = {}
      for round = 1, process.instrumented and 1 or 3 do
        assert.equal(round, connection {})
        for _ = 1, 5 do
          hanging[#hanging + 1] = start { body = "after 60", repeatable = true, timeout = 60 * slowdown }
        end
        dig_hole()
        assert.equal(round + 1, connection { timeout = 10 * slowdown })
      end
      for _, transfer in ipairs(hanging) do
        assert.is_false(transfer:done())
        transfer:close()
      end
    end)

    it("and comes back to none that was idle then", function()
      serve()
      local elsewhere = ("https://127.0.0.1:%d/"):format(s.port)
      assert.equal(1, connection {})
      assert.equal(2, connection { url = elsewhere })
      for _ = 1, 2 do -- all that there are become silent
        local transfer = send { body = "hole", repeatable = true, timeout = patience, url = elsewhere }
        assert.equal("timeout", (transfer:outcome()))
      end
      assert.equal(4, connection {})
    end)

    it("unless it had a connection of its own", function()
      serve()
      assert.equal(1, connection {})
      assert.equal("timeout", (send({ body = "after 60", fresh = true, timeout = patience }):outcome()))
      assert.equal(1, connection {})
      assert.equal(2, s:connections())
    end)

    it("but does not end what still goes on there", function()
      serve()
      connection {}
      local slow = start { body = ("after %g"):format(3 * patience), repeatable = true }
      assert.equal("timeout", (send({ body = "after 60", repeatable = true, timeout = patience }):outcome()))
      assert.equal(2, connection {})
      support.finish(t, slow)
      assert.equal(1, slow:decode().connection)
      assert.equal(2, connection {})
    end)

    it("also if the answer had begun", function()
      serve()
      assert.equal(1, connection {})
      local transfer = send { body = "half an answer", repeatable = true, timeout = patience }
      assert.equal("timeout", (transfer:outcome()))
      assert.equal(200, transfer:status())
      assert.equal(2, connection {})
    end)
  end)
end)

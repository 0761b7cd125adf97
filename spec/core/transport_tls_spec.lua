-- HTTPS: whose certificates are believed.

local certificates = require("spec.support.certificates")
local core = require("llama_cloud.core")
local process = require("spec.support.process")
local server = require("spec.support.server")
local support = require("spec.support.transport")

describe("HTTPS", function()
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
    if s then
      s:stop()
    end
    s = nil
  end)

  local function serve(kind)
    s = server.start({ { body = "{}" } }, { tls = set[kind] })
  end

  local function fails(request, pattern)
    request.url = request.url or s:url()
    local transfer = support.send(t, request)
    local kind, message, about, variable = transfer:outcome()
    assert.same({ "refused", "certificate" }, { kind, about, variable })
    assert.matches(pattern, message)
    assert.same({ 0, false }, { transfer:status(), transfer:sent() })
    assert.equal(0, s:count())
  end

  it("works with a certificate of a CA that ca_file names, by name and by address", function()
    serve("good")
    for _, url in ipairs { s:url(), ("https://127.0.0.1:%d/"):format(s.port) } do
      local transfer = support.send(t, { url = url, ca_file = set.ca, method = "POST", body = "x" })
      assert.same({ "response", "" }, { transfer:outcome() })
      assert.is_true(transfer:sent())
    end
  end)

  it("keeps its connection", function()
    serve("good")
    for _ = 1, 5 do
      assert.equal("response", (support.send(t, { url = s:url(), ca_file = set.ca }):outcome()))
    end
    assert.equal(1, s:connections())
  end)

  it("believes no CA but the system's without ca_file", function()
    serve("good")
    fails({}, "certificate")
    fails({ method = "POST", body = "x" }, "certificate")
  end)

  it("believes no other CA", function()
    serve("unknown_ca")
    fails({ ca_file = set.ca }, "certificate")
  end)

  it("wants the server's name in the certificate", function()
    serve("wrong_name")
    fails({ ca_file = set.ca }, "localhost")
  end)

  it("wants a certificate that has not expired", function()
    serve("expired")
    fails({ ca_file = set.ca }, "expired")
  end)

  it("believes anything if it is told to", function()
    for _, kind in ipairs { "good", "unknown_ca", "wrong_name", "expired" } do
      serve(kind)
      assert.equal("response", (support.send(t, { url = s:url(), verify = false }):outcome()))
      -- which does not rub off on a request that is not told so
      local transfer = support.send(t, { url = s:url() })
      assert.equal("refused", (transfer:outcome()))
      s:stop()
    end
    s = nil
  end)

  it("does not use a verified connection's leniency or another ca_file's for others", function()
    serve("good")
    assert.equal("response", (support.send(t, { url = s:url(), ca_file = set.ca }):outcome()))
    local transfer = support.send(t, { url = s:url() })
    assert.equal("refused", (transfer:outcome()))
    transfer = support.send(t, { url = s:url(), ca_file = set.directory .. "/other_ca.pem" })
    assert.equal("refused", (transfer:outcome()))
    assert.equal(1, s:count())
  end)

  it("is refused with a ca_file that is not there or holds no certificate", function()
    serve("good")
    local empty = set.directory .. "/empty.pem"
    assert(io.open(empty, "w")):close()
    for _, path in ipairs { "/nonexistent/ca.pem", set.directory .. "/ca.cnf", set.directory, empty, "" } do
      local transfer = support.send(t, { url = s:url(), ca_file = path })
      local kind, message, about = transfer:outcome()
      assert.same({ "refused", "ca_file", false }, { kind, about, transfer:sent() }, path)
      assert.is_true(#message > 5)
    end
  end)

  it("does not fall back to plain HTTP, nor HTTP to it", function()
    serve("good")
    local patience = 0.3 * process.slowdown
    local transfer = support.send(t, { url = s:url():gsub("^https", "http"), verify = false, timeout = patience })
    assert.not_equal("response", (transfer:outcome()))
    assert.equal(0, s:count())
    s:stop()
    s = server.start { { body = "{}" } }
    transfer = support.send(t, { url = s:url():gsub("^http", "https"), verify = false, timeout = patience })
    assert.not_equal("response", (transfer:outcome()))
    assert.is_false(transfer:sent())
  end)

  it("survives a peer that goes away while it is written to", function()
    -- a write to it would end the process by SIGPIPE, if nobody saw to it
    local going = [[
      return print, function(connection)
        connection:receive()
        connection:reset()
      end]]
    for _, tls in ipairs { set.good, false } do
      s = server.start(going, { tls = tls or nil })
      for _ = 1, 5 do
        local body = ("x"):rep(20000000)
        local transfer = support.send(t, { url = s:url(), ca_file = set.ca, method = "POST", body = body })
        assert.equal("connection", (transfer:outcome()))
      end
      s:stop()
    end
    s = nil
  end)

  it("needs TLS 1.2", function()
    local command = ("timeout 60 openssl s_server -accept 127.0.0.1:0 -www -cert %s -key %s %s"):format(
      set.good.certificate,
      set.good.key,
      "-cipher ALL:@SECLEVEL=0 -%s >%s 2>&1 </dev/null & echo $!"
    )
    for _, version in ipairs { "tls1_1", "tls1_2", "tls1_3" } do
      local port_file = os.tmpname()
      local pipe = assert(io.popen("unset LD_PRELOAD ASAN_OPTIONS; " .. command:format(version, port_file)))
      local pid = pipe:read("n")
      pipe:close()
      local port = server.wait_for(function()
        local file = assert(io.open(port_file))
        local text = file:read("a")
        file:close()
        return text:match("ACCEPT %S-:(%d+)")
      end, "openssl s_server")
      local url = ("https://localhost:%s/"):format(port)
      local transfer = support.send(t, { url = url, ca_file = set.ca, timeout = 10 * process.slowdown })
      os.execute("kill " .. pid)
      assert.equal(version == "tls1_1" and "connection" or "response", (transfer:outcome()), version)
      os.remove(port_file)
    end
  end)
end)

-- What waiting does not mend, and what it is about; proxies that refuse.

local certificates = require("spec.support.certificates")
local core = require("llama_cloud.core")
local process = require("spec.support.process")
local server = require("spec.support.server")
local support = require("spec.support.transport")

local slowdown = process.slowdown

-- Sends one request and prints what its outcome is about, then whether it was sent.
local CHILD = [[
  local core = require("llama_cloud.core")
  local url, proxy = ...
  local t = core.transport()
  local transfer = t:start { method = "POST", body = "x", url = url, proxy = proxy, timeout = 10 }
  while not transfer:done() do t:wait(10) t:step() end
  local kind, message, about, variable = transfer:outcome()
  print(kind, about, variable, transfer:sent(), transfer:status())
  print(message)
]]

-- Of the environment all that names a proxy.
local function clean(more)
  local environment = { no_proxy = false, NO_PROXY = false }
  for _, name in ipairs { "http_proxy", "https_proxy", "all_proxy" } do
    environment[name], environment[name:upper()] = false, false
  end
  for name, value in pairs(more) do
    environment[name] = value
  end
  return environment
end

describe("an attempt that fails", function()
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

  -- What a request in a process of this environment comes to: kind, about, variable, sent, status; and the message.
  local function in_environment(environment, url, proxy)
    local output, well = process.run(CHILD, { args = { url, proxy }, environment = clean(environment) })
    assert.is_true(well, output)
    local words, message = output:match("^(.-)\n(.*)\n$")
    return words:gsub("\t", " "), message
  end

  local function fails(kind, about, request)
    request.timeout = request.timeout or 10 * slowdown
    local transfer = support.send(t, request)
    local found, message, what = transfer:outcome()
    assert.same({ kind, about, false, 0 }, { found, what, transfer:sent(), transfer:status() }, request.url .. message)
    assert.is_true(#message > 5)
    return message
  end

  describe("for good, names", function()
    it("a URL that is none", function()
      for _, url in ipairs { "", "http://", "http://127.0.0.1:99999/", "http://[::1/", "http://a b/", "//" } do
        fails("refused", "url", { url = url, proxy = "" })
      end
      for _, url in ipairs { "ftp://127.0.0.1/", "file:///etc/passwd", "gopher://x/", "nonsense://x/" } do
        fails("refused", "url", { url = url, proxy = "" })
      end
    end)

    it("a host that no name server can know", function()
      for _, host in ipairs { ("a"):rep(64) .. ".example", "a..example", ("abcdefg."):rep(40) .. "example" } do
        fails("refused", "host", { url = "http://" .. host .. "/", proxy = "" })
      end
      -- but not one that it does not know now
      fails("connection", "name", { url = "http://" .. ("a"):rep(63) .. ".invalid/", proxy = "" })
      fails("connection", "name", { url = "http://name.invalid./", proxy = "" })
    end)

    it("a host whose name cannot be encoded", function()
      for _, host in ipairs { "b\u{fc}cher.localhost", "\255.localhost", "\u{202e}.localhost" } do
        local output, well = process.run(CHILD, {
          args = { "http://" .. host .. ":1/", "" },
          environment = clean { LC_ALL = "C", LANG = "C" },
        })
        assert.is_true(well, output)
        -- some versions of libcurl need the locale for it and some do not; then the name is one that leads nowhere
        if not (host:find("cher") and output:find("^connection")) then
          assert.matches("^refused\thost\tnil\tfalse\t0\n", output)
        end
      end
    end)

    it("but not a host whose name was encoded, and is not known now", function()
      local output, well = process.run("if not os.setlocale('C.UTF-8') then return end " .. CHILD, {
        args = { "http://b\u{fc}cher.invalid:1/", "" },
        environment = clean {},
      })
      assert.is_true(well, output)
      if output == "" then
        return pending("there is no locale with the letters here")
      end
      assert.matches("^connection\tname\tnil\tfalse\t0\n", output)
    end)

    it("a proxy that is none", function()
      for _, proxy in ipairs {
        "ftp://127.0.0.1:1",
        "http://[::1",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:port",
        "://",
        "http://",
        "nonsense://127.0.0.1:1",
      } do
        for _, url in ipairs { "http://127.0.0.1:1/", "https://127.0.0.1:1/" } do
          fails("refused", "proxy", { url = url, proxy = proxy })
          fails("refused", "proxy", { url = url, proxy = proxy, method = "POST", body = "x", fresh = true })
        end
      end
    end)

    it("the variable of the environment that the proxy comes from", function()
      for _, row in ipairs {
        { "http", "http_proxy" },
        { "http", "all_proxy" },
        { "http", "ALL_PROXY" },
        { "https", "https_proxy" },
        { "https", "HTTPS_PROXY" },
        { "https", "all_proxy" },
        { "https", "ALL_PROXY" },
        { "http", "http_proxy", "all_proxy" },
        { "https", "HTTPS_PROXY", "ALL_PROXY" },
      } do
        local environment = { [row[2]] = "ftp://127.0.0.1:1" }
        if row[3] then
          environment[row[3]] = "http://127.0.0.1:1"
        end
        local found = in_environment(environment, row[1] .. "://127.0.0.1:1/")
        assert.equal("refused proxy " .. row[2] .. " false 0", found)
      end
      -- and none that libcurl does not look at
      assert.equal(
        "connection address nil false 0",
        (in_environment({ HTTP_PROXY = "ftp://x", https_proxy = "ftp://x" }, "http://127.0.0.1:1/"))
      )
      assert.equal(
        "connection address nil false 0",
        (in_environment({ all_proxy = "ftp://x", no_proxy = "127.0.0.1" }, "http://127.0.0.1:1/"))
      )
      assert.equal(
        "connection address nil false 0",
        (in_environment({ all_proxy = "ftp://x" }, "http://127.0.0.1:1/", ""))
      )
      assert.equal(
        "refused proxy nil false 0",
        (in_environment({ all_proxy = "http://127.0.0.1:1" }, "http://127.0.0.1:1/", "ftp://x"))
      )
    end)

    it("a header that is too long, whatever libcurl makes of it", function()
      s = server.start { { body = "{}" } }
      for _, length in ipairs { 1 << 18, 300 * 1024 - 10, 300 * 1024 + 10, 600000, 2 << 20 } do
        for _, request in ipairs { {}, { method = "POST", body = "x", fresh = true } } do
          request.url, request.headers = s:url(), { "X-A", "1", "X-Long", ("v"):rep(length), "X-B", "2" }
          local message = fails("refused", nil, request)
          assert.matches("256 KiB", message, 1, true)
        end
      end
      assert.equal(0, s:connections())
      local value = ("v"):rep(200000)
      local transfer = support.send(t, { url = s:url(), headers = { "X-Long", value } })
      assert.equal("response", (transfer:outcome()))
      assert.is_true(s:requests()[1].headers["x-long"] == value)
    end)
  end)

  describe("at a proxy", function()
    -- What the proxy does with a CONNECT.
    local function refuses(script, pattern)
      s = server.start(script)
      local proxy = s:url()
      local with_password = proxy:gsub("//", "//user:secret@")
      for _, request in ipairs { {}, { method = "POST", body = "x" }, { method = "POST", body = "x", fresh = true } } do
        request.url, request.proxy = "https://name.example/", with_password
        local message = fails("connection", "proxy", request)
        assert.matches(pattern, message)
        assert.matches(proxy, message, 1, true)
        assert.is_nil(message:find("secret", 1, true))
      end
      local found, message = in_environment({ https_proxy = with_password }, "https://name.example/")
      assert.equal("connection proxy https_proxy false 0", found)
      assert.matches(proxy, message, 1, true)
      s:stop()
      s = nil
    end

    it("that refuses the tunnel, names it and its status", function()
      for _, status in ipairs { 301, 400, 403, 407, 429, 502, 503 } do
        refuses(
          ("return function(c) c:respond(%d, { ['Proxy-Authenticate'] = 'Basic' }, '{}') end"):format(status),
          "status " .. status
        )
      end
    end)

    it("that closes or makes no sense, names it", function()
      refuses("return function(c) c:close() end", "%(proxy ")
      refuses("return function(c) c:reset() end", "%(proxy ")
      refuses("return function(c) c:raw('SSH-2.0-x\\r\\n\\r\\n') c:close() end", "%(proxy ")
    end)

    it("whose tunnel leads nowhere, was not sent", function()
      refuses("return function(c) c:raw('HTTP/1.1 200 OK\\r\\n\\r\\n') c:close() end", "%(proxy ")
    end)

    it("that cannot be reached, names it", function()
      for _, url in ipairs { "http://name.example/", "https://name.example/" } do
        fails("connection", "proxy", { url = url, proxy = "http://proxy.invalid:3128" })
      end
    end)

    it("is an answer if that is one: of a proxy for http there is no tunnel", function()
      s = server.start { { status = 407, body = "{}" } }
      local transfer = support.send(t, { url = "http://name.example/", proxy = s:url(), method = "POST", body = "x" })
      assert.same({ "response", "" }, { transfer:outcome() })
      assert.same({ 407, true }, { transfer:status(), transfer:sent() })
    end)
  end)

  describe("at TLS", function()
    if not certificates.available() then
      pending("the openssl program or its Lua module is missing")
      return
    end

    local set

    setup(function()
      set = certificates.make()
    end)

    teardown(function()
      set:remove()
    end)

    it("was not sent, and names the certificate, through a tunnel as well", function()
      local target <close> = server.start({ { body = "{}" } }, { tls = set.expired })
      s = server.start([[return function(c, r)
        local socket = require("cqueues.socket").connect("127.0.0.1", tonumber(r.target:match(":(%d+)")))
        socket:setmode("bn", "bn")
        socket:onerror(function(_, _, code) return code end)
        c:raw("HTTP/1.1 200 OK\r\n\r\n")
        require("cqueues").running():wrap(function()
          for bytes in function() return socket:xread(-65536, "bn") end do c:raw(bytes) end
          pcall(c.socket.shutdown, c.socket, "w")
        end)
        repeat
          local bytes = c:receive()
          if bytes then socket:xwrite(bytes, "bn") end
        until not bytes
      end]])
      for _, proxy in ipairs { "", s:url() } do
        local request = { url = target:url(), ca_file = set.ca, proxy = proxy, method = "POST", body = "x" }
        assert.matches("expired", fails("refused", "certificate", request))
      end
      assert.equal(1, s:count())
    end)

    it("does not look for a ca_file that is not there where it needs none", function()
      s = server.start { { body = "{}" } }
      local transfer = support.send(t, { url = s:url(), ca_file = "/nonexistent/ca.pem" })
      assert.equal("response", (transfer:outcome()))
    end)
  end)
end)

-- What cannot be sent from here until something is changed: the call ends at once, and so does a wait. The message names the
-- option, or the environment variable, that it is about.

local certificates = require("spec.support.certificates")
local process = require("spec.support.process")
local server = require("spec.support.server")
local support = require("spec.support.client")

-- Checks that a call and a wait end at once with such an error, which says all of this.
local function check(base_url, options, ...)
  local client = support.client(base_url, options)
  local function calls()
    return {
      get = { client.batches:get("bat-1", nil, { max_retries = 5 }) },
      create = { client.batches:create(support.BATCH, { max_retries = 5 }) },
      wait = { client.batches:wait("bat-1", nil, { total_timeout = 60, polling_interval = 30 }) },
      run = { client.batches:run(support.BATCH, { total_timeout = 60, polling_interval = 30 }) },
    }
  end
  for name, result in pairs(calls()) do
    local err = result[2]
    assert.is_nil(result[1], name)
    assert.equal("connection", err.kind, name)
    assert.is_true(err.permanent, ("%s: %s"):format(name, err))
    assert.equal(1, err.attempts, name)
    assert.is_false(err.maybe_sent, name)
    for _, words in ipairs { ... } do
      assert.is_truthy(err.message:find(words, 1, true), ("%s: %s"):format(name, err.message))
    end
  end
  for id, batch, err in client.batches:wait_all({ "bat-1" }, nil, { total_timeout = 60, polling_interval = 30 }) do
    assert.equal("bat-1", id)
    assert.is_nil(batch)
    assert.is_true(err.permanent)
  end
end

describe("what cannot be sent from here ends calls and waits:", function()
  it("a file of certificates that is not there, or is none", function()
    local option = "the client's option ca_file"
    check("https://127.0.0.1:9", { ca_file = "/does/not/exist.pem" }, option)
    local path = os.tmpname()
    assert(io.open(path, "w")):write("no certificate\n"):close()
    local s <close> = server.start { { body = "{}" } } -- libcurl reads the file when it is connected
    check("https://127.0.0.1:" .. s.port, { ca_file = path }, option)
    os.remove(path)
  end)

  it("a proxy that is none", function()
    for _, proxy in ipairs { "ftp://127.0.0.1:1", "http://[::1", "http://127.0.0.1:99999" } do
      check("http://127.0.0.1:9", { proxy = proxy }, "the client's option proxy")
    end
  end)

  it("a host whose name cannot be one", function()
    check("https://" .. ("a"):rep(64) .. ".example", {}, "check the client's option base_url")
  end)

  it("a certificate that is not trusted, is another's, or is out of date", function()
    if not certificates.available() then
      return pending("the openssl program or its Lua module is missing")
    end
    local set <close> = setmetatable(certificates.make(), {
      __close = function(made)
        made:remove()
      end,
    })
    local s <close> = server.start({ { body = "{}" } }, { tls = set.wrong_name })
    check(s:url(), { ca_file = set.ca }, "certificate is that of another host", "the client's option base_url")
    local unknown <close> = server.start({ { body = "{}" } }, { tls = set.unknown_ca })
    check(unknown:url(), { ca_file = set.ca }, "certificate", "the client's option ca_file")
    local old <close> = server.start({ { body = "{}" } }, { tls = set.expired })
    check(old:url(), { ca_file = set.ca }, "certificate has expired", "(check the clock of this machine; ")
    assert.equal(0, s:count() + unknown:count() + old:count())
  end)

  it("a proxy of the environment, by the variable's name", function()
    local variables = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" }
    for _, variable in ipairs(variables) do
      local environment = { no_proxy = false, NO_PROXY = false }
      for _, name in ipairs(variables) do
        environment[name] = false
      end
      environment[variable] = "ftp://127.0.0.1:1"
      local output, well = process.run(
        [[
          local client = require("llama_cloud").new { api_key = "llx-x", base_url = ...}
          local _, err = client.batches:get("bat-1")
          print(err.permanent, err.attempts, err.message)
        ]],
        {
          args = { (variable == "http_proxy" and "http" or "https") .. "://127.0.0.1:9" },
          environment = environment,
        }
      )
      assert.is_true(well, output)
      assert.matches("^true\t1\t", output)
      assert.is_truthy(output:find("the environment variable " .. variable .. ";", 1, true), output)
    end
  end)
end)

describe("what may be mended by waiting is no such thing:", function()
  it("nobody listens, an unknown name, a proxy that is away", function()
    local s <close> = server.start { { body = "{}" } }
    local closed = s:url()
    s:stop()
    for base_url, proxy in pairs {
      [closed] = "",
      ["http://does-not-exist.invalid"] = "",
      ["http://h.example"] = closed,
    } do
      local _, err = support.client(base_url, { proxy = proxy, max_retries = 0 }).batches:get("bat-1")
      assert.equal("connection", err.kind)
      assert.is_nil(err.permanent)
      assert.equal(proxy ~= "", err.message:find("the client's option proxy", 1, true) ~= nil, err.message)
    end
  end)
end)

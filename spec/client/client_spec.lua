-- What a client is made of: options, environment, copies, closing. What it sends is in http/request_spec.lua.

local core = require("llama_cloud.core")
local llama_cloud = require("llama_cloud")
local loop = require("llama_cloud.loop")
local process = require("spec.support.process")
local server = require("spec.support.server")
local support = require("spec.support.client")

local null = llama_cloud.null
local raises_here = support.raises_here

-- The request that f hands to the transport, which sends nothing, with the settings of its profile. Its headers are still
-- the list that they were made of.
local function intercepted(f)
  local real, headers, profile = loop.transport, core.headers, core.profile
  local seen
  local function as_given(value)
    return value
  end
  core.headers, core.profile = as_given, as_given
  loop.transport = function()
    return {
      start = function(_, settings, method, url, list, body, repeatable, timeout, deadline)
        seen = { method = method, url = url, headers = list, body = body, repeatable = repeatable }
        seen.timeout, seen.deadline = timeout, deadline
        for name, value in pairs(settings) do
          seen[name] = value
        end
        error("intercepted", 0)
      end,
    }
  end
  local ok, message = pcall(f)
  loop.transport, core.headers, core.profile = real, headers, profile
  assert(not ok and message == "intercepted", message)
  return seen
end

-- The request of a simple call of a client with these options.
local function request_of(options)
  local client = llama_cloud.new(options)
  return intercepted(function()
    client:get("/x")
  end)
end

-- A request's header; false if it is left out, nil if nothing is said of it.
local function header(request, name)
  local found
  for i = 1, #request.headers, 2 do
    if request.headers[i]:lower() == name:lower() then
      found = request.headers[i + 1]
    end
  end
  return found
end

local function in_environment(variables, f)
  return function()
    support.with_environment(variables, f)
  end
end

describe("a client's defaults", function()
  it(
    "are those that the documentation names",
    in_environment({ LLAMA_CLOUD_API_KEY = "llx-from-environment" }, function()
      local request = request_of(nil)
      assert.equal("https://api.cloud.llamaindex.ai/x", request.url)
      assert.equal(60, request.timeout)
      assert.equal(10, request.connect_timeout)
      assert.equal(math.huge, request.deadline)
      assert.equal(256 << 20, request.max_response_bytes)
      assert.is_true(request.verify)
      assert.is_nil(request.proxy)
      assert.is_nil(request.ca_file)
      assert.equal("Bearer llx-from-environment", header(request, "Authorization"))
    end)
  )

  it("are five retries, and Retry-After up to a minute", function()
    local s <close> = server.start { { status = 503, headers = { ["Retry-After-Ms"] = "0" } } }
    local client = support.client(s, { max_retries = null })
    local _, err = client:get("/x")
    assert.equal(6, err.attempts)
    assert.equal(6, s:count())

    local long <close> = server.start { { status = 503, headers = { ["Retry-After"] = "60" } } }
    local short <close> = server.start { { status = 503, headers = { ["Retry-After"] = "60.1" } } }
    -- what would be obeyed is ended by total_timeout instead
    _, err = support.client(long, { max_retries = 1, total_timeout = 30 }):get("/x")
    assert.equal("timeout", err.kind)
    _, err = support.client(short, { max_retries = 1, total_timeout = 30 }):get("/x")
    assert.equal("internal_server", err.kind)
    assert.equal(60.1, err.retry_after)
  end)

  it("are what a null asks for", function()
    local request = request_of { api_key = "k", base_url = null, timeout = null, verify = null, log = null }
    assert.equal("https://api.cloud.llamaindex.ai/x", request.url)
    assert.equal(60, request.timeout)
    assert.is_true(request.verify)
  end)
end)

describe("a client's options", function()
  it("reach the transport", function()
    local request = request_of {
      api_key = "k",
      timeout = 7,
      connect_timeout = 2.5,
      max_response_bytes = 1000,
      proxy = "http://proxy.example:3128",
      ca_file = "/ca.pem",
      verify = false,
    }
    assert.equal(7, request.timeout)
    assert.equal(2.5, request.connect_timeout)
    assert.equal(1000, request.max_response_bytes)
    assert.equal("http://proxy.example:3128", request.proxy)
    assert.equal("/ca.pem", request.ca_file)
    assert.is_false(request.verify)
    local deadline = request_of({ api_key = "k", total_timeout = 100 }).deadline
    assert.is_true(deadline <= 100 and deadline > 99)
  end)

  it("are changed for one call by that call's", function()
    local client = llama_cloud.new { api_key = "k", timeout = 7 }
    local request = intercepted(function()
      client:get("/x", { timeout = 3, total_timeout = 50 })
    end)
    assert.equal(3, request.timeout)
    assert.is_true(request.deadline <= 50)
    request = intercepted(function()
      client:get("/x", { timeout = null, total_timeout = null, max_retries = null, headers = null, query = null })
    end)
    assert.equal(7, request.timeout)
    assert.equal(math.huge, request.deadline)
  end)

  it("are refused at the caller's line when they are unknown", function()
    raises_here(function()
      llama_cloud.new { api_key = "k", max_retry = 3 }
    end, "unknown option 'max_retry' (did you mean 'max_retries'?)")
    raises_here(function()
      llama_cloud.new { api_key = "k", apikey = "k" }
    end, "unknown option 'apikey' (did you mean 'api_key'?)")
    raises_here(function()
      llama_cloud:new()
    end, "call it with a dot: llama_cloud.new(…)")
    raises_here(function()
      llama_cloud.new { "llx-secret" }
    end, "options are named")
  end)

  it("are refused at the caller's line when they are no table", function()
    for _, given in ipairs { "llx-key", 5, true, false } do
      raises_here(function()
        llama_cloud.new(given)
      end, "options must be a table, not " .. type(given))
    end
  end)

  it("are refused at the caller's line when they are of the wrong type", function()
    local wrong = {
      api_key = { 1, true, {} },
      base_url = { 1, {} },
      region = { 1 },
      project_id = { 5, true },
      organization_id = { 5 },
      timeout = { 0, -1, "60", 0 / 0 },
      connect_timeout = { 0, "10" },
      total_timeout = { 0, -5, "1" },
      max_retries = { -1, 1.5, "3", 0 / 0 },
      max_retry_after = { -1, "60", 0 / 0 },
      max_response_bytes = { -1, "1", 0.5 },
      default_headers = { "X: 1", 5 },
      default_query = { "a=1" },
      proxy = { 5, false },
      ca_file = { 5 },
      verify = { 0, "yes" },
      log = { "loud", 5, {}, true },
    }
    for name, values in pairs(wrong) do
      for _, value in ipairs(values) do
        raises_here(function()
          llama_cloud.new { api_key = "k", [name] = value }
        end, name)
      end
    end
  end)

  it("may be as large as they like", function()
    local request = request_of {
      api_key = "k",
      timeout = math.huge,
      total_timeout = math.huge,
      max_retries = math.huge,
      max_retry_after = math.huge,
      max_response_bytes = math.huge,
    }
    assert.equal(math.huge, request.timeout)
    assert.equal(math.huge, request.max_response_bytes)
  end)
end)

describe("the API key", function()
  it(
    "is the option, then LLAMA_CLOUD_API_KEY, then LLAMA_PARSE_API_KEY",
    in_environment({ LLAMA_CLOUD_API_KEY = " llx-cloud\n", LLAMA_PARSE_API_KEY = "llx-parse" }, function()
      assert.equal("Bearer llx-given", header(request_of { api_key = "llx-given" }, "Authorization"))
      assert.equal("Bearer llx-cloud", header(request_of {}, "Authorization"))
      support.with_environment({ LLAMA_CLOUD_API_KEY = "  ", LLAMA_PARSE_API_KEY = "llx-parse" }, function()
        assert.equal("Bearer llx-parse", header(request_of {}, "Authorization"))
      end)
    end)
  )

  it(
    "is asked for when there is none",
    in_environment({ LLAMA_CLOUD_API_KEY = " " }, function()
      for _, options in ipairs { {}, { api_key = "" }, { api_key = null } } do
        raises_here(function()
          llama_cloud.new(options)
        end, "no API key: pass api_key, or set the environment variable LLAMA_CLOUD_API_KEY")
      end
      raises_here(function()
        llama_cloud.new()
      end, "no API key")
    end)
  )

  it(
    "is not needed where another Authorization is given",
    in_environment({}, function()
      local request = request_of { default_headers = { authorization = "Token t" } }
      assert.equal("Token t", header(request, "Authorization"))
      assert.is_false(header(request_of { default_headers = { Authorization = false } }, "Authorization"))
      assert.is_nil(header(request_of { api_key = "", default_headers = { Authorization = false } }, "x"))
      support.with_environment({ LLAMA_CLOUD_CUSTOM_HEADERS = "Authorization: Token t" }, function()
        assert.equal("Token t", header(request_of {}, "Authorization"))
      end)
    end)
  )

  it("is trimmed, from the option and from the environment; without anything left it is missing", function()
    local expected = "Bearer llx-1"
    assert.equal(expected, header(request_of { api_key = " \tllx-1\r\n" }, "Authorization"))
    support.with_environment({ LLAMA_CLOUD_API_KEY = "\n llx-1 \n" }, function()
      assert.equal(expected, header(request_of {}, "Authorization"))
    end)
    for _, key in ipairs { "", " ", "\n", "\t \r\n" } do
      support.with_environment({ LLAMA_CLOUD_API_KEY = key }, function()
        raises_here(function()
          llama_cloud.new { api_key = key }
        end, "no API key")
        raises_here(function()
          llama_cloud.new {}
        end, "no API key")
      end)
    end
    raises_here(function()
      llama_cloud.new { api_key = "llx-1 llx-2" }
    end, "the API key contains a blank: give the key alone, without 'Bearer'")
  end)

  it("is refused with a line break in it, and not shown", function()
    for _, key in ipairs { "llx-sec\nret", "llx\r\nX-Evil: secret", "llx-\0secret", "\127llx-secret" } do
      local message = raises_here(function()
        llama_cloud.new { api_key = key }
      end, "the API key contains a line break or another control character")
      assert.is_nil(message:find("secret", 1, true))
    end
  end)
end)

describe("the base URL", function()
  local function url_of(options)
    options.api_key = "k"
    return request_of(options).url
  end

  it(
    "is the option, then LLAMA_CLOUD_BASE_URL, then the service's",
    in_environment({ LLAMA_CLOUD_BASE_URL = " https://env.example/ " }, function()
      assert.equal("https://given.example/x", url_of { base_url = "https://given.example" })
      assert.equal("https://env.example/x", url_of {})
      assert.equal("https://env.example/x", url_of { base_url = "" })
      support.with_environment({ LLAMA_CLOUD_BASE_URL = "" }, function()
        assert.equal("https://api.cloud.llamaindex.ai/x", url_of {})
      end)
    end)
  )

  it(
    "is a region's, whatever the environment says",
    in_environment({ LLAMA_CLOUD_BASE_URL = "https://env.example" }, function()
      assert.equal("https://api.cloud.eu.llamaindex.ai/x", url_of { region = "eu" })
      assert.equal("https://api.cloud.llamaindex.ai/x", url_of { region = "us" })
      assert.equal("https://api.cloud.eu.llamaindex.ai/x", url_of { region = "eu", base_url = "" })
      raises_here(function()
        llama_cloud.new { api_key = "k", region = "mars" }
      end, "unknown region 'mars': it is 'us' or 'eu', or give a base_url")
      raises_here(function()
        llama_cloud.new { api_key = "k", region = "eu", base_url = "https://h" }
      end, "either option 'region' or option 'base_url'")
    end)
  )

  it("keeps its path, and loses the slashes at its end", function()
    assert.equal("https://h.example/x", url_of { base_url = "https://h.example/" })
    assert.equal("https://h.example/x", url_of { base_url = "https://h.example///" })
    assert.equal("https://h.example/proxy/llama/x", url_of { base_url = "https://h.example/proxy/llama" })
    assert.equal("https://h.example/proxy/llama/x", url_of { base_url = "https://h.example/proxy/llama/" })
    assert.equal("http://127.0.0.1:8000/x", url_of { base_url = "http://127.0.0.1:8000" })
    assert.equal("http://[::1]:8000/x", url_of { base_url = "http://[::1]:8000" })
    assert.equal("https://H.example/x", url_of { base_url = "HTTPS://H.example" })
  end)

  it("without a scheme is answered with what to write", function()
    for text, scheme in pairs {
      ["api.cloud.eu.llamaindex.ai"] = "https",
      ["//h.example"] = "https",
      ["api.example/v1"] = "https",
      ["localhost:8000"] = "http",
      ["127.0.0.1:8000/x"] = "http",
      ["[::1]:8000"] = "http",
    } do
      raises_here(function()
        llama_cloud.new { api_key = "k", base_url = text }
      end, ("base_url '%s' has no scheme: write '%s://%s'"):format(text, scheme, text))
    end
    support.with_environment({ LLAMA_CLOUD_BASE_URL = "api.example" }, function()
      raises_here(function()
        llama_cloud.new { api_key = "k" }
      end, "LLAMA_CLOUD_BASE_URL 'api.example' has no scheme: write 'https://api.example'")
    end)
  end)

  it("is refused when it cannot be one", function()
    local wrong = {
      ["ftp://h.example"] = "must begin with https:// or http://, not ftp://",
      ["file:///etc/passwd"] = "base_url",
      ["https://"] = "is not a URL",
      ["https://h.example:99999"] = "is not a URL",
      ["https://user:pass@h.example"] = "must not hold a user name or password",
      ["https://user@h.example"] = "must not hold a user name or password",
      ["https://h.example/?a=1"] = "must not hold a query or fragment",
      ["https://h.example/#a"] = "must not hold a query or fragment",
      ["https://h.example\n"] = "contains white space or a control character",
      [" https://h.example"] = "contains white space or a control character",
      ["https://h.ex ample"] = "contains white space or a control character",
      ["https://h.example\0.evil.example"] = "contains white space or a control character",
    }
    for text, complaint in pairs(wrong) do
      local message = raises_here(function()
        llama_cloud.new { api_key = "k", base_url = text }
      end, complaint)
      assert.is_nil(message:find("pass@", 1, true))
    end
  end)
end)

describe("default headers", function()
  it(
    "go over the built-in ones and those of the environment, and under a call's own",
    in_environment({ LLAMA_CLOUD_CUSTOM_HEADERS = "X-A: env\nX-B: env\nX-C : env: with colon \n\n" }, function()
      local client = llama_cloud.new {
        api_key = "k",
        default_headers = { ["x-b"] = "default", ["X-D"] = "default", ["X-Number"] = 5, ["user-agent"] = "mine" },
      }
      local request = intercepted(function()
        client:get("/x", { headers = { ["X-D"] = "call", ["X-A"] = false } })
      end)
      assert.is_false(header(request, "X-A"))
      assert.equal("default", header(request, "X-B"))
      assert.equal("env: with colon", header(request, "X-C"))
      assert.equal("call", header(request, "X-D"))
      assert.equal("5", header(request, "X-Number"))
      assert.equal("mine", header(request, "User-Agent"))
    end)
  )

  it("are removed by false, whatever their case", function()
    local request = request_of {
      api_key = "k",
      default_headers = { authorization = false, ["X-STAINLESS-OS"] = false },
    }
    assert.is_false(header(request, "Authorization"))
    assert.is_false(header(request, "X-Stainless-OS"))
    assert.is_string(header(request, "X-Stainless-Lang"))
  end)

  it("are refused when they would break out of their line", function()
    local wrong = { ["X-A"] = "a\nX-Evil: 1", ["X-B"] = "a\0", ["X\r\nC"] = "1", ["X D"] = "1", ["X-E"] = {} }
    for name, value in pairs(wrong) do
      local message = raises_here(function()
        llama_cloud.new { api_key = "k", default_headers = { [name] = value } }
      end, "default_headers: ")
      assert.is_nil(message:find("Evil", 1, true))
    end
    support.with_environment({ LLAMA_CLOUD_CUSTOM_HEADERS = "X A: 1" }, function()
      raises_here(function()
        llama_cloud.new { api_key = "k" }
      end, "LLAMA_CLOUD_CUSTOM_HEADERS: invalid header name")
    end)
  end)
end)

describe("a default query", function()
  it("copies the tables of its options, which are checked once", function()
    local s <close> = server.start { { body = '{"id":"x"}' } }
    local headers, query = { ["X-Mine"] = "1" }, { q = "1" }
    local client = llama_cloud.new {
      api_key = "k",
      base_url = s:url(),
      proxy = "",
      default_headers = headers,
      default_query = query,
    }
    headers["X-Mine"], headers["X-Other"], query.q = "2\r\nX-Evil: 1", "3", "4"
    assert(client.batches:get("x", {}, { headers = { ["X-Call"] = "5" } }))
    local request = s:requests()[1]
    assert.equal("1", request.headers["x-mine"])
    assert.is_nil(request.headers["x-other"])
    assert.equal("q=1", request.query)
  end)

  it("goes with every call, under the call's own", function()
    local client = llama_cloud.new { api_key = "k", default_query = { a = "1", b = { "x", "y" }, c = "3" } }
    local request = intercepted(function()
      client:get("/x", { query = { a = 2, c = null } })
    end)
    assert.equal("https://api.cloud.llamaindex.ai/x?a=2&b=x&b=y", request.url)
    request = intercepted(function()
      client.batches:get("bat-1", {}, { query = { c = null } })
    end)
    assert.equal("https://api.cloud.llamaindex.ai/api/v2/batches/bat-1?a=1&b=x&b=y", request.url)
  end)

  it("is refused when it cannot be written", function()
    for _, value in ipairs { print, { a = 1 }, 0 / 0, math.huge, { {} } } do
      raises_here(function()
        llama_cloud.new { api_key = "k", default_query = { a = value } }
      end, "default_query: query parameter 'a'")
    end
  end)
end)

describe("the User-Agent", function()
  it("names the module, its version, Lua and libcurl", function()
    local agent = header(request_of { api_key = "k" }, "User-Agent")
    assert.matches("^llama%-cloud%-lua/[%w.-]+ %(" .. _VERSION .. "; libcurl/[%d.]+%)$", agent)
    assert.is_truthy(agent:find("llama-cloud-lua/" .. llama_cloud._VERSION, 1, true))
  end)
end)

describe("with_options", function()
  it("changes some options and keeps the others", function()
    local client = llama_cloud.new { api_key = "k", timeout = 7, base_url = "https://h.example", project_id = "prj-1" }
    local copy = client:with_options { timeout = 3 }
    local request = intercepted(function()
      copy.batches:get("bat-1")
    end)
    assert.equal(3, request.timeout)
    assert.equal("https://h.example/api/v2/batches/bat-1?project_id=prj-1", request.url)
    request = intercepted(function()
      client:get("/x")
    end)
    assert.equal(7, request.timeout)
  end)

  it("takes an option back to its default with null", function()
    local client = llama_cloud.new { api_key = "k", timeout = 7, project_id = "prj-1" }
    local request = intercepted(function()
      client:with_options({ timeout = null, project_id = null }).batches:get("bat-1")
    end)
    assert.equal(60, request.timeout)
    assert.equal("https://api.cloud.llamaindex.ai/api/v2/batches/bat-1", request.url)
  end)

  it("takes the newer of region and base_url", function()
    local function url_of(first, second)
      first.api_key = "k"
      local client = llama_cloud.new(first):with_options(second)
      return intercepted(function()
        client:get("/x")
      end).url
    end
    assert.equal("https://h.example/x", url_of({ region = "eu" }, { base_url = "https://h.example" }))
    assert.equal("https://api.cloud.eu.llamaindex.ai/x", url_of({ base_url = "https://h.example" }, { region = "eu" }))
  end)

  it("refuses what new refuses, at the caller's line", function()
    local client = llama_cloud.new { api_key = "k" }
    raises_here(function()
      client:with_options { timout = 3 }
    end, "unknown option 'timout' (did you mean 'timeout'?)")
    raises_here(function()
      client:with_options { timeout = 0 }
    end, "option 'timeout'")
    for _, wrong in ipairs { "x", 5, false } do
      raises_here(function()
        client:with_options(wrong)
      end, "options must be a table")
    end
    raises_here(function()
      client:with_options()
    end, "options must be a table, not nil")
  end)

  it("does not see what is done to the options' table afterwards", function()
    local options = { api_key = "k", base_url = "https://h.example" }
    local client = llama_cloud.new(options)
    options.base_url, options.timeout = "nonsense", -1
    local request = intercepted(function()
      client:with_options({ timeout = 9 }):get("/x")
    end)
    assert.equal("https://h.example/x", request.url)
  end)
end)

describe("close", function()
  it("ends a client: later calls raise at the caller's line, and nothing is sent", function()
    local s <close>, client = support.start { { body = "{}" } }
    assert(client:get("/x"))
    client:close()
    client:close()
    local text = "attempt to use a closed client: make another with llama_cloud.new"
    raises_here(function()
      client:get("/x")
    end, text)
    raises_here(function()
      client.batches:get("bat-1")
    end, text)
    raises_here(function()
      client.batches:list()
    end, text)
    raises_here(function()
      client.batches:create(support.BATCH)
    end, text)
    raises_here(function()
      client:with_options { timeout = 1 }
    end, text)
    assert.equal(1, s:count())
  end)

  it("does not touch other clients, copies included", function()
    local s <close>, client = support.start { { body = "{}" } }
    local copy = client:with_options { timeout = 5 }
    client:close()
    assert(copy:get("/x"))
    assert.equal(1, s:count())
  end)

  it("is what leaving a block does", function()
    local kept
    do
      local client <close> = llama_cloud.new { api_key = "k" }
      kept = client
      assert.is_nil(tostring(client):find("closed", 1, true))
    end
    assert.is_truthy(tostring(kept):find("closed", 1, true))
  end)

  it("ends a call that has not sent its next request yet", function()
    local client
    local s <close> = server.start { { status = 302, headers = { Location = "/y" } } }
    client = support.client(s, {
      log = function()
        client:close()
      end,
    })
    local value, err = client:get("/x", { max_retries = 5 })
    assert.is_nil(value)
    assert.equal("cancelled", err.kind)
    assert.is_true(s:count() <= 1)
  end)

  it("ends a call that pauses before its next attempt", function()
    local client
    local s <close> = server.start { { status = 500 } }
    client = support.client(s, {
      max_retries = 5,
      log = function(level, message)
        if level == "info" and message:find("500", 1, true) then
          client:close()
        end
      end,
    })
    local value, err = client:get("/x")
    assert.is_nil(value)
    assert.equal("cancelled", err.kind)
    assert.equal(500, err.cause.status)
    assert.equal(1, s:count())
  end)
end)

describe("a client's methods", function()
  it("want to be called with a colon", function()
    local client = llama_cloud.new { api_key = "k" }
    for _, name in ipairs { "get", "post", "put", "patch", "delete", "with_options", "close" } do
      raises_here(function()
        client[name]("/x")
      end, ("call it with a colon: client:%s("):format(name))
      raises_here(function()
        client[name]()
      end, "with a colon")
    end
  end)
end)

describe("a call to a path", function()
  it("says where parameters go", function()
    local client = llama_cloud.new { api_key = "k" }
    raises_here(function()
      client:get("/x", { page_size = 1 })
    end, "unknown option 'page_size': parameters go into query = { … }")
    raises_here(function()
      client:post("/x", { source_directory_id = "dir-1" })
    end, "unknown option 'source_directory_id': parameters go into body = { … }")
  end)
end)

describe("another Lua", function()
  it("is told which one it has to be", function()
    local output, well = process.run('_VERSION = "Lua 5.1"; require("llama_cloud")')
    assert.is_false(well)
    assert.matches("llama_cloud needs Lua 5.4 or 5.5, and this is Lua 5.1", output, 1, true)
  end)
end)

describe("a client as a text", function()
  it("is its base URL, never its key", function()
    local client = llama_cloud.new { api_key = support.KEY, base_url = "https://h.example/p/" }
    assert.equal("llama_cloud.client (https://h.example/p)", tostring(client))
    assert.equal("llama_cloud.batches", tostring(client.batches))
  end)
end)

describe("the log", function()
  -- The messages that a new client logs.
  local function messages(options)
    local list = {}
    options.api_key = "k"
    options.log = function(level, message)
      list[#list + 1] = level .. ": " .. message
    end
    return list, llama_cloud.new(options)
  end

  it("warns of an API key that goes out in the clear", function()
    local expected = "warn: the API key goes to h.example without encryption: use https"
    assert.same({ expected }, (messages { base_url = "http://h.example/v1" }))
    assert.same({ expected:gsub("h.example", "H.example") }, { (messages { base_url = "HTTP://H.example" })[1], 1 })
    for _, url in ipairs { "https://h.example", "http://localhost:8000", "http://127.0.0.1", "http://[::1]:80" } do
      assert.same({}, (messages { base_url = url }))
    end
  end)

  it("does not repeat that warning for copies", function()
    local list, client = messages { base_url = "http://h.example" }
    client:with_options { timeout = 1 }
    assert.equal(1, #list)
    client:with_options { base_url = "http://other.example" }
    assert.equal(2, #list)
  end)

  it("is off for the levels of the environment that this module does not have", function()
    for _, level in ipairs { "off", "error", "", "info", "debug", "warn", "DEBUG", " Warn\n", "Off", "ERROR" } do
      support.with_environment({ LLAMA_CLOUD_LOG = level }, function()
        assert.is_table(llama_cloud.new { api_key = "k" })
      end)
    end
    support.with_environment({ LLAMA_CLOUD_LOG = "debug" }, function()
      for _, log in ipairs { "off", "error", "OFF" } do
        assert.is_table(llama_cloud.new { api_key = "k", log = log })
      end
      assert.is_table(llama_cloud.new { api_key = "k", log = false })
    end)
    support.with_environment({ LLAMA_CLOUD_LOG = "loud" }, function()
      raises_here(function()
        llama_cloud.new { api_key = "k" }
      end, 'LLAMA_CLOUD_LOG must be "debug", "info", "warn" or "off", not \'loud\'')
    end)
  end)
end)

-- However a secret was given, and however a service, a gateway or a proxy quotes it: it is shown nowhere.

local llama_cloud = require("llama_cloud")
local server = require("spec.support.server")
local support = require("spec.support.client")

local mentions = support.mentions

local SECRET = "s3cret/+Value:é"
local PLAIN = "llx-0123456789abcdef"

-- Answers each request by what it got: every header, in many spellings and places.
local ECHO = [[
  return function(connection, request)
    local said = {}
    for name, value in pairs(request.headers) do
      said[#said + 1] = name .. "=" .. value
    end
    local all = table.concat(said, " ; ") .. request.target
    local function each(format)
      return (all:gsub(".", function(c) return format:format(c:byte()) end))
    end
    local json = all:gsub('[%c"\\]', function(c) return ("\\u%04x"):format(c:byte()) end)
    local headers = { ["X-Echo"] = all, ["X-Request-Id"] = all:sub(1, 2000) }
    local kind = request.path:gsub("/items$", ""):match("[a-z]+$")
    if kind == "json" then
      connection:respond(400, headers, '{"detail":"' .. json .. '","more":{"' .. json .. '":["' .. json .. '"]}}')
    elseif kind == "escaped" then
      local text = all:gsub("[^\128-\255]", function(c) return ("\\u%04x"):format(c:byte()) end)
      connection:respond(500, headers, '{"detail":"' .. text .. '","inner":"' .. text:gsub("\\", "\\\\") .. '"}')
    elseif kind == "slashes" then
      connection:respond(422, headers, '{"detail":[{"msg":"' .. json:gsub("/", "\\/") .. '"}]}')
    elseif kind == "html" then
      connection:respond(502, headers, "<pre>" .. each("&#%d;") .. "</pre><pre>" .. all:gsub("&", "&amp;") .. "</pre>")
    elseif kind == "percents" then
      connection:respond(404, headers, each("%%%02X") .. "/" .. each("%%%02x"))
    elseif kind == "cut" then
      connection:respond(500, headers, '{"detail":"' .. each("\\u%04x"))
    elseif kind == "ok" then
      headers["Content-Type"] = "application/json"
      connection:respond(200, headers, "{" .. all .. each("\\u%04x"))
    elseif kind == "location" then
      headers.Location = "ftp://elsewhere.example/" .. each("%%%02x")
      connection:respond(302, headers, "")
    elseif kind == "failed" then
      connection:json(200, '{"id":"b","status":"FAILED","error_message":"' .. json .. '"}')
    elseif kind == "odd" then
      connection:json(200, '{"id":"b","why":"' .. json .. '"}')
    end
  end
]]

local KINDS = { "json", "escaped", "slashes", "html", "percents", "cut", "ok", "location" }

-- Makes all calls with these options, and checks that none of `hidden` is in what comes of them.
local function check(options, hidden, call_options)
  local s <close> = server.start(ECHO)
  local lines = {}
  options.base_url, options.max_retries = s:url(), 0
  options.proxy = options.proxy or ""
  options.log = function(level, message, fields)
    lines[#lines + 1] = { level, message, fields }
  end
  local client = llama_cloud.new(options)
  local found = 0
  local function look(err, kind)
    assert.is_true(llama_cloud.is_error(err), kind)
    for _, secret in ipairs(hidden) do
      assert.is_false(mentions(err, secret), ("%s shows %s: %s"):format(kind, secret, tostring(err)))
      assert.is_false(mentions(lines, secret), kind)
    end
    found = found + (mentions(err, "***") and 1 or 0)
  end
  for _, kind in ipairs(KINDS) do
    look(select(2, client:get("/" .. kind, call_options)), kind)
    look(select(2, client.batches:get(kind, nil, call_options)), kind)
  end
  local list_options = { headers = call_options and call_options.headers, query = call_options and call_options.query }
  for _, kind in ipairs { "json", "html" } do
    look(select(2, client.beta.batch.job_items:list(kind, nil, list_options):next_page()), kind)
  end
  local waiting = { headers = list_options.headers, query = list_options.query, total_timeout = 5 }
  local ok, failed = client.batches:wait("failed", nil, waiting)
  assert.is_nil(ok)
  for _, secret in ipairs(hidden) do
    assert.is_nil(failed.message:find(secret, 1, true))
    assert.is_nil(tostring(failed):find(secret, 1, true))
  end
  look(select(2, client.batches:wait("odd", nil, waiting)), "odd")
  assert.is_true(found > 10, found)
  assert.is_true(#lines > 20)
end

describe("a secret is in no error and no log when it is given", function()
  it("as a key with blanks and a line break around it", function()
    check({ api_key = "  " .. PLAIN .. "\r\n" }, { PLAIN })
  end)

  it("as a key with characters that are escaped", function()
    check({ api_key = "key/with+and&" .. PLAIN }, { "key/with+and&", PLAIN })
  end)

  it("by the environment", function()
    support.with_environment({ LLAMA_CLOUD_API_KEY = PLAIN .. "\n" }, function()
      check({}, { PLAIN })
    end)
    support.with_environment({ LLAMA_CLOUD_CUSTOM_HEADERS = "Authorization: Bearer " .. PLAIN .. " " }, function()
      check({}, { PLAIN })
    end)
  end)

  for name, value in pairs {
    Authorization = "Bearer " .. SECRET .. " ",
    authorization = SECRET,
    ["X-Api-Key"] = SECRET,
    ["Proxy-Authorization"] = "Custom " .. SECRET,
    Cookie = "session=" .. SECRET .. "; other=x",
    ["X-Gateway"] = "of-no-known-name-but-long-" .. SECRET,
    ["Ocp-Apim-Subscription-Key"] = " " .. SECRET,
  } do
    local hidden = name == "X-Gateway" and { value } or { SECRET }
    it("in a header of the client's: " .. name, function()
      check({ api_key = PLAIN, default_headers = { [name] = value } }, hidden)
    end)

    it("in a header of a call's: " .. name, function()
      check({ api_key = PLAIN }, hidden, { headers = { [name] = value } })
    end)
  end

  it("as Basic authorization, decoded too", function()
    -- "user:password-é/1"
    local options = { default_headers = { Authorization = "Basic dXNlcjpwYXNzd29yZC3DqS8x" } }
    check(options, { "dXNlcjpwYXNzd29yZC3DqS8x" })
    local echo <close> =
      server.start { { status = 400, body = '{"detail":"no user:password-é/1, password-\\u00e9\\/1"}' } }
    options.base_url = echo:url()
    options.proxy = ""
    local err = select(2, llama_cloud.new(options):get("/x"))
    assert.equal("400: no ***, ***", err.message)
  end)

  it("in the URL of a proxy, in any form", function()
    local proxy <close> = server.start(ECHO)
    for given, hidden in pairs {
      ["http://%suser%%40x:pass%%2Fword@%s"] = { "pass/word", "pass%2Fword", "dXNlckB4OnBhc3Mvd29yZA==" },
      ["%sname:pass+word@%s"] = { "pass+word", "bmFtZTpwYXNzK3dvcmQ=" },
      ["http://%stoken-of-proxy@%s"] = { "token-of-proxy" },
    } do
      local client = llama_cloud.new {
        api_key = PLAIN,
        base_url = "http://name.example",
        proxy = given:format("", proxy:url():match("//(.*)$")),
        max_retries = 0,
      }
      for _, kind in ipairs(KINDS) do
        local err = select(2, client:get("/" .. kind))
        assert.is_true(llama_cloud.is_error(err))
        for _, secret in ipairs(hidden) do
          assert.is_false(mentions(err, secret), secret)
        end
        assert.is_false(mentions(err, PLAIN))
      end
      assert.is_truthy(proxy:requests()[proxy:count()].headers["proxy-authorization"])
    end
  end)

  it("in a query, by a name that means a secret", function()
    check({ api_key = PLAIN, default_query = { ["api-key"] = SECRET } }, { SECRET, "s3cret%2F" })
    check({ api_key = PLAIN }, { SECRET, "s3cret%2F" }, { query = { access_token = SECRET, page = "12345678" } })
    check({ api_key = PLAIN, default_query = { token = { SECRET } } }, { SECRET, "s3cret%2F" })
    check({ api_key = PLAIN }, { SECRET, "123456789" }, { query = { token = { "another", SECRET }, key = 123456789 } })
  end)

  it("to the client that another was made from", function()
    local s <close> = server.start { { status = 400, body = '{"detail":"not first-key-1, second-key-2"}' } }
    local client = llama_cloud.new { api_key = "first-key-1", base_url = s:url(), proxy = "" }
    local copy = client:with_options { api_key = "second-key-2" }
    assert.equal("400: not ***, ***", select(2, copy:get("/x")).message)
    assert.equal("400: not ***, second-key-2", select(2, client:get("/x")).message)
  end)

  it("in the query of a path that the caller has written", function()
    local s <close> = server.start(ECHO)
    local client = support.client(s)
    local err = select(2, client:get("/json?page=1&api%5Fkey=s3cret%2Fvalue&name=shown"))
    assert.is_false(mentions(err, "s3cret"))
    assert.matches("/json%?page=1&api%%5Fkey=%*%*%*&name=shown$", err.url)
  end)

  it("where one holds the other", function()
    check({ api_key = "inner-secret", default_headers = { ["X-Token"] = "outer-inner-secret-outer" } }, {
      "inner-secret",
      "outer-",
      "-outer",
    })
  end)

  it("but what is short, or an ordinary word in a header, is shown", function()
    local s <close> = server.start { { status = 400, body = '{"detail":"the key is no production key"}' } }
    local client = llama_cloud.new {
      api_key = "key",
      base_url = s:url(),
      proxy = "",
      default_headers = { ["X-Stage"] = "production", ["Accept-Language"] = "en", Referer = s:url() },
    }
    local err = select(2, client:get("/x"))
    assert.equal("400: the key is no production key", err.message)
    assert.equal(s:url("/x"), err.url)
  end)
end)

describe("a secret of digits", function()
  it("leaves a body decoded, whether it stands there as a number or as a text", function()
    local s <close> = server.start {
      { status = 400, body = '{"detail":"no 1234567","n":1234567}' },
      { status = 400, body = '{"detail":"no 1234567"}' },
    }
    local client = llama_cloud.new { api_key = "1234567", base_url = s:url(), proxy = "" }
    for _ = 1, 2 do
      local err = select(2, client:get("/x"))
      assert.equal("400: no ***", err.message)
      assert.equal("no ***", err.body.detail)
    end
  end)
end)

describe("a page full of the key", function()
  it("is read in time, and shows none", function()
    local s <close> = server.start(([[
      return function(connection, request)
        local key = request.headers.authorization:sub(8)
        connection:respond(400, { ["Content-Type"] = "text/plain" }, (key .. " "):rep(%d))
      end
    ]]):format(400000))
    local client = support.client(s, { total_timeout = 20 * support.scaled(1) })
    local err = select(2, client:get("/x"))
    assert.equal("bad_request", err.kind)
    assert.equal(400000 * 4, #err.body)
    assert.is_nil(err.body:find(support.KEY, 1, true))
  end)
end)

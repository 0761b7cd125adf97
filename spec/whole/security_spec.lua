-- Nothing leaked, nothing let in: the key through every failure of the fault matrix, what a lying server can do with its
-- words, and strings that would break out of their place on the wire. What else is shown where: http/secrets_spec.lua (keys in
-- logs and errors), http/redirect_spec.lua (keys and other origins), core/transport_tls_spec.lua (certificates, TLS 1.2),
-- client/client_spec.lua (plain HTTP is warned about, once).

local cells = require("spec.support.fault_cells")
local certificates = require("spec.support.certificates")
local client_support = require("spec.support.client")
local faults = require("spec.support.faults")
local llama_cloud = require("llama_cloud")
local process = require("spec.support.process")
local server = require("spec.support.server")

local KEY, mentions = client_support.KEY, client_support.mentions

describe("the API key", function()
  -- In a child process, so that whatever is written is seen, by libcurl too.
  it("is in nothing that is written, logged, raised or returned, whatever goes wrong, at debug level", function()
    local servers, urls = {}, {}
    for _, group in ipairs(faults.groups) do
      for _, fault in ipairs(group) do
        if fault.answer and not fault.tls and not (fault.slow or group.slow) then
          servers[#servers + 1] = server.start(cells.script(fault))
          urls[#urls + 1] = servers[#servers]:url()
        end
      end
    end
    assert.is_true(#urls > 40)
    urls[#urls + 1] = "http://127.0.0.1:1"
    urls[#urls + 1] = "https" .. urls[1]:sub(5)
    local ok, message = pcall(function()
      local output, well = process.run(
        [[
          local llama_cloud = require("llama_cloud")
          require("llama_cloud.http.retry").backoff = function() return 0.01 end
          local key = "llx-0123456789" .. "abcdef"
          local logged, errors, calls = 0, 0, 0
          local function dump(value, seen)
            print(tostring(value))
            if type(value) == "table" and not seen[value] then
              seen[value] = true
              for name, member in pairs(value) do
                dump(name, seen)
                dump(member, seen)
              end
            end
          end
          for _, url in ipairs { ... } do
            for _, log in ipairs { "debug", function(...) logged = logged + 1 dump({ ... }, {}) end } do
              local client = llama_cloud.new {
                api_key = key,
                base_url = url,
                log = log,
                proxy = "",
                timeout = 0.5,
                max_retries = 1,
                max_retry_after = 2,
                max_response_bytes = 1 << 16,
                default_headers = { ["X-Cell"] = "x", ["X-Skip"] = 0, ["X-Count"] = 3 },
              }
              local batch = { source_directory_id = "dir-1", config = { job = { type = "t", configuration_id = "c" } } }
              for _, call in ipairs {
                function() return client.batches:get("bat-1") end,
                function() return client.batches:create(batch) end,
                function() return client.batches:list():all() end,
                function() for _ in client.batches:list() do end end,
                function()
                  return client.batches:wait("bat-1", nil, { total_timeout = 0.2, polling_interval = 0.05 })
                end,
                function() return client:get("/x", { query = { a = 1 } }) end,
              } do
                local ok, value, err = pcall(call)
                calls = calls + 1
                errors = errors + ((not ok or err) and 1 or 0)
                dump({ value, err, client, client.batches }, {})
              end
            end
          end
          print("calls", calls, "errors", errors, "logged", logged)
        ]],
        { args = urls }
      )
      assert.is_true(well, output:sub(-2000))
      local calls, errors, logged = output:match("calls\t(%d+)\terrors\t(%d+)\tlogged\t(%d+)")
      assert.equal(#urls * 12, tonumber(calls))
      assert.is_true(tonumber(errors) > #urls, errors)
      assert.is_true(tonumber(logged) > #urls * 12, logged)
      assert.is_true(select(2, output:gsub("llama_cloud debug: sending", "")) > #urls * 6) -- those on stderr
      assert.is_nil(output:find(KEY, 1, true))
      assert.is_nil(output:find(KEY:sub(5), 1, true))
    end)
    local keys = 0
    for _, s in ipairs(servers) do
      for _, request in ipairs(s:requests()) do
        keys = keys + ((request.headers.authorization == "Bearer " .. KEY) and 1 or 0)
      end
      s:stop()
    end
    assert(ok, message)
    assert.is_true(keys > #urls * 6) -- it was there to be leaked
  end)

  it("is in no error that quotes it the way JSON can also write it", function()
    local escaped = KEY:gsub(".", function(c)
      return ("\\u%04x"):format(c:byte())
    end)
    local body = ('{"detail":"bad key %s","list":[[],{"%s":"%s"}]}'):format(escaped, escaped, escaped)
    local s <close> = server.start { { status = 401, body = body } }
    local err = select(2, client_support.client(s):get("/x"))
    assert.matches("bad key ***", err.message, 1, true)
    assert.is_false(mentions(err, KEY))
    assert.equal("***", err.body.list[2]["***"])
    assert.equal(llama_cloud.array, getmetatable(err.body.list[1]))
  end)

  it("is as secret when it is given as a header", function()
    for header, value in pairs { Authorization = "Bearer " .. KEY, authorization = KEY } do
      local s <close> = server.start { { status = 401, body = '{"detail":"bad key ' .. KEY .. '"}' } }
      local lines = {}
      local client = llama_cloud.new {
        base_url = s:url(),
        default_headers = { [header] = value },
        api_key = "",
        proxy = "",
        log = function(...)
          lines[#lines + 1] = { ... }
        end,
      }
      local err = select(2, client:get("/x"))
      assert.equal(value, s:requests()[1].headers.authorization)
      assert.equal("authentication", err.kind)
      assert.is_false(mentions(err, KEY))
      assert.is_false(mentions(lines, KEY))
    end
  end)

  it("is not sent to a server whose certificate is not believed, which is the default", function()
    if not certificates.available() then
      return pending("the openssl program or its Lua module is missing")
    end
    local set = certificates.make()
    for _, kind in ipairs { "good", "wrong_name", "expired", "unknown_ca" } do
      local s <close> = server.start({ { body = "{}" } }, { tls = set[kind] })
      for _, options in ipairs { {}, kind ~= "good" and { ca_file = set.ca } or nil } do
        local err = select(2, client_support.client(s, options):get("/x"))
        assert.equal("connection", err.kind)
        assert.is_false(err.maybe_sent)
      end
      assert.equal(0, s:count())
    end
    set:remove()
  end)
end)

describe("words of a server", function()
  it("do not steer a terminal, nor look like lines of a log", function()
    local evil = "a\27[2Jb\r\nllama_cloud warn: all is well\7"
    local body = '{"detail":"a\\u001b[2Jb\\r\\nllama_cloud warn: all is well\\u0007"}'
    local s <close> = server.start {
      { status = 400, body = body, headers = { ["X-Request-Id"] = "r\27[31m" } },
      { status = 400, body = evil, headers = { ["Content-Type"] = "text/plain" } },
      { status = 302, headers = { Location = "http://h\27[2Jx/" } },
      { status = 200, body = "{" .. evil },
    }
    local client = client_support.client(s)
    for i = 1, 4 do
      local err = select(2, client:get("/x"))
      assert.is_nil(tostring(err):find("%c"), i)
      assert.is_nil(err.message:find("%c"), i)
    end
    local failed <close> = server.start { { body = '{"id":"b","status":"FAILED","error_message":"x\\u001by"}' } }
    assert.is_nil(tostring(select(2, client_support.client(failed).batches:wait("b"))):find("%c"))
  end)

  it("go to standard error without control characters", function()
    local s <close> = server.start { { body = "{}", headers = { ["X-Request-Id"] = "r\27[31m\127" } } }
    local output = process.run(
      [[
        local llama_cloud = require("llama_cloud")
        local client = llama_cloud.new { api_key = "llx-key", base_url = ..., proxy = "", log = "debug" }
        assert(client:get("/x"))
      ]],
      { args = { s:url() } }
    )
    assert.matches("r?[31m?", output, 1, true)
    assert.is_nil(output:find("[^%g%s\128-\255]"))
  end)
end)

describe("a line break or NUL", function()
  local s

  setup(function()
    s = server.start { { body = '{"items":[]}' } }
  end)

  teardown(function()
    s:stop()
  end)

  -- Every place where a caller's string goes to the wire, or to libcurl.
  local places = {
    ["a path id"] = function(client, text)
      client.batches:get(text)
    end,
    ["a path id of a POST"] = function(client, text)
      client.batches:cancel(text)
    end,
    ["a job's id"] = function(client, text)
      client.beta.batch.job_items:list(text)
    end,
    ["the id of wait"] = function(client, text)
      client.batches:wait(text)
    end,
    ["an id of wait_all"] = function(client, text)
      for _ in client.batches:wait_all { text } do -- luacheck: ignore
      end
    end,
    ["an id in a body"] = function(client, text)
      client.batches:create { source_directory_id = text, config = {} }
    end,
    ["an id inside a body"] = function(client, text)
      client.batches:create { source_directory_id = "dir-1", config = { job = { configuration_id = text } } }
    end,
    ["one of the ids in a body"] = function(client, text)
      client.beta.batch:create { job_config = {}, item_ids = { "item-1", text } }
    end,
    ["an id in a body that stands for an array"] = function(client, text)
      client.batches:create { source_directory_id = "dir-1", config = {}, webhook_configuration_ids = text }
    end,
    ["an id in options.body"] = function(client, text)
      client.beta.batch:cancel("job-1", nil, { body = { new_id = text } })
    end,
    ["an id in the body of a path"] = function(client, text)
      client:post("/x", { body = { list = { { id = text } } } })
    end,
    ["what is run"] = function(client, text)
      client.batches:run { source_directory_id = text, config = {} }
    end,
    ["a query parameter"] = function(client, text)
      client.batches:list { status = text }
    end,
    ["a page token"] = function(client, text)
      client.batches:list { page_token = text }
    end,
    ["a date"] = function(client, text)
      client.batches:list { created_at_on_or_after = text }
    end,
    ["an element of a query parameter"] = function(client, text)
      client.batches:get("bat-1", { expand = { "results", text } })
    end,
    ["a scope in the query"] = function(client, text)
      client.batches:get("bat-1", { project_id = text })
    end,
    ["options.query"] = function(client, text)
      client.batches:get("bat-1", nil, { query = { a = text } })
    end,
    ["a name in options.query"] = function(client, text)
      client.batches:get("bat-1", nil, { query = { [text] = "a" } })
    end,
    ["options.headers"] = function(client, text)
      client.batches:get("bat-1", nil, { headers = { ["X-A"] = text } })
    end,
    ["a name in options.headers"] = function(client, text)
      client.batches:get("bat-1", nil, { headers = { [text] = "a" } })
    end,
    ["a path"] = function(client, text)
      client:get("/" .. text)
    end,
    ["a URL"] = function(client, text)
      client:get("http://127.0.0.1/" .. text)
    end,
    ["the query of a path"] = function(client, text)
      client:post("/x", { query = { a = text } })
    end,
    ["the headers of a path"] = function(client, text)
      client:put("/x", { headers = { ["X-A"] = text } })
    end,
  }
  for _, option in ipairs { "api_key", "base_url", "proxy", "ca_file", "region", "project_id", "organization_id" } do
    places["the option " .. option] = function(client, text)
      local changed = client:with_options { [option] = text }
      changed.batches:get("bat-1")
    end
  end
  for _, option in ipairs { "default_headers", "default_query" } do
    places["the option " .. option] = function(client, text)
      client:with_options { [option] = { ["X-A"] = text } }
    end
    places["a name in " .. option] = function(client, text)
      client:with_options { [option] = { [text] = "a" } }
    end
  end

  for place, call in pairs(places) do
    it("is refused in " .. place .. ", and nothing is sent", function()
      local client = client_support.client(s)
      for _, text in ipairs { "a\nb", "a\rb", "a\0b", "\r\nX-Evil: 1", "a\n", "\0" } do
        if place == "the option api_key" and text == "a\n" then
          text = "a\nb" -- for around a key they are no part of it
        end
        local ok, message = pcall(call, client, text)
        assert.is_false(ok, ("%q"):format(text))
        assert.is_string(message) -- the caller's fault, not an error object
        assert.is_nil(message:find("core", 1, true), message)
      end
      assert.equal(0, s:count())
      assert.equal(0, s:connections())
    end)
  end

  it("goes into a JSON body, escaped", function()
    local one <close> = server.start { { body = "{}" } }
    assert(client_support.client(one).batches:create { source_directory_id = "d", config = { prompt = "a\r\nb\0" } })
    assert.equal([[{"config":{"prompt":"a\r\nb\u0000"},"source_directory_id":"d"}]], one:requests()[1].body)
  end)
end)

-- One request and its answer: what goes over the wire, and what comes back. Retries are in http/repetition_spec.lua, redirects in
-- http/redirect_spec.lua, limits in http/limits_spec.lua, secrets in http/secrets_spec.lua.

local cjson = require("cjson")
local llama_cloud = require("llama_cloud")
local server = require("spec.support.server")
local support = require("spec.support.client")

local null = llama_cloud.null
local start, raises_here = support.start, support.raises_here

-- The value and the error of a get of a declared endpoint that is answered like this; and the server.
local function get_of(answer)
  local s <close>, client = start { answer }
  local value, err = client.batches:get("bat-1")
  return value, err, s
end

-- The same of an undeclared path.
local function path_of(answer)
  local s <close>, client = start { answer }
  local value, err = client:get("/x")
  return value, err, s
end

describe("a request", function()
  it("carries the headers of the official SDKs, and no body where there is none", function()
    local s <close>, client = start { { body = "{}" } }
    assert(client.batches:get("bat-1"))
    local sent = s:requests()[1]
    assert.equal("GET", sent.method)
    assert.equal("/api/v2/batches/bat-1", sent.target)
    assert.equal("", sent.body)
    local headers = sent.headers
    assert.equal("Bearer " .. support.KEY, headers.authorization)
    assert.equal("application/json", headers.accept)
    assert.matches("^llama%-cloud%-lua/", headers["user-agent"])
    assert.equal("0", headers["x-stainless-retry-count"])
    assert.equal("lua", headers["x-stainless-lang"])
    assert.equal("lua", headers["x-stainless-runtime"])
    assert.equal(_VERSION:match("[%d.]+"), headers["x-stainless-runtime-version"])
    assert.equal("Linux", headers["x-stainless-os"])
    assert.equal(llama_cloud._VERSION, headers["x-stainless-package-version"])
    assert.is_string(headers["x-stainless-arch"])
    assert.is_string(headers["accept-encoding"])
    for _, name in ipairs { "content-type", "content-length", "expect", "transfer-encoding", "idempotency-key" } do
      assert.is_nil(headers[name], name)
    end
  end)

  it("carries its JSON body", function()
    local s <close>, client = start { { body = "{}" } }
    assert(client.batches:create(support.BATCH))
    local sent = s:requests()[1]
    assert.equal("POST", sent.method)
    assert.equal("application/json", sent.headers["content-type"])
    assert.equal(tostring(#sent.body), sent.headers["content-length"])
    assert.is_nil(sent.headers.expect)
    assert.same(support.BATCH, cjson.decode(sent.body))
  end)

  it("without a body that has to have one says that its length is nought", function()
    local s <close>, client = start { { body = "{}" } }
    assert(client.batches:cancel("bat-1"))
    local sent = s:requests()[1]
    assert.equal("POST", sent.method)
    assert.equal("0", sent.headers["content-length"])
    assert.is_nil(sent.headers["content-type"])
    assert.is_nil(sent.headers["transfer-encoding"])
  end)

  it("sends a large body whole", function()
    local s <close>, client = start { { body = "{}" } }
    local rules = {}
    for i = 1, 20000 do
      rules[i] = "https://hooks.example/" .. i
    end
    assert(client.batches:create(support.BATCH, { body = { webhook_configuration_ids = rules } }))
    local sent = s:requests()[1]
    assert.is_true(#sent.body > 400000)
    assert.equal(rules[20000], cjson.decode(sent.body).webhook_configuration_ids[20000])
  end)

  it("merges a call's headers, query and body over what the method built", function()
    local s <close>, client = start { { body = "{}" } }
    client.batches:create(support.BATCH, {
      headers = { ["X-New"] = "1", accept = "text/x", ["X-Stainless-OS"] = false },
      query = { project_id = "prj-2", new = { 1, 2 } },
      body = { source_directory_id = "dir-2", new_field = { deep = null } },
    })
    local sent = s:requests()[1]
    assert.equal("1", sent.headers["x-new"])
    assert.equal("text/x", sent.headers.accept)
    assert.is_nil(sent.headers["x-stainless-os"])
    assert.equal("project_id=prj-2&new=1&new=2", sent.query)
    local body = cjson.decode(sent.body)
    assert.equal("dir-2", body.source_directory_id)
    assert.equal(cjson.null, body.new_field.deep)
    assert.same(support.BATCH.config, body.config)
  end)

  it("may leave the Authorization out", function()
    local s <close>, client = start { { body = "{}" } }
    assert(client:get("/x", { headers = { authorization = false } }))
    assert.is_nil(s:requests()[1].headers.authorization)
  end)

  it("goes over a connection that is kept", function()
    local s <close>, client = start { { body = "{}" } }
    for _ = 1, 5 do
      assert(client:get("/x"))
    end
    assert.equal(5, s:count())
    assert.equal(1, s:connections())
  end)
end)

describe("bad input", function()
  it("is refused at the caller's line, and nothing is sent", function()
    local s <close>, client = start { { body = "{}" } }
    raises_here(function()
      client.batches:get("")
    end, "batch_id must not be empty")
    raises_here(function()
      client.batches:get("..")
    end, "batch_id must not be '..'")
    raises_here(function()
      client.batches:cancel(".")
    end, "batch_id must not be '.'")
    raises_here(function()
      client.batches:get()
    end, "batch_id must be a string, not nil (a call that fails returns nil and an error: put assert() around it)")
    raises_here(function()
      client.batches:get("a\nb")
    end, "batch_id contains a line break or NUL")
    raises_here(function()
      client.batches:get("bat-1", { expnd = { "results" } })
    end, "unknown parameter 'expnd' (did you mean 'expand'?)")
    raises_here(function()
      client.batches:get("bat-1", { expand = true })
    end, "parameter 'expand' must be an array, not boolean")
    raises_here(function()
      client.batches:get("bat-1", {}, { time_out = 1 })
    end, "unknown option 'time_out' (did you mean 'timeout'?)")
    raises_here(function()
      client.batches:get("bat-1", {}, { max_retries = -1 })
    end, "option 'max_retries'")
    raises_here(function()
      client.batches:get("bat-1", {}, { headers = { ["X-A"] = "a\r\nX-Evil: 1" } })
    end, "header 'X-A' contains a line break or NUL")
    raises_here(function()
      client:get("/x", { headers = { ["X-A: 1\r\nX-Evil"] = "1" } })
    end, "invalid header name")
    raises_here(function()
      client.batches:create { source_directory_id = "dir-1" }
    end, "missing parameter 'config'")
    raises_here(function()
      client.batches:create { source_directory_id = "dir-1", config = "x" }
    end, "parameter 'config' must be a table")
    raises_here(function()
      client.batches:create { source_directory_id = "dir-1", config = { job = { type = print } } }
    end, "body.config.job.type")
    raises_here(function()
      client:post("/x", { body = { n = 0 / 0 } })
    end, "body.n")
    raises_here(function()
      client:get("/x", { query = { a = 0 / 0 } })
    end, "query parameter 'a'")
    raises_here(function()
      client:get("/x", { query = { a = { b = 1 } } })
    end, "query parameter 'a'")
    raises_here(function()
      client.batches:get("bat-1", {}, { query = { a = print } })
    end, "query parameter 'a'")
    raises_here(function()
      client:post("/x", { body = 5 })
    end, "option 'body' must be a table or a string")
    raises_here(function()
      client:get("/x", { body = {} })
    end, "a GET has no body")
    for _, path in ipairs { "", "x", "api/v1", "ftp://h/x", "HTTP://h/x", 5, false } do
      raises_here(function()
        client:get(path)
      end, "the path must be a string that begins with '/', or a URL")
    end
    for _, path in ipairs { "/a b", "/a\nb", "/a\0", "/a\tb", "/a#b", "https://h.example/a#b" } do
      raises_here(function()
        client:get(path)
      end, "the path contains white space")
    end
    raises_here(function()
      client:get("https://user:pass@h.example/x")
    end, "must not hold a user name or password")
    raises_here(function()
      client:get("https://h.example:99999/x")
    end, "is not a URL")
    raises_here(function()
      client:get("/x", "options")
    end, "options must be a table")
    raises_here(function()
      client:get("/x", false)
    end, "options must be a table")
    assert.equal(0, s:count())
    assert.equal(0, s:connections())
  end)
end)

describe("an answer of a declared endpoint", function()
  it("is a plain table, whatever its media type and 2xx status", function()
    for _, case in ipairs {
      { 200, "application/json" },
      { 201, "application/json; charset=utf-8" },
      { 202, "application/problem+json" },
      { 203, "text/plain" },
      { 200, "text/html" },
      { 299, "" },
    } do
      local value, err = get_of {
        status = case[1],
        headers = { ["Content-Type"] = case[2] },
        body = ' {"id":"bat-1","n":9007199254740993,"gone":null,"empty":[]}\n',
      }
      assert.is_nil(err)
      assert.same({ id = "bat-1", n = 9007199254740993, empty = {} }, value)
      assert.is_nil(getmetatable(value))
      assert.equal(llama_cloud.array, getmetatable(value.empty))
    end
  end)

  it("is true when there is no content", function()
    assert.is_true((get_of { status = 204 }))
    assert.is_true((get_of { status = 205, body = "" }))
  end)

  local strange = {
    ["empty"] = { "", "the response is empty instead of JSON" },
    ["HTML"] = { "<html><body>Sign in</body></html>", "it begins: <html><body>Sign in</body></html>" },
    ["invalid JSON"] = { '{"id": bat}', "expected a value after ':' but found 'b' at byte 8; it begins: " },
    ["a cut object"] = { '{"id": "bat-1", "status": "RUN', "the response is not valid JSON: " },
    ["text after an object"] = { '{"id":"bat-1"} x', "at byte 16" },
    ["null"] = { "null", "the response is JSON, but not an object; it begins: null" },
    ["an empty array"] = { "[]", "the response is JSON, but not an object; it begins: []" },
    ["an array"] = { '[{"id":"bat-1"}]', 'the response is JSON, but not an object; it begins: [{"id":"bat-1"}]' },
    ["an array of null"] = { "[null]", "not an object" },
    ["a text"] = { '"text"', 'the response is JSON, but not an object; it begins: "text"' },
    ["a number"] = { "42", "the response is JSON, but not an object; it begins: 42" },
    ["true"] = { "true", "not an object" },
    ["false"] = { "false", "not an object" },
    ["white space"] = { "  \n", "the response is not valid JSON" },
  }
  for name, case in pairs(strange) do
    it(("is of kind decode when it is %s, and is not asked for again"):format(name), function()
      local s <close>, client = start(
        { { body = case[1], headers = { ["X-Request-Id"] = "req-1" } } },
        { max_retries = 3 }
      )
      local value, err = client.batches:get("bat-1")
      assert.is_nil(value)
      assert.is_true(llama_cloud.is_error(err))
      assert.equal("decode", err.kind)
      assert.is_truthy(err.message:find(case[2], 1, true), err.message)
      assert.equal(200, err.status)
      assert.equal(case[1], err.body)
      assert.equal("req-1", err.request_id)
      assert.equal("GET", err.method)
      assert.equal(1, err.attempts)
      assert.is_false(err.maybe_sent)
      assert.equal(1, s:count())
    end)
  end

  it("is shown by its first 200 bytes only", function()
    local _, err = get_of { body = ("<p>%s"):format(("y"):rep(1000)) }
    assert.is_truthy(err.message:find("<p>" .. ("y"):rep(197) .. "…", 1, true))
    assert.is_nil(err.message:find(("y"):rep(198), 1, true))
    assert.equal(1003, #err.body)
  end)

  it("says of a creation that it may have been acted on", function()
    local s <close>, client = start({ { body = "<html>" } }, { max_retries = 3 })
    local value, err = client.batches:create(support.BATCH)
    assert.is_nil(value)
    assert.equal("decode", err.kind)
    assert.is_true(err.maybe_sent)
    assert.equal(1, s:count())
  end)

  it("is of kind connection when it is shorter than it says", function()
    local value, err = get_of { body = '{"id":"bat-1"}', truncate = 5 }
    assert.is_nil(value)
    assert.equal("connection", err.kind)
    -- even if what came is an object
    value, err = get_of { raw = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id":"bat-1"}' }
    assert.is_nil(value)
    assert.equal("connection", err.kind)
  end)

  it("is of kind connection when its chunks break off or are broken", function()
    for _, chunks in ipairs { "e\r\n{}", "2\r\n{}\r\n", "zz\r\n{}\r\n0\r\n\r\n" } do
      local value, err = get_of { raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" .. chunks }
      assert.is_nil(value)
      assert.equal("connection", err.kind)
    end
    assert.is_table((get_of { raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" }))
  end)

  it("is of kind connection when it is no HTTP", function()
    for _, raw in ipairs { "hello\r\n\r\n", "\0\1\2\3", "SSH-2.0-x\r\n" } do
      local value, err = get_of { raw = raw }
      assert.is_nil(value)
      assert.equal("connection", err.kind)
    end
  end)

  it("may come after interim ones", function()
    local value, err = get_of {
      raw = "HTTP/1.1 103 Early Hints\r\nX-Request-Id: no\r\n\r\nHTTP/1.1 404 No\r\nX-Request-Id: yes\r\n"
        .. "Content-Length: 2\r\n\r\n{}",
    }
    assert.is_nil(value)
    assert.equal("not_found", err.kind)
    assert.equal("yes", err.request_id)
  end)
end)

describe("client:get, post, put, patch and delete", function()
  it("send their method, query and body", function()
    local s <close>, client = start { { body = '{"ok":true}' } }
    for _, name in ipairs { "get", "post", "put", "patch", "delete" } do
      local value = assert(client[name](client, "/api/v9/things?a=1", { query = { b = { "x", "y" }, c = null } }))
      assert.same({ ok = true }, value)
      local sent = s:requests()[s:count()]
      assert.equal(name:upper(), sent.method)
      assert.equal("/api/v9/things", sent.path)
      assert.equal("a=1&b=x&b=y", sent.query)
      assert.equal("Bearer " .. support.KEY, sent.headers.authorization)
      assert.is_nil(sent.headers["content-type"])
    end
  end)

  it("write a table as JSON, and a text as it is", function()
    local s <close>, client = start { { body = "{}" } }
    assert(client:post("/x", { body = { a = 1, list = llama_cloud.array {}, none = null } }))
    assert.equal("application/json", s:requests()[1].headers["content-type"])
    assert.same({ a = 1, list = {}, none = cjson.null }, cjson.decode(s:requests()[1].body))
    assert.is_truthy(s:requests()[1].body:find('"list":[]', 1, true))

    assert(client:put("/x", { body = "a\0b\r\n" }))
    assert.equal("application/octet-stream", s:requests()[2].headers["content-type"])
    assert.equal("a\0b\r\n", s:requests()[2].body)

    assert(client:patch("/x", { body = "a=1", headers = { ["content-type"] = "application/x-www-form-urlencoded" } }))
    assert.equal("application/x-www-form-urlencoded", s:requests()[3].headers["content-type"])

    assert(client:delete("/x", { body = { 1, 2 } }))
    assert.equal("[1,2]", s:requests()[4].body)

    assert(client:post("/x", { body = "" }))
    assert.equal("0", s:requests()[5].headers["content-length"])
  end)

  it("decode JSON of any shape, by its media type", function()
    local json = { ["Content-Type"] = "application/json; charset=utf-8" }
    assert.same({ 1, 2 }, (path_of { body = "[1,2]", headers = json }))
    assert.equal("text", (path_of { body = '"text"', headers = json }))
    assert.equal(42, (path_of { body = "42", headers = json }))
    assert.equal(null, (path_of { body = "null", headers = json }))
    assert.is_true((path_of { body = "true", headers = json }))
    local value, err = path_of { body = "false", headers = json }
    assert.is_false(value)
    assert.is_nil(err)
    assert.same({}, (path_of { body = "{}", headers = { ["Content-Type"] = "application/vnd.api+json" } }))
    assert.same({}, (path_of { body = "{}", headers = { ["Content-Type"] = "APPLICATION/JSON" } }))
  end)

  it("give everything else as a string", function()
    for _, media in ipairs { "text/plain", "application/pdf", "application/jsonl", "text/json-like", "" } do
      assert.equal("{}", (path_of { body = "{}", headers = { ["Content-Type"] = media } }), media)
    end
    assert.equal("%PDF\0\255", (path_of { body = "%PDF\0\255", headers = { ["Content-Type"] = "application/pdf" } }))
    assert.equal("", (path_of { headers = { ["Content-Type"] = "text/plain" } }))
    assert.equal("{}", (path_of { raw = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" }))
    assert.is_true((path_of { status = 204 }))
  end)

  it("report JSON that is none", function()
    local value, err = path_of { body = "[1,2" }
    assert.is_nil(value)
    assert.equal("decode", err.kind)
    value, err = path_of { body = "" }
    assert.is_nil(value)
    assert.equal("the response is empty instead of JSON", err.message)
  end)

  it("go to another origin without the API key and without what is meant for the service", function()
    local s <close> = server.start { { body = "{}" } }
    local client = support.client("https://api.example", {
      default_headers = { ["X-Tenant"] = "secret" },
      default_query = { a = "1" },
    })
    assert(client:get(s:url("/download?signature=abc"), { headers = { ["X-Mine"] = "1" } }))
    assert(client:put(s:url("/upload"), { body = "bytes" }))
    for _, sent in ipairs(s:requests()) do
      assert.is_nil(sent.headers.authorization)
      assert.is_nil(sent.headers["x-tenant"])
      assert.is_nil(sent.headers["x-stainless-lang"])
    end
    assert.equal("/download?signature=abc", s:requests()[1].target)
    assert.equal("1", s:requests()[1].headers["x-mine"])
    assert.equal("bytes", s:requests()[2].body)
  end)

  it("go to the service with the API key if the URL is its own", function()
    local s <close>, client = start({ { body = "{}" } }, { default_query = { a = "1" } })
    assert(client:get(s:url("/x")))
    assert.equal("/x?a=1", s:requests()[1].target)
    assert.equal("Bearer " .. support.KEY, s:requests()[1].headers.authorization)
    -- another name of the same machine is another origin
    assert(client:get(("http://localhost:%d/x"):format(s.port)))
    assert.is_nil(s:requests()[2].headers.authorization)
  end)

  it("work below the path of the base URL", function()
    local s <close> = server.start { { body = "{}" } }
    local client = support.client(s:url("/proxy/llama/"))
    assert(client:get("/x"))
    assert(client.batches:get("bat-1"))
    assert.equal("/proxy/llama/x", s:requests()[1].target)
    assert.equal("/proxy/llama/api/v2/batches/bat-1", s:requests()[2].target)
  end)
end)

describe("an error answer", function()
  it("becomes an error with all that is known", function()
    local s <close>, client = start {
      {
        status = 404,
        body = '{"detail":"Batch not found"}',
        headers = { ["X-Request-Id"] = "req-9", ["X-Other"] = "o" },
      },
    }
    local value, err = client.batches:get("bat-1")
    assert.is_nil(value)
    assert.equal("not_found", err.kind)
    assert.equal("404: Batch not found (check the id, and that it is of the key's project and region)", err.message)
    assert.equal(404, err.status)
    assert.same({ detail = "Batch not found" }, err.body)
    assert.equal("o", err.headers["x-other"])
    assert.equal("req-9", err.request_id)
    assert.equal("GET", err.method)
    assert.equal(s:url("/api/v2/batches/bat-1"), err.url)
    assert.equal(1, err.attempts)
    assert.is_nil(err.retry_after)
    assert.is_false(err.maybe_sent)
    assert.is_nil(err.cause)
    assert.equal(("llama_cloud: not_found: %s (GET %s, request id req-9)"):format(err.message, err.url), tostring(err))
  end)

  it("has the kind of its status", function()
    local kinds = {
      [400] = "bad_request",
      [401] = "authentication",
      [403] = "permission_denied",
      [404] = "not_found",
      [409] = "conflict",
      [422] = "unprocessable_entity",
      [429] = "rate_limit",
      [500] = "internal_server",
      [503] = "internal_server",
      [418] = "status",
      [402] = "status",
      [304] = "status",
    }
    local s <close> = server.start([[
      return function(connection, request)
        connection:json(tonumber(request.path:match("%d+")), "{}")
      end
    ]])
    for status, kind in pairs(kinds) do
      -- a client each: a 429 would make the others wait
      local _, err = support.client(s):get("/" .. status)
      assert.equal(kind, err.kind, status)
      assert.equal(status, err.status)
    end
  end)

  it("unpacks the faults of a 422", function()
    local s <close>, client = start {
      {
        status = 422,
        body = '{"detail":[{"loc":["query","page_size"],"msg":"Input should be greater than 0","type":"x"}]}',
      },
    }
    local _, err = client.batches:get("bat-1")
    assert.equal("422: query.page_size: Input should be greater than 0", err.message)
    assert.equal(1, s:count())
  end)

  it("is the same for a compressed body", function()
    -- gzip -n9 of {"detail":"zipped"}
    local body = "\31\139\8\0\0\0\0\0\2\3\171\86\74\73\45\73\204\204\81\178"
      .. "\82\170\202\44\40\72\77\81\170\5\0\247\232\210\60\19\0\0\0"
    local _, err = get_of { status = 400, body = body, headers = { ["Content-Encoding"] = "gzip" } }
    assert.equal("400: zipped", err.message)
  end)
end)

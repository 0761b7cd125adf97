-- From the arguments of a method to the request, and what is refused before any request. What the real endpoints look
-- like on the wire is in resources/batches_spec.lua and resources/batch_jobs_spec.lua.

local endpoint = require("llama_cloud.endpoint")
local llama_cloud = require("llama_cloud")
local resources = require("llama_cloud.resources")
local server = require("spec.support.server")

local null = llama_cloud.null

-- A server that gives each request the same answer, and a client of it.
local function start(options, answer)
  local s = server.start { answer or { body = "{}" } }
  local given = { api_key = "llx-key", base_url = s:url(), proxy = "", max_retries = 0 }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  return s, llama_cloud.new(given)
end

-- A resource that uses all that a declaration can say.
local probe = endpoint.resource("probe", {
  find = {
    "GET /probe/{first_id}/of/{second_id}",
    query = {
      { "zeta", "string" },
      { "alpha", "integer" },
      { "list", "array" },
      { "flag", "boolean" },
      { "at", "date" },
    },
    header = { { "own_header", "string", wire = "X-Own" } },
  },
  replace = { "PUT /probe/{id}", body = { { "name", "string", required = true }, { "size", "integer" } } },
  change = { "PATCH /probe/{id}", body = { { "name", "string" } } },
  delete = { "DELETE /probe/{id}", accept = "*/*" },
  start = {
    "POST /probe",
    body = { { "list", "array" }, { "half", "any" }, { "whole", "integer" }, { "at", "date" } },
  },
  stop = { "POST /probe/{id}/stop", repeatable = true },
  inner = endpoint.resource("probe.inner", { get = { "GET /inner/{id}" } }),
})

describe("an endpoint", function()
  setup(function()
    resources.probe = probe
  end)

  teardown(function()
    resources.probe = nil
  end)

  describe("puts arguments", function()
    it("into the path, in the order of its names", function()
      local s <close>, client = start()
      assert(client.probe:find("a", "b"))
      assert(client.probe.inner:get("c"))
      assert.equal("/probe/a/of/b", s:requests()[1].target)
      assert.equal("/inner/c", s:requests()[2].target)
    end)

    it("into the path, escaped as one segment", function()
      local s <close>, client = start()
      local spellings = {
        ["a/b"] = "a%2Fb",
        ["/"] = "%2F",
        ["../x"] = "..%2Fx",
        ["..."] = "...",
        ["%2e%2e"] = "%252e%252e",
        ["100%"] = "100%25",
        ["%1"] = "%251",
        ["a b"] = "a%20b",
        ["a?b#c"] = "a%3Fb%23c",
        ['[x]"<>'] = "%5Bx%5D%22%3C%3E",
        ["é"] = "%C3%A9",
        ["\t\127"] = "%09%7F",
        ["{second_id}"] = "%7Bsecond_id%7D",
        ["-._~!$&'()*+,;=:@"] = "-._~!$&'()*+,;=:@",
      }
      local expected = {}
      for id, spelling in pairs(spellings) do
        expected[#expected + 1] = "/probe/" .. spelling .. "/of/x"
        assert(client.probe:find(id, "x"))
      end
      for index, request in ipairs(s:requests()) do
        assert.equal(expected[index], request.target)
      end
    end)

    it("into the query: declared names in their order, then the others by name", function()
      local s <close>, client = start()
      assert(
        client.probe:find(
          "a",
          "b",
          { flag = false, list = { "x", "y z" }, alpha = 0, zeta = "ü&=+ /?" },
          { query = { ["b[]"] = 1, a = true } }
        )
      )
      assert.equal(
        "zeta=%C3%BC%26%3D%2B%20%2F%3F&alpha=0&list=x&list=y%20z&flag=false&a=true&b%5B%5D=1",
        s:requests()[1].query
      )
    end)

    it("into the query: integers without a fraction, other numbers shortest, empty texts kept", function()
      local s <close>, client = start()
      assert(
        client.probe:find("a", "b", { alpha = 3.0, zeta = "" }, { query = { a = 0.1, b = 1e15, c = 9007199254740993 } })
      )
      assert.equal("zeta=&alpha=3&a=0.1&b=1000000000000000&c=9007199254740993", s:requests()[1].query)
    end)

    it("into the query: dates as they are given, or seconds as ISO 8601", function()
      local s <close>, client = start()
      for given, sent in pairs {
        ["2019-12-27T18:11:19.117Z"] = "2019-12-27T18%3A11%3A19.117Z",
        ["2019-12-27"] = "2019-12-27",
        [1577470279] = "2019-12-27T18%3A11%3A19.000Z",
        [1577470279.117] = "2019-12-27T18%3A11%3A19.117Z",
        [0] = "1970-01-01T00%3A00%3A00.000Z",
        [-1] = "1969-12-31T23%3A59%3A59.000Z",
      } do
        assert(client.probe:find("a", "b", { at = given }))
        assert.equal("at=" .. sent, s:requests()[s:count()].query)
      end
    end)

    it("nowhere if they are null, an empty array, or a null in an array", function()
      local s <close>, client = start()
      assert(client.probe:find("a", "b", { zeta = null, alpha = null, list = {}, at = null, own_header = null }))
      assert(client.probe:find("a", "b", { list = { null, "x", null } }, { query = { a = null, b = {} } }))
      assert.equal("/probe/a/of/b", s:requests()[1].target)
      assert.is_nil(s:requests()[1].headers["x-own"])
      assert.equal("/probe/a/of/b?list=x", s:requests()[2].target)
    end)

    it("into a header", function()
      local s <close>, client = start()
      assert(client.probe:find("a", "b", { own_header = "mine" }))
      assert.equal("mine", s:requests()[1].headers["x-own"])
      assert.is_nil(s:requests()[1].query)
    end)

    it("into the body: empty arrays stay arrays, integers have no fraction, nulls are sent", function()
      local s <close>, client = start()
      assert(client.probe:start { list = {}, half = 2.5, whole = 3.0, at = 0 })
      assert(client.probe:start { list = null, half = 2.0, whole = 1 << 53, at = "2019-12-27" })
      assert(client.probe:start { list = { 1, "x", { y = null } } })
      assert(client.probe:start())
      local bodies = {}
      for index, request in ipairs(s:requests()) do
        bodies[index] = request.body
      end
      assert.same({
        '{"at":"1970-01-01T00:00:00.000Z","half":2.5,"list":[],"whole":3}',
        '{"at":"2019-12-27","half":2.0,"list":null,"whole":9007199254740992}',
        '{"list":[1,"x",{"y":null}]}',
        "{}",
      }, bodies)
    end)
  end)

  describe("sends", function()
    it("its method and, with a body only, a Content-Type", function()
      local s <close>, client = start()
      assert(client.probe:find("a", "b"))
      assert(client.probe:replace("a", { name = "n" }))
      assert(client.probe:change("a", { name = null }))
      assert(client.probe:delete("a"))
      assert(client.probe:stop("a"))
      local seen = {}
      for index, request in ipairs(s:requests()) do
        seen[index] = {
          request.method,
          request.target,
          request.body,
          request.headers["content-type"] or "none",
          request.headers["content-length"] or "none",
          request.headers.accept,
        }
      end
      assert.same({
        { "GET", "/probe/a/of/b", "", "none", "none", "application/json" },
        { "PUT", "/probe/a", '{"name":"n"}', "application/json", "12", "application/json" },
        { "PATCH", "/probe/a", '{"name":null}', "application/json", "13", "application/json" },
        { "DELETE", "/probe/a", "", "none", "none", "*/*" },
        { "POST", "/probe/a/stop", "", "none", "0", "application/json" },
      }, seen)
    end)

    it("again what does no harm twice: GET, PUT, DELETE and what is declared so", function()
      local s <close>, client = start({ max_retries = 1 }, { status = 500, headers = { ["Retry-After-Ms"] = "1" } })
      local function attempts(method, ...)
        local before = s:count()
        local value, err = client.probe[method](client.probe, ...)
        assert.is_nil(value)
        assert.equal("internal_server", err.kind)
        return s:count() - before
      end
      assert.equal(2, attempts("find", "a", "b"))
      assert.equal(2, attempts("replace", "a", { name = "n" }))
      assert.equal(2, attempts("delete", "a"))
      assert.equal(2, attempts("stop", "a"))
      assert.equal(1, attempts("change", "a"))
      assert.equal(1, attempts("start"))
    end)

    it("the client's project and organization to those who take them only, unless the call says otherwise", function()
      local s <close>, client =
        start { project_id = "prj-1", organization_id = "org-1", default_query = { zeta = "d" } }
      assert(client.probe:find("a", "b"))
      assert(client.batches:get("x"))
      assert(client.batches:get("x", { project_id = "prj-2", organization_id = null }))
      assert(client.batches:get("x", nil, { query = { project_id = null, zeta = "c" } }))
      assert(client.beta.batch:cancel("x", { project_id = null }))
      local targets = {}
      for index, request in ipairs(s:requests()) do
        targets[index] = request.target
      end
      assert.same({
        "/probe/a/of/b?zeta=d",
        "/api/v2/batches/x?organization_id=org-1&project_id=prj-1&zeta=d",
        "/api/v2/batches/x?project_id=prj-2&zeta=d",
        "/api/v2/batches/x?organization_id=org-1&zeta=c",
        "/api/v1/beta/batch-processing/x/cancel?organization_id=org-1&zeta=d",
      }, targets)
      assert.equal("{}", s:requests()[5].body)
    end)

    it("below a base URL with a path", function()
      local s <close> = server.start { { body = "{}" } }
      local client = llama_cloud.new { api_key = "k", base_url = s:url("/prefix/v0/"), proxy = "" }
      assert(client.batches:get("x"))
      assert.equal("/prefix/v0/api/v2/batches/x", s:requests()[1].target)
    end)
  end)

  describe("merges options", function()
    it("query: over parameters and defaults", function()
      local s <close>, client = start()
      assert(
        client.probe:find("a", "b", { alpha = 1, zeta = "z" }, { query = { alpha = 2, zeta = null, new = { 1, 2 } } })
      )
      assert.equal("alpha=2&new=1&new=2", s:requests()[1].query)
    end)

    it("body: over parameters, also where none is declared or one is required", function()
      local s <close>, client = start()
      assert(client.probe:replace("a", { name = "n", size = 1 }, { body = { size = 2, new = { deep = true } } }))
      assert(client.probe:replace("a", nil, { body = { name = "m" } }))
      assert(client.probe:stop("a", nil, { body = { reason = "r" } }))
      assert.equal('{"name":"n","new":{"deep":true},"size":2}', s:requests()[1].body)
      assert.equal('{"name":"m"}', s:requests()[2].body)
      assert.equal('{"reason":"r"}', s:requests()[3].body)
      assert.equal("application/json", s:requests()[3].headers["content-type"])
    end)

    it("headers: over all others, whatever the case; false leaves one out", function()
      local s <close>, client = start { default_headers = { ["X-Team"] = "default", ["X-Other"] = "default" } }
      assert(client.probe:find("a", "b", { own_header = "parameter" }, {
        headers = {
          accept = "text/plain",
          ["x-team"] = "call",
          ["X-OWN"] = "option",
          Authorization = false,
          ["X-Number"] = 5,
        },
      }))
      local headers = s:requests()[1].headers
      assert.equal("text/plain", headers.accept)
      assert.equal("call", headers["x-team"])
      assert.equal("default", headers["x-other"])
      assert.equal("option", headers["x-own"])
      assert.equal("5", headers["x-number"])
      assert.is_nil(headers.authorization)
      assert(client.probe:find("a", "b"))
      headers = s:requests()[2].headers
      assert.equal("Bearer llx-key", headers.authorization)
      assert.equal("default", headers["x-team"])
      assert.is_nil(headers["x-own"])
    end)

    it("timeout and max_retries: of this call", function()
      local slowdown = tonumber(os.getenv("LLAMA_CLOUD_TEST_SLOWDOWN")) or 1
      local s <close>, client = start({ max_retries = 3 }, { status = 500, headers = { ["Retry-After-Ms"] = "1" } })
      local _, err = client.batches:get("x", nil, { max_retries = 0 })
      assert.equal("internal_server", err.kind)
      assert.equal(1, err.attempts)
      assert.equal(1, s:count())

      local silent <close>, patient = start({ max_retries = 3 }, { delay = 60 })
      _, err = patient.batches:get("x", nil, { max_retries = 0, timeout = 0.05 * slowdown })
      assert.equal("timeout", err.kind)
      assert.equal(1, err.attempts)
      _, err = patient.batches:get("x", nil, { total_timeout = 0.05 * slowdown })
      assert.equal("timeout", err.kind)
      assert.is_true(silent:count() <= 2)
    end)
  end)

  it("takes null options for options that are not given", function()
    local s <close>, client = start { max_retries = 0 }
    local options =
      { timeout = null, total_timeout = null, max_retries = null, headers = null, query = null, body = null }
    assert(client.batches:get("x", nil, options))
    assert.same({}, client.batches:cancel("x", nil, options))
    assert.equal("", s:requests()[2].body)
  end)

  it("takes a creation's answer that has no id, or no body", function()
    local s <close> = server.start { { body = "{}" }, { status = 204 } }
    local client = llama_cloud.new { api_key = "k", base_url = s:url(), proxy = "" }
    local params = { source_directory_id = "dir-1", config = {} }
    assert.same({}, client.batches:create(params))
    assert.equal(true, client.batches:create(params))
    assert.equal(2, s:count())
  end)

  describe("refuses", function()
    -- The complaint of a method. Called through pcall directly, it has no position.
    local function complaint(resource, method, ...)
      local ok, message = pcall(resource[method], resource, ...)
      assert.is_false(ok, method .. " should have raised")
      return message
    end

    it("path ids that are missing, empty, dots, or no strings", function()
      local s <close>, client = start()
      local batches, jobs = client.batches, client.beta.batch
      assert.equal(
        "batch_id must be a string, not nil (a call that fails returns nil and an error: put assert() around it)",
        complaint(batches, "get")
      )
      assert.equal("batch_id must be a string, not number", complaint(batches, "get", 12))
      assert.equal("batch_id must be a string, not table", complaint(batches, "get", { batch_id = "x" }))
      assert.equal("batch_id must be a string, not userdata", complaint(batches, "get", null))
      assert.equal("batch_id must be a string, not table: give its 'id'", complaint(batches, "get", { id = "x" }))
      assert.equal("batch_id must not be empty", complaint(batches, "get", ""))
      assert.equal("batch_id must not be '.'", complaint(batches, "get", "."))
      assert.equal("batch_id must not be '..'", complaint(batches, "cancel", ".."))
      assert.equal("batch_id contains a line break or NUL", complaint(batches, "get", "a\r\nX: y"))
      assert.equal("batch_id contains a line break or NUL", complaint(batches, "get", "a\0"))
      assert.equal("job_id must not be empty", complaint(jobs, "get_status", ""))
      assert.equal("job_id must not be empty", complaint(jobs, "cancel", ""))
      assert.equal("job_id must not be empty", complaint(jobs.job_items, "list", ""))
      assert.equal("item_id must not be empty", complaint(jobs.job_items, "get_processing_results", ""))
      assert.equal(
        "second_id must be a string, not nil (a call that fails returns nil and an error: put assert() around it)",
        complaint(client.probe, "find", "a")
      )
      assert.equal("batch_id must be a string, not table", complaint(batches, "get", { colour = 1 }, { expand = 1 }))
      assert.equal(
        "first_id must be a string, not nil (a call that fails returns nil and an error: put assert() around it)",
        complaint(client.probe, "find", nil, "b")
      )
      assert.equal(0, s:count())
    end)

    it("parameters that do not exist, and names the nearest", function()
      local s <close>, client = start()
      local batches, jobs = client.batches, client.beta.batch
      assert.equal(
        "unknown parameter 'pagesize' (did you mean 'page_size'?)",
        complaint(batches, "list", { pagesize = 1 })
      )
      assert.equal(
        "unknown parameter 'Status' (did you mean 'status'?)",
        complaint(batches, "list", { Status = "RUNNING" })
      )
      assert.equal(
        "unknown parameter 'expand': there are created_at_on_or_after, created_at_on_or_before, organization_id, "
          .. "page_size, page_token, project_id, source_directory_id, status",
        complaint(batches, "list", { expand = { "results" } })
      )
      assert.equal(
        "unknown parameter 'expnad' (did you mean 'expand'?)",
        complaint(batches, "get", "x", { expnad = {} })
      )
      local of_get = "unknown parameter '%s': there are expand, organization_id, project_id"
      assert.equal(of_get:format("colour"), complaint(batches, "get", "x", { colour = 1 }))
      assert.equal(of_get:format("batch_id"), complaint(batches, "get", "x", { batch_id = "y" }))
      assert.equal(
        "unknown parameter 'source_directory' (did you mean 'source_directory_id'?)",
        complaint(batches, "create", { source_directory = "dir-1", config = {} })
      )
      assert.equal(
        "unknown parameter 'temporal-namespace' (did you mean 'temporal_namespace'?)",
        complaint(jobs, "cancel", "x", { ["temporal-namespace"] = "n" })
      )
      assert.matches("a number is not a name", complaint(batches, "list", { "RUNNING" }), 1, true)
      assert.equal(0, s:count())
    end)

    it("parameters among the options, and options among the parameters, and tells where they belong", function()
      local s <close>, client = start()
      local batches, jobs = client.batches, client.beta.batch
      local parameter =
        "unknown parameter '%s': it is an option, and options are in a table after that of the parameters"
      local option = "unknown option '%s': it is a parameter, and parameters are in a table before that of the options"
      assert.equal(parameter:format("timeout"), complaint(batches, "get", "x", { timeout = 1 }))
      assert.equal(parameter:format("fields"), complaint(batches, "list", { fields = { "id" } }))
      assert.equal(parameter:format("concurrency"), complaint(jobs, "list", { concurrency = 4 }))
      assert.matches("^unknown parameter 'concurrency': there are ", complaint(batches, "list", { concurrency = 4 }))
      assert.equal(option:format("expand"), complaint(batches, "get", "x", nil, { expand = { "results" } }))
      for _, method in ipairs { "wait", "watch", "wait_all" } do
        local subject = method == "wait_all" and { "x" } or "x"
        assert.equal(parameter:format("backoff"), complaint(batches, method, subject, { backoff = "constant" }))
        assert.equal(option:format("expand"), complaint(batches, method, subject, {}, { expand = { "results" } }))
      end
      local creation = { source_directory_id = "dir-1", config = {}, expand = { "results" } }
      assert.equal(parameter:format("expand"), complaint(batches, "run", creation))
      creation.expand = nil
      assert.equal(option:format("config"), complaint(batches, "run", creation, { config = {} }))
      assert.equal(0, s:count())
    end)

    it("options that do not exist, and options of the wrong type", function()
      local s <close>, client = start()
      local function of(options)
        return complaint(client.batches, "get", "x", nil, options)
      end
      assert.equal("unknown option 'time_out' (did you mean 'timeout'?)", of { time_out = 1 })
      assert.equal("unknown option 'max_retry' (did you mean 'max_retries'?)", of { max_retry = 1 })
      assert.matches("a number is not a name", of { 1 }, 1, true)
      local seconds = "a number of seconds greater than 0 (math.huge for no limit)"
      assert.equal("option 'timeout' must be " .. seconds .. ", not 0", of { timeout = 0 })
      assert.equal("option 'timeout' must be " .. seconds .. ", not string", of { timeout = "5" })
      assert.equal("option 'total_timeout' must be " .. seconds .. ", not -1", of { total_timeout = -1 })
      assert.equal("option 'max_retries' must be an integer that is not negative, not -1", of { max_retries = -1 })
      assert.equal("option 'max_retries' must be an integer that is not negative, not 1.5", of { max_retries = 1.5 })
      assert.equal("option 'headers' must be a table, not string", of { headers = "X: y" })
      assert.equal("option 'query' must be a table, not string", of { query = "a=b" })
      assert.equal("a GET has no body", of { body = {} })
      assert.equal("options must be a table, not number", of(60))
      assert.equal("options must be a table, not boolean", of(false))
      assert.equal(0, s:count())
    end)

    it("parameters of the wrong type", function()
      local s <close>, client = start()
      local batches, jobs = client.batches, client.beta.batch
      local function of(params)
        return complaint(batches, "list", params)
      end
      assert.equal("parameter 'page_size' must be an integer, not string", of { page_size = "100" })
      assert.equal("parameter 'page_size' must be an integer, not 1.5", of { page_size = 1.5 })
      assert.equal("parameter 'page_size' must be an integer, not inf", of { page_size = math.huge })
      assert.equal("parameter 'status' must be a string, not boolean", of { status = true })
      assert.equal("parameter 'status' must be a string, not table", of { status = { "RUNNING" } })
      local a_date = "an ISO 8601 string or a number of seconds since the epoch"
      assert.equal(
        "parameter 'created_at_on_or_after' must be " .. a_date .. ", not table",
        of { created_at_on_or_after = os.date("*t") }
      )
      assert.matches("must be " .. a_date .. ", not .*nan", of { created_at_on_or_before = 0 / 0 })
      assert.equal("parameters must be a table, not string", of("RUNNING"))
      assert.equal("parameters must be a table, not boolean", of(false))
      assert.equal("parameters must be a table, not userdata", of(null))
      assert.equal(
        "parameter 'expand' must be an array, not boolean",
        complaint(batches, "get", "x", { expand = true })
      )
      assert.equal(
        "parameter 'expand' must be an array, not table",
        complaint(batches, "get", "x", { expand = { results = true } })
      )
      assert.equal(
        "parameter 'config' must be a table, not string",
        complaint(batches, "create", { source_directory_id = "dir-1", config = "cfg-1" })
      )
      assert.equal("parameter 'limit' must be an integer, not string", complaint(jobs, "list", { limit = "5" }))
      assert.equal(
        "parameter 'offset' must be an integer that is not negative",
        complaint(jobs, "list", { offset = -1 })
      )
      assert.equal(
        "parameter 'item_ids' must be an array, not number",
        complaint(jobs, "create", { job_config = {}, item_ids = 1 })
      )
      assert.equal(
        "parameter 'flag' must be a boolean, not string",
        complaint(client.probe, "find", "a", "b", { flag = "true" })
      )
      assert.equal(0, s:count())
    end)

    it("values that a query cannot hold", function()
      local s <close>, client = start()
      local function of(query)
        return complaint(client.batches, "get", "x", nil, { query = query })
      end
      assert.equal("query parameter 'a' cannot be a function", of { a = print })
      assert.matches("^query parameter 'a' cannot be %-?nan$", of { a = 0 / 0 })
      assert.equal("query parameter 'a' cannot be inf", of { a = math.huge })
      assert.equal("query parameter 'a' cannot be a table that is not an array", of { a = { b = 1 } })
      assert.equal("query parameter 'a' cannot be a table that is not an array", of { a = { 1, nil, 3 } })
      assert.equal("query parameter 'a' cannot hold a table", of { a = { { 1 } } })
      assert.equal("query parameter 'a' cannot hold inf", of { a = { 1, math.huge } })
      assert.equal("option 'query' has a name that is a number", of { "a=b" })
      assert.equal(
        "query parameter 'expand' cannot hold a function",
        complaint(client.batches, "get", "x", { expand = { print } })
      )
      assert.equal(0, s:count())
    end)

    it("values that JSON cannot hold, and says where", function()
      local s <close>, client = start()
      local function of(config)
        return complaint(client.batches, "create", { source_directory_id = "dir-1", config = config })
      end
      assert.matches("^body%.config%.job%.type: ", of { job = { type = print } })
      assert.matches("^body%.config%.job%.number: ", of { job = { number = 0 / 0 } })
      assert.matches("^body%.config%.text: .*UTF%-8", of { text = "\xff" })
      local cycle = {}
      cycle.again = cycle
      assert.matches("^body%.config", of(cycle))
      assert.equal(0, s:count())
    end)

    it("line breaks in headers", function()
      local s <close>, client = start()
      assert.equal(
        "parameter 'own_header' contains a line break or NUL",
        complaint(client.probe, "find", "a", "b", { own_header = "a\r\nX-Evil: b" })
      )
      for _, value in ipairs { "a\nb", "a\rb", "a\0b" } do
        assert.equal(
          "header 'X-A' contains a line break or NUL",
          complaint(client.batches, "get", "x", nil, { headers = { ["X-A"] = value } })
        )
      end
      assert.equal(
        'invalid header name "X A"',
        complaint(client.batches, "get", "x", nil, { headers = { ["X A"] = "1" } })
      )
      assert.equal(
        "header 'X-A' must be a string, or false to leave it out, not boolean",
        complaint(client.batches, "get", "x", nil, { headers = { ["X-A"] = true } })
      )
      assert.equal(0, s:count())
    end)

    it("missing required parameters", function()
      local s <close>, client = start()
      local batches = client.batches
      assert.equal("missing parameter 'source_directory_id'", complaint(batches, "create"))
      assert.equal("missing parameter 'source_directory_id'", complaint(batches, "create", { config = {} }))
      assert.equal("missing parameter 'config'", complaint(batches, "create", { source_directory_id = "dir-1" }))
      assert.equal(
        "missing parameter 'config'",
        complaint(batches, "create", { source_directory_id = "dir-1", config = null })
      )
      assert.equal("missing parameter 'job_config'", complaint(client.beta.batch, "create", { directory_id = "dir-1" }))
      assert.equal(0, s:count())
    end)

    it("too many arguments", function()
      local s <close>, client = start()
      assert.equal("too many arguments for batches:get", complaint(client.batches, "get", "x", {}, {}, {}))
      assert.equal("too many arguments for batches:list", complaint(client.batches, "list", {}, {}, nil))
      assert.equal(0, s:count())
    end)

    it("a dot where a colon belongs", function()
      local s <close>, client = start()
      local function of(method, ...)
        local ok, message = pcall(method, ...)
        assert.is_false(ok)
        return message
      end
      assert.equal("call it with a colon: client.batches:get(…)", of(client.batches.get, "x"))
      assert.equal("call it with a colon: client.batches:list(…)", of(client.batches.list, {}))
      assert.equal("call it with a colon: client.batches:list(…)", of(client.batches.list))
      assert.equal(
        "call it with a colon: client.beta.batch.job_items:list(…)",
        of(client.beta.batch.job_items.list, "x")
      )
      assert.equal(
        "call it with a colon: client.beta.batch:cancel(…)",
        of(client.beta.batch.cancel, client.batches, "x")
      )
      assert.equal(0, s:count())
    end)

    it("calls of a closed client", function()
      local s <close>, client = start()
      client:close()
      assert.equal(
        "attempt to use a closed client: make another with llama_cloud.new",
        complaint(client.batches, "get", "x")
      )
      assert.equal(
        "attempt to use a closed client: make another with llama_cloud.new",
        complaint(client.batches, "list")
      )
      assert.equal(0, s:count())
    end)

    it("at the line of the caller", function()
      local s <close>, client = start()
      local function position(f)
        local ok, message = pcall(f)
        assert.is_false(ok)
        return message:match("endpoint/endpoint_spec%.lua:(%d+): ")
      end
      local line = debug.getinfo(1, "l").currentline
      local lines = {
        position(function()
          client.batches:get("")
        end),
        position(function()
          client.batches.get("x")
        end),
        position(function()
          for _ in client.batches:list { pagesize = 5 } do -- luacheck: ignore 512
            break
          end
        end),
        position(function()
          client.batches:get("x", {}, {}, {})
        end),
        position(function()
          client.beta.batch.job_items:list("x", { limit = "5" })
        end),
      }
      local expected = { 3, 6, 9, 14, 17 }
      for index, offset in ipairs(expected) do
        assert.equal(tostring(line + offset), lines[index])
      end
      assert.equal(0, s:count())
    end)
  end)

  it("does not change the tables that it is given", function()
    local s <close>, client = start { project_id = "prj-1" }
    local params = { source_directory_id = "dir-1", config = { job = {} }, webhook_configuration_ids = {} }
    local options = { query = { a = 1 }, body = { b = 2 }, headers = { ["X-A"] = "1" } }
    assert(client.batches:create(params, options))
    assert.same({ source_directory_id = "dir-1", config = { job = {} }, webhook_configuration_ids = {} }, params)
    assert.is_nil(getmetatable(params.webhook_configuration_ids))
    assert.same({ query = { a = 1 }, body = { b = 2 }, headers = { ["X-A"] = "1" } }, options)
    assert.equal(1, s:count())
  end)

  it("of a resource that has no such method raises at the caller's line, and names the nearest", function()
    local client = llama_cloud.new { api_key = "llx-key", base_url = "http://127.0.0.1:9" }
    local line = debug.getinfo(1, "l").currentline
    local calls = {
      ["no method 'cancl' (did you mean 'cancel'?)"] = function()
        client.batches:cancl("bat-1")
      end,
      ["no method 'waitall' (did you mean 'wait_all'?)"] = function()
        client.batches:waitall {}
      end,
      ["no method 'retrieve': there are get_processing_results, list"] = function()
        client.beta.batch.job_items.retrieve("item")
      end,
    }
    local lines = {}
    for complaint, f in pairs(calls) do
      local ok, message = pcall(f)
      assert.is_false(ok)
      local at, text = message:match("^[^:]*endpoint_spec%.lua:(%d+): (.*)$")
      assert.equal(complaint, text)
      lines[#lines + 1] = at - line
    end
    table.sort(lines)
    assert.same({ 3, 6, 9 }, lines)
    -- what asks what kind of value it is gets an answer
    assert.is_nil(client.batches[1])
    assert.is_nil(client.batches.__name)
  end)

  it("hides the client's secrets", function()
    local client = llama_cloud.new { api_key = "llx-secret", base_url = "http://127.0.0.1:9" }
    assert.equal("llama_cloud.batches", tostring(client.batches))
    assert.equal("llama_cloud.beta.batch.job_items", tostring(client.beta.batch.job_items))
    assert.is_nil(next(client.batches))
  end)
end)

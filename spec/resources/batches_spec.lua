-- v2 batches: what each call looks like on the wire, and what its answer becomes.

local llama_cloud = require("llama_cloud")
local compare = require("spec.support.compare")
local lists = require("spec.support.lists")

local null, array = llama_cloud.null, llama_cloud.array

-- What the API reference shows as an answer; `list` is its page, with one such batch.
local EXAMPLE = [[
{
  "id": "id",
  "config": {
    "job": {
      "configuration_id": "cfg-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
      "type": "parse_v2"
    }
  },
  "project_id": "project_id",
  "source_directory_id": "source_directory_id",
  "status": "PENDING",
  "created_at": "2019-12-27T18:11:19.117Z",
  "results": [
    {
      "source_directory_file_id": "dfl-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
      "error_message": "error_message",
      "job_reference": {
        "id": "pjb-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "type": "parse_v2"
      }
    }
  ],
  "updated_at": "2019-12-27T18:11:19.117Z"
}
]]
local EXAMPLE_PAGE = ('{"items":[%s],"next_page_token":"next_page_token","total_size":0}'):format(EXAMPLE)

local DECODED = {
  id = "id",
  config = { job = { configuration_id = "cfg-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", type = "parse_v2" } },
  project_id = "project_id",
  source_directory_id = "source_directory_id",
  status = "PENDING",
  created_at = "2019-12-27T18:11:19.117Z",
  results = {
    {
      source_directory_file_id = "dfl-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
      error_message = "error_message",
      job_reference = { id = "pjb-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", type = "parse_v2" },
    },
  },
  updated_at = "2019-12-27T18:11:19.117Z",
}

local function assert_same(expected, found)
  assert.is_nil(compare.difference(expected, found))
end

-- The one request so far.
local function only(s)
  assert.equal(1, s:count())
  return s:requests()[1]
end

local CONFIG = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } }
local CONFIG_TEXT = '{"job":{"configuration_id":"cfg-PARSE_AGENTIC","type":"parse_v2"}}'

describe("batches:create", function()
  it("sends what it must have", function()
    local s <close>, client = lists.start { EXAMPLE }
    assert(client.batches:create { source_directory_id = "dir-1", config = CONFIG })
    local request = only(s)
    assert.equal("POST", request.method)
    assert.equal("/api/v2/batches", request.target)
    assert.equal(('{"config":%s,"source_directory_id":"dir-1"}'):format(CONFIG_TEXT), request.body)
    assert.equal("application/json", request.headers["content-type"])
    assert.equal(tostring(#request.body), request.headers["content-length"])
    assert.equal("application/json", request.headers.accept)
    assert.equal("Bearer llx-key", request.headers.authorization)
    assert.is_nil(request.headers.expect)
  end)

  it("sends all that it can have; scope goes into the query", function()
    local s <close>, client = lists.start { EXAMPLE }
    assert(client.batches:create {
      source_directory_id = "dir-1",
      config = CONFIG,
      organization_id = "org 1",
      project_id = "prj-1",
      webhook_configuration_ids = { "whc-1", "whc-2" },
      webhook_configurations = {
        {
          webhook_url = "https://example.com/hook?a=b",
          webhook_events = { "batch.success", "batch.error" },
          webhook_headers = { ["X-A"] = "ü" },
          webhook_output_format = "json",
          webhook_signing_secret = null,
        },
        { webhook_events = array {} },
      },
    })
    local request = only(s)
    assert.equal("/api/v2/batches?organization_id=org%201&project_id=prj-1", request.target)
    assert.equal(
      ('{"config":%s,"source_directory_id":"dir-1","webhook_configuration_ids":["whc-1","whc-2"],'):format(CONFIG_TEXT)
        .. '"webhook_configurations":[{"webhook_events":["batch.success","batch.error"],"webhook_headers":{"X-A":"ü"},'
        .. '"webhook_output_format":"json","webhook_signing_secret":null,"webhook_url":"https://example.com/hook?a=b"},'
        .. '{"webhook_events":[]}]}',
      request.body
    )
  end)

  it("sends empty arrays as arrays, and nulls in the body as nulls", function()
    local s <close>, client = lists.start { EXAMPLE }
    assert(client.batches:create {
      source_directory_id = "dir-1",
      config = {},
      webhook_configuration_ids = {},
      webhook_configurations = null,
      project_id = null,
    })
    assert.equal("/api/v2/batches", only(s).target)
    assert.equal(
      '{"config":{},"source_directory_id":"dir-1","webhook_configuration_ids":[],"webhook_configurations":null}',
      only(s).body
    )
  end)

  it("takes what this version does not know in options", function()
    local s <close>, client = lists.start { EXAMPLE }
    assert(client.batches:create({ source_directory_id = "dir-1", config = CONFIG }, {
      body = { name = "mine", config = { job = "other" } },
      query = { dry_run = true },
      headers = { ["X-A"] = "b" },
    }))
    local request = only(s)
    assert.equal("/api/v2/batches?dry_run=true", request.target)
    assert.equal('{"config":{"job":"other"},"name":"mine","source_directory_id":"dir-1"}', request.body)
    assert.equal("b", request.headers["x-a"])
  end)

  it("returns the batch, whichever 2xx it comes with", function()
    for _, status in ipairs { 200, 201, 202 } do
      local s <close>, client = lists.start { { status = status, body = EXAMPLE } }
      assert_same(DECODED, client.batches:create { source_directory_id = "dir-1", config = CONFIG })
      assert.equal(1, s:count())
    end
  end)

  it("is not sent again when its answer is lost, and says so", function()
    local s <close>, client = lists.start({ { close_before = true } }, { max_retries = 3 })
    local batch, err = client.batches:create { source_directory_id = "dir-1", config = CONFIG }
    assert.is_nil(batch)
    assert.equal("connection", err.kind)
    assert.is_true(err.maybe_sent)
    assert.equal(1, s:count())
  end)

  it("returns the service's complaint, unpacked", function()
    local s <close>, client = lists.start {
      {
        status = 422,
        body = [[{"detail":[{"loc":["body","config","job","type"],"type":"enum",
        "msg":"Input should be 'parse_v2' or 'extract_v2'"}]}]],
      },
    }
    local batch, err = client.batches:create { source_directory_id = "dir-1", config = CONFIG }
    assert.is_nil(batch)
    assert.equal("unprocessable_entity", err.kind)
    assert.matches("body.config.job.type: Input should be 'parse_v2' or 'extract_v2'", err.message, 1, true)
    assert.equal("enum", err.body.detail[1].type)
    assert.equal(1, s:count())
  end)
end)

describe("batches:get", function()
  it("asks for a batch by its id", function()
    local s <close>, client = lists.start { EXAMPLE }
    assert_same(DECODED, client.batches:get("bat-1"))
    local request = only(s)
    assert.equal("GET", request.method)
    assert.equal("/api/v2/batches/bat-1", request.target)
    assert.equal("", request.body)
    assert.is_nil(request.headers["content-type"])
    assert.is_nil(request.headers["content-length"])
    assert.equal("application/json", request.headers.accept)
  end)

  it("asks for what is to be expanded, each in a parameter of its own", function()
    local s <close>, client = lists.start { EXAMPLE }
    assert(client.batches:get("bat/1", { expand = { "results" } }))
    assert(client.batches:get("b", { project_id = "p", organization_id = "o", expand = { "results", "more things" } }))
    assert(client.batches:get("b", { expand = {} }))
    assert(client.batches:get("b", { expand = null, project_id = null, organization_id = null }))
    assert.same({
      "/batches/bat%2F1?expand=results",
      "/batches/b?expand=results&expand=more%20things&organization_id=o&project_id=p",
      "/batches/b",
      "/batches/b",
    }, lists.targets(s))
  end)

  it("leaves nulls out, and keeps fields and values that it does not know", function()
    local s <close>, client = lists.start {
      [[{"id":"bat-1","results":null,"status":"SOMETHING_NEW","created_at":null,"updated_at":null,
      "count":9007199254740993,"share":0.5,"new":{"list":[],"object":{},"nulls":[null,1]},
      "config":{"job":{"type":"new_v3","configuration_id":"c"}}}]],
    }
    assert_same({
      id = "bat-1",
      status = "SOMETHING_NEW",
      count = 9007199254740993,
      share = 0.5,
      new = { list = array {}, object = {}, nulls = { null, 1 } },
      config = { job = { type = "new_v3", configuration_id = "c" } },
    }, client.batches:get("bat-1"))
    assert.equal(1, s:count())
  end)

  it("gives the documented example of results", function()
    local s <close>, client = lists.start {
      [[{"id":"bat-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee","project_id":"prj-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
      "source_directory_id":"dir-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee","config":{"job":{"type":"parse_v2",
      "configuration_id":"cfg-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"}},"status":"COMPLETED","results":[
      {"source_directory_file_id":"dfl-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee","job_reference":{"type":"parse_v2",
      "id":"pjb-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"},"error_message":null}]}]],
    }
    assert_same({
      id = "bat-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
      project_id = "prj-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
      source_directory_id = "dir-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
      config = { job = { type = "parse_v2", configuration_id = "cfg-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee" } },
      status = "COMPLETED",
      results = {
        {
          source_directory_file_id = "dfl-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
          job_reference = { type = "parse_v2", id = "pjb-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee" },
        },
      },
    }, client.batches:get("bat-1", { expand = { "results" } }))
    assert.equal(1, s:count())
  end)

  it("returns nil and an error for what does not exist", function()
    local s <close>, client = lists.start {
      { status = 404, body = '{"detail":"Batch not found"}', headers = { ["x-request-id"] = "req-1" } },
    }
    local batch, err = client.batches:get("bat-1")
    assert.is_nil(batch)
    assert.equal("not_found", err.kind)
    assert.equal(404, err.status)
    assert.equal("404: Batch not found (check the id, and that it is of the key's project and region)", err.message)
    assert.equal("req-1", err.request_id)
    assert.equal("GET", err.method)
    assert.equal(s:url("/api/v2/batches/bat-1"), err.url)
    assert.equal(1, err.attempts)
    assert.equal(1, s:count())
  end)
end)

describe("batches:cancel", function()
  it("posts without a body", function()
    local s <close>, client = lists.start { EXAMPLE }
    assert_same(DECODED, client.batches:cancel("bat 1"))
    local request = only(s)
    assert.equal("POST", request.method)
    assert.equal("/api/v2/batches/bat%201/cancel", request.target)
    assert.equal("", request.body)
    assert.equal("0", request.headers["content-length"])
    assert.is_nil(request.headers["content-type"])
    assert.is_nil(request.headers["transfer-encoding"])
  end)

  it("takes the scope", function()
    local s <close>, client = lists.start { EXAMPLE }
    assert(client.batches:cancel("b", { project_id = "p", organization_id = "o" }))
    assert.equal("/api/v2/batches/b/cancel?organization_id=o&project_id=p", only(s).target)
  end)

  it("is sent again when its answer is lost, for that does no harm", function()
    local s <close>, client = lists.start({ { close_before = true }, EXAMPLE }, { max_retries = 1 })
    assert_same(DECODED, client.batches:cancel("b"))
    assert.equal(2, s:count())
  end)

  it("returns a refusal at once", function()
    local s <close>, client = lists.start(
      { { status = 409, body = '{"detail":"Batch is COMPLETED"}' } },
      { max_retries = 3 }
    )
    local batch, err = client.batches:cancel("b")
    assert.is_nil(batch)
    assert.equal("conflict", err.kind)
    assert.equal(1, s:count())
  end)
end)

describe("batches:list", function()
  it("asks with all its parameters in the order of the reference", function()
    local s <close>, client = lists.start { lists.page {} }
    assert(client.batches
      :list({
        status = "THROTTLED",
        source_directory_id = "dir-1",
        project_id = "prj-1",
        page_token = "tok",
        page_size = 100,
        organization_id = "org-1",
        created_at_on_or_before = 1577470279.117,
        created_at_on_or_after = "2019-12-27T18:11:19+02:00",
      })
      :all())
    local request = only(s)
    assert.equal("GET", request.method)
    assert.equal(
      "/api/v2/batches?created_at_on_or_after=2019-12-27T18%3A11%3A19%2B02%3A00"
        .. "&created_at_on_or_before=2019-12-27T18%3A11%3A19.117Z"
        .. "&organization_id=org-1&page_size=100&project_id=prj-1&source_directory_id=dir-1&status=THROTTLED"
        .. "&page_token=tok",
      request.target
    )
    assert.equal("", request.body)
    assert.is_nil(request.headers["content-type"])
    assert.equal("application/json", request.headers.accept)
    assert.equal("Bearer llx-key", request.headers.authorization)
  end)

  it("leaves out what is null", function()
    local s <close>, client = lists.start { lists.page {} }
    assert(client.batches
      :list({
        status = null,
        source_directory_id = null,
        project_id = null,
        page_token = null,
        page_size = null,
        organization_id = null,
        created_at_on_or_before = null,
        created_at_on_or_after = null,
      })
      :all())
    assert.equal("/api/v2/batches", only(s).target)
  end)

  it("gives the published example, field by field", function()
    local s <close>, client = lists.start { EXAMPLE_PAGE, lists.page {} }
    local page = assert(client.batches:list():next_page())
    assert_same({ items = { DECODED }, next_page_token = "next_page_token", total_size = 0 }, page)
    assert.equal(1, s:count())
  end)

  it("goes on with the published token", function()
    local s <close>, client = lists.start { EXAMPLE_PAGE, lists.page {} }
    local found = {}
    for batch in client.batches:list { page_size = 1 } do
      found[#found + 1] = batch
    end
    assert_same({ DECODED }, found)
    assert.same({ "/batches?page_size=1", "/batches?page_size=1&page_token=next_page_token" }, lists.targets(s))
  end)
end)

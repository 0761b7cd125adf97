-- v1 batch jobs and their items: what each call looks like on the wire, and what its answer becomes.

local llama_cloud = require("llama_cloud")
local compare = require("spec.support.compare")
local lists = require("spec.support.lists")

local null = llama_cloud.null

-- What the API reference shows as a job, and as a page of jobs.
local JOB = [[
{
  "id": "bjb-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
  "job_type": "parse",
  "project_id": "proj-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
  "status": "pending",
  "total_items": 0,
  "completed_at": "2019-12-27T18:11:19.117Z",
  "created_at": "2019-12-27T18:11:19.117Z",
  "directory_id": "dir-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
  "effective_at": "2019-12-27T18:11:19.117Z",
  "error_message": "error_message",
  "failed_items": 0,
  "job_record_id": "job_record_id",
  "processed_items": 0,
  "skipped_items": 0,
  "started_at": "2019-12-27T18:11:19.117Z",
  "updated_at": "2019-12-27T18:11:19.117Z",
  "workflow_id": "workflow_id"
}
]]
local JOB_PAGE = ('{"items":[%s],"next_page_token":"next_page_token","total_size":0}'):format(JOB)

local DECODED = {
  id = "bjb-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
  job_type = "parse",
  project_id = "proj-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
  status = "pending",
  total_items = 0,
  completed_at = "2019-12-27T18:11:19.117Z",
  created_at = "2019-12-27T18:11:19.117Z",
  directory_id = "dir-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
  effective_at = "2019-12-27T18:11:19.117Z",
  error_message = "error_message",
  failed_items = 0,
  job_record_id = "job_record_id",
  processed_items = 0,
  skipped_items = 0,
  started_at = "2019-12-27T18:11:19.117Z",
  updated_at = "2019-12-27T18:11:19.117Z",
  workflow_id = "workflow_id",
}

local function assert_same(expected, found)
  assert.is_nil(compare.difference(expected, found))
end

local function only(s)
  assert.equal(1, s:count())
  return s:requests()[1]
end

describe("beta.batch:create", function()
  it("sends what it must have", function()
    local s <close>, client = lists.start { { status = 201, body = JOB } }
    assert_same(
      DECODED,
      client.beta.batch:create { job_config = { job_name = "parse_raw_file_job" }, directory_id = "dir-1" }
    )
    local request = only(s)
    assert.equal("POST", request.method)
    assert.equal("/api/v1/beta/batch-processing", request.target)
    assert.equal('{"directory_id":"dir-1","job_config":{"job_name":"parse_raw_file_job"}}', request.body)
    assert.equal("application/json", request.headers["content-type"])
    assert.equal("application/json", request.headers.accept)
    assert.is_nil(request.headers["temporal-namespace"])
  end)

  it("sends all that it can have; scope goes into the query and the namespace into a header", function()
    local s <close>, client = lists.start { JOB }
    assert(client.beta.batch:create {
      job_config = {
        id = "c-1",
        project_id = "inner",
        user_id = "u-1",
        rules = { { type = "invoice", description = "has an amount" } },
        status = "PENDING",
        mode = "FAST",
      },
      item_ids = { "dfl-1", "dfl-2" },
      page_size = 3.0,
      continue_as_new_threshold = 1000,
      temporal_namespace = "space",
      organization_id = "org-1",
      project_id = "prj-1",
    })
    local request = only(s)
    assert.equal("/api/v1/beta/batch-processing?organization_id=org-1&project_id=prj-1", request.target)
    assert.equal("space", request.headers["temporal-namespace"])
    assert.equal(
      '{"continue_as_new_threshold":1000,"item_ids":["dfl-1","dfl-2"],"job_config":{"id":"c-1","mode":"FAST",'
        .. '"project_id":"inner","rules":[{"description":"has an amount","type":"invoice"}],"status":"PENDING",'
        .. '"user_id":"u-1"},"page_size":3}',
      request.body
    )
  end)

  it("sends nulls of the body, and an empty array of items", function()
    local s <close>, client = lists.start { JOB }
    assert(client.beta.batch:create {
      job_config = { parameters = null, partitions = {} },
      directory_id = null,
      item_ids = {},
      continue_as_new_threshold = null,
      temporal_namespace = null,
      project_id = null,
    })
    assert.equal("/api/v1/beta/batch-processing", only(s).target)
    assert.equal(
      '{"continue_as_new_threshold":null,"directory_id":null,"item_ids":[],'
        .. '"job_config":{"parameters":null,"partitions":{}}}',
      only(s).body
    )
    assert.is_nil(only(s).headers["temporal-namespace"])
  end)

  it("is not sent again when its answer is lost", function()
    local s <close>, client = lists.start({ { close_before = true } }, { max_retries = 3 })
    local job, err = client.beta.batch:create { job_config = {}, directory_id = "dir-1" }
    assert.is_nil(job)
    assert.is_true(err.maybe_sent)
    assert.equal(1, s:count())
  end)
end)

describe("beta.batch:list", function()
  it("asks with all its parameters in the order of the reference", function()
    local s <close>, client = lists.start { lists.page {} }
    assert(client.beta.batch
      :list({
        status = "dispatched",
        project_id = "prj-1",
        organization_id = "org-1",
        offset = 20,
        limit = 1000.0,
        job_type = "parse",
        directory_id = "dir-1",
      })
      :all())
    local request = only(s)
    assert.equal("GET", request.method)
    assert.equal(
      "/api/v1/beta/batch-processing?directory_id=dir-1&job_type=parse&limit=1000&organization_id=org-1"
        .. "&project_id=prj-1&status=dispatched&offset=20",
      request.target
    )
    assert.is_nil(request.headers["content-type"])
    assert.equal("application/json", request.headers.accept)
  end)

  it("leaves out what is null", function()
    local s <close>, client = lists.start { lists.page {} }
    assert(
      client.beta.batch
        :list({ status = null, project_id = null, offset = null, limit = null, job_type = null, directory_id = null })
        :all()
    )
    assert.equal("/api/v1/beta/batch-processing", only(s).target)
  end)

  it("gives the published example, field by field; its token is not for use", function()
    local s <close>, client = lists.start { JOB_PAGE }
    local list = client.beta.batch:list()
    local page = assert(list:next_page())
    assert_same({ items = { DECODED }, next_page_token = "next_page_token", total_size = 0 }, page)
    assert.equal("0", tostring(page.items[1].total_items))
    assert.is_nil(list:next_page())
    assert.equal(1, s:count())
  end)
end)

describe("beta.batch:get_status", function()
  it("asks for a job by its id", function()
    local s <close>, client = lists.start { ('{"job":%s,"progress_percentage":12.5}'):format(JOB) }
    assert_same({ job = DECODED, progress_percentage = 12.5 }, client.beta.batch:get_status("bjb/1"))
    local request = only(s)
    assert.equal("GET", request.method)
    assert.equal("/api/v1/beta/batch-processing/bjb%2F1", request.target)
    assert.equal("", request.body)
    assert.is_nil(request.headers["content-type"])
  end)

  it("takes the scope", function()
    local s <close>, client = lists.start { "{}" }
    assert(client.beta.batch:get_status("b", { project_id = "p", organization_id = "o" }))
    assert.equal("/api/v1/beta/batch-processing/b?organization_id=o&project_id=p", only(s).target)
  end)
end)

describe("beta.batch:cancel", function()
  local ANSWER = '{"job_id":"bjb-1","status":"cancelled","processed_items":12,"message":"Batch job cancelled"}'

  it("posts an object, if only an empty one", function()
    local s <close>, client = lists.start { ANSWER }
    assert_same(
      { job_id = "bjb-1", status = "cancelled", processed_items = 12, message = "Batch job cancelled" },
      client.beta.batch:cancel("bjb-1")
    )
    local request = only(s)
    assert.equal("POST", request.method)
    assert.equal("/api/v1/beta/batch-processing/bjb-1/cancel", request.target)
    assert.equal("{}", request.body)
    assert.equal("application/json", request.headers["content-type"])
    assert.equal("2", request.headers["content-length"])
  end)

  it("sends the reason, the scope and the namespace", function()
    local s <close>, client = lists.start { ANSWER }
    assert(client.beta.batch:cancel("b", {
      reason = 'too "slow"\n',
      temporal_namespace = "space",
      project_id = "p",
      organization_id = "o",
    }))
    assert(client.beta.batch:cancel("b", { reason = null, temporal_namespace = null }))
    local request = s:requests()[1]
    assert.equal("/api/v1/beta/batch-processing/b/cancel?organization_id=o&project_id=p", request.target)
    assert.equal([[{"reason":"too \"slow\"\n"}]], request.body)
    assert.equal("space", request.headers["temporal-namespace"])
    assert.equal('{"reason":null}', s:requests()[2].body)
    assert.is_nil(s:requests()[2].headers["temporal-namespace"])
  end)

  it("is sent again when its answer is lost, for that does no harm", function()
    local s <close>, client = lists.start({ { close_before = true }, ANSWER }, { max_retries = 1 })
    assert(client.beta.batch:cancel("b", { reason = "r" }))
    assert.equal('{"reason":"r"}', s:requests()[2].body)
    assert.equal(2, s:count())
  end)
end)

describe("beta.batch.job_items:list", function()
  it("asks with all its parameters in the order of the reference", function()
    local s <close>, client = lists.start { lists.page {} }
    assert(
      client.beta.batch.job_items
        :list("bjb 1", { status = "skipped", project_id = "prj-1", organization_id = "org-1", offset = 0, limit = 5 })
        :all()
    )
    assert.equal(
      "/api/v1/beta/batch-processing/bjb%201/items"
        .. "?limit=5&organization_id=org-1&project_id=prj-1&status=skipped&offset=0",
      only(s).target
    )
  end)

  it("gives items as they come", function()
    local s <close>, client = lists.start {
      [[{"items":[{"item_id":"dfl-1","item_name":"a.pdf","status":"skipped",
      "skip_reason":"already_processed","job_id":null,"job_record_id":null,"error_message":null,"started_at":null,
      "completed_at":null,"effective_at":"2019-12-27T18:11:19.117Z"}],"next_page_token":null,"total_size":1}]],
    }
    local items = assert(client.beta.batch.job_items:list("bjb-1"):all())
    assert_same({
      {
        item_id = "dfl-1",
        item_name = "a.pdf",
        status = "skipped",
        skip_reason = "already_processed",
        effective_at = "2019-12-27T18:11:19.117Z",
      },
    }, items)
    assert.equal("/api/v1/beta/batch-processing/bjb-1/items", only(s).target)
  end)
end)

describe("beta.batch.job_items:get_processing_results", function()
  it("asks by the item's id", function()
    local s <close>, client = lists.start {
      [[{"item_id":"dfl-1","item_name":"a.pdf","processing_results":[{"result_id":"res-1",
      "item_id":"dfl-1","job_type":"parse","job_config":{"tier":"fast"},"parameters_hash":"h",
      "output_s3_path":"s3://b/k","processed_at":"2019-12-27T18:11:19.117Z","output_metadata":null}]}]],
    }
    assert_same(
      {
        item_id = "dfl-1",
        item_name = "a.pdf",
        processing_results = {
          {
            result_id = "res-1",
            item_id = "dfl-1",
            job_type = "parse",
            job_config = { tier = "fast" },
            parameters_hash = "h",
            output_s3_path = "s3://b/k",
            processed_at = "2019-12-27T18:11:19.117Z",
          },
        },
      },
      client.beta.batch.job_items:get_processing_results("dfl/1", {
        job_type = "parse",
        organization_id = "org-1",
        project_id = "prj-1",
      })
    )
    local request = only(s)
    assert.equal("GET", request.method)
    assert.equal(
      "/api/v1/beta/batch-processing/items/dfl%2F1/processing-results"
        .. "?job_type=parse&organization_id=org-1&project_id=prj-1",
      request.target
    )
    assert.is_nil(request.headers["content-type"])
  end)

  it("needs no parameters", function()
    local s <close>, client = lists.start { "{}" }
    assert(client.beta.batch.job_items:get_processing_results("dfl-1"))
    assert.equal("/api/v1/beta/batch-processing/items/dfl-1/processing-results", only(s).target)
  end)
end)

-- The routes of v1 batch jobs and their items.

local endpoint = require("llama_cloud.sandbox.endpoint")
local jobs = require("llama_cloud.sandbox.jobs")
local json = require("llama_cloud.sandbox.json")
local product = require("llama_cloud.sandbox.product")
local sources = require("llama_cloud.sandbox.sources")
local validate = require("llama_cloud.sandbox.validate")

local detail = endpoint.detail

local CLASSIFY_JOB = {
  { "id", "string", required = true },
  { "project_id", "string", required = true },
  { "user_id", "string", required = true },
  {
    "rules",
    "array",
    required = true,
    of = "object",
    members = {
      { "type", "string", required = true },
      { "description", "string", required = true },
    },
  },
  { "status", "string", required = true },
  { "mode", "enum", values = { "FAST", "MULTIMODAL" } },
}

local function check_job(body, problems)
  local config = body.job_config
  if json.is_object(config) and config.rules ~= nil then
    validate.members(config, CLASSIFY_JOB, { "body", "job_config", "ClassifyJob" }, problems)
  end
  product.check_one_of(body, "directory_id", "item_ids", problems)
end

local function create_job(sandbox, request)
  local body = request.body
  local directory
  local directory_id = endpoint.given(body, "directory_id")
  if directory_id then
    directory = sandbox.directories:find(directory_id)
    if not directory then
      return detail(404, "Directory not found")
    end
  end
  local names
  local item_ids = not directory and body.item_ids or directory.file_ids
  if directory and directory.file_ids then
    names = {}
    for index, file in ipairs(sources.of_directory(sandbox, directory.file_ids)) do
      names[index] = file.name
    end
  end
  local number = sandbox.jobs:create({
    directory_id = directory_id,
    directory = directory,
    item_ids = item_ids,
    item_names = names,
    type = body.job_config.rules and "classify" or "parse",
  }, request.query.project_id)
  return 201, sandbox.jobs:show(number).text
end

local function envelope(items, total)
  return 200, string.format('{"items":[%s],"next_page_token":null,"total_size":%d}', table.concat(items, ","), total)
end

local function list_jobs(sandbox, request)
  return envelope(sandbox.jobs:list(request.query, request.query.offset, request.query.limit))
end

local function find(sandbox, id)
  return sandbox.jobs:find(id)
end

local get_job_status = endpoint.with(find, "Batch job", function(sandbox, _, number)
  local job = sandbox.jobs:show(number)
  return 200, string.format('{"job":%s,"progress_percentage":%.14g}', job.text, job.progress)
end)

local cancel_job = endpoint.with(find, "Batch job", function(sandbox, _, number)
  local done = sandbox.jobs:cancel(number)
  local job = sandbox.jobs:show(number)
  if not done then
    return detail(product.refusal(sandbox), "Batch job is already " .. job.status .. " and cannot be cancelled")
  end
  return 200,
    json.encode {
      job_id = job.id,
      status = job.status,
      processed_items = job.processed_items,
      message = "Batch job cancelled",
    }
end)

local list_items = endpoint.with(find, "Batch job", function(sandbox, request, number)
  return envelope(sandbox.jobs:items(number, request.query.status, request.query.offset, request.query.limit))
end)

local function get_processing_results(sandbox, request)
  local results = sandbox.jobs:processing_results(request.path_values[1], request.query.job_type)
  if not results then
    return detail(404, "Item not found")
  end
  return 200, json.encode(results)
end

local PATH = "/api/v1/beta/batch-processing"

local LIMIT = { "limit", "integer", min = 1, max = 1000, default = 50 }
local OFFSET = { "offset", "integer", min = 0, default = 0 }

return {
  setup = function(sandbox)
    sandbox.jobs = jobs.new(sandbox.clock, sandbox.world, sandbox.options.jobs)
  end,
  list = {
    {
      method = "POST",
      path = PATH,
      query = endpoint.SCOPE,
      body = {
        { "job_config", "object", required = true },
        { "directory_id", "string", nullable = true },
        { "item_ids", "array", of = "string", nullable = true },
        { "page_size", "integer", min = 1, max = 1000 },
        { "continue_as_new_threshold", "integer", nullable = true },
      },
      check = check_job,
      handler = create_job,
    },
    {
      method = "GET",
      path = PATH,
      query = endpoint.query {
        { "directory_id", "string" },
        { "job_type", "enum", values = jobs.TYPES },
        { "status", "enum", values = jobs.STATUSES },
        LIMIT,
        OFFSET,
      },
      handler = list_jobs,
    },
    { method = "GET", path = PATH .. "/{job_id}", query = endpoint.SCOPE, handler = get_job_status },
    {
      method = "POST",
      path = PATH .. "/{job_id}/cancel",
      query = endpoint.SCOPE,
      body = { { "reason", "string", nullable = true } },
      handler = cancel_job,
    },
    {
      method = "GET",
      path = PATH .. "/{job_id}/items",
      query = endpoint.query {
        { "status", "enum", values = jobs.ITEM_STATUSES },
        { "limit", "integer", min = 1, max = 1000, default = 100 },
        OFFSET,
      },
      handler = list_items,
    },
    {
      method = "GET",
      path = PATH .. "/items/{item_id}/processing-results",
      query = endpoint.query { { "job_type", "enum", values = jobs.TYPES } },
      handler = get_processing_results,
    },
  },
}

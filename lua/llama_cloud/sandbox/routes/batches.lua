-- The routes of v2 batches.

local batches = require("llama_cloud.sandbox.batches")
local configured = require("llama_cloud.sandbox.configured")
local endpoint = require("llama_cloud.sandbox.endpoint")
local parse_options = require("llama_cloud.sandbox.parse_options")
local product = require("llama_cloud.sandbox.product")
local sources = require("llama_cloud.sandbox.sources")
local webhooks = require("llama_cloud.sandbox.webhooks")

local detail = endpoint.detail

--- Most files that a batch may cover.
local MAX_FILES = 1000

local BATCH_CONFIG = {
  {
    "job",
    "object",
    required = true,
    members = {
      { "type", "enum", required = true, values = { "parse_v2", "extract_v2" } },
      { "configuration_id", "string", required = true },
    },
  },
}

local function create_batch(sandbox, request)
  local body = request.body
  local directory = sandbox.directories:find(body.source_directory_id)
  if not directory then
    return detail(404, "Directory not found")
  elseif directory.files > MAX_FILES then
    return detail(400, string.format("A batch may cover at most %d source files", MAX_FILES))
  end
  if directory.file_ids and directory.files == 0 then
    return detail(400, "Directory contains no files")
  end
  local store = sandbox.batches
  local job = body.config.job
  local status, text = configured.refusal(sandbox, job.configuration_id, job.type)
  if status then
    return status, text
  end
  local hooks
  hooks, status, text = webhooks.of(sandbox, body)
  if not hooks then
    return status, text
  end
  job.options = sandbox.configurations:parameters(job.configuration_id)
  job.ratio = parse_options.allowed_failures(job.options)
  directory.list = directory.file_ids and sources.of_directory(sandbox, directory.file_ids)
  local number = store:create(body.source_directory_id, directory, job, request.query.project_id)
  webhooks.watch(sandbox, "batch", store, number, hooks)
  return 200, store:encode(number)
end

local list_batches = endpoint.list("batches", function(store, number)
  return store:encode(number)
end)

local function find(sandbox, id)
  return sandbox.batches:find(id)
end

local get_batch = endpoint.with(find, "Batch", function(sandbox, request, number)
  return 200, sandbox.batches:encode(number, request.query.expand ~= nil and #request.query.expand > 0)
end)

local cancel_batch = endpoint.with(find, "Batch", function(sandbox, _, number)
  if not sandbox.batches:cancel(number) then
    local status = sandbox.batches:status(number)
    return detail(product.refusal(sandbox), "Batch is already " .. status .. " and cannot be cancelled")
  end
  sandbox.deliveries:clock_changed()
  return 200, sandbox.batches:encode(number)
end)

local PATH = "/api/v2/batches"

return {
  setup = function(sandbox)
    sandbox.batches = batches.new(sandbox.clock, sandbox.world, sandbox.options.batches)
  end,
  list = {
    {
      method = "POST",
      path = PATH,
      query = endpoint.SCOPE,
      body = {
        { "source_directory_id", "string", required = true },
        { "config", "object", required = true, members = BATCH_CONFIG },
        { "webhook_configuration_ids", "array", of = "string", nullable = true },
        { "webhook_configurations", "array", of = "object", nullable = true },
      },
      handler = create_batch,
    },
    {
      method = "GET",
      path = PATH,
      query = endpoint.query {
        { "created_at_on_or_after", "datetime" },
        { "created_at_on_or_before", "datetime" },
        { "status", "enum", values = batches.STATUSES },
        { "source_directory_id", "string" },
        endpoint.PAGE_SIZE,
        endpoint.PAGE_TOKEN,
      },
      handler = list_batches,
    },
    {
      method = "GET",
      path = PATH .. "/{batch_id}",
      query = endpoint.query { { "expand", "enum", many = true, values = { "results" } } },
      handler = get_batch,
    },
    { method = "POST", path = PATH .. "/{batch_id}/cancel", query = endpoint.SCOPE, handler = cancel_batch },
  },
}

--- v1 batch jobs: parse, extract or classify jobs over a directory or a set of items. "Beta: Batch" of the API reference.

local endpoint = require("llama_cloud.endpoint")
local shared = require("llama_cloud.resources.shared")

---@alias LlamaCloud.BatchJobStatus "pending"|"running"|"dispatched"|"completed"|"failed"|"cancelled"|string
---@alias LlamaCloud.BatchJobItemStatus "pending"|"processing"|"completed"|"failed"|"skipped"|"cancelled"|string

---@class LlamaCloud.BatchJob
---@field id string
---@field job_type "parse"|"extract"|"classify"|string
---@field project_id string
---@field status LlamaCloud.BatchJobStatus
---@field total_items integer
---@field processed_items? integer
---@field failed_items? integer
---@field skipped_items? integer already processed, or too large
---@field directory_id? string
---@field workflow_id? string
---@field job_record_id? string
---@field error_message? string of the latest attempt
---@field created_at? string ISO 8601
---@field updated_at? string ISO 8601
---@field started_at? string ISO 8601
---@field completed_at? string ISO 8601
---@field effective_at? string ISO 8601

---@class LlamaCloud.BatchJobPage: LlamaCloud.Page
---@field items LlamaCloud.BatchJob[]

---@class LlamaCloud.BatchJobList: LlamaCloud.List
---@field next_page fun(self: LlamaCloud.BatchJobList): LlamaCloud.BatchJobPage?, LlamaCloud.Error?
---@field pages fun(self: LlamaCloud.BatchJobList): fun(): LlamaCloud.BatchJobPage?
---@field all fun(self: LlamaCloud.BatchJobList, options?: LlamaCloud.AllOptions): LlamaCloud.BatchJob[]?, LlamaCloud.Error?
---@overload fun(): LlamaCloud.BatchJob?

---@class LlamaCloud.BatchJobCreateParams
---@field job_config table a parse job's or a classify job's configuration
---@field directory_id? string either this or item_ids
---@field item_ids? string|string[]
---@field page_size? integer from 1 to 1000, 100 by default
---@field continue_as_new_threshold? integer
---@field temporal_namespace? string sent as a header
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.BatchJobListParams
---@field directory_id? string
---@field job_type? "parse"|"extract"|"classify"|string
---@field limit? integer items per page, from 1 to 1000; the service's default is 50
---@field offset? integer where to begin
---@field organization_id? string
---@field project_id? string
---@field status? LlamaCloud.BatchJobStatus

---@class LlamaCloud.BatchJobCancelParams
---@field reason? string
---@field temporal_namespace? string sent as a header
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.BatchJobProgress
---@field job LlamaCloud.BatchJob
---@field progress_percentage number from 0 to 100

---@class LlamaCloud.BatchJobCancelled
---@field job_id string
---@field status LlamaCloud.BatchJobStatus
---@field processed_items integer
---@field message string

---@class LlamaCloud.BatchJobItem
---@field item_id string
---@field item_name string
---@field status LlamaCloud.BatchJobItemStatus
---@field job_id? string
---@field job_record_id? string
---@field skip_reason? string such as already_processed, size_limit_exceeded
---@field error_message? string
---@field started_at? string ISO 8601
---@field completed_at? string ISO 8601
---@field effective_at? string ISO 8601

---@class LlamaCloud.BatchJobItemPage: LlamaCloud.Page
---@field items LlamaCloud.BatchJobItem[]

---@class LlamaCloud.BatchJobItemList: LlamaCloud.List
---@field next_page fun(self: LlamaCloud.BatchJobItemList): LlamaCloud.BatchJobItemPage?, LlamaCloud.Error?
---@field pages fun(self: LlamaCloud.BatchJobItemList): fun(): LlamaCloud.BatchJobItemPage?
---@field all fun(self: LlamaCloud.BatchJobItemList, options?: LlamaCloud.AllOptions): LlamaCloud.BatchJobItem[]?, LlamaCloud.Error?
---@overload fun(): LlamaCloud.BatchJobItem?

---@class LlamaCloud.BatchJobItemListParams
---@field limit? integer items per page, from 1 to 1000; the service's default is 100
---@field offset? integer where to begin
---@field organization_id? string
---@field project_id? string
---@field status? LlamaCloud.BatchJobItemStatus

---@class LlamaCloud.ProcessingResultsParams
---@field job_type? "parse"|"extract"|"classify"|string
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.ProcessingResults
---@field item_id string
---@field item_name string
---@field processing_results? LlamaCloud.ProcessingResult[]

---@class LlamaCloud.ProcessingResult
---@field result_id string
---@field item_id string
---@field job_type string
---@field job_config table
---@field parameters_hash string
---@field output_s3_path string
---@field processed_at string ISO 8601
---@field output_metadata? table

---@class LlamaCloud.BatchJobItems
---@field list fun(self, job_id: string, params?: LlamaCloud.BatchJobItemListParams, options?: LlamaCloud.Options): LlamaCloud.BatchJobItemList
---@field get_processing_results fun(self, item_id: string, params?: LlamaCloud.ProcessingResultsParams, options?: LlamaCloud.Options): LlamaCloud.ProcessingResults?, LlamaCloud.Error?

---@class LlamaCloud.BatchJobs
---@field job_items LlamaCloud.BatchJobItems
---@field create fun(self, params: LlamaCloud.BatchJobCreateParams, options?: LlamaCloud.Options): LlamaCloud.BatchJob?, LlamaCloud.Error?
---@field list fun(self, params?: LlamaCloud.BatchJobListParams, options?: LlamaCloud.Options): LlamaCloud.BatchJobList
---@field get_status fun(self, job_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): LlamaCloud.BatchJobProgress?, LlamaCloud.Error?
---@field cancel fun(self, job_id: string, params?: LlamaCloud.BatchJobCancelParams, options?: LlamaCloud.Options): LlamaCloud.BatchJobCancelled?, LlamaCloud.Error?
---@field wait fun(self, job_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.WaitOptions): LlamaCloud.BatchJob?, LlamaCloud.Error?
---@field run fun(self, params: LlamaCloud.BatchJobCreateParams, options?: LlamaCloud.WaitOptions): LlamaCloud.BatchJob?, LlamaCloud.Error?
---@field watch fun(self, job_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.WaitOptions): fun(): LlamaCloud.BatchJob?
---@field wait_all fun(self, ids: (string|LlamaCloud.BatchJob)[], params?: LlamaCloud.ScopeParams, options?: LlamaCloud.WaitOptions): fun(): string?, LlamaCloud.BatchJob?, LlamaCloud.Error?

local scope = shared.scope
local namespace = { { "temporal_namespace", "string", wire = "temporal-namespace" } }

local job_items = endpoint.resource("beta.batch.job_items", {
  --- Lists the items of a job.
  list = {
    "GET /api/v1/beta/batch-processing/{job_id}/items",
    pagination = { kind = "offset", default_limit = 100, items_optional = true },
    query = {
      { "limit", "integer" },
      { "offset", "integer" },
      { "organization_id", "string" },
      { "project_id", "string" },
      { "status", "string" },
    },
  },

  --- Gets what processing produced for one item.
  get_processing_results = {
    "GET /api/v1/beta/batch-processing/items/{item_id}/processing-results",
    query = { { "job_type", "string" }, scope[1], scope[2] },
  },
})

return endpoint.resource("beta.batch", {
  job_items = job_items,

  --- Starts a job over a directory or over items.
  create = {
    "POST /api/v1/beta/batch-processing",
    query = scope,
    header = namespace,
    body = {
      { "job_config", "table", required = true },
      { "directory_id", "string" },
      { "item_ids", "strings" },
      { "page_size", "integer" },
      { "continue_as_new_threshold", "integer" },
    },
  },

  --- Lists the jobs of the project.
  list = {
    "GET /api/v1/beta/batch-processing",
    pagination = { kind = "offset", default_limit = 50 },
    query = {
      { "directory_id", "string" },
      { "job_type", "string" },
      { "limit", "integer" },
      { "offset", "integer" },
      { "organization_id", "string" },
      { "project_id", "string" },
      { "status", "string" },
    },
  },

  --- Gets one job and how far it is.
  get_status = {
    "GET /api/v1/beta/batch-processing/{job_id}",
    query = scope,
  },

  --- Asks to stop a job.
  cancel = {
    "POST /api/v1/beta/batch-processing/{job_id}/cancel",
    repeatable = true,
    query = scope,
    header = namespace,
    body = { { "reason", "string" } }, -- the service wants a body, if only {}
  },

  waiting = {
    noun = "batch job",
    nouns = "batch jobs",
    get = "get_status",
    subject = "job",
    create = "create",
    final = {},
    pending = { pending = true, running = true, dispatched = true },
    complete = { completed = true },
    failed = { failed = "batch_failed", cancelled = "batch_cancelled" },
    sweep = { list = "list", page = "limit", size = 100, directory = "directory_id", directory_field = "directory_id" },
  },
})

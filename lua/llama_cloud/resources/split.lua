--- Split jobs: which pages of a file form a document of their own, and its category. "Split" of the API reference.

local endpoint = require("llama_cloud.endpoint")
local shared = require("llama_cloud.resources.shared")

---@alias LlamaCloud.SplitJobStatus "pending"|"processing"|"completed"|"failed"|"cancelled"|string

---@class LlamaCloud.SplitCategory
---@field name string
---@field description? string what is of it

---@class LlamaCloud.SplittingStrategy
---@field allow_uncategorized? "include"|"forbid"|"omit"|string what becomes of pages that are of no category
---@field custom_instructions? string
---@field min_pages_per_split? integer

---@class LlamaCloud.SplitConfiguration
---@field categories LlamaCloud.SplitCategory[]
---@field splitting_strategy? LlamaCloud.SplittingStrategy
---@field parse_tier? LlamaCloud.ParseTier the tier of the parse job that runs first
---@field parse_config_id? string a saved configuration for the parse job
---@field target_pages? string only where the input is a parse job
---@field version? string

---@class LlamaCloud.SplitSegment
---@field category string
---@field confidence_category "high"|"medium"|"low"|string
---@field pages integer[] the first page is 1

---@class LlamaCloud.SplitResult
---@field segments LlamaCloud.SplitSegment[]

---@class LlamaCloud.SplitJob
---@field id string
---@field categories LlamaCloud.SplitCategory[]
---@field document_input_type LlamaCloud.DocumentInputType
---@field file_input string
---@field project_id string
---@field user_id string
---@field status LlamaCloud.SplitJobStatus
---@field configuration_id? string
---@field created_at? string ISO 8601
---@field updated_at? string ISO 8601
---@field error_message? string
---@field result? LlamaCloud.SplitResult
---@field splitting_strategy? LlamaCloud.SplittingStrategy
---@field parse_tier? LlamaCloud.ParseTier
---@field parse_config_id? string
---@field target_pages? string
---@field transaction_id? string

---@class LlamaCloud.SplitJobPage: LlamaCloud.Page
---@field items LlamaCloud.SplitJob[]

---@class LlamaCloud.SplitJobList: LlamaCloud.List
---@field next_page fun(self: LlamaCloud.SplitJobList): LlamaCloud.SplitJobPage?, LlamaCloud.Error?
---@field pages fun(self: LlamaCloud.SplitJobList): fun(): LlamaCloud.SplitJobPage?
---@field all fun(self: LlamaCloud.SplitJobList, options?: LlamaCloud.AllOptions): LlamaCloud.SplitJob[]?, LlamaCloud.Error?
---@overload fun(): LlamaCloud.SplitJob?

---@class LlamaCloud.SplitJobCreateParams
---@field file_input string a file's id, that of a directory's file (dfl-…), or a completed parse job's (pjb-…)
---@field configuration? LlamaCloud.SplitConfiguration either this or configuration_id
---@field configuration_id? string
---@field transaction_id? string there is only one job for it in a project; generated if it is not given
---@field webhook_configuration_ids? string|string[]
---@field webhook_configurations? LlamaCloud.WebhookConfiguration[]
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.SplitJobListParams
---@field created_at_on_or_after? string|number ISO 8601, or seconds since the epoch
---@field created_at_on_or_before? string|number likewise
---@field job_ids? string|string[]
---@field organization_id? string
---@field project_id? string
---@field status? LlamaCloud.SplitJobStatus
---@field page_size? integer
---@field page_token? string where to continue

---@class LlamaCloud.Split
---@field create fun(self, params: LlamaCloud.SplitJobCreateParams, options?: LlamaCloud.Options): LlamaCloud.SplitJob?, LlamaCloud.Error?
---@field list fun(self, params?: LlamaCloud.SplitJobListParams, options?: LlamaCloud.Options): LlamaCloud.SplitJobList
---@field get fun(self, split_job_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): LlamaCloud.SplitJob?, LlamaCloud.Error?
---@field cancel fun(self, split_job_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): LlamaCloud.SplitJob?, LlamaCloud.Error?
---@field delete fun(self, split_job_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): true?, LlamaCloud.Error?
---@field wait fun(self, split_job_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.WaitOptions): LlamaCloud.SplitJob?, LlamaCloud.Error?
---@field run fun(self, params: LlamaCloud.SplitJobCreateParams, options?: LlamaCloud.WaitOptions): LlamaCloud.SplitJob?, LlamaCloud.Error?
---@field watch fun(self, split_job_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.WaitOptions): fun(): LlamaCloud.SplitJob?
---@field wait_all fun(self, ids: (string|LlamaCloud.SplitJob)[], params?: LlamaCloud.ScopeParams, options?: LlamaCloud.WaitOptions): fun(): string?, LlamaCloud.SplitJob?, LlamaCloud.Error?

local scope = shared.scope

return endpoint.resource("split", {
  --- Starts a job. It carries a transaction_id, so that it is sent again after a lost answer without making a second job.
  create = {
    "POST /api/v1/split/jobs",
    idempotency = "transaction_id",
    query = scope,
    body = {
      { "file_input", "string", required = true },
      { "configuration", "table" },
      { "configuration_id", "string" },
      { "transaction_id", "string" },
      { "webhook_configuration_ids", "strings" },
      { "webhook_configurations", "array" },
    },
  },

  --- Lists the jobs of the project.
  list = {
    "GET /api/v1/split/jobs",
    pagination = { kind = "cursor" },
    query = shared.job_filters,
  },

  --- Gets one job, with its result once there is one.
  get = {
    "GET /api/v1/split/jobs/{split_job_id}",
    query = scope,
  },

  --- Asks to stop a job. It answers at once; the status becomes cancelled when processing has stopped.
  cancel = {
    "POST /api/v1/split/jobs/{split_job_id}/cancel",
    repeatable = true,
    query = scope,
  },

  --- Deletes a job.
  delete = {
    "DELETE /api/v1/split/jobs/{split_job_id}",
    returns = "nothing",
    query = scope,
  },

  waiting = shared.split_waiting,
})

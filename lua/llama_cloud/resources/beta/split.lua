--- Split jobs as they were before client.split, which can do more. "Beta: Split" of the API reference.

local endpoint = require("llama_cloud.endpoint")
local shared = require("llama_cloud.resources.shared")

---@class LlamaCloud.SplitDocumentInput
---@field type "file_id"|string
---@field value string

---@class LlamaCloud.BetaSplitJob
---@field id string
---@field categories LlamaCloud.SplitCategory[]
---@field document_input LlamaCloud.SplitDocumentInput
---@field project_id string
---@field user_id string
---@field status LlamaCloud.SplitJobStatus
---@field configuration_id? string
---@field created_at? string ISO 8601
---@field updated_at? string ISO 8601
---@field error_message? string
---@field result? LlamaCloud.SplitResult

---@class LlamaCloud.BetaSplitJobPage: LlamaCloud.Page
---@field items LlamaCloud.BetaSplitJob[]

---@class LlamaCloud.BetaSplitJobList: LlamaCloud.List
---@field next_page fun(self: LlamaCloud.BetaSplitJobList): LlamaCloud.BetaSplitJobPage?, LlamaCloud.Error?
---@field pages fun(self: LlamaCloud.BetaSplitJobList): fun(): LlamaCloud.BetaSplitJobPage?
---@field all fun(self: LlamaCloud.BetaSplitJobList, options?: LlamaCloud.AllOptions): LlamaCloud.BetaSplitJob[]?, LlamaCloud.Error?
---@overload fun(): LlamaCloud.BetaSplitJob?

---@class LlamaCloud.BetaSplitJobCreateParams
---@field document_input LlamaCloud.SplitDocumentInput
---@field configuration? LlamaCloud.SplitConfiguration either this or configuration_id
---@field configuration_id? string
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.BetaSplitJobListParams: LlamaCloud.SplitJobListParams

---@class LlamaCloud.BetaSplit
---@field create fun(self, params: LlamaCloud.BetaSplitJobCreateParams, options?: LlamaCloud.Options): LlamaCloud.BetaSplitJob?, LlamaCloud.Error?
---@field list fun(self, params?: LlamaCloud.BetaSplitJobListParams, options?: LlamaCloud.Options): LlamaCloud.BetaSplitJobList
---@field get fun(self, split_job_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): LlamaCloud.BetaSplitJob?, LlamaCloud.Error?
---@field wait fun(self, split_job_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.WaitOptions): LlamaCloud.BetaSplitJob?, LlamaCloud.Error?
---@field run fun(self, params: LlamaCloud.BetaSplitJobCreateParams, options?: LlamaCloud.WaitOptions): LlamaCloud.BetaSplitJob?, LlamaCloud.Error?
---@field watch fun(self, split_job_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.WaitOptions): fun(): LlamaCloud.BetaSplitJob?
---@field wait_all fun(self, ids: (string|LlamaCloud.BetaSplitJob)[], params?: LlamaCloud.ScopeParams, options?: LlamaCloud.WaitOptions): fun(): string?, LlamaCloud.BetaSplitJob?, LlamaCloud.Error?

local scope = shared.scope

return endpoint.resource("beta.split", {
  --- Starts a job.
  create = {
    "POST /api/v1/beta/split/jobs",
    query = scope,
    body = {
      { "document_input", "table", required = true },
      { "configuration", "table" },
      { "configuration_id", "string" },
    },
  },

  --- Lists the jobs of the project.
  list = {
    "GET /api/v1/beta/split/jobs",
    pagination = { kind = "cursor" },
    query = shared.job_filters,
  },

  --- Gets one job, with its result once there is one.
  get = {
    "GET /api/v1/beta/split/jobs/{split_job_id}",
    query = scope,
  },

  waiting = shared.split_waiting,
})

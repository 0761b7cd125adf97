--- Classify jobs: which of several types a file has. "Classify" of the API reference.

local endpoint = require("llama_cloud.endpoint")
local shared = require("llama_cloud.resources.shared")

---@alias LlamaCloud.JobStatus "PENDING"|"RUNNING"|"COMPLETED"|"FAILED"|"CANCELLED"|string
---@alias LlamaCloud.DocumentInputType "file_id"|"parse_job_id"|"url"|string

---@class LlamaCloud.ClassifyConfiguration
---@field rules { type: string, description: string }[] one or more: a type, and what is of it
---@field mode? "FAST"|string
---@field parsing_configuration? LlamaCloud.ClassifyParsingConfiguration

---@class LlamaCloud.ClassifyParsingConfiguration
---@field lang? string
---@field max_pages? integer
---@field target_pages? string such as "1,3,5-8"; the first page is 1

---@class LlamaCloud.ClassifyJob
---@field id string
---@field configuration LlamaCloud.ClassifyConfiguration
---@field document_input_type LlamaCloud.DocumentInputType
---@field file_input string
---@field project_id string
---@field user_id string
---@field status LlamaCloud.JobStatus
---@field configuration_id? string
---@field created_at? string ISO 8601
---@field updated_at? string ISO 8601
---@field error_message? string
---@field parse_job_id? string
---@field result? LlamaCloud.ClassifyResult
---@field transaction_id? string

---@class LlamaCloud.ClassifyJobPage: LlamaCloud.Page
---@field items LlamaCloud.ClassifyJob[]

---@class LlamaCloud.ClassifyJobList: LlamaCloud.List
---@field next_page fun(self: LlamaCloud.ClassifyJobList): LlamaCloud.ClassifyJobPage?, LlamaCloud.Error?
---@field pages fun(self: LlamaCloud.ClassifyJobList): fun(): LlamaCloud.ClassifyJobPage?
---@field all fun(self: LlamaCloud.ClassifyJobList, options?: LlamaCloud.AllOptions): LlamaCloud.ClassifyJob[]?, LlamaCloud.Error?
---@overload fun(): LlamaCloud.ClassifyJob?

---@class LlamaCloud.ClassifyResult
---@field type? string absent: of none of the types
---@field confidence number from 0 to 1
---@field reasoning string

---@class LlamaCloud.ClassifyJobCreateParams
---@field file_input? string a file's id, that of a directory's file (dfl-…), or a completed parse job's (pjb-…)
---@field configuration? LlamaCloud.ClassifyConfiguration either this or configuration_id
---@field configuration_id? string
---@field transaction_id? string there is only one job for it in a project; generated if it is not given
---@field webhook_configuration_ids? string|string[]
---@field webhook_configurations? LlamaCloud.WebhookConfiguration[]
---@field file_id? string the service prefers file_input
---@field parse_job_id? string likewise
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.ClassifyJobListParams
---@field configuration_id? string
---@field created_at_on_or_after? string|number ISO 8601, or seconds since the epoch
---@field created_at_on_or_before? string|number likewise
---@field job_ids? string|string[]
---@field organization_id? string
---@field project_id? string
---@field status? LlamaCloud.JobStatus
---@field page_size? integer
---@field page_token? string where to continue

---@class LlamaCloud.ClassifyJobDeleted
---@field id string
---@field project_id? string

---@class LlamaCloud.Classify
---@field create fun(self, params: LlamaCloud.ClassifyJobCreateParams, options?: LlamaCloud.Options): LlamaCloud.ClassifyJob?, LlamaCloud.Error?
---@field list fun(self, params?: LlamaCloud.ClassifyJobListParams, options?: LlamaCloud.Options): LlamaCloud.ClassifyJobList
---@field get fun(self, job_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): LlamaCloud.ClassifyJob?, LlamaCloud.Error?
---@field cancel fun(self, job_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): LlamaCloud.ClassifyJob?, LlamaCloud.Error?
---@field delete fun(self, job_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): (LlamaCloud.ClassifyJobDeleted|true)?, LlamaCloud.Error?
---@field wait fun(self, job_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.WaitOptions): LlamaCloud.ClassifyJob?, LlamaCloud.Error?
---@field run fun(self, params: LlamaCloud.ClassifyJobCreateParams, options?: LlamaCloud.WaitOptions): LlamaCloud.ClassifyJob?, LlamaCloud.Error?
---@field watch fun(self, job_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.WaitOptions): fun(): LlamaCloud.ClassifyJob?
---@field wait_all fun(self, ids: (string|LlamaCloud.ClassifyJob)[], params?: LlamaCloud.ScopeParams, options?: LlamaCloud.WaitOptions): fun(): string?, LlamaCloud.ClassifyJob?, LlamaCloud.Error?

local scope = shared.scope

return endpoint.resource("classify", {
  --- Starts a job. It carries a transaction_id, so that it is sent again after a lost answer without making a second job.
  create = {
    "POST /api/v2/classify",
    idempotency = "transaction_id",
    query = scope,
    body = {
      { "file_input", "string" },
      { "configuration", "table" },
      { "configuration_id", "string" },
      { "transaction_id", "string" },
      { "webhook_configuration_ids", "strings" },
      { "webhook_configurations", "array" },
      { "file_id", "string" },
      { "parse_job_id", "string" },
    },
  },

  --- Lists the jobs of the project.
  list = {
    "GET /api/v2/classify",
    pagination = { kind = "cursor" },
    query = { { "configuration_id", "string" }, table.unpack(shared.job_filters) },
  },

  --- Gets one job, with its result once there is one.
  get = {
    "GET /api/v2/classify/{job_id}",
    query = scope,
  },

  --- Asks to stop a job.
  cancel = {
    "POST /api/v2/classify/{job_id}/cancel",
    repeatable = true,
    query = scope,
  },

  --- Deletes a job that has ended. Returns true if an earlier attempt, whose answer was lost, deleted it.
  delete = {
    "DELETE /api/v2/classify/{job_id}",
    query = scope,
  },

  waiting = shared.waiting {
    noun = "classify job",
    pending = { PENDING = true, RUNNING = true },
  },
})

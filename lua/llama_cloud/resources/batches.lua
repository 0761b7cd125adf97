--- v2 batches: one product job for each file of a directory. https://developers.llamaindex.ai/, "Batches".

local endpoint = require("llama_cloud.endpoint")
local shared = require("llama_cloud.resources.shared")

---@alias LlamaCloud.BatchStatus "PENDING"|"THROTTLED"|"RUNNING"|"COMPLETED"|"FAILED"|"CANCELLED"|string
---@alias LlamaCloud.JobType "parse_v2"|"extract_v2"|string

---@class LlamaCloud.BatchConfig
---@field job { type: LlamaCloud.JobType, configuration_id: string } the job to create for each file; configuration_id names a saved configuration of the same type, or a preset such as `cfg-PARSE_AGENTIC`

---@class LlamaCloud.BatchResult what became of one file
---@field source_directory_file_id string
---@field job_reference? { type: LlamaCloud.JobType, id: string } absent where no job could be created
---@field error_message? string why no job could be created for this file; the job's own outcome is read from its endpoint

---@class LlamaCloud.Batch
---@field id string
---@field project_id string
---@field source_directory_id string
---@field config LlamaCloud.BatchConfig
---@field status LlamaCloud.BatchStatus COMPLETED means that every file has its job, not that every job succeeded
---@field created_at? string ISO 8601
---@field updated_at? string ISO 8601
---@field results? LlamaCloud.BatchResult[] only with expand = { "results" }, and once it is known

---@class LlamaCloud.BatchPage: LlamaCloud.Page
---@field items LlamaCloud.Batch[]

---@class LlamaCloud.BatchList: LlamaCloud.List
---@field next_page fun(self: LlamaCloud.BatchList): LlamaCloud.BatchPage?, LlamaCloud.Error?
---@field pages fun(self: LlamaCloud.BatchList): fun(): LlamaCloud.BatchPage?
---@field all fun(self: LlamaCloud.BatchList, options?: LlamaCloud.AllOptions): LlamaCloud.Batch[]?, LlamaCloud.Error?
---@overload fun(): LlamaCloud.Batch?

---@class LlamaCloud.BatchCreateParams
---@field source_directory_id string the directory whose files are processed, at most 1,000
---@field config LlamaCloud.BatchConfig
---@field webhook_configuration_ids? string|string[]
---@field webhook_configurations? LlamaCloud.WebhookConfiguration[]
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.WebhookConfiguration
---@field webhook_url? string
---@field webhook_events? string[] all by default
---@field webhook_headers? table<string, string>
---@field webhook_output_format? "string"|"json"
---@field webhook_signing_secret? string

---@class LlamaCloud.BatchGetParams
---@field expand? string|string[] "results" is the one value that the service knows
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.BatchListParams
---@field created_at_on_or_after? string|number ISO 8601, or seconds since the epoch
---@field created_at_on_or_before? string|number likewise
---@field status? LlamaCloud.BatchStatus
---@field source_directory_id? string
---@field page_size? integer
---@field page_token? string where to continue
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.ScopeParams
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.Batches
---@field create fun(self, params: LlamaCloud.BatchCreateParams, options?: LlamaCloud.CreateOptions): LlamaCloud.Batch?, LlamaCloud.Error?
---@field get fun(self, batch_id: string, params?: LlamaCloud.BatchGetParams, options?: LlamaCloud.Options): LlamaCloud.Batch?, LlamaCloud.Error?
---@field cancel fun(self, batch_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): LlamaCloud.Batch?, LlamaCloud.Error?
---@field list fun(self, params?: LlamaCloud.BatchListParams, options?: LlamaCloud.Options): LlamaCloud.BatchList
---@field wait fun(self, batch_id: string, params?: LlamaCloud.BatchGetParams, options?: LlamaCloud.WaitOptions): LlamaCloud.Batch?, LlamaCloud.Error?
---@field run fun(self, params: LlamaCloud.BatchCreateParams, options?: LlamaCloud.BatchRunOptions): LlamaCloud.Batch?, LlamaCloud.Error?
---@field watch fun(self, batch_id: string, params?: LlamaCloud.BatchGetParams, options?: LlamaCloud.WaitOptions): fun(): LlamaCloud.Batch?
---@field wait_all fun(self, ids: (string|LlamaCloud.Batch)[], params?: LlamaCloud.BatchGetParams, options?: LlamaCloud.WaitOptions): fun(): string?, LlamaCloud.Batch?, LlamaCloud.Error?

---@class LlamaCloud.CreateOptions: LlamaCloud.Options
---@field reconcile? boolean if the response was lost, look for the new object in the list (default false)

---@class LlamaCloud.BatchRunOptions: LlamaCloud.WaitOptions
---@field expand? string|string[] like the parameter of `get`, for the batch in the end
---@field reconcile? boolean like the option of `create` (default false)

local scope = shared.scope

return endpoint.resource("batches", {
  --- Starts a batch over the files of a directory.
  create = {
    "POST /api/v2/batches",
    reconcile = { list = "list", by = "source_directory_id", same = "config" },
    query = scope,
    body = {
      { "source_directory_id", "string", required = true },
      { "config", "table", required = true },
      { "webhook_configuration_ids", "strings" },
      { "webhook_configurations", "array" },
    },
  },

  --- Lists the batches of the project; `results` is not part of them.
  list = {
    "GET /api/v2/batches",
    pagination = { kind = "cursor" },
    query = {
      { "created_at_on_or_after", "date" },
      { "created_at_on_or_before", "date" },
      { "organization_id", "string" },
      { "page_size", "integer" },
      { "page_token", "string" },
      { "project_id", "string" },
      { "source_directory_id", "string" },
      { "status", "string" },
    },
  },

  --- Gets one batch.
  get = {
    "GET /api/v2/batches/{batch_id}",
    query = { { "expand", "strings" }, scope[1], scope[2] },
  },

  --- Asks to stop a batch. It answers at once; the status becomes CANCELLED when processing has stopped.
  cancel = {
    "POST /api/v2/batches/{batch_id}/cancel",
    repeatable = true,
    query = scope,
  },

  waiting = {
    noun = "batch",
    nouns = "batches",
    get = "get",
    create = "create",
    final = { expand = true },
    run_options = { expand = "strings" },
    pending = { PENDING = true, THROTTLED = true, RUNNING = true },
    complete = { COMPLETED = true },
    failed = { FAILED = "batch_failed", CANCELLED = "batch_cancelled" },
    sweep = {
      list = "list",
      page = "page_size",
      size = 100,
      since = "created_at_on_or_after",
      directory = "source_directory_id",
      directory_field = "source_directory_id",
    },
  },
})

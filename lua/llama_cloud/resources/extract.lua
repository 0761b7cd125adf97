--- Extract jobs: data out of a file, by a JSON schema. "Extract" of the API reference.

local endpoint = require("llama_cloud.endpoint")
local shared = require("llama_cloud.resources.shared")

---@alias LlamaCloud.ExtractJobStatus "PENDING"|"THROTTLED"|"RUNNING"|"COMPLETED"|"FAILED"|"CANCELLED"|string
---@alias LlamaCloud.ExtractTier "cost_effective"|"agentic"|"agentic_plus"|string

---@class LlamaCloud.ExtractConfiguration
---@field data_schema table<string, any> a JSON schema
---@field tier? LlamaCloud.ExtractTier
---@field version? string "latest", or one by name or date
---@field extraction_target? "per_doc"|"per_page"|"per_table_row"|string what a result is about
---@field cite_sources? boolean
---@field confidence_scores? boolean
---@field disable_cache? boolean
---@field spreadsheet_mode? boolean
---@field sheet_names? string[]
---@field max_pages? integer
---@field target_pages? string such as "1,3,5-8"; the first page is 1
---@field system_prompt? string
---@field parse_tier? LlamaCloud.ParseTier the tier of the parse job that runs first
---@field parse_config_id? string a saved configuration for the parse job

---@class LlamaCloud.ExtractJob
---@field id string
---@field file_input string
---@field project_id string
---@field status LlamaCloud.ExtractJobStatus
---@field created_at string ISO 8601
---@field updated_at string ISO 8601
---@field configuration? LlamaCloud.ExtractConfiguration only with expand = { "configuration" }
---@field configuration_id? string
---@field error_message? string
---@field extract_result? table<string, any>|table<string, any>[] an object by the schema; an array of them where extraction_target is per_page or per_table_row
---@field extract_metadata? LlamaCloud.ExtractMetadata with expand = { "extract_metadata" }, or where the configuration asks for citations or scores
---@field metadata? LlamaCloud.ExtractJobMetadata
---@field usage? LlamaCloud.ExtractUsage only with expand = { "usage" }

---@class LlamaCloud.ExtractJobPage: LlamaCloud.Page
---@field items LlamaCloud.ExtractJob[]

---@class LlamaCloud.ExtractJobList: LlamaCloud.List
---@field next_page fun(self: LlamaCloud.ExtractJobList): LlamaCloud.ExtractJobPage?, LlamaCloud.Error?
---@field pages fun(self: LlamaCloud.ExtractJobList): fun(): LlamaCloud.ExtractJobPage?
---@field all fun(self: LlamaCloud.ExtractJobList, options?: LlamaCloud.AllOptions): LlamaCloud.ExtractJob[]?, LlamaCloud.Error?
---@overload fun(): LlamaCloud.ExtractJob?

---@class LlamaCloud.ExtractMetadata
---@field field_metadata? LlamaCloud.ExtractFieldMetadata
---@field parse_job_id? string
---@field parse_tier? LlamaCloud.ParseTier

---@class LlamaCloud.ExtractFieldMetadata
---@field document_metadata? table<string, any>
---@field page_metadata? table<string, any>[]
---@field row_metadata? table<string, any>[]

---@class LlamaCloud.ExtractJobMetadata
---@field usage? { num_pages_extracted?: integer, num_pages_billed?: integer }
---@field [string] any

---@class LlamaCloud.ExtractUsage
---@field credits? number
---@field extract_credits? number
---@field parse_credits? number

---@class LlamaCloud.ExtractJobCreateParams
---@field file_input string a file's id, that of a directory's file (dfl-…), or a completed parse job's (pjb-…)
---@field configuration? LlamaCloud.ExtractConfiguration either this or configuration_id
---@field configuration_id? string
---@field webhook_configuration_ids? string|string[]
---@field webhook_configurations? LlamaCloud.WebhookConfiguration[]
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.ExtractJobListParams
---@field configuration_id? string
---@field created_at_on_or_after? string|number ISO 8601, or seconds since the epoch
---@field created_at_on_or_before? string|number likewise
---@field document_input_type? string
---@field document_input_value? string the service prefers file_input
---@field expand? string|string[] "configuration", "extract_metadata"
---@field file_input? string
---@field job_ids? string|string[]
---@field organization_id? string
---@field project_id? string
---@field status? LlamaCloud.ExtractJobStatus
---@field page_size? integer
---@field page_token? string where to continue

---@class LlamaCloud.ExtractJobGetParams
---@field expand? string|string[] "configuration", "extract_metadata", "usage"
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.ExtractJobDeleteParams
---@field force? boolean
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.ExtractValidateSchemaParams
---@field data_schema table<string, any> a JSON schema

---@class LlamaCloud.ExtractSchema
---@field data_schema table<string, any> a JSON schema as Extract takes it

---@class LlamaCloud.ExtractGenerateSchemaParams
---@field data_schema? table<string, any> to begin with
---@field file_id? string a document of the kind
---@field name? string
---@field prompt? string
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.ExtractSchemaConfiguration what client.configurations:create takes
---@field name string
---@field parameters LlamaCloud.ExtractParameters

---@class LlamaCloud.ExtractJobRunOptions: LlamaCloud.WaitOptions
---@field expand? string|string[] as of get, of the job in the end

---@class LlamaCloud.Extract
---@field create fun(self, params: LlamaCloud.ExtractJobCreateParams, options?: LlamaCloud.Options): LlamaCloud.ExtractJob?, LlamaCloud.Error?
---@field list fun(self, params?: LlamaCloud.ExtractJobListParams, options?: LlamaCloud.Options): LlamaCloud.ExtractJobList
---@field get fun(self, job_id: string, params?: LlamaCloud.ExtractJobGetParams, options?: LlamaCloud.Options): LlamaCloud.ExtractJob?, LlamaCloud.Error?
---@field cancel fun(self, job_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): LlamaCloud.ExtractJob?, LlamaCloud.Error?
---@field delete fun(self, job_id: string, params?: LlamaCloud.ExtractJobDeleteParams, options?: LlamaCloud.Options): true?, LlamaCloud.Error?
---@field validate_schema fun(self, params: LlamaCloud.ExtractValidateSchemaParams, options?: LlamaCloud.Options): LlamaCloud.ExtractSchema?, LlamaCloud.Error?
---@field generate_schema fun(self, params: LlamaCloud.ExtractGenerateSchemaParams, options?: LlamaCloud.Options): LlamaCloud.ExtractSchemaConfiguration?, LlamaCloud.Error?
---@field wait fun(self, job_id: string, params?: LlamaCloud.ExtractJobGetParams, options?: LlamaCloud.WaitOptions): LlamaCloud.ExtractJob?, LlamaCloud.Error?
---@field run fun(self, params: LlamaCloud.ExtractJobCreateParams, options?: LlamaCloud.ExtractJobRunOptions): LlamaCloud.ExtractJob?, LlamaCloud.Error?
---@field watch fun(self, job_id: string, params?: LlamaCloud.ExtractJobGetParams, options?: LlamaCloud.WaitOptions): fun(): LlamaCloud.ExtractJob?
---@field wait_all fun(self, ids: (string|LlamaCloud.ExtractJob)[], params?: LlamaCloud.ExtractJobGetParams, options?: LlamaCloud.WaitOptions): fun(): string?, LlamaCloud.ExtractJob?, LlamaCloud.Error?

local scope = shared.scope

return endpoint.resource("extract", {
  --- Starts a job.
  create = {
    "POST /api/v2/extract",
    query = scope,
    body = {
      { "file_input", "string", required = true },
      { "configuration", "table" },
      { "configuration_id", "string" },
      { "webhook_configuration_ids", "strings" },
      { "webhook_configurations", "array" },
    },
  },

  --- Lists the jobs of the project.
  list = {
    "GET /api/v2/extract",
    pagination = { kind = "cursor" },
    query = {
      { "configuration_id", "string" },
      { "created_at_on_or_after", "date" },
      { "created_at_on_or_before", "date" },
      { "document_input_type", "string" },
      { "document_input_value", "string" },
      { "expand", "strings" },
      { "file_input", "string" },
      { "job_ids", "strings" },
      { "organization_id", "string" },
      { "project_id", "string" },
      { "status", "string" },
      { "page_size", "integer" },
      { "page_token", "string" },
    },
  },

  --- Gets one job, with its result once there is one.
  get = {
    "GET /api/v2/extract/{job_id}",
    query = { { "expand", "strings" }, scope[1], scope[2] },
  },

  --- Asks to stop a job.
  cancel = {
    "POST /api/v2/extract/{job_id}/cancel",
    repeatable = true,
    query = scope,
  },

  --- Deletes a job and its result.
  delete = {
    "DELETE /api/v2/extract/{job_id}",
    returns = "nothing",
    query = { { "force", "boolean" }, scope[1], scope[2] },
  },

  --- Checks a schema, and gives it as Extract takes it. It belongs to no project.
  validate_schema = {
    "POST /api/v2/extract/schema/validation",
    repeatable = true,
    body = { { "data_schema", "table", required = true } },
  },

  --- Makes a schema out of a document, a prompt or another schema.
  generate_schema = {
    "POST /api/v2/extract/schema/generate",
    query = scope,
    body = { { "data_schema", "table" }, { "file_id", "string" }, { "name", "string" }, { "prompt", "string" } },
  },

  waiting = shared.waiting {
    noun = "extract job",
    final = { expand = true },
    run_options = { expand = "strings" },
    pending = { PENDING = true, THROTTLED = true, RUNNING = true },
  },
})

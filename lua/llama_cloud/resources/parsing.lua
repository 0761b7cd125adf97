--- Parse jobs: text, markdown, items and images out of a file. "Parsing" of the API reference. What can be asked for, and what
--- comes of it, is typed in types/parsing.lua.

local endpoint = require("llama_cloud.endpoint")
local shared = require("llama_cloud.resources.shared")

---@alias LlamaCloud.ParseTier "fast"|"cost_effective"|"agentic"|"agentic_plus"|string

---@class LlamaCloud.ParseJob
---@field id string
---@field project_id string
---@field status LlamaCloud.JobStatus
---@field name? string
---@field tier? LlamaCloud.ParseTier
---@field error_message? string
---@field created_at? string ISO 8601
---@field updated_at? string ISO 8601
---@field usage? { credits?: number } only with expand = { "usage" }, and once it was billed
---@field user_metadata? table<string, string>

---@class LlamaCloud.ParseJobPage: LlamaCloud.Page
---@field items LlamaCloud.ParseJob[]

---@class LlamaCloud.ParseJobList: LlamaCloud.List
---@field next_page fun(self: LlamaCloud.ParseJobList): LlamaCloud.ParseJobPage?, LlamaCloud.Error?
---@field pages fun(self: LlamaCloud.ParseJobList): fun(): LlamaCloud.ParseJobPage?
---@field all fun(self: LlamaCloud.ParseJobList, options?: LlamaCloud.AllOptions): LlamaCloud.ParseJob[]?, LlamaCloud.Error?
---@overload fun(): LlamaCloud.ParseJob?

---@class LlamaCloud.ParseJobCreateParams: LlamaCloud.ParseOptions
---@field upload_file? LlamaCloud.FileArgument give one of upload_file, file_id and source_url
---@field file_id? string
---@field source_url? string
---@field http_proxy? string through which the service fetches source_url
---@field configuration_id? string a saved configuration, or a preset such as `cfg-PARSE_AGENTIC`; `tier` and `version` may be absent then
---@field user_metadata? table<string, string>
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.ParseJobListParams
---@field created_at_on_or_after? string|number ISO 8601, or seconds since the epoch
---@field created_at_on_or_before? string|number likewise
---@field job_ids? string|string[]
---@field organization_id? string
---@field project_id? string
---@field status? LlamaCloud.JobStatus
---@field page_size? integer
---@field page_token? string where to continue

---@class LlamaCloud.ParseJobGetParams
---@field expand? LlamaCloud.ParseExpand|LlamaCloud.ParseExpand[]
---@field image_filenames? string with "images_content_metadata": only these, separated by commas
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.ParseJobDeleted
---@field id string
---@field project_id string

---@class LlamaCloud.ParseVersions
---@field fast string[]
---@field cost_effective string[]
---@field agentic string[]
---@field agentic_plus string[]
---@field latest { fast: string, cost_effective: string, agentic: string, agentic_plus: string } what "latest" stands for

---@class LlamaCloud.ParseListVersionsParams

---@class LlamaCloud.ParseJobRunOptions: LlamaCloud.WaitOptions
---@field expand? LlamaCloud.ParseExpand|LlamaCloud.ParseExpand[] as of get, of the job in the end
---@field image_filenames? string likewise
---@field stall_timeout? number of the upload, as of create
---@field on_progress? fun(done: integer, total: integer?) likewise

---@class LlamaCloud.Parsing
---@field create fun(self, params: LlamaCloud.ParseJobCreateParams, options?: LlamaCloud.TransferOptions): LlamaCloud.ParseJob?, LlamaCloud.Error?
---@field list fun(self, params?: LlamaCloud.ParseJobListParams, options?: LlamaCloud.Options): LlamaCloud.ParseJobList
---@field get fun(self, job_id: string, params?: LlamaCloud.ParseJobGetParams, options?: LlamaCloud.Options): LlamaCloud.ParseResult?, LlamaCloud.Error?
---@field download fun(self, job: string|LlamaCloud.ParseJob|LlamaCloud.ParseResult, name: string, path: string, options?: LlamaCloud.DownloadOptions): LlamaCloud.Download?, LlamaCloud.Error? Downloads a result of a job to `path`. name: a key of result_content_metadata, the filename of an image, or a value of expand that ends in `_content_metadata`
---@field cancel fun(self, job_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): LlamaCloud.ParseJob?, LlamaCloud.Error?
---@field delete fun(self, job_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): (LlamaCloud.ParseJobDeleted|true)?, LlamaCloud.Error?
---@field list_versions fun(self, params?: LlamaCloud.ParseListVersionsParams, options?: LlamaCloud.Options): LlamaCloud.ParseVersions?, LlamaCloud.Error?
---@field wait fun(self, job_id: string, params?: LlamaCloud.ParseJobGetParams, options?: LlamaCloud.WaitOptions): LlamaCloud.ParseResult?, LlamaCloud.Error?
---@field run fun(self, params: LlamaCloud.ParseJobCreateParams, options?: LlamaCloud.ParseJobRunOptions): LlamaCloud.ParseResult?, LlamaCloud.Error?
---@field watch fun(self, job_id: string, params?: LlamaCloud.ParseJobGetParams, options?: LlamaCloud.WaitOptions): fun(): LlamaCloud.ParseResult?
---@field wait_all fun(self, ids: (string|LlamaCloud.ParseJob)[], params?: LlamaCloud.ParseJobGetParams, options?: LlamaCloud.WaitOptions): fun(): string?, LlamaCloud.ParseResult?, LlamaCloud.Error?

local scope = shared.scope

return endpoint.resource("parsing", {
  --- Starts a job over a file that the service has, over an address, or over a file that is uploaded with it.
  create = {
    "POST /api/v2/parse",
    upload = {
      "POST /api/v2/parse/upload",
      file = { "upload_file", "file", wire = "file" },
      json = "configuration",
      excludes = { "file_id", "source_url" },
    },
    query = scope,
    body = {
      { "tier", "string" },
      { "version", "string" },
      { "agentic_options", "table" },
      { "client_name", "string" },
      { "configuration_id", "string" },
      { "crop_box", "table" },
      { "disable_cache", "boolean" },
      { "fast_options", "table" },
      { "file_id", "string" },
      { "http_proxy", "string" },
      { "input_options", "table" },
      { "output_options", "table" },
      { "page_ranges", "table" },
      { "processing_control", "table" },
      { "processing_options", "table" },
      { "source_url", "string" },
      { "user_metadata", "table" },
      { "webhook_configuration_ids", "strings" },
      { "webhook_configurations", "array" },
    },
  },

  --- Lists the jobs of the project, without their results.
  list = {
    "GET /api/v2/parse",
    pagination = { kind = "cursor" },
    query = shared.job_filters,
  },

  --- Gets one job, and of its result what `expand` names.
  get = {
    "GET /api/v2/parse/{job_id}",
    query = { { "expand", "strings" }, { "image_filenames", "string" }, scope[1], scope[2] },
  },

  --- Downloads one of a job's results, or an image, to a path.
  download = {
    from = "get",
    results = "result_content_metadata",
    images = "images_content_metadata",
    image_names = "image_filenames",
    expand = {
      "text_content_metadata",
      "text_full_content_metadata",
      "markdown_content_metadata",
      "markdown_full_content_metadata",
      "items_content_metadata",
      "metadata_content_metadata",
      "forms_content_metadata",
      "raw_words_content_metadata",
      "xlsx_content_metadata",
      "output_pdf_content_metadata",
      "stripped_markdown_content_metadata",
      "concatenated_stripped_markdown_content_metadata",
    },
  },

  --- Asks to stop a job.
  cancel = {
    "POST /api/v2/parse/{job_id}/cancel",
    repeatable = true,
    query = scope,
  },

  --- Deletes a job that has ended, and its result. Returns true if an earlier attempt, whose answer was lost, deleted it.
  delete = {
    "DELETE /api/v2/parse/{job_id}",
    query = scope,
  },

  --- Gets the versions that each tier has.
  list_versions = { "GET /api/v2/parse/versions" },

  waiting = shared.waiting {
    noun = "parse job",
    subject = "job",
    whole = true,
    final = { expand = true, image_filenames = true },
    run_options = { expand = "strings", image_filenames = "string" },
    pending = { PENDING = true, RUNNING = true },
    sweep = { list = "list", page = "page_size", size = 100, ids = "job_ids" },
  },
})

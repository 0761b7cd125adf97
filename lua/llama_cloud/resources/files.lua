--- Files that the service keeps. "Files" of the API reference.

local endpoint = require("llama_cloud.endpoint")
local shared = require("llama_cloud.resources.shared")

---@alias LlamaCloud.FilePurpose "user_data"|"parse"|"extract"|"classify"|"split"|"sheet"|"agent_app"|string

---@class LlamaCloud.PresignedURL an address that answers a plain GET for a while; whoever has it can read the file
---@field url string
---@field expires_at string ISO 8601
---@field form_fields? table<string, string>

---@class LlamaCloud.File
---@field id string
---@field name string
---@field project_id string
---@field purpose? LlamaCloud.FilePurpose
---@field external_file_id? string
---@field file_type? string
---@field expires_at? string ISO 8601
---@field last_modified_at? string ISO 8601
---@field download_url? LlamaCloud.PresignedURL only with expand = { "download_url" }

---@class LlamaCloud.FilePage: LlamaCloud.Page
---@field items LlamaCloud.File[]

---@class LlamaCloud.FileList: LlamaCloud.List
---@field next_page fun(self: LlamaCloud.FileList): LlamaCloud.FilePage?, LlamaCloud.Error?
---@field pages fun(self: LlamaCloud.FileList): fun(): LlamaCloud.FilePage?
---@field all fun(self: LlamaCloud.FileList, options?: LlamaCloud.AllOptions): LlamaCloud.File[]?, LlamaCloud.Error?
---@overload fun(): LlamaCloud.File?

---@class LlamaCloud.FileCreateParams
---@field file LlamaCloud.FileArgument
---@field purpose LlamaCloud.FilePurpose
---@field external_file_id? string
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.FileListParams
---@field expand? string|string[] "download_url"
---@field external_file_id? string
---@field file_ids? string|string[]
---@field file_name? string
---@field order_by? "name"|"id"|"created_at"|string created_at begins with the newest
---@field organization_id? string
---@field project_id? string
---@field page_size? integer 50 by default, at most 1000
---@field page_token? string where to continue

---@class LlamaCloud.FileRetrieveParams
---@field expand? string|string[] "download_url"
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.FileContentParams
---@field expires_at_seconds? integer how long the address is to be good for
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.UploadOptions: LlamaCloud.TransferOptions
---@field reconcile? boolean if the response was lost, look for the new object in the list (default false)

---@class LlamaCloud.Files
---@field create fun(self, params: LlamaCloud.FileCreateParams, options?: LlamaCloud.UploadOptions): LlamaCloud.File?, LlamaCloud.Error?
---@field list fun(self, params?: LlamaCloud.FileListParams, options?: LlamaCloud.Options): LlamaCloud.FileList
---@field retrieve fun(self, file_id: string, params?: LlamaCloud.FileRetrieveParams, options?: LlamaCloud.Options): LlamaCloud.File?, LlamaCloud.Error?
---@field content fun(self, file_id: string, params?: LlamaCloud.FileContentParams, options?: LlamaCloud.Options): LlamaCloud.PresignedURL?, LlamaCloud.Error?
---@field download fun(self, file_id: string, path: string, options?: LlamaCloud.DownloadOptions): LlamaCloud.Download?, LlamaCloud.Error?
---@field delete fun(self, file_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): true?, LlamaCloud.Error?

local scope = shared.scope

return endpoint.resource("files", {
  --- Uploads a file.
  create = {
    "POST /api/v1/beta/files",
    reconcile = { list = "list", by = "external_file_id" },
    query = scope,
    form = {
      { "purpose", "string", required = true },
      { "external_file_id", "string" },
      { "file", "file", required = true },
    },
  },

  --- Lists the files of the project.
  list = {
    "GET /api/v1/beta/files",
    pagination = { kind = "cursor" },
    query = {
      { "expand", "strings" },
      { "external_file_id", "string" },
      { "file_ids", "strings" },
      { "file_name", "string" },
      { "order_by", "string" },
      { "organization_id", "string" },
      { "project_id", "string" },
      { "page_size", "integer" },
      { "page_token", "string" },
    },
  },

  --- Gets what the service knows about a file.
  retrieve = {
    "GET /api/v1/beta/files/{file_id}",
    query = { { "expand", "strings" }, scope[1], scope[2] },
  },

  --- Gets the address from which a file can be downloaded.
  content = {
    "GET /api/v1/beta/files/{file_id}/content",
    query = { { "expires_at_seconds", "integer" }, scope[1], scope[2] },
  },

  --- Downloads a file to a path.
  download = { from = "content" },

  --- Deletes a file.
  delete = {
    "DELETE /api/v1/beta/files/{file_id}",
    accept = "*/*",
    returns = "nothing",
    query = scope,
  },
})

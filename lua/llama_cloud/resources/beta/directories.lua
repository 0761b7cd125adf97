--- Directories of files: what a batch is made over. "Beta: Directories" of the API reference.

local endpoint = require("llama_cloud.endpoint")
local shared = require("llama_cloud.resources.shared")

---@alias LlamaCloud.DirectoryType "user"|"index"|"ephemeral"|string
---@alias LlamaCloud.Metadata table<string, string|number|boolean|string[]|userdata> null is llama_cloud.null

---@class LlamaCloud.Directory
---@field id string
---@field name string unique in its project
---@field project_id string
---@field type? LlamaCloud.DirectoryType an ephemeral one is removed by the service after some time
---@field description? string
---@field connector_subscription_id? string the connector that fills it
---@field system_metadata? table<string, any>
---@field created_at? string ISO 8601
---@field updated_at? string ISO 8601
---@field deleted_at? string ISO 8601
---@field expires_at? string ISO 8601

---@class LlamaCloud.DirectoryPage: LlamaCloud.Page
---@field items LlamaCloud.Directory[]

---@class LlamaCloud.DirectoryList: LlamaCloud.List
---@field next_page fun(self: LlamaCloud.DirectoryList): LlamaCloud.DirectoryPage?, LlamaCloud.Error?
---@field pages fun(self: LlamaCloud.DirectoryList): fun(): LlamaCloud.DirectoryPage?
---@field all fun(self: LlamaCloud.DirectoryList, options?: LlamaCloud.AllOptions): LlamaCloud.Directory[]?, LlamaCloud.Error?
---@overload fun(): LlamaCloud.Directory?

---@class LlamaCloud.DirectoryCreateParams
---@field name string not empty
---@field type? "user"|"ephemeral"|string "user" by default
---@field description? string
---@field system_metadata? table<string, any>
---@field connector_subscription_id? string
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.DirectoryListParams
---@field include_deleted? boolean
---@field name? string
---@field organization_id? string
---@field project_id? string
---@field type? LlamaCloud.DirectoryType
---@field types? LlamaCloud.DirectoryType|LlamaCloud.DirectoryType[] any of these
---@field page_size? integer
---@field page_token? string where to continue

---@class LlamaCloud.DirectoryUpdateParams what is left out stays as it is
---@field name? string
---@field description? string llama_cloud.null removes it
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.DirectoryFile a file in a directory
---@field id string the directory's entry, dfl-…: batches and jobs name their sources by it
---@field directory_id string
---@field project_id string
---@field unique_id string unique in the directory
---@field display_name string
---@field file_id? string the file itself, which may be in several directories
---@field download_url? LlamaCloud.PresignedURL only with expand = { "download_url" }
---@field metadata? LlamaCloud.Metadata only with expand = { "metadata" }
---@field created_at? string ISO 8601
---@field updated_at? string ISO 8601
---@field deleted_at? string ISO 8601

---@class LlamaCloud.DirectoryFilePage: LlamaCloud.Page
---@field items LlamaCloud.DirectoryFile[]

---@class LlamaCloud.DirectoryFileList: LlamaCloud.List
---@field next_page fun(self: LlamaCloud.DirectoryFileList): LlamaCloud.DirectoryFilePage?, LlamaCloud.Error?
---@field pages fun(self: LlamaCloud.DirectoryFileList): fun(): LlamaCloud.DirectoryFilePage?
---@field all fun(self: LlamaCloud.DirectoryFileList, options?: LlamaCloud.AllOptions): LlamaCloud.DirectoryFile[]?, LlamaCloud.Error?
---@overload fun(): LlamaCloud.DirectoryFile?

---@class LlamaCloud.DirectoryFileAddParams
---@field file_id string
---@field display_name? string the file's name by default
---@field unique_id? string the file's external_file_id or name by default
---@field metadata? LlamaCloud.Metadata
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.DirectoryFileUploadParams
---@field upload_file LlamaCloud.FileArgument
---@field display_name? string the file's name by default
---@field unique_id? string external_file_id or the file's name by default
---@field external_file_id? string
---@field metadata? LlamaCloud.Metadata
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.DirectoryFileListParams
---@field display_name? string exactly this
---@field display_name_contains? string
---@field expand? string|string[] "download_url", "metadata"
---@field file_id? string
---@field include_deleted? boolean
---@field organization_id? string
---@field project_id? string
---@field unique_id? string
---@field updated_at_on_or_after? string|number ISO 8601, or seconds since the epoch
---@field updated_at_on_or_before? string|number likewise
---@field page_size? integer
---@field page_token? string where to continue

---@class LlamaCloud.DirectoryFileGetParams
---@field expand? string|string[] "download_url", "metadata"
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.DirectoryFileUpdateParams what is left out stays as it is
---@field display_name? string
---@field unique_id? string
---@field metadata? LlamaCloud.Metadata replaces the metadata that the user had set
---@field target_directory_id? string moves the file there
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.DirectoryFiles
---@field add fun(self, directory_id: string, params: LlamaCloud.DirectoryFileAddParams, options?: LlamaCloud.CreateOptions): LlamaCloud.DirectoryFile?, LlamaCloud.Error?
---@field upload fun(self, directory_id: string, params: LlamaCloud.DirectoryFileUploadParams, options?: LlamaCloud.UploadOptions): LlamaCloud.DirectoryFile?, LlamaCloud.Error?
---@field list fun(self, directory_id: string, params?: LlamaCloud.DirectoryFileListParams, options?: LlamaCloud.Options): LlamaCloud.DirectoryFileList
---@field get fun(self, directory_id: string, directory_file_id: string, params?: LlamaCloud.DirectoryFileGetParams, options?: LlamaCloud.Options): LlamaCloud.DirectoryFile?, LlamaCloud.Error?
---@field update fun(self, directory_id: string, directory_file_id: string, params: LlamaCloud.DirectoryFileUpdateParams, options?: LlamaCloud.Options): LlamaCloud.DirectoryFile?, LlamaCloud.Error?
---@field delete fun(self, directory_id: string, directory_file_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): true?, LlamaCloud.Error?

---@class LlamaCloud.Directories
---@field files LlamaCloud.DirectoryFiles
---@field create fun(self, params: LlamaCloud.DirectoryCreateParams, options?: LlamaCloud.CreateOptions): LlamaCloud.Directory?, LlamaCloud.Error?
---@field list fun(self, params?: LlamaCloud.DirectoryListParams, options?: LlamaCloud.Options): LlamaCloud.DirectoryList
---@field get fun(self, directory_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): LlamaCloud.Directory?, LlamaCloud.Error?
---@field update fun(self, directory_id: string, params: LlamaCloud.DirectoryUpdateParams, options?: LlamaCloud.Options): LlamaCloud.Directory?, LlamaCloud.Error?
---@field delete fun(self, directory_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): true?, LlamaCloud.Error?

local scope = shared.scope

local files = endpoint.resource("beta.directories.files", {
  --- Puts a file that the service has into a directory.
  add = {
    "POST /api/v1/beta/directories/{directory_id}/files",
    reconcile = { list = "list", by = "unique_id", same = "file_id" },
    query = scope,
    body = {
      { "file_id", "string", required = true },
      { "display_name", "string" },
      { "unique_id", "string" },
      { "metadata", "table" },
    },
  },

  --- Uploads a file into a directory.
  upload = {
    "POST /api/v1/beta/directories/{directory_id}/files/upload",
    reconcile = { list = "list", by = "unique_id" },
    query = scope,
    form = {
      { "display_name", "string" },
      { "unique_id", "string" },
      { "external_file_id", "string" },
      { "metadata", "json" },
      { "upload_file", "file", required = true },
    },
  },

  --- Lists the files of a directory.
  list = {
    "GET /api/v1/beta/directories/{directory_id}/files",
    pagination = { kind = "cursor" },
    query = {
      { "display_name", "string" },
      { "display_name_contains", "string" },
      { "expand", "strings" },
      { "file_id", "string" },
      { "include_deleted", "boolean" },
      { "organization_id", "string" },
      { "project_id", "string" },
      { "unique_id", "string" },
      { "updated_at_on_or_after", "date" },
      { "updated_at_on_or_before", "date" },
      { "page_size", "integer" },
      { "page_token", "string" },
    },
  },

  --- Gets one file of a directory.
  get = {
    "GET /api/v1/beta/directories/{directory_id}/files/{directory_file_id}",
    query = { { "expand", "strings" }, scope[1], scope[2] },
  },

  --- Changes a file of a directory, or moves it to another directory.
  update = {
    "PATCH /api/v1/beta/directories/{directory_id}/files/{directory_file_id}",
    repeatable = true,
    query = scope,
    body = {
      { "display_name", "string" },
      { "unique_id", "string" },
      { "metadata", "table" },
      { "target_directory_id", "string" },
    },
  },

  --- Takes a file out of a directory.
  delete = {
    "DELETE /api/v1/beta/directories/{directory_id}/files/{directory_file_id}",
    accept = "*/*",
    returns = "nothing",
    query = scope,
  },
})

return endpoint.resource("beta.directories", {
  files = files,

  --- Makes a directory.
  create = {
    "POST /api/v1/beta/directories",
    reconcile = { list = "list", by = "name" },
    query = scope,
    body = {
      { "name", "string", required = true },
      { "type", "string" },
      { "description", "string" },
      { "system_metadata", "table" },
      { "connector_subscription_id", "string" },
    },
  },

  --- Lists the directories of the project.
  list = {
    "GET /api/v1/beta/directories",
    pagination = { kind = "cursor" },
    query = {
      { "include_deleted", "boolean" },
      { "name", "string" },
      { "organization_id", "string" },
      { "project_id", "string" },
      { "type", "string" },
      { "types", "strings" },
      { "page_size", "integer" },
      { "page_token", "string" },
    },
  },

  --- Gets one directory.
  get = {
    "GET /api/v1/beta/directories/{directory_id}",
    query = scope,
  },

  --- Changes a directory's name or description.
  update = {
    "PATCH /api/v1/beta/directories/{directory_id}",
    repeatable = true,
    query = scope,
    body = { { "name", "string" }, { "description", "string" } },
  },

  --- Deletes a directory.
  delete = {
    "DELETE /api/v1/beta/directories/{directory_id}",
    accept = "*/*",
    returns = "nothing",
    query = scope,
  },
})

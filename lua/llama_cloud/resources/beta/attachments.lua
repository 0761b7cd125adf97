--- What the service has made of a file, such as screenshots of its pages. "Beta: Attachments" of the API reference.

local endpoint = require("llama_cloud.endpoint")

---@class LlamaCloud.Attachment
---@field name string
---@field size integer bytes
---@field last_modified? string ISO 8601

---@class LlamaCloud.AttachmentPage: LlamaCloud.Page
---@field items LlamaCloud.Attachment[]

---@class LlamaCloud.AttachmentList: LlamaCloud.List
---@field next_page fun(self: LlamaCloud.AttachmentList): LlamaCloud.AttachmentPage?, LlamaCloud.Error?
---@field pages fun(self: LlamaCloud.AttachmentList): fun(): LlamaCloud.AttachmentPage?
---@field all fun(self: LlamaCloud.AttachmentList, options?: LlamaCloud.AllOptions): LlamaCloud.Attachment[]?, LlamaCloud.Error?
---@overload fun(): LlamaCloud.Attachment?

---@class LlamaCloud.AttachmentListParams
---@field source_id string a file's id, or that of a directory's file (dfl-…)
---@field organization_id? string
---@field project_id? string
---@field page_size? integer
---@field page_token? string where to continue

---@class LlamaCloud.AttachmentGetParams
---@field source_id string a file's id, or that of a directory's file (dfl-…)
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.Attachments
---@field list fun(self, params: LlamaCloud.AttachmentListParams, options?: LlamaCloud.Options): LlamaCloud.AttachmentList
---@field get fun(self, attachment_name: string, params: LlamaCloud.AttachmentGetParams, options?: LlamaCloud.Options): LlamaCloud.PresignedURL?, LlamaCloud.Error?

return endpoint.resource("beta.attachments", {
  --- Lists the attachments of a file.
  list = {
    "GET /api/v1/beta/attachments",
    pagination = { kind = "cursor" },
    query = {
      { "source_id", "string", required = true },
      { "organization_id", "string" },
      { "project_id", "string" },
      { "page_size", "integer" },
      { "page_token", "string" },
    },
  },

  --- Gets the address from which an attachment can be downloaded.
  get = {
    "GET /api/v1/beta/attachments/{attachment_name}",
    query = {
      { "source_id", "string", required = true },
      { "organization_id", "string" },
      { "project_id", "string" },
    },
  },
})

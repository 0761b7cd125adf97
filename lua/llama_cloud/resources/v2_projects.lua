--- Projects, by pages. "V2 Projects" of the API reference.

local endpoint = require("llama_cloud.endpoint")

---@class LlamaCloud.V2ProjectListParams
---@field name? string
---@field organization_id? string needed where the key is not one of a project
---@field page_size? integer
---@field page_token? string where to go on

---@class LlamaCloud.V2ProjectGetParams
---@field organization_id? string

---@class LlamaCloud.V2Projects
---@field list fun(self, params?: LlamaCloud.V2ProjectListParams, options?: LlamaCloud.Options): LlamaCloud.List
---@field get fun(self, project_id: string, params?: LlamaCloud.V2ProjectGetParams, options?: LlamaCloud.Options): LlamaCloud.Project?, LlamaCloud.Error?

return endpoint.resource("v2_projects", {
  --- Lists the projects of an organization.
  list = {
    "GET /api/v2/projects",
    pagination = { kind = "cursor" },
    query = {
      { "name", "string" },
      { "organization_id", "string" },
      { "page_size", "integer" },
      { "page_token", "string" },
    },
  },

  --- Gets one project.
  get = {
    "GET /api/v2/projects/{project_id}",
    query = { { "organization_id", "string" } },
  },
})

--- Projects, by pages. "V2 Projects" of the API reference.

local endpoint = require("llama_cloud.endpoint")

---@class LlamaCloud.ProjectPage: LlamaCloud.Page
---@field items LlamaCloud.Project[]

---@class LlamaCloud.ProjectList: LlamaCloud.List
---@field next_page fun(self: LlamaCloud.ProjectList): LlamaCloud.ProjectPage?, LlamaCloud.Error?
---@field pages fun(self: LlamaCloud.ProjectList): fun(): LlamaCloud.ProjectPage?
---@field all fun(self: LlamaCloud.ProjectList, options?: LlamaCloud.AllOptions): LlamaCloud.Project[]?, LlamaCloud.Error?
---@overload fun(): LlamaCloud.Project?

---@class LlamaCloud.V2ProjectListParams
---@field name? string
---@field organization_id? string needed where the key is not one of a project
---@field page_size? integer
---@field page_token? string where to continue

---@class LlamaCloud.V2ProjectGetParams
---@field organization_id? string

---@class LlamaCloud.V2Projects
---@field list fun(self, params?: LlamaCloud.V2ProjectListParams, options?: LlamaCloud.Options): LlamaCloud.ProjectList
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

--- Projects, as an array. "Projects" of the API reference; v2_projects.lua has them by pages.

local endpoint = require("llama_cloud.endpoint")

---@class LlamaCloud.Project
---@field id string
---@field name string
---@field organization_id string
---@field is_default? boolean
---@field created_at? string ISO 8601
---@field updated_at? string ISO 8601

---@class LlamaCloud.ProjectListParams
---@field organization_id? string
---@field project_name? string

---@class LlamaCloud.ProjectGetParams
---@field organization_id? string

---@class LlamaCloud.Projects
---@field list fun(self, params?: LlamaCloud.ProjectListParams, options?: LlamaCloud.Options): LlamaCloud.Project[]?, LlamaCloud.Error?
---@field get fun(self, project_id: string, params?: LlamaCloud.ProjectGetParams, options?: LlamaCloud.Options): LlamaCloud.Project?, LlamaCloud.Error?

return endpoint.resource("projects", {
  --- Gets all projects that the key may see.
  list = {
    "GET /api/v1/projects",
    returns = "array",
    query = { { "organization_id", "string" }, { "project_name", "string" } },
  },

  --- Gets one project.
  get = {
    "GET /api/v1/projects/{project_id}",
    query = { { "organization_id", "string" } },
  },
})

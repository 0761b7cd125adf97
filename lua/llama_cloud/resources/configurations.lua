--- Saved configurations of the products: what batches and jobs name by configuration_id. "Configurations" of the API
--- reference.

local endpoint = require("llama_cloud.endpoint")
local shared = require("llama_cloud.resources.shared")

---@alias LlamaCloud.ProductType "parse_v2"|"extract_v2"|"classify_v2"|"split_v1"|"spreadsheet_v1"|"unknown"|string

---@class LlamaCloud.Configuration
---@field id string
---@field name string
---@field product_type LlamaCloud.ProductType
---@field version string ISO 8601
---@field parameters LlamaCloud.ConfigurationParameters
---@field created_at? string ISO 8601
---@field updated_at? string ISO 8601

---@class LlamaCloud.ConfigurationPage: LlamaCloud.Page
---@field items LlamaCloud.Configuration[]

---@class LlamaCloud.ConfigurationList: LlamaCloud.List
---@field next_page fun(self: LlamaCloud.ConfigurationList): LlamaCloud.ConfigurationPage?, LlamaCloud.Error?
---@field pages fun(self: LlamaCloud.ConfigurationList): fun(): LlamaCloud.ConfigurationPage?
---@field all fun(self: LlamaCloud.ConfigurationList, options?: LlamaCloud.AllOptions): LlamaCloud.Configuration[]?, LlamaCloud.Error?
---@overload fun(): LlamaCloud.Configuration?

--- Their product_type tells which.
---@alias LlamaCloud.ConfigurationParameters
---| LlamaCloud.ParseParameters
---| LlamaCloud.ExtractParameters
---| LlamaCloud.ClassifyParameters
---| LlamaCloud.SplitParameters
---| LlamaCloud.SpreadsheetParameters
---| LlamaCloud.UntypedParameters

---@class LlamaCloud.ParseParameters: LlamaCloud.ParseOptions
---@field product_type "parse_v2"

---@class LlamaCloud.ExtractParameters: LlamaCloud.ExtractConfiguration
---@field product_type "extract_v2"

---@class LlamaCloud.ClassifyParameters: LlamaCloud.ClassifyConfiguration
---@field product_type "classify_v2"

---@class LlamaCloud.SplitParameters: LlamaCloud.SplitConfiguration
---@field product_type "split_v1"

---@class LlamaCloud.SpreadsheetParameters of a product that the service is giving up
---@field product_type "spreadsheet_v1"
---@field extraction_range? string
---@field flatten_hierarchical_tables? boolean
---@field generate_additional_metadata? boolean
---@field include_hidden_cells? boolean
---@field sheet_names? string[]
---@field specialization? string
---@field table_merge_sensitivity? "strong"|"weak"|string
---@field tier? "agentic"|"cost_effective"|string
---@field use_experimental_processing? boolean

---@class LlamaCloud.UntypedParameters
---@field product_type "unknown"
---@field [string] any

---@class LlamaCloud.ConfigurationCreateParams
---@field name string one of this name and product type is replaced
---@field parameters LlamaCloud.ConfigurationParameters
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.ConfigurationListParams
---@field latest_only? boolean
---@field name? string
---@field organization_id? string
---@field product_type? LlamaCloud.ProductType|LlamaCloud.ProductType[] any of these
---@field project_id? string
---@field page_size? integer
---@field page_token? string where to continue

---@class LlamaCloud.ConfigurationUpdateParams what is left out stays as it is
---@field name? string
---@field parameters? LlamaCloud.ConfigurationParameters
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.Configurations
---@field create fun(self, params: LlamaCloud.ConfigurationCreateParams, options?: LlamaCloud.Options): LlamaCloud.Configuration?, LlamaCloud.Error?
---@field list fun(self, params?: LlamaCloud.ConfigurationListParams, options?: LlamaCloud.Options): LlamaCloud.ConfigurationList
---@field retrieve fun(self, config_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): LlamaCloud.Configuration?, LlamaCloud.Error?
---@field update fun(self, config_id: string, params: LlamaCloud.ConfigurationUpdateParams, options?: LlamaCloud.Options): LlamaCloud.Configuration?, LlamaCloud.Error?
---@field delete fun(self, config_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): true?, LlamaCloud.Error?

local scope = shared.scope

return endpoint.resource("configurations", {
  --- Saves a configuration; it replaces one of the same name and product type, so repeating it is harmless.
  create = {
    "POST /api/v1/beta/configurations",
    repeatable = true,
    query = scope,
    body = { { "name", "string", required = true }, { "parameters", "table", required = true } },
  },

  --- Lists the configurations of the project.
  list = {
    "GET /api/v1/beta/configurations",
    pagination = { kind = "cursor" },
    query = {
      { "latest_only", "boolean" },
      { "name", "string" },
      { "organization_id", "string" },
      { "product_type", "strings" },
      { "project_id", "string" },
      { "page_size", "integer" },
      { "page_token", "string" },
    },
  },

  --- Gets one configuration.
  retrieve = {
    "GET /api/v1/beta/configurations/{config_id}",
    query = scope,
  },

  --- Changes a configuration.
  update = {
    "PUT /api/v1/beta/configurations/{config_id}",
    query = scope,
    body = { { "name", "string" }, { "parameters", "table" } },
  },

  --- Deletes a configuration.
  delete = {
    "DELETE /api/v1/beta/configurations/{config_id}",
    accept = "*/*",
    returns = "nothing",
    query = scope,
  },
})

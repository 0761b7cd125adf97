--- Stored webhook configurations: what batches and jobs name by webhook_configuration_ids. "Webhook Configs" of the API
--- reference.

local endpoint = require("llama_cloud.endpoint")
local shared = require("llama_cloud.resources.shared")

---@class LlamaCloud.WebhookConfig
---@field id string
---@field webhook_url string
---@field has_secret boolean the secret itself is never shown
---@field tenant_id string
---@field tenant_type "project"|string
---@field webhook_events? string[] absent: all
---@field webhook_headers? table<string, string>
---@field webhook_output_format? "string"|"json"|string
---@field created_at? string ISO 8601
---@field updated_at? string ISO 8601

---@class LlamaCloud.WebhookConfigPage: LlamaCloud.Page
---@field items LlamaCloud.WebhookConfig[]

---@class LlamaCloud.WebhookConfigList: LlamaCloud.List
---@field next_page fun(self: LlamaCloud.WebhookConfigList): LlamaCloud.WebhookConfigPage?, LlamaCloud.Error?
---@field pages fun(self: LlamaCloud.WebhookConfigList): fun(): LlamaCloud.WebhookConfigPage?
---@field all fun(self: LlamaCloud.WebhookConfigList, options?: LlamaCloud.AllOptions): LlamaCloud.WebhookConfig[]?, LlamaCloud.Error?
---@overload fun(): LlamaCloud.WebhookConfig?

---@class LlamaCloud.WebhookConfigCreateParams
---@field webhook_url string
---@field webhook_events? string|string[] all by default
---@field webhook_headers? table<string, string> sent with each delivery
---@field webhook_output_format? "string"|"json"|string "string" by default
---@field webhook_signing_secret? string deliveries are signed with it
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.WebhookConfigListV2Params
---@field include_total? boolean whether pages are to tell total_size
---@field organization_id? string
---@field project_id? string
---@field page_size? integer
---@field page_token? string where to continue

---@class LlamaCloud.WebhookConfigUpdateParams what is left out stays as it is
---@field webhook_url? string
---@field webhook_events? string|string[]
---@field webhook_headers? table<string, string>
---@field webhook_output_format? "string"|"json"|string
---@field webhook_signing_secret? string
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.WebhookConfigs
---@field create fun(self, params: LlamaCloud.WebhookConfigCreateParams, options?: LlamaCloud.Options): LlamaCloud.WebhookConfig?, LlamaCloud.Error?
---@field list fun(self, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): LlamaCloud.WebhookConfig[]?, LlamaCloud.Error?
---@field list_v2 fun(self, params?: LlamaCloud.WebhookConfigListV2Params, options?: LlamaCloud.Options): LlamaCloud.WebhookConfigList
---@field retrieve fun(self, config_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): LlamaCloud.WebhookConfig?, LlamaCloud.Error?
---@field update fun(self, config_id: string, params: LlamaCloud.WebhookConfigUpdateParams, options?: LlamaCloud.Options): LlamaCloud.WebhookConfig?, LlamaCloud.Error?
---@field delete fun(self, config_id: string, params?: LlamaCloud.ScopeParams, options?: LlamaCloud.Options): true?, LlamaCloud.Error?

local scope = shared.scope

return endpoint.resource("webhook_configs", {
  --- Stores a configuration. Events go to each of them, so if two are the same every delivery comes twice.
  create = {
    "POST /api/v1/beta/webhook-configs",
    query = scope,
    body = {
      { "webhook_url", "string", required = true },
      { "webhook_events", "strings" },
      { "webhook_headers", "table" },
      { "webhook_output_format", "string" },
      { "webhook_signing_secret", "string" },
    },
  },

  --- Gets all configurations of the project, the newest first. The service prefers list_v2.
  list = {
    "GET /api/v1/beta/webhook-configs",
    returns = "array",
    query = scope,
  },

  --- Lists the configurations of the project by pages, the newest first.
  list_v2 = {
    "GET /api/v2/webhook-configs",
    pagination = { kind = "cursor" },
    query = {
      { "include_total", "boolean" },
      { "organization_id", "string" },
      { "project_id", "string" },
      { "page_size", "integer" },
      { "page_token", "string" },
    },
  },

  --- Gets one configuration.
  retrieve = {
    "GET /api/v1/beta/webhook-configs/{config_id}",
    query = scope,
  },

  --- Changes a configuration.
  update = {
    "PUT /api/v1/beta/webhook-configs/{config_id}",
    query = scope,
    body = {
      { "webhook_url", "string" },
      { "webhook_events", "strings" },
      { "webhook_headers", "table" },
      { "webhook_output_format", "string" },
      { "webhook_signing_secret", "string" },
    },
  },

  --- Deletes a configuration.
  delete = {
    "DELETE /api/v1/beta/webhook-configs/{config_id}",
    accept = "*/*",
    returns = "nothing",
    query = scope,
  },
})

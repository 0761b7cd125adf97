-- The routes of stored webhook configurations.

local clock_module = require("llama_cloud.sandbox.clock")
local endpoint = require("llama_cloud.sandbox.endpoint")
local json = require("llama_cloud.sandbox.json")
local lists = require("llama_cloud.sandbox.lists")
local seed = require("llama_cloud.sandbox.seed")
local webhooks = require("llama_cloud.sandbox.webhooks")

local PATH = "/api/v1/beta/webhook-configs"

---@class llama_cloud.sandbox.webhook_configs
---@field count integer how many were ever made
local store_methods = {}
local store_mt = { __name = "llama_cloud.sandbox.webhook_configs", __index = store_methods }

local function new_store(sandbox)
  local scope = seed.hash(sandbox.world, seed.hash_string("whc"))
  return setmetatable({ scope = scope, count = 0, stored = {} }, store_mt)
end

--- The configuration of an id, or nil.
---@param id string
---@return table?
function store_methods:find(id)
  local number = seed.number("whc", self.scope, id)
  return number and self.stored[number]
end

--- The numbers of up to `limit` configurations that are older than number `before`, newest first, and whether more follow.
---@param before? integer
---@param limit integer
---@return integer[]
---@return boolean more
function store_methods:list(before, limit)
  return lists.newest(self.count, before, limit, function(number)
    return self.stored[number]
  end)
end

local SHOWN = { "webhook_url", "webhook_events", "webhook_headers", "webhook_output_format" }
local WRITTEN = { "webhook_signing_secret", table.unpack(SHOWN) }

-- A configuration as the API shows it: the secret is not told.
local function show(config)
  local secret = config.webhook_signing_secret
  local shown = {
    id = config.id,
    tenant_id = config.tenant_id,
    tenant_type = "project",
    has_secret = secret ~= nil and secret ~= json.null,
    created_at = clock_module.format(config.created_at),
    updated_at = clock_module.format(config.updated_at),
  }
  for _, name in ipairs(SHOWN) do
    local value = config[name]
    shown[name] = value == nil and json.null or value
  end
  return json.encode(shown)
end

local function write(config, body)
  for _, name in ipairs(WRITTEN) do
    if body[name] ~= nil then
      config[name] = body[name]
    end
  end
end

local function create(sandbox, request)
  local store, now = sandbox.webhook_configs, sandbox.clock:now()
  store.count = store.count + 1
  local config = {
    id = seed.id("whc", store.scope, store.count),
    number = store.count,
    tenant_id = request.query.project_id or seed.id("prj", sandbox.world, 1),
    created_at = now,
    updated_at = now,
  }
  write(config, request.body)
  store.stored[store.count] = config
  return 201, show(config)
end

local function list(sandbox)
  local shown = {}
  for index, number in ipairs((sandbox.webhook_configs:list(nil, math.maxinteger))) do
    shown[index] = show(sandbox.webhook_configs.stored[number])
  end
  return 200, "[" .. table.concat(shown, ",") .. "]"
end

local function list_pages(sandbox, request)
  local store = sandbox.webhook_configs
  local status, text = endpoint.page(sandbox, "webhook_configs", request.query, function(before, limit)
    return store:list(before, limit)
  end, function(number)
    return show(store.stored[number])
  end)
  if status == 200 and request.query.include_total then
    local total = #(store:list(nil, math.maxinteger))
    text = text:gsub('"total_size":null}$', string.format('"total_size":%d}', total))
  end
  return status, text
end

local function with_config(handler)
  return endpoint.with(function(sandbox, id)
    return sandbox.webhook_configs:find(id)
  end, "Webhook configuration", handler)
end

local get = with_config(function(_, _, config)
  return 200, show(config)
end)

local update = with_config(function(sandbox, request, config)
  write(config, request.body)
  config.updated_at = sandbox.clock:now()
  return 200, show(config)
end)

local delete = with_config(function(sandbox, _, config)
  sandbox.webhook_configs.stored[config.number] = nil
  return 204, ""
end)

local function members(url)
  return {
    url,
    { "webhook_events", "array", of = "string", nullable = true },
    { "webhook_headers", "object", values_of = "string", nullable = true },
    { "webhook_output_format", "enum", values = { "string", "json" }, nullable = true },
    { "webhook_signing_secret", "string", nullable = true },
  }
end

return {
  setup = function(sandbox)
    sandbox.webhook_configs = new_store(sandbox)
    sandbox.deliveries = webhooks.new(sandbox)
  end,
  list = {
    {
      method = "POST",
      path = PATH,
      query = endpoint.SCOPE,
      body = members { "webhook_url", "string", required = true },
      handler = create,
    },
    { method = "GET", path = PATH, query = endpoint.SCOPE, handler = list },
    { method = "GET", path = PATH .. "/{config_id}", query = endpoint.SCOPE, handler = get },
    {
      method = "PUT",
      path = PATH .. "/{config_id}",
      query = endpoint.SCOPE,
      body = members { "webhook_url", "string" },
      handler = update,
    },
    { method = "DELETE", path = PATH .. "/{config_id}", query = endpoint.SCOPE, handler = delete },
    {
      method = "GET",
      path = "/api/v2/webhook-configs",
      query = endpoint.query { { "include_total", "boolean" }, endpoint.PAGE_SIZE, endpoint.PAGE_TOKEN },
      handler = list_pages,
    },
  },
}

-- The routes of saved configurations.

local configurations = require("llama_cloud.sandbox.configurations")
local endpoint = require("llama_cloud.sandbox.endpoint")
local json = require("llama_cloud.sandbox.json")
local product_parameters = require("llama_cloud.sandbox.product_parameters")

local detail = endpoint.detail

local function check(body, problems)
  if json.is_object(body.parameters) then
    product_parameters.check(body.parameters, configurations.PRODUCT_TYPES, { "body", "parameters" }, problems)
  end
end

local function find(sandbox, id)
  return sandbox.configurations:find(id)
end

-- A second one of the same name and product replaces the first.
local function create(sandbox, request)
  local body, store, project_id = request.body, sandbox.configurations, request.query.project_id
  local record = store:named(project_id, body.name, body.parameters.product_type)
  if record then
    store:update(record, nil, body.parameters)
    return 200, store:encode(record)
  end
  return 201, store:encode(store:create(body.name, body.parameters, project_id))
end

local list = endpoint.list("configurations", function(store, number)
  return store:encode(store.records[number])
end)

local function get(sandbox, _, record)
  return 200, sandbox.configurations:encode(record)
end

-- Handlers for all configurations but presets.
local function changing(handler)
  return endpoint.with(find, "Configuration", function(sandbox, request, record)
    if record.id then
      return detail(400, "A preset cannot be changed")
    end
    return handler(sandbox, request, record)
  end)
end

local update = changing(function(sandbox, request, record)
  local body, store = request.body, sandbox.configurations
  local name, parameters = endpoint.given(body, "name"), endpoint.given(body, "parameters")
  if parameters and parameters.product_type ~= record.product_type then
    return detail(400, "The product type of a configuration cannot be changed")
  end
  local other = name and store:named(record.project_id, name, record.product_type)
  if other and other ~= record then
    return detail(409, string.format("A configuration with the name '%s' already exists in this project", name))
  end
  store:update(record, name, parameters)
  return 200, store:encode(record)
end)

local delete = changing(function(sandbox, _, record)
  sandbox.configurations:remove(record)
  return 204, ""
end)

local PATH = "/api/v1/beta/configurations"

return {
  setup = function(sandbox)
    sandbox.configurations = configurations.new(sandbox)
  end,
  list = {
    {
      method = "POST",
      path = PATH,
      query = endpoint.SCOPE,
      body = {
        { "name", "string", required = true, min_length = 1 },
        { "parameters", "object", required = true },
      },
      check = check,
      handler = create,
    },
    {
      method = "GET",
      path = PATH,
      query = endpoint.query {
        { "latest_only", "boolean" },
        { "name", "string" },
        { "product_type", "enum", many = true, values = configurations.PRODUCT_TYPES },
        endpoint.PAGE_SIZE,
        endpoint.PAGE_TOKEN,
      },
      handler = list,
    },
    {
      method = "GET",
      path = PATH .. "/{config_id}",
      query = endpoint.SCOPE,
      handler = endpoint.with(find, "Configuration", get),
    },
    {
      method = "PUT",
      path = PATH .. "/{config_id}",
      query = endpoint.SCOPE,
      body = {
        { "name", "string", nullable = true, min_length = 1 },
        { "parameters", "object", nullable = true },
      },
      check = check,
      handler = update,
    },
    { method = "DELETE", path = PATH .. "/{config_id}", query = endpoint.SCOPE, handler = delete },
  },
}

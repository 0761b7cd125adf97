-- The routes of directories.

local directories = require("llama_cloud.sandbox.directories")
local endpoint = require("llama_cloud.sandbox.endpoint")
local json = require("llama_cloud.sandbox.json")

local detail = endpoint.detail

local TYPES = { "user", "index", "ephemeral" }

local function find(sandbox, id)
  return sandbox.directories:get(id)
end

-- Whether a project has another directory of that name already, which it may not.
local function taken(sandbox, project_id, name, except)
  local other = sandbox.options.duplicate_directories == "conflict" and sandbox.directories:named(project_id, name)
  return other and other ~= except
end

local function conflict(name)
  return detail(409, string.format("A directory with the name '%s' already exists in this project", name))
end

local function create(sandbox, request)
  local body, store = request.body, sandbox.directories
  local fields = {}
  for name in pairs(body) do
    fields[name] = endpoint.given(body, name)
  end
  local subscription = fields.connector_subscription_id
  local other = subscription and store:subscribed(subscription)
  if other then
    local message = "The connector subscription has a directory already"
    return detail(409, { message = message, directory_id = store:id(other) })
  elseif taken(sandbox, request.query.project_id, fields.name) then
    return conflict(fields.name)
  end
  fields.expires_at = fields.expires_at and endpoint.time(fields.expires_at)
  return 201, store:encode(store:create(fields, request.query.project_id))
end

local list = endpoint.list("directories", function(store, number)
  return store:encode(store.records[number])
end)

local function get(sandbox, _, directory)
  return 200, sandbox.directories:encode(directory)
end

-- Handlers for directories that were made: the others cannot be changed.
local function changing(handler)
  return endpoint.with(find, "Directory", function(sandbox, request, directory)
    if directory.id then
      return detail(400, "This directory is made up; it cannot be changed")
    end
    return handler(sandbox, request, directory)
  end)
end

local update = changing(function(sandbox, request, directory)
  local body, store = request.body, sandbox.directories
  local name = endpoint.given(body, "name")
  if name and taken(sandbox, directory.project_id, name, directory) then
    return conflict(name)
  elseif name then
    store:rename(directory, name)
  end
  if body.description == json.null then
    directory.description = nil
  else
    directory.description = body.description or directory.description
  end
  directory.updated_at = sandbox.clock:now()
  return 200, store:encode(directory)
end)

local delete = changing(function(sandbox, _, directory)
  sandbox.directories:remove(directory)
  return 204, ""
end)

local PATH = "/api/v1/beta/directories"

return {
  setup = function(sandbox)
    sandbox.directories = directories.new(sandbox)
  end,
  list = {
    {
      method = "POST",
      path = PATH,
      query = endpoint.SCOPE,
      body = {
        { "name", "string", required = true, min_length = 1 },
        { "type", "enum", values = { "user", "ephemeral" }, nullable = true },
        { "description", "string", nullable = true },
        { "system_metadata", "object", nullable = true },
        { "connector_subscription_id", "string", nullable = true },
        { "expires_at", "datetime", nullable = true },
      },
      handler = create,
    },
    {
      method = "GET",
      path = PATH,
      query = endpoint.query {
        { "include_deleted", "boolean" },
        { "name", "string" },
        { "type", "enum", values = TYPES },
        { "types", "enum", many = true, values = TYPES },
        endpoint.PAGE_SIZE,
        endpoint.PAGE_TOKEN,
      },
      handler = list,
    },
    {
      method = "GET",
      path = PATH .. "/{directory_id}",
      query = endpoint.SCOPE,
      handler = endpoint.with(find, "Directory", get),
    },
    {
      method = "PATCH",
      path = PATH .. "/{directory_id}",
      query = endpoint.SCOPE,
      body = {
        { "name", "string", nullable = true, min_length = 1 },
        { "description", "string", nullable = true },
      },
      handler = update,
    },
    { method = "DELETE", path = PATH .. "/{directory_id}", query = endpoint.SCOPE, handler = delete },
  },
}

-- The routes of projects. There is one organization with three of them, the first of which is the default.

local clock_module = require("llama_cloud.sandbox.clock")
local endpoint = require("llama_cloud.sandbox.endpoint")
local json = require("llama_cloud.sandbox.json")
local lists = require("llama_cloud.sandbox.lists")
local seed = require("llama_cloud.sandbox.seed")

local NAMES = { "Default", "Invoices", "Research" }

local PROJECT = '{"id":"%s","name":%s,"organization_id":"%s","is_default":%s,"created_at":"%s","updated_at":"%s"}'

local function organization_of(sandbox)
  return seed.id("org", sandbox.world, 1)
end

local function encode(sandbox, number)
  local created_at = clock_module.format(sandbox.started_at - (#NAMES - number + 1) * 86400000)
  return PROJECT:format(
    seed.id("prj", sandbox.world, number),
    json.quote(NAMES[number]),
    organization_of(sandbox),
    tostring(number == 1),
    created_at,
    created_at
  )
end

-- The numbers of the projects of an organization with a name, after number `after`.
local function numbers_of(sandbox, organization_id, name, after, limit)
  return lists.take(limit, (after or 0) + 1, #NAMES, 1, function(number)
    return (not organization_id or organization_id == organization_of(sandbox))
      and (not name or name == NAMES[number])
      and number
  end)
end

local function list(sandbox, request)
  local shown = {}
  local query = request.query
  for index, number in ipairs((numbers_of(sandbox, query.organization_id, query.project_name, nil, #NAMES))) do
    shown[index] = encode(sandbox, number)
  end
  return 200, "[" .. table.concat(shown, ",") .. "]"
end

local function list_pages(sandbox, request)
  local query = request.query
  return endpoint.page(sandbox, "projects", query, function(after, limit)
    return numbers_of(sandbox, query.organization_id, query.name, after, limit)
  end, function(number)
    return encode(sandbox, number)
  end)
end

local get = endpoint.with(
  function(sandbox, id)
    local number = seed.number("prj", sandbox.world, id)
    return number and NAMES[number] and number
  end,
  "Project",
  function(sandbox, _, number)
    return 200, encode(sandbox, number)
  end
)

local ORGANIZATION = { "organization_id", "string" }

return {
  setup = function(sandbox)
    sandbox.started_at = sandbox.clock:now()
  end,
  list = {
    {
      method = "GET",
      path = "/api/v1/projects",
      query = { ORGANIZATION, { "project_name", "string" } },
      handler = list,
    },
    { method = "GET", path = "/api/v1/projects/{project_id}", query = { ORGANIZATION }, handler = get },
    {
      method = "GET",
      path = "/api/v2/projects",
      query = { { "name", "string" }, ORGANIZATION, endpoint.PAGE_SIZE, endpoint.PAGE_TOKEN },
      handler = list_pages,
    },
    { method = "GET", path = "/api/v2/projects/{project_id}", query = { ORGANIZATION }, handler = get },
  },
}

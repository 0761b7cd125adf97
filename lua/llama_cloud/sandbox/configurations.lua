-- Saved configurations, and the presets of parsing, which are always there.

local ascii = require("llama_cloud.sandbox.ascii")
local clock_module = require("llama_cloud.sandbox.clock")
local json = require("llama_cloud.sandbox.json")
local lists = require("llama_cloud.sandbox.lists")
local seed = require("llama_cloud.sandbox.seed")

local configurations = {}

configurations.PRODUCT_TYPES = { "parse_v2", "extract_v2", "classify_v2", "split_v1", "spreadsheet_v1", "unknown" }

-- The service names cfg-PARSE_AGENTIC; the others are called after the tiers in the same way.
local TIERS = { "fast", "cost_effective", "agentic", "agentic_plus" }

---@class llama_cloud.sandbox.configuration
---@field number integer nil of a preset, which has an `id`
---@field name string
---@field product_type string
---@field project_id string
---@field parameters table
---@field created_at integer
---@field updated_at integer also its version

---@class llama_cloud.sandbox.configurations
local store_methods = {}
local store_mt = { __name = "llama_cloud.sandbox.configurations", __index = store_methods }

---@param sandbox table
---@return llama_cloud.sandbox.configurations
function configurations.new(sandbox)
  local self = setmetatable({
    clock = sandbox.clock,
    scope = seed.hash(sandbox.world, 23),
    project_id = seed.id("prj", sandbox.world, 1),
    records = {}, -- false is left of one that was deleted
    count = 0,
    presets = {},
  }, store_mt)
  for _, tier in ipairs(TIERS) do
    local name = "PARSE_" .. ascii.upper(tier)
    local id = "cfg-" .. name
    self.presets[id] = {
      id = id,
      name = name,
      product_type = "parse_v2",
      project_id = self.project_id,
      parameters = { product_type = "parse_v2", tier = tier, version = "latest" },
      created_at = self.clock.origin,
      updated_at = self.clock.origin,
    }
  end
  return self
end

---@param configuration llama_cloud.sandbox.configuration
---@return string
function store_methods:id(configuration)
  return configuration.id or seed.id("cfg", self.scope, configuration.number)
end

--- The configuration of an id, presets among them; or nil.
---@param id string
---@return llama_cloud.sandbox.configuration?
function store_methods:find(id)
  local number = seed.number("cfg", self.scope, id)
  return number and self.records[number] or self.presets[id]
end

--- The parameters of a configuration, or nil if there is none of this id.
---@param id string
---@return table?
function store_methods:parameters(id)
  local record = self:find(id)
  return record and record.parameters or nil
end

--- The configuration of a project that has a name and a product type, or nil.
---@param project_id? string
---@param name string
---@param product_type string
---@return llama_cloud.sandbox.configuration?
function store_methods:named(project_id, name, product_type)
  for number = 1, self.count do
    local record = self.records[number]
    if
      record
      and record.name == name
      and record.product_type == product_type
      and record.project_id == (project_id or self.project_id)
    then
      return record
    end
  end
  return nil
end

--- Makes a configuration.
---@param name string
---@param parameters table
---@param project_id? string
---@return llama_cloud.sandbox.configuration
function store_methods:create(name, parameters, project_id)
  local now = self.clock:now()
  self.count = self.count + 1
  local record = {
    number = self.count,
    name = name,
    product_type = parameters.product_type,
    project_id = project_id or self.project_id,
    parameters = parameters,
    created_at = now,
    updated_at = now,
  }
  self.records[self.count] = record
  return record
end

--- Changes a configuration; that gives it another version.
---@param record llama_cloud.sandbox.configuration
---@param name? string
---@param parameters? table
function store_methods:update(record, name, parameters)
  record.name = name or record.name
  record.parameters = parameters or record.parameters
  record.updated_at = math.max(self.clock:now(), record.updated_at + 1)
end

---@param record llama_cloud.sandbox.configuration
function store_methods:remove(record)
  self.records[record.number] = false
end

local function matches(self, record, filters, types)
  return record
    and record.project_id == (filters.project_id or self.project_id)
    and (not filters.name or record.name == filters.name)
    and (not types or types[record.product_type])
end

--- Up to `limit` numbers of those that match, newest first, older than number `before`; and whether more follow.
---@param filters { name?: string, product_type?: string[], project_id?: string }
---@param before? integer
---@param limit integer
---@return integer[]
---@return boolean more
function store_methods:list(filters, before, limit)
  local types = lists.set(filters.product_type)
  return lists.newest(self.count, before, limit, function(number)
    return matches(self, self.records[number], filters, types)
  end)
end

--- The JSON text of a configuration.
---@param record llama_cloud.sandbox.configuration
---@return string
function store_methods:encode(record)
  return json.encode {
    id = self:id(record),
    name = record.name,
    product_type = record.product_type,
    version = clock_module.format(record.updated_at),
    parameters = record.parameters,
    created_at = clock_module.format(record.created_at),
    updated_at = clock_module.format(record.updated_at),
  }
end

return configurations

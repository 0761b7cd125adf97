-- Values that a JSON schema describes, made up from a hash; and what is told about each of them.

local document = require("llama_cloud.sandbox.document")
local json = require("llama_cloud.sandbox.json")
local seed = require("llama_cloud.sandbox.seed")

local hash, below = seed.hash, seed.below

local schema_values = {}

-- As the service's limits say.
local MAX_DEPTH = 7
local MAX_PROPERTIES = 5000
-- Schemas that refer to themselves describe more and more values.
local MAX_VALUES = 10000

--- What is extracted where nothing says what.
schema_values.DEFAULT = {
  type = "object",
  properties = {
    title = { type = "string" },
    date = { type = "string", format = "date" },
    total = { type = "number" },
    lines = {
      type = "array",
      items = {
        type = "object",
        properties = {
          text = { type = "string" },
          amount = { anyOf = json.array { { type = "number" }, { type = "null" } } },
        },
      },
    },
  },
}

-- Checks ---------------------------------------------------------------------------------------------------------------------

local ONE = { "items", "not", "additionalProperties" }
local MANY = { "properties", "$defs", "definitions" }

-- A value if it is an object, else an empty one.
local function object_of(value)
  return json.is_object(value) and value or {}
end

local function walk(schema, depth, counts)
  if not json.is_object(schema) then
    return "a schema must be an object"
  elseif depth > MAX_DEPTH then
    return string.format("a schema may be %d levels deep", MAX_DEPTH)
  end
  local inner = {}
  for _, name in ipairs(ONE) do
    if type(schema[name]) == "table" and #schema[name] == 0 then
      inner[#inner + 1] = schema[name]
    end
  end
  for _, name in ipairs { "anyOf", "oneOf", "allOf" } do
    for _, one in ipairs(json.is_array(schema[name]) and schema[name] or {}) do
      inner[#inner + 1] = one
    end
  end
  for _, name in ipairs(MANY) do
    for _, one in pairs(object_of(schema[name])) do
      counts.properties = counts.properties + 1
      inner[#inner + 1] = one
    end
  end
  if counts.properties > MAX_PROPERTIES then
    return string.format("a schema may have %d properties", MAX_PROPERTIES)
  end
  for _, one in ipairs(inner) do
    local message = walk(one, depth + 1, counts)
    if message then
      return message
    end
  end
end

--- What is wrong with a schema, or nil.
---@param schema any
---@return string? message
function schema_values.check(schema)
  if not json.is_object(schema) or schema.type ~= nil and schema.type ~= "object" then
    return "the schema must describe an object"
  elseif not json.is_object(schema.properties) and not schema["$ref"] and not schema.allOf then
    return "the schema has no properties"
  end
  return walk(schema, 0, { properties = 0 })
end

-- Values -------------------------------------------------------------------------------------------------------------------

local make

local FORMATS = {
  date = function(key)
    return string.format(
      "20%02d-%02d-%02d",
      10 + below(key, 16),
      1 + below(hash(key, 1), 12),
      1 + below(hash(key, 2), 28)
    )
  end,
  email = function(key)
    return string.format("user%d@example.com", below(key, 1000))
  end,
  uri = function(key)
    return string.format("https://example.com/%d", below(key, 1000))
  end,
  uuid = function(key)
    return (seed.id("x", key, 1):sub(3))
  end,
}
FORMATS["date-time"] = function(key)
  return FORMATS.date(key) .. "T12:00:00Z"
end

local makers = {}

function makers.string(schema, key)
  local format = FORMATS[schema.format]
  return format and format(key) or document.words(key, 1, 4)
end

function makers.integer(schema, key)
  return (math.tointeger(math.floor(tonumber(schema.minimum) or 0)) or 0) + below(key, 1000)
end

function makers.number(schema, key)
  return (tonumber(schema.minimum) or 0) + below(key, 100000) / 4
end

function makers.boolean(_, key)
  return below(key, 2) == 0
end

function makers.null()
  return json.null
end

function makers.array(schema, key, place)
  local values = json.array {}
  local least = math.tointeger(tonumber(schema.minItems)) or 1
  for index = 1, math.min(math.max(least, 1) + below(key, 3), 50) do
    values[index] = make(schema.items, hash(key, index), place)
  end
  return values
end

function makers.object(schema, key, place)
  local value = {}
  local properties = object_of(schema.properties)
  for _, name in ipairs(json.names(properties)) do
    value[name] = make(properties[name], hash(key, seed.hash_string(name)), place)
  end
  return value
end

-- The schema that another one stands for: a reference is followed, and of alternatives one is chosen.
local function chosen(schema, key, place)
  for _ = 1, 10 do
    local reference = schema["$ref"]
    local kind, name = tostring(reference or ""):match("^#/([%w$]+)/(.+)$")
    local alternatives = schema.anyOf or schema.oneOf or schema.allOf
    if name then
      schema = object_of(object_of(place.root[kind])[name])
    elseif type(alternatives) == "table" and #alternatives > 0 then
      schema = object_of(alternatives[below(key, 8) == 0 and #alternatives or 1])
    else
      break
    end
  end
  return schema
end

local function type_of(schema, key)
  local kind = schema.type
  if type(kind) == "table" then
    kind = kind[below(key, 8) == 0 and #kind or 1]
  end
  return kind or schema.properties and "object" or schema.items and "array" or "string"
end

function make(schema, key, place)
  schema = chosen(object_of(schema), key, place)
  place.room[1] = place.room[1] - 1
  if place.depth > MAX_DEPTH or place.room[1] < 0 then
    return json.null
  elseif schema.const ~= nil then
    return schema.const
  elseif type(schema.enum) == "table" and #schema.enum > 0 then
    return schema.enum[1 + below(key, #schema.enum)]
  end
  local maker = makers[type_of(schema, key)] or makers.string
  return maker(schema, key, { root = place.root, depth = place.depth + 1, room = place.room })
end

--- A value that fits a schema.
---@param schema table
---@param key integer
---@return any
function schema_values.make(schema, key)
  return make(schema, key, { root = schema, depth = 0, room = { MAX_VALUES } })
end

-- Metadata -----------------------------------------------------------------------------------------------------------------

--- What is told about a value: the same shape, with where each leaf was found and how sure that is.
---@param value any
---@param key integer
---@param about { cite: boolean, confidence: boolean, pages: integer }
---@return any
function schema_values.metadata(value, key, about)
  if type(value) == "table" then
    local shape = {}
    for name, member in pairs(value) do
      local part = math.type(name) and name or seed.hash_string(name)
      shape[name] = schema_values.metadata(member, hash(key, part), about)
    end
    return #value > 0 and json.array(shape) or shape
  end
  local told = {}
  if about.cite then
    local text = value == json.null and "" or type(value) == "string" and value or json.encode(value)
    told.citation = json.array { { page = 1 + below(key, about.pages), matching_text = text } }
  end
  if about.confidence then
    local confidence = (800 + below(hash(key, 1), 200)) / 1000
    told.confidence, told.extraction_confidence, told.parsing_confidence = confidence, confidence, 1
  end
  return told
end

return schema_values

--- JSON for people and pipes: the members of an object in an order that is always the same.

local core = require("llama_cloud.core")
local text = require("llama_cloud.base.text")

local json = {}

--- Whether a decoded table is an array.
---@param value table
---@return boolean
function json.is_array(value)
  return getmetatable(value) == core.array or #value > 0
end

--- The names of an object's members: first those in `order`, then the others by the alphabet.
---@param object table
---@param order string[]
---@return string[]
function json.names(object, order)
  local names, listed = {}, {}
  for _, name in ipairs(order) do
    if object[name] ~= nil and not listed[name] then
      names[#names + 1], listed[name] = name, true
    end
  end
  local rest = {}
  for name in pairs(object) do
    if not listed[name] then
      rest[#rest + 1] = name
    end
  end
  table.sort(rest)
  return table.move(rest, 1, #rest, #names + 1, names)
end

local NO_ORDER = {}

local MOST_KEYS = 1000 -- that are remembered: nearly all are the API's, and a user's may be any

local keys, keys_count = {}, 0

-- A key as JSON has it.
local function key(name)
  local encoded = keys[name]
  if not encoded then
    encoded = core.encode(name)
    if keys_count < MOST_KEYS then
      keys[name], keys_count = encoded, keys_count + 1
    end
  end
  return encoded
end

local write

local function write_members(parts, value, order, indent)
  local array = json.is_array(value)
  local inner = indent and indent .. "  "
  local separator = indent and ",\n" .. inner or ","
  parts[#parts + 1] = (array and "[" or "{") .. (indent and "\n" .. inner or "")
  if array then
    for position = 1, #value do
      parts[#parts + 1] = position > 1 and separator or ""
      write(parts, value[position], NO_ORDER, inner)
    end
  else
    for position, name in ipairs(json.names(value, order)) do
      parts[#parts + 1] = position > 1 and separator or ""
      parts[#parts + 1] = key(name) .. (indent and ": " or ":")
      write(parts, value[name], NO_ORDER, inner)
    end
  end
  parts[#parts + 1] = (indent and "\n" .. indent or "") .. (array and "]" or "}")
end

function write(parts, value, order, indent)
  if type(value) ~= "table" then
    -- only a file name can be something other than UTF-8 here
    parts[#parts + 1] = core.encode(value) or core.encode(text.line(value, 3 * #value + 3))
  elseif next(value) == nil then
    parts[#parts + 1] = json.is_array(value) and "[]" or "{}"
  else
    write_members(parts, value, order, indent)
  end
end

--- A decoded value as JSON.
---@param value any
---@param order string[] of the members of the outermost object
---@param indent? string what lines begin with; nil: all in one line
---@return string
function json.encode(value, order, indent)
  local parts = {}
  write(parts, value, order, indent)
  return table.concat(parts)
end

return json

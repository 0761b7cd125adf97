-- JSON through lua-cjson, with what its 2.1.0 lacks: arrays that may be empty, and all digits of numbers.

local cjson = require("llama_cloud.sandbox.library")("cjson")

local codec = cjson.new()
codec.decode_max_depth(100)
codec.decode_invalid_numbers(false) -- NaN, Infinity and hexadecimal digits are no JSON

local json = { null = cjson.null }

local array_mt = {}

--- Marks a table as an array.
---@param values table
---@return table values
function json.array(values)
  return setmetatable(values, array_mt)
end

--- A string as JSON, quotes included; `null` where there is none.
---@param text? string
---@return string
function json.quote(text)
  if text and not (text:find('"', 1, true) or text:find("\\", 1, true) or text:find("%c")) then
    return '"' .. text .. '"' -- most are like this
  end
  -- lua-cjson escapes slashes; each has its own backslash, so these can go.
  return (codec.encode(text):gsub("\\/", "/"))
end

--- The names of an object's members, in order.
---@param object table
---@return string[]
function json.names(object)
  local names = {}
  for name in pairs(object) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

-- The shortest text that is read as the same float; some countries write no point in it.
local function float_text(value)
  for digits = 15, 16 do
    local text = string.format("%." .. digits .. "g", value)
    if tonumber(text) == value then
      return (text:gsub("[^%d+e-]+", "."))
    end
  end
  return (string.format("%.17g", value):gsub("[^%d+e-]+", "."))
end

--- The JSON text of a value. Tables made with `json.array` are arrays, all others are objects, keys in order.
---@param value any
---@return string
function json.encode(value)
  if type(value) ~= "table" then
    if type(value) == "number" then
      local integer = math.tointeger(value)
      return integer and string.format("%d", integer) or float_text(value)
    end
    return type(value) == "string" and json.quote(value) or codec.encode(value)
  end
  local parts = {}
  if getmetatable(value) == array_mt then
    for index, element in ipairs(value) do
      parts[index] = json.encode(element)
    end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for index, name in ipairs(json.names(value)) do
    parts[index] = json.quote(name) .. ":" .. json.encode(value[name])
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- lua-cjson does not say whether an empty table was [] or {}. So an empty array gets an element that says so. And it makes
-- floats of all numbers: so long integers become texts that say so.
local EMPTY = "\u{10FFFF}empty array"
local INTEGER = "\u{10FFFF}integer "

local LONG = ("%d"):rep(15)

local function marked_integer(token)
  local long = #token > 15 and token:find("^%-?[1-9]%d*$") and math.type(tonumber(token)) == "integer"
  return long and '"' .. INTEGER .. token .. '"' or nil
end

local function with_marks(text)
  local parts, position = {}, 1
  while position <= #text do
    local quote = text:find('"', position, true) or #text + 1
    local between = text:sub(position, quote - 1):gsub("%[%s*%]", '["' .. EMPTY .. '"]')
    parts[#parts + 1] = between:gsub("[%d-][%d.eE+-]*", marked_integer)
    local stop = quote + 1
    while stop <= #text and text:byte(stop) ~= 34 do
      stop = text:find('["\\]', stop) or #text + 1
      stop = text:byte(stop) == 92 and stop + 2 or stop
    end
    parts[#parts + 1] = text:sub(quote, stop)
    position = stop + 1
  end
  return table.concat(parts)
end

-- Marks arrays, and reads the marks of the text. Raises on a number that could not be written again, such as 1e999.
local function mark(value)
  if type(value) == "table" then
    if #value > 0 then
      json.array(value)
      if value[1] == EMPTY then
        value[1] = nil
      end
    end
    for name, member in pairs(value) do
      value[name] = mark(member)
    end
  elseif type(value) == "string" and value:find(INTEGER, 1, true) == 1 then
    return math.tointeger(tonumber(value:sub(#INTEGER + 1)))
  elseif value == math.huge or value == -math.huge then
    error("Number out of range", 0)
  end
  return value
end

--- Whether a decoded value is an object.
---@param value any
---@return boolean
function json.is_object(value)
  return type(value) == "table" and getmetatable(value) ~= array_mt
end

--- Whether a decoded value is an array.
---@param value any
---@return boolean
function json.is_array(value)
  return type(value) == "table" and getmetatable(value) == array_mt
end

--- The value of a JSON text; or nil, the error.
---@param text string
---@return any value
---@return string? message
function json.decode(text)
  local ok, value = pcall(codec.decode, text)
  if ok and (text:find("%[%s*%]") or text:find(LONG)) then
    ok, value = pcall(codec.decode, with_marks(text))
  end
  if ok then
    ok, value = pcall(mark, value)
  end
  if ok then
    return value
  end
  return nil, value
end

--- A decoded value as programs use it: whole numbers are integers, and a member that is null is none.
---@param value any
---@return any
function json.plain(value)
  if type(value) == "number" then
    return math.tointeger(value) or value
  elseif type(value) ~= "table" then
    return value
  end
  local plain = {}
  for name, member in pairs(value) do
    if member ~= json.null or json.is_array(value) then
      plain[name] = json.plain(member)
    end
  end
  return plain
end

return json

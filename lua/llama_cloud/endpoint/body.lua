--- The body of a request, written as JSON.

local arguments = require("llama_cloud.endpoint.arguments")
local core = require("llama_cloud.core")
local text = require("llama_cloud.base.text")

local body_json = {}

-- A value as it goes into the body: what is declared an integer or an array is written as one.
local function bodily(value, type_name)
  if value == core.null then
    return value
  elseif type_name == "integer" then
    return math.tointeger(value)
  elseif (type_name == "array" or type_name == "strings") and next(value) == nil then
    return core.array {}
  end
  return arguments.plain(value, type_name)
end

-- 128 random bits as a UUID (RFC 9562, version 4).
local function uuid()
  local digits = {}
  for position, byte in ipairs { core.random(16):byte(1, 16) } do
    if position == 7 then
      byte = byte & 0x0F | 0x40
    elseif position == 9 then
      byte = byte & 0x3F | 0x80
    end
    digits[position] = ("%02x"):format(byte)
  end
  return (table.concat(digits):gsub("^(%x%x%x%x%x%x%x%x)(%x%x%x%x)(%x%x%x%x)(%x%x%x%x)", "%1-%2-%3-%4-"))
end

--- The members of a declared body: the parameters that belong to it, and options.body over them.
---@param declared LlamaCloud.Declared
---@param params table
---@param extra? table options.body
---@return table
function body_json.members(declared, params, extra)
  local body = {}
  for name in pairs(declared.body_names) do
    if params[name] ~= nil then
      body[name] = bodily(params[name], declared.types[name])
    end
  end
  for name, value in pairs(extra or {}) do
    body[name] = value
  end
  local key = declared.idempotency
  if key and (body[key] == nil or body[key] == core.null or body[key] == "") then
    body[key] = uuid()
  end
  return body
end

-- Where in a body an id, which is a field that is called one, holds a line break; nil if none does.
local function broken_id(value, name, place)
  if type(value) == "string" then
    return name and (name == "id" or name:find("_ids?$")) and text.breaks_line(value) and place or nil
  elseif type(value) == "table" then
    for key, member in pairs(value) do
      local inside = type(key) == "string" and place .. (place ~= "" and "." or "") .. key
        or ("%s[%s]"):format(place, key)
      local broken = broken_id(member, type(key) == "string" and key or name, inside)
      if broken then
        return broken
      end
    end
  end
end

--- Writes a body as JSON. Nil and the problem: also an id that holds a line break, which is refused as in a path.
---@param body table
---@return string? json
---@return string? problem
function body_json.encode(body)
  local json, problem = core.encode(body, "body")
  if not json then
    return nil, text.line(problem, 500, "?")
  end
  -- few bodies have a line break at all
  local broken = json:find("\\[nru]") and broken_id(body, nil, "")
  if broken then
    return nil, text.line(broken, 200, "?") .. " contains a line break or NUL"
  end
  return json
end

return body_json

--- How the text of a flag becomes a value of the declared type.

local core = require("llama_cloud.core")
local text = require("llama_cloud.base.text")

local values = {}

--- The whole of a file, or of standard input for "-". Nil and the problem.
---@param path string
---@return string?
---@return string? problem
function values.read(path)
  if path == "-" then
    return io.stdin:read("a") or ""
  end
  local file, problem = io.open(path, "rb")
  if not file then
    return nil, "cannot read " .. problem
  end
  local content, cause = file:read("a") -- nil for a folder
  file:close()
  return content, content == nil and ("cannot read %s: %s"):format(path, cause) or nil
end

-- JSON, as it stands or in the file behind an @.
local function json(given)
  local source, problem = given
  if given:sub(1, 1) == "@" then
    source, problem = values.read(given:sub(2))
    if not source then
      return nil, problem
    end
  end
  local value, message = core.decode(source, { null = true })
  if value == nil then
    return nil, ("%s is not JSON: %s"):format(text.quote(given), message)
  elseif type(value) ~= "table" then
    return nil,
      ("%s must be a JSON object or array, or @ and the name of a file that holds one"):format(text.quote(given))
  end
  return value
end

local function number(is_good, what)
  return function(given)
    local value = tonumber(given)
    if not value or not is_good(value) then
      return nil, ("%s is not %s"):format(text.quote(given), what)
    end
    return math.tointeger(value) or value
  end
end

local converters = {
  integer = number(math.tointeger, "an integer"),
  count = number(function(value)
    return math.tointeger(value) and value >= 0
  end, "an integer that is not negative"),
  seconds = number(function(value)
    return value > 0
  end, "a number of seconds"),
  rate = number(function(value)
    return value > 0
  end, "a number above 0"),
  date = function(given) -- seconds since the epoch; what has fewer digits, such as a year, is for the service to judge
    return given:find("^%d%d%d%d%d%d%d%d%d+%.?%d*$") and tonumber(given) or given
  end,
  table = json,
  array = json,
  json = json,
}

--- What reads a value of a type; nil where the text is the value.
---@param flag string what a complaint begins with
---@param type_name string
---@return (fun(given: string): any, string?)?
function values.converter(flag, type_name)
  local convert = converters[type_name]
  return convert
    and function(given)
      local value, problem = convert(given)
      return value, problem and ("%s: %s"):format(flag, problem)
    end
end

--- Makes an option of the parser read its value as one of a type.
---@param option table
---@param flag string what a complaint begins with
---@param type_name string
function values.read_as(option, flag, type_name)
  local convert = values.converter(flag, type_name)
  if convert then
    option:convert(convert)
  end
end

--- How a value of a type is called in a usage line.
---@param name string
---@param type_name string
---@return string
function values.placeholder(name, type_name)
  if type_name == "table" or type_name == "array" or type_name == "json" then
    return "JSON"
  elseif type_name == "file" then
    return "FILE"
  elseif type_name == "integer" or type_name == "count" then
    return "N"
  elseif type_name == "seconds" then
    return "SECONDS"
  elseif type_name == "date" then
    return "DATE"
  elseif name:find("_ids?$") then
    return "ID"
  end
  return text.upper(name:match("[^_]*$"))
end

return values

--- Whether the arguments of a call can be sent: what a path, a query, a header and a body can hold. options.lua checks their
--- names and types.

local later = require("llama_cloud.base.later")
local core = require("llama_cloud.core")
local date = later.require("llama_cloud.http.date")
local headers = require("llama_cloud.http.headers")
local options = require("llama_cloud.endpoint.options")
local text = require("llama_cloud.base.text")

local arguments = {}

--- A value as it goes into a query, a header or a body: a date that is a number is written as the service has it.
---@param value any
---@param type_name string
---@return any
function arguments.plain(value, type_name)
  if type_name == "date" and type(value) == "number" then
    return date.format(value)
  end
  return value
end

--- Why a path id cannot be sent, or nil.
---@param name string
---@param id any
---@return string? problem
function arguments.bad_id(name, id)
  if type(id) ~= "string" then
    local hint = type(id) == "table" and type(id.id) == "string" and ": give its 'id'" or ""
    hint = id == nil and " (a call that fails returns nil and an error: put assert() around it)" or hint
    return ("%s must be a string, not %s%s"):format(name, type(id), hint)
  elseif id == "" then
    return ("%s must not be empty"):format(name)
  elseif id == "." or id == ".." then
    return ("%s must not be '%s'"):format(name, id) -- it would lead to another path (RFC 3986 section 5.2.4)
  elseif text.breaks_line(id) then
    return ("%s contains a line break or NUL"):format(name)
  end
end

--- Why a path of a local file cannot be one, or nil.
---@param path any
---@return string? problem
function arguments.bad_path(path)
  if type(path) ~= "string" then
    return ("the path must be a string, not %s"):format(type(path))
  elseif path == "" then
    return "the path is empty"
  elseif path:find("\0", 1, true) then
    return "the path contains a NUL"
  end
end

-- Whether a value can be in a query; null can, because it is left out. No parameter of the API has several lines: a line break
-- comes from a file that was read with the one at its end, for example.
local function is_scalar(value)
  if type(value) == "number" then
    return value == value and math.abs(value) < math.huge
  elseif type(value) == "string" then
    return not text.breaks_line(value)
  end
  return type(value) == "boolean" or value == core.null
end

-- A value that cannot be in a query, for an error message.
local function called(value)
  if type(value) == "string" then
    return "hold a line break or NUL"
  end
  return "be " .. (type(value) == "number" and text.number(value) or "a " .. type(value))
end

-- What is wrong with an array in a query, or nil.
local function bad_elements(name, array)
  if not rawequal(core.shown(array), array) then
    return ("query parameter %s cannot be a table that shows other fields than it holds"):format(text.quote(name))
  end
  local count = 0
  for _ in pairs(array) do
    count = count + 1
  end
  for position = 1, count do
    if array[position] == nil then
      return ("query parameter %s cannot be a table that is not an array"):format(text.quote(name))
    elseif not is_scalar(array[position]) then
      return ("query parameter %s cannot %s"):format(text.quote(name), called(array[position]):gsub("^be", "hold"))
    end
  end
end

--- What is wrong with the values of a query, or nil: each is a scalar or an array of scalars.
---@param query table
---@return string? problem
function arguments.bad_query(query)
  for name, value in pairs(query) do
    local problem
    if type(name) ~= "string" then
      problem = ("option 'query' has a name that is a %s"):format(type(name))
    elseif not is_scalar(name) then
      problem = "a query parameter's name holds a line break or NUL"
    elseif type(value) == "table" then
      problem = bad_elements(name, value)
    elseif not is_scalar(value) then
      problem = ("query parameter %s cannot %s"):format(text.quote(name), called(value))
    end
    if problem then
      return problem
    end
  end
end

local function is_given(params, name)
  return params[name] ~= nil and params[name] ~= core.null
end

-- What is wrong with parameters that exclude one another, or nil.
local function bad_pair(declared, params)
  for name, excluded in pairs(declared.excludes) do
    for _, other in ipairs(is_given(params, name) and excluded or {}) do
      if is_given(params, other) then
        return ("give either '%s' or '%s', not both"):format(name, other)
      end
    end
  end
end

--- Why the arguments cannot be sent, as far as each can be checked by itself; or nil.
---@param declared LlamaCloud.Declared
---@param params table
---@param given table the options
---@return string? problem
function arguments.problem(declared, params, given)
  local problem = options.check("parameter", params, declared.types, declared.options)
    or options.check("option", given, declared.options, declared.types)
    or given.headers and headers.check(given.headers)
  if problem then
    return problem
  elseif given.body and declared.method == "GET" then
    return "a GET has no body"
  end
  for _, name in ipairs(declared.required) do
    local elsewhere = given.body and given.body[name] ~= nil and declared.types[name] ~= "file"
    if not is_given(params, name) and not elsewhere then
      return ("missing parameter '%s'"):format(name)
    end
  end
  problem = declared.excludes and bad_pair(declared, params)
  if problem then
    return problem
  end
  for name in pairs(declared.header_names) do
    local value = params[name]
    if type(value) == "string" and text.breaks_line(value) then
      return ("parameter '%s' contains a line break or NUL"):format(name)
    end
  end
end

return arguments

--- Checking tables of named arguments: unknown names, with the nearest known one, and values of the wrong type.

local later = require("llama_cloud.base.later")
local core = require("llama_cloud.core")
local nearest = later.require("llama_cloud.endpoint.nearest")
local tables = require("llama_cloud.base.tables")
local text = require("llama_cloud.base.text")

local options = {}

-- What tests whether a value is of one of Lua's types.
local function is(kind)
  return function(value)
    return type(value) == kind
  end
end

-- Each type: its test, how it is called in a complaint, and whether it is about numbers.
local types = {
  string = { is("string"), "a string" },
  boolean = { is("boolean"), "a boolean" },
  integer = {
    function(value)
      return type(value) == "number" and math.tointeger(value) ~= nil
    end,
    "an integer",
    numeric = true,
  },
  count = {
    function(value)
      return type(value) == "number" and (math.tointeger(value) or value == math.huge) and value >= 0
    end,
    "an integer that is not negative",
    numeric = true,
  },
  seconds = {
    function(value)
      return type(value) == "number" and value > 0
    end,
    "a number of seconds greater than 0 (math.huge for no limit)",
    numeric = true,
  },
  rate = {
    function(value)
      return type(value) == "number" and value > 0
    end,
    "a number greater than 0 (math.huge for no limit)",
    numeric = true,
  },
  pause = {
    function(value)
      return type(value) == "number" and value >= 0
    end,
    "a number of seconds that is not negative",
    numeric = true,
  },
  table = { is("table"), "a table" },
  array = {
    function(value)
      return type(value) == "table" and (next(value) == nil or value[1] ~= nil)
    end,
    "an array",
  },
  ["function"] = { is("function"), "a function" },
  any = {
    function()
      return true
    end,
    "anything",
  },
  content = {
    function(value)
      return type(value) == "table" or type(value) == "string"
    end,
    "a table or a string",
  },
  strings = {
    function(value)
      return type(value) == "string" or type(value) == "table" and (next(value) == nil or value[1] ~= nil)
    end,
    "an array",
  },
  names = {
    function(value)
      if type(value) ~= "table" then
        return type(value) == "string"
      end
      local count = 0
      for position, name in pairs(value) do
        count = count + 1
        if math.type(position) ~= "integer" or type(name) ~= "string" then
          return false
        end
      end
      return count == #value
    end,
    "an array of names",
  },
  json = {
    function(value)
      if type(value) ~= "table" or getmetatable(value) == core.array then
        return false
      end
      for name in pairs(value) do
        if type(name) ~= "string" then
          return false
        end
      end
      return true
    end,
    "a table of named fields",
  },
  file = {
    function(value)
      return type(value) == "string" or type(value) == "table"
    end,
    "a path, or a table with 'path', or with 'data' and 'name'",
  },
  date = {
    function(value)
      return type(value) == "string" or type(value) == "number" and value == value and math.abs(value) < 2 ^ 53
    end,
    "an ISO 8601 string or a number of seconds since the epoch",
    numeric = true,
  },
}

--- Why a value is not of a declared type, or nil. null (llama_cloud.null) is of every type.
---@param what string "parameter" or "option"
---@param name string
---@param value any
---@param type_name string
---@return string? problem
function options.mismatch(what, name, value, type_name)
  local known = types[type_name]
  if value == core.null or known[1](value) then
    return nil
  end
  -- only numbers are shown by their value: other values may be secrets in the wrong place
  local got = known.numeric and type(value) == "number" and text.number(value, "%.14g") or type(value)
  if type_name == "json" and got == "table" then
    got = "an array"
  end
  return ("%s '%s' must be %s, not %s"):format(what, name, known[2], got)
end

local of_strings = { strings = true, names = true }

--- Arguments in which one string, where an array of strings is declared, is an array of one: the same table, or a copy.
---@param given table<string, any> checked
---@param declared table<string, string> name to type
---@return table<string, any>
function options.with_arrays(given, declared)
  local copy
  for name, value in pairs(given) do
    if type(value) == "string" and of_strings[declared[name]] then
      copy = copy or {}
      copy[name] = { value }
    end
  end
  if not copy then
    return given
  end
  for name, value in pairs(given) do
    if copy[name] == nil then
      copy[name] = value
    end
  end
  return copy
end

--- A copy of checked arguments for what reads them later, as waiting does: the tables among them are copies, too, so that
--- changing the caller's changes nothing.
---@param given table<string, any>
---@param declared table<string, string> name to type
---@return table<string, any>
function options.kept(given, declared)
  local copy = {}
  for name, value in pairs(given) do
    local plain = type(value) == "table" and declared[name] ~= "any" -- which may be an object, such as a log
    copy[name] = plain and tables.merged(value) or value
  end
  return copy
end

--- A value, or nil for null, which stands for an argument that is left out.
---@generic T
---@param value T
---@return T?
function options.present(value)
  if value ~= core.null then
    return value
  end
end

--- The options that are given: null stands for the default, as if it were absent.
---@param given table<string, any>
---@return table<string, any>
function options.without_nulls(given)
  local present = {}
  for name, value in pairs(given) do
    if value ~= core.null then
      present[name] = value
    end
  end
  return present
end

--- A plain copy of a table of arguments. A table with __pairs is what that gives; any other one has, besides what it
--- holds, the declared names behind its __index, which may be defaults. The tables among its values are what they show
--- (core.shown), so that none is taken for empty that is not.
---@param what string "parameter" or "option"
---@param given any what is no table is for options.check to refuse
---@param declared table<string, string> name to type
---@return any plain
---@return string? problem a table whose fields cannot be enumerated, by its name
function options.shown(what, given, declared)
  if type(given) ~= "table" then
    return given
  end
  local plain = {}
  local shown, problem, by_name = core.shown(given)
  if problem and not by_name then
    return nil, ("%ss: %s"):format(what, problem)
  end
  for name, value in next, shown or {} do
    plain[name] = value
  end
  if by_name or rawequal(shown, given) and getmetatable(given) ~= nil then
    for name in pairs(declared) do
      if plain[name] == nil then
        plain[name] = given[name]
      end
    end
  end
  for name, value in pairs(plain) do
    if type(value) == "table" and declared[name] ~= "any" then -- that may be an object, such as a log
      local inner, cause = core.shown(value)
      if not inner then
        return nil, ("%s '%s': %s"):format(what, name, cause)
      end
      plain[name] = inner
    end
  end
  return plain
end

--- The options of a call: a plain copy, without nulls.
---@param given any nil: there are none; what else is no table is for options.check to refuse
---@param declared table<string, string> name to type
---@return any plain
---@return string? problem
function options.read(given, declared)
  if given == nil then
    return {}
  end
  local plain, problem = options.shown("option", given, declared)
  return type(plain) == "table" and options.without_nulls(plain) or plain, problem
end

--- Checks a table of arguments against declared types.
---@param what string "parameter" or "option"
---@param given any the table
---@param declared table<string, string> name to type
---@param others? table<string, any> the names of the other kind that the same call takes
---@return string? problem
function options.check(what, given, declared, others)
  if type(given) ~= "table" then
    return ("%ss must be a table, not %s"):format(what, type(given))
  end
  for name, value in pairs(given) do
    local type_name = declared[name]
    if not type_name then
      return nearest.unknown(what, name, declared, others)
    end
    local problem = options.mismatch(what, name, value, type_name)
    if problem then
      return problem
    end
  end
end

return options

-- Parameters are declared and checked here; what is wrong is told as FastAPI and pydantic tell it (status 422).

local ascii = require("llama_cloud.sandbox.ascii")
local clock = require("llama_cloud.sandbox.clock")
local json = require("llama_cloud.sandbox.json")

local validate = {}

---@class llama_cloud.sandbox.problem one entry of the `detail` of a 422
---@field type string
---@field loc (string|integer)[]
---@field msg string
---@field input any

--- Adds a problem to `problems`.
---@param problems llama_cloud.sandbox.problem[]
---@param kind string
---@param loc (string|integer)[]
---@param message string
---@param input any
---@param context? table
function validate.add(problems, kind, loc, message, input, context)
  if input == nil then
    input = json.null
  end
  problems[#problems + 1] = { type = kind, loc = json.array(loc), msg = message, input = input, ctx = context }
end

--- "'a', 'b' or 'c'"
local function alternatives(values)
  local quoted = {}
  for index, value in ipairs(values) do
    quoted[index] = "'" .. value .. "'"
  end
  local last = table.remove(quoted)
  return #quoted == 0 and last or table.concat(quoted, ", ") .. " or " .. last
end

local function unescape(text)
  if not (text:find("+", 1, true) or text:find("%", 1, true)) then
    return text -- as the ids are, of which there may be a hundred
  end
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

--- The values of a query string, by name, in order.
---@param query? string
---@return table<string, string[]>
function validate.parse_query(query)
  local values = {}
  for pair in (query or ""):gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=(.*)$")
    name = unescape(name or pair)
    values[name] = values[name] or {}
    table.insert(values[name], unescape(value or ""))
  end
  return values
end

-- One function for each kind of parameter: the text and the declaration in, the value out, or nil after adding a problem.
local kinds = {}

-- Checks the length of a text; `min_length` is all that the service declares.
local function long_enough(text, declaration, loc, problems)
  local least = declaration.min_length
  if not least or #text >= least then
    return text
  end
  local message = string.format("String should have at least %d character%s", least, least == 1 and "" or "s")
  return validate.add(problems, "string_too_short", loc, message, text, { min_length = least })
end

kinds.string = long_enough

-- A JSON object as text.
function kinds.json(text, _, loc, problems)
  local value, message = json.decode(text)
  if message then
    validate.add(problems, "json_invalid", loc, "Invalid JSON: " .. message, text, { error = message })
  elseif not json.is_object(value) then
    validate.add(problems, "dict_type", loc, "Input should be a valid dictionary", text)
  else
    return value
  end
  return nil
end

--- Checks one text, such as a part of a form.
---@param text string
---@param declaration table
---@param loc (string|integer)[]
---@param problems llama_cloud.sandbox.problem[]
---@return any value nil after adding a problem
function validate.value(text, declaration, loc, problems)
  return kinds[declaration[2]](text, declaration, loc, problems)
end

function kinds.integer(text, declaration, loc, problems)
  local value = text:find("^%s*%-?%d+%s*$") and math.tointeger(tonumber(text))
  if not value then
    return validate.add(
      problems,
      "int_parsing",
      loc,
      "Input should be a valid integer, unable to parse string as an integer",
      text
    )
  end
  return validate.bounds(value, declaration, loc, problems, text)
end

function kinds.boolean(text, _, loc, problems)
  local value = ({
    ["true"] = true,
    ["1"] = true,
    yes = true,
    on = true,
    ["false"] = false,
    ["0"] = false,
    no = false,
    off = false,
  })[ascii.lower(text)]
  if value == nil then
    validate.add(problems, "bool_parsing", loc, "Input should be a valid boolean, unable to interpret input", text)
  end
  return value
end

function kinds.enum(text, declaration, loc, problems)
  for _, value in ipairs(declaration.values) do
    if text == value then
      return text
    end
  end
  local expected = alternatives(declaration.values)
  validate.add(problems, "literal_error", loc, "Input should be " .. expected, text, { expected = expected })
end

function kinds.datetime(text, _, loc, problems)
  local value = clock.parse(text)
  if not value then
    validate.add(
      problems,
      "datetime_from_date_parsing",
      loc,
      "Input should be a valid datetime or date, input is too short",
      text,
      { error = "input is too short" }
    )
  end
  return value
end

--- Checks `above`, `min`, `max` and `cap` of a declaration.
---@return integer?
function validate.bounds(value, declaration, loc, problems, input)
  if declaration.above and value <= declaration.above then
    local message = "Input should be greater than " .. declaration.above
    return validate.add(problems, "greater_than", loc, message, input, { gt = declaration.above })
  elseif declaration.min and value < declaration.min then
    local message = "Input should be greater than or equal to " .. declaration.min
    return validate.add(problems, "greater_than_equal", loc, message, input, { ge = declaration.min })
  elseif declaration.max and value > declaration.max then
    local message = "Input should be less than or equal to " .. declaration.max
    return validate.add(problems, "less_than_equal", loc, message, input, { le = declaration.max })
  end
  return declaration.cap and math.min(value, declaration.cap) or value
end

--- Checks a query against declarations `{ name, kind, …, default }` (kinds: string, integer, boolean, enum, datetime;
--- `many` for a repeated key, `required`). Undeclared names pass, as FastAPI lets them; of a repeated single one the last counts.
---@param declarations table[]
---@param values table<string, string[]>
---@param problems llama_cloud.sandbox.problem[]
---@return table<string, any>
function validate.query(declarations, values, problems)
  local result = {}
  for _, declaration in ipairs(declarations) do
    local name = declaration[1]
    local check = kinds[declaration[2]]
    local given = values[name]
    if not given then
      result[name] = declaration.default
      if declaration.required then
        validate.add(problems, "missing", { "query", name }, "Field required", nil)
      end
    elseif declaration.many then
      result[name] = {}
      for index, text in ipairs(given) do
        result[name][index] = check(text, declaration, { "query", name, index - 1 }, problems)
      end
    else
      result[name] = check(given[#given], declaration, { "query", name }, problems)
    end
  end
  return result
end

-- Bodies --------------------------------------------------------------------------------------------------------------

local body_kinds = {}

function body_kinds.string(value, declaration, loc, problems)
  if type(value) ~= "string" then
    return validate.add(problems, "string_type", loc, "Input should be a valid string", value)
  end
  long_enough(value, declaration, loc, problems)
end

function body_kinds.boolean(value, _, loc, problems)
  if type(value) ~= "boolean" then
    validate.add(problems, "bool_type", loc, "Input should be a valid boolean", value)
  end
end

function body_kinds.number(value, declaration, loc, problems)
  if type(value) ~= "number" then
    return validate.add(problems, "float_type", loc, "Input should be a valid number", value)
  end
  validate.bounds(value, declaration, loc, problems, value)
end

function body_kinds.datetime(value, declaration, loc, problems)
  kinds.datetime(tostring(value), declaration, loc, problems)
end

function body_kinds.integer(value, declaration, loc, problems)
  local number = math.type(value) and math.tointeger(value)
  if not number then
    return validate.add(problems, "int_type", loc, "Input should be a valid integer", value)
  end
  validate.bounds(number, declaration, loc, problems, number)
end

function body_kinds.enum(value, declaration, loc, problems)
  kinds.enum(value, declaration, loc, problems)
end

local function extended(loc, step)
  local longer = table.move(loc, 1, #loc, 1, {})
  longer[#longer + 1] = step
  return longer
end

function body_kinds.array(value, declaration, loc, problems)
  if not json.is_array(value) then
    return validate.add(problems, "list_type", loc, "Input should be a valid list", value)
  end
  if #value < (declaration.min_items or 0) then
    local least = declaration.min_items
    local message = string.format("List should have at least %d item%s", least, least == 1 and "" or "s")
      .. string.format(" after validation, not %d", #value)
    local context = { field_type = "List", min_length = least, actual_length = #value }
    return validate.add(problems, "too_short", loc, message, value, context)
  end
  for index, element in ipairs(value) do
    body_kinds[declaration.of](element, declaration, extended(loc, index - 1), problems)
  end
end

function body_kinds.object(value, declaration, loc, problems)
  if not json.is_object(value) then
    local message = "Input should be a valid dictionary or object to extract fields from"
    return validate.add(problems, "model_attributes_type", loc, message, value)
  end
  for _, name in ipairs(declaration.values_of and json.names(value) or {}) do
    body_kinds[declaration.values_of](value[name], declaration, extended(loc, name), problems)
  end
  for _, member in ipairs(declaration.members or {}) do
    local name, kind = member[1], member[2]
    local given = value[name]
    if given == nil then
      if member.required then
        validate.add(problems, "missing", extended(loc, name), "Field required", value)
      end
    elseif given ~= json.null or not member.nullable then
      body_kinds[kind](given, member, extended(loc, name), problems)
    end
  end
end

--- Checks the members of an object against declarations.
---@param value any
---@param members table[]
---@param loc (string|integer)[]
---@param problems llama_cloud.sandbox.problem[]
function validate.members(value, members, loc, problems)
  body_kinds.object(value, { members = members }, loc, problems)
end

--- Decodes a body and checks it against declarations of its members `{ name, kind, required, nullable, … }` (kinds: string,
--- integer, number, boolean, enum, datetime, array with `of`, object with `members` or `values_of`). Undeclared members pass.
---@param members table[]
---@param text string
---@param problems llama_cloud.sandbox.problem[]
---@return table? body
function validate.body(members, text, problems)
  if text == "" then
    return validate.add(problems, "missing", { "body" }, "Field required", nil)
  end
  local value, message = json.decode(text)
  if message then
    local offset = math.tointeger(tonumber(message:match("character (%d+)"))) or 0
    return validate.add(problems, "json_invalid", { "body", offset }, "JSON decode error", {}, { error = message })
  end
  validate.members(value, members, { "body" }, problems)
  return value
end

return validate

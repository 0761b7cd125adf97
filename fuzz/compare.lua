--- Comparing values for the fuzzer: exactly, or as far as a decoder with floats only can agree.

local core = require("llama_cloud.core")

local compare = {}

--- Raises, with both sides, what an `error` alone could not tell.
---@param format string
---@param ... any
function compare.fail(format, ...)
  local shown = table.pack(...)
  for i = 1, shown.n do
    shown[i] = type(shown[i]) == "string" and ("%q"):format(shown[i]) or tostring(shown[i])
  end
  error(format:format(table.unpack(shown, 1, shown.n)), 2)
end

local function count(t)
  local n = 0
  for _ in pairs(t) do
    n = n + 1
  end
  return n
end

--- Whether two values are the same: numbers in type, value and sign of zero, empty arrays in being marked as such.
---@param a any
---@param b any
---@return boolean
function compare.same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b and math.type(a) == math.type(b) and (a ~= 0 or math.type(a) == "integer" or 1 / a == 1 / b)
  elseif count(a) ~= count(b) or next(a) == nil and getmetatable(a) ~= getmetatable(b) then
    return false
  end
  for key, value in pairs(a) do
    if not compare.same(value, b[key]) then
      return false
    end
  end
  return true
end

--- Whether `ours` is what a decoder without integers and without marks of arrays, `theirs`, makes of the same text.
---@param ours any
---@param theirs any
---@return boolean
function compare.alike(ours, theirs)
  if type(ours) == "number" then
    return type(theirs) == "number" and ours + 0.0 == theirs
  elseif type(ours) ~= "table" or type(theirs) ~= "table" then
    return ours == theirs
  elseif count(ours) ~= count(theirs) then
    return false
  end
  for key, value in pairs(ours) do
    if not compare.alike(value, theirs[key]) then
      return false
    end
  end
  return true
end

--- A copy of a decoded value without the nulls in objects.
---@param value any
---@return any
function compare.without_nulls(value)
  if type(value) ~= "table" then
    return value
  end
  local copy = setmetatable({}, getmetatable(value))
  local is_array = value[1] ~= nil
  for key, member in pairs(value) do
    if is_array or member ~= core.null then
      copy[key] = compare.without_nulls(member)
    end
  end
  return copy
end

return compare

--- Tables: how they are copied, how their keys are put in order, and which of them are arrays.

local tables = {}

local function add(result, source)
  if source then
    for key, value in pairs(source) do
      result[key] = value
    end
  end
  return result
end

--- A new table with the fields of up to three others, later ones over earlier ones; of one table, a copy. Their values are
--- shared.
---@param first? table|false nil and false have no fields
---@param second? table|false
---@param third? table|false
---@return table
function tables.merged(first, second, third)
  return add(add(add({}, first), second), third)
end

--- The keys of a table in order. They are all strings, or all numbers.
---@param t table
---@return any[]
function tables.sorted_keys(t)
  local keys = {}
  for key in pairs(t) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

--- What is wrong with the keys of what should be an array of `count` elements, or nil. `arg` has keys below 1, and table.pack
--- a field n: those are arrays, too.
---@param t table
---@param count integer
---@param name string what the message calls the table
---@param strange string the message where there is a key that no array has
---@return string? problem
function tables.array_problem(t, count, name, strange)
  for key in pairs(t) do
    if math.type(key) ~= "integer" and key ~= "n" then
      return strange
    elseif key ~= "n" and key > count then
      return ("%s[%d] is nil, but %s[%d] is not: an array has no holes"):format(name, count + 1, name, key)
    end
  end
end

return tables

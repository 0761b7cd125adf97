--- Tables: the one way in which they are copied.

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

return tables

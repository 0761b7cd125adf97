--- Tables: the one way in which they are copied.

local tables = {}

--- A new table with the fields of others, later ones over earlier ones; of one table, a copy. Their values are shared.
---@param ... table|nil what is nil or false has no fields
---@return table
function tables.merged(...)
  local result = {}
  for i = 1, select("#", ...) do
    local source = select(i, ...)
    for key, value in pairs(source or {}) do
      result[key] = value
    end
  end
  return result
end

return tables

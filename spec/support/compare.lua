-- Deep comparison of decoded values. luassert's `same` would take 1 for 1.0 and 0.0 for -0.0, and knows no metatables.

local compare = {}

--- Where two values differ, or nil if they are the same, down to the types of numbers and the metatables.
--- With `loose`, numbers need only be equal and metatables do not count: for another decoder's results.
---@param expected any
---@param found any
---@param loose? boolean
---@param path? string
---@return string?
function compare.difference(expected, found, loose, path)
  path = path or "value"
  local function differs()
    return ("%s: expected %s (%s), found %s (%s)"):format(
      path,
      tostring(expected),
      math.type(expected) or type(expected),
      tostring(found),
      math.type(found) or type(found)
    )
  end
  if type(expected) ~= "table" or type(found) ~= "table" then
    local equal = expected == found
    if equal and not loose and type(expected) == "number" then
      equal = math.type(expected) == math.type(found) and (expected ~= 0 or 1 / expected == 1 / found)
    end
    return not equal and differs() or nil
  end
  if not loose and getmetatable(expected) ~= getmetatable(found) then
    return path .. ": another metatable"
  end
  for key, member in pairs(expected) do
    local where = compare.difference(member, found[key], loose, path .. "." .. tostring(key))
    if where then
      return where
    end
  end
  for key in pairs(found) do
    if expected[key] == nil then
      return path .. "." .. tostring(key) .. ": not expected"
    end
  end
end

return compare

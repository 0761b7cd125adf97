--- Complaints about names that do not exist, with the nearest that does.

local tables = require("llama_cloud.base.tables")
local text = require("llama_cloud.base.text")

local nearest = {}

-- The least number of insertions, deletions and replacements, and of swaps of neighbours, that make one word of another.
local function distance(a, b)
  local before, above = {}, {}
  for j = 0, #b do
    above[j] = j
  end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      row[j] = math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], before[j - 2] + 1)
      end
    end
    before, above = above, row
  end
  return above[#b]
end

-- Whether one name contains the other: as a part, or, of a known name in the unknown one, as whole words.
local function contains(name, candidate)
  return #name > 2 and candidate:find(name, 1, true) or ("_%s_"):format(name):find(("_%s_"):format(candidate), 1, true)
end

-- The known name that is nearest to an unknown one, if any is near, quoted; or the one or two that contain it, or that it
-- contains. One that is the unknown name and an ending, such as its plural, comes before the others; then, one that is
-- its beginning.
local function nearest_to(name, known)
  name = text.lower(name:sub(1, 100)) -- the longest that is known has 30 letters
  local best, least, near = nil, math.huge, math.max(2, #name // 3)
  for candidate in pairs(known) do
    local d = distance(name, candidate)
    d = d <= near and candidate:sub(1, #name) == name and 0 or d
    if d < least or d == least and candidate < best then
      best, least = candidate, d
    end
  end
  if least <= near then
    return ("'%s'"):format(best)
  end
  local around, beginning = {}, ""
  for candidate in pairs(known) do
    if #candidate > math.max(3, #beginning) and name:sub(1, #candidate) == candidate then
      beginning = candidate
    end
  end
  if beginning ~= "" then
    return ("'%s'"):format(beginning)
  end
  for candidate in pairs(known) do
    if contains(name, candidate) then
      around[#around + 1] = ("'%s'"):format(candidate)
    end
  end
  table.sort(around)
  return #around > 0 and #around < 3 and table.concat(around, " or ") or nil
end

-- All that are known, to end a complaint with; nothing where none is.
local function listed(known)
  local names = tables.sorted_keys(known)
  return #names > 0 and ": there are " .. table.concat(names, ", ") or ""
end

local MOST_OF_SLIP = 2 -- letters

--- Whether an unknown name is a known one with a letter or two wrong. Complaints suggest more than that; but what only
--- begins like a known name may be new.
---@param name string
---@param known table<string, any>
---@return boolean
function nearest.is_slip(name, known)
  name = text.lower(name:sub(1, 100))
  for candidate in pairs(known) do
    if distance(name, candidate) <= MOST_OF_SLIP then
      return true
    end
  end
  return false
end

local places = {
  parameter = "it is an option, and options are in a table after that of the parameters",
  option = "it is a parameter, and parameters are in a table before that of the options",
}

-- What is an option, but of no call.
local of_methods = {
  max_items = "it is an option of a list's method 'all', as in list:all { max_items = 50 }",
}

--- The complaint about a name that does not exist.
---@param what string "parameter" or "option"
---@param name any
---@param known table<string, any>
---@param others? table<string, any> the names of the other kind that the same call takes
---@return string
function nearest.unknown(what, name, known, others)
  if type(name) ~= "string" then
    return ("%ss are named, as in { name = value }; a %s is not a name"):format(what, type(name))
  end
  local complaint = ("unknown %s %s"):format(what, text.quote(name))
  if others and others[name] then
    return ("%s: %s"):format(complaint, places[what])
  elseif of_methods[name] then
    return ("%s: %s"):format(complaint, of_methods[name])
  end
  local near = nearest_to(name, known)
  return complaint .. (near and (" (did you mean %s?)"):format(near) or what == "parameter" and listed(known) or "")
end

--- The complaint about a method, or another member, that does not exist.
---@param name string
---@param known table<string, any>
---@param what? string "method"
---@param elsewhere? string where there is one of this name
---@return string
function nearest.no_method(name, known, what, elsewhere)
  local complaint, near = ("no %s %s"):format(what or "method", text.quote(name)), nearest_to(name, known)
  if near then
    return ("%s (did you mean %s?)"):format(complaint, near)
  elseif elsewhere then
    return ("%s: it is %s"):format(complaint, elsewhere)
  end
  return complaint .. listed(known)
end

return nearest

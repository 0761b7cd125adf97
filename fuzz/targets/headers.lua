--- The headers of a response, held against a reading of the same lines by patterns of Lua.

local fuzz = ...
local compare = require("fuzz.compare")

local BLANKS = "[ \t\r\n]*"

-- The lines, each with those that continue it, without the status line.
local function logical_lines(head)
  local lines = {}
  for line in head:gmatch("[^\n]*\n?") do
    if #lines > 0 and line:find("^[ \t]") then
      lines[#lines] = lines[#lines] .. line
    elseif line ~= "" then
      lines[#lines + 1] = line
    end
  end
  table.remove(lines, 1)
  return lines
end

local function trim(text)
  return (text:gsub("^" .. BLANKS, ""):gsub("^(.-)" .. BLANKS .. "$", "%1"))
end

local function lower(name)
  return (name:gsub("[A-Z]", function(letter)
    return string.char(letter:byte() + 32)
  end))
end

local function read(head)
  local headers = {}
  for _, line in ipairs(logical_lines(head)) do
    local name, value = line:match("^([^:]+):(.*)$")
    if name then
      name = lower((name:gsub(BLANKS .. "$", "")))
      value = trim(value):gsub("[\r\n]" .. BLANKS, " ")
      headers[name] = headers[name] and headers[name] .. ", " .. value or value
    end
  end
  return headers
end

return function(input)
  local ours, theirs = fuzz.headers(input), read(input)
  for name, value in pairs(ours) do
    if value ~= theirs[name] then
      compare.fail("%s is %s, and by the other reading %s", name, value, theirs[name])
    elseif name:find("[A-Z]") or value:find("[\r\n]") then
      compare.fail("%s: %s is not in its normal form", name, value)
    end
  end
  for name, value in pairs(theirs) do
    if ours[name] == nil then
      compare.fail("%s: %s is missing", name, value)
    end
  end
end

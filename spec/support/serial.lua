-- Lua values as one line of Lua source: how a spec and its child processes talk.
-- JSON would not do: lua-cjson turns integers into floats, and the codec under test must not carry its own tests.

local serial = {}

--- One line of source that gives `value` back when it is loaded.
---@param value any nil, booleans, numbers, strings and tables of them
---@return string
function serial.encode(value)
  local kind = type(value)
  if kind == "string" then
    return (string.format("%q", value):gsub("\\\n", "\\n"):gsub("\r", "\\r"))
  elseif kind == "table" then
    local parts = {}
    for key, member in pairs(value) do
      parts[#parts + 1] = "[" .. serial.encode(key) .. "]=" .. serial.encode(member)
    end
    return "{" .. table.concat(parts, ",") .. "}"
  elseif kind == "number" then
    return (string.format("%q", value))
  end
  assert(kind == "nil" or kind == "boolean", "cannot serialize a " .. kind)
  return tostring(value)
end

--- The value of a line that `encode` made.
---@param line string
---@return any
function serial.decode(line)
  return assert(load("return " .. line, "=line", "t", {}))()
end

return serial

--- The body of a request, written as JSON.

local core = require("llama_cloud.core")
local text = require("llama_cloud.base.text")

local body_json = {}

-- Where in a body an id, which is a field that is called one, holds a line break; nil if none does.
local function broken_id(value, name, place)
  if type(value) == "string" then
    return name and (name == "id" or name:find("_ids?$")) and text.breaks_line(value) and place or nil
  elseif type(value) == "table" then
    for key, member in pairs(value) do
      local inside = type(key) == "string" and place .. (place ~= "" and "." or "") .. key
        or ("%s[%s]"):format(place, key)
      local broken = broken_id(member, type(key) == "string" and key or name, inside)
      if broken then
        return broken
      end
    end
  end
end

--- Writes a body as JSON. Nil and the problem: also an id that holds a line break, which is refused as in a path.
---@param body table
---@return string? json
---@return string? problem
function body_json.encode(body)
  local json, problem = core.encode(body, "body")
  if not json then
    return nil, text.line(problem, 500, "?")
  end
  -- few bodies have a line break anywhere
  local broken = json:find("\\[nru]") and broken_id(body, nil, "")
  if broken then
    return nil, text.line(broken, 200, "?") .. " contains a line break or NUL"
  end
  return json
end

return body_json

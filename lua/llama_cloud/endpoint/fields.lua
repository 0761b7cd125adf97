--- A warning where nothing has a field that the option `fields` names: most likely the name is misspelt. One object without
--- the field means nothing, because null is absent; so all objects of a call are looked at, and the log is told at its end.

local text = require("llama_cloud.base.text")

local fields = {}

---@class LlamaCloud.Fields the names that nothing was seen to have yet
---@field private missing table<string, true>
---@field private seen boolean whether there was anything to look at
---@field private state LlamaCloud.State
local Fields = {}
Fields.__index = Fields

--- Begins to look. Nil where nothing can be told: without `fields`, or where nobody reads the log.
---@param names? string[]
---@param state LlamaCloud.State
---@return LlamaCloud.Fields?
function fields.watch(names, state)
  if type(names) ~= "table" or not state.log:wants("warn") then
    return nil
  end
  local missing = {}
  for _, name in ipairs(names) do
    missing[name] = not state.shared.told[name] or nil
  end
  return next(missing) and setmetatable({ missing = missing, seen = false, state = state }, Fields)
end

--- Looks at an object.
---@param object table
function Fields:see(object)
  self.seen = true
  for name in pairs(self.missing) do
    if object[name] ~= nil then
      self.missing[name] = nil
    end
  end
end

--- Tells what no object had, each name once for all calls of the client.
function Fields:tell()
  local names, told = {}, self.state.shared.told
  for name in pairs(self.seen and self.missing or {}) do
    if not told[name] then
      told[name] = true
      names[#names + 1] = text.quote(name)
    end
  end
  if names[1] then
    table.sort(names)
    self.state.log:put("warn", "option 'fields': nothing that was received has " .. table.concat(names, ", "))
  end
end

return fields

--- The states that the decoder leaves in the registry for its next document: taking them away makes it begin anew.

local core = require("llama_cloud.core")

local states = {}

local registry = debug.getregistry()

-- Both states exist once both kinds of decoding were done.
core.decode("0")
core.decode("{}", { fields = { "a" } })

local keys = {}
for key, value in pairs(registry) do
  if type(key) == "userdata" and debug.getmetatable(value) == registry["llama_cloud.decoder"] then
    keys[debug.getuservalue(value, 2) == nil and "plain" or "fields"] = key
  end
end
assert(keys.plain and keys.fields, "the decoder keeps its states elsewhere")

--- Makes the decoder begin anew.
---@return table taken what states.put takes
function states.take()
  local taken = {}
  for kind, key in pairs(keys) do
    taken[kind] = registry[key]
    registry[key] = false
  end
  return taken
end

--- Makes the decoder go on with these states.
---@param taken table
function states.put(taken)
  for kind, key in pairs(keys) do
    registry[key] = taken[kind] or false
  end
end

return states

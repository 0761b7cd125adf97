--- What hangs on a client by name: each resource is made when it is first asked for, for most programs use one or two.

local later = require("llama_cloud.base.later")
local nearest = later.require("llama_cloud.endpoint.nearest")
local tables = require("llama_cloud.base.tables")

local tree = {}

-- Makes a member of the tree: a resource, or a branch whose members are made in turn.
local function made(node, state, place)
  local bind = node.bind -- loads the module of a resource
  if bind then
    return bind(state)
  end
  local class = { __name = "llama_cloud." .. place }
  function class.__index(self, name)
    local member, problem = tree.member(self, node, name, state, place .. ".")
    if problem then
      error(problem, 2)
    end
    return member
  end
  return setmetatable({}, class)
end

--- A member of the tree, which is a field of its owner from then on. Nil for what may be looked for by whoever wants to know
--- what a value is: what is no string, or begins with an underscore. Nil and the problem for any other name.
---@param owner table
---@param members table<string, table> modules, or tables of such
---@param name any
---@param state LlamaCloud.State
---@param place string of the owner, as it is reached from the client: "" or "beta."
---@param methods? table<string, any> of the owner
---@return table? member
---@return string? problem
function tree.member(owner, members, name, state, place, methods)
  if type(name) ~= "string" or name:find("^_") then
    return nil
  end
  local node = members[name]
  if not node then
    local what = methods and "resource or method" or "resource"
    return nil, nearest.no_method(name, tables.merged(members, methods), what)
  end
  local member = made(node, state, place .. name)
  rawset(owner, name, member)
  return member
end

return tree

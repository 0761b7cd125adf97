--- What hangs on a client by name: each resource is made when it is first asked for, because most programs use one or two.

local later = require("llama_cloud.base.later")
local nearest = later.require("llama_cloud.endpoint.nearest")
local tables = require("llama_cloud.base.tables")

local tree = {}

-- Where in the tree there is a resource of this name, as it is reached from the client. Nil: nowhere. Loads no module.
local function find(members, name, place)
  if members[name] then
    return place .. name
  end
  for branch, node in pairs(members) do
    local found = getmetatable(node) == nil and find(node, name, ("%s%s."):format(place, branch))
    if found then
      return found
    end
  end
end

-- Makes a member of the tree: a resource, or a branch whose members are made in turn.
local function made(node, state, place, root)
  local bind = node.bind -- loads the module of a resource
  if bind then
    return bind(state)
  end
  local class = { __name = "llama_cloud." .. place }
  function class.__index(self, name)
    local member, problem = tree.member(self, node, name, state, place .. ".", nil, root)
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
---@param root? table<string, table> the members of the client, where the owner is another
---@return table? member
---@return string? problem
function tree.member(owner, members, name, state, place, methods, root)
  if type(name) ~= "string" or name:find("^_") then
    return nil
  end
  root = root or members
  local node = members[name]
  if not node then
    local what = methods and "resource or method" or "resource"
    return nil, nearest.no_method(name, tables.merged(members, methods), what, find(root, name, "client."))
  end
  local member = made(node, state, place .. name, root)
  rawset(owner, name, member)
  return member
end

return tree

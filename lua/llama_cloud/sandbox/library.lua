-- The libraries of others that the sandbox needs, and the client does not: where one is missing, the error says what to
-- install. What requires this file first, and this file itself, can be read by every Lua.

if _VERSION ~= "Lua 5.4" and _VERSION ~= "Lua 5.5" then
  error("the sandbox needs Lua 5.4 or 5.5, and this is " .. _VERSION, 0)
end

local PACKAGES = {
  cjson = { rock = "lua-cjson", debian = "lua-cjson" },
  cqueues = { rock = "cqueues", debian = "lua-cqueues" },
}

--- As `require`, and raises one sentence where there is no such module.
---@param name "cjson"|"cqueues"
---@return table
local function library(name)
  local found, loaded = pcall(require, name)
  if found then
    return loaded
  elseif not tostring(loaded):find(("module '%s' not found"):format(name), 1, true) then
    error(loaded, 0) -- it is there, and cannot be loaded
  end
  error(
    ("the sandbox needs the Lua module %s: install the rock %s, or on Debian and Ubuntu the package %s"):format(
      name,
      PACKAGES[name].rock,
      PACKAGES[name].debian
    ),
    0
  )
end

return library

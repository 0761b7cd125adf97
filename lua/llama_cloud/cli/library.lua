-- The third-party library that the command line needs and the client does not.

--- lua-argparse. Raises one sentence where it is missing.
---@return table
return function()
  local found, loaded = pcall(require, "argparse")
  if found then
    return loaded
  elseif not tostring(loaded):find("module 'argparse' not found", 1, true) then
    error(loaded, 0) -- it is there, and cannot be loaded
  end
  error(
    "the command line needs the Lua module argparse: install the rock argparse, or on Debian and Ubuntu the package "
      .. "lua-argparse",
    0
  )
end

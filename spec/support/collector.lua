-- The settings of Lua's collector, which 5.4 and 5.5 take in different forms.

local collector = {}

local set_parameters

if _VERSION == "Lua 5.4" then
  function set_parameters(pause, multiplier)
    collectgarbage("incremental", pause, multiplier)
  end
else
  function set_parameters(pause, multiplier)
    collectgarbage("incremental")
    collectgarbage("param", "pause", pause)
    collectgarbage("param", "stepmul", multiplier)
  end
end

--- Makes the collector begin anew as soon as it has ended, and work much each time, so that finalizers run early. Returns a
--- function that undoes it.
---@return fun()
function collector.hurry()
  set_parameters(110, 400)
  return function()
    set_parameters(200, 100)
  end
end

--- Makes each step of the collector a whole cycle, so that what is garbage is finalized where a step comes.
function collector.at_once()
  if _VERSION == "Lua 5.4" then
    collectgarbage("incremental", 200, 400, 100) -- the last one is a logarithm: no limit
  else
    collectgarbage("incremental")
    collectgarbage("param", "stepmul", 0) -- no limit
  end
end

return collector

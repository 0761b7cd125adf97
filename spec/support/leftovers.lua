-- What a program leaves behind that does the same many times: descriptors and memory.

local leftovers = {}

local function descriptors()
  local n = 0
  for _ in require("lfs").dir("/proc/self/fd") do -- busted needs it, too
    n = n + 1
  end
  return n
end

--- Collects all garbage, and counts.
---@return { descriptors: integer, kilobytes: number }
function leftovers.count()
  collectgarbage()
  collectgarbage()
  return { descriptors = descriptors(), kilobytes = collectgarbage("count") }
end

--- Prints what there is more of than at an earlier count. Connections are kept, more or fewer of them.
---@param before { descriptors: integer, kilobytes: number }
---@return boolean more
function leftovers.has_more(before)
  local now = leftovers.count()
  local more = false
  if now.descriptors > before.descriptors + 4 then
    more = true
    print(("%d descriptors are open, and there were %d"):format(now.descriptors, before.descriptors))
  end
  if now.kilobytes > before.kilobytes + 200 then
    more = true
    print(("%.0f kB of memory more than before"):format(now.kilobytes - before.kilobytes))
  end
  return more
end

return leftovers

-- Gates: what tasks of specs wait at until another opens it, so that their order does not depend on time.

local loop = require("llama_cloud.loop")

local gates = {}

-- Seconds after which a spec is told that nobody opens its gate.
local PATIENCE = 20 * math.min(tonumber(os.getenv("LLAMA_CLOUD_TEST_SLOWDOWN")) or 1, 5)

local Gates = {}
Gates.__index = Gates

--- Waits until the gate of that name is open. Raises after a long time.
---@param name any
function Gates:wait(name)
  if not self.opened[name] then
    local timer <close> = loop.transport():timer(PATIENCE)
    self.waiting[name] = self.waiting[name] or {}
    table.insert(self.waiting[name], timer)
    loop.await(timer)
    if not self.opened[name] then
      error("nobody has opened the gate " .. tostring(name), 2)
    end
  end
end

--- Opens the gate of that name, for good.
---@param name any
function Gates:open(name)
  self.opened[name] = true
  for _, timer in ipairs(self.waiting[name] or {}) do
    timer:cancel()
  end
  self.waiting[name] = nil
end

--- Makes gates, all of them shut.
---@return table
function gates.new()
  return setmetatable({ waiting = {}, opened = {} }, Gates)
end

return gates

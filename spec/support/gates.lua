-- Gates: what tasks of specs wait at until another opens it, so that their order does not depend on time.

local loop = require("llama_cloud.loop")

local gates = {}

local FOREVER = 3600 -- seconds: no spec waits as long

local Gates = {}
Gates.__index = Gates

--- Waits until the gate of that name is open.
---@param name any
function Gates:wait(name)
  if not self.opened[name] then
    local timer <close> = loop.transport():timer(FOREVER)
    self.waiting[name] = self.waiting[name] or {}
    table.insert(self.waiting[name], timer)
    loop.await(timer)
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

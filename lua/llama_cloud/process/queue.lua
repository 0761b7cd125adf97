--- What tasks of a run wait for: that something has changed, and what another task hands over. Both end with the run, whose
--- group cancels its tasks: nothing here needs to be closed for that.

local loop = require("llama_cloud.loop")

local queue = {}

---@class LlamaCloud.Condition
---@field private waiters table<integer, table> tokens of those who wait, from `first` to `last`
---@field private first integer
---@field private last integer
local Condition = {}
Condition.__index = Condition

--- Something that can be waited for.
---@return LlamaCloud.Condition
function queue.condition()
  return setmetatable({ waiters = {}, first = 1, last = 0 }, Condition)
end

--- Waits until it is signalled. Whoever was woken looks again whether what it waits for is so.
function Condition:wait()
  local token <close> = loop.transport():timer(math.huge)
  self.last = self.last + 1
  self.waiters[self.last] = token
  loop.await(token)
end

--- Wakes the one that has waited longest.
function Condition:signal()
  while self.first <= self.last do
    local token = self.waiters[self.first]
    self.waiters[self.first] = nil
    self.first = self.first + 1
    if not token:done() then
      token:cancel()
      return
    end
  end
end

--- Wakes all.
function Condition:broadcast()
  while self.first <= self.last do
    self:signal()
  end
end

---@class LlamaCloud.Handover values on their way from some tasks to others, first in, first out
---@field private values table<integer, any>
---@field private first integer
---@field private last integer
---@field private bound integer
---@field private ended boolean
---@field private room LlamaCloud.Condition
---@field private goods LlamaCloud.Condition
local Handover = {}
Handover.__index = Handover

--- Makes one that holds at most `bound` values.
---@param bound integer
---@return LlamaCloud.Handover
function queue.new(bound)
  return setmetatable({
    values = {},
    first = 1,
    last = 0,
    bound = bound,
    ended = false,
    room = queue.condition(),
    goods = queue.condition(),
  }, Handover)
end

--- How many values it holds.
---@return integer
function Handover:count()
  return self.last - self.first + 1
end

--- Adds a value; waits while it is full.
---@param value any not nil
function Handover:put(value)
  while self:count() >= self.bound do
    self.room:wait()
  end
  self.last = self.last + 1
  self.values[self.last] = value
  self.goods:signal()
end

--- Takes the first value without waiting; nil: there is none.
---@return any
function Handover:poll()
  if self.first > self.last then
    return nil
  end
  local value = self.values[self.first]
  self.values[self.first] = nil
  self.first = self.first + 1
  self.room:signal()
  return value
end

--- Takes the first value; waits while there is none. Nil: it is closed, and empty.
---@return any
function Handover:take()
  while self.first > self.last do
    if self.ended then
      return nil
    end
    self.goods:wait()
  end
  return self:poll()
end

--- Says that no more values come.
function Handover:close()
  self.ended = true
  self.goods:broadcast()
end

return queue

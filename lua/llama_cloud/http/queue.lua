--- The calls that wait at the gate of a client, first come, first served. Each has a place, whose token ends when its call may
--- pass; the gate has one timer for all of them. No call has to ask again. One that its event loop has dropped takes one turn
--- and holds nobody up.

local gate = require("llama_cloud.http.gate")
local loop = require("llama_cloud.loop")

local queue = {}

---@class LlamaCloud.Place of one who waits; to be declared `<close>`
---@field token table ends when the call may pass, and when its time is over
---@field passed boolean
---@field package queue LlamaCloud.Queue
---@field package line? table the line in which it is
---@field package before? LlamaCloud.Place
---@field package after? LlamaCloud.Place
local Place = {}
Place.__index = Place

---@class LlamaCloud.Queue
---@field private gate LlamaCloud.Gate
---@field private line { first: LlamaCloud.Place?, last: LlamaCloud.Place? } who waits
---@field private alarm? table the timer after which the first may pass
---@field private due number when that is
---@field private told number the rate that was told last; math.huge: none
local Queue = {}
Queue.__index = Queue

---@return LlamaCloud.Queue
function queue.new()
  return setmetatable({ gate = gate.new(), line = {}, due = math.huge, told = math.huge }, Queue)
end

-- Sets the timer of the gate; math.huge: none.
local function set_alarm(self, due)
  local old = self.alarm
  if self.due == due and (due == math.huge or old and not old:done()) then
    return -- one that has ended, but was not called for want of memory, is made anew
  end
  self.alarm, self.due = nil, due
  if old then
    old:close()
  end
  if due < math.huge then
    self.alarm = loop.alarm(math.max(0, due - loop.now()), function()
      self.alarm = nil
      self:serve(loop.now())
    end)
  end
end

-- Takes a place out of its line. Idempotent.
local function leave(place)
  local line, before, after = place.line, place.before, place.after
  if not line then
    return
  end
  place.line = nil
  if before then
    before.after = after
  else
    line.first = after
  end
  if after then
    after.before = before
  else
    line.last = before
  end
end

--- Lets those pass whose turn it is.
---@param now number seconds
function Queue:serve(now)
  local line = self.line
  while line.first do
    local place = line.first
    if place.token:done() then
      leave(place) -- it has given up
    else
      local delay = self.gate:delay(now)
      if delay > 0 then
        return set_alarm(self, now + delay)
      end
      self.gate:pass(now)
      place.passed = true
      leave(place)
      place.token:cancel()
    end
  end
  set_alarm(self, math.huge)
end

--- Lets a call pass, if it need not wait.
---@param now number seconds
---@return boolean passed
function Queue:enter(now)
  if self.line.first then
    loop.transport():count() -- in a forked process this ends the parent's tokens, so that no place of the parent's is served
    self:serve(now)
  end
  if self.line.first or self.gate:delay(now) > 0 then
    return false
  end
  self.gate:pass(now)
  return true
end

--- Takes a place at the end. To be called when `enter` has said no.
---@param seconds number for which it is kept
---@return LlamaCloud.Place
function Queue:wait(seconds)
  local line = self.line
  local place = setmetatable({
    token = loop.transport():timer(seconds),
    passed = false,
    queue = self,
    line = line,
    before = line.last,
  }, Place)
  if line.last then
    line.last.after = place
  else
    line.first = place
  end
  line.last = place
  self:serve(loop.now())
  return place
end

function Place:__close()
  local line = self.line
  leave(self)
  self.token:close()
  if line and not line.first and line == self.queue.line then
    set_alarm(self.queue, math.huge)
  end
end

--- Lets a call that is not urgent pass, if nobody has to wait.
---@param now number seconds
---@return boolean passed
function Queue:try(now)
  return self.gate:rate(now) == math.huge and self:enter(now)
end

--- A call has been answered, not with 429.
---@param now number seconds
---@return number? rate math.huge: there is no limit any more
function Queue:accept(now)
  self.gate:accept(now)
  if self.line.first then
    self:serve(now)
  end
  if self.told < math.huge and self.gate:rate(now) == math.huge then
    self.told = math.huge
    return math.huge
  end
end

--- A call has ended without an answer.
---@param now number seconds
function Queue:drop(now)
  self.gate:drop()
  if self.line.first then
    self:serve(now)
  end
end

--- The service has refused a call with 429.
---@param now number seconds
---@param delay number seconds during which nobody is to call
---@param started number when the refused call was let through
---@return number? rate calls a second, if that is worth telling: half or double of what was told last, or the first
function Queue:refuse(now, delay, started)
  self.gate:refuse(now, delay, started)
  if self.line.first then
    self:serve(now)
  end
  local rate, told = self.gate:rate(now), self.told
  if rate < math.huge and (rate <= told / 2 or rate >= 2 * told) then
    self.told = rate
    return rate
  end
end

return queue

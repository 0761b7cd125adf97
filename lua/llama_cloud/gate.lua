--- The gate of a client: after a 429 nobody calls for the time that the service asked for, and then the calls are let go
--- one after another, at a rate that is learnt. Knows neither clock nor loop: every function takes the time.
---
--- Between calls lies `interval` seconds: none until the first 429; then what the successes of the last second suggest,
--- half as much again at each further 429, and a little less with each success.

---@class LlamaCloud.Gate
---@field private open_at number before this time nobody passes
---@field private interval number seconds from one call to the next; 0: no limit
---@field private last number when the last call passed
---@field private learnt_at number when interval was last raised
---@field private tickets integer how many calls have had to wait
---@field private served integer how many of those have passed or given up
---@field private window number when the counting of successes began
---@field private successes integer successes since then
---@field private before integer successes of the second before it
local Gate = {}
Gate.__index = Gate

local MAX_INTERVAL = 1 -- seconds
local MAX_FIRST_INTERVAL = 0.2 -- a single success before the first 429 says little about what the service allows
local MIN_INTERVAL = 0.0005 -- below this the limit is not worth keeping
local FIRST_INTERVAL = 0.05 -- when nothing is known of what the service allows
local MAX_QUEUEING = 1 -- seconds after which a call in the queue asks again: the interval may have become shorter

local gate = {}

---@return LlamaCloud.Gate
function gate.new()
  return setmetatable({
    open_at = -math.huge,
    interval = 0,
    last = -math.huge,
    learnt_at = -math.huge,
    tickets = 0,
    served = 0,
    window = -math.huge,
    successes = 0,
    before = 0,
  }, Gate)
end

--- Asks to pass. A call that is told to wait comes again after that time, with the ticket that it was given; who came
--- first passes first.
---@param now number seconds
---@param ticket? integer from an earlier answer
---@return number delay seconds to wait before asking again; 0: pass now
---@return integer? ticket
function Gate:enter(now, ticket)
  -- Who has others ahead leaves each of them time to come; they need not: their coroutines may have been dropped.
  local ahead = math.max(0, (ticket or self.tickets + 1) - self.served - 1)
  local turn = math.max(self.open_at, self.last + self.interval) + math.min(ahead * self.interval, MAX_QUEUEING)
  if now >= turn then
    self.last = now
    if ticket then
      self.served = self.served + 1
    end
    return 0
  elseif not ticket then
    self.tickets = self.tickets + 1
    ticket = self.tickets
  end
  return math.max(turn - now, MIN_INTERVAL), ticket
end

--- Whether nobody has to wait: what is not urgent may pass.
---@param now number seconds
---@return boolean
function Gate:is_open(now)
  return self.interval == 0 and now >= self.open_at
end

--- Gives a ticket back: its call does not pass after all.
function Gate:leave()
  self.served = self.served + 1
end

--- The service has refused a call with 429.
---@param now number seconds
---@param delay number seconds during which nobody is to call
---@param started number when the refused call was let through
function Gate:refuse(now, delay, started)
  self.open_at = math.max(self.open_at, now + delay)
  if started < self.learnt_at then
    return -- it was under way when the interval was raised: nothing new is learnt from it
  end
  self.learnt_at = now
  if self.interval > 0 then
    self.interval = math.min(self.interval * 1.5, MAX_INTERVAL)
  else
    local seen = now - self.window < 2 and self.successes + self.before or 0
    self.interval = seen > 0 and math.min(1 / seen, MAX_FIRST_INTERVAL) or FIRST_INTERVAL
  end
end

--- A call has been answered, not with 429.
---@param now number seconds
function Gate:accept(now)
  if now - self.window >= 1 then
    self.before = now - self.window < 2 and self.successes or 0
    self.window, self.successes = now, 0
  end
  self.successes = self.successes + 1
  if self.interval > 0 then
    self.interval = self.interval * 0.995
    if self.interval < MIN_INTERVAL then
      self.interval = 0
    end
  end
end

return gate

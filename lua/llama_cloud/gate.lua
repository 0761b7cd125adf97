--- The gate of a client: after a 429 nobody calls for the time that the service asked for, and then the calls are let go
--- one after another, at a rate that is learnt. Knows neither clock nor loop: every function takes the time.
---
--- Between calls lies `interval` seconds: none until the first 429; then what the successes of the last second suggest,
--- more at each further 429 (half as much again if it comes soon, a tenth if the rate was nearly right), and less with
--- each success: slowly, but quickly down to what was refused last if it was raised by half.
---
--- A client that has had no answer yet knows nothing of what the service allows. So of what is called in its first instant
--- only OPENING calls pass; each answer lets two more through, which soon lets all through where there is no limit.

---@class LlamaCloud.Gate
---@field private open_at number before this time nobody passes
---@field private interval number seconds from one call to the next; 0: no limit
---@field private credit number how many may pass in the opening; math.huge: it is over
---@field private opened_at number when the credit was last filled up
---@field private hasty_until number the interval down to which it shrinks quickly, for it was raised on little evidence
---@field private since integer successes since interval was last raised
---@field private last number when the last call passed
---@field private learnt_at number when interval was last raised
---@field private tickets integer how many calls have had to wait
---@field private served integer how many of those have passed or given up
---@field private due table<integer, number> ticket -> when its call was to come again, of those that wait
---@field private head integer no ticket below it waits
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

local LOST = 0.5 -- seconds overdue after which a call is not waited for: perhaps nobody runs its coroutine any more

local OPENING = 50 -- calls
local OPENING_SUCCESSES = 500 -- after which the opening is over
local OPENING_RETRY = 0.01 -- seconds after which a call that had no credit asks again
local OPENING_REFILL = 1 -- seconds after which answers that do not come are no longer waited for
local STEADY = 50 -- successes between two refusals that show that the rate is nearly right

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
    due = {},
    head = 1,
    window = -math.huge,
    successes = 0,
    before = 0,
    credit = OPENING,
    opened_at = -math.huge,
    since = 0,
    hasty_until = math.huge,
  }, Gate)
end

-- A ticket is used up.
local function settle(self, ticket)
  if self.due[ticket] then
    self.due[ticket] = nil
    self.served = self.served + 1
  end
end

-- Settles the tickets of those who are next and have not come.
local function pass_over_lost(self, now)
  while self.head <= self.tickets do
    local due = self.due[self.head]
    if due and due + LOST >= now then
      break
    end
    settle(self, self.head)
    self.head = self.head + 1
  end
end

-- Tells a call when to come again. Its delay and its ticket.
local function put_off(self, now, delay, ticket)
  if not ticket then
    self.tickets = self.tickets + 1
    ticket = self.tickets
    self.due[ticket] = now + delay
  elseif self.due[ticket] then -- one that had been given up stays so
    self.due[ticket] = now + delay
  end
  return delay, ticket
end

--- Asks to pass. A call that is told to wait comes again after that time, with the ticket that it was given; who came
--- first passes first.
---@param now number seconds
---@param ticket? integer from an earlier answer
---@return number delay seconds to wait before asking again; 0: pass now
---@return integer? ticket
function Gate:enter(now, ticket)
  if self.credit <= 0 and now - self.opened_at < OPENING_REFILL then
    return put_off(self, now, OPENING_RETRY, ticket)
  end
  pass_over_lost(self, now)
  -- Who has others ahead leaves each of them time to come; they need not: their coroutines may have been dropped.
  local ahead = math.max(0, (ticket or self.tickets + 1) - self.served - 1)
  local turn = math.max(self.open_at, self.last + self.interval) + math.min(ahead * self.interval, MAX_QUEUEING)
  if now >= turn then
    self.last = now
    self:spend(now)
    if ticket then
      settle(self, ticket)
    end
    return 0
  end
  return put_off(self, now, math.max(turn - now, MIN_INTERVAL), ticket)
end

-- One call passes: in the opening it costs credit.
function Gate:spend(now)
  if now - self.opened_at >= OPENING_REFILL then
    self.credit, self.opened_at = math.max(self.credit, OPENING), now
  end
  self.credit = self.credit - 1
end

--- Lets a call that is not urgent pass, if nobody has to wait.
---@param now number seconds
---@return boolean passed
function Gate:try(now)
  if self.interval > 0 or now < self.open_at or self.credit <= 0 then
    return false
  end
  self:spend(now)
  return true
end

--- Gives a ticket back: its call does not pass after all.
---@param ticket integer
function Gate:leave(ticket)
  settle(self, ticket)
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
  self.credit = math.huge -- from here on it is the interval that counts
  local since = self.since
  self.since = 0
  local seen = now - self.window < 2 and self.successes + self.before or 0
  local steady = since >= STEADY
  self.hasty_until = steady and math.huge or self.interval * 1.05
  if self.interval > 0 then
    -- what has been let through lately bounds how wrong the interval can be
    local most = seen > 0 and math.min(2 / seen, MAX_INTERVAL) or MAX_INTERVAL
    self.interval = math.max(self.interval, math.min(self.interval * (steady and 1.1 or 1.5), most))
  else
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
  self.since = self.since + 1
  self.credit = self.since >= OPENING_SUCCESSES and math.huge or self.credit + 2
  if self.interval > 0 then
    self.interval = self.interval * (self.interval > self.hasty_until and 0.995 or 0.999)
    if self.interval < MIN_INTERVAL then
      self.interval = 0
    end
  end
end

return gate

--- The gate of a client: after a 429 nobody calls for the time that the service asked for, and then the calls are let go
--- one after another, at a rate that is learnt. Knows neither clock nor loop: every function takes the time.
---
--- The rate is a function of the time since the gate opened again. It doubles each second, until there is no limit any more.
--- But the rate at which the service last refused calls is remembered as the ceiling, and near it the rate lingers, as
--- congestion control by CUBIC does (RFC 9438): after a refusal it begins at nine tenths of the ceiling, takes some seconds
--- to the ceiling, and from there on grows faster and faster, until it doubles each second again. So a real limit is
--- overstepped seldom and by little, and one that is no more is forgotten within seconds.
---
--- A refusal that came alone says nothing about a limit: there is no ceiling then, and the rate doubles twice a second. Nor
--- do refusals in a row, with nothing answered between them, or soon after the gate opened: they halve the rate.
---
--- A client that has had no answer yet knows nothing of what the service allows. So of what is called in its first instant
--- only OPENING calls pass; each answer lets another through, later two, which soon lets all through where there is no limit.

---@class LlamaCloud.Gate
---@field private open_at number before this time nobody passes
---@field private base number calls a second when it opens; math.huge: as many as come
---@field private ceiling number calls a second at which the service refused some; math.huge: not known
---@field private linger number seconds from nine tenths of the ceiling to the ceiling
---@field private doublings number per second
---@field private learnt_at number when the last refusal came that taught something
---@field private since integer how many calls were answered since then
---@field private alone boolean it was the only one, as far as is known
---@field private next_at number when the next call may pass
---@field private counts integer[] answers by twentieths of a second, in a ring
---@field private slot integer the twentieth of a second that is counted
---@field private credit number how many may pass in the opening; math.huge: it is over
---@field private credited_at number when the credit was last filled up
---@field private answers integer in the opening
local Gate = {}
Gate.__index = Gate

local LEAST = 1 -- calls a second
local LEAST_BLIND = 2 -- likewise, where nothing but refusals is known
local UNKNOWN = 10 -- calls a second to begin with, where next to nothing was answered before the first refusal
local ENOUGH = 1000 -- calls a second from which on there is no pacing
local NEAR = 0.9 -- of the ceiling: from here on the rate lingers
local LINGER = 8 -- seconds; where the service asks for longer pauses than a second, so many pauses, of up to 4 s
local MEMORY = 60 -- seconds after which a refusal is forgotten
local LATE = 0.02 -- seconds by which a call may be late without being in the way of the next

local SLOTS = 20 -- in which a second is counted

local OPENING = 50 -- calls
local OPENING_ANSWERS = 500 -- after which the opening is over
local OPENING_REFILL = 1 -- seconds after which answers that do not come are no longer waited for

local gate = {}

---@return LlamaCloud.Gate
function gate.new()
  local counts = {}
  for i = 1, SLOTS do
    counts[i] = 0
  end
  return setmetatable({
    open_at = -math.huge,
    base = math.huge,
    ceiling = math.huge,
    linger = 0,
    doublings = 1,
    learnt_at = -math.huge,
    since = 0,
    alone = false,
    next_at = -math.huge,
    counts = counts,
    slot = 0,
    credit = OPENING,
    credited_at = -math.huge,
    answers = 0,
  }, Gate)
end

--- How many calls a second pass.
---@param now number seconds
---@return number rate math.huge: as many as come
function Gate:rate(now)
  local base, ceiling = self.base, self.ceiling
  if base == math.huge then
    return math.huge
  end
  local elapsed = math.max(0, now - self.open_at)
  if elapsed >= MEMORY then
    return math.huge
  end
  local rate = base * 2 ^ (elapsed * self.doublings)
  if rate > NEAR * ceiling then
    elapsed = elapsed - math.log(NEAR * ceiling / base, 2) / self.doublings
    local beyond = elapsed - self.linger
    if beyond < 0 then
      rate = ceiling * (NEAR + (1 - NEAR) * elapsed / self.linger)
    else
      rate = ceiling * 2 ^ math.min(beyond, beyond * beyond / 2)
    end
  end
  local enough = ceiling < math.huge and math.max(ENOUGH, 4 * ceiling) or ENOUGH
  return rate < enough and rate or math.huge
end

-- Forgets the counts that are older than a second. The slot of now.
local function move_on(self, now)
  local slot = now * SLOTS // 1 | 0
  if slot ~= self.slot then
    for i = math.max(self.slot, slot - SLOTS) + 1, slot do
      self.counts[i % SLOTS + 1] = 0
    end
    self.slot = slot
  end
  return slot
end

-- How many calls were answered in the last second.
local function answered_lately(self, now)
  move_on(self, now)
  local sum = 0
  for _, count in ipairs(self.counts) do
    sum = sum + count
  end
  return sum
end

--- How long the next call has to wait.
---@param now number seconds
---@return number seconds 0: it may pass now
function Gate:delay(now)
  local due = self.open_at
  if self.next_at > due then
    due = self.next_at
  end
  if self.credit <= 0 then
    due = math.max(due, self.credited_at + OPENING_REFILL)
  end
  return due > now and due - now or 0
end

--- A call passes.
---@param now number seconds
function Gate:pass(now)
  if self.credit < math.huge then
    if now - self.credited_at >= OPENING_REFILL then
      self.credit, self.credited_at = math.max(self.credit, OPENING), now
    end
    self.credit = self.credit - 1
  end
  if self.base < math.huge then
    self.next_at = math.max(self.next_at, now - LATE) + 1 / self:rate(now) -- 1 / math.huge is nothing
  end
end

-- Sets the rate about which the service refuses calls.
local function remember(self, ceiling, linger)
  self.ceiling, self.base = ceiling, NEAR * ceiling
  self.linger, self.doublings, self.alone = linger, 1, false
end

-- What the refusal of a call says that was sent at this rate.
local function learn(self, now, delay, rate)
  local answered = answered_lately(self, now)
  local known = now - self.open_at < MEMORY and self.ceiling or math.huge
  if rate < math.huge and (self.since == 0 or now - self.open_at < 1) then
    -- what was answered before the pause, and nothing or little since, tells no rate
    local least = self.since == 0 and LEAST_BLIND or LEAST
    self.base = math.max(self.base / 2, math.min(least, NEAR * self.ceiling))
    self.doublings, self.alone = 1, false
  elseif rate == math.huge and known == math.huge then
    self.base, self.ceiling, self.doublings, self.alone = math.max(answered / 2, UNKNOWN), math.huge, 2, true
  else
    local met = math.min(rate, answered)
    if rate == math.huge then
      met = math.max(answered, known) -- there was no pacing any more
    end
    if met > known then
      met = math.sqrt(met * known) -- it was reached in haste
    elseif rate < known then
      -- the service may count in longer times than a second
      met = math.sqrt(met * self.since / (now - self.learnt_at))
    end
    remember(self, math.max(met, LEAST), LINGER * math.max(1, math.min(delay, 4)))
  end
end

--- The service has refused a call with 429.
---@param now number seconds
---@param delay number seconds during which nobody is to call
---@param started number when the refused call was let through
function Gate:refuse(now, delay, started)
  if started >= self.learnt_at then
    learn(self, now, delay, self:rate(started))
    self.learnt_at, self.since = now, 0
    self.credit = math.huge -- from here on it is the rate that counts
  elseif self.alone then -- no longer: this one was under way with it
    local answered = answered_lately(self, now)
    if answered > 0 then
      remember(self, math.max(answered, UNKNOWN / 2), LINGER / 4)
    end
  end
  self.open_at = math.max(self.open_at, now + delay)
  self.next_at = math.max(self.next_at, self.open_at)
end

--- A call has been answered, not with 429.
---@param now number seconds
function Gate:accept(now)
  local counts, i = self.counts, move_on(self, now) % SLOTS + 1
  counts[i] = counts[i] + 1
  self.since = self.since + 1
  if self.credit < math.huge then
    self.answers = self.answers + 1
    self.credit = self.answers >= OPENING_ANSWERS and math.huge or self.credit + (self.answers > OPENING and 2 or 1)
  end
end

--- A call has ended without an answer: it was no answer, but it is not under way any more.
function Gate:drop()
  self.credit = self.credit + 1
end

return gate

-- Callers behind a gate, and services that allow so many calls a second, in simulated time: no clock, no loop, and the
-- same in each run of one seed.

local gate = require("llama_cloud.http.gate")
local retry = require("llama_cloud.http.retry")

local pacing = {}

--- Events in the order of their times, and among those of one time in that in which they were added.
---@return { now: number, at: fun(time: number, task: fun()), run: fun(limit: number, until_done: (fun(): boolean)?) }
function pacing.simulation()
  local heap, count = {}, 0
  local self = { now = 0 }

  local function before(a, b)
    return a.time < b.time or a.time == b.time and a.number < b.number
  end

  function self.at(time, task)
    count = count + 1
    heap[#heap + 1] = { time = time, number = count, task = task }
    local i = #heap
    while i > 1 and before(heap[i], heap[i // 2]) do
      heap[i], heap[i // 2] = heap[i // 2], heap[i]
      i = i // 2
    end
  end

  local function take()
    local first = heap[1]
    heap[1] = heap[#heap]
    heap[#heap] = nil
    local i = 1
    while true do
      local least = i
      for child = 2 * i, math.min(2 * i + 1, #heap) do
        least = before(heap[child], heap[least]) and child or least
      end
      if least == i then
        return first
      end
      heap[i], heap[least] = heap[least], heap[i]
      i = least
    end
  end

  function self.run(limit, done)
    while heap[1] and not (done and done()) do
      local entry = take()
      assert(entry.time <= limit, "not done within the time that is allowed")
      self.now = entry.time
      entry.task()
    end
  end

  return self
end

--- Services that allow so many calls in each `period` (one second by default): each is a function of the time that tells
--- whether a call passes and, if not, how long it takes until one may.
pacing.limiters = {}

function pacing.limiters.window(allowed, period) -- counts in whole periods
  period = period or 1
  local current, count = -1, 0
  return function(now)
    if now // period ~= current then
      current, count = now // period, 0
    end
    if count >= allowed then
      return false, (current + 1) * period - now
    end
    count = count + 1
    return true
  end
end

function pacing.limiters.sliding(allowed, period) -- counts what was let through in the period before
  period = period or 1
  local passed, count = {}, 0 -- a ring of the last that were let through
  return function(now)
    local oldest = passed[count % allowed]
    if oldest and now - oldest < period then
      return false, oldest + period - now
    end
    passed[count % allowed] = now
    count = count + 1
    return true
  end
end

function pacing.limiters.bucket(allowed, period) -- fills evenly, up to a period's worth
  local rate = allowed / (period or 1)
  local tokens, last = allowed, 0
  return function(now)
    tokens = math.min(allowed, tokens + (now - last) * rate)
    last = now
    if tokens < 1 then
      return false, (1 - tokens) / rate
    end
    tokens = tokens - 1
    return true
  end
end

-- Numbers from 0 to 1 that look random, the same for each seed.
local function random(seed)
  local state = seed * 2654435761 % 2 ^ 32 | 1
  return function()
    state = (state * 1103515245 + 12345) & 0x7fffffff
    return state / 0x80000000
  end
end

---@class spec.pacing
---@field limiter fun(now: number): boolean, number?
---@field callers integer
---@field calls integer of each caller, one after another
---@field latency? number seconds from the call to its answer, on average; 0.05
---@field retry_after? number|"exact"|false what a refusal says: seconds, the true time, or nothing; 1
---@field pause? fun(): number seconds between two calls of a caller
---@field max_retries? integer 20
---@field seed? integer
---@field limit? number seconds after which it is to be done; 10,000
---@field gate? LlamaCloud.Gate
---@field from? number the time at which it begins; 0

--- Lets callers call through one gate, as request.lua does it. What came of it: sent (the times), answered, refused, failed,
--- seconds (when the last call ended), order (of the callers), questions (how often the gate was asked).
---@param given spec.pacing
---@return table
function pacing.run(given)
  local sim, shared, chance = pacing.simulation(), given.gate or gate.new(), random(given.seed or 1)
  local result = { sent = {}, order = {}, answered = 0, refused = 0, failed = 0, seconds = 0, questions = 0 }
  local line, first, last, armed = {}, 1, 0, math.huge
  local retry_after = given.retry_after
  if retry_after == nil then
    retry_after = 1
  end

  local begin

  -- Lets those pass who may, and comes again when the next one may.
  local function pump()
    while line[first] do
      local delay = shared:delay(sim.now)
      result.questions = result.questions + 1
      if delay > 0 then
        local due = sim.now + delay
        if due ~= armed then
          armed = due
          sim.at(due, function()
            if armed == due then
              armed = math.huge
              pump()
            end
          end)
        end
        return
      end
      local go = line[first]
      line[first] = nil
      first = first + 1
      shared:pass(sim.now)
      go()
    end
  end

  local function enter(caller, left, retries)
    last = last + 1
    line[last] = function()
      local started, latency = sim.now, (given.latency or 0.05) * (0.5 + chance())
      result.sent[#result.sent + 1] = started
      sim.at(started + latency / 2, function()
        local passes, wait = given.limiter(sim.now)
        sim.at(sim.now + latency / 2, function()
          if passes then
            shared:accept(sim.now)
            result.answered = result.answered + 1
            result.order[#result.order + 1] = caller
            begin(caller, left - 1)
          else
            local asked = retry_after == "exact" and wait or retry_after or nil
            local backoff = retry.backoff(retries, chance())
            result.refused = result.refused + 1
            shared:refuse(sim.now, asked or backoff, started)
            if retries == (given.max_retries or 20) then
              result.failed = result.failed + 1
              begin(caller, left - 1)
            else
              sim.at(sim.now + math.max(asked or 0, backoff), function()
                enter(caller, left, retries + 1)
              end)
            end
          end
          pump()
        end)
      end)
    end
    pump()
  end

  function begin(caller, left)
    result.seconds = sim.now
    if left > 0 then
      sim.at(sim.now + (given.pause and given.pause() or 0), function()
        enter(caller, left, 0)
      end)
    end
  end

  sim.now = given.from or 0
  for caller = 1, given.callers do
    begin(caller, given.calls)
  end
  sim.run(sim.now + (given.limit or 1e4))
  assert(result.answered + result.failed == given.callers * given.calls)
  result.seconds = result.seconds - (given.from or 0)
  return result
end

return pacing

--- When to poll next, and when to give up.

local loop = require("llama_cloud.loop")
local request = require("llama_cloud.http.request")
local tables = require("llama_cloud.base.tables")
local text = require("llama_cloud.base.text")

local pace = {}

--- The options of waiting that are not given; total_timeout is that of the official SDKs' polling helpers.
pace.defaults = {
  total_timeout = 7200,
  polling_interval = 1,
  max_interval = 5,
  backoff = "linear",
  connection_patience = 300,
}

local defaults = pace.defaults

--- How an interval grows, by the names of the option `backoff`.
pace.growth = {
  constant = function(interval)
    return interval
  end,
  linear = function(interval)
    return interval + 1
  end,
  exponential = function(interval)
    return interval * 2
  end,
}

--- The interval after one of `interval` seconds. Only a grown one is held to max_interval.
---@param interval number
---@param backoff string
---@param max_interval number
---@return number
function pace.next_interval(interval, backoff, max_interval)
  local grown = pace.growth[backoff](interval)
  return grown > interval and math.max(interval, math.min(grown, max_interval)) or interval
end

---@class LlamaCloud.Pace when to poll next, and when to give up; there may be one for each of thousands that sleep
---@field deadline number
---@field private interval number
---@field private state LlamaCloud.State
---@field private given table the options
---@field private told? table<string, true> unknown statuses that the log was told of
local Pace = {}
Pace.__index = Pace

---@param given table the options
---@param state LlamaCloud.State of the client: when that is closed nothing rests
---@return LlamaCloud.Pace
function pace.new(given, state)
  return setmetatable({
    state = state,
    given = given,
    interval = given.polling_interval or defaults.polling_interval,
    deadline = loop.now() + (given.total_timeout or defaults.total_timeout),
  }, Pace)
end

--- How long from the beginning to the deadline.
---@return number seconds
function Pace:length()
  return self.given.total_timeout or defaults.total_timeout
end

--- How long a wait goes on with nothing but connection errors, if the batch was never seen.
---@return number seconds
function Pace:patience()
  return self.given.connection_patience or defaults.connection_patience
end

--- The interval before it grows.
---@return number seconds
function Pace:first_interval()
  return self.given.polling_interval or defaults.polling_interval
end

--- Whether a status is to be logged: only the first time.
---@param status string
---@return boolean
function Pace:is_news(status)
  self.told = self.told or {}
  local known = self.told[status]
  self.told[status] = true
  return not known
end

--- Tells of a poll that has failed and is followed by another.
---@param plan LlamaCloud.PollPlan
---@param err LlamaCloud.Error
---@param pause? number seconds until the next; nil: not known
function pace.tell_failure(plan, err, pause)
  local again = pause and ("again in %s s"):format(text.number(pause, "%.1f")) or "again in the next round"
  local message = "poll of %s %s failed, %s: %s"
  plan.call.log:put("warn", message:format(plan.waiting.noun, plan.id, again, err.message), {
    id = plan.id,
    kind = err.kind,
    status = err.status,
    request_id = err.request_id,
  })
end

--- How long to sleep until the next poll: the interval, less up to a tenth, so that many who began together do not stay
--- together; but as long as the service has asked for with the last error, if there was one, which the log is told of.
---@param cause? LlamaCloud.Error of the last poll
---@param plan? LlamaCloud.PollPlan what is polled
---@return number? seconds nil: the deadline has come
---@return boolean last the deadline is nearer
function Pace:next(cause, plan)
  local now, given = loop.now(), self.given
  local left = self.deadline - now
  local jitter = 1 - 0.1 * (now * 1000 % 1)
  local pause = math.max(self.interval * jitter, cause and cause.retry_after or 0)
  local backoff, longest = given.backoff or defaults.backoff, given.max_interval or defaults.max_interval
  self.interval = pace.next_interval(self.interval, backoff, longest)
  if cause and plan and pause < left then
    pace.tell_failure(plan, cause, pause)
  end
  return left > 0 and pause or nil, pause >= left
end

--- Whether the wait goes on after a pause.
---@param open boolean on false: the client was closed; what comes next is told so
---@param last boolean the pause was the last
---@return boolean
function Pace:goes_on(open, last)
  return not open or not last and loop.now() < self.deadline
end

--- Sleeps until the next poll, but never past the deadline, and no longer than the client is open.
---@param cause? LlamaCloud.Error of the last poll
---@param plan? LlamaCloud.PollPlan what is polled
---@return boolean on false: the deadline has come
function Pace:rest(cause, plan)
  local pause, last = self:next(cause, plan)
  return self:goes_on(not pause or request.pause(self.state, pause, self.deadline), last)
end

--- Sleeps until then, or until the client is closed.
---@param state LlamaCloud.State
---@param deadline number
---@return boolean on false: the client was closed, or this is the child of a fork
function pace.rest_until(state, deadline)
  return loop.now() >= deadline or request.pause(state, math.huge, deadline)
end

--- A pace with another deadline; of this one the old deadline stays.
---@param deadline number
---@return LlamaCloud.Pace
function Pace:extended(deadline)
  local copy = self:fork()
  copy.deadline = deadline
  return copy
end

--- A pace with the same deadline whose intervals begin anew.
---@return LlamaCloud.Pace
function Pace:fork()
  local copy = tables.merged(self)
  copy.interval = self:first_interval()
  return setmetatable(copy, Pace)
end

return pace

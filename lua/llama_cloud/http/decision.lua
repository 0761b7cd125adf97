--- What follows an attempt. A pure function: whether a request may be sent again at all is in retry.lua, where redirects
--- lead in redirect.lua, and who acts on the decision is request.lua.

local later = require("llama_cloud.base.later")
local redirect = later.require("llama_cloud.http.redirect")
local retry = later.require("llama_cloud.http.retry")
local text = later.require("llama_cloud.base.text")

local decision = {}

---@class LlamaCloud.Course how far a call has come
---@field process integer in which it was begun
---@field deadline number
---@field max_retry_after number
---@field target string the URL of the next attempt
---@field list (string|false)[] its headers
---@field attempts integer
---@field retries integer
---@field redirects integer
---@field maybe_sent? boolean
---@field doubtful? boolean of a DELETE: whether an attempt that failed may have been carried out
---@field last? LlamaCloud.Error what the attempt before came to

---@class LlamaCloud.Decision
---@field act "done"|"redirect"|"restart"|"again"|"fail"
---@field gone? boolean of "done": what was to be deleted is not there any more
---@field target? string of "redirect": where the next attempt goes
---@field delay? number of "again": seconds until the next attempt
---@field words? string what the attempt's error is to say, too
---@field overdue? "passed"|"near" of "fail": total_timeout has ended the attempt, or would pass before the next one
---@field retry_after? number seconds that the service asks to wait
---@field gate? number seconds for which a 429 closes the client's gate
---@field maybe_sent? boolean whether the service may have acted on a request that must not simply be repeated
---@field doubtful? boolean of a DELETE: whether the service may have carried it out

local DONE = { act = "done" }
local RESTART = { act = "restart" }
local UNFIT = { [416] = true, decode = true } -- statuses and kinds after which a download cannot be continued
local GONE = { act = "done", gone = true }

--- What follows an attempt.
---@param call LlamaCloud.Call
---@param course LlamaCloud.Course
---@param attempt? LlamaCloud.Attempt nil: it succeeded
---@param now number
---@return LlamaCloud.Decision
function decision.after(call, course, attempt, now)
  if not attempt then
    return DONE
  end
  local target, obstacle = redirect.follow(call, course, attempt)
  if target then
    return { act = "redirect", target = target }
  end
  local answered = attempt.kind == "response"
  if call.method == "DELETE" and course.doubtful and answered and attempt.status == 404 then
    return GONE -- by the attempt whose answer was lost
  elseif call.resume and UNFIT[answered and attempt.status or attempt.kind] and call.resume:may_restart() then
    return RESTART
  end
  local asked = answered and retry.server_delay(attempt.headers) or nil
  local backoff = retry.backoff(course.retries, now * 1000 % 1) -- the clock's microseconds are chance enough
  local delay = math.max(asked or 0, backoff)
  local too_long = asked and asked > course.max_retry_after
  local result = {
    act = "fail",
    words = obstacle and "; not followed: " .. obstacle,
    retry_after = asked,
    maybe_sent = retry.maybe_sent(attempt, call.repeatable),
    doubtful = call.method == "DELETE" and retry.acted(attempt) or nil,
  }
  if answered and attempt.status == 429 and not too_long then
    result.gate = asked and asked > 0 and asked or backoff -- whether this call is sent again or not
  end
  if now >= course.deadline then
    result.overdue = attempt.kind == "timeout" and "passed" or nil
  elseif course.retries >= call.max_retries or not retry.again(attempt, call.repeatable) then
    return result
  elseif too_long then
    local words = "%s; the service asks to wait %s s, which is more than max_retry_after (%s s)"
    result.words = words:format(result.words or "", text.number(asked), text.number(course.max_retry_after))
  elseif now + delay >= course.deadline then
    result.overdue = "near"
  elseif answered or not call.patient_until or now + delay < call.patient_until then
    result.act, result.delay = "again", delay
  end -- else the wait that the call belongs to has waited long enough for a connection
  return result
end

return decision

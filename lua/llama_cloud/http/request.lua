--- One call: it is sent, sent again, taken to where it is redirected, until decision.lua says that it is done or has failed.
--- Who may know the API key is decided here.

local attempts = require("llama_cloud.http.attempt")
local core = require("llama_cloud.core")
local later = require("llama_cloud.base.later")
local decision = require("llama_cloud.http.decision")
local errors = later.require("llama_cloud.base.errors")
local failure = later.require("llama_cloud.http.failure")
local headers = require("llama_cloud.http.headers")
local text = require("llama_cloud.base.text")
local url = require("llama_cloud.http.url")
local waiting = require("llama_cloud.http.waiting")

local request = {}

---@class LlamaCloud.Call a request, ready to be sent
---@field method string
---@field url string
---@field headers (string|false)[] as headers.merge returns them
---@field body? string|userdata a form is one of core.form
---@field log LlamaCloud.Log the client's, which knows what of this call is secret
---@field repeatable boolean whether sending it twice does no harm
---@field returns "object"|"array"|"page"|"nothing"|"any"|"file" what a 2xx must hold: a JSON object, an array, an object to be read item by item, or anything; "file": it goes to `resume`
---@field decoder? userdata what remembers how such answers look (core.decoder)
---@field fields? string[] of the answer only these are decoded
---@field timeout number
---@field stall_timeout? number seconds without any progress after which an attempt ends
---@field on_progress? fun(done: integer, total: integer?)
---@field total_timeout number
---@field max_retries integer
---@field kept? boolean though it is not repeatable, it may go out on a connection that was in use a moment ago, whose closing costs an error at most
---@field deadline? number when total_timeout has passed; that long after the call began, by default
---@field resume? LlamaCloud.Resume where the answer goes, and how it goes on when it was cut off
---@field signed? boolean the URL is a credential: its query is never shown; there is no other, so redirects may lead anywhere
---@field ungated? boolean it is not for the service, so the gate does not hold it back
---@field others_headers? (string|false)[] for other origins that a redirect leads to; the client's anonymous ones, by default
---@field process? integer core.process() when that was begun which the call is part of; the call itself, by default
---@field patient_until? number when it is no longer sent again without having heard from the service

request.is_array, request.is_object = attempts.is_array, attempts.is_object
request.pause = waiting.pause
request.tell_block = waiting.tell_block

-- Waits until the gate lets the call pass: when that was. Nil and why not: "timeout" or "cancelled".
local function pass_gate(state, call, deadline, now)
  if state.closed then
    return nil, "cancelled"
  elseif now >= deadline then
    return nil, "timeout"
  elseif call.ungated or state.gate:enter(now) then
    return now
  end
  local place <close> = state.gate:wait(deadline - now)
  waiting.await(state, place.token)
  if state.closed then
    return nil, "cancelled"
  end
  return place.passed and core.now() or nil, "timeout"
end

-- Tells how fast the client calls, where the gate says that this is news.
local function tell_pace(state, rate)
  if rate == math.huge then
    state.log:put("info", "no longer paced: the service has refused nothing for a while")
  elseif rate then
    state.log:put("warn", ("paced to %s/s after a 429"):format(text.number(rate, "%.3g")), { rate = rate })
  end
end

-- The headers of a retry: the service is told how many went before, as the official SDKs tell it.
local function numbered(list, retries)
  local copy = table.move(list, 1, #list, 1, {})
  for i = 1, #copy, 2 do
    if text.lower(copy[i]) == "x-stainless-retry-count" and copy[i + 1] then
      copy[i + 1] = tostring(retries)
    end
  end
  return copy
end

-- The headers for the URL of a redirect. Those of the call, with the API key, are only for the call's own origin.
local function headers_for(state, call, target)
  local same = url.origin(assert(core.url(target))) == url.origin(assert(core.url(call.url)))
  return same and call.headers or call.others_headers or headers.merge(state.anonymous_headers)
end

--- The error for what was begun in the process that this one was forked from: that goes on there, and not here, too.
---@param process integer core.process() when it was begun
---@return LlamaCloud.Error? err nil: it was begun in this process
function request.forked(process)
  if process ~= core.process() then
    local message = "the request is one of the process that this one was forked from"
    return errors.new { kind = "cancelled", message = message }
  end
end

local MAYBE_SENT = "; the service may have acted on the request: look before you repeat it"

-- Returns nil and the error, which says what the call was and how far it came.
local function fail(state, call, course, err)
  local target = course.target
  err.method = call.method
  local own = target == call.url and not call.signed and url.origin(assert(core.url(target))) == state.origin
  err.url = own and target or url.without_query(target)
  err.url = call.log:clean(err.url)
  err.attempts = course.attempts
  err.maybe_sent = course.maybe_sent or false
  if course.maybe_sent and err.kind ~= "decode" then
    errors.append(err, MAYBE_SENT)
  end
  return nil, err
end

-- Tells that a failed attempt is followed by another.
local function log_retry(call, course, delay, err)
  if not call.log:wants("warn") then
    return
  end
  local most = call.max_retries < math.huge and (" of %d"):format(call.max_retries + 1) or ""
  local next_one = ("attempt %d%s in %s s"):format(course.retries + 1, most, text.number(delay, "%.1f"))
  local shown = url.without_query(course.target)
  call.log:put("warn", ("%s %s: %s: %s"):format(call.method, shown, next_one, err.message), {
    status = err.status,
    request_id = err.request_id,
  })
end

-- Tells the gate what an attempt came to.
local function tell_gate(state, call, ok, attempt, now)
  if call.ungated then
    return
  elseif ok or attempt.kind == "response" and attempt.status ~= 429 then
    local rate = state.gate:accept(now)
    if rate then
      tell_pace(state, rate)
    end
  elseif attempt.kind ~= "response" then
    state.gate:drop(now)
  end
end

-- Takes a call to where it is redirected.
local function redirect(state, call, course, target)
  course.redirects, course.target = course.redirects + 1, target
  course.list = headers_for(state, call, target)
  if call.signed then
    call.log = call.log:keeping_address(target)
  end
end

-- Does what was decided about an attempt that did not succeed. Nil: the call goes on; or the error that it ends with.
local function act(state, call, course, attempt, decided, now)
  if decided.act == "redirect" then
    return redirect(state, call, course, decided.target)
  elseif decided.act == "restart" then
    return call.resume:restart()
  end
  course.maybe_sent = decided.maybe_sent
  course.doubtful = course.doubtful or decided.doubtful
  if decided.gate and not call.ungated then
    tell_pace(state, state.gate:refuse(now, decided.gate, attempt.started))
  end
  local err = failure.explain(call, course, attempt.error, decided)
  if decided.act == "fail" then
    return err
  end
  course.retries, course.last = course.retries + 1, err
  log_retry(call, course, decided.delay, err)
  if not waiting.pause(state, decided.delay, course.deadline) then
    return request.forked(course.process) or failure.closed(err)
  end
end

--- Starts the first attempt of a call, to be handed to `perform` later. One that nobody asks for any more is cancelled
--- when it is collected.
---@param state LlamaCloud.State
---@param call LlamaCloud.Call
---@return LlamaCloud.Ahead? ahead nil when the gate is closed: then it would be in the way of others
function request.start_ahead(state, call)
  local now = core.now()
  return not state.closed and state.gate:try(now) and attempts.ahead(state, call, now) or nil
end

--- Sends a call until it succeeds or must not be sent again.
---@param state LlamaCloud.State
---@param call LlamaCloud.Call
---@param ahead? LlamaCloud.Ahead of the same call; it is used up
---@return any value true for 204 and 205; nil when it failed
---@return LlamaCloud.Error? err
function request.perform(state, call, ahead)
  local now = core.now()
  local course = {
    process = call.process or core.process(),
    deadline = call.deadline or now + call.total_timeout,
    max_retry_after = state.options.max_retry_after,
    target = call.url,
    list = call.headers,
    attempts = 0,
    retries = 0,
    redirects = 0,
  }
  if ahead and not ahead:is_fresh() then
    ahead:close()
    ahead = nil
  end
  while true do
    local passed, why = now, nil
    if not ahead then
      passed, why = pass_gate(state, call, course.deadline, now)
    end
    if course.process ~= core.process() then
      return fail(state, call, course, request.forked(course.process))
    elseif not passed then
      local err = why == "timeout" and failure.timed_out(call, course.last) or failure.closed(course.last)
      return fail(state, call, course, err)
    end
    course.attempts = course.attempts + 1
    local list = course.retries == 0 and course.list or numbered(course.list, course.retries)
    if call.resume then
      list = call.resume:headers(list)
    end
    local ok, result = attempts.send(state, call, course, list, passed, ahead)
    ahead = nil
    now = core.now()
    tell_gate(state, call, ok, result, now)
    local decided = decision.after(call, course, not ok and result or nil, now)
    if decided.act == "done" then
      return decided.gone or result
    end
    local err = act(state, call, course, result, decided, now)
    if err then
      return fail(state, call, course, err)
    end
    now = core.now()
  end
end

return request

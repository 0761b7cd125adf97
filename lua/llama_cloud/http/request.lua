--- One call: send it, retry it, follow its redirects, and decode what comes back or make an error of it.
--- What is sent again, and why, is in retry.lua; who may know the API key is decided here.

local core = require("llama_cloud.core")
local errors = require("llama_cloud.base.errors")
local headers = require("llama_cloud.http.headers")
local loop = require("llama_cloud.loop")
local retry = require("llama_cloud.http.retry")
local text = require("llama_cloud.base.text")
local url = require("llama_cloud.http.url")

local request = {}

---@class LlamaCloud.Call a request, ready to be sent
---@field method string
---@field url string
---@field headers (string|false)[] as headers.merge returns them
---@field body? string
---@field log LlamaCloud.Log the client's, which knows what of this call is secret
---@field repeatable boolean whether sending it twice does no harm
---@field returns "object"|"page"|"any" what a 2xx must hold: a JSON object, one to be read item by item, or anything
---@field decoder? userdata what remembers how such answers look (core.decoder)
---@field fields? string[] of the answer only these are decoded
---@field timeout number
---@field total_timeout number
---@field max_retries integer
---@field process? integer core.process() when that was begun which the call is part of; the call itself, by default
---@field patient_until? number when it is no longer sent again without having heard from the service

local MAX_REDIRECTS = 10
local REDIRECTS = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }
local KEEPS_METHOD = { [307] = true, [308] = true }

--- Whether a decoded value is a JSON object: arrays have either elements or the metatable of empty arrays.
---@param value any
---@return boolean
function request.is_object(value)
  return type(value) == "table" and value[1] == nil and getmetatable(value) ~= core.array
end

--- Tells the log of a call that has blocked the thread, once.
---@param state LlamaCloud.State
---@param held_up? string what stood still meanwhile, as loop.suspend returns it
function request.tell_block(state, held_up)
  if held_up and not state.shared.warned then
    state.shared.warned = true
    local message = "a call held up %s: it was made where Lua cannot suspend a coroutine"
    if held_up == "other tasks" then
      message = message .. ", as inside a coroutine.wrap; llama_cloud.wrap makes generators in which calls wait"
    end
    state.log:put("warn", message:format(held_up), { traceback = debug and debug.traceback and debug.traceback() })
  end
end

-- Waits for a token; client:close cancels it.
local function await(state, token)
  state.in_flight[token] = true
  local held_up = loop.await(token)
  state.in_flight[token] = nil
  request.tell_block(state, held_up)
end

--- Sleeps, but not past the deadline.
---@param state LlamaCloud.State
---@param seconds number
---@param deadline number
---@return boolean on false: the client was closed meanwhile, or the process forked and this is the child
function request.pause(state, seconds, deadline)
  local process = core.process()
  local timer <close> = loop.transport():timer(math.min(seconds, deadline - loop.now()))
  await(state, timer)
  return not state.closed and core.process() == process
end
local pause = request.pause

-- Waits until the gate lets the call pass. Nil and why not: "timeout" or "cancelled".
local function pass_gate(state, deadline)
  local now = loop.now()
  if state.closed then
    return nil, "cancelled"
  elseif now >= deadline then
    return nil, "timeout"
  elseif state.gate:enter(now) then
    return true
  end
  local place <close> = state.gate:wait(deadline - now)
  await(state, place.token)
  if state.closed then
    return nil, "cancelled"
  end
  return place.passed or nil, "timeout"
end

-- Tells how fast the client calls, where the gate says that this is news.
local function tell_pace(state, rate)
  if rate == math.huge then
    state.log:put("info", "no longer paced: the service has refused nothing for a while")
  elseif rate then
    state.log:put("warn", ("paced to %s/s after a 429"):format(text.number(rate, "%.3g")), { rate = rate })
  end
end

-- The headers of the next attempt: the service is told how many went before, as the official SDKs tell it.
local function numbered(list, retries)
  if retries == 0 then
    return list
  end
  local copy = table.move(list, 1, #list, 1, {})
  for i = 1, #copy, 2 do
    if text.lower(copy[i]) == "x-stainless-retry-count" and copy[i + 1] then
      copy[i + 1] = tostring(retries)
    end
  end
  return copy
end

-- bytes of a body that is no answer which an error keeps: looking for secrets in 256 MiB can take seconds
local MOST_OF_BODY = 16 << 20
local MOST_OF_SECRET = 64 << 10 -- and what a secret may take up in it, however it is escaped

-- What of a body that is no answer an error keeps. One that is longer is clean already: of a secret that the end cuts in
-- two, the first part would not be found.
local function kept_body(call, transfer)
  local body = transfer:body(MOST_OF_BODY + MOST_OF_SECRET)
  local excess = #body - MOST_OF_BODY
  return excess <= 0 and body or call.log:clean(body):sub(1, -excess - 1)
end

local LEAST_FOR_ITEM = 0.5 -- seconds to decode an item of a page that came late: ten megabytes

-- What was received, as a value. Nil and an error object when it is not what the call returns, or when there is no time
-- left for so much.
local function decode(call, transfer, status, deadline)
  if (status == 204 or status == 205) and call.returns ~= "page" then
    return true
  end
  local response_headers
  if call.returns == "any" then
    response_headers = transfer:headers()
    local media = text.trim(text.lower(response_headers["content-type"] or ""):match("^[^;]*"))
    if media ~= "application/json" and not media:find("%+json$") then
      return transfer:body()
    end
  end
  local value, message
  if call.returns == "page" then
    local left = deadline - loop.now()
    value, message = transfer:page(call.decoder, left, math.max(left, LEAST_FOR_ITEM), call.fields)
    if value then
      return value
    end
  else
    value, message = transfer:decode(call.decoder, deadline - loop.now(), call.fields)
    if not message and (call.returns == "any" or request.is_object(value)) then
      return value
    end
  end
  response_headers = call.log:clean(response_headers or transfer:headers())
  if message == core.overdue then
    return nil,
      errors.new {
        kind = "timeout",
        message = "the response came, but " .. message,
        status = status,
        headers = response_headers,
      }
  end
  local body = call.log:clean(kept_body(call, transfer))
  if body == "" then
    message = "the response is empty instead of JSON"
  elseif message then
    message = "the response is not valid JSON: " .. message
  else
    message = "the response is JSON, but not an object"
  end
  return nil,
    errors.new {
      kind = "decode",
      message = body == "" and message or ("%s; it begins: %s"):format(message, text.excerpt(body, 200)),
      status = status,
      headers = response_headers,
      body = body,
      request_id = response_headers["x-request-id"] or response_headers["x-correlation-id"],
    }
end

-- Where a redirect leads, if it is to be followed: GET on the same host, and any method that keeps itself at the same
-- origin; never from https to http. Otherwise nil and why not.
local function redirect_target(call, from, status, location)
  local parts, problem = core.url(location, from)
  if not parts then
    return nil, problem
  end
  local base = assert(core.url(from))
  local scheme = text.lower(parts.scheme)
  if scheme ~= "https" and scheme ~= "http" then
    return nil, "it leads to another protocol"
  elseif parts.user or parts.password then
    return nil, "it holds a user name" -- libcurl would send that as Authorization
  elseif base.scheme == "https" and scheme == "http" then
    return nil, "it leads from https to http"
  elseif url.origin(base) == url.origin(parts) then
    if call.method == "GET" or KEEPS_METHOD[status] then
      return parts.text
    end
    return nil, "it would turn a " .. call.method .. " into a GET"
  elseif call.method == "GET" and text.lower(base.host) == text.lower(parts.host) then
    return parts.text
  end
  return nil, "it leads to another origin"
end

-- The headers for a URL that a redirect names: the call's own are for the call's own origin only. The API key is among
-- them where that is the service's.
local function headers_for(state, call, target)
  local same = url.origin(assert(core.url(target))) == url.origin(assert(core.url(call.url)))
  return same and call.headers or headers.merge(state.anonymous_headers)
end

-- One line for the log about an attempt.
local function log_attempt(call, target, attempt, seconds)
  if not call.log:wants("info") then
    return
  end
  local shown = url.without_query(target)
  local result = attempt.kind == "response" and tostring(attempt.status) or attempt.kind
  call.log:put("info", ("%s %s: %s in %.0f ms"):format(call.method, shown, result, seconds * 1000), {
    attempt = attempt.number,
    status = attempt.status > 0 and attempt.status or nil,
    reason = attempt.kind ~= "response" and attempt.message or nil,
    request_id = attempt.headers["x-request-id"],
  })
  if attempt.kind == "response" and call.log:wants("debug") then
    call.log:put("debug", "response", { headers = headers.redact(attempt.headers) })
  end
end

local NO_HEADERS = {}

-- Headers as the core has them ready for libcurl, by the list that they were made of: most calls of a client have the
-- same one. Nobody changes a list.
local header_sets = setmetatable({}, { __mode = "k" })

local function header_set(list)
  local set = header_sets[list]
  if not set then
    set = core.headers(list)
    header_sets[list] = set
  end
  return set
end

-- Starts the transfer of one attempt.
local function start(state, call, target, list, started, deadline)
  return loop.transport():start {
    method = call.method,
    url = target,
    headers = header_set(list),
    body = call.body,
    repeatable = call.repeatable,
    fresh = not call.repeatable,
    timeout = call.timeout,
    connect_timeout = state.options.connect_timeout,
    deadline = deadline - started,
    max_response_bytes = state.options.max_response_bytes,
    proxy = state.options.proxy,
    ca_file = state.options.ca_file,
    verify = state.options.verify,
  }
end

-- What to do about a request that cannot be sent, by what the transport says that is about; %s is the file, or the
-- environment variable, that is to blame.
local REMEDIES = {
  ca_file = "the client's option ca_file, '%s', must name a file of certificates, as PEM",
  no_ca_file = "install the package ca-certificates, or name a file of certificates by the client's option ca_file",
  certificate = "if it is of an authority of your own, name its file by the client's option ca_file",
  host = "check base_url; a name outside of ASCII is to be written as punycode: xn--…",
  proxy = 'check the client\'s option proxy; "" is none',
  environment_proxy = 'the proxy is that of the environment variable %s; the client\'s option proxy = "" is none',
  url = "check base_url",
}

-- The remedy, or nil. `about` and `variable`: see transfer:outcome.
local function remedy_for(state, about, variable)
  if about == "ca_file" and not state.options.ca_file then
    about = "no_ca_file"
  elseif about == "proxy" and variable then
    about = "environment_proxy"
  end
  local remedy = REMEDIES[about]
  return remedy and remedy:format(variable or state.options.ca_file)
end

local CLOSED = "the client was closed"

-- The error for an attempt that has no response that could be used.
local function without_response(state, transfer, kind, message, status)
  local _, _, about, variable = transfer:outcome()
  local err = { kind = kind, status = status > 0 and status or nil }
  if kind == "cancelled" and message == kind then -- or the core says why: after a fork
    message = CLOSED
  elseif kind == "too_large" then
    message = message .. ": raise the client's option max_response_bytes if it is to be accepted"
  elseif kind == "encoding" then
    err.kind = "decode"
  elseif kind == "refused" then
    err.kind, err.permanent = "connection", true
  end
  local remedy = remedy_for(state, about, variable)
  err.message = remedy and ("%s (%s)"):format(message, remedy) or message
  return errors.new(err)
end

-- Sends the request once. Returns true, value; or false and what the attempt came to, with an error object in it.
local function send(state, call, target, list, number, deadline, ahead)
  local started = ahead and ahead.started or loop.now()
  if call.log:wants("debug") then
    call.log:put("debug", ("sending %s %s"):format(call.method, url.without_query(target)), {
      attempt = number,
      headers = headers.redact(list),
      body_bytes = call.body and #call.body,
    })
  end
  local transfer <close> = ahead and ahead.transfer or start(state, call, target, list, started, deadline)
  await(state, transfer)
  local kind, message = transfer:outcome()
  local status = transfer:status()
  local attempt = {
    kind = kind,
    message = message,
    status = status,
    sent = transfer:sent(),
    headers = NO_HEADERS,
    number = number,
    started = started,
  }
  local success = kind == "response" and status >= 200 and status < 300
  if kind == "response" and (not success or call.log:wants("info")) then
    attempt.headers = transfer:headers()
  end
  log_attempt(call, target, attempt, loop.now() - started)
  if success then
    local value, err = decode(call, transfer, status, deadline)
    if not err then
      return true, value
    end
    attempt.kind, attempt.error = err.kind, err
  elseif kind == "response" then
    -- a service may quote the API key in its complaint about it
    attempt.error = errors.from_response(status, attempt.headers, kept_body(call, transfer), call.log)
  else
    attempt.error = without_response(state, transfer, kind, call.log:clean(message), status)
  end
  return false, attempt
end

-- The error for a call whose total_timeout has passed, or would pass before it can go on.
local function timed_out(call, cause)
  local message = ("total_timeout of %s s has passed"):format(text.number(call.total_timeout))
  return errors.new {
    kind = "timeout",
    message = cause and ("%s; the last error was: %s"):format(message, cause.message) or message,
    cause = cause,
    status = cause and cause.status,
    retry_after = cause and cause.retry_after,
    request_id = cause and cause.request_id,
  }
end

local MAYBE_SENT = "; the service may have acted on the request: look before you repeat it"

---@class LlamaCloud.Ahead the first attempt of a call, started before anybody waits for it
---@field package transfer table
---@field package started number
local Ahead = {}
Ahead.__index = Ahead

--- Drops it. Idempotent.
function Ahead:close()
  self.transfer:close()
end

--- Starts the first attempt of a call, to be handed to `perform` later. One that nobody asks for any more is cancelled
--- when it is collected.
---@param state LlamaCloud.State
---@param call LlamaCloud.Call
---@return LlamaCloud.Ahead? ahead nil when the gate is closed: then it would be in the way of others
function request.start_ahead(state, call)
  local now = loop.now()
  if state.closed or not state.gate:try(now) then
    return nil
  end
  local transfer = start(state, call, call.url, call.headers, now, now + call.total_timeout)
  state.in_flight[transfer] = true
  return setmetatable({ transfer = transfer, started = now }, Ahead)
end

-- Whether it is of use: not if it has timed out, for perhaps only because nobody has stepped it, nor if it was cancelled, by
-- a fork or the closing of the client; the next attempt finds out about that.
local function is_fresh(ahead)
  loop.dispatch()
  local outcome = ahead.transfer:done() and ahead.transfer:outcome()
  return outcome ~= "timeout" and outcome ~= "cancelled"
end

---@class LlamaCloud.Course how far a call has come
---@field package process integer in which it was begun
---@field package deadline number
---@field package target string the URL of the next attempt
---@field package list (string|false)[] its headers
---@field package attempts integer
---@field package retries integer
---@field package redirects integer
---@field package maybe_sent boolean
---@field package last? LlamaCloud.Error what the attempt before came to

-- Returns nil and the error, which says what the call was and how far it came.
local function fail(state, call, course, err)
  local target = course.target
  err.method = call.method
  err.url = url.origin(assert(core.url(target))) == state.origin and target or url.without_query(target)
  err.url = call.log:clean(err.url)
  err.attempts = course.attempts
  err.maybe_sent = course.maybe_sent
  if course.maybe_sent and err.kind ~= "decode" then
    errors.append(err, MAYBE_SENT)
  end
  return nil, err
end

local function closed(cause)
  return errors.new { kind = "cancelled", message = CLOSED, cause = cause }
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

-- Takes the call to where a response redirects it. False if that is not followed; the error then says why.
local function redirect(state, call, course, attempt)
  local location = attempt.headers.location
  if attempt.kind ~= "response" or not REDIRECTS[attempt.status] or not location then
    return false
  end
  local follow, obstacle
  if course.redirects == MAX_REDIRECTS then
    obstacle = ("there were more than %d redirects"):format(MAX_REDIRECTS)
  else
    follow, obstacle = redirect_target(call, course.target, attempt.status, location)
  end
  if not follow then
    errors.append(attempt.error, "; not followed: " .. obstacle)
    return false
  end
  course.redirects, course.target = course.redirects + 1, follow
  course.list = headers_for(state, call, follow)
  return true
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

-- What follows an attempt that did not succeed and is not redirected: the seconds until the next one, or nil and the error
-- that the call ends with.
local function retry_delay(state, call, course, attempt, now)
  local err, status = attempt.error, attempt.kind == "response" and attempt.status or 0
  course.maybe_sent = retry.maybe_sent(attempt, call.repeatable)
  local asked = status ~= 0 and retry.server_delay(attempt.headers) or nil
  local backoff = retry.backoff(course.retries, now * 1000 % 1) -- the clock's microseconds are chance enough
  local delay = math.max(asked or 0, backoff)
  local too_long = asked and asked > state.options.max_retry_after
  err.retry_after = asked
  if status == 429 and not too_long then
    -- whether this call is sent again or not
    tell_pace(state, state.gate:refuse(now, asked and asked > 0 and asked or backoff, attempt.started))
  end
  if now >= course.deadline and attempt.kind == "timeout" then
    errors.prepend(err, ("total_timeout of %s s has passed: "):format(text.number(call.total_timeout)))
    err.cause = course.last
  end
  local again = course.retries < call.max_retries and now < course.deadline and retry.again(attempt, call.repeatable)
  if again and too_long then
    local most = text.number(state.options.max_retry_after)
    local words = "; the service asks to wait %s s, which is more than max_retry_after (%s s)"
    errors.append(err, words:format(text.number(asked), most))
    again = false
  end
  if not again then
    return nil, err
  elseif now + delay >= course.deadline then
    return nil, timed_out(call, err)
  elseif status == 0 and call.patient_until and now + delay >= call.patient_until then
    return nil, err -- the wait that the call belongs to has waited long enough for a connection
  end
  course.retries, course.last = course.retries + 1, err
  log_retry(call, course, delay, err)
  return delay
end

--- Sends a call until it succeeds or must not be sent again.
---@param state LlamaCloud.State
---@param call LlamaCloud.Call
---@param ahead? LlamaCloud.Ahead of the same call; it is used up
---@return any value true for 204 and 205; nil when it failed
---@return LlamaCloud.Error? err
function request.perform(state, call, ahead)
  local course = {
    process = call.process or core.process(),
    deadline = loop.now() + call.total_timeout,
    target = call.url,
    list = call.headers,
    attempts = 0,
    retries = 0,
    redirects = 0,
    maybe_sent = false,
  }
  if ahead and not is_fresh(ahead) then
    ahead:close()
    ahead = nil
  end
  while true do
    local passed, why = ahead, nil
    if not ahead then
      passed, why = pass_gate(state, course.deadline)
    end
    local forked = request.forked(course.process)
    if forked then
      return fail(state, call, course, forked)
    elseif not passed then
      return fail(state, call, course, why == "timeout" and timed_out(call, course.last) or closed(course.last))
    end
    course.attempts = course.attempts + 1
    local list = numbered(course.list, course.retries)
    local ok, result = send(state, call, course.target, list, course.attempts, course.deadline, ahead)
    ahead = nil
    local now = loop.now()
    if ok or result.kind == "response" and result.status ~= 429 then
      tell_pace(state, state.gate:accept(now))
    elseif result.kind ~= "response" then
      state.gate:drop(now)
    end
    if ok then
      return result
    elseif not redirect(state, call, course, result) then
      local delay, err = retry_delay(state, call, course, result, now)
      if not delay then
        return fail(state, call, course, err)
      elseif not pause(state, delay, course.deadline) then
        return fail(state, call, course, request.forked(course.process) or closed(course.last))
      end
    end
  end
end

return request

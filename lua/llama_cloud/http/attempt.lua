--- One attempt of a call: the request is sent once, and what comes back is decoded.

local core = require("llama_cloud.core")
local later = require("llama_cloud.base.later")
local errors = later.require("llama_cloud.base.errors")
local failure = later.require("llama_cloud.http.failure")
local headers = require("llama_cloud.http.headers")
local loop = require("llama_cloud.loop")
local text = require("llama_cloud.base.text")
local url = require("llama_cloud.http.url")
local waiting = require("llama_cloud.http.waiting")

local attempt = {}

--- Whether a decoded value is a JSON object: arrays have either elements or the metatable of empty arrays.
---@param value any
---@return boolean
function attempt.is_object(value)
  return type(value) == "table" and value[1] == nil and getmetatable(value) ~= core.array
end

--- Whether a decoded value is a JSON array.
---@param value any
---@return boolean
function attempt.is_array(value)
  return type(value) == "table" and (value[1] ~= nil or getmetatable(value) == core.array)
end

-- What a declared answer must be.
local fits = { object = attempt.is_object, array = attempt.is_array }

local function is_json(transfer)
  local media = text.trim(text.lower(transfer:headers()["content-type"] or ""):match("^[^;]*"))
  return media == "application/json" or media:find("%+json$") ~= nil
end

local LEAST_FOR_ITEM = 0.5 -- seconds to decode an item of a page that came late: ten megabytes

-- What was received, as a value. Nil and an error object when it is not what the call returns, or when there is no time
-- left for so much.
local function decode(call, transfer, status, deadline)
  local returns = call.returns
  if returns == "file" then
    local problem = call.resume:problem(status)
    if problem then
      return nil, failure.unfit(call, transfer, status, problem)
    end
    return { content_type = call.resume.content_type }
  end
  local left = deadline < math.huge and deadline - core.now() or math.huge
  local value, message
  if returns == "page" then
    value, message = transfer:page(call.decoder, left, math.max(left, LEAST_FOR_ITEM), call.fields)
    if value then
      return value
    end
  elseif returns == "nothing" or status == 204 or status == 205 then
    return true
  elseif returns == "any" and not is_json(transfer) then
    return transfer:body()
  else
    value, message = transfer:decode(call.decoder, left, call.fields)
    if not message and (returns == "any" or fits[returns](value)) then
      return value
    end
  end
  return nil, failure.useless(call, transfer, status, message)
end

-- Headers prepared for libcurl, by the list that they were made from: most calls of a client share one. Lists never change.
local header_sets = setmetatable({}, { __mode = "k" })

local function header_set(list)
  local set = header_sets[list]
  if not set then
    set = core.headers(list)
    header_sets[list] = set
  end
  return set
end

-- What the requests of a client have in common, as the core has read it.
local function profile_of(state)
  local options = state.options
  state.profile = core.profile {
    connect_timeout = options.connect_timeout,
    max_response_bytes = options.max_response_bytes,
    proxy = options.proxy,
    ca_file = options.ca_file,
    verify = options.verify,
  }
  return state.profile
end

-- Starts the transfer of one attempt.
local function start(state, call, target, list, seconds)
  return loop.transport():start(
    state.profile or profile_of(state),
    call.method,
    target,
    header_set(list),
    call.body,
    call.repeatable,
    call.timeout,
    seconds,
    call.stall_timeout,
    call.resume and call.resume.output,
    call.kept
  )
end

local function log_start(call, course, list)
  if call.log:wants("debug") then
    call.log:put("debug", ("sending %s %s"):format(call.method, url.without_query(course.target)), {
      attempt = course.attempts,
      headers = headers.redact(list),
      body_bytes = type(call.body) == "string" and #call.body or call.body and call.body:bytes(),
    })
  end
end

-- One line for the log about an attempt that has ended.
local function log_end(call, course, transfer, started)
  local kind, message = transfer:outcome()
  local status, response_headers = transfer:status(), kind == "response" and transfer:headers() or {}
  local shown = url.without_query(course.target)
  local result = kind == "response" and tostring(status) or kind
  call.log:put("info", ("%s %s: %s in %.0f ms"):format(call.method, shown, result, (core.now() - started) * 1000), {
    attempt = course.attempts,
    status = status > 0 and status or nil,
    reason = kind ~= "response" and message or nil,
    request_id = errors.request_id(response_headers),
  })
  if kind == "response" and call.log:wants("debug") then
    call.log:put("debug", "response", { headers = headers.redact(response_headers) })
  end
end

-- Bytes of the file that have been moved so far, and in all, where that is known.
local function progress_of(call, transfer)
  local sent, to_send, received, to_receive = transfer:progress()
  if call.resume then
    return received, to_receive
  end
  return sent, to_send
end

local TICK = 0.1 -- seconds between two reports of progress

-- Waits for a transfer. Whoever waits is told how far it has come, except that it has come to its end.
local function attend(state, call, transfer)
  if not call.on_progress then
    return waiting.await(state, transfer)
  end
  state.in_flight[transfer] = true -- for it is ticks that are waited for
  while not transfer:done() do
    local tick <close> = loop.transport():tick(transfer, TICK)
    waiting.await(state, tick)
    if not transfer:done() then
      local done, total = progress_of(call, transfer)
      if done ~= total then
        call.on_progress(done, total)
      end
    end
  end
  waiting.await(state, transfer)
end

-- Tells that all has been moved.
local function tell_end(call)
  local total = call.resume and call.resume.output:received() or call.body:bytes()
  call.on_progress(total, total)
end

--- Sends the request once.
---@param state LlamaCloud.State
---@param call LlamaCloud.Call
---@param course LlamaCloud.Course
---@param list (string|false)[] the headers
---@param now number
---@param ahead? LlamaCloud.Ahead the attempt, if it was started before
---@return boolean ok
---@return any value or what the attempt came to
function attempt.send(state, call, course, list, now, ahead)
  local talkative = call.log:wants("info")
  if talkative then
    log_start(call, course, list)
  end
  local started = ahead and ahead.started or now
  local transfer <close> = ahead and ahead.transfer or start(state, call, course.target, list, course.deadline - now)
  attend(state, call, transfer)
  if talkative then
    log_end(call, course, transfer, started)
  end
  local status, err = transfer:status(), nil
  if call.resume then
    call.resume:note(status, transfer:headers())
  end
  if status >= 200 and status < 300 and transfer:outcome() == "response" then
    local value
    value, err = decode(call, transfer, status, course.deadline)
    if not err then
      if call.on_progress then
        tell_end(call)
      end
      return true, value
    end
  end
  return false, failure.of(state, call, transfer, started, err)
end

---@class LlamaCloud.Ahead the first attempt of a call, started before anybody waits for it
---@field package transfer table
---@field package started number
local Ahead = {}
Ahead.__index = Ahead

--- Drops it. Idempotent.
function Ahead:close()
  self.transfer:close()
end

--- Starts the first attempt of a call. One that nobody asks for any more is cancelled when it is collected.
---@param state LlamaCloud.State
---@param call LlamaCloud.Call
---@param now number
---@return LlamaCloud.Ahead
function attempt.ahead(state, call, now)
  local transfer = start(state, call, call.url, call.headers, call.total_timeout)
  state.in_flight[transfer] = true
  return setmetatable({ transfer = transfer, started = now }, Ahead)
end

--- Whether it is of use: not if it has timed out, for perhaps only because nobody has stepped it, nor if it was cancelled, by
--- a fork or the closing of the client; the next attempt finds out about that.
---@return boolean
function Ahead:is_fresh()
  loop.dispatch()
  local outcome = self.transfer:done() and self.transfer:outcome()
  return outcome ~= "timeout" and outcome ~= "cancelled"
end

return attempt

--- What an attempt came to that did not succeed, and the error that is made of it.

local core = require("llama_cloud.core")
local errors = require("llama_cloud.base.errors")
local tables = require("llama_cloud.base.tables")
local text = require("llama_cloud.base.text")
local url = require("llama_cloud.http.url")

local failure = {}

---@class LlamaCloud.Attempt what one attempt that did not succeed came to
---@field kind "response"|"connection"|"refused"|"timeout"|"too_large"|"encoding"|"cancelled"|"file"|"decode" the transport's word, or decode
---@field status integer HTTP status; 0 when there is none
---@field sent boolean whether the service may have seen the whole request
---@field headers table<string, string> the response's headers, names in lower case
---@field started number when it was started
---@field error LlamaCloud.Error

-- bytes of an unusable body that an error keeps: looking for secrets in 256 MiB can take seconds
local MOST_OF_BODY = 16 << 20
local MOST_OF_SECRET = 64 << 10 -- bytes that a secret may take up in it, however it is escaped

-- The part of an unusable body that an error keeps. A longer one is cleaned before it is cut: of a secret that is cut in two,
-- the first part would not be found.
local function kept_body(log, transfer)
  local body = transfer:body(MOST_OF_BODY + MOST_OF_SECRET)
  local excess = #body - MOST_OF_BODY
  return excess <= 0 and body or log:clean(body):sub(1, -excess - 1)
end

--- The error for a response of status 2xx that is not what was asked for.
---@param call LlamaCloud.Call
---@param transfer table
---@param status integer
---@param message string
---@param body? string clean; nil: it went into a file
---@return LlamaCloud.Error
function failure.unfit(call, transfer, status, message, body)
  local headers = call.log:clean(transfer:headers())
  return errors.new {
    kind = "decode",
    message = message,
    status = status,
    headers = headers,
    body = body,
    request_id = errors.request_id(headers),
  }
end

--- The error for a response of status 2xx whose body cannot be decoded, or holds something else than it must.
---@param call LlamaCloud.Call
---@param transfer table
---@param status integer
---@param message? string the decoder's; nil where the value is no object
---@return LlamaCloud.Error
function failure.useless(call, transfer, status, message)
  if message == core.overdue then
    return errors.new {
      kind = "timeout",
      message = "the response came, but " .. message,
      status = status,
      headers = call.log:clean(transfer:headers()),
    }
  end
  local body = call.log:clean(kept_body(call.log, transfer))
  if body == "" then
    message = "the response is empty instead of JSON"
  else
    message = message and "the response is not valid JSON: " .. message
      or "the response is JSON, but not an " .. (call.returns == "array" and "array" or "object")
    message = ("%s; it begins: %s"):format(message, url.hide_queries(text.excerpt(body, 200)))
    if errors.is_web_page(transfer:headers()) then
      message = ("%s (%s)"):format(message, errors.WEB_PAGE)
    end
  end
  return failure.unfit(call, transfer, status, message, body)
end

-- What to do about a request that cannot be sent, by what the transport says that is about; %s is the file, or the
-- environment variable, that is to blame.
local REMEDIES = {
  address = "check the network, and that the client's option base_url leads to a service that runs",
  secure = "check the network, and that the client's option base_url leads to a service that runs and speaks TLS",
  ca_file = "the client's option ca_file, '%s', must name a file of certificates, as PEM",
  no_ca_file = "install the package ca-certificates, or name a file of certificates by the client's option ca_file",
  certificate = "if it is of an authority of your own, name its file by the client's option ca_file",
  clock = "check the clock of this machine; if that is right, the service needs a new certificate",
  foreign = "the certificate is that of another host: check the client's option base_url",
  host = "check the client's option base_url; a name outside of ASCII is to be written as punycode: xn--…",
  name = "check the network, and the name of the host in the client's option base_url",
  proxy = 'check the client\'s option proxy; "" is none',
  environment_proxy = "the proxy is that of the environment variable %s; unset it, or list the host in no_proxy",
  tls = "does the service speak TLS there? If not, the client's option base_url must begin with http://",
  url = "check the client's option base_url",
}

-- The remedy, or nil. `about` and `variable`: see transfer:outcome.
local function remedy_for(state, message, about, variable)
  if about == "ca_file" and not state.options.ca_file then
    about = "no_ca_file"
  elseif about == "proxy" and variable then
    about = "environment_proxy"
  elseif about == "address" and state.options.base_url:find("^https:") then
    about = "secure" -- not every libcurl says whether it was waiting for TLS already
  elseif about == "certificate" and (message:find("expired", 1, true) or message:find("not yet valid", 1, true)) then
    about = "clock"
  elseif about == "certificate" and message:find("subject name", 1, true) then
    about = "foreign"
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
  elseif kind == "file" then
    err.permanent = true
  end
  local remedy = remedy_for(state, message, about, variable)
  err.message = remedy and ("%s (%s)"):format(message, remedy) or message
  return errors.new(err)
end

--- The error for a call of a client that was closed.
---@param cause? LlamaCloud.Error
---@return LlamaCloud.Error
function failure.closed(cause)
  return errors.new { kind = "cancelled", message = CLOSED, cause = cause }
end

-- What may be wrong with an address that is a credential.
local ADDRESS = "the address may have expired: ask for a new one"
local hints_for_address = { bad_request = ADDRESS, authentication = ADDRESS, permission_denied = ADDRESS }

-- The error for a response of another status. A service may quote the API key in its complaint about it; and what it
-- redirects to may be a credential, which it mostly says in the body, too.
local function refused(call, transfer, status, headers)
  local log, location = call.log, headers.location
  if location then
    log = log:keeping_address(location)
    headers = tables.merged(headers, { location = url.without_query(location) })
  end
  return errors.from_response(status, headers, kept_body(log, transfer), log, call.signed and hints_for_address)
end

--- What an attempt came to that did not succeed.
---@param state LlamaCloud.State
---@param call LlamaCloud.Call
---@param transfer table
---@param started number
---@param err? LlamaCloud.Error what is wrong with a response of status 2xx
---@return LlamaCloud.Attempt
function failure.of(state, call, transfer, started, err)
  local kind, message = transfer:outcome()
  local status = transfer:status()
  local result = { kind = kind, status = status, sent = transfer:sent(), started = started, headers = {} }
  if kind == "response" then
    result.headers = transfer:headers()
  end
  if err then
    result.kind, result.error = err.kind, err
  elseif kind == "response" then
    result.error = refused(call, transfer, status, result.headers)
  else
    result.error = without_response(state, transfer, kind, call.log:clean(message), status)
  end
  return result
end

--- The error for a call whose total_timeout has passed, or would pass before it can go on.
---@param call LlamaCloud.Call
---@param cause? LlamaCloud.Error
---@return LlamaCloud.Error
function failure.timed_out(call, cause)
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

-- What to do about a call that ends although what it met passes, and was waited for: by kind, and how the message begins.
local AT_THE_END = {
  { "internal_server", "", "the service is at fault: try again later" },
  { "rate_limit", "", "wait a while, or send fewer requests at once" },
  { "timeout", "Operation timed out", "the limit is the client's option timeout" },
  { "timeout", "no byte was", "the limit is the client's option stall_timeout" },
}

local function words_at_the_end(err)
  for _, one in ipairs(AT_THE_END) do
    if err.kind == one[1] and err.message:sub(1, #one[2]) == one[2] then
      return (" (%s)"):format(one[3])
    end
  end
end

--- The error that a call may end with after an attempt: the attempt's own, with what was decided about it.
---@param call LlamaCloud.Call
---@param course LlamaCloud.Course
---@param err LlamaCloud.Error
---@param decided LlamaCloud.Decision
---@return LlamaCloud.Error
function failure.explain(call, course, err, decided)
  err.retry_after = decided.retry_after
  if decided.overdue == "passed" then
    errors.prepend(err, ("total_timeout of %s s has passed: "):format(text.number(call.total_timeout)))
    err.cause = course.last
  end
  local words = decided.words or decided.act == "fail" and not decided.overdue and words_at_the_end(err)
  if words then
    errors.append(err, words)
  end
  return decided.overdue == "near" and failure.timed_out(call, err) or err
end

return failure

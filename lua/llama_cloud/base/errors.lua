--- The error object: what a call that fails in operation returns as its second value, and what iterators raise.

local core = require("llama_cloud.core")
local text = require("llama_cloud.base.text")

local errors = {}

---@alias LlamaCloud.ErrorKind
---| "bad_request" # 400
---| "authentication" # 401
---| "permission_denied" # 403
---| "not_found" # 404
---| "conflict" # 409
---| "unprocessable_entity" # 422
---| "rate_limit" # 429
---| "internal_server" # 500 and above
---| "status" # any other status that is not 2xx
---| "connection" # no response, or an incomplete one
---| "timeout" # `timeout` or `total_timeout` has passed
---| "too_large" # the response exceeds `max_response_bytes`
---| "decode" # the response is not what the API promises
---| "file" # a local file could not be read or written, or the disk is full
---| "cancelled" # the client was closed, or the call was made before this process was forked; from `task:result()`: the task was cancelled
---| "batch_failed" # the batch or job has ended as `FAILED`
---| "batch_cancelled" # the batch or job has ended as `CANCELLED`

---@class LlamaCloud.Error
---@field kind LlamaCloud.ErrorKind what happened, for programs; see below
---@field message string what happened and what to do, for people: one line of at most 1,000 bytes
---@field status? integer the HTTP status of the last response
---@field body? any the body of the last response: decoded if it is JSON of up to 1 MiB, otherwise a string of at most 16 MiB
---@field headers? table<string, string> of the last response, with names in lower case
---@field request_id? string the service's id of the request: support asks for it
---@field method? string of the request
---@field url? string of the request; secrets in it are replaced
---@field attempts? integer how many attempts were made
---@field retry_after? number seconds that the service asked to wait
---@field maybe_sent? boolean true if the service may have acted on the request, and repeating it might do it twice
---@field permanent? boolean true if nothing can be sent until you change something: an option, a file, a proxy. Such an error also ends a wait
---@field cause? LlamaCloud.Error the error before this one
---@field traceback? string if a task raised it: the functions that were running, as written by `debug.traceback`
---@field batch? table of waiting: the last known state of the batch or job
---@field job? table the same, for a job
---@field page_token? string of a list by pages: the page at which it stopped (nil: the first). `list { page_token = err.page_token }` continues with that page
---@field delivered? integer of a list by pages: how many items of that page had been returned; 0 unless an item in the middle made no sense
---@field offset? integer of a list by offset: the first item that was not returned. `list { offset = err.offset }` continues there
---@field items? table[] of `list:all()`: the items received before the error; may be empty
---@operator concat(string|number|LlamaCloud.Error): string
local Error = {}
Error.__index = Error
Error.__name = "llama_cloud.error"

local kinds = {
  [400] = "bad_request",
  [401] = "authentication",
  [403] = "permission_denied",
  [404] = "not_found",
  [409] = "conflict",
  [422] = "unprocessable_entity",
  [429] = "rate_limit",
}

-- What to do about an error, where the service's own words seldom say so.
local hints = {
  [402] = "the plan has no credits left: add some, or wait until it gets new ones",
  authentication = "check the API key; one that was made in the EU needs the client's option region = eu",
  permission_denied = "the key's project or plan does not allow this: use a key of the right project, or another plan",
  not_found = "check the id, and that it is of the key's project and region",
}
local NO_ROUTE = "the service has no such path: check the client's option base_url"

--- What to do where somebody else answers: a network that wants people to log in redirects to its own page.
errors.LOG_IN = "check the client's option base_url, and whether the network wants you to log in with a browser first"
--- What to do about a response that is for people.
errors.WEB_PAGE = "this is a web page and not a response of the service: " .. errors.LOG_IN

-- Bytes, so that all of tostring(err) is at most 2 kB. The whole of what the service said is in `body`.
local MOST_OF_MESSAGE = 1000
local MOST_OF_URL = 500
local MOST_OF_ID = 100
local MOST_OF_LOCATION = 200
local MOST_FAULTS = 10 -- of a list of them

function Error:__tostring()
  local context = {}
  if self.method and self.url then
    context[#context + 1] = self.method .. " " .. text.line(self.url, MOST_OF_URL)
  end
  if self.attempts and self.attempts > 1 then
    context[#context + 1] = self.attempts .. " attempts"
  end
  if self.request_id then
    context[#context + 1] = "request id " .. text.line(self.request_id, MOST_OF_ID)
  end
  local line = ("llama_cloud: %s: %s"):format(self.kind, text.line(self.message, MOST_OF_MESSAGE))
  return #context > 0 and ("%s (%s)"):format(line, table.concat(context, ", ")) or line
end

-- What an operand of `..` is as a text. Raises for what cannot be concatenated, at the caller's line.
local function operand(value)
  local kind = type(value)
  if kind == "string" or kind == "number" then
    return value
  elseif getmetatable(value) == Error then
    return tostring(value)
  end
  error(("attempt to concatenate a %s value"):format(kind), 3)
end

function Error.__concat(a, b)
  local left, right = operand(a), operand(b)
  return left .. right
end

--- Makes an error object of the given fields; kind and message are required. The message may be the service's words, of
--- any length: it is made one line, and shortened.
---@param fields table
---@return LlamaCloud.Error
function errors.new(fields)
  fields.message = text.line(fields.message, MOST_OF_MESSAGE)
  fields.request_id = fields.request_id and text.line(fields.request_id, MOST_OF_ID)
  return setmetatable(fields, Error)
end

--- Adds words to the end of an error's message. Where that becomes too long, its middle goes, not they.
---@param err LlamaCloud.Error
---@param words string
function errors.append(err, words)
  err.message = text.line(err.message .. words, MOST_OF_MESSAGE)
end

--- Adds words to the beginning of an error's message.
---@param err LlamaCloud.Error
---@param words string
function errors.prepend(err, words)
  err.message = text.line(words .. err.message, MOST_OF_MESSAGE)
end

--- Whether a value is an error object of this module.
---@param value any
---@return boolean
function errors.is_error(value)
  return getmetatable(value) == Error
end

--- The kind for an HTTP status that is not 2xx.
---@param status integer
---@return LlamaCloud.ErrorKind
function errors.kind_of_status(status)
  return kinds[status] or (status >= 500 and "internal_server" or "status")
end

--- Whether a response is a page for a browser, as of a server that is not the service, or of a network before one logs in.
---@param headers table<string, string>
---@return boolean
function errors.is_web_page(headers)
  return text.lower(headers["content-type"] or ""):find("^[ \t]*text/html") ~= nil
end

-- One entry of FastAPI's list of faults: `query.page_size: Input should be greater than 0`.
local function describe_fault(fault)
  if type(fault) ~= "table" or type(fault.msg) ~= "string" then
    return type(fault) == "string" and fault or nil
  end
  local path = {}
  for _, part in ipairs(type(fault.loc) == "table" and fault.loc or {}) do
    path[#path + 1] = type(part) == "number" and text.number(part, "%.14g") or tostring(part)
  end
  return #path > 0 and table.concat(path, ".") .. ": " .. fault.msg or fault.msg
end

-- The service's own words in a decoded body, or nil: `detail` as text, as a list (422) or as an object, which is shown as JSON
-- where it has no message; `message`, `error`.
local function explanation(body)
  if type(body) ~= "table" then
    return type(body) == "string" and body ~= "" and text.excerpt(body, 200) or nil
  end
  local detail = body.detail
  if type(detail) == "string" then
    return detail
  elseif type(detail) == "table" then
    local faults = {}
    for i = 1, math.min(#detail, MOST_FAULTS) do
      faults[#faults + 1] = describe_fault(detail[i])
    end
    if #detail > MOST_FAULTS then
      faults[#faults + 1] = ("and %d more"):format(#detail - MOST_FAULTS)
    end
    if #faults > 0 then
      return table.concat(faults, "; ")
    end
    if type(detail.message) == "string" then
      return detail.message
    elseif detail[1] == nil and next(detail) ~= nil then
      return (core.encode(detail))
    end
  end
  if type(body.message) == "string" then
    return body.message
  elseif type(body.error) == "string" then
    return body.error
  elseif type(body.error) == "table" and type(body.error.message) == "string" then
    return body.error.message
  end
end

local bodies = core.decoder() -- of its own: error bodies look like no answers

local MOST_JSON = 1 << 20 -- bytes of a body that is decoded; more is no explanation, and could take a minute

-- The body of an error: decoded if it is JSON, without secrets. Decoded first, because a secret may be escaped twice in it.
local function body_of(given, clean)
  if given ~= "" and #given <= MOST_JSON then
    local decoded, problem = bodies:decode(given, { repair = true })
    if not problem then
      return clean(decoded)
    end
  end
  return clean(given)
end

-- What to do about a response, or nil. `said` are the service's words.
local function hint_for(status, kind, said, headers, known)
  if known == hints and kind ~= "internal_server" and errors.is_web_page(headers) then
    return errors.WEB_PAGE
  elseif known == hints and kind == "not_found" and said == "Not Found" then
    return NO_ROUTE -- of a path; of an id it says what was not found
  end
  return known[status] or known[kind]
end

local function as_it_is(value)
  return value
end

--- The service's id of a request, by its response's headers.
---@param headers table<string, string>
---@return string?
function errors.request_id(headers)
  return headers["x-request-id"] or headers["x-correlation-id"]
end

--- The error for a response whose status is not 2xx.
---@param status integer
---@param headers table<string, string>
---@param given string the body as it came
---@param log? LlamaCloud.Log takes the secrets out of everything, before anything is cut
---@param own_hints? table<string, string> what to do about it, by kind; without these, the hints for the service itself
---@return LlamaCloud.Error
function errors.from_response(status, headers, given, log, own_hints)
  local function clean(value)
    return log:clean(value)
  end
  clean = log and clean or as_it_is
  headers = clean(headers)
  local body = body_of(given, clean)
  local kind = errors.kind_of_status(status)
  local message = explanation(body)
  if not message or message == "" then
    message = given ~= "" and text.excerpt(clean(given), 200) or "no explanation in the response"
  end
  local hint = hint_for(status, kind, message, headers, own_hints or hints)
  message = ("%d: %s"):format(status, text.line(message, MOST_OF_MESSAGE))
  if headers.location and status >= 300 and status < 400 then
    message = ("%s (Location: %s)"):format(message, text.line(headers.location, MOST_OF_LOCATION))
  end
  if hint then
    message = ("%s (%s)"):format(message, hint)
  end
  return errors.new {
    kind = kind,
    message = message,
    status = status,
    headers = headers,
    body = body,
    request_id = errors.request_id(headers),
  }
end

return errors

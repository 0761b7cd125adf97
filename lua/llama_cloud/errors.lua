--- The error object: what a call that fails in operation returns as its second value, and what iterators raise.

local core = require("llama_cloud.core")

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
---| "connection" # no response, or not a whole one
---| "timeout" # timeout or total_timeout has passed
---| "too_large" # the response exceeds max_response_bytes
---| "decode" # the response is not what the API promises
---| "cancelled" # cancelled from this side
---| "batch_failed" # the awaited batch or job ended as FAILED
---| "batch_cancelled" # the awaited batch or job ended as CANCELLED

---@class LlamaCloud.Error
---@field kind LlamaCloud.ErrorKind
---@field message string for people: what happened and what to do
---@field status? integer HTTP status of the last response
---@field body? any the response's body: decoded if it is JSON, otherwise a string
---@field headers? table<string, string> the response's headers, names in lower case
---@field request_id? string the service's id of the request; support asks for it
---@field method? string
---@field url? string
---@field attempts? integer how many attempts were made
---@field retry_after? number seconds that the service asked to wait
---@field maybe_sent? boolean whether the service may have acted on a request that must not simply be repeated
---@field permanent? boolean true where no request can be sent until something is changed here: an option, a file, a proxy
---@field cause? LlamaCloud.Error what went wrong last before this error
---@field batch? table the batch or job as last seen, where the error is about one
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

-- What to do about it, where the service's own words seldom say.
local hints = {
  authentication = "check the API key, and that base_url or region is the key's own",
  permission_denied = "the key's project or plan does not allow this",
}

-- A text on one line, without what a terminal would obey.
local function plain(text)
  return (text:gsub("%c+", " "))
end

function Error:__tostring()
  local context = {}
  if self.method and self.url then
    context[#context + 1] = self.method .. " " .. self.url
  end
  if self.attempts and self.attempts > 1 then
    context[#context + 1] = self.attempts .. " attempts"
  end
  if self.request_id then
    context[#context + 1] = "request id " .. self.request_id
  end
  local text = ("llama_cloud: %s: %s"):format(self.kind, self.message)
  return plain(#context > 0 and ("%s (%s)"):format(text, table.concat(context, ", ")) or text)
end

--- Makes an error object of the given fields; kind and message are required. The message may be the service's words.
---@param fields table
---@return LlamaCloud.Error
function errors.new(fields)
  fields.message = plain(fields.message)
  return setmetatable(fields, Error)
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

-- The first bytes of a text, on one line, without what a terminal would obey.
local function excerpt(text, limit)
  local short = text:sub(1, limit):gsub("[%s%c]+", " ")
  return #text > limit and short .. "…" or short
end
errors.excerpt = excerpt

-- One entry of FastAPI's list of faults: `query.page_size: Input should be greater than 0`.
local function describe_fault(fault)
  if type(fault) ~= "table" or type(fault.msg) ~= "string" then
    return type(fault) == "string" and fault or nil
  end
  local path = {}
  for _, part in ipairs(type(fault.loc) == "table" and fault.loc or {}) do
    path[#path + 1] = tostring(part)
  end
  return #path > 0 and table.concat(path, ".") .. ": " .. fault.msg or fault.msg
end

-- The service's own words in a decoded body, or nil: `detail` as text or as a list (422), `message`, `error`.
local function explanation(body)
  if type(body) ~= "table" then
    return type(body) == "string" and body ~= "" and excerpt(body, 200) or nil
  end
  local detail = body.detail
  if type(detail) == "string" then
    return detail
  elseif type(detail) == "table" then
    local faults = {}
    for _, fault in ipairs(detail) do
      faults[#faults + 1] = describe_fault(fault)
    end
    if #faults > 0 then
      return table.concat(faults, "; ")
    end
    if type(detail.message) == "string" then
      return detail.message
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

local MOST_JSON = 1 << 20 -- bytes of a body that is decoded; more is no explanation, and could take a minute

--- The error for a response whose status is not 2xx.
---@param status integer
---@param headers table<string, string>
---@param text string the body as it came
---@return LlamaCloud.Error
function errors.from_response(status, headers, text)
  local body = text
  if text ~= "" and #text <= MOST_JSON then
    local decoded, problem = core.decode(text, { repair = true })
    if not problem then
      body = decoded
    end
  end
  local kind = errors.kind_of_status(status)
  local message = explanation(body)
  if not message or message == "" then
    message = text ~= "" and excerpt(text, 200) or "no explanation in the response"
  end
  message = ("%d: %s"):format(status, message)
  if headers.location and status >= 300 and status < 400 then
    message = ("%s (Location: %s)"):format(message, headers.location)
  end
  if hints[kind] then
    message = ("%s (%s)"):format(message, hints[kind])
  end
  return errors.new {
    kind = kind,
    message = message,
    status = status,
    headers = headers,
    body = body,
    request_id = headers["x-request-id"] or headers["x-correlation-id"],
  }
end

return errors

--- Whether a request is sent again, and when. Pure functions.

local core = require("llama_cloud.core")
local date = require("llama_cloud.date")

local retry = {}

---@class LlamaCloud.Attempt what one attempt came to
---@field kind "response"|"connection"|"refused"|"timeout"|"too_large"|"cancelled"|"decode" the transport's word, or decode
---@field status integer HTTP status; 0 when there is none
---@field sent boolean whether the service may have seen the whole request
---@field headers table<string, string> the response's headers, names in lower case

--- The pause before the next attempt when the service names none: 0.5, 1, 2, 4, 8, 8 … seconds, less up to a quarter.
---@param retries integer how many retries were made already
---@param random number from 0 to 1
---@return number seconds
function retry.backoff(retries, random)
  return math.min(0.5 * 2 ^ retries, 8) * (1 - 0.25 * random)
end

-- The number, digits[.digits], that a text consists of or whose first word it is ("2 seconds"); not by tonumber, which
-- knows the locale's decimal point only and takes hexadecimal. Nil for anything else, negative numbers included.
local function decimal(text)
  local whole, fraction = text:match("^[ \t]*(%d+)%.?(%d*)%f[ \t,\0]")
  if not whole or #whole > 15 then
    return nil
  end
  fraction = fraction:sub(1, 15)
  return tonumber(whole) + (fraction ~= "" and tonumber(fraction) / 10 ^ #fraction or 0)
end

--- The pause that the service asks for: Retry-After-Ms, or Retry-After in seconds or as a date (RFC 9110 section 10.2.3).
--- A date is measured against the response's own Date, so that a wrong clock on this side does not matter; one that is
--- past asks for no pause.
---@param headers table<string, string>
---@return number? seconds nil if it asks for none, or in words that are not understood
function retry.server_delay(headers)
  local ms = headers["retry-after-ms"] and decimal(headers["retry-after-ms"])
  if ms then
    return ms / 1000
  end
  local value = headers["retry-after"]
  if not value then
    return nil
  end
  local seconds = decimal(value)
  if seconds then
    return seconds
  end
  local due = date.parse_http(value)
  if not due then
    return nil
  end
  local now = headers.date and date.parse_http(headers.date) or core.time()
  return math.max(0, due - now)
end

--- Whether the same request may be sent again after an attempt that did not succeed.
---@param attempt LlamaCloud.Attempt
---@param repeatable boolean whether sending the request twice does no harm
---@return boolean again
function retry.again(attempt, repeatable)
  if attempt.kind == "connection" or attempt.kind == "timeout" then
    return repeatable or not attempt.sent
  elseif attempt.kind ~= "response" then
    return false
  end
  local status, wish = attempt.status, attempt.headers["x-should-retry"]
  if wish == "true" then
    return true
  elseif wish == "false" then
    return false
  elseif status == 408 or status == 429 then
    return true
  elseif status == 503 and retry.server_delay(attempt.headers) then
    return true
  end
  return status >= 500 and repeatable
end

--- Whether, after an attempt that is not repeated, the service may have acted on a request that is not repeatable.
---@param attempt LlamaCloud.Attempt
---@param repeatable boolean
---@return boolean
function retry.maybe_sent(attempt, repeatable)
  if repeatable then
    return false
  elseif attempt.kind == "response" then
    local status = attempt.status
    return status >= 200 and status < 300
      or status >= 500 and not (status == 503 and retry.server_delay(attempt.headers))
  end
  return attempt.sent
end

return retry

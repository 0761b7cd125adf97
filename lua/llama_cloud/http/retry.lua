--- Whether a request is sent again, and when. Pure functions.

local later = require("llama_cloud.base.later")
local core = require("llama_cloud.core")
local date = later.require("llama_cloud.http.date")

local retry = {}

--- The backoff: 0.5, 1, 2, 4, 8, 8 … seconds, less up to a quarter. The pause before the next attempt is the longer of it and
--- of what the service asks for, which is the least that it wants, and may be nothing.
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

-- What an attempt means for its request: whether the service may have acted on it, and how the request goes on:
-- "always" it is sent again, "repeatable" only one that does no harm twice, "never".
--
-- This table is all there is to say about it; whatever asks whether something is sent again, or may have been carried
-- out, asks `meaning_of`.
local UNSEEN = { acted = false, again = "always" } -- the body was never asked for, or HTTP/2 says: not processed
local LOST = { acted = true, again = "repeatable" } -- it went out, and what came of it is not known
local TURNED_AWAY = { acted = false, again = "always" } -- 408, 429, 503 with Retry-After: the service asks to come again
local FAILED = { acted = true, again = "repeatable" } -- other 5xx: the service broke down, perhaps half-way
local REJECTED = { acted = false, again = "never" } -- other 4xx, 3xx: it would be rejected again
local DONE = { acted = true, again = "never" } -- 2xx, or a response that cannot be used
local IN_VAIN = { acted = false, again = "never" } -- it did not go out, and would not the next time; a file among them

local function meaning_of(attempt)
  local kind, status = attempt.kind, attempt.status
  if kind == "connection" or kind == "timeout" then
    return attempt.sent and LOST or UNSEEN
  elseif kind ~= "response" then
    return attempt.sent and DONE or IN_VAIN
  elseif status == 408 or status == 429 or status == 503 and retry.server_delay(attempt.headers) then
    return TURNED_AWAY
  elseif status >= 500 then
    return FAILED
  end
  return status >= 200 and status < 300 and DONE or REJECTED
end

--- Whether the same request may be sent again after an attempt that did not succeed. `x-should-retry: false` in a
--- response stops it; `true` allows it where nothing can happen twice.
---@param attempt LlamaCloud.Attempt
---@param repeatable boolean whether sending the request twice does no harm
---@return boolean again
function retry.again(attempt, repeatable)
  local meaning = meaning_of(attempt)
  local wish = attempt.kind == "response" and attempt.headers["x-should-retry"]
  if wish == "false" then
    return false
  elseif wish == "true" then
    return repeatable or not meaning.acted
  end
  return meaning.again == "always" or meaning.again == "repeatable" and repeatable
end

--- Whether the service may have acted on the request of an attempt that did not succeed.
---@param attempt LlamaCloud.Attempt
---@return boolean
function retry.acted(attempt)
  return meaning_of(attempt).acted
end

--- Whether, after an attempt that is not repeated, the service may have acted on a request that is not repeatable.
---@param attempt LlamaCloud.Attempt
---@param repeatable boolean
---@return boolean
function retry.maybe_sent(attempt, repeatable)
  return not repeatable and retry.acted(attempt)
end

return retry

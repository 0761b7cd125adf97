-- Presigned addresses: another server as far as a client can tell. It knows no keys, and speaks XML where it refuses.

local clock = require("llama_cloud.sandbox.clock")
local presigned = require("llama_cloud.sandbox.presigned")

local DAYS = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" }
local MONTHS = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }

-- `Sun, 06 Nov 1994 08:49:37 GMT`, in English whatever the locale.
local function http_date(milliseconds)
  local seconds = milliseconds // 1000
  local date = os.date("!*t", seconds)
  return string.format(
    "%s, %02d %s %04d %02d:%02d:%02d GMT",
    DAYS[seconds // 86400 % 7 + 1],
    date.day,
    MONTHS[date.month],
    date.year,
    date.hour,
    date.min,
    date.sec
  )
end

local function refuse(status, code, message, headers)
  local body = string.format(
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>%s</Code><Message>%s</Message></Error>',
    code,
    message
  )
  return status, body, headers, "application/xml"
end

-- The answer that refuses an address; nil if it is good.
local function refusal(sandbox, request, kind, key)
  local given = request.query_string or ""
  local expires_at = math.tointeger(tonumber(given:match("&X%-Expires=(%d+)&")))
  if request.headers.authorization then
    return 400, "InvalidArgument", "Only one auth mechanism allowed"
  elseif not expires_at or given ~= presigned.query(sandbox, kind, key, expires_at) then
    return 400, "SignatureDoesNotMatch", "The query is not the one that was signed"
  elseif sandbox.clock:now() > expires_at then
    return 403, "AccessDenied", "Request has expired at " .. clock.format(expires_at)
  end
end

-- A number in a range; nil if there is none. One that no integer can hold becomes the largest: no file is that long.
local function position(digits)
  return digits ~= "" and (math.tointeger(tonumber(digits)) or math.maxinteger) or nil
end

-- The range that is asked for: first and last byte, or nil for all of it, or false if there is no such range. Several
-- ranges at once are answered with all of it.
local function range_of(headers, size, etag, modified)
  local first, last = (headers.range or ""):match("^bytes=(%d*)%-(%d*)$")
  local condition = headers["if-range"]
  if not first or first == "" and last == "" or condition and condition ~= etag and condition ~= modified then
    return nil
  end
  first, last = position(first), position(last)
  if not first then
    first, last = math.max(0, size - last), size - 1
  end
  last = math.min(last or size - 1, size - 1)
  if first > last then
    return false
  end
  return first, last
end

local function slice(source, first, last)
  return {
    size = last - first + 1,
    read = function(offset, count)
      return source.read(first + offset, count)
    end,
  }
end

local function download(sandbox, request)
  local kind, key = request.path_values[1], request.path_values[2]
  local status, code, message = refusal(sandbox, request.http, kind, key)
  if status then
    return refuse(status, code, message)
  end
  local find = presigned.kinds[kind]
  local content, found_status, why
  if find then
    content, found_status, why = find(sandbox, key)
  end
  if not content then
    return refuse(found_status or 404, "NoSuchKey", why or "The specified key does not exist")
  end
  local etag, modified = '"' .. content.etag .. '"', http_date(content.modified_at)
  local headers = { ETag = etag, ["Last-Modified"] = modified, ["Accept-Ranges"] = "bytes" }
  local source = content.source
  local first, last = range_of(request.http.headers, source.size, etag, modified)
  if first == false then
    headers["Content-Range"] = string.format("bytes */%d", source.size)
    return refuse(416, "InvalidRange", "The requested range is not satisfiable", headers)
  elseif first then
    headers["Content-Range"] = string.format("bytes %d-%d/%d", first, last, source.size)
    return 206, slice(source, first, last), headers, content.content_type
  end
  return 200, source, headers, content.content_type
end

return {
  list = {
    { method = "GET", path = presigned.PATH .. "/{kind}/{key}", query = {}, public = true, handler = download },
  },
}

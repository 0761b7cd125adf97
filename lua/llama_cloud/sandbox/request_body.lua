-- The body of a request, read piece by piece as it comes: by Content-Length, or chunked.

local cqueues = require("cqueues")

local ascii = require("llama_cloud.sandbox.ascii")

local request_body = {}

local MAX_TRAILER = 64 << 10

---@class llama_cloud.sandbox.request_body
---@field length? integer as declared by Content-Length
---@field received integer bytes that were read so far
---@field complete boolean whether it was read to its end
---@field failure? llama_cloud.sandbox.http_response what the peer did wrong; nil after a nil piece: the peer is gone
---@field limit integer most bytes that it may have
---@field pace? integer bytes per second that are read of it at most
local body_methods = {}
local body_mt = { __name = "llama_cloud.sandbox.request_body", __index = body_methods }

local function problem(status, text)
  return { status = status, body = '{"detail":"' .. text .. '"}' }
end

--- The body that the headers announce; or nil and the answer to headers that contradict each other.
---@param connection table what `http.lua` calls a connection
---@param headers table<string, string>
---@param limit integer
---@return llama_cloud.sandbox.request_body?
---@return llama_cloud.sandbox.http_response?
function request_body.new(connection, headers, limit)
  local coding, length = headers["transfer-encoding"], headers["content-length"]
  if coding and length then
    return nil, problem(400, "Both Content-Length and Transfer-Encoding")
  elseif coding and ascii.lower(coding) ~= "chunked" then
    return nil, problem(501, "Transfer coding not supported")
  elseif length and not length:find("^%d+$") then
    return nil, problem(400, "Malformed Content-Length")
  elseif length and #length > 15 then
    return nil, problem(413, "Request body too large")
  end
  local declared = not coding and math.tointeger(tonumber(length or "0")) or nil
  return setmetatable({
    connection = connection,
    length = declared,
    received = 0,
    in_chunk = 0, -- bytes of the current chunk that are still to come, its line break included
    complete = declared == 0,
    limit = limit,
    expected = ascii.lower(headers.expect or "") == "100-continue",
  }, body_mt)
end

function body_methods:fail(status, text)
  self.failed = true
  self.failure = status and problem(status, text)
  return nil
end

-- Goes to the next chunk; true if there is one, false at the end, nil on a failure.
function body_methods:next_chunk()
  local line = self.connection:take_until("\r\n", 4096)
  local digits = line and line:match("^(%x+)[ \t]*[;\r]")
  if not digits or #digits > 8 then
    return self:fail(400, "Malformed chunk")
  end
  self.in_chunk = tonumber(digits, 16)
  if self.received + self.in_chunk > self.limit then
    return self:fail(413, "Request body too large")
  elseif self.in_chunk > 0 then
    return true
  end
  local trailer
  local length = 0
  repeat
    trailer = self.connection:take_until("\r\n", MAX_TRAILER)
    length = length + #(trailer or "")
  until not trailer or trailer == "\r\n" or length > MAX_TRAILER
  if trailer ~= "\r\n" then
    return self:fail(400, "Malformed trailer")
  end
  self.complete = true
  return false
end

function body_methods:read_chunked(most)
  if self.in_chunk == 0 and not self:next_chunk() then
    return nil
  end
  local piece = self.connection:take_some(math.min(most, self.in_chunk))
  if not piece then
    return self:fail()
  end
  self.in_chunk = self.in_chunk - #piece
  if self.in_chunk == 0 and self.connection:take(2) ~= "\r\n" then
    return self:fail(400, "Malformed chunk")
  end
  return piece
end

-- Holds back what was read so that it comes at `pace`.
function body_methods:wait_for_pace(bytes)
  local now = cqueues.monotime()
  self.due = math.max(self.due or now, now) + bytes / self.pace
  cqueues.sleep(self.due - now)
end

--- The next bytes, at most `most` of them; nil at the end, or on a failure: then `complete` is false.
---@param most? integer default 64 KiB
---@return string?
function body_methods:read(most)
  if self.complete or self.failed then
    return nil
  elseif self.length and self.length > self.limit then
    return self:fail(413, "Request body too large")
  end
  if self.expected then
    self.expected = false
    self.connection:write("HTTP/1.1 100 Continue\r\n\r\n")
  end
  most = most or 65536
  if self.pace then
    most = math.min(most, math.max(1, self.pace // 20))
  end
  local piece
  if self.length then
    piece = self.connection:take_some(math.min(most, self.length - self.received))
    if not piece then
      return self:fail()
    end
  else
    piece = self:read_chunked(most)
  end
  if piece then
    self.received = self.received + #piece
    self.complete = self.received == self.length
    if self.pace then
      self:wait_for_pace(#piece)
    end
  end
  return piece
end

--- All of it, or what is left of it; nil on a failure.
---@return string?
function body_methods:read_all()
  local pieces = {}
  repeat
    local piece = self:read()
    pieces[#pieces + 1] = piece
  until not piece
  return self.complete and table.concat(pieces) or nil
end

--- Reads up to `count` bytes (all of it by default) and forgets them; whether they came.
---@param count? integer
---@return boolean
function body_methods:skip(count)
  local stop = self.received + (count or math.maxinteger // 2)
  while self.received < stop do
    if not self:read(math.min(65536, stop - self.received)) then
      return self.complete
    end
  end
  return true
end

return request_body

-- Sends answers: as they should be, or wrongly on purpose.

local cqueues = require("cqueues")
local socket = require("cqueues.socket")

local response_module = {}

-- How long a stalled answer keeps a connection.
local MAX_STALL = 600
-- Bodies that are not in memory are sent in pieces of this size.
local PIECE = 65536

local REASONS = {
  [100] = "Continue",
  [200] = "OK",
  [201] = "Created",
  [204] = "No Content",
  [206] = "Partial Content",
  [304] = "Not Modified",
  [307] = "Temporary Redirect",
  [400] = "Bad Request",
  [401] = "Unauthorized",
  [402] = "Payment Required",
  [403] = "Forbidden",
  [404] = "Not Found",
  [405] = "Method Not Allowed",
  [408] = "Request Timeout",
  [409] = "Conflict",
  [410] = "Gone",
  [412] = "Precondition Failed",
  [413] = "Content Too Large",
  [415] = "Unsupported Media Type",
  [416] = "Range Not Satisfiable",
  [422] = "Unprocessable Entity",
  [429] = "Too Many Requests",
  [431] = "Request Header Fields Too Large",
  [500] = "Internal Server Error",
  [501] = "Not Implemented",
  [502] = "Bad Gateway",
  [503] = "Service Unavailable",
  [504] = "Gateway Timeout",
}

---@class llama_cloud.sandbox.source a body that is not in memory as a whole
---@field size integer
---@field read fun(offset: integer, count: integer): string `count` bytes after the first `offset`

---@class llama_cloud.sandbox.http_response
---@field status integer
---@field headers? table<string, string>
---@field body string|llama_cloud.sandbox.source
---@field raw? string sent as it is instead of everything else; then the connection is closed
---@field content_type? string default application/json
---@field early? boolean the rest of the request is not read
---@field length? integer|"none" what Content-Length says instead of the truth; "none": there is no such header

---@class llama_cloud.sandbox.delivery how an answer goes wrong on its way
---@field ending? "close"|"reset"|"stall"
---@field at? "start"|"headers"|"body"|integer where it ends: in bytes of the body if it is a number
---@field trickle? integer bytes per second

-- Closing with RST --------------------------------------------------------------------------------------------------------

-- cqueues cannot set SO_LINGER. libuv's close_reset does, and the option belongs to the socket, not to the descriptor: so
-- it is called on a duplicate, which libuv closes at once, and the real close comes after it.
local luv_found, luv = pcall(require, "luv")

--- "rst" where `luv` is installed, else "close": then a reset is an ordinary close.
response_module.reset_kind = luv_found and "rst" or "close"

local function close_with_reset(connection)
  if luv_found then
    local duplicate = socket.dup(connection.socket)
    local handle = luv.new_tcp()
    handle:open(duplicate:pollfd())
    handle:close_reset()
    duplicate:close()
    luv.run("nowait")
  end
  connection.socket:close()
end

-- Bodies ------------------------------------------------------------------------------------------------------------------

local function size_of(body)
  return type(body) == "string" and #body or body.size
end

local function bytes_of(body, offset, count)
  if type(body) == "string" then
    return body:sub(offset + 1, offset + count)
  end
  return body.read(offset, count)
end

-- Sends the first `stop` bytes of a body, slowly if `per_second` is given, until the peer is gone or the server is closed.
local function send_body(connection, body, stop, per_second)
  local step = per_second and math.max(1, math.min(PIECE, per_second // 20)) or PIECE
  local offset = 0
  while offset < stop do
    local count = math.min(step, stop - offset)
    if connection.server.closed or not connection:write(bytes_of(body, offset, count)) then
      return false
    end
    offset = offset + count
    if per_second then
      cqueues.sleep(count / per_second)
    end
  end
  return true
end

-- Keeps the connection open without a word until the peer closes it. The rest of a request that is `unread` stays unread.
local function stall(connection, unread)
  local deadline = cqueues.monotime() + MAX_STALL
  if unread then
    repeat
      cqueues.sleep(0.1)
    until connection.server.closed or cqueues.monotime() > deadline
    return
  end
  repeat
    local more = connection:fill(deadline - cqueues.monotime())
  until not more or #connection.buffer > 1 << 20
end

-- The first line and the headers, and the body that belongs to the answer: none for some statuses, and for HEAD.
local function head_and_body(connection, response)
  local lines = { string.format("HTTP/1.1 %d %s\r\n", response.status, REASONS[response.status] or "Unknown") }
  for name, value in pairs(response.headers or {}) do
    lines[#lines + 1] = name .. ": " .. value .. "\r\n"
  end
  local body = response.body
  if response.status < 200 or response.status == 204 or response.status == 304 then
    body = ""
  else
    lines[#lines + 1] = "Content-Type: " .. (response.content_type or "application/json") .. "\r\n"
    if response.length == "none" then
      connection.keep_alive = false
    else
      lines[#lines + 1] = string.format("Content-Length: %d\r\n", response.length or size_of(body))
    end
    body = connection.head_only and "" or body
  end
  if response.length and response.length ~= size_of(body) then
    connection.keep_alive = false
  end
  if not connection.keep_alive then
    lines[#lines + 1] = "Connection: close\r\n"
  end
  lines[#lines + 1] = "\r\n"
  return table.concat(lines), body
end

-- How much of head and body is sent before a delivery ends it.
local function cut(delivery, head, body)
  local at, size = delivery.at, size_of(body)
  if at == "start" then
    return "", 0
  elseif at == "headers" then
    return head:sub(1, #head // 2), 0
  elseif at then
    return head, math.min(size, at == "body" and size // 2 or at)
  end
  return head, size
end

--- Sends an answer, as it should be or as `delivery` says; false when the connection is over.
---@param connection table what `http.lua` calls a connection
---@param response llama_cloud.sandbox.http_response
---@param delivery? llama_cloud.sandbox.delivery
---@param unread? boolean whether the request was not read to its end
---@return boolean
function response_module.send(connection, response, delivery, unread)
  if response.raw then
    connection:write(response.raw)
    return false
  end
  local head, body = head_and_body(connection, response)
  if not delivery then
    if type(body) == "string" and #body <= PIECE then
      return connection:write(head .. body) and connection.keep_alive
    end
    return connection:write(head) and send_body(connection, body, size_of(body)) and connection.keep_alive
  end
  local first, stop = cut(delivery, head, body)
  local sent = first == "" or connection:write(first)
  if not (sent and send_body(connection, body, stop, delivery.trickle)) then
    return false
  elseif delivery.ending == "stall" then
    stall(connection, unread)
  elseif delivery.ending == "reset" then
    if first ~= "" then
      cqueues.sleep(0.02) -- a reset throws away what the peer has not read yet
    end
    close_with_reset(connection)
  end
  return not delivery.ending and connection.keep_alive
end

return response_module

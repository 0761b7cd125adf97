-- An HTTP/1.1 server over cqueues: keep-alive, both kinds of request bodies, bounds on everything that a peer can send, and
-- answers that can be sent wrongly on purpose.

local cqueues = require("cqueues")
local errno = require("cqueues.errno")
local socket = require("cqueues.socket")

local http = {}

local MAX_HEAD = 64 << 10
local MAX_BODY = 16 << 20
-- How long a connection may be idle, and how long the rest of a request may take.
local IDLE_TIMEOUT = 120
local READ_TIMEOUT = 30
-- How long a stalled answer keeps a connection.
local MAX_STALL = 600

-- The letters of ASCII in lower case: string.lower makes something else of an I in Turkey.
local function lower(text)
  return (text:gsub("[A-Z]", function(letter)
    return string.char(letter:byte() + 32)
  end))
end

local REASONS = {
  [100] = "Continue",
  [200] = "OK",
  [201] = "Created",
  [204] = "No Content",
  [307] = "Temporary Redirect",
  [400] = "Bad Request",
  [401] = "Unauthorized",
  [404] = "Not Found",
  [405] = "Method Not Allowed",
  [408] = "Request Timeout",
  [409] = "Conflict",
  [413] = "Content Too Large",
  [422] = "Unprocessable Entity",
  [429] = "Too Many Requests",
  [431] = "Request Header Fields Too Large",
  [500] = "Internal Server Error",
  [501] = "Not Implemented",
  [502] = "Bad Gateway",
  [503] = "Service Unavailable",
  [504] = "Gateway Timeout",
}

---@class llama_cloud.sandbox.http_request
---@field method string
---@field path string
---@field query_string? string
---@field headers table<string, string> lower-case names
---@field body_text string

---@class llama_cloud.sandbox.http_response
---@field status integer
---@field headers? table<string, string>
---@field body string
---@field raw? string sent as it is instead of everything else; then the connection is closed
---@field content_type? string

---@class llama_cloud.sandbox.delivery how an answer goes wrong on its way
---@field ending? "close"|"reset"|"stall"
---@field at? "start"|"headers"|"body"|integer where it ends: in bytes of the body if it is a number
---@field trickle? integer bytes per second

-- Sockets must not raise: a peer may go at any time.
local function return_error(_, _, code)
  return code
end

-- Closing with RST --------------------------------------------------------------------------------------------------------

-- cqueues cannot set SO_LINGER. libuv's close_reset does, and the option belongs to the socket, not to the descriptor: so
-- it is called on a duplicate, which libuv closes at once, and the real close comes after it.
local luv_found, luv = pcall(require, "luv")

--- "rst" where `luv` is installed, else "close": then a reset is an ordinary close.
http.reset_kind = luv_found and "rst" or "close"

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

-- Reading -----------------------------------------------------------------------------------------------------------------

local connection_methods = {}
local connection_mt = { __name = "llama_cloud.sandbox.connection", __index = connection_methods }

-- Appends what comes to the buffer; false at the end, after an error, and after `timeout` seconds of silence.
function connection_methods:fill(timeout)
  local bytes, code = self.socket:xread(-65536, "bn", timeout)
  if not bytes then
    self.timed_out = code == errno.ETIMEDOUT
    return false
  end
  self.buffer = #self.buffer == 0 and bytes or self.buffer .. bytes
  return true
end

function connection_methods:take(length)
  if #self.buffer >= length then
    local taken = self.buffer:sub(1, length)
    self.buffer = self.buffer:sub(length + 1)
    return taken
  end
  -- Many pieces are joined once, not each to the last.
  local parts, have = { self.buffer }, #self.buffer
  self.buffer = ""
  while have < length do
    if not self:fill(READ_TIMEOUT) then
      return nil
    end
    parts[#parts + 1] = self.buffer
    have = have + #self.buffer
    self.buffer = ""
  end
  local all = table.concat(parts)
  self.buffer = all:sub(length + 1)
  return all:sub(1, length)
end

-- Bytes up to and with `mark`; nil when they do not come, and true as a second value when there are more than `limit`.
function connection_methods:take_until(mark, limit, idle_timeout)
  local from = 1
  while true do
    local _, last = self.buffer:find(mark, from, true)
    if last then
      if last > limit then
        return nil, true
      end
      return self:take(last)
    elseif #self.buffer > limit then
      return nil, true
    end
    from = math.max(1, #self.buffer - #mark + 2)
    if not self:fill(#self.buffer == 0 and idle_timeout or READ_TIMEOUT) then
      return nil
    end
  end
end

local function problem(status, text)
  return nil, { status = status, body = '{"detail":"' .. text .. '"}' }
end

function connection_methods:read_chunked()
  local parts, total = {}, 0
  while true do
    local line = self:take_until("\r\n", 4096)
    local digits = line and line:match("^(%x+)[ \t]*[;\r]")
    if not digits or #digits > 8 then
      return problem(400, "Malformed chunk")
    end
    local size = tonumber(digits, 16)
    total = total + size
    if total > MAX_BODY then
      return problem(413, "Request body too large")
    elseif size == 0 then
      local trailer
      local length = 0
      repeat
        trailer = self:take_until("\r\n", MAX_HEAD)
        length = length + #(trailer or "")
      until not trailer or trailer == "\r\n" or length > MAX_HEAD
      if trailer ~= "\r\n" then
        return problem(400, "Malformed trailer")
      end
      return table.concat(parts)
    end
    local chunk = self:take(size + 2)
    if not chunk or chunk:sub(-2) ~= "\r\n" then
      return problem(400, "Malformed chunk")
    end
    parts[#parts + 1] = chunk:sub(1, size)
  end
end

--- The next request; or nil and, where the peer should hear of it, the answer to what came instead.
---@return llama_cloud.sandbox.http_request?
---@return llama_cloud.sandbox.http_response?
function connection_methods:read_request()
  local head, too_long = self:take_until("\r\n\r\n", MAX_HEAD, IDLE_TIMEOUT)
  if not head then
    if too_long then
      return problem(431, "Request header too large")
    elseif self.timed_out and #self.buffer > 0 then
      return problem(408, "Request timeout")
    end
    return nil
  end
  local method, target, minor, from = head:match("^\r?\n?([A-Z]+) (/[!-~]*) HTTP/1%.(%d)\r\n()")
  if not method then
    return problem(400, "Malformed request line")
  end
  local headers = {}
  local position = from
  while position < #head - 1 do
    local name, value, after = head:match("^([A-Za-z0-9!#$%%&'*+.^_`|~-]+):[ \t]*([^\r\n]-)[ \t]*\r\n()", position)
    if not name then
      return problem(400, "Malformed header")
    end
    name = lower(name)
    if headers[name] then
      if name == "content-length" or name == "host" or name == "transfer-encoding" then
        return problem(400, "Repeated header")
      end
      value = headers[name] .. ", " .. value
    end
    headers[name] = value
    position = after
  end
  local path, query_string = target:match("^([^?#]*)%??([^#]*)")
  local connection_header = lower(headers.connection or "")
  self.keep_alive = minor ~= "0" and not connection_header:find("close", 1, true)
    or minor == "0" and connection_header:find("keep-alive", 1, true) ~= nil
  self.head_only = method == "HEAD"
  local body, response = self:read_body(headers)
  if not body then
    return nil, response
  end
  return {
    method = method,
    path = path,
    query_string = query_string ~= "" and query_string or nil,
    headers = headers,
    body_text = body,
  }
end

function connection_methods:read_body(headers)
  local coding, length = headers["transfer-encoding"], headers["content-length"]
  if coding and length then
    return problem(400, "Both Content-Length and Transfer-Encoding")
  elseif coding and lower(coding) ~= "chunked" then
    return problem(501, "Transfer coding not supported")
  elseif length and not length:find("^%d+$") then
    return problem(400, "Malformed Content-Length")
  elseif length and (#length > 15 or tonumber(length) > MAX_BODY) then
    return problem(413, "Request body too large")
  elseif not coding and not length then
    return ""
  end
  if lower(headers.expect or "") == "100-continue" then
    self:write("HTTP/1.1 100 Continue\r\n\r\n")
  end
  if coding then
    return self:read_chunked()
  end
  return self:take(math.tointeger(tonumber(length)))
end

-- Writing -----------------------------------------------------------------------------------------------------------------

function connection_methods:write(bytes)
  return self.socket:xwrite(bytes, "bn", READ_TIMEOUT)
end

-- Sends slowly, until the peer is gone or the server is closed.
function connection_methods:trickle(bytes, per_second)
  local step = math.max(1, per_second // 20)
  for from = 1, #bytes, step do
    if self.server.closed or not self:write(bytes:sub(from, from + step - 1)) then
      return false
    end
    cqueues.sleep(step / per_second)
  end
  return true
end

-- Keeps the connection open without a word until the peer closes it.
function connection_methods:stall()
  local deadline = cqueues.monotime() + MAX_STALL
  repeat
    local more = self:fill(deadline - cqueues.monotime())
  until not more or #self.buffer > MAX_BODY
end

--- Sends an answer, as it should be or as `delivery` says; false when the connection is over.
---@param response llama_cloud.sandbox.http_response
---@param delivery? llama_cloud.sandbox.delivery
---@return boolean
function connection_methods:send(response, delivery)
  if response.raw then
    self:write(response.raw)
    return false
  end
  local lines = { string.format("HTTP/1.1 %d %s\r\n", response.status, REASONS[response.status] or "Unknown") }
  for name, value in pairs(response.headers or {}) do
    lines[#lines + 1] = name .. ": " .. value .. "\r\n"
  end
  local body = response.body
  if response.status < 200 or response.status == 204 or response.status == 304 then
    body = ""
  else
    lines[#lines + 1] =
      string.format("Content-Type: %s\r\nContent-Length: %d\r\n", response.content_type or "application/json", #body)
    body = self.head_only and "" or body
  end
  if not self.keep_alive then
    lines[#lines + 1] = "Connection: close\r\n"
  end
  lines[#lines + 1] = "\r\n"
  local head = table.concat(lines)
  if not delivery then
    return self:write(head .. body) and self.keep_alive
  end

  local at, first, second = delivery.at, head, body
  if at == "start" then
    first, second = "", ""
  elseif at == "headers" then
    first, second = head:sub(1, #head // 2), ""
  elseif at then
    second = body:sub(1, at == "body" and #body // 2 or at)
  end
  local sent = first == "" or self:write(first)
  if sent and delivery.trickle then
    sent = self:trickle(second, delivery.trickle)
  elseif sent and second ~= "" then
    sent = self:write(second)
  end
  if not sent then
    return false
  elseif delivery.ending == "stall" then
    self:stall()
  elseif delivery.ending == "reset" then
    if first ~= "" then
      cqueues.sleep(0.02) -- a reset throws away what the peer has not read yet
    end
    close_with_reset(self)
  end
  return not delivery.ending and self.keep_alive
end

-- The server --------------------------------------------------------------------------------------------------------------

---@class llama_cloud.sandbox.http_server
---@field closed boolean
local server_methods = {}
local server_mt = { __name = "llama_cloud.sandbox.http_server", __index = server_methods }

--- Listens. `answer` gets a request, and returns a response and perhaps a delivery; it may yield to the controller.
---@param host string
---@param port integer 0 for any free one
---@param answer fun(request: llama_cloud.sandbox.http_request): llama_cloud.sandbox.http_response, llama_cloud.sandbox.delivery?
---@return llama_cloud.sandbox.http_server? server
---@return string? message
function http.listen(host, port, answer)
  local listener, code = socket.listen { host = host, port = port, reuseaddr = true }
  if listener then
    listener:onerror(return_error)
    -- Binding happens here; without a timeout it would wait for ever for a name that cannot be resolved.
    local bound
    bound, code = listener:listen(5)
    if not bound then
      listener:close()
      listener = nil
    end
  end
  if not listener then
    return nil, string.format("cannot listen on %s port %d: %s", host, port, errno.strerror(code) or tostring(code))
  end
  local _, _, bound_port = listener:localname()
  return setmetatable({
    listener = listener,
    port = bound_port,
    answer = answer,
    closed = false,
    connections = {},
    connection_count = 0,
  }, server_mt)
end

local function serve_connection(connection)
  while not connection.server.closed do
    local request, response = connection:read_request()
    if not request then
      if response then
        connection.keep_alive = false
        connection:send(response)
      end
      return
    end
    if not connection:send(connection.server.answer(request)) then
      return
    end
  end
end

--- Accepts connections, each served by a coroutine of `controller`, until the server is closed. To be called inside of it.
function server_methods:serve(controller)
  while not self.closed do
    -- Options of the listener do not reach what it accepts.
    local accepted, code = self.listener:accept { nodelay = true }
    if accepted then
      accepted:onerror(return_error)
      accepted:setmode("bn", "bn")
      local connection = setmetatable({
        socket = accepted,
        server = self,
        buffer = "",
        keep_alive = true,
      }, connection_mt)
      self.connections[connection] = true
      self.connection_count = self.connection_count + 1
      controller:wrap(function()
        local ok, message = xpcall(serve_connection, debug.traceback, connection)
        self.connections[connection] = nil
        connection.socket:close()
        if not ok then
          -- A bug of ours, but no reason to leave everybody else alone.
          io.stderr:write("llama-cloud-sandbox: ", message, "\n")
        end
      end)
    elseif not self.closed and code ~= errno.EAGAIN and code ~= errno.ETIMEDOUT then
      -- Out of descriptors, most likely: others have to close theirs first.
      self.listener:clearerr()
      cqueues.sleep(0.05)
    end
  end
  self.listener:close()
end

--- Closes the listener and all connections; what waits on them ends.
function server_methods:close()
  if self.closed then
    return
  end
  self.closed = true
  -- Closing it would raise where it waits in accept; shut down, it stops listening, and accept returns.
  self.listener:shutdown("rw")
  for connection in pairs(self.connections) do
    connection.socket:shutdown("rw")
  end
end

return http

-- An HTTP/1.1 server over cqueues: keep-alive, both kinds of request bodies, bounds on everything that a peer can send.
-- A request is answered when its head is there; who answers reads its body, or does not.

local cqueues = require("cqueues")
local errno = require("cqueues.errno")
local socket = require("cqueues.socket")

local ascii = require("llama_cloud.sandbox.ascii")
local request_body = require("llama_cloud.sandbox.request_body")
local response_module = require("llama_cloud.sandbox.response")

local http = {}

--- Most bytes of a body that is read as a whole.
http.MAX_TEXT = 16 << 20

local MAX_HEAD = 64 << 10
-- How long a connection may be idle, and how long the rest of a request may take.
local IDLE_TIMEOUT = 120
local READ_TIMEOUT = 30
-- A request up to this size is read to its end whatever was answered, so that its connection can go on.
local MAX_DRAINED = 256 << 10
-- How long what was answered before it was read is still taken from a peer that goes on sending.
local LINGER = 5

---@class llama_cloud.sandbox.http_request
---@field method string
---@field path string
---@field query_string? string
---@field headers table<string, string> lower-case names
---@field body llama_cloud.sandbox.request_body
---@field body_text? string the body, once it was read as a whole

-- Sockets must not raise: a peer may go at any time.
local function return_error(_, _, code)
  return code
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

-- What is there, at most `most` bytes; waits for some if there is nothing. nil when the peer is gone or silent.
function connection_methods:take_some(most)
  if #self.buffer == 0 and not self:fill(READ_TIMEOUT) then
    return nil
  end
  local taken = self.buffer
  if #taken > most then
    self.buffer = taken:sub(most + 1)
    return taken:sub(1, most)
  end
  self.buffer = ""
  return taken
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
    name = ascii.lower(name)
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
  local connection_header = ascii.lower(headers.connection or "")
  self.keep_alive = minor ~= "0" and not connection_header:find("close", 1, true)
    or minor == "0" and connection_header:find("keep-alive", 1, true) ~= nil
  self.head_only = method == "HEAD"
  local body, response = request_body.new(self, headers, self.server.max_body)
  if not body then
    return nil, response
  end
  return {
    method = method,
    path = path,
    query_string = query_string ~= "" and query_string or nil,
    headers = headers,
    body = body,
  }
end

--- Reads the body of a request as a whole into `body_text`. False if it cannot be had, and the answer to the peer, if the
--- peer is still there.
---@param request llama_cloud.sandbox.http_request
---@return boolean
---@return llama_cloud.sandbox.http_response?
function http.read_text(request)
  local body = request.body
  body.limit = http.MAX_TEXT
  request.body_text = body:read_all()
  return request.body_text ~= nil, body.failure
end

-- Writing -----------------------------------------------------------------------------------------------------------------

function connection_methods:write(bytes)
  return self.socket:xwrite(bytes, "bn", READ_TIMEOUT)
end

-- Ends a connection whose last request was not read to its end: closed at once, it would be reset, and the peer might lose
-- the answer.
function connection_methods:linger()
  self.socket:shutdown("w")
  local deadline = cqueues.monotime() + LINGER
  repeat
    self.buffer = ""
    local left = deadline - cqueues.monotime()
  until left <= 0 or self.server.closed or not self:fill(left)
end

-- The server --------------------------------------------------------------------------------------------------------------

---@class llama_cloud.sandbox.http_server
---@field closed boolean
local server_methods = {}
local server_mt = { __name = "llama_cloud.sandbox.http_server", __index = server_methods }

--- Listens. `answer` gets a request, and returns a response and perhaps a delivery, or nil to hang up; it may yield to the
--- controller.
---@param host string
---@param port integer 0 for any free one
---@param max_body integer most bytes of a request's body
---@param answer fun(request: llama_cloud.sandbox.http_request): llama_cloud.sandbox.http_response?, llama_cloud.sandbox.delivery?
---@return llama_cloud.sandbox.http_server? server
---@return string? message
function http.listen(host, port, max_body, answer)
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
    local advice = code == errno.EADDRINUSE and ": choose another port, or 0 for any that is free" or ""
    local reason = errno.strerror(code) or tostring(code)
    return nil, string.format("cannot listen on %s port %d: %s%s", host, port, reason, advice)
  end
  local _, _, bound_port = listener:localname()
  return setmetatable({
    listener = listener,
    port = bound_port,
    answer = answer,
    max_body = max_body,
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
        response_module.send(connection, response)
        connection:linger()
      end
      return
    end
    local delivery
    response, delivery = connection.server.answer(request)
    if not response then
      return
    end
    local unread = not request.body.complete
    local length = request.body.length
    if unread and not response.early and not request.body.failed and length and length <= MAX_DRAINED then
      unread = not request.body:skip()
    end
    if unread then
      connection.keep_alive = false
    end
    if not response_module.send(connection, response, delivery, unread) then
      if unread and not (delivery and delivery.ending) then
        connection:linger()
      end
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

-- The child process of spec/support/server.lua. Its argument is the file to record in; the first line of its standard
-- input is the configuration, and it ends when that input ends, so that no orphan outlives its spec.

local cqueues = require("cqueues")
local errno = require("cqueues.errno")
local socket = require("cqueues.socket")
local serial = require("spec.support.serial")

-- Here and not where it is used: luv keeps the coroutine that loads it, without holding it, for its callbacks.
local uv_found, uv = pcall(require, "luv")

local LIFETIME = 600
local MAX_HEAD = 1 << 20
local MAX_BODY = 256 << 20
local REASONS = {
  [100] = "Continue",
  [200] = "OK",
  [201] = "Created",
  [204] = "No Content",
  [304] = "Not Modified",
  [400] = "Bad Request",
  [401] = "Unauthorized",
  [404] = "Not Found",
  [409] = "Conflict",
  [422] = "Unprocessable Entity",
  [429] = "Too Many Requests",
  [500] = "Internal Server Error",
  [503] = "Service Unavailable",
}

local log = assert(io.open(assert(arg[1], "serve.lua needs the file to record in"), "wb"))
local config = serial.decode(assert(io.read("l")))

local function record(entry)
  log:write(serial.encode(entry), "\n")
  log:flush()
end

local function fail(message)
  record { type = "error", message = tostring(message) }
end

local function die(message)
  fail(message)
  os.exit(1, false)
end

-- A script that loops for ever must not outlive its spec either.
local born = cqueues.monotime()
debug.sethook(function()
  if cqueues.monotime() - born > LIFETIME then
    die("the server lived longer than " .. LIFETIME .. " seconds")
  end
end, "", 10000000)

-- Errors of sockets are returned, never raised: the peer may vanish at any time.
local function return_error(_, _, code)
  return code
end

-- Connections -------------------------------------------------------------------------------------------------------

local connection_methods = {}
local connection_mt = { __index = connection_methods }

--- Sends bytes as they are. Returns whether the peer took them.
function connection_methods:raw(bytes)
  self.answered = true
  if self.is_closed then
    return false
  end
  local ok = self.socket:xwrite(bytes, "bn")
  return ok ~= nil and ok ~= false
end

--- A whole head: status line and headers. `headers` is { name = value or { values } } or { { name, value }, … }.
local function head_of(status, headers, extra)
  local lines = { string.format("HTTP/1.1 %d %s\r\n", status, REASONS[status] or "Status") }
  local seen = {}
  local function add(name, value)
    seen[name:lower()] = true
    lines[#lines + 1] = name .. ": " .. tostring(value) .. "\r\n"
  end
  for name, value in pairs(headers or {}) do
    if type(name) == "number" then
      add(value[1], value[2])
    elseif type(value) == "table" then
      for _, one in ipairs(value) do
        add(name, one)
      end
    else
      add(name, value)
    end
  end
  for _, pair in ipairs(extra) do
    if not seen[pair[1]:lower()] then
      add(pair[1], pair[2])
    end
  end
  lines[#lines + 1] = "\r\n"
  return table.concat(lines)
end

--- A complete answer with a right Content-Length (unless `headers` has one, or the status forbids a body).
function connection_methods:respond(status, headers, body)
  body = body or ""
  local extra = {}
  local bodyless = status < 200 or status == 204 or status == 304
  if not bodyless then
    extra[1] = { "Content-Length", #body }
  end
  return self:raw(head_of(status, headers, extra) .. (bodyless and "" or body))
end

--- The same with `Content-Type: application/json`.
function connection_methods:json(status, text, headers)
  local merged = { ["Content-Type"] = "application/json" }
  for name, value in pairs(headers or {}) do
    merged[name] = value
  end
  return self:respond(status, merged, text)
end

--- Only the head of an answer, as given: for bodies that the script sends in pieces.
function connection_methods:head(status, headers)
  return self:raw(head_of(status, headers, {}))
end

--- A chunked answer, `delay` seconds before each chunk after the first.
function connection_methods:chunked(status, headers, chunks, delay)
  local ok = self:raw(head_of(status, headers, { { "Transfer-Encoding", "chunked" } }))
  for index, chunk in ipairs(chunks) do
    if index > 1 and delay then
      self:sleep(delay)
    end
    ok = ok and self:raw(string.format("%x\r\n%s\r\n", #chunk, chunk))
  end
  return ok and self:raw("0\r\n\r\n")
end

--- Sends bytes slowly, until all are sent or the peer is gone.
function connection_methods:trickle(bytes, per_second)
  local step = math.max(1, math.floor(per_second / 50))
  for from = 1, #bytes, step do
    if not self:raw(bytes:sub(from, from + step - 1)) then
      return false
    end
    self:sleep(step / per_second)
  end
  return true
end

--- Records a request that the script has read by itself.
function connection_methods:note(request)
  request.type, request.connection, request.time = "request", self.number, cqueues.monotime()
  record(request)
end

--- Other connections go on meanwhile.
function connection_methods:sleep(seconds) -- luacheck: ignore 212/self
  cqueues.sleep(seconds)
end

--- Waits until the peer closes its side, or sends something (which is kept), or `timeout` is over. Returns whether it closed.
function connection_methods:wait_closed(timeout)
  self.answered = true
  local bytes, code = self:receive(timeout or 10)
  if bytes then
    self.buffer = self.buffer .. bytes
    return false
  end
  return code ~= errno.ETIMEDOUT
end

function connection_methods:close()
  self.answered = true
  if not self.is_closed then
    self.is_closed = true
    self.socket:close()
  end
end

--- Closes with RST instead of FIN. cqueues cannot set SO_LINGER; libuv can, on a duplicate of the descriptor, and the
--- option belongs to the socket behind both. libuv closes the duplicate at once, so its own owner closes nothing.
function connection_methods:reset()
  if not self.is_closed then
    assert(uv_found, "a reset needs luv")
    local duplicate = socket.dup(self.socket)
    local handle = uv.new_tcp()
    handle:open(duplicate:pollfd())
    handle:close_reset()
    duplicate:close()
    uv.run("nowait")
  end
  self:close()
end

--- Bytes that came, or nil and an error number (nil alone at the end).
function connection_methods:receive(timeout)
  local bytes, code = self.socket:xread(-65536, "bn", timeout)
  if code == errno.ETIMEDOUT then
    self.socket:clearerr("r")
  end
  return bytes, code
end

function connection_methods:take(length)
  while #self.buffer < length do
    local bytes = self:receive()
    if not bytes then
      return nil
    end
    self.buffer = self.buffer .. bytes
  end
  local taken = self.buffer:sub(1, length)
  self.buffer = self.buffer:sub(length + 1)
  return taken
end

--- Reads so many bytes, keeps none of them, and returns whether they came.
function connection_methods:skip(length)
  while length > #self.buffer do
    length = length - #self.buffer
    self.buffer = self:receive()
    if not self.buffer then
      self.buffer = ""
      return false
    end
  end
  self.buffer = self.buffer:sub(length + 1)
  return true
end

function connection_methods:take_until(pattern)
  local from = 1
  while true do
    local _, last = self.buffer:find(pattern, from, true)
    if last then
      return self:take(last)
    end
    from = math.max(1, #self.buffer - #pattern)
    local bytes = #self.buffer <= MAX_HEAD and self:receive()
    if not bytes then
      return nil
    end
    self.buffer = self.buffer .. bytes
  end
end

function connection_methods:read_chunked()
  local parts, total = {}, 0
  while true do
    local line = self:take_until("\r\n")
    local size = line and tonumber(line:match("^%x+"), 16)
    if not size then
      return nil
    elseif size == 0 then
      local trailer
      repeat
        trailer = self:take_until("\r\n")
      until trailer == nil or trailer == "\r\n"
      return trailer and table.concat(parts)
    end
    total = total + size
    local chunk = total <= MAX_BODY and self:take(size + 2)
    if not chunk then
      return nil
    end
    parts[#parts + 1] = chunk:sub(1, size)
  end
end

--- The next request, or nil when the peer is done, and an error message when what it sent is no request.
function connection_methods:read_request()
  local head = self:take_until("\r\n\r\n")
  if not head then
    return nil, #self.buffer > 0 and "an incomplete request head: " .. self.buffer:sub(1, 200) or nil
  end
  local method, target, version = head:match("^(%S+) (%S+) HTTP/(%d%.%d)\r\n")
  if not method then
    return nil, "a malformed request line: " .. head:sub(1, 200)
  end
  local request = {
    method = method,
    target = target,
    version = version,
    path = target:match("^[^?]*"),
    query = target:match("%?(.*)$"),
    headers = {},
    header_list = {},
    raw = head,
    connection = self.number,
    time = cqueues.monotime(),
  }
  for name, value in head:sub(head:find("\r\n", 1, true) + 2):gmatch("([^:\r\n]+):[ \t]*([^\r\n]-)[ \t]*\r\n") do
    local key = name:lower()
    request.header_list[#request.header_list + 1] = { name, value }
    request.headers[key] = request.headers[key] and request.headers[key] .. ", " .. value or value
  end
  if (request.headers.expect or ""):lower() == "100-continue" then
    self:raw("HTTP/1.1 100 Continue\r\n\r\n")
  end
  if (request.headers["transfer-encoding"] or ""):lower() == "chunked" then
    request.body = self:read_chunked()
  else
    local length = math.tointeger(tonumber(request.headers["content-length"] or "0"))
    request.body = length and length <= MAX_BODY and self:take(length)
  end
  if not request.body then
    return nil, "an incomplete request body"
  end
  return request
end

-- What to answer -----------------------------------------------------------------------------------------------------

local function answer_canned(connection, answer)
  if answer.delay then
    connection:sleep(answer.delay)
  end
  if answer.close_before then
    return connection:close()
  elseif answer.raw then
    connection:raw(answer.raw)
    return connection:close()
  elseif answer.reset and not answer.truncate then
    return connection:reset()
  end
  local body, headers = answer.body or "", {}
  for name, value in pairs(answer.headers or {}) do
    headers[name] = value
  end
  if not (headers["Content-Type"] or headers["content-type"]) then
    headers["Content-Type"] = "application/json"
  end
  if answer.truncate then
    headers["Content-Length"] = #body
    connection:head(answer.status or 200, headers)
    connection:raw(body:sub(1, answer.truncate))
    if answer.reset then
      connection:sleep(0.02) -- a reset drops what the peer has not read yet
      return connection:reset()
    end
    return connection:close()
  elseif answer.bytes_per_second then
    headers["Content-Length"] = #body
    connection:head(answer.status or 200, headers)
    connection:trickle(body, answer.bytes_per_second)
  else
    connection:respond(answer.status or 200, headers, body)
  end
  if answer.close then
    connection:close()
  end
end

local on_request, on_connection
if config.script then
  _G.args = config.args
  local ok
  ok, on_request, on_connection = pcall(assert(load(config.script, "=server script", "t")))
  if not ok then
    die(on_request)
  elseif type(on_request) ~= "function" then
    die("the script must return a function")
  end
else
  on_request = function(connection, _, n)
    answer_canned(connection, config.answers[math.min(n, #config.answers)])
  end
end

-- Serving ------------------------------------------------------------------------------------------------------------

local tls_context
if config.tls then
  local context = require("openssl.ssl.context")
  local x509 = require("openssl.x509")
  local pkey = require("openssl.pkey")
  local function contents(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read("a")
    file:close()
    return text
  end
  tls_context = context.new("TLS", true)
  tls_context:setCertificate(x509.new(contents(config.tls.certificate)))
  tls_context:setPrivateKey(pkey.new(contents(config.tls.key)))
  local alpn = config.tls.alpn
  if alpn then
    local handshakes = 0
    tls_context:setAlpnSelect(function(_, offered)
      handshakes = handshakes + 1
      local chosen = type(alpn) == "table" and alpn[math.min(handshakes, #alpn)] or alpn
      for _, protocol in ipairs(offered) do
        if protocol == chosen then
          return chosen
        end
      end
      return offered[1]
    end)
  end
end

local request_count, connection_count = 0, 0

local function serve(connection)
  if tls_context and not connection.socket:starttls(tls_context, 60) then
    return
  end
  if on_connection then
    on_connection(connection)
  end
  while not connection.is_closed do
    local request, message = connection:read_request()
    if not request then
      if message then
        record { type = "request", malformed = message, connection = connection.number, headers = {}, header_list = {} }
      end
      return
    end
    request_count = request_count + 1
    request.number = request_count
    request.type = "request"
    record(request)
    connection.answered = false
    on_request(connection, request, request_count)
    if not connection.answered then
      fail("the script answered nothing to " .. request.method .. " " .. request.target)
      return
    elseif (request.headers.connection or ""):lower() == "close" then
      return
    end
  end
end

local loop = cqueues.new()

local listener = assert(socket.listen { host = "127.0.0.1", port = config.port or 0, reuseaddr = true })
listener:onerror(return_error)
assert(listener:listen())
local _, _, port = listener:localname()

if config.accept ~= false then
  loop:wrap(function()
    while true do
      local accepted = listener:accept { nodelay = true }
      if accepted then
        accepted:onerror(return_error)
        accepted:setmode("bn", "bn")
        connection_count = connection_count + 1
        local connection =
          setmetatable({ socket = accepted, number = connection_count, buffer = "", is_closed = false }, connection_mt)
        record { type = "connection", number = connection_count }
        loop:wrap(function()
          local ok, message = xpcall(serve, debug.traceback, connection)
          if not ok then
            fail(message)
          end
          connection:close()
        end)
      end
    end
  end)
end

loop:wrap(function()
  -- Input through its descriptor: io.read would block everybody else.
  local input = socket.fdopen(0)
  input:onerror(return_error)
  input:setmode("bn", "bn")
  input:xread(1, "bn", LIFETIME)
  os.exit(0, false)
end)

record { type = "ready", port = port }
assert(loop:loop())

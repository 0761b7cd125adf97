-- HTTP over plain blocking sockets, for specs that must not use the client. Knows only what they need.

local cqueues = require("cqueues")
local errno = require("cqueues.errno")
local socket = require("cqueues.socket")

local TIMEOUT = 30

local plain_http = {}

local connection_methods = {}
local connection_mt = { __index = connection_methods }

--- Connects to a port of 127.0.0.1.
---@param port integer
function plain_http.connect(port)
  local connected = socket.connect("127.0.0.1", port)
  connected:onerror(function(_, _, code)
    return code
  end)
  connected:setmode("bn", "bn")
  connected:settimeout(TIMEOUT)
  assert(connected:connect(TIMEOUT))
  return setmetatable({ socket = connected, buffer = "" }, connection_mt)
end

function connection_methods:send(bytes)
  return self.socket:xwrite(bytes, "bn")
end

-- Reads more; false and the name of the error (nil at an ordinary end).
function connection_methods:fill()
  local bytes, code = self.socket:xread(-65536, "bn")
  if not bytes then
    return false, code and errno[code]
  end
  self.buffer = self.buffer .. bytes
  return true
end

--- Everything until the peer closes, and the name of the error that ended it, if one did.
function connection_methods:read_all()
  local more, reason
  repeat
    more, reason = self:fill()
  until not more
  return self.buffer, reason
end

--- Reads one answer: `{ status, headers, body, head }`; or nil, the name of the error ("end" for an ordinary close), and
--- what came until then.
function connection_methods:receive()
  local head, rest
  repeat
    head, rest = self.buffer:match("^(.-\r\n\r\n)(.*)$")
    if not head then
      local more, reason = self:fill()
      if not more then
        return nil, reason or "end", self.buffer
      end
    end
  until head
  local answer = { status = tonumber(head:match("^HTTP/1%.1 (%d%d%d) "), 10), headers = {}, head = head }
  for name, value in head:gmatch("\r\n([^:\r\n]+): ([^\r\n]*)") do
    answer.headers[name:lower()] = value
  end
  local length = tonumber(answer.headers["content-length"] or "0", 10)
  while #rest < length do
    self.buffer = ""
    local more, reason = self:fill()
    if not more then
      return nil, reason or "end", head .. rest
    end
    rest = rest .. self.buffer
  end
  answer.body = rest:sub(1, length)
  self.buffer = rest:sub(length + 1)
  return answer
end

--- Sends a request and reads the answer. `headers` are `{ name = value }`; Authorization is there unless it is false.
function connection_methods:request(method, target, body, headers)
  local lines = { string.format("%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n", method, target) }
  headers = headers or {}
  if headers.Authorization == nil then
    lines[#lines + 1] = "Authorization: Bearer llx-test\r\n"
  end
  for name, value in pairs(headers) do
    if value then
      lines[#lines + 1] = string.format("%s: %s\r\n", name, value)
    end
  end
  if body then
    lines[#lines + 1] = headers["Content-Type"] and "" or "Content-Type: application/json\r\n"
    lines[#lines + 1] = string.format("Content-Length: %d\r\n", #body)
  end
  self:send(table.concat(lines) .. "\r\n" .. (body or ""))
  return self:receive()
end

--- Waits for the end of the process at the other end, which sends nothing more, and closes the connection; false if it goes
--- on. To connect again would tell less: its port may be another's by now.
---@return boolean
function connection_methods:has_ended()
  local bytes, reason = self:read_all()
  self:close()
  return bytes == "" and (reason == nil or reason == "ECONNRESET")
end

function connection_methods:close()
  self.socket:close()
end

--- One request on a connection of its own.
function plain_http.request(port, method, target, body, headers)
  local connection = plain_http.connect(port)
  local answer, reason, partial = connection:request(method, target, body, headers)
  connection:close()
  return answer, reason, partial
end

plain_http.now = cqueues.monotime

--- A form as its bytes, for `request`: the body and its headers. A part is `{ name, bytes }`, or with a `filename` and
--- perhaps a `type` for a file.
---@param parts table[]
---@return string body
---@return table headers
function plain_http.form(parts)
  local pieces = {}
  for index, part in ipairs(parts) do
    local filename = part.filename and '; filename="' .. part.filename .. '"' or ""
    local kind = part.type and "Content-Type: " .. part.type .. "\r\n" or ""
    pieces[index] = string.format(
      '--form-boundary\r\nContent-Disposition: form-data; name="%s"%s\r\n%s\r\n%s\r\n',
      part[1],
      filename,
      kind,
      part[2]
    )
  end
  local headers = { ["Content-Type"] = "multipart/form-data; boundary=form-boundary" }
  return table.concat(pieces) .. "--form-boundary--\r\n", headers
end

--- How much longer things may take: scripts/spec sets it for specs that run under a slow tool.
plain_http.slowdown = tonumber(os.getenv("LLAMA_CLOUD_TEST_SLOWDOWN")) or 1

return plain_http

-- HTTP/2 for servers of spec/support/server.lua, frame by frame (RFC 9113), so that a spec can break any rule of it.
--
--   server.start([[
--     return require("spec.support.http2").serve(function(stream, n) stream:respond(200, "{}") end, { max_streams = 1 })
--   ]], { tls = { certificate = …, key = …, alpn = "h2" } })
--
-- The function is called for each request when it is there whole, n counts those of all connections. What the request's
-- headers say is compressed and not looked at: specs tell requests apart by their bodies, which s:requests() has. `alpn`
-- may be a list, of what the first connection speaks, the second, …; HTTP/1.1 is answered with {"version":1}.

local cqueues = require("cqueues")

local http2 = {}

http2.DATA, http2.HEADERS, http2.RST_STREAM, http2.SETTINGS, http2.PING, http2.GOAWAY = 0, 1, 3, 4, 6, 7
http2.NO_ERROR, http2.INTERNAL_ERROR, http2.REFUSED_STREAM, http2.CANCEL = 0, 2, 7, 8
http2.ENHANCE_YOUR_CALM, http2.HTTP_1_1_REQUIRED = 11, 13

local ACK, END_STREAM, END_HEADERS, PADDED = 1, 1, 4, 8
local PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

--- Sends one frame.
function http2.send(connection, kind, flags, stream, payload)
  return connection:raw(string.pack(">I3I1I1I4", #payload, kind, flags, stream) .. payload)
end

--- Says that no stream above `last` was, or will be, processed.
function http2.goaway(connection, last, code)
  return http2.send(connection, http2.GOAWAY, 0, 0, string.pack(">I4I4", last, code or http2.NO_ERROR))
end

-- A header as a literal that is not to be remembered, without Huffman's code (RFC 7541 section 6.2.2).
local function literal(name, value)
  assert(#name < 127 and #value < 127)
  return string.char(0, #name) .. name .. string.char(#value) .. value
end

local stream_methods = {}
local stream_mt = { __index = stream_methods }

--- Answers; `more` are headers.
function stream_methods:respond(status, body, more)
  local block = { literal(":status", tostring(status)), literal("content-type", "application/json") }
  for name, value in pairs(more or {}) do
    block[#block + 1] = literal(name, value)
  end
  http2.send(self.connection, http2.HEADERS, END_HEADERS, self.id, table.concat(block))
  return http2.send(self.connection, http2.DATA, END_STREAM, self.id, body)
end

--- Only the headers of an answer.
function stream_methods:head(status)
  return http2.send(self.connection, http2.HEADERS, END_HEADERS, self.id, literal(":status", tostring(status)))
end

function stream_methods:reset(code)
  return http2.send(self.connection, http2.RST_STREAM, 0, self.id, string.pack(">I4", code))
end

function stream_methods:goaway(last, code)
  return http2.goaway(self.connection, last, code)
end

--- Ends the connection from this side.
function stream_methods:close()
  if not self.connection.is_closed then
    self.connection.socket:shutdown("rw")
  end
end

-- Reads frames until the peer is gone or the connection closed.
local function read_frames(connection, on_frame)
  while not connection.is_closed do
    local ok, head = pcall(connection.take, connection, 9) -- which a script may have closed meanwhile
    if not ok or not head then
      return
    end
    local length, kind, flags, id = string.unpack(">I3I1I1I4", head)
    local payload = connection:take(length)
    if not payload then
      return
    end
    on_frame(kind, flags, id & 0x7fffffff, payload)
  end
end

--- What a script returns. Options: `max_streams` (100), the bound on concurrent streams that is told to the client.
---@param on_request fun(stream: table, n: integer)
---@param options? { max_streams?: integer }
function http2.serve(on_request, options)
  local requests = 0
  local function on_connection(connection)
    local preface = connection:take(#PREFACE)
    if preface ~= PREFACE then
      connection.buffer = (preface or "") .. connection.buffer -- HTTP/1.1
      return
    end
    local streams = {}
    http2.send(connection, http2.SETTINGS, 0, 0, string.pack(">I2I4", 3, options and options.max_streams or 100))
    local function finish(stream)
      requests = requests + 1
      stream.body, stream.n = table.concat(stream.parts), requests
      connection:note { method = "?", target = "?", headers = {}, body = stream.body, stream = stream.id }
      cqueues.running():wrap(function()
        on_request(stream, stream.n)
      end)
    end
    read_frames(connection, function(kind, flags, id, payload)
      if connection.silent then
        return
      elseif kind == http2.SETTINGS and flags & ACK == 0 then
        http2.send(connection, http2.SETTINGS, ACK, 0, "")
      elseif kind == http2.PING and flags & ACK == 0 then
        http2.send(connection, http2.PING, ACK, 0, payload)
      elseif kind == http2.HEADERS then
        streams[id] = setmetatable({ id = id, connection = connection, parts = {} }, stream_mt)
      elseif kind == http2.DATA then
        assert(flags & PADDED == 0)
        table.insert(streams[id].parts, payload)
      end
      if (kind == http2.HEADERS or kind == http2.DATA) and flags & END_STREAM ~= 0 then
        finish(streams[id])
      end
    end)
    connection:close()
  end
  return function(connection)
    connection:json(200, '{"version":1}')
  end, on_connection
end

return http2

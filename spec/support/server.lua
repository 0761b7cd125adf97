-- A recording, scriptable HTTP server in a child process: the client under test blocks the process of the spec.
--
--   local server = require("spec.support.server")
--   local s = server.start({ { status = 200, body = "{}" } })               -- canned answers in order, the last repeats
--   local s = server.start([[ return function(connection, request, n) connection:json(200, "{}") end ]])
--   s:url(), s.port, s:requests(), s:count(), s:connections(), s:stop()
--
-- Nothing here uses cqueues or yields, so that it works inside any event loop that a spec sets up.

local serial = require("spec.support.serial")

local START_TIMEOUT = 60

local server = {}

local server_methods = {}
local server_mt = { __name = "spec.server", __index = server_methods }

-- busted depends on lua-system; without it the wait for the child is a short busy loop.
local system_found, system = pcall(require, "system")
local function pause(seconds)
  if system_found then
    system.sleep(seconds)
  end
end

local function shell_quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- The command that runs a Lua script of this checkout in a clean environment: sanitizers and shims that the
--- spec's own process runs under must not reach the child.
---@param script string
---@param arguments string[]
---@return string
function server.command(script, arguments)
  local words = { "exec env" }
  for _, name in ipairs {
    "LD_PRELOAD",
    "ASAN_OPTIONS",
    "LSAN_OPTIONS",
    "UBSAN_OPTIONS",
    "TSAN_OPTIONS",
    "LUA_INIT",
    "LUA_INIT_5_4",
    "LUA_INIT_5_5",
    "LUA_PATH_5_4",
    "LUA_PATH_5_5",
    "LUA_CPATH_5_4",
    "LUA_CPATH_5_5",
  } do
    words[#words + 1] = "-u " .. name
  end
  words[#words + 1] = "LUA_PATH=" .. shell_quote(package.path)
  words[#words + 1] = "LUA_CPATH=" .. shell_quote(package.cpath)
  -- LUA may be a harness around the interpreter that the spec runs in; the child needs a plain one.
  words[#words + 1] = shell_quote((os.getenv("LUA") or ""):match("^.*lua[%d.]*$") or "lua" .. _VERSION:match("[%d.]+"))
  words[#words + 1] = shell_quote(script)
  for _, argument in ipairs(arguments) do
    words[#words + 1] = shell_quote(argument)
  end
  return table.concat(words, " ")
end

--- Where a file of spec/support lies, whatever the current directory is.
---@param name string
---@return string
function server.support_file(name)
  local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
  return here .. "/" .. name
end

--- Calls `probe` until it returns something, for at most START_TIMEOUT seconds.
---@generic T
---@param probe fun(): T?
---@param what string
---@return T
function server.wait_for(probe, what)
  local deadline = os.time() + START_TIMEOUT
  repeat
    local found = probe()
    if found then
      return found
    end
    pause(0.001)
  until os.time() > deadline
  error("timed out waiting for " .. what, 2)
end

--- Starts a server. `behaviour` is Lua source that returns `function(connection, request, n)` (and, as a second value,
--- `function(connection)` for new connections), or an array of canned answers. `options`, which may also stand in the
--- hash part of the array: `port` (default: any free one), `tls = { certificate = path, key = path, alpn = "h2" or nil }`, `args` (any plain
--- value; the script sees it as the global `args`), `accept = false` (connections stay in the backlog).
--- A canned answer: `{ status = 200, body = "", headers = { ["Retry-After"] = "1" }, delay = seconds }`, where one of these
--- may stand instead of or beside it: `close_before = true` (no byte of an answer), `truncate = n` (n bytes of the body, then
--- close), `reset = true` (RST, after what `truncate` lets through), `raw = "bytes"` (then close), `close = true` (close afterwards),
--- `bytes_per_second = n` (the body trickles).
---@param behaviour string|table
---@param options? table
---@return table server
function server.start(behaviour, options)
  local config = {}
  for key, value in pairs(options or {}) do
    config[key] = value
  end
  if type(behaviour) == "string" then
    config.script = behaviour
    local chunk, message = load(behaviour, "=server script", "t")
    if not chunk then
      error(message, 2)
    end
  else
    config.answers = {}
    for key, value in pairs(behaviour) do
      if math.type(key) == "integer" then
        config.answers[key] = value
      else
        config[key] = value
      end
    end
    assert(#config.answers > 0, "no answers given")
  end
  local log_path = os.tmpname()
  local input = assert(io.popen(server.command(server.support_file("serve.lua"), { log_path }), "w"))
  input:write(serial.encode(config), "\n")
  input:flush()
  local self = setmetatable({
    input = input,
    log_path = log_path,
    log = assert(io.open(log_path, "rb")),
    partial = "",
    recorded = {},
    connection_count = 0,
    errors = {},
    scheme = config.tls and "https" or "http",
    host = config.tls and "localhost" or "127.0.0.1",
  }, server_mt)
  local started, message = pcall(server.wait_for, function()
    self:update()
    return self.port or self.errors[1]
  end, "the server to start")
  if not started or not self.port then
    local reason = self.errors[1] or message
    self.errors = {}
    self:stop()
    error("the server did not start: " .. tostring(reason), 2)
  end
  self:forget_path()
  return self
end

-- Both sides have the file open; without a name it goes with them, however they end.
function server_methods:forget_path()
  if self.log_path then
    os.remove(self.log_path)
    self.log_path = nil
  end
end

--- Reads what the child has recorded since the last time. The child flushes a record before it answers.
function server_methods:update()
  if not self.log then
    return
  end
  self.log:seek("cur", 0) -- clears the end of file that stdio remembers
  local text = self.partial .. (self.log:read("a") or "")
  local from = 1
  for line, next_from in text:gmatch("([^\n]*)\n()") do
    from = next_from
    local record = serial.decode(line)
    if record.type == "request" then
      record.type = nil
      self.recorded[#self.recorded + 1] = record
    elseif record.type == "connection" then
      self.connection_count = self.connection_count + 1
    elseif record.type == "ready" then
      self.port, self.pid = record.port, record.pid
    elseif record.type == "error" then
      self.errors[#self.errors + 1] = record.message
    end
  end
  self.partial = text:sub(from)
end

--- `http://127.0.0.1:PORT` (`https://localhost:PORT` with TLS), followed by `path`.
---@param path? string
---@return string
function server_methods:url(path)
  return string.format("%s://%s:%d%s", self.scheme, self.host, self.port, path or "")
end

--- Every request so far, in order: `method target path query headers header_list version body connection number raw time`.
--- `path` is still escaped; `query` is the raw text or nil; names in `headers` are lower-case, repeated ones joined by ", ";
--- `header_list` holds `{ name, value }` as sent; `raw` is the head as bytes; `time` is monotonic seconds.
---@return table[]
function server_methods:requests()
  self:update()
  return self.recorded
end

--- How many requests came so far.
---@return integer
function server_methods:count()
  self:update()
  return #self.recorded
end

--- How many connections were accepted so far.
---@return integer
function server_methods:connections()
  self:update()
  return self.connection_count
end

--- Waits until `count` requests have been recorded (at most 10 s): for what the client does not wait for.
---@param count integer
---@return table[] requests
function server_methods:wait_for_requests(count)
  server.wait_for(function()
    return self:count() >= count
  end, count .. " requests")
  return self.recorded
end

--- Ends the child and reaps it; calling it again does nothing. Raises the first error of the script, if there was one.
function server_methods:stop()
  if not self.input then
    return
  end
  self.input:close() -- the child ends at the end of its input; close waits for that
  self.input = nil
  self:update()
  self.log:close()
  self.log = nil
  self:forget_path()
  if self.errors[1] then
    error("in the server: " .. self.errors[1], 2)
  end
end

server_mt.__gc = function(self)
  pcall(server_methods.stop, self)
end
server_mt.__close = server_methods.stop

return server

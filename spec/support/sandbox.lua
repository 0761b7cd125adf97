-- The sandbox in a child process: the client under test blocks the process of the spec.
--
--   local s = require("spec.support.sandbox").start({ batches = 250, speed = 100, faults = { "GET *: 503 x1" } })
--   s:url(), s.port, s:stats(), s:requests(), s:fault(rule), s:clear_faults(), s:advance(seconds), s:stop()
--
-- As in spec/support/server.lua, nothing here uses cqueues or yields: what is asked goes through the child's standard input
-- to the same code that answers the control routes.

local cjson = require("cjson")

local serial = require("spec.support.serial")
local server = require("spec.support.server")

local sandbox = {}

local sandbox_methods = {}
local sandbox_mt = { __name = "spec.sandbox", __index = sandbox_methods }

-- The next line of the child's file.
local function read_reply(self)
  local reply = server.wait_for(function()
    self.file:seek("cur", 0) -- clears the end of file that stdio remembers
    self.partial = self.partial .. (self.file:read("a") or "")
    local line, rest = self.partial:match("^([^\n]*)\n(.*)$")
    if line then
      self.partial = rest
    end
    return line
  end, "the sandbox")
  return serial.decode(reply)
end

--- Starts a sandbox; `options` are those of `sandbox.new`. Raises what that raises.
---@param options? llama_cloud.sandbox.options
---@return table
function sandbox.start(options)
  local path = os.tmpname()
  -- Thousands of connections need more descriptors than the usual soft limit.
  local command = "ulimit -n $(ulimit -Hn); " .. server.command(server.support_file("serve_sandbox.lua"), { path })
  local input = assert(io.popen(command, "w"))
  local self = setmetatable({ input = input, file = assert(io.open(path, "rb")), partial = "" }, sandbox_mt)
  input:write(serial.encode(options or {}), "\n")
  input:flush()
  local ok, reply = pcall(read_reply, self)
  os.remove(path) -- both sides have it open; without a name it goes with them, however they end
  if not ok or reply.error then
    self:stop()
    error(ok and reply.error or reply, 2)
  end
  self.port = reply.port
  return self
end

--- Asks a control route. Returns what it answered, decoded, and the status.
---@param method string
---@param path string such as "/stats"
---@param body? table
---@return any
---@return integer status
function sandbox_methods:control(method, path, body)
  local route, query = path:match("^([^?]*)%??(.*)$")
  self.input:write(
    serial.encode {
      method = method,
      path = route,
      query_string = query ~= "" and query or nil,
      headers = {},
      body_text = body and cjson.encode(body) or "",
    },
    "\n"
  )
  self.input:flush()
  local response = read_reply(self).response
  local value = response.body ~= "" and cjson.decode(response.body) or nil
  if response.status >= 400 then
    error(string.format("%s %s: %s", method, path, value and value.detail or response.status), 2)
  end
  return value, response.status
end

---@param path? string
---@return string
function sandbox_methods:url(path)
  return string.format("http://127.0.0.1:%d%s", self.port, path or "")
end

--- `requests`, `connections`, and counts by `routes` ("GET /api/v2/batches/{batch_id}") and by `statuses` ("200", "reset").
---@return table
function sandbox_methods:stats()
  return self:control("GET", "/stats")
end

--- The last 1,000 requests: method, path, query, headers, body_length, status, request_id, time.
---@return table[]
function sandbox_methods:requests()
  return self:control("GET", "/requests").requests
end

--- What was uploaded: `total`, `bytes`, how often `by_unique_id` and `by_sha256`; `files` and `bytes_kept` now; `directories`
--- `created`, `deleted` and `left`.
---@return table
function sandbox_methods:uploads()
  return self:control("GET", "/uploads")
end

--- Forgets what was counted and logged so far.
function sandbox_methods:clear_stats()
  self:control("DELETE", "/stats")
end

--- Adds a misbehaviour, such as "POST /api/v2/batches: close processed x1". Returns its id.
---@param rule string
---@return integer
function sandbox_methods:fault(rule)
  return math.tointeger(self:control("POST", "/faults", { fault = rule }).faults[1].id)
end

--- The misbehaviours, with how often each was `seen` and how often it `hits`.
---@return table[]
function sandbox_methods:faults()
  return self:control("GET", "/faults").faults
end

function sandbox_methods:clear_faults()
  self:control("DELETE", "/faults")
end

--- Sets the sandbox's clock forward.
---@param seconds number
function sandbox_methods:advance(seconds)
  self:control("POST", "/time", { advance = seconds })
end

--- Ends the child and reaps it; calling it again does nothing.
function sandbox_methods:stop()
  if self.input then
    self.input:close() -- the child ends at the end of its input; close waits for that
    self.input = nil
    self.file:close()
  end
end

sandbox_mt.__gc = sandbox_methods.stop
sandbox_mt.__close = sandbox_methods.stop

return sandbox

-- A sandbox in a process of its own, for programs that block or have an event loop of another kind. What is asked of it goes
-- there and back through two pipes, as JSON (child.lua), by Lua's own `io`: so it works in every coroutine, is no connection
-- that the sandbox counts, and no fault delays it.

local json = require("llama_cloud.sandbox.json")
local options_module = require("llama_cloud.sandbox.options")

local service = {}

---@class llama_cloud.sandbox.service a sandbox in a process of its own; it ends when it is closed, and with its program
---@field private commands? file* what the process reads; nil when it has ended
---@field private answers file* what it writes
---@field private owner? string the id of the process that has started it
---@field private address string
---@field private bound_port integer
local service_methods = {}
local service_mt = { __name = "llama_cloud.sandbox.service", __index = service_methods }

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- The program that runs this, where it is a Lua interpreter: then `arg` has its name before everything else.
local function interpreter()
  local arguments, index = rawget(_G, "arg"), 0
  while type(arguments) == "table" and arguments[index - 1] do
    index = index - 1
  end
  return index < 0 and arguments[index] or "lua" .. _VERSION:match("[%d.]+")
end

-- The id of this process; nil where it cannot be told.
local function process_id()
  local file = io.open("/proc/self/stat")
  if not file then
    return nil
  end
  local id = file:read("a"):match("^%d+")
  file:close()
  return id
end

-- Starts a process whose standard input is the pipe at a path. Two files: what it reads, and what it writes; or nil, and why
-- not.
local function spawn(lua, path)
  local chunk = ("package.path, package.cpath = %q, %q; require('llama_cloud.sandbox.child')"):format(
    package.path,
    package.cpath
  )
  -- Thousands of connections need more descriptors than the usual soft limit. Nothing of the environment is to speak here.
  local start = 'ulimit -n "$(ulimit -Hn)" 2>/dev/null; exec %s -E -e %s <%s'
  local answers, message = io.popen(start:format(quote(lua), quote(chunk), quote(path)))
  if not answers then
    return nil, message
  end
  -- Open for reading as well, writing raises no SIGPIPE when the process is gone. It is opened after the process was started,
  -- which else would have inherited it and never see its end.
  local commands
  commands, message = io.open(path, "r+")
  if not commands then
    os.execute(": <>" .. quote(path)) -- the process waits for somebody to open it
    answers:close()
    return nil, message
  end
  return commands, answers
end

-- Bytes that every pipe holds, so that writing them never waits: the process may be gone, and nobody read them.
local PIECE = 4000

-- Sends a value, piece by piece, and returns the answer; nil if the process has ended.
local function exchange(self, value)
  local text = json.encode(value)
  local line
  for from = 1, #text, PIECE do
    local last = from + PIECE > #text
    self.commands:write(last and "." or "+", text:sub(from, from + PIECE - 1), "\n")
    self.commands:flush()
    line = self.answers:read("l")
    if not line then
      return nil
    end
  end
  return json.plain(json.decode(line))
end

--- Starts a sandbox in a process of its own.
---@param given? llama_cloud.sandbox.options but `log`; `lua` is the interpreter, by default the one that runs this program
---@return llama_cloud.sandbox.service? started nil where it cannot be
---@return string? message
function service.start(given)
  local options = {}
  for name, value in pairs(given or {}) do
    options[name] = value
  end
  local lua = options.lua or interpreter()
  options.lua = nil
  local valid, checked = pcall(options_module.checked, options)
  if not valid then
    return nil, checked
  elseif type(lua) ~= "string" then
    return nil, "option 'lua' must be a string"
  elseif checked.log then
    return nil, "option 'log' is not for a sandbox in another process: service:requests() tells what it was asked"
  end
  checked.faults = json.array { table.unpack(checked.faults) }

  local path = os.tmpname()
  os.remove(path)
  if not os.execute("mkfifo -m 600 " .. quote(path)) then
    return nil, "the sandbox cannot be started: there is no pipe at " .. path
  end
  local commands, answers = spawn(lua, path)
  local self, reply
  if commands then
    self = setmetatable({ commands = commands, answers = answers, owner = process_id() }, service_mt)
    reply = exchange(self, checked)
  end
  os.remove(path)
  if not commands then
    return nil, "the sandbox cannot be started: " .. tostring(answers)
  elseif not reply then
    self:close()
    return nil, ("the sandbox cannot be started with %s, which has said why"):format(lua)
  elseif reply.error then
    self:close()
    return nil, reply.error
  end
  self.address, self.bound_port = reply.url, reply.port
  return self
end

-- Asks a control route (control.lua). Raises its refusal at the caller of the method.
local function ask(self, method, path, body, query)
  if not self.commands then
    error("the sandbox has been closed", 3)
  end
  local answer = exchange(self, { method = method, path = path, query = query, body = body })
  if not answer then
    self:close()
    error("the sandbox has ended by itself", 3)
  end
  local value = answer.body ~= "" and json.plain(json.decode(answer.body)) or nil
  if answer.status >= 400 then
    error(value.detail, 3)
  end
  return value
end

--- Its base URL, such as `http://127.0.0.1:43211`.
---@return string
function service_methods:url()
  return self.address
end

--- The port that it listens on.
---@return integer
function service_methods:port()
  return self.bound_port
end

--- The last requests, oldest first, at most 1,000: `method`, `path`, `query`, `headers`, `body`, `body_length`, `parts` (of a
--- form), `status`, `request_id`, `time`. Of a body that is longer than 16 KiB, or not UTF-8, only the length is
--- known.
---@param limit? integer
---@return table[]
function service_methods:requests(limit)
  return ask(self, "GET", "/requests", nil, limit and "limit=" .. tostring(limit)).requests
end

--- What was asked so far: `requests`, `connections`, counts by `routes` ("GET /api/v2/batches/{batch_id}") and by `statuses`
--- ("200", "reset").
---@return table
function service_methods:stats()
  return ask(self, "GET", "/stats")
end

--- What was uploaded: `total`, `bytes`, how often `by_unique_id` and `by_sha256`; `files` and `bytes_kept` now; `directories`
--- `created`, `deleted` and `left`.
---@return table
function service_methods:uploads()
  return ask(self, "GET", "/uploads")
end

--- The last deliveries of webhooks: `event_id`, `event_type`, `url`, `attempts`, `status`, `error`.
---@return table[]
function service_methods:webhooks()
  return ask(self, "GET", "/webhooks").webhooks
end

--- Forgets what it was asked and what was uploaded so far; batches, jobs and files stay.
function service_methods:forget()
  ask(self, "DELETE", "/stats")
  ask(self, "DELETE", "/uploads")
end

--- Adds a misbehaviour, such as "POST /api/v2/batches: close processed x1"; raises if the text is none.
---@param rule string
---@return integer id
function service_methods:add_fault(rule)
  return ask(self, "POST", "/faults", { fault = rule }).faults[1].id
end

--- The misbehaviours: `id`, `fault`, how many requests each has `seen`, and how often it `hits`.
---@return table[]
function service_methods:faults()
  return ask(self, "GET", "/faults").faults
end

--- Removes one misbehaviour, or all; raises if there is none of this id.
---@param id? integer
function service_methods:clear_faults(id)
  ask(self, "DELETE", id and "/faults/" .. tostring(id) or "/faults")
end

--- Sets its clock forward; batches and jobs are then as if this time had passed.
---@param seconds number
function service_methods:advance(seconds)
  ask(self, "POST", "/time", { advance = seconds })
end

--- Ends the process and waits for its end. Calling it again does nothing, nor does it after a fork in the child.
function service_methods:close()
  local commands = self.commands
  if commands then
    self.commands = nil
    local id = process_id()
    if not id or id == self.owner then
      commands:write("\n") -- that it is over: other processes may have inherited the pipe, and hold it open
    end
    commands:close()
    self.answers:close()
  end
end

service_mt.__close = service_methods.close
service_mt.__gc = service_methods.close

return service

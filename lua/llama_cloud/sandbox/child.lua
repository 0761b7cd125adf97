-- The process of a sandbox that service.lua has started. What it reads is JSON, in lines that begin with "+", each of which
-- is answered by an empty one, and a last one that begins with ".", which is answered by a line of JSON: first the options of
-- the sandbox, then requests for control routes. An empty line, or the end of the input, ends it: so it goes with the program
-- that has started it, however that ends.

local cqueues = require("llama_cloud.sandbox.library")("cqueues")
local signal = require("cqueues.signal")
local socket = require("cqueues.socket")

local control = require("llama_cloud.sandbox.control")
local json = require("llama_cloud.sandbox.json")
local sandbox = require("llama_cloud.sandbox")

-- What the terminal sends to all processes in it is for the program, which may go on.
signal.block(signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)

local function say(line)
  io.stdout:write(line, "\n")
  io.stdout:flush()
end

local function reply(value)
  say(json.encode(value))
end

-- The next value that is read. Ends the process when it is over.
local function receive(read_line)
  local pieces = {}
  while true do
    local line = read_line()
    if not line or line == "" then
      os.exit(0, false)
    end
    pieces[#pieces + 1] = line:sub(2)
    if line:sub(1, 1) == "." then
      return json.decode(table.concat(pieces))
    end
    say("")
  end
end

-- Answers a request for a control route.
local function answer(service, asked)
  local response = control.answer(service, {
    method = asked.method,
    path = control.PREFIX .. asked.path,
    query_string = asked.query,
    body_text = asked.body and json.encode(asked.body) or "",
  })
  reply { status = response.status, body = response.body }
end

-- Reads through the descriptor, for io.read would hold up everybody else.
local function serve(service)
  local input = socket.fdopen(0)
  input:onerror(function(_, _, code)
    return code
  end)
  input:setmode("bn", "bn")
  local function read_line()
    return (input:xread("*l", "bn"))
  end
  while true do
    answer(service, receive(read_line))
  end
end

-- The id of the program that has started this process; nil where it cannot be told.
local function parent()
  local file = io.open("/proc/self/stat")
  local id = file and file:read("a"):match("^.*%) %a (%d+)")
  if file then
    file:close()
  end
  return id
end

-- Ends the process when the program was killed: others that the program has started may hold the pipe open.
local function watch(program)
  repeat
    cqueues.sleep(0.5)
  until (parent() or program) ~= program
  os.exit(0, false)
end

local program = parent()
local ok, service = pcall(sandbox.new, json.plain(receive(io.read)))
if not ok then
  reply { error = service }
  os.exit(1, false)
end
local controller = cqueues.new()
service:attach(controller)
controller:wrap(serve, service)
if program then
  controller:wrap(watch, program)
end
reply { url = service:url(), port = service:port() }
assert(controller:loop())

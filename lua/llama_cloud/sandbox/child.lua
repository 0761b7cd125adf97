-- The process of a sandbox that service.lua has started. Each line of its standard input is JSON and is answered by one on
-- standard output: the first has the options of the sandbox, all others are requests for control routes. An empty line, or
-- the end of the input, ends it: so it goes with the program that has started it, however that ends.

local cqueues = require("llama_cloud.sandbox.library")("cqueues")
local signal = require("cqueues.signal")
local socket = require("cqueues.socket")

local control = require("llama_cloud.sandbox.control")
local json = require("llama_cloud.sandbox.json")
local sandbox = require("llama_cloud.sandbox")

-- A control request may bring the body of a fault along.
local LONGEST = 64 << 20

-- What the terminal sends to all processes in it is for the program, which may go on.
signal.block(signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)

local function reply(value)
  io.stdout:write(json.encode(value), "\n")
  io.stdout:flush()
end

-- Answers a request for a control route.
local function answer(service, line)
  local asked = json.decode(line)
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
  input:setmaxline(LONGEST)
  while true do
    local line = input:xread("*l", "bn")
    if not line or line == "" then
      os.exit(0, false)
    end
    answer(service, line)
  end
end

local given = io.read("l")
if not given then
  os.exit(0, false)
end
local ok, service = pcall(sandbox.new, json.plain(json.decode(given)))
if not ok then
  reply { error = service }
  os.exit(1, false)
end
local controller = cqueues.new()
service:attach(controller)
controller:wrap(serve, service)
reply { url = service:url(), port = service:port() }
assert(controller:loop())

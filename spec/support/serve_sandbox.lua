-- The child process of spec/support/sandbox.lua. Its argument is the file to write in; the first line of its standard input
-- is the options of `sandbox.new`, every other one a request for a control route, answered by a line in the file. It ends
-- when its input ends.

local cqueues = require("cqueues")
local socket = require("cqueues.socket")

local control = require("llama_cloud.sandbox.control")
local sandbox = require("llama_cloud.sandbox")
local serial = require("spec.support.serial")

local LIFETIME = 600

local file = assert(io.open(assert(arg[1], "serve_sandbox.lua needs the file to write in"), "wb"))

local function reply(value)
  file:write(serial.encode(value), "\n")
  file:flush()
end

local ok, service = pcall(sandbox.new, serial.decode(assert(io.read("l"))))
if not ok then
  reply { error = service }
  os.exit(1, false)
end

local controller = cqueues.new()
service:attach(controller)

local deadline = cqueues.monotime() + LIFETIME
controller:wrap(function()
  -- Input through its descriptor: io.read would block everybody else.
  local input = socket.fdopen(0)
  input:onerror(function(_, _, code)
    return code
  end)
  input:setmode("bn", "bn")
  input:setmaxline(1 << 20)
  while true do
    local line = input:xread("*l", "bn", deadline - cqueues.monotime())
    if not line then
      os.exit(0, false)
    end
    local request = serial.decode(line)
    request.path = control.PREFIX .. request.path
    reply { response = control.answer(service, request) }
  end
end)

reply { port = service:port() }
assert(controller:loop())

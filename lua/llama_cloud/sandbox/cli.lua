-- The command line of bin/llama-cloud-sandbox.

local cqueues = require("llama_cloud.sandbox.library")("cqueues")
local signal = require("cqueues.signal")
local socket = require("cqueues.socket")

local sandbox = require("llama_cloud.sandbox")

local cli = {}

local USAGE = [[
usage: llama-cloud-sandbox [options]

A local service with the batch endpoints of LlamaCloud. Its first line of output
says where it listens; SIGINT or SIGTERM ends it.

  --host HOST         address to listen on (127.0.0.1)
  --port PORT         port to listen on (0: any free one)
  --batches N         v2 batches that are there at the start (250)
  --jobs N            v1 batch jobs that are there at the start (100)
  --seed N            what all made-up data follows from (1)
  --speed X           how many times faster batches are processed (1)
  --api-key KEY       the only key that is accepted (any)
  --total-size        lists of v2 batches tell their total_size
  --fault RULE        misbehave, for example 'GET /api/v2/batches: 503 x2';
                      may be repeated
  --exit-with-stdin   end when standard input ends
  --quiet             no line on standard error for each request
  --help              this text
]]

-- option -> name in the options of sandbox.new, how to read its value
local VALUED = {
  ["--host"] = { "host", tostring },
  ["--port"] = { "port", math.tointeger },
  ["--batches"] = { "batches", math.tointeger },
  ["--jobs"] = { "jobs", math.tointeger },
  ["--seed"] = { "seed", math.tointeger },
  ["--speed"] = { "speed", tonumber },
  ["--api-key"] = { "api_key", tostring },
}

--- Reads arguments. Returns the options of `sandbox.new` and those of the program, or nil and a message.
---@param arguments string[]
---@return llama_cloud.sandbox.options?
---@return { quiet?: boolean, help?: boolean, exit_with_stdin?: boolean }|string
function cli.parse(arguments)
  local options, program = { faults = {} }, {}
  local index = 1
  local function value_of(name, given)
    if given then
      return given
    end
    index = index + 1
    return arguments[index] or error(name .. " needs a value", 0)
  end
  local function take(argument)
    local name, given = argument:match("^(%-%-[%w-]+)=(.*)$")
    name = name or argument
    local valued = VALUED[name]
    if valued then
      local text = value_of(name, given)
      local value = valued[2](valued[2] == math.tointeger and tonumber(text) or text)
      if value == nil then
        error(string.format("%s: '%s' is not a number it can use", name, text), 0)
      end
      options[valued[1]] = value
    elseif name == "--fault" then
      table.insert(options.faults, value_of(name, given))
    elseif given then
      error("unknown option '" .. argument .. "'", 0)
    elseif name == "--total-size" then
      options.total_size = true
    elseif name == "--exit-with-stdin" then
      program.exit_with_stdin = true
    elseif name == "--quiet" then
      program.quiet = true
    elseif name == "--help" or name == "-h" then
      program.help = true
    else
      error("unknown option '" .. argument .. "'", 0)
    end
  end
  while index <= #arguments do
    local ok, message = pcall(take, arguments[index])
    if not ok then
      return nil, message
    end
    index = index + 1
  end
  return options, program
end

--- Runs the program and returns its exit status.
---@param arguments string[]
---@return integer
function cli.main(arguments)
  local options, program = cli.parse(arguments)
  if not options then
    io.stderr:write("llama-cloud-sandbox: ", program, "\nTry --help.\n")
    return 2
  elseif program.help then
    io.stdout:write(USAGE)
    return 0
  end
  if not program.quiet then
    options.log = function(line)
      io.stderr:write(line, "\n")
    end
  end
  local ok, service = pcall(sandbox.new, options)
  if not ok then
    io.stderr:write("llama-cloud-sandbox: ", service, "\n")
    return 1
  end

  local controller = cqueues.new()
  local stopped = false
  local function stop()
    stopped = true
    service:close()
  end
  -- Blocked, these signals wait to be read below instead of ending the process in the middle of something.
  signal.block(signal.SIGINT, signal.SIGTERM)
  local signals = signal.listen(signal.SIGINT, signal.SIGTERM)
  controller:wrap(function()
    signals:wait()
    stop()
  end)
  if program.exit_with_stdin then
    local input = socket.fdopen(0)
    input:onerror(function(_, _, code)
      return code
    end)
    controller:wrap(function()
      repeat
        local bytes = input:xread(-4096, "bn")
      until not bytes
      stop()
    end)
  end
  service:attach(controller)
  io.stdout:write("listening on ", service:url(), "\n")
  io.stdout:flush()
  while not stopped do
    assert(controller:step())
  end
  return 0
end

return cli

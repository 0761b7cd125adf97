-- The command line of bin/llama-cloud-sandbox, and of llama-cloud sandbox.

local cqueues = require("llama_cloud.sandbox.library")("cqueues")
local signal = require("cqueues.signal")
local socket = require("cqueues.socket")

local faults = require("llama_cloud.sandbox.faults")
local options_module = require("llama_cloud.sandbox.options")
local sandbox = require("llama_cloud.sandbox")

local cli = {}

local HEAD = [[
usage: %s [options]

A local LlamaCloud service. Its first line of output says where it listens;
SIGINT or SIGTERM ends it.

]]

-- Options of the program itself: the flag, what it is for, and what is the same in Lua.
local PROGRAM = {
  { "--fault RULE", "misbehave, for example 'GET *: 503 x2'; may be repeated", "faults" },
  { "--exit-with-stdin", "end when standard input ends, so that no sandbox is left over if a test crashes" },
  { "--quiet", "no line on standard error for each request; in Lua, `log` is a function that gets these lines", "log" },
  { "--help", "this text" },
}

-- How the value of an option is read: nil if it cannot be.
local READERS = { text = tostring, choice = tostring, positive = tonumber }

local function integer(text)
  return math.tointeger(tonumber(text))
end

local by_flag = {}
for _, option in ipairs(options_module.LIST) do
  if option.help then
    by_flag["--" .. option[1]:gsub("_", "-")] = option
  end
end

--- The flags, in their order: each with what it is for, its name in Lua, if it has one, and its default.
---@return string[][]
function cli.flags()
  local flags = {}
  for _, option in ipairs(options_module.LIST) do
    if option.help then
      local flag = "--" .. option[1]:gsub("_", "-")
      flag = option.placeholder and flag .. " " .. option.placeholder or flag
      flags[#flags + 1] = { flag, option.help, option[1], options_module.default(option) }
    end
  end
  return table.move(PROGRAM, 1, #PROGRAM, #flags + 1, flags)
end

local WIDTH, INDENT = 80, 30

-- The text of --help.
local function usage(called)
  local lines = { HEAD:format(called) }
  for _, flag in ipairs(cli.flags()) do
    local words = flag[4] and ("%s (%s)"):format(flag[2], flag[4]) or flag[2]
    local line = string.format("  %-28s", flag[1])
    for word in words:gsub("`", ""):gmatch("%S+") do
      if #line + 1 + #word > WIDTH then
        lines[#lines + 1] = line .. "\n"
        line = (" "):rep(INDENT)
      end
      line = line .. (#line > INDENT and " " or "") .. word
    end
    lines[#lines + 1] = line .. "\n"
  end
  return table.concat(lines)
end

-- The complaint about an argument that is no option.
local function unknown(name, has_value)
  local known = {}
  for flag in pairs(by_flag) do
    known[#known + 1] = flag
  end
  for _, own in ipairs(PROGRAM) do
    known[#known + 1] = own[1]:match("^[^ ]+")
  end
  table.sort(known)
  for _, flag in ipairs(has_value and known or {}) do
    if flag == name then
      return name .. " takes no value"
    end
  end
  return options_module.unknown(name, known)
end

-- What is wrong with options that could be read, or nil.
local function problem_of(options)
  local ok, message = pcall(options_module.checked, options)
  for _, rule in ipairs(options.faults) do
    if ok then
      ok, message = pcall(faults.parse, rule)
    end
  end
  return not ok
      and message:gsub("^option '([%w_]+)'", function(name)
        return "--" .. name:gsub("_", "-")
      end)
    or nil
end

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
    local option = by_flag[name]
    if option and option.placeholder then
      local text = value_of(name, given)
      local value = (READERS[option[2]] or integer)(text)
      if value == nil then
        error(string.format("%s: '%s' is not a number it can use", name, text), 0)
      end
      options[option[1]] = value
    elseif name == "--fault" then
      table.insert(options.faults, value_of(name, given))
    elseif given then
      error(unknown(name, true), 0)
    elseif option then
      options[option[1]] = true
    elseif name == "--exit-with-stdin" then
      program.exit_with_stdin = true
    elseif name == "--quiet" then
      program.quiet = true
    elseif name == "--help" or name == "-h" then
      program.help = true
    else
      error(unknown(argument), 0)
    end
  end
  while index <= #arguments do
    local ok, message = pcall(take, arguments[index])
    if not ok then
      return nil, message
    end
    index = index + 1
  end
  local problem = not program.help and problem_of(options)
  if problem then
    return nil, problem
  end
  return options, program
end

-- Writes to standard output, at once. Where that cannot be done it says so, and returns false.
local function put(called, text)
  local ok, problem = io.stdout:write(text)
  if ok then
    ok, problem = io.stdout:flush()
  end
  if not ok then
    io.stderr:write(called, ": standard output: ", problem, "\n")
  end
  return ok ~= nil
end

--- Runs the program and returns its exit status.
---@param arguments string[]
---@param called? string how it calls itself
---@return integer
function cli.main(arguments, called)
  called = called or "llama-cloud-sandbox"
  local options, program = cli.parse(arguments)
  if not options then
    io.stderr:write(called, ": ", program, "\nTry '", called, " --help'.\n")
    return 2
  elseif program.help then
    return put(called, usage(called)) and 0 or 1
  end
  if not program.quiet then
    options.log = function(line)
      io.stderr:write(line, "\n")
    end
  end
  local ok, service = pcall(sandbox.new, options)
  if not ok then
    io.stderr:write(called, ": ", service, "\n")
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
  if not put(called, ("listening on %s\n"):format(service:url())) then
    stop() -- nobody knows where
    return 1
  end
  while not stopped do
    assert(controller:step())
  end
  return 0
end

return cli

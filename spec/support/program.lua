-- Runs a program of this checkout as a child process, as a user would: with this process's modules on its paths.
--
-- What a sanitizer needs is passed on, so that the program runs with the same core as its spec. Under valgrind it does not.

local program = {}

local TIME_LIMIT = 60 * (tonumber(os.getenv("LLAMA_CLOUD_TEST_SLOWDOWN")) or 1) -- seconds

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- Of the user's own environment nothing may reach the program.
local UNSET = {
  "LLAMA_CLOUD_API_KEY",
  "LLAMA_CLOUD_BASE_URL",
  "LLAMA_CLOUD_CUSTOM_HEADERS",
  "LLAMA_CLOUD_DIRECTORY_ID",
  "LLAMA_CLOUD_LOG",
  "LLAMA_CLOUD_WEBHOOK_SECRET",
  "LLAMA_PARSE_API_KEY",
  "LUA_CPATH_5_4",
  "LUA_CPATH_5_5",
  "LUA_INIT",
  "LUA_INIT_5_4",
  "LUA_INIT_5_5",
  "LUA_PATH_5_4",
  "LUA_PATH_5_5",
}

--- Where a file of the checkout lies, whatever the current directory is.
---@param name string
---@return string
function program.file(name)
  local root = debug.getinfo(1, "S").source:match("^@(.*)/spec/support/[^/]*$") or "."
  return root .. "/" .. name
end

-- The interpreter and a script, as words of a command.
local function lua(script)
  local interpreter = os.getenv("LUA")
  interpreter = interpreter ~= "" and interpreter or "lua" .. _VERSION:match("[%d.]+")
  return { interpreter, script:find("^/") and script or program.file(script) }
end

-- The command that runs a program.
local function command_of(started, arguments, environment)
  local words = { "exec env" }
  for _, name in ipairs(UNSET) do
    words[#words + 1] = "-u " .. name
  end
  local set = { LUA_PATH = package.path, LUA_CPATH = package.cpath, no_proxy = "127.0.0.1", NO_PROXY = "127.0.0.1" }
  for name, value in pairs(environment or {}) do
    set[name] = value
  end
  for name, value in pairs(set) do
    words[#words + 1] = name .. "=" .. quote(value)
  end
  words[#words + 1] = ("timeout -k 5 %d"):format(TIME_LIMIT)
  for _, list in ipairs { started, arguments or {} } do
    for _, word in ipairs(list) do
      words[#words + 1] = quote(word)
    end
  end
  return table.concat(words, " ") .. " 2>&1 </dev/null"
end

-- Runs it and waits for its end.
local function run(started, arguments, environment)
  local pipe = assert(io.popen(command_of(started, arguments, environment)))
  local output = pipe:read("a")
  local _, how, status = pipe:close()
  return output, how == "signal" and 128 + status or status
end

-- Starts it and returns at once.
local function start(started, arguments, environment)
  local pipe = assert(io.popen("echo $$; " .. command_of(started, arguments, environment)))
  return pipe, assert(math.tointeger(tonumber(pipe:read("l"))))
end

--- Runs a script and waits for its end. One that takes too long is ended: its status is 124.
---@param script string below the top of the checkout, or an absolute path
---@param arguments? string[]
---@param environment? table<string, string>
---@return string output what it wrote, errors included
---@return integer status its exit status
function program.run(script, arguments, environment)
  return run(lua(script), arguments, environment)
end

--- The same of an executable.
---@param path string
---@param arguments? string[]
---@param environment? table<string, string>
---@return string output
---@return integer status
function program.run_executable(path, arguments, environment)
  return run({ path }, arguments, environment)
end

--- Starts a script that goes on until it is ended by its id, and after TIME_LIMIT at the latest.
---@param script string
---@param arguments? string[]
---@param environment? table<string, string>
---@return file* output where it writes, errors included
---@return integer pid
function program.start(script, arguments, environment)
  return start(lua(script), arguments, environment)
end

--- The same of an executable.
---@param path string
---@param arguments? string[]
---@param environment? table<string, string>
---@return file* output
---@return integer pid
function program.start_executable(path, arguments, environment)
  return start({ path }, arguments, environment)
end

return program

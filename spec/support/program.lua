-- Runs a Lua program of this checkout as a child process, as a user would: with this process's modules on its paths.
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

-- The command that runs a script.
local function command_of(script, arguments, environment)
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
  local interpreter = os.getenv("LUA")
  words[#words + 1] = quote(interpreter ~= "" and interpreter or "lua" .. _VERSION:match("[%d.]+"))
  words[#words + 1] = quote(script:find("^/") and script or program.file(script))
  for _, argument in ipairs(arguments or {}) do
    words[#words + 1] = quote(argument)
  end
  return table.concat(words, " ") .. " 2>&1 </dev/null"
end

--- Runs a script and waits for its end. One that takes too long is ended: its status is 124.
---@param script string below the top of the checkout, or an absolute path
---@param arguments? string[]
---@param environment? table<string, string>
---@return string output what it wrote, errors included
---@return integer status its exit status
function program.run(script, arguments, environment)
  local pipe = assert(io.popen(command_of(script, arguments, environment)))
  local output = pipe:read("a")
  local _, how, status = pipe:close()
  return output, how == "signal" and 128 + status or status
end

--- Starts a script that goes on until it is ended by its id, and after TIME_LIMIT at the latest.
---@param script string
---@param arguments? string[]
---@param environment? table<string, string>
---@return file* output where it writes, errors included
---@return integer pid
function program.start(script, arguments, environment)
  local pipe = assert(io.popen("echo $$; " .. command_of(script, arguments, environment)))
  return pipe, assert(math.tointeger(tonumber(pipe:read("l"))))
end

return program

-- Runs bin/llama-cloud as a user would, in a shell:
--
--   local out, err, status = cli.run(s, "batches list --status RUNNING")      -- the arguments, as shell words
--   local out, err, status = cli.shell(s, "lc batches list | head -1")        -- any commands; lc is the program
--
-- `s` is a sandbox (spec/support/sandbox.lua) or nil.

local program = require("spec.support.program")
local process = require("spec.support.process")

local cli = {}

local quote = process.quote

local TIME_LIMIT = 60 * process.slowdown -- seconds

-- What a sanitizer needs is for the program, not for what stands beside it in a pipe.
local HEAD = [[
preload=${LD_PRELOAD:-${preload-}}
unset LD_PRELOAD LLAMA_CLOUD_API_KEY LLAMA_CLOUD_BASE_URL LLAMA_CLOUD_CUSTOM_HEADERS LLAMA_CLOUD_LOG LLAMA_PARSE_API_KEY
unset LUA_INIT LUA_INIT_5_4 LUA_INIT_5_5 LUA_PATH_5_4 LUA_PATH_5_5 LUA_CPATH_5_4 LUA_CPATH_5_5 NO_COLOR COLUMNS LC_ALL LC_CTYPE
export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1 LANG=C.UTF-8 TERM=xterm
lc() { timeout -k 5 "$limit" env ${preload:+LD_PRELOAD="$preload"} "$lua" "$program" "$@"; }
]]

--- The command that runs shell commands as above; for io.popen.
---@param s table?
---@param commands string
---@return string
function cli.command(s, commands)
  local interpreter = os.getenv("LUA")
  local set = {
    LUA_PATH = package.path,
    LUA_CPATH = package.cpath,
    limit = TIME_LIMIT,
    lua = interpreter ~= "" and interpreter or "lua" .. _VERSION:match("[%d.]+"),
    program = program.file("bin/llama-cloud"),
    LLAMA_CLOUD_API_KEY = s and "llx-test" or nil,
    LLAMA_CLOUD_BASE_URL = s and s:url() or nil,
  }
  local lines = { HEAD }
  for name, value in pairs(set) do
    lines[#lines + 1] = ("export %s=%s\n"):format(name, quote(tostring(value)))
  end
  lines[#lines + 1] = commands .. "\n"
  return table.concat(lines)
end

local function content(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  os.remove(path)
  return text
end

--- Runs shell commands and waits for their end.
---@param s table?
---@param commands string
---@return string out
---@return string err
---@return integer status
function cli.shell(s, commands)
  local out, err = os.tmpname(), os.tmpname()
  local whole = cli.command(s, commands)
  local command = ("sh -c %s </dev/null >%s 2>%s"):format(quote(whole), quote(out), quote(err))
  local _, how, status = os.execute(command)
  return content(out), content(err), how == "signal" and 128 + status or status
end

--- Runs the program with arguments, which are words for the shell.
---@param s table?
---@param arguments string
---@return string out
---@return string err
---@return integer status
function cli.run(s, arguments)
  return cli.shell(s, "lc " .. arguments)
end

return cli

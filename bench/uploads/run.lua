--- How fast many small files are uploaded, as a share of what `curl --parallel` does with the same requests and the same
--- server. Both include starting the program.
---
---     scripts/lua bench/uploads/run.lua [ROUNDS]

local core = require("llama_cloud.core")
local process = require("bench.process")
local statistics = require("bench.statistics")

local FILES, SIZE, AT_ONCE = 500, 20000, 16
local rounds = tonumber((...)) or 9

-- Runs a command and returns the seconds that it took. Raises if it fails.
local function timed(command)
  local started = core.now()
  assert(os.execute(command), command)
  return core.now() - started
end

local function write(path, bytes)
  local file = assert(io.open(path, "wb"))
  assert(file:write(bytes))
  file:close()
end

local pipe = assert(io.popen("mktemp -d"))
local directory = pipe:read("l")
pipe:close()

assert(os.execute(process.command_line {
  "cc",
  "-O2",
  "-D_GNU_SOURCE",
  "-o",
  directory .. "/server",
  "bench/uploads/server.c",
}))
-- the server ends with the pipe that it reads from
local input = assert(io.popen(("%s/server > %s/log"):format(directory, directory), "w"))
local port
repeat
  local log = io.open(directory .. "/log")
  port = log and log:read("n")
  if log then
    log:close()
  end
until port
local base_url = ("http://127.0.0.1:%d"):format(port)

-- Those of the client, so that all send the same.
local HEADERS = {}
for name, value in pairs {
  ["Accept"] = "application/json",
  ["Authorization"] = "Bearer k",
  ["User-Agent"] = "llama-cloud-lua/0.0.0 (Lua 5.4; libcurl/0.00.0)",
  ["X-Stainless-Arch"] = "x64",
  ["X-Stainless-Lang"] = "lua",
  ["X-Stainless-OS"] = "Linux",
  ["X-Stainless-Package-Version"] = "0.0.0",
  ["X-Stainless-Retry-Count"] = "0",
  ["X-Stainless-Runtime"] = "lua",
  ["X-Stainless-Runtime-Version"] = "5.4",
} do
  HEADERS[#HEADERS + 1] = ('header = "%s: %s"'):format(name, value)
end
HEADERS = table.concat(HEADERS, "\n")

local config = {}
for number = 1, FILES do
  local name = number .. ".pdf"
  write(("%s/%s"):format(directory, name), ("%PDF" .. number):rep(SIZE):sub(1, SIZE))
  config[number] = table.concat({
    ('url = "%s/api/v1/beta/directories/dir-1/files/upload"'):format(base_url),
    ('form-string = "display_name=%s"'):format(name),
    ('form-string = "unique_id=%s"'):format(name),
    ('form = "upload_file=@%s/%s;type=application/pdf"'):format(directory, name),
    HEADERS,
    'output = "/dev/null"',
  }, "\n")
end
write(directory .. "/config", table.concat(config, "\nnext\n") .. "\n")

local interpreter = arg and arg[-1] or "lua"
local ours = process.command_line { interpreter, "bench/uploads/ours.lua", base_url, directory, FILES, AT_ONCE }
local curl = process.command_line {
  "curl",
  "-s",
  "--no-progress-meter",
  "--noproxy",
  "*",
  "--parallel",
  "--parallel-max",
  AT_ONCE,
  "-K",
  directory .. "/config",
}

local seconds = { ours = {}, curl = {} }
for round = 1, rounds do
  local order = round % 2 == 0 and { "ours", "curl" } or { "curl", "ours" }
  for _, who in ipairs(order) do
    seconds[who][round] = timed(who == "ours" and ours or curl)
  end
end
input:close()
local log = assert(io.open(directory .. "/log"))
log:read("l")
print("requests and bytes of all: " .. log:read("l"))
log:close()
os.execute(process.command_line { "rm", "-r", directory })

local best = math.min(table.unpack(seconds.ours))
local line = "%d files of %d bytes, %d at once, %d rounds: %.0f a second; of the throughput of curl --parallel %.2f "
  .. "by the fastest round of each, %.2f by the median of rounds"
local shares = { math.min(table.unpack(seconds.curl)) / best, statistics.ratio(seconds.curl, seconds.ours) }
print(line:format(FILES, SIZE, AT_ONCE, rounds, FILES / best, table.unpack(shares)))

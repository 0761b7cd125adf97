--- Sends a file of 2 GB, and fetches one, beside curl: main.lua ROUNDS SIZE. scripts/bench starts the server and says
--- where it is.

local process = require("bench.process")
local results = require("bench.results")

local lua = arg[-1]
local rounds, size = tonumber(arg[1]), arg[2]
local url, directory = os.getenv("BENCH_TRANSFER"), os.getenv("BENCH_DIRECTORY")
local curl, node = os.getenv("BENCH_CURL"), os.getenv("BENCH_NODE")
local source = directory .. "/source"
local ours = "bench/transfer/ours.lua"

local function target(name)
  return ("%s/%s.received"):format(directory, name)
end

local up = { { name = "the core", command = { lua, ours, "up", url, source }, output = size } }
local down = { { name = "the core", command = { lua, ours, "down", url .. size, target("core") }, output = size } }
if curl then
  local quiet = { curl, "--disable", "--silent", "--show-error", "--fail" }
  local function with(...)
    local words = table.move(quiet, 1, #quiet, 1, {})
    return table.move({ ... }, 1, select("#", ...), #words + 1, words)
  end
  up[2] = { name = "curl", command = with("-o", target("answer"), "-F", "upload_file=@" .. source, url) }
  local fetch = with("-o", target("curl"), url .. size)
  down[2] = { name = "curl", command = fetch }
  local synced = process.command_line(fetch) .. " && " .. process.command_line { "sync", target("curl") }
  down[3] = { name = "curl, then sync", command = { "sh", "-c", synced } }
end
if node then
  up[#up + 1] = { name = "TypeScript SDK", command = { node, "bench/transfer/sdk.mjs", url, source }, output = size }
end

local file = results.open("transfer")
process.compare(file, "idle", { { name = "idle", command = { lua, ours, "idle" }, output = "0" } }, rounds)
process.compare(file, "up", up, rounds)
process.compare(file, "down", down, rounds)
if node then -- which has all of a file in memory, and 2 GB take it minutes
  local part = directory .. "/part"
  local bytes = ("%d"):format(size // 8)
  os.execute(("truncate -s %s '%s'"):format(bytes, part))
  process.compare(file, "an eighth up", {
    { name = "the core", command = { lua, ours, "up", url, part }, output = bytes },
    { name = "TypeScript SDK", command = { node, "bench/transfer/sdk.mjs", url, part }, output = bytes },
  }, rounds)
  os.remove(part)
end
for _, name in ipairs { "core", "curl", "answer" } do
  os.remove(target(name))
end

--- Lists batches from nginx, and from a server that takes 20 ms for each page of 100: main.lua ROUNDS COUNT SLOW_PAGES.
--- scripts/bench starts the servers and says where they are.

local process = require("bench.process")
local results = require("bench.results")

local lua = arg[-1]
local rounds, count, slow_pages = tonumber(arg[1]), arg[2], tonumber(arg[3])
local slow_count = tostring(100 * slow_pages)
local url, slow = os.getenv("BENCH_HTTP"), os.getenv("BENCH_SLOW")
local node, curl = os.getenv("BENCH_NODE"), os.getenv("BENCH_CURL")
local has_luasocket = pcall(require, "socket")

local function contenders(base, output, ...)
  local list = { { name = "llama_cloud", command = { lua, "bench/listing/ours.lua", base, ... }, output = output } }
  if has_luasocket then
    list[2] = { name = "LuaSocket", command = { lua, "bench/listing/luasocket.lua", base, ... }, output = output }
  end
  if node then
    list[#list + 1] =
      { name = "TypeScript SDK", command = { node, "bench/listing/sdk.mjs", base, ... }, output = output }
  end
  return list
end

local file = results.open("listing", { rounds = rounds, count = tonumber(count), slow_pages = slow_pages })
local list = contenders(url, count)
if curl then
  list[#list + 1] = {
    name = "curl",
    command = { curl, "--disable", "--silent", "--fail", "--config", os.getenv("BENCH_DIRECTORY") .. "/urls" },
  }
end
process.compare(file, "list", list, rounds)

-- The consumer works 0.2 ms on each of the 100 items of a page.
process.compare(file, "slow list", contenders(slow, slow_count, "0.0002"), rounds)

process.compare(file, "offset list", {
  { name = "eight at once", command = { lua, "bench/listing/offset.lua", slow, 8 }, output = slow_count },
  { name = "one at a time", command = { lua, "bench/listing/offset.lua", slow, 1 }, output = slow_count },
}, rounds)

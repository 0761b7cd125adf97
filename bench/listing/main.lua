--- Lists 100,000 batches from nginx, and 10,000 from a server that takes 20 ms for each page: main.lua ROUNDS.
--- scripts/bench starts the servers and says where they are.

local process = require("bench.process")
local results = require("bench.results")

local lua = arg[-1]
local rounds = tonumber(arg[1])
local url, slow = os.getenv("BENCH_HTTP"), os.getenv("BENCH_SLOW")
local node, curl = os.getenv("BENCH_NODE"), os.getenv("BENCH_CURL")
local has_luasocket = pcall(require, "socket")

local function contenders(base, count, ...)
  local list = { { name = "llama_cloud", command = { lua, "bench/listing/ours.lua", base, ... }, output = count } }
  if has_luasocket then
    list[2] = { name = "LuaSocket", command = { lua, "bench/listing/luasocket.lua", base, ... }, output = count }
  end
  if node then
    list[#list + 1] =
      { name = "TypeScript SDK", command = { node, "bench/listing/sdk.mjs", base, ... }, output = count }
  end
  return list
end

local file = results.open("listing")
local list = contenders(url, "100000")
if curl then
  list[#list + 1] = {
    name = "curl",
    command = { curl, "--disable", "--silent", "--fail", "--config", os.getenv("BENCH_DIRECTORY") .. "/urls" },
  }
end
process.compare(file, "100,000 batches", list, rounds)

-- The consumer works 0.2 ms on each of the 100 items of a page.
process.compare(file, "20 ms a page, 20 ms of work", contenders(slow, "10000", "0.0002"), rounds)

process.compare(file, "offset list, 20 ms a page", {
  { name = "eight at once", command = { lua, "bench/listing/offset.lua", slow, 8 }, output = "10000" },
  { name = "one at a time", command = { lua, "bench/listing/offset.lua", slow, 1 }, output = "10000" },
}, rounds)

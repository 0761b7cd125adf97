--- How much memory a list of 100,000 batches needs over a program that has only loaded the module: memory.lua ROUNDS

local process = require("bench.process")
local results = require("bench.results")

local lua = arg[-1]
process.compare(results.open("memory"), "memory", {
  { name = "idle", command = { lua, "bench/listing/idle.lua" }, output = "0" },
  { name = "listing", command = { lua, "bench/listing/ours.lua", os.getenv("BENCH_HTTP") }, output = "100000" },
}, tonumber(arg[1]))

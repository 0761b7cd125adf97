--- How much memory a list of COUNT batches needs over a program that has only loaded the module: memory.lua ROUNDS COUNT

local process = require("bench.process")
local results = require("bench.results")

local lua = arg[-1]
local rounds, count = tonumber(arg[1]), arg[2]
process.compare(results.open("memory", { rounds = rounds, count = tonumber(count) }), "memory", {
  { name = "idle", command = { lua, "bench/listing/idle.lua" }, output = "0" },
  { name = "listing", command = { lua, "bench/listing/ours.lua", os.getenv("BENCH_HTTP") }, output = count },
}, rounds)

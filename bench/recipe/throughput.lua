--- How long `batches:process` takes beside its uploads alone at the same concurrency: throughput.lua ROUNDS COUNT MILLISECONDS.
--- No results are fetched, so that all that is compared is the recipe's own work. The service takes so long for an upload, as
--- one on another machine does; with 0, client and service compute all the time.

local process = require("bench.process")
local results = require("bench.results")
local setting = require("bench.recipe.setting")

local lua = arg[-1]
local rounds, count, milliseconds = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3])
local directory = os.getenv("BENCH_DIRECTORY") .. "/throughput"
local folder = setting.folder(directory, count)
local journal = directory .. "/journal.jsonl"

local contenders = {}
for i, name in ipairs { "idle", "uploads", "process" } do
  contenders[i] = {
    name = name,
    output = name == "idle" and 0 or count,
    prepare = function()
      os.remove(journal)
      local service = setting.service(milliseconds / 1000)
      return { lua, "bench/recipe/ours.lua", name, service:url(), folder, journal }, service
    end,
  }
end
local file = results.open("throughput", { rounds = rounds, count = count, milliseconds = milliseconds })
process.compare(file, "throughput", contenders, rounds, 3000)
assert(os.execute(process.command_line { "rm", "-rf", directory }))

--- A folder of files to a folder of results, by this module and by hand: main.lua ROUNDS COUNT MILLISECONDS.
--- The service is a sandbox, a new one for each program, which takes so long for each upload and each result.

local lfs = require("lfs")

local process = require("bench.process")
local results = require("bench.results")
local setting = require("bench.recipe.setting")

local lua = arg[-1]
local rounds, count, milliseconds = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3])
local curl, node, jq = os.getenv("BENCH_CURL"), os.getenv("BENCH_NODE"), os.getenv("BENCH_JQ")
local directory = os.getenv("BENCH_DIRECTORY") .. "/recipe"
local folder = setting.folder(directory, count)
local journal, output = directory .. "/journal.jsonl", directory .. "/results"

-- How many results there are, each with text in it.
local function count_results()
  local found = 0
  for name in lfs.dir(output) do
    if name:find("%.md$") and assert(lfs.attributes(output .. "/" .. name, "size")) > 0 then
      found = found + 1
    end
  end
  return found
end

-- A contender; words_of(URL) is its command. Each finds a new service and no results, and has to leave all of them.
local function contender(name, words_of, leaves)
  local self = { name = name }
  function self.prepare()
    assert(os.execute(process.command_line { "rm", "-rf", output, journal }))
    assert(lfs.mkdir(output))
    local service = setting.service(milliseconds / 1000)
    return words_of(service:url()),
      setmetatable({}, {
        __close = function(_, problem)
          service:close()
          assert(problem or not leaves or count_results() == count, name .. " did not leave all results")
        end,
      })
  end
  return self
end

local contenders = {
  contender("batches:process", function(url)
    return { lua, "bench/recipe/ours.lua", "process", url, folder, journal, output }
  end, true),
  contender("llama-cloud process", function(url)
    local words = { "env", "LLAMA_CLOUD_API_KEY=llx-bench", "LLAMA_CLOUD_BASE_URL=" .. url, lua, "bin/llama-cloud" }
    local flags = { "process", folder, "--output", output, "--journal", journal, "--expand", "markdown_full" }
    table.move(flags, 1, #flags, #words + 1, words)
    flags = { "--configuration", "cfg-PARSE_AGENTIC", "--uploads-per-second", 1000000 }
    table.move(flags, 1, #flags, #words + 1, words)
    flags = { "--polling-interval", 0.5, "--max-interval", 0.5 }
    return table.move(flags, 1, #flags, #words + 1, words)
  end, true),
  contender("uploads alone", function(url)
    return { lua, "bench/recipe/ours.lua", "uploads", url, folder, journal }
  end),
}
if node then
  contenders[#contenders + 1] = contender("TypeScript SDK", function(url)
    return { node, "bench/recipe/sdk.mjs", url, folder, output }
  end, true)
end
if curl and jq and count <= 1000 then -- one batch
  contenders[#contenders + 1] = contender("shell, curl and jq", function(url)
    return { "sh", "bench/recipe/by_hand.sh", url, folder, output }
  end, true)
end

local file = results.open("recipe", { rounds = rounds, count = count, milliseconds = milliseconds })
process.compare(file, "recipe", contenders, rounds)
assert(os.execute(process.command_line { "rm", "-rf", directory }))

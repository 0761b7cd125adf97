--- How fast JSON becomes Lua tables, against lua-cjson (and dkjson where it is installed).
---   scripts/lua bench/decode.lua [ROUNDS]
---   scripts/lua bench/decode.lua once DOCUMENT DECODER COUNT    for callgrind: COUNT decodes and nothing else

local cjson = require("cjson")
local core = require("llama_cloud.core")
local documents = require("bench.documents")
local statistics = require("bench.statistics")

local all = {
  { "v2 page", documents.v2_page },
  { "v1 page", documents.v1_page },
  { "10k results", documents.results, 10000 },
  { "100k results", documents.results, 100000 },
  { "escapes", documents.escapes },
  { "long strings", documents.long_strings },
  { "deep nesting", documents.deep },
  { "small arrays", documents.small_arrays },
  { "20k distinct keys", documents.distinct_keys },
  { "numbers", documents.numbers },
}

local decoders = {
  ["llama_cloud"] = function(text)
    return assert(core.decode(text))
  end,
  ["lua-cjson"] = cjson.decode,
}

if arg[1] == "once" then
  for _, document in ipairs(all) do
    if document[1] == arg[2] then
      local text, decode = document[2](document[3]), decoders[arg[3]]
      for _ = 1, tonumber(arg[4]) do
        if decode then
          decode(text)
        end
      end
    end
  end
  return
end

local rounds = tonumber(arg[1]) or 7
print(("%-20s %10s %14s %14s %8s"):format("document", "bytes", "lua-cjson ms", "llama_cloud ms", "faster"))
for _, document in ipairs(all) do
  local text = document[2](document[3])
  local contenders = {}
  for name, decode in pairs(decoders) do
    contenders[#contenders + 1] = {
      name = name,
      run = function()
        decode(text)
      end,
    }
  end
  local medians = statistics.compare(contenders, rounds, 0.1)
  print(
    ("%-20s %10d %14.3f %14.3f %8.2f"):format(
      document[1],
      #text,
      medians["lua-cjson"] * 1000,
      medians["llama_cloud"] * 1000,
      medians["lua-cjson"] / medians["llama_cloud"]
    )
  )
end

--- How fast JSON becomes Lua tables, against lua-cjson, and against dkjson where it is installed.
---   decode.lua [ROUNDS [SECONDS]]                   SECONDS that each takes in a round; 0.03
---   decode.lua once DOCUMENT DECODER COUNT [TABLES]    for callgrind: COUNT decodes and nothing else; beside so many tables, for
---                                                      how the heap lies varies a count by some percent

local cjson = require("cjson")
local core = require("llama_cloud.core")
local documents = require("bench.documents")
local results = require("bench.results")
local statistics = require("bench.statistics")

-- Documents that take long get fewer rounds. Short rounds and many are better: what else the machine does comes and goes
-- in between.
local LARGE = 1 << 20

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

local function decode(text)
  return assert(core.decode(text))
end

-- As a list reads a page: one item after the other, none of them kept.
local function by_item(names)
  local decoder = core.decoder()
  return function(text)
    local page <close> = assert(core.page(text, nil, nil, decoder, names))
    local next_item, count = page.next, 0
    while next_item(page) do
      count = count + 1
    end
    assert(count == 100)
  end
end

local decoders = {
  { "llama_cloud", decode },
  { "lua-cjson", cjson.decode },
}
local found, dkjson = pcall(require, "dkjson")
if found then
  decoders[#decoders + 1] = { "dkjson", dkjson.decode }
end

-- Further ways to read one of the documents.
local further = {
  ["v2 page"] = {
    { "item by item", by_item() },
    { "fields", by_item { "id", "status" } },
  },
}

if arg[1] == "once" then
  local beside = {} -- luacheck: ignore beside
  for i = 1, tonumber(arg[5] or 0) do
    beside[i] = { i }
  end
  local text, chosen
  for _, document in ipairs(all) do
    if document[1] == arg[2] then
      text = document[2](document[3])
    end
  end
  for _, decoder in ipairs(table.move(further["v2 page"], 1, 2, #decoders + 1, decoders)) do
    if decoder[1] == arg[3] then
      chosen = decoder[2]
    end
  end
  for _ = 1, tonumber(arg[4]) do
    chosen(text)
  end
  return
end

local rounds, seconds_each = tonumber(arg[1]) or 5, tonumber(arg[2]) or 0.03
local file = results.open("decode", { rounds = rounds })
local function measure(document)
  local text = document[2](document[3])
  local contenders = {}
  local function add(decoder)
    contenders[#contenders + 1] = {
      name = decoder[1],
      run = function()
        decoder[2](text)
      end,
    }
  end
  for _, decoder in ipairs(decoders) do
    add(decoder)
  end
  for _, decoder in ipairs(further[document[1]] or {}) do
    add(decoder)
  end
  local times = statistics.compare(contenders, #text < LARGE and 3 * rounds or rounds, seconds_each)
  for _, contender in ipairs(contenders) do
    for round, seconds in ipairs(times[contender.name]) do
      file:add { what = document[1], name = contender.name, round = round, cpu = seconds, bytes = #text }
    end
  end
  io.stderr:write(("decode: %s\n"):format(document[1]))
end

for _, document in ipairs(all) do
  if seconds_each > 0.01 or not document[3] then -- in a hurry, no large ones
    measure(document)
  end
end

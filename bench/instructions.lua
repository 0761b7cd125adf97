--- Counts the instructions of one decode, which repeats on a noisy machine as times do not: the difference of two runs
--- under callgrind, so that what comes before the first decode cancels out.

local process = require("bench.process")
local results = require("bench.results")

local lua = arg[-1]
local FEW, MANY = 20, 220 -- many, for how much garbage a run collects varies

local function count(what, name, decodes)
  local command = process.command_line {
    "valgrind",
    "--tool=callgrind",
    "--callgrind-out-file=/dev/null",
    lua,
    "bench/decode.lua",
    "once",
    what,
    name,
    decodes,
  }
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read("a")
  pipe:close()
  return assert(tonumber(text:match("Collected : (%d+)")), text)
end

local file = results.open("instructions")
local ways = {
  ["v2 page"] = { "llama_cloud", "item by item", "fields", "lua-cjson" },
  ["v1 page"] = { "llama_cloud", "lua-cjson" },
}
for _, what in ipairs { "v2 page", "v1 page" } do
  for _, name in ipairs(ways[what]) do
    local each = (count(what, name, MANY) - count(what, name, FEW)) // (MANY - FEW)
    file:add { what = what, name = name, round = 1, instructions = each }
  end
  io.stderr:write(("instructions: %s\n"):format(what))
end

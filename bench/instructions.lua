--- Counts instructions, which repeat on a noisy machine as times do not: of a decode, of a call that blocks, of an item of a
--- list, and of loading the module. Each is the difference of two runs under callgrind, so that what comes before cancels
--- out: instructions.lua [ROUNDS [DECODES]]

local process = require("bench.process")
local results = require("bench.results")
local server = require("spec.support.server")
local statistics = require("bench.statistics")

local lua = arg[-1]
-- Lua seeds its hashes anew for each run, which varies a count by about two percent
local ROUNDS, DECODES = tonumber(arg[1]) or 3, tonumber(arg[2]) or 200
local PAGE = 100

-- Pages as bench/listing/write.lua makes them: the base URL says how many there are. Any other path is a batch.
local SERVER = [[
  local documents = require("bench.documents")
  local pages = require("bench.listing.pages")
  local batch, made = documents.running_batch(), {}
  return function(connection, request)
    local count = tonumber(request.path:match("^/(%d+)/api/v2/batches$"))
    if not count then
      return connection:json(200, batch)
    end
    local number = tonumber((request.query or ""):match("page_token=(%d+)")) or 1
    local key = number .. " of " .. count
    made[key] = made[key] or pages.v2(number, count, args.page)
    connection:json(200, made[key])
  end]]

-- The instructions of a whole program.
local function run(...)
  local command = process.command_line { "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", lua, ... }
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read("a")
  pipe:close()
  return assert(tonumber(text:match("Collected : (%d+)")), text)
end

local file = results.open("instructions", { rounds = ROUNDS })

-- Adds the difference of two programs, for each of so many times that one does it more often than the other. They may depend
-- on the round.
local function add(what, name, times, more, less)
  local counts = {}
  for round = 1, ROUNDS do
    local long, short = more, less
    if type(more) == "function" then
      long, short = more(round), less(round)
    end
    counts[round] = (run(table.unpack(long)) - run(table.unpack(short))) // times
  end
  file:add { what = what, name = name, round = 1, instructions = statistics.median(counts) }
  io.stderr:write(("instructions: %s, %s\n"):format(what, name))
end

local function add_decode(what, name)
  local function program(decodes)
    return function(round)
      return { "bench/decode.lua", "once", what, name, decodes, (round - 1) * 700 }
    end
  end
  add(what, name, DECODES, program(DECODES + 20), program(20)) -- many, for how much garbage a run collects varies
end

for _, name in ipairs { "llama_cloud", "item by item", "fields", "lua-cjson" } do
  add_decode("v2 page", name)
end
for _, name in ipairs { "llama_cloud", "lua-cjson" } do
  add_decode("v1 page", name)
end

local s <close> = server.start(SERVER, { args = { page = PAGE } })

local function calls(count)
  return { "bench/polling/blocking.lua", s:url(), count }
end
add("a call that blocks", "llama_cloud", 100, calls(150), calls(50))

local function pages(count)
  return { "bench/listing/ours.lua", s:url("/" .. count) }
end
add("an item of a list", "llama_cloud", 60 * PAGE, pages(80), pages(20))

-- What the dynamic linker and the constructors of the libraries do is not ours.
local LINKED = [[
  for _, name in ipairs { "cjson", "llama_cloud.core" } do
    assert(package.loadlib(assert(package.searchpath(name, package.cpath)), "*"))
  end]]
add("require", "llama_cloud", 1, { "-e", LINKED .. ' require("llama_cloud")' }, { "-e", LINKED })

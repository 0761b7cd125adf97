--- Polls one batch many times: 128 tasks at once over HTTP/1.1 and HTTP/2, and one call after another: main.lua ROUNDS POLLS CALLS.
--- scripts/bench starts the server, compiles the C programs and says where they are.

local process = require("bench.process")
local results = require("bench.results")

local lua = arg[-1]
local rounds = tonumber(arg[1])
local tools = os.getenv("BENCH_TOOLS")
local http, https, certificate = os.getenv("BENCH_HTTP"), os.getenv("BENCH_HTTPS"), os.getenv("BENCH_CA")
local POLLS, CALLS, TASKS = tonumber(arg[2]), tonumber(arg[3]), 128
local PATH = "/api/v2/batches/bat-1"

local file = results.open("polling", { rounds = rounds, count = POLLS, tasks = TASKS, calls = CALLS })

local function polls(what, base, ...)
  local output = tostring(POLLS)
  process.compare(file, what, {
    {
      name = "C, curl multi and epoll",
      command = { tools .. "/rival", base .. PATH, POLLS, TASKS, ... },
      output = output,
    },
    { name = "the core without Lua", command = { tools .. "/core", base .. PATH, POLLS, TASKS, ... }, output = output },
    { name = "llama_cloud", command = { lua, "bench/polling/ours.lua", base, POLLS, TASKS, ... }, output = output },
  }, rounds)
end

polls("polls, HTTP/1.1", http)
if https then
  polls("polls, HTTP/2", https, certificate)
end

process.compare(file, "blocking calls", {
  { name = "C, curl easy", command = { tools .. "/easy", http .. PATH, CALLS }, output = tostring(CALLS) },
  { name = "llama_cloud", command = { lua, "bench/polling/blocking.lua", http, CALLS }, output = tostring(CALLS) },
}, rounds)

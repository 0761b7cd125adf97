--- How long `batches:process` takes, as a share of what the uploads alone take at the same concurrency; and the memory that
--- it needs over an idle program. The results are fetched in lists, so that all that is compared is the recipe's own work.
---
---     scripts/lua bench/recipe/throughput.lua [FILES [ROUNDS [MILLISECONDS]]]     10000 files, 3 rounds, 0
---
--- With MILLISECONDS, the service takes so long for an upload, as one on another machine does. Without, client and service
--- compute all the time.

local process = require("bench.process")
local sandbox = require("llama_cloud.sandbox")
local statistics = require("bench.statistics")

local files = tonumber(arg[1]) or 10000
local rounds = tonumber(arg[2]) or 3
local delay = (tonumber(arg[3]) or 0) / 1000

local pipe = assert(io.popen("mktemp -d"))
local directory = pipe:read("l")
pipe:close()

-- Writes the files, and builds what measures a program.
local function prepare()
  assert(os.execute(process.command_line { "mkdir", directory .. "/files" }))
  for number = 1, files do
    local file = assert(io.open(("%s/files/%06d.txt"):format(directory, number), "w"))
    assert(file:write("text of file ", number))
    file:close()
  end
  local compile = { "cc", "-std=gnu11", "-O2", "-o", directory .. "/measure", "bench/measure.c" }
  assert(os.execute(process.command_line(compile)))
end

-- What one contender costs, with a sandbox of its own.
local function measure(what)
  local options = { batches = 0, jobs = 0, keep = 0, speed = 100 }
  options.faults = delay > 0 and { ("POST /api/v1/beta/directories/*/files/upload: delay=%g"):format(delay) } or nil
  local service <close> = sandbox.start(options)
  local journal = directory .. "/journal.jsonl"
  local command = { arg[-1], "bench/recipe/ours.lua", what, service:url(), directory .. "/files", journal }
  local cost, count = process.measure(command, directory .. "/measure", 3000)
  os.remove(journal)
  assert(what == "idle" or tonumber(count) == files, what .. " did not do all files")
  return cost
end

prepare()
local walls, peaks, cpus = {}, {}, {}
for _ = 1, rounds do
  for _, what in ipairs { "idle", "uploads", "process" } do
    local cost = measure(what)
    for kind, value in pairs { [walls] = cost.wall, [peaks] = cost.peak_kib, [cpus] = cost.cpu } do
      kind[what] = kind[what] or {}
      table.insert(kind[what], value)
    end
  end
end
assert(os.execute(process.command_line { "rm", "-r", directory }))

local median = statistics.median
print(("%d files, 8 at once, an upload takes %g ms longer, %d rounds"):format(files, delay * 1000, rounds))
for _, what in ipairs { "uploads", "process" } do
  local memory = (median(peaks[what]) - median(peaks.idle)) / 1024
  local line = "%-8s %7.1f s, %6.1f s of CPU time, %5.1f MB over an idle program"
  print(line:format(what, median(walls[what]), median(cpus[what]), memory))
end
local ratio = "process / uploads: %.2f by the clock, %.2f by CPU time"
print(ratio:format(statistics.ratio(walls.process, walls.uploads), statistics.ratio(cpus.process, cpus.uploads)))

--- Where measurements go: one JSON object a line, one file a part of the benchmark, in build/bench; with `scripts/bench
--- --write` a copy in bench/measured. The first line says how it was measured: `commit`, `machine`, its `load`, and
--- what the part adds, such as `rounds`.

local cjson = require("cjson")

local results = {}

--- The parts, in the order of the page.
results.parts =
  { "recipe", "files", "transfer", "listing", "polling", "memory", "decode", "instructions", "throughput" }

local PUBLISHED = "bench/measured"

local Results = {}
Results.__index = Results

--- Adds a measurement.
---@param record table
function Results:add(record)
  assert(self.file:write(cjson.encode(record), "\n"))
  assert(self.file:flush())
end

local function path_of(directory, part)
  return ("%s/%s.jsonl"):format(directory, part)
end

-- How busy the machine is, averaged over a minute: more than its processors can do where it is more than they are.
local function load_of_machine()
  local file = io.open("/proc/loadavg")
  local load = file and file:read("n")
  if file then
    file:close()
  end
  return load
end

local function measuring()
  return os.getenv("BENCH_DIRECTORY") or "build/bench"
end

--- Begins the file of a part anew.
---@param part string
---@param how table what the part says of how it measures
function results.open(part, how)
  local file = assert(io.open(path_of(measuring(), part), "w"))
  local self = setmetatable({ file = file }, Results)
  how.commit, how.machine, how.load = os.getenv("BENCH_COMMIT"), os.getenv("BENCH_MACHINE"), load_of_machine()
  self:add(how)
  return self
end

--- What was measured of a part last.
---@param part string
---@param published? boolean what is in bench/measured
---@return table? how nil if nothing was measured
---@return table[] records
function results.read(part, published)
  local file = io.open(path_of(published and PUBLISHED or measuring(), part))
  if not file then
    return nil, {}
  end
  local records = {}
  for line in file:lines() do
    records[#records + 1] = cjson.decode(line)
  end
  file:close()
  return table.remove(records, 1), records
end

--- Copies what was measured of a part last to what is published.
---@param part string
function results.publish(part)
  local from = assert(io.open(path_of(measuring(), part), "rb"))
  local to = assert(io.open(path_of(PUBLISHED, part), "wb"))
  assert(to:write(from:read("a")))
  from:close()
  assert(to:close())
end

return results

--- Where measurements go: one JSON object a line, one file a part of the benchmark, in build/bench.

local cjson = require("cjson")

local results = {}

local directory = os.getenv("BENCH_DIRECTORY") or "build/bench"

local Results = {}
Results.__index = Results

--- Adds a measurement.
---@param record table
function Results:add(record)
  record.part = self.part
  assert(self.file:write(cjson.encode(record), "\n"))
  assert(self.file:flush())
end

--- Begins the file of a part anew.
---@param part string
function results.open(part)
  local file = assert(io.open(("%s/%s.jsonl"):format(directory, part), "w"))
  return setmetatable({ part = part, file = file }, Results)
end

--- What was measured of a part last: nil if nothing was.
---@param part string
---@return table[]?
function results.read(part)
  local file = io.open(("%s/%s.jsonl"):format(directory, part))
  if not file then
    return nil
  end
  local records = {}
  for line in file:lines() do
    records[#records + 1] = cjson.decode(line)
  end
  file:close()
  return records
end

return results

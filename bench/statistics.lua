--- What the benchmarks share: interleaved rounds and medians. This machine may be noisy, so only ratios of things measured
--- in the same run are worth anything.

local statistics = {}

function statistics.median(values)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  local n = #sorted
  return n % 2 == 1 and sorted[n // 2 + 1] or (sorted[n // 2] + sorted[n // 2 + 1]) / 2
end

--- Runs contenders in turn, round after round. Returns each one's median, in seconds per call.
---@param contenders { name: string, run: fun() }[]
---@param rounds integer
---@param seconds number for each contender in each round, about
---@return table<string, number>
function statistics.compare(contenders, rounds, seconds)
  local clock = os.clock
  local times, counts = {}, {}
  for _, contender in ipairs(contenders) do
    contender.run()
    local started, count = clock(), 0
    repeat
      contender.run()
      count = count + 1
    until clock() - started > seconds / 4
    counts[contender.name] = math.max(1, math.ceil(count * 4))
    times[contender.name] = {}
  end
  for round = 1, rounds do
    for _, contender in ipairs(contenders) do
      collectgarbage()
      collectgarbage()
      local started = clock()
      for _ = 1, counts[contender.name] do
        contender.run()
      end
      times[contender.name][round] = (clock() - started) / counts[contender.name]
    end
  end
  local medians = {}
  for name, list in pairs(times) do
    medians[name] = statistics.median(list)
  end
  return medians
end

return statistics

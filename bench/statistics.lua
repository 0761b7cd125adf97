--- What the benchmarks share: interleaved rounds, medians and ratios. A machine may be noisy, so only ratios of things
--- measured in the same round are worth anything.

local statistics = {}

--- The middle of the values.
---@param values number[] at least one
---@return number
function statistics.median(values)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  local n = #sorted
  return n % 2 == 1 and sorted[n // 2 + 1] or (sorted[n // 2] + sorted[n // 2 + 1]) / 2
end

--- The median of the ratios of each round.
---@param above number[] one value a round
---@param below number[]
---@return number
function statistics.ratio(above, below)
  local ratios = {}
  for round, value in ipairs(above) do
    ratios[round] = value / below[round]
  end
  return statistics.median(ratios)
end

-- How often a contender runs in a round, for the round to take about so many seconds.
local function count_for(contender, seconds)
  local clock = os.clock
  contender.run()
  local started, count = clock(), 0
  repeat
    contender.run()
    count = count + 1
  until clock() - started > seconds / 4
  return math.max(1, math.floor(count * seconds / (clock() - started)))
end

--- Runs contenders in turn, round after round, beginning with another one each time. Returns each one's CPU seconds per
--- call in each round.
---@param contenders { name: string, run: fun() }[]
---@param rounds integer
---@param seconds number for each contender in each round, about
---@return table<string, number[]>
function statistics.compare(contenders, rounds, seconds)
  local clock = os.clock
  local times, counts = {}, {}
  for i, contender in ipairs(contenders) do
    counts[i], times[contender.name] = count_for(contender, seconds), {}
  end
  for round = 1, rounds do
    for i = 1, #contenders do
      local which = (i + round) % #contenders + 1
      local run, count = contenders[which].run, counts[which]
      collectgarbage()
      collectgarbage()
      local started = clock()
      for _ = 1, count do
        run()
      end
      times[contenders[which].name][round] = (clock() - started) / count
    end
  end
  return times
end

return statistics

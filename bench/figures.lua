--- What was measured, as tables, goals and the plot need it: medians of the rounds, and medians of the ratios of each round.

local results = require("bench.results")
local statistics = require("bench.statistics")

---@class bench.Figures
---@field how table<string, table> how each part was measured; nil: it was not
---@field private measured table part -> what -> name -> field -> values, one a round
local Figures = {}
Figures.__index = Figures

-- The records of a part as what -> name -> field -> values.
local function arrange(records)
  local measured = {}
  for _, record in ipairs(records) do
    measured[record.what] = measured[record.what] or {}
    local of_what = measured[record.what]
    of_what[record.name] = of_what[record.name] or {}
    for field, value in pairs(record) do
      if type(value) == "number" then
        of_what[record.name][field] = of_what[record.name][field] or {}
        of_what[record.name][field][record.round] = value
      end
    end
  end
  return measured
end

-- The values of a field, one a round; nil where nothing was measured.
function Figures:values(part, what, name, field)
  local of_what = (self.measured[part] or {})[what]
  return of_what and of_what[name] and of_what[name][field]
end

--- The median of the rounds.
---@return number? median nil where nothing was measured
function Figures:median(part, what, name, field)
  local values = self:values(part, what, name, field)
  return values and #values > 0 and statistics.median(values) or nil
end

--- The median of the ratios of two contenders in each round.
---@return number? ratio nil where one of them was not measured
function Figures:ratio(part, what, above, below, field)
  local a, b = self:values(part, what, above, field), self:values(part, what, below, field)
  return a and b and #a == #b and statistics.ratio(a, b) or nil
end

local figures = {}

--- Reads what was measured last.
---@param published boolean what is in bench/measured, rather than in build/bench
---@return bench.Figures
function figures.read(published)
  local self = setmetatable({ how = {}, measured = {} }, Figures)
  for _, part in ipairs(results.parts) do
    local records
    self.how[part], records = results.read(part, published)
    self.measured[part] = arrange(records)
  end
  return self
end

return figures

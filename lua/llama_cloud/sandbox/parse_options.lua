-- What a parse job was asked for: its own members over those of its configuration.

local json = require("llama_cloud.sandbox.json")

local parse_options = {}

parse_options.TIERS = { "fast", "cost_effective", "agentic", "agentic_plus" }

--- The versions of the tiers, oldest first.
parse_options.VERSIONS = {
  fast = { "2025-12-11", "2026-06-15" },
  cost_effective = { "2025-12-11", "2026-08-19" },
  agentic = { "2025-12-11", "2026-09-07", "2026-09-13" },
  agentic_plus = { "2025-12-11", "2026-08-19", "2026-09-11" },
}

--- Credits for a page.
parse_options.CREDITS = { fast = 1, cost_effective = 3, agentic = 10, agentic_plus = 45 }

--- A member of a member of … a table; nil where there is none, or null.
---@param value any
---@param ... string
---@return any
function parse_options.get(value, ...)
  for index = 1, select("#", ...) do
    if type(value) ~= "table" then
      return nil
    end
    value = value[select(index, ...)]
  end
  return value ~= json.null and value or nil
end

--- Whether an array has this element.
---@param values any
---@param wanted string
---@return boolean
function parse_options.has(values, wanted)
  for _, value in ipairs(type(values) == "table" and values or {}) do
    if value == wanted then
      return true
    end
  end
  return false
end

--- The page numbers that "1,3,5-8" means, ascending; nil and why if it means none.
---@param text string
---@return integer[]?
---@return string? message
function parse_options.page_numbers(text)
  local numbers, seen = {}, {}
  for range in (text:gsub("%s", "") .. ","):gmatch("([^,]*),") do
    local first, last = range:match("^(%d+)%-(%d+)$")
    first = math.tointeger(tonumber(first or range:match("^%d+$")))
    last = last and math.tointeger(tonumber(last)) or first
    if not first or first < 1 or last < first or last - first > 100000 then
      return nil, "Invalid page range '" .. range .. "'"
    end
    for number = first, last do
      if seen[number] then
        return nil, string.format("Page %d is given twice", number)
      end
      seen[number] = true
      numbers[#numbers + 1] = number
    end
  end
  table.sort(numbers)
  return numbers
end

--- Which of a document's `count` pages are parsed.
---@param options table
---@param count integer
---@return integer[]
function parse_options.pages(options, count)
  local chosen = {}
  local target = parse_options.get(options, "page_ranges", "target_pages")
  if target then
    for _, number in ipairs(parse_options.page_numbers(target) or {}) do
      if number <= count then
        chosen[#chosen + 1] = number
      end
    end
    return chosen
  end
  for number = 1, math.min(count, parse_options.get(options, "page_ranges", "max_pages") or count) do
    chosen[number] = number
  end
  return chosen
end

-- What parses whose configuration nobody made are like.
local MADE_UP = { tier = "agentic", version = "latest" }

--- The options of a job that is created: its own, and for the rest those of its configuration.
---@param sandbox table
---@param own table
---@param configuration_id? string
---@return table
function parse_options.merged(sandbox, own, configuration_id)
  local options = {}
  local configured = configuration_id and (sandbox.configurations:parameters(configuration_id) or MADE_UP) or {}
  for name, value in pairs(configured) do
    options[name] = value
  end
  for name, value in pairs(own) do
    if value ~= json.null and value ~= "configured" then
      options[name] = value
    end
  end
  options.product_type, options.configuration_id = nil, nil
  return options
end

--- Which part of the pages may fail before a job does; nil for all of them.
---@param options? table
---@return number?
function parse_options.allowed_failures(options)
  return parse_options.get(options, "processing_control", "job_failure_conditions", "allowed_page_failure_ratio")
end

--- The options of a job.
---@param sandbox table
---@param job llama_cloud.sandbox.job
---@return table
function parse_options.of_job(sandbox, job)
  local id = job.fields.configuration_id
  return job.fields.options or id and sandbox.configurations:parameters(id) or MADE_UP
end

return parse_options

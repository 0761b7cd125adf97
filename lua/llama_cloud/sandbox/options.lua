-- The options of a sandbox, each told once: its name in `sandbox.new` and on the command line, what it may be, and what it
-- is for.

local options = {}

local kinds = {}

kinds.text = {
  "a string",
  function(value)
    return type(value) == "string" and value ~= ""
  end,
}

kinds.count = {
  "a whole number, 0 or more",
  function(value)
    return math.type(value) == "integer" and value >= 0
  end,
}

kinds.integer = {
  "a whole number",
  function(value)
    return math.type(value) == "integer"
  end,
}

kinds.port = {
  "a port number, from 0 (any that is free) to 65535",
  function(value)
    return math.type(value) == "integer" and value >= 0 and value < 65536
  end,
}

kinds.positive = {
  "a number greater than 0",
  function(value)
    return type(value) == "number" and value > 0 and value < math.huge
  end,
}

kinds.flag = {
  "true or false",
  function(value)
    return type(value) == "boolean"
  end,
}

kinds.strings = {
  "an array of strings",
  function(value)
    if type(value) ~= "table" then
      return false
    end
    for _, member in pairs(value) do
      if type(member) ~= "string" then
        return false
      end
    end
    return true
  end,
}

kinds.call = {
  "a function",
  function(value)
    return type(value) == "function"
  end,
}

---@class llama_cloud.sandbox.option
---@field [1] string its name; on the command line with hyphens
---@field [2] string its kind, or "choice"
---@field [3] any default
---@field help? string what it is for; without it, it is none of the command line
---@field placeholder? string what --help calls its value
---@field values? string[] of a choice
---@field otherwise? string what there is without it, if the default does not say so

---@type llama_cloud.sandbox.option[]
options.LIST = {
  { "host", "text", "127.0.0.1", placeholder = "HOST", help = "address to listen on" },
  { "port", "port", 0, placeholder = "PORT", help = "port to listen on; 0 means any that is free" },
  { "batches", "count", 250, placeholder = "N", help = "v2 batches that exist at the start" },
  { "jobs", "count", 100, placeholder = "N", help = "v1 batch jobs that exist at the start" },
  { "seed", "integer", 1, placeholder = "N", help = "the number that determines all made-up data" },
  { "speed", "positive", 1, placeholder = "X", help = "how many times faster batches and jobs are processed" },
  { "api_key", "text", nil, placeholder = "KEY", help = "the only key that is accepted", otherwise = "any" },
  { "total_size", "flag", false, help = "lists by page token include their `total_size`" },
  {
    "keep",
    "count",
    64 << 20,
    placeholder = "BYTES",
    help = "how many bytes of uploads are kept altogether; of further ones, only the length and the SHA-256 are kept",
  },
  {
    "max_upload",
    "count",
    512 << 20,
    placeholder = "BYTES",
    help = "the largest file that is accepted; a larger one gets 413",
  },
  { "presigned_seconds", "count", 3600, placeholder = "N", help = "how long presigned URLs are valid" },
  {
    "duplicates",
    "choice",
    "conflict",
    values = { "conflict", "replace", "add" },
    placeholder = "HOW",
    help = "what happens when a file has the `unique_id` of another in its directory: `conflict` (409), `replace` the "
      .. "other, or `add` a second one",
  },
  {
    "duplicate_directories",
    "choice",
    "conflict",
    values = { "conflict", "add" },
    placeholder = "HOW",
    help = "what happens when a directory has the name of another in its project: `conflict` (409), or `add` a second",
  },
  {
    "rate_limits",
    "choice",
    "none",
    values = { "none", "published", "free" },
    placeholder = "WHICH",
    help = "`published`: as the service documents them; `free`: also 20 requests a minute",
  },
  { "no_retry_after", "flag", false, help = "the 429s of these limits have no `Retry-After`" },
  { "conflicts", "flag", false, help = "requests that the state of a job does not allow get 409 instead of 400" },
  { "deliver_webhooks", "flag", false, help = "webhooks are called if their URL is on the loopback interface" },
  { "deliver_anywhere", "flag", false, help = "other webhooks are called, too" },
  { "faults", "strings", {} },
  { "log", "call", nil },
}

--- The default of an option, in words; nil for one that takes no value.
---@param option llama_cloud.sandbox.option
---@return string?
function options.default(option)
  local value = option[3]
  if not option.placeholder then
    return nil
  elseif math.type(value) == "integer" and value >= 1 << 20 and value % (1 << 20) == 0 then
    return ("%d MiB"):format(value >> 20)
  end
  return option.otherwise or tostring(value)
end

local by_name = {}
for _, option in ipairs(options.LIST) do
  by_name[option[1]] = option
end

-- Whether a value fits, and else what would.
local function fits(option, value)
  if option[2] ~= "choice" then
    local kind = kinds[option[2]]
    return kind[2](value), kind[1]
  end
  for _, allowed in ipairs(option.values) do
    if value == allowed then
      return true
    end
  end
  return false, "one of " .. table.concat(option.values, ", ")
end

-- How many letters have to be changed, added or taken away to make one word of another, as a bound from above: swapped ones
-- count once.
local function distance(a, b)
  local above, over = {}, {}
  for j = 0, #b do
    above[j] = j
  end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j) and 0 or 1
      row[j] = math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + same)
      if j > 1 and i > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], over[j - 2] + 1)
      end
    end
    above, over = row, above
  end
  return above[#b]
end

--- The complaint about a name that is none of those known, with the nearest that is.
---@param name string
---@param known string[]
---@return string
function options.unknown(name, known)
  local nearest, least
  for _, candidate in ipairs(known) do
    local changes = distance(name:sub(1, 100), candidate)
    if changes < (least or math.max(2, #name / 3) + 1) then
      nearest, least = candidate, changes
    end
  end
  local hint = nearest and string.format(" (did you mean '%s'?)", nearest) or ""
  return string.format("unknown option '%s'%s", name, hint)
end

--- What was given, checked, and the defaults of the others; raises a message about a bad one.
---@param given table
---@return table
function options.checked(given)
  local result = {}
  for name, value in pairs(given) do
    local option = by_name[name]
    if not option then
      local names = {}
      for _, known in ipairs(options.LIST) do
        names[#names + 1] = known[1]
      end
      error(options.unknown(tostring(name), names), 0)
    end
    local ok, expected = fits(option, value)
    if not ok then
      error(string.format("option '%s' must be %s", name, expected), 0)
    end
    result[name] = value
  end
  for _, option in ipairs(options.LIST) do
    if result[option[1]] == nil then
      result[option[1]] = option[3]
    end
  end
  return result
end

return options

--- The tables of the page, in Markdown. Each has a name, its block's in docs/performance.md, and the part it is about.

local tables = {}

local function row(...)
  return "| " .. table.concat({ ... }, " | ") .. " |"
end

local function head(...)
  local rule = {}
  for i = 1, select("#", ...) do
    rule[i] = i == 1 and "---" or "---:"
  end
  return row(...) .. "\n" .. row(table.unpack(rule))
end

local function show(format, value, factor)
  return value and format:format(value * (factor or 1)) or "–"
end

--- 100000 as 100,000.
---@param number integer
---@return string
function tables.thousands(number)
  local text = ("%d"):format(number):reverse():gsub("%d%d%d", "%0,"):reverse()
  return (text:gsub("^,", ""))
end

--- A length as people say it.
---@param bytes integer
---@return string
function tables.size(bytes)
  if bytes >= 1 << 30 then
    return ("%g GB"):format(bytes / (1 << 30))
  end
  return ("%g %s"):format(bytes >= 1e6 and bytes / 1e6 or bytes / 1e3, bytes >= 1e6 and "MB" or "kB")
end

--- A ratio as people say it: 0.45×, 6.1×, 110×.
---@param ratio number
---@return string
function tables.ratio(ratio)
  local format = ratio < 0.995 and "%.2f×" or ratio < 9.95 and "%.1f×" or "%.0f×"
  return format:format(ratio)
end

local thousands, size = tables.thousands, tables.size

-- The columns of programs that did the same.
local function programs(figures, part, what, names)
  local first = names[1]
  local lines = { head("program", "wall", "relative", "CPU", "relative", "peak memory") }
  for _, name in ipairs(names) do
    local wall = figures:median(part, what, name, "wall")
    if wall then
      lines[#lines + 1] = row(
        name,
        show("%.2f s", wall),
        show("%.2f", figures:ratio(part, what, name, first, "wall")),
        show("%.2f s", figures:median(part, what, name, "cpu")),
        show("%.2f", figures:ratio(part, what, name, first, "cpu")),
        show("%.1f MB", figures:median(part, what, name, "peak_kib"), 1 / 1024)
      )
    end
  end
  return table.concat(lines, "\n")
end

-- The same for programs that did one thing many times.
local function repeated(figures, part, what, names, count, unit)
  local lines = { head("program", "CPU", "CPU each", "relative", "wall", unit .. " a second", "peak memory") }
  for _, name in ipairs(names) do
    local wall, cpu = figures:median(part, what, name, "wall"), figures:median(part, what, name, "cpu")
    if wall then
      lines[#lines + 1] = row(
        name,
        show("%.2f s", cpu),
        show("%.1f µs", cpu, 1e6 / count),
        show("%.2f", figures:ratio(part, what, name, names[1], "cpu")),
        show("%.2f s", wall),
        thousands(count // wall),
        show("%.1f MB", figures:median(part, what, name, "peak_kib"), 1 / 1024)
      )
    end
  end
  return table.concat(lines, "\n")
end

--- The blocks, in the order of the page: `title` is printed before it, `make` gives its Markdown.
---@type { name: string, part: string, title: (fun(how: table): string), make: fun(figures: bench.Figures, how: table): string }[]
tables.blocks = {}

local function block(name, part, title, make)
  tables.blocks[#tables.blocks + 1] = { name = name, part = part, title = title, make = make }
end

local RECIPE = { "batches:process", "llama-cloud process", "TypeScript SDK", "shell, curl and jq", "uploads alone" }
block("recipe", "recipe", function(how)
  return ("A folder of %s files to a folder of results"):format(thousands(how.count))
end, function(figures)
  return programs(figures, "recipe", "recipe", RECIPE)
end)

block("throughput", "throughput", function(how)
  local title = "%s files through the recipe without fetching results, 8 at once, %g ms longer for each upload"
  return title:format(thousands(how.count), how.milliseconds)
end, function(figures)
  local function of(name, field)
    return figures:median("throughput", "throughput", name, field)
  end
  local lines = { head("", "wall", "CPU", "memory over an idle program") }
  for _, name in ipairs { "uploads", "process" } do
    local memory = (of(name, "peak_kib") - of("idle", "peak_kib")) / 1024
    local label = name == "uploads" and "uploads alone" or "`batches:process`"
    lines[#lines + 1] =
      row(label, show("%.1f s", of(name, "wall")), show("%.1f s", of(name, "cpu")), show("%.1f MB", memory))
  end
  return table.concat(lines, "\n")
end)

for _, part in ipairs { "files", "transfer" } do
  local function of(how)
    local unit = how.count == 1 and "one file of %s" or thousands(how.count) .. " files of %s"
    return unit:format(size(how.size)) .. (how.count > 1 and (", %s at once"):format(how.at_once) or "")
  end
  block(part .. " up", part, function(how)
    return "Uploads: " .. of(how)
  end, function(figures)
    return programs(figures, part, "up", { "llama_cloud", "curl", "TypeScript SDK" })
  end)
  block(part .. " down", part, function(how)
    return "Downloads into files: " .. of(how)
  end, function(figures)
    return programs(figures, part, "down", { "llama_cloud", "curl", "curl, then sync", "TypeScript SDK" })
  end)
end

block("listing", "listing", function(how)
  return ("A list of %s batches in pages of 100"):format(thousands(how.count))
end, function(figures)
  return programs(figures, "listing", "list", { "llama_cloud", "curl", "LuaSocket", "TypeScript SDK" })
end)
block("listing slow", "listing", function(how)
  return ("%d pages that take 20 ms each, and 20 ms of work on each page in the consumer"):format(how.slow_pages)
end, function(figures)
  return programs(figures, "listing", "slow list", { "llama_cloud", "LuaSocket", "TypeScript SDK" })
end)
block("listing offset", "listing", function(how)
  return ("An offset list of %d pages that take 20 ms each"):format(how.slow_pages)
end, function(figures)
  return programs(figures, "listing", "offset list", { "eight at once", "one at a time" })
end)

for _, protocol in ipairs { "HTTP/1.1", "HTTP/2" } do
  block("polling " .. protocol, "polling", function(how)
    return ("%s polls by %d tasks, %s"):format(thousands(how.count), how.tasks, protocol)
  end, function(figures, how)
    local names = { "C, curl multi and epoll", "the core without Lua", "llama_cloud" }
    return repeated(figures, "polling", "polls, " .. protocol, names, how.count, "polls")
  end)
end
block("polling blocking", "polling", function(how)
  return ("%s calls that block, one after another, HTTP/1.1"):format(thousands(how.calls))
end, function(figures, how)
  return repeated(figures, "polling", "blocking calls", { "C, curl easy", "llama_cloud" }, how.calls, "calls")
end)

block("memory", "memory", function()
  return "Peak memory"
end, function(figures, how)
  local function peak(name)
    return show("%.2f MB", figures:median("memory", "memory", name, "peak_kib"), 1 / 1024)
  end
  local lists = ("lists %s batches"):format(thousands(how.count))
  return table.concat(
    { head("program", "peak memory"), row("has loaded the module", peak("idle")), row(lists, peak("listing")) },
    "\n"
  )
end)

local DOCUMENTS = {
  "v2 page",
  "v1 page",
  "10k results",
  "100k results",
  "escapes",
  "long strings",
  "deep nesting",
  "small arrays",
  "20k distinct keys",
  "numbers",
}
local WAYS = { { "item by item", "v2 page, item by item" }, { "fields", "v2 page, `id` and `status` alone" } }
block("decode", "decode", function()
  return "Decoding: CPU time of one decode, and how many times faster than the other"
end, function(figures)
  local lines = { head("document", "KB", "llama_cloud", "than lua-cjson", "than dkjson") }
  local function add(label, what, name)
    lines[#lines + 1] = row(
      label,
      show("%.0f", figures:median("decode", what, name, "bytes"), 1e-3),
      show("%.3f ms", figures:median("decode", what, name, "cpu"), 1e3),
      show("%.2f", figures:ratio("decode", what, "lua-cjson", name, "cpu")),
      show("%.0f", figures:ratio("decode", what, "dkjson", name, "cpu"))
    )
  end
  for _, what in ipairs(DOCUMENTS) do
    add(what, what, "llama_cloud")
  end
  for _, way in ipairs(WAYS) do
    add(way[2], "v2 page", way[1])
  end
  return table.concat(lines, "\n")
end)

block("instructions decode", "instructions", function()
  return "Instructions of one decode (callgrind)"
end, function(figures)
  local lines = { head("document", "llama_cloud", "lua-cjson", "lua-cjson = 1") }
  for _, way in ipairs {
    { "v2 page", "v2 page", "llama_cloud" },
    { WAYS[1][2], "v2 page", WAYS[1][1] },
    { WAYS[2][2], "v2 page", WAYS[2][1] },
    { "v1 page", "v1 page", "llama_cloud" },
  } do
    local label, what, name = table.unpack(way)
    lines[#lines + 1] = row(
      label,
      show("%.0f thousand", figures:median("instructions", what, name, "instructions"), 1e-3),
      show("%.0f thousand", figures:median("instructions", what, "lua-cjson", "instructions"), 1e-3),
      show("%.3f", figures:ratio("instructions", what, name, "lua-cjson", "instructions"))
    )
  end
  return table.concat(lines, "\n")
end)
block("instructions", "instructions", function()
  return "Instructions of everything else, libcurl's included"
end, function(figures)
  local lines = { head("what", "instructions") }
  for _, what in ipairs {
    { "a `get` that blocks", "a call that blocks", "%.0f thousand", 1e-3 },
    { "an item of a list, pages of 100", "an item of a list", "%.1f thousand", 1e-3 },
    { "`require`, without the dynamic linker", "require", "%.1f million", 1e-6 },
  } do
    local median = figures:median("instructions", what[2], "llama_cloud", "instructions")
    lines[#lines + 1] = row(what[1], show(what[3], median, what[4]))
  end
  return table.concat(lines, "\n")
end)

-- What README.md shows: what is done, where it is measured, and what of it, and which of the programs with curl.
local OVERVIEW = {
  { "recipe", "recipe", "wall", "shell, curl and jq" },
  { "recipe", "recipe", "cpu", "shell, curl and jq" },
  { "files", "up", "wall", "curl" },
  { "files", "up", "cpu", "curl" },
  { "files", "down", "cpu", "curl, then sync" },
  { "transfer", "up", "wall", "curl" },
  { "transfer", "up", "peak_kib", "curl" },
  { "transfer", "down", "wall", "curl, then sync" },
  { "listing", "list", "cpu", "curl" },
  { "listing", "list", "peak_kib", "curl" },
}

local JOBS = {
  recipe = function(how)
    return ("%s files to results"):format(thousands(how.count))
  end,
  up = function(how)
    return how.count == 1 and size(how.size) .. " up" or ("%d files of %s up"):format(how.count, size(how.size))
  end,
  down = function(how)
    return how.count == 1 and size(how.size) .. " down" or ("%d files of %s down"):format(how.count, size(how.size))
  end,
  list = function(how)
    return ("a list of %s batches"):format(thousands(how.count))
  end,
}

local WHAT = {
  wall = { "time", "%.2f s", 1 },
  cpu = { "CPU time", "%.2f s", 1 },
  peak_kib = { "peak memory", "%.0f MB", 1 / 1024 },
}

--- The few figures for README.md, as shares of what this client needs.
---@param figures bench.Figures
---@return string
function tables.overview(figures)
  local lines = { head("", "this client", "TypeScript SDK", "curl") }
  for _, line in ipairs(OVERVIEW) do
    local part, what, field, curl = table.unpack(line)
    local how, ours = figures.how[part], part == "recipe" and "batches:process" or "llama_cloud"
    if how then
      local label, format, factor = table.unpack(WHAT[field])
      local function share(name)
        local ratio = figures:ratio(part, what, name, ours, field)
        return ratio and tables.ratio(ratio) or "–"
      end
      lines[#lines + 1] = row(
        ("%s: %s"):format(JOBS[what](how), label),
        show(format, figures:median(part, what, ours, field), factor),
        share("TypeScript SDK"),
        share(curl)
      )
    end
  end
  return table.concat(lines, "\n")
end

return tables

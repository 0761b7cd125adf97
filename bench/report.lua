--- Tables in Markdown of what was measured last: report.lua [PART...]. Times are medians of the rounds, ratios are medians
--- of the ratios of each round.

local results = require("bench.results")
local statistics = require("bench.statistics")

-- What was measured of a part, as what -> name -> field -> values, one a round; and the names of each `what` in order.
local function read(part)
  local records = results.read(part)
  if not records then
    return nil
  end
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

local parts = {}

-- Values of a field, nil where nothing was measured.
local function values(part, what, name, field)
  parts[part] = parts[part] or read(part) or {}
  local of_what = parts[part][what]
  return of_what and of_what[name] and of_what[name][field]
end

local function median(...)
  local list = values(...)
  return list and #list > 0 and statistics.median(list)
end

local function ratio(part, what, above, below, field)
  local a, b = values(part, what, above, field), values(part, what, below, field)
  return a and b and #a == #b and statistics.ratio(a, b)
end

local function show(format, value, factor)
  return value and format:format(value * (factor or 1)) or "–"
end

local function row(...)
  print("| " .. table.concat({ ... }, " | ") .. " |")
end

local function head(...)
  row(...)
  local rule = {}
  for i = 1, select("#", ...) do
    rule[i] = i == 1 and "---" or "---:"
  end
  row(table.unpack(rule))
end

local tables = {}

function tables.decode()
  print("Decoding (CPU time of one decode; how many times faster than the other):\n")
  head("document", "KB", "llama_cloud", "than lua-cjson", "than dkjson")
  for _, what in ipairs {
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
  } do
    row(
      what,
      show("%.0f", median("decode", what, "llama_cloud", "bytes"), 1e-3),
      show("%.3f ms", median("decode", what, "llama_cloud", "cpu"), 1e3),
      show("%.2f", ratio("decode", what, "lua-cjson", "llama_cloud", "cpu")),
      show("%.0f", ratio("decode", what, "dkjson", "llama_cloud", "cpu"))
    )
  end
  local ways = { { "item by item", "v2 page, item by item" }, { "fields", "v2 page, `id` and `status` alone" } }
  for _, way in ipairs(ways) do
    row(
      way[2],
      show("%.0f", median("decode", "v2 page", way[1], "bytes"), 1e-3),
      show("%.3f ms", median("decode", "v2 page", way[1], "cpu"), 1e3),
      show("%.2f", ratio("decode", "v2 page", "lua-cjson", way[1], "cpu")),
      show("%.0f", ratio("decode", "v2 page", "dkjson", way[1], "cpu"))
    )
  end
end

function tables.instructions()
  print("Instructions of one decode (callgrind):\n")
  head("document", "llama_cloud", "lua-cjson", "lua-cjson = 1")
  for _, way in ipairs {
    { "v2 page", "v2 page", "llama_cloud" },
    { "v2 page, item by item", "v2 page", "item by item" },
    { "v2 page, `id` and `status` alone", "v2 page", "fields" },
    { "v1 page", "v1 page", "llama_cloud" },
  } do
    local label, what, name = table.unpack(way)
    row(
      label,
      show("%.0f thousand", median("instructions", what, name, "instructions"), 1e-3),
      show("%.0f thousand", median("instructions", what, "lua-cjson", "instructions"), 1e-3),
      show("%.3f", ratio("instructions", what, name, "lua-cjson", "instructions"))
    )
  end
  print("\nInstructions of everything else, libcurl's included:\n")
  head("what", "instructions")
  row(
    "a `get` that blocks",
    show("%.0f thousand", median("instructions", "a call that blocks", "llama_cloud", "instructions"), 1e-3)
  )
  row(
    "an item of a list, pages of 100",
    show("%.1f thousand", median("instructions", "an item of a list", "llama_cloud", "instructions"), 1e-3)
  )
  row(
    "`require`, without the dynamic linker",
    show("%.1f million", median("instructions", "require", "llama_cloud", "instructions"), 1e-6)
  )
end

-- Programs that did the same; `first` is what the others are compared with.
local function programs(part, what, first, names, count, unit)
  head("program", "CPU", unit and "CPU each" or "CPU, relative", "wall", unit or "wall, relative", "peak memory")
  for _, name in ipairs(names) do
    local wall = median(part, what, name, "wall")
    if wall then
      row(
        name,
        show("%.2f s", median(part, what, name, "cpu")),
        unit and show("%.1f µs", median(part, what, name, "cpu"), 1e6 / count)
          or show("%.2f", ratio(part, what, name, first, "cpu")),
        show("%.2f s", wall),
        unit and show("%.0f", count / wall) or show("%.2f", ratio(part, what, name, first, "wall")),
        show("%.1f MB", median(part, what, name, "peak_kib"), 1 / 1024)
      )
    end
  end
end

function tables.listing()
  local what = "100,000 batches"
  print("A list of 100,000 batches in pages of 100, whole programs, nginx on the same machine:\n")
  programs("listing", what, "llama_cloud", { "llama_cloud", "curl", "LuaSocket", "TypeScript SDK" })
  print("\n100 pages that take 20 ms each, and 20 ms of work on each page in the consumer:\n")
  programs("listing", "20 ms a page, 20 ms of work", "llama_cloud", { "llama_cloud", "LuaSocket", "TypeScript SDK" })
  print("\nAn offset list of 100 pages that take 20 ms each:\n")
  programs("listing", "offset list, 20 ms a page", "eight at once", { "eight at once", "one at a time" })
end

function tables.polling()
  for _, protocol in ipairs { "HTTP/1.1", "HTTP/2" } do
    local what = "10,000 polls, " .. protocol
    if values("polling", what, "llama_cloud", "cpu") then
      print(("10,000 polls by 128 tasks, %s:\n"):format(protocol))
      programs(
        "polling",
        what,
        nil,
        { "C, curl multi and epoll", "the core without Lua", "llama_cloud" },
        10000,
        "polls a second"
      )
      print("")
    end
  end
  print("5,000 calls that block, one after another, HTTP/1.1:\n")
  programs("polling", "5,000 calls that block", nil, { "C, curl easy", "llama_cloud" }, 5000, "calls a second")
end

function tables.memory()
  print("Peak memory:\n")
  head("program", "peak memory")
  row("has loaded the module", show("%.2f MB", median("memory", "memory", "idle", "peak_kib"), 1 / 1024))
  row("lists 100,000 batches", show("%.2f MB", median("memory", "memory", "listing", "peak_kib"), 1 / 1024))
end

function tables.transfer()
  print("A file of 2 GB to a server that throws it away, whole programs:\n")
  programs("transfer", "up", "curl", { "the core", "curl" })
  if values("transfer", "an eighth up", "TypeScript SDK", "wall") then
    print("\nThe same with 256 MB:\n")
    programs("transfer", "an eighth up", "the core", { "the core", "TypeScript SDK" })
  end
  print("\n2 GB from a server into a file (the core flushes it to the disk before it renames it):\n")
  programs("transfer", "down", "curl", { "the core", "curl", "curl, then sync" })
end

local awkward = { "escapes", "long strings", "deep nesting", "small arrays", "20k distinct keys", "numbers" }

-- What each part is to reach: what, measured, goal, whether more is better.
local function goals(part)
  local list = {}
  local function goal(what, measured, bound, more)
    if measured then
      list[#list + 1] = { what, measured, bound, more }
    end
  end
  if part == "decode" then
    local pages = { { "v2 page", 2.4 }, { "v1 page", 2.6 }, { "10k results", 2.4 }, { "100k results", 1.8 } }
    for _, bound in ipairs(pages) do
      local measured = ratio("decode", bound[1], "lua-cjson", "llama_cloud", "cpu")
      goal(("decode %s: times faster than lua-cjson"):format(bound[1]), measured, bound[2], true)
    end
    local worst, which
    for _, what in ipairs(awkward) do
      local measured = ratio("decode", what, "lua-cjson", "llama_cloud", "cpu")
      if measured and (not worst or measured < worst) then
        worst, which = measured, what
      end
    end
    goal(("awkward documents, the worst (%s): times faster than lua-cjson"):format(which), worst, 1, true)
    local measured = ratio("decode", "v2 page", "lua-cjson", "fields", "cpu")
    goal("`id` and `status` of a v2 page: times faster than lua-cjson", measured, 4, true)
  elseif part == "instructions" then
    for _, bound in ipairs { { "v2 page", 0.46 }, { "v1 page", 0.38 } } do
      local measured = ratio("instructions", bound[1], "llama_cloud", "lua-cjson", "instructions")
      goal(("instructions, %s, lua-cjson = 1"):format(bound[1]), measured, bound[2])
    end
    local wholes = { { "a call that blocks", 190 }, { "an item of a list", 17.5 }, { "require", 14000 } }
    for _, bound in ipairs(wholes) do
      local measured = median("instructions", bound[1], "llama_cloud", "instructions")
      goal(("%s: thousand instructions"):format(bound[1]), measured and measured / 1000, bound[2])
    end
  elseif part == "listing" then
    local what = "100,000 batches"
    goal("list, CPU: the TypeScript SDK's to ours", ratio(part, what, "TypeScript SDK", "llama_cloud", "cpu"), 5, true)
    goal("list, CPU: LuaSocket's to ours", ratio(part, what, "LuaSocket", "llama_cloud", "cpu"), 2, true)
    goal("list, CPU: ours to curl's to /dev/null", ratio(part, what, "llama_cloud", "curl", "cpu"), 1.4)
    -- both sums are 100 times 20 ms
    local wall = median(part, "20 ms a page, 20 ms of work", "llama_cloud", "wall")
    goal("20 ms a page and 20 ms of work: wall time to the larger sum", wall and wall / 2, 1.1)
    local gain = ratio(part, "offset list, 20 ms a page", "one at a time", "eight at once", "wall")
    goal("offset list, 8 pages at once: times faster than one at a time", gain, 6, true)
  elseif part == "polling" then
    for _, protocol in ipairs { "HTTP/1.1", "HTTP/2" } do
      local what = "10,000 polls, " .. protocol
      local core = ratio(part, what, "the core without Lua", "C, curl multi and epoll", "cpu")
      goal(("polls, %s, CPU: the core without Lua, C = 1"):format(protocol), core, 1.5)
      local lua = ratio(part, what, "llama_cloud", "C, curl multi and epoll", "cpu")
      goal(("polls, %s, CPU: from Lua and decoded, C = 1"):format(protocol), lua, 1.7)
    end
    local blocking = ratio(part, "5,000 calls that block", "llama_cloud", "C, curl easy", "cpu")
    goal("a call that blocks, CPU: libcurl's easy interface in C = 1", blocking, 1.6)
  elseif part == "memory" then
    local listing, idle = median(part, part, "listing", "peak_kib"), median(part, part, "idle", "peak_kib")
    goal("memory of a list of 100,000 over an idle program, MB", listing and (listing - idle) / 1024, 3)
  elseif part == "transfer" then
    local idle = median(part, "idle", "idle", "peak_kib")
    for _, what in ipairs { "up", "down" } do
      local peak = median(part, what, "the core", "peak_kib")
      goal(("2 GB %s: memory over an idle program, MB"):format(what), peak and (peak - idle) / 1024, 25)
    end
    goal("2 GB up, wall time: curl = 1", ratio(part, "up", "the core", "curl", "wall"), 1.25)
    goal("2 GB down, wall time: curl, then sync = 1", ratio(part, "down", "the core", "curl, then sync", "wall"), 1.25)
  end
  return list
end

local chosen = #arg > 0 and arg or { "decode", "instructions", "listing", "polling", "memory", "transfer" }
local all = {}
for _, part in ipairs(chosen) do
  if tables[part] and results.read(part) then
    tables[part]()
    print("")
    for _, goal in ipairs(goals(part)) do
      all[#all + 1] = goal
    end
  end
end
local machine = {}
for i, record in ipairs(results.read("machine") or {}) do
  machine[i] = (record.name .. " " .. record.version):match("^ ?(.*)")
end
if #machine > 0 then
  print(("Measured on: %s.\n"):format(table.concat(machine, ", ")))
end
if #all > 0 then
  head("goal", "measured", "to reach", "reached")
end
for _, goal in ipairs(all) do
  local what, measured, bound, more = table.unpack(goal)
  local reached = more and measured >= bound or not more and measured <= bound
  row(
    what,
    (measured < 1 and "%.3f" or "%.2f"):format(measured),
    (more and "≥ %g" or "≤ %g"):format(bound),
    reached and "yes" or "**no**"
  )
end

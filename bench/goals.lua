--- What the project has set itself, and where it stands.

local goals = {}

---@alias bench.Goal { what: string, measured: number, bound: number, more: boolean? } more: more is better

local AWKWARD = { "escapes", "long strings", "deep nesting", "small arrays", "20k distinct keys", "numbers" }

local parts = {}

function parts.recipe() end

function parts.throughput(figures, goal)
  local function of(name)
    return figures:median("throughput", "throughput", name, "peak_kib")
  end
  local wall = figures:ratio("throughput", "throughput", "process", "uploads", "wall")
  goal("the recipe, wall time: its uploads alone = 1", wall, 1.15)
  goal("the recipe: memory over an idle program, MB", of("idle") and (of("process") - of("idle")) / 1024, 40)
end

function parts.files(figures, goal)
  local share = figures:ratio("files", "up", "curl", "llama_cloud", "wall")
  goal("many small files up, throughput: `curl --parallel` = 1", share, 0.8, true)
end

function parts.transfer(figures, goal)
  local idle = figures:median("transfer", "idle", "idle", "peak_kib")
  for _, what in ipairs { "up", "down" } do
    local peak = figures:median("transfer", what, "llama_cloud", "peak_kib")
    goal(("a large file %s: memory over an idle program, MB"):format(what), peak and (peak - idle) / 1024, 25)
  end
  goal("a large file up, wall: curl = 1", figures:ratio("transfer", "up", "llama_cloud", "curl", "wall"), 1.25)
  local down = figures:ratio("transfer", "down", "llama_cloud", "curl, then sync", "wall")
  goal("a large file down, wall: curl, then sync = 1", down, 1.25)
end

function parts.listing(figures, goal)
  local function cpu(above, below)
    return figures:ratio("listing", "list", above, below, "cpu")
  end
  goal("list, CPU: the TypeScript SDK's to ours", cpu("TypeScript SDK", "llama_cloud"), 5, true)
  goal("list, CPU: LuaSocket's to ours", cpu("LuaSocket", "llama_cloud"), 2, true)
  goal("list, CPU: ours to curl's to /dev/null", cpu("llama_cloud", "curl"), 1.4)
  local wall = figures:median("listing", "slow list", "llama_cloud", "wall")
  local sum = figures.how.listing.slow_pages * 0.02 -- of the pages, and of the work
  goal("20 ms a page and 20 ms of work: wall time to the larger sum", wall and wall / sum, 1.1)
  local gain = figures:ratio("listing", "offset list", "one at a time", "eight at once", "wall")
  goal("offset list, 8 pages at once: times faster than one at a time", gain, 6, true)
end

function parts.polling(figures, goal)
  for _, protocol in ipairs { "HTTP/1.1", "HTTP/2" } do
    local what, c = "polls, " .. protocol, "C, curl multi and epoll"
    local core = figures:ratio("polling", what, "the core without Lua", c, "cpu")
    goal(("polls, %s, CPU: the core without Lua, C = 1"):format(protocol), core, 1.5)
    local lua = figures:ratio("polling", what, "llama_cloud", c, "cpu")
    goal(("polls, %s, CPU: from Lua and decoded, C = 1"):format(protocol), lua, 1.7)
  end
  local blocking = figures:ratio("polling", "blocking calls", "llama_cloud", "C, curl easy", "cpu")
  goal("a call that blocks, CPU: libcurl's easy interface in C = 1", blocking, 1.6)
end

function parts.memory(figures, goal)
  local listing, idle =
    figures:median("memory", "memory", "listing", "peak_kib"), figures:median("memory", "memory", "idle", "peak_kib")
  goal("memory of a long list over an idle program, MB", listing and (listing - idle) / 1024, 3)
end

function parts.decode(figures, goal)
  local function faster(what, name)
    return figures:ratio("decode", what, "lua-cjson", name or "llama_cloud", "cpu")
  end
  local pages = { { "v2 page", 2.4 }, { "v1 page", 2.6 }, { "10k results", 2.4 }, { "100k results", 1.8 } }
  for _, page in ipairs(pages) do
    goal(("decode %s: times faster than lua-cjson"):format(page[1]), faster(page[1]), page[2], true)
  end
  local worst, which
  for _, what in ipairs(AWKWARD) do
    local measured = faster(what)
    if measured and (not worst or measured < worst) then
      worst, which = measured, what
    end
  end
  goal(("awkward documents, the worst (%s): times faster than lua-cjson"):format(which), worst, 1, true)
  goal("`id` and `status` of a v2 page: times faster than lua-cjson", faster("v2 page", "fields"), 4, true)
end

function parts.instructions(figures, goal)
  for _, page in ipairs { { "v2 page", 0.46 }, { "v1 page", 0.38 } } do
    local measured = figures:ratio("instructions", page[1], "llama_cloud", "lua-cjson", "instructions")
    goal(("instructions, %s, lua-cjson = 1"):format(page[1]), measured, page[2])
  end
  local wholes = { { "a call that blocks", 190 }, { "an item of a list", 17.5 }, { "require", 14000 } }
  for _, whole in ipairs(wholes) do
    local measured = figures:median("instructions", whole[1], "llama_cloud", "instructions")
    goal(("%s: thousand instructions"):format(whole[1]), measured and measured / 1000, whole[2])
  end
end

--- Where a part stands: what of its goals was measured.
---@param figures bench.Figures
---@param part string
---@return bench.Goal[]
function goals.of(figures, part)
  local list = {}
  parts[part](figures, function(what, measured, bound, more)
    if measured then
      list[#list + 1] = { what = what, measured = measured, bound = bound, more = more }
    end
  end)
  return list
end

return goals

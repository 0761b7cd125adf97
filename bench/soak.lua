--- Two minutes of bad weather, or as long as the argument says: scripts/lua bench/soak.lua [SECONDS] [SEED]
---
--- Against two sandboxes that answer one request in twenty wrongly, in every way they know, some programs list a frozen
--- directory over and over, and others create batches, wait for them, watch them and cancel them. Then the sandboxes are
--- asked how it really was:
---   every batch was created exactly once, every terminal status was seen, every item of every list came exactly once,
---   and neither descriptors nor memory have grown.
--- Prints the counts. Exit status 0: all of it holds.

local core = require("llama_cloud.core")
local llama_cloud = require("llama_cloud")
local sandbox = require("spec.support.sandbox")

local SECONDS = tonumber(arg and arg[1]) or 120
local SEED = math.tointeger(tonumber(arg and arg[2])) or os.time()
local FROZEN_BATCHES, FROZEN_JOBS = 400, 300
local CREATORS, LISTERS = 24, 4
local FAULT_RATE = 0.05
local KEY = "llx-soak-0123456789"

-- What goes wrong: before the service has acted, and after.
local ANY = {
  "500",
  "502",
  "503",
  "503 retry-after=0",
  "503 retry-after=0.2",
  "503 retry-after=soon",
  "429 retry-after=0.2",
  "429",
  "408",
  "close",
  "close=headers processed",
  "close=body processed",
  "close=10 processed",
  "reset",
  "reset=headers processed",
  "reset=body processed",
  "stall",
  "stall=headers processed",
  "stall=body processed",
  "garbage",
  "delay=0.3",
  "trickle=2000",
  'raw="SSH-2.0-x\\r\\n\\r\\n"',
  'body="<html>"',
}
local CREATIONS = { "close processed", "reset processed", "stall processed", "500 processed", "garbage processed" }
local LISTS = { "repeat-token" }

-- The rules; each strikes so often that all together strike FAULT_RATE of the requests.
local function weather(routes)
  local rules = {}
  for _, route in ipairs(routes) do
    for _, action in ipairs(route[2]) do
      rules[#rules + 1] = ("%s: %s p=%.6f"):format(route[1], action, FAULT_RATE / route[3])
    end
  end
  return rules
end

local counts = {}
local function count(what, n)
  counts[what] = (counts[what] or 0) + (n or 1)
end

local failures = {}
local function fail(format, ...)
  failures[#failures + 1] = format:format(...)
end

-- How many descriptors this process has. The shell is given a moment: its pipe is ours until it has begun.
local function descriptors()
  local pipe = assert(io.popen("sleep 0.05; ls /proc/$PPID/fd | wc -l"))
  local n = pipe:read("n")
  pipe:close()
  return n
end

local function resident()
  for line in io.lines("/proc/self/status") do
    local size = line:match("^VmRSS:%s*(%d+)")
    if size then
      return math.tointeger(size)
    end
  end
end

local function client_of(box)
  return llama_cloud.new { api_key = KEY, base_url = box:url(), proxy = "", timeout = 1.5, max_retries = 5 }
end

-- Lists ----------------------------------------------------------------------------------------------------------------

-- Walks a list to its end; one that fails loudly must have given the first items, each once, and is walked again.
local function walk(name, list, expected)
  local n = 0
  local ok, err = pcall(function()
    for item in list() do
      n = n + 1
      if item.id ~= expected[n] then
        fail("%s: item %d is %s instead of %s", name, n, item.id, expected[n] or "the end")
        error("stop", 0)
      end
    end
  end)
  count("items listed", n)
  if ok then
    count(name .. " lists walked to their end")
    if n ~= #expected then
      fail("%s: ended after %d of %d items", name, n, #expected)
    end
  elseif llama_cloud.is_error(err) then
    count(("%s lists that failed loudly (%s)"):format(name, err.kind))
  else
    fail("%s: raised %s", name, err)
  end
end

-- Creations ------------------------------------------------------------------------------------------------------------

local CONFIG = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } }
local statuses = {} -- number of a directory -> the terminal status that was seen

-- How the batches of a directory end.
local function fate(number)
  return number % 7 == 0 and "fail" or "well"
end

local function directory(number)
  return ("dir-files-2-%s-%d"):format(fate(number), number)
end

-- Creates the one batch of a directory, however long it takes: reconcile first, and where that cannot tell, looking.
local function create(client, number)
  local params = { source_directory_id = directory(number), config = CONFIG }
  for _ = 1, 100 do
    local batch, err = client.batches:create(params, { reconcile = true })
    if batch then
      count("creations")
      return batch
    end
    count(("creations that failed (%s%s)"):format(err.kind, err.maybe_sent and ", maybe sent" or ""))
    while err and err.maybe_sent do
      local found
      found, err = client.batches:list({ source_directory_id = directory(number) }):all()
      if found and found[1] then
        count("creations found by looking")
        return found[1]
      elseif err then
        err.maybe_sent = true -- looks again
      end
    end
  end
  fail("directory %d: no creation in 100 attempts", number)
end

local WAITING = { polling_interval = 0.1, max_interval = 0.5, total_timeout = 60 }

-- The terminal status of a batch; nil when the wait gave up, which is tried again.
local ways = {
  wait = function(client, id)
    local batch, err = client.batches:wait(id, nil, WAITING)
    batch = batch or err.kind:find("^batch_") and err.batch
    return batch and batch.status, err
  end,
  watch = function(client, id)
    local last
    local ok, err = pcall(function()
      for batch in client.batches:watch(id, nil, WAITING) do
        if last == batch.status then
          fail("%s: watch gave %s twice", id, last)
        end
        last = batch.status
      end
    end)
    return ok and last, err
  end,
  wait_all = function(client, id)
    local seen, problem = 0, nil
    local status
    for _, batch, err in client.batches:wait_all({ id }, nil, WAITING) do
      batch = batch or err.kind:find("^batch_") and err.batch
      seen, status, problem = seen + 1, batch and batch.status, err
    end
    if seen ~= 1 then
      fail("%s: wait_all gave it %d times", id, seen)
    end
    return status, problem
  end,
}
local order = { "wait", "watch", "wait_all" }

local function follow(client, number, batch)
  if number % 10 == 0 then
    local cancelled, err = client.batches:cancel(batch.id)
    count(cancelled and "cancels" or "cancels refused or failed")
    if err and err.maybe_sent then
      fail("%s: a cancel says maybe_sent", batch.id)
    end
  end
  local way = order[number % #order + 1]
  for _ = 1, 100 do
    local status, err = ways[way](client, batch.id)
    if status then
      count("ended as " .. status .. ", seen by " .. way)
      statuses[number] = status
      return
    end
    count(("%s ended early (%s)"):format(way, llama_cloud.is_error(err) and err.kind or tostring(err)))
  end
  fail("%s: its end was not seen in 100 waits", batch.id)
end

-- The run --------------------------------------------------------------------------------------------------------------

math.randomseed(SEED)
local frozen = sandbox.start { batches = FROZEN_BATCHES, jobs = FROZEN_JOBS, seed = SEED % 1000, speed = 0.0001 }
local living = sandbox.start { batches = 0, jobs = 0, seed = SEED % 1000 + 1, speed = 10 }

-- What the lists are to give.
local function ids_of(list)
  local ids = {}
  for item in list do
    ids[#ids + 1] = item.id
  end
  return ids
end
local lister, creator = client_of(frozen), client_of(living)
local expected_batches = ids_of(lister.batches:list { page_size = 100 })
local expected_jobs = ids_of(lister.beta.batch:list { limit = 100 })
assert(#expected_batches == FROZEN_BATCHES and #expected_jobs == FROZEN_JOBS)
frozen:clear_stats()

for _, rule in ipairs(weather { { "GET /api/v2/batches", LISTS, 50 }, { "* /api/*", ANY, #ANY } }) do
  frozen:fault(rule)
end
for _, rule in ipairs(weather { { "POST /api/v2/batches", CREATIONS, #CREATIONS }, { "* /api/*", ANY, #ANY } }) do
  living:fault(rule)
end

local numbers, running = 0, 0
local samples = {}

local function creating()
  while core.now() < samples.deadline do
    numbers = numbers + 1
    running = running + 1
    local number = numbers
    local batch = create(creator, number)
    if batch then
      follow(creator, number, batch)
    end
    running = running - 1
  end
end

local function listing(turn)
  while core.now() < samples.deadline do
    turn = turn + 1
    if turn % 2 == 0 then
      walk("v2", function()
        return lister.batches:list { page_size = math.random(1, 60) }
      end, expected_batches)
    else
      walk("v1", function()
        return lister.beta.batch:list { limit = math.random(1, 60) }
      end, expected_jobs)
    end
  end
end

local function sampling()
  while core.now() < samples.deadline do
    llama_cloud.sleep(math.min(SECONDS / 24, 5))
    collectgarbage()
    collectgarbage()
    local sample = { lua = collectgarbage("count"), rss = resident(), fds = descriptors(), batches = numbers }
    samples[#samples + 1] = sample
    io.stderr:write(
      ("%4.0f s  %5d batches  %6d items  Lua %5.0f KiB  resident %6d KiB  %3d descriptors\n"):format(
        SECONDS - (samples.deadline - core.now()),
        numbers,
        counts["items listed"] or 0,
        sample.lua,
        sample.rss,
        sample.fds
      )
    )
  end
end

samples.deadline = core.now() + SECONDS
local begin = core.now()
llama_cloud.run(function()
  llama_cloud.spawn(sampling)
  for _ = 1, CREATORS do
    llama_cloud.spawn(creating)
  end
  for i = 1, LISTERS do
    llama_cloud.spawn(listing, i)
  end
end)
local took = core.now() - begin

-- The truth ------------------------------------------------------------------------------------------------------------

local stats = {}
for name, box in pairs { frozen = frozen, living = living } do
  local struck = 0
  for _, fault in ipairs(box:faults()) do
    struck = struck + fault.hits
  end
  stats[name] = { requests = box:stats().requests, struck = struck }
  box:clear_faults()
end

local created, terminal = {}, { COMPLETED = true, FAILED = true, CANCELLED = true }
for batch in creator.batches:list { page_size = 1000 } do
  local number = math.tointeger(tonumber(batch.source_directory_id:match("%d+$")))
  created[number] = (created[number] or 0) + 1
  if statuses[number] ~= batch.status then
    fail("directory %d: seen as %s, is %s", number, statuses[number], batch.status)
  elseif not terminal[batch.status] then
    fail("directory %d: %s is no end", number, batch.status)
  elseif fate(number) == "fail" and batch.status == "COMPLETED" then
    fail("directory %d: cannot have been COMPLETED", number)
  end
end
local once = 0
for number = 1, numbers do
  once = once + (created[number] == 1 and 1 or 0)
  if created[number] ~= 1 then
    fail("directory %d: %d batches", number, created[number] or 0)
  end
end

-- Flat: the highest of the last third against the highest of the second. What is known of each batch counts for itself.
local third = #samples // 3
local function highest(from, to, field)
  local most = -math.huge
  for i = math.max(from, 1), to do
    most = math.max(most, samples[i][field])
  end
  return most
end
local function growth(field)
  return highest(2 * third + 1, #samples, field) - highest(third + 1, 2 * third, field)
end
if third >= 1 then
  local limits = { lua = 512, rss = 4096, fds = 8 }
  for field, limit in pairs(limits) do
    count(("growth of %s in the last third (limit %d)"):format(field, limit), growth(field) // 1 | 0)
    if growth(field) > limit then
      fail("%s has grown by %.0f", field, growth(field))
    end
  end
end

frozen:stop()
living:stop()

local names = {}
for name in pairs(counts) do
  names[#names + 1] = name
end
table.sort(names)
print(("%.0f s, seed %d"):format(took, SEED))
for name, one in pairs(stats) do
  print(
    ("%8d  requests to the %s sandbox, %.1f %% of them answered wrongly"):format(
      one.requests,
      name,
      100 * one.struck / math.max(one.requests, 1)
    )
  )
end
for _, name in ipairs(names) do
  print(("%8d  %s"):format(counts[name], name))
end
print(("%8d  of %d batches created exactly once"):format(once, numbers))
for i = 1, math.min(#failures, 20) do
  print("FAILED: " .. failures[i])
end
print(#failures == 0 and "well" or ("%d failures"):format(#failures))
os.exit(#failures == 0, true)

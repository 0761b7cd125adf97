--- Documents to decode: pages as the service sends them, and awkward ones. Generated, and the same at every run.

local documents = {}

-- A small generator of its own (Park and Miller's), so that the documents do not depend on Lua's version.
local function random_source(seed)
  local state = seed
  return function(n)
    state = state * 48271 % 2147483647
    return state % n
  end
end

local function uuid(random)
  return ("%08x-%04x-%04x-%04x-%06x%06x"):format(
    random(2147483647),
    random(65536),
    random(65536),
    random(65536),
    random(16777216),
    random(16777216)
  )
end

local function date(random)
  return ("2026-%02d-%02dT%02d:%02d:%02d.%03dZ"):format(
    1 + random(12),
    1 + random(28),
    random(24),
    random(60),
    random(60),
    random(1000)
  )
end

local statuses = { "PENDING", "RUNNING", "COMPLETED", "COMPLETED", "COMPLETED", "FAILED", "CANCELLED", "THROTTLED" }

local function v2_batch(random, project, results, status)
  return (
    '{"id":"bat-%s","project_id":"%s","source_directory_id":"dir-%s","config":{"job":{"type":"parse_v2",'
    .. '"configuration_id":"cfg-%s"}},"status":"%s","created_at":"%s","updated_at":"%s","results":%s}'
  ):format(
    uuid(random),
    project,
    uuid(random),
    uuid(random),
    status or statuses[1 + random(#statuses)],
    date(random),
    date(random),
    results or "null"
  )
end

local function v1_job(random, project)
  return (
    '{"id":"bjb-%s","job_type":"parse","project_id":"%s","status":"completed","total_items":%d,'
    .. '"completed_at":"%s","created_at":"%s","directory_id":"dir-%s","effective_at":"%s","error_message":null,'
    .. '"failed_items":%d,"job_record_id":"%s","processed_items":%d,"skipped_items":%d,"started_at":"%s",'
    .. '"updated_at":"%s","workflow_id":"%s"}'
  ):format(
    uuid(random),
    project,
    random(1000),
    date(random),
    date(random),
    uuid(random),
    date(random),
    random(10),
    uuid(random),
    random(1000),
    random(10),
    date(random),
    date(random),
    uuid(random)
  )
end

-- A page of `count` items.
local function page(count, item)
  local items = {}
  for i = 1, count do
    items[i] = item()
  end
  return ('{"items":[%s],"next_page_token":"eyJvZmZzZXQiOjEwMH0","total_size":%d}'):format(
    table.concat(items, ","),
    count * 10
  )
end

--- A page of v2 batches.
---@param count? integer 100
---@param seed? integer
---@return string
function documents.v2_page(count, seed)
  local random = random_source(seed or 1)
  local project = "prj-" .. uuid(random)
  return page(count or 100, function()
    return v2_batch(random, project)
  end)
end

--- A batch that runs, as a poll gets it.
---@return string
function documents.running_batch()
  local random = random_source(7)
  return v2_batch(random, "prj-" .. uuid(random), nil, "RUNNING")
end

--- A page of v1 batch jobs.
---@param count? integer 100
---@return string
function documents.v1_page(count)
  local random = random_source(2)
  local project = "prj-" .. uuid(random)
  return page(count or 100, function()
    return v1_job(random, project)
  end)
end

--- A batch with results.
---@param count integer
---@return string
function documents.results(count)
  local random = random_source(3)
  local results = {}
  for i = 1, count do
    results[i] = (
      '{"source_directory_file_id":"dfl-%s","job_reference":{"type":"parse_v2","id":"pjb-%s"},'
      .. '"error_message":null}'
    ):format(uuid(random), uuid(random))
  end
  return v2_batch(random, "prj-" .. uuid(random), "[" .. table.concat(results, ",") .. "]")
end

--- Many escapes in every string.
---@return string
function documents.escapes()
  local random = random_source(4)
  local parts = {}
  for i = 1, 2000 do
    parts[i] = ('"line %d\\nquote \\"%d\\" tab\\t\\u00e9\\u4e2d\\ud83d\\ude00 back\\\\slash\\/"'):format(
      i,
      random(1000)
    )
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

--- A few very long strings, some of them not ASCII.
---@return string
function documents.long_strings()
  local parts = {}
  for i = 1, 20 do
    parts[i] = '"' .. (i % 4 == 0 and "déjà vu 中文 " or "the quick brown fox "):rep(2500) .. '"'
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

--- 500 levels of objects and arrays, many times.
---@return string
function documents.deep()
  local one = ('{"a":['):rep(250) .. "1" .. ("]}"):rep(250)
  local parts = {}
  for i = 1, 40 do
    parts[i] = one
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

--- Many small arrays.
---@return string
function documents.small_arrays()
  local random = random_source(5)
  local parts = {}
  for i = 1, 20000 do
    parts[i] = ("[%d,%d,%d]"):format(random(100), random(100), random(100))
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

--- An object of 20,000 distinct keys.
---@return string
function documents.distinct_keys()
  local parts = {}
  for i = 1, 20000 do
    parts[i] = ('"key_%05d":%d'):format(i, i)
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- Integers and fractions.
---@return string
function documents.numbers()
  local random = random_source(6)
  local parts = {}
  for i = 1, 20000 do
    parts[i] = i % 2 == 0 and tostring(random(2147483647)) or ("%d.%06d"):format(random(1000), random(1000000))
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

return documents

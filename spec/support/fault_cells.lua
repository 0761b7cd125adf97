-- The cells of the fault matrix: one kind of call against one fault (spec/support/faults.lua), and what it came to.

local client_support = require("spec.support.client")
local core = require("llama_cloud.core")
local faults = require("spec.support.faults")
local llama_cloud = require("llama_cloud")
local retry = require("llama_cloud.http.retry")

local cells = {}

--- The kinds of call.
cells.calls = { "get", "create", "list", "wait" }

--- Seconds that an attempt may take, and that a wait may take in all where it cannot end otherwise.
cells.TIMEOUT = client_support.scaled(0.3)
cells.WAIT = client_support.scaled(1)

-- Large enough for every good answer, small enough for memory to show that the bound holds.
local MAX_RESPONSE_BYTES = 1 << 20

-- A server that is at fault for some requests of each cell and answers all others well. The cell's name, how many of its
-- requests come before the faults, and how many faults there are, are in headers of the request.
local SCRIPT = [[
  local function healthy(c, r, k)
    local body, headers = nil, { ["Content-Type"] = "application/json" }
    if r.path == "/healthy" then
      body, headers.Connection = "{}", "close"
    elseif r.method == "POST" then
      body = '{"id":"bat-1","status":"PENDING"}'
    elseif r.path == "/api/v2/batches" then
      body = r.query == "page_token=t1" and '{"items":[{"id":"c"}]}'
        or '{"items":[{"id":"a"},{"id":"b"}],"next_page_token":"t1"}'
    else
      body = ('{"id":"bat-1","status":"%%s"}'):format(k == 1 and "RUNNING" or "COMPLETED")
    end
    c:respond(200, headers, body)
    if headers.Connection then
      c:close()
    end
  end
  %s
  local function at_fault(c, r, k, skip)
    %s
  end
  local seen = {}
  return function(c, r)
    local cell = r.headers["x-cell"]
    if not cell then
      return healthy(c, r, 0)
    end
    local k = (seen[cell] or 0) + 1
    local skip, count = tonumber(r.headers["x-skip"]), tonumber(r.headers["x-count"])
    seen[cell] = k
    if k > skip and k <= skip + count then
      at_fault(c, r, k - skip, skip)
    else
      healthy(c, r, k)
    end
  end
]]

--- The source of the server of a fault.
---@param fault table
---@return string
function cells.script(fault)
  return SCRIPT:format(fault.before or "", fault.answer or "healthy(c, r, k + skip)")
end

--- How many attempts a call may make that is sent again.
---@param fault table
---@return integer
function cells.attempts(fault)
  return (fault.retries or 2) + 1
end

--- What a cell is to come to.
---@param fault table
---@param call string
---@return table
function cells.expected(fault, call)
  return fault.cells and fault.cells[call] or faults.outcomes[fault.outcome][call]
end

-- How many requests of a cell come before the first fault.
local function skipped(fault, call)
  return (call == "list" or call == "wait") and not fault.place and 1 or 0
end

--- How many faults a cell meets at most.
---@param fault table
---@param call string
---@return integer
function cells.count(fault, call)
  if fault.count then
    return fault.count
  elseif call == "wait" and fault.redirects then
    return fault.redirects + 1
  end
  return call == "wait" and cells.attempts(fault) + (fault.kept and 1 or 0) or 1000000
end

local calls = {}

function calls.get(client)
  return client.batches:get("bat-1")
end

function calls.create(client)
  return client.batches:create(client_support.BATCH)
end

function calls.list(client)
  local ids = {}
  local list = client.batches:list()
  local ok, err = pcall(function()
    for item in list do
      ids[#ids + 1] = item.id
    end
  end)
  if ok then
    return { id = table.concat(ids) }
  end
  local page, again = list:next_page()
  return nil, err, { ids = table.concat(ids), same = page == nil and rawequal(again, err) }
end

function calls.wait(client, fault)
  return client.batches:wait("bat-1", nil, {
    polling_interval = 0.01,
    backoff = "constant",
    total_timeout = cells.expected(fault, "wait").kind == "timeout" and cells.WAIT or client_support.scaled(20),
  })
end

-- The kinds of what an error says that it was caused by.
local function causes(err)
  local kinds = {}
  while err.cause and #kinds < 10 do
    err = err.cause
    kinds[err.kind] = true
    kinds[#kinds + 1] = err.kind
  end
  return kinds
end

--- How many descriptors this process has, but for those of garbage.
---@return integer
function cells.descriptors()
  collectgarbage()
  collectgarbage()
  local count = 0
  for _ in require("lfs").dir("/proc/self/fd") do -- busted needs it, too
    count = count + 1
  end
  return count
end

--- Waits until there are `count` of them, for a while: a lookup that was given up holds two until it has ended. Returns how
--- many there are.
---@param count integer
---@return integer
function cells.settled_descriptors(count)
  local deadline = core.now() + client_support.scaled(5)
  while cells.descriptors() ~= count and core.now() < deadline do
    llama_cloud.sleep(0.02)
  end
  return cells.descriptors()
end

--- The memory of this process in KiB.
---@return integer
function cells.memory()
  for line in io.lines("/proc/self/status") do
    local size = line:match("^VmRSS:%s*(%d+)")
    if size then
      return math.tointeger(size)
    end
  end
  error("/proc/self/status has no VmRSS")
end

--- Runs a cell and tells what it came to, in plain values.
---@param fault table
---@param call string
---@param options table the client's: base_url and whatever else the fault needs
---@param healthy string where a GET by the same client succeeds afterwards, and ends its connection
---@return table
function cells.run(fault, call, options, healthy)
  local given = {
    base_url = options.base_url,
    max_retries = cells.attempts(fault) - 1,
    timeout = fault.slow and cells.TIMEOUT or client_support.scaled(5),
    max_retry_after = 5,
    max_response_bytes = MAX_RESPONSE_BYTES,
    default_headers = {
      ["X-Cell"] = call,
      ["X-Skip"] = skipped(fault, call),
      ["X-Count"] = cells.count(fault, call),
    },
  }
  for name, value in pairs(options) do
    given[name] = value
  end
  local client <close> = client_support.client(options.base_url, given)
  local backoff = retry.backoff
  retry.backoff = function() -- the pauses themselves are the business of http/repetition_spec.lua
    return 0.02
  end
  local begin = core.now()
  local ok, value, err, list = pcall(calls[call], client, fault)
  local seconds = core.now() - begin
  retry.backoff = backoff
  local result = { seconds = seconds, raised = not ok and tostring(value) or nil }
  local afterwards, problem = client:with_options({ proxy = "" }):get(healthy, { headers = { ["X-Cell"] = false } })
  result.afterwards = afterwards and "well" or tostring(problem)
  if not ok then
    return result
  elseif value then
    result.value = type(value) == "table" and "object" or value
    result.id, result.status =
      type(value) == "table" and value.id or nil, type(value) == "table" and value.status or nil
    return result
  end
  result.is_error = llama_cloud.is_error(err)
  if result.is_error then
    result.kind, result.attempts, result.maybe_sent = err.kind, err.attempts, err.maybe_sent
    result.message, result.text = err.message, tostring(err)
    result.retry_after, result.causes = err.retry_after, causes(err)
    result.last_seen = err.batch and err.batch.status
    result.list = list
  end
  return result
end

return cells

-- The routes under /__sandbox__/, by which a test looks at the sandbox and steers it while it runs. They need no key, are
-- never misbehaved to, and are not counted.

local blobs = require("llama_cloud.sandbox.blobs")
local response = require("llama_cloud.sandbox.response")
local clock = require("llama_cloud.sandbox.clock")
local json = require("llama_cloud.sandbox.json")
local validate = require("llama_cloud.sandbox.validate")

local control = {}

-- Dates have four digits for the year.
local MAX_ADVANCE = 100 * 366 * 86400

control.PREFIX = "/__sandbox__"

local function show_fault(rule)
  return { id = rule.id, fault = rule.text, seen = rule.seen, hits = rule.hits }
end

local function overview(sandbox)
  return 200,
    {
      batches = sandbox.batches.count,
      jobs = sandbox.jobs.count,
      now = clock.format(sandbox.clock:now()),
      speed = sandbox.clock.speed,
      faults = #sandbox.faults.rules,
      connections = sandbox.server.connection_count,
      directories = sandbox.directories.count - sandbox.directories.deleted,
      files = sandbox.files.live,
      reset = response.reset_kind,
      sha256 = blobs.hashes,
    }
end

local function stats(sandbox)
  return 200,
    {
      requests = sandbox.recorder.count,
      connections = sandbox.server.connection_count,
      routes = sandbox.recorder.routes,
      statuses = sandbox.recorder.statuses,
    }
end

local function show_uploads(sandbox)
  local store, left = sandbox.directories, json.array {}
  for number = 1, store.count do
    local directory = store.records[number]
    if not directory.deleted_at then
      left[#left + 1] = { id = store:id(directory), name = directory.name, files = directory.live }
    end
  end
  local shown = sandbox.uploads:show()
  shown.files = sandbox.files.live
  shown.bytes_kept = sandbox.blobs.bound - sandbox.blobs.room
  shown.directories = { created = store.count, deleted = store.deleted, left = left }
  return 200, shown
end

local function clear_uploads(sandbox)
  sandbox.uploads:clear()
  return 204
end

local function list_faults(sandbox)
  local list = json.array {}
  for index, rule in ipairs(sandbox.faults.rules) do
    list[index] = show_fault(rule)
  end
  return 200, { faults = list }
end

local function add_faults(sandbox, body)
  local texts = body.faults or { body.fault }
  if type(texts) ~= "table" or #texts == 0 then
    return 422, { detail = 'Expected {"fault": "…"} or {"faults": ["…"]}' }
  end
  local before = sandbox.faults.last_id
  local added = json.array {}
  for index, text in ipairs(texts) do
    local ok, rule = pcall(sandbox.faults.add, sandbox.faults, tostring(text))
    if not ok then
      -- All or none.
      for id = before + 1, sandbox.faults.last_id do
        sandbox.faults:clear(id)
      end
      return 422, { detail = rule }
    end
    added[index] = show_fault(rule)
  end
  return 201, { faults = added }
end

local function show_time(sandbox)
  return 200, { now = clock.format(sandbox.clock:now()), seconds = sandbox.clock:now() / 1000 }
end

local function advance(sandbox, body)
  if type(body.advance) ~= "number" or math.abs(body.advance) > MAX_ADVANCE then
    return 422, { detail = 'Expected {"advance": seconds}, at most 100 years' }
  end
  sandbox:advance(body.advance)
  return show_time(sandbox)
end

local function recent_requests(sandbox, _, query)
  local limit = query.limit and math.tointeger(tonumber(query.limit[1])) or math.huge
  return 200, { requests = sandbox.recorder:recent(limit) }
end

local function recent_webhooks(sandbox)
  return 200, { webhooks = json.array { table.unpack(sandbox.deliveries.recent) } }
end

local function clear_recorder(sandbox)
  sandbox.recorder:clear()
  return 204
end

local function clear_faults(sandbox)
  sandbox.faults:clear()
  return 204
end

local HANDLERS = {
  ["GET "] = overview,
  ["GET /"] = overview,
  ["GET /stats"] = stats,
  ["DELETE /stats"] = clear_recorder,
  ["GET /requests"] = recent_requests,
  ["DELETE /requests"] = clear_recorder,
  ["GET /uploads"] = show_uploads,
  ["DELETE /uploads"] = clear_uploads,
  ["GET /webhooks"] = recent_webhooks,
  ["GET /faults"] = list_faults,
  ["POST /faults"] = add_faults,
  ["DELETE /faults"] = clear_faults,
  ["GET /time"] = show_time,
  ["POST /time"] = advance,
}

--- Whether a path is one of these.
---@param path string
---@return boolean
function control.owns(path)
  return path:sub(1, #control.PREFIX) == control.PREFIX
end

--- Answers a request for such a path.
---@param sandbox table
---@param request llama_cloud.sandbox.http_request
---@return llama_cloud.sandbox.http_response
function control.answer(sandbox, request)
  local path = request.path:sub(#control.PREFIX + 1)
  local handler = HANDLERS[request.method .. " " .. path]
  local one_fault = request.method == "DELETE" and path:match("^/faults/(%d+)$")
  if one_fault then
    local removed = sandbox.faults:clear(math.tointeger(tonumber(one_fault)))
    return { status = removed == 1 and 204 or 404, body = removed == 1 and "" or '{"detail":"Fault not found"}' }
  elseif not handler then
    return { status = 404, body = '{"detail":"Not Found"}' }
  end
  local body = {}
  if request.method == "POST" then
    body = json.decode(request.body_text)
    if not json.is_object(body) then
      return { status = 422, body = '{"detail":"Expected a JSON object"}' }
    end
  end
  local status, value = handler(sandbox, body, validate.parse_query(request.query_string))
  return { status = status, body = value and json.encode(value) or "" }
end

return control

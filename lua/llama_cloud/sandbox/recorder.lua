-- What was asked: counts since the start, and the last requests in full.

local blobs = require("llama_cloud.sandbox.blobs")
local json = require("llama_cloud.sandbox.json")

local recorder = {}

local KEPT = 1000

-- The longest body that is kept.
local LONGEST_BODY = 16 << 10

-- Header values that a log must not show.
local SECRET = { authorization = true, cookie = true, ["proxy-authorization"] = true }

---@class llama_cloud.sandbox.recorder
---@field count integer
---@field routes table<string, integer>
---@field statuses table<string, integer>
local recorder_methods = {}
local recorder_mt = { __name = "llama_cloud.sandbox.recorder", __index = recorder_methods }

---@return llama_cloud.sandbox.recorder
function recorder.new()
  local self = setmetatable({}, recorder_mt)
  self:clear()
  return self
end

function recorder_methods:clear()
  self.count, self.routes, self.statuses, self.ring = 0, {}, {}, {}
end

--- Notes a request and what became of it. `status` is what was answered, or "close", "reset", "stall" or "lost" when nothing was.
---@param request llama_cloud.sandbox.http_request
---@param route string
---@param status integer|string
---@param request_id string
---@param now integer
function recorder_methods:add(request, route, status, request_id, now)
  status = tostring(status)
  self.routes[route] = (self.routes[route] or 0) + 1
  self.statuses[status] = (self.statuses[status] or 0) + 1
  local text = request.body_text or ""
  self.ring[self.count % KEPT] = {
    method = request.method,
    path = request.path,
    query_string = request.query_string,
    headers = request.headers,
    body = #text > 0 and #text <= LONGEST_BODY and utf8.len(text) and text or nil, -- JSON has no other
    body_length = request.body.received,
    parts = request.parts, -- of a form: sizes and hashes, not the bytes
    status = status,
    request_id = request_id,
    now = now,
  }
  self.count = self.count + 1
end

local function show_parts(parts)
  local list = json.array {}
  for index, part in ipairs(parts) do
    list[index] = {
      name = part.name,
      filename = part.filename or json.null,
      content_type = part.content_type or json.null,
      size = part.size,
      sha256 = blobs.hex(part.sha256),
    }
  end
  return list
end

--- The last requests, oldest first, at most `limit`, ready for `json.encode`.
---@param limit number
---@return table[]
function recorder_methods:recent(limit)
  local list = json.array {}
  for number = math.max(0, self.count - math.min(limit, KEPT)), self.count - 1 do
    local entry = self.ring[number % KEPT]
    local headers = {}
    for name, value in pairs(entry.headers) do
      headers[name] = SECRET[name] and "(redacted)" or value
    end
    list[#list + 1] = {
      method = entry.method,
      path = entry.path,
      query = entry.query_string or json.null,
      headers = headers,
      body = entry.body or json.null,
      body_length = entry.body_length,
      parts = entry.parts and show_parts(entry.parts) or json.null,
      status = entry.status,
      request_id = entry.request_id,
      time = entry.now / 1000,
    }
  end
  return list
end

return recorder

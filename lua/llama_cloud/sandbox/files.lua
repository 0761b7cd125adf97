-- Files: what was uploaded, and what nobody uploaded but its id makes up: `file-bytes-N` has N bytes.

local ascii = require("llama_cloud.sandbox.ascii")
local blobs = require("llama_cloud.sandbox.blobs")
local clock = require("llama_cloud.sandbox.clock")
local json = require("llama_cloud.sandbox.json")
local lists = require("llama_cloud.sandbox.lists")
local presigned = require("llama_cloud.sandbox.presigned")
local seed = require("llama_cloud.sandbox.seed")

local hash = seed.hash

local files = {}

files.PURPOSES = { "user_data", "parse", "extract", "classify", "split", "sheet", "agent_app" }
files.ORDERS = { "name", "id", "created_at" }

---@class llama_cloud.sandbox.file
---@field number integer
---@field name string
---@field content_type string
---@field size integer
---@field sha256? string
---@field data? string
---@field project_id string
---@field purpose? string
---@field external_file_id? string
---@field created_at integer milliseconds

---@class llama_cloud.sandbox.files
---@field records table<integer, llama_cloud.sandbox.file|string> a name is what is left of a file that was deleted
local files_methods = {}
local files_mt = { __name = "llama_cloud.sandbox.files", __index = files_methods }

---@param sandbox table
---@return llama_cloud.sandbox.files
function files.new(sandbox)
  return setmetatable({
    blobs = sandbox.blobs,
    clock = sandbox.clock,
    scope = hash(sandbox.world, 20),
    project_id = seed.id("prj", sandbox.world, 1),
    created_at = sandbox.clock:now(),
    records = {},
    count = 0,
    live = 0,
  }, files_mt)
end

--- Takes an upload: from here on it is a file.
---@param upload llama_cloud.sandbox.upload
---@param purpose? string
---@param external_file_id? string
---@param project_id? string
---@return llama_cloud.sandbox.file
function files_methods:take(upload, purpose, external_file_id, project_id)
  self.count = self.count + 1
  self.live = self.live + 1
  self.sorted = nil
  -- A table of its own: made at once, it is smaller than one that has grown, and there may be 100,000.
  local file = {
    number = self.count,
    name = upload.name,
    content_type = upload.content_type,
    size = upload.size,
    sha256 = upload.sha256,
    project_id = project_id or self.project_id,
    created_at = self.clock:now(),
  }
  file.data, file.purpose, file.external_file_id = upload.data, purpose, external_file_id
  upload.held = true
  self.records[self.count] = file
  return file
end

---@param file llama_cloud.sandbox.file
---@return string
function files_methods:id(file)
  return file.made_up or seed.id("file", self.scope, file.number)
end

-- The file that an id such as file-bytes-1000 makes up; nil if it is none.
local function made_up(self, id)
  local digits = id:match("^file%-bytes%-(%d+)$")
  local size = digits and #digits <= 15 and math.tointeger(tonumber(digits))
  return size
      and {
        made_up = id,
        number = 0,
        name = id .. ".bin",
        size = size,
        content_type = "application/octet-stream",
        project_id = self.project_id,
        created_at = self.created_at,
      }
    or nil
end

--- The file of an id, or nil.
---@param id string
---@return llama_cloud.sandbox.file?
function files_methods:find(id)
  local number = seed.number("file", self.scope, id)
  local file = number and self.records[number]
  return type(file) == "table" and file or made_up(self, id)
end

--- Deletes a file that was uploaded; false if it is none, or was deleted already.
---@param file llama_cloud.sandbox.file
---@return boolean
function files_methods:remove(file)
  if self.records[file.number] ~= file then
    return false
  end
  self.blobs:release(file)
  self.records[file.number] = file.name
  self.live = self.live - 1
  return true
end

--- The bytes of a file; nil where they were not kept.
---@param file llama_cloud.sandbox.file
---@return llama_cloud.sandbox.source?
function files_methods.source(_, file)
  if file.made_up then
    return blobs.generated(file.size)
  end
  local data = file.data
  return data
      and {
        size = #data,
        read = function(offset, count)
          return data:sub(offset + 1, offset + count)
        end,
      }
    or file.size == 0 and { size = 0 }
    or nil
end

--- Where a file can be had from, as JSON.
---@param sandbox table
---@param request llama_cloud.sandbox.http_request
---@param file llama_cloud.sandbox.file
---@param seconds? integer
---@return string
function files_methods:presigned(sandbox, request, file, seconds)
  return presigned.encode(sandbox, request, "files", self:id(file), seconds)
end

function presigned.kinds.files(sandbox, id)
  local file = sandbox.files:find(id)
  local source = file and sandbox.files:source(file)
  if not source then
    return nil, file and 410 or 404, file and "The sandbox did not keep these bytes: see its option keep" or nil
  end
  return {
    source = source,
    content_type = file.content_type,
    etag = file.sha256 and blobs.hex(file.sha256):sub(1, 32)
      or string.format("%016x", hash(file.number, file.size, file.created_at)),
    modified_at = file.created_at,
  }
end

local FILE = '{"id":"%s","name":%s,"project_id":%s,"purpose":%s,"external_file_id":%s,"file_type":%s,'
  .. '"expires_at":null,"last_modified_at":"%s","download_url":%s}'

--- The JSON text of a file.
---@param file llama_cloud.sandbox.file
---@param url? string its address as JSON
---@return string
function files_methods:encode(file, url)
  local extension = file.name:match("%.([%w]+)$")
  return FILE:format(
    self:id(file),
    json.quote(file.name),
    json.quote(file.project_id),
    json.quote(file.purpose),
    json.quote(file.external_file_id),
    json.quote(extension and ascii.lower(extension)),
    clock.format(file.created_at),
    url or "null"
  )
end

-- All numbers by name or by id; what was deleted keeps its place, so that a list goes on where it was.
local function sorted(self, order)
  self.sorted = self.sorted or {}
  if not self.sorted[order] then
    local keys, numbers = {}, {}
    for number = 1, self.count do
      local file = self.records[number]
      keys[number] = order == "name" and (type(file) == "string" and file or file.name)
        or seed.id("file", self.scope, number)
      numbers[number] = number
    end
    table.sort(numbers, function(a, b)
      return keys[a] < keys[b] or keys[a] == keys[b] and a < b
    end)
    local places = {}
    for place, number in ipairs(numbers) do
      places[number] = place
    end
    self.sorted[order] = { numbers = numbers, places = places }
  end
  return self.sorted[order]
end

local function matches(self, file, filters, ids)
  return type(file) == "table"
    and file.project_id == (filters.project_id or self.project_id)
    and (not filters.file_name or file.name == filters.file_name)
    and (not filters.external_file_id or file.external_file_id == filters.external_file_id)
    and (not ids or ids[file.number])
end

--- The numbers of up to `limit` files that match, after number `after`, and whether more follow.
---@param filters { file_ids?: string[], file_name?: string, external_file_id?: string, order_by?: string, project_id?: string }
---@param after? integer
---@param limit integer
---@return integer[]
---@return boolean more
function files_methods:list(filters, after, limit)
  local ids
  for _, id in ipairs(filters.file_ids or {}) do
    ids = ids or {}
    ids[seed.number("file", self.scope, id) or 0] = true
  end
  local order = filters.order_by ~= "created_at" and filters.order_by and sorted(self, filters.order_by)
  if not order then
    return lists.newest(self.count, after, limit, function(number)
      return matches(self, self.records[number], filters, ids)
    end)
  end
  return lists.take(limit, (after and order.places[after] or 0) + 1, self.count, 1, function(place)
    local number = order.numbers[place]
    return matches(self, self.records[number], filters, ids) and number
  end)
end

return files

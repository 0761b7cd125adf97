-- Counts uploads, for tests of clients that must not upload anything twice.

local blobs = require("llama_cloud.sandbox.blobs")

local uploads = {}

---@class llama_cloud.sandbox.uploads
---@field total integer
---@field bytes integer
local uploads_methods = {}
local uploads_mt = { __name = "llama_cloud.sandbox.uploads", __index = uploads_methods }

---@return llama_cloud.sandbox.uploads
function uploads.new()
  local self = setmetatable({}, uploads_mt)
  self:clear()
  return self
end

function uploads_methods:clear()
  self.total, self.bytes, self.by_unique_id, self.by_sha256 = 0, 0, {}, {}
end

--- Counts an upload that came whole, whatever is answered to it.
---@param upload llama_cloud.sandbox.upload
---@param unique_id? string
function uploads_methods:count(upload, unique_id)
  self.total = self.total + 1
  self.bytes = self.bytes + upload.size
  if unique_id then
    self.by_unique_id[unique_id] = (self.by_unique_id[unique_id] or 0) + 1
  end
  if upload.sha256 then
    self.by_sha256[upload.sha256] = (self.by_sha256[upload.sha256] or 0) + 1
  end
end

--- The counts, ready for `json.encode`.
---@return table
function uploads_methods:show()
  local by_sha256 = {}
  for hash, count in pairs(self.by_sha256) do
    by_sha256[blobs.hex(hash)] = count
  end
  return { total = self.total, bytes = self.bytes, by_unique_id = self.by_unique_id, by_sha256 = by_sha256 }
end

return uploads

-- What was uploaded: the bytes themselves as long as there is room, and always their number and SHA-256.

local digest_found, digest = pcall(require, "openssl.digest")

local json = require("llama_cloud.sandbox.json")

local blobs = {}

--- Whether SHA-256 can be told: only where luaossl is installed. Computed in Lua it would take longer than the upload.
blobs.hashes = digest_found

-- What a form may have beside its file.
local SLACK = 64 << 10

---@class llama_cloud.sandbox.blob
---@field size integer
---@field sha256? string 32 bytes; nil without luaossl
---@field data? string nil where there was no room
---@field held? boolean whether somebody took it: what nobody took is released when its request was answered

---@class llama_cloud.sandbox.blobs
---@field bound integer bytes that may be kept
---@field room integer bytes that may still be kept
local blobs_methods = {}
local blobs_mt = { __name = "llama_cloud.sandbox.blobs", __index = blobs_methods }

--- A store that keeps up to `bound` bytes in all.
---@param bound integer
---@return llama_cloud.sandbox.blobs
function blobs.new(bound)
  return setmetatable({ bound = bound, room = bound }, blobs_mt)
end

local writer_methods = {}
local writer_mt = { __name = "llama_cloud.sandbox.blob_writer", __index = writer_methods }

--- What takes the bytes of one upload as they come, at most `most` of them. An upload that is expected not to fit into the
--- room that is left is not kept at all.
---@param most integer
---@param expected integer how many will come, or a few more
---@return table writer
function blobs_methods:writer(most, expected)
  local hash = digest_found and digest.new("sha256")
  local pieces = expected <= self.room + SLACK and {} or nil
  return setmetatable({ store = self, size = 0, most = most, pieces = pieces, hash = hash }, writer_mt)
end

---@param piece string
---@return boolean whether more may come
function writer_methods:write(piece)
  self.size = self.size + #piece
  if self.size > self.most then
    self.too_large = true
    return false
  end
  if self.hash then
    self.hash:update(piece)
  end
  if self.pieces and #piece > self.store.room then
    self:drop()
  elseif self.pieces then
    self.store.room = self.store.room - #piece
    self.pieces[#self.pieces + 1] = piece
  end
  return true
end

--- Forgets the bytes, and leaves their room to others.
function writer_methods:drop()
  for _, piece in ipairs(self.pieces or {}) do
    self.store.room = self.store.room + #piece
  end
  self.pieces = nil
end

--- The blob, when all was written. It has to be held or released.
---@return llama_cloud.sandbox.blob
function writer_methods:finish()
  return {
    size = self.size,
    sha256 = self.hash and self.hash:final() or nil,
    data = self.pieces and table.concat(self.pieces) or nil,
  }
end

--- Gives the room of a blob's bytes back; it has none any more.
---@param blob llama_cloud.sandbox.blob
function blobs_methods:release(blob)
  self.room = self.room + #(blob.data or "")
  blob.data = nil
end

--- SHA-256 of a text; nil without luaossl.
---@param text string
---@return string?
function blobs.hash(text)
  return digest_found and digest.new("sha256"):final(text) or nil
end

--- SHA-256 in hexadecimal digits, or null without luaossl, as JSON shows it.
---@param hash? string
---@return any
function blobs.hex(hash)
  return hash and ("%02x"):rep(#hash):format(hash:byte(1, -1)) or json.null
end

-- Bytes that nobody uploaded: byte i is (31 i + 7 ⌊i / 256⌋ + 11) mod 256. They repeat after 65,536.
local pattern

--- A source of `size` made-up bytes.
---@param size integer
---@return llama_cloud.sandbox.source
function blobs.generated(size)
  if not pattern then
    local bytes = {}
    for index = 0, 65535 do
      bytes[index + 1] = string.char((31 * index + 7 * (index // 256) + 11) % 256)
    end
    pattern = table.concat(bytes)
    pattern = pattern .. pattern
  end
  return {
    size = size,
    read = function(offset, count)
      local from = offset % 65536
      return pattern:sub(from + 1, from + math.min(count, 65536))
    end,
  }
end

return blobs

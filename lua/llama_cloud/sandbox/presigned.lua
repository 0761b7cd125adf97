-- Addresses that need no key, and expire: the signature is in the query. The query has everything that breaks when it is
-- encoded again: a plus and an encoded plus, encoded blanks, digits of both cases, a name that comes twice.

local clock = require("llama_cloud.sandbox.clock")
local json = require("llama_cloud.sandbox.json")
local seed = require("llama_cloud.sandbox.seed")

local presigned = {}

presigned.PATH = "/presigned"

---@class llama_cloud.sandbox.presigned_content
---@field source llama_cloud.sandbox.source
---@field content_type string
---@field etag string without its quotation marks
---@field modified_at integer milliseconds

--- What is behind an address, by its kind: a function of sandbox and key that returns the content; or nil, status, sentence.
---@type table<string, fun(sandbox: table, key: string): llama_cloud.sandbox.presigned_content?, integer?, string?>
presigned.kinds = {}

--- Content that is in memory.
---@param bytes string
---@param content_type string
---@param modified_at integer milliseconds
---@return llama_cloud.sandbox.presigned_content
function presigned.content(bytes, content_type, modified_at)
  local function read(offset, count)
    return bytes:sub(offset + 1, offset + count)
  end
  return {
    source = { size = #bytes, read = read },
    content_type = content_type,
    etag = string.format("%016x", seed.hash_string(bytes)),
    modified_at = modified_at,
  }
end

local function escape(text)
  return (text:gsub("[^%w._~-]", function(byte)
    return string.format("%%%02X", byte:byte())
  end))
end

--- The query of an address: follows from what it leads to and until when.
---@param sandbox table
---@param kind string
---@param key string
---@param expires_at integer
---@return string
function presigned.query(sandbox, kind, key, expires_at)
  local check = seed.hash(sandbox.world, seed.hash_string(kind .. "\0" .. key), expires_at)
  return string.format(
    "X-Scope=sandbox%%2Fstore+1&X-Scope=a%%20b%%2bc%%2Bd&X-Expires=%d&X-Signature=%016x+/%016x%%3D=",
    expires_at,
    check,
    seed.hash(check)
  )
end

--- An address and when it expires, in milliseconds of the sandbox's clock.
---@param sandbox table
---@param request llama_cloud.sandbox.http_request says by which name the sandbox is reached
---@param kind string one of `kinds`
---@param key string
---@param seconds? integer default: the option `presigned_seconds`
---@return string url
---@return integer expires_at
function presigned.url(sandbox, request, kind, key, seconds)
  local expires_at = sandbox.clock:now() + 1000 * (seconds or sandbox.options.presigned_seconds)
  local base = request.headers.host and "http://" .. request.headers.host or sandbox:url()
  local path = string.format("%s%s/%s/%s", base, presigned.PATH, kind, escape(key))
  return path .. "?" .. presigned.query(sandbox, kind, key, expires_at), expires_at
end

--- The same as the API shows it.
---@return string text JSON
function presigned.encode(sandbox, request, kind, key, seconds)
  local url, expires_at = presigned.url(sandbox, request, kind, key, seconds)
  return string.format('{"url":%s,"expires_at":"%s","form_fields":null}', json.quote(url), clock.format(expires_at))
end

return presigned

--- LlamaCloud (LlamaParse) batch processing for Lua.
---
---     local llama_cloud = require "llama_cloud"
---     local client = llama_cloud.new()
---     for batch in client.batches:list() do print(batch.id, batch.status) end

local client = require("llama_cloud.client")
local core = require("llama_cloud.core")
local date = require("llama_cloud.date")
local errors = require("llama_cloud.errors")
local loop = require("llama_cloud.loop")

---@class LlamaCloud
local llama_cloud = {
  _VERSION = require("llama_cloud.version"),

  --- JSON null inside arrays and in requests; the same value as cjson.null.
  null = require("cjson").null,

  --- The metatable of empty arrays. Called with a table, marks it as an array, so that it is written as `[]`.
  array = core.array,

  --- The JSON codec: strict, exact integers, `[]` and `{}` kept apart.
  ---   json.decode(text, { null = false, max_depth = 512 }) -> value | nil, message, offset
  ---   json.encode(value) -> text | nil, message
  json = { decode = core.decode, encode = core.encode, null = core.null },

  new = client.new,
  is_error = errors.is_error,
}

--- Seconds since the epoch of a date as the service writes it.
---@param text string ISO 8601: `2019-12-27T18:11:19.117Z`
---@return number? seconds nil if it is not such a date
function llama_cloud.time(text)
  if type(text) ~= "string" then
    error(("a date must be a string, not %s"):format(type(text)), 2)
  end
  return date.parse(text)
end

--- How many requests may be under way at once, over all clients; the others wait their turn. 128 until it is set.
---@param n? integer the new bound, from 1
---@return integer n the bound
function llama_cloud.max_concurrency(n)
  if n ~= nil and (math.type(n) ~= "integer" or n < 1 or n > 100000) then
    error("max_concurrency must be an integer from 1 to 100000", 2)
  end
  return loop.transport():max_concurrency(n)
end

return llama_cloud

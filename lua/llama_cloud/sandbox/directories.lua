-- Directories that nobody made: whatever is called `dir-…` exists, and its name says what is in it and how batches of it go.

local seed = require("llama_cloud.sandbox.seed")

local directories = {}

--- How many directories the batches and jobs that are there at the start come from.
directories.SEEDED = 20

---@class llama_cloud.sandbox.directory
---@field files integer
---@field file_ids? string[] of one that was made: what is in it now
---@field fate "COMPLETED"|"FAILED"
---@field throttled boolean its batches wait THROTTLED for a while
---@field stuck boolean its batches run until they are cancelled

--- What a directory that nobody made holds, or nil if it does not exist.
---@param id string
---@return llama_cloud.sandbox.directory?
function directories.named(id)
  if not id:find("^dir%-.") or id:find("missing", 1, true) then
    return nil
  end
  local files = math.tointeger(tonumber(id:match("^dir%-files%-(%d+)")))
  return {
    files = files or 3 + seed.below(seed.hash_string(id), 23),
    fate = id:find("fail", 1, true) and "FAILED" or "COMPLETED",
    throttled = id:find("throttle", 1, true) ~= nil,
    stuck = id:find("stuck", 1, true) ~= nil,
  }
end

--- The id of one of the seeded directories.
---@param world integer the hash of the sandbox's seed
---@param number integer 1 … SEEDED
---@return string
function directories.seeded(world, number)
  return seed.id("dir", seed.hash(world, 1), number)
end

--- The number of a seeded directory, or nil if `id` is another one.
---@param world integer
---@param id string
---@return integer?
function directories.seeded_number(world, id)
  return seed.number("dir", seed.hash(world, 1), id)
end

--- The id of the nth file of a directory: the same in every batch and job of that directory.
---@param id string
---@param index integer from 1
---@return string
function directories.file(id, index)
  return seed.id("dfl", seed.hash_string(id), index)
end

---@class llama_cloud.sandbox.directories
local directories_methods = {}
local directories_mt = { __name = "llama_cloud.sandbox.directories", __index = directories_methods }

---@return llama_cloud.sandbox.directories
function directories.new()
  return setmetatable({}, directories_mt)
end

--- What a directory holds, or nil if it does not exist.
---@param id string
---@return llama_cloud.sandbox.directory?
function directories_methods.find(_, id)
  return directories.named(id)
end

return directories

-- Directories: those that were made, and those that nobody made: whatever is called `dir-…` exists, and its id says what is in
-- it and how batches of it go.

local clock_module = require("llama_cloud.sandbox.clock")
local json = require("llama_cloud.sandbox.json")
local lists = require("llama_cloud.sandbox.lists")
local seed = require("llama_cloud.sandbox.seed")

local directories = {}

-- Most files of a directory that nobody made: a list looks at each of them.
local MAX_FILES = 100000

--- How many directories the batches and jobs that are there at the start come from.
directories.SEEDED = 20

---@class llama_cloud.sandbox.directory what a batch needs to know of one
---@field files integer
---@field file_ids? string[] of one that was made: what is in it now
---@field list? { id: string, name: string, key: integer }[] the same, as batches keep it
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
    files = files and math.min(files, MAX_FILES) or 3 + seed.below(seed.hash_string(id), 23),
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

-- Those that were made ------------------------------------------------------------------------------------------------

--- How long an ephemeral directory is there, unless it says otherwise. The service does not publish that.
local EPHEMERAL = 24 * 3600 * 1000

---@class llama_cloud.sandbox.made_directory
---@field number integer nil of one that nobody made, which has an `id` instead
---@field name string
---@field project_id string
---@field type "user"|"ephemeral"
---@field created_at integer
---@field updated_at integer
---@field deleted_at? integer
---@field expires_at? integer
---@field live integer how many files are in it
---@field entries llama_cloud.sandbox.directory_file[] ascending by number, with those that were deleted
---@field by_unique_id table<string, llama_cloud.sandbox.directory_file>

---@class llama_cloud.sandbox.directories
---@field deleted integer how many were deleted
local directories_methods = {}
local directories_mt = { __name = "llama_cloud.sandbox.directories", __index = directories_methods }

---@param sandbox table
---@return llama_cloud.sandbox.directories
function directories.new(sandbox)
  return setmetatable({
    sandbox = sandbox,
    scope = seed.hash(sandbox.world, 21),
    project_id = seed.id("prj", sandbox.world, 1),
    records = {},
    count = 0,
    deleted = 0,
    by_name = {}, -- project and name -> directory
  }, directories_mt)
end

---@param directory llama_cloud.sandbox.made_directory
---@return string
function directories_methods:id(directory)
  return directory.id or seed.id("dir", self.scope, directory.number)
end

--- The id of a directory as JSON: each of its files shows it.
---@param directory llama_cloud.sandbox.made_directory
---@return string
function directories_methods:quoted_id(directory)
  directory.quoted = directory.quoted or json.quote(self:id(directory))
  return directory.quoted
end

-- When a directory went, by hand or by itself; nil while it is there.
local function gone_at(self, directory)
  local expired = directory.expires_at and directory.expires_at <= self.sandbox.clock:now() and directory.expires_at
  return directory.deleted_at or expired or nil
end

--- Whether a directory that was made is still there.
---@param directory llama_cloud.sandbox.made_directory
---@return boolean
function directories_methods:has(directory)
  return not gone_at(self, directory)
end

local function place(project_id, name)
  return project_id .. "\0" .. name
end

--- The directory of a project that has a name, or nil.
---@param project_id? string
---@param name string
---@return llama_cloud.sandbox.made_directory?
function directories_methods:named(project_id, name)
  local directory = self.by_name[place(project_id or self.project_id, name)]
  return directory and not gone_at(self, directory) and directory or nil
end

--- The directory that belongs to a connector's subscription, or nil.
---@param subscription_id string
---@return llama_cloud.sandbox.made_directory?
function directories_methods:subscribed(subscription_id)
  for _, directory in ipairs(self.records) do
    if directory.connector_subscription_id == subscription_id and not gone_at(self, directory) then
      return directory
    end
  end
  return nil
end

--- Makes a directory.
---@param fields { name: string, type?: string, description?: string, system_metadata?: table, expires_at?: integer, connector_subscription_id?: string }
---@param project_id? string
---@return llama_cloud.sandbox.made_directory
function directories_methods:create(fields, project_id)
  local now = self.sandbox.clock:now()
  self.count = self.count + 1
  local directory = {
    number = self.count,
    name = fields.name,
    project_id = project_id or self.project_id,
    type = fields.type or "user",
    description = fields.description,
    system_metadata = fields.system_metadata and json.encode(fields.system_metadata),
    connector_subscription_id = fields.connector_subscription_id,
    created_at = now,
    updated_at = now,
    expires_at = fields.expires_at or fields.type == "ephemeral" and now + EPHEMERAL or nil,
    live = 0,
    entries = {},
    by_unique_id = {},
  }
  self.records[self.count] = directory
  self.by_name[place(directory.project_id, directory.name)] = directory
  return directory
end

--- The directory of an id: one that was made and is still there, or one that nobody made, with `id`; nil if there is none.
---@param id string
---@return llama_cloud.sandbox.made_directory?
function directories_methods:get(id)
  local number = seed.number("dir", self.scope, id)
  local directory = number and self.records[number]
  if directory then
    return not gone_at(self, directory) and directory or nil
  end
  local named = directories.named(id)
  return named
      and {
        id = id,
        name = id,
        project_id = self.project_id,
        type = "user",
        created_at = self.sandbox.clock.origin,
        updated_at = self.sandbox.clock.origin,
        live = named.files,
      }
    or nil
end

--- What a batch of a directory is about, or nil if there is no such directory. The description of one that was made says how
--- batches of it go: `sandbox: fail`, `sandbox: throttle`, `sandbox: stuck`.
---@param id string
---@return llama_cloud.sandbox.directory?
function directories_methods:find(id)
  local directory = self:get(id)
  if not directory or directory.id then
    return directory and directories.named(id)
  end
  local words = (directory.description or ""):match("sandbox:%s*(.*)") or ""
  local file_ids = {}
  for _, entry in ipairs(directory.entries) do
    if not entry.deleted_at then
      file_ids[#file_ids + 1] = self.sandbox.directory_files:id(entry)
    end
  end
  return {
    files = #file_ids,
    file_ids = file_ids,
    fate = words:find("fail", 1, true) and "FAILED" or "COMPLETED",
    throttled = words:find("throttle", 1, true) ~= nil,
    stuck = words:find("stuck", 1, true) ~= nil,
  }
end

--- Gives a directory another name.
---@param directory llama_cloud.sandbox.made_directory
---@param name string
function directories_methods:rename(directory, name)
  local key = place(directory.project_id, directory.name)
  if self.by_name[key] == directory then
    self.by_name[key] = nil
  end
  directory.name = name
  self.by_name[place(directory.project_id, name)] = directory
end

--- Deletes a directory, and the files that were uploaded into it.
---@param directory llama_cloud.sandbox.made_directory
function directories_methods:remove(directory)
  for _, entry in ipairs(directory.entries) do
    if not entry.deleted_at then
      self.sandbox.directory_files:remove(entry)
    end
  end
  directory.deleted_at = self.sandbox.clock:now()
  directory.entries, directory.by_unique_id = {}, {}
  self.deleted = self.deleted + 1
end

---@class llama_cloud.sandbox.directory_filters
---@field name? string
---@field type? string
---@field types? string[]
---@field include_deleted? boolean
---@field project_id? string

local function matches(self, directory, filters, types)
  return directory.project_id == (filters.project_id or self.project_id)
    and (not filters.name or directory.name == filters.name)
    and (not filters.type or directory.type == filters.type)
    and (not types or types[directory.type])
    and (filters.include_deleted or not gone_at(self, directory))
end

--- The numbers of up to `limit` directories that match, newest first, older than number `before`; and whether more follow.
---@param filters llama_cloud.sandbox.directory_filters
---@param before? integer
---@param limit integer
---@return integer[]
---@return boolean more
function directories_methods:list(filters, before, limit)
  local types = lists.set(filters.types)
  return lists.newest(self.count, before, limit, function(number)
    return matches(self, self.records[number], filters, types)
  end)
end

local DIRECTORY = '{"id":%s,"name":%s,"project_id":%s,"type":"%s","description":%s,"connector_subscription_id":%s,'
  .. '"system_metadata":%s,"created_at":%s,"updated_at":%s,"deleted_at":%s,"expires_at":%s}'

local function time(milliseconds)
  return milliseconds and '"' .. clock_module.format(milliseconds) .. '"' or "null"
end

--- The JSON text of a directory.
---@param directory llama_cloud.sandbox.made_directory
---@return string
function directories_methods:encode(directory)
  return DIRECTORY:format(
    json.quote(self:id(directory)),
    json.quote(directory.name),
    json.quote(directory.project_id),
    directory.type,
    json.quote(directory.description),
    json.quote(directory.connector_subscription_id),
    directory.system_metadata or "null",
    time(directory.created_at),
    time(directory.updated_at),
    time(gone_at(self, directory)),
    time(directory.expires_at)
  )
end

return directories

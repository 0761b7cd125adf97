-- The files of directories. Those of a directory that nobody made are made up when they are looked at.

local clock_module = require("llama_cloud.sandbox.clock")
local directories = require("llama_cloud.sandbox.directories")
local json = require("llama_cloud.sandbox.json")
local lists = require("llama_cloud.sandbox.lists")
local seed = require("llama_cloud.sandbox.seed")

local directory_files = {}

---@class llama_cloud.sandbox.directory_file
---@field number integer
---@field directory llama_cloud.sandbox.made_directory
---@field file llama_cloud.sandbox.file
---@field unique_id string
---@field display_name string
---@field added? boolean whether the file was there before, and was added by its id
---@field metadata? string JSON
---@field created_at integer
---@field updated_at? integer nil if that is when it was created
---@field deleted_at? integer

---@class llama_cloud.sandbox.directory_files
local store_methods = {}
local store_mt = { __name = "llama_cloud.sandbox.directory_files", __index = store_methods }

---@param sandbox table
---@return llama_cloud.sandbox.directory_files
function directory_files.new(sandbox)
  return setmetatable({ sandbox = sandbox, scope = seed.hash(sandbox.world, 22), entries = {}, count = 0 }, store_mt)
end

---@param entry llama_cloud.sandbox.directory_file
---@return string
function store_methods:id(entry)
  local made_up = entry.directory.id
  return made_up and directories.file(made_up, entry.number) or seed.id("dfl", self.scope, entry.number)
end

--- Puts a file into a directory.
---@param directory llama_cloud.sandbox.made_directory
---@param file llama_cloud.sandbox.file
---@param fields { unique_id?: string, display_name?: string, metadata?: table, added?: boolean }
---@return llama_cloud.sandbox.directory_file
function store_methods:add(directory, file, fields)
  self.count = self.count + 1
  local entry = {
    number = self.count,
    directory = directory,
    file = file,
    unique_id = fields.unique_id or file.external_file_id or file.name,
    display_name = fields.display_name or file.name,
    created_at = self.sandbox.clock:now(),
  }
  entry.metadata, entry.added = fields.metadata and json.encode(fields.metadata), fields.added
  self.entries[self.count] = entry
  directory.entries[#directory.entries + 1] = entry
  directory.by_unique_id[entry.unique_id] = entry
  directory.live = directory.live + 1
  return entry
end

-- A file of a directory that nobody made.
local function made_up(directory, index)
  local name = string.format("document-%04d.pdf", index)
  return {
    number = index,
    directory = directory,
    unique_id = name,
    display_name = name,
    created_at = directory.created_at,
  }
end

--- The file of a directory that has an id, or nil.
---@param directory llama_cloud.sandbox.made_directory
---@param id string
---@return llama_cloud.sandbox.directory_file?
function store_methods:find(directory, id)
  if directory.id then
    local index = seed.number("dfl", seed.hash_string(directory.id), id)
    return index and index >= 1 and index <= directory.live and made_up(directory, index) or nil
  end
  local entry = self:get(id)
  return entry and entry.directory == directory and entry or nil
end

--- The file of an id, whatever directory it is in; none of a directory that nobody made.
---@param id string
---@return llama_cloud.sandbox.directory_file?
function store_methods:get(id)
  local number = seed.number("dfl", self.scope, id)
  local entry = number and self.entries[number]
  -- A directory that expired takes its files along.
  return entry and not entry.deleted_at and self.sandbox.directories:has(entry.directory) and entry or nil
end

--- Deletes the file of a directory, and the file itself if it was uploaded there.
---@param entry llama_cloud.sandbox.directory_file
function store_methods:remove(entry)
  local directory = entry.directory
  entry.deleted_at = self.sandbox.clock:now()
  directory.live = directory.live - 1
  if directory.by_unique_id[entry.unique_id] == entry then
    directory.by_unique_id[entry.unique_id] = nil
  end
  if not entry.added then
    self.sandbox.files:remove(entry.file)
  end
end

--- Gives a file's row another file.
---@param entry llama_cloud.sandbox.directory_file
---@param file llama_cloud.sandbox.file
---@param fields { display_name?: string, metadata?: table, added?: boolean }
function store_methods:replace(entry, file, fields)
  if entry.file ~= file then
    if not entry.added then
      self.sandbox.files:remove(entry.file)
    end
    entry.file, entry.added = file, fields.added
  end
  entry.display_name = fields.display_name or file.name
  entry.metadata = fields.metadata and json.encode(fields.metadata)
  entry.updated_at = self.sandbox.clock:now()
end

-- Where the entry of a number is in a directory, or would be.
local function position(directory, number)
  return lists.lowest(1, #directory.entries + 1, function(index)
    return directory.entries[index].number >= number
  end)
end

--- Changes a file's row; `target` is a directory that it goes to.
---@param entry llama_cloud.sandbox.directory_file
---@param fields { unique_id?: string, display_name?: string, metadata?: table }
---@param target? llama_cloud.sandbox.made_directory
function store_methods:update(entry, fields, target)
  local from = entry.directory
  if from.by_unique_id[entry.unique_id] == entry then
    from.by_unique_id[entry.unique_id] = nil
  end
  if target and target ~= from then
    table.remove(from.entries, position(from, entry.number))
    table.insert(target.entries, position(target, entry.number), entry)
    from.live, target.live = from.live - 1, target.live + 1
    entry.directory = target
  end
  entry.unique_id = fields.unique_id or entry.unique_id
  entry.display_name = fields.display_name or entry.display_name
  if fields.metadata then
    entry.metadata = json.encode(fields.metadata)
  end
  entry.directory.by_unique_id[entry.unique_id] = entry
  entry.updated_at = self.sandbox.clock:now()
end

local function matches(self, entry, filters)
  local updated = entry.updated_at or entry.created_at
  local contains = filters.display_name_contains
  return (filters.include_deleted or not entry.deleted_at)
    and (not filters.unique_id or entry.unique_id == filters.unique_id)
    and (not filters.display_name or entry.display_name == filters.display_name)
    and (not contains or entry.display_name:find(contains, 1, true) ~= nil)
    and (not filters.updated_at_on_or_after or updated >= filters.updated_at_on_or_after)
    and (not filters.updated_at_on_or_before or updated <= filters.updated_at_on_or_before)
    and (not filters.file_id or entry.file ~= nil and self.sandbox.files:id(entry.file) == filters.file_id)
end

-- How many entries a directory has, and the one at an index.
local function entries_of(directory)
  if directory.id then
    return directory.live, function(index)
      return made_up(directory, index)
    end
  end
  return #directory.entries, function(index)
    return directory.entries[index]
  end
end

--- Up to `limit` numbers of a directory's files that match, newest first, before number `before`; and whether more follow.
---@param directory llama_cloud.sandbox.made_directory
---@param filters table the query of the list
---@param before? integer
---@param limit integer
---@return integer[]
---@return boolean more
function store_methods:list(directory, filters, before, limit)
  local single = filters.unique_id and self.sandbox.options.duplicates ~= "add"
  if single and not directory.id and not filters.include_deleted and not before then
    -- Asked for after every lost answer, so it does not look at all of them.
    local only = directory.by_unique_id[filters.unique_id]
    return only and matches(self, only, filters) and { only.number } or {}, false
  end
  local count, at = entries_of(directory)
  if before then
    count = (directory.id and before or position(directory, before)) - 1
  end
  return lists.take(limit, count, 1, -1, function(index)
    local entry = at(index)
    return matches(self, entry, filters) and entry.number
  end)
end

--- The entry of a number of such a list.
---@param directory llama_cloud.sandbox.made_directory
---@param number integer
---@return llama_cloud.sandbox.directory_file
function store_methods:at(directory, number)
  return directory.id and made_up(directory, number) or self.entries[number]
end

local ENTRY = '{"id":"%s","directory_id":%s,"project_id":%s,"unique_id":%s,"display_name":%s,"file_id":%s,'
  .. '"download_url":%s,"metadata":%s,"created_at":"%s","updated_at":"%s","deleted_at":%s}'

--- The JSON text of a file of a directory.
---@param entry llama_cloud.sandbox.directory_file
---@param url? string its address as JSON
---@param with_metadata? boolean
---@return string
function store_methods:encode(entry, url, with_metadata)
  local sandbox, directory = self.sandbox, entry.directory
  local format = clock_module.format
  return ENTRY:format(
    self:id(entry),
    sandbox.directories:quoted_id(directory),
    json.quote(directory.project_id),
    json.quote(entry.unique_id),
    json.quote(entry.display_name),
    entry.file and '"' .. sandbox.files:id(entry.file) .. '"' or "null",
    url or "null",
    with_metadata and entry.metadata or "{}",
    format(entry.created_at),
    format(entry.updated_at or entry.created_at),
    entry.deleted_at and '"' .. format(entry.deleted_at) .. '"' or "null"
  )
end

return directory_files

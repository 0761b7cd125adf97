--- Where the files of a run come from: a folder, an array, or an iterator. Each becomes an item; they are pulled one by one.

local later = require("llama_cloud.base.later")
local errors = later.require("llama_cloud.base.errors")
local text = require("llama_cloud.base.text")

local require = require -- kept, because an application may remove it later

local source = {}

local MOST_OF_NAME = 4096 -- bytes: as long as a path can be

---@class LlamaCloud.Item one file to process
---@field name string unique among all: the path below the folder, or what was given
---@field path? string of the local file
---@field file? string the id of a file that the service has, instead of a path
---@field size? integer bytes, of a local file
---@field time? integer when it was changed last, in seconds since the epoch
---@field problem? string why it cannot be read
---@field is_folder? boolean it is a folder, which cannot be read

-- LuaFileSystem. Nil and what to install.
local function file_system()
  local found, lfs = pcall(require, "lfs")
  if found then
    return lfs
  elseif not tostring(lfs):find("module 'lfs' not found", 1, true) then
    error(lfs, 0) -- it is there, and cannot be loaded; or it was Ctrl-C
  end
  local packages = "the rock luafilesystem, or on Debian and Ubuntu the package lua-filesystem"
  return nil, "process needs the Lua module lfs: install " .. packages
end
source.file_system = file_system

--- What the system says, without the words that LuaFileSystem puts before it.
---@param problem string
---@return string
function source.reason(problem)
  return problem:match(".*: (.*)$") or problem
end

local function unreadable(path, problem)
  return ("cannot read %s: %s"):format(text.quote(path), source.reason(problem))
end

--- A number that differs where a file has changed, as far as its size and time tell; of a file that the service has, its id.
---@param item { file: string?, size: integer?, time: integer? }
---@return integer|string
function source.fingerprint(item)
  return item.file or (item.size or 0) * 4294967291 + (item.time or 0)
end

--- Takes note of a local file's size and time, or of why it has none. Raises where the system cannot be asked: a journal
--- without them would take each file for another one later.
---@param item LlamaCloud.Item
---@return LlamaCloud.Item item
function source.look(item)
  if item.path then
    local lfs, missing = file_system()
    if not lfs then
      error(errors.new { kind = "file", message = missing }, 0)
    end
    local attributes, problem = lfs.attributes(item.path)
    item.problem = not attributes and unreadable(item.path, problem) or nil
    if attributes then
      item.size, item.time = math.tointeger(attributes.size), math.tointeger(attributes.modification)
    end
  end
  return item
end

-- The names in a directory, in order. Nil and the problem.
local function names_in(lfs, path)
  local opened, iterate, state = pcall(lfs.dir, path)
  if not opened then
    return nil, tostring(iterate)
  end
  local names = {}
  for name in iterate, state do
    if not name:find("^%.") then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

-- What a path below the folder is: an item; a list of names, if it is a folder; nil, if it is left out.
local function look_at(lfs, root, name, hidden)
  local path = root .. "/" .. name
  local attributes, problem = lfs.attributes(path)
  if not attributes then
    return { name = name, path = path, problem = unreadable(path, problem) }
  elseif hidden[attributes.dev .. ":" .. attributes.ino] then
    return nil
  elseif attributes.mode == "file" then
    local size, time = math.tointeger(attributes.size), math.tointeger(attributes.modification)
    return { name = name, path = path, size = size, time = time }
  elseif attributes.mode ~= "directory" or lfs.symlinkattributes(path, "mode") == "link" then
    return nil
  end
  local names
  names, problem = names_in(lfs, path)
  if not names then
    return { name = name, path = path, problem = unreadable(path, problem), is_folder = true }
  end
  return nil, { names = names, next = 1, prefix = name .. "/" }
end

-- Walks through a folder. `hidden` are files and folders that are the run's own.
local function walk(lfs, root, hidden)
  local names = assert(names_in(lfs, root))
  local open = { { names = names, next = 1, prefix = "" } } -- the folders from the root to where it is
  return function()
    while #open > 0 do
      local folder = open[#open]
      local name = folder.names[folder.next]
      folder.next = folder.next + 1
      if not name then
        open[#open] = nil
      else
        local item, inner = look_at(lfs, root, folder.prefix .. name, hidden)
        open[#open + 1] = inner
        if item then
          return item
        end
      end
    end
  end
end

-- Files and folders by what the system knows them by, so that no other spelling of a path hides them.
local function identities(lfs, paths)
  local known = {}
  for _, path in ipairs(paths) do
    local attributes = lfs.attributes(path)
    if attributes then
      known[attributes.dev .. ":" .. attributes.ino] = true
    end
  end
  return known
end

-- The item of what an array or an iterator holds. Nil and the problem.
local function item_of(value)
  local given = type(value) == "string" and { path = value } or value
  if type(given) ~= "table" then
    return nil, ("must be a path or a table, not %s"):format(type(given))
  end
  local path, id, name = given.path, given.id, given.name
  if (path == nil) == (id == nil) or type(path or id) ~= "string" or (path or id) == "" then
    return nil, "must have a 'path', or the 'id' of a file that the service has"
  elseif name ~= nil and (type(name) ~= "string" or name == "") then
    return nil, "has a 'name' that is no text"
  elseif (path or ""):find("\0", 1, true) or (name or ""):find("\0", 1, true) then
    return nil, "has a NUL in its path or name"
  elseif id and id:find("[\0-\31\127]") then
    return nil, "has an 'id' with a control character"
  end
  name = name or path and path:gsub("^%./+", "") or id
  if name:find("/$") then
    return nil, "has a name that ends with a slash"
  elseif #name > MOST_OF_NAME then
    return nil, ("has a name of more than %d bytes"):format(MOST_OF_NAME)
  end
  return { name = name, path = path, file = id }
end

local function no_pattern()
  return true
end

-- A test of names: of a Lua pattern, or of a function. Nil and the problem.
local function test_of(what, given)
  if type(given) == "function" or given == nil then
    return given or no_pattern
  elseif type(given) ~= "string" then
    return nil, ("option '%s' must be a Lua pattern or a function, not %s"):format(what, type(given))
  end
  local valid, problem = pcall(string.find, "", given)
  if not valid then
    return nil, ("option '%s': %s"):format(what, tostring(problem))
  end
  return function(name)
    return name:find(given) ~= nil
  end
end

-- The items of an array, checked at once. Nil and the problem.
local function array_items(files)
  local items, seen, local_files = {}, {}, false
  for index, value in ipairs(files) do
    local item, problem = item_of(value)
    if not item then
      return nil, ("files[%d] %s"):format(index, problem)
    elseif seen[item.name] then
      local quoted = text.quote(item.name)
      return nil, ("files[%d] and files[%d] have the same name %s"):format(seen[item.name], index, quoted)
    end
    seen[item.name], items[index] = index, item
    local_files = local_files or item.path ~= nil
  end
  for key in pairs(files) do
    if math.type(key) ~= "integer" or key < 1 or key > #items then
      return nil, "files must be an array without holes, of paths or tables"
    end
  end
  local position = 0
  return function()
    position = position + 1
    local item = items[position]
    items[position] = nil -- what is made of it need not be kept
    return item and source.look(item)
  end,
    nil,
    local_files
end

-- The items of an iterator. What is wrong with one is raised where it is pulled.
local function iterated_items(files)
  local seen, count = {}, 0
  return function()
    local value = files()
    if value == nil then
      return nil
    end
    count = count + 1
    local item, problem = item_of(value)
    if item and seen[item.name] then
      problem = ("has the name %s of another"):format(text.quote(item.name))
    end
    if problem then
      error(errors.new { kind = "file", message = ("file %d of the iterator %s"):format(count, problem) }, 0)
    end
    seen[item.name] = true
    return source.look(item)
  end
end

local function is_callable(value)
  local meta = getmetatable(value)
  return type(value) == "function" or type(meta) == "table" and meta.__call ~= nil
end

-- The folder by a path that does not depend on the working directory.
local function absolute(lfs, path)
  path = path:gsub("(.)/+$", "%1")
  return path:find("^/") and path or lfs.currentdir() .. "/" .. path:gsub("^%./+", "")
end

-- The items of a folder, and its path. Nil and the problem.
local function folder_items(lfs, folder, own)
  local mode, problem = lfs.attributes(folder, "mode")
  if mode ~= "directory" then
    local name = text.quote(folder)
    local single = ("%s is a %s, not a folder; a single file is given as { %s }"):format(name, mode, name)
    return nil, mode and single or ("the folder %s cannot be read: %s"):format(name, source.reason(problem))
  end
  local root = folder:gsub("(.)/+$", "%1")
  local names
  names, problem = names_in(lfs, root)
  if not names then
    return nil, ("the folder %s cannot be read: %s"):format(text.quote(folder), source.reason(problem))
  end
  return function()
    return walk(lfs, root, identities(lfs, own))
  end, absolute(lfs, root), root
end

--- What gives the items of what was given. Nil and the problem, which is the caller's fault.
---@param files any a folder, an array, or an iterator
---@param options { pattern: any, exclude: any }
---@param own string[] paths of the run's own files and folders, which are none of its items
---@return (fun(): LlamaCloud.Item?)?
---@return string root the folder's path, or that there is none; or the problem
---@return string? folder the folder as its items' paths begin
function source.open(files, options, own)
  local wanted, problem = test_of("pattern", options.pattern)
  local unwanted, misfit = test_of("exclude", options.exclude)
  if not wanted or not unwanted then
    return nil, problem or misfit --[[@as string]]
  end
  local lfs, missing = file_system()
  local pull, folder
  local root = "none, but a list of files"
  if type(files) == "string" then
    if not lfs then
      return nil, missing --[[@as string]]
    end
    local start
    start, root, folder = folder_items(lfs, files, own)
    pull = start and function()
      pull = start()
      return pull()
    end
  elseif is_callable(files) then
    pull = iterated_items(files)
  elseif type(files) == "table" then
    local local_files
    pull, problem, local_files = array_items(files)
    root = problem or root
    if pull and local_files and not lfs then
      return nil, missing --[[@as string]]
    end
  else
    root = ("files must be a folder, an array or an iterator, not %s"):format(type(files))
  end
  if not pull then
    return nil, root
  end
  return function()
    local item
    repeat
      item = pull()
    until not item or (item.is_folder or wanted(item.name)) and not (options.exclude and unwanted(item.name))
    return item
  end,
    root,
    folder
end

return source

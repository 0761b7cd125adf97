--- Modules that are compiled when they are first used: most programs use a part of the library, and reading Lua's grammar
--- is nearly all that loading it costs.
---
--- Their texts are read at once, from beside the file that is being loaded. So no file is read later, when the application
--- may have changed package.path or its working directory, dropped privileges, removed `require` or `io`, or installed another
--- version. Modules find each other here and not in package.loaded, which an application may empty, as test runners do: what
--- was loaded together stays together.

local core = require("llama_cloud.core")

local load, package, require = load, package, require -- kept, because an application may remove them later
local loaded, preload = package.loaded, package.preload

local later = {}

local modules = { ["llama_cloud.core"] = core, ["llama_cloud.base.later"] = later } -- by name, once they are compiled
local texts = {} -- name -> { text, path }, until they are

-- The entries of package.preload that are this library's, for whoever requires its modules by name.
local ours = setmetatable(core.loaders, { __mode = "k" })

local function is_of_library(name)
  return name:find("^llama_cloud%.") ~= nil
end

-- `require`, for the modules of the library.
local function find(name)
  local module = modules[name]
  if module ~= nil then
    return module
  end
  local kept = texts[name]
  if kept then
    -- `require` and `package` become locals on the module's first line, so that it finds them when the globals are gone
    module = assert(load("local require, package = ... " .. kept.text, "@" .. kept.path, "t"))(find, package)
    loaded[name] = loaded[name] or module
    if ours[preload[name]] then
      preload[name] = nil -- whoever loads it again gets the file
    end
  else
    module = require(name)
  end
  if is_of_library(name) then
    modules[name], texts[name] = module, nil
  end
  return module
end

-- The text of a file; nil if it cannot be read.
local function text_of(path)
  local file = io and io.open and io.open(path, "rb")
  if not file then
    return nil
  end
  local text = file:read("a")
  file:close()
  return text
end

local function name_of(file)
  return "llama_cloud." .. file:gsub("/init$", ""):gsub("/", ".")
end

-- The texts of modules by name; nil if not all can be read, or if they could not be compiled later.
local function read_all(directory, files)
  if not directory or not (load and load("return")) then
    return nil
  end
  local all = {}
  for _, file in ipairs(files) do
    local name, path = name_of(file), directory .. file .. ".lua"
    if preload[name] and not ours[preload[name]] then
      return nil -- the application brings its modules along
    end
    local text = text_of(path)
    if not text then
      return nil
    end
    all[name] = { text = text, path = path }
  end
  return all
end

--- Keeps modules for their first use. If their texts cannot be read, they are loaded at once.
---@param directory? string in which they are, with a slash at its end
---@param files string[] without `.lua`; names of modules have dots for the slashes
function later.keep(directory, files)
  local all = read_all(directory, files)
  for _, file in ipairs(files) do
    local name = name_of(file)
    if not all then
      modules[name] = require(name)
    elseif loaded[name] then
      modules[name] = loaded[name]
    else
      local function loader()
        return find(name)
      end
      texts[name], ours[loader] = all[name], true
      preload[name] = loader
    end
  end
end

--- A table that stands for a module: it loads the module when it is first asked for one of its fields.
---@param name string
---@return any
function later.require(name)
  local meta = {}
  function meta.__index(_, field)
    local module = find(name)
    meta.__index = module
    return module[field]
  end
  return setmetatable({}, meta)
end

return later

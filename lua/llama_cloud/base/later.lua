--- Modules that are compiled when they are first used: most programs use a part of the library, and reading Lua's grammar
--- is nearly all that loading it costs.
---
--- Their texts are read at once, beside the file that is being loaded. So nothing is read later, when the application may
--- have changed package.path or its working directory, given up its rights, taken away `require` or `io`, or had another
--- version installed.

local load, package, require = load, package, require -- here, for an application may take them away later
local loaded, preload = package.loaded, package.preload

local later = {}

-- The text of a file; nil where it cannot be had.
local function text_of(path)
  local file = io and io.open and io.open(path, "rb")
  if not file then
    return nil
  end
  local text = file:read("a")
  file:close()
  return text
end

-- What `require` calls for a module whose text is there. On the module's first line `require` and `package` become locals,
-- which it may look for when the globals are gone.
local function loader(name, path, text)
  return function()
    local module = assert(load("local require, package = ... " .. text, "@" .. path, "t"))(require, package)
    preload[name] = nil -- who wants to load it anew gets the file
    return module
  end
end

--- Keeps modules ready for `require`. One whose file is not found, in a program that brings its modules along in another
--- way, is left to that.
---@param directory string in which they are, with a slash at its end
---@param files string[] without `.lua`; names of modules have dots for the slashes
function later.keep(directory, files)
  if not (load and load("return")) then
    return -- the application has none, or one of its own that refuses: they are read when they are required
  end
  for _, file in ipairs(files) do
    local name = "llama_cloud." .. file:gsub("/init$", ""):gsub("/", ".")
    local path = directory .. file .. ".lua"
    local text = not loaded[name] and not preload[name] and text_of(path)
    if text then
      preload[name] = loader(name, path, text)
    end
  end
end

--- A table in the place of a module: it has the module's fields, and requires it when it is first asked for one.
---@param name string
---@return any
function later.require(name)
  local meta = {}
  function meta.__index(_, field)
    local module = require(name)
    meta.__index = module
    return module[field]
  end
  return setmetatable({}, meta)
end

return later

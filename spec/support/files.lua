-- Files for specs: in a directory of their own, which goes with them.

local lfs = require("lfs") -- busted needs it, too

local files = {}
files.__index = files

--- Makes an empty directory.
function files.new()
  local path = os.tmpname()
  os.remove(path)
  assert(lfs.mkdir(path))
  return setmetatable({ directory = path }, files)
end

--- A file with these bytes, in no directory of its own; to be declared `<close>`, which removes it.
---@param bytes string
---@return { path: string }
function files.temporary(bytes)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
  return setmetatable({ path = path }, {
    __close = function()
      os.remove(path)
    end,
  })
end

--- The path of a name in it.
---@param name string
---@return string
function files:path(name)
  return self.directory .. "/" .. name
end

--- Writes a file.
---@param name string
---@param text string
---@return string path
function files:write(name, text)
  local file = assert(io.open(self:path(name), "wb"))
  file:write(text)
  file:close()
  return self:path(name)
end

--- Makes a file of so many zeros that takes no room.
---@param name string
---@param size integer
---@return string path
function files:sparse(name, size)
  local file = assert(io.open(self:path(name), "wb"))
  file:seek("set", size - 1)
  file:write("\0")
  file:close()
  return self:path(name)
end

--- What a file holds; nil if there is none.
---@param name string
---@return string?
function files:read(name)
  local file = io.open(self:path(name), "rb")
  if not file then
    return nil
  end
  local text = file:read("a")
  file:close()
  return text
end

--- The names of all that is in it, in order.
---@return string[]
function files:list()
  local names = {}
  for name in lfs.dir(self.directory) do
    if name ~= "." and name ~= ".." then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

--- How many descriptors of this process are open that lead into it.
---@return integer
function files:open()
  local n = 0
  for name in lfs.dir("/proc/self/fd") do
    local target = lfs.symlinkattributes("/proc/self/fd/" .. name, "target")
    if target and target:sub(1, #self.directory) == self.directory then
      n = n + 1
    end
  end
  return n
end

--- Removes it with all that is in it.
function files:remove()
  os.execute("rm -rf '" .. self.directory .. "'")
end

return files

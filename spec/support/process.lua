-- What specs need of processes: Lua programs in children of their own, and the libraries of spec/support in C.

local process = {}

--- What times of specs are multiplied with: machines under valgrind or a sanitizer are slower.
process.slowdown = tonumber(os.getenv("LLAMA_CLOUD_TEST_SLOWDOWN")) or 1

--- Whether this runs under valgrind or a sanitizer, which also use memory of their own.
process.instrumented = process.slowdown > 1

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end
process.quote = quote

-- The program that runs this.
local function interpreter()
  local index = 0
  while arg[index - 1] do
    index = index - 1
  end
  return arg[index]
end

--- The path of a library that CMake made of spec/support/NAME.c. It lies in the build directory; the core may lie in one
--- below that.
---@param name string
---@return string
function process.library(name)
  local directory = package.cpath:match("^([^;]*)/%?%.so")
  for _, place in ipairs { directory, directory .. "/.." } do
    local path = ("%s/spec_support/%s.so"):format(place, name)
    local file = io.open(path)
    if file then
      file:close()
      return path
    end
  end
  error("build the tests first: there is no " .. name .. ".so near " .. directory, 2)
end

--- The module `fork` of spec/support/fork.c.
---@return { fork: fun(): integer; wait: (fun(pid: integer): integer?, integer?); exit: fun(status: integer) }
function process.fork()
  local open = assert(package.loadlib(process.library("fork"), "luaopen_fork"))
  return open()
end

--- The module `probe` of spec/support/probe.c.
---@return table
function process.probe()
  local open = assert(package.loadlib(process.library("probe"), "luaopen_probe"))
  return open()
end

--- Runs a chunk of Lua in a process that loads modules as this one does. `options`: `environment` (a table; false unsets),
--- `preload` (a path), `args` (strings: the chunk's `...`), `before` (shell text that runs first; `$$` is the process).
---@param chunk string
---@param options? { environment?: table<string, string|false>, preload?: string, args?: string[], before?: string }
---@return string output what it wrote, errors included
---@return boolean well whether it ended with status 0
---@return integer status
function process.run(chunk, options)
  options = options or {}
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(chunk)
  file:close()
  local words = { (options.before or "") .. " exec env" }
  for name, value in pairs(options.environment or {}) do
    if value then
      words[#words + 1] = name .. "=" .. quote(value)
    else
      table.insert(words, 2, "-u " .. name) -- env takes these first
    end
  end
  if options.preload then
    -- a sanitizer's runtime, where there is one, has to come first
    local others = os.getenv("LD_PRELOAD")
    words[#words + 1] = "LD_PRELOAD=" .. quote((others and others .. ":" or "") .. options.preload)
  end
  words[#words + 1] = quote(interpreter()) .. " " .. quote(path)
  for _, argument in ipairs(options.args or {}) do
    words[#words + 1] = quote(argument)
  end
  local pipe = assert(io.popen("{ " .. table.concat(words, " ") .. "; } 2>&1"))
  local output = pipe:read("a")
  local well, how, status = pipe:close()
  os.remove(path)
  return output, well == true, how == "exit" and status or 128 + status
end

return process

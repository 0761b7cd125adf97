--- Prints what the figures are measured on: the machine and the versions of the programs.

-- The first match of a pattern in what a command prints.
local function ask(command, pattern)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read("a")
  pipe:close()
  return text:match(pattern)
end

local notes = {}
local function note(name, version)
  if version then
    notes[#notes + 1] = name .. version
  end
end

local cores = ask("getconf _NPROCESSORS_ONLN", "%d+")
note("", ask("cat /proc/cpuinfo", "model name%s*: ([^\n]+)"))
note("", cores and cores .. (cores == "1" and " core" or " cores"))
note("Linux ", ask("uname -r", "%d+%.%d+"))
note("Lua ", ask(arg[-1] .. " -v", "%d[%d.]+"))
note("libcurl ", ask("pkg-config --modversion libcurl", "%d[%d.]+"))
note("curl ", ask("curl --version", "curl (%d[%d.]+)"))
local node = ask("node --version", "v(%d[%d.]+)")
note("node ", node)
note("TypeScript SDK ", node and os.getenv("BENCH_SDK_VERSION"))
note("nginx ", ask("nginx -v", "nginx/(%d[%d.]+)"))
note("lua-cjson ", require("cjson")._VERSION)
local found, dkjson = pcall(require, "dkjson")
note("dkjson ", found and dkjson.version:match("%d[%d.]+"))
local has_socket, socket = pcall(require, "socket")
note("LuaSocket ", has_socket and socket._VERSION:match("%d[%d.]+"))
print(table.concat(notes, ", "))

--- Notes on what the figures were measured: the machine and the versions of the programs.

local results = require("bench.results")

-- The first match of a pattern in what a command prints.
local function ask(command, pattern)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read("a")
  pipe:close()
  return text:match(pattern)
end

local file = results.open("machine")
local function note(name, version)
  if version then
    file:add { name = name, version = version }
  end
end

note("", ask("cat /proc/cpuinfo", "model name%s*: ([^\n]+)"))
note("cores", ask("getconf _NPROCESSORS_ONLN", "%d+"))
note("Linux", ask("uname -r", "%d+%.%d+"))
note("Lua", ask(arg[-1] .. " -v", "%d[%d.]+"))
note("lua-cjson", require("cjson")._VERSION)
note("libcurl", ask("pkg-config --modversion libcurl", "%d[%d.]+"))
note("nginx", ask("nginx -v", "nginx/(%d[%d.]+)"))
local found, dkjson = pcall(require, "dkjson")
note("dkjson", found and dkjson.version:match("%d[%d.]+"))
local has_socket, socket = pcall(require, "socket")
note("LuaSocket", has_socket and socket._VERSION:match("%d[%d.]+"))
note("node", ask("node --version", "v(%d[%d.]+)"))
note("TypeScript SDK", os.getenv("BENCH_SDK_VERSION"))

--- Reads who requires whom in lua/llama_cloud, and who includes what in src, and fails where an arrow points up:
---
---     lua scripts/layers.lua [DIRECTORY]     the checkout, by default the working directory
---     lua scripts/layers.lua --rooms         says what is allowed: the rooms from the highest to the lowest, then a line
---                                            for each room beside them, with those that it may require
---
--- Exit: 0 if all point down; 1 if not, each named.

local root = arg[1] or "."

-- The rooms of lua/llama_cloud, the highest first. A room may require the ones below it, and its own files one another.
-- What stands beside the client comes with the rooms that it may require; so does a file that may require more than its room.
local ROOMS = { "init", "client", "resources", "endpoint", "http", "loop", "webhook", "base", "core" }
local BESIDE = {
  sandbox = {},
  process = { "init", "loop", "base", "core" },
  cli = { "init", "process", "sandbox", "resources", "endpoint", "base", "core" },
}
local FILES = { ["sandbox/with"] = { "init" } }
local LEAVES = { version = true } -- hold a value; anybody may require them

if arg[1] == "--rooms" then
  print(table.concat(ROOMS, " "))
  for room, allowed in pairs(BESIDE) do
    print(("%s: %s"):format(room, table.concat(allowed, " ")))
  end
  os.exit(true)
end

-- The parts of src, the highest first: what knows Lua; the engine; what it is made of.
local PARTS = {
  { "core.c", "lua_*" },
  { "transport.*", "token.*" },
  { "exchange.*", "verdict.*", "handle_pool.*", "multi.*" },
  { "sending.*", "receiving.*" },
  {
    "append.*",
    "chain.*",
    "waiting.*",
    "poller*",
    "timers.*",
    "connections.*",
    "decoding.*",
    "fault.*",
    "form.*",
    "output.*",
    "quiet_write.*",
    "random.*",
    "stall.*",
    "header_set.*",
    "json_*",
    "redact.*",
    "url.*",
    "buffer.*",
  },
}

local problems = 0

local function complain(...)
  problems = problems + 1
  io.stderr:write(("%s:%d: %s\n"):format(...))
end

local rank = {}
for i, room in ipairs(ROOMS) do
  rank[room] = i
end

-- llama_cloud -> init, llama_cloud.http.url -> http
local function room_of(module)
  return module == "llama_cloud" and "init" or module:match("^llama_cloud%.([^.]+)")
end

local function check_require(path, line, from, module)
  local to = room_of(module)
  if not to or to == from or LEAVES[to] then
    return
  elseif BESIDE[from] then
    for _, allowed in ipairs(FILES[path:match("^lua/llama_cloud/(.*)%.lua$")] or BESIDE[from]) do
      if to == allowed then
        return
      end
    end
  elseif rank[to] and rank[from] and rank[from] < rank[to] then
    return
  elseif from == "init" and to == "process" then
    return -- the face hands it to the client, which requires nothing that stands beside it
  elseif not rank[from] then
    return complain(path, line, ("'%s' is no room that scripts/layers.lua knows"):format(from))
  end
  complain(path, line, ("'%s' must not require '%s', which is in a room above it, or beside it"):format(from, module))
end

-- Calls f(path, number, line) for each line of the files that find(1) finds.
local function each_line(arguments, f)
  local pipe = assert(io.popen(("cd '%s' && find %s | sort"):format(root, arguments)))
  local files = 0
  for path in pipe:lines() do
    files = files + 1
    local number = 0
    for line in io.lines(root .. "/" .. path) do
      number = number + 1
      f(path, number, line)
    end
  end
  pipe:close()
  return files
end

local function matches(name, patterns)
  for _, pattern in ipairs(patterns) do
    if name:find("^" .. pattern:gsub("%.", "%%."):gsub("%*", ".*") .. "$") then
      return true
    end
  end
end

local function part_of(name)
  for i, patterns in ipairs(PARTS) do
    if matches(name, patterns) then
      return i
    end
  end
end

local function check_include(path, line, included)
  local name = path:match("[^/]*$")
  local from, to = part_of(name), part_of(included)
  if not from then
    complain(path, line, "is of no part that scripts/layers.lua knows")
  elseif not to then
    complain(path, line, ("includes '%s', which is of no part that scripts/layers.lua knows"):format(included))
  elseif to < from then
    complain(path, line, ("must not include '%s', which is of a part above it"):format(included))
  end
end

local files = each_line("lua/llama_cloud -name '*.lua'", function(path, number, line)
  local from = path:match("^lua/llama_cloud/([^/.]+)")
  local code = line:gsub("%-%-.*$", "")
  for module in code:gmatch("require%s*%(?%s*[\"'](llama_cloud[%w_.]*)[\"']") do
    check_require(path, number, from, module)
  end
end)

files = files
  + each_line("src -name '*.[ch]'", function(path, number, line)
    local included = line:match('^%s*#%s*include%s+"([^"]+)"')
    if included then
      check_include(path, number, included)
    end
    local library = line:match("^%s*#%s*include%s+<(l[ua][ua][^>]*)>") -- lua.h, lauxlib.h, lualib.h
    if library and part_of(path:match("[^/]*$")) ~= 1 then
      complain(path, number, ("must not know Lua, and includes <%s>"):format(library))
    end
  end)

if files == 0 then
  io.stderr:write(("scripts/layers.lua: there are no sources in %s\n"):format(root))
  problems = 1
end
os.exit(problems == 0)

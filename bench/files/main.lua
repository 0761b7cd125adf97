--- Uploads files and downloads files, beside curl and the TypeScript SDK: main.lua PART ROUNDS COUNT SIZE AT_ONCE.
--- PART is `files` (many small ones) or `transfer` (one large). scripts/bench starts the server and says where it is.

local process = require("bench.process")
local results = require("bench.results")

local lua = arg[-1]
local part, rounds = arg[1], tonumber(arg[2])
local count, size, at_once = table.unpack(arg, 3)
local url, directory = os.getenv("BENCH_SERVER"), os.getenv("BENCH_DIRECTORY") .. "/" .. arg[1]
local curl, node = os.getenv("BENCH_CURL"), os.getenv("BENCH_NODE")
local large = tonumber(count) == 1
local source = directory .. "/source"

local function run(...)
  assert(os.execute(process.command_line { ... }))
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
end

-- A directory of files to upload. A large one takes no room on the disk.
local function prepare()
  run("rm", "-rf", directory)
  run("mkdir", "-p", source)
  for number = 1, tonumber(count) do
    local path = ("%s/%d.pdf"):format(source, number)
    if large then
      run("truncate", "-s", size, path)
    else
      write(path, ("%PDF" .. number):rep(size):sub(1, size))
    end
  end
end

-- The client's headers, so that curl sends as much.
local HEADERS = [[
header = "Accept: application/json"
header = "Authorization: Bearer k"
header = "User-Agent: llama-cloud-lua/0.0.0 (Lua 5.4; libcurl/0.00.0)"
header = "X-Stainless-Arch: x64"
header = "X-Stainless-Lang: lua"
header = "X-Stainless-OS: Linux"
header = "X-Stainless-Package-Version: 0.0.0"
header = "X-Stainless-Retry-Count: 0"
header = "X-Stainless-Runtime: lua"
header = "X-Stainless-Runtime-Version: 5.4"
output = "/dev/null"
fail]]

-- What curl is to do, as a file of its options, of one request for each number.
local function config(name, request)
  local requests = {}
  for number = 1, tonumber(count) do
    requests[number] = request(number)
  end
  local path = ("%s/%s.curl"):format(directory, name)
  write(path, table.concat(requests, "\nnext\n") .. "\n")
  local words = { curl, "--disable", "--no-progress-meter", "--config", path }
  return large and words or table.move({ "--parallel", "--parallel-max", at_once }, 1, 3, #words + 1, words)
end

-- Where the downloads of a contender go.
local function target(name)
  local path = ("%s/%s"):format(directory, name)
  run("mkdir", "-p", path)
  return path
end

local function ours(what, place)
  return { lua, "bench/files/ours.lua", what, url, place, count, size, at_once }
end

local function sdk(what, place)
  return { node, "bench/files/sdk.mjs", what, url, place, count, size, at_once }
end

prepare()
local up = { { name = "llama_cloud", command = ours("up", source), output = count } }
local down = { { name = "llama_cloud", command = ours("down", target("ours")), output = count } }
if curl then
  up[2] = {
    name = "curl",
    command = config("up", function(number)
      return ('url = "%s/api/v1/beta/directories/dir-1/files/upload"\n'):format(url)
        .. ('form-string = "display_name=%d.pdf"\nform-string = "unique_id=%d.pdf"\n'):format(number, number)
        .. ('form = "upload_file=@%s/%d.pdf;type=application/pdf"\n'):format(source, number)
        .. HEADERS
    end),
  }
  local function fetch(name)
    local place = target(name)
    return config(name, function(number)
      return ('url = "%s/%s"\noutput = "%s/%d.pdf"\nfail'):format(url, size, place, number)
    end)
  end
  down[2] = { name = "curl", command = fetch("curl") }
  local synced = process.command_line(fetch("synced")) .. ' && sync "$1"/*.pdf'
  down[3] = { name = "curl, then sync", command = { "sh", "-c", synced, "sh", target("synced") } }
end
if node then
  up[#up + 1] = { name = "TypeScript SDK", command = sdk("up", source), output = count }
  down[#down + 1] = { name = "TypeScript SDK", command = sdk("down", target("node")), output = count }
end

local file = results.open(part, { rounds = rounds, count = tonumber(count), size = tonumber(size), at_once = at_once })
process.compare(file, "idle", { { name = "idle", command = ours("idle", source), output = "0" } }, rounds)
process.compare(file, "up", up, rounds)
process.compare(file, "down", down, rounds)
run("rm", "-rf", directory)

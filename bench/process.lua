--- Measures whole programs: CPU time, wall time and peak memory of the process, start-up included.

local cjson = require("cjson")

local process = {}

-- What a program may take at most.
local SECONDS = 180

local function quoted(word)
  return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end

--- A command line for the shell.
---@param words any[]
---@return string
function process.command_line(words)
  local parts = {}
  for i, word in ipairs(words) do
    parts[i] = quoted(word)
  end
  return table.concat(parts, " ")
end

--- Runs a command. Raises if it fails.
---@param words any[]
---@param seconds? integer what the command may take at most; 180
---@return { wall: number, user: number, system: number, cpu: number, peak_kib: integer } cost
---@return string output
function process.measure(words, seconds)
  local measure = os.getenv("BENCH_TOOLS") .. "/measure"
  local pipe = assert(io.popen(process.command_line { measure, seconds or SECONDS, table.unpack(words) }))
  local text = pipe:read("a")
  pipe:close()
  local output, line = text:match("^(.-)([^\n]*)\n$")
  local cost = cjson.decode((assert(line, "nothing came from " .. measure)))
  if cost.status ~= 0 then
    error(("%s failed with status %d"):format(table.concat(words, " "), cost.status), 0)
  end
  cost.status, cost.cpu = nil, cost.user + cost.system
  return cost, output
end

---@class bench.Contender
---@field name string
---@field command? any[]
---@field prepare? fun(): any[], any instead: called before each round, gives the command and what is closed after it
---@field output? any what it must print

--- Runs programs in turn, round after round, beginning with another one each time.
---@param results table where the measurements go
---@param what string what they all do
---@param contenders bench.Contender[]
---@param rounds integer
---@param seconds? integer what each may take at most; 180
function process.compare(results, what, contenders, rounds, seconds)
  for round = 1, rounds do
    for i = 1, #contenders do
      local contender = contenders[(i + round) % #contenders + 1]
      local command, around = contender.command, nil
      if contender.prepare then
        command, around = contender.prepare()
      end
      local _ <close> = around
      local cost, output = process.measure(command, seconds)
      if contender.output and output ~= contender.output .. "\n" then
        error(("%s printed %q instead of %q"):format(contender.name, output, contender.output), 0)
      end
      cost.what, cost.name, cost.round = what, contender.name, round
      results:add(cost)
    end
    io.stderr:write(("%s: round %d of %d\n"):format(what, round, rounds))
  end
end

return process

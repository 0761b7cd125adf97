--- CPU time of tasks that wait for one another, in many shapes, with COUNT tasks and with four times as many: 4 is the ideal
--- ratio. Then of 100,000 tasks in one group, with the memory that they need.
---   scripts/lua bench/waiting/shapes.lua [COUNT]

local llama_cloud = require("llama_cloud")
local shapes = require("spec.support.shapes")

local FEW, GROUP = tonumber(arg[1]) or 2500, 100000

-- CPU seconds; the collector begins from a clean state.
local function measure(f, count)
  collectgarbage()
  collectgarbage()
  local cpu = os.clock()
  f(count)
  return os.clock() - cpu
end

-- The peak of the resident memory, in MB.
local function peak()
  for line in io.lines("/proc/self/status") do
    local kib = line:match("^VmHWM:%s*(%d+)")
    if kib then
      return kib / 1000
    end
  end
end

local before = peak()
local most = 0
local cpu = measure(function()
  llama_cloud.run(function()
    for index = 1, GROUP do
      llama_cloud.spawn(function()
        llama_cloud.sleep(0)
        most = index == GROUP and collectgarbage("count") or most
      end)
    end
  end)
end)
print(
  ("  %d tasks in one group: %.2f s of CPU time, %.0f MB more than before, %.0f MB of them Lua's"):format(
    GROUP,
    cpu,
    peak() - before,
    most / 1000
  )
)

for _, name in ipairs(shapes.names()) do
  local few = measure(shapes.all[name], FEW)
  local many = measure(shapes.all[name], 4 * FEW)
  print(("  %-62s %7.3f s  %7.3f s  %5.1f"):format(name, few, many, many / few))
end

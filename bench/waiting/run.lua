--- Figures about waiting; see bench/README.md. One line for each.
---   scripts/lua bench/waiting/run.lua [PART...]     parts: concurrency cpu memory shapes step
---
--- The service is a local sandbox in a process of its own, which ends with this one. Each figure is measured in a fresh
--- process.

local sandbox = require("spec.support.sandbox")

local here = arg[0]:match("^(.*)/[^/]*$") or "."

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- Runs one of the programs beside this one.
local function run(s, name, ...)
  local words = { "LLAMA_CLOUD_API_KEY=llx-bench", "LLAMA_CLOUD_BASE_URL=" .. s:url(), "no_proxy=127.0.0.1" }
  for _, word in ipairs { arg[-1], here .. "/" .. name .. ".lua", ... } do
    words[#words + 1] = quote(word)
  end
  if not os.execute(table.concat(words, " ")) then
    print(name .. " has failed")
  end
end

local parts = {}

function parts.concurrency(s)
  print("50 coroutines, 4 calls of 100 ms each; ideal: 0.40 s, and 40 ticks of a 10 ms timer beside them")
  s:fault("GET /api/v2/batches/*: delay=0.1")
  for _, host in ipairs { "group", "cqueues", "luv", "copas" } do
    run(s, "concurrency", host)
  end
  s:clear_faults()
end

function parts.cpu(s)
  print("CPU time of the client for a poll, 20,000 polls")
  for _, count in ipairs { "16", "1000" } do
    run(s, "cpu", count)
  end
end

function parts.memory(s)
  print("Lua memory for each of 1,000 that wait")
  run(s, "memory")
end

function parts.shapes(s)
  print("CPU time of tasks that wait for one another: 2,500 of them, 10,000, and the ratio; ideal: 4")
  run(s, "shapes")
end

function parts.step(s)
  print("llama_cloud.step")
  run(s, "step")
end

local s <close> = sandbox.start { batches = 1000, jobs = 0 }
for _, name in ipairs(#arg > 0 and arg or { "concurrency", "cpu", "memory", "shapes", "step" }) do
  local part = parts[name] or error("there is no part '" .. name .. "'", 0)
  part(s)
end

--- What llama_cloud.step costs: idle, and as a frame loop calls it while 200 batches are polled.
---   scripts/lua bench/waiting/step.lua      bench/waiting/run.lua sets the service up

local core = require("llama_cloud.core")
local llama_cloud = require("llama_cloud")

local BATCHES, BUDGET, FRAME, FRAMES = 200, 0.004, 1 / 60, 300

local client = llama_cloud.new()

local function idle(name)
  local count = 1000000
  local cpu = os.clock()
  for _ = 1, count do
    llama_cloud.step()
  end
  print(("  idle, %-27s %5.2f us"):format(name, 1e6 * (os.clock() - cpu) / count))
end

idle("nothing under way")

local batches = {}
llama_cloud.run(function()
  for index = 1, BATCHES do
    llama_cloud.spawn(function()
      batches[index] = assert(client.batches:create {
        source_directory_id = "dir-stuck", -- the sandbox never finishes such a batch
        config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } },
      })
    end)
  end
end)

local sleepers = {}
for index = 1, BATCHES do
  sleepers[index] = llama_cloud.spawn(llama_cloud.sleep, 3600)
end
llama_cloud.step()
idle(BATCHES .. " tasks that sleep")
for _, sleeper in ipairs(sleepers) do
  sleeper:cancel()
end

-- Every batch is polled once a second by a task of its own, and the frame loop has nothing else to do. On a busy machine
-- the longest step is one in which another process ran; hence its CPU time too.
local function frames(name, budget)
  local polls, tasks = 0, {}
  local options = { polling_interval = 1, backoff = "constant" }
  function options.on_poll()
    polls = polls + 1
  end
  for index = 1, BATCHES do
    tasks[index] = llama_cloud.spawn(client.batches.wait, client.batches, batches[index].id, nil, options)
  end
  local longest, longest_cpu, cpu_in_all = 0, 0, 0
  local due = core.now()
  for _ = 1, FRAMES do
    local began, cpu = core.now(), os.clock()
    llama_cloud.step(budget)
    local took
    took, cpu = core.now() - began, os.clock() - cpu
    longest, longest_cpu, cpu_in_all = math.max(longest, took), math.max(longest_cpu, cpu), cpu_in_all + cpu
    due = due + FRAME
    os.execute(("sleep %.4f"):format(math.max(0, due - core.now())))
  end
  for _, task in ipairs(tasks) do
    task:cancel()
  end
  llama_cloud.step()
  local line =
    "  %d batches polled, %-11s longest %5.2f ms (%.2f ms of CPU time), %.2f ms of CPU time a frame, %d polls"
  print(line:format(BATCHES, name, 1000 * longest, 1000 * longest_cpu, 1000 * cpu_in_all / FRAMES, polls))
end

frames("step(0.004)", BUDGET)
frames("step()", nil)

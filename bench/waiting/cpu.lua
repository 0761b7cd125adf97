--- CPU time of this process for a poll.
---   scripts/lua bench/waiting/cpu.lua COROUTINES [POLLS]      bench/waiting/run.lua sets the service up

local core = require("llama_cloud.core")
local llama_cloud = require("llama_cloud")

local coroutines, polls = tonumber(arg[1]), tonumber(arg[2]) or 20000

local client = llama_cloud.new()
local ids = {}
for batch in client.batches:list { page_size = 1000 } do
  ids[#ids + 1] = batch.id
end

local function poll(count)
  llama_cloud.run(function()
    for index = 1, coroutines do
      llama_cloud.spawn(function()
        for _ = 1, count do
          assert(client.batches:get(ids[(index - 1) % #ids + 1]))
        end
      end)
    end
  end)
end

poll(1) -- connections and code
local began, cpu = core.now(), os.clock()
poll(polls // coroutines)
cpu = os.clock() - cpu
local made = polls // coroutines * coroutines
print(
  ("  %4d coroutines: %5.1f us a poll, %.0f polls a second"):format(
    coroutines,
    1e6 * cpu / made,
    made / (core.now() - began)
  )
)

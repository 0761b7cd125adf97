--- Bytes of Lua memory for each that waits.
---   scripts/lua bench/waiting/memory.lua      bench/waiting/run.lua sets the service up

local llama_cloud = require("llama_cloud")

local COUNT = 1000

local client = llama_cloud.new()
local batches = {}
llama_cloud.run(function()
  for index = 1, COUNT do
    llama_cloud.spawn(function()
      batches[index] = assert(client.batches:create {
        source_directory_id = "dir-stuck", -- the sandbox never finishes such a batch
        config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } },
      })
    end)
  end
end)

local function used()
  collectgarbage()
  collectgarbage()
  return collectgarbage("count") * 1024
end

-- Starts tasks, and measures when all of them wait. Their number is that of the ones who wait, or 1 for wait_all.
local function measure(name, count, start)
  local before = used()
  llama_cloud.run(function()
    local tasks = {}
    for index = 1, count do
      tasks[index] = start(index)
    end
    llama_cloud.sleep(2)
    print(("  %-40s %5.0f bytes"):format(name, (used() - before) / COUNT))
    for index = 1, count do
      assert(tasks[index]:status() == "pending", "it does not wait any more")
      tasks[index]:cancel()
    end
  end)
end

local SLOWLY = { polling_interval = 60 }

measure("a task in llama_cloud.sleep", COUNT, function()
  return llama_cloud.spawn(llama_cloud.sleep, 60)
end)

measure("a task in client.batches:wait", COUNT, function(index)
  return llama_cloud.spawn(client.batches.wait, client.batches, batches[index].id, nil, SLOWLY)
end)

measure("a batch in one client.batches:wait_all", 1, function()
  return llama_cloud.spawn(function()
    for _, _, err in client.batches:wait_all(batches, nil, SLOWLY) do
      error(err)
    end
  end)
end)

--- Polls a batch from many tasks in one group: ours.lua URL REQUESTS TASKS [CA_FILE]

local llama_cloud = require("llama_cloud")

local requests, tasks = tonumber(arg[2]), tonumber(arg[3])
local client = llama_cloud.new { api_key = "key", base_url = arg[1], ca_file = arg[4], proxy = "" }
llama_cloud.max_concurrency(tasks)

local left, answered = requests, 0
llama_cloud.run(function()
  for _ = 1, tasks do
    llama_cloud.spawn(function()
      while left > 0 do
        left = left - 1
        local batch = assert(client.batches:get("bat-1"))
        assert(batch.status == "RUNNING")
        answered = answered + 1
      end
    end)
  end
end)
print(answered)

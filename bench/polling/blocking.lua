--- Gets a batch again and again in a plain script, without tasks or an event loop: blocking.lua URL REQUESTS

local llama_cloud = require("llama_cloud")

local client = llama_cloud.new { api_key = "key", base_url = arg[1], proxy = "" }
local requests = tonumber(arg[2])
for _ = 1, requests do
  local batch = assert(client.batches:get("bat-1"))
  assert(batch.status == "RUNNING")
end
print(requests)

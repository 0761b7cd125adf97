-- Lists the batches of your project: scripts/lua examples/list_batches.lua [STATUS]

local llama_cloud = require("llama_cloud")

local client = llama_cloud.new() -- the key is in LLAMA_CLOUD_API_KEY

for batch in client.batches:list { status = arg[1] } do
  print(batch.id, batch.status, batch.created_at)
end

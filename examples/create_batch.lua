-- Starts a batch over a directory: scripts/lua examples/create_batch.lua DIRECTORY_ID [CONFIGURATION_ID]

local llama_cloud = require("llama_cloud")

local directory_id = arg[1] or error("usage: create_batch.lua DIRECTORY_ID [CONFIGURATION_ID]", 0)
local client = llama_cloud.new() -- the key is in LLAMA_CLOUD_API_KEY

local batch = assert(client.batches:create {
  source_directory_id = directory_id,
  config = { job = { type = "parse_v2", configuration_id = arg[2] or "cfg-PARSE_AGENTIC" } },
})
print(batch.id, batch.status)

--- Lists all v2 batches: ours.lua URL [SECONDS]. SECONDS is what the consumer works on each item.

local core = require("llama_cloud.core")
local llama_cloud = require("llama_cloud")

local work = tonumber(arg[2])
local client = llama_cloud.new { api_key = "key", base_url = arg[1], proxy = "" }
local count, ids = 0, 0
for batch in client.batches:list { page_size = 100 } do
  count = count + 1
  ids = ids + #batch.id
  if work then
    local done = core.now() + work
    while core.now() < done do
    end
  end
end
assert(ids == 40 * count)
print(count)

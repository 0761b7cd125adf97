-- Run by spec/support/alloc_harness.c, beside the server of spec/support/run_alloc.lua: a list of two pages, walked
-- through, broken off and left to the collector.
failing(false)
local llama_cloud = require("llama_cloud")
require("spec.support.compiled")
failing(true)

local function check(value, message)
  if not value then
    error(message or "wrong result")
  end
  return value
end

local client = llama_cloud.new { api_key = "llx-1", base_url = (...), max_retries = 0, timeout = 5 }

local count = 0
for batch in client.batches:list { page_size = 2 } do
  count = count + 1
  check(batch.config.job.configuration_id == "cfg-1")
end
check(count == 4)

for batch in client.batches:list() do -- luacheck: ignore 512
  check(batch.id == "bat-1")
  break
end

local items = check(client.batches:list():all { max_items = 3 })
check(#items == 3)

local left = client.batches:list()
check(#check(left:next_page()).items == 2)

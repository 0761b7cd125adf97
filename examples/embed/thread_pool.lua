-- Run by thread_pool.c in each of its threads; returns the function that does one job, the id of a batch:
--
--   thread_pool 4 thread_pool.lua bat-… bat-…       tells how each has ended: the key is in LLAMA_CLOUD_API_KEY
--
-- What it returns is a string for C. What it raises is the job's error.

local llama_cloud = require("llama_cloud")

-- Each thread has a client of its own. Threads do not know of each other's 429s, so keep them few.
local client = llama_cloud.new()

return function(id)
  local batch, err = client.batches:wait(id, { expand = { "results" } })
  if not batch then
    error(err, 0)
  end
  return ("%s, %d files"):format(batch.status, #batch.results)
end

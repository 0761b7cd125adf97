-- Run by spec/support/alloc_harness.c, beside the server of spec/support/run_alloc.lua: waiting for one batch.
failing(false)
local llama_cloud = require("llama_cloud")
require("spec.support.compiled")

local function check(value, message)
  if not value then
    error(message or "wrong result")
  end
  return value
end

-- Once libcurl has run short of memory, a handle may hang: then its time is soon over.
local client = llama_cloud.new { api_key = "llx-1", base_url = (...), max_retries = 0, timeout = 2 }
local quick = { polling_interval = 0.001, max_interval = 0.001, total_timeout = 20 }

function afterwards()
  check(check(client.batches:wait("bat-wait", nil, quick)).status == "COMPLETED")
end
failing(true)

local polls = 0
local batch = check(client.batches:wait("bat-wait", { expand = { "results" } }, {
  polling_interval = 0.001,
  backoff = "constant",
  total_timeout = 20,
  on_poll = function(seen)
    polls = polls + (seen.status and 1 or 0)
  end,
}))
check(batch.status == "COMPLETED" and polls > 0)

local last
for seen in client.batches:watch("bat-wait", nil, quick) do
  last = seen
end
check(last.status == "COMPLETED")

local none, err = client.batches:wait("bat-failed", nil, quick)
check(none == nil and llama_cloud.is_error(err), "no error")
if err.kind ~= "batch_failed" then
  error(err)
end
check(err.batch.status == "FAILED" and tostring(err):find("ended as FAILED"))

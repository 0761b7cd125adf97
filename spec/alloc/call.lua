-- Run by spec/support/alloc_harness.c, beside the server of spec/support/run_alloc.lua: calls of the client.
failing(false)
local core = require("llama_cloud.core")
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

local batch = check(client.batches:get("bat-1", { expand = { "results" } }))
check(batch.id == "bat-1" and getmetatable(batch.n) == core.array)

local job = { type = "parse_v2", configuration_id = "cfg-1" }
local created = check(client.batches:create { source_directory_id = "dir-1", config = { job = job } })
check(created.source_directory_id == "dir-1" and created.config.job.type == "parse_v2")

-- An answer that cannot be decoded makes an error object, with the response's headers and an excerpt.
local none, err = client:post("/echo", { body = "not JSON", headers = { ["X-Other"] = "1" } })
check(none == nil and llama_cloud.is_error(err), "no error")
if tostring(err):find("memory") then
  error(err)
end
check(err.kind == "decode" and err.body == "not JSON" and err.headers["content-type"] == "application/json")
client:close()

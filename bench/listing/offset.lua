--- Lists all v1 jobs, whose pages are found by offset: offset.lua URL CONCURRENCY. 1: one page after another.

local llama_cloud = require("llama_cloud")

local concurrency = tonumber(arg[2])
local client = llama_cloud.new { api_key = "key", base_url = arg[1], proxy = "" }
local count = 0
for _ in client.beta.batch:list({ limit = 100 }, { concurrency = concurrency, prefetch = concurrency > 1 }) do
  count = count + 1
end
print(count)

-- Run by poll_loop.c, which gives it a function to report to, and the ids of directories:
--
--   poll_loop poll_loop.lua dir-… dir-…       starts a batch over each directory: the key is in LLAMA_CLOUD_API_KEY
--
-- It starts a task for each of them and returns; C's loop lets the tasks go on.

local report = ...
local directories = { select(2, ...) }
local llama_cloud = require("llama_cloud")

if #directories == 0 then
  error("usage: poll_loop poll_loop.lua DIRECTORY_ID…", 0)
end

local client = llama_cloud.new()

for _, directory in ipairs(directories) do
  llama_cloud.spawn(function()
    local batch, err = client.batches:run({
      source_directory_id = directory,
      config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } },
    }, { expand = { "results" }, polling_interval = 0.25 })
    if batch then
      report(directory, batch.status, #batch.results)
    else
      report(directory, err.kind, 0)
    end
  end)
end

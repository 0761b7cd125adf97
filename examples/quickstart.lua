-- A tour: starts a batch over a directory, follows it to its end, prints what became of each file, and goes through
-- the lists of v2 batches and v1 batch jobs.
--
--   scripts/demo --live                              at LlamaCloud: the key is in LLAMA_CLOUD_API_KEY
--   scripts/lua examples/quickstart.lua dir-…        likewise, over the files of a directory
--
-- A batch costs credits, so at LlamaCloud none is started unless you name the directory, here or in
-- LLAMA_CLOUD_DIRECTORY_ID.

local llama_cloud = require("llama_cloud")

local in_sandbox = (os.getenv("LLAMA_CLOUD_BASE_URL") or ""):find("^http://127%.0%.0%.1")
local directory_id = arg[1] or os.getenv("LLAMA_CLOUD_DIRECTORY_ID") or in_sandbox and "dir-files-8"

local client <close> = llama_cloud.new()

-- How often the batch is looked at: after 0.2 s, 0.4 s … 5 s, for the sandbox is quick. The defaults begin with 1 s.
local WATCHING = { polling_interval = 0.2, backoff = "exponential" }

if directory_id then
  local batch, err = client.batches:create {
    source_directory_id = directory_id,
    config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } },
  }
  if not batch then
    error(err) -- an object: err.kind, err.status and more, and tostring(err) for people
  end
  print("Batch " .. batch.id)
  -- Each change of its status, and in the end the batch with its results. (client.batches:run would do both in one: it
  -- starts a batch and returns it when it has ended.)
  for seen in client.batches:watch(batch.id, { expand = { "results" } }, WATCHING) do
    print("  " .. seen.status)
    batch = seen
  end

  print(("\nResults of its %d files"):format(#(batch.results or {})))
  for _, result in ipairs(batch.results or {}) do
    local outcome = result.job_reference and result.job_reference.id or result.error_message
    print(("  %s  %s"):format(result.source_directory_file_id, outcome))
  end
else
  print("No batch is started: name a directory to start one over its files.")
end

-- A list asks for pages as the loop goes on. Leaving the loop closes it.
print("\nThe newest batches")
local count, by_status = 0, {}
for batch in client.batches:list { page_size = 50 } do
  count = count + 1
  by_status[batch.status] = (by_status[batch.status] or 0) + 1
  if count <= 3 then
    print(("  %s  %-9s  %s"):format(batch.id, batch.status, batch.created_at))
  elseif count == 200 then
    break
  end
end
local summary = {}
for status, number in pairs(by_status) do
  summary[#summary + 1] = number .. " " .. status
end
table.sort(summary)
print(("  %d batches: %s"):format(count, table.concat(summary, ", ")))

-- The same, page by page.
print("\nThe newest v1 batch jobs")
local pages = 0
for page in client.beta.batch:list({ limit = 30 }):pages() do
  pages = pages + 1
  local job = page.items[1]
  print(
    ("  page %d of %d jobs, from %s (%s, %d items)"):format(pages, #page.items, job.id, job.job_type, job.total_items)
  )
  if pages == 4 then
    break
  end
end

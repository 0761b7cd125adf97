-- Waits for many batches at once, in a plain script: no event loop, no threads, one `for`.
--
--   scripts/lua examples/poll_many.lua bat-… bat-… …
--
-- Without ids it starts 500 batches to wait for; in the sandbox only, for batches cost credits:
--
--   scripts/lua bin/llama-cloud-sandbox --port 8000 --speed 20 --quiet &
--   LLAMA_CLOUD_BASE_URL=http://127.0.0.1:8000 LLAMA_CLOUD_API_KEY=any scripts/lua examples/poll_many.lua

local llama_cloud = require("llama_cloud")

local client <close> = llama_cloud.new() -- the key is in LLAMA_CLOUD_API_KEY

-- Starts batches, many at a time: each task waits for its own answer only. Returns them as create returned them.
local function start(count)
  local batches = {}
  llama_cloud.run(function()
    for index = 1, count do
      llama_cloud.spawn(function()
        batches[index] = assert(client.batches:create({
          source_directory_id = ("dir-files-%d-of-%s"):format(
            index % 20 + 1,
            index % 100 == 0 and "failures" or "mine"
          ),
          config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } },
        }, { reconcile = true })) -- a lost answer must not cost a second batch
      end)
    end
  end)
  return batches
end

local waited_for = arg
if #arg == 0 then
  if not (os.getenv("LLAMA_CLOUD_BASE_URL") or ""):find("^http://127%.0%.0%.1") then
    error("usage: poll_many.lua BATCH_ID…", 0)
  end
  waited_for = start(500)
  print(("started %d batches"):format(#waited_for))
end

-- Ids or batches. Batches are cheaper: their age is known, so one list shows a hundred of them at a time.
local completed, problems = 0, 0
for id, batch, err in client.batches:wait_all(waited_for) do
  if batch then
    completed = completed + 1
  else
    problems = problems + 1 -- failed, cancelled, or not to be had: err.kind tells, and err.batch is the last that was seen
    print(id, err)
  end
  if (completed + problems) % 100 == 0 then
    print(("%d of %d have ended"):format(completed + problems, #waited_for))
  end
end
print(("%d completed, %d did not"):format(completed, problems))

-- Inside an application that runs on cqueues: calls wait as cqueues' own do, and the rest goes on meanwhile. Nothing has to
-- be set up for it.
--
--   scripts/lua examples/with_cqueues.lua dir-… dir-…       starts a batch over each directory: the key is in LLAMA_CLOUD_API_KEY

local cqueues = require("cqueues")
local llama_cloud = require("llama_cloud")

local directories = #arg > 0 and arg or { "dir-files-3", "dir-files-5", "dir-fail" } -- these the sandbox knows
if #arg == 0 and not (os.getenv("LLAMA_CLOUD_BASE_URL") or ""):find("^http://127%.0%.0%.1") then
  error("usage: with_cqueues.lua DIRECTORY_ID…", 0)
end

local client = llama_cloud.new()
local controller = cqueues.new()
local working = #directories

for _, directory in ipairs(directories) do
  controller:wrap(function()
    local batch, err = client.batches:run({
      source_directory_id = directory,
      config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } },
    }, { expand = { "results" }, polling_interval = 0.5 })
    if batch then
      print(("%s: %d files"):format(directory, #batch.results))
    else
      print(("%s: %s"):format(directory, err))
    end
    working = working - 1
  end)
end

-- Whatever else the application does.
controller:wrap(function()
  local ticks = 0
  while working > 0 do
    cqueues.sleep(0.1)
    ticks = ticks + 1
  end
  print(("the application was at work %d times meanwhile"):format(ticks))
end)

assert(controller:loop())

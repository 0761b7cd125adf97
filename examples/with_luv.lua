-- Inside an application that runs on libuv (luv). libuv cannot be recognised, so it is named; then tasks are its callbacks'
-- equals, and calls in them wait without holding the loop up.
--
--   scripts/lua examples/with_luv.lua dir-… dir-…       starts a batch over each directory: the key is in LLAMA_CLOUD_API_KEY

local llama_cloud = require("llama_cloud")
local uv = require("luv")

local directories = #arg > 0 and arg or { "dir-files-3", "dir-files-5", "dir-fail" } -- these the sandbox knows
if #arg == 0 and not (os.getenv("LLAMA_CLOUD_BASE_URL") or ""):find("^http://127%.0%.0%.1") then
  error("usage: with_luv.lua DIRECTORY_ID…", 0)
end

llama_cloud.use_loop("luv")

local client = llama_cloud.new()
local working = #directories

for _, directory in ipairs(directories) do
  llama_cloud.spawn(function()
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
local ticks, timer = 0, uv.new_timer()
timer:start(100, 100, function()
  ticks = ticks + 1
  if working == 0 then
    timer:close()
    print(("the application was at work %d times meanwhile"):format(ticks))
  end
end)

uv.run()

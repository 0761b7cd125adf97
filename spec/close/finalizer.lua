-- Run by spec/support/close_harness.c, beside the server of spec/support/run_alloc.lua: a finalizer that runs when the state
-- is closed, and uses the client then. What it makes is never finalized, and has to be freed all the same. One finalizer
-- runs before the module's own objects are finalized, and one after them, when its calls may fail. Descriptors are counted
-- by the harness, memory by the leak checker.
local url = ...
local use -- what the finalizers do; each step is another use
local late = false

local function finalize(object)
  if object ~= first and object ~= last then -- luacheck: ignore 113
    return -- one of an earlier step
  end
  local ok, message = pcall(use or function() end)
  if not ok and not late then
    io.stderr:write("a finalizer: ", tostring(message), "\n")
    os.exit(1, false)
  end
  late = true
end

-- Finalizers run in the reverse order of these calls.
last = setmetatable({}, { __gc = finalize }) -- luacheck: ignore 111
local llama_cloud = require("llama_cloud")
local client = llama_cloud.new { api_key = "llx-1", base_url = url, max_retries = 0, total_timeout = 10 }

local spawn, sleep = llama_cloud.spawn, llama_cloud.sleep
local QUICKLY = { polling_interval = 0.001, backoff = "constant" }

-- Each leaves something behind.
local uses = {
  function()
    assert(client.batches:get("bat-1"))
  end,
  function()
    local list = client.batches:list()
    assert(list() and list()) -- the next page is under way
  end,
  function()
    local list = client.batches:list()
    while list() do
    end
  end,
  function()
    assert(client.batches:list({}, { prefetch = true }):next_page())
  end,
  function()
    local each = client.batches:wait_all({ "bat-1", "bat-wait" }, nil, QUICKLY)
    assert(each() == "bat-wait")
  end,
  function()
    assert(client.batches:watch("bat-1", nil, QUICKLY)())
  end,
  function()
    spawn(sleep, 60)
    spawn(client.batches.get, client.batches, "bat-1")
    llama_cloud.step()
  end,
  function()
    spawn(sleep, 60)
  end,
  function()
    assert(spawn(client.batches.get, client.batches, "bat-1"):result())
  end,
  function()
    llama_cloud.run(function()
      spawn(sleep, 60):cancel()
      assert(client.batches:list()())
    end)
  end,
  function()
    local generator = llama_cloud.wrap(function()
      for batch in client.batches:list() do
        coroutine.yield(batch)
      end
    end)
    assert(generator() and generator())
  end,
  function()
    sleep(0.001)
    llama_cloud.pollfd()
    llama_cloud.step()
  end,
  function()
    local other = llama_cloud.new { api_key = "llx-2", base_url = url, default_headers = { ["X-Other"] = "1" } }
    assert(other.batches:list()())
    other:close()
  end,
  function()
    assert(client.beta.batch:list { directory_id = "dir-1" }())
    assert(client:post("/echo", { body = { n = 1 } }))
    assert(llama_cloud.json.decode('{"items":[{"id":"a"}]}').items[1].id == "a")
  end,
  function()
    for _ = 1, 3 do
      assert(client.batches:list()())
    end
    client:close()
  end,
}

-- First where the finalizer's call is the very first, and makes what all share; then where it is there already.
for _, calls_before in ipairs { 0, 1 } do
  for _ = 1, calls_before do
    assert(client.batches:get("bat-1"))
  end
  for _, one in ipairs(uses) do
    use = one
    first = setmetatable({}, { __gc = finalize }) -- luacheck: ignore 111
    coroutine.yield()
  end
end
use = nil

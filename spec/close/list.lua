-- Run by spec/support/close_harness.c, beside the server of spec/support/run_alloc.lua: lists, waits, tasks and a create,
-- with a step wherever something waits and at each item. At any of them the state may be closed.
local llama_cloud = require("llama_cloud")
local loop = require("llama_cloud.loop")

local client = llama_cloud.new { api_key = "llx-1", base_url = (...), max_retries = 0 }

local function work()
  local count = 0
  for batch in client.batches:list { page_size = 2 } do
    assert(batch.id == "bat-1")
    count = count + 1
    coroutine.yield("item")
  end
  assert(count == 4)
  local list = client.batches:list()
  assert(list() and list())
  coroutine.yield("a page is under way")
  list:close()
  local job = { type = "parse_v2", configuration_id = "cfg-1" }
  assert(client.batches:create { source_directory_id = "dir-1", config = { job = job } })
  assert(client.batches:wait("bat-wait", nil, { polling_interval = 0.001, backoff = "constant" }))
  llama_cloud.run(function()
    for i = 1, 3 do
      llama_cloud.spawn(function()
        assert(client.batches:get("bat-" .. i))
      end)
    end
  end)
  for _, batch, err in
    client.batches:wait_all({ "bat-wait", "bat-failed" }, nil, { polling_interval = 0.001, backoff = "constant" })
  do
    assert(batch or err.kind == "batch_failed")
  end
end

local worker = coroutine.create(work)
local readable

-- An event loop of one coroutine, which is at a step whenever that waits.
llama_cloud.use_loop {
  current = function(co)
    return co == worker and co or nil
  end,
  park = function()
    coroutine.yield("waiting")
  end,
  wake = function() end,
  watch = function(_, on_readable)
    readable = on_readable
    return function()
      readable = nil
    end
  end,
}

while true do
  assert(coroutine.resume(worker))
  if coroutine.status(worker) == "dead" then
    break
  end
  coroutine.yield()
  if readable then
    loop.transport():wait(10)
    readable()
  end
end

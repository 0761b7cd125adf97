-- Run by spec/support/threads.c in two threads at once, beside the server of spec/support/run_alloc.lua: a bit of
-- everything that the core does, over and over.
local core = require("llama_cloud.core")
local llama_cloud = require("llama_cloud")
local url = ...

local text =
  '{"items":[{"id":"a","n":[1,2.5,1e300,"\\u00fc"]},{"id":"b","s":"a string of more than forty bytes, to be sure"}]}'

for _ = 1, 20 do
  for _ = 1, 50 do
    local value = assert(core.decode(text))
    assert(core.decode(assert(core.encode(value))).items[1].n[2] == 2.5)
    assert(core.decode('{"a":1,"b":2}', { fields = { "b" } }).b == 2)
    assert(core.page(text):next().id == "a")
    assert(core.url("../x?y#z", "https://h.example/a/b").path == "/x")
    assert(not core.decode("[1,"))
  end
  local client <close> = llama_cloud.new { api_key = "llx-1", base_url = url, max_retries = 0 }
  assert(client.batches:get("bat-1").id == "bat-1")
  local job = { type = "parse_v2", configuration_id = "cfg-1" }
  assert(client.batches:create { source_directory_id = "dir-1", config = { job = job } })
  local count = 0
  for _ in client.batches:list() do
    count = count + 1
  end
  assert(count == 4)
  llama_cloud.run(function()
    for i = 1, 4 do
      llama_cloud.spawn(function()
        assert(client.batches:get("bat-" .. i))
      end)
    end
  end)
  -- names are resolved by a thread of libcurl's
  local named <close> =
    llama_cloud.new { api_key = "llx-1", base_url = url:gsub("127%.0%.0%.1", "localhost"), max_retries = 0 }
  assert(named.batches:get("bat-1").id == "bat-1")
  -- a transport of its own, closed with a request under way
  local transport <close> = core.transport()
  transport:start { method = "GET", url = url .. "/x" }
  transport:step()
end

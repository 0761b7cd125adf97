-- Run by spec/support/alloc_harness.c, beside the server of spec/support/run_alloc.lua: closing things that are in use.
failing(false)
local core = require("llama_cloud.core")
local llama_cloud = require("llama_cloud")
require("spec.support.compiled")

local function check(value, message)
  if not value then
    error(message or "wrong result")
  end
  return value
end

local url = ...

local function new_client()
  return llama_cloud.new { api_key = "llx-1", base_url = url, max_retries = 0, timeout = 2 }
end

function afterwards()
  check(check(new_client().batches:get("bat-1")).id == "bat-1")
end
failing(true)

-- A client whose calls are under way: they end as cancelled.
local client = new_client()
local ended = 0
llama_cloud.run(function()
  for _ = 1, 3 do
    llama_cloud.spawn(function()
      local batch, err = client.batches:get("bat-1")
      if not batch and err.kind ~= "cancelled" then
        error(err)
      end
      ended = ended + 1
    end)
  end
  llama_cloud.sleep(0)
  client:close()
end)
check(ended == 3)
client:close()

-- Lists: before the first page, within a page with the next one under way, and by leaving the loop.
local other <close> = new_client()
local list = other.batches:list()
list:close()
list = other.batches:list()
check(list() and list())
list:close()
check(list() == nil)
for _ in other.batches:list() do -- luacheck: ignore 512
  break
end

-- A transport with transfers and timers in it, and tokens that outlive it.
local t = core.transport()
local tokens = { t:start { method = "GET", url = url }, t:timer(60) }
t:step()
t:close()
for _, token in ipairs(tokens) do
  check(token:done())
  token:close()
end
local page = check(core.page('{"items":[{"id":"a"}]}'))
check(page:next().id == "a")
page:close()

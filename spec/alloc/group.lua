-- Run by spec/support/alloc_harness.c, beside the server of spec/support/run_alloc.lua: tasks that run and wait at the same
-- time, that fail, that are cancelled, and that nobody waits for.
failing(false)
local llama_cloud = require("llama_cloud")
require("spec.support.compiled")

local function check(value, message)
  if not value then
    error(message or "wrong result")
  end
  return value
end

local client = llama_cloud.new { api_key = "llx-1", base_url = (...), max_retries = 0, timeout = 2 }

-- Waits for several at once, in tasks and by wait_all; the number of results.
local function wait_for_all()
  local done = 0
  llama_cloud.run(function()
    local tasks = {}
    for i = 1, 3 do
      tasks[i] = llama_cloud.spawn(function()
        return check(client.batches:get("bat-" .. i))
      end)
    end
    for i = 1, 3 do
      check(tasks[i]:result())
      done = done + 1
    end
  end)
  local quickly = { polling_interval = 0.001, backoff = "constant" }
  for id, batch, err in client.batches:wait_all({ "bat-wait" }, nil, quickly) do
    check(batch, err)
    check(id == "bat-wait")
    done = done + 1
  end
  return done
end

function afterwards()
  check(wait_for_all() == 4)
  -- a task that step drives may have failed, which step says once; another must be driven to its end
  pcall(llama_cloud.step)
  llama_cloud.spawn(client.batches.get, client.batches, "bat-1")
  while llama_cloud.step() > 0 do
    llama_cloud.sleep(0.001)
  end
end
failing(true)

check(wait_for_all() == 4)

-- One fails, the other is broken off with it.
local ok, message = pcall(llama_cloud.run, function()
  llama_cloud.spawn(function()
    llama_cloud.sleep(0.001)
    error("by intention", 0)
  end)
  local other = llama_cloud.spawn(function()
    client.batches:get("bat-1")
  end)
  llama_cloud.sleep(0)
  other:cancel()
end)
if ok or message ~= "by intention" then
  error(message)
end

-- What step drives, and what it never gets to the end of.
local task = llama_cloud.spawn(function()
  return check(client.batches:get("bat-1")).id
end)
while task:status() == "pending" do
  llama_cloud.step()
  llama_cloud.sleep(0.001)
end
local id, problem = task:result()
check(id == "bat-1", problem)

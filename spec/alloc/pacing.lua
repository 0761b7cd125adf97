-- Run by spec/support/alloc_harness.c: waiting at a gate, with tasks that wait, give up and are cancelled.
failing(false)
local llama_cloud = require("llama_cloud")
require("spec.support.compiled")
local loop = require("llama_cloud.loop")
local queue = require("llama_cloud.http.queue")

local function check(value, message)
  if not value then
    error(message or "wrong result")
  end
  return value
end

-- Waits at most so long. Whether it may pass.
local function pass(q, seconds)
  if q:enter(loop.now()) then
    return true
  end
  local place <close> = q:wait(seconds)
  loop.await(place.token)
  return place.passed
end

-- A gate that is closed for a moment and then lets go some hundred a second.
local function closed(q)
  local now = loop.now()
  for _ = 1, 400 do
    q:accept(now)
  end
  q:refuse(now, 0.002, now)
end

local function wait_for_all(q)
  closed(q)
  local passed = 0
  llama_cloud.run(function()
    for _ = 1, 3 do
      llama_cloud.spawn(function()
        check(pass(q, 20))
        passed = passed + 1
      end)
    end
    local other = llama_cloud.spawn(pass, q, 20)
    llama_cloud.sleep(0)
    other:cancel()
  end)
  return passed
end

local used = queue.new()

function afterwards()
  -- whatever has become of those who waited, others are not held up by them
  local began = loop.now()
  check(pass(used, 20))
  check(wait_for_all(queue.new()) == 3)
  check(loop.now() - began < 10)
end
failing(true)

check(wait_for_all(used) == 3)
check(pass(used, 20))
closed(used)
check(not pass(used, 0.0001))

--- What share of requests a rate-limited service refuses, and how close to the limit the client comes.
---   scripts/lua bench/waiting/rate_limit.lua [COROUTINES [CALLS [RATE]]]             200 10 20: takes 100 seconds
---   scripts/lua bench/waiting/rate_limit.lua simulate [COROUTINES [CALLS [RATE]]]    the gate alone, without time
---
--- COROUTINES make CALLS calls each, one after another, through one client; the service allows RATE requests in any second
--- and refuses the others with Retry-After: 1.

local core = require("llama_cloud.core")
local gate = require("llama_cloud.gate")
local llama_cloud = require("llama_cloud")
local sandbox = require("spec.support.sandbox")

local simulated = arg[1] == "simulate"
local coroutines, calls, rate = table.unpack(arg, simulated and 2 or 1)
coroutines, calls, rate = tonumber(coroutines) or 200, tonumber(calls) or 10, tonumber(rate) or 20

local function report(seconds, answered, refused, failed)
  local sent = answered + refused
  print(("%d coroutines, %d calls each, %d requests a second allowed"):format(coroutines, calls, rate))
  print(
    ("  %.1f s; %.1f answers a second (%.0f %% of what is allowed)"):format(
      seconds,
      answered / seconds,
      100 * answered / seconds / rate
    )
  )
  print(("  %d requests, %d refused: %.1f %%; %d calls failed"):format(sent, refused, 100 * refused / sent, failed))
end

local function measure()
  local s <close> = sandbox.start { batches = 100, faults = { ("GET *: rate=%d"):format(rate) } }
  local client = llama_cloud.new { api_key = "llx-bench", base_url = s:url(), proxy = "", max_retries = 20 }
  local id = assert(client.batches:list({ page_size = 1 }):next_page()).items[1].id
  llama_cloud.sleep(1)
  s:clear_stats()
  local failed = 0
  -- a client that knows nothing of the limit yet
  client = llama_cloud.new { api_key = "llx-bench", base_url = s:url(), proxy = "", max_retries = 20 }
  local began = core.now()
  llama_cloud.run(function()
    for _ = 1, coroutines do
      llama_cloud.spawn(function()
        for _ = 1, calls do
          failed = failed + (client.batches:get(id) and 0 or 1)
        end
      end)
    end
  end)
  local statuses = s:stats().statuses
  report(core.now() - began, math.tointeger(statuses["200"]), math.tointeger(statuses["429"] or 0), failed)
end

-- Events in the order of their times: { time, what, caller }.
local function new_queue()
  local heap = {}
  local queue = {}
  function queue.add(time, what, caller)
    heap[#heap + 1] = { time, what, caller }
    local i = #heap
    while i > 1 and heap[i // 2][1] > heap[i][1] do
      heap[i], heap[i // 2] = heap[i // 2], heap[i]
      i = i // 2
    end
  end
  function queue.take()
    local first = heap[1]
    heap[1] = heap[#heap]
    heap[#heap] = nil
    local i = 1
    while true do
      local least = i
      for child = 2 * i, math.min(2 * i + 1, #heap) do
        least = heap[child][1] < heap[least][1] and child or least
      end
      if least == i then
        return first
      end
      heap[i], heap[least] = heap[least], heap[i]
      i = least
    end
  end
  return queue
end

-- The same with events instead of requests, each way of which takes 10 ms.
local function simulate()
  local queue, one = new_queue(), gate.new()
  local allowed, answered, refused = {}, 0, 0
  for _ = 1, coroutines do
    queue.add(0, "ask", { left = calls })
  end
  local now
  while answered < coroutines * calls do
    local event = queue.take()
    local what, caller = event[2], event[3]
    now = event[1]
    if what == "ask" then
      local delay, ticket = one:enter(now, caller.ticket)
      caller.ticket = ticket
      if delay > 0 then
        queue.add(now + delay, "ask", caller)
      else
        caller.ticket, caller.started = nil, now
        queue.add(now + 0.01, "arrive", caller)
      end
    elseif what == "arrive" then
      local oldest = allowed[answered % rate]
      local passes = not oldest or now - oldest >= 1
      if passes then
        allowed[answered % rate] = now
        answered = answered + 1
      else
        refused = refused + 1
      end
      queue.add(now + 0.01, passes and "answer" or "refusal", caller)
    elseif what == "answer" then
      one:accept(now)
      caller.left = caller.left - 1
      if caller.left > 0 then
        queue.add(now, "ask", caller)
      end
    else
      one:refuse(now, 1, caller.started)
      queue.add(now, "ask", caller)
    end
  end
  report(now, answered, refused, 0)
end

if simulated then
  simulate()
else
  measure()
end

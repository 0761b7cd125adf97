--- What share of requests a rate-limited service refuses, and how close to the limit the client comes.
---   scripts/lua bench/waiting/rate_limit.lua [COROUTINES [CALLS [RATE]]]             200 10 20: takes 100 seconds
---   scripts/lua bench/waiting/rate_limit.lua simulate [COROUTINES [CALLS [RATE]]]    the gate alone, without time
---
--- COROUTINES make CALLS calls each, one after another, through one client; the service allows RATE requests in any second
--- and refuses the others with Retry-After: 1.

local core = require("llama_cloud.core")
local llama_cloud = require("llama_cloud")
local pacing = require("spec.support.pacing")
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

-- The same with events instead of requests, of 20 ms on average.
local function simulate()
  local result = pacing.run {
    limiter = pacing.limiters.sliding(rate),
    callers = coroutines,
    calls = calls,
    latency = 0.02,
  }
  report(result.seconds, result.answered, result.refused, result.failed)
end

if simulated then
  simulate()
else
  measure()
end

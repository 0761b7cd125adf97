-- Run by spec/support/alloc_harness.c, beside the server of spec/support/run_alloc.lua: the transport by itself.
local core = require("llama_cloud.core")
local url = ...

local function check(value)
  if not value then
    error("wrong result")
  end
  return value
end

local t = core.transport()
check(core.url("../b?c#d", url .. "/x/y/z").query == "c")

local function finish(token)
  while not token:done() do
    t:wait(10)
    t:step()
  end
  while t:next() do
  end
  return token
end

do
  local transfer <close> = t:start {
    method = "POST",
    url = url,
    body = '{"a":[1,2,{"b":"c"}]}',
    headers = { "X-One", "1", "Accept", false, "X-Empty", "" },
    timeout = 60,
    deadline = 60,
  }
  finish(transfer)
  check(transfer:outcome() == "response" and transfer:status() == 200 and transfer:sent())
  check(transfer:headers()["content-type"] == "application/json")
  check(transfer:decode().a[3].b == "c" and transfer:body():sub(1, 1) == "{")
  check(tostring(transfer):find("taken"))
end

-- Tokens in every state are left to the end of the state.
t:max_concurrency(1)
local active = t:start { method = "GET", url = url }
local queued = t:start { method = "GET", url = url, deadline = 60 }
local timers = { t:timer(60), t:timer(0), t:timer(30) }
finish(timers[2])
queued:cancel()
check(queued:outcome() == "cancelled")
check(t:next() == queued and active ~= nil)
finish(t:start { method = "GET", url = "nothing://x" })

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

do
  -- "{}" as gzip packs it, and once more
  local packed = "\x1f\x8b\8\0\0\0\0\0\2\3\xab\xae\5\0C\xbf\xa6\xa3\2\0\0\0"
  local transfer <close> = t:start {
    method = "POST",
    url = url,
    body = packed,
    headers = { "X-Encoding", "UTF-8, gzip" },
    fresh = true,
    proxy = "",
  }
  finish(transfer)
  check(transfer:outcome() == "response")
  check(transfer:body() == "{}")
end

do
  -- what a failure is about
  local transfer <close> = t:start { method = "GET", url = url, proxy = "ftp://127.0.0.1:1" }
  finish(transfer)
  local kind, message, about, variable = transfer:outcome()
  check(kind == "refused" and message ~= "" and about == "proxy" and variable == nil)
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

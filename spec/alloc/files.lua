-- Run by spec/support/alloc_harness.c, beside the server of spec/support/run_alloc.lua: forms, outputs, ticks.
local core = require("llama_cloud.core")
local url = ...
local own = arg[0] -- this file
local path = os.getenv("LLAMA_CLOUD_TEST_FILES") .. "/result"

local function check(value)
  if not value then
    error("wrong result", 2)
  end
  return value
end

-- What has to be removed, however this ends.
function afterwards() -- luacheck: ignore 111
  os.remove(path)
end

local t = core.transport()

local function finish(token)
  while not token:done() do
    t:wait(10)
    t:step()
  end
  while t:next() do
  end
  return token
end

check(#core.random(20) == 20)

local function form_of(file)
  return core.form { file = { part = "file", name = "a", type = "text/plain", path = file } }
end

check(form_of("/") == nil)

local form = core.form {
  text = { { "a", "1" }, { 'b"', "2\r\n" } },
  file = { part = "file", name = "a.lua", type = "text/x-lua", path = own },
}
check(form:bytes() > 1000)

do
  -- the server answers with what it gets
  local output <close> = check(core.output(path))
  local profile = core.profile { connect_timeout = 60 }
  local transfer <close> = t:start(profile, "POST", url, {}, form, true, 60, 60, 60, output)
  local tick <close> = t:tick(transfer, 60)
  finish(tick)
  check(transfer:done() and transfer:outcome() == "response" and transfer:sent())
  check(output:received() > form:bytes() and select(4, transfer:progress()) == output:received())
  check(output:commit())
  check(form_of(path):bytes() == output:received())
end

do
  local packed = "\x1f\x8b\8\0\0\0\0\0\2\3\xab\xae\5\0C\xbf\xa6\xa3\2\0\0\0"
  local output <close> = check(core.output(path))
  local transfer <close> =
    t:start { method = "POST", url = url, body = packed, headers = { "X-Encoding", "gzip" }, output = output }
  finish(transfer)
  check(transfer:outcome() == "response" and output:received() == 2)
end

do
  local gone = core.form { file = { part = "f", name = "f", type = "t/t", path = path } } -- which is here
  os.remove(path)
  local transfer <close> = finish(t:start { method = "POST", url = url, body = gone })
  local kind, message = transfer:outcome()
  check(kind == "file" and message:find(path, 1, true))
end

-- These are left to the end of the state.
local bytes = core.form { file = { part = "f", name = "f", type = "t/t", data = ("x"):rep(1000) } }
local left = core.output(path)
local active = t:start { method = "POST", url = url, body = bytes, stall_timeout = 60, output = left }
local ticks = { t:tick(active, 60), t:tick(active, 0) }
finish(ticks[2])

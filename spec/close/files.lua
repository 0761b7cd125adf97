-- Run by spec/support/close_harness.c, beside the server of spec/support/run_alloc.lua: a file goes to the service and comes
-- back into another one, and the state is closed meanwhile; a finalizer makes an output when all others are gone. What files
-- that leaves behind is looked at by run_alloc.lua.
local core
local url = ...
local path = os.getenv("LLAMA_CLOUD_TEST_FILES") .. "/result"

-- The first object made is the last that is finalized.
first = setmetatable({}, { -- luacheck: ignore 111
  __gc = function()
    pcall(core.output, path)
    pcall(core.form, { file = { part = "f", name = "f", type = "t/t", data = "x" } })
  end,
})
core = require("llama_cloud.core")
last = setmetatable({}, { -- luacheck: ignore 111
  __gc = function()
    local t = core.transport()
    local output = core.output(path)
    local form = core.form { file = { part = "f", name = "f", type = "t/t", data = ("x"):rep(1000) } }
    local transfer = t:start { method = "POST", url = url, body = form, output = output, stall_timeout = 60 }
    t:tick(transfer, 60)
    t:step()
  end,
})

local yield = coroutine.yield
yield()
local t = core.transport()
local form = core.form { file = { part = "f", name = "f", type = "t/t", path = "/proc/self/exe" } }
yield()
local output = core.output(path)
yield()
local transfer = t:start { method = "POST", url = url, body = form, output = output, stall_timeout = 60 }
local tick = t:tick(transfer, 60)
yield()
t:step()
yield()
while not tick:done() do
  t:wait(10)
  t:step()
end
assert(transfer:outcome() == "response")
yield()
assert(output:commit())
os.remove(path)

-- Run by spec/support/close_harness.c: a log is made, written and opened again, and the state is closed meanwhile; a finalizer
-- makes one when all others are gone. What that leaves behind is looked at by run_alloc.lua.
local core
local path = os.getenv("LLAMA_CLOUD_TEST_FILES") .. "/log"

-- The first object made is the last that is finalized.
first = setmetatable({}, { -- luacheck: ignore 111
  __gc = function()
    pcall(core.append, path)
    os.remove(path)
  end,
})
core = require("llama_cloud.core")
last = setmetatable({}, { -- luacheck: ignore 111
  __gc = function()
    core.append(path .. 2)
  end,
})

local yield = coroutine.yield
yield()
local log = assert(core.append(path))
yield()
assert(log:write("x") and log:sync())
yield()
log:close()
yield()
local other = assert(core.append(path))
assert(other:truncate(0))
yield()
other:close()

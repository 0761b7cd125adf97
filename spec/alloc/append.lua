-- Run by spec/support/alloc_harness.c: logs.
local core = require("llama_cloud.core")
local path = os.getenv("LLAMA_CLOUD_TEST_FILES") .. "/log"

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

do
  local log <close> = check(core.append(path))
  check(log:write("one\ntwo\n") and log:sync() and log:size() == 8)
  local other, message, why = core.append(path)
  check(not other and message:find(path, 1, true) and why == "locked")
  check(log:truncate(4) and log:read(0, 5000) == "one\n")
end

-- This is left to the end of the state.
local left = check(core.append(path))
check(left:size() == 4 and left:write("three"))

local llama_cloud = require("llama_cloud")
local core = require("llama_cloud.core")

describe("llama_cloud.sleep", function()
  it("waits for as long as it is told", function()
    local before = core.now()
    llama_cloud.sleep(0.05)
    assert.is_true(core.now() - before >= 0.05)
    llama_cloud.sleep(0)
  end)

  it("refuses what is not a time, at the caller's line", function()
    for given, called in pairs { [-1] = "-1", [-0.5] = "-0.5", ["1"] = "string", [{}] = "table" } do
      local ok, message = pcall(llama_cloud.sleep, given)
      assert.is_false(ok)
      assert.equal("sleep takes a number of seconds that is not negative, not " .. called, message)
    end
    assert.has_error(llama_cloud.sleep, "sleep takes a number of seconds that is not negative, not nil")
    assert.has_error(function()
      llama_cloud.sleep(0 / 0)
    end)
    local line = debug.getinfo(1, "l").currentline + 2
    local _, message = pcall(function()
      llama_cloud.sleep(-1)
    end)
    assert.truthy(message:find(("loop/sleep_spec.lua:%d: "):format(line), 1, true), message)
  end)
end)

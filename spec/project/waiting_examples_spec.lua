-- The examples about waiting run as they stand, against the sandbox.

local program = require("spec.support.program")
local sandbox = require("spec.support.sandbox")
local waiting = require("spec.support.waiting")

-- Runs an example. Its output; fails unless it ends well.
local function run(s, name, arguments)
  local environment = { LLAMA_CLOUD_BASE_URL = s:url(), LLAMA_CLOUD_API_KEY = "llx-test" }
  local output, status = program.run("examples/" .. name, arguments, environment)
  assert.equal(0, status, output)
  return output
end

local function assert_usage(name)
  local environment = { LLAMA_CLOUD_BASE_URL = "https://llama.invalid", LLAMA_CLOUD_API_KEY = "llx-test" }
  local output, status = program.run("examples/" .. name, nil, environment)
  assert.equal(1, status)
  assert.matches("usage: " .. name, output, 1, true)
end

describe("examples/poll_many.lua", function()
  it("waits for 500 batches in few requests", function()
    local s <close> = sandbox.start { batches = 300, speed = 40 }
    local output = run(s, "poll_many.lua")
    assert.matches("^started 500 batches\n", output)
    assert.matches("100 of 500 have ended\n", output)
    assert.matches("batch_failed", output)
    assert.matches("\n495 completed, 5 did not\n$", output)
    local stats = s:stats()
    assert.equal(500, stats.routes["POST /api/v2/batches"])
    local singles = stats.routes["GET /api/v2/batches/{batch_id}"] or 0
    assert.is_true(singles < 100, singles)
  end)

  it("waits for those it is given", function()
    local s <close> = sandbox.start { batches = 20, speed = 100 }
    local output = run(s, "poll_many.lua", { "bat-none" })
    assert.matches("bat%-none\tllama_cloud: not_found", output)
    assert.matches("0 completed, 1 did not\n$", output)
    assert.is_nil(s:stats().routes["POST /api/v2/batches"])
  end)

  it("starts none at LlamaCloud", function()
    assert_usage("poll_many.lua")
  end)
end)

for _, name in ipairs { "with_cqueues.lua", "with_luv.lua" } do
  describe("examples/" .. name, function()
    it("waits while the application goes on", function()
      local s <close> = sandbox.start { batches = 20, speed = 10 }
      local output = run(s, name)
      assert.matches("dir%-files%-3: 3 files\n", output)
      assert.matches("dir%-files%-5: 5 files\n", output)
      assert.matches("dir%-fail: llama_cloud: batch_failed: ", output)
      local ticks = tonumber(output:match("the application was at work (%d+) times meanwhile\n$"))
      assert.is_true(ticks >= 3, ticks)
    end)

    it("takes directories", function()
      local s <close> = sandbox.start { batches = 20, speed = 100 }
      local output = run(s, name, { "dir-files-9", "dir-missing" })
      assert.matches("dir%-files%-9: 9 files\n", output)
      assert.matches("dir%-missing: llama_cloud: not_found: ", output)
      assert.equal(2, s:stats().routes["POST /api/v2/batches"])
    end)

    it("starts none at LlamaCloud", function()
      assert_usage(name)
    end)
  end)
end

describe("examples/frame_loop.lua", function()
  it("draws on", function()
    local s <close> = sandbox.start { batches = 20, speed = 10 }
    local output = run(s, "frame_loop.lua")
    assert.matches("frame %d+: COMPLETED\n", output)
    local frames = tonumber(output:match("the batch has ended after (%d+) frames\n$"))
    assert.is_true(frames > 10, frames) -- PENDING and RUNNING take it half a second at least
    assert.is_true(frames < 6000 * waiting.slowdown)
  end)

  it("ends with what a task raises", function()
    local s <close> = sandbox.start { batches = 20 }
    local environment = { LLAMA_CLOUD_BASE_URL = s:url(), LLAMA_CLOUD_API_KEY = "llx-test" }
    local output, status = program.run("examples/frame_loop.lua", { "bat-none" }, environment)
    assert.equal(1, status)
    assert.matches("not_found", output)
  end)

  it("starts none at LlamaCloud", function()
    assert_usage("frame_loop.lua")
  end)
end)

-- What waits when the process forks is the parent's: the child sends none of it, for that would create things twice.

local llama_cloud = require("llama_cloud")
local process = require("spec.support.process")
local support = require("spec.support.client")

local ASKED = math.ceil(support.scaled(1)) -- seconds that the service asks to wait

-- Runs `forked` in a child process inside a task, while those tasks wait that `spawn_waiting` has spawned.
local function fork_among(spawn_waiting, forked)
  local fork = process.fork()
  llama_cloud.run(function()
    spawn_waiting()
    llama_cloud.sleep(ASKED / 2)
    local pid = fork.fork()
    if pid == 0 then
      local ok, well = pcall(forked)
      fork.exit(ok and well and 0 or 1)
    end
    assert.equal(0, fork.wait(pid))
  end)
end

local function creations(s)
  local count = 0
  for _, one in ipairs(s:requests()) do
    count = count + (one.method == "POST" and 1 or 0)
  end
  return count
end

describe("a process that forks", function()
  it("while a creation waits to be sent again leaves it to the parent", function()
    local refusal = { status = 503, body = "{}", headers = { ["Retry-After"] = tostring(ASKED) } }
    local s <close>, client = support.start({ refusal, { body = '{"id":"bat-1"}' } }, { max_retries = 2 })
    local batch, err
    fork_among(function()
      llama_cloud.spawn(function()
        batch, err = client.batches:create(support.BATCH)
      end)
    end, function()
      llama_cloud.sleep(support.scaled(0.1))
      return batch == nil and err.kind == "cancelled" and err.message:find("forked", 1, true) and not err.maybe_sent
    end)
    assert.equal("bat-1", batch and batch.id, err)
    assert.equal(2, creations(s))
  end)

  it("while creations wait at the gate leaves them to the parent, and the child calls when it is open", function()
    local refusal = { status = 429, body = "{}", headers = { ["Retry-After"] = tostring(ASKED) } }
    local s <close>, client = support.start { refusal, { body = '{"id":"bat-1"}' } }
    local created, failed = 0, {}
    fork_among(function()
      assert.equal("rate_limit", select(2, client.batches:get("bat-1")).kind)
      for _ = 1, 3 do
        llama_cloud.spawn(function()
          local batch, err = client.batches:create(support.BATCH)
          created = created + (batch and 1 or 0)
          failed[#failed + 1] = err
        end)
      end
    end, function()
      -- longer than the pause: nobody has asked the transport meanwhile, so whoever waits seems to be due
      local till = os.time() + ASKED + 1
      while os.time() < till do -- luacheck: ignore 542
      end
      assert(client.batches:get("bat-1"))
      for _, err in ipairs(failed) do
        assert(err.kind == "cancelled" and err.message:find("forked", 1, true), err)
      end
      return created == 0 and #failed == 3
    end)
    assert.equal(3, created)
    assert.equal(3, creations(s))
  end)
end)

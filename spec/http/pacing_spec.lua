-- Waiting at the gate of a client: who is let go, in what order, at what cost, and what is told of it. How fast they go is
-- tried in http/gate_spec.lua.

local core = require("llama_cloud.core")
local gate = require("llama_cloud.http.gate")
local llama_cloud = require("llama_cloud")
local loop = require("llama_cloud.loop")
local support = require("spec.support.client")

local slowdown = tonumber(os.getenv("LLAMA_CLOUD_TEST_SLOWDOWN")) or 1

-- A server that refuses the first so many requests, and answers the others after a while.
local function start(refused, retry_after, options, delay)
  return support.start(
    ([[
    local refused = %d
    return function(connection, request, n)
      if n <= refused then
        return connection:json(429, "{}", { ["Retry-After"] = "%s" })
      end
      connection:sleep(%g)
      connection:json(200, '{"id":"x"}')
    end
  ]]):format(refused, retry_after, delay or 0),
    options
  )
end

-- How often the gates are asked while f runs.
local function questions(f)
  local class = getmetatable(gate.new()).__index
  local delay, count = class.delay, 0
  class.delay = function(...)
    count = count + 1
    return delay(...)
  end
  local ok, err = pcall(f)
  class.delay = delay
  assert(ok, err)
  return count
end

describe("who waits at the gate", function()
  it("is woken, and does not ask again, in the opening", function()
    local s <close>, client = support.start([[
      return function(connection)
        connection:sleep(0.3)
        connection:json(200, '{"id":"x"}')
      end
    ]])
    local answered = 0
    local asked = questions(function()
      llama_cloud.run(function()
        for _ = 1, 400 do
          llama_cloud.spawn(function()
            assert(client.batches:get("x"))
            answered = answered + 1
          end)
        end
      end)
    end)
    assert.equal(400, answered)
    assert.equal(400, #s:wait_for_requests(400))
    -- each: when it comes, when it goes, when the first is served; and each answer
    assert.is_true(asked <= 4 * 400, asked)
  end)

  it("is woken, and does not ask again, after a refusal", function()
    local s <close>, client = start(1, "0.5")
    assert.is_nil((client:get("/x")))
    local asked = questions(function()
      llama_cloud.run(function()
        for _ = 1, 40 do
          llama_cloud.spawn(function()
            assert(client.batches:get("x"))
          end)
        end
      end)
    end)
    assert.equal(41, s:count())
    assert.is_true(asked <= 5 * 40, asked)
  end)

  it("is let go in the order of coming", function()
    local s <close>, client = start(1, "0.2")
    assert.is_nil((client:get("/x")))
    -- those let go in one turn go out one after another, so that the server sees the order
    local before = llama_cloud.max_concurrency()
    llama_cloud.max_concurrency(1)
    llama_cloud.run(function()
      for index = 1, 30 do
        llama_cloud.spawn(function()
          assert(client:get("/" .. index))
        end)
      end
    end)
    llama_cloud.max_concurrency(before)
    for index = 1, 30 do
      -- those who go within the same hundredth of a second may overtake one another on their way
      local number = tonumber(s:requests()[index + 1].path:match("%d+"))
      assert.is_true(math.abs(number - index) <= 2, number)
    end
  end)

  it("ends at its own total_timeout, whoever is before it", function()
    local s <close>, client = start(1, "50")
    assert.is_nil((client:get("/x")))
    local began, ended = core.now(), {}
    llama_cloud.run(function()
      for index = 1, 5 do
        llama_cloud.spawn(function()
          local _, err = client:get("/y", { total_timeout = 0.1 * (6 - index) })
          assert.equal("timeout", err.kind)
          ended[#ended + 1] = index
        end)
      end
    end)
    assert.same({ 5, 4, 3, 2, 1 }, ended)
    assert.is_true(core.now() - began < 0.5 + 2 * slowdown)
    assert.equal(1, s:count())
    assert.equal(0, loop.transport():count())
  end)

  it("is told so when the client is closed, and copies go on", function()
    local s <close>, client = start(1, "0.5")
    local copy = client:with_options { timeout = 50 }
    assert.is_nil((client:get("/x")))
    local kinds = {}
    llama_cloud.run(function()
      for index = 1, 3 do
        llama_cloud.spawn(function()
          local _, err = client:get("/closed")
          kinds[index] = err.kind
        end)
      end
      llama_cloud.spawn(function()
        assert(copy:get("/copy"))
      end)
      llama_cloud.sleep(0.05)
      client:close()
    end)
    assert.same({ "cancelled", "cancelled", "cancelled" }, kinds)
    assert.equal(2, s:count())
    assert.equal("/copy", s:requests()[2].path)
  end)

  it("leaves room for the others when its task is cancelled", function()
    local s <close>, client = start(1, "0.3")
    assert.is_nil((client:get("/x")))
    llama_cloud.run(function()
      local tasks = {}
      for index = 1, 30 do
        tasks[index] = llama_cloud.spawn(client.get, client, "/" .. index)
      end
      llama_cloud.sleep(0.05)
      for index = 1, 30 do
        if index ~= 17 then
          tasks[index]:cancel()
        end
      end
      assert(tasks[17]:result())
    end)
    assert.equal(2, s:count())
    assert.equal("/17", s:requests()[2].path)
    assert.equal(0, loop.transport():count())
  end)

  it("costs nobody more than its turn when its coroutine is dropped", function()
    local found, cqueues = pcall(require, "cqueues")
    if not found or os.getenv("LLAMA_CLOUD_TEST_HOST") then
      return pending("cqueues by itself is needed")
    end
    local s <close>, client = start(1, "0.2")
    assert.is_nil((client:get("/x")))
    local began = core.now()
    do
      local controller = cqueues.new()
      for _ = 1, 10 do
        controller:wrap(function()
          client:get("/dropped")
        end)
      end
      assert(controller:step(0))
      assert.is_true(controller:count() >= 10)
    end -- nobody steps it any more
    assert(client:get("/y"))
    assert.is_true(core.now() - began < 2 * slowdown, core.now() - began)
    assert.equal("/y", s:requests()[2].path)
  end)
end)

describe("after a fork", function()
  it("the child waits at the gate by itself, and leaves to the parent those who wait there", function()
    if os.getenv("LLAMA_CLOUD_TEST_HOST") then
      return pending("the event loop's own state would be shared")
    end
    local fork = require("spec.support.process").fork()
    for _, late in ipairs { false, true } do
      local s <close>, client = start(1, "0.3")
      assert.is_nil((client:get("/x")))
      llama_cloud.run(function()
        local parents = {}
        for index = 1, 3 do
          parents[index] = llama_cloud.spawn(client.get, client, "/parent")
        end
        llama_cloud.sleep(0.01)
        local pid = fork.fork()
        if pid == 0 then
          local untill = core.now() + (late and 0.4 or 0)
          while core.now() < untill do -- the gate opens before the child calls
          end
          local ok = pcall(function()
            assert(client:get("/child"))
            for index = 1, 3 do
              local value, err = parents[index]:result()
              assert(value == nil and err.kind == "cancelled" and err.message:find("forked", 1, true))
            end
          end)
          fork.exit(ok and 0 or 1)
        end
        for index = 1, 3 do
          assert(parents[index]:result())
        end
        assert.equal(0, (fork.wait(pid)))
      end)
      local seen = {}
      for _, request in ipairs(s:requests()) do
        seen[request.path] = (seen[request.path] or 0) + 1
      end
      assert.same({ ["/x"] = 1, ["/parent"] = 3, ["/child"] = 1 }, seen)
    end
  end)
end)

describe("pacing", function()
  -- A log that remembers what it was told about pacing.
  local function log()
    local told = {}
    return told,
      function(level, message)
        if message:find("paced", 1, true) then
          told[#told + 1] = level .. ": " .. message
        end
      end
  end

  it("is told when it begins and when it ends, and not with each call", function()
    local told, write = log()
    local s <close>, client = start(1, "0", { log = write })
    assert.is_nil((client:get("/x")))
    for _ = 1, 10 do
      assert(client:get("/y"))
    end
    assert.same({ "warn: paced to 10/s after a 429" }, told)
    llama_cloud.sleep(4)
    for _ = 1, 3 do
      assert(client:get("/y"))
    end
    assert.equal(2, #told)
    assert.equal("info: no longer paced: the service has refused nothing for a while", told[2])
    assert.equal(14, s:count())
  end)

  it("is told again when much has changed", function()
    local told, write = log()
    local s <close>, client = start(7, "0.01", { log = write })
    for _ = 1, 7 do
      assert.is_nil((client:get("/x")))
    end
    assert.equal("warn: paced to 10/s after a 429", told[1])
    assert.equal("warn: paced to 5/s after a 429", told[2])
    assert.is_true(#told <= 3)
    assert.equal(7, s:count())
  end)

  it("is not told where a refusal asks for more than max_retry_after", function()
    local told, write = log()
    local s <close>, client = start(1, "3600", { log = write })
    assert.is_nil((client:get("/x")))
    assert(client:get("/x"))
    assert.same({}, told)
    assert.equal(2, s:count())
  end)

  it("is over within seconds when nothing is refused any more", function()
    local s <close>, client = start(5, "0.01")
    for _ = 1, 5 do
      assert.is_nil((client:get("/x")))
    end
    local began = core.now()
    for _ = 1, 100 do
      assert(client:get("/y"))
    end
    assert.is_true(core.now() - began < 7 + 3 * (slowdown - 1), core.now() - began)
    assert.equal(105, s:count())
  end)
end)

-- What a wait bears with, and for how long: connections that do not come about, errors that waiting cannot mend, a batch that
-- the service does not show yet.

local cjson = require("cjson")

local core = require("llama_cloud.core")
local llama_cloud = require("llama_cloud")
local polling = require("llama_cloud.endpoint.wait")
local server = require("spec.support.server")
local support = require("spec.support.client")
local waiting = require("spec.support.waiting")

local start = waiting.start

-- Options that poll quickly; a spec that fails is to end, too.
local function quick(more)
  local given = waiting.quick(more)
  given.total_timeout = given.total_timeout or 30 * waiting.slowdown
  return given
end

local slowdown, patience = waiting.slowdown, waiting.patience
local batches = waiting.resources[1]

-- A client of a port that nobody listens at.
local function unreachable(options)
  return support.client("http://127.0.0.1:1", options) -- where nobody listens, and no other test ever will
end

-- A client that can never send anything: the file of certificates that it is to trust is missing.
local function misconfigured(s)
  local url = s:url():gsub("^http:", "https:")
  return support.client(url, { ca_file = "/there/is/no/such/file.pem", max_retries = 3 })
end

-- What each kind of wait for "bat-1" comes to: nil and an error.
local waits = {
  wait = function(methods, given)
    return methods:wait("bat-1", nil, given)
  end,
  watch = function(methods, given)
    local ok, err = pcall(function()
      for _ in methods:watch("bat-1", nil, given) do
      end
    end)
    return ok or nil, err
  end,
  wait_all = function(methods, given)
    local _, _, err = methods:wait_all({ "bat-1" }, nil, given)()
    return nil, err
  end,
}

for _, resource in ipairs(waiting.resources) do
  local of, noun = resource.of, resource.noun

  for name, wait in pairs(waits) do
    describe(("client.%s:%s"):format(resource.name, name), function()
      it("ends when there were nothing but connection errors for connection_patience", function()
        local began = core.now()
        local result, err = wait(of(unreachable()), quick { connection_patience = 0.3 })
        local took = core.now() - began
        assert.is_nil(result)
        assert.equal("connection", err.kind)
        local text =
          "^%s bat%%-1 was never seen: nothing but connection errors for 0.3 s %%(option connection_patience%%)"
        assert.matches(text:format(noun), err.message)
        assert.equal("connection", err.cause.kind)
        assert.is_true(took >= 0.3, took)
        assert.is_true(took < 0.3 + 2 * slowdown, took)
      end)

      it("does not let a poll's own retries go on for longer than that", function()
        local began = core.now()
        local _, err = wait(of(unreachable { max_retries = 100 }), quick { connection_patience = 0.3 })
        assert.equal("connection", err.kind)
        assert.is_true(core.now() - began < 0.3 + 2 * slowdown)
      end)

      it("counts an attempt that timed out without a byte", function()
        local s <close>, client = start(resource, { { delay = 50, body = "{}" } }, { timeout = 0.1 * patience })
        local _, err = wait(of(client), quick { connection_patience = 0.25 * patience })
        assert.equal("connection", err.kind)
        assert.equal("timeout", err.cause.kind)
        assert.is_true(s:count() >= 2)
      end)

      it("bears with an unreachable service for five minutes by default, and for ever with math.huge", function()
        for _, bears in ipairs { {}, { connection_patience = math.huge } } do
          bears.total_timeout = 0.4 * patience
          local _, err = wait(of(unreachable()), quick(bears))
          assert.equal("timeout", err.kind)
          assert.equal("connection", err.cause.kind)
        end
      end)

      it("has patience anew when the service was heard of, whatever it said", function()
        local broken = { close_before = true }
        local answers = {}
        for index = 1, 20 do
          answers[index] = index % 4 == 0 and { status = 503 } or broken
        end
        answers[21] = resource.completed
        local s <close>, client = start(resource, answers)
        local given = quick { polling_interval = 0.05, connection_patience = 0.4 * patience }
        if name == "wait_all" then
          local _, batch, err = of(client):wait_all({ "bat-1" }, nil, given)()
          assert.is_nil(err)
          assert.equal(resource.completed, batch.status)
        else
          assert(wait(of(client), given))
        end
        assert.is_true(s:count() >= 21)
      end)

      it("ends at once for what waiting cannot mend", function()
        local s <close> = server.start { { body = "{}" } }
        local client = misconfigured(s)
        local began = core.now()
        local result, err = wait(of(client), quick())
        assert.is_nil(result)
        assert.equal("connection", err.kind)
        assert.is_true(err.permanent)
        assert.is_true(core.now() - began < 2 * slowdown)
      end)

      it("ends at once when a batch is not found", function()
        local s <close>, client = start(resource, { { status = 404 } })
        local _, err = wait(of(client), quick())
        assert.equal("not_found", err.kind)
        assert.equal(1, s:count())
      end)
    end)
  end

  describe(("client.%s"):format(resource.name), function()
    it("waits for a batch that was seen, however long the service cannot be reached", function()
      local answers = { resource.running }
      for index = 2, 20 do
        answers[index] = { close_before = true }
      end
      answers[21] = resource.completed
      local s <close>, client = start(resource, answers)
      local given = quick { polling_interval = 0.05, connection_patience = 0.1 }
      assert.equal(resource.completed, assert(of(client):wait("bat-1", nil, given)).status)
      assert.is_true(s:count() >= 21)
    end)

    it(":wait_all has patience with each by itself", function()
      local seen = resource.subject("bat-2", resource.pending)
      local client = unreachable()
      local kinds = {}
      local given = quick { connection_patience = 0.3, total_timeout = 1 * patience }
      for id, _, err in of(client):wait_all({ "bat-1", seen }, nil, given) do
        kinds[id] = err.kind
      end
      assert.same({ ["bat-1"] = "connection", ["bat-2"] = "timeout" }, kinds)
    end)

    it(":run waits for what it has created, however long the service cannot be reached", function()
      local created = { status = 201, body = cjson.encode(resource.subject("bat-1", resource.pending)) }
      local answers = { created }
      for index = 2, 20 do
        answers[index] = { close_before = true }
      end
      answers[21] = resource.completed
      local s <close>, client = start(resource, answers)
      local given = quick { polling_interval = 0.05, connection_patience = 0.1 }
      assert.equal(resource.completed, assert(of(client):run(resource.creation, given)).status)
      assert.is_true(s:count() >= 21)
    end)

    it(":run waits through a 404 in the first seconds after the creation, and no longer", function()
      local young <close> = setmetatable({ was = polling.young }, { -- luacheck: ignore young
        __close = function(self)
          polling.young = self.was
        end,
      })
      local created = { status = 201, body = cjson.encode(resource.subject("bat-1", resource.pending)) }
      local missing = { status = 404 }
      local s <close>, client =
        start(resource, { created, missing, missing, resource.running, missing, resource.completed })
      assert.equal(resource.completed, assert(of(client):run(resource.creation, quick())).status)
      assert.equal(6, s:count())
      polling.young = 0.3
      local t <close>, other = start(resource, { created, missing })
      local began = core.now()
      local batch, err = of(other):run(resource.creation, quick { polling_interval = 0.05 })
      assert.is_nil(batch)
      assert.equal("not_found", err.kind)
      assert.equal("bat-1", err.batch.id)
      assert.is_true(core.now() - began >= 0.3)
      assert.is_true(t:count() >= 3)
    end)
  end)
end

describe("a permanent error", function()
  it("of the last poll, which gets the results, ends a wait too", function()
    -- by its nature it comes at the first poll; what a poll comes to is all that counts
    for _, kind in ipairs { "connection", "timeout", "rate_limit", "internal_server" } do
      assert.is_true(polling.passes { kind = kind })
      assert.is_false(polling.passes { kind = kind, permanent = true })
    end
    assert.is_false(polling.passes { kind = "status", status = 409 })
    assert.is_true(polling.passes { kind = "status", status = 408 })
  end)

  it("ends wait_all for each batch at once, those of a list, too", function()
    local created = {}
    for index = 1, 5 do
      created[index] = batches.subject("bat-" .. index, "PENDING")
    end
    local s <close> = server.start { { body = "{}" } }
    local client = misconfigured(s)
    local began, count = core.now(), 0
    llama_cloud.run(function()
      for _, _, err in client.batches:wait_all(created, nil, quick()) do
        count = count + 1
        assert.is_true(err.permanent)
      end
    end)
    assert.equal(5, count)
    assert.is_true(core.now() - began < 2 * slowdown)
  end)

  it("is not what connection_patience must be", function()
    waiting.raises_here(
      "option 'connection_patience' must be a number of seconds greater than 0 (math.huge for no limit), not 0",
      function()
        unreachable().batches:wait("bat-1", nil, { connection_patience = 0 })
      end
    )
  end)
end)

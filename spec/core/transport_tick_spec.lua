-- Timers that end with a transfer, transfers that stall, and random bytes.

local core = require("llama_cloud.core")
local process = require("spec.support.process")
local server = require("spec.support.server")
local support = require("spec.support.transport")

local slowdown = process.slowdown

describe("a transport", function()
  local s, t

  setup(function()
    s = server.start([[return function(connection, request)
      local kind, seconds = request.path:match("^/(%a*)([%d.]*)")
      seconds = tonumber(seconds) or 0
      if kind == "trickle" then
        connection:head(200, { ["Content-Length"] = 20 })
        connection:trickle(("x"):rep(20), 20 / seconds)
      elseif kind == "half" then
        connection:head(200, { ["Content-Length"] = 20 })
        connection:raw("xxxxx")
        connection:sleep(seconds)
      else
        connection:sleep(seconds)
        connection:json(200, "{}")
      end
    end]])
  end)

  teardown(function()
    s:stop()
  end)

  before_each(function()
    t = core.transport()
  end)

  after_each(function()
    t:close()
  end)

  local function start(path, more)
    local request = { method = "GET", url = s:url(path) }
    for name, value in pairs(more or {}) do
      request[name] = value
    end
    return t:start(request)
  end

  describe("has ticks, which end", function()
    it("after their time, like timers", function()
      local transfer = start("/60")
      local begin = core.now()
      local tick = support.finish(t, t:tick(transfer, 0.1))
      assert.is_true(core.now() - begin >= 0.09)
      assert.is_false(transfer:done())
      assert.matches("timer", tostring(tick))
      support.finish(t, t:tick(transfer, 0))
      assert.equal(1, (t:count()))
    end)

    it("with their transfer, before or after whoever waits for that", function()
      local transfer = start("/0.1")
      local ticks = { t:tick(transfer, 60), t:tick(transfer, math.huge), t:tick(transfer, 30) }
      support.finish(t, ticks[2])
      assert.is_true(transfer:done() and ticks[1]:done() and ticks[3]:done())
      assert.equal("response", (transfer:outcome()))
      assert.equal(0, (t:count()))
      assert.is_nil(t:next())
    end)

    it("with one that is cancelled, queued or not, and with its transport", function()
      t:max_concurrency(1)
      for _ = 1, 2 do
        local active, queued = start("/60"), start("/60", { deadline = 60 })
        local ticks = { t:tick(active, 60), t:tick(queued, 60) }
        queued:cancel()
        assert.is_true(ticks[2]:done())
        assert.is_false(ticks[1]:done())
        active:cancel()
        assert.is_true(ticks[1]:done())
        local taken = 0
        while t:next() do
          taken = taken + 1
        end
        assert.equal(4, taken)
      end
      local tick = t:tick(start("/60"), 60)
      t:close()
      assert.is_true(tick:done())
    end)

    it("with one that is closed or collected", function()
      local transfer, other = start("/60"), start("/60")
      local tick, of_other = t:tick(transfer, 60), t:tick(other, 60)
      transfer:close()
      assert.is_true(tick:done())
      other = nil -- luacheck: ignore 311
      collectgarbage()
      collectgarbage()
      assert.is_true(of_other:done())
      assert.equal(tick, t:next())
      assert.equal(of_other, t:next())
      assert.equal(0, (t:count()))
    end)

    it("at once with one that has ended or was closed", function()
      local transfer = support.finish(t, start("/"))
      assert.is_true(t:tick(transfer, 60):done())
      transfer:close()
      assert.is_true(t:tick(transfer, 60):done())
    end)

    it("with nothing any more when they have been closed, cancelled or collected before", function()
      local transfer = start("/0.1")
      t:tick(transfer, 60):close()
      local tick = t:tick(transfer, 60)
      tick:cancel()
      assert.is_true(tick:done())
      support.finish(t, t:tick(transfer, 0))
      for _ = 1, 100 do
        t:tick(transfer, 60)
      end
      collectgarbage()
      collectgarbage()
      support.finish(t, transfer)
      assert.equal(0, (t:count()))
    end)

    it("in a forked process, which has none of its parent's", function()
      local fork = process.fork()
      local transfer = start("/0.3")
      local tick = t:tick(transfer, 60)
      for _, ending in ipairs {
        function()
          t:step()
          assert(tick:done() and transfer:done())
        end,
        function()
          transfer:close()
          assert(tick:done())
        end,
        function()
          tick:close()
          transfer:close()
          t:close()
        end,
        function()
          transfer = nil
          collectgarbage()
          collectgarbage()
        end,
      } do -- stylua: ignore
        local pid = fork.fork()
        if pid == 0 then
          fork.exit(pcall(ending) and 0 or 1)
        end
        assert.equal(0, (fork.wait(pid)))
      end
      assert.is_false(tick:done())
      support.finish(t, tick)
      assert.equal("response", (transfer:outcome()))
    end)

    it("and are checked", function()
      local other <close> = core.transport()
      local transfer = start("/60")
      for _, case in ipairs {
        { "of another transport", other, transfer, 1 },
        { "llama_cloud.transfer expected", t, t:timer(1), 1 },
        { "llama_cloud.transfer expected", t, nil, 1 },
        { "number expected", t, transfer },
        { "NaN", t, transfer, 0 / 0 },
      } do
        assert.error_matches(function()
          case[2]:tick(case[3], case[4])
        end, case[1], nil, true)
      end
    end)
  end)

  describe("ends what stalls:", function()
    it("a request that is not answered, an answer that stops", function()
      for _, path in ipairs { "/60", "/half60" } do
        local begin = core.now()
        local transfer = support.finish(t, start(path, { stall_timeout = 0.25 }))
        assert.same({ "timeout", "no byte was sent or received for 0.25 s" }, { transfer:outcome() })
        assert.is_true(core.now() - begin >= 0.25)
        assert.is_true(transfer:sent())
      end
    end)

    it("not what moves, however slowly", function()
      local transfer = support.finish(t, start("/trickle1", { stall_timeout = 0.5 * slowdown }))
      assert.same({ "response", "" }, { transfer:outcome() })
    end)

    it("not what is queued", function()
      t:max_concurrency(1)
      local first = start("/0.3")
      local transfer = support.finish(t, start("/", { stall_timeout = 0.2 * slowdown }))
      assert.is_true(first:done())
      assert.equal("response", (transfer:outcome()))
      first = start("/0.3")
      transfer = start("/", { stall_timeout = 0.01, deadline = 0.1 })
      support.finish(t, transfer)
      assert.matches("while the request was queued", (select(2, transfer:outcome())))
      support.finish(t, first)
    end)

    it("not for the time in which nobody has come to step", function()
      local transfers = {}
      for i = 1, 100 do -- more than are looked at in one step
        transfers[i] = start("/0.1", { stall_timeout = 1 })
      end
      t:step()
      os.execute("sleep 1.2")
      for _, transfer in ipairs(transfers) do
        assert.equal("response", (support.finish(t, transfer):outcome()))
      end
    end)

    it("beside a timeout, whichever comes first", function()
      local _, message = support.finish(t, start("/60", { stall_timeout = 60, timeout = 0.1 })):outcome()
      assert.not_matches("no byte was", message)
      _, message = support.finish(t, start("/60", { stall_timeout = 0.1, timeout = 60 })):outcome()
      assert.matches("no byte was", message)
      local transfer = start("/60", { stall_timeout = 60 })
      transfer:cancel()
      start("/60", { stall_timeout = 60 }):close()
      assert.equal("response", (support.finish(t, start("/", { stall_timeout = math.huge })):outcome()))
    end)
  end)

  it("tells how far it is at any time", function()
    t:max_concurrency(1)
    local transfer = start("/half60")
    local queued = start("/", { method = "POST", body = "four" })
    assert.same({ 0, 4, 0 }, { queued:progress() })
    support.step_until(t, function()
      return select(3, transfer:progress()) == 5
    end)
    assert.same({ 0, 0, 5, 20 }, { transfer:progress() })
    transfer:close()
    assert.same({}, { transfer:progress() })
    support.finish(t, queued)
    assert.same({ 4, 4, 2, 2 }, { queued:progress() })
  end)
end)

describe("random bytes", function()
  it("are as many as asked for, and others each time", function()
    local seen = {}
    for _ = 1, 100 do
      local bytes = core.random(16)
      assert.equal(16, #bytes)
      assert.is_nil(seen[bytes])
      seen[bytes] = true
    end
    for _, n in ipairs { 0, 1, 256, 257, 1024 } do
      assert.equal(n, #core.random(n))
    end
    for _, n in ipairs { -1, 1025, "x", 1.5 } do
      assert.error(function()
        core.random(n)
      end)
    end
  end)
end)

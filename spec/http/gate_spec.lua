-- The gate alone, without clock or loop. Its promises are tried in simulated time (spec/support/pacing.lua).

local gate = require("llama_cloud.http.gate")
local pacing = require("spec.support.pacing")

-- Lets as many pass as may, one instant. How many that were.
local function pass_all(g, now, most)
  local count = 0
  while count < most and g:delay(now) == 0 do
    g:pass(now)
    count = count + 1
  end
  return count
end

-- Refuses so many calls, each sent when the gate has opened again, and answers none. The time afterwards.
local function refuse_in_a_row(g, count, delay, now)
  for _ = 1, count do
    now = now + g:delay(now)
    g:pass(now)
    g:refuse(now + 0.01, delay, now)
    now = now + 0.01
  end
  return now
end

-- A gate through which so many calls a second have passed and been answered for a while, until `now`.
local function busy(rate, now)
  local g = gate.new()
  for i = 1, 3 * rate do
    g:pass(now - 3 + i / rate)
    g:accept(now - 3 + i / rate)
  end
  return g
end

describe("a gate", function()
  it("lets fifty pass before the first answer, then one for each answer, then two, and soon everything", function()
    local g = gate.new()
    assert.equal(50, pass_all(g, 0, 1000))
    assert.near(1, g:delay(0), 1e-9)
    for _ = 1, 50 do
      g:accept(0.1)
      assert.equal(1, pass_all(g, 0.1, 1000))
    end
    g:accept(0.2)
    assert.equal(2, pass_all(g, 0.2, 1000))
    for i = 1, 450 do
      g:accept(0.3 + i * 1e-6)
    end
    assert.equal(10000, pass_all(g, 0.4, 10000))
  end)

  it("does not wait for first answers that do not come", function()
    local g = gate.new()
    assert.equal(50, pass_all(g, 0, 1000))
    assert.equal(0, pass_all(g, 0.99, 1000))
    assert.equal(50, pass_all(g, 1, 1000))
    assert.equal(0, pass_all(g, 1.5, 1000))
  end)

  it("lets another pass for each that has ended without an answer, and none besides", function()
    local g = gate.new()
    assert.equal(50, pass_all(g, 0, 1000))
    for _ = 1, 200 do
      g:drop()
      assert.equal(1, pass_all(g, 0.1, 1000))
    end
  end)

  it("is closed to all for as long as the service asked", function()
    local g = gate.new()
    g:pass(9)
    g:refuse(10, 5, 9)
    assert.near(5, g:delay(10), 1e-9)
    assert.near(0.1, g:delay(14.9), 1e-9)
    assert.equal(0, g:delay(15))
  end)

  it("is not opened earlier by a later, shorter wish, nor by an answer that was under way", function()
    local g = gate.new()
    g:pass(9)
    g:refuse(10, 5, 9)
    g:refuse(11, 1, 9)
    g:accept(11)
    assert.near(4, g:delay(11), 1e-9)
  end)

  it("is kept closed by a later, longer wish, which teaches nothing else", function()
    local g = busy(100, 10)
    g:refuse(10, 1, 9.99)
    local rate = g:rate(10)
    g:refuse(10.01, 2, 9.995)
    assert.near(2, g:delay(10.01), 1e-9)
    assert.is_true(g:rate(10.01) >= rate)
  end)

  it("lets go one after another when it opens, not all in one instant", function()
    for seed = 1, 20 do
      local rate = 5 + seed * 7
      local g = busy(rate, 10)
      g:refuse(10, 1, 9.99)
      local now = 11
      assert.is_true(pass_all(g, now, 1000) <= 1 + 0.02 * g:rate(now) + 1)
      for _ = 1, 30 do
        now = now + g:delay(now)
        assert.is_true(pass_all(g, now, 1000) <= 1 + 0.02 * g:rate(now) + 1)
        assert.near(1 / g:rate(now), g:delay(now), 0.021)
      end
    end
  end)

  it("makes up for calls that came a little late, and for nothing more", function()
    local g = busy(20, 10)
    g:refuse(10, 1, 9.99)
    g:pass(11)
    assert.is_true(pass_all(g, 20, 1000) <= 1 + 0.02 * g:rate(20) + 1)
  end)

  it("knows no rate before the first refusal", function()
    local g = busy(500, 10)
    assert.equal(math.huge, g:rate(10))
  end)
end)

describe("without refusals", function()
  it("the rate never falls", function()
    for seed = 1, 30 do
      local g = gate.new()
      pacing.run { gate = g, limiter = pacing.limiters.sliding(3 * seed), callers = 20, calls = 20, seed = seed }
      local before = 0
      for t = 0, 70, 0.05 do
        local rate = g:rate(500 + t)
        assert.is_true(rate >= before, ("seed %d: %g after %g"):format(seed, rate, before))
        before = rate
      end
    end
  end)

  it("the rate doubles each second, after refusals of all that was sent", function()
    for _, count in ipairs { 2, 3, 5, 12, 50 } do
      for _, delay in ipairs { 0, 0.1, 1, 10 } do
        local g = gate.new()
        local now = refuse_in_a_row(g, count, delay, 100)
        local opens = now + g:delay(now)
        local rate = g:rate(opens)
        assert.is_true(rate >= 1, rate)
        for second = 1, 12 do
          assert.is_true(g:rate(opens + second) >= math.min(2 ^ second * rate, 1000) * 0.999)
        end
        assert.equal(math.huge, g:rate(opens + 10))
      end
    end
  end)

  it("a hundred calls take seconds, after refusals of all that was sent", function()
    for _, count in ipairs { 1, 2, 3, 12, 50 } do
      for _, callers in ipairs { 1, 12, 100 } do
        local g = gate.new()
        local now = refuse_in_a_row(g, count, 0.1, 100)
        local result = pacing.run {
          gate = g,
          from = now,
          callers = callers,
          calls = 100 // callers,
          latency = 0.001,
          limiter = function()
            return true
          end,
        }
        assert.is_true(result.seconds < 6, ("%d refusals: %.1f s"):format(count, result.seconds))
      end
    end
  end)

  it("a limit that is lifted is forgotten within seconds", function()
    for _, rate in ipairs { 5, 20, 100, 500 } do
      for seed = 1, 3 do
        local g = gate.new()
        local limited = pacing.limiters.sliding(rate)
        local now = pacing.run({ gate = g, limiter = limited, callers = 50, calls = rate, seed = seed }).seconds
        -- up to 8 s about the ceiling; then up to 7.7 doublings to 1,000 calls a second
        local last = rate
        for second = 9, 20 do
          local now_rate = g:rate(now + second)
          assert.is_true(
            now_rate >= math.min(1.4 * last, 1000),
            ("%d, %d: %g after %g"):format(rate, second, now_rate, last)
          )
          last = now_rate
        end
        assert.equal(math.huge, g:rate(now + 20))
      end
    end
  end)
end)

describe("a refusal that came alone", function()
  it("is forgotten within five seconds", function()
    for _, before in ipairs { 0, 1, 5, 20, 100, 400, 2000 } do
      for _, delay in ipairs { 0, 0.05, 0.5, 1 } do
        local g = busy(before, 10)
        g:refuse(10, delay, 9.999)
        assert.is_true(g:rate(10) < math.huge)
        assert.equal(math.huge, g:rate(15))
        assert.equal(1000, pass_all(g, 15, 1000))
      end
    end
  end)

  it("is forgotten within five seconds the next time, too", function()
    for _, pause in ipairs { 6, 30, 59, 61, 1000 } do
      local g, now = busy(50, 10), 10
      for _ = 1, 10 do
        g:pass(now)
        g:refuse(now, 0.5, now)
        assert.equal(math.huge, g:rate(now + 5))
        for i = 1, 100 do
          g:pass(now + pause - 2 + i / 50)
          g:accept(now + pause - 2 + i / 50)
        end
        now = now + pause
      end
    end
  end)

  it("lets the rate come back to what it was within a few seconds after a long pause", function()
    local g = busy(300, 10)
    g:refuse(10, 30, 9.999)
    assert.is_true(g:rate(40) < 300)
    assert.is_true(g:rate(42) >= 300)
  end)
end)

-- What became of the calls, for a message.
local function told(result)
  local sent = result.answered + result.refused
  return ("%d of %d refused, %d failed, %.1f s"):format(result.refused, sent, result.failed, result.seconds)
end

describe("a service that allows 20 calls a second", function()
  for _, name in ipairs { "window", "sliding", "bucket" } do
    for _, retry_after in ipairs { 1, "exact", 0.05, false } do
      it(("counting by %s, Retry-After %s, refuses at most 5 %%"):format(name, retry_after), function()
        for seed = 1, 2 do
          for _, callers in ipairs { 5, 200, 1000 } do
            for _, latency in ipairs { 0.005, 0.05, 0.2 } do
              local result = pacing.run {
                limiter = pacing.limiters[name](20),
                retry_after = retry_after,
                callers = callers,
                calls = 2000 // callers,
                latency = latency,
                seed = seed,
                limit = 200,
              }
              local share = result.refused / (result.answered + result.refused)
              -- what is on its way when the first is refused is refused, too: with slow answers that is more
              assert.is_true(share <= (latency < 0.1 and 0.05 or 0.065), told(result))
              assert.equal(0, result.failed)
              local used = 2000 / result.seconds / 20
              assert.is_true(used >= (latency < 0.1 and 0.79 or 0.7), ("%.2f used"):format(used))
            end
          end
        end
      end)
    end
  end
end)

describe("a service with another limit", function()
  for _, case in ipairs {
    -- allowed, period, most refused, least used
    { 1, 1, 0.2, 0.75 },
    { 3, 1, 0.1, 0.7 },
    { 10, 1, 0.06, 0.75 },
    { 50, 1, 0.03, 0.75 },
    { 100, 1, 0.03, 0.75 },
    { 500, 1, 0.02, 0.7 },
    { 50, 5, 0.05, 0.75 },
    { 100, 10, 0.08, 0.75 },
    { 10, 5, 0.15, 0.6 },
  } do
    local allowed, period, most, least = table.unpack(case)
    it(("of %d in %d s is kept to"):format(allowed, period), function()
      for _, name in ipairs { "window", "sliding", "bucket" } do
        for seed = 1, 2 do
          local result = pacing.run {
            limiter = pacing.limiters[name](allowed, period),
            callers = 100,
            calls = math.min(100, math.max(5, 2 * allowed // period)),
            seed = seed,
          }
          local sent = result.answered + result.refused
          -- what is lost at the beginning, when nobody knows of a limit, does not tell
          assert.is_true((result.refused - 60) / sent <= most, name .. ": " .. told(result))
          assert.equal(0, result.failed)
          local used = result.answered / result.seconds / (allowed / period)
          assert.is_true(used >= least, ("%s: %.2f used"):format(name, used))
        end
      end
    end)
  end

  it("that is raised is found", function()
    local slow, fast, raised_at = pacing.limiters.sliding(20), pacing.limiters.sliding(200), 60
    local result = pacing.run {
      callers = 100,
      calls = 200,
      limiter = function(now)
        return (now < raised_at and slow or fast)(now)
      end,
    }
    assert.is_true(result.seconds < raised_at + 2.5 * (20000 - 20 * raised_at) / 200, told(result))
  end)

  it("that is lowered is found", function()
    local slow, fast, lowered_at = pacing.limiters.sliding(10), pacing.limiters.sliding(200), 20
    local result = pacing.run {
      callers = 100,
      calls = 60,
      limiter = function(now)
        return (now < lowered_at and fast or slow)(now)
      end,
    }
    local sent = result.answered + result.refused
    assert.is_true(result.refused / sent < 0.05, told(result))
    assert.equal(0, result.failed)
  end)
end)

describe("callers", function()
  it("get their turns in the order in which they came", function()
    local result = pacing.run { limiter = pacing.limiters.bucket(20), callers = 200, calls = 1, latency = 1e-9 }
    local seen = {}
    for _, caller in ipairs(result.order) do
      assert.is_nil(seen[caller])
      seen[caller] = true
    end
    -- the first to be answered after the pause are those who came first of those who had not been sent
    for position = 21, #result.order - 60 do
      assert.is_true(math.abs(result.order[position] - position) <= 80, position)
    end
  end)

  it("do not make the gate be asked over and over", function()
    local result = pacing.run { limiter = pacing.limiters.sliding(20), callers = 1000, calls = 2 }
    assert.is_true(result.questions <= 8 * 2000, result.questions)
  end)
end)

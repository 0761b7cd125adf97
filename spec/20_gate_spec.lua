local gate = require("llama_cloud.gate")

-- Simulated time: tasks are called in the order of their times. No clock, no loop, and the same in each run.
local function simulation()
  local queue, count = {}, 0
  local self = { now = 0 }

  function self.at(time, task)
    count = count + 1
    queue[#queue + 1] = { time = time, number = count, task = task }
  end

  function self.run(limit)
    while #queue > 0 do
      local first = 1
      for i = 2, #queue do
        local a, b = queue[i], queue[first]
        if a.time < b.time or a.time == b.time and a.number < b.number then
          first = i
        end
      end
      local entry = table.remove(queue, first)
      assert(entry.time <= limit, "not done within the time that is allowed")
      self.now = entry.time
      entry.task()
    end
  end

  return self
end

-- Services that allow so many calls a second, in the ways that are in use.
local limiters = {}

function limiters.window(rate) -- counts in whole seconds
  local second, count = -1, 0
  return function(now)
    if now // 1 ~= second then
      second, count = now // 1, 0
    end
    if count == rate then
      return false
    end
    count = count + 1
    return true
  end
end

function limiters.sliding(rate) -- counts what was let through in the second before
  local passed, first = {}, 1
  return function(now)
    while passed[first] and passed[first] <= now - 1 do
      first = first + 1
    end
    if #passed - first + 1 >= rate then
      return false
    end
    passed[#passed + 1] = now
    return true
  end
end

function limiters.bucket(rate) -- fills evenly, up to a second's worth
  local tokens, last = rate, 0
  return function(now)
    tokens = math.min(rate, tokens + (now - last) * rate)
    last = now
    if tokens < 1 then
      return false
    end
    tokens = tokens - 1
    return true
  end
end

local LATENCY = 0.05
local MAX_RETRIES = 5

-- Lets `callers` make `calls` calls each through one gate, as request.lua does.
local function simulate(limiter, callers, calls, retry_after, limit)
  local sim = simulation()
  local shared = gate.new()
  local result = { done = 0, refused = 0, failed = 0, asked = 0, order = {}, sent = {} }

  local function call(caller, left, retries, ticket)
    if left == 0 then
      return
    end
    result.asked = result.asked + 1
    local delay, number = shared:enter(sim.now, ticket)
    if delay > 0 then
      sim.at(sim.now + delay, function()
        call(caller, left, retries, number)
      end)
      return
    end
    local started = sim.now
    result.sent[#result.sent + 1] = started
    sim.at(started + LATENCY, function()
      if limiter(sim.now) then
        shared:accept(sim.now)
        result.done = result.done + 1
        result.order[#result.order + 1] = caller
        result.seconds = sim.now
        return call(caller, left - 1, 0)
      end
      result.refused = result.refused + 1
      shared:refuse(sim.now, retry_after or 0.5 * 2 ^ retries, started)
      if retries == MAX_RETRIES then
        result.failed = result.failed + 1
        return call(caller, left - 1, 0)
      end
      call(caller, left, retries + 1)
    end)
  end

  for caller = 1, callers do
    sim.at(0, function()
      call(caller, calls, 0)
    end)
  end
  sim.run(limit)
  return result
end

describe("a gate", function()
  it("lets fifty pass before the first answer, two more for each answer, and soon everything", function()
    local g = gate.new()
    local tickets = {}
    for i = 1, 60 do
      local delay, ticket = g:enter(i * 1e-6)
      assert.equal(i > 50, delay > 0)
      tickets[#tickets + 1] = ticket
    end
    assert.equal(10, #tickets)
    assert.is_false(g:try(0.001))
    g:accept(0.1)
    assert.equal(0, (g:enter(0.1, tickets[1])))
    assert.equal(0, (g:enter(0.1, tickets[2])))
    assert.is_true(g:enter(0.1, tickets[3]) > 0)
    assert.equal(0, (g:enter(1.1, tickets[3]))) -- answers that do not come are not waited for
    for i = 4, 10 do
      assert.equal(0, (g:enter(1.1, tickets[i])))
    end
    for i = 1, 500 do
      g:accept(1.2 + i * 1e-6)
    end
    for i = 1, 10000 do
      assert.equal(0, (g:enter(1.3 + i * 1e-6)))
    end
    assert.is_true(g:try(1.4))
  end)

  it("lets nothing pass that is not urgent while anybody has to wait", function()
    local g = gate.new()
    assert.is_true(g:try(0))
    g:refuse(1, 2, 0)
    assert.is_false(g:try(2))
    assert.is_false(g:try(10))
  end)

  it("is closed to all for as long as the service asked", function()
    local g = gate.new()
    g:refuse(10, 5, 9)
    local delay, ticket = g:enter(10)
    assert.near(5, delay, 1e-9)
    assert.is_number(ticket)
    assert.is_true(g:enter(14.9) > 0)
    assert.equal(0, (g:enter(15, ticket)))
  end)

  it("is not opened earlier by a later, shorter wish", function()
    local g = gate.new()
    g:refuse(10, 5, 9)
    g:refuse(11, 1, 9)
    assert.near(4, (g:enter(11)), 1e-9)
  end)

  it("is not opened by an answer that was under way", function()
    local g = gate.new()
    g:refuse(10, 5, 9)
    g:accept(10.1)
    assert.is_true(g:enter(10.2) > 4)
  end)

  it("tells those who wait to come one after another, the first one first", function()
    local g = gate.new()
    g:refuse(0, 1, -1)
    local delays = {}
    for i = 1, 10 do
      local delay, ticket = g:enter(0)
      assert.equal(i, ticket)
      delays[i] = delay
    end
    assert.near(1, delays[1], 1e-9)
    for i = 2, 10 do
      assert.is_true(delays[i] > delays[i - 1])
    end
    -- each comes when it was told to, and passes
    for i = 1, 10 do
      local delay = g:enter(delays[i] + 1e-6 * i, i)
      assert.equal(0, delay)
    end
  end)

  it("lets nobody pass out of turn", function()
    local g = gate.new()
    g:refuse(0, 1, -1)
    local first, second = select(2, g:enter(0)), select(2, g:enter(0))
    assert.is_true(g:enter(1, second) > 0)
    assert.is_true(g:enter(1) > 0) -- nor who comes without having waited
    assert.equal(0, (g:enter(1, first)))
    assert.is_true(g:enter(1, second) > 0) -- one after another, not in one instant
    assert.equal(0, (g:enter(2, second)))
  end)

  it("counts out who gives up", function()
    local g = gate.new()
    g:refuse(0, 1, -1)
    local tickets = {}
    for i = 1, 5 do
      tickets[i] = select(2, g:enter(0))
    end
    for i = 1, 4 do
      g:leave(tickets[i])
      g:leave(tickets[i]) -- once more does nothing
    end
    assert.equal(0, (g:enter(1, tickets[5])))
    assert.equal(0, (g:enter(5)))
  end)

  it("is not blocked by one who never comes again", function()
    local g = gate.new()
    g:refuse(0, 1, -1)
    g:enter(0) -- its coroutine is dropped: it neither passes nor leaves
    local delay, ticket = g:enter(0)
    local now = 0
    for _ = 1, 10 do
      now = now + delay
      delay = g:enter(now, ticket)
      if delay == 0 then
        break
      end
    end
    assert.equal(0, delay)
    assert.is_true(now < 2)
  end)

  it("is not slowed down by those who do not come, nor confused when they come after all", function()
    local g = gate.new()
    g:refuse(0, 1, -1)
    local lost = {}
    for i = 1, 20 do
      lost[i] = select(2, g:enter(0))
    end
    assert.equal(0, (g:enter(3))) -- they are overdue
    local now, passed = 3, 0
    for _ = 1, 10 do
      local delay, ticket = g:enter(now)
      while delay > 0 do
        now = now + delay
        delay = g:enter(now, ticket)
      end
      passed = passed + 1
    end
    assert.equal(10, passed)
    assert.is_true(now < 3 + 10 * 0.06)
    for i = 1, 20 do
      now = now + 1
      assert.equal(0, (g:enter(now, lost[i])))
      g:leave(lost[i])
    end
    now = now + 1
    assert.equal(0, (g:enter(now)))
  end)

  it("slows down with each refusal of what was sent since, and not with the others", function()
    local g = gate.new()
    g:refuse(0, 0, -1)
    local function interval(now)
      assert.equal(0, (g:enter(now)))
      local delay, ticket = g:enter(now)
      g:leave(ticket)
      return delay
    end
    local first = interval(100)
    for _ = 1, 50 do
      g:refuse(100, 0, -0.5) -- they were under way with the first
    end
    assert.near(first, interval(200), 1e-9)
    g:refuse(200, 0, 200)
    assert.near(first * 1.5, interval(300), 1e-9)
    for i = 1, 100 do
      g:refuse(300 + i, 0, 300 + i)
    end
    assert.near(1, interval(1000), 1e-9) -- never less than one call a second
  end)

  it("speeds up with each success, until there is no limit any more", function()
    local g = gate.new()
    g:refuse(0, 0, -1)
    assert.equal(0, (g:enter(1)))
    local before, first = g:enter(1)
    g:leave(first)
    for i = 1, 100 do
      g:accept(1 + i)
    end
    assert.equal(0, (g:enter(200)))
    local after, second = g:enter(200)
    g:leave(second)
    assert.is_true(after < before)
    for i = 1, 2000 do
      g:accept(200 + i)
    end
    for _ = 1, 100 do
      assert.equal(0, (g:enter(3000)))
    end
  end)

  it("begins with the rate that it has seen", function()
    local g = gate.new()
    for i = 1, 50 do
      g:accept(i / 50) -- 50 a second
    end
    g:refuse(1.01, 0, 1)
    assert.equal(0, (g:enter(2)))
    assert.near(1 / 50, (g:enter(2)), 0.005)
  end)

  it("does not begin with a rate of long ago", function()
    local g = gate.new()
    for i = 1, 1000 do
      g:accept(i / 1000)
    end
    g:refuse(1000, 0, 999)
    assert.equal(0, (g:enter(1001)))
    assert.near(0.05, (g:enter(1001)), 1e-9)
  end)

  describe("brings 200 callers through a service that allows 20 calls a second", function()
    for _, name in ipairs { "window", "sliding", "bucket" } do
      for _, retry_after in ipairs { 1, 0.05, false } do
        it(("counting by %s, Retry-After %s"):format(name, retry_after), function()
          local result = simulate(limiters[name](20), 200, 1, retry_after or nil, 60)
          assert.equal(200, result.done)
          assert.equal(0, result.failed)
          -- the first 180 refusals cannot be avoided: all started at once
          assert.is_true(result.refused <= 200, result.refused .. " refusals")
          assert.is_true(result.seconds <= 50, result.seconds .. " seconds")
        end)
      end

      it(("five times in a row, counting by %s"):format(name), function()
        local result = simulate(limiters[name](20), 200, 5, nil, 120)
        assert.equal(1000, result.done)
        assert.equal(0, result.failed)
        assert.is_true(result.refused <= 260, result.refused .. " refusals")
        assert.is_true(result.seconds <= 80, result.seconds .. " seconds")
      end)
    end

    it("and never lets them go in one instant", function()
      local result = simulate(limiters.bucket(20), 200, 1, 1, 60)
      local most = 0
      for i, time in ipairs(result.sent) do
        if time > 0 then
          local within = 1
          while result.sent[i + within] and result.sent[i + within] - time < 0.1 do
            within = within + 1
          end
          most = math.max(most, within)
        end
      end
      assert.is_true(most <= 4, most .. " calls within a tenth of a second")
    end)

    it("without asking the gate over and over", function()
      local result = simulate(limiters.sliding(20), 200, 1, nil, 60)
      assert.is_true(result.asked <= 200 * 20, result.asked .. " questions")
    end)
  end)

  it("finds a rate that nothing hinted at", function()
    local result = simulate(limiters.window(1), 20, 1, nil, 120)
    assert.equal(20, result.done)
    assert.is_true(result.seconds <= 40, result.seconds .. " seconds")
  end)
end)

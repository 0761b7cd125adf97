-- llama_cloud.map: many items, some at once, and a loop that takes what came of them. All of it must hold wherever it runs:
-- in the main program, in a group, in an event loop (LLAMA_CLOUD_TEST_HOST).

local gates = require("spec.support.gates")
local lists = require("spec.support.lists")
local llama_cloud = require("llama_cloud")
local loop = require("llama_cloud.loop")
local support = require("spec.support.client")

local map, run, spawn, sleep = llama_cloud.map, llama_cloud.run, llama_cloud.spawn, llama_cloud.sleep

-- Gives 1 to n, and counts in its second value how often it was called.
local function numbers(n)
  local asked = { count = 0 }
  return function()
    asked.count = asked.count + 1
    if asked.count <= n then
      return asked.count
    end
  end,
    asked
end

local function identity(item)
  return item
end

-- The first two values of each turn, as "item:result".
local function collect(...)
  local found = {}
  for item, result in map(...) do
    found[#found + 1] = ("%s:%s"):format(item, result)
  end
  return found
end

local function sorted(found)
  table.sort(found)
  return table.concat(found, " ")
end

-- A to-be-closed value that counts its closing in a table.
local function counting(closed)
  return setmetatable({}, {
    __close = function()
      closed.count = closed.count + 1
    end,
  })
end

-- A function for map that opens a gate for each item and then waits for ever; `closed` counts those that were ended.
local function endless(gate, closed)
  return function(item)
    local leaving <close> = counting(closed) -- luacheck: ignore leaving
    gate:open(item)
    gate:wait("never")
  end
end

describe("llama_cloud.map", function()
  it("gives each item with what came of it, in the order in which they end", function()
    local gate, found = gates.new(), {}
    local follows = { [3] = 1, [1] = 2, [2] = 4 }
    gate:open(3)
    for item, result, err, more in
      map({ 1, 2, 3 }, function(item)
        gate:wait(item)
        gate:open(follows[item])
        return item ~= 1 and item * 10 or nil, item == 1 and "bad" or nil, "dropped"
      end)
    do
      found[#found + 1] = { item, result or "none", err or "none" }
      assert.is_nil(more)
    end
    assert.same({ { 3, 30, "none" }, { 1, "none", "bad" }, { 2, 20, "none" } }, found)
  end)

  it("works on as many at once as it is told, and no more", function()
    for _, given in ipairs { { 1 }, { 3 }, { 8, nil }, { 8, {} }, { 8, { concurrency = llama_cloud.null } } } do
      local most = given[1]
      local options = { concurrency = most }
      if most == 8 then
        options = given[2]
      end
      local gate, running, highest = gates.new(), 0, 0
      local found = collect(numbers(30), function(item)
        running = running + 1
        highest = math.max(highest, running)
        if running == most then
          gate:open("full") -- without which this spec would never end
        end
        gate:wait("full")
        sleep(0)
        running = running - 1
        return item
      end, options)
      assert.equal(30, #found)
      assert.equal(most, highest)
    end
  end)

  it("works on all at once where it is told so", function()
    assert.equal(5, #collect(numbers(5), identity, { concurrency = math.maxinteger }))
  end)

  describe("takes items from", function()
    it("an array, with false among them", function()
      assert.equal("1:1 false:false x:x", sorted(collect({ "x", false, 1 }, identity)))
      assert.same({}, collect({}, identity))
      assert.same({}, collect(llama_cloud.array {}, identity))
    end)

    it("arrays as Lua makes them", function()
      assert.same({ "a:a" }, collect({ [-1] = "lua", [0] = "script", "a" }, identity))
      assert.equal("1:1 2:2", sorted(collect(table.pack(1, 2), identity)))
    end)

    it("an array that hides its metatable", function()
      for _, shown in ipairs { true, 1, "hidden" } do
        assert.equal("1:1 2:2", sorted(collect(setmetatable({ 1, 2 }, { __metatable = shown }), identity)))
      end
    end)

    it("an array that is one by its metamethods", function()
      local array = setmetatable({}, {
        __len = function()
          return 3
        end,
        __index = function(_, position)
          return position <= 3 and position * 2 or nil
        end,
      })
      assert.equal("2:2 4:4 6:6", sorted(collect(array, identity)))
    end)

    it("a function, and what can be called", function()
      assert.equal("1:1 2:2 3:3", sorted(collect(numbers(3), identity)))
      local callable = setmetatable({}, {
        __call = function(self, ...)
          assert.equal(0, select("#", ...))
          self.n = (self.n or 0) + 1
          return self.n < 3 and self.n or nil
        end,
      })
      assert.equal("1:1 2:2", sorted(collect(callable, identity)))
      assert.same({}, collect(numbers(0), identity))
    end)

    it("one of the client's lists, page by page", function()
      local s <close>, client = lists.start { lists.page({ "a", "b" }, "t1"), lists.page { "c" } }
      local found = {}
      for batch, id in
        map(client.batches:list(), function(batch)
          sleep(0)
          return batch.id
        end, { concurrency = 2 })
      do
        assert.equal(batch.id, id)
        found[#found + 1] = id
      end
      assert.equal("a b c", sorted(found))
      assert.equal(2, s:count())
    end)

    it("an iterator that waits, one call at a time, and not after its end", function()
      local inside, asked = 0, 0
      local found = collect(function()
        asked = asked + 1
        inside = inside + 1
        assert.equal(1, inside)
        sleep(0.001)
        inside = inside - 1
        return asked <= 20 and asked or nil
      end, function(item)
        sleep(0)
        return item
      end, { concurrency = 4 })
      assert.equal(20, #found)
      assert.equal(21, asked)
    end)
  end)

  it("goes on while the body of the loop waits, and then pauses", function()
    local gate, ended, seen = gates.new(), 0, 0
    local source, asked = numbers(50)
    for _ in
      map(source, function(item)
        sleep(0)
        ended = ended + 1
        gate:open(ended)
        return item
      end, { concurrency = 3 })
    do
      seen = seen + 1
      if seen <= 20 then
        gate:wait(seen + 6)
        for _ = 1, 5 do
          sleep(0) -- were there more that may begin, they would
        end
        assert.equal(seen + 6, ended)
      end
      assert.is_true(asked.count <= seen + 6 + 1)
    end
    assert.equal(50, seen)
  end)

  it("goes on while the body waits in a task outside of run", function()
    local gate, ended = gates.new(), 0
    local task = spawn(function()
      for _ in -- luacheck: ignore 512
        map(numbers(9), function(item)
          sleep(0)
          ended = ended + 1
          gate:open(ended)
          return item
        end, { concurrency = 2 })
      do
        gate:wait(5)
        return "seen"
      end
    end)
    assert.equal("seen", task:result())
  end)

  it("keeps the results that wait to be taken, and not the coroutines of their calls", function()
    local gate, ended, coroutines = gates.new(), 0, setmetatable({}, { __mode = "k" })
    for _ in -- luacheck: ignore 512
      map(numbers(300), function(item)
        coroutines[coroutine.running()] = true
        ended = ended + 1
        gate:open(ended)
        return item
      end, { concurrency = 100 })
    do
      gate:wait(201)
      sleep(0)
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(coroutines))
      break
    end
  end)

  it("has at most twice as many items begun and not given as may run at once", function()
    local begun, given, most = 0, 0, 0
    for _ in
      map(numbers(1000), function(item)
        begun = begun + 1
        most = math.max(most, begun - given)
        return item
      end, { concurrency = 4 })
    do
      given = given + 1
    end
    assert.equal(1000, given)
    assert.is_true(most <= 8 + 1, most) -- the one that the loop is taking
  end)

  describe("raises", function()
    it("what the function raises, and cancels the others", function()
      local problem, closed, gate = setmetatable({}, {}), { count = 0 }, gates.new()
      local forever = endless(gate, closed)
      local handle = map({ 1, 2, 3 }, function(item)
        if item < 3 then
          return forever(item)
        end
        gate:wait(1)
        gate:wait(2)
        error(problem)
      end)
      for _ = 1, 2 do -- and ever after
        local ok, err = pcall(handle)
        assert.is_false(ok)
        assert.equal(problem, err)
        assert.equal(2, closed.count)
      end
    end)

    it("it where it was raised, after what ended before it", function()
      local found = {}
      local source, asked = numbers(1000)
      local function fails(item)
        if item == 5 then
          local nothing = tonumber("none")
          return nothing.field
        end
        return item
      end
      local ok, text = xpcall(function()
        for item in map(source, fails, { concurrency = 2 }) do
          found[#found + 1] = item
        end
      end, debug.traceback)
      assert.is_false(ok)
      assert.matches("map_spec%.lua:%d+: attempt to index a nil value", text)
      assert.matches("map_spec%.lua:%d+: in %a+ 'f'", text) -- and so is where the task was
      table.sort(found)
      assert.same({ 1, 2, 3, 4 }, { table.unpack(found, 1, 4) })
      assert.is_true(asked.count <= 5 + 4, asked.count)
    end)

    it("it without losing what was done before, and begins with nothing more", function()
      local gate, found = gates.new(), {}
      local source, asked = numbers(1000)
      local ok, err = pcall(function()
        for item in
          map(source, function(item)
            if item == 5 then
              gate:wait(4)
              gate:open(5)
              error("the fifth", 0)
            end
            gate:open(item)
            return item
          end, { concurrency = 2 })
        do
          gate:wait(5) -- three results wait to be taken by then
          found[#found + 1] = item
        end
      end)
      assert.is_false(ok)
      assert.equal("the fifth", err)
      table.sort(found)
      assert.same({ 1, 2, 3, 4 }, found)
      assert.equal(5, asked.count)
    end)

    it("a wrong argument of a call in tail position without blaming a line of this module", function()
      local client = llama_cloud.new { api_key = "llx-test", base_url = "http://127.0.0.1:9" }
      local ok, err = pcall(collect, { "a" }, function(id)
        return client.batches:get(id, { expnd = "results" })
      end)
      assert.same({ false, "unknown parameter 'expnd' (did you mean 'expand'?)" }, { ok, err })
      local task = function()
        return client.batches:get("a", { expnd = "results" })
      end
      assert.same({ false, err }, { pcall(run, task) })
      client:close()
    end)

    it("what the items' iterator raises", function()
      local source = numbers(10)
      local ok, err = pcall(collect, function()
        local item = source()
        if item == 4 then
          error("no fourth", 0)
        end
        return item
      end, identity)
      assert.is_false(ok)
      assert.equal("no fourth", err)
    end)

    it("what a task of the function raises that nobody asks for, and waits for those", function()
      local gate, ended = gates.new(), 0
      local found = collect({ 1, 2 }, function(item)
        spawn(function()
          gate:wait("both")
          sleep(0.001)
          ended = ended + 1
        end)
        if item == 2 then
          gate:open("both")
        end
        return item
      end)
      assert.equal(2, #found)
      assert.equal(2, ended)
      local ok, err = pcall(collect, { 1 }, function()
        spawn(error, "in a task", 0)
      end)
      assert.is_false(ok)
      assert.equal("in a task", err)
    end)

    it("where two coroutines use one loop", function()
      local gate = gates.new()
      run(function()
        local handle <close> = map({ 1 }, function()
          gate:wait("go")
          return "done"
        end)
        local first = spawn(function()
          local _, result = handle()
          return result
        end)
        sleep(0)
        support.raises_here(function()
          handle()
        end, "the loop's iterator is being used by another coroutine")
        gate:open("go")
        assert.equal("done", first:result())
        assert.is_nil(handle())
      end)
    end)

    it("for wrong arguments at the caller's line", function()
      local unnamed = "items must be an array or an iterator, and this table has other keys"
      local wrong = {
        { "a function is needed, not nil", { 1 } },
        { "items must be an array or an iterator, not number", 5, print },
        { "items must be an array or an iterator, not nil", nil, print },
        { unnamed, { 1, name = "x" }, print },
        { unnamed, { [1.5] = 1 }, print },
        { "items[2] is nil, but items[3] is not: an array has no holes", { 1, nil, 3 }, print },
        { "items[1] is nil, but items[7] is not: an array has no holes", { [7] = 1 }, print },
        {
          "items is called without arguments, and what pairs returns needs some: wrap it in a function",
          (pairs { 1 }),
          print,
        },
        {
          "items is called without arguments, and what ipairs returns needs some: wrap it in a function",
          (ipairs { 1 }),
          print,
        },
        { "concurrency must be an integer from 1", {}, print, { concurrency = 0 } },
        { "unknown option 'concurency' (did you mean 'concurrency'?)", {}, print, { concurency = 1 } },
      }
      for _, case in ipairs(wrong) do
        support.raises_here(function()
          map(case[2], case[3], case[4])
        end, case[1])
      end
      for _, options in ipairs { { concurrency = 1.5 }, { concurrency = "8" }, 8 } do
        local ok, message = pcall(map, {}, print, options)
        assert.is_false(ok)
        assert.matches("options?", message)
      end
    end)
  end)

  describe("cancels what is under way", function()
    local gate, closed, forever

    before_each(function()
      gate, closed = gates.new(), { count = 0 }
      forever = endless(gate, closed)
    end)

    local function one_ends(item)
      if item > 1 then
        return forever(item)
      end
      gate:wait(2)
      gate:wait(3)
      return "first"
    end

    it("when the loop is left by break", function()
      for _, result in map({ 1, 2, 3 }, one_ends) do -- luacheck: ignore 512
        assert.equal("first", result)
        assert.equal(0, closed.count)
        break
      end
      assert.equal(2, closed.count)
    end)

    it("when its body raises", function()
      local ok, err = pcall(function()
        for _ in map({ 1, 2, 3 }, one_ends) do
          error("in the body", 0)
        end
      end)
      assert.is_false(ok)
      assert.equal("in the body", err)
      assert.equal(2, closed.count)
    end)

    it("when the task is cancelled that has the loop", function()
      run(function()
        local task = spawn(function()
          for _ in map({ 2, 3 }, forever) do -- luacheck: ignore
          end
        end)
        gate:wait(2)
        gate:wait(3)
        task:cancel()
        assert.equal(2, closed.count)
      end)
    end)

    it("when nobody has the loop any more", function()
      local transport = loop.transport()
      local before = transport:count()
      local function take_one() -- of its own, for a frame keeps what it has passed on
        local handle = map({ 1, 2, 3 }, function(item)
          if item > 1 then
            gate:open(item)
            sleep(3600)
          end
          gate:wait(2)
          gate:wait(3)
        end)
        return (handle())
      end
      assert.equal(1, take_one())
      assert.equal(before + 2, transport:count())
      for _ = 1, 10 do
        collectgarbage()
      end
      assert.equal(before, transport:count())
    end)

    it("and closes the items, as `for` does", function()
      local s <close>, client = lists.start { lists.page({ "a", "b" }, "t1"), lists.page { "c" } }
      local list = client.batches:list()
      for _ in map(list, identity, { concurrency = 1 }) do -- luacheck: ignore 512
        break
      end
      assert.matches("closed", tostring(list))
      assert.is_true(s:count() > 0)
      local ended = { count = 0 }
      local items = counting(ended)
      getmetatable(items).__call = numbers(3)
      assert.equal(3, #collect(items, identity))
      assert.equal(1, ended.count)
    end)

    it("when one of its own calls closes it, or the items' iterator: nothing more is begun with, or given", function()
      local source, asked = numbers(100)
      local handle, calls, by_iterator
      local function close()
        getmetatable(handle).__close(handle)
      end
      handle = map(source, function(item)
        calls = calls + 1
        if item == 1 then
          close()
        end
        return item
      end, { concurrency = 3 })
      calls = 0
      assert.is_nil(handle())
      assert.equal(1, calls)
      assert.equal(3, asked.count)
      handle = map(function()
        by_iterator = (by_iterator or 0) + 1
        if by_iterator == 2 then
          close()
        end
        return by_iterator
      end, function()
        calls = calls + 1
      end)
      assert.is_nil(handle())
      assert.equal(2, by_iterator)
      assert.equal(1, calls)
    end)

    it("and has ended then", function()
      local handle <close>, _, _, closer = map({ 1, 2, 3 }, identity)
      assert.equal(handle, closer)
      assert.equal(1, (handle()))
      getmetatable(handle).__close(handle)
      assert.is_nil(handle())
    end)
  end)

  it("holds up nothing when its loop is left in the middle without being closed", function()
    local source, asked = numbers(200)
    local handle
    run(function()
      handle = map(source, function(item)
        sleep(0.001)
        return item
      end, { concurrency = 2 })
      handle()
    end)
    assert.equal(1 + 2 * 2, asked.count)
    local left = 1
    while handle() do -- it can be gone on with outside
      left = left + 1
    end
    assert.equal(200, left)
  end)

  it("works in a generator", function()
    local source = numbers(30)
    run(function()
      local generate = llama_cloud.wrap(function()
        for _, result in
          map(source, function(item)
            sleep(0)
            return item
          end, { concurrency = 1 })
        do
          coroutine.yield(result)
        end
      end)
      local expected = 0
      for value in generate do
        expected = expected + 1
        assert.equal(expected, value)
      end
      assert.equal(30, expected)
    end)
  end)

  it("nests: in its function, and in its loop", function()
    local sum = 0
    for i, inner in
      map({ 1, 2, 3 }, function(i)
        local total = 0
        for _, value in
          map({ 10, 20 }, function(j)
            sleep(0.001)
            return run(function()
              return i * j
            end)
          end)
        do
          total = total + value
        end
        return total
      end, { concurrency = 2 })
    do
      for _, value in
        map(numbers(2), function(j)
          sleep(0)
          return j
        end)
      do
        sum = sum + value + inner * i
      end
    end
    assert.equal(3 * 3 + 2 * (30 * 1 + 60 * 2 + 90 * 3), sum)
  end)
end)

-- Calls from where Lua cannot suspend a coroutine: they block, and give the right answer wherever that is.

local core = require("llama_cloud.core")
local hosts = require("spec.support.hosts")
local llama_cloud = require("llama_cloud")
local support = require("spec.support.client")

local run, spawn, sleep = llama_cloud.run, llama_cloud.spawn, llama_cloud.sleep

local ECHO = [[
  return function(connection, request)
    if request.query == "slow" then
      connection:sleep(0.1)
    end
    connection:json(200, ('{"path":"%s","n":%d}'):format(request.path, request.number))
  end
]]

local loops = { "cqueues", "luv", "copas" }
local in_each, start = hosts.in_each, hosts.start

describe("a call from where no coroutine can be suspended", function()
  -- Each calls get() several times and returns what must be the numbers of the answers, in order.
  local places = {
    ["a comparison of table.sort"] = function(get)
      local list = { 3, 1, 2 }
      local numbers = {}
      table.sort(list, function(a, b)
        numbers[#numbers + 1] = get()
        return a < b
      end)
      assert.same({ 1, 2, 3 }, list)
      return numbers
    end,
    ["a replacement of string.gsub"] = function(get)
      local text = ("aaa"):gsub("a", function()
        return get() .. ","
      end)
      local numbers = {}
      for number in text:gmatch("%d+") do
        numbers[#numbers + 1] = math.tointeger(tonumber(number))
      end
      return numbers
    end,
    ["tostring"] = function(get)
      local object = setmetatable({}, {
        __tostring = function()
          return tostring(get())
        end,
      })
      return { math.tointeger(tonumber(tostring(object))), math.tointeger(tonumber(tostring(object))) }
    end,
    ["a generator of the user's own"] = function(get)
      local numbers = {}
      for number in
        coroutine.wrap(function()
          for _ = 1, 3 do
            coroutine.yield(get())
          end
        end)
      do
        numbers[#numbers + 1] = number
      end
      return numbers
    end,
    ["a generator of wrap inside a generator of the user's own"] = function(get)
      local numbers = {}
      for number in
        coroutine.wrap(function()
          for inner in
            llama_cloud.wrap(function()
              for _ = 1, 3 do
                coroutine.yield(get())
              end
            end)
          do
            coroutine.yield(inner)
          end
        end)
      do
        numbers[#numbers + 1] = number
      end
      return numbers
    end,
    ["a finalizer"] = function(get)
      local numbers = {}
      for _ = 1, 2 do
        setmetatable({}, {
          __gc = function()
            numbers[#numbers + 1] = get()
          end,
        })
      end
      collectgarbage()
      collectgarbage()
      return numbers
    end,
    ["a module that is required"] = function(get)
      package.preload["spec.calls"] = function()
        return { get(), get() }
      end
      local numbers = require("spec.calls")
      package.loaded["spec.calls"], package.preload["spec.calls"] = nil, nil
      return numbers
    end,
    ["the closing of a coroutine"] = function(get)
      local numbers = {}
      local co = coroutine.create(function()
        local _ <close> = setmetatable({}, {
          __close = function()
            numbers[#numbers + 1] = get()
          end,
        })
        coroutine.yield()
      end)
      coroutine.resume(co)
      assert(coroutine.close(co))
      return numbers
    end,
    ["a message handler of xpcall"] = function(get)
      local _, number = xpcall(error, function()
        return get()
      end)
      return { number }
    end,
    ["a group in such a place"] = function(get)
      local numbers
      table.sort({ 1, 2 }, function(a, b)
        numbers = run(function()
          local tasks = {}
          for i = 1, 5 do
            tasks[i] = spawn(get)
          end
          local results = {}
          for i, task in ipairs(tasks) do
            results[i] = task:result()
          end
          table.sort(results)
          return results
        end)
        return a < b
      end)
      return numbers
    end,
  }
  local names = {}
  for name in pairs(places) do
    names[#names + 1] = name
  end
  table.sort(names)

  for _, name in ipairs(names) do
    in_each(hosts.names, "gives the right answer: " .. name, function()
      local s <close>, client = support.start(ECHO)
      local numbers = places[name](function()
        return assert(client:get("/")).n
      end)
      assert.is_true(#numbers > 0)
      for i, number in ipairs(numbers) do
        assert.equal(i, number)
      end
      assert.equal(#numbers, s:count())
    end)
  end

  in_each(hosts.names, "is logged once, where an event loop is held up", function(host)
    local warnings = {}
    local s <close>, client = support.start(ECHO, { -- luacheck: ignore s
      log = function(level, message, fields)
        if level == "warn" then
          warnings[#warnings + 1] = message
          assert.is_string(fields.traceback)
        end
      end,
    })
    assert(client:get("/"))
    assert.same({}, warnings)
    for _ = 1, 2 do
      table.sort({ 1, 2, 3 }, function(a, b)
        assert(client:get("/"))
        assert(client:with_options({ timeout = 50 }):get("/"))
        return a < b
      end)
    end
    local held_up = host == "cqueues" or host == "luv" or host == "copas"
    assert.equal(held_up and 1 or 0, #warnings)
    if held_up then
      assert.truthy(warnings[1]:find("held up the event loop", 1, true))
    end
  end)

  -- What a body is told of calls that hold up others.
  local function warnings_of(body)
    local warnings, tracebacks = {}, {}
    local s <close>, client = support.start(ECHO, {
      log = function(level, message, fields)
        if level == "warn" and message:find("held up", 1, true) then
          warnings[#warnings + 1] = message
          tracebacks[#tracebacks + 1] = fields.traceback
        end
      end,
    })
    body(client)
    assert.is_true(s:count() > 0)
    return warnings, tracebacks
  end

  local function generate(client)
    for n in
      coroutine.wrap(function()
        for _ = 1, 3 do
          coroutine.yield(assert(client:get("/")).n)
        end
      end)
    do
      assert.equal("integer", math.type(n))
    end
  end

  local TASKS = "a call held up other tasks: it was made where Lua cannot suspend a coroutine, "
    .. "as inside a coroutine.wrap; llama_cloud.wrap makes generators in which calls wait"

  for name, hold_up in pairs {
    ["a plain coroutine.wrap"] = generate,
    ["a plain coroutine.create"] = function(client)
      local co = coroutine.create(generate)
      assert(coroutine.resume(co, client))
    end,
    ["table.sort"] = function(client)
      table.sort({ 1, 2 }, function(a, b)
        assert(client:get("/"))
        return a < b
      end)
    end,
    ["wait_all in a plain coroutine.wrap"] = function(client)
      coroutine.wrap(function()
        for _ in client.batches:wait_all({ "a" }, nil, { total_timeout = 0.05 }) do
        end
      end)()
    end,
    ["run in a plain coroutine.wrap"] = function(client)
      coroutine.wrap(function()
        run(client.get, client, "/")
        assert(client:get("/"))
      end)()
    end,
    ["a task of a group inside"] = function(client)
      run(function()
        generate(client)
      end)
    end,
  } do
    it("is logged once, with where it was, where tasks are held up: " .. name, function()
      local warnings, tracebacks = warnings_of(function(client)
        run(function()
          spawn(sleep, 0.05)
          for _ = 1, 2 do
            spawn(hold_up, client)
          end
        end)
      end)
      assert.same({ TASKS }, warnings)
      assert.matches("loop/blocking_spec.lua:", tracebacks[1])
    end)

    it("is not logged where nobody is held up: " .. name, function()
      local warnings = warnings_of(function(client)
        hold_up(client) -- in no task
        run(hold_up, client) -- in the only task
        run(function()
          run(hold_up, client)
        end)
      end)
      assert.same({}, warnings)
    end)
  end

  it("is not logged where a task waits as it should", function()
    local warnings = warnings_of(function(client)
      run(function()
        for _ = 1, 3 do
          spawn(function()
            assert(client:get("/"))
            for n in
              llama_cloud.wrap(function()
                coroutine.yield(assert(client:get("/")).n)
              end)
            do
              assert.equal("integer", math.type(n))
            end
          end)
        end
      end)
    end)
    assert.same({}, warnings)
  end)

  in_each(loops, "hands what ends meanwhile to others, who run afterwards", function(host)
    local s <close>, client = support.start(ECHO)
    local answer
    start(host, function()
      answer = assert(client:get("/other"))
    end)
    sleep(0)
    local during
    table.sort({ 1, 2 }, function(a, b)
      assert(client:get("/?slow"))
      during = answer
      return a < b
    end)
    assert.is_nil(during)
    local deadline = core.now() + 10
    while not answer and core.now() < deadline do
      sleep(0.001)
    end
    assert.equal("/other", answer.path)
    assert.equal(2, s:count())
  end)

  in_each(hosts.names, "can be task:result(), of a task of the same group too", function()
    local value = run(function()
      local quick = spawn(function()
        sleep(0.01)
        return "quick"
      end)
      local never_begun = spawn(function()
        return quick:result() .. "!"
      end)
      local result
      table.sort({ 1, 2 }, function(a, b)
        result = never_begun:result()
        return a < b
      end)
      return result
    end)
    assert.equal("quick!", value)
  end)
end)

-- Event loops that a client lives in: each is recognised, waiting suspends only the caller, and where a coroutine cannot be
-- suspended a call still gives the right answer.

local core = require("llama_cloud.core")
local hosts = require("spec.support.hosts")
local llama_cloud = require("llama_cloud")
local loop = require("llama_cloud.loop")
local process = require("spec.support.process")
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
local in_each = hosts.in_each
local start, sleep_natively = hosts.start, hosts.sleep

describe("an event loop", function()
  in_each(loops, "goes on while its coroutines wait", function(host)
    local s <close>, client = support.start(ECHO)
    local ticks, ended, answers = 0, false, 0
    start(host, function()
      while not ended do
        sleep_natively(host, 0.005)
        ticks = ticks + 1
      end
    end)
    local before = core.now()
    local left = 30
    for i = 1, left do
      start(host, function()
        for j = 1, 3 do
          local path = ("/%d/%d"):format(i, j)
          local answer = assert(client:get(path .. "?slow"))
          answers = answers + (answer.path == path and 1 or 0)
        end
        left = left - 1
      end)
    end
    while left > 0 do
      sleep(0.01)
    end
    ended = true
    assert.equal(90, answers)
    assert.equal(90, s:count())
    assert.is_true(ticks > 10, ticks)
    assert.is_true(core.now() - before < support.scaled(3))
    sleep_natively(host, 0.02)
  end)

  in_each(loops, "runs groups and their tasks beside its own coroutines", function(host)
    local seen = {}
    local shared
    start(host, function()
      run(function()
        shared = spawn(function()
          sleep(0.02)
          return "shared"
        end)
      end)
      seen[#seen + 1] = "group"
    end)
    while not shared do
      sleep(0.001)
    end
    start(host, function()
      local value = shared:result()
      seen[#seen + 1] = value
    end)
    while #seen < 2 do
      sleep(0.005)
    end
    table.sort(seen)
    assert.same({ "group", "shared" }, seen)
  end)

  in_each(loops, "runs what its coroutines spawn", function()
    local reached
    local task = spawn(function()
      sleep(0.01)
      reached = true
      return "value"
    end)
    assert.is_nil(reached)
    assert.equal("value", task:result())
    spawn(function()
      sleep(0.005)
      reached = "again"
    end)
    local deadline = core.now() + 10
    while reached ~= "again" and core.now() < deadline do
      sleep(0.005)
    end
    assert.equal("again", reached)
  end)

  in_each(loops, "lets a coroutine drive step() itself", function()
    local task = spawn(function()
      return "value"
    end)
    for _ = 1, 3 do
      llama_cloud.step()
      sleep(0.001)
    end
    assert.equal("done", task:status())
  end)
end)

describe("cqueues", function()
  local cqueues = require("cqueues")

  it("serves two controllers in turn, and one inside the other", function()
    local order = {}
    local a, b = cqueues.new(), cqueues.new()
    a:wrap(function()
      repeat
        sleep(0.001)
      until order[1] == "b"
      order[#order + 1] = "a"
      local inner = cqueues.new()
      inner:wrap(function()
        sleep(0.01)
        order[#order + 1] = "inner"
      end)
      assert(inner:loop(10))
      sleep(0.001)
      order[#order + 1] = "a again"
    end)
    b:wrap(function()
      sleep(0.01)
      order[#order + 1] = "b"
    end)
    local deadline = core.now() + 10
    while not (a:empty() and b:empty()) and core.now() < deadline do
      assert(a:step(0.002))
      assert(b:step(0.002))
    end
    assert.same({ "b", "a", "inner", "a again" }, order)
    assert.equal(0, (loop.transport():count()))
  end)

  it("ends its loop when nothing is waited for, and begins again", function()
    local controller = cqueues.new()
    for _ = 1, 5 do
      controller:wrap(function()
        sleep(0.001)
      end)
      assert(controller:loop(10))
      assert.is_true(controller:empty())
    end
  end)

  it("goes on after an error in its watcher", function()
    local s <close>, client = support.start(ECHO)
    local controller = cqueues.new()
    local dispatch = loop.dispatch
    local answer, raised
    loop.dispatch = function()
      if raised then
        return dispatch()
      end
      raised = true
      error("in the watcher", 0)
    end
    controller:wrap(function()
      answer = client:get("/first")
    end)
    local ok, err = controller:loop(10)
    loop.dispatch = dispatch
    assert.is_false(ok)
    assert.equal("in the watcher", err)
    controller:wrap(function()
      sleep(0.001)
    end)
    assert(controller:loop(10))
    assert.equal("/first", answer.path)
    assert.equal(1, s:count())
  end)
end)

describe("luv", function()
  local uv = require("luv")
  local luv_host = require("llama_cloud.loop.luv")

  before_each(function()
    llama_cloud.use_loop("luv")
  end)
  after_each(function()
    llama_cloud.use_loop(nil)
  end)

  it("ends uv.run when nothing is waited for, and begins again", function()
    for _ = 1, 5 do
      luv_host.spawn(sleep, 0.001)
      assert.is_true(uv.loop_alive())
      uv.run()
      assert.is_false(uv.loop_alive())
    end
  end)

  it("raises at once what spawn's function raises before it waits", function()
    local problem = {}
    local ok, err = pcall(luv_host.spawn, error, problem)
    assert.is_false(ok)
    assert.equal(problem, err)
  end)

  it("passes arguments on", function()
    local got
    local co = luv_host.spawn(function(...)
      got = table.pack(...)
      sleep(0)
    end, 1, nil)
    assert.equal("thread", type(co))
    assert.same({ 1, nil, n = 2 }, got)
    uv.run()
    assert.equal("dead", coroutine.status(co))
  end)

  it("ends the process with the text of an error object that a task raises", function()
    local output, well = process.run([[
      local uv, llama_cloud = require("luv"), require("llama_cloud")
      llama_cloud.use_loop("luv")
      local client = llama_cloud.new { api_key = "k", base_url = "http://127.0.0.1:1", proxy = "", max_retries = 0 }
      llama_cloud.spawn(function()
        assert(client:get("/x"))
      end)
      uv.run()
    ]])
    assert.is_false(well)
    assert.matches("llama_cloud: connection: ", output, 1, true)
  end)

  it("goes on after the application has closed all handles", function()
    local reached = {}
    luv_host.spawn(function()
      sleep(0.01)
      reached[1] = true
    end)
    uv.walk(function(handle)
      if not handle:is_closing() then
        handle:close()
      end
    end)
    uv.run()
    assert.same({}, reached)
    luv_host.spawn(function()
      sleep(0.02)
      reached[2] = true
    end)
    uv.run()
    assert.same({ true, true }, reached)
    assert.equal(0, (loop.transport():count()))
  end)

  it("wakes coroutines whose handles were closed before they ran", function()
    local reached
    luv_host.spawn(function()
      sleep(0.001)
      reached = true
    end)
    llama_cloud.use_loop(nil)
    sleep(0.02) -- blocks, and hands the timer on
    llama_cloud.use_loop("luv")
    uv.walk(function(handle)
      if not handle:is_closing() then
        handle:close()
      end
    end)
    uv.run()
    assert.is_nil(reached)
    luv_host.spawn(sleep, 0.001)
    uv.run()
    assert.is_true(reached)
  end)

  it("answers a callback of libuv, which cannot wait, by blocking", function()
    local s <close>, client = support.start(ECHO)
    local answer
    local timer = uv.new_timer()
    timer:start(1, 0, function()
      timer:close()
      answer = assert(client:get("/callback"))
    end)
    uv.run()
    assert.equal("/callback", answer.path)
    assert.equal(1, s:count())
  end)
end)

describe("Copas", function()
  local reason = hosts.missing("copas")
  if reason then
    pending("is not tested here: " .. reason)
    return
  end

  it("goes on after everything was cancelled", function()
    local copas = require("copas")
    local reached
    copas.loop(function() end) -- cancelall needs what this makes
    copas.addthread(sleep, 0.05)
    for _ = 1, 3 do
      copas.step(0)
    end
    copas.cancelall()
    collectgarbage()
    collectgarbage()
    copas.loop(function()
      sleep(0.01)
      reached = true
    end)
    assert.is_true(reached)
    assert.equal(0, (loop.transport():count()))
  end)
end)

describe("a home-made host", function()
  -- A whole event loop: coroutines, those that can go on, and what is to be called when a descriptor is readable.
  local function new_loop()
    local own = { coroutines = {}, live = 0, ready = {}, watched = 0 }
    local host = {}
    function host.current(co)
      return own.coroutines[co] and co
    end
    function host.park()
      coroutine.yield()
    end
    function host.wake(co)
      own.ready[#own.ready + 1] = co
    end
    function host.watch(_, on_readable)
      own.on_readable = on_readable
      own.watched = own.watched + 1
      return function()
        own.on_readable = nil
      end
    end
    function host.spawn(f)
      local co = coroutine.create(f)
      own.coroutines[co] = true
      own.live = own.live + 1
      own.ready[#own.ready + 1] = co
      return co
    end
    function own.run()
      while own.live > 0 do
        local batch = own.ready
        own.ready = {}
        for _, co in ipairs(batch) do
          local ok, err = coroutine.resume(co)
          if coroutine.status(co) == "dead" then
            own.live = own.live - 1
            own.coroutines[co] = nil
          end
          if not ok then
            error(err, 0)
          end
        end
        if not own.ready[1] and own.live > 0 then
          assert(own.on_readable, "nothing is waited for")
          assert(loop.transport():wait(10))
          own.on_readable()
        end
      end
    end
    own.host = host
    return own
  end

  local own
  before_each(function()
    own = new_loop()
    llama_cloud.use_loop(own.host)
  end)
  after_each(function()
    llama_cloud.use_loop(nil)
  end)

  it("parks and wakes its coroutines", function()
    local s <close>, client = support.start(ECHO)
    local paths = {}
    local before = core.now()
    for i = 1, 10 do
      own.host.spawn(function()
        local path = "/" .. i
        paths[i] = assert(client:get(path .. "?slow")).path == path
      end)
    end
    own.run()
    assert.equal(10, #paths)
    assert.is_true(core.now() - before < support.scaled(0.9))
    assert.is_nil(own.on_readable)
    assert.equal(10, s:count())
  end)

  it("runs groups, generators and what is spawned", function()
    local seen = {}
    spawn(function()
      sleep(0.01)
      seen[#seen + 1] = "spawned"
    end)
    own.host.spawn(function()
      for value in
        llama_cloud.wrap(function()
          sleep(0.02)
          coroutine.yield("generated")
        end)
      do
        seen[#seen + 1] = value
      end
      local value = run(function()
        spawn(sleep, 0.01)
        return "group"
      end)
      seen[#seen + 1] = value
    end)
    own.run()
    table.sort(seen) -- whoever is woken first runs first
    assert.same({ "generated", "group", "spawned" }, seen)
    assert.is_nil(own.on_readable)
  end)

  it("may resume a coroutine that was not woken", function()
    local before = core.now()
    local ended
    local co = own.host.spawn(function()
      sleep(0.03)
      ended = core.now()
    end)
    own.host.spawn(function()
      for _ = 1, 3 do
        coroutine.resume(co)
        sleep(0.001)
      end
    end)
    own.run()
    assert.is_true(ended - before >= 0.03)
  end)

  it("may call on_readable while watch is called", function()
    local watch = own.host.watch
    own.host.watch = function(fd, on_readable, scope)
      assert(loop.transport():wait(10))
      on_readable()
      return watch(fd, on_readable, scope)
    end
    local reached
    own.host.spawn(function()
      sleep(0.001)
      reached = true
    end)
    own.run()
    assert.is_true(reached)
    assert.is_nil(own.on_readable)
  end)

  it("may fail to watch: the error comes out of the call, and the next call tries again", function()
    local watch = own.host.watch
    own.host.watch = function()
      own.host.watch = watch
      error("cannot watch", 0)
    end
    local ok, err, reached
    own.host.spawn(function()
      ok, err = pcall(sleep, 0.001)
      sleep(0.001)
      reached = true
    end)
    own.run()
    assert.is_false(ok)
    assert.equal("cannot watch", err)
    assert.is_true(reached)
    assert.equal(0, (loop.transport():count()))
  end)

  it("may close a coroutine that waits: the request is given up", function()
    local s <close>, client = support.start([[
      return function(connection, request)
        if request.path == "/hold" then
          connection:wait_closed(20)
          connection:close()
        else
          connection:json(200, "{}")
        end
      end
    ]])
    local co = own.host.spawn(function()
      run(function()
        spawn(client.get, client, "/hold")
        client:get("/hold")
      end)
    end)
    local left
    own.host.spawn(function()
      sleep(0.01)
      assert(coroutine.close(co))
      left = loop.transport():count()
      own.live = own.live - 1
    end)
    own.run()
    assert.equal(0, left)
    assert.is_nil(own.on_readable)
    s:stop()
  end)
end)

describe("llama_cloud.use_loop", function()
  it("refuses what is no host", function()
    for problem, host in pairs {
      ['a host is "luv" or a table of functions; cqueues and copas are recognised by themselves'] = "libev",
      ["a host needs a function 'current'"] = {},
      ["a host needs a function 'watch'"] = { current = print, park = print, wake = print, watch = 1 },
    } do
      support.raises_here(function()
        llama_cloud.use_loop(host)
      end, problem)
    end
    support.raises_here(function()
      llama_cloud.use_loop(12)
    end, "a table of functions")
  end)

  it("takes the names of those that are recognised too", function()
    llama_cloud.use_loop("cqueues")
    hosts.run("cqueues", function()
      sleep(0.001)
    end)
    llama_cloud.use_loop(nil)
  end)
end)

describe("the helper of these specs", function()
  local limit = hosts.limit
  after_each(function()
    hosts.limit = limit
  end)

  for _, host in ipairs { "group", "wrap", "cqueues", "luv" } do
    it("fails a body that never ends, in " .. host, function()
      hosts.limit = 0.05
      assert.has_error(function()
        hosts.run(host, function()
          sleep(support.scaled(1))
        end)
      end)
      sleep(support.scaled(1)) -- ends what it began
    end)

    it("passes on what a body raises, in " .. host, function()
      local problem = {}
      local ok, err = pcall(hosts.run, host, function()
        sleep(0)
        error(problem)
      end)
      assert.is_false(ok)
      assert.equal(problem, err)
    end)
  end
end)

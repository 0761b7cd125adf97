-- However waiting ends early, nothing is left of it: no transfer, no timer, no descriptor, and the host's own loop ends.

local uv = require("luv")

local core = require("llama_cloud.core")
local hosts = require("spec.support.hosts")
local llama_cloud = require("llama_cloud")
local loop = require("llama_cloud.loop")
local process = require("spec.support.process")
local support = require("spec.support.client")

local run, spawn, sleep = llama_cloud.run, llama_cloud.spawn, llama_cloud.sleep

local TIMES = process.instrumented and 100 or 1000

-- Batches that go on for ever, but for one. What is held is held until the client goes; what is slow comes.
local SERVER = [[
  local head = { ["Connection"] = "close" }
  local page = {}
  for i = 1, 4 do
    page[i] = ('{"id":"bat-%d","status":"RUNNING","created_at":"2026-01-01T00:00:00Z"}'):format(i)
  end
  page = '{"items":[' .. table.concat(page, ",") .. '],"next_page_token":"t%d"}'
  return function(connection, request, n)
    local id = request.path:match("^/api/v2/batches/(.*)$")
    if request.path == "/hold" then
      connection:wait_closed(60)
    elseif request.path == "/slow" then
      connection:sleep(0.02)
      connection:json(200, "{}", head)
    elseif id then
      local status = id == "done" and "COMPLETED" or "RUNNING"
      connection:json(200, ('{"id":"%s","status":"%s"}'):format(id, status), head)
    else
      connection:json(200, page:format(n), head)
    end
    connection:close()
  end
]]

local server, client

-- How many descriptors this process has.
local function descriptors()
  local n = 0
  for _ in uv.fs_scandir_next, assert(uv.fs_scandir("/proc/self/fd")) do
    n = n + 1
  end
  return n
end

-- Steps until nothing is under way, and collects.
local function settle()
  local deadline = core.now() + 60
  for _ = 1, 2 do
    collectgarbage()
    while loop.transport():count() > 0 do
      assert(core.now() < deadline, "something is under way for ever")
      loop.transport():wait(1)
      llama_cloud.step()
    end
  end
end

-- Does it a few times, so that what is made once is there, and then many times: as many descriptors as before are open, and
-- nothing is under way.
local function check(many, before_that)
  many(before_that or 10)
  settle()
  local before = descriptors()
  collectgarbage()
  local memory = collectgarbage("count")
  many(TIMES)
  settle()
  assert.equal(0, (loop.transport():count()))
  assert.equal(before, descriptors())
  collectgarbage()
  local grown = collectgarbage("count") - memory
  assert.is_true(grown < 200, ("%.0f kB of memory more than before"):format(grown))
end

describe("nothing is left", function()
  lazy_setup(function()
    server, client = support.start(SERVER)
  end)
  lazy_teardown(function()
    client:close()
    server:stop()
  end)

  local endings = {
    ["break out of a list"] = function(i)
      local n = 0
      for _ in client.batches:list() do
        n = n + 1
        if n > i % 3 then -- from the second item on, the next page is under way
          break
        end
      end
      assert.equal(i % 3 + 1, n)
    end,
    ["break out of watch"] = function()
      local seen
      for batch in client.batches:watch("bat-1") do -- luacheck: ignore 512
        seen = batch.status
        break
      end
      assert.equal("RUNNING", seen)
    end,
    ["break out of wait_all"] = function()
      local seen
      for id in client.batches:wait_all { "bat-1", "done", "bat-2" } do -- luacheck: ignore 512
        seen = id
        break
      end
      assert.equal("done", seen)
    end,
    ["an error in a loop"] = function(i)
      local loops = {
        client.batches.list,
        function()
          return client.batches:watch("bat-1")
        end,
        function()
          return client.batches:wait_all { "bat-1", "done", "bat-2" }
        end,
      }
      local ok, err = pcall(function()
        for _ in loops[i % 3 + 1](client.batches) do
          error("out", 0)
        end
      end)
      assert.is_false(ok)
      assert.equal("out", err)
    end,
    ["an error in a group"] = function()
      local ok = pcall(run, function()
        local own <close> = require("llama_cloud.loop.group").new()
        own:spawn(client.get, client, "/hold")
        sleep(0)
        error("out", 0)
      end)
      assert.is_false(ok)
    end,
    ["task:cancel()"] = function(i)
      run(function()
        local request = spawn(client.get, client, "/hold")
        local pause = spawn(sleep, 60)
        local all = spawn(function()
          for _ in client.batches:wait_all { "bat-1", "bat-2" } do
            error("nothing ends")
          end
        end)
        if i % 3 > 0 then
          sleep(i % 3 / 1000)
        end
        request:cancel()
        pause:cancel()
        all:cancel()
      end)
    end,
    ["task:cancel() of what a generator waits for"] = function()
      run(function()
        local task = spawn(function()
          for _ in
            llama_cloud.wrap(function()
              coroutine.yield(client:get("/hold"))
            end)
          do
            error("nothing comes")
          end
        end)
        sleep(0)
        task:cancel()
      end)
    end,
  }
  local names = {}
  for name in pairs(endings) do
    names[#names + 1] = name
  end
  table.sort(names)

  for _, name in ipairs(names) do
    for _, host in ipairs { "main", "cqueues", "luv", "copas" } do
      if not hosts.missing(host) then
        it(("of %s, in %s"):format(name, host), function()
          check(function(times)
            hosts.loop(host, function()
              for i = 1, times do
                endings[name](i)
              end
            end)
          end)
        end)
      end
    end
  end

  it("of coroutines that are closed, in luv", function()
    local spawn_in_luv = require("llama_cloud.loop.luv").spawn
    check(function(times)
      hosts.loop("luv", function()
        for i = 1, times do
          local co = spawn_in_luv(function()
            if i % 2 == 0 then
              client:get("/hold")
            else
              run(client.get, client, "/hold")
            end
          end)
          if i % 3 > 0 then
            sleep(0.0005)
          end
          assert(coroutine.close(co))
        end
      end)
    end)
  end)

  it("of cqueues controllers that are dropped or closed", function()
    local cqueues = require("cqueues")
    for _, close in ipairs { false, true } do
      check(function(times)
        for i = 1, times do
          local controller = cqueues.new()
          controller:wrap(client.get, client, "/slow")
          controller:wrap(function()
            run(function()
              spawn(sleep, 0.01)
              client:get("/slow")
            end)
          end)
          for _ = 1, i % 4 do
            assert(controller:step(0.0002))
          end
          if close then
            controller:close()
          end
          if i % 50 == 0 then
            collectgarbage()
          end
        end
      end)
    end
    -- and those that are kept end as ever
    hosts.loop("cqueues", function()
      assert(client:get("/slow"))
    end)
  end)

  it("of libuv's coroutines whose handles are all closed", function()
    local spawn_in_luv = require("llama_cloud.loop.luv").spawn
    check(function(times)
      llama_cloud.use_loop("luv")
      for i = 1, times do
        spawn_in_luv(client.get, client, "/slow")
        spawn_in_luv(run, sleep, 0.01)
        if i % 2 == 0 then
          uv.run("nowait")
        end
        uv.walk(function(handle)
          if not handle:is_closing() then
            handle:close()
          end
        end)
        uv.run("nowait")
      end
      llama_cloud.use_loop(nil)
      assert.is_false(uv.loop_alive())
      hosts.loop("luv", function()
        assert(client:get("/slow"))
      end)
    end)
  end)

  if not hosts.missing("copas") then
    it("of threads that Copas removes or cancels", function()
      local copas = require("copas")
      check(function(times)
        hosts.loop("copas", function()
          for _ = 1, times do
            local thread = copas.addthread(client.get, client, "/slow")
            copas.pause(0)
            copas.pause(0)
            copas.removethread(thread)
          end
        end)
        copas.loop(function() end) -- cancelall needs what this makes
        for _ = 1, times do
          copas.addthread(client.get, client, "/slow")
        end
        copas.step(0)
        copas.step(0)
        copas.cancelall()
        hosts.loop("copas", function()
          assert(client:get("/slow"))
        end)
      end, TIMES) -- its tables keep their size
    end)
  end
end)

-- Callers who do what they should not. Elsewhere: a closed client (client/client), a list shared by two coroutines
-- (endpoint/list_failures), tables of list changed after the call (endpoint/list), on_poll that raises (endpoint/wait), and
-- the transport by itself under signals, fork and exit (core/transport_process).

local cells = require("spec.support.fault_cells")
local client_support = require("spec.support.client")
local core = require("llama_cloud.core")
local llama_cloud = require("llama_cloud")
local locale = require("spec.support.locale")
local process = require("spec.support.process")
local sandbox = require("spec.support.sandbox")
local server = require("spec.support.server")

local BATCH, scaled = client_support.BATCH, client_support.scaled
local slowdown = process.slowdown

-- Answers after the seconds in the path or id; a batch is RUNNING for ever, unless its id says otherwise.
local SERVICE = [[
  return function(c, r)
    c:sleep(tonumber(r.path:match("sleep%-([%d.]+)")) or 0)
    local status = r.path:find("done") and "COMPLETED" or "RUNNING"
    if r.path == "/api/v2/batches" and r.method == "GET" then
      return c:json(200, '{"items":[{"id":"a"},{"id":"b"}]}')
    end
    c:json(200, ('{"id":"bat-1","status":"%s"}'):format(status))
  end
]]

-- What every chunk of a child process begins with.
local CHILD = [[
  local llama_cloud = require("llama_cloud")
  local url, how = ...
  local client = llama_cloud.new { api_key = "llx-key", base_url = url, proxy = "" }
]]

describe("a caller", function()
  local s, client

  before_each(function()
    s = server.start(SERVICE)
    client = client_support.client(s)
  end)

  after_each(function()
    s:stop()
  end)

  -- The client is as good as new, and nothing is left of what went wrong.
  local function works()
    assert.equal("bat-1", assert(client.batches:get("bat-1")).id)
    assert.equal(0, llama_cloud.step())
  end

  describe("who changes tables while a call runs", function()
    it("changes nothing about a creation that is reconciled", function()
      local params = { source_directory_id = "dir-1", config = { job = { type = "parse_v2", configuration_id = "c" } } }
      local one <close> = server.start([[
        local cjson = require("cjson")
        local made
        return function(c, r)
          if r.method == "POST" then
            made = r.body
            c:close()
          else
            local config = made and cjson.encode(cjson.decode(made).config)
            c:json(200, '{"items":[' .. (made and '{"id":"bat-new","config":' .. config .. "}" or "") .. "]}")
          end
        end
      ]])
      client = client_support.client(one)
      local batch, err
      llama_cloud.run(function()
        llama_cloud.spawn(function()
          llama_cloud.sleep(0.3)
          params.source_directory_id = "dir-2"
          params.config.job.configuration_id = "another"
        end)
        batch, err = client.batches:create(params, { reconcile = true })
      end)
      assert.is_nil(err)
      assert.equal("bat-new", batch.id)
      for _, request in ipairs(one:requests()) do
        assert.is_nil((request.target .. request.body):find("dir%-2"))
      end
    end)

    it("changes nothing about a wait", function()
      local params = { expand = { "results" } }
      local given =
        { polling_interval = 0.01, backoff = "constant", total_timeout = scaled(20), headers = { ["X-A"] = "1" } }
      local looks = 0
      given.on_poll = function()
        looks = looks + 1
        if looks == 1 then
          params.expand[1], params.project_id = "other", "prj"
          given.headers["X-A"], given.total_timeout, given.on_poll = "2", nil, nil
        end
      end
      assert(client.batches:wait("done", params, given))
      local requests = s:requests()
      assert.equal("expand=results", requests[#requests].query)
      for _, request in ipairs(requests) do
        assert.equal("1", request.headers["x-a"])
      end
    end)
  end)

  -- log is called in the middle of a request, on_poll between two.
  describe("whose log function", function()
    it("raises gets that error, from wherever it was, and the client works", function()
      for at = 1, 4 do
        local count = 0
        local logged = client:with_options {
          max_retries = 0,
          log = function()
            count = count + 1
            if count == at then
              error("log " .. at, 0)
            end
          end,
        }
        for _, call in ipairs {
          function()
            logged.batches:get("bat-1")
            logged.batches:get("bat-1")
          end,
          function()
            logged.batches:create(BATCH)
            logged.batches:create(BATCH)
          end,
          function()
            logged.batches:wait("x", nil, { polling_interval = 0.01 })
          end,
          function()
            llama_cloud.run(function()
              llama_cloud.spawn(function()
                logged.batches:get("bat-1")
                logged.batches:get("bat-1")
              end)
            end)
          end,
        } do
          count = 0
          local ok, message = pcall(call)
          assert.is_false(ok)
          assert.equal("log " .. at, message)
          works()
        end
      end
    end)

    it("yields, passes that on to whoever runs the coroutine, and the call goes on", function()
      local logged = client:with_options {
        log = function(_, message)
          if coroutine.isyieldable() then
            coroutine.yield(message)
          end
        end,
      }
      local seen, batch = {}, nil
      local co = coroutine.create(function()
        batch = logged.batches:get("bat-1")
      end)
      repeat
        local _, message = assert(coroutine.resume(co))
        seen[#seen + 1] = message
      until coroutine.status(co) == "dead"
      assert.equal("bat-1", batch.id)
      assert.is_true(#seen >= 2)
      llama_cloud.run(function()
        for _ = 1, 3 do
          llama_cloud.spawn(function()
            assert(logged.batches:get("bat-1"))
          end)
        end
      end)
      works()
    end)

    it("never comes back from its yield leaves nothing behind", function()
      local descriptors = cells.descriptors()
      local logged = client:with_options { log = coroutine.yield }
      for _ = 1, 20 do
        local co = coroutine.create(function()
          logged.batches:get("sleep-20")
        end)
        assert(coroutine.resume(co)) -- "sending", and then dropped
      end
      works()
      assert.is_true(cells.settled_descriptors(descriptors + 1) <= descriptors + 1)
    end)

    it("calls the client that it is of, once, gets an answer", function()
      local inside, depth = nil, 0
      local logged
      logged = client:with_options {
        log = function()
          depth = depth + 1
          if depth == 1 then
            inside = logged.batches:get("inside")
          end
        end,
      }
      assert(logged.batches:get("outside"))
      assert.equal("bat-1", inside.id)
    end)
  end)

  it("whose on_poll yields has the wait go on where it was", function()
    local co = coroutine.wrap(function()
      return client.batches:wait("done", nil, {
        on_poll = function(batch)
          coroutine.yield(batch.status)
        end,
      })
    end)
    assert.equal("COMPLETED", co())
    assert.equal("bat-1", co().id)
  end)

  it("whose finalizers call the client, in the middle of anything, gets all answers", function()
    local called, wrong = 0, nil
    local function litter()
      setmetatable({}, {
        __gc = function()
          local ok, value, err = pcall(client.batches.get, client.batches, "done")
          called = called + 1
          if not ok or not value or value.id ~= "bat-1" then
            wrong = tostring(ok and err or value)
          end
        end,
      })
    end
    for _ = 1, 30 do
      litter()
      assert.equal("bat-1", assert(client.batches:get("bat-1")).id)
      litter()
      local ids = {}
      for item in client.batches:list() do
        litter()
        ids[#ids + 1] = item.id
        collectgarbage()
      end
      assert.equal("ab", table.concat(ids))
    end
    llama_cloud.run(function()
      for _ = 1, 5 do
        llama_cloud.spawn(function()
          litter()
          assert(client.batches:get("bat-1"))
          collectgarbage()
        end)
      end
    end)
    collectgarbage()
    assert.is_nil(wrong)
    assert.is_true(called >= 100, called)
    works()
  end)

  describe("who ends the program with calls under way", function()
    local ENDING = CHILD
      .. [[
      local function wait(id)
        return client.batches:wait(id, nil, { polling_interval = 0.01, backoff = "constant" })
      end
      local function stop()
        io.write("well\n")
        io.flush()
        if how == "exit and close" then os.exit(true, true) end
        if how == "exit" then os.exit(true) end
        if how == "exit 3 and close" then os.exit(3, true) end
        if how == "error" then error("as it should", 0) end
      end
      local function start()
        for _ = 1, 10 do
          llama_cloud.spawn(wait, "running")
          llama_cloud.spawn(wait, "sleep-20")
          llama_cloud.spawn(client.batches.create, client.batches, { source_directory_id = "sleep-20", config = {} })
        end
      end
      if how == "error" or how == "end" then
        start() -- and nobody waits for them
        held = client.batches:list()
        held:next_page()
        for _ = 1, 20 do
          llama_cloud.step()
          llama_cloud.sleep(0.01)
        end
        return stop()
      end
      llama_cloud.run(function()
        start()
        llama_cloud.sleep(0.2)
        stop()
      end)]]
    local statuses = {
      ["exit and close"] = 0,
      ["exit"] = 0,
      ["exit 3 and close"] = 3,
      ["error"] = 1,
      ["end"] = 0,
    }
    for how, expected in pairs(statuses) do
      it("gets its exit status at once: " .. how, function()
        local begin = core.now()
        local output, _, status = process.run(ENDING, { args = { s:url(), how } })
        assert.equal(expected, status, output)
        if expected ~= 1 then
          assert.equal("well\n", output)
        else
          assert.matches("^well\n.*as it should", output)
        end
        assert.is_true(core.now() - begin < 5 * slowdown, core.now() - begin)
      end)
    end
  end)

  describe("who forks", function()
    it("can use the same client in the child, whatever was under way, and the parent goes on", function()
      local fork = process.fork()
      works()
      local list = client.batches:list({}, { prefetch = true })
      assert(list())
      llama_cloud.run(function()
        local parents = llama_cloud.spawn(function()
          return client.batches:get("sleep-0.5")
        end)
        local lists = client.batches:list():all()
        local connections = s:connections()
        local path = os.tmpname()
        local pid = fork.fork()
        if pid == 0 then
          local file = io.open(path, "w")
          for name, call in pairs {
            get = function()
              return client.batches:get("bat-1").id == "bat-1"
            end,
            create = function()
              return client.batches:create(BATCH).id == "bat-1"
            end,
            wait = function()
              return client.batches:wait("done").status == "COMPLETED"
            end,
            ["new list"] = function()
              return #client.batches:list():all() == #lists
            end,
            ["old list"] = function()
              return list().id == "b" and list() == nil
            end,
            sleep = function()
              llama_cloud.sleep(0.01)
              return true
            end,
            ["task"] = function()
              return llama_cloud.spawn(llama_cloud.sleep, 0.01):result() == nil
            end,
            ["the parent's task"] = function()
              local value, err = parents:result()
              return value == nil and err.kind == "cancelled" and err.message:find("forked", 1, true)
            end,
          } do
            local ok, message = pcall(call)
            if not ok or not message then
              file:write(name, ": ", tostring(message), "\n")
            end
          end
          client:close()
          list = nil
          collectgarbage()
          file:write("end\n")
          file:close()
          fork.exit(0)
        end
        local status = fork.wait(pid)
        local file = assert(io.open(path))
        local text = file:read("a")
        file:close()
        os.remove(path)
        assert.equal("end\n", text)
        assert.equal(0, status)
        assert.is_true(s:connections() > connections)
        assert.equal("bat-1", assert(parents:result()).id)
      end)
      works()
    end)
  end)

  describe("who presses Ctrl-C", function()
    local INTERRUPTED = CHILD
      .. [[
      local function wait()
        return client.batches:wait("running", nil, { polling_interval = 0.01, backoff = "constant", max_interval = 1 })
      end
      local waits = {
        alone = wait,
        group = function()
          llama_cloud.run(function()
            for _ = 1, 5 do llama_cloud.spawn(wait) end
            wait()
          end)
        end,
        list = function() return client:get("/sleep-60") end,
      }
      local ok, message = pcall(waits[how])
      print(ok, message, client.batches:get("done").status)]]

    for _, how in ipairs { "alone", "group", "list" } do
      it("ends the wait with an error, and the client still works: " .. how, function()
        local begin = core.now()
        local output, well = process.run(INTERRUPTED, {
          args = { s:url(), how },
          before = ("(sleep %g; kill -INT $$) &"):format(0.7 * slowdown),
        })
        assert.is_true(well, output)
        assert.matches("^false\t[^\n]*interrupted!\tCOMPLETED\n$", output)
        assert.is_true(core.now() - begin < 20 * slowdown)
      end)
    end
  end)

  -- lua.c raises from a hook of the main coroutine, which may strike anywhere: here it is set while a task runs, and strikes
  -- when that waits, ends, or yields by itself.
  describe("who presses Ctrl-C while a task runs", function()
    local function interrupt()
      local main = coroutine.running()
      return function()
        debug.sethook(main, function()
          debug.sethook(main)
          error("interrupted!", 0)
        end, "crl", 1)
      end
    end

    for name, goes_on in pairs {
      ["which then waits"] = function()
        llama_cloud.sleep(20)
      end,
      ["which then ends"] = function() end,
      ["which then fails"] = function()
        error("a failure")
      end,
      ["which then yields"] = coroutine.yield,
    } do
      it("ends what is driven, " .. name, function()
        local begin = core.now()
        local press = interrupt()
        local given = { polling_interval = 0.01, total_timeout = 20 * slowdown }
        local ok, message = pcall(llama_cloud.run, function()
          for _ = 1, 3 do
            llama_cloud.spawn(client.batches.wait, client.batches, "running", nil, given)
          end
          llama_cloud.sleep(0.05)
          press()
          goes_on()
          llama_cloud.sleep(20)
        end)
        assert.same({ false, "interrupted!" }, { ok, message })
        assert.is_true(core.now() - begin < 5 * slowdown)
        works()
      end)

      it("gets it from step, and the tasks go on, " .. name, function()
        local press, seen = interrupt(), nil
        llama_cloud.spawn(function()
          press()
          if name:find("waits") then
            llama_cloud.sleep(0.05)
          else
            goes_on()
          end
          seen = true
        end)
        local ok, message = pcall(llama_cloud.step)
        assert.same({ false, "interrupted!" }, { ok, message })
        local deadline = core.now() + 5 * slowdown
        local lives
        repeat
          ok, lives = pcall(llama_cloud.step)
        until ok and lives == 0 or core.now() > deadline
        assert.equal(0, lives)
        assert.equal(not name:find("fails"), seen or false)
        works()
      end)
    end
  end)

  describe("who makes 10,000 clients", function()
    it("gets their memory back, and uses no descriptor for them", function()
      works()
      local count = slowdown > 10 and 1000 or 10000
      local function make(n)
        for i = 1, n do
          local one = client_support.client(s, { project_id = "prj-" .. i, default_headers = { ["X-N"] = i } })
          if i % 1000 == 0 then
            assert(one.batches:get("bat-1"))
          end
        end
        collectgarbage()
        collectgarbage()
        return collectgarbage("count")
      end
      local descriptors = cells.descriptors()
      local before = make(count // 10)
      local grown = make(count) - before
      assert.is_true(grown < (slowdown > 10 and 300 or 100), ("%.0f KiB more"):format(grown))
      assert.is_true(cells.descriptors() <= descriptors) -- fewer where connections of others were kept before
    end)
  end)

  it("who creates for years does not gather the ids of all of it", function()
    local reconcile = require("llama_cloud.endpoint.reconcile")
    local returned = {}
    for i = 1, 20000 do
      reconcile.remember(returned, { id = "bat-" .. i })
      if i % 7 == 0 then
        reconcile.remember(returned, { id = "bat-" .. i }) -- a service that repeats an id
      end
    end
    local ids = 0
    for key in pairs(returned) do
      ids = ids + (type(key) == "string" and 1 or 0)
    end
    assert.is_true(ids > 3000 and ids <= 4096, ids)
    for i = 19000, 20000 do
      assert.is_true(returned["bat-" .. i])
    end
    assert.is_nil(returned["bat-1"])
  end)

  it("whose service lists batches without ids gets no error of Lua's from reconcile", function()
    local one <close> = server.start { { body = '{"items":[{"status":"PENDING"}]}' }, { body = '{"id":"x"}' } }
    assert.equal("x", assert(client_support.client(one).batches:create(BATCH, { reconcile = true })).id)
  end)

  it("in a country of decimal commas sends and reads the same numbers", function()
    local one <close> = server.start([[
      local n = 0
      return function(c, r)
        n = n + 1
        if n == 1 then
          return c:json(503, "{}", { ["Retry-After"] = "0.25" })
        end
        c:json(200, '{"id":"x","status":"COMPLETED","n":0.5,"m":1e2,"i":9007199254740993}')
      end
    ]])
    local output, well = locale.run(
      ",",
      ([[
        local llama_cloud = require("llama_cloud")
        local client = llama_cloud.new { api_key = "llx-key", base_url = "%s", proxy = "", timeout = 20.5 }
        local begin = require("llama_cloud.core").now()
        local query = { q = 0.5, f = { 1.25, 2 } }
        local batch = assert(client.batches:wait("x", nil, { polling_interval = 0.1, query = query }))
        assert(require("llama_cloud.core").now() - begin >= 0.25)
        assert(batch.n == 1 / 2 and batch.m == 100 and batch.i == 9007199254740993)
        assert(client:post("/x", { body = { n = 0.5, m = 1e300 } }))
        io.stdout:write("well")
      ]]):format(one:url())
    )
    if not output then
      return pending("no such locale can be made here")
    end
    assert.is_true(well, output)
    assert.matches("well", output)
    local requests = one:requests()
    assert.equal("f=1.25&f=2&q=0.5", requests[1].query)
    assert.equal('{"m":1e+300,"n":0.5}', (requests[3].body:gsub("1e300", "1e+300")))
  end)

  it("with http_proxy set goes through it, unless the client says otherwise", function()
    local proxy <close> = server.start { { body = '{"id":"by proxy"}' } }
    local chunk = [[
      local llama_cloud = require("llama_cloud")
      local url, way = ...
      local proxy = ({ none = "", own = url })[way]
      local base = way == "own" and "http://name.example" or url
      local client = llama_cloud.new { api_key = "llx-key", base_url = base, proxy = proxy }
      print(assert(client.batches:get("bat-1")).id)
    ]]
    local function run(way, environment)
      environment.no_proxy = environment.no_proxy or false
      environment.NO_PROXY = false
      return (process.run(chunk, { args = { s:url(), way }, environment = environment }))
    end
    assert.equal("by proxy\n", run("environment", { http_proxy = proxy:url() }))
    assert.equal("http://127.0.0.1:" .. s.port .. "/api/v2/batches/bat-1", proxy:requests()[1].target)
    assert.equal("bat-1\n", run("none", { http_proxy = proxy:url() }))
    assert.equal("bat-1\n", run("own", { http_proxy = proxy:url() }))
    assert.equal("bat-1\n", run("environment", { http_proxy = proxy:url(), no_proxy = "127.0.0.1" }))
    -- of the capital one a web server would let strangers decide (httpoxy); libcurl does not look at it
    assert.equal("bat-1\n", run("environment", { HTTP_PROXY = proxy:url() }))
    assert.equal(1, proxy:count())
  end)

  it("who breaks a list off at every item leaves no request behind", function()
    local box <close> = sandbox.start { batches = 120 }
    local descriptors
    for i = 1, 40 do
      local one = client_support.client(box:url())
      local n = 0
      for _ in one.batches:list { page_size = 10 } do
        n = n + 1
        if n == i then
          break
        end
      end
      collectgarbage()
      descriptors = descriptors or cells.descriptors()
      assert.is_true(cells.descriptors() <= descriptors + 1)
      assert.equal(0, llama_cloud.step())
    end
  end)
end)

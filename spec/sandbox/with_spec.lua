-- sandbox.with and sandbox.start: sandboxes in processes of their own, for tests.

local busted = require("busted")

local llama_cloud = require("llama_cloud")
local plain_http = require("spec.support.plain_http")
local process = require("spec.support.process")
local program = require("spec.support.program")
local sandbox = require("llama_cloud.sandbox")
local server = require("spec.support.server")

local EMPTY = { batches = 0, jobs = 0 }

-- Whether a process has not ended.
local function is_running(pid)
  local file = io.open(("/proc/%s/stat"):format(pid))
  local state = file and file:read("a"):match("^.*%) (%a)")
  if file then
    file:close()
  end
  return state ~= nil and state ~= "Z"
end

-- Runs a text with that of a chunk in a process; what it wrote, the sandbox included, which has its standard error.
local function run(chunk)
  return process.run('local sandbox = require("llama_cloud.sandbox")\n' .. chunk)
end

describe("sandbox.with", function()
  it("calls a function with a client and a service, and returns what that returns", function()
    local connection
    local results = table.pack(sandbox.with(EMPTY, function(client, service)
      connection = plain_http.connect(service:port())
      assert.equal(("http://127.0.0.1:%d"):format(service:port()), service:url())
      assert.equal("mine", assert(client.beta.directories:create { name = "mine" }).name)
      return 1, nil, "three", nil
    end))
    assert.same({ 1, nil, "three", nil, n = 4 }, results)
    assert.is_true(connection:has_ended())
  end)

  it("needs no options", function()
    assert.equal(250, #sandbox.with(nil, function(client)
      return client.batches:list():all()
    end))
  end)

  it("raises what the function raises, as it was", function()
    local connection
    local object = setmetatable({}, { __tostring = error })
    local ok, err = pcall(sandbox.with, EMPTY, function(_, service)
      connection = plain_http.connect(service:port())
      error(object)
    end)
    assert.is_false(ok)
    assert.is_true(rawequal(object, err))
    assert.is_true(connection:has_ended())

    local line
    local function failing()
      line = debug.getinfo(1, "l").currentline + 1
      error("my own error")
    end
    ok, err = xpcall(sandbox.with, debug.traceback, EMPTY, failing)
    assert.is_false(ok)
    local place = ("with_spec.lua:%d: "):format(line)
    assert.truthy(err:find(place .. "my own error\n", 1, true), err)
    assert.truthy(err:find(place .. "in", err:find("stack traceback:", 1, true), true), err)
  end)

  it("takes options of the client", function()
    local options = { batches = 1, api_key = "llx-mine", client = { max_retries = 0, base_url = "http://192.0.2.1" } }
    sandbox.with(options, function(client, service)
      service:add_fault("GET *: 503 x1")
      local batches, err = client.batches:list():next_page()
      assert.is_nil(batches)
      assert.equal("internal_server", err.kind)
      assert.equal(1, err.attempts)
      assert.equal(1, #assert(client.batches:list():next_page()).items)
    end)
    assert.equal("llx-mine", options.api_key)
    assert.equal(0, options.client.max_retries)
  end)

  it("cancels what the client has under way", function()
    local result, err
    llama_cloud.run(function()
      local task
      sandbox.with(EMPTY, function(client, service)
        service:add_fault("GET *: stall")
        task = llama_cloud.spawn(function()
          return client.batches:get("bat-1")
        end)
        while service:stats().connections == 0 do
          llama_cloud.sleep(0.001)
        end
      end)
      result, err = task:result()
    end)
    assert.is_nil(result)
    assert.equal("cancelled", err.kind)
  end)

  it("may be called in tasks and in one another", function()
    local counts = {}
    local function ask(name, times)
      return sandbox.with(EMPTY, function(client, service)
        for _ = 1, times do
          assert(client.batches:list():all())
        end
        if times == 2 then
          ask("inner", 1)
        end
        counts[name] = service:stats().requests
      end)
    end
    llama_cloud.run(function()
      llama_cloud.spawn(ask, "first", 2)
      llama_cloud.spawn(ask, "second", 3)
    end)
    assert.same({ first = 2, second = 3, inner = 1 }, counts)
  end)

  it("raises at the caller where an argument is wrong", function()
    local function nothing() end
    for message, arguments in pairs {
      ["unknown option 'batchs'"] = { { batchs = 1 }, nothing },
      ["option 'port' must be a port number"] = { { port = -1 }, nothing },
      ["option 'log' is not for a sandbox in another process"] = { { log = print }, nothing },
      ["option 'lua' must be a string"] = { { lua = 5.4 }, nothing },
      ["option 'client' must be a table"] = { { client = 5 }, nothing },
      ["unknown option 'max_retrys'"] = { { client = { max_retrys = 1 } }, nothing },
      ["'GET *': "] = { { faults = { "GET *" } }, nothing },
      ["option 'faults' must be an array of strings"] = { { faults = { 5 } }, nothing },
      ["options must be a table, not string"] = { "x", nothing },
      ["a function is needed, not nil"] = { EMPTY },
    } do
      local ok, err = pcall(function()
        local result = sandbox.with(table.unpack(arguments))
        return result
      end)
      assert.is_false(ok)
      assert.truthy(err:find(message, 1, true), err)
      assert.matches("^[^\n]*with_spec.lua:%d+: ", err)
    end
  end)
end)

describe("a sandbox in a process of its own", function()
  it("tells what it was asked", function()
    sandbox.with(EMPTY, function(client, service)
      assert.same({}, service:requests())
      local directory = assert(client.beta.directories:create { name = "mine" })
      local long = ("x"):rep(20000)
      assert(client.beta.directories:create { name = long })
      assert(client.beta.directories.files:upload(directory.id, { upload_file = { data = "12345", name = "a.txt" } }))
      local created, other, uploaded = table.unpack(service:requests())
      assert.equal("POST /api/v1/beta/directories", created.method .. " " .. created.path)
      assert.is_nil(created.query)
      assert.equal('{"name":"mine"}', created.body)
      assert.equal("15", tostring(created.body_length))
      assert.equal("(redacted)", created.headers.authorization)
      plain_http.request(service:port(), "POST", "/api/v2/batches", "\xff", { ["content-type"] = "application/json" })
      local body = plain_http.request(service:port(), "GET", "/__sandbox__/requests?limit=1").body
      local answer = assert(llama_cloud.json.decode(body))
      assert.equal(1, answer.requests[1].body_length)
      assert.is_nil(answer.requests[1].body)
      assert.is_nil(other.body)
      assert.equal(20011, other.body_length)
      assert.is_nil(uploaded.body)
      assert.equal("a.txt", uploaded.parts[1].filename)
      assert.equal("5", tostring(uploaded.parts[1].size))
      assert.same(uploaded, service:requests(2)[1])
      assert.equal(2, service:stats().routes["POST /api/v1/beta/directories"])
      assert.equal(1, service:uploads().by_unique_id["a.txt"])
      assert.same({}, service:webhooks())
      service:forget()
      assert.same({ 0, 0, 0 }, { #service:requests(), service:stats().requests, service:uploads().total })
    end)
  end)

  it("misbehaves, and moves its clock", function()
    sandbox.with({ batches = 0, speed = 0.001, client = { max_retries = 0 } }, function(client, service)
      local first = service:add_fault('GET *: 418 body="one\\ntwo"')
      local second = service:add_fault("POST *: 500")
      assert.equal("one\ntwo", select(2, client.batches:list():next_page()).body)
      assert.equal("1 0", ("%d %d"):format(service:faults()[1].hits, service:faults()[2].hits))
      service:clear_faults(first)
      assert.equal(second, service:faults()[1].id)
      assert.has_error(function()
        service:clear_faults(first)
      end)
      service:clear_faults()
      assert.same({}, service:faults())
      local job = assert(client.parsing:create { file_id = "file-1", tier = "fast", version = "latest" })
      service:advance(1e5)
      assert.equal("COMPLETED", assert(client.parsing:get(job.id)).job.status)
      local ok, err = pcall(function()
        service:add_fault("nonsense")
      end)
      assert.is_false(ok)
      assert.matches("^[^\n]*with_spec.lua:%d+: .*nonsense", err)
    end)
  end)

  it("is ended by close, by the end of its block, and by the collector", function()
    local connections
    do
      local closed, block <close> = sandbox.start(EMPTY), sandbox.start(EMPTY)
      connections = {
        plain_http.connect(closed:port()),
        plain_http.connect(block:port()),
        plain_http.connect(sandbox.start(EMPTY):port()),
      }
      closed:close()
      closed:close()
      assert.has_error(function()
        closed:stats()
      end, "the sandbox has been closed")
      assert.equal(0, block:stats().requests)
    end
    collectgarbage()
    for index, connection in ipairs(connections) do
      assert.is_true(connection:has_ended(), index)
    end
  end)

  -- Starts a process that goes on for a while and has inherited what this one has open; it is ended with its block.
  local function start_sleeper()
    local pipe = assert(io.popen("sleep 20 </dev/null >/dev/null 2>&1 & echo $!"))
    local pid = pipe:read("l")
    pipe:close()
    return setmetatable({ pid = pid }, {
      __close = function()
        os.execute("kill " .. pid)
      end,
    })
  end

  for how, finish in pairs {
    closed = function(service)
      service:close()
    end,
    collected = function() end,
  } do
    it("is ended when it is " .. how .. ", although another process of its program goes on", function()
      local service = sandbox.start(EMPTY)
      local connection = plain_http.connect(service:port())
      local sleeper <close> = start_sleeper()
      finish(service)
      service = nil -- luacheck: ignore
      collectgarbage()
      assert.is_true(connection:has_ended())
      assert.is_true(is_running(sleeper.pid), "it was waited for")
    end)
  end

  -- The sandbox has the standard error of the program, so that its output ends when both have ended, and is waited for.
  for how, last in pairs {
    ["is killed"] = 'os.execute("kill -KILL $PPID")',
    ["calls os.exit"] = "os.exit(3)",
    ["calls os.exit, which closes everything"] = "os.exit(3, true)",
    ["raises an error"] = 'error("raised")',
    ["ends in the middle of it"] = "coroutine.yield()",
  } do
    it("is ended when its program " .. how, function()
      local output, well = run(([[
        coroutine.wrap(sandbox.with)({ batches = 0 }, function(_, service)
          print(service:stats().requests)
          io.stdout:flush()
          %s
        end)
      ]]):format(last))
      assert.equal(last == "coroutine.yield()", well)
      assert.matches("^0\n", output)
    end)
  end

  it("is ended when its program is killed, although another process of that goes on", function()
    local output = run([[
      sandbox.with({ batches = 0 }, function(_, service)
        print(service:stats().requests)
        io.stdout:flush()
        os.execute("sleep 20 >/dev/null 2>&1 & echo $!; kill -KILL $PPID")
      end)
    ]])
    local sleeper = output:match("^0\n(%d+)\n")
    assert.is_true(is_running(sleeper), "it was waited for")
    os.execute("kill " .. sleeper)
  end)

  it("is not ended by a child of its program that was forked", function()
    local fork = process.fork()
    local service <close> = sandbox.start(EMPTY)
    local pid = fork.fork()
    if pid == 0 then
      fork.exit(pcall(service.close, service) and 0 or 1)
    end
    assert.same({ 0 }, { fork.wait(pid) })
    assert.equal(0, service:stats().requests)
  end)

  -- A sandbox that was started by a script which tells its process.
  local function start_with_pid(faults)
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    local lua = os.getenv("LUA") or "lua" .. _VERSION:match("[%d.]+")
    file:write(("#!/bin/sh\necho $$ >'%s.pid'\nexec %s \"$@\"\n"):format(path, process.quote(lua)))
    file:close()
    assert(os.execute(("chmod +x '%s'"):format(path)))
    local service = sandbox.start { batches = 0, lua = path, faults = faults }
    local pid = assert(math.tointeger(tonumber(assert(io.open(path .. ".pid")):read("l"))))
    os.remove(path .. ".pid")
    os.remove(path)
    return service, pid
  end

  it("is not ended by Ctrl-C, which is for the program", function()
    local service <close>, pid = start_with_pid()
    for _, name in ipairs { "INT", "QUIT", "HUP" } do
      assert(os.execute(("kill -%s %d"):format(name, pid)))
      assert.equal(0, service:stats().requests, name)
    end
  end)

  it("says so when it has ended by itself", function()
    local service, pid = start_with_pid()
    assert(os.execute(("kill -KILL %d"):format(pid)))
    local err = server.wait_for(function()
      local ok, message = pcall(service.stats, service)
      return not ok and message
    end, "the end of the sandbox")
    assert.matches("the sandbox has ended by itself$", err)
    assert.has_error(function()
      service:stats()
    end, "the sandbox has been closed")
  end)

  -- More than a pipe holds is not for a process that is gone: writing it would never end.
  it("takes texts of any length, and says so where it is gone", function()
    local long = "GET /x: 500 body=" .. ("+."):rep(100000)
    local service, pid = start_with_pid { long }
    assert.equal(long, service:faults()[1].fault)
    assert.equal(2, service:add_fault(long))
    assert.equal(long, service:faults()[2].fault)
    assert(os.execute(("kill -KILL %d"):format(pid)))
    assert.has_error(function()
      while true do
        service:add_fault(long)
      end
    end, "the sandbox has ended by itself")
    local ok, err = pcall(sandbox.start, { lua = "/nowhere/lua", faults = { long } })
    assert.is_false(ok)
    assert.matches("cannot be started", err)
  end)

  it("says so where it cannot be started", function()
    local output = run([[print(pcall(sandbox.start, { lua = "/nowhere/lua" }))]])
    assert.matches("/nowhere/lua: not found\n", output)
    assert.matches("false\t[^\n]*the sandbox cannot be started with /nowhere/lua, which has said why\n", output)
    local first <close> = sandbox.start(EMPTY)
    local ok, err = pcall(sandbox.start, { port = first:port() })
    assert.is_false(ok)
    assert.matches("in use", err)
  end)

  it("is started with the last descriptor, or not at all", function()
    local output, well = process.run(
      [[
        local sandbox = require("llama_cloud.sandbox")
        local held = {}
        repeat
          held[#held + 1] = io.open("/dev/null")
          local last = io.open("/dev/null")
          held[#held + 1] = last
        until not last
        local failures, service = 0
        repeat
          table.remove(held):close()
          local ok
          ok, service = pcall(sandbox.start, { batches = 0 })
          failures = failures + (ok and 0 or 1)
        until ok
        print(failures > 0, service:stats().requests)
        service:close()
      ]],
      { before = "ulimit -n 40;" }
    )
    assert.is_true(well, output)
    assert.matches("true\t0\n$", output)
  end)
end)

-- The example of docs/sandbox.md, as tests of this file.
local text = assert(io.open(program.file("docs/sandbox.md"))):read("a")
local before, example = text:match("^(.-\nbusted:\n.-```lua\n)(.-)```\n")
local lines = select(2, before:gsub("\n", "\n"))
local environment = setmetatable({ describe = busted.describe, it = busted.it, assert = assert }, { __index = _G })
assert(load(("\n"):rep(lines) .. example, "@docs/sandbox.md", "t", environment))()

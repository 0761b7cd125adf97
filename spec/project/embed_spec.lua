-- The programs of examples/embed, which have Lua in them: as they stand, against the sandbox, and with scripts that do what
-- docs/embedding.md speaks of. LLAMA_CLOUD_EMBED_BUILD names the build directory of others than the ordinary ones.

local files = require("spec.support.files")
local process = require("spec.support.process")
local program = require("spec.support.program")
local sandbox = require("spec.support.sandbox")
local server = require("spec.support.server")

local quote = process.quote

-- The core may lie in a directory below that of the programs.
local core = os.getenv("LLAMA_CLOUD_EMBED_BUILD") or package.cpath:match("^([^;]*)/%?%.so")

-- The path of a program; nil where it was not built.
local function built(name)
  for _, top in ipairs { core, core .. "/.." } do
    local path = ("%s/examples/embed/%s"):format(top, name)
    local file = io.open(path)
    if file then
      file:close()
      return path
    end
  end
  return nil
end

-- What a program finds in its environment.
local function environment(url, more)
  local set = { LLAMA_CLOUD_BASE_URL = url, LLAMA_CLOUD_API_KEY = "llx-test", LUA_CPATH = core .. "/?.so" }
  for name, value in pairs(more or {}) do
    set[name] = value
  end
  return set
end

local function run(name, arguments, url, more)
  return program.run_executable(built(name) or name, arguments, environment(url or "http://127.0.0.1:1", more))
end

-- Starts a program with a script that says when it has begun; ends the program by SIGTERM then.
local function terminate(name, arguments, url)
  local output, pid = program.start_executable(assert(built(name)), arguments, environment(url))
  assert.equal("begun", output:read("l"))
  assert.is_true(os.execute("kill -TERM " .. pid))
  local rest = output:read("a")
  local _, _, status = output:close()
  return rest, status
end

-- Compiles C, with Lua's headers, outside of sanitizers. `arguments` are words of a command.
local function compile(arguments)
  local cache = assert(io.open((core:gsub("/asan$", "")) .. "/CMakeCache.txt")):read("a")
  local headers = cache:match("\nLUA_INCLUDE_DIR_USED:[A-Z]*=([^\n]*)")
  local library = cache:match("\nLUA5[45]_LIBRARY:[A-Z]*=([^\n]*)")
  local command = "env -u LD_PRELOAD ${CC:-cc} -I%s %s 2>&1"
  local pipe = assert(io.popen(command:format(quote(headers), arguments:gsub("LUA_LIBRARY", quote(library)))))
  local output = pipe:read("a")
  assert(pipe:close(), output)
end

local room -- for files

before_each(function()
  room = files.new()
end)

after_each(function()
  room:remove()
end)

-- A server that never answers.
local function silent()
  return server.start("return function(connection) connection:sleep(60) end")
end

describe("examples/embed/poll_loop.c", function()
  local SCRIPT = program.file("examples/embed/poll_loop.lua")

  it("waits in a loop of its own, and works on meanwhile", function()
    local s <close> = sandbox.start { batches = 0, speed = 20 }
    local output, status =
      run("poll_loop", { SCRIPT, "dir-files-3", "dir-files-5", "dir-fail", "dir-missing" }, s:url())
    assert.equal(0, status, output)
    assert.matches("dir-files-3: COMPLETED, 3 files\n", output, 1, true)
    assert.matches("dir-files-5: COMPLETED, 5 files\n", output, 1, true)
    assert.matches("dir-fail: batch_failed, 0 files\n", output, 1, true)
    assert.matches("dir-missing: not_found, 0 files\n", output, 1, true)
    local ticks = tonumber(output:match("\nthe program was at work (%d+) times meanwhile\n$"))
    assert.is_true(ticks >= 1, ticks) -- PENDING and RUNNING take it a quarter of a second at least, which is five ticks
  end)

  it("works with a static Lua", function()
    if not built("poll_loop_static") then
      return pending("there is no static library of this Lua")
    end
    local s <close> = sandbox.start { batches = 0, speed = 1e6 }
    local output, status = run("poll_loop_static", { SCRIPT, "dir-files-3" }, s:url())
    assert.equal(0, status, output)
    assert.matches("dir-files-3: COMPLETED, 3 files\n", output, 1, true)
  end)

  it("works with the core in the program", function()
    local s <close> = sandbox.start { batches = 0, speed = 1e6 }
    local output, status = run("poll_loop_whole", { SCRIPT, "dir-files-3" }, s:url(), { LUA_CPATH = "" })
    assert.equal(0, status, output)
    assert.matches("dir-files-3: COMPLETED, 3 files\n", output, 1, true)
    output, status = run("poll_loop", { SCRIPT, "dir-files-3" }, s:url(), { LUA_CPATH = "" })
    assert.equal(1, status)
    assert.matches("llama_cloud does not find its core, llama_cloud/core.so, by package.cpath", output, 1, true)
  end)

  it("tells where a task has failed, and goes on with the others", function()
    local script = room:write(
      "script.lua",
      [[
        local report, llama_cloud = ..., require("llama_cloud")
        local function broken() error("it is broken") end
        llama_cloud.spawn(function() llama_cloud.sleep(0.05) report("second", "well", 2) end)
        llama_cloud.spawn(function() llama_cloud.sleep(0.01) local value = broken() return value end)
        llama_cloud.spawn(function() llama_cloud.sleep(0.02) report("third") end)
        report("first", "well", 1)
      ]]
    )
    local output, status = run("poll_loop", { script })
    assert.equal(1, status)
    assert.matches("poll_loop: [^\n]*script.lua:2: it is broken\nstack traceback:\n.-in [^\n]*'broken'", output)
    assert.matches("poll_loop: [^\n]*script.lua:5: bad argument #2 to 'report'", output)
    assert.matches("first: well, 1 files\nsecond: well, 2 files\n", output, 1, true)
  end)

  it("tells what is wrong with its script", function()
    local output, status = run("poll_loop", { room:path("none.lua") })
    assert.equal(1, status)
    assert.matches("poll_loop: cannot open [^\n]*none.lua", output)
    output, status = run("poll_loop", { room:write("script.lua", "error(setmetatable({}, {}))") })
    assert.equal(1, status)
    assert.matches("poll_loop: table: [^\n]*\nstack traceback:", output)
    assert.equal(2, select(2, run("poll_loop", {})))
  end)

  it("is ended by a signal while requests are under way", function()
    local s <close> = silent()
    local script = room:write(
      "script.lua",
      [[
        local llama_cloud = require("llama_cloud")
        local client = llama_cloud.new()
        for _ = 1, 3 do
          llama_cloud.spawn(function() client.batches:get("bat-1") error("it has gone on") end)
        end
        llama_cloud.spawn(function() llama_cloud.sleep(0.05) io.write("begun\n") io.flush() end)
      ]]
    )
    local output, status = terminate("poll_loop", { script }, s:url())
    assert.equal(128 + 15, status, output)
    assert.matches("^the program was at work %d+ times meanwhile\nended by Terminated\n$", output)
  end)
end)

describe("a program that hides Lua's functions from the core", function()
  local SENTENCE = "error loading module 'llama_cloud.core' from file '[^\n]*/core.so':\n%s*[^\n]*undefined symbol: lua"
  local SOURCE = program.file("examples/embed/poll_loop.c")
  local SCRIPT = program.file("examples/embed/poll_loop.lua")

  it("is one with a static Lua and without -Wl,-E", function()
    local archive = built("poll_loop_static")
      and assert(io.open((core:gsub("/asan$", "")) .. "/CMakeCache.txt"))
        :read("a")
        :match("\nLUA_ARCHIVE:[A-Z]*=([^\n]*)")
    if not archive then
      return pending("there is no static library of this Lua")
    end
    local path = room:path("hiding")
    compile(("-o %s %s %s -lm -ldl"):format(path, quote(SOURCE), quote(archive)))
    local output, status = run(path, { SCRIPT, "dir-1" })
    assert.equal(1, status)
    assert.matches(SENTENCE, output)
  end)

  it("is one that loads Lua as part of a plugin, unless that is global", function()
    compile(("-shared -fPIC -Dmain=plugin -o %s %s LUA_LIBRARY"):format(room:path("plugin.so"), quote(SOURCE)))
    local host = room:write(
      "host.c",
      [[
        #include <dlfcn.h>
        #include <string.h>
        int main(int argc, char **argv) {
          int (*run)(int, char **);
          void *plugin = dlopen(argv[1], RTLD_NOW | HOW);
          if (strcmp(PROMOTED, "") != 0)
            dlopen(PROMOTED, RTLD_NOW | RTLD_GLOBAL);
          void *symbol = plugin ? dlsym(plugin, "plugin") : NULL;
          memcpy(&run, &symbol, sizeof run);
          return symbol ? run(argc - 1, argv + 1) : 3;
        }
      ]]
    )
    for how, expected in pairs {
      ["RTLD_LOCAL -DPROMOTED='\"\"'"] = SENTENCE,
      ["RTLD_GLOBAL -DPROMOTED='\"\"'"] = "dir%-missing: not_found, 0 files\n",
      ["RTLD_LOCAL -DPROMOTED='\"'LUA_LIBRARY'\"'"] = "dir%-missing: not_found, 0 files\n",
    } do
      compile(("-DHOW=%s -o %s %s -ldl"):format(how, room:path("host"), quote(host)))
      local s <close> = sandbox.start { batches = 0 }
      local output = run(room:path("host"), { room:path("plugin.so"), SCRIPT, "dir-missing" }, s:url())
      assert.matches(expected, output, 1)
    end
  end)
end)

describe("examples/embed/thread_pool.c", function()
  local SCRIPT = program.file("examples/embed/thread_pool.lua")
  local SERVICE = [[
    return function(connection, request)
      local id = request.path:match("[^/]*$")
      if id == "bat-none" then
        return connection:json(404, '{"detail":"Batch not found"}')
      end
      connection:json(200, ('{"id":"%s","status":"COMPLETED","results":[{},{}]}'):format(id))
    end]]

  it("shares jobs among threads with a state each", function()
    local s <close> = server.start(SERVICE)
    local arguments, expected = { "4", SCRIPT }, {}
    for i = 1, 20 do
      arguments[#arguments + 1] = "bat-" .. i
      expected[i] = ("bat-%d: COMPLETED, 2 files\n"):format(i)
    end
    local output, status = run("thread_pool", arguments, s:url())
    assert.equal(0, status, output)
    assert.equal(table.concat(expected), output)
  end)

  it("tells where a job has failed, and does the others", function()
    local s <close> = server.start(SERVICE)
    local output, status = run("thread_pool", { "2", SCRIPT, "bat-1", "bat-none", "bat-2" }, s:url())
    assert.equal(1, status, output)
    assert.matches("bat-none: failed: llama_cloud: not_found: 404: Batch not found", output, 1, true)
    assert.matches("\nstack traceback:\n", output, 1, true)
    assert.matches("\nbat%-2: COMPLETED, 2 files\n$", output)
  end)

  it("tells each job when its script cannot be run", function()
    local output, status = run("thread_pool", { "2", room:write("script.lua", "return {}"), "a", "b" })
    assert.equal(1, status)
    assert.matches("a: failed: [^\n]*script.lua does not return a function\n.*b: failed: ", output)
    assert.equal(2, select(2, run("thread_pool", { "0", SCRIPT, "a" })))
  end)

  it("waits on after a signal that is to end nothing", function()
    local script = room:write(
      "script.lua",
      [[
        local llama_cloud = require("llama_cloud")
        return function()
          local signal = io.popen("sleep 0.1; kill -USR1 $PPID && echo sent")
          local till = require("llama_cloud.core").now() + 0.5
          llama_cloud.sleep(0.5)
          assert(require("llama_cloud.core").now() >= till)
          return signal:read("l")
        end
      ]]
    )
    assert.equal("a: sent\n", (run("thread_pool", { "1", script, "a" })))
  end)

  -- Each is ended whatever it does; the last job waits for a thread.
  for name, work in pairs {
    waits = "client.batches:get('bat-1')",
    ["waits again and again"] = "while true do pcall(llama_cloud.sleep, 60) end",
    ["has tasks that wait"] = "llama_cloud.run(function() llama_cloud.spawn(llama_cloud.sleep, 60) end)",
    computes = "while true do pcall(function() while true do end end) end",
    ["computes in a coroutine"] = "coroutine.wrap(function() while true do end end)()",
    ["waits in a coroutine"] = "coroutine.wrap(function() while true do pcall(llama_cloud.sleep, 60) end end)()",
  } do
    it("ends by a signal a job that " .. name, function()
      local s <close> = silent()
      local script = room:write(
        "script.lua",
        ([[
        local llama_cloud = require("llama_cloud")
        local client = llama_cloud.new()
        return function(name)
          io.stderr:write("begun\n")
          %s
          io.stderr:write("it has gone on", client, "\n")
        end
      ]]):format(work)
      )
      local output, status = terminate("thread_pool", { "1", script, "first", "second" }, s:url())
      assert.equal(1, status, output)
      assert.matches("^first: failed: .*stopped\nstack traceback:.*\nsecond: not done\n$", output)
    end)
  end
end)

describe("examples/embed/limits.c", function()
  local HOST = program.file("examples/embed/limits.lua")

  local function limited(seconds, script, url)
    return run("limits", { seconds, "8", HOST, room:write("script.lua", script) }, url)
  end

  it("gives a script what it may use, and nothing else", function()
    local s <close> = sandbox.start { batches = 40, seed = 3 }
    local output, status = limited(
      "30",
      [[
        local running = assert(batches.running())
        assert(#running > 0 and batches.get(running[1].id).status == "RUNNING")
        print(batches.get("bat-none"))
        string.format, string.gsub, table.concat = nil, nil, nil -- nobody else's
        assert(batches.get(running[1].id))
        local names = {}
        for _, name in ipairs { "io", "require", "debug", "load", "getmetatable", "package", "dofile", "xpcall" } do
          assert(_ENV[name] == nil, name)
        end
        assert(os.getenv == nil and os.execute == nil and string.dump == nil)
        print(pcall(setmetatable, {}, { __gc = print }))
        print(pcall(batches.get, 1))
        print(pcall(string.rep, "x", 1e9))
        print(#string.rep("x", 1e6))
      ]],
      s:url()
    )
    assert.equal(0, status, output)
    assert.matches("^nil\tllama_cloud: not_found: [^\n]*\n", output)
    assert.matches("\nfalse\t[^\n]*__gc is not allowed\nfalse\t[^\n]*get takes the id of a batch, a string\n", output)
    assert.matches("\nfalse\tnot enough memory\n1000000\n$", output)
  end)

  for name, script in pairs {
    ["a loop"] = "while true do end",
    ["a loop around pcall"] = "while true do pcall(function() while true do end end) end",
    ["a coroutine"] = [[
      local wrap = coroutine.wrap
      wrap(function() while true do pcall(wrap(function() while true do end end)) end end)()
    ]],
    ["a comparison"] = "table.sort({ 3, 2, 1 }, function() while true do end end)",
    ["a metamethod of its error"] = "error(setmetatable({}, { __tostring = function() while true do end end }))",
    ["a variable that is closed"] = "local x <close> = setmetatable({}, { __close = function() while 1 do end end })",
    ["calls"] = "while true do batches.get('bat-1') end",
  } do
    it("ends " .. name .. " that takes too long", function()
      local output, status = limited("0.1", script)
      assert.equal(1, status, output)
      assert.matches("the time limit of 0.1 seconds is over\nstack traceback:\n", output, 1, true)
    end)
  end

  it("ends a call that waits too long", function()
    local s <close> = silent()
    local output, status = limited("0.2", "batches.get('bat-1') while true do end", s:url())
    assert.equal(1, status, output)
    assert.matches("the time limit of 0.2 seconds is over", output, 1, true)
  end)

  it("ends a script that takes too much memory", function()
    local output, status = limited("30", "local t = {} for i = 1, 1e9 do t[i] = i .. 'x' end")
    assert.equal(1, status)
    assert.equal("limits: not enough memory\n", output)
  end)

  it("keeps answers small, which are not in Lua's memory", function()
    local s <close> = server.start { { body = '{"id":"' .. ("x"):rep(2000000) .. '"}' } }
    local output, status = limited("30", "print(batches.get('bat-1'))", s:url())
    assert.equal(0, status, output)
    assert.matches("^nil\tllama_cloud: too_large: ", output)
  end)

  it("takes no bytecode", function()
    local output, status = limited("1", string.dump(load("return 1")))
    assert.equal(1, status)
    assert.matches("attempt to load a binary chunk", output, 1, true)
  end)

  it("lets the system end what no hook sees", function()
    local script = room:write("script.lua", "print(('a'):rep(40):find(('a-'):rep(40) .. 'b'))")
    local without_core = 'ulimit -c 0; exec "$0" "$@"' -- that would lie in the checkout
    local output, status = run("/bin/sh", { "-c", without_core, assert(built("limits")), "0.1", "8", HOST, script })
    assert.equal(128 + 24, status, output) -- SIGXCPU
  end)
end)

describe("docs/embedding.md", function()
  local function read(name)
    local file <close> = assert(io.open(program.file(name)))
    return file:read("a")
  end

  it("shows C that is part of the examples", function()
    local examples = {}
    for _, name in ipairs { "poll_loop", "thread_pool", "limits" } do
      examples[#examples + 1] = read("examples/embed/" .. name .. ".c")
    end
    local count = 0
    for block in read("docs/embedding.md"):gmatch("\n```c\n(.-)```\n") do
      assert.truthy(table.concat(examples):find(block, 1, true), block)
      count = count + 1
    end
    assert.equal(5, count)
  end)

  it("is right about clients and their keys", function()
    local other <close> = server.start { { body = "{}" } }
    local client = require("llama_cloud").new { api_key = "llx-test", base_url = "http://127.0.0.1:1" }
    assert(client:with_options({ base_url = other:url() }):get("/x"))
    assert.equal("Bearer llx-test", other:requests()[1].headers.authorization)
  end)

  it("is right about where Lua calls no hooks", function()
    local strikes, finalized = 0, nil
    local function hook()
      strikes = strikes + 1
      error("struck", 0)
    end
    local function busy()
      local before = strikes
      local sum = 0
      for i = 1, 10000 do
        sum = sum + i
      end
      return strikes == before and sum
    end
    setmetatable({}, {
      __gc = function()
        debug.sethook(hook, "", 100)
        finalized = busy()
        debug.sethook()
      end,
    })
    collectgarbage()
    local handled
    local ok = xpcall(function()
      debug.sethook(hook, "", 100)
      busy()
    end, function()
      handled = busy()
    end)
    debug.sethook()
    assert.is_false(ok)
    assert.equal(1, strikes)
    assert.equal(50005000, finalized)
    assert.equal(50005000, handled)
  end)
end)

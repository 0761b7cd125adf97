-- The transport and the process around it: signals, fork, the end of the program, a name server that hangs.

local core = require("llama_cloud.core")
local process = require("spec.support.process")
local server = require("spec.support.server")
local support = require("spec.support.transport")

local slowdown = process.slowdown

-- What every chunk of a child process begins with.
local CHILD = [[
local core = require("llama_cloud.core")
local begin = core.now()
local t = core.transport()
local function elapsed() return core.now() - begin end
local function finish(token) while not token:done() do t:wait(10) t:step() end return token end
]]

describe("the transport and its process:", function()
  local s

  before_each(function()
    s = server.start([[return function(connection, request)
      connection:sleep(tonumber(request.path:match("[%d.]+")) or 0)
      connection:json(200, "{}")
    end]])
  end)

  after_each(function()
    s:stop()
  end)

  describe("a signal", function()
    it("ends a wait early, and Ctrl-C a wait of two hours", function()
      local begin = core.now()
      local output, well, status = process.run(CHILD .. [[
        local transfer = t:start { method = "GET", url = ... }
        local timer = t:timer(7200)
        io.write("waiting\n")
        io.flush()
        while true do
          io.write(tostring(t:wait(7200)), "\n")
          t:step()
        end]], { args = { s:url("/7200") }, before = ("(sleep %g; kill -INT $$) &"):format(slowdown) })
      assert.is_true(core.now() - begin < 30 * slowdown)
      assert.is_false(well)
      assert.equal(1, status)
      assert.matches("^waiting\n", output)
      assert.matches("interrupted!", output, 1, true)
      assert.matches("stack traceback", output)
    end)
  end)

  describe("after fork", function()
    local fork, t

    before_each(function()
      fork = process.fork()
      t = core.transport()
    end)

    after_each(function()
      t:close()
    end)

    -- Runs `f` in a child process; raises here what it raises there.
    local function in_child(f)
      local path = os.tmpname()
      local pid = fork.fork()
      if pid == 0 then
        local well, message = xpcall(f, debug.traceback)
        if not well then
          local file = io.open(path, "w")
          file:write(tostring(message))
          file:close()
        end
        fork.exit(well and 0 or 1)
      end
      local status, signal = fork.wait(pid)
      local file = assert(io.open(path))
      local message = file:read("a")
      file:close()
      os.remove(path)
      assert(status == 0, signal and "the child was ended by signal " .. signal or message)
    end

    it("the child cannot use what is the parent's", function()
      local transfer, timer = t:start { method = "GET", url = s:url("/60") }, t:timer(60)
      in_child(function()
        for _, call in ipairs { { "fd" }, { "step" }, { "next" }, { "wait", 0 }, { "count" }, { "timer", 1 } } do
          local well, message = pcall(t[call[1]], t, call[2])
          assert(not well and message:find("a transport of the parent process after fork", 1, true), message)
        end
        local well, message = pcall(t.start, t, { method = "GET", url = s:url() })
        assert(not well and message:find("after fork", 1, true), message)
        transfer:cancel()
        timer:cancel()
        assert(not transfer:done() and not timer:done())
      end)
    end)

    it("the child can have a transport of its own, and so can its child", function()
      in_child(function()
        local own = core.transport()
        assert(support.send(own, { url = s:url() }):outcome() == "response")
        in_child(function()
          assert(not pcall(own.step, own))
          local third = core.transport()
          assert(support.send(third, { url = s:url() }):outcome() == "response")
        end)
        assert(support.send(own, { url = s:url() }):outcome() == "response")
      end)
      assert.equal(3, s:count())
    end)

    -- What the child may do with the parent's handles, in every order.
    local endings = {
      ["nothing"] = function() end,
      ["collects everything"] = function(tokens)
        for i = #tokens, 1, -1 do
          tokens[i] = nil
        end
        t = nil
        collectgarbage()
        collectgarbage()
      end,
      ["closes the tokens, then the transport"] = function(tokens)
        for _, token in ipairs(tokens) do
          token:close()
          token:close()
        end
        t:close()
      end,
      ["closes the transport, then the tokens"] = function(tokens)
        t:close()
        for _, token in ipairs(tokens) do
          token:cancel()
          token:close()
        end
      end,
      ["closes some, the transport, the rest"] = function(tokens)
        for i = 1, #tokens, 2 do
          tokens[i]:close()
        end
        t:close()
        for _, token in ipairs(tokens) do
          token:close()
        end
      end,
    }
    for name, ending in pairs(endings) do
      it("the parent goes on whatever the child does: " .. name, function()
        t:max_concurrency(3)
        assert.equal("response", (support.send(t, { url = s:url() }):outcome()))
        local connections = s:connections()
        local tokens = {}
        for i = 1, 5 do -- three are under way, two queued, one with a deadline
          local deadline = i == 5 and 60 * slowdown or nil
          tokens[i] = t:start { method = "POST", body = "x", url = s:url("/0.5"), deadline = deadline }
        end
        tokens[6], tokens[7] = t:timer(0.1), t:timer(0)
        support.step_until(t, function()
          return tokens[7]:done() and s:count() >= 2
        end)
        in_child(function()
          ending(tokens)
        end)
        local ended = {}
        support.step_until(t, function()
          for token in t.next, t do
            ended[#ended + 1] = token
          end
          return #ended == 7
        end)
        for i = 1, 5 do
          assert.same({ "response", "" }, { tokens[i]:outcome() })
        end
        assert.equal(connections + 2, s:connections())
        assert.equal(6, s:count())
      end)
    end

    it("the parent's timer still goes off", function()
      local timer = t:timer(0.1)
      in_child(function()
        t = nil
        collectgarbage()
        collectgarbage()
      end)
      assert.is_true(t:wait(10))
      t:step()
      assert.equal(timer, t:next())
    end)
  end)

  describe("the end of a program", function()
    -- Everything that lua_close may find, in two orders of creation, with and without variables that hold it.
    local ENDING = CHILD
      .. [[
      local url, how = ...
      local other = core.transport()
      local held = {}
      t:max_concurrency(2)
      finish(t:start { method = "GET", url = url })
      for i = 1, 4 do
        held[#held + 1] = t:start { method = "POST", body = "x", url = url .. "60" }
        held[#held + 1] = t:timer(60)
        held[#held + 1] = other:start { method = "GET", url = url .. "60" }
      end
      held[#held + 1] = t:timer(0)
      for _ = 1, 20 do t:wait(0.01) t:step() other:step() end
      setmetatable({}, { __gc = function()
        for i, token in ipairs(held) do
          if i % 2 == 0 then token:cancel() else token:close() end
          assert(token:done())
        end
        if how == "transports" then t:close() other:close() end
        if how == "use" then assert(t:step()) assert(t:next()) t:timer(1):close() end
      end })
      if how == "error" then
        local transfer <close> = t:start { method = "GET", url = url .. "60" }
        error("as it should")
      elseif how == "coroutine" then
        for _ = 1, 3 do
          local co = coroutine.wrap(function()
            local transfer <close> = t:start { method = "GET", url = url .. "60" }
            coroutine.yield()
          end)
          co()
        end
      end
      print("well")
      if how == "close" then os.exit(true, true) end
      if how == "exit" then os.exit(true, false) end]]

    for _, how in ipairs { "", "transports", "use", "coroutine", "close", "exit" } do
      it("may come with transfers under way: " .. how, function()
        local begin = core.now()
        local output, well = process.run(ENDING, { args = { s:url("/"), how } })
        assert.equal("well\n", output)
        assert.is_true(well)
        assert.is_true(core.now() - begin < 10 * slowdown)
      end)
    end

    it("may come by an error", function()
      local output, _, status = process.run(ENDING, { args = { s:url("/"), "error" } })
      assert.matches("as it should", output)
      assert.equal(1, status)
    end)
  end)

  describe("a name server that hangs", function()
    -- 20 seconds; a machine under load must not make the difference.
    local LONG = 20

    local function hanging(chunk)
      local begin = core.now()
      local output, well = process.run(CHILD .. chunk, { preload = process.library("slow_getaddrinfo") })
      assert.is_true(well, output)
      local took = core.now() - begin
      assert.is_true(took < LONG * 0.75, ("the program took %g s"):format(took))
      return output
    end

    it("does hang", function()
      -- otherwise the rest of these would hold for nothing
      local output = hanging([[
        local transfer = t:start { method = "GET", url = "http://name.example/" }
        while elapsed() < 3 and not transfer:done() do t:wait(3 - elapsed()) t:step() end
        print(transfer:done())]])
      assert.equal("false\n", output)
    end)

    it("does not hold up the loading of the module", function()
      -- as curl_version(3) would do, for this machine's own name
      hanging([[require("llama_cloud")]])
    end)

    it("does not hold up a time-out, nor the exit of the program", function()
      local output = hanging([[
        for _, limit in ipairs { "timeout", "connect_timeout", "deadline" } do
          begin = core.now()
          local transfer = t:start { method = "GET", url = "http://name.example/", [limit] = 0.3 }
          finish(transfer)
          print((transfer:outcome()), elapsed() >= 0.29, elapsed() < 5, transfer:sent())
          transfer:close()
        end]])
      assert.equal(("timeout\ttrue\ttrue\tfalse\n"):rep(3), output)
    end)

    it("does not hold up a cancel, a close or the collector", function()
      local output = hanging([[
        local function start()
          local transfer = t:start { method = "GET", url = "http://name.example/" }
          for _ = 1, 5 do t:wait(0.02) t:step() end
          assert(not transfer:done())
          begin = core.now()
          return transfer
        end
        local transfer = start()
        transfer:cancel()
        print((transfer:outcome()), elapsed() < 2)
        t:next()
        start():close()
        print(elapsed() < 2)
        start()
        collectgarbage()
        collectgarbage()
        print((t:count()), elapsed() < 2)
        start()
        t:close()
        print(elapsed() < 2)]])
      assert.equal("cancelled\ttrue\ntrue\n0\ttrue\ntrue\n", output)
    end)

    it("does not hold up requests to others", function()
      local output = hanging(([[
        local stuck = t:start { method = "GET", url = "http://name.example/" }
        local transfer = finish(t:start { method = "GET", url = %q })
        print((transfer:outcome()), stuck:done(), elapsed() < 5)]]):format(s:url()))
      assert.equal("response\tfalse\ttrue\n", output)
    end)

    it("does not hold up a program that ends with lookups under way", function()
      hanging([[
        for i = 1, 5 do t:start { method = "GET", url = ("http://name-%d.example/"):format(i) } end
        for _ = 1, 5 do t:wait(0.02) t:step() end
        os.exit(true, true)]])
    end)
  end)
end)

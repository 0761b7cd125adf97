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

    it("the child makes the transport its own at its first use, and what is under way goes on in the parent", function()
      t:max_concurrency(2)
      assert.equal("response", (support.send(t, { url = s:url() }):outcome()))
      local tokens = {}
      for i = 1, 4 do -- two of them are queued, one with a deadline
        tokens[i] =
          t:start { method = "POST", body = "x", url = s:url("/0.5"), deadline = i == 4 and 60 * slowdown or nil }
      end
      tokens[5], tokens[6] = t:timer(0.3), t:timer(math.huge)
      support.step_for(t, 0.02)
      local fd, connections = t:fd(), s:connections()
      for _, first in ipairs { "fd", "step", "next", "wait", "count", "max_concurrency" } do
        in_child(function()
          assert(not tokens[1]:done() and not tokens[5]:done())
          t[first](t, first == "wait" and 0 or nil)
          assert(t:fd() == fd, "the descriptor is another")
          for i, token in ipairs(tokens) do
            assert(token:done())
            if i <= 4 then
              local kind, message = token:outcome()
              assert(kind == "cancelled" and message:find("forked", 1, true), message)
              assert(token:status() == 0 and token:body() == "")
            end
          end
          assert(t:wait(0))
          local taken = {}
          repeat
            t:step()
            local token = t:next()
            taken[token or 1] = true
          until not token
          for i = first == "next" and 2 or 1, 6 do
            assert(taken[tokens[i]], i)
          end
          assert(t:count() == 0 and not t:wait(0))
          assert(t:max_concurrency() == 2)
          -- and all of it works
          local before = s:connections()
          assert(support.send(t, { url = s:url() }):outcome() == "response")
          assert(s:connections() == before + 1, "the parent's connection was used")
          assert(support.finish(t, t:timer(0.01)):done())
        end)
      end
      in_child(function()
        tokens[1]:cancel()
        assert(tokens[1]:done() and tokens[6]:done())
        assert(t:start({ method = "GET", url = s:url() }):done() == false)
        tokens[2]:close()
        t:close()
      end)
      support.step_until(t, function()
        return tokens[1]:done() and tokens[2]:done() and tokens[3]:done() and tokens[4]:done() and tokens[5]:done()
      end)
      for i = 1, 4 do
        assert.same({ "response", "" }, { tokens[i]:outcome() })
      end
      assert.is_false(tokens[6]:done())
      assert.is_true(s:connections() - connections <= 8)
    end)

    it("neither process sees the other's tokens by the descriptor", function()
      local timer = t:timer(0.2 * slowdown)
      assert.is_true(t:fd() >= 0)
      in_child(function()
        local own = t:timer(0)
        assert(t:wait(10) and t:step())
        assert(own:done())
        while t:next() do
        end
        fork.exit(t:wait(0.5 * slowdown) and 1 or 0) -- the parent's timer goes off meanwhile
      end)
      assert.is_true(t:wait(10))
      t:step()
      assert.equal(timer, t:next())
      in_child(function()
        t:timer(0)
        t:step()
      end)
      assert.is_false(t:wait(0.05))
    end)

    it("the child's child makes it its own once more", function()
      assert.equal("response", (support.send(t, { url = s:url() }):outcome()))
      in_child(function()
        assert(support.send(t, { url = s:url() }):outcome() == "response")
        local mine = t:start { method = "GET", url = s:url("/0.2") }
        in_child(function()
          assert(support.send(t, { url = s:url() }):outcome() == "response")
          assert(mine:outcome() == "cancelled")
        end)
        assert(support.finish(t, mine):outcome() == "response")
      end)
      assert.equal("response", (support.send(t, { url = s:url() }):outcome()))
      assert.equal(5, s:count())
      assert.equal(3, s:connections())
    end)

    it("the child is told if there are no descriptors for that, and can try again", function()
      local timer = t:timer(60)
      in_child(function()
        local files = {}
        repeat
          files[#files + 1] = io.open("/dev/null")
        until not io.open("/dev/null")
        local well, message = pcall(t.step, t)
        assert(not well and message:find("no memory or no file descriptor left", 1, true), message)
        assert(not timer:done())
        for _, file in ipairs(files) do
          file:close()
        end
        t:step()
        assert(timer:done())
      end)
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

    it("does not hold up the lookup of another name, however many names it hangs on", function()
      local output = hanging(([[
        local stuck = {}
        for i = 1, 60 do stuck[i] = t:start { method = "GET", url = ("http://name-%%d.example/"):format(i) } end
        for _ = 1, 20 do t:wait(0.02) t:step() end
        begin = core.now()
        local transfer = finish(t:start { method = "GET", url = "http://quick.example:%d/" })
        print((transfer:outcome()), stuck[1]:done(), elapsed() < 5)]]):format(s.port))
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

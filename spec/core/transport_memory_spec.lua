-- The transport when memory or descriptors run out outside of Lua: every request still ends, and later ones are well.

local process = require("spec.support.process")
local server = require("spec.support.server")

-- Two requests and a timer on a transport of their own that lets one in at a time; what became of the requests.
local CHILD = [[
local url, library = ...
local core = require("llama_cloud.core")
local failing = library and assert(package.loadlib(library, "luaopen_failing"))()
local function outcome(transfer)
  local well, kind, message = pcall(transfer.outcome, transfer)
  return well and kind or kind:match("[^:]*$")
end
local function once(concurrency)
  local t <close> = core.transport()
  t:max_concurrency(concurrency)
  local begin = core.now()
  local first = t:start { method = "POST", url = url, body = "x", headers = { "X", "1" }, deadline = 60 }
  local second = t:start { method = "GET", url = url, deadline = 60 }
  local timer = t:timer(0.001)
  local ended = 0
  while ended < 3 do
    if core.now() - begin > 10 then os.exit(3) end
    t:wait(1)
    t:step()
    while t:next() do ended = ended + 1 end
  end
  return outcome(first), outcome(second)
end
local function well(concurrency)
  local first, second = once(concurrency)
  assert(first == "response" and second == "response", first .. second)
end
]]

describe("the transport", function()
  local s

  setup(function()
    s = server.start { { body = "{}" } }
  end)

  teardown(function()
    s:stop()
  end)

  local function run(chunk, options)
    options.args = { s:url(), options.preload }
    local output, _, status = process.run(CHILD .. chunk, options)
    assert.not_equal(3, status, "a request hangs")
    assert.equal(0, status, output)
    return output
  end

  it("survives that any one allocation fails", function()
    if os.getenv("LD_PRELOAD") then
      pending("a sanitizer has allocation functions of its own")
      return
    end
    local output = run(
      [[
      local expected = { response = true, connection = true, too_large = true, ["not enough memory"] = true }
      well(1)
      for concurrency = 1, 2 do
        local n, left = 0, nil
        repeat
          n = n + 1
          collectgarbage()
          failing.allocation(n)
          local done, first, second = pcall(once, concurrency)
          left = failing.allocation()
          if done then
            assert(expected[first] and expected[second], tostring(first) .. tostring(second))
          else
            assert(first:find("not enough memory") or first:find("no memory or no file descriptor"), first)
          end
        until left
        print(n)
        well(concurrency)
      end]],
      { preload = process.library("failing") }
    )
    local first, second = output:match("^(%d+)\n(%d+)\n$")
    assert.is_true(tonumber(first) > 50 and tonumber(second) > 50)
  end)

  it("goes on behind a socket that cannot be watched", function()
    local output = run(
      [[
      local failures = 0
      for concurrency = 1, 2 do
        for n = 2, 8 do -- the first is the poller's own timer
          failing.watch(n)
          for _, kind in ipairs { once(concurrency) } do
            if kind ~= "response" then
              failures = failures + 1
              assert(kind == "not enough memory", kind)
            end
          end
          failing.watch(1000000)
          well(concurrency)
        end
        failing.watch(1)
        local done, message = pcall(core.transport)
        assert(not done and message:find("no memory or no file descriptor"), message)
      end
      print(failures > 0)]],
      { preload = process.library("failing") }
    )
    assert.equal("true\n", output)
  end)

  it("survives that descriptors run out", function()
    local output = run(
      [[
      local files = {}
      local transports = { core.transport() }
      while true do
        local file = io.open("/dev/null")
        if not file then break end
        files[#files + 1] = file
      end
      local done, message = pcall(core.transport)
      print(done, message:match("no memory or no file descriptor left"))
      local t = transports[1]
      local transfer = t:start { method = "GET", url = url }
      while not transfer:done() do t:wait(10) t:step() end
      print((transfer:outcome()), transfer:sent())
      for _, file in ipairs(files) do file:close() end
      transfer = t:start { method = "GET", url = url }
      while not transfer:done() do t:wait(10) t:step() end
      print((transfer:outcome()))]],
      { before = "ulimit -n 40;" }
    )
    assert.equal("false\tno memory or no file descriptor left\nconnection\tfalse\nresponse\n", output)
  end)

  it("replaces no file by one that the file system could not keep when it was closed", function()
    local output = run(
      [[
      local path = os.tmpname()
      for n = 1, 2 do -- by a response; by commit
        local output <close> = core.output(path)
        local t <close> = core.transport()
        local transfer = t:start { method = "GET", url = url, output = output }
        if n == 1 then failing.close(1) end
        while not transfer:done() do t:wait(10) t:step() end
        if n == 2 then failing.close(1) end
        print(transfer:outcome() == "response", output:commit())
        print(io.open(path):read("a") == "", output:reset(), output:received())
      end
      os.remove(path)]],
      { preload = process.library("failing") }
    )
    local failed = "true\tnil\tcannot write 'X': Input/output error\ntrue\ttrue\t0\n"
    assert.equal(failed:rep(2), (output:gsub("'[^\n]*'", "'X'")))
  end)
end)

-- Outputs: bodies that go into files, what is in them when a response is cut off, and what is left behind.

local core = require("llama_cloud.core")
local files = require("spec.support.files")
local lfs = require("lfs")
local process = require("spec.support.process")
local server = require("spec.support.server")
local support = require("spec.support.transport")

local slowdown = process.slowdown

local TEXT = ("0123456789abcdef"):rep(20000)

-- The file that is served. `args.gzip` is the same as gzip packs it.
local SERVER = [[
local text = ("0123456789abcdef"):rep(20000)
local function part(from, to) return text:sub(from + 1, to + 1) end
local answers = {
  ["/whole"] = function(c) c:respond(200, {}, text) end,
  ["/empty"] = function(c) c:respond(200, {}, "") end,
  ["/nothing"] = function(c) c:respond(204) end,
  ["/chunked"] = function(c) c:chunked(200, {}, { part(0, 99), part(100, 150000), part(150001, #text) }) end,
  ["/chunked-cut"] = function(c)
    c:raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n567")
    c:close()
  end,
  ["/fewer"] = function(c) c:respond(200, { ["Content-Length"] = #text }, part(0, 99999)) c:close() end,
  ["/more"] = function(c) c:respond(200, { ["Content-Length"] = 100000 }, text) c:close() end,
  ["/gzip"] = function(c) c:respond(200, { ["Content-Encoding"] = "gzip" }, args.gzip) end,
  ["/gzip-cut"] = function(c)
    c:respond(200, { ["Content-Encoding"] = "gzip", ["Content-Length"] = #args.gzip }, args.gzip:sub(1, -20))
    c:close()
  end,
  ["/gzip-short"] = function(c) c:respond(200, { ["Content-Encoding"] = "gzip" }, args.gzip:sub(1, -20)) end,
  ["/unknown"] = function(c) c:respond(200, { ["Content-Encoding"] = "br" }, text) end,
  ["/missing"] = function(c) c:respond(404, {}, text) end,
  ["/moved"] = function(c) c:respond(302, { Location = "/whole" }, "moved") end,
  ["/slow"] = function(c)
    c:head(200, { ["Content-Length"] = #text })
    c:raw(part(0, 99999))
    c:sleep(60)
  end,
  ["/range"] = function(c, request)
    local spec, from, to = request.headers["x-range"], request.query:match("^(%d+)-(%d+)$")
    local encoding = request.headers["x-encoding"]
    c:respond(206, { ["Content-Range"] = spec, ["Content-Encoding"] = encoding }, part(tonumber(from), tonumber(to)))
  end,
  ["/range-cut"] = function(c, request)
    c:respond(206, { ["Content-Range"] = request.headers["x-range"], ["Content-Length"] = #text - 100000 },
      part(100000, 199999))
    c:close()
  end,
}
return function(connection, request)
  answers[request.path](connection, request)
end]]

describe("an output", function()
  local s, t, room

  setup(function()
    local where = files.new()
    where:write("text", TEXT)
    os.execute(("gzip -f '%s'"):format(where:path("text")))
    s = server.start(SERVER, { args = { gzip = where:read("text.gz") } })
    where:remove()
  end)

  teardown(function()
    s:stop()
  end)

  before_each(function()
    room = files.new()
    t = core.transport()
  end)

  after_each(function()
    t:close()
    collectgarbage()
    collectgarbage()
    assert.equal(0, room:open())
    room:remove()
  end)

  local function get(output, path, more)
    local request = { method = "GET", url = s:url(path), output = output, timeout = 60 * slowdown }
    for name, value in pairs(more or {}) do
      request[name] = value
    end
    return support.finish(t, t:start(request))
  end

  local function fetch(path, more)
    local output = assert(core.output(room:path("a")))
    return output, get(output, path, more)
  end

  -- What is in the one that is not committed.
  local function within()
    local names = room:list()
    return #names == 1 and room:read(names[1])
  end

  local function mode(name)
    return lfs.attributes(room:path(name), "permissions")
  end

  describe("gets", function()
    it("the body of a 2xx, and nothing of it is in memory", function()
      for path, bytes in pairs {
        ["/whole"] = TEXT,
        ["/chunked"] = TEXT,
        ["/gzip"] = TEXT,
        ["/empty"] = "",
        ["/nothing"] = "",
        ["/more"] = TEXT:sub(1, 100000),
      } do
        local output, transfer = fetch(path, { max_response_bytes = 10 })
        assert.same({ "response", "" }, { transfer:outcome() })
        assert.equal("", transfer:body())
        assert.equal(#bytes, output:received())
        local _, _, received, to_receive = transfer:progress()
        assert.equal(#bytes, received)
        if path == "/whole" then
          assert.equal(#bytes, to_receive)
        elseif path ~= "/more" then
          assert.is_nil(to_receive)
        end
        assert.is_true(within() == bytes)
        assert.is_true(output:commit())
        assert.same({ "a" }, room:list())
        assert.is_true(room:read("a") == bytes)
        assert.equal(#bytes, output:received())
        os.remove(room:path("a"))
      end
    end)

    it("no other body, and is then what it was", function()
      local output, transfer = fetch("/whole")
      assert.equal("response", (transfer:outcome()))
      for path, status in pairs { ["/missing"] = 404, ["/moved"] = 302 } do
        transfer = get(output, path)
        assert.equal(status, transfer:status())
        assert.is_true(transfer:body() == (status == 404 and TEXT or "moved"))
        assert.equal(#TEXT, output:received())
      end
      assert.equal("too_large", (get(output, "/missing", { max_response_bytes = 1000 }):outcome()))
      transfer = get(output, "/whole", { method = "HEAD" })
      assert.same({ 200, "" }, { transfer:status(), transfer:body() })
      assert.is_true(within() == TEXT)
    end)

    it("what has come before a response is cut off", function()
      for path, bytes in pairs { ["/fewer"] = TEXT:sub(1, 100000), ["/chunked-cut"] = "01234567" } do
        local output, transfer = fetch(path)
        assert.equal("connection", (transfer:outcome()))
        assert.equal(#bytes, output:received())
        assert.equal(bytes, within())
        output:close()
      end
      local output, transfer = fetch("/slow", { stall_timeout = 0.2 })
      assert.same({ "timeout", "no byte was sent or received for 0.2 s" }, { transfer:outcome() })
      assert.equal(100000, output:received())
      assert.same({ 0, 0, 100000, #TEXT }, { transfer:progress() })
    end)

    it("nothing of an encoded one that is not whole", function()
      local kinds = { ["/gzip-cut"] = "connection", ["/gzip-short"] = "connection", ["/unknown"] = "encoding" }
      for path, kind in pairs(kinds) do
        local output, transfer = fetch(path)
        assert.equal(kind, (transfer:outcome()))
        assert.equal(0, output:received())
        assert.equal("", within())
        output:close()
      end
    end)

    it("a 200 anew, whatever was asked for", function()
      local output = fetch("/fewer")
      local transfer = get(output, "/whole", { headers = { "Range", "bytes=100000-" } })
      assert.equal("response", (transfer:outcome()))
      assert.is_true(within() == TEXT)
    end)
  end)

  describe("goes on", function()
    local last = #TEXT - 1

    -- A body of bytes FROM to TO that is called `range`, after the first 100,000 bytes.
    local function go_on(query, range)
      local output = fetch("/fewer")
      local transfer = get(output, "/range?" .. query, { headers = { "X-Range", range } })
      return output, transfer
    end

    it("with a 206 that begins where it ends", function()
      for _, range in ipairs { "bytes 100000-%d/%d", "BYTES 100000-%d/*" } do
        local output, transfer = go_on(("100000-%d"):format(last), range:format(last, #TEXT))
        assert.same({ "response", "" }, { transfer:outcome() })
        assert.equal(#TEXT, output:received())
        local _, _, received, to_receive = transfer:progress()
        assert.same({ #TEXT, #TEXT }, { received, to_receive })
        assert.is_true(within() == TEXT)
        output:close()
      end
    end)

    it("with one that is called encoded, and is not; not with one that is", function()
      local range = ("bytes 100000-%d/%d"):format(last, #TEXT)
      for encoding, kind in pairs { ["aws-chunked"] = "response", [""] = "response", gzip = "connection" } do
        local output = fetch("/fewer")
        local headers = { "X-Range", range, "X-Encoding", encoding }
        local transfer = get(output, ("/range?100000-%d"):format(last), { headers = headers })
        assert.equal(kind, (transfer:outcome()))
        assert.equal(kind == "response" and #TEXT or 0, output:received())
        output:close()
      end
    end)

    it("with one that is cut off, and with the next", function()
      local output = fetch("/fewer")
      local transfer =
        get(output, "/range-cut", { headers = { "X-Range", ("bytes 100000-%d/%d"):format(last, #TEXT) } })
      assert.equal("connection", (transfer:outcome()))
      assert.equal(200000, output:received())
      local range = { "X-Range", ("bytes 200000-%d/%d"):format(last, #TEXT) }
      transfer = get(output, ("/range?200000-%d"):format(last), { headers = range })
      assert.equal("response", (transfer:outcome()))
      assert.is_true(within() == TEXT)
    end)

    it("not with one that ends before the whole does", function()
      local output, transfer = go_on("100000-199999", ("bytes 100000-199999/%d"):format(#TEXT))
      assert.equal("connection", (transfer:outcome()))
      assert.matches("does not reach its end", (select(2, transfer:outcome())))
      assert.equal(200000, output:received())
      assert.is_true(within() == TEXT:sub(1, 200000))
    end)

    it("not with one that is another part than it says, or that does not fit: it begins anew", function()
      for _, range in ipairs {
        "bytes 0-%d/%d",
        "bytes 100001-%d/%d",
        "bytes 100000-99999/%d",
        "bytes 100000-%d/200000",
        "bytes */%d",
        "bytes 100000-%d",
        "bytes -%d/%d",
        "bytes 100000-%d/%dx",
        "items 100000-%d/%d",
        "bytes 1000000000000000000000-%d/%d",
        "",
        false,
      } do
        local output, transfer = go_on(("100000-%d"):format(last), range and range:format(last, #TEXT))
        assert.same({
          "connection",
          "the response is a part of the file that does not fit what has arrived so far",
        }, { transfer:outcome() })
        assert.equal(0, output:received())
        output:close()
      end
      local output, transfer = go_on("100000-199999", ("bytes 100000-%d/%d"):format(last, #TEXT))
      assert.equal("connection", (transfer:outcome()))
      output:close()
      output, transfer = go_on(("100000-%d"):format(last), "bytes 100000-100004/100005")
      assert.equal("connection", (transfer:outcome()))
      assert.equal(0, output:received())
    end)
  end)

  describe("replaces what was there when it is committed, and not before:", function()
    it("its mode stays; without one it has that of a new file", function()
      local old = room:write("a", "old")
      os.execute(("chmod 640 '%s'"):format(old))
      local output = fetch("/whole")
      local names = room:list()
      assert.equal(2, #names)
      assert.equal("rw-------", mode(names[1]))
      assert.equal("old", room:read("a"))
      assert.is_true(output:commit())
      assert.is_true(room:read("a") == TEXT)
      assert.equal("rw-r-----", mode("a"))
      output:close()
      assert.same({ "a" }, room:list())

      room:write("b", "") -- as the umask of this process has it
      output = core.output(room:path("c"))
      assert.is_true(output:commit())
      assert.equal(mode("b"), mode("c"))
      for _, call in ipairs { "commit", "reset" } do
        assert.error_matches(function()
          output[call](output)
        end, "closed output")
      end
      assert.error_matches(function()
        t:start { method = "GET", url = s:url("/whole"), output = output }
      end, "closed output")
    end)

    it("with the umask of the process", function()
      local output, well = process.run(
        [[local core = require("llama_cloud.core")
        assert(core.output(...):commit())]],
        { args = { room:path("a") }, before = "umask 027;" }
      )
      assert.is_true(well, output)
      assert.equal("rw-r-----", mode("a"))
    end)

    it("wherever the process has gone meanwhile", function()
      local before = lfs.currentdir()
      finally(function()
        lfs.chdir(before)
      end)
      lfs.chdir(room.directory)
      local output = core.output("a")
      local discarded = core.output("./b")
      lfs.chdir("/")
      assert.is_true(output:commit())
      discarded:close()
      assert.same({ "a" }, room:list())
    end)

    it("where symbolic links lead, whether there is something or not", function()
      assert(lfs.mkdir(room:path("d")))
      room:write("d/old", "")
      lfs.link("d/old", room:path("one"), true)
      lfs.link(room:path("two"), room:path("d/three"), true)
      lfs.link("d/new", room:path("two"), true)
      lfs.link("loop", room:path("loop"), true)
      lfs.link("/dev/null", room:path("null"), true)
      for link, name in pairs { one = "old", ["d/three"] = "new" } do
        local output = core.output(room:path(link))
        get(output, "/whole")
        assert.is_true(output:commit())
        assert.equal("link", lfs.symlinkattributes(room:path(link), "mode"))
        assert.is_true(room:read("d/" .. name) == TEXT)
      end
      assert.same({ "d", "loop", "null", "one", "two" }, room:list())
      for link, why in pairs { loop = "Too many levels of symbolic links", null = "it is no regular file" } do
        local message = ("cannot write '%s': %s"):format(room:path(link), why)
        assert.same({ nil, message }, { core.output(room:path(link)) })
      end
    end)

    it("though it holds no descriptor but while somebody writes", function()
      local output = assert(core.output(room:path("a")))
      assert.equal(0, room:open())
      local transfer = t:start { method = "GET", url = s:url("/slow"), output = output }
      support.step_until(t, function()
        return output:received() > 0
      end)
      assert.equal(1, room:open())
      transfer:cancel()
      assert.equal(0, room:open())
      get(output, "/whole")
      assert.equal(0, room:open())
      assert.is_true(output:commit())
      assert.is_true(room:read("a") == TEXT)
    end)

    it("not where the temporary file is another one by now", function()
      local output = fetch("/whole")
      local name = room:list()[1]
      room:write("other", "text")
      assert(os.rename(room:path("other"), room:path(name)))
      local why = "the temporary file was replaced by another one"
      assert.same({ nil, ("cannot write '%s': %s"):format(room:path("a"), why) }, { output:commit() })
      output:close()
    end)

    it("not where a directory has taken its place", function()
      local output = fetch("/whole")
      assert(lfs.mkdir(room:path("a")))
      local message = ("cannot write '%s': it is no regular file any more"):format(room:path("a"))
      assert.same({ nil, message }, { output:commit() })
      output:close()
      assert.same({ "a" }, room:list())
    end)
  end)

  it("is written by one response at a time, and by nobody else meanwhile", function()
    local output = core.output(room:path("a"))
    local transfer = t:start { method = "GET", url = s:url("/slow"), output = output }
    support.step_until(t, function()
      return output:received() == 100000
    end)
    local message = ("cannot write '%s': a response is being written into it"):format(room:path("a"))
    assert.same({ "file", message }, { get(output, "/whole"):outcome() })
    assert.same({ nil, message }, { output:reset() })
    assert.same({ nil, message }, { output:commit() })
    assert.is_true(within() == TEXT:sub(1, 100000))
    transfer:close()
    assert.equal("response", (get(output, "/whole"):outcome()))
    assert.is_true(output:reset())
    assert.is_true(output:commit())
  end)

  describe("is refused", function()
    it("where it cannot be written", function()
      room:write("a", "")
      os.execute("mkfifo '" .. room:path("pipe") .. "'")
      lfs.link(room.directory, room:path("link"), true)
      for path, why in pairs {
        [room.directory] = "Is a directory",
        [room.directory .. "/"] = "Is a directory",
        [room:path("link")] = "Is a directory",
        [room:path("none/x")] = "its directory does not exist",
        [room:path("a/x")] = "Not a directory",
        [room:path("pipe")] = "it is no regular file",
        ["/dev/null"] = "it is no regular file",
        ["/proc/x"] = "No such file or directory",
        [""] = "No such file or directory",
        [room:path(("x"):rep(256))] = "File name too long",
      } do
        local output, message = core.output(path)
        assert.is_nil(output)
        assert.matches("^cannot write '.*': " .. why .. "$", message)
      end
      assert.equal(3, #room:list())
      assert.error_matches(function()
        core.output("a\0b")
      end, "contains a NUL")
      assert.error_matches(function()
        t:start { method = "GET", url = s:url("/"), output = io.stdout }
      end, "must be one that core.output has made")
    end)

    it("where the process may not write", function()
      if os.execute("test $(id -u) = 0") then
        return
      end
      os.execute("chmod 500 '" .. room.directory .. "'")
      local _, message = core.output(room:path("a"))
      os.execute("chmod 700 '" .. room.directory .. "'")
      assert.matches("Permission denied", message)
    end)
  end)

  describe("leaves nothing behind when it is", function()
    it("closed, in any order, or left by an error", function()
      local output = fetch("/whole")
      output:close()
      output:close()
      assert.matches("closed", tostring(output))
      assert.same({}, room:list())
      pcall(function()
        local inner <close> = core.output(room:path("a"))
        assert.equal(1, #room:list())
        error(inner)
      end)
      assert.same({}, room:list())
      fetch("/fewer")
      collectgarbage()
      collectgarbage()
      assert.same({}, room:list())
    end)

    it("closed while it is written: whoever writes it fails", function()
      local output = core.output(room:path("a"))
      local transfer = t:start { method = "GET", url = s:url("/whole"), output = output }
      output:close()
      support.finish(t, transfer)
      assert.same(
        { "file", ("cannot write '%s': the output is closed"):format(room:path("a")) },
        { transfer:outcome() }
      )
      assert.same({}, room:list())
    end)

    it("cancelled", function()
      local output = core.output(room:path("a"))
      local transfer = t:start { method = "GET", url = s:url("/slow"), output = output }
      support.step_until(t, function()
        return output:received() == 100000
      end)
      transfer:cancel()
      assert.equal("cancelled", (transfer:outcome()))
      assert.equal(100000, output:received())
      transfer:close()
      output:close()
      assert.same({}, room:list())
    end)

    it("still there when the program ends", function()
      for _, ending in ipairs {
        "",
        "error('x')",
        "os.exit(0, true)",
        "setmetatable({}, { __gc = function() o = core.output(path) end })",
      } do
        process.run(
          ([[local core = require("llama_cloud.core")
          local t = core.transport()
          path = ...
          local a, b = assert(core.output(path)), core.output(path .. "2")
          local transfer = t:start { method = "GET", url = %q, output = a }
          for _ = 1, 10 do t:wait(0.05) t:step() end
          assert(a:received() > 0)
          %s]]):format(s:url("/slow"), ending),
          { args = { room:path("a") } }
        )
        assert.same({}, room:list())
      end
    end)

    it("and a forked process changes nothing of its parent's", function()
      local fork = process.fork()
      local output = core.output(room:path("a"))
      local transfer = t:start { method = "GET", url = s:url("/slow"), output = output }
      support.step_until(t, function()
        return output:received() == 100000
      end)
      for _, ending in ipairs {
        function()
          output:close()
        end,
        function()
          output = nil
          collectgarbage()
          collectgarbage()
        end,
        function()
          t:step()
          transfer:close()
          output:close()
        end,
        function()
          assert(not output:reset())
          assert(not output:commit())
        end,
        function()
          local begun = t:start { method = "GET", url = s:url("/whole"), output = output }
          support.finish(t, begun)
          local kind, message = begun:outcome()
          assert(kind == "file" and message:find("forked", 1, true), message)
        end,
      } do -- stylua: ignore
        local pid = fork.fork()
        if pid == 0 then
          fork.exit(pcall(ending) and 0 or 1)
        end
        assert.equal(0, (fork.wait(pid)))
        assert.equal(100000, #within())
      end
      assert.is_false(transfer:done())
    end)
  end)

  describe("ends an attempt for good when the disk is full:", function()
    it("by the limit of the process, whose signal does no harm", function()
      local output, well = process.run(
        ([[local core = require("llama_cloud.core")
        local t = core.transport()
        local o = core.output(...)
        local transfer = t:start { method = "GET", url = %q, output = o }
        while not transfer:done() do t:wait(10) t:step() end
        print(transfer:outcome())
        print(o:received(), transfer:status())]]):format(s:url("/whole")),
        { args = { room:path("a") }, before = "ulimit -f 100; " }
      )
      assert.is_true(well, output)
      local first, second = output:match("^(.-)\n(.-)\n$")
      assert.equal(("file\tcannot write '%s': File too large\tnil\tnil"):format(room:path("a")), first)
      assert.matches("^%d+\t200$", second)
      assert.same({}, room:list())
    end)

    it("by its size", function()
      local mounted = os.execute(("mount -t tmpfs -o size=64k none '%s' 2>/dev/null"):format(room.directory))
      if not mounted then
        return
      end
      finally(function()
        os.execute(("umount -l '%s'"):format(room.directory))
      end)
      local output, transfer = fetch("/whole", { repeatable = true })
      local message = ("cannot write '%s': No space left on device"):format(room:path("a"))
      assert.same({ "file", message }, { transfer:outcome() })
      output:close()
      assert.same({}, room:list())
    end)
  end)

  it("may be one of many at once", function()
    local outputs, tokens = {}, {}
    for i = 1, 20 do
      outputs[i] = core.output(room:path(i))
      tokens[i] = t:start(core.profile {}, "GET", s:url("/whole"), {}, nil, true, nil, nil, 60, outputs[i])
    end
    for i = 1, 20 do
      support.finish(t, tokens[i])
      assert.is_true(outputs[i]:commit())
      assert.is_true(room:read(i) == TEXT)
    end
  end)
end)

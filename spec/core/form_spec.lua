-- Forms: their bytes, the file that they stream, and what becomes of both when a request does not go through.

local certificates = require("spec.support.certificates")
local core = require("llama_cloud.core")
local files = require("spec.support.files")
local process = require("spec.support.process")
local server = require("spec.support.server")
local support = require("spec.support.transport")

local slowdown = process.slowdown

-- More than the sockets of both sides take before the server reads any of it.
local LARGE = 16 << 20

-- What a server sees of a form, with B for the boundary.
local function seen(request)
  local boundary = assert(request.headers["content-type"]:match("^multipart/form%-data; boundary=(%S+)$"))
  return (request.body:gsub(boundary:gsub("%p", "%%%0"), "B"))
end

-- The same as it has to be: text parts, then the file.
local function expected(texts, file, bytes)
  local parts = {}
  for _, text in ipairs(texts) do
    parts[#parts + 1] = ('--B\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'):format(text[1], text[2])
  end
  return ('%s--B\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\nContent-Type: %s\r\n\r\n'):format(
    table.concat(parts),
    file.part,
    file.name,
    file.type
  ) .. bytes .. "\r\n--B--\r\n"
end

describe("a form", function()
  local t, s, room

  before_each(function()
    room = files.new()
    t = core.transport()
  end)

  after_each(function()
    t:close()
    if s then
      s:stop()
      s = nil
    end
    room:remove()
  end)

  local function form_of(path, texts)
    local file = { part = "upload_file", name = "a.pdf", type = "application/pdf", path = path }
    return assert(core.form { text = texts, file = file })
  end

  local function post(form, more)
    local request = { method = "POST", url = s:url(), body = form, timeout = 60 * slowdown }
    for name, value in pairs(more or {}) do
      request[name] = value
    end
    return request
  end

  -- A server that reads the head of a request, and then does what the script says.
  local function on_head(script, options)
    s = server.start(
      ([[local n = 0
      return function(connection, request) connection:json(200, #request.body) end, function(connection)
        local head = connection:take_until("\r\n\r\n")
        if not head then return end
        n = n + 1
        connection:note { method = "POST", target = "/", headers = {} }
        local length = tonumber(head:match("Content.Length: ([0-9]+)"))
        %s
        connection:close()
      end]]):format(script),
      options
    )
  end

  describe("on the wire", function()
    before_each(function()
      s = server.start { { status = 200, body = "{}" } }
    end)

    it("has its text parts in order, then the file, and its length", function()
      local bytes = ("%PDF-1.7\r\n--B\0\xff"):rep(3)
      local texts = {
        { "display_name", 'a "quoted"\r\nname, Übung %22' },
        { 'we"ird\r\nname', "" },
        { "metadata", '{"k":"v"}\0' },
      }
      local file = { part = "upload_file", name = 'x"y\r\n%22\\..é.pdf', type = "application/pdf" }
      file.path = room:write("a", bytes)
      local form = core.form { text = texts, file = file }
      assert.equal(#bytes, form:bytes())
      local transfer = support.finish(t, t:start(post(form)))
      assert.same({ "response", "" }, { transfer:outcome() })
      assert.same({ #bytes, #bytes, 2, 2 }, { transfer:progress() })
      assert.is_true(transfer:sent())
      local request = s:requests()[1]
      texts[2][1], file.name = "we%22ird%0D%0Aname", "x%22y%0D%0A%22\\..é.pdf"
      assert.equal(expected(texts, file, bytes), seen(request))
      assert.equal(tostring(#request.body), request.headers["content-length"])
      assert.is_nil(request.headers.expect)
      assert.is_nil(request.headers["transfer-encoding"])
    end)

    it("may be of bytes, of a file alone, of any size", function()
      local file = { part = "file", name = "b", type = "text/plain" }
      for _, bytes in ipairs { "", "x", ("0123456789"):rep(30000), ("z"):rep(65536) } do
        for _, source in ipairs { "data", "path" } do
          file.data, file.path = nil, nil
          file[source] = source == "data" and bytes or room:write("b", bytes)
          local form = core.form { file = file }
          for _ = 1, 2 do -- any number of times
            local transfer = support.finish(t, t:start(post(form, { repeatable = true })))
            assert.equal("response", (transfer:outcome()))
            assert.is_true(transfer:sent())
            assert.is_true(seen(s:requests()[s:count()]) == expected({}, file, bytes))
          end
        end
      end
      assert.equal(1, s:connections())
      assert.equal(0, room:open())
    end)

    it("is sent by profiles, too, with any method that has a body", function()
      local form = form_of(room:write("a", "bytes"))
      local profile = core.profile {}
      for _, method in ipairs { "POST", "PUT", "PATCH" } do
        local transfer = support.finish(t, t:start(profile, method, s:url(), {}, form, true, nil, nil, 60))
        assert.equal("response", (transfer:outcome()))
        local request = s:requests()[s:count()]
        assert.equal(method, request.method)
        assert.matches("bytes\r\n%-%-B%-%-\r\n$", seen(request))
      end
    end)
  end)

  it("is checked", function()
    local good = { part = "f", name = "n", type = "t/t", data = "" }
    local function with(field, value)
      local file = {}
      for name, old in pairs(good) do
        file[name] = old
      end
      file[field] = value
      return { file = file }
    end
    for _, case in ipairs {
      { "table expected", nil },
      { "field 'file' of a form must be a table", {} },
      { "field 'text' of a form must be a table", { text = 1, file = good } },
      { "a text of a form must be a table", { text = { "a" }, file = good } },
      { "a text's name of a form must be a string", { text = { { 1, "v" } }, file = good } },
      { "a text of a form must be a string", { text = { { "n" } }, file = good } },
      { "a text's name of a form contains a NUL", { text = { { "n\0", "v" } }, file = good } },
      { "part of a form must be a string", with("part", 1) },
      { "name of a form must be a string", with("name", false) },
      { "name of a form contains a NUL", with("name", "a\0") },
      { "the name of a form's file is empty", with("name", "") },
      { "the type of a form's file contains CR or LF", with("type", "a/b\r\nX: y") },
      { "data of a form must be a string", with("data", 1) },
      { "path of a form must be a string", with("data", nil) },
    } do
      assert.error_matches(function()
        core.form(case[2])
      end, case[1], nil, true)
    end
    assert.is_false(getmetatable(core.form(with("data", "x"))))
    assert.error_matches(function()
      t:start { method = "POST", url = "http://127.0.0.1/", body = t }
    end, "must be a string or a form", nil, true)
  end)

  it("is of a regular file that can be read", function()
    local function form_of_file(path)
      return core.form { file = { part = "f", name = "n", type = "t/t", path = path } }
    end
    local path = room:write("a", "12345")
    assert.equal(5, form_of_file(path):bytes())
    os.execute("mkfifo '" .. room:path("pipe") .. "'")
    for name, why in pairs {
      [room.directory] = "Is a directory",
      [room:path("none")] = "No such file or directory",
      [room:path("a/b")] = "Not a directory",
      [room:path("pipe")] = "it is no regular file",
      ["/dev/zero"] = "it is no regular file",
      [""] = "No such file or directory",
    } do
      assert.same({ nil, ("cannot read '%s': %s"):format(name, why) }, { form_of_file(name) })
    end
    local _, message = form_of_file(("x/"):rep(500) .. "the-end")
    assert.matches("^cannot read '%.%.%.[x/]*/the%-end': ", message)
    _, message = form_of_file(("\u{e9}x/"):rep(500) .. "x-end") -- of which a letter would be cut in two
    assert.matches("^cannot read '%.%.%.x/\u{e9}x/", message)
    assert.error_matches(function()
      form_of_file(path .. "\0")
    end, "contains a NUL")
    assert.equal(0, room:open())
  end)

  describe("has its file open while it is sent, and no longer:", function()
    local form

    before_each(function()
      on_head([[connection:sleep(60)]])
      form = form_of(room:sparse("a", LARGE))
      t:max_concurrency(2)
    end)

    local function start(n)
      local tokens = {}
      for i = 1, n do
        tokens[i] = t:start(post(form))
      end
      support.step_until(t, function()
        return s:count() >= math.min(n, 2)
      end)
      return tokens
    end

    it("what is queued has none, what is cancelled or closed gives it back", function()
      local tokens = start(4)
      assert.equal(2, room:open())
      local sent, to_send = tokens[1]:progress()
      assert.is_true(sent > 0 and sent < LARGE and to_send == LARGE)
      assert.same({ 0, LARGE, 0 }, { tokens[3]:progress() })
      tokens[4]:cancel()
      assert.equal(2, room:open())
      tokens[1]:cancel()
      assert.same({ "cancelled", "cancelled" }, { tokens[1]:outcome() })
      assert.is_false(tokens[1]:sent())
      assert.equal(2, room:open()) -- another one has begun
      tokens[2]:close()
      assert.same({}, { tokens[2]:progress() })
      assert.equal(1, room:open())
      tokens[3] = nil
      collectgarbage()
      collectgarbage()
      assert.equal(0, room:open())
    end)

    it("a transport that is closed", function()
      local tokens = start(3)
      t:close()
      assert.is_true(tokens[1]:done())
      assert.equal(0, room:open())
    end)

    it("a time-out, a stall", function()
      local transfer = t:start(post(form, { stall_timeout = 0.2 }))
      local other = t:start(post(form, { timeout = 0.5 }))
      support.finish(t, transfer)
      assert.same({ "timeout", "no byte was sent or received for 0.2 s" }, { transfer:outcome() })
      assert.is_false(transfer:sent())
      support.finish(t, other)
      assert.equal("timeout", (other:outcome()))
      assert.equal(0, room:open())
    end)

    it("a forked process leaves the parent's alone", function()
      local fork = process.fork()
      local tokens = start(3)
      for _, ending in ipairs {
        function()
          t:step()
        end,
        function()
          tokens[1]:close()
          tokens[3]:close()
          t:close()
        end,
        function()
          t:close()
        end,
        function()
          tokens = nil
          t = nil
          collectgarbage()
          collectgarbage()
        end,
      } do -- stylua: ignore
        local pid = fork.fork()
        if pid == 0 then
          local well = pcall(ending)
          fork.exit(well and room:open() == 0 and 0 or 1)
        end
        assert.equal(0, (fork.wait(pid)))
      end
      assert.equal(2, room:open())
      assert.is_false(tokens[1]:done())
    end)
  end)

  describe("was sent", function()
    local function outcome_of(size, script)
      on_head(script)
      local transfer = support.finish(t, t:start(post(form_of(room:sparse("a", size)))))
      assert.equal("connection", (transfer:outcome()))
      assert.equal(0, room:open())
      return transfer:sent()
    end

    it("when the last byte of the file was handed out", function()
      for _, size in ipairs { 1000, LARGE } do
        assert.is_true(outcome_of(size, [[connection:skip(length)]]))
        s:stop()
      end
    end)

    it("not, when the connection was lost before that", function()
      assert.is_false(outcome_of(LARGE, [[connection:take(100000) connection:close()]]))
      s:stop()
      assert.is_false(outcome_of(LARGE, [[connection:take(100000) connection:reset()]]))
    end)
  end)

  describe("is sent again by libcurl", function()
    -- Sends a form on a kept connection, which the server closes at its first request after the first answer.
    local function try(more)
      s = server.start([[
        local n = 0
        return function(connection, request)
          n = n + 1
          if n == 2 then return connection:close() end
          connection:json(200, "{}")
        end]])
      assert.equal("response", (support.finish(t, t:start { method = "GET", url = s:url() }):outcome()))
      local transfer = support.finish(t, t:start(post(form_of(room:write("a", ("ab\n"):rep(1 << 17))), more)))
      assert.equal(0, room:open())
      return transfer
    end

    it("whole, when a kept connection has died and it is repeatable", function()
      local transfer = try { repeatable = true }
      assert.same({ "response", "" }, { transfer:outcome() })
      assert.is_true(transfer:sent())
      assert.equal(2, s:connections())
      local file = { part = "upload_file", name = "a.pdf", type = "application/pdf" }
      assert.is_true(seen(s:requests()[3]) == expected({}, file, ("ab\n"):rep(1 << 17)))
    end)

    it("not, when it is not repeatable and was there whole", function()
      local transfer = try { repeatable = false }
      assert.equal("connection", (transfer:outcome()))
      assert.is_true(transfer:sent())
      assert.equal(2, s:count())
    end)
  end)

  describe("over HTTP/2", function()
    local set

    if not certificates.available() then
      pending("the openssl program or its Lua module is missing")
      return
    end

    setup(function()
      set = certificates.make()
    end)

    teardown(function()
      set:remove()
    end)

    local function serve(script)
      local tls = { certificate = set.good.certificate, key = set.good.key, alpn = "h2" }
      s =
        server.start('local http2 = require("spec.support.http2") return http2.serve(' .. script .. ")", { tls = tls })
    end

    it("is sent again by libcurl when its stream was refused", function()
      serve([[function(stream, n)
        if n < 3 then return stream:reset(http2.REFUSED_STREAM) end
        stream:respond(200, "{}")
      end]])
      local form = form_of(room:write("a", ("x"):rep(20000)))
      local transfer = support.finish(t, t:start(post(form, { fresh = true, ca_file = set.ca })))
      assert.same({ "response", "" }, { transfer:outcome() })
      assert.is_true(transfer:sent())
      local requests = s:requests()
      assert.equal(3, #requests)
      assert.equal(#requests[1].body, #requests[3].body)
      assert.matches(("x"):rep(20000) .. "\r\n%-%-[-%w]+%-%-\r\n$", requests[3].body)
    end)

    it("keeps nobody busy while the server takes no more of it, or goes by HTTP/1.1", function()
      serve([[function(stream) stream:respond(200, "{}") end]]) -- the window of which never opens
      local large, small = room:sparse("a", 1 << 20), room:write("b", "x")
      for _, form in ipairs { form_of(large), form_of(small, { { "a", ("x"):rep(1 << 20) } }) } do
        local transfer = t:start(post(form, { ca_file = set.ca }))
        local deadline, steps = core.now() + 0.5 * slowdown, 0
        while core.now() < deadline and not transfer:done() do
          t:wait(deadline - core.now())
          t:step()
          steps = steps + 1
        end
        assert.is_true(steps < 1000, steps)
        if transfer:done() then
          assert.equal('{"version":1}', transfer:body())
        end
        t:close() -- or the next one would go on that connection
        t = core.transport()
      end
    end)
  end)

  it("may be tried again when there was no descriptor left for its file", function()
    local output, well = process.run(
      [[
        local core = require("llama_cloud.core")
        local form = core.form { file = { part = "f", name = "f", type = "t/t", path = ... } }
        local t, all = core.transport(), {}
        for file in function() return (io.open("/dev/null")) end do all[#all + 1] = file end
        local transfer = t:start { method = "POST", url = "http://127.0.0.1:1/", body = form }
        local kind, message = transfer:outcome()
        assert(kind == "connection" and not transfer:sent(), kind)
        assert(message:find("^cannot read '.*': Too many open files$"), message)]],
      { args = { room:write("a", "x") }, before = "ulimit -n 40;" }
    )
    assert.is_true(well, output)
  end)

  describe("fails for good when its file", function()
    local function fails(change, message, size)
      s = server.start { { status = 200, body = "{}" } }
      local path = room:sparse("a", size or 1000)
      local form = form_of(path)
      change(path)
      local transfer = support.finish(t, t:start(post(form, { repeatable = true })))
      assert.same({ "file", ("cannot read '%s': %s"):format(path, message) }, { transfer:outcome() })
      assert.is_false(transfer:sent())
      assert.equal(0, transfer:status())
      assert.equal(0, room:open())
      s:stop()
      assert.equal(0, s:count())
    end

    it("is gone", function()
      fails(os.remove, "No such file or directory")
    end)

    it("is a directory or a pipe by now", function()
      fails(function(path)
        os.execute(("rm '%s'; mkdir '%s'"):format(path, path))
      end, "Is a directory")
      os.execute(("rmdir '%s'"):format(room:path("a")))
      fails(function(path)
        os.execute(("rm '%s'; mkfifo '%s'"):format(path, path))
      end, "it is no regular file")
    end)

    it("has another size by now", function()
      fails(function(path)
        room:sparse(path:match("[^/]*$"), 1001)
      end, "it has grown since its size was told")
      fails(function(path)
        room:sparse(path:match("[^/]*$"), 999)
      end, "it has become shorter since its size was told")
    end)

    -- The server holds the form up until the file has been changed.
    local function fails_meanwhile(size, message)
      on_head(
        [[
        repeat connection:sleep(0.01) until io.open(args.go)
        while connection:receive() do end]],
        { args = { go = room:path("go") } }
      ) -- stylua: ignore
      local path = room:sparse("a", LARGE)
      local transfer = t:start(post(form_of(path)))
      support.step_until(t, function()
        return s:count() == 1
      end)
      support.step_for(t, 0.05)
      room:sparse("a", size)
      room:write("go", "")
      support.finish(t, transfer)
      assert.same({ "file", ("cannot read '%s': %s"):format(path, message) }, { transfer:outcome() })
      assert.is_false(transfer:sent())
      assert.equal(0, room:open())
    end

    it("becomes shorter while it is sent", function()
      fails_meanwhile(LARGE // 2, "it became shorter while it was sent")
    end)

    it("grows while it is sent", function()
      fails_meanwhile(LARGE + 1, "it has grown since its size was told")
    end)
  end)

  describe("is answered before it is out", function()
    local ANSWER = [[
      local text = '{"detail":"no"}'
      connection:raw("HTTP/1.1 413 No\r\nContent-Length: 15\r\n" .. args.more .. "\r\n" .. text)
    ]]
    for name, script in pairs {
      ["by a server that goes on reading"] = "while connection:receive() do end",
      ["by a server that reads no more, and closes later"] = "connection:sleep(0.1)",
      ["by a server that closes its side, and reads on"] = [[
        connection.socket:shutdown("w")
        while connection:receive() do end]],
    } do
      for _, more in ipairs { "", "Connection: close\r\n" } do
        it(name .. (more ~= "" and ", and says so" or ""), function()
          on_head("connection:take(100000) " .. ANSWER .. script, { args = { more = more } })
          local form = form_of(room:sparse("a", LARGE))
          for _ = 1, 2 do
            local transfer = support.finish(t, t:start(post(form)))
            assert.same({ "response", "" }, { transfer:outcome() })
            assert.equal(413, transfer:status())
            assert.equal('{"detail":"no"}', transfer:body())
            assert.is_false(transfer:sent())
          end
          assert.equal(0, room:open())
        end)
      end
    end
  end)

  it("takes no more memory for a larger file", function()
    if process.instrumented then
      return
    end
    -- It closes each connection, and says so, lest the next request be sent on one that is about to be closed.
    on_head([[connection:skip(length) connection:json(200, "{}", { Connection = "close" })]])
    local function resident()
      for line in io.lines("/proc/self/status") do
        local size = line:match("^RssAnon:%s*(%d+)")
        if size then
          return tonumber(size)
        end
      end
    end
    local function send(size)
      assert.equal("response", (support.finish(t, t:start(post(form_of(room:sparse("a", size))))):outcome()))
    end
    send(1 << 20)
    collectgarbage()
    local before = resident()
    send(48 << 20)
    assert.is_true(resident() - before < 4096)
  end)
end)

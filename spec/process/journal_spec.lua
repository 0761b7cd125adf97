-- The journal of a run: what it keeps, what it refuses, and what is in it when its writer dies or its disk is full.

local files = require("spec.support.files")
local journal = require("llama_cloud.process.journal")
local lfs = require("lfs")
local llama_cloud = require("llama_cloud")
local process = require("spec.support.process")

-- Whether a call raises a message at its caller's line, which is in this file.
local function raises(message, f, ...)
  local arguments = table.pack(...)
  local well, problem = pcall(function()
    f(table.unpack(arguments, 1, arguments.n))
  end)
  assert.is_false(well)
  assert.matches("journal_spec%.lua:%d+: " .. message, problem)
end

local IDENTITY = { root = "/data/invoices", type = "parse_v2", configuration_id = "cfg-1" }

local IN_USE = "another run is using the journal 'PATH': wait until it has ended, or give this run a journal of its own"

describe("a journal", function()
  local room, path

  before_each(function()
    room = files.new()
    path = room:path("run.jsonl")
  end)

  after_each(function()
    collectgarbage()
    collectgarbage()
    assert.equal(0, room:open())
    room:remove()
  end)

  local function open(identity)
    return assert(journal.open(path, identity or IDENTITY))
  end

  local function facts_of(one)
    local facts = {}
    for fact in one:facts() do
      facts[#facts + 1] = fact
    end
    return facts
  end

  local function text()
    return room:read("run.jsonl")
  end

  -- Opening it is refused with these words, and nothing is changed.
  local function refused(message, identity)
    local before, names = text(), room:list()
    local one, err = journal.open(path, identity or IDENTITY)
    assert.is_nil(one)
    assert.is_true(llama_cloud.is_error(err))
    assert.equal("file", err.kind)
    assert.equal(message:gsub("PATH", path), err.message)
    assert.equal(before, text())
    assert.same(names, room:list())
  end

  -- Runs a chunk in a process of its own: it has `journal`, `path`, `identity` and, with `failing`, that module.
  local function elsewhere(chunk, options)
    options = options or {}
    options.args = { path }
    if options.failing then
      options.preload = process.library("failing")
      chunk = ([[local failing = package.loadlib(%q, "luaopen_failing")()
        ]]):format(options.preload) .. chunk
    end
    local output, well = process.run(([[package.path = %q
      local path = ...
      local journal = require("llama_cloud.process.journal")
      local identity = { root = "/data/invoices", type = "parse_v2", configuration_id = "cfg-1" }
      ]]):format(package.path) .. chunk, options)
    assert.is_true(well, output)
    return output
  end

  it("gives the facts of a run when it is opened again, and goes on under the same id", function()
    local one = open()
    assert.is_false(one.resumed)
    assert.matches("^%x+$", one.run)
    assert.equal(16, #one.run)
    assert.same({}, facts_of(one))
    assert.is_true(one:put { kind = "upload", path = "a.pdf", size = 12 })
    assert.is_true(one:sync())
    one:close()
    local again = open()
    assert.is_true(again.resumed)
    assert.equal(one.run, again.run)
    assert.is_true(again:put { kind = "done" })
    assert.same({ { kind = "upload", path = "a.pdf", size = 12 }, { kind = "done" } }, facts_of(again))
    again:close()
    local lines = select(2, text():gsub("\n", ""))
    assert.equal(3, lines)
    assert.matches('^{"llama_cloud_journal":1,"run":"' .. one.run .. '"', text())
    os.remove(path)
    assert.not_equal(one.run, open().run)
  end)

  it("keeps each text exactly, whatever its bytes, and each number", function()
    local every = {}
    for byte = 0, 255 do
      every[#every + 1] = string.char(byte)
    end
    local given = {
      { text = "", list = llama_cloud.array {}, empty = {} },
      { text = table.concat(every), deeper = { { path = "caf\xe9.pdf" }, { "%E9", "caf\xe9%E9%%" } } },
      {
        text = "$bytes",
        other = '{"$bytes":"%41"}',
        cut = "\xc3",
        surrogate = "\xed\xa0\x80",
        far = "\xf4\x90\x80\x80",
      },
      { integer = math.maxinteger, least = math.mininteger, float = 0.1, whole = 2.0, yes = true, no = false },
      { text = "line\nbreak\r\n\0 end", unicode = "Grüße 🙂\u{2028}", ["key \n"] = 1 },
    }
    for _, byte in ipairs(every) do
      given[#given + 1] = { p = byte, q = byte .. "%" .. byte }
    end
    local one = open()
    for _, fact in ipairs(given) do
      assert.is_true(one:put(fact))
    end
    one:close()
    one = open()
    assert.same(given, facts_of(one))
    assert.equal("float", math.type(facts_of(one)[4].whole))
    one:close()
    assert.equal(#given + 1, select(2, text():gsub("\n", "")))
    assert.is_truthy(utf8.len(text()))
  end)

  it("is read piece by piece, wherever these end", function()
    local one = open()
    local sizes = { 1, 65000, 65535, 65536, 65537, 200000, 3, (1 << 20) - 16 }
    for _, size in ipairs(sizes) do
      assert.is_true(one:put { s = ("x"):rep(size) })
    end
    for i, fact in ipairs(facts_of(one)) do
      assert.equal(sizes[i], #fact.s)
    end
    assert.equal(#sizes, #facts_of(one))
    raises("this cannot be written as a fact: it takes %d+ bytes", one.put, one, { s = ("x"):rep(1 << 20) })
    one:close()
  end)

  it("takes little memory to read, however long it is", function()
    local one = open()
    one:close()
    local file = io.open(path, "a")
    for i = 1, 40000 do
      file:write(('{"kind":"uploaded","path":"folder/%d.pdf","id":"dfl-%d","size":%d}\n'):format(i, i, i))
    end
    file:close()
    one = open()
    collectgarbage()
    local before, most, n = collectgarbage("count"), 0, 0
    for fact in one:facts() do
      n = n + 1
      assert(fact.size == n and fact.path == "folder/" .. n .. ".pdf")
      if n % 1000 == 0 then
        collectgarbage()
        most = math.max(most, collectgarbage("count"))
      end
    end
    one:close()
    assert.equal(40000, n)
    assert.is_true(most - before < 500, most - before) -- kB
  end)

  it("takes tables only that can be written, and is unchanged by others", function()
    local one = open()
    local before, cycle = text(), {}
    cycle.of = cycle
    local nested = {}
    for _ = 1, 200 do
      nested = { n = nested }
    end
    nested.s = "\xff"
    raises("a fact must be a table, not string", one.put, one, "text")
    for _, bad in ipairs {
      { { 1 }, "it is an array" },
      { { f = print }, "" },
      { { n = 0 / 0 }, "" },
      { { n = math.huge }, "" },
      { cycle, "" },
      { { s = "\xff", of = cycle }, "it is nested too deeply" },
      { nested, "it is nested too deeply" },
      { { ["\xff"] = 1 }, "" },
      { { ["$bytes"] = 1 }, "'%$bytes' cannot be the name of a field" },
      { { a = { { ["$bytes"] = "x" } } }, "'%$bytes' cannot be the name of a field" },
      { { 1, a = 2 }, "" },
    } do
      raises("this cannot be written as a fact: " .. bad[2], one.put, one, bad[1])
    end
    assert.equal(before, text())
    one:close()
  end)

  it("that is closed takes nothing, and can be closed again", function()
    local one = open()
    do
      local _ <close> = one
    end
    local again <close> = open()
    one:close()
    local next_fact = again:facts()
    again:close()
    raises("the journal is closed", one.put, one, {})
    raises("the journal is closed", one.sync, one)
    raises("the journal is closed", one.facts, one)
    raises("the journal is closed", next_fact)
  end)

  it("raises for wrong arguments, and makes nothing", function()
    raises("the path of a journal must be a string", journal.open, nil, IDENTITY)
    raises("the path of a journal must be a string", journal.open, "", IDENTITY)
    raises("the path of a journal must be a string", journal.open, path .. "\0x", IDENTITY)
    raises("the identity of a run must be a table, not nil", journal.open, path)
    raises("this cannot be the identity of a run: ", journal.open, path, { f = print })
    assert.same({}, room:list())
  end)

  it("takes an identity of any length that it can read again", function()
    local length = (1 << 20) - 101 - #'{"s":""}'
    local long = { s = ("x"):rep(length) }
    raises("this cannot be the identity of a run: it takes %d+ bytes", journal.open, path, { s = long.s .. "x" })
    assert.same({}, room:list())
    assert(journal.open(path, long)):close()
    local again <close> = assert(journal.open(path, long))
    assert.is_true(again.resumed)
  end)

  describe("is one run's:", function()
    it("another identity is refused, and what differs is named", function()
      local identity = { root = "/data/caf\xe9", job = { type = "parse_v2", list = { 1, 2 } }, base_url = "https://x" }
      local one = open(identity)
      one:put { kind = "done" }
      one:close()
      open({ base_url = "https://x", job = { list = { 1, 2 }, type = "parse_v2" }, root = "/data/caf\xe9" }):close()
      local message =
        "the journal 'PATH' is another run's: %s. Do the same as that run, or give this one a journal of its own"
      identity.job.type = "extract_v2"
      refused(message:format("job.type is 'parse_v2' there and 'extract_v2' here"), identity)
      identity.job.list[3], identity.project_id, identity.base_url = 3, "p\n", nil
      refused(
        message:format(
          "base_url is 'https://x' there and not set here, job.list.3 is not set there and 3 here, "
            .. "job.type is 'parse_v2' there and 'extract_v2' here, project_id is not set there and 'p?' here"
        ),
        identity
      )
      identity = { root = "/data/cafe", job = true, base_url = "https://x" }
      refused(
        message:format("job is a table there and true here, root is '/data/caf\u{FFFD}' there and '/data/cafe' here"),
        identity
      )
    end)

    it("the second of two at once is told so", function()
      local one = open()
      refused(IN_USE)
      local try = [[local one, err = journal.open(path, identity)
        print(one and "opened" or err.message)]]
      assert.equal(IN_USE:gsub("PATH", path) .. "\n", elsewhere(try))
      one:close()
      assert.equal("opened\n", elsewhere(try))
    end)

    it("of many that want it at once each gets it whole, or not", function()
      local fork = process.fork()
      local pids = {}
      for child = 1, 4 do
        local pid = fork.fork()
        if pid == 0 then
          local well, n = pcall(function()
            local n = 0
            for i = 1, 50 do
              local one, err = journal.open(path, IDENTITY)
              assert(one or err.message:find("another run", 1, true), err)
              if one then
                n = n + 1
                assert(one:put { child = child, i = i, s = "\xff" })
                one:close()
              end
            end
            return n
          end)
          fork.exit(well and n or 255)
        end
        pids[child] = pid
      end
      local expected, found = {}, { 0, 0, 0, 0 }
      for child, pid in ipairs(pids) do
        expected[child] = fork.wait(pid)
      end
      for _, fact in ipairs(facts_of(open())) do
        found[fact.child] = found[fact.child] + 1
      end
      assert.same(expected, found)
      assert.equal(1, select(2, text():gsub("llama_cloud_journal", "")))
    end)

    it("a forked process adds nothing, and lets nobody else in", function()
      local fork = process.fork()
      local one = open()
      local before = text()
      local pid = fork.fork()
      if pid == 0 then
        fork.exit(pcall(function()
          for _, call in ipairs { "put", "sync" } do
            local done, err = one[call](one, {})
            assert(not done and err.kind == "file" and err.message:find("forked", 1, true), err)
          end
          one:close()
        end) and 0 or 1)
      end
      assert.equal(0, (fork.wait(pid)))
      assert.equal(before, text())
      refused(IN_USE)
      one:close()
    end)
  end)

  describe("that was cut off", function()
    it("at any byte of its last line is without that line, and goes on", function()
      local one = open()
      one:put { n = 1 }
      local size = #text()
      one:put { n = 2, path = "caf\xe9.pdf" }
      one:close()
      local whole = text()
      for cut = size, #whole - 1 do
        room:write("run.jsonl", whole:sub(1, cut))
        one = open()
        assert.is_true(one.resumed)
        assert.same({ { n = 1 } }, facts_of(one))
        assert.is_true(one:put { n = 3 })
        assert.same({ { n = 1 }, { n = 3 } }, facts_of(one))
        one:close()
        assert.equal(whole:sub(1, size) .. '{"n":3}\n', text())
      end
      -- however much there is behind the last line
      room:write("run.jsonl", whole .. ("\0"):rep(200000))
      open():close()
      assert.equal(whole, text())
    end)

    it("in its header begins anew", function()
      local one = open()
      one:close()
      local whole = text()
      for cut = #'{"llama_cloud_journal":', #whole - 1, 7 do
        room:write("run.jsonl", whole:sub(1, cut))
        local new <close> = open()
        assert.is_false(new.resumed)
        assert.not_equal(one.run, new.run)
        assert.equal(#whole, #text())
      end
      room:write("run.jsonl", "")
      assert.is_false(open().resumed)
    end)

    it("by SIGKILL has all that was put, and nothing that was not", function()
      local fork = process.fork()
      os.execute(("mkfifo '%s'"):format(room:path("acks")))
      local before = 0
      for round = 1, 10 do
        local pid = fork.fork()
        if pid == 0 then
          pcall(function()
            local acks = io.open(room:path("acks"), "w")
            acks:setvbuf("no")
            local one = open()
            for i = before + 1, before + 100000 do
              assert(one:put { i = i, filling = ("x"):rep(i % 50 * 100) })
              acks:write(i, "\n")
            end
          end)
          fork.exit(1)
        end
        local acks, acknowledged = io.open(room:path("acks")), 0
        for _ = 1, round * 7 do
          acknowledged = acks:read("n")
        end
        os.execute("kill -9 " .. pid)
        assert.equal(9, select(2, fork.wait(pid)))
        acknowledged = acks:read("a"):match("(%d+)\n[^\n]*$") or acknowledged
        acks:close()
        local one = open()
        local n = 0
        for fact in one:facts() do
          n = n + 1
          assert.equal(n, fact.i)
          assert.equal(n % 50 * 100, #fact.filling)
        end
        one:close()
        assert.is_true(n == tonumber(acknowledged) or n == tonumber(acknowledged) + 1)
        before = n
      end
    end)
  end)

  describe("with a line that cannot be read", function()
    it("gives what is before it, and raises where it is", function()
      for bad, why in pairs {
        ['{"n":'] = "",
        [""] = "",
        ["[1]"] = "it is no JSON object",
        ["1"] = "it is no JSON object",
        ["null"] = "it is no JSON object",
        ["\0\0\0\0"] = "",
        ['{"n":"\xff"}'] = "",
        [("x"):rep(3000000)] = "it is too long",
      } do
        os.remove(path)
        local one = open()
        one:put { n = 1 }
        one:put { n = 2 }
        one:close()
        room:write("run.jsonl", text() .. bad .. '\n{"n":4}\n')
        one = open()
        local n = 0
        local well, err = pcall(function()
          for fact in one:facts() do
            n = n + 1
            assert.equal(n, fact.n)
          end
        end)
        assert.is_false(well)
        assert.is_true(llama_cloud.is_error(err))
        assert.equal("file", err.kind)
        assert.equal(2, n)
        local format = "line 4 of the journal '%s' cannot be read: "
        assert.equal(1, (err.message:find(format:format(path) .. why, 1, true)), err.message)
        assert.matches("Restore the file from a copy, or begin anew with another journal$", err.message)
        one:close()
      end
    end)

    it("raises where there is less than there was", function()
      local one <close> = open()
      for n = 1, 3 do
        one:put { n = n, filling = ("x"):rep(50000) }
      end
      local well, err = pcall(function()
        for _ in one:facts() do
          io.open(path, "w"):close()
        end
      end)
      assert.is_false(well)
      assert.matches("line 3 of the journal '.*' cannot be read: the file has become shorter", err.message)
    end)

    it("is refused where that is the header", function()
      local restore = ". Restore the file from a copy, or begin anew with another journal"
      local nothing, run = "1}", '1,"run":"a"}'
      for _, header in ipairs { nothing, '"x"}', run, '1,"run":1,"identity":{}}', '0,"run":"a","identity":{}}' } do
        room:write("run.jsonl", '{"llama_cloud_journal":' .. header .. "\n")
        refused("line 1 of the journal 'PATH' cannot be read: it is not what a journal begins with" .. restore)
      end
      room:write("run.jsonl", '{"llama_cloud_journal":' .. ("1"):rep(1 << 20))
      refused("line 1 of the journal 'PATH' cannot be read: it is too long" .. restore)
      room:write("run.jsonl", '{"llama_cloud_journal":1,"run":\n')
      local _, err = journal.open(path, IDENTITY)
      assert.matches("^line 1 of the journal '.*' cannot be read: ", err.message)
    end)
  end)

  describe("is refused, with what to do, and left as it is,", function()
    it("where the file is none", function()
      for _, other in ipairs {
        "some text",
        "some text\nand more\n",
        "\n",
        "\0",
        '{"llama',
        '{"id":"bat-1"}\n',
        "\xef\xbb\xbf{}",
        ("x"):rep(3000000),
      } do
        room:write("run.jsonl", other)
        refused("'PATH' is no journal, and was left as it is: give another path")
      end
    end)

    it("where a newer version has written it", function()
      room:write("run.jsonl", '{"llama_cloud_journal":2,"run":{"more":1}}\n"anything"\n{"t')
      refused(
        "the journal 'PATH' is from a newer version of this library (format 2, and this one knows 1): "
          .. "update this one, or give this run a journal of its own"
      )
    end)

    it("where there can be no file", function()
      local directory = path
      assert(lfs.mkdir(path))
      refused("the journal: cannot write 'PATH': Is a directory (give the path of a file in it)")
      path = directory .. "/none/run.jsonl"
      refused("the journal: cannot write 'PATH': its directory does not exist (make that, or give another path)")
      path = "/dev/null"
      refused("the journal: cannot write 'PATH': it is no regular file")
    end)

    it("where it must not be written", function()
      open():close()
      local root = os.execute("test $(id -u) = 0")
      local forbid = root and "chattr +i '%s' 2>/dev/null" or "chmod 400 '%s'"
      if not os.execute(forbid:format(path)) then
        return
      end
      finally(function()
        os.execute(("chattr -i '%s' 2>/dev/null"):format(path))
      end)
      refused(
        ("the journal: cannot write 'PATH': %s (make it writable, or give another path)"):format(
          root and "Operation not permitted" or "Permission denied"
        )
      )
    end)
  end)

  describe("on a disk that is full", function()
    local full = "the journal: cannot write '%s': File too large (make room, and run again: the run goes on from there)"

    it("is not begun, and leaves nothing", function()
      local output = elsewhere(
        [[local one, err = journal.open(path, identity)
        print(one, err.kind, err.message)]],
        { before = "ulimit -f 0; " }
      )
      assert.equal(("nil\tfile\t%s\n"):format(full:format(path)), output)
      assert.same({}, room:list())
    end)

    it("tells so, has what was put before, and goes on when there is room", function()
      local output = elsewhere(
        [[local one = assert(journal.open(path, identity))
        local n, done, err = 0
        repeat
          done, err = one:put { n = n + 1, filling = ("x"):rep(90) }
          n = n + (done and 1 or 0)
        until not done
        assert(one:sync())
        print(n)
        print(err.kind, err.message)]],
        { before = "ulimit -f 8; " }
      )
      local n, rest = output:match("^(%d+)\n(.*)$")
      assert.equal(("file\t%s\n"):format(full:format(path)), rest)
      assert.is_true(tonumber(n) > 5)
      local one = open()
      assert.equal(tonumber(n), #facts_of(one))
      assert.is_true(one:put { n = n + 1 })
      one:close()
      assert.equal(n + 2, select(2, text():gsub("\n", "")))
    end)
  end)

  it("is not begun where the disk does not take the header", function()
    local output = elsewhere(
      [[failing.sync(2) -- the directory is the first
      local one, err = journal.open(path, identity)
      print(one, err.message)
      print(journal.open(path, identity) ~= nil)]],
      { failing = true }
    )
    assert.equal(("nil\tthe journal: cannot write '%s': Input/output error\ntrue\n"):format(path), output)
  end)

  it("takes nothing more when the disk has failed, or the file is gone", function()
    local output = elsewhere(
      [[local one = assert(journal.open(path, identity))
      assert(one:put { n = 1 })
      failing.sync(1)
      print(select(2, one:sync()).message)
      print(select(2, one:put { n = 2 }).message)
      one:close()
      one = assert(journal.open(path, identity))
      for fact in one:facts() do print(fact.n) end
      os.remove(path)
      print(select(2, one:sync()).message)]],
      { failing = true }
    )
    local lost = ("the journal: cannot write '%s': Input/output error\n"):format(path)
    local gone = ("the journal: cannot write '%s': it was removed or replaced\n"):format(path)
    assert.equal(lost .. lost .. "1\n" .. gone, output)
  end)
end)

describe("a journal in memory", function()
  it("has an id, and no facts, whatever it is told", function()
    local one, other = journal.memory(), journal.memory()
    assert.matches("^%x+$", one.run)
    assert.equal(16, #one.run)
    assert.not_equal(one.run, other.run)
    assert.is_false(one.resumed)
    assert.is_true(one:put { kind = "uploaded" })
    assert.is_true(one:sync())
    for _ in one:facts() do
      error("a fact")
    end
  end)

  it("has the methods of one in a file, and can be closed more than once", function()
    local one = journal.memory()
    do
      local _ <close> = one
    end
    one:close()
    raises("the journal is closed", one.put, one, {})
    raises("the journal is closed", one.sync, one)
    raises("the journal is closed", one.facts, one)
    raises("a fact must be a table, not string", one.put, journal.memory(), "text")
  end)
end)

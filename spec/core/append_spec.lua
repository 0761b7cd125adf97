-- Logs: files that grow by whole pieces of text, whatever happens, and that one at a time has open.

local core = require("llama_cloud.core")
local files = require("spec.support.files")
local lfs = require("lfs")
local process = require("spec.support.process")

describe("a log", function()
  local room, path

  before_each(function()
    room = files.new()
    path = room:path("log")
  end)

  after_each(function()
    collectgarbage()
    collectgarbage()
    assert.equal(0, room:open())
    room:remove()
  end)

  -- Runs a chunk that gets the path of the log in a process of its own, with `core` and `fork`; what it prints.
  local function elsewhere(chunk, options)
    options = options or {}
    options.args = { path, process.library("fork") }
    local head = [[local core = require("llama_cloud.core") local path, library = ...
      local fork = package.loadlib(library, "luaopen_fork")()
      ]]
    local output, well = process.run(head .. chunk, options)
    assert.is_true(well, output)
    return output
  end

  -- The same, with the module `failing` of spec/support/failing.c.
  local function among_failures(chunk, options)
    options = options or {}
    options.preload = process.library("failing")
    return elsewhere(([[local failing = package.loadlib(%q, "luaopen_failing")()
      ]]):format(options.preload) .. chunk, options)
  end

  local locked = function()
    return { nil, ("cannot lock '%s': it is open elsewhere"):format(path), "locked" }
  end

  it("has what was written, now and when it is opened again", function()
    local log = assert(core.append(path))
    assert.equal(0, log:size())
    assert.is_true(log:write("one\n"))
    assert.is_true(log:write(""))
    assert.is_true(log:write("t\0o\n"))
    assert.equal("one\nt\0o\n", room:read("log"))
    assert.is_true(log:sync())
    assert.equal(8, log:size())
    log:close()
    log = assert(core.append(path))
    assert.equal(8, log:size())
    assert.is_true(log:write(("x"):rep(1000000)))
    assert.equal(1000008, #room:read("log"))
    log:close()
  end)

  it("is read, piece by piece", function()
    local log <close> = assert(core.append(path))
    log:write("0123456789")
    assert.equal("0123", log:read(0, 4))
    assert.equal("89", log:read(8, 1 << 24))
    assert.equal("", log:read(10, 5))
    assert.equal("", log:read(math.maxinteger, 5))
    assert.equal("", log:read(0, 0))
    for _, bad in ipairs { { -1, 1 }, { 0, -1 }, { 0, (1 << 24) + 1 }, { "x", 1 }, { 0 } } do
      assert.is_false(pcall(log.read, log, bad[1], bad[2]))
    end
  end)

  it("is shortened, and goes on there", function()
    local log <close> = assert(core.append(path))
    log:write("0123456789")
    assert.is_true(log:truncate(4))
    assert.equal(4, log:size())
    assert.equal("", log:read(4, 4))
    assert.is_true(log:write("x"))
    assert.equal("0123x", room:read("log"))
    for _, bad in ipairs { 6, -1, 1.5 } do
      assert.is_false(pcall(log.truncate, log, bad))
    end
    assert.equal("0123x", room:read("log"))
  end)

  it("is nobody else's to read, less what the umask takes; of one that was there the mode stays", function()
    core.append(path):close() -- which leaves nothing
    assert.same({}, room:list())
    elsewhere([[local log = core.append(path) log:write("x")]], { before = "umask 0;" })
    assert.equal("rw-------", lfs.attributes(path, "permissions"))
    os.remove(path)
    elsewhere([[local log = core.append(path) log:write("x")]], { before = "umask 0277;" })
    assert.equal("r--------", lfs.attributes(path, "permissions"))
    os.execute(("chmod 644 '%s'"):format(path))
    core.append(path):close()
    assert.equal("rw-r--r--", lfs.attributes(path, "permissions"))
  end)

  it("leaves nothing where it was made and nothing was written; what was there stays", function()
    room:write("old", "")
    core.append(room:path("old")):close()
    local before = lfs.currentdir()
    finally(function()
      lfs.chdir(before)
    end)
    lfs.chdir(room.directory)
    local log = core.append("new")
    lfs.chdir("/")
    assert.same({ "new", "old" }, room:list())
    log:close()
    assert.same({ "old" }, room:list())
    log = core.append(room:path("new"))
    os.remove(room:path("new"))
    room:write("new", "") -- somebody else's
    log:close()
    assert.same({ "new", "old" }, room:list())
  end)

  it("is where a symbolic link leads", function()
    lfs.link("log", room:path("link"), true)
    local log <close> = assert(core.append(room:path("link")))
    log:write("x")
    assert.equal("x", room:read("log"))
    assert.same({ nil, locked()[2], "locked" }, { core.append(path) })
  end)

  it("is no open file of the programs that are run meanwhile", function()
    local log <close> = assert(core.append(path))
    local pipe = assert(io.popen("ls -l /proc/self/fd"))
    local listing = pipe:read("a")
    pipe:close()
    assert.is_nil(listing:find(path, 1, true))
    assert.is_true(log:write("x"))
  end)

  it("that is closed cannot be used, and can be closed again", function()
    local log = assert(core.append(path))
    log:write("x")
    log:close()
    log:close()
    assert.matches("closed", tostring(log))
    for _, call in ipairs { "write", "sync", "size", "truncate", "read" } do
      assert.error_matches(function()
        log[call](log, 0, 0)
      end, "attempt to use a closed log")
    end
    assert.equal("x", room:read("log"))
  end)

  describe("is refused, and nothing is changed,", function()
    it("where it cannot be written", function()
      room:write("a", "")
      os.execute("mkfifo '" .. room:path("pipe") .. "'")
      lfs.link("loop", room:path("loop"), true)
      lfs.link("none/x", room:path("astray"), true)
      for where, why in pairs {
        [room.directory] = { "Is a directory", "directory" },
        [room:path("none/x")] = { "its directory does not exist", "missing" },
        [room:path("astray")] = { "its directory does not exist", "missing" },
        [room:path("a/x")] = { "Not a directory" },
        [room:path("pipe")] = { "it is no regular file" },
        ["/dev/null"] = { "it is no regular file" },
        [room:path("loop")] = { "Too many levels of symbolic links" },
        [room:path(("x"):rep(256))] = { "File name too long" },
      } do
        assert.same(
          { nil, ("cannot write '%s': %s"):format(#where > 160 and "..." .. where:sub(-160) or where, why[1]), why[2] },
          { core.append(where) }
        ) -- stylua: ignore
      end
      assert.same({ "a", "astray", "loop", "pipe" }, room:list())
      assert.error_matches(function()
        core.append("a\0b")
      end, "contains a NUL")
    end)

    it("where the disk does not take the name of a new one", function()
      local output = among_failures([[failing.sync(1)
        print(core.append(path))
        print(io.open(path))
        io.open(path, "w"):write("x"):close()
        failing.sync(1)
        print(core.append(path) ~= nil)]])
      local none = ("nil\t%s: No such file or directory\t2\n"):format(path)
      assert.equal(("nil\tcannot write '%s': Input/output error\tnil\n"):format(path) .. none .. "true\n", output)
    end)

    it("where the process may not write", function()
      room:write("log", "x")
      os.execute(("chmod 400 '%s'"):format(path))
      if os.execute("test $(id -u) = 0") then
        local made = os.execute(("chattr +i '%s' 2>/dev/null"):format(path))
        if not made then
          return
        end
        finally(function()
          os.execute(("chattr -i '%s'"):format(path))
        end)
      end
      local log, message, why = core.append(path)
      assert.is_nil(log)
      assert.matches("^cannot write '.*': [PO]", message) -- Permission denied, Operation not permitted
      assert.equal("denied", why)
    end)
  end)

  describe("is open once", function()
    it("in a process, until it is closed, or collected", function()
      local log = assert(core.append(path))
      log:write("x")
      assert.same(locked(), { core.append(path) })
      assert.equal(1, room:open())
      log:close()
      assert(core.append(path))
      collectgarbage()
      collectgarbage()
      log = assert(core.append(path))
      assert(os.execute(("ln '%s' '%s'"):format(path, room:path("other"))))
      assert.equal("locked", (select(3, core.append(room:path("other")))))
      log:close()
    end)

    it("among processes; one that is refused leaves the other's, though that is empty yet", function()
      local log = assert(core.append(path))
      local try = [[local log, message, why = core.append(path) print(log and "opened" or why)]]
      assert.equal("locked\n", elsewhere(try))
      assert.same({ "log" }, room:list())
      log:write("x")
      assert.equal("locked\n", elsewhere(try))
      log:close()
      assert.equal("opened\n", elsewhere(try))
      -- one that was killed has it no longer
      elsewhere([[local pid = fork.fork()
        if pid == 0 then
          core.append(path):write("y")
          fork.exit(0)
        end
        fork.wait(pid)]])
      assert.equal("opened\n", elsewhere(try))
      assert.equal("xy", room:read("log"))
    end)

    it("also where the file was removed before it was locked: then another one is made", function()
      room:write("log", "old")
      assert.equal(
        "0\n",
        among_failures([[failing.lock(1)
        local log = assert(core.append(path))
        print(log:size())
        log:write("new")]])
      )
      assert.equal("new", room:read("log"))
    end)
  end)

  it("belongs to the process that has opened it: a forked one writes nothing, and unlocks nothing", function()
    local fork = process.fork()
    local log = assert(core.append(path))
    local why = "it is open in the process that this one was forked from"
    local function refused(what, ok, message)
      assert(not ok and message == ("cannot %s '%s': %s"):format(what, path, why), message)
    end
    for _, ending in ipairs {
      function()
        refused("write", log:write("x"))
        refused("write", log:sync())
        refused("write", log:truncate(0))
        refused("read", log:read(0, 1))
      end,
      function()
        log:close()
        assert(select(3, core.append(path)) == "locked")
      end,
      function()
        log = nil
        collectgarbage()
        collectgarbage()
        assert(select(3, core.append(path)) == "locked")
      end,
    } do
      local pid = fork.fork()
      if pid == 0 then
        fork.exit(pcall(ending) and 0 or 1)
      end
      assert.equal(0, (fork.wait(pid)))
      assert.same(locked(), { core.append(path) })
    end
    assert.is_true(log:write("mine"))
    assert.equal("mine", room:read("log"))
    log:close()
  end)

  it("is unlocked when it is closed, though a forked process has its descriptor still", function()
    os.execute(("mkfifo '%s'"):format(room:path("over")))
    local output = elsewhere([[local log = assert(core.append(path))
      log:write("x")
      local over = path:gsub("log$", "over")
      local pid = fork.fork()
      if pid == 0 then
        io.open(over):read() -- until the parent is done
        fork.exit(0)
      end
      log:close()
      print(core.append(path) ~= nil)
      io.open(over, "w"):close()
      fork.wait(pid)]])
    assert.equal("true\n", output)
  end)

  describe("tells at sync", function()
    it("that the file is gone, or another one", function()
      local log <close> = assert(core.append(path))
      log:write("x")
      os.remove(path)
      local message = ("cannot write '%s': it was removed or replaced"):format(path)
      assert.same({ nil, message }, { log:sync() })
      room:write("log", "x")
      assert.same({ nil, message }, { log:sync() })
    end)

    it("that somebody else has changed it", function()
      local log <close> = assert(core.append(path))
      log:write("one\n")
      local other = assert(io.open(path, "a"))
      other:write("two\n")
      other:close()
      assert.same({ nil, ("cannot write '%s': something else has changed it"):format(path) }, { log:sync() })
    end)

    it("that the disk does not take it; then it takes nothing more", function()
      local output = among_failures([[local log = assert(core.append(path))
        log:write("x")
        failing.sync(1)
        print(log:sync())
        print(log:sync())
        print(log:write("y"))
        print(log:truncate(0))
        print(log:read(0, 9))]])
      local failed = ("nil\tcannot write '%s': Input/output error\tnil\n"):format(path)
      assert.equal(failed:rep(4) .. "x\n", output)
      assert.equal("x", room:read("log"))
    end)
  end)

  it("that cannot be shortened is as it was", function()
    local output = among_failures([[local log = assert(core.append(path))
      log:write("xyz")
      failing.truncate(1)
      print(log:truncate(1))
      print(log:size(), log:write("!"), log:size(), log:read(0, 9))]])
    assert.equal(("nil\tcannot write '%s': Input/output error\tnil\n3\ttrue\t4\txyz!\n"):format(path), output)
  end)

  describe("has all of a text or nothing of it", function()
    -- Writes lines of 1,000 bytes until one does not fit; how many it has then.
    local FILL = [[local log = assert(core.append(path))
      local line = ("x"):rep(999) .. "\n"
      local n, ok, message, why = 0
      repeat
        ok, message, why = log:write(line)
        n = n + (ok and 1 or 0)
      until not ok
      assert(log:size() == n * 1000)
      ]]

    it("where the process may write no larger file, whose signal does no harm", function()
      local output = elsewhere(FILL .. [[print(message, why)
        assert(log:write("y\n") and log:sync())
        print(n)]], { before = "ulimit -f 64; " })
      local message, n = output:match("^(.-)\n(%d+)\n$")
      assert.equal(("cannot write '%s': File too large\tfull"):format(path), message)
      assert.is_true(tonumber(n) > 10)
      local text = room:read("log")
      assert.equal(tonumber(n) * 1000 + 2, #text)
      assert.matches("x\ny\n$", text)
    end)

    it("though it cannot be taken away at once: then it is before the next is written", function()
      local output = among_failures(FILL:gsub("repeat", "failing.truncate(1) repeat") .. [[
        print(select(2, io.open(path):read("a"):gsub("[^\n]+$", "")))
        assert(log:read(n * 1000 - 2, 9) == "x\n")
        assert(log:write("y\n"))
        print(log:size() == n * 1000 + 2)]], { before = "ulimit -f 64; " })
      assert.equal("1\ntrue\n", output)
      assert.matches("x\ny\n$", room:read("log"))
      assert.equal(2, #room:read("log") % 1000)
    end)

    it("where the disk is full", function()
      local mounted =
        os.execute(("mount -t tmpfs -o size=64k,nr_inodes=10 none '%s' 2>/dev/null"):format(room.directory))
      if not mounted then
        return
      end
      finally(function()
        os.execute(("umount -l '%s'"):format(room.directory))
      end)
      local output = elsewhere(FILL .. [[print(message, why)]])
      assert.equal(("cannot write '%s': No space left on device\tfull\n"):format(path), output)
      local log = assert(core.append(path))
      assert.equal(0, log:size() % 1000)
      assert.is_true(log:truncate(1000))
      assert.is_true(log:write("y"))
      log:close()
      assert.equal(1001, #room:read("log"))
      for i = 1, 20 do
        io.open(room:path(i), "w")
      end
      collectgarbage()
      assert.same(
        { nil, ("cannot write '%s': No space left on device"):format(room:path("other")), "full" },
        { core.append(room:path("other")) }
      ) -- stylua: ignore
    end)
  end)
end)

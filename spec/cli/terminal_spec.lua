-- The program in a pseudo-terminal (of the program script), in pipes, and interrupted.

local cjson = require("cjson")

local cli = require("spec.support.cli")
local process = require("spec.support.process")
local sandbox = require("spec.support.sandbox")
local server = require("spec.support.server")

-- What shell commands write to a terminal of so many columns, both outputs together.
local function on_terminal(s, columns, commands)
  local quoted = process.quote(cli.command(s, ("stty cols %d\n%s"):format(columns, commands)))
  local pipe = assert(
    io.popen(
      ("preload=$LD_PRELOAD exec env -u LD_PRELOAD SHELL=/bin/sh script -qec %s /dev/null </dev/null"):format(quoted)
    )
  )
  local output = pipe:read("a")
  local _, _, status = pipe:close()
  return output:gsub("\r\n", "\n"), status
end

-- A batch over a directory, to the end.
local RUN = [[batches run --source-directory-id %s ]]
  .. [[--config '{"job": {"type": "parse_v2", "configuration_id": "cfg-PARSE_AGENTIC"}}']]

local function lines(text)
  local found = {}
  for line in text:gmatch("[^\n]+") do
    found[#found + 1] = line
  end
  return found
end

describe("on a terminal", function()
  local s

  lazy_setup(function()
    s = sandbox.start { batches = 30, seed = 3, speed = 200 }
    cli.run(s, "beta directories create --name 'Rechnungen für 東京 2026' --description 'red \27[31m'")
  end)

  lazy_teardown(function()
    s:stop()
  end)

  it("a list is a table, no wider than it", function()
    for _, columns in ipairs { 60, 80, 100, 200 } do
      local output = on_terminal(s, columns, "NO_COLOR=1 lc batches list --max-items 5")
      local found = lines(output)
      assert.equal(6, #found)
      assert.matches("^id  ", found[1])
      assert.equal(columns >= 100, found[1]:find("source_directory_id", 1, true) ~= nil)
      assert.equal(columns == 200, found[1]:find("updated_at", 1, true) ~= nil)
      for _, line in ipairs(found) do
        assert.is_true(#line <= columns, line)
      end
    end
  end)

  it("columns stand below each other, also of characters that take two", function()
    local output = on_terminal(s, 120, "NO_COLOR=1 lc beta directories list --fields name,type --max-items 3")
    local place = output:match("^(name +)type\n")
    local row = output:match("(Rechnungen für 東京 2026 +)user\n")
    assert.equal(#place, utf8.len(row) + 2)
  end)

  it("what the service says does not steer it", function()
    local output = on_terminal(s, 120, "NO_COLOR=1 lc beta directories list --fields description")
    assert.equal("description\nred  [31m\n", output)
    assert.is_nil(output:find("\27", 1, true))
  end)

  it("nor does it as CSV or JSON, which is what it was all the same", function()
    local name = "a\u{9B}31m\u{202E}b\127\u{E0001}"
    cli.run(s, ("beta directories create --type ephemeral --name %s"):format(process.quote(name)))
    local command = "lc beta directories list --type ephemeral --max-items 1 --fields name --format "
    local output = on_terminal(s, 120, command .. "csv")
    assert.equal("name\na 31m b  \n", output)
    output = on_terminal(s, 120, command .. "jsonl")
    assert.equal([[{"name":"a\u009b31m\u202eb\u007f\udb40\udc01"}]] .. "\n", output)
    assert.equal(name, cjson.decode(output).name)
    assert.equal(name, cjson.decode((cli.shell(s, command .. "jsonl"))).name)
    assert.equal(("name\n%s\n"):format(name), (cli.shell(s, command .. "csv")))
  end)

  it("ids are never cut", function()
    local id = cjson.decode((cli.run(s, "files create --purpose parse --file README.md"))).id
    assert.is_true(#id > 40)
    for _, columns in ipairs { 20, 80 } do
      assert.matches("\n" .. id:gsub("%-", "%%-"), (on_terminal(s, columns, "NO_COLOR=1 lc files list")))
    end
  end)

  it("lines of later pages are no wider than it, and whole where they fit", function()
    for _, name in ipairs { ("long "):rep(20), "short" } do
      cli.run(s, ("beta directories create --name %s"):format(process.quote(name)))
    end
    local command = "NO_COLOR=1 lc beta directories list --max-items 2 --page-size 1"
    assert.matches("\ndir%-%S+  long…", (on_terminal(s, 60, command)))
    assert.matches("\ndir%-%S+  " .. ("long "):rep(20), (on_terminal(s, 200, command)))
    assert.matches(
      "\ndir%-%S+  .*\ndir%-%S+  [^\n]*" .. ("long "):rep(20),
      (cli.shell(s, command .. " --format table"))
    )
  end)

  it("there are colours, unless NO_COLOR or TERM say otherwise", function()
    local command = "lc batches list --max-items 3 --status COMPLETED"
    assert.matches("\27%[1mid\27%[0m.*\27%[32mCOMPLETED\27%[0m", (on_terminal(s, 100, command)))
    for _, setting in ipairs { "NO_COLOR=1", "TERM=dumb" } do
      local output = on_terminal(s, 100, ("export %s; %s"):format(setting, command))
      assert.matches("COMPLETED", output)
      assert.is_nil(output:find("\27", 1, true))
    end
    assert.matches("\27%[32m", (on_terminal(s, 100, "export NO_COLOR=; " .. command))) -- empty is as if unset
  end)

  it("a locale that is not UTF-8 gets ASCII, and programs get UTF-8 all the same", function()
    local command = "NO_COLOR=1 lc beta directories list --fields name"
    local output = on_terminal(s, 100, "export LC_ALL=C; " .. command)
    assert.matches("Rechnungen f%?r %?%? 2026", output)
    assert.is_nil(output:find("[\128-\255]"))
    local out = cli.shell(s, "export LC_ALL=C; lc beta directories list --fields name")
    assert.matches('"Rechnungen für 東京 2026"', out)
  end)

  it("progress is shown on it, and gone in the end; in a file there is none", function()
    local command = RUN:format("dir-files-5") .. " --polling-interval 0.02 --backoff constant --fields status"
    local output = on_terminal(s, 100, "NO_COLOR=1 lc " .. command)
    assert.matches("\r\27%[Kbat%-%S+  %u+  %d+ s\r\27%[K", output)
    assert.matches("\r\27%[Kstatus  COMPLETED\n$", output)
    local out, err = cli.run(s, command)
    assert.equal('{"status":"COMPLETED"}\n', out)
    assert.equal("", err)
  end)

  it("what a request waits for before it is sent again is shown, too", function()
    s:fault("GET /api/v2/batches: 503 x1")
    local output = on_terminal(s, 100, "NO_COLOR=1 lc batches list --max-items 1 --fields status")
    s:clear_faults()
    assert.matches("^\r\27%[Kattempt 2 of 6 in %S+ s: 503[^\r]*\r\27%[Kstatus\n%u+\n$", output)
  end)

  it("an upload shows how far it is, how fast, and nothing in the end", function()
    local command =
      "head -c 50000 /dev/zero >$file; lc files create --purpose parse --file $file --fields purpose; rm $file"
    local output = on_terminal(s, 120, "export NO_COLOR=1; file=$(mktemp); " .. command)
    assert.matches("\r\27%[K/%S+  50.0 kB of 50.0 kB  [%d.]+ [kMG]?B/s\r\27%[Kpurpose  parse\n$", output)
  end)

  it("JSON lines are in the pipe behind it", function()
    local output = on_terminal(s, 80, "lc batches list --max-items 2 | cat")
    for _, line in ipairs(lines(output)) do
      assert.equal("string", type(cjson.decode(line).id))
    end
  end)
end)

describe("in a pipe", function()
  it("the first line is there before the second page is asked for", function()
    local s <close> = sandbox.start { batches = 800, seed = 3 }
    -- Nobody reads what is beyond the first line, and a page is more than a pipe and a buffer hold: the program waits in
    -- the middle of it, and only what was asked for ahead could have been asked for.
    local pipe = assert(io.popen(cli.command(s, "lc batches list --page-size 400")))
    assert.matches('^{"id":"bat%-', pipe:read("l"))
    assert.equal(1, s:stats().routes["GET /api/v2/batches"])
    local count = 1
    for _ in pipe:lines() do
      count = count + 1
    end
    pipe:close()
    assert.equal(800, count)
    assert.equal(2, s:stats().routes["GET /api/v2/batches"])
  end)

  it("it ends, at once and quietly, when nobody reads any more", function()
    local s <close> = sandbox.start { batches = 1000, seed = 3 }
    for _, trap in ipairs { "", "trap '' PIPE; " } do -- killed by the signal, or told by the error
      local command = "{ lc batches list --page-size 500; echo $? >&2; } | head -n 1"
      s:clear_stats()
      local out, err = cli.shell(s, trap .. command)
      assert.equal(1, #lines(out))
      assert.equal("141\n", err)
      assert.equal(1, s:stats().routes["GET /api/v2/batches"])
    end
  end)

  it("a full disk, and a closed output, is an error", function()
    local s <close> = sandbox.start { batches = 10, seed = 3 }
    local _, err, status = cli.shell(s, "lc batches list >/dev/full")
    assert.equal(1, status)
    assert.matches("^llama%-cloud: file: standard output: No space left on device\n$", err)
    _, err, status = cli.shell(s, "lc batches list >&-") -- no connection gets its number
    assert.equal(1, status)
    assert.matches("^llama%-cloud: file: standard output: Bad file descriptor\n$", err)
  end)
end)

describe("Ctrl-C", function()
  -- Runs the program, which is interrupted when `ready` says so. Returns what it wrote, errors included, and what it exited
  -- with.
  local function interrupted(s, arguments, ready)
    local path = os.tmpname()
    local command = ('echo $$ >%s; exec env ${preload:+LD_PRELOAD="$preload"} "$lua" "$program" %s 2>&1'):format(
      path,
      arguments
    )
    local pipe = assert(io.popen(("sh -c %s; echo $?"):format(process.quote(cli.command(s, command)))))
    server.wait_for(ready, "the program")
    local file = assert(io.open(path))
    local pid = file:read("l")
    file:close()
    os.remove(path)
    assert.is_true(os.execute("kill -INT " .. pid))
    local output = pipe:read("a")
    pipe:close()
    return output:match("^(.-)(%d+)\n$")
  end

  it("ends a wait, and says how to go on", function()
    local s <close> = sandbox.start { batches = 0, seed = 3 }
    local function polled()
      return (s:stats().routes["GET /api/v2/batches/{batch_id}"] or 0) >= 3
    end
    local output, status =
      interrupted(s, RUN:format("dir-files-12-stuck") .. " --polling-interval 0.02 --backoff constant", polled)
    assert.equal("130", status)
    local id, again =
      output:match("^llama%-cloud: interrupted\nllama%-cloud: batch (%S+) goes on at the service: (.*)\n$")
    assert.matches("^bat%-", id, output)
    assert.equal(("llama-cloud batches wait %s --polling-interval 0.02 --backoff constant"):format(id), again)
    s:clear_stats()
    output, status = interrupted(s, again:gsub("^llama%-cloud ", ""), polled)
    assert.equal("130", status)
    assert.truthy(output:find(again .. "\n", 1, true))
  end)

  it("ends a call that is not answered", function()
    local s <close> = sandbox.start { batches = 10, seed = 3, faults = { "GET /api/v2/batches: stall" } }
    local output, status = interrupted(s, "batches list", function()
      return s:faults()[1].hits > 0
    end)
    assert.equal("130", status)
    assert.equal("llama-cloud: interrupted\n", output)
  end)

  it("ends a list between pages, and says where to go on", function()
    local s <close> = sandbox.start { batches = 10, seed = 3, faults = { "GET /api/v2/batches: stall after=1" } }
    local output, status = interrupted(s, "batches list --page-size 4 --fields id", function()
      return s:faults()[1].hits > 0
    end)
    assert.equal("130", status)
    assert.equal(6, #lines(output))
    local again = output:match("llama%-cloud: to continue from here: llama%-cloud ([^\n]*)\n$")
    s:clear_faults()
    local out = cli.run(s, again)
    assert.equal(6, #lines(out))
  end)

  -- As lua does it: an error, raised by a hook, after so many instructions.
  local INTERRUPTED_AT = [[
    local moment = tonumber(table.remove(arg, 1))
    debug.sethook(function()
      debug.sethook()
      error("interrupted!", 2)
    end, "", moment)
    arg[0] = table.remove(arg, 1)
    local exit = os.exit
    os.exit = function(code)
      debug.sethook()
      exit(code, true)
    end
    dofile(arg[0])
  ]]

  -- What fails by itself when it has begun, and how.
  for arguments, wrong in pairs {
    ["batches list --base-url http://127.0.0.1:1 --max-retries 0"] = "connection: ",
    ["process spec/support --configuration cfg-PARSE_FAST --journal /nowhere/x"] = "file: the journal: ",
  } do
    it("ends it at any moment of its start: " .. arguments, function()
      local path = os.tmpname()
      local file <close> = assert(io.open(path, "w"))
      file:write(INTERRUPTED_AT)
      file:flush()
      local command = 'export LLAMA_CLOUD_API_KEY=x; env ${preload:+LD_PRELOAD="$preload"} "$lua" %s %d "$program" %s'
      local moment, count, begun = 1000, 0, false
      while not begun do
        local _, err, status = cli.shell(nil, command:format(path, moment, arguments))
        begun = err:find("^llama%-cloud: " .. wrong) ~= nil
        assert.is_true(begun or status == 130, ("after %d instructions: %d, %s"):format(moment, status, err))
        moment, count = moment * 6 // 5, count + 1
      end
      os.remove(path)
      assert.is_true(count > 20, count)
    end)
  end

  it("ends a wait for many, and says how to wait for those that have not ended", function()
    local s <close> = sandbox.start { batches = 10, seed = 3, speed = 200 }
    local ids = lines((cli.run(s, "batches list --status COMPLETED --max-items 2 --fields id --format csv")))
    s:fault(("GET /api/v2/batches/%s: stall"):format(ids[3]))
    local output, status = interrupted(s, ("batches wait-all --fields=id %s %s"):format(ids[2], ids[3]), function()
      return s:faults()[1].hits > 0 and s:stats().requests >= 3
    end)
    assert.equal("130", status)
    assert.equal(
      ('{"id":"%s"}\nllama-cloud: interrupted\n'):format(ids[2])
        .. ("llama-cloud: they go on at the service: llama-cloud batches wait-all %s --fields=id\n"):format(ids[3]),
      output
    )
  end)

  it("ends a creation, and says that it may have happened", function()
    local s <close> = sandbox.start { batches = 0, seed = 3, faults = { "POST *: stall" } }
    local output, status = interrupted(s, "beta directories create --name x", function()
      return s:faults()[1].hits > 0
    end)
    assert.equal("130", status)
    assert.equal(
      "llama-cloud: interrupted\n"
        .. "llama-cloud: the service may have done it all the same: check before you repeat it\n",
      output
    )
  end)

  it("ends the program with 130 also while it begins", function()
    local kill = 'io.popen("kill -INT $PPID"):close()'
    for _, init in ipairs { -- when the first library is loaded; when the client is made
      "package.preload.argparse = function() %s end",
      "local get = os.getenv function os.getenv(n) if n == 'LLAMA_CLOUD_API_KEY' then %s end return get(n) end",
    } do
      local command = "export LUA_INIT=%s; "
        .. 'exec env ${preload:+LD_PRELOAD="$preload"} "$lua" "$program" batches list --base-url http://127.0.0.1:1'
      local out, err, status = cli.shell(nil, command:format(process.quote(init:format(kill))))
      assert.equal("llama-cloud: interrupted\n", out .. err)
      assert.equal(130, status)
    end
  end)
end)

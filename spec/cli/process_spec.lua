-- llama-cloud process: what it prints, exits with, and how it goes on. That the recipe itself holds is in spec/process/.

local cjson = require("cjson")

local cli = require("spec.support.cli")
local command_line = require("llama_cloud.cli")
local lookup = require("llama_cloud.cli.lookup")
local process = require("spec.support.process")
local recipe = require("llama_cloud.process")
local sandbox = require("spec.support.sandbox")
local server = require("spec.support.server")

local COMMAND = "process in --configuration cfg-PARSE_AGENTIC --output out --journal run.jsonl --expand markdown_full "
  .. "--polling-interval 0.05 --backoff constant --uploads-per-second 1000"

local function lines(text)
  local found = {}
  for line in text:gmatch("[^\n]+") do
    found[#found + 1] = line
  end
  return found
end

describe("llama-cloud process", function()
  local s, folder

  before_each(function()
    s = sandbox.start { batches = 0, seed = 3, speed = 200 }
    folder = os.tmpname()
    os.remove(folder)
    assert.is_true(os.execute(("mkdir -p %s/in/sub"):format(folder)))
    for number = 1, 12 do
      local file = assert(io.open(("%s/in/sub/%d.txt"):format(folder, number), "w"))
      file:write("text ", number)
      file:close()
    end
  end)

  after_each(function()
    s:stop()
    os.execute("rm -r " .. folder)
  end)

  local function shell(commands)
    return cli.shell(s, ("cd %s\n%s"):format(folder, commands))
  end

  -- What commands write to a terminal.
  local function on_terminal(commands)
    local whole = cli.command(s, ("stty cols 100; cd %s; %s"):format(folder, commands))
    local script = "preload=$LD_PRELOAD exec env -u LD_PRELOAD SHELL=/bin/sh script -qec %s /dev/null </dev/null"
    local pipe = assert(io.popen(script:format(process.quote(whole))))
    local output = pipe:read("a"):gsub("\r\n", "\n")
    pipe:close()
    return output
  end

  it("writes results, and a line for each file", function()
    local out, err, status = shell("lc " .. COMMAND)
    assert.equal(0, status, err)
    assert.equal("llama-cloud: 12 files: 12 completed, 0 failed\n", err)
    local seen = {}
    for _, line in ipairs(lines(out)) do
      local row = cjson.decode(line)
      assert.equal("COMPLETED", row.status)
      assert.matches("^in/sub/%d+%.txt$", row.path)
      assert.equal(("out/%s.md"):format(row.name), row.output[1])
      assert(io.open(("%s/%s"):format(folder, row.output[1]))):close()
      seen[row.path] = true
    end
    for number = 1, 12 do
      assert.is_true(seen[("in/sub/%d.txt"):format(number)])
    end
    -- and again: there is nothing left to do
    out, err, status = shell("lc " .. COMMAND)
    assert.equal("", out)
    assert.equal("llama-cloud: 12 files: 12 completed, 0 failed\n", err)
    assert.equal(0, status)
    assert.equal(12, s:uploads().total)
  end)

  it("names what failed, exits with 1, and gives the command that goes on, which works", function()
    assert(io.open(folder .. "/in/empty file.txt", "w")):close()
    local out, err, status = shell("lc " .. COMMAND .. " --exclude '/1%.txt$'")
    assert.equal(1, status)
    assert.equal(12, #lines(out))
    assert.matches("llama%-cloud: empty file.txt: file: the file 'in/empty file.txt' is empty\n", err)
    assert.matches("llama%-cloud: 12 files: 11 completed, 1 failed\n", err)
    local again = err:match("to retry the failed files: llama%-cloud (.*)\n$")
    assert.truthy(again:find("--exclude '/1%.txt$' --retry-failed", 1, true), again)
    -- what has failed counts in the end, until it was processed
    out, err, status = shell("lc " .. COMMAND .. " --exclude '/1%.txt$'")
    assert.equal("", out)
    assert.matches("12 files: 11 completed, 1 failed", err)
    assert.equal(1, status)
    local file = assert(io.open(folder .. "/in/empty file.txt", "w"))
    file:write("no more")
    file:close()
    out, err, status = shell("lc " .. again)
    assert.equal(0, status, err)
    assert.equal(1, #lines(out))
    assert.equal("llama-cloud: 12 files: 12 completed, 0 failed\n", err)
  end)

  it("is interrupted by Ctrl-C, and goes on by the command that it gives", function()
    s:fault("GET /api/v2/batches/*: 503")
    local program = 'cd %s; echo $$ >pid; exec env ${preload:+LD_PRELOAD="$preload"} "$lua" "$program" %s 2>&1'
    program = program:format(folder, COMMAND)
    local pipe = assert(io.popen(("sh -c %s; echo $?"):format(process.quote(cli.command(s, program)))))
    server.wait_for(function()
      return s:faults()[1].hits > 0
    end, "the program")
    assert.is_true(os.execute(("kill -INT $(cat %s/pid)"):format(folder)))
    local output = pipe:read("a")
    pipe:close()
    local again = output:match("^llama%-cloud: interrupted\nllama%-cloud: to continue: llama%-cloud (.*)\n130\n$")
    assert.equal(COMMAND, again, output)
    s:clear_faults()
    local out, err, status = shell("lc " .. again)
    assert.equal(0, status, err)
    assert.equal(12, #lines(out))
    assert.equal(12, s:uploads().total)
    assert.equal(1, s:stats().routes["POST /api/v2/batches"])
  end)

  it("names in its table what had failed before an error has ended it", function()
    assert(io.open(folder .. "/in/empty file.txt", "w")):close()
    s:fault("POST /api/v2/batches: 402 x1")
    local out, err, status = shell("lc " .. COMMAND .. " --format table")
    assert.matches("empty file.txt +FAILED +file: the file 'in/empty file.txt' is empty", out)
    assert.matches("llama%-cloud: to continue: ", err)
    assert.is_true(status > 0)
  end)

  it("says how to go on where the key is refused, and exits with 3", function()
    s:fault("POST /api/v1/beta/directories*: 401")
    local out, err, status = shell("lc " .. COMMAND)
    assert.equal(3, status)
    assert.equal("", out)
    assert.matches("^llama%-cloud: authentication: 401", err)
    assert.truthy(err:find("\nllama-cloud: to continue: llama-cloud " .. COMMAND .. "\n", 1, true), err)
  end)

  it("refuses wrong use before anything is sent or written", function()
    for arguments, message in pairs {
      ["in"] = "missing flag '--configuration'",
      ["in --configuration c --type classify_v2"] = "must be one of 'parse_v2', 'extract_v2'",
      ["in --configuration c --batch-size 2000"] = "--batch-size must be an integer from 1 to 1000",
      ["--configuration c"] = "missing argument 'path'",
      ["nosuch --configuration c --journal refused"] = "cannot read nosuch: No such file",
      ["in out --configuration c --journal refused"] = "give one folder, or files: 'in' is a folder",
      ["in --configuration c --uploads-per-second 0"] = "--uploads-per-second: '0' is not a number above 0",
      ["in --configuration c --output /proc/self"] = "the output folder '/proc/self' cannot be used: ",
      ["in/ --configuration c --output ./in"] = "the results cannot be written into the folder of the files",
      ["in --configuration c --expand markdwn_full --journal refused"] = "(did you mean 'markdown_full'?)",
      ["in --configuration c --fields naem --journal refused"] = "unknown field 'naem' (did you mean 'name'?)",
      ["in --configuration c --pattern '['"] = "--pattern: malformed pattern",
    } do
      local out, err, status = shell("lc process " .. arguments)
      assert.equal(2, status, err)
      assert.equal("", out)
      assert.truthy(err:find(message, 1, true), err)
    end
    assert.equal(0, s:stats().requests)
    assert.is_nil(io.open(folder .. "/refused"))
  end)

  it("does not advise to repeat what is refused as it is", function()
    local _, err, status = shell("lc process in --configuration c --journal in/sub/1.txt")
    assert.equal(1, status)
    assert.matches("^llama%-cloud: file: 'in/sub/1.txt' is no journal[^\n]*\n$", err)
  end)

  it("says that nothing was found, and that no text was asked for", function()
    local out, err, status = shell("lc " .. COMMAND .. " --pattern '*.txt'")
    assert.same({ "", 0 }, { out, status })
    local nothing =
      "llama%-cloud: no file is left by %-%-pattern and %-%-exclude, which are Lua patterns, such as %%.pdf%$\n"
    assert.matches("^" .. nothing .. "llama%-cloud: 0 files", err)
    out, err, status = shell("lc process in/sub/1.txt --configuration c --polling-interval 0.05")
    assert.equal(0, status, err)
    assert.equal("COMPLETED", cjson.decode(out).result.job.status)
    assert.matches("^llama%-cloud: no text will be fetched", err)
  end)

  it("tries an --expand that resembles none, and goes on with another, by the same journal", function()
    local told = "^llama%-cloud: unknown value of %-%-expand 'of_tomorrow'\n"
    local _, err, status = shell("lc " .. COMMAND .. " --expand of_tomorrow")
    assert.equal(1, status)
    assert.matches(told .. ".*llama%-cloud: unprocessable_entity: 422: ", err)
    local again = err:match(
      "\nllama%-cloud: to continue after mending %-%-expand, with the same journal, [^:]*: llama%-cloud ([^\n]*)\n$"
    )
    assert.is_string(again, err)
    _, err, status = shell("lc " .. again:gsub(" %-%-expand of_tomorrow", ""))
    assert.equal(0, status, err)
    assert.matches("12 files: 12 completed, 0 failed\n$", err)
    assert.equal(12, s:uploads().total)
    assert.equal(1, s:stats().routes["POST /api/v2/batches"])
  end)

  it("tells of trouble while nothing moves, by what its client logs", function()
    local code = 'local log = require("llama_cloud.cli.process").log; log("info", 1); log("warn", 2); log("warn", 3)'
    local _, err = shell(('"$lua" -e %s'):format(process.quote(code)))
    assert.equal("llama-cloud: trying again: 2\n", err)
    code = 'require("llama_cloud.cli.process").log = function() os.exit(77) end'
    local anew = COMMAND:gsub("%-%-journal run.jsonl ", "")
    local command = ('"$lua" -e %s "$program" %s'):format(process.quote(code), anew)
    assert.equal(77, (select(3, shell(command))))
    assert.equal(0, (select(3, shell("LLAMA_CLOUD_LOG=off " .. command))))
  end)

  it("takes --retry-failed for a flag, also where a path stands behind --", function()
    assert(io.open(folder .. "/-empty", "w")):close()
    local _, err, status = shell("lc process --configuration cfg-PARSE_AGENTIC --journal j --output out -- -empty")
    assert.equal(1, status)
    local again = err:match("retry the failed files: llama%-cloud (.*)\n$")
    _, err, status = shell("lc " .. again)
    assert.equal(1, status)
    assert.matches("file '%-empty' is empty\n", err)
  end)

  it("has all parameters and options of the recipe as flags", function()
    local flags = {}
    for _, name in lookup.flags(lookup.command(command_line.parser("files"), "process")) do
      flags[name] = true
    end
    local not_flags = { config = true, headers = true, on_progress = true }
    for _, kind in ipairs { "parameters", "options" } do
      for name in pairs(recipe.method[kind]) do
        assert.is_true(not_flags[name] or flags["--" .. name:gsub("_", "-")], name)
      end
    end
  end)

  it("shows on a terminal how far it is, and in the end a table of what failed", function()
    assert(io.open(folder .. "/in/empty.txt", "w")):close()
    local output = on_terminal("NO_COLOR=1 lc " .. COMMAND)
    assert.matches("\27%[K%d+ of %d+ files? done", output)
    local ending = output:match("[^\r]*$"):gsub("^\27%[K", "")
    assert.matches("^name       status  error\nempty.txt  FAILED  file: the file 'in/empty.txt' is empty\n", ending)
    assert.matches("\nllama%-cloud: 13 files: 12 completed, 1 failed\n", ending)
    output = on_terminal("NO_COLOR=1 lc " .. COMMAND)
    assert.matches("llama%-cloud: 13 files: 12 completed, 1 failed %(1 in an earlier run%)\n", output)
  end)

  it("prints on a terminal, too, the results that are written to no folder; and on a dumb one nothing else", function()
    local output = on_terminal("export TERM=dumb; lc " .. COMMAND:gsub("%-%-output out ", ""))
    local found = lines(output)
    assert.equal("llama-cloud: 12 files: 12 completed, 0 failed", table.remove(found))
    assert.equal(12, #found)
    for _, line in ipairs(found) do
      assert.equal("string", type(cjson.decode(line).result.markdown_full))
    end
  end)
end)

describe("llama-cloud demo", function()
  it("shows the whole job, without a key, and leaves files and results", function()
    local folder = os.tmpname()
    os.remove(folder)
    local out, err, status = cli.run(nil, "demo " .. folder)
    assert.equal(0, status, err)
    local found = lines(out)
    assert.equal(
      ("$ llama-cloud process %s/in --configuration"):format(folder),
      found[1]:match("^.- %-%-configuration")
    )
    assert.equal(5, #found)
    assert.matches("llama%-cloud: 4 files: 3 completed, 1 failed\n", err)
    assert.is_nil(err:find("again", 1, true))
    for _, name in ipairs { "letter.txt", "invoices/2026-01.txt", "invoices/2026-02.txt" } do
      assert(io.open(("%s/out/%s.md"):format(folder, name))):close()
    end
    out, err, status = cli.run(nil, "demo " .. folder)
    assert.equal("", out)
    assert.matches(
      ("^llama%%-cloud: cannot make the folder %s: File exists; give the name of a new one"):format(folder),
      err
    )
    assert.equal(2, status)
    os.execute("rm -r " .. folder)
  end)
end)

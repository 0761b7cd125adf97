-- How flags are read, what wrong use is told, and where the key comes from.

local cjson = require("cjson")

local cli = require("spec.support.cli")
local files = require("spec.support.files")
local program = require("spec.support.program")
local sandbox = require("spec.support.sandbox")

local CONFIG = [[--config '{"job": {"type": "parse_v2", "configuration_id": "cfg-PARSE_AGENTIC"}}']]

describe("llama-cloud", function()
  local s

  lazy_setup(function()
    s = sandbox.start { batches = 130, seed = 3, speed = 200 }
  end)

  lazy_teardown(function()
    s:stop()
  end)

  before_each(function()
    s:clear_faults()
    s:clear_stats()
  end)

  describe("flags", function()
    it("carry JSON, files of JSON, standard input, booleans, arrays, and what this version does not know", function()
      local file <close> = files.temporary('{"tags": ["a", "b"], "size": 9007199254740993}')
      local directory =
        cjson.decode((cli.run(s, "beta directories create --name flags --system-metadata @" .. file.path)))
      assert.same({ "a", "b" }, directory.system_metadata.tags)
      local out =
        cli.shell(s, 'echo \'{"from": "stdin"}\' | lc beta directories create --name flags2 --system-metadata @-')
      assert.equal("stdin", cjson.decode(out).system_metadata.from)
      s:clear_stats()
      cli.run(
        s,
        "beta directories list --include-deleted --types user --types ephemeral --query extra=1 --query extra=2"
      )
      cli.run(s, "beta directories list --no-include-deleted")
      local requests = s:requests()
      assert.equal("include_deleted=true&types=user&types=ephemeral&extra=1&extra=2", requests[1].query)
      assert.equal("include_deleted=false", requests[2].query)
    end)

    it("send an empty object, and an empty array", function()
      local file <close> = files.temporary("text")
      local id = cjson.decode((cli.run(s, "beta directories create --name emptied"))).id
      local upload = 'beta directories files upload %s --upload-file %s --metadata \'{"a": "b"}\''
      local row = cjson.decode((cli.run(s, upload:format(id, file.path))))
      s:clear_stats()
      cli.run(s, ("beta directories files update %s %s --metadata '{}'"):format(id, row.id))
      cli.run(s, "webhook-configs create --webhook-url https://example.com --webhook-events ''")
      assert.equal('{"metadata":{}}', s:requests()[1].body)
    end)

    it("take what is no date and no time since the epoch as it stands", function()
      for given, sent in pairs {
        ["2026"] = "2026",
        ["0x7E000000"] = "0x7E000000",
        ["2026-11-01"] = "2026-11-01",
        ["1764201600"] = "2025-11-27T00%3A00%3A00.000Z",
      } do
        s:clear_stats()
        cli.run(s, "batches list --max-items 1 --created-at-on-or-after " .. given)
        assert.equal("created_at_on_or_after=" .. sent, s:requests()[1].query)
      end
    end)

    it("send null, which removes a description", function()
      local id = cjson.decode((cli.run(s, "beta directories create --name described --description text"))).id
      local out = cli.run(s, ("beta directories update %s --body '{\"description\": null}'"):format(id))
      assert.is_nil(cjson.decode(out).description)
    end)
  end)

  describe("exits with", function()
    it("2 for wrong use, and says what would be right, before anything is sent", function()
      for arguments, message in pairs {
        ["batchs"] = "no command 'batchs' (did you mean 'batches'?)",
        ["batches lst"] = "no command 'lst' (did you mean 'list'?)",
        ["batches list --pagesize 3"] = "unknown flag '--pagesize' (did you mean '--page-size'?)",
        ["batches list --page-size many"] = "--page-size: 'many' is not an integer",
        ["batches get"] = "missing argument 'batch-id'",
        ["batches create " .. CONFIG] = "missing flag '--source-directory-id'",
        ["batches create --source-directory-id d --config '{'"] = "--config: '{' is not JSON: expected a key or '}'",
        ["batches create --source-directory-id d --config 3"] = "--config: '3' must be a JSON object or array",
        ["batches create --source-directory-id d --config @/nonexistent"] = "--config: cannot read /nonexistent: No",
        ["parsing create --file-id f --upload-file README.md"] = "give either --upload-file or --file-id, not both",
        ["batches list --page_size 3"] = "unknown flag '--page_size' (did you mean '--page-size'?)",
        ["batches list --page-size -1"] = "unknown flag '-1'; a value that begins with a dash is",
        ["batches list --status"] = "flag '--status' needs a value",
        ["batches wait_all b"] = "no command 'wait_all' (did you mean 'wait-all'?)",
        ["batches get ''"] = "batch-id must not be empty",
        ["files create --purpose parse --file no_such_file"] = "--file: cannot read 'no_such_file': No such file",
        ["batches list --region mars"] = "unknown region 'mars': it is 'us' or 'eu', or give a --base-url",
        ["--key-file / batches list"] = "--key-file: cannot read '/': Is a directory",
        ["--key-file \"$(printf '\\033[31m')\" batches list"] = "--key-file:  [31m: No such file",
        ["batches list --query x"] = "'x' is not of the form NAME=VALUE",
        ["parsing run a.pdf"] = "too many arguments: what is not an id is given by a flag",
        ["batches list --include-deleted"] = "unknown flag '--include-deleted'",
        ["--timeout 0 batches list"] = "--timeout: '0' is not a number of seconds",
        ["batches list --format xml"] = "must be one of 'table', 'json', 'jsonl', 'csv'",
        ["batches"] = "a command is required",
        ["--format json sandbox"] = "sandbox must be the first word",
      } do
        local out, err, status = cli.run(s, arguments)
        assert.equal(2, status, arguments)
        assert.equal("", out)
        assert.truthy(err:find(message, 1, true), err)
        assert.is_nil(err:find("traceback"))
        assert.is_nil(err:find("%.lua:"))
        assert.is_nil(err:find("\27", 1, true))
      end
      assert.equal(0, s:stats().requests)
    end)

    it("2 without a command, with the help on standard error", function()
      local out, err, status = cli.run(s, "")
      assert.equal(2, status)
      assert.equal("", out)
      assert.matches("^Usage: llama%-cloud", err)
    end)

    it("1 for what the service refuses", function()
      local out, err, status = cli.run(s, "batches get bat-none")
      assert.equal(1, status)
      assert.equal("", out)
      assert.matches("^llama%-cloud: not_found: 404: Batch not found %(check the id[^()]+%) %(GET ", err)
    end)

    it("3 where the service is not reached, or does not allow it", function()
      local _, err, status = cli.run(s, "batches list --base-url http://127.0.0.1:1 --max-retries 0")
      assert.equal(3, status)
      assert.matches("^llama%-cloud: connection: ", err)
      for code in ("401 402 403"):gmatch("%d+") do
        s:clear_faults()
        s:fault(("GET *: %s"):format(code))
        _, err, status = cli.run(s, "batches list")
        assert.equal(3, status, err)
      end
    end)

    it("0 for help, with an example, and for the version", function()
      local out, err, status = cli.run(nil, "batches list --help")
      assert.equal(0, status)
      assert.equal("", err)
      assert.matches("Example:\n  llama%-cloud batches list ", out)
      assert.matches("%-%-status STATUS", out)
      out, err, status = cli.run(nil, "--version")
      assert.equal("", err)
      assert.equal(0, status)
      assert.equal(("llama-cloud %s\n"):format(require("llama_cloud")._VERSION), out)
    end)
  end)

  it("does not take help, or anything else, that nobody could read for written", function()
    for _, command in ipairs {
      "--help",
      "batches list --help",
      "--version",
      "man",
      "completion bash",
      "sandbox --help",
      "sandbox",
    } do
      local _, err, status = cli.shell(nil, ("lc %s >/dev/full"):format(command))
      assert.equal(1, status)
      assert.matches("^llama%-cloud[%a: -]*: standard output: No space left on device\n$", err)
    end
  end)

  describe("takes the key", function()
    it("from a file that nobody else can read", function()
      local file <close> = files.temporary("llx-of-file\n")
      local command = ("unset LLAMA_CLOUD_API_KEY; lc batches list --max-items 1 --key-file %s"):format(file.path)
      os.execute("chmod 600 " .. file.path)
      local _, err, status = cli.shell(s, command)
      assert.equal(0, status, err)
      for mode in ("640 604 620"):gmatch("%d+") do
        os.execute(("chmod %s %s"):format(mode, file.path))
        _, err, status = cli.shell(s, command)
        assert.equal(2, status)
        assert.matches("others may read '" .. file.path .. "'; run 'chmod 600' on it", err)
        assert.is_nil(err:find("llx-of-file", 1, true))
      end
    end)

    it("from nowhere else", function()
      local _, err, status = cli.shell(s, "unset LLAMA_CLOUD_API_KEY; lc batches list")
      assert.equal(2, status)
      assert.matches("no API key: give %-%-key%-file, or set the environment variable LLAMA_CLOUD_API_KEY", err)
      _, err, status = cli.run(s, "batches list --api-key llx-secret")
      assert.equal(2, status)
      assert.matches("the API key comes from LLAMA_CLOUD_API_KEY, or a file %(%-%-key%-file%)", err)
      assert.is_nil(err:find("llx-secret", 1, true))
    end)
  end)

  it("says how it is started, where it cannot be as it was", function()
    local path = program.file("bin/llama-cloud")
    local lua = "LUA_PATH='?.none' env -u LUA_PATH_5_4 -u LUA_PATH_5_5 \"$lua\" %s%s; true"
    local _, err = cli.shell(nil, lua:format("", path))
    local advice =
      "llama-cloud: %s does not find the module llama_cloud: install it, or in a checkout, run scripts/lua %s\n"
    assert.equal(advice:format(_VERSION, path), err)
    _, err = cli.shell(nil, lua:format("-e '_VERSION = \"Lua 5.1\"' ", path))
    assert.equal(("llama-cloud: it needs Lua 5.4 or newer, and this is Lua 5.1: run 'lua5.4 %s'\n"):format(path), err)
  end)

  it("without lua-argparse says in one sentence what to install", function()
    local output, status = program.run("bin/llama-cloud", { "--help" }, {
      LUA_PATH = program.file("lua/?.lua;" .. program.file("lua/?/init.lua")),
      LUA_CPATH = package.cpath:match("^[^;]*"),
    })
    assert.equal(
      "llama-cloud: the command line needs the Lua module argparse: install the rock argparse, or on Debian and Ubuntu"
        .. " the package lua-argparse\n",
      output
    )
    assert.equal(1, status)
  end)
end)

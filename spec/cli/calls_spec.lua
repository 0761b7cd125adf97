-- What commands send and print, against the sandbox.

local cjson = require("cjson")

local cli = require("spec.support.cli")
local files = require("spec.support.files")
local process = require("spec.support.process")
local sandbox = require("spec.support.sandbox")

local function lines(text)
  local found = {}
  for line in text:gmatch("[^\n]+") do
    found[#found + 1] = line
  end
  return found
end

local function first_id(s, command)
  local out = cli.run(s, command .. " --max-items 1 --fields id --format csv")
  return lines(out)[2]
end

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

  describe("list", function()
    it("prints a line of JSON for each item of all pages, with the fields in the order of the reference", function()
      local out, err, status = cli.run(s, "batches list --page-size 50")
      assert.equal("", err)
      assert.equal(0, status)
      local found, seen = lines(out), {}
      assert.equal(130, #found)
      for _, line in ipairs(found) do
        assert.matches('^{"id":"bat%-[^"]*","project_id":"[^"]*","source_directory_id":"[^"]*","config":{"job":', line)
        seen[cjson.decode(line).id] = true
      end
      local count = 0
      for _ in pairs(seen) do
        count = count + 1
      end
      assert.equal(130, count)
      assert.equal(3, s:stats().routes["GET /api/v2/batches"])
    end)

    it("asks for no more than --max-items", function()
      local out = cli.run(s, "batches list --page-size 50 --max-items 50 --status COMPLETED")
      assert.equal(50, #lines(out))
      local requests = s:requests()
      assert.equal(1, #requests)
      assert.equal("page_size=50&status=COMPLETED", requests[1].query)
    end)

    it("prints one JSON array", function()
      local out, _, status = cli.run(s, "batches list --page-size 50 --format json")
      assert.equal(0, status)
      assert.equal(130, #cjson.decode(out))
      out, _, status = cli.run(s, "batches list --source-directory-id dir-none --format json")
      assert.equal(0, status)
      assert.equal("[]\n", out)
    end)

    it("prints CSV with the same columns, whatever the items have", function()
      local out = cli.run(s, "batches list --max-items 2 --format csv")
      local found = lines(out)
      assert.equal(3, #found)
      assert.equal("id,project_id,source_directory_id,config,status,created_at,updated_at,results", found[1])
      assert.matches(
        '^bat%-[^,]*,prj%-[^,]*,dir%-[^,]*,"{""job"":{""configuration_id"":""[^,]*"",""type"":""',
        found[2]
      )
      out = cli.run(s, "batches list --source-directory-id dir-none --format csv --fields id,status")
      assert.equal("id,status\n", out)
    end)

    it("prints the fields that are asked for, warns of those that no answer has, and refuses slips", function()
      local out, err, status =
        cli.run(s, "batches list --max-items 1 --fields status,config.job.type,weather.today --format csv")
      assert.equal("status,config.job.type,weather.today", lines(out)[1])
      assert.matches("^%u+,%l+_v2,$", lines(out)[2])
      assert.equal("llama-cloud: unknown field 'weather'\n", err)
      assert.equal(0, status)
      local requests = s:stats().requests
      out, err, status = cli.run(s, "batches list --fields status,statsu.of")
      assert.same({ "", "llama-cloud: unknown field 'statsu' (did you mean 'status'?)\n", 2 }, { out, err, status })
      assert.equal(requests, s:stats().requests)
    end)

    it("prints an array that is no list", function()
      local out, _, status = cli.run(s, "projects list --fields name")
      assert.equal(0, status)
      assert.equal('{"name":"Default"}', lines(out)[1])
      assert.equal(3, #lines(out))
    end)

    it("leaves open what an error cuts off, and says how to go on", function()
      s:fault("GET /api/v2/batches: 400 after=1")
      local out, err, status = cli.run(s, "batches list --page-size 50 --format json --fields id")
      assert.equal(1, status)
      assert.matches("^%[\n", out)
      assert.is_nil(out:find("%]%s*$"))
      assert.matches("llama%-cloud: bad_request: 400", err)
      local again = err:match("to continue from here: llama%-cloud ([^\n]*)\n")
      s:clear_faults()
      assert.equal(80, #cjson.decode((cli.run(s, again))))
    end)

    it("gives a command that goes on, also by an offset, in words that a shell reads", function()
      local key <close> = files.temporary("llx-test\n")
      local path = key.path .. " a'b\n\u{202E}c"
      assert.is_true(os.rename(key.path, path))
      key.path = path
      for _, command in ipairs {
        'batches list --page-size=50 --max-items 120 --query "x=a\'b"',
        "beta batch list --limit 20 --offset 10 --max-items 75",
        "beta batch list --limit 20 --offset=10 --max-items 75 --",
      } do
        command = ("--format csv --fields id --key-file %s %s"):format(process.quote(path), command)
        local whole = cli.run(s, command)
        s:fault("GET *: 400 after=1")
        local first, err, status = cli.run(s, command)
        assert.equal(1, status)
        local again = err:match("to continue from here: llama%-cloud ([^\n]*)\n")
        s:clear_faults()
        local rest, complaint = cli.shell(s, ("bash -c %s"):format(process.quote('$lua "$program" ' .. again)))
        assert.equal("", complaint)
        assert.equal(whole, first .. rest:gsub("^id\n", ""), again)
      end
    end)
  end)

  describe("with one object", function()
    it("prints it as a line, as JSON, as CSV or as a table", function()
      local id = first_id(s, "batches list")
      local out = cli.run(s, "batches get " .. id)
      assert.equal(id, cjson.decode(out).id)
      assert.equal(1, #lines(out))
      out = cli.run(s, "batches get --format json " .. id)
      assert.matches('^{\n  "id": "' .. id:gsub("%-", "%%-") .. '",\n', out)
      assert.equal(id, cjson.decode(out).id)
      out = cli.run(s, "batches get --format csv --fields id " .. id)
      assert.equal("id\n" .. id .. "\n", out)
      out = cli.run(s, "--format table batches get " .. id)
      assert.matches("^id                   " .. id:gsub("%-", "%%-") .. "\n", out)
    end)

    it("has nothing to print of a deletion", function()
      local id = cjson.decode((cli.run(s, "beta directories create --name gone --type ephemeral"))).id
      local out, err, status = cli.run(s, "beta directories delete " .. id)
      assert.equal("", out .. err)
      assert.equal(0, status)
    end)
  end)

  describe("files", function()
    it("are uploaded from a path, listed, and downloaded to one", function()
      local file <close> = files.temporary(("line\n"):rep(1000))
      local target <close> = files.temporary("")
      local out, err, status = cli.run(s, "files create --purpose parse --file " .. file.path)
      assert.equal(0, status, err)
      assert.equal("", err) -- progress is for terminals
      local id = cjson.decode(out).id
      out, err, status = cli.run(s, ("files download %s %s"):format(id, target.path))
      assert.equal("", err)
      assert.equal(0, status)
      assert.same(
        { path = target.path, bytes = 5000, content_type = cjson.decode(out).content_type },
        cjson.decode(out)
      )
      assert.equal(("line\n"):rep(1000), assert(io.open(target.path)):read("a"))
    end)

    it("that are not there are wrong use", function()
      local _, err, status = cli.run(s, "files create --purpose parse --file /nonexistent/file.pdf")
      assert.equal(2, status)
      assert.matches("'/nonexistent/file.pdf': No such file", err)
      assert.equal(0, s:stats().requests)
    end)
  end)

  describe("waiting", function()
    local directory

    lazy_setup(function()
      directory = cjson.decode((cli.run(s, "beta directories create --name waiting"))).id
      local file <close> = files.temporary("text")
      cli.run(s, ("beta directories files upload %s --upload-file %s --unique-id a.txt"):format(directory, file.path))
    end)

    it("creates a batch and waits for it", function()
      local command = ("batches run --source-directory-id %s %s --expand results "):format(directory, CONFIG)
      local out, err, status = cli.run(s, command .. "--polling-interval 0.05 --backoff constant")
      assert.equal("", err)
      assert.equal(0, status)
      local batch = cjson.decode(out)
      assert.equal("COMPLETED", batch.status)
      assert.equal(1, #batch.results)
      assert.equal("a.txt", cjson.decode((cli.run(s, "beta directories files list " .. directory))).unique_id)
    end)

    it("prints each status that it sees, the last one at the end", function()
      local id = cjson.decode((cli.run(s, ("batches create --source-directory-id %s %s"):format(directory, CONFIG)))).id
      local out, _, status =
        cli.run(s, ("batches watch %s --polling-interval 0.02 --backoff constant --fields status"):format(id))
      assert.equal(0, status)
      local found = lines(out)
      assert.equal('{"status":"COMPLETED"}', found[#found])
    end)

    it("waits for many, whose ids may come from a pipe", function()
      local out, err, status = cli.shell(
        s,
        "lc batches list --status COMPLETED --max-items 5 --fields id --format csv | tail -n +2 | "
          .. "lc batches wait-all - --fields id,status"
      )
      assert.equal("", err)
      assert.equal(0, status)
      assert.equal(5, #lines(out))
    end)

    it("names what failed, prints it, and exits with 1", function()
      local id = first_id(s, "batches list --status FAILED")
      local out, err, status = cli.run(s, "batches wait " .. id)
      assert.equal(1, status)
      assert.equal("FAILED", cjson.decode(out).status)
      assert.matches("^llama%-cloud: batch_failed: .*" .. id:gsub("%-", "%%-"), err)
      out, err, status = cli.run(s, "batches watch " .. id)
      assert.equal(1, status)
      assert.equal("FAILED", cjson.decode(out).status)
      assert.equal(("llama-cloud: batch %s: FAILED\n"):format(id), err)
      out, err, status = cli.run(s, ("batches wait-all %s bat-none"):format(id))
      assert.equal(1, status)
      assert.equal("FAILED", cjson.decode(out).status)
      assert.matches("not_found", err)
      assert.equal(2, #lines(err))
    end)
  end)
end)

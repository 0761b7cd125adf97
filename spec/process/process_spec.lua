-- client.batches:process against the sandbox: what goes in, what comes out, and what may be said wrong.

local files = require("spec.support.files")
local hosts = require("spec.support.hosts")
local lists = require("spec.support.lists")
local llama_cloud = require("llama_cloud")
local process = require("spec.support.process")
local sandbox = require("spec.support.sandbox")

local PARSE = { config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } } }

-- Parameters for parsing, with some more.
local function parse(more)
  more.config = PARSE.config
  return more
end

-- Options that do not wait, with some more.
local function quick(more)
  more = more or {}
  more.uploads_per_second, more.polling_interval, more.backoff = math.huge, 0.02, "constant"
  return more
end

describe("client.batches:process", function()
  local s, client, folder

  setup(function()
    s = sandbox.start { speed = 200, batches = 0, jobs = 0 }
    client = lists.client(s)
  end)

  teardown(function()
    s:stop()
  end)

  before_each(function()
    folder = files.new()
  end)

  after_each(function()
    folder:remove()
  end)

  -- The files that come out, by their names.
  local function collect(given, params, options)
    local found = {}
    for file in client.batches:process(given, params, options) do
      assert.is_nil(found[file.name], file.name)
      found[file.name] = file
    end
    return found
  end

  local function names(found)
    local list = {}
    for name in pairs(found) do
      list[#list + 1] = name
    end
    table.sort(list)
    return list
  end

  it("gives what has ended while other jobs of the same batch go on for ever", function()
    for index = 1, 120 do
      local name = ("%03d%s.pdf"):format(index, index % 40 == 1 and "-stuck" or "")
      folder:write(name, "text of " .. name)
    end
    local given = 0
    for file in client.batches:process(folder.directory, PARSE, quick { total_timeout = 60 }) do
      assert.equal("COMPLETED", file.status)
      given = given + 1
      if given == 117 then
        break
      end
    end
    assert.equal(117, given)
  end)

  it("takes a folder to results, a directory and a batch for so many files", function()
    assert(require("lfs").mkdir(folder:path("sub")))
    for _, name in ipairs { "a.pdf", "b.pdf", "sub/ä.pdf", "sub/a-fail.pdf", "sub/unmapped.pdf", ".hidden" } do
      folder:write(name, "text of " .. name)
    end
    folder:write("empty.pdf", "")
    s:clear_stats()
    local before = s:uploads()
    local found = collect(folder.directory, parse { expand = "text_full" }, quick { batch_size = 2 })
    local expected = { "a.pdf", "b.pdf", "empty.pdf", "sub/a-fail.pdf", "sub/unmapped.pdf", "sub/ä.pdf" }
    assert.same(expected, names(found))
    for _, name in ipairs { "a.pdf", "b.pdf", "sub/ä.pdf" } do
      local file = found[name]
      assert.same({ "COMPLETED", name, folder:path(name) }, { file.status, file.name, file.path })
      assert.truthy(file.id:find("^dfl%-") and file.job:find("^pjb%-"))
      assert.is_string(file.result.text_full)
      assert.is_nil(file.error)
    end
    assert.same({ "FAILED", "batch_failed" }, { found["sub/a-fail.pdf"].status, found["sub/a-fail.pdf"].error.kind })
    assert.same(
      { "FAILED", "batch_failed" },
      { found["sub/unmapped.pdf"].status, found["sub/unmapped.pdf"].error.kind }
    )
    assert.is_nil(found["sub/unmapped.pdf"].job)
    assert.same({ "FAILED", "file" }, { found["empty.pdf"].status, found["empty.pdf"].error.kind })
    local after = s:uploads()
    assert.equal(5, after.total - before.total)
    assert.equal(3, after.directories.created - before.directories.created)
    assert.equal(3, s:stats().routes["POST /api/v2/batches"])
    assert.equal(0, after.directories.deleted - before.directories.deleted)
  end)

  it("takes an array of paths and of ids, and an iterator of files", function()
    local kept = assert(client.files:create { file = { data = "kept", name = "k.pdf" }, purpose = "parse" })
    local path = folder:write("a.pdf", "a")
    local found = collect({ path, { path = path, name = "x/again.pdf" }, { id = kept.id } }, PARSE, quick())
    local expected = { path, "x/again.pdf", kept.id }
    table.sort(expected)
    assert.same(expected, names(found))
    for _, file in pairs(found) do
      assert.equal("COMPLETED", file.status)
    end
    local none = collect({ { id = "file-none" } }, PARSE, quick())["file-none"]
    assert.same({ "FAILED", 404 }, { none.status, none.error.status })
    assert.is_nil(none.id) -- it has no entry
    found = collect(client.files:list { file_ids = { kept.id } }, PARSE, quick())
    assert.equal("COMPLETED", found[kept.name].status)
  end)

  it("extracts, and deletes its directories", function()
    folder:write("a.pdf", "a")
    local schema = { type = "object", properties = { total = { type = "number" } } }
    local parameters = { product_type = "extract_v2", data_schema = schema }
    local saved = assert(client.configurations:create { name = "totals", parameters = parameters })
    local before = s:uploads().directories
    local params = { config = { job = { type = "extract_v2", configuration_id = saved.id } } }
    local found = collect(folder.directory, params, quick { delete_directories = true })
    assert.is_number(found["a.pdf"].result.extract_result.total)
    local after = s:uploads().directories
    assert.same({ 1, 1 }, { after.created - before.created, after.deleted - before.deleted })
  end)

  it("goes on with the parameters that it was given, whatever becomes of their tables", function()
    local path = folder:write("a.pdf", "x")
    local job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" }
    local params = { config = { job = job }, expand = { "text_full" }, webhook_configurations = {} }
    local headers = { ["X-Own"] = "x" }
    params.webhook_configurations[1] = { webhook_url = "https://example.com/" }
    local function iterate()
      job.configuration_id, params.expand[1], params.webhook_configurations[1] = "cfg-PARSE_FAST", nil, print
      headers["X\n"] = "x"
      local item = path
      path = nil
      return item
    end
    local seen = {}
    for file in client.batches:process(iterate, params, quick { headers = headers }) do
      seen[1], seen[2] = file.status, file.result.text_full ~= nil
    end
    local newest = client.batches:list():all()[1]
    assert.same({ "COMPLETED", true, "cfg-PARSE_AGENTIC" }, { seen[1], seen[2], newest.config.job.configuration_id })
  end)

  it("chooses by patterns and functions", function()
    for _, name in ipairs { "a.pdf", "b.txt", "c.pdf" } do
      folder:write(name, name)
    end
    local options = quick {
      pattern = "%.pdf$",
      exclude = function(name)
        return name == "c.pdf"
      end,
    }
    assert.same({ "a.pdf" }, names(collect(folder.directory, PARSE, options)))
    assert.same({}, names(collect(folder.directory, PARSE, quick { pattern = "%.doc$" })))
    assert.same({}, names(collect({}, PARSE, quick())))
  end)

  it("tells how far it is", function()
    for index = 1, 5 do
      folder:write(index .. (index == 5 and "-fail.pdf" or ".pdf"), "12345")
    end
    local last, calls = nil, 0
    local options = quick {
      on_progress = function(progress)
        last, calls = progress, calls + 1
        llama_cloud.sleep(0) -- it may wait
      end,
    }
    collect(folder.directory, PARSE, options)
    assert.equal(1, #last.batches)
    last.batches = nil
    assert.same({ walked = 5, uploaded = 5, processing = 0, done = 4, failed = 1, bytes = 25 }, last)
    assert.is_true(calls >= 1)
  end)

  it("goes on while the body waits, and cancels what is under way when it is left", function()
    for index = 1, 6 do
      folder:write(index .. ".pdf", "x")
    end
    llama_cloud.run(function()
      local seen = 0
      for _ in client.batches:process(folder.directory, PARSE, quick { batch_size = 1, batches = 2 }) do
        seen = seen + 1
        llama_cloud.sleep(0.01)
        if seen == 2 then
          break
        end
      end
      assert.equal(2, seen)
    end)
    local iterate = client.batches:process(folder.directory, PARSE, quick())
    assert.is_table(iterate())
    iterate = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
  end)

  for _, host in ipairs(hosts.names) do
    it("works in " .. host .. ", and can be left there", function()
      if hosts.missing(host) then
        pending(hosts.missing(host))
      end
      for index = 1, 4 do
        folder:write(index .. ".pdf", "x")
      end
      hosts.run(host, function()
        local journal = folder:path("journal")
        local options = quick { batch_size = 2, journal = journal }
        local seen = {}
        for _ = 1, 2 do
          for file in client.batches:process(folder.directory, PARSE, options) do
            assert.is_nil(seen[file.name])
            assert.equal("COMPLETED", file.status)
            seen[file.name] = true
            llama_cloud.sleep(0.005)
            if not seen.left then
              seen.left = true
              break
            end
          end
        end
        assert.same({ ["1.pdf"] = true, ["2.pdf"] = true, ["3.pdf"] = true, ["4.pdf"] = true, left = true }, seen)
      end)
    end)
  end

  it("raises what the body raises", function()
    folder:write("a.pdf", "a")
    local ok, err = pcall(function()
      for _ in client.batches:process(folder.directory, PARSE, quick()) do
        error("of the body", 0)
      end
    end)
    assert.same({ false, "of the body" }, { ok, err })
  end)

  it("raises a wrong argument at the caller's line", function()
    local cases = {
      { 5, PARSE, nil, "files must be a folder, an array or an iterator, not number" },
      { folder:path("none"), PARSE, nil, "none' cannot be read: No such file or directory$" },
      { folder:write("a", "a"), PARSE, nil, "/a' is a file, not a folder; a single file is given as { '/[^']*/a' }$" },
      { { "a", "a" }, PARSE, nil, "files%[1%] and files%[2%] have the same name" },
      { { {} }, PARSE, nil, "files%[1%] must have a 'path', or the 'id'" },
      { {}, nil, nil, "'config' must be" },
      { {}, { config = { job = { type = "split_v1", configuration_id = "x" } } }, nil, "parse_v2 or extract_v2" },
      { {}, parse { webhook_configurations = { print } }, nil, "'webhook_configurations': .* a function" },
      { {}, PARSE, { journall = "x" }, "unknown option 'journall' %(did you mean 'journal'%?%)" },
      { {}, PARSE, { concurrency = 0 }, "'concurrency' must be an integer from 1 to 1000" },
      { {}, PARSE, { batch_size = 1001 }, "'batch_size' must be an integer from 1 to 1000" },
      { {}, PARSE, { uploads_per_second = 0 }, "'uploads_per_second' must be a number greater than 0" },
      { {}, PARSE, { pattern = "(" }, "option 'pattern': .*unfinished capture" },
      { {}, { concurrency = 1 }, nil, "concurrency" },
      {
        {},
        PARSE,
        { output = "/dev/null/x" },
        "the output folder '/dev/null/x' cannot be made: Not a directory; give ",
      },
      { folder.directory, PARSE, { output = folder:path(".") }, "written into the folder of the files" },
      { { { path = "a", name = "b/" } }, PARSE, nil, "files%[1%] has a name that ends with a slash" },
      { { { path = "a", name = ("b"):rep(4097) } }, PARSE, nil, "files%[1%] has a name of more than 4096 bytes" },
      { { { id = "file-\n" } }, PARSE, nil, "files%[1%] has an 'id' with a control character" },
      { {}, PARSE, { backoff = "never" }, 'must be "linear", "constant" or "exponential", not \'never\'' },
      { {}, PARSE, { headers = { ["X\n"] = "x" } }, "invalid header name" },
      { {}, PARSE, { name = "\xff" }, "option 'name' must be UTF%-8" },
    }
    for _, case in ipairs(cases) do
      local ok, err = pcall(function()
        local iterate = client.batches:process(case[1], case[2], case[3])
        return iterate
      end)
      assert.is_false(ok)
      assert.truthy(err:find("^[^:]*process_spec.lua:%d+: "), err)
      assert.truthy(err:find(case[4]), err)
    end
  end)

  it("does not take its journal for what it is to read", function()
    folder:write("a.pdf", "a")
    assert.same({ "a.pdf" }, names(collect(folder.directory, PARSE, quick { journal = folder:path("run.jsonl") })))
  end)

  it("raises what `expand` asks for wrongly, and no extract job is lost", function()
    folder:write("a.pdf", "a")
    local parameters = { product_type = "extract_v2", data_schema = { type = "object", properties = {} } }
    local saved = assert(client.configurations:create { name = "nothing", parameters = parameters })
    local params = { config = { job = { type = "extract_v2", configuration_id = saved.id } }, expand = "nonsense" }
    local options = quick { journal = folder:path("journal") }
    local ok, err = pcall(collect, folder.directory, params, options)
    assert.same({ false, 422 }, { ok, err.status })
    params.expand = "extract_metadata"
    local before = s:uploads().total
    local file = collect(folder.directory, params, options)["a.pdf"]
    assert.equal("COMPLETED", file.status, file.error)
    assert.is_table(file.result.extract_metadata)
    assert.equal(before, s:uploads().total)
  end)

  it("takes names of any bytes", function()
    local expected = { "caf\xe9.pdf", "caf%E9.pdf", "caf%25E9.pdf", "100%.pdf", "a\nb.pdf", "a\"b';c\\d.pdf", " .pdf" }
    for _, name in ipairs(expected) do
      folder:write(name, name)
    end
    table.sort(expected)
    local before = s:uploads().total
    local found = collect(folder.directory, PARSE, quick())
    assert.same(expected, names(found))
    for _, file in pairs(found) do
      assert.equal("COMPLETED", file.status, file.error)
    end
    assert.equal(#expected, s:uploads().total - before)
  end)

  it("raises where its client is closed, and no file has failed", function()
    for index = 1, 9 do
      folder:write(index .. ".pdf", "x")
    end
    local own = lists.client(s)
    local ok, err = pcall(function()
      for file in own.batches:process(folder.directory, parse { expand = "text_full" }, quick { batch_size = 1 }) do
        assert.equal("COMPLETED", file.status, file.error)
        own:close()
      end
    end)
    assert.is_false(ok)
    assert.matches("closed", tostring(err), 1, true)
    assert.is_nil(tostring(err):find("FAILED", 1, true))
  end)

  it("ends when its time is over, also where uploads wait for their turn", function()
    folder:write("a.pdf", "a")
    folder:write("b.pdf", "b")
    local options = quick { total_timeout = 0.3 * process.slowdown }
    options.uploads_per_second = 0.001
    local ok, err = pcall(collect, folder.directory, PARSE, options)
    assert.same({ false, "timeout" }, { ok, err.kind })
    assert.matches("^the run has not ended within [%d.]+ s$", err.message) -- without a journal it cannot go on
  end)

  it("ends with an error that holds for all files", function()
    folder:write("a.pdf", "a")
    local refused = lists.client(s, { api_key = "other" })
    s:fault("POST /api/v1/beta/directories: 402 x1")
    local ok, err = pcall(function()
      for _ in refused.batches:process(folder.directory, PARSE, quick()) do
        error("a file came")
      end
    end)
    assert.is_false(ok)
    assert.equal(402, err.status)
    s:clear_faults()
  end)
end)

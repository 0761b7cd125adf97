-- Results as files: where they are, that none can get in another's way, and that what cannot be written is told.

local files = require("spec.support.files")
local lfs = require("lfs")
local lists = require("spec.support.lists")
local output = require("llama_cloud.process.output")
local sandbox = require("spec.support.sandbox")

local PARSE = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" }

describe("the place of a result", function()
  it("is in the output folder, whatever the name", function()
    local places = {
      ["a/b.pdf"] = "a/b.pdf",
      ["../../etc/passwd"] = "_../_../etc/passwd",
      ["/etc/passwd"] = "_/etc/passwd",
      ["a//b"] = "a/_/b",
      ["./a"] = "_./a",
      ["_/a"] = "__/a",
      ["_../a"] = "__../a",
      [".git/a"] = ".git/a",
      ["..a/b.."] = "..a/b..",
      ["notes.md/a"] = "notes.md_/a",
      ["notes.md_/a"] = "notes.md__/a",
      ["a.images/b.images"] = "a.images_/b.images",
      [".."] = "_..",
      ["a.pdf.json~/b"] = "a.pdf.json~_/b", -- the first is what is being written
    }
    local seen = {}
    for name, place in pairs(places) do
      assert.equal(place, (output.place(name)))
      assert.is_nil(seen[place], place)
      seen[place] = true
    end
    assert.same({ "a", "a/_.." }, select(2, output.place("a/../b")))
  end)

  it("is not too long for a file system, and of its own", function()
    local long, umlauts = ("x"):rep(255), ("\u{e4}"):rep(127)
    local seen = {}
    for _, name in ipairs {
      long,
      long .. "y",
      long:sub(1, -2) .. "z",
      umlauts,
      umlauts .. ".",
      "a/" .. long,
      long .. "/a",
    } do
      local place = output.place(name)
      assert.is_nil(seen[place])
      seen[place] = true
      assert.is_number(utf8.len(place))
      for segment in place:gmatch("[^/]+") do
        assert.is_true(#segment <= 220)
      end
    end
    local short = output.place(long)
    assert.not_equal(short, (output.place(short)))
    assert.equal(("y"):rep(220), (output.place(("y"):rep(220))))
  end)
end)

describe("process with an output folder", function()
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
    assert(lfs.mkdir(folder:path("in")))
    assert(lfs.mkdir(folder:path("in/sub")))
  end)

  after_each(function()
    folder:remove()
  end)

  local function process(params, given, job)
    params.config = { job = job or PARSE }
    local options = { output = folder:path("out/deep"), polling_interval = 0.02, backoff = "constant" }
    options.uploads_per_second = math.huge
    local found = {}
    for file in client.batches:process(given or folder:path("in"), params, options) do
      found[file.name] = file
    end
    return found
  end

  it("writes texts, the rest as JSON, what the service has stored, and images", function()
    folder:write("in/sub/a.pdf", "a")
    local expand = { "markdown_full", "text_full", "items", "images_content_metadata", "items_content_metadata" }
    local file = process({ expand = expand })["sub/a.pdf"]
    assert.equal("COMPLETED", file.status, file.error)
    assert.is_nil(file.result)
    local base = "out/deep/sub/a.pdf"
    local result = assert(client.parsing:get(file.job, { expand = expand }))
    assert.equal(result.markdown_full, folder:read(base .. ".md"))
    assert.equal(result.text_full, folder:read(base .. ".txt"))
    local json = folder:read(base .. ".json")
    assert.is_nil(json:find("presigned_url", 1, true))
    local rest = require("llama_cloud").json.decode(json)
    assert.same(result.items, rest.items)
    assert.same({ "job", nil }, { next(rest, nil) and rest.job and "job", rest.markdown_full })
    local name, stored = next(result.result_content_metadata)
    local expected = { base .. ".json", base .. ".md", base .. ".txt" }
    for key, one in pairs(result.result_content_metadata) do
      if one.exists then
        expected[#expected + 1] = base .. (key == "json" and ".json-stored" or "." .. key)
        name, stored = key, one
      end
    end
    assert.equal("json", name)
    assert.equal(stored.size_bytes, #folder:read(base .. ".json-stored"))
    for _, image in ipairs(result.images_content_metadata.images) do
      expected[#expected + 1] = base .. ".images/" .. image.filename
      assert.truthy(folder:read(expected[#expected]):find("^\137PNG"))
    end
    for index, path in ipairs(expected) do
      expected[index] = folder:path(path)
    end
    table.sort(expected)
    table.sort(file.output)
    assert.same(expected, file.output)
  end)

  it("keeps what was extracted", function()
    folder:write("in/a.pdf", "a")
    local schema = { type = "object", properties = { total = { type = "number" } } }
    local parameters = { product_type = "extract_v2", data_schema = schema }
    local saved = assert(client.configurations:create { name = "sums", parameters = parameters })
    local file = process({}, nil, { type = "extract_v2", configuration_id = saved.id })["a.pdf"]
    assert.same({ folder:path("out/deep/a.pdf.json") }, file.output)
    local json = require("llama_cloud").json.decode(folder:read("out/deep/a.pdf.json"))
    assert.is_number(json.extract_result.total)
  end)

  it("does not take what it has written for what it is to read", function()
    folder:write("in/a.pdf", "a")
    local options = { output = folder:path("in/out"), journal = folder:path("in/run.jsonl") }
    options.polling_interval, options.backoff = 0.02, "constant"
    for _ = 1, 2 do
      for file in client.batches:process(folder:path("in"), { config = { job = PARSE } }, options) do
        assert.equal("a.pdf", file.name)
      end
    end
    assert.truthy(folder:read("in/out/a.pdf.json"))
  end)

  it("a result that cannot be written is that file's error", function()
    folder:write("in/a.pdf", "a")
    folder:write("in/b.pdf", "b")
    os.execute("mkdir -p '" .. folder:path("out/deep/a.pdf.json") .. "/x'")
    local found = process {}
    assert.same({ "FAILED", "file" }, { found["a.pdf"].status, found["a.pdf"].error.kind })
    assert.matches("a.pdf.json could not be written", found["a.pdf"].error.message, 1, true)
    assert.same({}, found["a.pdf"].output)
    assert.equal("COMPLETED", found["b.pdf"].status)
    local left = files.list { directory = folder:path("out/deep") }
    assert.same({ "a.pdf.json", "b.pdf.json" }, left)
  end)

  it("refuses a folder that cannot be made or used, before anything is uploaded", function()
    folder:write("in/a.pdf", "a")
    folder:write("file", "x")
    local before = s:stats().requests
    for path, message in pairs {
      [folder:path("file")] = "cannot be made: there is a file",
      [folder:path("file/x")] = "cannot be made: Not a directory",
      ["/proc/self"] = "cannot be used: ",
    } do
      local ok, err = pcall(
        client.batches.process,
        client.batches,
        folder:path("in"),
        { config = { job = PARSE } },
        { output = path }
      )
      assert.is_false(ok)
      assert.matches(message, err, 1, true)
    end
    assert.equal(before, s:stats().requests)
  end)

  it("writes a file whose name is as long as it can be", function()
    local name = ("x"):rep(251) .. ".pdf"
    folder:write("in/" .. name, "a")
    local file = process({ expand = "markdown_full" })[name]
    assert.equal("COMPLETED", file.status, file.error)
    for _, path in ipairs(file.output) do
      assert.equal("file", lfs.attributes(path, "mode"))
    end
  end)

  it("takes what a result has, and no more", function()
    assert(lfs.mkdir(folder:path("out")))
    local asked = {}
    local parsing = {
      download = function(_, _, name, path)
        asked[#asked + 1] = name
        return folder:write(path:sub(#folder.directory + 2), name)
      end,
    }
    local function nothing()
      return {}
    end
    local run = { options = { output = folder:path("out") }, client = { parsing = parsing }, resource = "parsing" }
    run.scope, run.call_options, run.fetched, run.deadline = nothing, nothing, 0, math.huge
    run.successes = { result = 0 }
    local images = { { filename = "1.png" }, { filename = "../2.png", presigned_url = "x" }, {} }
    local result = { images_content_metadata = { images = images }, result_content_metadata = require("cjson").null }
    local list, err = output.write(run, { name = "a" }, result)
    assert.is_nil(err)
    assert.same({ folder:path("out/a.json"), folder:path("out/a.images/.._2.png") }, list)
    assert.same({ "../2.png" }, asked)
    result.result_content_metadata =
      { md = { exists = false, presigned_url = "x" }, xlsx = { presigned_url = "x" }, a = 1 }
    result.images_content_metadata = nil
    assert.same({ folder:path("out/b.json"), folder:path("out/b.xlsx") }, (output.write(run, { name = "b" }, result)))
  end)

  it("an output folder that is gone ends the run", function()
    folder:write("in/a.pdf", "a")
    folder:write("in/b.pdf", "b")
    local options = { output = folder:path("out"), batch_size = 1, batches = 1, concurrency = 1 }
    options.polling_interval, options.backoff, options.uploads_per_second = 0.02, "constant", math.huge
    local ok, err = pcall(function()
      for file in client.batches:process(folder:path("in"), { config = { job = PARSE } }, options) do
        assert.equal("a.pdf", file.name)
        os.execute("rm -rf '" .. folder:path("out") .. "'")
      end
    end)
    assert.is_false(ok)
    assert.equal("file", err.kind)
    assert.matches("b.pdf.json could not be written", err.message, 1, true)
  end)

  it("what a store refuses does not count as a result that has come through", function()
    local function none()
      return {}
    end
    local refusal = { status = 403, kind = "permission" }
    local resource = { get = none }
    function resource.download()
      return nil, refusal
    end
    local run = { client = { parsing = resource }, resource = "parsing", scope = none, call_options = none }
    run.options, run.fetched, run.successes = { output = folder:path("out") }, 1, { upload = 0, result = 0 }
    local result = { result_content_metadata = { xlsx = { presigned_url = "http://127.0.0.1/" } } }
    assert(lfs.mkdir(run.options.output))
    local _, err = output.write(run, { name = "a.pdf", job = "pjb-1" }, result)
    assert.same({ refusal, 0 }, { err, run.successes.result })
  end)

  it("what the store refuses ends the run at first, and later it is one file's error", function()
    folder:write("in/a.pdf", "a")
    folder:write("in/b.pdf", "b")
    local params = { expand = { "markdown_full", "items_content_metadata" } }
    s:fault("GET /presigned/*: 403")
    local ok, err = pcall(process, params)
    assert.same({ false, 403 }, { ok, err.status })
    s:clear_faults()
    s:fault("GET /presigned/*: 403 after=1")
    params.config = { job = PARSE }
    local options = { output = folder:path("out"), batch_size = 1, batches = 1, concurrency = 1 }
    options.polling_interval, options.backoff, options.uploads_per_second = 0.02, "constant", math.huge
    local found = {}
    for file in client.batches:process(folder:path("in"), params, options) do
      found[file.name] = file
    end
    s:clear_faults()
    assert.equal("COMPLETED", found["a.pdf"].status, found["a.pdf"].error)
    assert.same({ "FAILED", 403 }, { found["b.pdf"].status, found["b.pdf"].error.status })
  end)

  it("a full disk ends the run", function()
    folder:write("in/a.pdf", "a")
    assert(lfs.mkdir(folder:path("out")))
    assert(lfs.mkdir(folder:path("out/deep")))
    assert(lfs.link("/dev/full", folder:path("out/deep/a.pdf.json~"), true))
    local ok, err = pcall(process, {})
    assert.is_false(ok)
    assert.equal("file", err.kind)
    assert.matches("No space left on device", err.message, 1, true)
  end)
end)

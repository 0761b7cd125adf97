-- client.batches:process under faults: a lost answer is looked up, nothing is made twice, and what is whose fault. Counted at
-- the service.

local files = require("spec.support.files")
local lists = require("spec.support.lists")
local llama_cloud = require("llama_cloud")
local process = require("spec.support.process")
local sandbox = require("spec.support.sandbox")
local trouble = require("llama_cloud.process.trouble")

local PARSE =
  { config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } }, expand = { "text_full" } }
local COUNT = 4

describe("process under faults", function()
  local shared, s, client, folder, base
  local pauses, looks = trouble.pauses, trouble.looks

  setup(function()
    shared = sandbox.start { batches = 0, jobs = 0, speed = 2000 }
  end)

  teardown(function()
    shared:stop()
  end)

  before_each(function()
    folder = files.new()
    assert(require("lfs").mkdir(folder:path("in")))
    for index = 1, COUNT do
      folder:write(("in/%d.pdf"):format(index), ("text %d"):format(index))
    end
    trouble.pauses, trouble.looks = { 0, 0.01, 0.01 }, { 0, 0.01 }
  end)

  after_each(function()
    trouble.pauses, trouble.looks = pauses, looks
    folder:remove()
    shared:clear_faults()
    if s ~= shared then
      s:stop()
    end
  end)

  -- What the service has been made to do in all: directories, uploads that were received, batches.
  local function counts()
    local uploads = s:uploads()
    return { uploads.directories.created, uploads.total, #client.batches:list():all() }
  end

  -- Takes the sandbox that most share, or, with options, one of its own.
  local function start(faults, options)
    s = shared
    if options then
      options.batches, options.jobs, options.speed = 0, 0, options.speed or 2000
      s = sandbox.start(options)
    end
    client = lists.client(s)
    base = counts()
    for _, fault in ipairs(faults or {}) do
      s:fault(fault)
    end
  end

  -- Runs it; the files that came, by name, and their number.
  local function run(more)
    local options = { journal = folder:path("run.jsonl"), uploads_per_second = math.huge, polling_interval = 0.005 }
    options.backoff = "constant"
    for name, value in pairs(more or {}) do
      options[name] = value
    end
    local found, count = {}, 0
    for file in client.batches:process(folder:path("in"), PARSE, options) do
      assert.is_nil(found[file.name], file.name)
      found[file.name], count = file, count + 1
    end
    return found, count
  end

  -- What it has been made to do since.
  local function made()
    s:clear_faults()
    local now = counts()
    return { now[1] - base[1], now[2] - base[2], now[3] - base[3] }
  end

  local function complete(found, count)
    assert.equal(COUNT, count)
    for _, file in pairs(found) do
      assert.equal("COMPLETED", file.status, file.error)
      assert.is_string(file.result.text_full)
    end
  end

  -- Uploads that came whole, and had no effect, where a rule is about uploads.
  local function refused()
    local rule = s:faults()[1]
    local is_of_uploads = rule.fault:find("^POST %*") and not rule.fault:find("processed", 1, true)
    local uploads = s:uploads().total - base[2] - COUNT
    assert.is_true(rule.hits > 0)
    assert.is_true(is_of_uploads and uploads <= rule.hits or uploads == 0, uploads .. " uploads too many")
    return uploads
  end

  for _, fault in ipairs {
    -- answers that are lost before the service has acted, and after it has
    "POST /api/v1/beta/directories: close x1",
    "POST /api/v1/beta/directories: close processed x1",
    "POST /api/v1/beta/directories: close=10 x1",
    "POST */upload: close x3",
    "POST */upload: close processed x3",
    "POST */upload: close=10 x3",
    "POST /api/v2/batches: close x1",
    "POST /api/v2/batches: close processed x1",
    "POST /api/v2/batches: close=10 x1",
    "POST /api/v2/batches: stall=body processed x1",
    "GET /api/v2/batches/*: close x2",
    "GET /api/v2/parse: close x1",
    "GET /api/v2/parse/*: close every=2 x3",
    "GET /api/v2/parse/*: close=body every=2 x3",
    -- and those that say something else
    "POST *: 503 every=2 x6",
    "POST *: 503 processed every=2 x6",
    "GET *: 500 x3",
    "GET /api/v2/parse: 429 retry-after=0 x1",
    "GET */files: 503 x2",
    "GET *: garbage every=3 x3",
    "POST *: garbage processed every=2 x3",
  } do
    it("nothing is made twice: " .. fault, function()
      start { fault }
      complete(run { timeout = fault:find("stall") and 0.3 * process.slowdown or nil })
      assert.same({ 1, COUNT + refused(), 1 }, made())
    end)
  end

  for what, route in pairs {
    directory = { "POST /api/v1/beta/directories", "GET /api/v1/beta/directories" },
    upload = { "POST */upload", "GET */files" },
    batch = { "POST /api/v2/batches", "GET /api/v2/batches" },
  } do
    for _, how in ipairs { "close", "close processed" } do
      it(("the next run looks for a %s whose answer was lost: %s"):format(what, how), function()
        start { ("%s: %s x1"):format(route[1], how), route[2] .. ": 401" }
        local ok, err = pcall(run)
        assert.same({ false, "authentication" }, { ok, err.kind })
        s:clear_faults()
        complete(run())
        assert.same({ 1, COUNT, 1 }, made())
      end)
    end
  end

  it("what is not there is looked for once, and then sent again", function()
    start { "POST /api/v1/beta/directories: close x1" }
    s:clear_stats()
    complete(run())
    assert.equal(#trouble.looks, s:stats().routes["GET /api/v1/beta/directories"])
    assert.same({ 1, COUNT, 1 }, made())
  end)

  it("the next run gives uploads time to arrive that were on their way", function()
    start({ "POST */upload: close processed", "GET */files: 401" }, { duplicates = "add" })
    assert.is_false(pcall(run))
    s:clear_faults()
    local before = s:uploads().total
    assert.is_true(before > 0)
    s:fault([[GET */files: body="{\"items\": [], \"next_page_token\": null}" x1]])
    complete(run())
    assert.same({ 1, COUNT, 1 }, made())
  end)

  it("a deletion whose answer was lost is done", function()
    start({ "DELETE *: close processed x1" }, {})
    complete(run { delete_directories = true })
    assert.equal(1, s:faults()[1].hits)
    assert.same({}, s:uploads().directories.left)
  end)

  for _, how in ipairs { "close", "close processed" } do
    it("a directory that an earlier run put nothing into is deleted, if nothing is left to do: " .. how, function()
      start({ ("POST /api/v1/beta/directories: %s x1"):format(how), "GET /api/v1/beta/directories: 401" }, {})
      assert.is_false(pcall(run))
      s:clear_faults()
      for index = 1, COUNT do
        os.remove(folder:path(("in/%d.pdf"):format(index)))
      end
      assert.equal(0, select(2, run { delete_directories = true }))
      assert.same({}, s:uploads().directories.left)
      assert.same({ how == "close" and 0 or 1, 0, 0 }, made())
      s:clear_stats()
      assert.equal(0, select(2, run { delete_directories = true }))
      assert.is_nil(s:stats().routes["GET /api/v1/beta/directories"]) -- it is known what became of it
    end)
  end

  for _, fault in ipairs { "close", "401" } do
    it("a directory that cannot be looked for, if nothing is left to do, ends no run: " .. fault, function()
      start({ "POST /api/v1/beta/directories: close processed x1", "GET /api/v1/beta/directories: 401" }, {})
      assert.is_false(pcall(run))
      s:clear_faults()
      for index = 1, COUNT do
        os.remove(folder:path(("in/%d.pdf"):format(index)))
      end
      s:fault("GET /api/v1/beta/directories: " .. fault)
      assert.equal(0, select(2, run { delete_directories = true, max_retries = 0 }))
      assert.is_true(s:faults()[1].hits > 0)
      s:clear_faults()
      assert.equal(1, #s:uploads().directories.left)
      assert.equal(0, select(2, run { delete_directories = true }))
      assert.same({}, s:uploads().directories.left)
    end)
  end

  it("a file that the service has is added once, also where the answer was lost", function()
    for _, how in ipairs { "close x2", "close processed x2" } do
      start { "POST */files: " .. how }
      local position, count = 0, 0
      local function source()
        position = position + 1
        return position <= COUNT and { id = ("file-bytes-%d"):format(position), name = how .. position } or nil
      end
      local options = { uploads_per_second = math.huge, polling_interval = 0.005, backoff = "constant" }
      for file in client.batches:process(source, PARSE, options) do
        assert.equal("COMPLETED", file.status, file.error)
        count = count + 1
      end
      assert.equal(COUNT, count)
      assert.equal(2, s:faults()[1].hits)
      local created, _, batches = table.unpack(made())
      assert.same({ 1, 1 }, { created, batches })
      assert.equal(COUNT, #client.beta.directories.files:list(client.batches:list():all()[1].source_directory_id):all())
    end
  end)

  it("a file that cannot be looked for is no file that has failed", function()
    start { "POST */upload: 409 x1", "GET */files: 500 x2" }
    complete(run { max_retries = 0 })
    assert.equal(2, s:faults()[2].hits)
  end)

  it("a journal that ends anywhere after a batch was begun: the batch is found", function()
    start()
    complete(run())
    local lines, intent = {}, nil
    for line in io.lines(folder:path("run.jsonl")) do
      lines[#lines + 1] = line
      intent = intent or line:find('"t":"batch"', 1, true) and #lines
    end
    for last = intent, #lines do
      folder:write("run.jsonl", table.concat(lines, "\n", 1, last) .. "\n" .. '{"t":"do')
      local _, count = run()
      local done = select(2, table.concat(lines, "\n", 1, last):gsub('"t":"done"', ""))
      assert.equal(COUNT - done, count)
      assert.same({ 1, COUNT, 1 }, made())
    end
  end)

  it("a directory is mended before its batch", function()
    start({ "POST /api/v2/batches: 402 x1" }, { duplicates = "add" })
    local ok, err = pcall(run)
    assert.same({ false, 402 }, { ok, err.status })
    local directory = s:uploads().directories.left[1].id
    local rows = client.beta.directories.files:list(directory):all()
    assert(client.beta.directories.files:delete(directory, rows[1].id))
    local again = { upload_file = { data = "second", name = "x.pdf" }, unique_id = rows[2].unique_id }
    assert(client.beta.directories.files:upload(directory, again))
    assert(client.beta.directories.files:upload(directory, { upload_file = { data = "other", name = "other.pdf" } }))
    folder:write("in/" .. rows[3].unique_id, "changed meanwhile")
    complete(run())
    local names = {}
    for row in client.beta.directories.files:list(directory) do
      names[#names + 1] = row.unique_id
    end
    table.sort(names)
    assert.same({ "1.pdf", "2.pdf", "3.pdf", "4.pdf" }, names)
    local uploads = s:uploads().by_unique_id
    assert.same(
      { 2, 2, 2, 1 },
      { uploads[rows[1].unique_id], uploads[rows[2].unique_id], uploads[rows[3].unique_id], uploads[rows[4].unique_id] }
    )
    assert.same({ 1, COUNT + 4, 1 }, made())
  end)

  it("the files of a directory that is gone go into another", function()
    start({ "POST /api/v2/batches: 402 x1" }, {})
    assert.is_false(pcall(run))
    assert(client.beta.directories:delete(s:uploads().directories.left[1].id))
    complete(run { delete_directories = true })
    assert.same({ 2, 2 * COUNT, 1 }, made())
    assert.same({}, s:uploads().directories.left)
  end)

  it("a file that the service does not take has the error, the others have results", function()
    start({}, { max_upload = 100 })
    folder:write("in/2.pdf", ("x"):rep(200))
    local found = run()
    assert.same({ "FAILED", 413 }, { found["2.pdf"].status, found["2.pdf"].error.status })
    assert.equal("COMPLETED", found["1.pdf"].status)
  end)

  it("ends where nothing gets through, and goes on later", function()
    start { "POST */upload: 500" }
    local ok, err = pcall(run)
    assert.same({ false, "internal_server" }, { ok, err.kind })
    s:clear_faults()
    complete(run())
    local directories = made()[1]
    assert.equal(1, directories)
  end)

  it("ends where no upload gets through, though other requests do", function()
    start { "POST */upload: 500 after=2" }
    local ok, err = pcall(run, { batch_size = 1, concurrency = 1, max_retries = 0 })
    assert.same({ false, "internal_server" }, { ok, err.kind })
    s:clear_faults()
    local found = run()
    for _, file in pairs(found) do
      assert.equal("COMPLETED", file.status, file.error)
    end
    assert.equal(COUNT, select(2, folder:read("run.jsonl"):gsub('"status":"COMPLETED"', "")))
  end)

  it("ends where no result gets through, and one that never comes is one file's error", function()
    start { "GET /api/v2/parse/*: 500" }
    trouble.pauses = { 0.05, 0.05, 0.05 }
    local ok, err = pcall(run, { max_retries = 0 })
    assert.same({ false, "internal_server" }, { ok, err.kind })
    s:clear_faults()
    local batch = client.batches:get(client.batches:list():all()[1].id, { expand = { "results" } })
    local id = batch.results[1].job_reference.id
    s:fault(("GET /api/v2/parse/%s: 500"):format(id))
    s:fault("GET /api/v2/parse/*: delay=0.1")
    trouble.pauses = setmetatable({}, {
      __index = function() -- it is tried until the others, which are asked for at the same time, have come
        local come = select(2, folder:read("run.jsonl"):gsub('"status":"COMPLETED"', ""))
        return come < COUNT - 1 and 0.01 or nil
      end,
    })
    local found, count = run { max_retries = 0, concurrency = COUNT }
    assert.equal(COUNT, count)
    for _, file in pairs(found) do
      assert.same({ file.job == id and "FAILED" or "COMPLETED" }, { file.status })
    end
    assert.same({ 1, COUNT, 1 }, made())
  end)

  it("a key that is refused ends it, without a file that has failed", function()
    start { "POST /api/v2/batches: 401 x1" }
    local ok, err = pcall(run)
    assert.same({ false, "authentication" }, { ok, err.kind })
    complete(run())
    assert.same({ 1, COUNT, 1 }, made())
  end)

  it("what `expand` asks for wrongly ends it, and costs nothing", function()
    start { "GET /api/v2/parse/*: 400 x1" }
    local ok, err = pcall(run)
    assert.same({ false, "bad_request" }, { ok, err.kind })
    local before = select(2, folder:read("run.jsonl"):gsub('"t":"done"', ""))
    assert.equal(COUNT - before, select(2, run()))
    assert.same({ 1, COUNT, 1 }, made())
  end)

  it("files of a batch that was cancelled are CANCELLED", function()
    start({}, { speed = 0.001 })
    llama_cloud.run(function()
      local task = llama_cloud.spawn(run)
      local batch
      repeat
        batch = client.batches:list():all()[1]
        llama_cloud.sleep(0.01)
      until batch
      assert(client.batches:cancel(batch.id))
      local found, count = task:result()
      assert(found, count)
      assert.equal(COUNT, count)
      for _, file in pairs(found) do
        assert.same({ "CANCELLED", "batch_cancelled" }, { file.status, file.error.kind })
      end
    end)
  end)

  it("files of a batch that disappears while it is waited for have failed", function()
    start({ "GET /api/v2/batches/*: 404 after=1" }, { speed = 0.001 })
    local found, count = run()
    assert.equal(COUNT, count)
    for _, file in pairs(found) do
      assert.same({ "FAILED", "not_found" }, { file.status, file.error.kind })
    end
    assert.same({ 1, COUNT, 1 }, made())
    assert.equal(0, select(2, run()))
  end)

  it("ends when its time is over, and goes on when it is run again", function()
    start({}, { speed = 0.001 })
    local ok, err = pcall(run, { total_timeout = 0.5 })
    assert.same({ false, "timeout" }, { ok, err.kind })
    assert.matches("started again with the same journal, it goes on", err.message, 1, true)
    s:advance(10000000)
    complete(run())
    assert.same({ 1, COUNT, 1 }, made())
  end)
end)

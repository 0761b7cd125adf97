-- A run that was ended somewhere goes on: what is counted is what the service has seen.

local cjson = require("cjson")

local files = require("spec.support.files")
local lists = require("spec.support.lists")
local llama_cloud = require("llama_cloud")
local process = require("spec.support.process")
local sandbox = require("spec.support.sandbox")
local trouble = require("llama_cloud.process.trouble")

local PARSE = { config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } } }

-- A program that says what it was given.
local PROGRAM = [[
local url, folder, journal = ...
local llama_cloud = require("llama_cloud")
local trouble = require("llama_cloud.process.trouble")
trouble.pauses, trouble.looks = { 0.01, 0.01, 0.01, 0.01, 0.01 }, { 0, 0.01, 0.01 }
local client = llama_cloud.new { api_key = "x", base_url = url, proxy = "" }
local options = { journal = journal, uploads_per_second = math.huge, batch_size = 7, batches = 3, delete_directories = true }
options.polling_interval, options.backoff = 0.02, "constant"
local params = { config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } } }
for file in client.batches:process(folder, params, options) do
  io.write(file.name, " ", file.status, "\n")
  io.flush()
end
]]

describe("a run that goes on", function()
  local s, client, folder, journal
  local pauses, looks = trouble.pauses, trouble.looks

  before_each(function()
    folder = files.new()
    assert(require("lfs").mkdir(folder:path("in")))
    journal = folder:path("run.jsonl")
    trouble.pauses, trouble.looks = { 0.01, 0.01 }, { 0, 0.01 }
  end)

  after_each(function()
    trouble.pauses, trouble.looks = pauses, looks
    folder:remove()
    if s then
      s:stop()
      s = nil
    end
  end)

  local function start(options)
    options.batches, options.jobs = 0, 0
    options.speed = options.speed or 200
    s = sandbox.start(options)
    client = lists.client(s)
  end

  local function write(count)
    for index = 1, count do
      folder:write(("in/%02d.pdf"):format(index), ("text %d"):format(index))
    end
  end

  -- Runs it until the end, or until so many files were given. The names of the files that came, and their statuses.
  local function run(options, most)
    local given = { journal = journal, uploads_per_second = math.huge, polling_interval = 0.02, backoff = "constant" }
    for name, value in pairs(options or {}) do
      given[name] = value
    end
    local found, count = {}, 0
    for file in client.batches:process(folder:path("in"), PARSE, given) do
      found[#found + 1] = file.name
      found[file.name] = file
      count = count + 1
      if count == most then
        break
      end
    end
    table.sort(found)
    return found
  end

  -- The facts of the journal.
  local function facts(of)
    local list = {}
    for line in io.lines(journal) do
      local fact = cjson.decode(line)
      if fact.t == of then
        list[#list + 1] = fact
      end
    end
    return list
  end

  it("gives what is left after break, and then nothing more", function()
    start {}
    write(10)
    local first = run({ batch_size = 4 }, 3)
    local rest = run { batch_size = 4 }
    assert.same({ 3, 7 }, { #first, #rest })
    for _, name in ipairs(first) do
      assert.is_nil(rest[name])
    end
    assert.equal(0, #run())
    local uploads = s:uploads()
    assert.equal(10, uploads.total)
    folder:write("in/11.pdf", "new")
    assert.same({ "11.pdf" }, { table.unpack(run()) })
  end)

  -- Word for word as version 1.0.0 writes it; every later 1.x goes on with it (docs/versions.md).
  it("goes on with the journal of version 1.0.0", function()
    start {}
    write(2)
    local directory = assert(client.beta.directories:create { name = "llama-cloud-lua-0123456789abcdef-1" })
    local ids = {}
    for index = 1, 2 do
      local path = folder:path(("in/%02d.pdf"):format(index))
      ids[index] = assert(client.beta.directories.files:upload(directory.id, { upload_file = path })).id
    end
    local batch = assert(client.batches:create { source_directory_id = directory.id, config = PARSE.config })
    local text = [[
{"llama_cloud_journal":1,"run":"0123456789abcdef","identity":{"base_url":"@URL","configuration_id":"cfg-PARSE_AGENTIC","folder":"@IN","type":"parse_v2"}}
{"n":1,"name":"llama-cloud-lua-0123456789abcdef-1","t":"directory"}
{"id":"@DIRECTORY","n":1,"t":"directory"}
{"n":1,"name":"01.pdf","size":6,"t":"file","time":@TIME1}
{"n":1,"name":"02.pdf","size":6,"t":"file","time":@TIME2}
{"id":"@ID1","n":1,"name":"01.pdf","t":"uploaded"}
{"id":"@ID2","n":1,"name":"02.pdf","t":"uploaded"}
{"n":1,"t":"batch"}
{"id":"@BATCH","n":1,"t":"batch"}
{"job":"pjb-1","name":"02.pdf","status":"COMPLETED","t":"done"}
]]
    local lfs = require("lfs")
    local values = { URL = s:url(), IN = folder:path("in"), DIRECTORY = directory.id, BATCH = batch.id }
    for index, id in ipairs(ids) do
      values["ID" .. index] = id
      values["TIME" .. index] = lfs.attributes(folder:path(("in/%02d.pdf"):format(index)), "modification")
    end
    folder:write("run.jsonl", (text:gsub("@(%w+)", values)))
    local found = run()
    assert.same({ "01.pdf" }, { table.unpack(found) })
    assert.equal("COMPLETED", found["01.pdf"].status)
    assert.equal(2, s:uploads().total) -- the two above
    assert.equal(1, #assert(client.batches:list():all()))
  end)

  it("gives a file again whose handling has failed", function()
    start {}
    write(1)
    assert.has_error(function()
      for _ in
        client.batches:process(
          folder:path("in"),
          PARSE,
          { journal = journal, polling_interval = 0.02, backoff = "constant" }
        )
      do
        error("the body", 0)
      end
    end, "the body")
    assert.same({ "01.pdf" }, { table.unpack(run()) })
    assert.equal(1, s:uploads().total)
  end)

  it("takes a file that has changed for a new one, and one that failed when that is wanted", function()
    start {}
    write(2)
    folder:write("in/03-fail.pdf", "x")
    assert.equal(3, #run())
    folder:write("in/02.pdf", "of another length")
    assert.same({ "02.pdf" }, { table.unpack(run()) })
    assert.same({ "03-fail.pdf" }, { table.unpack(run { retry_failed = true }) })
    assert.equal(0, #run())
  end)

  it("gives one result of a file that has changed while its batch was processed", function()
    start {}
    write(4)
    run({}, 1)
    for index = 1, 4 do
      folder:write(("in/%02d.pdf"):format(index), ("another text %d"):format(index))
    end
    local found = run()
    assert.same({ "01.pdf", "02.pdf", "03.pdf", "04.pdf" }, { table.unpack(found) })
    assert.equal(8, s:uploads().total)
    assert.equal(0, #run())
  end)

  it("gives one result of a file that has changed, though its batch ends before the source comes to it", function()
    start {}
    write(2)
    local options = { journal = journal, uploads_per_second = math.huge, polling_interval = 0.02, backoff = "constant" }
    local paths, position, count = { folder:path("in/01.pdf"), folder:path("in/02.pdf") }, 0, 0
    do
      local iterate <close> = client.batches:process(paths, PARSE, options)
      assert.is_table(iterate())
    end
    folder:write("in/01.pdf", "another text")
    folder:write("in/02.pdf", "another text")
    s:clear_stats()
    local function late() -- gives time to the batch of the first run
      local times = 0
      while position == 0 and times < 10 do
        llama_cloud.sleep(0.01)
        times = times + (s:stats().requests > 2 and 1 or 0)
      end
      position = position + 1
      return paths[position]
    end
    for file in client.batches:process(late, PARSE, options) do
      count = count + 1
      assert.equal("COMPLETED", file.status)
    end
    assert.same({ 2, 4 }, { count, s:uploads().total })
  end)

  -- Cuts the journal off after the first fact of a kind that has a field, as if no result had been given until then.
  local function cut(kind, field)
    local lines = {}
    for line in io.lines(journal) do
      local fact = cjson.decode(line)
      lines[#lines + 1] = fact.t ~= "done" and line or nil
      if fact.t == kind and fact[field] then
        break
      end
    end
    folder:write("run.jsonl", table.concat(lines, "\n") .. "\n")
  end

  for _, field in ipairs { "n", "id" } do
    it("gives a file, too, that could not be uploaded before its batch, whose journal ends at its " .. field, function()
      start {}
      write(2)
      folder:write("in/empty.pdf", "")
      assert.equal(3, #run())
      cut("batch", field)
      local found = run()
      assert.same({ "01.pdf", "02.pdf", "empty.pdf" }, { table.unpack(found) })
      assert.equal("FAILED", found["empty.pdf"].status)
      assert.equal(2, s:uploads().total)
      assert.equal(0, #run())
    end)

    it("gives one result of a file that has changed since its batch, whose journal ends at its " .. field, function()
      start {}
      write(2)
      run()
      cut("batch", field)
      folder:write("in/01.pdf", "of another length")
      local found = run { batches = 1 } -- there is no room for another directory before the first is done
      assert.same({ "01.pdf", "02.pdf" }, { table.unpack(found) })
      assert.equal(3, s:uploads().total)
      assert.equal(0, #run())
    end)
  end

  it("gives a file that has changed, though the directory for it is gone", function()
    start {}
    write(2)
    run()
    folder:write("in/01.pdf", "of another length")
    s:fault("POST /api/v2/batches: 402 x1")
    assert.is_false(pcall(run))
    for _, directory in ipairs(s:uploads().directories.left) do
      assert(client.beta.directories:delete(directory.id))
    end
    assert.same({ "01.pdf" }, { table.unpack(run()) })
    assert.equal(0, #run())
  end)

  it("gives a file once that has failed before its directory was gone", function()
    start {}
    write(1)
    folder:write("in/00-empty.pdf", "")
    s:fault("POST */upload: 404 x1")
    s:fault("GET /api/v1/beta/directories/*: 404 x1")
    local given = { journal = journal, concurrency = 1, polling_interval = 0.02, backoff = "constant" }
    local names = {}
    for file in client.batches:process(folder:path("in"), PARSE, given) do
      names[#names + 1] = file.name
      if #names == 1 then
        repeat
          llama_cloud.sleep(0.01)
        until #facts("directory") > 2 -- the second directory was begun
      end
    end
    assert.same({ "00-empty.pdf", "01.pdf" }, names)
    assert.equal(1, #facts("gone"))
    assert.equal(0, #run())
  end)

  it("gives a file once, and counts it once, that is done before the source comes to it", function()
    start {}
    write(1)
    folder:write("in/02-fail.pdf", "x")
    local options = { journal = journal, uploads_per_second = math.huge, polling_interval = 0.02, backoff = "constant" }
    local paths, got, last = { folder:path("in/01.pdf"), folder:path("in/02-fail.pdf") }, {}, nil
    function options.on_progress(progress)
      last = progress
    end
    s:fault("POST /api/v2/batches: 402 x1")
    assert.is_false(pcall(function()
      for _ in client.batches:process(paths, PARSE, options) do
        error("a file came")
      end
    end))
    local position = 0
    local function late()
      position = position + 1
      while paths[position] and not got[paths[position]] do
        llama_cloud.sleep(0.01)
      end
      return paths[position]
    end
    local count = 0
    for file in client.batches:process(late, PARSE, options) do
      got[file.name], count = true, count + 1
      assert.is_true(count <= 2)
    end
    assert.same({ 2, 2 }, { count, s:uploads().total })
    assert.same({ 2, 1, 1 }, { last.walked, last.done, last.failed })
  end)

  it("gives no file twice that cannot be read any more", function()
    start {}
    write(2)
    folder:write("in/03-fail.pdf", "x")
    local paths = { folder:path("in/01.pdf"), folder:path("in/02.pdf"), folder:path("in/03-fail.pdf") }
    local names = {}
    -- Runs it over the array, so that what is removed is still named. How many came, and the last counts.
    local function again(most, retry_failed)
      local options = { journal = journal, retry_failed = retry_failed, polling_interval = 0.02, backoff = "constant" }
      local count, last = 0, nil
      function options.on_progress(progress)
        last = progress
      end
      for file in client.batches:process(paths, PARSE, options) do
        names[#names + 1], count = file.name, count + 1
        if count == most then
          break
        end
      end
      return count, last
    end
    assert.equal(1, (again(1)))
    for _, path in ipairs(paths) do
      assert(os.remove(path))
    end
    assert.equal(2, (again()))
    table.sort(names)
    assert.same(paths, names)
    local count, last = again()
    assert.same({ 0, 3, 2, 1 }, { count, last.walked, last.done, last.failed })
    count, last = again(nil, true)
    assert.same({ 1, paths[3], 2, 1 }, { count, names[4], last.done, last.failed })
    assert.equal(3, s:uploads().total)
  end)

  it("knows a file again whose name is no UTF-8", function()
    start {}
    local name = "caf\xe9%.pdf"
    folder:write("in/" .. name, "x")
    s:fault("POST /api/v2/batches: 402 x1")
    assert.is_false(pcall(run))
    local found = run()
    assert.same({ name, "COMPLETED" }, { found[1], found[name] and found[name].status })
    assert.equal(folder:path("in/" .. name), found[name].path)
    assert.equal(0, #run())
    assert.same({ ["caf%E9%25.pdf"] = 1 }, s:uploads().by_unique_id)
  end)

  it("is told that another run has its journal, and does nothing", function()
    start {}
    write(2)
    local iterate <close> = client.batches:process(
      folder:path("in"),
      PARSE,
      { journal = journal, polling_interval = 0.02, backoff = "constant" }
    )
    assert.is_table(iterate())
    local requests = s:stats().requests
    local ok, err = pcall(run)
    assert.is_false(ok)
    assert.matches("another run is using the journal", err.message, 1, true)
    assert.equal(requests, s:stats().requests)
  end)

  for job_type, resource in pairs { parse_v2 = "parsing", extract_v2 = "extract" } do
    it("gives a result for each of the files that share a job of the type " .. job_type, function()
      start {}
      write(3)
      local configuration_id = "cfg-PARSE_AGENTIC"
      if job_type == "extract_v2" then
        local parameters = { product_type = "extract_v2", data_schema = { type = "object", properties = {} } }
        configuration_id = assert(client.configurations:create { name = "x", parameters = parameters }).id
      end
      local params = { config = { job = { type = job_type, configuration_id = configuration_id } } }
      local options =
        { journal = journal, uploads_per_second = math.huge, polling_interval = 0.02, backoff = "constant" }
      s:fault("GET /api/v2/batches/*: 402 x1")
      assert.is_false(pcall(function()
        for _ in client.batches:process(folder:path("in"), params, options) do
          error("a file came")
        end
      end))
      local batch = assert(client.batches:wait(client.batches:list():all()[1].id, { expand = { "results" } }))
      for _, result in ipairs(batch.results) do
        result.job_reference.id = batch.results[1].job_reference.id
      end
      s:control("POST", "/faults", { fault = ("GET /api/v2/batches/*: body=%q"):format(cjson.encode(batch)) })
      local names = {}
      for file in client.batches:process(folder:path("in"), params, options) do
        names[#names + 1] = file.name
        local job = assert(client[resource]:get(file.job))
        assert.same({ "COMPLETED", job }, { file.status, file.result })
      end
      table.sort(names)
      assert.same({ "01.pdf", "02.pdf", "03.pdf" }, names)
    end)
  end

  it("does not go on with a journal whose lines are not a run's", function()
    start {}
    write(1)
    run()
    local whole = folder:read("run.jsonl")
    local _, lines = whole:gsub("\n", "")
    for _, fact in ipairs { '{"t":"batch"}', '{"t":"file","n":"1","name":"x"}', '{"t":"done","name":5}' } do
      folder:write("run.jsonl", whole .. fact .. "\n")
      local ok, err = pcall(run)
      assert.is_false(ok)
      local message = "line %d of the journal '%s' cannot be read: it is not what a run writes. "
        .. "Restore the file from a copy, or begin anew with another journal"
      assert.same({ "file", message:format(lines + 1, journal) }, { err.kind, err.message })
    end
    folder:write("run.jsonl", whole .. '{"t":"of a later version"}\n')
    assert.equal(0, #run())
  end)

  it("does not go on with a journal of another folder", function()
    start {}
    write(1)
    run()
    assert(require("lfs").mkdir(folder:path("other")))
    local ok, err = pcall(function()
      for _ in client.batches:process(folder:path("other"), PARSE, { journal = journal }) do
        error("a file came")
      end
    end)
    assert.is_false(ok)
    assert.equal("file", err.kind)
    assert.matches(folder:path("other"), err.message, 1, true)
  end)

  it("goes on after the disk was full", function()
    start {}
    write(24)
    local args = { s:url(), folder:path("in"), journal }
    local output, well = process.run(PROGRAM, { args = args, before = "ulimit -f 4;" })
    assert.is_false(well)
    assert.matches("llama_cloud: file: ", output, 1, true)
    assert.matches("File too large", output, 1, true)
    output, well = process.run(PROGRAM, { args = args })
    assert.is_true(well, output)
    local done = {}
    for _, fact in ipairs(facts("done")) do
      assert.is_nil(done[fact.name])
      done[fact.name] = true
      done[#done + 1] = fact.status
    end
    assert.equal(("COMPLETED "):rep(24), table.concat(done, " ") .. " ")
    assert.equal(24, s:uploads().total)
  end)
end)

-- Each example runs as it stands, against the sandbox.

local program = require("spec.support.program")
local sandbox = require("spec.support.sandbox")

local function environment(s)
  return { LLAMA_CLOUD_BASE_URL = s:url(), LLAMA_CLOUD_API_KEY = "llx-test" }
end

-- How many requests were made to a route.
local function requests(s, route)
  return s:stats().routes[route] or 0
end

local function lines(text)
  local found = {}
  for line in text:gmatch("[^\n]+") do
    found[#found + 1] = line
  end
  return found
end

describe("examples/list_batches.lua", function()
  it("prints all batches, over several pages", function()
    local s <close> = sandbox.start { batches = 120, seed = 3 }
    local output, status = program.run("examples/list_batches.lua", {}, environment(s))
    assert.equal(0, status, output)
    local printed = lines(output)
    assert.equal(120, #printed)
    for _, line in ipairs(printed) do
      assert.matches("^bat%-[%x-]+\t%u+\t%d%d%d%d%-%d%d%-%d%dT[%d:.]+Z$", line)
    end
    assert.equal(3, requests(s, "GET /api/v2/batches"))
  end)

  it("prints those of one status", function()
    local s <close> = sandbox.start { batches = 120, seed = 3 }
    local output, status = program.run("examples/list_batches.lua", { "FAILED" }, environment(s))
    assert.equal(0, status, output)
    assert.is_true(#lines(output) > 0)
    for _, line in ipairs(lines(output)) do
      assert.matches("\tFAILED\t", line)
    end
  end)

  it("says what is wrong", function()
    local s <close> = sandbox.start { batches = 1, api_key = "llx-other" }
    local output, status = program.run("examples/list_batches.lua", {}, environment(s))
    assert.equal(1, status)
    assert.matches("llama_cloud: authentication: 401: Invalid API key", output, 1, true)
    output, status = program.run("examples/list_batches.lua", { "DONE" }, environment(s))
    assert.equal(1, status)
    assert.equal(2, s:stats().requests, output)
    output, status = program.run("examples/list_batches.lua", {}, { LLAMA_CLOUD_BASE_URL = s:url() })
    assert.equal(1, status)
    assert.matches("no API key: pass api_key, or set the environment variable LLAMA_CLOUD_API_KEY", output, 1, true)
  end)
end)

describe("examples/create_batch.lua", function()
  it("starts a batch and prints its id", function()
    local s <close> = sandbox.start { batches = 0 }
    local output, status = program.run("examples/create_batch.lua", { "dir-files-3" }, environment(s))
    assert.equal(0, status, output)
    assert.matches("^bat%-[%x-]+\tPENDING\n$", output)
    assert.equal(1, requests(s, "POST /api/v2/batches"))
    output, status = program.run("examples/create_batch.lua", { "dir-files-3", "cfg-mine" }, environment(s))
    assert.equal(0, status, output)
    assert.equal(2, requests(s, "POST /api/v2/batches"))
  end)

  it("says what is wrong", function()
    local s <close> = sandbox.start { batches = 0 }
    local output, status = program.run("examples/create_batch.lua", { "dir-missing" }, environment(s))
    assert.equal(1, status)
    assert.matches("llama_cloud: not_found: 404: Directory not found", output, 1, true)
    output, status = program.run("examples/create_batch.lua", {}, environment(s))
    assert.equal(1, status)
    assert.matches("usage: create_batch.lua DIRECTORY_ID [CONFIGURATION_ID]", output, 1, true)
    assert.equal(1, s:stats().requests)
  end)
end)

describe("examples/quickstart.lua", function()
  it("creates a batch, follows it to its end, prints its results and goes through both lists", function()
    local s <close> = sandbox.start { batches = 250, jobs = 100, seed = 1, speed = 50 }
    local output, status = program.run("examples/quickstart.lua", {}, environment(s))
    assert.equal(0, status, output)
    local id = output:match("^Batch (bat%-[%x-]+)\n")
    assert.truthy(id, output)
    assert.matches("\n  COMPLETED\n", output, 1, true)
    local results = assert(output:match("\nResults of its 8 files\n(.-)\n\n"), output)
    assert.equal(8, #lines(results))
    for _, line in ipairs(lines(results)) do
      assert.matches("^  dfl%-[%x-]+  [%w][%w -]+$", line)
    end
    local batches = assert(output:match("\nThe newest batches\n(.-)\n\n"), output)
    assert.matches("  " .. id, batches, 1, true)
    assert.matches("\n  200 batches: %d+ %u+, ", batches)
    local jobs = lines((assert(output:match("\nThe newest v1 batch jobs\n(.*)$"), output)))
    assert.equal(4, #jobs)
    for number, line in ipairs(jobs) do
      assert.matches(("^  page %d of %%d+ jobs, from bjb%%-[%%x-]+ %%(%%l+, %%d+ items%%)$"):format(number), line)
    end

    assert.equal(1, requests(s, "POST /api/v2/batches"))
    -- Of the fifth page, which may be on its way already, nothing is shown.
    local pages = requests(s, "GET /api/v2/batches")
    assert.is_true(pages == 4 or pages == 5, pages)
    assert.equal(4, requests(s, "GET /api/v1/beta/batch-processing"))
    assert.is_true(requests(s, "GET /api/v2/batches/{batch_id}") >= 2)
    assert.equal(s:stats().requests, s:stats().statuses["200"])
  end)

  it("shows what could not be processed, and how a batch ends that fails", function()
    local s <close> = sandbox.start { batches = 1, jobs = 1, speed = 500 }
    local output, status = program.run("examples/quickstart.lua", { "dir-files-200" }, environment(s))
    assert.equal(0, status, output)
    assert.matches("Results of its 200 files", output, 1, true)
    assert.matches("  The file type is not supported\n", output, 1, true)
    output, status = program.run("examples/quickstart.lua", { "dir-fail" }, environment(s))
    assert.equal(0, status, output)
    assert.matches("\n  FAILED\n", output, 1, true)
    assert.matches("Results of its 0 files", output, 1, true)
  end)

  it("goes through bad weather", function()
    local s <close> = sandbox.start { batches = 120, jobs = 60, speed = 100 }
    s:fault("GET /api/v2/batches: 500 x2")
    s:fault("GET /api/v1/beta/batch-processing: close x1")
    local output, status = program.run("examples/quickstart.lua", {}, environment(s))
    assert.equal(0, status, output)
    assert.matches("\n  121 batches: ", output, 1, true)
    assert.equal(2, s:stats().statuses["500"])
  end)

  it("says what to do about a directory that does not exist", function()
    local s <close> = sandbox.start { batches = 1, jobs = 1 }
    local output, status = program.run("examples/quickstart.lua", { "dir-missing" }, environment(s))
    assert.equal(1, status)
    assert.matches("llama_cloud: not_found: 404: Directory not found", output, 1, true)
    assert.equal(1, s:stats().requests)
  end)
end)

describe("examples/pdfs_to_markdown.lua", function()
  local folder

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute(("mkdir -p '%s/in/more' '%s/out'"):format(folder, folder)))
  end)

  after_each(function()
    os.execute(("rm -r '%s'"):format(folder))
  end)

  local function write(...)
    for _, name in ipairs { ... } do
      local file = assert(io.open(("%s/in/%s"):format(folder, name), "w"))
      file:write("%PDF-1.7 ", name)
      file:close()
    end
  end

  local function read(name)
    local file = assert(io.open(("%s/out/%s"):format(folder, name)))
    local text = file:read("a")
    file:close()
    return text
  end

  it("makes markdown of files and of folders", function()
    local s <close> = sandbox.start { batches = 1, jobs = 1, speed = 100 }
    write("a.pdf", "b.PDF", "notes.txt", "more/a.pdf")
    local output, status = program.run(
      "examples/pdfs_to_markdown.lua",
      { folder .. "/out", folder .. "/in/", folder .. "/in/more/a.pdf" },
      environment(s)
    )
    assert.equal(0, status, output)
    assert.equal(3, #lines(output))
    for _, name in ipairs { "a.md", "a-2.md", "b.md" } do
      assert.matches("^# ", read(name))
    end
    assert.equal(3, requests(s, "POST /api/v1/beta/directories/{directory_id}/files/upload"))
    assert.equal(1, requests(s, "POST /api/v2/batches"))
    assert.equal(1, requests(s, "DELETE /api/v1/beta/directories/{directory_id}"))
  end)

  it("tells what has gone wrong with a file, and goes on", function()
    local s <close> = sandbox.start { batches = 1, jobs = 1, speed = 100 }
    s:fault("POST /api/v1/beta/directories/*/files/upload: 503 retry-after=1 x1")
    write("good.pdf", "fail.pdf", "unmapped.pdf")
    local output, status = program.run(
      "examples/pdfs_to_markdown.lua",
      { folder .. "/out", folder .. "/in", folder .. "/in/missing.pdf" },
      environment(s)
    )
    assert.equal(1, status, output)
    assert.matches("/in/good.pdf: .*/out/good.md, %d+ bytes\n", output)
    assert.matches("/in/missing.pdf: .*cannot read .*No such file", output)
    assert.matches("/in/unmapped.pdf: The file type is not supported\n", output, 1, true)
    assert.matches("/in/fail.pdf: llama_cloud: batch_failed: ", output, 1, true)
    assert.equal(4, #lines(output))
  end)

  it("says what is wrong before it sends anything", function()
    local s <close> = sandbox.start { batches = 1, jobs = 1 }
    local out, into = folder .. "/out", folder .. "/in"
    for message, arguments in pairs {
      ["usage: pdfs_to_markdown.lua OUTPUT FILE_OR_FOLDER…\n"] = { "out" },
      ["there are no files that end in .pdf\n"] = { out, into },
      [("the folder for the markdown, '%s/no', cannot be written to: "):format(folder)] = { folder .. "/no", into },
    } do
      local output, status = program.run("examples/pdfs_to_markdown.lua", arguments, environment(s))
      assert.equal(1, status)
      assert.equal(message, output:sub(1, #message))
    end
    assert.equal(0, s:stats().requests)
  end)
end)

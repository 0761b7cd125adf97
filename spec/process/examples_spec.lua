-- The examples of process run as they stand, against the sandbox.

local files = require("spec.support.files")
local program = require("spec.support.program")
local sandbox = require("spec.support.sandbox")

describe("the example", function()
  local s, folder

  before_each(function()
    s = sandbox.start { speed = 200, batches = 0, jobs = 0 }
    folder = files.new()
    assert(require("lfs").mkdir(folder:path("in")))
    for _, name in ipairs { "a.pdf", "b.pdf", "c-fail.pdf" } do
      folder:write("in/" .. name, "text of " .. name)
    end
  end)

  after_each(function()
    s:stop()
    folder:remove()
  end)

  local function run(name, arguments)
    local environment = { LLAMA_CLOUD_BASE_URL = s:url(), LLAMA_CLOUD_API_KEY = "llx-test" }
    return program.run("examples/" .. name, arguments, environment)
  end

  it("parse_folder.lua writes the markdown of a folder, and goes on", function()
    local output, status = run("parse_folder.lua", { folder:path("in"), folder:path("out") })
    assert.equal(1, status, output)
    assert.matches("c-fail.pdf: parse job [%w-]+ ended as FAILED", output)
    assert.is_true(#folder:read("out/a.pdf.md") > 0 and #folder:read("out/b.pdf.md") > 0)
    assert.is_nil(folder:read("out/c-fail.pdf.md"))
    output, status = run("parse_folder.lua", { folder:path("in"), folder:path("out") })
    assert.equal(1, status, output) -- one has failed, though not now
    assert.equal(3, s:uploads().total)
    output, status = run("parse_folder.lua", {})
    assert.equal(2, status)
    assert.matches("usage: parse_folder.lua FOLDER OUTPUT", output, 1, true)
  end)

  it("extract_invoices.lua writes a row for each file", function()
    local output, status = run("extract_invoices.lua", { folder:path("in"), folder:path("invoices.csv") })
    assert.equal(1, status, output)
    assert.matches("c-fail.pdf: extract job [%w-]+ ended as FAILED", output)
    local csv = folder:read("invoices.csv")
    assert.equal('"file","number","date","supplier","total","currency"\r\n', csv:match("^[^\n]*\n"))
    assert.matches('\n"a.pdf","[^\n]*"\r\n', csv)
    assert.equal(3, select(2, csv:gsub("\r\n", "")))
    output, status = run("extract_invoices.lua", { folder:path("in"), folder:path("invoices.csv") })
    assert.equal(1, status, output) -- one has failed, though not now
    assert.equal(csv, folder:read("invoices.csv"))
    output, status = run("extract_invoices.lua", {})
    assert.equal(2, status)
    assert.matches("usage: extract_invoices.lua FOLDER CSV", output, 1, true)
  end)
end)

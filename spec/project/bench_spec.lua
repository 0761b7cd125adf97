-- The programs of scripts/bench still run, in tiny sizes and without what not every machine has; and the page of figures is
-- what they make of bench/measured.

local process = require("spec.support.process")
local program = require("spec.support.program")

local quote = process.quote

local here = program.file("."):gsub("^%.", os.getenv("PWD") or ".", 1)
local build = package.cpath:match("^(.-)/%?%.so")

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

-- Runs scripts/bench; what it prints, on both outputs together, and its status.
local function bench(arguments)
  local line = "cd %s && env -u CI LLAMA_CLOUD_BUILD=%s scripts/bench --quick %s 2>&1 </dev/null"
  local pipe = assert(io.popen(line:format(quote(here), quote(build), arguments)))
  local output = pipe:read("a")
  local _, _, status = pipe:close()
  return output, status
end

-- Expects a row of a table, with figures.
local function has_row(output, name)
  assert.matches("\n| " .. name .. " | %d+%.%d+ s | %d+%.%d+ | %d+%.%d+ s | %d+%.%d+ | %d+%.%d MB |\n", output)
end

describe("scripts/bench", function()
  it("measures this module where nothing is to compare it with, and says what it skips", function()
    local without = "--without curl --without jq --without nginx --without node --without valgrind"
    local output, status = bench(without .. " recipe files transfer listing instructions")
    assert.equal(0, status, output)
    for _, sentence in ipairs {
      "skipping listing, polling and memory: no nginx",
      "skipping curl: it is not installed",
      "skipping the TypeScript SDK: no node or no npm",
      "skipping the recipe as a shell script: jq is not installed",
      "skipping instructions: no valgrind",
    } do
      assert.matches("scripts/bench: " .. sentence .. "\n", output, 1, true)
    end
    for _, name in ipairs { "batches:process", "llama%-cloud process", "uploads alone" } do
      has_row(output, name)
    end
    local _, count = output:gsub("\n| llama_cloud | %d", "")
    assert.equal(4, count, output) -- small and large files, up and down
    assert.not_matches("TypeScript SDK |", output, 1, true)
  end)

  it("takes a folder to results by hand with curl and jq", function()
    for _, name in ipairs { "curl", "jq" } do
      if not os.execute("command -v " .. name .. " >/dev/null") then
        return pending(name .. " is not installed")
      end
    end
    local output, status = bench("--without node recipe")
    assert.equal(0, status, output)
    has_row(output, "shell, curl and jq")
  end)

  it("does not write figures of tiny sizes into the page", function()
    local output, status = bench("--write recipe")
    assert.equal(2, status, output)
    assert.matches("^scripts/bench %[%-%-quick%]", output)
  end)
end)

describe("the page of figures, its plot, and the figures of README.md", function()
  it("are what the report makes of bench/measured", function()
    local directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir " .. quote(directory)))
    local output, status = program.run("bench/report.lua", { "page", directory })
    local drawn = status == 0 and read(directory .. "/performance.svg")
    for _, name in ipairs { "docs/performance.md", "docs/performance.svg", "README.md" } do
      local made = status == 0 and read(directory .. "/" .. name:match("[^/]*$"))
      assert.is_true(made == read(program.file(name)), name .. ": run 'scripts/bench page'\n" .. output)
    end
    os.execute("rm -r " .. quote(directory))
    assert.is_true(#drawn < 20000)
  end)
end)

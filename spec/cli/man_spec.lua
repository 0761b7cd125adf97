-- The manual pages in man/: they say what the program, the sandbox and the docs say, and CMake makes pages of them that
-- mandoc and man have nothing to say about.
local program = require("spec.support.program")

local build = package.cpath:match("^(.-)/%?%.so")
local manual = dofile(program.file("scripts/man.lua"))

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

-- What a command says on both outputs.
local function said(command, ...)
  local pipe = assert(io.popen(("env -u LD_PRELOAD %s 2>&1"):format(command:format(...))))
  local output = pipe:read("a")
  pipe:close()
  return output
end

describe("the manual page", function()
  local pages = manual.pages()
  for name, text in pairs(pages) do
    it(name .. " is up to date", function()
      local there = read(program.file("man/" .. name .. ".in"))
      assert.is_true(there == text, "run scripts/lua scripts/man.lua")
    end)

    it(name .. " has a date and the version when it is built", function()
      local version = require("llama_cloud")._VERSION:gsub("%W", "%%%0")
      local made = read(("%s/man/%s"):format(build, name))
      assert.matches('^%.TH [%u_\\-]+ [13] %d%d%d%d%-%d%d%-%d%d "llama\\%-cloud ' .. version .. '" "[^\n]+"\n', made)
      assert.is_nil(made:find("@%u+@"))
      local rules = read(build .. "/cmake_install.cmake")
      assert.matches(('/man%s" TYPE FILE FILES "[^"]+/man/%s"'):format(name:sub(-1), name:gsub("%W", "%%%0")), rules)
    end)

    for tool, command in pairs {
      mandoc = "mandoc -T lint -W warning '%s/man/%s'",
      man = "LC_ALL=C.UTF-8 MANROFFSEQ= man --warnings -E UTF-8 -l '%s/man/%s' 2>&1 >/dev/null",
    } do
      it(("%s is well-formed for %s"):format(name, tool), function()
        if said("sh -c 'command -v %s'", tool) == "" then
          return pending(tool .. " is not installed")
        end
        assert.equal("", said("sh -c %s", "'" .. command:format(build, name):gsub("'", "'\\''") .. "'"))
      end)
    end
  end

  it("of the program has every command, and of the library every option of a client", function()
    assert.truthy(pages["llama-cloud.1"]:find("\n.SS batches wait\\-all BATCH\\-ID...\n", 1, true))
    local options = require("llama_cloud.client").options
    for option in pairs(options) do
      assert.truthy(pages["llama_cloud.3"]:find("\n.TP\n\\fB" .. option .. "\\fR ", 1, true), option)
    end
  end)
end)

describe("Markdown", function()
  it("becomes what troff shows alike", function()
    local roff = dofile(program.file("scripts/roff.lua"))
    local text = table.concat({
      "## A part",
      "First `a|b` and **bold**, *slanted*, [here](#there),",
      "[a page](guide.md#x) … → done",
      "",
      "<!-- generated: options X -->",
      "",
      "| option | type | default | |",
      "|---|---|---|---|",
      "| `n` | `a`, `b` | 5 | how many\\|much |",
      "",
      "* one",
      "  of two",
      "* 'two'",
      "",
      "```lua",
      ".x = '\\n' -- y",
      "",
      "```",
      "Next: [B](b.md)",
    }, "\n")
    local lines = {}
    roff.add(text, lines)
    assert.same({
      ".SH A PART",
      "First \\fBa|b\\fR and \\fBbold\\fR, \\fIslanted\\fR, here, a page (docs/guide.md) ... \\(-> done",
      ".TP",
      "\\fBn\\fR \\fIa, b\\fR",
      "how many|much. Default: 5.",
      ".IP \\(bu 2",
      "one of two",
      ".IP \\(bu 2",
      "\\&'two'",
      ".PP",
      ".EX",
      "\\&.x = '\\en' \\-\\- y",
      "\\&",
      ".EE",
    }, lines)
  end)
end)

describe("the flags", function()
  local lookup = require("llama_cloud.cli.lookup")
  local root = require("llama_cloud.cli").parser()

  for name, case in pairs {
    ["of all commands"] = { root, require("llama_cloud.client").defaults, 2 },
    ["of waiting"] = { lookup.at(root, { "batches", "wait" }), require("llama_cloud.endpoint.pace").defaults, 3 },
    ["of process"] = { lookup.at(root, { "process" }), require("llama_cloud.process").method.defaults, 4 },
  } do
    it(name .. " tell the defaults that the code has", function()
      local told = 0
      for option, value in pairs(case[2]) do
        local flag = lookup.flag(case[1], "--" .. option:gsub("_", "-"))
        local default = flag and flag._description:match("%((%d+)[,)]")
        if default then
          told = told + 1
          assert.equal(value, tonumber(default), option)
        end
      end
      assert.is_true(told >= case[3], told)
    end)
  end
end)

describe("the date of the sources", function()
  local directory, script

  before_each(function()
    directory = os.tmpname()
    os.remove(directory)
    assert(os.execute(("mkdir '%s'"):format(directory)))
    script = directory .. "/date.cmake"
    local file = assert(io.open(script, "w"))
    file:write(('include("%s")\n'):format(program.file("cmake/date.cmake")))
    file:write(('llama_cloud_date("%s" date)\nmessage("${date}")\n'):format(directory))
    file:close()
  end)

  after_each(function()
    os.execute(("rm -r '%s'"):format(directory))
  end)

  it("is that of the newest release, and SOURCE_DATE_EPOCH before it", function()
    local file = assert(io.open(directory .. "/CHANGELOG.md", "w"))
    file:write("# Changelog\n\n## [Unreleased]\n\n## [1.1.0] - 2027-02-03\n\n## [1.0.0] - 2026-12-01\n")
    file:close()
    assert.equal("2027-02-03\n", said("-u SOURCE_DATE_EPOCH cmake -P '%s'", script))
    assert.equal("1970-01-02\n", said("SOURCE_DATE_EPOCH=86400 cmake -P '%s'", script))
  end)

  it("is today's where there is neither a release nor a commit", function()
    local before = os.date("!%Y-%m-%d")
    local above = directory:match("^(.*)/")
    local date = said("-u SOURCE_DATE_EPOCH GIT_CEILING_DIRECTORIES='%s' cmake -P '%s'", above, script)
    assert.is_true(date == before .. "\n" or date == os.date("!%Y-%m-%d") .. "\n", date)
  end)
end)

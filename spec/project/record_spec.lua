-- docs/session.svg, which README.md shows, and scripts/record, which makes it: the recording shows what the program writes.

local process = require("spec.support.process")
local program = require("spec.support.program")

local quote = process.quote

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

-- Runs scripts/record. Its output, errors included, and its status.
local function record(arguments)
  local build = assert(package.searchpath("llama_cloud.core", package.cpath)):gsub("/llama_cloud/core%.so$", "")
  local command = "LLAMA_CLOUD_BUILD=%s timeout -k 5 %d %s %s 2>&1 </dev/null"
  local limit = 120 * process.slowdown
  local pipe = assert(io.popen(command:format(quote(build), limit, quote(program.file("scripts/record")), arguments)))
  local output = pipe:read("a")
  local _, _, status = pipe:close()
  return output, status
end

-- What is wrong with a text as XML; nil where nothing is. It knows no more of XML than an SVG of ours has.
local function fault_of(text)
  local open, position = {}, 1
  while position <= #text do
    local content, slash, name, attributes, empty, after = text:match("^([^<>]*)<(/?)(%a+)([^<>]-)(/?)>()", position)
    if not content then
      local rest = text:sub(position)
      return (rest:find("[<>]") or #open > 0 or rest ~= "\n") and "at the end: " .. rest or nil
    elseif content:gsub("&%a+;", { ["&amp;"] = "", ["&lt;"] = "", ["&gt;"] = "" }):find("&") then
      return "a character that is not escaped: " .. content
    elseif attributes:gsub('%s[%a:]+="[^"&]*"', "") ~= "" then
      return "attributes: " .. attributes
    elseif slash == "/" and table.remove(open) ~= name then
      return "closes what is not open: " .. name
    elseif slash == "" and empty == "" then
      open[#open + 1] = name
    end
    position = after
  end
  return "no line break at the end"
end

-- The lines that an SVG shows in the end, and those that pass; numbers are N, and a heading, which the sandbox makes up, is #.
local function lines_of(svg)
  local staying, passing = {}, {}
  for attributes, text in svg:gmatch("<text([^>]*)>(.-)</text>") do
    local line = text:gsub("</?tspan>", ""):gsub("&lt;", "<"):gsub("&gt;", ">"):gsub("&amp;", "&")
    local lines = attributes:find('class="p"', 1, true) and passing or staying
    lines[#lines + 1] = line:gsub("%d+%.?%d*", "N"):gsub("^# .*", "#")
  end
  return staying, passing
end

local PROGRESS = "N of N files done  N uploaded  N processing"

describe("the recorded session", function()
  local recorded = read(program.file("docs/session.svg"))
  local fresh

  lazy_setup(function()
    local path = os.tmpname()
    local output, status = record("--quick " .. quote(path))
    assert(status == 0 and output == "", output)
    fresh = read(path)
    os.remove(path)
  end)

  it("is well-formed, small, and needs nothing else", function()
    for _, svg in ipairs { recorded, fresh } do
      assert.is_nil(fault_of(svg))
      assert.is_true(#svg < 40000)
      assert.equal("http://www.w3.org/2000/svg", svg:match("[^%s\"']*://[^%s\"']*"))
      assert.is_nil(svg:gsub("xmlns=%S+", ""):find("://", 1, true) or svg:find("<script", 1, true))
    end
    for _, wrong in ipairs { "<a>\n", "<a></b>\n", "<a>&</a>\n", "<a b=c/>\n", "<a/>\n<", "<a/>", "</a>\n" } do
      assert.is_string(fault_of(wrong), wrong)
    end
  end)

  it("shows what the program writes (if not: scripts/record)", function()
    local staying, passing = lines_of(fresh)
    local shown, passed = lines_of(recorded)
    assert.same(staying, shown)
    for _, lines in ipairs { passing, passed } do
      assert.equal(PROGRESS, lines[1])
      for _, line in ipairs(lines) do
        assert.equal(PROGRESS, (line:gsub("  N/s  N s left$", "")))
      end
    end
  end)

  it("shows an interruption, and how it ends well", function()
    local staying = table.concat(lines_of(recorded), "\n")
    assert.matches("\nllama%-cloud: interrupted\nllama%-cloud: to continue: llama%-cloud process ", staying)
    assert.matches("\nllama%-cloud: N files: N completed, N failed\n%$ ls ", staying)
  end)

  it("begins with the command of README.md", function()
    local readme = read(program.file("README.md"))
    local command = readme:match("\n(%$ llama%-cloud process [^\n]*\\\n[^\n]*)\n")
    assert.truthy(table.concat(lines_of(recorded), "\n"):find(command, 1, true))
    assert.truthy(readme:find("](docs/session.svg)", 1, true))
  end)
end)

describe("scripts/record", function()
  it("says how it is used", function()
    local output, status = record("--fast")
    assert.equal(2, status)
    assert.equal("usage: scripts/record [--quick] [FILE]\n", output)
  end)
end)

-- The endpoint that CONTRIBUTING.md adds, added as the page says to a copy of the checkout, which is then checked as any other.

local files = require("spec.support.files")
local process = require("spec.support.process")
local program = require("spec.support.program")

local quote = process.quote

local page
do
  local file = assert(io.open(program.file("CONTRIBUTING.md")))
  page = file:read("a")
  file:close()
end

-- Puts a text before the first line of a file that begins so; at its end without such a beginning. In the checkout of somebody
-- who follows the page it is there already.
local function insert(path, beginning, text)
  local file = assert(io.open(path))
  local content = file:read("a")
  file:close()
  if content:find(text, 1, true) then
    return
  end
  local at = #content + 1
  if beginning then
    at = assert(("\n" .. content):find("\n" .. beginning, 1, true), ("%s has no '%s'"):format(path, beginning))
  end
  file = assert(io.open(path, "w"))
  assert(file:write(content:sub(1, at - 1), text, content:sub(at)))
  file:close()
end

describe("CONTRIBUTING.md", function()
  local room

  setup(function()
    room = files.new()
    local copied = "for name in CMakeLists.txt bin cmake docs lua scripts spec; do cp -R %s/$name %s; done"
    assert(os.execute(copied:format(quote(program.file(".")), quote(room.directory))))
    for path, where, text in page:gmatch("\n<!%-%- in (%S+) ([^\n]*) %-%->\n```lua\n(.-)```\n") do
      insert(room:path(path), where ~= "at the end" and assert(where:match('^before "(.*)"$'), where), text)
    end
  end)

  teardown(function()
    room:remove()
  end)

  -- Runs a line of shell in the copy, with the core of this checkout. What it writes, and whether it succeeds.
  local function shell(line)
    local build = package.cpath:match("^([^;]*)/%?%.so")
    local command = "cd %s && export LLAMA_CLOUD_BUILD=%s no_proxy=127.0.0.1 && { %s\n} 2>&1 </dev/null"
    local pipe = assert(io.popen(command:format(quote(room.directory), quote(build), line)))
    local output = pipe:read("a")
    return output, (pipe:close())
  end

  it("adds an endpoint whose declaration and annotations agree", function()
    for _, name in ipairs { "reference", "flags" } do
      local output, ok = shell(("cd %s && ${LUA:-lua5.4} scripts/%s.lua"):format(quote(room.directory), name))
      assert(ok, output)
    end
    assert.same({ "", true }, { shell("scripts/lint types") })
    assert.matches("GET /api/v2/batches/{batch_id}/progress", room:read("docs/resources.md"), 1, true)
  end)

  it("adds specs that pass", function()
    local count = "1 success / 0 failures / 0 errors"
    for path, filter in page:gmatch("\n%$ scripts/spec plain (spec/resources/%S+) %-%-filter=(%S+)\n") do
      assert.matches(count, shell(("scripts/spec plain %s --filter=%s"):format(path, filter)), 1, true)
    end
    local output = shell("scripts/spec plain spec/sandbox/sandbox_spec.lua --filter='tells how far they are'")
    assert.matches(count, output, 1, true)
  end)

  it("shows what its command answers", function()
    local block = assert(page:match("\n```\n(%$ scripts/lua bin/llama%-cloud sandbox .-)```\n"))
    local lines = { "scripts/lua bin/llama-cloud sandbox --port 0 --quiet >address &" }
    lines[#lines + 1] = "until [ -s address ]; do kill -0 $! || exit 1; sleep 0.05; done; trap 'kill $!' EXIT"
    lines[#lines + 1] = "export LLAMA_CLOUD_API_KEY=any LLAMA_CLOUD_BASE_URL=$(sed 's/.* //' address)"
    local expected = {}
    for line in block:gmatch("[^\n]+") do
      local command = line:match("^%$ (.*)$")
      if not command then
        expected[#expected + 1] = line
      elseif command:find(" batches ", 1, true) then
        lines[#lines + 1] = command
      end
    end
    assert.equal(table.concat(expected, "\n") .. "\n", (shell(table.concat(lines, "\n"))))
  end)
end)

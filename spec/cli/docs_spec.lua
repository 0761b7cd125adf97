-- What docs/command-line.md shows in a shell works as it stands.

local cli = require("spec.support.cli")
local program = require("spec.support.program")
local sandbox = require("spec.support.sandbox")

local RUN = {} -- the sections whose blocks are run
for _, section in ipairs { "From a folder to results", "Commands and flags", "Output", "Waiting" } do
  RUN[section] = true
end

-- The commands of each block of those sections.
local function blocks()
  local found, section, block = {}, nil, nil
  for line in io.lines(program.file("docs/command-line.md")) do
    section = line:match("^## (.*)$") or section
    if line:find("^```") then
      block = not block and RUN[section] and {} or nil
      found[#found + 1] = block
    elseif block then
      block[#block + 1] = line:match("^%$ (.*)$") or assert(block[#block]:find("\\$") and line, line)
    end
  end
  return found
end

describe("docs/command-line.md", function()
  it("has commands that work", function()
    local s <close> = sandbox.start { batches = 40, seed = 3, speed = 200 }
    local folder = os.tmpname()
    os.remove(folder)
    local found = blocks()
    assert.equal(6, #found)
    for _, block in ipairs(found) do
      local commands = table.concat(block, "\n"):gsub("llama%-cloud", "lc")
      local setting = 'set -eu; mkdir -p %s/invoices; cd %s; printf "%%s" text | tee report.pdf >invoices/1.pdf\n'
      local out, err, status = cli.shell(s, setting:format(folder, folder) .. commands)
      assert.equal(0, status, err .. out .. commands)
      assert.equal("", (err:gsub("^llama%-cloud: 1 file: 1 completed, 0 failed\n$", "")))
    end
    local file = assert(io.open(folder .. "/report.md"))
    assert.matches("^#", file:read("l"))
    file:close()
    assert.is_true(os.execute("rm -r " .. folder))
  end)
end)

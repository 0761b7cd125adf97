-- The Lua blocks of all Markdown files run, each by itself, against the sandbox. A block after a line like
-- `<!-- not run: reason -->` is left out. What else holds for these pages is in book_spec.lua.

local markdown = require("spec.support.markdown")
local program = require("spec.support.program")
local sandbox = require("spec.support.sandbox")

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

-- The Lua blocks of a text: first and last line, and why one is not to be run.
local function blocks_of(text)
  local blocks, number, block, reason = {}, 0, nil, nil
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    number = number + 1
    if block and line:find("^%s*```%s*$") then
      block.last, block = number - 1, nil
    elseif not block and line:find("^%s*```lua%s*$") then
      block = { first = number + 1, reason = reason }
      blocks[#blocks + 1] = block
    elseif not block and line ~= "" then
      reason = line:match("^%s*<!%-%- not run: (.-) %-%->%s*$")
    end
  end
  return blocks
end

-- Runs a block. Its output and exit status.
local function run(path, block, s)
  return program.run(
    "spec/support/run_block.lua",
    { path, tostring(block.first), tostring(block.last) },
    { LLAMA_CLOUD_BASE_URL = s:url(), LLAMA_CLOUD_API_KEY = "llx-test" }
  )
end

describe("the Lua blocks of", function()
  for _, name in ipairs(markdown.files()) do
    local path = program.file(name)
    for _, block in ipairs(blocks_of(read(path))) do
      if not block.reason then
        it(("%s, line %d, run"):format(name, block.first), function()
          local s <close> = sandbox.start { batches = 120, jobs = 30, speed = 1e6 } -- done when they are first looked at
          local output, status = run(path, block, s)
          assert.equal(0, status, output)
        end)
      end
    end
  end

  it("README.md and docs/guide.md are found", function()
    assert.is_true(#blocks_of(read(program.file("README.md"))) >= 3)
    assert.is_true(#blocks_of(read(program.file("docs/guide.md"))) >= 10)
  end)

  it("a text with faults do not", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    local text = table.concat({
      "Text", -- 1
      "```lua",
      "local batch = assert(client.batches:get('bat-none'))",
      "```",
      "<!-- not run: it is broken -->", -- 5
      "```lua",
      "error(]",
      "```",
      "```lua",
      "undefined_function(batch_id)", -- 10
      "```",
      "```",
      "```lua", -- in a block of another kind
      "```",
      "```lua", -- 15
      "x = 1",
      "```",
      "",
    }, "\n")
    file:write(text)
    file:close()
    local s <close> = sandbox.start { batches = 1, jobs = 1 }
    local blocks = blocks_of(text)
    assert.equal("it is broken", blocks[2].reason)
    assert.same({ 3, 7, 10 }, { blocks[1].first, blocks[2].first, blocks[3].first })
    local expected = { ":3: .*not_found", ":7: unexpected symbol", ":10: undefined name 'undefined_function'" }
    expected[1] = "not_found: 404: Batch not found" -- an error object has no position
    for index, message in ipairs(expected) do
      local output, status = run(path, blocks[index], s)
      assert.equal(1, status)
      assert.matches(message, output)
    end
    local output, status = run(path, blocks[#blocks], s)
    assert.equal(1, status)
    assert.matches(":16: global variable 'x' is set", output)
    os.remove(path)
  end)
end)

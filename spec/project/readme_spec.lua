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

-- The Lua blocks of a text: first and last line, why one is not to be run, and the folder of files that another finds where it
-- runs: `<!-- run beside: invoices -->`.
local function blocks_of(text)
  local blocks, number, block, reason, beside = {}, 0, nil, nil, nil
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    number = number + 1
    if block and line:find("^%s*```%s*$") then
      block.last, block = number - 1, nil
    elseif not block and line:find("^%s*```lua%s*$") then
      block = { first = number + 1, reason = reason, beside = beside }
      blocks[#blocks + 1] = block
    elseif not block and line:find("^<!%-%- in .* %-%->$") then
      reason = "contributing_spec.lua puts it into a file"
    elseif not block and line ~= "" then
      reason = line:match("^%s*<!%-%- not run: (.-) %-%->%s*$")
      beside = line:match("^%s*<!%-%- run beside: ([%w_]+) %-%->%s*$")
    end
  end
  return blocks
end

-- Makes a directory with a folder of two files; its path.
local function directory_with(folder)
  local directory = os.tmpname()
  assert(os.remove(directory))
  assert(os.execute(("mkdir -p %s/%s"):format(directory, folder)))
  for number = 1, 2 do
    local file <close> = assert(io.open(("%s/%s/%d.txt"):format(directory, folder, number), "wb"))
    file:write("text ", number)
  end
  return directory
end

-- Runs a block. Its output and exit status.
local function run(path, block, s)
  local directory = block.beside and directory_with(block.beside)
  local output, status = program.run(
    "spec/support/run_block.lua",
    { path, tostring(block.first), tostring(block.last), directory },
    { LLAMA_CLOUD_BASE_URL = s:url(), LLAMA_CLOUD_API_KEY = "llx-test" }
  )
  if directory then
    os.execute("rm -r " .. directory)
  end
  return output, status
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
          if block.beside then -- it says that each of the files has its result
            assert.matches("^%d%.txt\tCOMPLETED\t[^\n]+\n%d%.txt\tCOMPLETED\t[^\n]+\n$", output)
          end
        end)
      end
    end
  end

  it("README.md and docs/guide.md are found", function()
    assert.is_true(#blocks_of(read(program.file("README.md"))) >= 2)
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

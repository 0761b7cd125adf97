-- scripts/reference.lua: the pages of docs/ say what annotations, declarations and the client's own rules say. Tried in
-- copies of this checkout in which one thing was changed.
local program = require("spec.support.program")

-- Copies what the script reads.
local function copy()
  local directory = os.tmpname()
  os.remove(directory)
  local command = "mkdir '%s' && cd '%s' && cp -r docs lua '%s'"
  assert(os.execute(command:format(directory, program.file("."), directory)))
  return directory,
    setmetatable({}, {
      __close = function()
        os.execute(("rm -r '%s'"):format(directory))
      end,
    })
end

local function change(path, old, new)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  local first, last = text:find(old, 1, true)
  assert.is_truthy(first, old)
  file = assert(io.open(path, "w"))
  file:write(text:sub(1, first - 1), new, text:sub(last + 1))
  file:close()
end

describe("scripts/reference.lua", function()
  it("finds this checkout's pages up to date", function()
    local output, status = program.run("scripts/reference.lua", { "--check", program.file(".") })
    assert.equal("", output)
    assert.equal(0, status)
  end)

  -- Each: what is changed, { file, old, new, what it says of that }.
  for name, changes in pairs {
    ["what code and annotations say differently"] = {
      {
        "lua/llama_cloud/client.lua",
        "  timeout = 60,",
        "  timeout = 61,",
        "the default of 'timeout' is 61",
      },
      {
        "lua/llama_cloud/client.lua",
        '  region = "string",',
        '  region = "string",\n  zone = "string",',
        "has no field 'zone', which is taken",
      },
      {
        "lua/llama_cloud/endpoint/wait.lua",
        "---@field max_interval?",
        "---@field most? number\n---@field max_interval?",
        "no option 'most' is taken",
      },
      {
        "lua/llama_cloud/init.lua",
        "return llama_cloud\n",
        "--- Does more.\nfunction llama_cloud.more() end\n\nreturn llama_cloud\n",
        "no page has the function 'more'",
      },
    },
    ["a call that is not retried any more, another rule for what is, and another comment"] = {
      { "lua/llama_cloud/resources/batches.lua", "    repeatable = true,\n", "", "docs/resources.md is out of date" },
      {
        "lua/llama_cloud/http/retry.lua",
        'local FAILED = { acted = true, again = "repeatable" }',
        'local FAILED = { acted = true, again = "never" }',
        "docs/reference.md is out of date",
      },
      {
        "lua/llama_cloud/process/init.lua",
        "the file that makes the run resumable",
        "a file",
        "docs/process.md is out of date",
      },
    },
    ["which calls take an option"] = {
      {
        "lua/llama_cloud/endpoint/call.lua",
        'declared.pagination.kind == "offset" and "count"',
        '"count"',
        "docs/reference.md is out of date",
      },
    },
    ["a page that was changed by hand"] = {
      {
        "docs/reference.md",
        "| `max_retries` | integer | 5 |",
        "| `max_retries` | integer | 6 |",
        "docs/reference.md is out of date",
      },
    },
  } do
    it("sees " .. name, function()
      local directory, removed <close> = copy() -- luacheck: ignore removed
      for _, one in ipairs(changes) do
        change(("%s/%s"):format(directory, one[1]), one[2], one[3])
      end
      local output, status = program.run("scripts/reference.lua", { "--check", directory })
      assert.equal(1, status, output)
      for _, one in ipairs(changes) do
        assert.is_truthy(output:find(one[4], 1, true), output)
      end
    end)
  end
end)

-- The commands of docs/embedding.md that build programs, and examples/embed by itself with CMake; one of CTest's
-- label "package", as it compiles the core twice.

local files = require("spec.support.files")
local process = require("spec.support.process")
local program = require("spec.support.program")
local sandbox = require("spec.support.sandbox")

local quote = process.quote
local TOP = program.file("."):gsub("^%.", os.getenv("PWD") or ".", 1)
local LUA = "lua" .. _VERSION:sub(5)

-- The commands of each block of the page that is to be run.
local function blocks()
  local found, inside, block, skipped = {}, false, nil, nil
  for line in io.lines(program.file("docs/embedding.md")) do
    if inside and line == "```" then
      inside, block = false, nil
    elseif inside and block then
      block[#block + 1] = line:match("^%$ (.*)$")
    elseif line:find("^```") then
      inside, block = true, line == "```" and not skipped and {} or nil
      found[#found + 1] = block
    elseif not inside and line ~= "" then
      skipped = line:find("^<!%-%- not run:")
    end
  end
  return found
end

describe("docs/embedding.md", function()
  local room

  before_each(function()
    room = files.new()
  end)

  after_each(function()
    assert(os.execute("rm -rf " .. quote(room.directory)))
  end)

  -- Runs commands at the top of a copy of the checkout that was built, as this Lua's.
  local function shell(commands, s)
    local setting = "set -eu; cd %s; mkdir -p build; ln -sfn %s/examples %s/src %s/lua .; ln -sfn %s/llama_cloud build/"
      .. "; export LUA_PATH=%s LUA_CPATH=%s LLAMA_CLOUD_BASE_URL=%s LLAMA_CLOUD_API_KEY=llx-test\n"
    local core = package.cpath:match("^([^;]*)/%?%.so")
    core = core:find("^/") and core or TOP .. "/" .. core
    local words = { room.directory, TOP, TOP, TOP, core, package.path, package.cpath, s:url() }
    for index, word in ipairs(words) do
      words[index] = quote(word)
    end
    local script = room:write("commands", setting:format(table.unpack(words)) .. commands:gsub("lua5%.4", LUA))
    local output, status = program.run_executable("/bin/sh", { script })
    assert.equal(0, status, output .. commands)
    return output
  end

  it("has commands that build a program", function()
    if not os.execute("pkg-config --exists " .. LUA) then
      return pending("pkg-config does not know " .. LUA)
    end
    local s <close> = sandbox.start { batches = 0, speed = 1e6 }
    local has_archive = os.execute("cc -shared -o /dev/null -l:lib" .. LUA .. ".a 2>/dev/null")
    local count = 0
    for _, block in ipairs(blocks()) do
      local commands = table.concat(block, "\n")
      if commands ~= "" and (has_archive or not commands:find("-l:lib", 1, true)) then
        local without = commands:find("WITH_CORE", 1, true) and "unset LUA_CPATH\n" or ""
        if commands:find("./poll_loop ", 1, true) then
          without = "unset LUA_PATH LUA_CPATH\n" -- the block says where the client is
        else
          commands = commands .. "\n./poll_loop examples/embed/poll_loop.lua dir-files-3"
        end
        assert.matches("dir-files-3: COMPLETED, 3 files", shell(without .. commands, s), 1, true)
        count = count + 1
      end
    end
    assert.equal(has_archive and 3 or 2, count)
  end)

  it("builds examples/embed by itself", function()
    if not os.execute("pkg-config --exists " .. LUA) then
      return pending("pkg-config does not know " .. LUA)
    end
    local s <close> = sandbox.start { batches = 0, speed = 1e6 }
    local output = shell(
      "cmake -S examples/embed -B build/embed -DLUA_PACKAGE=lua5.4 >log; cmake --build build/embed >>log\n"
        .. "build/embed/poll_loop_whole examples/embed/poll_loop.lua dir-files-3",
      s
    )
    assert.matches("dir-files-3: COMPLETED, 3 files", output, 1, true)
  end)
end)

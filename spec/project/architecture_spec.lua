-- ARCHITECTURE.md is about this checkout: its rooms are those that scripts/layers.lua allows, and what it names is there.
local program = require("spec.support.program")

local function read(path)
  local file = io.open(program.file(path))
  local text = file and file:read("a")
  return file and file:close() and text
end

-- The names in backticks.
local function named(text)
  local names = {}
  for name in text:gmatch("`([^`]+)`") do
    names[#names + 1] = name
  end
  return names
end

describe("ARCHITECTURE.md", function()
  local page = assert(read("ARCHITECTURE.md"))
  local allowed, rooms = {}, nil

  setup(function()
    local output, status = program.run("scripts/layers.lua", { "--rooms" })
    assert.equal(0, status, output)
    rooms = output:match("^[^\n]*")
    for room, list in output:gmatch("\n(%w+): ([^\n]*)") do
      allowed[room] = list
    end
  end)

  -- Calls f(room, what it may require, what it does) for each row about a room; only those beside the line have the second.
  local function each_row(f)
    for row in page:gmatch("\n| (`[^\n]*) |") do
      local cells = {}
      for cell in (row .. " | "):gmatch("(.-) | ") do
        cells[#cells + 1] = cell
      end
      f(cells[1]:match("`([%w_]+)"), cells[3] and cells[2], cells[#cells], cells[1]:find("/`", 1, true))
    end
  end

  it("is one page", function()
    assert.is_true(select(2, page:gsub("\n", "\n")) <= 120)
  end)

  it("has the rooms in their order", function()
    assert.equal(rooms, (page:match("\n    (init [^\n]*)"):gsub(" → ", " ")))
  end)

  it("has a row for each room, and what those beside the line may require", function()
    local found = {}
    each_row(function(room, may, _)
      found[room] = may or "below"
    end)
    for room in rooms:gmatch("%S+") do
      assert.equal("below", found[room], room)
    end
    for room, list in pairs(allowed) do
      assert.equal(list == "" and "nothing" or list, (found[room]:gsub("`", "")), room)
    end
  end)

  it("names files of the rooms that are there", function()
    local count = 0
    each_row(function(room, _, text, is_folder)
      for _, name in ipairs(is_folder and named(text) or {}) do
        if name:find("^[%l_]+$") then
          count = count + 1
          assert.is_truthy(read(("lua/llama_cloud/%s/%s.lua"):format(room, name)), room .. "/" .. name)
        end
      end
    end)
    assert.is_true(count > 40, count)
  end)

  it("names every file of the C core but Lua's views, and none that is not there", function()
    for name in page:gmatch("[%l_]+%.[ch]%f[^%w]") do
      assert.is_truthy(read("src/" .. name), name)
    end
    local pipe = assert(io.popen(("cd '%s' && ls *.c"):format(program.file("src"))))
    for name in pipe:lines() do
      assert.is_truthy(name:find("^lua_") or page:find(name, 1, true), name)
    end
    pipe:close()
  end)

  it("names what is in the files that it says", function()
    local count = 0
    for name, path in page:gmatch("`([%w_.]+)`%s+of%s+`([%w_/.]+%.lua)`") do
      count = count + 1
      local text = assert(read(path) or read("lua/llama_cloud/" .. path), path)
      assert.is_truthy(text:find("%f[%w_]" .. name .. " = "), name)
    end
    assert.is_true(count >= 4, count)
  end)
end)

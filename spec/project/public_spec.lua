-- What docs/versions.md promises about names: none that was public in the newest release is lost. public.txt has the names of that
-- release, which are written down when it is prepared:
--
--     scripts/lua spec/project/public_spec.lua >spec/project/public.txt
--
-- Declarations and annotations agree (scripts/lint types), so the annotations stand for both.

package.path = "./?.lua;./scripts/?.lua;" .. package.path
local annotations = require("annotations")
local cli = require("llama_cloud.cli")

-- The types whose fields a program gives or gets, besides those of resources.
local TYPES = {
  "AllOptions",
  "ClientOptions",
  "Download",
  "DownloadOptions",
  "Error",
  "FileTable",
  "MapOptions",
  "Options",
  "Page",
  "PathOptions",
  "ProcessOptions",
  "ProcessParams",
  "ProcessedFile",
  "Task",
  "TransferOptions",
  "WaitOptions",
}

local function sorted_keys(t)
  local all = {}
  for key in pairs(t) do
    all[#all + 1] = key
  end
  table.sort(all)
  return all
end

-- Adds a line for each resource below a class, the client's first: its methods and resources.
local function add_resources(lines, found, class, words)
  lines[#lines + 1] = words .. ": " .. table.concat(class.order, " ")
  for _, name in ipairs(class.order) do
    local type = class.fields[name].type
    local resource = type and type.kind == "name" and found.classes[type.name]
    if resource then
      add_resources(lines, found, resource, words .. "." .. name)
    end
  end
end

-- Adds a line with the functions that a file of lua/llama_cloud annotates of an owner, except one that is not public.
local function add_functions(lines, path, owner, words, inner)
  local names = {}
  for _, one in ipairs(annotations.functions("lua/llama_cloud/" .. path)) do
    names[#names + 1] = one.owner == owner and one.name ~= inner and one.name or nil
  end
  lines[#lines + 1] = words .. ": " .. table.concat(names, " ")
end

-- Adds a line for each command below a parser: its flags and arguments.
local function add_commands(lines, parser, words)
  local names = {}
  for _, argument in ipairs(parser._arguments) do
    names[#names + 1] = argument._name
  end
  for _, option in ipairs(parser._options) do
    table.move(option._aliases, 1, #option._aliases, #names + 1, names)
  end
  lines[#lines + 1] = words .. ": " .. table.concat(names, " ")
  for _, command in ipairs(parser._commands) do
    add_commands(lines, command, words .. " " .. command._name)
  end
end

-- All lines, each a place and the names that are there.
local function public()
  local found = annotations.read(".")
  local lines = { "require: " .. table.concat(sorted_keys(require("llama_cloud")), " ") }
  for _, name in ipairs(TYPES) do
    lines[#lines + 1] = name .. ": " .. table.concat(found.classes["LlamaCloud." .. name].order, " ")
  end
  add_resources(lines, found, found.classes["LlamaCloud.Client"], "client")
  add_functions(lines, "client.lua", "methods", "methods of a client")
  add_functions(lines, "endpoint/list.lua", "List", "methods of a list", "watch")
  add_functions(lines, "webhook.lua", "webhook", "webhook")
  local kinds = {}
  for kind in found.aliases["LlamaCloud.ErrorKind"].text:gmatch('"(.-)"') do
    kinds[#kinds + 1] = kind
  end
  lines[#lines + 1] = "kinds of errors: " .. table.concat(kinds, " ")
  add_commands(lines, cli.parser(), "llama-cloud")
  return table.concat(lines, "\n") .. "\n"
end

-- What one text has and the other does not: "PLACE: NAME", or the place alone.
local function missing(before, now)
  local there, lost = {}, {}
  for place, names in now:gmatch("([^:\n]+):([^\n]*)") do
    there[place] = {}
    for name in names:gmatch("%S+") do
      there[place][name] = true
    end
  end
  for place, names in before:gmatch("([^:\n]+):([^\n]*)") do
    if not there[place] then
      lost[#lost + 1] = place
    else
      for name in names:gmatch("%S+") do
        lost[#lost + 1] = not there[place][name] and place .. ": " .. name or nil
      end
    end
  end
  return lost
end

if not describe then -- run as a program
  io.write(public())
  return
end

describe("what was public", function()
  it("is public still", function()
    local file = assert(io.open("spec/project/public.txt"))
    local before = file:read("a")
    file:close()
    assert.same({}, missing(before, public()))
  end)

  it("is missed", function()
    local now = public()
    local before = now .. "llama-cloud batches burn: --now\n"
    before = before:gsub("\nkinds of errors: ", "%0too_late "):gsub("^require: ", "%0old ")
    assert.same({ "require: old", "kinds of errors: too_late", "llama-cloud batches burn" }, missing(before, now))
    assert.same({}, missing(now, before))
  end)
end)

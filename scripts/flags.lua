--- Makes lua/llama_cloud/cli/texts.lua, what the command line says about commands and flags, of the annotations of the
--- resources, which are not there at run time:
---
---     lua scripts/flags.lua [--check] [DIRECTORY]     the checkout, by default the working directory
---
--- With --check it writes nothing, and fails if the file is out of date.

package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local annotations = require("annotations")

local checking = arg[1] == "--check"
local root = arg[checking and 2 or 1] or "."
local PATH = root .. "/lua/llama_cloud/cli/texts.lua"

-- What resources inside others are about: their file's comment is about all of it.
local INNER = {
  ["beta.batch.job_items"] = "The items of v1 batch jobs, and what came of each.",
  ["beta.directories.files"] = "The files of a directory.",
}

local found = annotations.read(root)
local lines = {}

local function put(text, ...)
  lines[#lines + 1] = select("#", ...) > 0 and text:format(...) or text
end

local function quoted(text)
  if text:find('"', 1, true) and not text:find("'", 1, true) then
    return "'" .. text:gsub("\\", "\\\\") .. "'"
  end
  return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
end

local function key(name)
  return name:find("^[%a_][%w_]*$") and name ~= "end" and name or ("[%s]"):format(quoted(name))
end

local function short(name)
  return (name:gsub("^LlamaCloud%.", ""))
end

-- The texts that a type lists.
local function literals(type, all)
  if type.kind == "literal" and type.name:find("^[\"']") then
    all[#all + 1] = type.name:sub(2, -2)
  elseif type.kind == "name" and found.aliases[type.name] then
    literals(found.aliases[type.name].type, all)
  elseif type.kind == "union" then
    for _, member in ipairs(type.members) do
      literals(member, all)
    end
  elseif type.kind == "optional" then
    literals(type.of, all)
  end
  return all
end

-- What the help says about a flag; "" for nothing.
local function text_of(field, name, before)
  local text = field.comment or ""
  text = text:gsub("^likewise", (before:gsub("%%", "%%%%")))
  text = text:gsub("llama_cloud%.null removes it", ("--body '{\"%s\": null}' removes it"):format(name))
  local values = table.concat(literals(field.type, {}), ", ")
  if values ~= "" and text ~= "" then
    return ("%s: %s"):format(values, text)
  end
  return values .. text
end

local function params_of(method)
  for _, parameter in ipairs(method.type.parameters) do
    if parameter.name == "params" then
      return parameter.type.name
    end
  end
end

-- The class whose fields an answer, or each item of a list, has; nil if there is none.
local function answer_of(method)
  local type = method.type.returns[1]
  while type.kind ~= "name" do
    local inner = type.of or type.members and type.members[1] or type.kind == "table" and type
    if not inner or inner == type then
      return nil
    end
    type = inner
  end
  local class = found.classes[type.name]
  if class and class.overload then
    type = class.overload.returns[1]
    type = type.kind == "optional" and type.of or type
  end
  return found.classes[type.name] and type.name or nil
end

-- The comments above the declarations of a resource, and the one at the top of its file.
local function comments_of(resource)
  local comments, text, head, inside = {}, {}, nil, false
  for line in io.lines(resource.path) do
    local comment, name = line:match("^%s*%-%-%- (.*)$"), line:match("^%s+([%w_]+) = {")
    local begins = line:match('endpoint%.resource%("([^"]+)"')
    if begins then
      inside = begins == resource.place
    elseif comment then
      text[#text + 1] = comment
    else
      if name and text[1] and inside then
        comments[name] = table.concat(text, " ")
      end
      head, text = head or table.concat(text, " "), {}
    end
  end
  return comments, head
end

local answers, listed = {}, {}

local function note(name)
  if name and not listed[name] then
    listed[name] = true
    answers[#answers + 1] = name
  end
  return name
end

-- A text with the names of parameters and methods as a command line has them: those of several words, and those in backticks.
local function with_flags(text, fields, members)
  local function replaced(word)
    local dashed = word:gsub("_", "-")
    return fields[word] and "--" .. dashed or members[word] and dashed or nil
  end
  text = text:gsub("`([%l%d_]+)`", function(word)
    return replaced(word) or word
  end)
  return (text:gsub("`", ""):gsub("%f[%w_-][%l%d]+_[%l%d_]+", replaced))
end

local function put_flags(declaration, method, members)
  local fields = annotations.fields(found, params_of(method) or "")
  local rows, before = {}, ""
  for _, one in ipairs(annotations.parameters(declaration)) do
    local field = fields[one.name]
    local text = field and one.type ~= "date" and text_of(field, one.name, before) or ""
    before = field and field.comment or ""
    if text ~= "" then
      rows[#rows + 1] = ("        %s = %s,"):format(key(one.name), quoted(with_flags(text, fields, members)))
    end
  end
  if rows[1] then
    put("      flags = {")
    table.move(rows, 1, #rows, #lines + 1, lines)
    put("      },")
  end
end

local groups = {}

local function put_resource(place, resource, class, inside)
  local comments, head = comments_of(resource)
  head =
    head:gsub("client%.([%l_]+)", "the command %1"):gsub(' "[^"]*" of the API reference.*$', ""):gsub(" https:.*$", "")
  groups[#groups + 1] = { place, inside and assert(INNER[place], place) or head }
  local names = {}
  for name, member in pairs(resource.members) do
    if annotations.is_method(member) then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local method = class.fields[name]
    put("    %s = {", key(place .. "." .. name))
    local fields = annotations.fields(found, params_of(method) or "")
    put("      text = %s,", quoted(with_flags(comments[name] or "", fields, resource.members)))
    local answer = note(answer_of(method))
    if answer then
      put("      answer = %s,", quoted(short(answer)))
    end
    put_flags(resource.members[name], method, resource.members)
    put("    },")
  end
end

-- Resources below a node of the tree, by name.
local function walk(place, node, class)
  local names = {}
  for name, member in pairs(node.members or node) do
    local type = class.fields[name] and class.fields[name].type
    if not annotations.is_method(member) and type and found.classes[type.name or ""] then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local inner, path = (node.members or node)[name], place .. name
    local inner_class = found.classes[class.fields[name].type.name]
    if inner.members then
      put_resource(path, inner, inner_class, node.members ~= nil)
    end
    walk(path .. ".", inner, inner_class)
  end
end

put(
  "--- What the command line says of each command and flag, and which fields answers have. Made by scripts/flags.lua of"
)
put("--- the annotations of the resources: change those.")
put("")
put("return {")
put("  commands = {")
walk("", annotations.declarations(root), found.classes["LlamaCloud.Client"])
put("  },")
put("  groups = {")
for _, group in ipairs(groups) do
  put("    %s = %s,", key(group[1]), quoted(group[2]))
end
put("  },")
put("  answers = {")
table.sort(answers)
for _, name in ipairs(answers) do
  local _, order = annotations.fields(found, name)
  put("    %s = %s,", key(short(name)), quoted(table.concat(order, " ")))
end
put("  },")
put("}")

local made = table.concat(lines, "\n") .. "\n"
if checking then
  local file = io.open(PATH)
  local there = file and file:read("a")
  if there ~= made then
    io.stderr:write("lua/llama_cloud/cli/texts.lua is out of date: run 'lua scripts/flags.lua'\n")
    os.exit(1)
  end
else
  local file = assert(io.open(PATH, "w"))
  assert(file:write(made))
  assert(file:close())
end

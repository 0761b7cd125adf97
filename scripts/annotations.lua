--- Reads LuaLS annotations, and the declarations of resources without the library that makes methods of them. What
--- scripts/types.lua, scripts/drift.lua and scripts/reference.lua know of a checkout comes from here.

local annotations = {}

---@class Type
---@field kind "name"|"literal"|"array"|"optional"|"union"|"function"|"table"
---@field name? string of a name
---@field arguments? Type[] of a name: table<K, V>
---@field of? Type of an array, and of what is optional
---@field members? Type[] of a union
---@field fields? Field[] of a table
---@field parameters? Field[] of a function
---@field returns? Type[] of a function

---@class Field
---@field name string
---@field type? Type
---@field optional boolean
---@field private? boolean
---@field comment? string
---@field line? integer

---@class Class
---@field name string
---@field parents string[]
---@field fields table<string, Field>
---@field order string[] of the fields
---@field overload? Type
---@field comment string
---@field path string
---@field line integer

---@class Found
---@field classes table<string, Class>
---@field aliases table<string, { type: Type, text: string, choices: string[][], path: string, line: integer }>
---@field mentions table<string, { path: string, line: integer }[]> of all names that begin with LlamaCloud
---@field problems any[][] path, line, what cannot be read there

-- A reader of types: a text and a position in it.
local Reader = {}
Reader.__index = Reader

function Reader:match(pattern)
  local first, last, capture = self.text:find("^" .. pattern, self.position)
  if first then
    self.position = last + 1
    return capture or self.text:sub(first, last)
  end
end

-- What stands between separators, until something does not.
function Reader:list(what, separator)
  local all = {}
  repeat
    all[#all + 1] = self[what](self)
  until not self:match("%s*" .. separator .. "%s*")
  return all
end

-- What stands between commas, up to a closing bracket.
function Reader:closed(what, bracket)
  if self:match("%s*" .. bracket) then
    return {}
  end
  local all = self:list(what, ",")
  assert(self:match("%s*" .. bracket), "a bracket is not closed")
  return all
end

function Reader:parameter()
  local name = self:match("[%w_]+") or assert(self:match("%.%.%."), "a parameter's name is missing")
  local optional = self:match("%?") ~= nil
  return { name = name, optional = optional, type = self:match("%s*:%s*") and self:type() or nil }
end

function Reader:member()
  local name = self:match("[%w_]+")
  if name then
    return self:named_member(name)
  end
  self:match("%[")
  local key = self:type()
  self:match("%]")
  self:match("%s*:%s*")
  return { name = "[]", key = key, optional = true, type = self:type() }
end

function Reader:named_member(name)
  local optional = self:match("%?") ~= nil
  self:match("%s*:%s*")
  return { name = name, optional = optional, type = self:type() }
end

function Reader:callable()
  local parameters = self:closed("parameter", "%)")
  local returns = self:match("%s*:%s*") and self:list("type", ",") or {}
  return { kind = "function", parameters = parameters, returns = returns }
end

function Reader:primary()
  if self:match("fun%s*%(") then
    return self:callable()
  elseif self:match("%(%s*") then
    local inner = self:type()
    assert(self:match("%s*%)"), "a bracket is not closed")
    return inner
  elseif self:match("{%s*") then
    return { kind = "table", fields = self:closed("member", "}") }
  end
  local literal = self:match('"[^"]*"') or self:match("'[^']*'") or self:match("%-?%d[%d.]*")
  if literal then
    return { kind = "literal", name = literal }
  end
  local name = assert(self:match("[%a_][%w_.]*"), "a type is missing")
  return { kind = "name", name = name, arguments = self:match("<%s*") and self:arguments() or nil }
end

function Reader:arguments()
  local all = self:list("type", ",")
  assert(self:match("%s*>"), "a '<' is not closed")
  return all
end

function Reader:suffixed()
  local one = self:primary()
  while true do
    if self:match("%[%]") then
      one = { kind = "array", of = one }
    elseif self:match("%?") then
      one = { kind = "optional", of = one }
    else
      return one
    end
  end
end

function Reader:type()
  local members = self:list("suffixed", "|")
  return #members == 1 and members[1] or { kind = "union", members = members }
end

--- Reads a type. Returns it, and what follows it in the text. Raises.
---@param text string
---@return Type
---@return string rest
function annotations.type(text)
  local reader = setmetatable({ text = text, position = 1 }, Reader)
  local type = reader:type()
  return type, text:sub(reader.position):match("^%s*(.*)$")
end

-- What a line of a class, `---@field …`, says.
local function read_field(text)
  local visibility, rest = text:match("^(%l+) (.*)$")
  if not (visibility and ("private protected package public"):find(visibility, 1, true)) then
    visibility, rest = nil, text
  end
  local name, question, tail = rest:match("^([%w_]+)(%??)%s+(.*)$")
  if not name then
    return nil -- of all keys of a type
  end
  local type, comment = annotations.type(tail)
  return { name = name, optional = question ~= "", type = type, comment = comment, private = visibility == "private" }
end

local readers = {}

function readers.class(found, text, place)
  local name, tail = text:gsub("^%(%l+%)%s*", ""):match("^([%w_.]+)(.*)$")
  local parents, comment = {}, tail
  local list = tail:match("^%s*:%s*(.*)$")
  if list then
    repeat
      local parent, rest = list:match("^([%w_.]+)(.*)$")
      parents[#parents + 1], comment = parent, rest
      list = rest:match("^%s*,%s*(.*)$")
    until not list
  end
  local class = found.classes[name]
  if not class then
    class = { name = name, parents = parents, fields = {}, order = {}, path = place.path, line = place.line }
    class.comment = comment:match("^%s*(.-)%s*$")
    found.classes[name] = class
  end
  return class
end

function readers.field(_, text, place, class)
  local field = class and read_field(text)
  if field then
    field.line = place.line
    if not class.fields[field.name] then
      class.order[#class.order + 1] = field.name
    end
    class.fields[field.name] = field
  end
  return class
end

function readers.overload(_, text, _, class)
  if class then
    class.overload = annotations.type(text)
  end
  return class
end

function readers.alias(found, text, place)
  local name, tail = text:match("^([%w_.]+)%s*(.*)$")
  found.aliases[name] = { path = place.path, line = place.line, text = tail, choices = {} }
  return { alias = found.aliases[name] }
end

-- Reads what a file annotates.
local function read_file(found, path)
  local current, number = nil, 0
  for line in io.lines(path) do
    number = number + 1
    local place = { path = path, line = number }
    local tag, text = line:match("^%s*%-%-%-@(%l+)%s*(.*)$")
    local choice = line:match("^%s*%-%-%-|%s*(.*)$")
    if tag and readers[tag] then
      local ok, result = pcall(readers[tag], found, text, place, current)
      if not ok then
        found.problems[#found.problems + 1] = { path, number, tostring(result):gsub("^.-:%d+: ", "") }
      else
        current = result
      end
    elseif choice and current and current.alias then
      local value, comment = annotations.excerpt(choice)
      current.alias.text = current.alias.text .. (current.alias.text == "" and "" or "|") .. value
      table.insert(current.alias.choices, { (value:gsub('"', "")), (comment:gsub("^#%s*", "")) })
    elseif not line:find("^%s*%-%-%-") then
      current = nil
    end
    if line:find("^%s*%-%-%-") then
      for mention in line:gmatch("LlamaCloud[%w_.]*") do
        local name = mention:gsub("%.$", "")
        found.mentions[name] = found.mentions[name] or {}
        table.insert(found.mentions[name], place)
      end
    end
  end
end

--- The type at the beginning of a text, as it is written there.
---@param text string
---@return string
---@return string rest what follows it
function annotations.excerpt(text)
  local _, rest = annotations.type(text)
  return text:sub(1, #text - #rest):match("^(.-)%s*$"), rest
end

-- The files of a folder that end in `.lua`.
local function files_of(folder)
  local pipe = assert(io.popen(("find '%s' -name '*.lua' | sort"):format(folder)))
  local files = {}
  for path in pipe:lines() do
    files[#files + 1] = path
  end
  pipe:close()
  return files
end

--- Reads the annotations of a checkout's client (the sandbox has its own).
---@param root string
---@return Found
function annotations.read(root)
  local found = { classes = {}, aliases = {}, mentions = {}, problems = {} }
  for _, path in ipairs(files_of(root .. "/lua/llama_cloud")) do
    if not path:find("/lua/llama_cloud/sandbox/", 1, true) then
      read_file(found, path)
    end
  end
  for _, alias in pairs(found.aliases) do
    local ok, type = pcall(annotations.type, alias.text)
    if ok then
      alias.type = type
    else
      found.problems[#found.problems + 1] = { alias.path, alias.line, tostring(type):gsub("^.-:%d+: ", "") }
    end
  end
  return found
end

---@class Function
---@field owner string what it is a field of: `llama_cloud`
---@field name string
---@field text string the first paragraph of its comment
---@field parameters Field[]
---@field returns { type: Type, name: string?, comment: string? }[]

local function read_parameter(text)
  local name, question, tail = text:match("^([%w_.]+)(%??)%s+(.*)$")
  local ok, type, comment = pcall(annotations.type, tail)
  if not ok then
    return { name = name, optional = question ~= "" } -- a type that no page shows
  end
  return { name = name, optional = question ~= "" or type.kind == "optional", type = type, comment = comment }
end

local function read_return(text)
  local type, rest = annotations.type(text)
  local name, comment = rest:match("^([%w_.]*)%s*(.*)$")
  return { type = type, name = name, comment = comment }
end

--- The functions that a file annotates, in its order.
---@param path string
---@return Function[]
function annotations.functions(path)
  local all, text, whole, parameters, returns = {}, {}, true, {}, {}
  for line in io.lines(path) do
    local comment, tag, tail = line:match("^%-%-%-%s*(.*)$"), line:match("^%-%-%-@(%l+)%s+(.*)$")
    local owner, name = line:match("^function ([%w_]+)[.:]([%w_]+)%(")
    if tag == "param" then
      parameters[#parameters + 1] = read_parameter(tail)
    elseif tag == "return" then
      returns[#returns + 1] = read_return(tail)
    elseif comment and not tag then
      whole = whole and comment ~= ""
      text[#text + 1] = whole and comment or nil
    elseif not tag then
      if owner and text[1] then
        local one = { owner = owner, name = name, text = table.concat(text, " ") }
        one.parameters, one.returns = parameters, returns
        all[#all + 1] = one
      end
      text, whole, parameters, returns = {}, true, {}, {}
    end
  end
  return all
end

--- The fields of a class, and of those that it inherits from: by name, and their names in order.
---@param found Found
---@param name string
---@return table<string, Field>
---@return string[]
function annotations.fields(found, name)
  local fields, order = {}, {}
  local function add(class)
    for _, parent in ipairs(class and class.parents or {}) do
      add(found.classes[parent])
    end
    for _, field in ipairs(class and class.order or {}) do
      if not fields[field] then
        order[#order + 1] = field
      end
      fields[field] = class.fields[field]
    end
  end
  add(found.classes[name])
  return fields, order
end

-- Something in the place of a module that is not needed: it can be called and looked into.
local nothing = setmetatable({}, {
  __index = function(self)
    return self
  end,
  __call = function(self)
    return self
  end,
  __newindex = function() end,
})

-- Runs the file of a module, with another `require`. Raises.
local function run_module(root, name, require)
  local path = ("%s/lua/%s"):format(root, name:gsub("%.", "/"))
  local file = io.open(path .. ".lua") or assert(io.open(path .. "/init.lua"))
  local text = file:read("a")
  file:close()
  local environment = setmetatable({ require = require(path .. ".lua") }, { __index = _G })
  return assert(load(text, "@" .. path, "t", environment))()
end

--- Runs the files of resources, which leave their declarations. Raises.
---@param root string
---@return table tree as of resources/init.lua: a resource is { place, members, path }
function annotations.declarations(root)
  local loaded = {}
  local function require_from(path)
    local function find(wanted)
      if wanted == "llama_cloud.endpoint" then
        return {
          resource = function(place, members)
            return { place = place, members = members, path = path }
          end,
        }
      elseif wanted == "llama_cloud.base.later" then
        return { require = find }
      elseif not wanted:find("^llama_cloud%.resources") then
        return nothing
      end
      loaded[wanted] = loaded[wanted] or run_module(root, wanted, require_from)
      return loaded[wanted]
    end
    return find
  end
  return require_from()("llama_cloud.resources")
end

--- The project's modules without the C core and the libraries of others, in whose place is something that does nothing: for
--- what can be asked without a call, such as the options of methods, or whether a request is sent again. Raises what a module
--- raises.
---@param root string
---@return fun(name: string): any require
function annotations.modules(root)
  local loaded, find = { ["llama_cloud.core"] = nothing }, nil
  loaded["llama_cloud.base.later"] = {
    require = function(name)
      return setmetatable({}, {
        __index = function(_, field)
          return find(name)[field]
        end,
      })
    end,
  }
  function find(name)
    if not name:find("^llama_cloud") then
      return nothing -- a library
    elseif loaded[name] == nil then
      loaded[name] = run_module(root, name, function()
        return find
      end)
    end
    return loaded[name]
  end
  return find
end

--- The parameters of a declaration in one array: { name, type, required, place }.
---@param declaration table
---@return { name: string, type: string, required: boolean?, place: string, wire: string? }[]
function annotations.parameters(declaration)
  local all = {}
  for _, place in ipairs { "query", "header", "body", "form" } do
    for _, one in ipairs(declaration[place] or {}) do
      all[#all + 1] = { name = one[1], type = one[2], required = one.required, place = place, wire = one.wire }
    end
  end
  local file = type(declaration.upload) == "table" and declaration.upload.file
  if file then
    all[#all + 1] = { name = file[1], type = file[2], required = file.required, place = "form", wire = file.wire }
  end
  return all
end

--- The names in a declaration's path.
---@param declaration table
---@return string[]
function annotations.ids(declaration)
  local ids = {}
  for name in declaration[1]:gmatch("{([%w_]+)}") do
    ids[#ids + 1] = name
  end
  return ids
end

--- Whether a member of a resource is the declaration of a method.
---@param member any
---@return boolean
function annotations.is_method(member)
  return type(member) == "table" and type(member[1]) == "string" and member[1]:find("^%u+ /") ~= nil
end

return annotations

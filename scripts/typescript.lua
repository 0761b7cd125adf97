--- Reads TypeScript declarations (.d.ts) as far as an SDK's resources need: classes, interfaces, types and namespaces.

local typescript = {}

---@class TsType
---@field kind "name"|"literal"|"array"|"union"|"object"|"other"
---@field name? string dotted, of a name; of a literal without its quotes
---@field arguments? TsType[] of a name
---@field of? TsType of an array
---@field members? TsType[] of a union; intersections are told apart from them nowhere
---@field body? TsBody of an object
---@field scope? TsScope of a name: where it is looked up

---@class TsBody
---@field fields table<string, { type: TsType }>
---@field methods table<string, { parameters: { name: string, type: TsType }[], returns: TsType }>
---@field index? TsType of all other keys

---@class TsScope
---@field parent? TsScope
---@field types table<string, { type?: TsType, body?: TsBody, extends?: TsType[] }>
---@field spaces table<string, TsScope>
---@field imports table<string, { path: string, name?: string }>
---@field all string[] paths of which it exports everything
---@field path string

-- The tokens of a text.
local function tokens_of(text)
  text = text:gsub("/%*.-%*/", " "):gsub("//[^\n]*", " ")
  local tokens, position = {}, 1
  local patterns = { "^[%a_$][%w_$]*", "^'[^'\n]*'", '^"[^"\n]*"', "^%-?[%d.]+", "^=>", "^%.%.%.", "^[%p]" }
  while true do
    position = text:find("%S", position)
    if not position then
      return tokens
    end
    for _, pattern in ipairs(patterns) do
      local first, last = text:find(pattern, position)
      if first then
        tokens[#tokens + 1] = text:sub(first, last)
        position = last + 1
        break
      end
    end
  end
end

local Parser = {}
Parser.__index = Parser

function Parser:peek()
  return self.tokens[self.position]
end

function Parser:take(token)
  local current = self.tokens[self.position]
  if current and (token == nil or current == token) then
    self.position = self.position + 1
    return current
  end
end

function Parser:expect(token)
  return self:take(token)
    or error(("%s: '%s' expected, not '%s'"):format(self.scope.path, token, tostring(self:peek())), 0)
end

-- Passes over what is in brackets, of which the first is the next token.
function Parser:skip_brackets(open, close)
  local depth = 0
  repeat
    local token = assert(self:take(), self.scope.path .. ": a bracket is not closed")
    depth = depth + (token == open and 1 or token == close and -1 or 0)
  until depth == 0
end

-- Passes over the rest of a statement.
function Parser:skip_statement()
  while self:peek() and not self:take(";") do
    if self:peek() == "{" then
      self:skip_brackets("{", "}")
      if self:peek() ~= ";" and self:peek() ~= "from" then
        return
      end
    else
      self:take()
    end
  end
end

function Parser:name()
  local name = self:expect(nil)
  while self:peek() == "." do
    self:take()
    name = name .. "." .. self:expect(nil)
  end
  return name
end

function Parser:type_arguments()
  local all = {}
  repeat
    all[#all + 1] = self:type()
  until not self:take(",")
  self:expect(">")
  return all
end

function Parser:primary()
  local token = self:peek()
  if token == "{" then
    return { kind = "object", body = self:body() }
  elseif token == "(" then
    -- in brackets, or the parameters of a function
    local start = self.position
    self:skip_brackets("(", ")")
    if self:take("=>") then
      self:type()
      return { kind = "other" }
    end
    self.position = start + 1
    local inner = self:type()
    self:expect(")")
    return inner
  elseif token == "[" then
    self:skip_brackets("[", "]")
    return { kind = "other" }
  elseif token:find("^['\"]") or token:find("^%-?%d") then
    return { kind = "literal", name = self:take():gsub("^['\"]", ""):gsub("['\"]$", "") }
  elseif token == "typeof" or token == "keyof" or token == "readonly" then
    self:take()
    return self:primary()
  end
  local name = self:name()
  return { kind = "name", name = name, arguments = self:take("<") and self:type_arguments() or nil, scope = self.scope }
end

function Parser:suffixed()
  local one = self:primary()
  while self:peek() == "[" do
    self:take()
    if self:take("]") then
      one = { kind = "array", of = one }
    else
      self:type()
      self:expect("]")
      one = { kind = "other" }
    end
  end
  return one
end

function Parser:type()
  local _ = self:take("|")
  local members = { self:suffixed() }
  while self:peek() == "|" or self:peek() == "&" do
    self:take()
    members[#members + 1] = self:suffixed()
  end
  return #members == 1 and members[1] or { kind = "union", members = members }
end

function Parser:parameters()
  local all = {}
  self:expect("(")
  while not self:take(")") do
    self:take("...")
    local name = self:take()
    if name == "{" then
      self.position = self.position - 1
      self:skip_brackets("{", "}")
    end
    self:take("?")
    all[#all + 1] = { name = name, type = self:take(":") and self:type() or { kind = "other" } }
    self:take(",")
  end
  return all
end

local MODIFIERS =
  { readonly = true, static = true, private = true, protected = true, get = true, set = true, abstract = true }

function Parser:member(body)
  while MODIFIERS[self:peek()] and not (self.tokens[self.position + 1] or ""):find("^[:?(]") do
    self:take()
  end
  if self:take("[") then
    self:type()
    if self:take(":") then
      self:type()
    end
    self:expect("]")
    if self:peek() == "(" then -- a method that has no name, such as an iterator
      self:parameters()
      self:expect(":")
      self:type()
    else
      self:expect(":")
      body.index = self:type()
    end
  else
    local _ = self:take("#")
    local name = self:take():gsub("^['\"]", ""):gsub("['\"]$", "")
    self:take("?")
    if self:take("<") then
      self.position = self.position - 1
      self:skip_brackets("<", ">")
    end
    if self:peek() == "(" then
      local parameters = self:parameters()
      body.methods[name] = { parameters = parameters, returns = self:take(":") and self:type() or { kind = "other" } }
    else
      body.fields[name] = { type = self:take(":") and self:type() or { kind = "other" } }
    end
  end
  local _ = self:take(";") or self:take(",")
end

function Parser:body()
  local body = { fields = {}, methods = {} }
  self:expect("{")
  while not self:take("}") do
    self:member(body)
  end
  return body
end

-- An interface or a class, from its name on.
function Parser:interface()
  local name = self:take()
  if self:peek() == "<" then
    self:skip_brackets("<", ">")
  end
  local extends = {}
  while self:peek() ~= "{" do
    local word = self:take()
    if word == "extends" or word == "," then
      extends[#extends + 1] = self:type()
    elseif word == "implements" then
      self:type()
    end
  end
  self.scope.types[name] = { extends = extends, body = self:body() }
end

-- What a file imports, or exports of another, from after that word on.
function Parser:import()
  local names, all = {}, self:take("*")
  if all and self:take("as") then
    names[self:take()], all = {}, nil
  elseif self:take("{") then
    while not self:take("}") do
      self:take("type")
      local name = self:take()
      names[self:take("as") and self:take() or name] = { name = name }
      self:take(",")
    end
  end
  if self:take("from") then
    local path = self:take():sub(2, -2)
    for name, import in pairs(names) do
      self.scope.imports[name] = { path = path, name = import.name }
    end
    if all then
      table.insert(self.scope.all, path)
    end
  end
  self:take(";")
end

local function new_scope(path, parent)
  return { path = path, parent = parent, types = {}, spaces = {}, imports = {}, all = {} }
end

function Parser:statement()
  local exported = self:take("export")
  local _ = exported and self:take("default")
  _ = self:take("declare")
  _ = self:take("abstract")
  if exported and (self:peek() == "{" or self:peek() == "*") then
    self:import()
  elseif not exported and self:take("import") then
    self:import()
  elseif self:take("class") or self:take("interface") then
    self:interface()
  elseif self:take("namespace") then
    local outer, name = self.scope, self:take()
    self.scope = outer.spaces[name] or new_scope(outer.path, outer)
    outer.spaces[name] = self.scope
    self:expect("{")
    while not self:take("}") do
      self:statement()
    end
    self.scope = outer
  elseif self:peek() == "type" and (self.tokens[self.position + 2] == "=" or self.tokens[self.position + 2] == "<") then
    self:take()
    local name = self:take()
    if self:peek() == "<" then
      self:skip_brackets("<", ">")
    end
    self:expect("=")
    self.scope.types[name] = { type = self:type() }
    self:take(";")
  else
    self:skip_statement()
  end
end

local files = {} -- path -> scope

--- Reads a file, once. Nil where there is none. Raises where it cannot be understood.
---@param path string
---@return TsScope?
function typescript.read(path)
  if files[path] == nil then
    local file = io.open(path)
    files[path] = false
    if file then
      local parser = setmetatable({ tokens = tokens_of(file:read("a")), position = 1 }, Parser)
      file:close()
      parser.scope = new_scope(path)
      files[path] = parser.scope
      while parser:peek() do
        parser:statement()
      end
    end
  end
  return files[path] or nil
end

-- The path of a module that a file imports.
local function imported(from, path)
  if not path:find("^%.") then
    return nil
  end
  local folder = from:match("^(.*)/") .. "/" .. path:gsub("%.m?js$", "")
  local before
  repeat
    before = folder
    folder = folder:gsub("/%./", "/"):gsub("/[^/.][^/]*/%.%./", "/")
  until folder == before
  return folder .. ".d.ts"
end

--- Finds what a name stands for. Nil where that is nothing of the SDK's own.
---@param scope TsScope where it is used
---@param name string
---@return { type?: TsType, body?: TsBody, extends?: TsType[] }? found
---@return TsScope? scope in which that is
function typescript.find(scope, name)
  local first, rest = name:match("^([^.]+)%.?(.*)$")
  while scope do
    if rest == "" and scope.types[first] then
      return scope.types[first], scope
    elseif rest ~= "" and scope.spaces[first] then
      local found, where = typescript.find(scope.spaces[first], rest)
      if found then
        return found, where
      end
    end
    local import = scope.imports[first]
    local path = import and imported(scope.path, import.path)
    local module = path and typescript.read(path)
    if module then
      local wanted = import.name and (rest == "" and import.name or import.name .. "." .. rest) or rest
      if wanted ~= "" then
        return typescript.find(module, wanted)
      end
    end
    for _, other in ipairs(scope.all) do
      local all = typescript.read(imported(scope.path, other) or "")
      local found, where = nil, nil
      if all then
        found, where = typescript.find(all, name)
      end
      if found then
        return found, where
      end
    end
    scope = scope.parent
  end
end

return typescript

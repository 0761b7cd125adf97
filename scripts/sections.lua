--- The parts of pages in docs/ that are made of annotations. A page has them between two lines:
---
---     <!-- generated: options LlamaCloud.WaitOptions -->
---     <!-- end -->
---
--- What there may be:
---     options CLASS                   the options of a class, with their types and defaults
---     call options                    those of all calls, and which calls take the others
---     fields CLASS                    the fields of a class
---     methods CLASS NAME              its fields that are functions, as methods of a NAME
---     functions FILE NAME FUNCTION…   functions of a file of lua/llama_cloud, as fields of NAME, or methods if that ends in ':'
---     parameters FILE FUNCTION        the parameters of a function
---     kinds                           the kinds of errors: when, and what is sent again
---     sandbox flags                   the flags of the sandbox, and its options in Lua
---
--- Beyond what annotations say, it asks the client's modules themselves, and complains where the two differ.

local annotations = require("annotations")
local show = require("shown")

local sections = {}

---@class Sections
---@field root string
---@field found Found
---@field find fun(name: string): any a module of the client
---@field types fun(type: Type): string
---@field problems string[]
---@field used table<string, true> the functions that some page has
local Sections = {}
Sections.__index = Sections

local MAKERS = {} -- what a section begins with -> what makes its lines

-- How a class is called where there is no page to link to.
local CLASSES = {
  ["LlamaCloud.Client"] = "client",
  ["LlamaCloud.Error"] = "err",
  ["LlamaCloud.Page"] = "page",
  ["LlamaCloud.Task"] = "task",
}

--- Makes what fills sections.
---@param root string the checkout
---@param found Found
---@return Sections
function sections.new(root, found)
  local self = { root = root, found = found, find = annotations.modules(root), problems = {}, used = {} }
  self.types = show.types(found, function(class)
    return CLASSES[class.name] or "table"
  end)
  return setmetatable(self, Sections)
end

function Sections:complain(...)
  table.insert(self.problems, string.format(...))
end

-- The rows of a table under its headings.
local function table_of(headings, rows)
  local lines = { ("| " .. table.concat(headings, " | ") .. " |"):gsub("  +", " "), "|" .. ("---|"):rep(#headings) }
  for _, row in ipairs(rows) do
    for position, cell in ipairs(row) do
      row[position] = show.cell(cell)
    end
    lines[#lines + 1] = ("| " .. table.concat(row, " | ") .. " |"):gsub("  +", " ")
  end
  return lines
end

-- ---- options ----

-- What the client's modules take as options of a class, and what they do without one.
local TAKEN = {
  ["LlamaCloud.ClientOptions"] = function(find)
    local client = find("llama_cloud.client")
    return client.options, client.defaults
  end,
  ["LlamaCloud.WaitOptions"] = function(find)
    local polling, pace = find("llama_cloud.endpoint.wait"), find("llama_cloud.endpoint.pace")
    local taken = { total_timeout = "seconds" }
    for name, type in pairs(polling.options) do
      taken[name] = type
    end
    return taken, pace.defaults
  end,
  ["LlamaCloud.DownloadOptions"] = function(find)
    return find("llama_cloud.endpoint.call").download_options, {}
  end,
  ["LlamaCloud.MapOptions"] = function(find)
    return { concurrency = "integer" }, { concurrency = find("llama_cloud.loop.map").concurrency }
  end,
  ["LlamaCloud.ProcessOptions"] = function(find)
    local method = find("llama_cloud.process").method
    return method.options, method.defaults
  end,
}

-- Whether a default in words is a value.
local function is_default(words, value)
  local text = (words or ""):gsub('[`"]', "")
  local mebibytes = tonumber(text:match("^(%d+) MiB$"))
  if mebibytes then
    return mebibytes << 20 == value
  elseif value == math.huge then
    return text == "none"
  end
  return text == tostring(value)
end

-- The defaults in annotations against those of the code.
function Sections:check_defaults(class, defaults)
  for name, value in pairs(defaults) do
    local field = class.fields[name]
    local _, words = show.default(field and field.comment)
    if field and not is_default(words, value) then
      self:complain("%s:%d: the default of '%s' is %s", class.path, field.line, name, tostring(value))
    end
  end
end

MAKERS["options"] = function(self, name)
  local class = self.found.classes[name]
  local taken, defaults = TAKEN[name](self.find)
  self:check_defaults(class, defaults)
  for option in pairs(taken) do
    if not class.fields[option] then
      self:complain("%s:%d: %s has no field '%s', which is taken", class.path, class.line, name, option)
    end
  end
  local rows = {}
  for position, option in ipairs(class.order) do
    local field = class.fields[option]
    local text, default = show.default(field.comment)
    if not taken[option] then
      self:complain("%s:%d: no option '%s' is taken", class.path, field.line, option)
    end
    rows[position] = { "`" .. option .. "`", self.types(field.type), default or "", text }
  end
  return table_of({ "option", "type", "default", "" }, rows)
end

-- All declarations of methods, taken apart, with what they were made of.
function Sections:declared()
  local all, declare = {}, self.find("llama_cloud.endpoint.call").declare
  local function walk(node)
    for _, member in pairs(node.members or node) do
      if annotations.is_method(member) then
        all[#all + 1] = declare(member)
      elseif type(member) == "table" and not (node.members and not member.members) then
        walk(member)
      end
    end
  end
  walk(annotations.declarations(self.root))
  return all
end

-- Which calls take an option, in words: the first that are just those.
local WHICH = {
  {
    "all calls",
    function()
      return true
    end,
  },
  {
    "GETs of resources",
    function(one)
      return one.method == "GET" and one.returns == "object"
    end,
  },
  {
    "lists",
    function(one)
      return one.pagination ~= nil
    end,
  },
  {
    "lists by offset",
    function(one)
      return one.pagination and one.pagination.kind == "offset"
    end,
  },
  {
    "some creations",
    function(one)
      return one.reconcile ~= nil
    end,
  },
  {
    "calls with a file",
    function(one)
      return one.file ~= nil
    end,
  },
}

local function takers(all, option)
  for _, which in ipairs(WHICH) do
    local just = true
    for _, one in ipairs(all) do
      just = just and (which[2](one) or false) == (one.options[option] ~= nil)
    end
    if just then
      return which[1]
    end
  end
end

MAKERS["call options"] = function(self)
  local all, rows = self:declared(), {}
  for _, name in ipairs { "LlamaCloud.Options", "LlamaCloud.CreateOptions", "LlamaCloud.TransferOptions" } do
    local class = self.found.classes[name]
    self:check_defaults(class, self.find("llama_cloud.endpoint.list").defaults)
    for _, option in ipairs(class.order) do
      local field = class.fields[option]
      local text, default = show.default(field.comment)
      local which = takers(all, option)
      if not which then
        self:complain("%s:%d: scripts/sections.lua has no words for who takes '%s'", class.path, field.line, option)
      end
      rows[#rows + 1] = { "`" .. option .. "`", self.types(field.type), which or "", default or "", text }
    end
  end
  return table_of({ "option", "type", "for", "default", "" }, rows)
end

-- ---- fields, methods, functions ----

local MANY = 6 -- values

MAKERS["fields"] = function(self, name)
  local fields, order = annotations.fields(self.found, name)
  local rows = {}
  for _, field_name in ipairs(order) do
    local field = fields[field_name]
    local type = self.types(field.type)
    if select(2, type:gsub(",", "")) >= MANY then
      type = "string" -- one of many, which the page lists elsewhere
    end
    if not field.private then
      rows[#rows + 1] = { "`" .. field_name .. "`", type, field.comment }
    end
  end
  return table_of({ "field", "type", "" }, rows)
end

-- What a function returns, in words; nothing where only the comment can tell.
function Sections:returned(returns, comment)
  local parts, first = {}, returns[1]
  if first and first.kind == "function" then
    return " → an iterator"
  elseif first and first.name == "any" then
    return comment and " → " .. comment or ""
  end
  for position, one in ipairs(returns) do
    local optional = one.kind == "optional"
    local is_error = optional and one.of.name == "LlamaCloud.Error"
    local text = self.types(one)
    if is_error and position == 2 and returns[1].kind == "optional" then
      parts[1] = parts[1]:gsub(" or nil$", "") .. ", or nil"
      text = "err"
    elseif optional then
      text = text .. " or nil"
    end
    parts[position] = text
  end
  return parts[1] and " → " .. table.concat(parts, ", ") or ""
end

MAKERS["methods"] = function(self, name, short)
  local class, rows = self.found.classes[name], {}
  for position, field_name in ipairs(class.order) do
    local field = class.fields[field_name]
    local method = field.type.kind == "optional" and field.type.of or field.type
    local call = show.call(short .. field_name, method.parameters)
    local optional = field.optional and ", optional" or ""
    local returned = short:find(":$") and self:returned(method.returns) or "" -- a host's own business
    rows[position] = { call .. returned .. optional, (field.comment:gsub("^%.%.%. ", "")) }
  end
  return table_of({ "", "" }, rows)
end

-- A function of a file of lua/llama_cloud. Nil and a complaint where it is not there.
function Sections:function_of(path, name)
  for _, one in ipairs(annotations.functions(("%s/lua/llama_cloud/%s"):format(self.root, path))) do
    if one.name == name then
      self.used[path .. " " .. name] = true
      return one
    end
  end
  self:complain("there is no function '%s' with a comment in %s", name, path)
end

MAKERS["parameters"] = function(self, path, name)
  local one, rows = self:function_of(path, name), {}
  for position, parameter in ipairs(one and one.parameters or {}) do
    rows[position] = { "`" .. parameter.name .. "`", self.types(parameter.type), parameter.comment }
  end
  return table_of({ "argument", "type", "" }, rows)
end

MAKERS["functions"] = function(self, path, short, ...)
  local rows = {}
  for position, name in ipairs { ... } do
    local one = self:function_of(path, name)
    if not one then
      return {}
    end
    local returns = {}
    for i, value in ipairs(one.returns) do
      returns[i] = value.type
    end
    rows[position] = {
      show.call(short .. name, one.parameters) .. self:returned(returns, one.returns[1] and one.returns[1].comment),
      one.text,
    }
  end
  return table_of({ "", "" }, rows)
end

--- Complains about functions of a file that no page has.
---@param path string below lua/llama_cloud
function Sections:check_functions(path)
  for _, one in ipairs(annotations.functions(("%s/lua/llama_cloud/%s"):format(self.root, path))) do
    if not self.used[path .. " " .. one.name] then
      self:complain("%s: no page has the function '%s'", path, one.name)
    end
  end
end

-- ---- kinds of errors ----

-- Attempts that end with a kind: what they come to, and where there are several, when that is so.
local function attempts_of(kind, kind_of_status)
  if kind == "connection" or kind == "timeout" then
    return { { kind = kind, sent = false, words = "if nothing was sent" }, { kind = kind, sent = true } }
  elseif kind == "internal_server" then
    local asks =
      { kind = "response", status = 503, headers = { ["retry-after"] = "1" }, words = "503 with `Retry-After`" }
    return { asks, { kind = "response", status = 500, headers = {} } }
  elseif kind == "status" then
    local too_slow = { kind = "response", status = 408, headers = {}, words = "408" }
    return { too_slow, { kind = "response", status = 418, headers = {} } }
  end
  for status = 400, 499 do
    if kind_of_status(status) == kind then
      return { { kind = "response", status = status, headers = {} } }
    end
  end
  return { { kind = kind, sent = kind == "decode" or kind == "too_large" } }
end

-- "yes", "no", or when it is so.
local function answer(attempts, test)
  local words, yes, no = {}, true, true
  for _, attempt in ipairs(attempts) do
    local is = test(attempt)
    yes, no = yes and is, no and not is
    words[#words + 1] = is and attempt.words or nil
  end
  return yes and "yes" or no and "no" or "only " .. table.concat(words, ", ")
end

MAKERS["kinds"] = function(self)
  local retry, polling = self.find("llama_cloud.http.retry"), self.find("llama_cloud.endpoint.wait")
  local kind_of_status = self.find("llama_cloud.base.errors").kind_of_status
  local rows = {}
  for position, choice in ipairs(self.found.aliases["LlamaCloud.ErrorKind"].choices) do
    local kind, when = choice[1], choice[2]
    local row = { "`" .. kind .. "`", when, "", "", "" }
    if not kind:find("^batch_") then
      local attempts = attempts_of(kind, kind_of_status)
      for column, repeatable in ipairs { true, false } do
        row[column + 2] = answer(attempts, function(attempt)
          return retry.again(attempt, repeatable)
        end)
      end
      row[5] = answer(attempts, function(attempt)
        return polling.passes { kind = kind, status = attempt.status }
      end)
    end
    rows[position] = row
  end
  return table_of({ "kind", "when", "retried", "creations", "a wait continues" }, rows)
end

MAKERS["sandbox flags"] = function(self)
  local rows = {}
  for position, flag in ipairs(self.find("llama_cloud.sandbox.cli").flags()) do
    rows[position] = { "`" .. flag[1] .. "`", flag[3] and "`" .. flag[3] .. "`" or "", flag[4] or "", flag[2] }
  end
  return table_of({ "flag", "in Lua", "default", "" }, rows)
end

-- ---- pages ----

--- Fills the sections of a page.
---@param text string
---@param path string for complaints
---@return string
function Sections:fill(text, path)
  return (
    text:gsub("(<!%-%- generated: ([^\n]-) %-%->\n).-(<!%-%- end %-%->\n)", function(first, words, last)
      local list = {}
      for word in words:gmatch("%S+") do
        list[#list + 1] = word
      end
      local kind = MAKERS[words] and words or table.remove(list, 1)
      local make = MAKERS[kind]
      if not make then
        self:complain("%s: nothing makes '%s'", path, words)
        return nil
      end
      local lines = kind == words and make(self) or make(self, table.unpack(list))
      return first .. "\n" .. table.concat(lines, "\n") .. "\n\n" .. last
    end)
  )
end

return sections

--- How types, comments and signatures of annotations are shown to people, as Markdown.

local shown = {}

local NAMES = { ["true"] = "true", any = "anything", userdata = "null" }
local PLURALS = { string = "strings", table = "tables", integer = "integers" }

-- The members of a union: literals, arrays, and the others; those of aliases among them.
local function sort_members(found, type, into)
  for _, member in ipairs(type.members) do
    local alias = member.kind == "name" and found.aliases[member.name]
    local inner = alias and alias.type or member
    if inner.kind == "union" then
      sort_members(found, inner, into)
    elseif inner.kind == "literal" then
      table.insert(into.literals, "`" .. inner.name:gsub('"', "") .. "`")
    elseif inner.kind == "array" then
      into.array = inner
    else
      table.insert(into.others, inner)
    end
  end
  return into
end

--- Makes what shows a type.
---@param found Found
---@param link fun(class: Class): string how a class is shown
---@return fun(type: Type): string
function shown.types(found, link)
  local show

  local function union(type)
    local parts = sort_members(found, type, { literals = {}, others = {} })
    if parts.array then
      return show(parts.array) -- one string is taken for an array of one
    end
    local others = {}
    for _, member in ipairs(parts.others) do
      local name = member.kind == "name" and member.name
      if not (name == "string" and parts.literals[1] or name == "userdata") then
        others[#others + 1] = show(member)
      end
    end
    if not parts.literals[1] then
      return table.concat(others, " or ")
    end
    local last = table.remove(others)
    local all = table.move(others, 1, #others, #parts.literals + 1, parts.literals)
    return table.concat(all, ", ") .. (last and " or " .. last or "")
  end

  local function fields_of(type)
    local fields = {}
    for position, field in ipairs(type.fields) do
      fields[position] = ("`%s`: %s"):format(field.name, show(field.type))
    end
    return "table of " .. table.concat(fields, ", ")
  end

  function show(type)
    if type.kind == "array" then
      local of = show(type.of)
      return "array of " .. (PLURALS[of] or of)
    elseif type.kind == "optional" then
      return show(type.of)
    elseif type.kind == "literal" then
      return "`" .. type.name:gsub('"', "") .. "`"
    elseif type.kind == "union" then
      return union(type)
    elseif type.kind == "table" then
      return fields_of(type)
    elseif type.kind ~= "name" then
      return type.kind
    end
    local alias, class = found.aliases[type.name], found.classes[type.name]
    if alias then
      return show(alias.type)
    end
    return class and link(class) or NAMES[type.name] or type.name
  end

  return show
end

--- A class's name without what all have in common.
---@param name string
---@return string
function shown.short(name)
  return (name:gsub("^LlamaCloud%.", ""))
end

--- A text for a cell of a table.
---@param text string?
---@return string
function shown.cell(text)
  return ((text or ""):gsub("|", "\\|"))
end

--- What a comment says, and the default that stands at its end: `seconds (default 60)`.
---@param comment string?
---@return string text
---@return string? default
function shown.default(comment)
  local text, default = (comment or ""):match("^(.-)%s*%(default ([^()]*)%)$")
  return text or comment or "", default
end

--- How a method is called: `files:get(file_id, params?, options?)`.
---@param name string with what stands before it
---@param parameters Field[]
---@return string
function shown.call(name, parameters)
  local parts = {}
  for _, parameter in ipairs(parameters) do
    if parameter.name ~= "self" then
      -- `given` are options where that is a module's name
      local called = parameter.name:gsub("%.%.%.", "…"):gsub("^given$", "options")
      parts[#parts + 1] = called .. (parameter.optional and "?" or "")
    end
  end
  return ("`%s(%s)`"):format(name, table.concat(parts, ", "))
end

return shown

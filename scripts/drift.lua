--- What an SDK for TypeScript has and this client has not, and the other way round: methods, parameters, fields. It is
--- scripts/drift that calls this, with a checkout and the unpacked package. Exit: 0 where all differences are on the list
--- below; 1 where not, each named.

package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local annotations = require("annotations")
local typescript = require("typescript")

local root, sdk = arg[1], arg[2]

-- Differences that are meant to be: a pattern of what is reported, and why.
local KNOWN = {
  { "theirs: beta%.agent_data", "a store for agents: no part of processing documents" },
  { "theirs: beta%.chat", "search and chat over indexes, another product" },
  { "theirs: beta%.indexes", "likewise" },
  { "theirs: beta%.retrieval", "likewise" },
  { "theirs: data_sinks", "likewise" },
  { "theirs: data_sources", "likewise" },
  { "theirs: pipelines", "likewise" },
  { "theirs: retrievers", "likewise" },
  {
    "theirs: .*tier: the value turbo",
    "the SDK's main branch has dropped it; other values than those named are sent, too",
  },
  { "theirs: classifier", "has no methods any more: classify is in its place" },
  { "theirs: files:query", "deprecated in favour of files:list" },
  { "theirs: job_data_points", "the SDK's own main branch has dropped its only method" },
  { "theirs: ExtractSchemaConfiguration%.parameters%..*", "a generated schema is one of extract, not of any product" },
  { "ours: beta%.batch", "v1 batch jobs: the service has them, the SDK no longer" },
  { "ours: beta%.attachments", "on the SDK's main branch" },
  { "ours: classify:delete", "likewise" },
  { "ours: extract:delete, parameter force", "likewise" },
  { "ours: webhook_configs:list_v2", "likewise" },
  { "ours: ParseOutputOptions%.watermark_handling", "likewise" },
  { "ours: ParsePresentationOptions%.include_hidden_slides", "likewise" },
  { "ours: SplitConfiguration%..*", "likewise: parse_tier, parse_config_id, target_pages, version" },
  { "ours: SplitJob%..*", "likewise" },
  { "ours: %w+%.download", "theirs gives an address, and leaves it at that" },
  { "ours: FileTable%..*", "how a file is given is each language's own" },
  { "ours: ParseIgnoreOptions%.ignore_text_in_image", "one class for two that differ in this field" },
  { "ours: ParseResult%.items%.pages%.items%.items%.items%..*", "a comment says what headers and footers do not hold" },
}

-- Reporting ---------------------------------------------------------------------------------------------------------------

local reported, order = {}, {}

-- Notes a difference: it is "theirs" or "ours" that has it.
local function differ(who, what)
  local text = ("%s: %s"):format(who, what)
  if not reported[text] then
    reported[text] = true
    order[#order + 1] = text
  end
end

local function is_known(text)
  for _, one in ipairs(KNOWN) do
    if text:find("^" .. one[1] .. "$") then
      one.used = true
      return true
    end
  end
end

-- Shapes: the fields of a type, those of all members of a union, and of the items of arrays and maps ---------------------

-- fooBar -> foo_bar
local function snake(name)
  return (
    name
      :gsub("(%l)(%u)", function(a, b)
        return a .. "_" .. b:lower()
      end)
      :gsub("(%d)(%u)", "%1_%2")
      :gsub("(%u+)$", string.lower)
      :lower()
  )
end

-- The shape of nothing yet: fields by name, the declarations that were looked at, values of literals.
local function new_shape()
  return { fields = {}, seen = {}, values = {} }
end

local CONTAINERS = { Array = 1, Record = 2, Partial = 1, Promise = 1, APIPromise = 1, PagePromise = 2, Required = 1 }

local their_shape

local function add_their_body(shape, body, scope, seen)
  for name, field in pairs(body.fields) do
    shape.fields[name] = shape.fields[name] or {}
    table.insert(shape.fields[name], { type = field.type, scope = scope })
    shape.any = true
  end
  if body.index then
    their_shape(body.index, scope, shape, seen)
  end
end

-- Adds the fields of a type of theirs to a shape.
function their_shape(type, scope, shape, seen)
  shape, seen = shape or new_shape(), seen or {}
  if type.kind == "array" then
    their_shape(type.of, scope, shape, seen)
  elseif type.kind == "union" then
    for _, member in ipairs(type.members) do
      their_shape(member, scope, shape, seen)
    end
  elseif type.kind == "object" then
    add_their_body(shape, type.body, scope, seen)
  elseif type.kind == "literal" then
    shape.values[type.name] = true
  elseif type.kind == "name" then
    local inner = CONTAINERS[type.name] and type.arguments and type.arguments[CONTAINERS[type.name]]
    if inner then
      return their_shape(inner, scope, shape, seen)
    end
    local found, where = typescript.find(type.scope or scope, type.name)
    if found and not seen[found] then
      seen[found], shape.seen[found] = true, true
      if found.type then
        their_shape(found.type, where, shape, seen)
      else
        for _, parent in ipairs(found.extends or {}) do
          their_shape(parent, where, shape, seen)
        end
        add_their_body(shape, found.body, where, seen)
      end
    end
  end
  return shape
end

local found = annotations.read(root)
local our_shape

local function add_our_class(shape, class, seen)
  for _, parent in ipairs(class.parents) do
    our_shape({ kind = "name", name = parent }, shape, seen)
  end
  for name, field in pairs(class.fields) do
    shape.fields[name] = shape.fields[name] or {}
    table.insert(shape.fields[name], field.type)
    shape.any = true
  end
end

-- Adds the fields of a type of ours to a shape.
function our_shape(type, shape, seen)
  shape, seen = shape or new_shape(), seen or {}
  if type.kind == "array" or type.kind == "optional" then
    our_shape(type.of, shape, seen)
  elseif type.kind == "union" then
    for _, member in ipairs(type.members) do
      our_shape(member, shape, seen)
    end
  elseif type.kind == "literal" then
    shape.values[type.name:gsub("[\"']", "")] = true
  elseif type.kind == "table" then
    for _, field in ipairs(type.fields) do
      if field.name == "[]" then
        our_shape(field.type, shape, seen)
      else
        shape.fields[field.name] = shape.fields[field.name] or {}
        table.insert(shape.fields[field.name], field.type)
        shape.any = true
      end
    end
  elseif type.kind == "name" and type.name == "table" then
    if type.arguments then
      our_shape(type.arguments[2], shape, seen)
    end
  elseif type.kind == "name" and not seen[type.name] then
    seen[type.name], shape.seen[type.name] = true, true
    local class, alias = found.classes[type.name], found.aliases[type.name]
    if class then
      add_our_class(shape, class, seen)
      -- one that is a union has no name: what a class inherits comes before it
      shape.name = (shape.name == nil or shape.parents and shape.parents[shape.name]) and class.name or false
      shape.parents = class.parents[1] and { [class.parents[1]] = true } or nil
    elseif alias then
      our_shape(alias.type, shape, seen)
    end
  end
  return shape
end

-- Compares the fields of two types, and of theirs. `place` is what the type of ours is called where it has no name.
local compared = {}
local compare

local function compare_field(their_types, our_types, place)
  local theirs, ours = new_shape(), new_shape()
  for _, one in ipairs(their_types) do
    their_shape(one.type, one.scope, theirs, {})
  end
  for _, one in ipairs(our_types) do
    our_shape(one, ours, {})
  end
  compare(theirs, ours, place)
end

function compare(theirs, ours, place)
  place = ours.name and ours.name:gsub("^LlamaCloud%.", "") or place
  local of = {}
  for declaration in pairs(theirs.seen) do
    of[#of + 1] = tostring(declaration)
  end
  for name in pairs(ours.seen) do
    of[#of + 1] = name
  end
  table.sort(of)
  local key = next(theirs.seen) and next(ours.seen) and table.concat(of, " ") or place
  if compared[key] then
    return
  end
  compared[key] = true
  if next(ours.values) then
    for value in pairs(theirs.values) do
      if not ours.values[value] then
        differ("theirs", ("%s: the value %s"):format(place, value))
      end
    end
  end
  if theirs.any and not ours.any then
    return differ("theirs", place .. " has fields that are typed")
  end
  for name, types in pairs(theirs.fields) do
    if not ours.fields[name] then
      differ("theirs", ("%s.%s"):format(place, name))
    else
      compare_field(types, ours.fields[name], ("%s.%s"):format(place, name))
    end
  end
  for name in pairs(ours.fields) do
    if not theirs.fields[name] and theirs.any then
      differ("ours", ("%s.%s"):format(place, name))
    end
  end
end

-- Methods -----------------------------------------------------------------------------------------------------------------

-- Helpers of theirs, and what is called otherwise here.
local HELPERS = { wait_for_completion = "wait", parse = "run", run = "run", split = "run" }

-- The parameters of a method of theirs: name -> types.
local function their_parameters(method, scope)
  local shape, ids = new_shape(), {}
  for _, one in ipairs(method.parameters) do
    if one.name == "params" or one.name == "query" or one.name == "body" then
      their_shape(one.type, scope, shape, {})
    elseif one.name ~= "options" then
      ids[snake(one.name)] = true
    end
  end
  return shape, ids
end

local function compare_parameters(title, method, scope, declaration, params_type)
  local theirs = their_parameters(method, scope)
  local ours, ids = params_type and our_shape(params_type) or new_shape(), {}
  for _, id in ipairs(annotations.ids(declaration)) do
    ids[id] = true
  end
  for name in pairs(theirs.fields) do
    if not ours.fields[name] and not ids[name] then
      differ("theirs", ("%s, parameter %s"):format(title, name))
    end
  end
  for name in pairs(ours.fields) do
    if not theirs.fields[name] then
      differ("ours", ("%s, parameter %s"):format(title, name))
    end
  end
  for name, types in pairs(theirs.fields) do
    if ours.fields[name] then
      compare_field(types, ours.fields[name], ("%s, parameter %s"):format(title, name))
    end
  end
end

-- The type of what a method of ours gives: of a list, its items.
local function our_answer(type)
  local first = type.returns[1]
  local class = first and first.kind == "name" and found.classes[first.name]
  if class and class.overload then
    return class.overload.returns[1]
  end
  return first
end

local function compare_method(title, method, scope, declaration, field)
  if not field or field.type.kind ~= "function" then
    return -- scripts/types.lua has told of it
  end
  local params
  for _, one in ipairs(field.type.parameters) do
    params = one.name == "params" and one.type or params
  end
  compare_parameters(title, method, scope, declaration, params)
  local answer = our_answer(field.type)
  if answer then
    compare(their_shape(method.returns, scope), our_shape(answer), title .. " gives")
  end
end

local function fields_of(type)
  local fields = {}
  if type and type.kind == "table" then
    for _, field in ipairs(type.fields) do
      fields[field.name] = field
    end
  elseif type then
    local class = found.classes[type.name]
    fields = class and class.fields or {}
  end
  return fields
end

-- The members of a resource of theirs, by our names: methods, and resources below it.
local function their_members(body)
  local methods, children = {}, {}
  for name, method in pairs(body.methods) do
    methods[snake(name)] = method
  end
  for name, field in pairs(body.fields) do
    if
      field.type.kind == "name" and field.type.name:find("^%u%w*API%.")
      or field.type.name and field.type.name:find("^API%.")
    then
      children[snake(name)] = field.type
    end
  end
  return methods, children
end

local compare_resource

-- A resource of theirs, and ours at the same place; nil where there is none.
local function compare_child(place, type, scope, node, our_type)
  local class, where = typescript.find(type.scope or scope, type.name)
  if not node then
    return differ("theirs", place)
  end
  compare_resource(place, class, where, node, our_type)
end

function compare_resource(place, class, scope, node, our_type)
  local methods, children = their_members(class.body)
  local members, fields = node.members or node, fields_of(our_type)
  for name, method in pairs(methods) do
    local title, declaration = place .. ":" .. name, members[name]
    if annotations.is_method(declaration) then
      compare_method(title, method, scope, declaration, fields[name])
    elseif not (HELPERS[name] and members.waiting) and not name:find("^_") then
      differ("theirs", title)
    end
  end
  for name, type in pairs(children) do
    local field = fields[name]
    compare_child(place .. "." .. name, type, scope, members[name], field and field.type)
  end
  for name, member in pairs(members) do
    if annotations.is_method(member) then
      if not methods[name] then
        differ("ours", place .. ":" .. name)
      end
    elseif type(member) == "table" and name ~= "waiting" and not children[name] then
      differ("ours", place .. "." .. name)
    end
  end
end

local client = assert(typescript.read(sdk .. "/client.d.ts"), "there is no client.d.ts in " .. sdk)
local _, children = their_members(client.types.LlamaCloud.body)
local tree, types = annotations.declarations(root), found.classes["LlamaCloud.Client"].fields
for name, type in pairs(children) do
  compare_child(name, type, client, tree[name], types[name] and types[name].type)
end
for name in pairs(tree) do
  if not children[name] then
    differ("ours", name)
  end
end

-- The report --------------------------------------------------------------------------------------------------------------

table.sort(order)
local unknown = 0
for _, text in ipairs(order) do
  if not is_known(text) then
    unknown = unknown + 1
    print(text)
  end
end
for _, one in ipairs(KNOWN) do
  if not one.used then
    print(("on the list, and no longer so: %s"):format(one[1]))
  end
end
print(("%d differences, %d of them not on the list"):format(#order, unknown))
os.exit(unknown == 0)

--- Compares what the resources declare with what their annotations tell an editor, and fails where they differ:
---
---     lua scripts/types.lua [DIRECTORY]     the checkout, by default the working directory
---
--- Each method is in its resource's class, and the other way round; each declared parameter is a field of the method's class
--- of parameters, with a type that fits, optional where it may be left out, and the other way round; each list returns the
--- typed list of its items; each class that an annotation names is there. Exit: 0 if so; 1 if not, each difference named.

package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local annotations = require("annotations")

local root = arg[1] or "."
local problems = 0

local function complain(path, line, ...)
  problems = problems + 1
  io.stderr:write(("%s:%d: %s\n"):format(path:gsub("^%./", ""), line, string.format(...)))
end

-- Methods that a resource has beyond those of its declarations.
local BEYOND = {
  batches = { process = true },
  files = { download = true },
  parsing = { download = true },
}

local found = annotations.read(root)
for _, problem in ipairs(found.problems) do
  complain(table.unpack(problem))
end

-- The members of a type: those of unions and aliases, and of what is optional.
local function leaves(type, all, seen)
  all, seen = all or {}, seen or {}
  if type.kind == "union" then
    for _, member in ipairs(type.members) do
      leaves(member, all, seen)
    end
  elseif type.kind == "optional" then
    leaves(type.of, all, seen)
  elseif type.kind == "name" and found.aliases[type.name] and not seen[type.name] then
    seen[type.name] = true
    leaves(found.aliases[type.name].type, all, seen)
  else
    all[#all + 1] = type
  end
  return all
end

local function is_name(...)
  local names = { ... }
  return function(type)
    for _, name in ipairs(names) do
      if type.kind == "name" and type.name == name then
        return true
      end
    end
  end
end

local function is_string(type)
  return type.kind == "literal" and type.name:find("^[\"']") or is_name("string")(type)
end

local function is_table(type)
  return type.kind == "table" or is_name("table")(type) or type.kind == "name" and found.classes[type.name] ~= nil
end

local function is_array(type)
  return type.kind == "array"
end

local function is_strings(type)
  if type.kind == "array" then
    for _, member in ipairs(leaves(type.of)) do
      if not is_string(member) then
        return false
      end
    end
    return true
  end
end

-- Of each type of a declaration: what there may be in the annotated type, each of which there has to be.
local FITTING = {
  string = { is_string },
  boolean = { is_name("boolean") },
  integer = { is_name("integer") },
  number = { is_name("number") },
  date = { is_string, is_name("number") },
  strings = { is_string, is_strings },
  table = { is_table },
  json = { is_table },
  array = { is_array },
  file = { is_string, is_table },
}

-- Why an annotated type does not fit a declared one; nil if it does.
local function misfit(declared, type)
  local fitting = FITTING[declared]
  if not fitting then
    return ("scripts/types.lua does not know the type '%s' of declarations"):format(declared)
  end
  local had = {}
  for _, member in ipairs(leaves(type)) do
    local fits = is_name("userdata")(member) -- llama_cloud.null
    for position, test in ipairs(fitting) do
      if test(member) then
        had[position], fits = true, true
      end
    end
    if not fits then
      return ("has a type that is not '%s'"):format(declared)
    end
  end
  for position in ipairs(fitting) do
    if not had[position] then
      return ("has a type that is not all of '%s'"):format(declared)
    end
  end
end

local function fields_of(name)
  return (annotations.fields(found, name))
end

-- How a type is called in complaints.
local function shown(type)
  if not type then
    return "nothing"
  elseif type.kind == "name" then
    return type.name
  elseif type.kind == "array" then
    return shown(type.of) .. "[]"
  elseif type.kind == "optional" then
    return shown(type.of) .. "?"
  elseif type.kind == "function" then
    local returns = {}
    for position, one in ipairs(type.returns) do
      returns[position] = shown(one)
    end
    return "fun(): " .. table.concat(returns, ", ")
  end
  return "a " .. type.kind
end

-- The class of a method's parameters against what is declared. `place` is the method's annotation.
local function check_params(place, title, parameters, field)
  local class = field and field.type and found.classes[field.type.name]
  if not class then
    return complain(place.path, place.line, "%s: params have no class", title)
  end
  local required, fields, declared = false, fields_of(class.name), {}
  for _, one in ipairs(parameters) do
    local annotated = fields[one.name]
    declared[one.name], required = true, required or one.required == true
    if not annotated then
      complain(class.path, class.line, "%s: %s has no field '%s'", title, class.name, one.name)
    else
      local fault = misfit(one.type, annotated.type)
      if fault then
        complain(class.path, annotated.line, "%s: the field '%s' of %s %s", title, one.name, class.name, fault)
      end
      if annotated.optional == (one.required == true) then
        local should = one.required and "is required" or "may be left out"
        complain(class.path, annotated.line, "%s: '%s' of %s %s", title, one.name, class.name, should)
      end
    end
  end
  for name, annotated in pairs(fields) do
    if not declared[name] then
      complain(class.path, annotated.line, "%s: there is no parameter '%s', a field of %s", title, name, class.name)
    end
  end
  if field.optional and required then
    complain(place.path, place.line, "%s: params are required", title)
  end
end

-- What options a call takes beyond those of all calls, which not every class of options has.
local function check_options(place, title, field, wanted)
  local class = field and field.optional and field.type and found.classes[field.type.name]
  if not class then
    return complain(place.path, place.line, "%s: options have no class, or are not optional", title)
  end
  local fields = fields_of(class.name)
  for _, name in ipairs { "reconcile", "stall_timeout", "on_progress", "on_poll", "expand" } do
    if (fields[name] ~= nil) ~= (wanted[name] or false) then
      local does = wanted[name] and "takes" or "does not take"
      complain(place.path, place.line, "%s %s the option '%s', unlike %s", title, does, name, class.name)
    end
  end
end

-- Whether a type is that of an error, as all calls return it.
local function is_error(type)
  return type and type.kind == "optional" and type.of.name == "LlamaCloud.Error"
end

-- The class of an item, out of its list's class: all that a typed list has to say agrees.
local function check_list(place, title, type)
  local class = type and found.classes[type.name]
  if not class or class.name == "LlamaCloud.List" or class.parents[1] ~= "LlamaCloud.List" then
    return complain(place.path, place.line, "%s returns %s, not a class of lists", title, shown(type))
  end
  local item = class.overload and class.overload.returns and shown(class.overload.returns[1]):match("^(.*)%?$")
  if not (item and found.classes[item]) then
    return complain(class.path, class.line, "%s has no overload fun(): ITEM?", class.name)
  end
  local page = class.name:gsub("List$", "") .. "Page"
  local page_class = found.classes[page]
  local items = page_class and page_class.fields.items
  if not (items and page_class.parents[1] == "LlamaCloud.Page" and shown(items.type) == item .. "[]") then
    complain(class.path, class.line, "%s is no LlamaCloud.Page with items %s[]", page, item)
  end
  for name, first in pairs {
    next_page = page .. "?, LlamaCloud.Error?",
    pages = "fun(): " .. page .. "?",
    all = item .. "[]?, LlamaCloud.Error?",
  } do
    local field = class.fields[name]
    if not field or shown(field.type) ~= "fun(): " .. first then
      complain(class.path, field and field.line or class.line, "%s:%s() does not return %s", class.name, name, first)
    end
  end
  return item
end

local function check_returns(place, title, declaration, returns)
  if declaration.pagination then
    return check_list(place, title, returns[1])
  end
  local first = returns[1] and returns[1].kind == "optional" and returns[1].of
  local fits
  if declaration.returns == "nothing" then
    fits = first and (first.name == "true" or first.name == "boolean")
  elseif declaration.returns == "array" then
    fits = first and first.kind == "array" and is_table(first.of)
  elseif declaration[1]:find("^DELETE") then -- true where it was done by an attempt whose answer was lost
    fits = first and first.kind == "union" and is_table(first.members[1]) and first.members[2].name == "true"
  else
    fits = first and is_table(first)
  end
  if not fits or not is_error(returns[2]) or #returns ~= 2 then
    complain(place.path, place.line, "%s: what it returns has no fitting type", title)
  end
end

-- The parameters of an annotated method: self, the ids, params, options. Nil where it is not like that.
local function check_signature(place, title, ids, method)
  if not method or method.kind ~= "function" then
    return complain(place.path, place.line, "%s: its type is no function", title)
  end
  local parameters = method.parameters
  if #parameters ~= #ids + 3 or parameters[1].name ~= "self" or parameters[#ids + 2].name ~= "params" then
    local first = #ids > 0 and table.concat(ids, ", ") .. ", " or ""
    return complain(place.path, place.line, "%s takes self, %sparams, options", title, first)
  end
  for position, id in ipairs(ids) do
    local one = parameters[position + 1]
    if one.name ~= id or one.optional or not one.type then
      complain(place.path, place.line, "%s: argument %d is '%s'", title, position, id)
    end
  end
  return parameters[#ids + 2], parameters[#ids + 3]
end

-- The annotation of a method, or nil.
local function method_of(resource, class, name)
  local field = class.fields[name]
  local title = ("%s:%s"):format(resource.place, name)
  if not field then
    complain(class.path, class.line, "%s has no field '%s'", class.name, name)
    return nil, title
  end
  return { path = class.path, line = field.line, type = field.type }, title
end

local function has_file(declaration)
  for _, one in ipairs(annotations.parameters(declaration)) do
    if one.type == "file" then
      return true
    end
  end
end

local function check_method(resource, class, name, declaration)
  local place, title = method_of(resource, class, name)
  if not place then
    return
  end
  local params, options = check_signature(place, title, annotations.ids(declaration), place.type)
  if params then
    check_params(place, title, annotations.parameters(declaration), params)
    local file = has_file(declaration)
    local wanted = { reconcile = declaration.reconcile ~= nil, stall_timeout = file, on_progress = file }
    check_options(place, title, options, wanted)
    check_returns(place, title, declaration, place.type.returns)
  end
end

-- The methods of waiting, which are made of a resource's own.
local function check_waiting(resource, class)
  local rule, members = resource.members.waiting, resource.members
  local ids = annotations.ids(members[rule.get])
  for name, method in pairs {
    wait = { ids, rule.get },
    watch = { ids, rule.get },
    wait_all = { { "ids" }, rule.get },
    run = rule.create and { {}, rule.create } or nil,
  } do
    local place, title = method_of(resource, class, name)
    local params, options = nil, nil
    if place then
      params, options = check_signature(place, title, method[1], place.type)
    end
    if params then
      local declaration, is_run = members[method[2]], name == "run"
      local wanted = { on_poll = true, reconcile = is_run and declaration.reconcile ~= nil }
      wanted.expand = is_run and (rule.run_options or {}).expand ~= nil
      local file = is_run and has_file(declaration) or false
      wanted.stall_timeout, wanted.on_progress = file, file
      check_params(place, title, annotations.parameters(declaration), params)
      check_options(place, title, options, wanted)
    end
  end
end

local WAITING = { wait = true, watch = true, wait_all = true, run = true }

-- A resource against its class, and what is below it.
local function check_resource(resource, class_name)
  local class = found.classes[class_name]
  if not class then
    return complain(resource.path, 1, "%s: there is no class '%s'", resource.place, tostring(class_name))
  end
  local expected = {}
  for name, member in pairs(resource.members) do
    if annotations.is_method(member) then
      expected[name] = true
      check_method(resource, class, name, member)
    elseif name == "waiting" then
      check_waiting(resource, class)
    elseif type(member) == "table" and member.place then
      expected[name] = true
      local field = class.fields[name]
      check_resource(member, field and field.type.name)
    end
  end
  local beyond = BEYOND[resource.place] or {}
  for name in pairs(beyond) do
    method_of(resource, class, name)
  end
  for name, field in pairs(class.fields) do
    if not (expected[name] or beyond[name] or resource.members.waiting and WAITING[name]) then
      complain(class.path, field.line, "%s: nothing declares the field '%s'", class.name, name)
    end
  end
end

-- The tree against the fields of a class, or of a type that is a table.
local function check_tree(tree, type, where)
  local fields = {}
  if type and type.kind == "table" then
    for _, field in ipairs(type.fields) do
      fields[field.name] = field
    end
  elseif type then
    fields = fields_of(type.name)
  end
  for name, node in pairs(tree) do
    local field = fields[name]
    if not field then
      complain("lua/llama_cloud/client.lua", 1, "%s has no field '%s'", where, name)
    elseif node.place then
      check_resource(node, field.type.name)
    else
      check_tree(node, field.type, where .. "." .. name)
    end
  end
end

check_tree(annotations.declarations(root), { kind = "name", name = "LlamaCloud.Client" }, "LlamaCloud.Client")

for name, places in pairs(found.mentions) do
  if not found.classes[name] and not found.aliases[name] then
    complain(places[1].path, places[1].line, "there is no class or alias '%s'", name)
  end
end

os.exit(problems == 0)

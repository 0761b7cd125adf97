--- Makes docs/resources.md of the declarations and annotations of the resources, and fills the sections of other pages that
--- are made of annotations (scripts/sections.lua):
---
---     lua scripts/reference.lua [--check] [DIRECTORY]     the checkout, by default the working directory
---
--- With --check it writes nothing, and fails if a page is out of date.

package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local annotations = require("annotations")
local sections = require("sections")
local show = require("shown")

local checking = arg[1] == "--check"
local root = arg[checking and 2 or 1] or "."
local PAGES = { "docs/reference.md", "docs/process.md", "docs/sandbox.md" } -- with sections

-- In the order in which they are needed on the way from files to results; what is older comes last.
local ORDER = {
  "beta.directories",
  "beta.directories.files",
  "files",
  "configurations",
  "batches",
  "parsing",
  "extract",
  "classify",
  "split",
  "webhook_configs",
  "projects",
  "v2_projects",
  "beta.attachments",
  "beta.batch",
  "beta.batch.job_items",
  "beta.split",
}

local METHODS =
  { "create", "add", "upload", "list", "list_v2", "get", "get_status", "retrieve", "update", "cancel", "delete" }
local WAITING = {
  { "run", "`create`, then `wait`" },
  { "wait", "waits until it has ended" },
  { "watch", "`for … in`: returns it after each change of its status" },
  { "wait_all", "`for id, …, err in`: returns each as it ends" },
}
-- What stands beside the client, but is reached from a resource.
local BESIDE = {
  {
    "process",
    "`for … in`: processes files and returns each with its result; see [A folder in, results out](process.md)",
  },
}
-- Told once at the top; of the first ones only where there is more to say.
local COMMON = { organization_id = true, project_id = true, page_size = true, limit = true }
local ALWAYS = { page_token = true, offset = true }

local found = annotations.read(root)
local calls = annotations.modules(root)("llama_cloud.endpoint.call")
local lines = {}

local function put(text, ...)
  lines[#lines + 1] = select("#", ...) > 0 and text:format(...) or text
end

local function anchor(name)
  return name:lower()
end

local classes, listed = {}, {} -- those that have to be described yet, in their order

local function note(name)
  if not listed[name] then
    listed[name] = true
    classes[#classes + 1] = name
  end
end

local shown = show.types(found, function(class)
  note(class.name)
  local short = show.short(class.name)
  return ("[%s](#%s)"):format(short, anchor(short))
end)

-- The comments above the declarations of a resource: name -> text; and the one at the top of its file.
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

-- What a method returns, for people.
local function answer_of(field)
  local first = field.type.returns[1]
  local class = first.kind == "name" and found.classes[first.name]
  if class and class.overload then
    return "list of " .. shown(class.overload.returns[1])
  elseif first.kind == "function" then
    return shown(first.returns[#first.returns > 1 and 2 or 1])
  end
  return shown(first) .. ", or nil, err"
end

local function signature(short, name, field)
  return show.call(short .. ":" .. name, field.type.parameters)
end

-- The names of a resource's declared methods, the usual ones first.
local function methods_of(resource)
  local names, rank = {}, {}
  for position, name in ipairs(METHODS) do
    rank[name] = position
  end
  for name, member in pairs(resource.members) do
    if annotations.is_method(member) then
      names[#names + 1] = name
    end
  end
  table.sort(names, function(a, b)
    local first, second = rank[a] or 50, rank[b] or 50
    return first < second or first == second and a < b
  end)
  return names
end

-- The rows of a resource's parameters: each once, with the methods that take it.
local function parameters_of(resource, class, names)
  local rows, by_name = {}, {}
  for _, method in ipairs(names) do
    local type
    for _, parameter in ipairs(class.fields[method].type.parameters) do
      type = parameter.name == "params" and parameter.type or type
    end
    local fields = annotations.fields(found, type.name)
    for _, one in ipairs(annotations.parameters(resource.members[method])) do
      local field = fields[one.name]
      if not (ALWAYS[one.name] or COMMON[one.name] and (field.comment or "") == "") then
        local text = one.type == "date" and "date" or shown(field.type)
        local key = ("%s %s %s"):format(one.name, text, field.comment)
        if not by_name[key] then
          by_name[key] = { name = one.name, type = text, comment = field.comment, methods = {} }
          rows[#rows + 1] = by_name[key]
        end
        table.insert(by_name[key].methods, method .. (one.required and " (required)" or ""))
      end
    end
  end
  return rows
end

local function put_parameters(resource, class, names)
  local rows = parameters_of(resource, class, names)
  if rows[1] then
    put("")
    put("| parameter | of | type | |")
    put("|---|---|---|---|")
    for _, row in ipairs(rows) do
      local comment = row.type ~= "date" and row.comment or ""
      put("| `%s` | %s | %s | %s |", row.name, table.concat(row.methods, ", "), show.cell(row.type), show.cell(comment))
    end
  end
end

-- Names in backticks, as a sentence lists them.
local function listed_names(names)
  local all = {}
  for position, name in ipairs(names) do
    all[position] = "`" .. name .. "`"
  end
  local last = table.remove(all)
  return all[1] and table.concat(all, ", ") .. " and " .. last or last
end

-- `name` of these methods, for a sentence; nothing where there are none.
local function add_beyond(all, names, methods)
  if methods[1] then
    all[#all + 1] = ("%s of %s"):format(listed_names(names), listed_names(methods))
  end
end

-- What options methods take, and what errors they may end with, beyond those of all.
local function put_beyond(resource, class, names)
  local rule, reconcile, files = resource.members.waiting, {}, {}
  local function add(name, declaration)
    local taken = calls.declare(declaration).options
    reconcile[#reconcile + 1] = taken.reconcile and name
    files[#files + 1] = taken.on_progress and name
  end
  for _, name in ipairs(names) do
    add(name, resource.members[name])
  end
  if rule then
    add("run", resource.members[rule.create])
  end
  local fail = table.move(files, 1, #files, 1, {})
  fail[#fail + 1] = class.fields.download and "download"
  local options, errors = {}, {}
  add_beyond(options, { "reconcile" }, reconcile)
  add_beyond(options, { "stall_timeout", "on_progress" }, files)
  add_beyond(errors, { "file" }, fail)
  if rule then
    local kinds = {}
    for _, kind in pairs(rule.failed) do
      kinds[#kinds + 1] = kind
    end
    table.sort(kinds)
    add_beyond(errors, kinds, { "run", "wait", "wait_all" })
  end
  for _, told in ipairs { { "More options", options }, { "More errors", errors } } do
    if told[2][1] then
      put("")
      put("%s: %s.", told[1], table.concat(told[2], "; "))
    end
  end
end

-- Whether a call is sent again after an attempt that the service may have carried out.
local function repeated(declaration)
  local declared = calls.declare(declaration)
  if declared.idempotency then
    return ("yes, with the same `%s`"):format(declared.idempotency)
  end
  return declared.repeatable and "yes" or declared.options.reconcile and "no (`reconcile`)" or "no"
end

local function put_resource(place, resource, class)
  local short, names = place:match("[^.]*$"), methods_of(resource)
  local comments, head = comments_of(resource)
  put("## client.%s", place)
  put("")
  if not resource.inner then
    put("%s", (head:gsub(' "[^"]*" of the API reference.*$', ""):gsub(" https:.*$", "")))
    put("")
  end
  put("| call | | route | retried |")
  put("|---|---|---|---|")
  for _, name in ipairs(names) do
    local field = class.fields[name]
    local text, route = comments[name] or "", resource.members[name][1]
    if type(resource.members[name].upload) == "table" then
      route = route .. "`, with a file `" .. resource.members[name].upload[1]
    end
    local row = "| %s → %s | %s | `%s` | %s |"
    put(row, signature(short, name, field), answer_of(field), show.cell(text), route, repeated(resource.members[name]))
  end
  if class.fields.download then
    local field = class.fields.download
    local text = field.comment ~= "" and field.comment or "Downloads a stored file to `path`."
    put("| %s → %s | %s | | yes |", signature(short, "download", field), answer_of(field), show.cell(text))
  end
  if resource.members.waiting then
    for _, one in ipairs(WAITING) do
      local field = class.fields[one[1]]
      local again = one[1] == "run" and repeated(resource.members[resource.members.waiting.create]) or "yes"
      put("| %s → %s | %s | | %s |", signature(short, one[1], field), answer_of(field), one[2], again)
    end
  end
  for _, one in ipairs(BESIDE) do
    local field = class.fields[one[1]]
    if field then
      put("| %s → a table for each file | %s | | |", signature(short, one[1], field), one[2])
    end
  end
  put_parameters(resource, class, names)
  put_beyond(resource, class, names)
  put("")
end

local function put_class(name)
  local class, short = found.classes[name], show.short(name)
  put("### %s", short)
  put("")
  if class.comment ~= "" then
    put("%s", class.comment:sub(1, 1):upper() .. class.comment:sub(2) .. ".")
    put("")
  end
  put("| | | |")
  put("|---|---|---|")
  local fields, order = annotations.fields(found, name)
  for _, field_name in ipairs(order) do
    local field = fields[field_name]
    local mark = field.optional and "?" or ""
    put("| `%s`%s | %s | %s |", field_name, mark, show.cell(shown(field.type)), show.cell(field.comment))
  end
  put("")
end

-- The resource at a place, and its class.
local function at(place)
  local node, class = annotations.declarations(root), found.classes["LlamaCloud.Client"]
  local outer
  for name in place:gmatch("[^.]+") do
    outer, node = node, (node.members or node)[name]
    class = found.classes[class.fields[name].type.name]
  end
  node.inner = outer.members ~= nil or nil
  return node, class
end

local HEAD = [[
# Resources

This page is for those who look up a method of the service, its parameters, or the fields of its responses. After it, you know what
each call takes and returns, and what follows if an attempt fails. `scripts/reference.lua` makes it from the declarations and
annotations in `lua/llama_cloud/resources/`. See [Calls](reference.md#calls) for what all methods have in common,
[Lists](reference.md#lists) for what a list can do, and [Waiting](reference.md#waiting) for `run`, `wait`, `watch` and `wait_all`.

Nearly all methods take `organization_id` and `project_id` (strings), which you can also give to the client once. Lists take
`page_size`, the number of items per request, and `page_token`, where to continue; those of v1 batch jobs take `limit` and
`offset`. Instead of an array of strings you can give a single string. A date is an ISO 8601 string or seconds since the epoch.
`?` marks what may be absent. Where values are listed, they are those that the service has today; others are sent and received
as they are.

*retried* says whether a call is sent again after an attempt that the service may have carried out: its response was lost, came too
late, or was a 5xx. If not, the call returns an error with `maybe_sent`; where `reconcile` is an option, it can look for what was
created. What the service cannot have carried out is retried in any case. [Errors](reference.md#errors) says which kinds a call can
end with, and which of them are retried; what some calls have beyond that is said below.
]]

put("%s", HEAD)
for _, place in ipairs(ORDER) do
  put("* [client.%s](#client%s)", place, (place:gsub("%.", "")))
end
put("* [Tables in parameters and responses](#tables-in-parameters-and-responses)")
put("")
for _, place in ipairs(ORDER) do
  local resource, class = at(place)
  put_resource(place, resource, class)
end
put("## Tables in parameters and responses")
put("")
local position = 1
while classes[position] do
  put_class(classes[position])
  position = position + 1
end

local failed = false

-- Writes a page, or complains where that is not what is there.
local function keep(path, there, text)
  if there ~= text and checking then
    io.stderr:write(path, " is out of date: run lua scripts/reference.lua\n")
    failed = true
  elseif there ~= text then
    local file = assert(io.open(root .. "/" .. path, "w"))
    assert(file:write(text))
    file:close()
  end
end

local function read(path)
  local file = io.open(root .. "/" .. path)
  local text = file and file:read("a")
  return file and file:close() and text
end

keep(
  "docs/resources.md",
  read("docs/resources.md"),
  table.concat(lines, "\n"):gsub("[ \t]+\n", "\n"):gsub("\n+$", "") .. "\n"
)

local filler = sections.new(root, found)
for _, path in ipairs(PAGES) do
  local text = assert(read(path), path)
  keep(path, text, filler:fill(text, path))
end
filler:check_functions("init.lua")
for _, problem in ipairs(filler.problems) do
  io.stderr:write(problem, "\n")
  failed = true
end
os.exit(not failed)

--- The commands that are made from the declarations of the resources: one for each method, with its parameters as flags.

local calls = require("llama_cloud.endpoint.call")
local resources = require("llama_cloud.resources")
local tables = require("llama_cloud.base.tables")
local texts = require("llama_cloud.cli.texts")
local waits = require("llama_cloud.endpoint.wait")

local commands = {}

---@class LlamaCloud.Cli.Command
---@field words string[] as they are written: { "beta", "batch", "list" }
---@field place string[] of the resource, from the client
---@field method string of the resource
---@field kind "call"|"list"|"download"|"wait"|"run"|"watch"|"wait_all"
---@field text string what it does
---@field ids string[] the names of its arguments
---@field parameters { name: string, type: string, required: boolean?, text: string? }[]
---@field options table<string, string> name to type
---@field has_body boolean whether there is a JSON body
---@field changes boolean whether it may change something at the service
---@field order string[] the fields of its answers
---@field failed? table<string, string> statuses that are failures
---@field noun? string what is waited for
---@field subject? string where in an answer that is, if it is not the answer itself
---@field run_options? table<string, string> the parameters of get that `run` has as options
---@field id_name? string how the ids of wait_all are called

--- A name as it is written in a command line.
---@param name string
---@return string
function commands.dashed(name)
  return (name:gsub("_", "-"))
end

local function words_of(s)
  local words = {}
  for word in (s or ""):gmatch("[^ ]+") do
    words[#words + 1] = word
  end
  return words
end

-- The parameters of a declaration, in its order, with what the help says of each.
local function parameters_of(declaration, flags)
  local all = {}
  local function add(one)
    all[#all + 1] = { name = one[1], type = one[2], required = one.required, text = flags and flags[one[1]] }
  end
  if declaration.upload then
    add(declaration.upload.file)
  end
  for _, place in ipairs { "form", "body", "header", "query" } do
    for _, one in ipairs(declaration[place] or {}) do
      add(one)
    end
  end
  return all
end

-- The parameters in the order of their declaration, the required ones first.
local function required_first(all)
  local ordered = {}
  for _, wanted in ipairs { true, false } do
    for _, one in ipairs(all) do
      if (one.required == true) == wanted then
        ordered[#ordered + 1] = one
      end
    end
  end
  return ordered
end

local function command_of(place, method, kind, declaration, known)
  local words = {}
  for _, word in ipairs(place) do
    words[#words + 1] = commands.dashed(word)
  end
  words[#words + 1] = commands.dashed(method)
  local declared = calls.declare(declaration)
  return {
    words = words,
    place = place,
    method = method,
    kind = kind,
    text = known.text or "",
    ids = declared.ids,
    parameters = required_first(parameters_of(declaration, known.flags)),
    options = declared.options,
    has_body = declared.has_body,
    changes = (kind == "call" or kind == "run") and not declaration[1]:find("^GET "),
    order = words_of(texts.answers[known.answer]),
  }
end

local WAITING = {
  { "wait", "Waits until a %s has ended, and shows it." },
  { "watch", "Shows a %s at each change of its status, until it has ended." },
  { "wait_all", "Waits for several %s, and shows each as it ends. A - reads ids from standard input, one a line." },
  { "run", "Starts a %s, waits until it has ended, and shows it." },
}

-- The commands of waiting.
local function add_waiting(all, place, members, known)
  local waiting = members.waiting
  for _, one in ipairs(WAITING) do
    local method = one[1]
    local by = method == "run" and waiting.create or waiting.get
    local command = command_of(place, method, method, members[by], known(by))
    command.order = words_of(texts.answers[known(waiting.get).answer])
    command.text = one[2]:format(method == "wait_all" and waiting.nouns or waiting.noun)
    command.noun, command.failed, command.subject = waiting.noun, waiting.failed, waiting.subject
    local creation = method == "run" and command.options or nil
    command.options = tables.merged(calls.options, waits.options, creation)
    command.options.body = creation and creation.body
    command.run_options = creation and waiting.run_options
    if method == "wait_all" then
      command.id_name, command.ids = command.ids[1], {}
    end
    all[#all + 1] = command
  end
end

-- Adds the commands of a resource and of those inside it.
local function add_resource(all, place, resource)
  local members, dotted = resource.members, table.concat(place, ".")
  local function known(method)
    return texts.commands[dotted .. "." .. method] or {}
  end
  for _, method in ipairs(tables.sorted_keys(members)) do
    local declaration = members[method]
    if type(declaration[1]) == "string" then
      local kind = declaration.pagination and "list" or "call"
      all[#all + 1] = command_of(place, method, kind, declaration, known(method))
    elseif declaration.from and method == "download" then
      local command = command_of(place, method, "download", members[declaration.from], {})
      command.ids = declaration.results and { command.ids[1], "name", "path" } or { command.ids[1], "path" }
      command.parameters, command.options = {}, calls.download_options
      command.text = declaration.results and "Downloads one of a job's results, or an image, to a path."
        or "Downloads a file to a path."
      command.order = { "path", "bytes", "content_type" }
      all[#all + 1] = command
    end
  end
  if members.waiting then
    add_waiting(all, place, members, known)
  end
  for _, name in ipairs(tables.sorted_keys(resource.children)) do
    local inner = table.move(place, 1, #place, 1, {})
    inner[#inner + 1] = name
    add_resource(all, inner, resource.children[name])
  end
end

local function walk(all, node, place, only)
  for _, name in ipairs(tables.sorted_keys(node)) do
    if not only or commands.dashed(name) == only then
      local inner = table.move(place, 1, #place, 1, {})
      inner[#inner + 1] = name
      if getmetatable(node[name]) == nil and not node[name].members then
        walk(all, node[name], inner)
      else
        add_resource(all, inner, node[name])
      end
    end
  end
end

--- The commands of all resources, or of those below one word.
---@param only? string the first word
---@return LlamaCloud.Cli.Command[]
function commands.all(only)
  local all = {}
  walk(all, resources, {}, only)
  return all
end

--- The first words of all commands, each with what it is about.
---@return { [1]: string, [2]: string }[]
function commands.groups()
  local groups = {}
  for _, name in ipairs(tables.sorted_keys(resources)) do
    local about = texts.groups[name] or "What the service still calls beta: directories, v1 batch jobs, attachments."
    groups[#groups + 1] = { commands.dashed(name), about }
  end
  return groups
end

--- What a group of commands is about.
---@param place string "beta.batch"
---@return string?
function commands.about(place)
  return texts.groups[place]
end

return commands

--- Does what a command says, by the public face of the library, and writes what comes of it.

local again = require("llama_cloud.cli.again")
local core = require("llama_cloud.core")
local json = require("llama_cloud.cli.json")
local lookup = require("llama_cloud.cli.lookup")
local nearest = require("llama_cloud.endpoint.nearest")
local output = require("llama_cloud.cli.output")
local progress = require("llama_cloud.cli.progress")

local act = {}

--- The class of what is raised for wrong use.
act.Usage = { __name = "llama_cloud.cli.usage" }

local NOT_REACHED = { connection = true, timeout = true, authentication = true, permission_denied = true }

--- What is raised for wrong use.
---@param message string
---@param of_library? boolean whether it has the library's names of parameters and options
---@return table
function act.usage(message, of_library)
  return setmetatable({ message = message, of_library = of_library }, act.Usage)
end

--- The exit code for an error: 3 if the service was not reached, or does not allow it, 1 otherwise.
---@param err LlamaCloud.Error
---@return integer
function act.code_of(err)
  return (NOT_REACHED[err.kind] or err.status == 402) and 3 or 1
end

-- The client's options that hints of errors name, and their flags.
local FLAGS = {
  base_url = "--base-url or LLAMA_CLOUD_BASE_URL",
  ca_file = "--ca-file",
  ["region = eu"] = "--region eu",
  stall_timeout = "--stall-timeout",
  timeout = "--timeout",
}

--- An error as it is told: where it names options of the client, these are flags.
---@param err LlamaCloud.Error
---@return string
function act.told(err)
  local line = tostring(err):gsub("^llama_cloud: ", "")
  for option, flag in pairs(FLAGS) do
    line = line:gsub("the client's option " .. option, flag)
  end
  return line
end

--- Calls a method. What it raises about its arguments is wrong use of the command. Anything else is raised as it is.
---@param method function
---@param ... any
---@return any ...
function act.invoke(method, ...)
  local results = table.pack(pcall(method, ...))
  if results[1] then
    return table.unpack(results, 2, results.n)
  end
  local problem = results[2]
  if type(problem) == "string" and not problem:find("interrupted!$") and not problem:find("%.lua:%d+: ") then
    problem = act.usage(problem, true)
  end
  error(problem, 0)
end

---@class LlamaCloud.Cli.State
---@field arguments? string[] all that was given; nil where giving it again is of no use
---@field root table the parser that has read them
---@field format? string
---@field fields? string[]
---@field command? LlamaCloud.Cli.Command none, where it is one written by hand
---@field hint? fun(err?: LlamaCloud.Error): string? how to go on after Ctrl-C, or an error that is raised

---@class LlamaCloud.Cli.Run
---@field command LlamaCloud.Cli.Command
---@field resource table
---@field method function
---@field ids any[]
---@field params table
---@field options table
---@field out LlamaCloud.Cli.Output
---@field state LlamaCloud.Cli.State
---@field code integer

local kinds = {}

-- After Ctrl-C in a call that may change something.
local SENT = "the service may have done it all the same: check before you repeat it"

-- Writes an answer: an object, an array of objects, or true where there is nothing to show.
local function put_answer(run, value)
  if type(value) ~= "table" then
    return
  end
  run.out.many = json.is_array(value)
  run.out:put(run.out.many and value or { value })
  run.out:finish()
end

local function fail(run, err, hint)
  progress.say(act.told(err))
  if hint then
    progress.say(hint)
  end
  run.code = math.max(run.code, act.code_of(err))
end

local function arguments_of(run)
  local all = table.move(run.ids, 1, #run.ids, 1, {})
  if run.command.kind ~= "download" then
    all[#all + 1] = run.params
  end
  all[#all + 1] = run.options
  return table.unpack(all)
end

-- Shows how far an upload is.
local function show_upload(run)
  local file = run.params.upload_file or run.params.file
  if file and run.command.options.on_progress then
    run.options.on_progress = progress.transfer(file)
  end
end

function kinds.call(run)
  show_upload(run)
  run.state.hint = run.command.changes and function()
    return SENT
  end or run.state.hint
  local value, err = act.invoke(run.method, run.resource, arguments_of(run))
  progress.clear()
  if value == nil then
    return fail(run, err)
  end
  put_answer(run, value)
end

function kinds.download(run)
  run.state.hint = function()
    return "nothing was written; to begin again: " .. again.line(run.state.arguments)
  end
  run.options.on_progress = progress.transfer(run.ids[#run.ids])
  kinds.call(run)
end

-- How a list goes on behind the pages that were written.
local function list_hint(run, flag, value, left)
  local parser = lookup.at(run.state.root, run.command.words)
  local changes = { [flag] = value, ["--max-items"] = left < math.huge and left or nil }
  return "to continue from here: " .. again.line(again.changed(parser, run.state.arguments, changes))
end

-- The items of a page of which no more than `left` are wanted.
local function first(items, left)
  return #items <= left and items or table.move(items, 1, left, 1, {})
end

local function has_parameter(command, name)
  for _, one in ipairs(command.parameters) do
    if one.name == name then
      return true
    end
  end
  return false
end

function kinds.list(run)
  local left, offset = run.options.max_items or math.huge, run.params.offset or 0
  local flag = has_parameter(run.command, "offset") and "--offset" or "--page-token"
  run.options.max_items = nil
  local list <close> = act.invoke(run.method, run.resource, arguments_of(run))
  while left > 0 do
    local page, err = act.invoke(list.next_page, list)
    progress.clear()
    if err then
      return fail(run, err, run.state.hint and run.state.hint())
    elseif not page then
      break
    end
    local items = first(page.items, left)
    run.out:put(items)
    left, offset = left - #items, offset + #page.items
    local at = flag == "--offset" and offset or page.next_page_token
    run.state.hint = at and function()
      return list_hint(run, flag, at, left)
    end
  end
  run.out:finish()
end

-- What of an answer has the status.
local function subject_of(run, value)
  return run.command.subject and value[run.command.subject] or value.job or value
end

-- How to wait for one again: by the same command, or by the one that waits, with those of the flags that it takes.
-- `refused`: the flags were not right, and are not repeated.
local function waiting_hint(run, id, refused)
  local command, state = run.command, run.state
  local words = state.arguments
  if refused then
    words = table.move(command.words, 1, #command.words - 1, 1, {})
    table.move({ "wait", id }, 1, 2, #words + 1, words)
  elseif command.kind == "run" or command.kind == "wait_all" then
    local place = table.move(command.words, 1, #command.words - 1, 1, {})
    words = table.move({ "wait", id }, 1, 2, #place + 1, place)
    local flags = again.flags(lookup.at(state.root, command.words), lookup.at(state.root, words), state.arguments)
    table.move(flags, 1, #flags, #words + 1, words)
  end
  return ("%s %s goes on at the service: %s"):format(command.noun, id, again.line(words))
end

-- Shows how far what is waited for is.
local function watched(run)
  local begun = core.now()
  run.state.hint = function()
    return run.command.kind == "run" and SENT or waiting_hint(run, run.ids[1])
  end
  run.options.on_poll = function(value)
    local subject = subject_of(run, value)
    run.state.hint = function()
      return waiting_hint(run, subject.id or run.ids[1])
    end
    progress.show(("%s  %s  %s"):format(subject.id or run.ids[1], subject.status, progress.since(begun)))
  end
end

-- What has ended, or why it cannot be told.
local function put_ended(run, value, err)
  progress.clear()
  value = value or err and err.batch
  if value then
    run.out:put { value }
  end
  if err then
    local id = err.batch and err.batch.id
    local refused = err.status == 400 or err.status == 422
    local goes_on = err.kind ~= "batch_failed" and err.kind ~= "batch_cancelled"
    goes_on = goes_on and id and waiting_hint(run, id, refused)
    fail(run, err, goes_on or nil)
  end
end

function kinds.wait(run)
  watched(run)
  show_upload(run)
  local value, err = act.invoke(run.method, run.resource, arguments_of(run))
  put_ended(run, value, err)
  run.out:finish()
end

kinds.run = kinds.wait

function kinds.watch(run)
  run.out.many = true
  watched(run)
  local last
  for value in act.invoke(run.method, run.resource, arguments_of(run)) do
    progress.clear()
    run.out:put { value }
    last = subject_of(run, value)
  end
  progress.clear()
  run.out:finish()
  if last and run.command.failed[last.status] then
    progress.say(("%s %s: %s"):format(run.command.noun, last.id or run.ids[1], last.status))
    run.code = 1
  end
end

local MOST_IDS = 100 -- that a command to go on with has

-- How to wait for those that have not ended.
local function waiting_all_hint(run, has_ended)
  local command, state = run.command, run.state
  local words, left = table.move(command.words, 1, #command.words, 1, {}), 0
  for _, id in ipairs(run.ids[1]) do
    if not has_ended[id] then
      left = left + 1
      words[#words + 1] = id
    end
  end
  if left > MOST_IDS then
    return "they go on at the service: the same command waits for them again"
  end
  local parser = lookup.at(state.root, command.words)
  local flags = again.flags(parser, parser, state.arguments)
  return "they go on at the service: " .. again.line(table.move(flags, 1, #flags, #words + 1, words))
end

function kinds.wait_all(run)
  run.out.many = true
  local ended, count, begun, has_ended = 0, #run.ids[1], core.now(), {}
  run.state.hint = function()
    return waiting_all_hint(run, has_ended)
  end
  run.options.on_poll = function()
    progress.show(("%d of %d have ended  %s"):format(ended, count, progress.since(begun)))
  end
  for id, value, err in act.invoke(run.method, run.resource, arguments_of(run)) do
    ended, has_ended[id] = ended + 1, true
    put_ended(run, value, err)
  end
  progress.clear()
  run.out:finish()
end

--- Checks values that the service may have more of than this version knows. A known value with a letter or two wrong is a
--- slip, and raises wrong use; any other may be new, and is only reported.
---@param what string what a value is called
---@param given string[]
---@param known table<string, true>
function act.check_values(what, given, known)
  for _, value in ipairs(given) do
    if not known[value] then
      local complaint = nearest.unknown(what, value, known)
      if nearest.is_slip(value, known) then
        error(act.usage(complaint), 0)
      end
      progress.say(complaint)
    end
  end
end

-- The outermost of the fields that were asked for, which are all that has to be decoded.
local function outermost(names)
  local tops, seen = {}, {}
  for _, name in ipairs(names) do
    local top = name:match("^[^.]*")
    if not seen[top] then
      seen[top] = true
      tops[#tops + 1] = top
    end
  end
  return tops
end

--- Checks the fields that are asked for, as check_values does.
---@param order string[] the known ones; none: any may be
---@param names string[]
function act.check_fields(order, names)
  local known = {}
  for _, name in ipairs(order) do
    known[name] = true
  end
  if order[1] then
    act.check_values("field", outermost(names), known)
  end
end

--- Begins a command. Raises an object of act.Usage for wrong use.
---@param command LlamaCloud.Cli.Command
---@param client LlamaCloud.Client
---@param ids any[]
---@param params table
---@param options table
---@param state LlamaCloud.Cli.State
---@return LlamaCloud.Cli.Run
function act.new(command, client, ids, params, options, state)
  local resource = client
  for _, name in ipairs(command.place) do
    resource = resource[name]
  end
  if state.fields then
    act.check_fields(command.order, state.fields)
    options.fields = command.options.fields and outermost(state.fields) or nil
  end
  local out = output.new {
    format = state.format,
    fields = state.fields,
    order = command.order,
    many = command.kind == "list",
  }
  return {
    command = command,
    resource = resource,
    method = resource[command.method],
    ids = ids,
    params = params,
    options = options,
    out = out,
    state = state,
    code = 0,
  }
end

--- Does it. Raises error objects of iterators, what interrupts it, and output.CLOSED.
---@param run LlamaCloud.Cli.Run
---@return integer code of exit
function act.perform(run)
  kinds[run.command.kind](run)
  return run.code
end

return act

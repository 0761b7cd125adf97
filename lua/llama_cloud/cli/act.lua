--- Does what a command says, by the public face of the library, and writes what comes of it.

local core = require("llama_cloud.core")
local nearest = require("llama_cloud.endpoint.nearest")
local output = require("llama_cloud.cli.output")
local progress = require("llama_cloud.cli.progress")

local act = {}

--- The class of what is raised for wrong use.
act.Usage = { __name = "llama_cloud.cli.usage" }

local NOT_REACHED = { connection = true, timeout = true, authentication = true, permission_denied = true }

--- The exit code for an error: 3 if the service was not reached, or does not allow it, 1 otherwise.
---@param err LlamaCloud.Error
---@return integer
function act.code_of(err)
  return (NOT_REACHED[err.kind] or err.status == 402) and 3 or 1
end

--- An error as it is told.
---@param err LlamaCloud.Error
---@return string
function act.told(err)
  return (tostring(err):gsub("^llama_cloud: ", ""))
end

--- Whether it was Ctrl-C that raised something.
---@param problem any
---@return boolean
function act.is_interruption(problem)
  return type(problem) == "string" and problem:find("interrupted!$") ~= nil
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
  if type(problem) == "string" and not act.is_interruption(problem) and not problem:find("%.lua:%d+: ") then
    problem = setmetatable({ message = problem }, act.Usage)
  end
  error(problem, 0)
end

---@class LlamaCloud.Cli.Run
---@field command LlamaCloud.Cli.Command
---@field resource table
---@field method function
---@field ids any[]
---@field params table
---@field options table
---@field out LlamaCloud.Cli.Output
---@field state { format?: string, fields?: string[], hint?: string } hint: how to go on after an interruption
---@field code integer

local kinds = {}

local function is_array(value)
  return getmetatable(value) == core.array or #value > 0
end

-- Writes an answer: an object, an array of objects, or true where there is nothing to show.
local function put_answer(run, value)
  if type(value) ~= "table" then
    return
  end
  run.out.many = is_array(value)
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
  local value, err = act.invoke(run.method, run.resource, arguments_of(run))
  progress.clear()
  if value == nil then
    return fail(run, err)
  end
  put_answer(run, value)
end

function kinds.download(run)
  run.options.on_progress = progress.transfer(run.ids[#run.ids])
  kinds.call(run)
end

local GO_ON = "to go on from here: the same command with --%s %s"

-- How a list that stopped goes on, if that can be told.
local function continuation(at)
  if at and at.page_token then
    return GO_ON:format("page-token", at.page_token)
  elseif at and at.offset then
    return GO_ON:format("offset", at.offset)
  end
end

-- The items of a page of which no more than `left` are wanted.
local function first(items, left)
  return #items <= left and items or table.move(items, 1, left, 1, {})
end

function kinds.list(run)
  local left = run.options.max_items or math.huge
  run.options.max_items = nil
  local list <close> = act.invoke(run.method, run.resource, arguments_of(run))
  while left > 0 do
    local page, err = act.invoke(list.next_page, list)
    if err then
      return fail(run, err, continuation(err))
    elseif not page then
      break
    end
    local items = first(page.items, left)
    run.out:put(items)
    left = left - #items
    run.state.hint = continuation { page_token = page.next_page_token }
  end
  run.out:finish()
end

-- What of an answer has the status.
local function subject_of(run, value)
  return run.command.subject and value[run.command.subject] or value.job or value
end

local function waiting_hint(run, id)
  local words = table.concat(run.command.words, " ", 1, #run.command.words - 1)
  return ("%s %s goes on at the service: llama-cloud %s wait %s"):format(run.command.noun, id, words, id)
end

local function watched(run)
  local begun = core.now()
  run.options.on_poll = function(value)
    local subject = subject_of(run, value)
    run.state.hint = waiting_hint(run, subject.id or run.ids[1])
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
    local goes_on = err.kind ~= "batch_failed" and err.kind ~= "batch_cancelled" and id and waiting_hint(run, id)
    fail(run, err, goes_on or nil)
  end
end

function kinds.wait(run)
  run.state.hint = run.command.kind == "wait" and waiting_hint(run, run.ids[1]) or nil
  watched(run)
  show_upload(run)
  local value, err = act.invoke(run.method, run.resource, arguments_of(run))
  put_ended(run, value, err)
  run.out:finish()
end

kinds.run = kinds.wait

function kinds.watch(run)
  run.out.many = true
  run.state.hint = waiting_hint(run, run.ids[1])
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

function kinds.wait_all(run)
  run.out.many = true
  local ended, count, begun = 0, #run.ids[1], core.now()
  run.state.hint = "they go on at the service: the same command waits for them again"
  run.options.on_poll = function()
    progress.show(("%d of %d have ended  %s"):format(ended, count, progress.since(begun)))
  end
  for _, value, err in act.invoke(run.method, run.resource, arguments_of(run)) do
    ended = ended + 1
    put_ended(run, value, err)
  end
  progress.clear()
  run.out:finish()
end

-- Tells of fields that no answer is known to have.
local function check_fields(command, names)
  local known = {}
  for _, name in ipairs(command.order) do
    known[name] = true
  end
  for _, name in ipairs(next(known) and names or {}) do
    local top = name:match("^[^.]*")
    if not known[top] then
      progress.say(nearest.unknown("field", top, known))
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

--- Begins a command. Raises an object of act.Usage for wrong use.
---@param command LlamaCloud.Cli.Command
---@param client LlamaCloud.Client
---@param ids any[]
---@param params table
---@param options table
---@param state { format?: string, fields?: string[], hint?: string }
---@return LlamaCloud.Cli.Run
function act.new(command, client, ids, params, options, state)
  local resource = client
  for _, name in ipairs(command.place) do
    resource = resource[name]
  end
  if state.fields then
    check_fields(command, state.fields)
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

--- Whose fault an error is, and what follows: an error that is one file's ends as that file's, trouble that passes is waited
--- for, and what holds for the whole run ends it.
---
--- The client itself has tried each request several times before an error comes here. Then the whole step is tried again,
--- after growing pauses. When these are used up: if it is about one file, and the same step has succeeded for another one
--- meanwhile, the error is the file's; otherwise the run ends, to be started again, and nothing that is paid for is lost.

local errors = require("llama_cloud.base.errors")
local loop = require("llama_cloud.loop")

local trouble = {}

--- Seconds before the second try of a step, the third, and so on; and before each look for what may have been created. Fields
--- so that specs need not take so long.
trouble.pauses = { 1, 2, 4, 8, 16 }
trouble.looks = { 0, 1, 2, 4 }

local PASSES = { connection = true, decode = true, internal_server = true, rate_limit = true, timeout = true }
local OF_ALL = { [401] = true, [402] = true, [403] = true } -- statuses
local NO_PLACE = {
  "No space left",
  "Disk quota",
  "Read%-only file system",
  "Permission denied",
  "Too many open files",
  "Input/output error",
}

--- Whether an error is trouble that passes.
---@param err LlamaCloud.Error
---@return boolean
function trouble.passes(err)
  return not err.permanent and (PASSES[err.kind] or err.status == 408) or false
end

--- Whether an error holds for the whole run: the key, the plan, the project; what has to be changed here before any request
--- can be sent; a client that was closed.
---@param err LlamaCloud.Error
---@return boolean
function trouble.is_of_all(err)
  return OF_ALL[err.status] or err.permanent and err.kind ~= "file" or err.kind == "cancelled"
end

--- Whether what went wrong with a file of the output would go wrong with every file.
---@param message string the system's words
---@return boolean
function trouble.no_place(message)
  for _, words in ipairs(NO_PLACE) do
    if message:find(words) then
      return true
    end
  end
  return false
end

--- Takes a step until it succeeds, or its error is its own.
---@param run LlamaCloud.Run
---@param step fun(): any, LlamaCloud.Error? nil and an error: it has failed; false ends it, too, and is no success
---@param kind? "upload"|"result" of a step that is about one file
---@return any value
---@return LlamaCloud.Error? err what is not the fault of the run, nor passes, except for one file
function trouble.persist(run, step, kind)
  local try, before = 1, nil
  while true do
    local value, err = step()
    if value ~= nil then
      if kind and value then
        run.successes[kind] = run.successes[kind] + 1
      end
      return value
    elseif trouble.is_of_all(err) then
      error(err, 0)
    elseif not trouble.passes(err) then
      return nil, err
    elseif loop.now() >= run.deadline then
      error(run:overdue(err), 0)
    end
    before = before or kind and run.successes[kind]
    local pause = trouble.pauses[try]
    if not pause and kind and run.successes[kind] > before then
      return nil, err
    elseif not pause then
      error(err, 0)
    end
    loop.sleep(math.min(pause, math.max(run.deadline - loop.now(), 0)))
    try = try + 1
  end
end

--- Looks for what may have been created, for as long as it may take to be seen.
---@param find fun(): table?, LlamaCloud.Error?
---@return table? found
---@return LlamaCloud.Error? err where it could not be looked for
local function look(find)
  local problem
  for _, pause in ipairs(trouble.looks) do
    loop.sleep(pause)
    local found
    found, problem = find()
    if found or problem and not trouble.passes(problem) then
      return found, problem
    end
  end
  return nil, problem
end
trouble.look_once = look

--- Looks for what an earlier run may have created, until that can be done.
---@param run LlamaCloud.Run
---@param find fun(): table?, LlamaCloud.Error?
---@return table? found
---@return LlamaCloud.Error? err
function trouble.look(run, find)
  local found, err = trouble.persist(run, function()
    local thing, problem = look(find)
    if thing or problem then
      return thing, problem
    end
    return false
  end)
  return found or nil, err
end

--- Creates something, once. After a lost answer, or where it is there already, it is looked for by what nobody else uses, and
--- sent again only where the list shows for seconds that it is not there.
---@param run LlamaCloud.Run
---@param send fun(): table?, LlamaCloud.Error?
---@param find fun(): table?, LlamaCloud.Error?
---@param doubtful? boolean it may have been sent by an earlier run
---@param kind? "upload" as of persist
---@return table?
---@return LlamaCloud.Error?
function trouble.create(run, send, find, doubtful, kind)
  return trouble.persist(run, function()
    if doubtful then
      local found, problem = look(find)
      if found or problem then
        return found, problem
      end
    end
    doubtful = false
    local made, err = send()
    if made or not (err.maybe_sent or err.kind == "decode" or err.kind == "conflict") then
      return made, err
    end
    local found, problem = look(find)
    doubtful = problem ~= nil
    return found, not found and (problem or err) or nil
  end, kind)
end

--- The error of a file that this side is at fault for.
---@param message string
---@return LlamaCloud.Error
function trouble.of_file(message)
  return errors.new { kind = "file", message = message }
end

return trouble

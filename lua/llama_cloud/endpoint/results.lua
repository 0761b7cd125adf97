--- Where one of a job's results is: its address, among those that the job shows. The names of results are the service's; none is
--- known here but those by which it is asked for them.

local core = require("llama_cloud.core")
local errors = require("llama_cloud.base.errors")
local text = require("llama_cloud.base.text")

local results = {}

local MOST_NAMES = 20 -- in a message

---@class LlamaCloud.Entry
---@field url? string
---@field size? integer
---@field made boolean whether there is something to download

local function table_in(value, name)
  local member = type(value) == "table" and name and value[name]
  return type(member) == "table" and member or {}
end

local function entry_of(shown, size)
  local address = type(shown.presigned_url) == "string" and shown.presigned_url or nil
  return { url = address, size = size, made = address ~= nil and shown.exists ~= false }
end

-- Everything that a job shows an address of: names to entries. The size that is told of images means nothing.
local function entries(rule, answer)
  local all = {}
  for _, image in ipairs(table_in(table_in(answer, rule.images), "images")) do
    if type(image) == "table" and type(image.filename) == "string" then
      all[image.filename] = entry_of(image)
    end
  end
  for name, shown in pairs(table_in(answer, rule.results)) do
    if type(name) == "string" and type(shown) == "table" then
      all[name] = entry_of(shown, shown.size_bytes)
    end
  end
  return all
end

-- The only entry that can be downloaded or, where none can, the only entry; nil where there are several.
local function only(all)
  local found, count
  for _, wanted in ipairs { true, false } do
    found, count = nil, 0
    for _, entry in pairs(all) do
      if entry.made or not wanted then
        found, count = entry, count + 1
      end
    end
    if count > 0 then
      break
    end
  end
  return count == 1 and found or nil
end

-- The error for a result that is not there, or was not made.
local function missing(name, entry, all, status)
  local names = {}
  for other, one in pairs(all) do
    if one.made then
      names[#names + 1] = text.quote(other)
    end
  end
  table.sort(names)
  local more = #names - MOST_NAMES
  local there = #names == 0 and (entry and "a job's tier and options decide what is" or "there is nothing to download")
    or ("there are %s%s"):format(table.concat(names, ", ", 1, math.min(#names, MOST_NAMES)), more > 0 and " …" or "")
  local message = entry and "the result %s was not produced: %s" or "the job has no result %s: %s"
  message = message:format(text.quote(name), there)
  if type(status) == "string" and status ~= "COMPLETED" then
    message = ("%s; the job is %s"):format(message, status)
  end
  return errors.new { kind = "not_found", message = message }
end

--- The id of a job that is given by it, or as what `create` or `get` has returned. Nil and the problem.
---@param job any
---@return string? id
---@return string? problem
function results.id_of(job)
  if type(job) == "table" then
    local shown = core.shown(job) or {}
    local id = shown.id or table_in(shown, "job").id
    if type(id) ~= "string" then
      return nil, "the job must be an id, or what `create` or `get` has returned"
    end
    return id
  end
  return job -- and what is no id is refused as one
end

-- What to ask the service for, one after another, until the result is in an answer: each time, parameters of the endpoint.
-- The last asks for all results; where the service refuses that, because such a job cannot have one of them, `singles` ask
-- for each by itself.
local function questions(rule, name)
  local list = {}
  if name:find("_content_metadata$") then
    return { { params = { expand = { name } } } }
  elseif rule.images and name:find(".", 1, true) then
    list[1] = { params = { expand = { rule.images }, [rule.image_names] = name } }
  end
  local singles = {}
  for _, one in ipairs(rule.expand) do
    singles[#singles + 1] = { params = { expand = { one } } }
  end
  list[#list + 1] = { params = { expand = rule.expand }, singles = singles }
  return list
end

-- Whether a service that refuses a question may answer another.
local function is_refusal(err)
  return err.status == 400 or err.status == 422
end

-- Asks one question after another, until `look` has found an entry in an answer. Nil and the error that ended it, if one did,
-- or the first refusal, where nothing was answered.
local function search(list, ask, look)
  local position, answered, refusal = 1, false, nil
  while list[position] do
    local question = list[position]
    local answer, err = ask(question.params)
    if answer then
      answered = true
      local entry = look(answer)
      if entry then
        return entry
      end
    elseif not is_refusal(err) then
      return nil, err
    elseif question.singles then
      table.move(question.singles, 1, #question.singles, position + 1, list)
    end
    refusal = refusal or err
    position = position + 1
  end
  return nil, not answered and refusal or nil
end

--- Finds a result. Nil and an error: it is not there, was not made, or the service could not be asked.
---@param rule table the declaration of `download`
---@param known? table what `get` has returned: it is looked at first
---@param name string a key of the results, an image's file name, or a value of `expand`
---@param ask fun(params: table): table?, LlamaCloud.Error? asks the service for the job
---@return LlamaCloud.Entry?
---@return LlamaCloud.Error?
function results.find(rule, known, name, ask)
  local seen, status = {}, nil
  local function look(answer)
    local all = entries(rule, answer)
    for other, entry in pairs(all) do
      seen[other] = entry
    end
    status = table_in(answer, "job").status or answer.status
    return all[name]
  end
  local entry, err = known and look(known)
  if not (entry and entry.made) then -- it may have been made meanwhile
    entry, err = search(questions(rule, name), ask, function(answer)
      return look(answer) or name:find("_content_metadata$") and only(entries(rule, answer))
    end)
  end
  if err then
    return nil, err
  elseif not entry or not entry.made then
    return nil, missing(name, entry, seen, status)
  end
  return entry
end

return results

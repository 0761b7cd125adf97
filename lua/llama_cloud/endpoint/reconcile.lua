--- The option `reconcile` of creations: after a lost answer, finding out whether it was created, instead of creating a second
--- one. Where the API has no idempotency key, a list has to tell.
---
--- It cannot know whether another program created the same (a batch with the same configuration over the same directory, a
--- file with the same unique_id) in the same seconds. If the list shows both, nothing is assumed; if it shows only the other
--- one, that is taken for ours. What the list shows only after the last look is not found.

local core = require("llama_cloud.core")
local errors = require("llama_cloud.base.errors")
local options = require("llama_cloud.endpoint.options")
local pages = require("llama_cloud.endpoint.pages")
local request = require("llama_cloud.http.request")
local text = require("llama_cloud.base.text")

local reconcile = {}

--- Seconds before each look, because the list may lag behind. A field so that specs need not take so long.
reconcile.pauses = { 1, 2, 4 }

local REMEMBERED = 4096 -- creations; no list lags behind that far

--- Remembers what this client has returned from create; the oldest is forgotten in its place.
---@param returned table<string|integer, true|string> ids to the file they had, or true, and places to ids
---@param value { id: string, file_id: string? }
function reconcile.remember(returned, value)
  local place = (returned[0] or 0) % REMEMBERED + 1
  local oldest = returned[place]
  if oldest then
    returned[oldest] = nil
  end
  returned[0], returned[place], returned[value.id] = place, value.id, value.file_id or true
end

-- Whether what the service shows is what it was sent; it may show more.
local function echoes(sent, shown)
  if type(sent) ~= "table" or type(shown) ~= "table" then
    return sent == shown or sent == core.null and shown == nil
  end
  for key, value in pairs(sent) do
    if not echoes(value, shown[key]) then
      return false
    end
  end
  return true
end

-- The items of a list, by id. Nil and an error.
local function collect(list)
  local items, err = list:all()
  if not items then
    return nil, err
  end
  local by_id = {}
  for _, item in ipairs(items) do
    if item.id ~= nil then
      by_id[item.id] = item
    end
  end
  return by_id
end

-- Whether the creation may have made an item: it is what was sent, it either was not there before or has another file now,
-- and this client has not returned it from another call.
local function is_candidate(item, before, sought)
  local returned = sought.returned[item.id]
  if sought.key and item[sought.by] ~= nil and item[sought.by] ~= sought.key then
    return false
  elseif sought.same and not echoes(sought.value, item[sought.same]) then
    return false
  elseif not before then
    return not returned
  end
  local changed = type(item.file_id) == "string" and before.file_id ~= nil and item.file_id ~= before.file_id
  return changed and returned ~= item.file_id
end

---@class LlamaCloud.Sought what a list is searched for
---@field by string the field, and the parameter of the list, that has the key
---@field key string
---@field same? string the field that must show `value`
---@field value any
---@field returned table<string, true|string> what this client has returned from create: that is not ours

--- Creates something, and recognises it in the list if the answer is lost.
---@param send fun(): table?, LlamaCloud.Error? sends the creation, once
---@param rest fun(seconds: number): boolean sleeps; false: the client was closed
---@param list fun(): LlamaCloud.List what has the same key
---@param sought LlamaCloud.Sought
---@param log LlamaCloud.Log is told at warn that the list is looked at, and what came of it
---@return table? created
---@return LlamaCloud.Error? err with maybe_sent when it is not known whether it was created
function reconcile.create(send, rest, list, sought, log)
  local before, problem = collect(list())
  if not before then
    errors.prepend(problem, "reconcile: what is there already could not be listed, so nothing was created: ")
    return nil, problem
  end
  local created, err = send()
  if not err or not err.maybe_sent then
    return created, err
  end
  local seen = "the list could not be read"
  for _, pause in ipairs(reconcile.pauses) do
    local seconds = text.number(pause)
    log:put("warn", ("the answer to a creation was lost: looking for it in the list in %s s"):format(seconds))
    if not rest(pause) then
      break
    end
    local now, list_err = collect(list())
    local found = {}
    for id, item in pairs(now or {}) do
      found[#found + 1] = is_candidate(item, before[id], sought) and item or nil
    end
    if #found == 1 then
      log:put("warn", ("the creation whose answer was lost is %s"):format(found[1].id), { id = found[1].id })
      return found[1]
    elseif #found > 1 then
      seen = ("%d new ones could be it"):format(#found)
      break
    elseif now then
      seen = "nothing new was seen in the list"
    end
    err.cause = list_err or err.cause
  end
  errors.append(err, "; reconcile: " .. seen)
  return nil, err
end

-- The ids of the list's path, out of those of the creation's.
local function ids_of_list(declared, list, ids)
  local result = {}
  for place, name in ipairs(list.ids) do
    for position, given in ipairs(declared.ids) do
      result[place] = given == name and ids[position] or result[place]
    end
  end
  return result
end

--- What runs a creation that is looked for in the list if its answer is lost. Nil and the problem.
---@param declared LlamaCloud.Declared the creation
---@param list LlamaCloud.Declared
---@param send fun(): table?, LlamaCloud.Error?
---@param state LlamaCloud.State
---@param arguments { ids: any[], params: table, given: table } the options without nulls
---@param creation LlamaCloud.Call
---@return (fun(): table?, LlamaCloud.Error?)?
---@return string? problem
function reconcile.prepare(declared, list, send, state, arguments, creation)
  local rule, params, given = declared.reconcile, arguments.params, arguments.given
  -- not params themselves, because the caller may change them meanwhile
  local sent = creation.texts or assert(core.decoder():decode(creation.body, { null = true }))
  local key = sent[rule.by]
  if type(key) ~= "string" or key == "" then
    return nil, ("option 'reconcile' needs the parameter '%s', by which what was created is found"):format(rule.by)
  end
  local narrowed = { [rule.by] = key }
  local scope = {} -- of the query that is the caller's own
  for _, name in ipairs { "organization_id", "project_id" } do
    narrowed[name] = params[name]
    scope[name] = given.query and given.query[name]
  end
  -- total_timeout is each look's anew: what is left of the creation's own may be nothing
  local each = {
    timeout = given.timeout,
    total_timeout = creation.total_timeout,
    max_retries = creation.max_retries,
    headers = given.headers and options.without_nulls(given.headers), -- a copy
    query = scope,
  }
  local ids = ids_of_list(declared, list, arguments.ids)
  local sought = {
    by = rule.by,
    key = key,
    same = rule.same,
    value = rule.same and sent[rule.same],
    returned = state.shared.created,
  }
  local function rest(seconds)
    return request.pause(state, seconds, math.huge)
  end
  local function look()
    return pages.list(list, state, ids, narrowed, each)
  end
  local _, problem = look() -- asks for nothing yet
  if problem then
    return nil, "option 'reconcile': " .. problem
  end
  return function()
    return reconcile.create(send, rest, look, sought, creation.log)
  end
end

return reconcile

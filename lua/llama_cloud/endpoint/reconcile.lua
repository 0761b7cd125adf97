--- create with { reconcile = true }: after a lost answer, finding out whether the batch was created, instead of creating a
--- second one. The API has no idempotency key for batches, so the list has to tell.
---
--- What it cannot know: another program that creates a batch with the same configuration over the same directory in the
--- same seconds makes the answer ambiguous (then nothing is assumed), or, if its batch is the only new one that the list
--- shows, is taken for ours. A batch that the list shows only after the last look is not found.

local core = require("llama_cloud.core")
local errors = require("llama_cloud.base.errors")
local options = require("llama_cloud.endpoint.options")
local pages = require("llama_cloud.endpoint.pages")
local request = require("llama_cloud.http.request")
local text = require("llama_cloud.base.text")

local reconcile = {}

--- Seconds before each look, for the list may lag behind. A field so that specs need not take so long.
reconcile.pauses = { 1, 2, 4 }

local REMEMBERED = 4096 -- as old as what returned so many creations ago is no list that lags

--- Remembers an id that this client has returned from create; the oldest is forgotten in its place.
---@param returned table<string|integer, true|string> ids to true, and places to ids
---@param id string
function reconcile.remember(returned, id)
  local place = (returned[0] or 0) % REMEMBERED + 1
  local oldest = returned[place]
  if oldest then
    returned[oldest] = nil
  end
  returned[0], returned[place], returned[id] = place, id, true
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

-- The batches of the list, by id. Nil and an error.
local function collect(list)
  local items, err = list:all()
  if not items then
    return nil, err
  end
  local by_id = {}
  for _, batch in ipairs(items) do
    if batch.id ~= nil then
      by_id[batch.id] = batch
    end
  end
  return by_id
end

--- Creates a batch, and recognises it in the list if the answer is lost.
---@param send fun(): table?, LlamaCloud.Error? sends the creation, once
---@param rest fun(seconds: number): boolean sleeps; false: the client was closed
---@param list fun(): LlamaCloud.List the batches of the same directory
---@param same any what the batch's `config` must show
---@param returned table<string, true> ids that this client has returned from create; those are not ours
---@param log LlamaCloud.Log is told at warn that the list is looked at, and what came of it
---@return table? batch
---@return LlamaCloud.Error? err with maybe_sent when it is not known whether a batch was created
function reconcile.create(send, rest, list, same, returned, log)
  local before, problem = collect(list())
  if not before then
    errors.prepend(problem, "reconcile: the batches of the directory could not be listed, so nothing was created: ")
    return nil, problem
  end
  local batch, err = send()
  if not err or not err.maybe_sent then
    return batch, err
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
    for id, candidate in pairs(now or {}) do
      if not before[id] and not returned[id] and echoes(same, candidate.config) then
        found[#found + 1] = candidate
      end
    end
    if #found == 1 then
      log:put("warn", ("the creation whose answer was lost is %s"):format(found[1].id), { id = found[1].id })
      return found[1]
    elseif #found > 1 then
      seen = ("%d new batches could be this one"):format(#found)
      break
    elseif now then
      seen = "no new batch was seen in the list"
    end
    err.cause = list_err or err.cause
  end
  errors.append(err, "; reconcile: " .. seen)
  return nil, err
end

--- What runs a creation that is looked for in the list if its answer is lost.
---@param list LlamaCloud.Declared
---@param rule { by: string, same: string }
---@param send fun(): table?, LlamaCloud.Error?
---@param state LlamaCloud.State
---@param params table
---@param given table the options, without nulls
---@param creation LlamaCloud.Call
---@return fun(): table?, LlamaCloud.Error?
function reconcile.prepare(list, rule, send, state, params, given, creation)
  local sent = assert(core.decoder():decode(creation.body, { null = true })) -- the caller may change params meanwhile
  local narrowed = { [rule.by] = sent[rule.by] }
  local scope = {} -- of the query that is the caller's own
  for _, name in ipairs { "organization_id", "project_id" } do
    narrowed[name] = params[name]
    scope[name] = given.query and given.query[name]
  end
  -- total_timeout is each look's anew: what is left of the creation's own may be nothing
  local each = {
    timeout = creation.timeout,
    total_timeout = creation.total_timeout,
    max_retries = creation.max_retries,
    headers = given.headers and options.without_nulls(given.headers), -- a copy
    query = scope,
  }
  local function rest(seconds)
    return request.pause(state, seconds, math.huge)
  end
  local function look()
    return assert(pages.list(list, state, {}, narrowed, each))
  end
  return function()
    return reconcile.create(send, rest, look, sent[rule.same], state.shared.created, creation.log)
  end
end

return reconcile

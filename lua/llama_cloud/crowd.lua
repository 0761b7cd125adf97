--- wait_all: many batches at once. In each round every batch that has not ended is seen once: by a sweep of the list where
--- that takes fewer requests, one by one otherwise.
---
--- How it decides. A batch that was given as an id is of unknown age and is fetched by itself in the first round. A sweep
--- asks for the list from the creation of the oldest outstanding batch on (and of the one directory, if they share one);
--- it is expected to take as many pages as the last sweep did, at first as many as hold the outstanding batches and one
--- more. What a sweep does not show is fetched by itself. A sweep that has cost as many requests as single calls would is
--- broken off and not tried again; neither is one that the service refuses.

local group = require("llama_cloud.group")
local loop = require("llama_cloud.loop")
local polling = require("llama_cloud.polling")

local crowd = {}

---@class LlamaCloud.Crowd the batches of one wait_all
---@field private entries table<string, table> id -> { id, plan, batch }, of those that have not ended
---@field private count integer how many
---@field private queue table[] what is to be delivered: { id, batch, err, n = 3 }
---@field private group LlamaCloud.Group
local Crowd = {}
Crowd.__index = Crowd
Crowd.__name = "llama_cloud.wait_all"

-- Delivers what became of one.
local function deliver(many, entry, batch, err)
  if many.entries[entry.id] then
    many.entries[entry.id] = nil
    many.count = many.count - 1
    many.queue[#many.queue + 1] = { entry.id, batch, err }
  end
end

-- Takes note of how one was seen, and delivers it if it has ended.
local function update(many, entry, batch, on_poll)
  entry.batch, entry.cause = batch, nil
  if on_poll then
    on_poll(batch)
  end
  local result, ended = polling.conclude(entry.plan, batch, many.pace)
  if result or ended then
    deliver(many, entry, result, ended)
  end
end

-- Gets one by itself.
local function visit(many, entry, on_poll)
  local batch, err, goes_on = polling.poll(entry.plan, entry.plan.call, many.pace)
  if batch then
    update(many, entry, batch, on_poll)
  elseif goes_on then
    entry.cause = err
  else
    err.batch = entry.batch
    deliver(many, entry, nil, err)
  end
end

-- The smallest creation time, and the directory if all share one; nil for what is not known of all.
local function common_ground(entries, sweep)
  local since, directory, shared, known = nil, nil, true, true
  for _, entry in ipairs(entries) do
    local batch = entry.batch or {}
    local created, of = batch.created_at, batch[sweep.directory_field]
    known = known and type(created) == "string"
    -- ISO 8601 in one form, as one service writes it, sorts as text
    if known and (not since or created < since) then
      since = created
    end
    shared = shared and type(of) == "string" and (directory == nil or directory == of)
    directory = of
  end
  return known and since or nil, shared and directory or nil
end

-- Sees many at once, by going through the list. Those that it did not show are returned. It gives up when it has cost as
-- many requests as getting each of them would.
local function sweep_list(many, entries, on_poll)
  local sweep = many.sweep
  local params = { [sweep.page] = sweep.size }
  local since, directory = common_ground(entries, sweep)
  if sweep.since then
    params[sweep.since] = since
  end
  params[sweep.directory] = directory
  local unseen, left = {}, #entries
  for _, entry in ipairs(entries) do
    unseen[entry.id] = entry
  end
  local list <close> = many.list(params, math.max(many.pace.deadline - loop.now(), 0.001))
  local finals <close> = group.new() -- the terminal ones are fetched in full meanwhile, if that was asked for
  local pages = 0
  while left > 0 do
    if pages >= #entries then
      many.sweep_cost = math.huge
      break
    end
    local page, err = list:next_page()
    pages = pages + 1
    many.sweep_cost = pages
    if err then
      many.cause = err
      if polling.passes(err) then
        return {} -- the network or the service is in trouble: single calls would add to it
      end
      many.sweep_cost = math.huge -- the service does not take such a list
      break
    elseif not page then
      break
    end
    for _, batch in ipairs(page.items) do
      local entry = unseen[batch.id]
      if entry and type(batch.status) == "string" then
        unseen[batch.id] = nil
        left = left - 1
        if entry.plan.final and (many.waiting.complete[batch.status] or many.waiting.failed[batch.status]) then
          finals:spawn(update, many, entry, batch, on_poll)
        else
          update(many, entry, batch, on_poll)
        end
      end
    end
  end
  finals:finish()
  group.raise_failure(finals)
  local rest = {}
  for _, entry in ipairs(entries) do
    if unseen[entry.id] then
      rest[#rest + 1] = entry
    end
  end
  return rest
end

-- One round: every batch that has not ended is seen once, by a sweep where that takes fewer requests, singly otherwise.
local function go_round(many, first, on_poll)
  local entries, singly = {}, {}
  for _, id in ipairs(many.ids) do
    local entry = many.entries[id]
    if entry then
      local known = entry.batch and (not many.sweep.since or type(entry.batch.created_at) == "string")
      if first and not known then
        singly[#singly + 1] = entry -- of unknown age: a sweep could not tell how far back to go
      else
        entries[#entries + 1] = entry
      end
    end
  end
  local cost = many.sweep_cost or #entries // many.sweep.size + 1
  if #entries > cost then
    entries = sweep_list(many, entries, on_poll)
  end
  table.move(entries, 1, #entries, #singly + 1, singly)
  local visits <close> = group.new()
  for _, entry in ipairs(singly) do
    visits:spawn(visit, many, entry, on_poll)
  end
  visits:finish()
  group.raise_failure(visits)
end

-- Goes round until all have ended or the time is over.
local function attend(many, on_poll)
  local first = true
  while many.count > 0 do
    go_round(many, first, on_poll)
    first = false
    if many.count > 0 and not many.pace:rest() then
      for _, id in ipairs(many.ids) do
        local entry = many.entries[id]
        if entry then
          local cause = entry.cause or many.cause
          deliver(many, entry, nil, polling.overdue(many.waiting, id, entry.batch, cause, many.pace.seconds))
        end
      end
    end
  end
end

function Crowd.__call(self)
  self.group:drive(function()
    return self.first <= #self.queue or self.group.live == 0
  end)
  local item = self.queue[self.first]
  if item then
    self.queue[self.first] = false
    self.first = self.first + 1
    return item[1], item[2], item[3]
  end
  group.raise_failure(self.group)
end

function Crowd:__close()
  self.group:close()
end

--- Waits for many batches at once: `for id, batch, err in …`, each as it ends.
---@param state LlamaCloud.State
---@param waiting table the declaration
---@param subjects { id: string, batch?: table, plan: LlamaCloud.PollPlan }[]
---@param given table the options
---@param list fun(params: table, total_timeout: number): LlamaCloud.List
---@return LlamaCloud.Crowd
---@return nil
---@return nil
---@return LlamaCloud.Crowd
function crowd.new(state, waiting, subjects, given, list)
  local many = setmetatable({
    state = state,
    waiting = waiting,
    sweep = waiting.sweep,
    list = list,
    entries = {},
    ids = {},
    count = 0,
    queue = {},
    first = 1,
    group = group.new(),
    pace = polling.new_pace(given),
  }, Crowd)
  for _, subject in ipairs(subjects) do
    if not many.entries[subject.id] then
      many.entries[subject.id] = subject
      many.count = many.count + 1
      many.ids[many.count] = subject.id
    end
  end
  many.group:spawn(attend, many, given.on_poll)
  return many, nil, nil, many
end

-- The ids of an array of ids and batches, with the batches among them. Nil and the problem.
local function take_apart(ids)
  if type(ids) ~= "table" then
    return nil, ("ids must be an array, not %s"):format(type(ids))
  elseif ids.id then
    return nil, "ids must be an array of ids or batches, not one batch"
  end
  local subjects = {}
  for position, value in ipairs(ids) do
    local batch = type(value) == "table" and value or nil
    local id = batch and batch.id or value
    if type(id) ~= "string" then
      return nil, ("ids[%d] must be an id or a batch, not %s"):format(position, type(value))
    end
    subjects[position] = { id = id, batch = batch }
  end
  if #subjects == 0 and next(ids) ~= nil then
    return nil, "ids must be an array of ids or batches"
  end
  return subjects
end

--- The method wait_all, as endpoint.lua takes it.
---@param api table the resource's own calls
---@param waiting table the declaration
---@return { ids: integer, prepare: function }
function crowd.method(api, waiting)
  return {
    ids = 1,
    prepare = function(state, ids, params, given)
      local subjects, problem = take_apart(ids[1])
      if not subjects then
        return nil, problem
      end
      local _, fault = polling.plan(api, waiting, state, "id", params, given)
      if fault then
        return nil, fault
      end
      for _, subject in ipairs(subjects) do
        subject.plan, problem = polling.plan(api, waiting, state, subject.id, params, given)
        if not subject.plan then
          return nil, problem
        end
      end
      local scope = { project_id = params.project_id, organization_id = params.organization_id }
      local function list(narrowed, total_timeout)
        for name, value in pairs(scope) do
          narrowed[name] = value
        end
        local each = { timeout = given.timeout, max_retries = given.max_retries, headers = given.headers }
        each.total_timeout = total_timeout
        return assert(api.list(state, {}, narrowed, each))
      end
      return function()
        return crowd.new(state, waiting, subjects, given, list)
      end
    end,
  }
end

return crowd

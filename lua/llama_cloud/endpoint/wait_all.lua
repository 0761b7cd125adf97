--- wait_all: many batches at once, each delivered as it ends. In each round every batch that is outstanding is looked at
--- once: by a sweep of the list where that takes fewer requests, by a GET of its own otherwise. Rounds do not wait for slow
--- GETs: a batch whose GET is still under way is left out of the next round.
---
--- How it decides. A batch of which nothing is known but its id may be of any age, and is fetched by itself. A sweep asks
--- for the list from the creation of the oldest of the others on (and of the one directory, if they share one). It is
--- expected to take as many pages as the last sweep did; the first, as many as hold the batches. It is broken off when
--- its pages are as many as the batches that it has not shown, where a page that showed none counts four times; what it
--- did not show is fetched singly. One that has saved nothing, or that the service refuses, is not tried again. While the
--- list cannot be had, and single batches can, they are fetched singly and a sweep is tried now and then.
---
--- Of jobs the list can be asked for certain ones, so every one that is outstanding is in it, however old it is. They are
--- asked for in lists of as many as a page holds, side by side. Where a list may be without results, a job that was seen to
--- be complete there is fetched by itself in the end.

local arguments = require("llama_cloud.endpoint.arguments")
local core = require("llama_cloud.core")
local date = require("llama_cloud.http.date")
local fields = require("llama_cloud.endpoint.fields")
local group = require("llama_cloud.loop.group")
local list_of = require("llama_cloud.endpoint.list")
local loop = require("llama_cloud.loop")
local pace = require("llama_cloud.endpoint.pace")
local polling = require("llama_cloud.endpoint.wait")
local request = require("llama_cloud.http.request")
local tables = require("llama_cloud.base.tables")

local crowd = {}

local FRUITLESS = 4 -- what a page that shows none of the batches counts for
local SINGLE_ROUNDS = 16 -- from one try of a list that cannot be had to the next
local LAST_LOOK = 1 -- seconds for a last look at what was not looked at in time

---@class LlamaCloud.Crowd the batches of one wait_all
---@field private entries table<string, table> id -> { id, batch, cause, plan, busy, task }, of those not delivered
---@field private plan LlamaCloud.PollPlan of some id: what does not depend on the id is looked up in it
---@field private plan_for fun(id: string): LlamaCloud.PollPlan
---@field private ids string[] in the order in which they were given
---@field private count integer how many are not delivered
---@field private queue (table|false)[] what is to be delivered: { id, batch, err }; false: what was
---@field private first integer of the queue that was not taken
---@field private sweep_pages? number pages that the last sweep took; math.huge: it is not worth while
---@field private stumbles integer how many sweeps in a row have failed for a passing reason
---@field private seen_singly boolean a batch was had by itself since the first of them
---@field private singly_for integer rounds without a sweep that are left
---@field private not_before number when the service, by its last error, may be asked again
---@field private fields? LlamaCloud.Fields what the batches are to have in the end
---@field private state LlamaCloud.State
---@field private log LlamaCloud.Log
---@field private group LlamaCloud.Group
---@field private process integer in which it was begun
---@field private left_at number when the caller last went away with a batch, to come for the next one later
---@field private missed boolean the time was over while the caller was away, so that nobody could look
local Crowd = {}
Crowd.__index = Crowd

-- Delivers what became of one.
local function deliver(many, entry, batch, err)
  if many.entries[entry.id] then
    many.entries[entry.id] = nil
    many.count = many.count - 1
    local delivery = { entry.id, batch, err } -- first: where it is made, a finalizer may deliver another
    many.queue[#many.queue + 1] = delivery
    local seen = batch or err.batch
    if many.fields and seen then
      many.fields:see(seen)
    end
    many.group:notify()
  end
end

-- How one is polled by itself. Most are only seen in lists, and a plan is larger than everything else that is kept of them, so
-- it is made when it is needed.
local function plan_of(many, entry)
  if not entry.plan then
    entry.plan = many.plan_for(entry.id)
    entry.plan.last = entry.batch
  end
  return entry.plan
end

local function conclude(many, entry, answer)
  deliver(many, entry, polling.conclude(plan_of(many, entry), entry.batch, many.pace:fork(), answer))
end

-- Delivers one that has ended, when it has been fetched in full, if that is what the caller wants. `answer` is in what it
-- was seen; nil: in a list.
local function close_off(many, entry, answer)
  local complete = many.waiting.complete[entry.batch.status]
  if not answer and many.rule.bare and complete then
    local plan = plan_of(many, entry)
    plan.final = plan.final or plan.call
  end
  if entry.plan and entry.plan.final or many.plan.final then
    entry.busy = true
    entry.task = many.group:spawn(conclude, many, entry)
  elseif complete then
    deliver(many, entry, polling.outcome(many.plan, entry.batch, answer))
  else
    conclude(many, entry, answer)
  end
end

-- Takes note of how one was seen.
local function update(many, entry, batch, answer)
  entry.batch, entry.cause = batch, nil
  if entry.plan then
    entry.plan.last = batch
  end
  polling.note_status(many.plan, entry.id, batch, many.pace)
  if many.on_poll then
    many.on_poll(batch)
  end
  if polling.has_ended(many.waiting, batch) then
    close_off(many, entry, answer)
  end
end

-- Takes note of an error that passes.
local function put_off(many, err)
  if err.retry_after then
    many.not_before = math.max(many.not_before, loop.now() + err.retry_after)
  end
end

-- Gets one by itself.
local function visit(many, entry)
  local plan = plan_of(many, entry)
  local batch, err, goes_on, answer = polling.poll(plan, plan.call, many.pace)
  entry.busy = false
  if batch then
    many.seen_singly = true
    update(many, entry, batch, answer)
  elseif goes_on then
    entry.cause = polling.latest(many.pace, entry.cause, err, entry.batch)
    put_off(many, err)
    if loop.now() < many.pace.deadline then
      pace.tell_failure(plan, err)
    end
  else
    deliver(many, entry, nil, polling.attach(err, many.waiting, entry.batch))
  end
end

local function visit_each(many, entries)
  for _, entry in ipairs(entries) do
    entry.busy = true
    entry.task = many.group:spawn(visit, many, entry)
  end
end

-- When one was created, in seconds; nil where that is not known.
local function creation(entry)
  local created = entry.batch and entry.batch.created_at
  return type(created) == "string" and date.parse(created) or nil
end

-- The params of the list that shows these: just these, if it can be asked for; or from the oldest on, of their directory
-- if they share one.
local function narrowed(rule, entries)
  local params = { [rule.page] = rule.size }
  if rule.ids then
    local ids = {}
    for index, entry in ipairs(entries) do
      ids[index] = entry.id
    end
    params[rule.ids] = ids
    return params
  end
  local oldest
  local directory = entries[1].batch[rule.directory_field]
  for _, entry in ipairs(entries) do
    local age = creation(entry)
    if rule.since and (not oldest or age < oldest) then
      oldest, params[rule.since] = age, entry.batch.created_at
    end
    if entry.batch[rule.directory_field] ~= directory then
      directory = nil
    end
  end
  params[rule.directory] = type(directory) == "string" and directory or nil
  return params
end

-- Takes note of a list that could not be had. Returns whether its batches are to be fetched singly: not at once where the
-- network or the service is in trouble, for single calls would add to it; but every second time, and where it turns out
-- that they can be had, for some rounds.
local function stumble(many, err)
  local passes = polling.passes(err)
  if loop.now() < many.pace.deadline and not many.state.closed then
    local follows = passes and "again in the next round" or "each is fetched by itself"
    many.log:put(
      "warn",
      ("list of the %s that are waited for failed, %s: %s"):format(many.waiting.nouns, follows, err.message),
      { kind = err.kind, status = err.status, request_id = err.request_id }
    )
  end
  if not passes then
    many.sweep_pages = math.huge -- the service does not take such a list
    return true
  end
  put_off(many, err)
  many.cause = polling.latest(many.pace, many.cause, err, true)
  many.stumbles = many.stumbles + 1
  if many.stumbles == 1 then
    many.seen_singly = false
  elseif many.seen_singly then
    many.singly_for = SINGLE_ROUNDS
  end
  return many.singly_for > 0 or many.stumbles % 2 == 0
end

-- Goes through the list of some. Returns those that it did not show, its pages, and an error.
local function go_through(many, entries)
  local unseen, left, pages, cost = {}, #entries, 0, 0
  for _, entry in ipairs(entries) do
    unseen[entry.id] = entry
  end
  local list <close> = many.list(narrowed(many.rule, entries), math.max(many.pace.deadline - loop.now(), 0.001))
  local page, err
  while cost < left do
    page, err = list:next_page()
    if not page then
      break
    end
    local before = left
    for _, batch in ipairs(page.items) do
      local entry = unseen[batch.id]
      if entry and type(batch.status) == "string" then
        unseen[batch.id] = nil
        left = left - 1
        update(many, entry, batch)
      end
    end
    pages = pages + 1
    cost = cost + (left < before and 1 or FRUITLESS)
    many.cause, many.stumbles = nil, 0
  end
  local rest = {}
  for _, entry in ipairs(entries) do
    if unseen[entry.id] then
      rest[#rest + 1] = entry
    end
  end
  return rest, pages, err
end

-- Starts as many lists as it takes to ask for all of these.
local function start_lists(many, entries)
  local tasks, size = {}, many.rule.ids and many.rule.size or #entries
  for from = 1, #entries, size do
    local part = table.move(entries, from, math.min(from + size - 1, #entries), 1, {})
    tasks[#tasks + 1] = many.group:spawn(go_through, many, part)
  end
  return tasks
end

-- Goes through the list, or lists. Returns those that they did not show and that are to be fetched singly.
local function sweep(many, entries)
  local rest, lost, pages, failure = {}, {}, 0, nil
  for _, task in ipairs(start_lists(many, entries)) do
    local unseen, taken, err = task:result()
    if not unseen then
      error(taken, 0) -- of on_poll
    end
    failure, pages = failure or err, pages + taken
    local kept = err and lost or rest
    table.move(unseen, 1, #unseen, #kept + 1, kept)
  end
  if failure then
    return stumble(many, failure) and table.move(lost, 1, #lost, #rest + 1, rest) or rest
  end
  local saves = #entries - #rest > pages
  if many.rule.ids then
    many.singly_for = saves and 0 or SINGLE_ROUNDS
  else
    many.sweep_pages = saves and pages or math.huge
  end
  return rest
end

-- How many pages a sweep is expected to take.
local function expected_pages(many, count)
  local size = many.rule.size
  if many.rule.ids and many.sweep_pages ~= math.huge then
    return (count + size - 1) // size
  end
  return many.sweep_pages or count // size + 1
end

-- One round.
local function look(many)
  local swept, singly, rule = {}, {}, many.rule
  for _, id in ipairs(many.ids) do
    local entry = many.entries[id]
    if entry and not entry.busy then
      -- of one of unknown age a list cannot be told how far back to go
      local known = rule.ids or entry.batch and (creation(entry) or not rule.since)
      table.insert(known and swept or singly, entry)
    end
  end
  visit_each(many, singly)
  if many.singly_for > 0 then
    many.singly_for = many.singly_for - 1
  elseif not request.forked(many.process) and #swept > expected_pages(many, #swept) then
    swept = sweep(many, swept)
  end
  visit_each(many, swept)
end

local function attend(many)
  for _, id in ipairs(many.ids) do
    local entry = many.entries[id]
    if entry.batch and polling.has_ended(many.waiting, entry.batch) then
      close_off(many, entry) -- it was given as one that has ended
    end
  end
  repeat
    if loop.now() >= many.not_before or many.state.closed then
      look(many)
    end
  until not many.pace:rest()
end

-- Looks once more at those that are outstanding, where nobody could for a while before the deadline: the body of the
-- caller's loop was busy with one that it had been given.
local function look_late(many)
  many.pace = many.pace:extended(loop.now() + LAST_LOOK)
  local tasks = {}
  for _, id in ipairs(many.ids) do
    local entry = many.entries[id]
    tasks[#tasks + 1] = entry
      and many.group:spawn(function()
        if entry.busy then
          entry.task:result() -- what was asked before
        end
        if many.entries[id] then
          visit(many, entry)
        end
      end)
  end
  for _, task in ipairs(tasks) do
    task:result()
  end
end

-- Delivers to each that is outstanding that the time is over.
local function end_in_time(many)
  if not pace.rest_until(many.state, many.pace.deadline) then
    return -- the client was closed, or the process forked: whoever is looked at next is told so
  end
  if many.missed then
    look_late(many)
  end
  for _, id in ipairs(many.ids) do
    local entry = many.entries[id]
    if entry then
      local cause = entry.cause or many.cause
      deliver(many, entry, nil, polling.overdue(plan_of(many, entry), entry.batch, cause, many.pace:length()))
    end
  end
end

-- The next one that has ended.
local function take(self)
  local deadline = self.pace.deadline
  if self.left_at < deadline and loop.now() > deadline + self.pace:first_interval() then
    self.missed = true
  end
  local held_up = self.group:drive(function()
    return self.queue[self.first] or self.count == 0 or self.group:failed() or self.group:live() == 0
  end)
  self.left_at = loop.now()
  request.tell_block(self.state, held_up)
  local item = self.queue[self.first]
  if item then
    self.queue[self.first] = false
    self.first = self.first + 1
    return item[1], item[2], item[3]
  end
  self.group:close()
  if self.fields then
    self.fields:tell()
  end
  self.group:raise()
end

---@class LlamaCloud.CrowdHandle what the caller has of it; when nobody has it any more, the waiting ends
---@field private many LlamaCloud.Crowd whose tasks do not know the handle
local Handle = {}
Handle.__index = Handle
Handle.__name = "llama_cloud.wait_all"

function Handle:__call()
  local id, batch, err = take(self.many) -- no tail call, which would let the handle be collected meanwhile
  return id, batch, err
end

function Handle:__close()
  self.many.group:close()
end

Handle.__gc = Handle.__close

--- Waits for many batches at once: `for id, batch, err in …`, each as it ends.
---@param state LlamaCloud.State
---@param waiting table the declaration
---@param subjects { id: string, batch?: table }[]
---@param plan_for fun(id: string): LlamaCloud.PollPlan
---@param given table the options
---@param list fun(params: table, total_timeout: number): LlamaCloud.List
---@return LlamaCloud.CrowdHandle
---@return nil
---@return nil
---@return LlamaCloud.CrowdHandle
function crowd.new(state, waiting, subjects, plan_for, given, list)
  local many = setmetatable({
    state = state,
    waiting = waiting,
    rule = waiting.sweep,
    list = list,
    plan = plan_for("id"),
    plan_for = plan_for,
    on_poll = given.on_poll,
    fields = fields.watch(given.fields, state),
    entries = {},
    ids = {},
    count = 0,
    queue = {},
    first = 1,
    stumbles = 0,
    seen_singly = false,
    singly_for = 0,
    not_before = -math.huge,
    log = state:log_for(state:merged_headers(given.headers), given),
    process = core.process(),
    left_at = loop.now(),
    missed = false,
    group = group.new(),
    pace = pace.new(given, state),
  }, Crowd)
  for _, subject in ipairs(subjects) do
    local known = many.entries[subject.id]
    if known then
      known.batch = known.batch or subject.batch
    else
      many.entries[subject.id] = subject
      many.count = many.count + 1
      many.ids[many.count] = subject.id
    end
  end
  many.group:spawn(attend, many)
  many.group:spawn(end_in_time, many)
  local handle = setmetatable({ many = many }, Handle)
  return handle, nil, nil, handle
end

-- The ids of an array of ids and batches, with the batches among them. Nil and the problem.
local function take_apart(ids, waiting)
  if type(ids) ~= "table" then
    return nil, ("ids must be an array, not %s"):format(type(ids))
  elseif ids.id then
    return nil, ("ids must be an array of ids or %s, not one %s"):format(waiting.nouns, waiting.noun)
  end
  local subjects = {}
  for position, value in ipairs(ids) do
    local batch = type(value) == "table" and value or nil
    local id = batch and batch.id or value
    if type(id) ~= "string" then
      local article = waiting.noun:find("^[aeiou]") and "an" or "a"
      return nil, ("ids[%d] must be an id or %s %s, not %s"):format(position, article, waiting.noun, type(value))
    end
    subjects[position] = { id = id, batch = batch and type(batch.status) == "string" and batch or nil }
  end
  local strange = ("ids must be an array of ids or %s"):format(waiting.nouns)
  local problem = tables.array_problem(ids, #subjects, "ids", strange)
  return not problem and subjects or nil, problem
end

--- The method wait_all, as waiting.lua takes it.
---@param api table the resource's own calls, and the declaration of waiting
---@return { ids: integer, prepare: function }
function crowd.method(api)
  local waiting = api.waiting
  return {
    ids = 1,
    options = polling.more_options(waiting),
    refuse = function(given)
      return list_of.is_list(given) and "wait_all takes an array: give it assert(list:all())" or nil
    end,
    prepare = function(state, ids, params, given)
      local subjects, problem = take_apart(ids[1], waiting)
      if not subjects then
        return nil, problem
      end
      -- without an id first, so that what is wrong with the others does not depend on there being one
      local _, fault = polling.plan(api, state, "id", params, given)
      if fault then
        return nil, fault
      end
      for position, subject in ipairs(subjects) do
        problem = arguments.bad_id(api.id_name, subject.id)
        if problem then
          return nil, ("ids[%d]: %s"):format(position, problem)
        end
      end
      local process = core.process()
      local function plan_for(id)
        local plan = assert(polling.plan(api, state, id, params, given))
        plan.process = process -- a forked child that makes it polls nothing
        plan.fields = nil -- told of all together, at the end
        return plan
      end
      local scope = { project_id = params.project_id, organization_id = params.organization_id }
      local function list(narrow, total_timeout)
        for name, value in pairs(scope) do
          narrow[name] = value
        end
        -- tried once: the next round comes soon enough, and until then the batches can be had singly
        local each = { timeout = given.timeout, max_retries = 0, headers = given.headers }
        each.fields = polling.fields(waiting, given.fields)
        -- no page ahead of its time: a sweep ends as soon as it has seen its batches
        each.total_timeout, each.prefetch = total_timeout, false
        return assert(api.list(state, {}, narrow, each))
      end
      return function()
        return crowd.new(state, waiting, subjects, plan_for, given, list)
      end
    end,
  }
end

return crowd

--- Waiting for one batch or job by polling: wait, run, watch (wait_all is in wait_all.lua). What is polled, and which statuses
--- end the wait, is declared by the resource:
---   noun       what it is called in messages; `nouns`: several
---   job        whether it is called a job: errors have it as `job`, too
---   get        the method that gets one; `subject`: where in the answer it is, if it is not the answer itself; `whole`: what
---              the caller gets is that answer all the same
---   create     the method that creates one; `run_options`: what run takes besides, for the parameters of get
---   final      the parameters of get that are about what has ended: they are left out until then
---   pending    the statuses that are known and end nothing
---   complete   the statuses that mean success
---   failed     statuses that mean failure, with the kind of error
---   sweep      how a list shows many at once: `list` (the method), `size` and `page` (the page size, and the parameter for
---              it); `ids` (the parameter that narrows it to certain ones), or else `since` (the parameter that narrows it
---              by created_at, if there is one), `directory` and `directory_field` (the parameter that narrows it by
---              directory, and the field that it compares); `bare`: what it shows may be without the result

local core = require("llama_cloud.core")
local errors = require("llama_cloud.base.errors")
local fields = require("llama_cloud.endpoint.fields")
local loop = require("llama_cloud.loop")
local paces = require("llama_cloud.endpoint.pace")
local request = require("llama_cloud.http.request")
local tables = require("llama_cloud.base.tables")
local text = require("llama_cloud.base.text")

local polling = {}

--- Seconds after its creation in which a batch that is not found is waited for: the service may not show it at once. A field
--- so that specs need not take so long.
polling.young = 10

--- The options of waiting, beside those of every call.
polling.options = {
  polling_interval = "seconds",
  max_interval = "seconds",
  backoff = "string",
  on_poll = "function",
  connection_patience = "seconds",
}

---@class LlamaCloud.WaitOptions: LlamaCloud.Options
---@field total_timeout? number seconds for the whole wait, including the creation by `run` (default 7200)
---@field polling_interval? number seconds from the first poll to the second; all intervals are shortened at random by up to a tenth (default 1)
---@field max_interval? number the longest interval, in seconds (default 5)
---@field backoff? "linear"|"constant"|"exponential" how the interval grows: by a second, not at all, to double (default linear)
---@field on_poll? fun(batch: table) called with the batch after each poll; an error in it ends the wait
---@field connection_patience? number seconds of nothing but connection errors after which a wait that has not seen its batch yet ends with the kind `connection`; a running attempt is not interrupted, and `math.huge` means never (default 300)

polling.next_interval = paces.next_interval
polling.new_pace = paces.new

--- What is wrong with the options of waiting, beyond their types; or nil.
---@param given table
---@param creates boolean whether the method creates what it waits for
---@return string? problem
function polling.check(given, creates)
  if given.backoff and not paces.growth[given.backoff] then
    return ('option \'backoff\' must be "linear", "constant" or "exponential", not %s'):format(
      text.quote(given.backoff)
    )
  elseif given.body and not creates then
    return "waiting has no body"
  end
end

local transient = { connection = true, timeout = true, rate_limit = true, internal_server = true }

--- Whether waiting goes on after an error: the batch is not affected by a network that fails. What cannot be mended by
--- waiting, such as a missing file of certificates, ends the wait.
---@param err LlamaCloud.Error
---@return boolean
function polling.passes(err)
  return not err.permanent and (transient[err.kind] or err.status == 408) or false
end

-- A call that ends with the wait, and is not sent again when there is no patience left.
local function limited(plan, call, pace)
  local now = loop.now()
  local left = math.max(pace.deadline - now, 0.001)
  plan.silent_since = plan.silent_since or now
  return setmetatable({
    process = plan.process,
    total_timeout = math.min(left, call.total_timeout),
    patient_until = not plan.last and plan.silent_since + pace:patience() or nil,
  }, { __index = call })
end

--- Whether a batch has ended. A status that this version does not know is none that ends it: the values grow.
---@param waiting table
---@param batch table
---@return boolean
function polling.has_ended(waiting, batch)
  return waiting.complete[batch.status] or waiting.failed[batch.status] ~= nil
end

--- Tells of a status that this version does not know, once in a wait.
---@param plan LlamaCloud.PollPlan
---@param id string of the batch
---@param batch table
---@param pace LlamaCloud.Pace
function polling.note_status(plan, id, batch, pace)
  local waiting, status = plan.waiting, batch.status
  if waiting.pending[status] or polling.has_ended(waiting, batch) or not pace:is_news(status) then
    return
  end
  local message = "%s %s has the status '%s', which this version does not know: the wait goes on"
  plan.call.log:put("warn", message:format(waiting.noun, id, status), { id = id, status = status })
end

--- Puts what was seen last into an error about it.
---@param err LlamaCloud.Error
---@param waiting table
---@param batch? table
---@return LlamaCloud.Error err
function polling.attach(err, waiting, batch)
  err.batch = batch
  err.job = waiting.job and batch or nil
  return err
end

--- What the caller gets of a batch, or job, that is complete.
---@param plan LlamaCloud.PollPlan
---@param batch table
---@param answer? table in which it was seen; nil: in another
---@return table
function polling.outcome(plan, batch, answer)
  local waiting = plan.waiting
  if waiting.whole then
    return answer or { [waiting.subject] = batch }
  end
  return batch
end

-- The error for a batch that has ended without success.
local function failure(plan, batch, kind)
  local message = ("%s %s ended as %s"):format(plan.waiting.noun, plan.id, batch.status)
  if type(batch.error_message) == "string" then
    message = message .. ": " .. batch.error_message
  end
  return polling.attach(errors.new { kind = kind, message = plan.call.log:clean(message) }, plan.waiting, batch)
end

--- The error for a wait whose time is over.
---@param plan LlamaCloud.PollPlan
---@param batch? table as last seen
---@param cause? LlamaCloud.Error what went wrong last
---@param seconds number how long the wait was to last
---@return LlamaCloud.Error
function polling.overdue(plan, batch, cause, seconds)
  local waiting, state = plan.waiting, "could not be seen within %s s"
  if batch and polling.has_ended(waiting, batch) then
    state = "ended as " .. batch.status:gsub("%%", "%%%%") .. ", but could not be fetched in full within %s s"
  elseif batch then
    state = "was still " .. batch.status:gsub("%%", "%%%%") .. " after %s s"
  end
  local message = ("%s %s " .. state):format(waiting.noun, plan.id, text.number(seconds))
  -- that a poll ran out of time says less than why
  local reason = cause
  while reason and reason.kind == "timeout" and reason.cause do
    reason = reason.cause
  end
  if reason then
    message = ("%s; the last error was: %s"):format(message, reason.message)
  end
  return polling.attach(errors.new { kind = "timeout", message = message, cause = cause }, waiting, batch)
end

--- What went wrong last. A poll that was cut short by the end of the wait is worth telling only where nothing else is known.
---@param pace LlamaCloud.Pace
---@param before? LlamaCloud.Error
---@param err LlamaCloud.Error
---@param seen any whether the batch was ever seen
---@return LlamaCloud.Error?
function polling.latest(pace, before, err, seen)
  local cut = err.kind == "timeout" and loop.now() >= pace.deadline
  if cut and (before or seen) then
    return before
  end
  return err
end

-- Whether the wait goes on after a poll that failed; the error, or that of a wait whose patience is over.
local function judge(plan, err, pace)
  local now = loop.now()
  if err.kind == "not_found" and now < (plan.young_until or -math.huge) then
    return err, true -- the service has created it, but may not show it yet
  elseif not polling.passes(err) then
    return err, false
  elseif err.status then
    plan.silent_since = now
  elseif not plan.last and err.attempts > 0 and now - plan.silent_since >= pace:patience() then
    local message =
      "%s %s was never seen: nothing but connection errors for %s s (option connection_patience); the last was: %s"
    message = message:format(plan.waiting.noun, plan.id, text.number(pace:patience()), err.message)
    return errors.new { kind = "connection", message = message, cause = err, attempts = err.attempts }, false
  end
  return err, true
end

--- Polls once.
---@param plan LlamaCloud.PollPlan
---@param call LlamaCloud.Call
---@param pace LlamaCloud.Pace
---@return table? batch
---@return LlamaCloud.Error? err
---@return boolean? goes_on whether the wait may go on after the error
---@return table? answer in which the batch is
function polling.poll(plan, call, pace)
  local answer, err = request.perform(plan.state, limited(plan, call, pace))
  if err then
    return nil, judge(plan, err, pace)
  end
  local subject = plan.waiting.subject
  local batch = answer
  if subject and request.is_object(answer) then
    batch = answer[subject]
  end
  if not request.is_object(batch) or type(batch.status) ~= "string" then
    err = errors.new {
      kind = "decode",
      message = ("the response has no status of a %s"):format(plan.waiting.noun),
      method = call.method,
      url = call.log:clean(call.url),
      body = call.log:clean(answer),
    }
    return nil, err, false
  end
  plan.last = batch
  polling.note_status(plan, plan.id, batch, pace)
  return batch, nil, nil, answer
end

--- What a batch that has ended comes to: itself as the call's own params ask for it (`expand`), or the error that it means.
---@param plan LlamaCloud.PollPlan
---@param batch table
---@param pace LlamaCloud.Pace
---@param answer? table in which the batch was seen; nil: in a list
---@return table? batch
---@return LlamaCloud.Error? err
function polling.conclude(plan, batch, pace, answer)
  local kind, cause = plan.waiting.failed[batch.status], nil
  while plan.final do
    local full, err, goes_on, shown = polling.poll(plan, plan.final, pace)
    if full and polling.has_ended(plan.waiting, full) then
      batch, kind, answer = full, plan.waiting.failed[full.status], shown
      break
    elseif err and not goes_on then
      return nil, polling.attach(err, plan.waiting, batch)
    elseif err then -- otherwise what answered is behind what had answered before
      cause = polling.latest(pace, cause, err, batch)
    end
    if not pace:rest(err, plan) then
      return nil, polling.overdue(plan, batch, cause, pace:length())
    end
  end
  if plan.fields then
    plan.fields:see(batch)
    plan.fields:tell()
  end
  if kind then
    return nil, failure(plan, batch, kind)
  end
  return polling.outcome(plan, batch, answer)
end

-- Polls once. Whether the wait has ended, and what it comes to then.
local function look(plan, pace)
  local batch, err, goes_on, answer = polling.poll(plan, plan.call, pace)
  if batch then
    plan.cause = nil
    if plan.given.on_poll then
      plan.given.on_poll(batch)
    end
    if polling.has_ended(plan.waiting, batch) then
      return true, polling.conclude(plan, batch, pace, answer)
    end
  elseif goes_on then
    plan.cause = polling.latest(pace, plan.cause, err, plan.last)
  else
    return true, nil, polling.attach(err, plan.waiting, plan.last)
  end
  return false
end

-- Polls until the batch has ended or the time is over. It sleeps here and not in pace:rest, and with few locals: thousands
-- may sleep, and whatever a coroutine is in the middle of takes memory.
local function follow(plan, pace)
  while true do
    do
      local ended, batch, err = look(plan, pace)
      if err then
        return nil, err
      elseif ended then
        return batch
      end
    end
    local pause, last = pace:next(plan.cause, plan)
    if not pace:goes_on(not pause or request.pause(plan.state, pause, pace.deadline), last) then
      return nil, polling.overdue(plan, plan.last, plan.cause, pace:length())
    end
  end
end

---@class LlamaCloud.PollPlan what is polled, checked and ready
---@field state LlamaCloud.State
---@field process integer in which the wait was begun
---@field waiting table the declaration
---@field id string
---@field call LlamaCloud.Call gets the batch
---@field final? LlamaCloud.Call gets it as the caller wants it in the end, if that is more
---@field given table the options
---@field last? table the batch as last seen; nil: never
---@field cause? LlamaCloud.Error what went wrong last, since the batch was last seen
---@field fields? LlamaCloud.Fields what the batch is to have in the end
---@field silent_since? number when the service was last heard of, or the first poll began
---@field young_until? number until when a batch that is not found is waited for

--- Waits until a batch has ended.
---@param plan LlamaCloud.PollPlan
---@return table? batch
---@return LlamaCloud.Error? err
function polling.wait(plan)
  return follow(plan, polling.new_pace(plan.given, plan.state))
end

-- What a run leaves behind that ends otherwise than by its result: an error of on_poll, Ctrl-C, a cancelled task. The batch
-- goes on, so its id is told.
local left_mt = {
  __close = function(mark, err)
    if mark.ended then
      return
    end
    local plan = mark.plan
    err = err or loop.cancellation()
    if errors.is_error(err) and not err.batch then
      polling.attach(err, plan.waiting, plan.last)
    end
    local message = "run was interrupted, but %s %s goes on: wait for it by its id"
    -- whatever the log does, what has interrupted the run is to come out
    pcall(plan.call.log.put, plan.call.log, "warn", message:format(plan.waiting.noun, plan.id), { id = plan.id })
  end,
}

--- Creates a batch and waits until it has ended; total_timeout is about both. Whatever goes wrong after the creation,
--- err.batch holds the batch; and the log is told its id, at `info` when it is created, at `warn` when the wait is interrupted.
---@param state LlamaCloud.State
---@param waiting table the declaration
---@param create fun(): table?, LlamaCloud.Error?
---@param plan_for fun(id: any): LlamaCloud.PollPlan?, string?
---@param given table the options
---@return table? batch
---@return LlamaCloud.Error? err
function polling.run(state, waiting, create, plan_for, given)
  local pace = polling.new_pace(given, state)
  local batch, err = create()
  if err then
    return nil, err
  end
  local plan, problem = plan_for(request.is_object(batch) and batch.id or nil)
  if not plan then
    local message = "it was created, but the response has no id to wait for: " .. problem
    err = errors.new { kind = "decode", message = message, body = state.log:clean(batch), maybe_sent = true }
    return nil, polling.attach(err, waiting, batch)
  end
  plan.last, plan.young_until = batch, loop.now() + polling.young
  local mark <close> = setmetatable({ plan = plan, ended = false }, left_mt)
  local result
  result, err = follow(plan, pace)
  mark.ended = true
  return result, err
end

---@class LlamaCloud.Watch
---@field private plan LlamaCloud.PollPlan
---@field private pace? LlamaCloud.Pace from the first poll on
---@field private status? string the last that was delivered
---@field private ended boolean
local Watch = {}
Watch.__index = Watch
Watch.__name = "llama_cloud.watch"

-- Ends the watch by raising.
local function give_up(watch, err)
  watch.ended = true
  error(err, 0)
end

-- What the watch delivers for a batch that has ended: the batch in full, whether its status means success or not.
local function last_of(watch, batch, answer)
  local plan = watch.plan
  watch.ended = true
  local result, err = polling.conclude(plan, batch, watch.pace, answer)
  -- the batch in full may have ended otherwise than it was first seen to
  if err and err.kind ~= plan.waiting.failed[err.batch.status] then
    error(err, 0)
  end
  return result or polling.outcome(plan, err.batch)
end

function Watch.__call(self)
  local plan, cause = self.plan, nil
  while not self.ended do
    if not self.pace then
      self.pace = polling.new_pace(plan.given, plan.state)
    elseif not self.pace:rest(cause, plan) then
      give_up(self, polling.overdue(plan, plan.last, cause, self.pace:length()))
    end
    local batch, err, goes_on, answer = polling.poll(plan, plan.call, self.pace)
    if self.ended then
      return nil -- closed while it was waiting
    elseif batch then
      cause = nil
      if plan.given.on_poll then
        plan.given.on_poll(batch)
      end
      local changed = batch.status ~= self.status
      self.status = batch.status
      if polling.has_ended(plan.waiting, batch) then
        return last_of(self, batch, answer)
      elseif changed then
        return polling.outcome(plan, batch, answer)
      end
    elseif goes_on then
      cause = polling.latest(self.pace, cause, err, plan.last)
    else
      give_up(self, polling.attach(err, plan.waiting, plan.last))
    end
  end
end

function Watch:__close()
  self.ended = true
end

--- Iterates over the changes of a batch's status; the terminal one is the last, whatever it is.
---@param plan LlamaCloud.PollPlan
---@return LlamaCloud.Watch
---@return nil
---@return nil
---@return LlamaCloud.Watch
function polling.watch(plan)
  local watch = setmetatable({ plan = plan, ended = false }, Watch)
  return watch, nil, nil, watch
end

-- The part of the options that each poll takes too. total_timeout is about the whole wait.
local function options_of_polls(given)
  local result = {}
  for name in pairs { timeout = true, max_retries = true, headers = true, query = true } do
    result[name] = given[name]
  end
  return result
end

--- The option `fields` of each poll: what the caller wants, and what waiting itself needs.
---@param waiting table
---@param wanted? string[]
---@return string[]?
function polling.fields(waiting, wanted)
  if not wanted then
    return nil
  end
  local list = { "id", "status", "created_at", waiting.sweep.directory_field }
  return table.move(wanted, 1, #wanted, #list + 1, list)
end

--- Makes what is polled out of the arguments of wait or watch. Nil and the problem, which is the caller's fault.
---@param api table the resource's own calls: api.get(state, ids, params, given) -> call | nil, problem; `plans`: a metatable;
--- `creation`: the options of api.create
---@param state LlamaCloud.State
---@param id any
---@param params table
---@param given table checked
---@return LlamaCloud.PollPlan?
---@return string? problem
function polling.plan(api, state, id, params, given)
  local each = options_of_polls(given)
  each.fields = polling.fields(api.waiting, given.fields)
  -- with all the params first, so that a fault in any of them is found
  local call, problem = api.get(state, { id }, params, each)
  if not call then
    return nil, problem
  end
  local plan = setmetatable({ state = state, process = core.process(), id = id, call = call, given = given }, api.plans)
  plan.fields = fields.watch(given.fields, state)
  local shared, finally = {}, false
  for name, value in pairs(params) do
    if api.waiting.final[name] then
      finally = finally or value ~= core.null and (type(value) ~= "table" or next(value) ~= nil)
    else
      shared[name] = value
    end
  end
  if finally then
    plan.call, plan.final = api.get(state, { id }, shared, each), call
  end
  return plan
end

--- The options that waiting has for some resources only: `fields` are those of the answer, which must be what is waited for.
---@param waiting table
---@return table<string, string>
function polling.more_options(waiting)
  return { fields = not waiting.subject and "names" or nil }
end

--- The methods of waiting, as waiting.lua takes them: each with the number of its arguments before params, and what makes
--- something to run of its arguments.
---@param api table
---@return table<string, { ids: integer, options: table<string, string>, prepare: function }>
function polling.methods(api)
  local waiting = api.waiting
  local function prepare(state, ids, params, given)
    return polling.plan(api, state, ids[1], params, given)
  end

  local function prepare_run(state, _, params, given)
    local creation = {}
    for name in pairs(api.creation) do
      creation[name] = given[name]
    end
    local create, problem = api.create(state, {}, params, creation)
    if not create then
      return nil, problem
    end
    local get_params = { project_id = params.project_id, organization_id = params.organization_id }
    for name in pairs(waiting.final) do
      get_params[name] = given[name]
    end
    local _, fault = polling.plan(api, state, "id", get_params, given)
    if fault then
      return nil, fault
    end
    return function()
      return polling.run(state, waiting, create, function(id)
        return polling.plan(api, state, id, get_params, given)
      end, given)
    end
  end

  local options = polling.more_options(waiting)
  local options_of_run = tables.merged(options, api.creation, waiting.run_options)
  return {
    wait = { ids = 1, prepare = prepare, run = polling.wait, options = options },
    watch = { ids = 1, prepare = prepare, run = polling.watch, options = options },
    run = { ids = 0, prepare = prepare_run, options = options_of_run },
  }
end

return polling

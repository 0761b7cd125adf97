--- Groups: the one scheduler. A group owns tasks (coroutines of ours); whoever drives it waits for all of them as one
--- waiter, in whatever host it lives, or blocks. Groups nest: the driver may itself be a task of another group.

local errors = require("llama_cloud.base.errors")
local loop = require("llama_cloud.loop")
local trace = require("llama_cloud.base.trace")

local group = {}

-- Seconds after which tasks that never wait let whoever drives them wait, so that requests and the host's other
-- coroutines get their turn.
local SLICE = 0.005

local NOBODY = {} -- waits for a task that has ended

local current -- the task that is running

---@class LlamaCloud.Task
---@field private group LlamaCloud.Group
---@field private co thread
---@field private state "starting"|"pending"|"done"|"failed"|"cancelled"
---@field private values table|false what the function returned
---@field private error any what it raised
---@field private frames LlamaCloud.Frame[]|false where
---@field private queued boolean
---@field private cancelling boolean it was cancelled while it ran
---@field private ending boolean its to-be-closed variables are being closed
---@field private observed boolean somebody has asked for the result, and so knows of a failure
---@field private watchers LlamaCloud.Waiter[] who waits for its end
---@field private awaited_by table<LlamaCloud.Task, true> the tasks among them
local Task = {}
Task.__index = Task
Task.__name = "llama_cloud.task"

---@class LlamaCloud.Group
---@field private tasks table<LlamaCloud.Task, true> those that have not ended
---@field private live integer how many
---@field private first integer the queue of tasks that can go on
---@field private last integer
---@field private later LlamaCloud.Task[] tasks that let the others go first
---@field private waiter? LlamaCloud.Waiter of the driver, while it waits
---@field private driven integer|false the number of who drives it
---@field private driver LlamaCloud.Task|false the task that does, if it is one
---@field private finisher? LlamaCloud.Task the task that drives it to its end
---@field private standby table<LlamaCloud.Waiter, true> who would drive if the driver left
---@field private failures LlamaCloud.Task[] those that failed
---@field failure? LlamaCloud.Task the first of them whose result was not asked for
local Group = {}
Group.__index = Group

--- Makes a group; to be declared `<close>`: leaving it cancels its tasks.
---@return LlamaCloud.Group
function group.new()
  return setmetatable({
    tasks = {},
    live = 0,
    first = 1,
    last = 0,
    later = {},
    driven = false,
    driver = false,
    standby = {},
    failures = {},
  }, Group)
end

local root = group.new() -- of what is spawned outside of every group; step() drives it, or the host
local stepping = 0 -- how many calls of step() are running
local knock -- a timer that makes the descriptor readable when a task of the root can go on
local starting = setmetatable({}, { __mode = "v" }) -- [1]: what is about to drive the root in a host, unless that drops it

-- Sees to it that step() is called when a task of the root can go on.
local function attend_root()
  if root.live > 0 and not root.driven and stepping == 0 and not starting[1] and root:is_ready() then
    if not knock or knock:done() then
      knock = loop.transport():timer(0)
    end
  end
end

loop.on_unblocked = attend_root -- whoever was blocked may have taken the timer

function loop.holds_up_tasks()
  local task = current
  while task do
    if task.group.live > 1 then
      return true
    end
    task = task.group.driver
  end
  return false
end

-- Tells whoever drives a group that a task can go on.
local function wake_driver(owner)
  if owner.waiter then
    loop.signal(owner.waiter)
  elseif owner == root then
    attend_root()
  end
end

--- Puts the task into the queue of those that can go on; loop.signal calls this.
function Task:make_ready()
  if self.queued or self.state ~= "pending" then
    return
  end
  local owner = self.group
  owner[owner.last + 1] = self -- first, for it needs memory
  owner.last = owner.last + 1
  self.queued = true
  wake_driver(owner)
end

-- The group's first failure that nobody has asked for.
local function update_failure(owner)
  local failures = owner.failures
  while failures[1] and failures[1].observed do
    table.remove(failures, 1)
  end
  owner.failure = failures[1]
end

-- Ends a task and wakes whoever waits for that.
local function finish(task, state)
  local owner = task.group
  task.state = state
  owner.tasks[task] = nil
  owner.live = owner.live - 1
  local watchers = task.watchers
  task.watchers, task.awaited_by = NOBODY, NOBODY
  for _, waiter in ipairs(watchers) do
    loop.signal(waiter)
  end
  if owner.live == 0 and owner.waiter then
    loop.signal(owner.waiter)
  end
  if state == "failed" and not task.observed then -- last, for it needs memory
    owner.failures[#owner.failures + 1] = task
    update_failure(owner)
  end
end

-- Goes on with a task, and takes note of whether it waits, or how it has ended.
local function go_on(task, before)
  local results = table.pack(coroutine.resume(task.co))
  current = before
  if coroutine.status(task.co) == "suspended" then
    if task.cancelling then
      task:cancel()
    elseif not loop.is_park(results[2]) then
      table.insert(task.group.later, task) -- a plain coroutine.yield: others first
    end
  elseif results[1] then
    task.values = table.pack(table.unpack(results, 2, results.n))
    finish(task, "done")
  else
    -- its to-be-closed variables are still open, and may raise in their turn
    task.ending = true
    task.frames = trace.of(task.co, results[2]) or false
    local closed, err = coroutine.close(task.co)
    if closed then
      err = results[2]
    end
    task.error = err
    finish(task, "failed")
  end
end

-- Runs a task until it waits or ends. Where there is no memory to take note of what came of it, the task fails by that,
-- rather than stay pending for ever. What a hook raises here, such as lua.c's at Ctrl-C, is not the task's: whoever drives
-- is to stop.
local function resume(task)
  local before = current
  current = task
  local ok, err = pcall(go_on, task, before)
  current = before
  if ok then
    return
  elseif task.state ~= "pending" then
    error(err, 0) -- a host could not be told
  end
  local interrupted = err ~= "not enough memory"
  if interrupted and coroutine.status(task.co) == "suspended" then
    task:make_ready() -- what it waits for may have gone unnoticed, and waits bear to be looked at too often
    error(err, 0)
  end
  task.ending = true
  coroutine.close(task.co)
  task.error = err
  finish(task, "failed")
  if interrupted then
    error(err, 0)
  end
end

--- Starts a task; it runs when the group is driven.
---@param f function
---@param ... any its arguments
---@return LlamaCloud.Task
function Group:spawn(f, ...)
  local arguments = table.pack(...)
  local task = setmetatable({
    group = self,
    state = "starting",
    queued = true,
    observed = false,
    values = false, -- here already, so that nothing needs memory when it is set
    error = false,
    frames = false,
    ending = false,
    cancelling = false,
    watchers = {},
    awaited_by = {},
    co = coroutine.create(function()
      return f(table.unpack(arguments, 1, arguments.n))
    end),
  }, Task)
  -- whatever of this fails for lack of memory, what was done before it does no harm
  loop.tasks[task.co] = task
  self[self.last + 1] = task
  self.tasks[task] = true
  self.last = self.last + 1
  self.live = self.live + 1
  task.state = "pending"
  wake_driver(self)
  return task
end

--- Runs the tasks that can go on, each once, until the deadline.
---@param deadline? number
function Group:turn(deadline)
  local till = self.last
  while self.first <= till and self.first <= self.last do -- a turn inside this one may have emptied the queue
    local task = self[self.first]
    self[self.first] = nil
    self.first = self.first + 1
    task.queued = false
    if task.state == "pending" and not task.ending then
      resume(task)
      if deadline and loop.now() >= deadline then
        break
      end
    end
  end
  if self.first > self.last then
    self.first, self.last = 1, 0
  end
end

--- Lets those go on that let the others go first.
function Group:readmit()
  local later = self.later
  if later[1] then
    self.later = {}
    for _, task in ipairs(later) do
      task:make_ready()
    end
  end
end

--- Whether a task can go on.
---@return boolean
function Group:is_ready()
  return self.first <= self.last
end

-- Makes sure that a group which nobody drives any more is driven: by another of those who wait; the root by its host, or
-- by step(), too, for those who wait may all be tasks of its own.
local drive_root
local function hand_over(self)
  local standby = self.standby
  self.standby = {}
  for waiter in pairs(standby) do -- all of them: some may have been dropped by their host
    loop.signal(waiter)
  end
  if self == root then
    drive_root()
  end
end

-- The mark of the driver: taken away however it leaves, even if its host drops it.
local driver_mt = {}

function driver_mt.__close(mark)
  local self = mark.group
  if self.driven == mark.number then
    self.driven, self.driver, self.waiter = false, false, nil
    hand_over(self)
  end
end

driver_mt.__gc = driver_mt.__close

local drivers = 0

-- Drives the group until done() is true. Returns what that has held up.
local function lead(self, done)
  local held_up
  drivers = drivers + 1
  local mark <close> = setmetatable({ group = self, number = drivers }, driver_mt)
  self.driven, self.driver = mark.number, current or false
  local deadline = loop.now() + SLICE
  while not done() do
    self:turn(deadline)
    if not done() then
      self:readmit()
      if not self:is_ready() then
        local waiter <close> = loop.waiter()
        self.waiter = waiter
        held_up = loop.suspend(waiter) or held_up
        self.waiter = nil
        deadline = loop.now() + SLICE
      elseif loop.now() >= deadline then
        loop.sleep(0)
        deadline = loop.now() + SLICE
      end
    end
  end
  return held_up
end

-- The place of one who waits for the driver, or for a task.
local place_mt = {
  __close = function(place)
    place.group.standby[place.waiter] = nil
    local watchers = place.task and place.task.watchers or {}
    for i = #watchers, 1, -1 do
      if watchers[i] == place.waiter then
        table.remove(watchers, i)
      end
    end
  end,
}

-- Waits until a task ends, or until the driver leaves. Returns what that has held up.
local function stand_by(self, done, task)
  local waiter <close> = loop.waiter()
  local place <close> = setmetatable({ group = self, waiter = waiter, task = task }, place_mt) -- luacheck: ignore place
  waiter.group, waiter.done = self, done
  self.standby[waiter] = true
  if task then
    table.insert(task.watchers, waiter)
  end
  return loop.suspend(waiter)
end

-- Whether the running task goes on only if the group is driven: it is one of the group's, or of a group that such a one
-- drives.
local function is_inside(self)
  local task = current
  while task and task.group ~= self do
    task = task.group.driver
  end
  return task
end

--- Drives the group until done() is true; one at a time does, the others wait for their turn. A task of its own never
--- does: it would wait for itself.
---@param done fun(): boolean
---@param task? LlamaCloud.Task whose end may make done() true
---@return string? held_up what stood still meanwhile, as loop.suspend returns it
function Group:drive(done, task)
  local held_up
  while not done() do
    if self.driven or is_inside(self) then
      held_up = stand_by(self, done, task) or held_up
    else
      held_up = lead(self, done) or held_up
    end
  end
  return held_up
end

--- Drives the group until all of its tasks have ended.
function Group:finish()
  self.finisher = current
  self:drive(function()
    return self.live == 0
  end)
  self.finisher = nil
end

--- Cancels the tasks that have not ended.
function Group:close()
  while true do
    local task = next(self.tasks)
    if not task then
      break
    end
    task:cancel()
    if task.state == "pending" then
      self.tasks[task] = nil -- it is running: it ends when it waits next
    end
  end
end

Group.__close = Group.close

-- Raises, at the place of the caller's caller, where a method was called with a dot.
local function check_task(task, method)
  if getmetatable(task) ~= Task then
    error(("call the methods of a task with a colon: task:%s()"):format(method), 3)
  end
end

--- Ends the task where it waits: what it has declared to-be-closed is closed, its requests are cancelled. A task that has
--- ended stays as it is; one that is running (it cancels itself) ends when it waits next.
function Task:cancel()
  check_task(self, "cancel")
  if self.state ~= "pending" or self.ending then
    return
  end
  if coroutine.status(self.co) ~= "suspended" then
    self.cancelling = true
    return
  end
  local err = errors.new { kind = "cancelled", message = "the task was cancelled", cause = false } -- first, for it needs memory
  self.ending, self.error = true, err
  local ok, cause = coroutine.close(self.co)
  err.cause = not ok and cause or nil
  finish(self, "cancelled")
end

-- Whether `task` can end only after `other` has.
local function depends(task, other)
  local found = { other }
  local seen = { [other] = true }
  local function add(it)
    if it and it.state == "pending" and not seen[it] then
      seen[it] = true
      found[#found + 1] = it
    end
  end
  for _, it in ipairs(found) do
    if it == task then
      return true
    end
    add(it.group.finisher)
    for waiting in pairs(it.awaited_by) do
      add(waiting)
    end
  end
  return false
end

--- Waits until the task has ended. Drives it, if it is one of step()'s and nobody else does.
---@return any ... what its function returned; or nil and what it raised (an error of kind "cancelled" if it was cancelled)
function Task:result()
  check_task(self, "result")
  if self.state == "pending" then
    local by = current
    if self == by then
      error("a task cannot wait for itself", 2)
    elseif by and depends(self, by) then
      error("deadlock: that task waits for this one", 2)
    end
    self.observed = true
    if by then
      self.awaited_by[by] = true
    end
    self.group:drive(function()
      return self.state ~= "pending"
    end, self)
  else
    self.observed = true
    update_failure(self.group)
  end
  if self.state == "done" then
    return table.unpack(self.values, 1, self.values.n)
  end
  return nil, self.error
end

--- "pending", "done", "failed" or "cancelled".
---@return "pending"|"done"|"failed"|"cancelled"
function Task:status()
  check_task(self, "status")
  return self.state
end

function Task:__tostring()
  return ("llama_cloud.task (%s)"):format(self.state)
end

--- Raises what the group's first failed task raised, once.
---@param owner LlamaCloud.Group
function group.raise_failure(owner)
  local failed = owner.failure
  if failed then
    failed.observed = true
    update_failure(owner)
    trace.raise(failed.error, failed.frames)
  end
end

-- Starts a coroutine of the host that drives the root; without a host, step() does.
drive_root = function()
  if root.driven or starting[1] or root.live == 0 and not root.failure then
    return
  end
  local function start()
    loop.sleep(0) -- a task begins after spawn has returned
    starting[1] = nil
    root:drive(function()
      return root.live == 0 or root.failure ~= nil
    end)
    group.raise_failure(root)
  end
  starting[1] = start
  if not loop.spawn_in_host(start) then
    starting[1] = nil
    attend_root()
  end
end

--- The group of the task that is running; the root's, outside of all.
---@return LlamaCloud.Group
function group.current()
  return current and current.group or root
end

--- Starts a task in the group that is running; outside of all, in the one that the host or step() drives.
---@param f function
---@param ... any its arguments
---@return LlamaCloud.Task
function group.spawn(f, ...)
  local owner = group.current()
  local task = owner:spawn(f, ...)
  if owner == root then
    drive_root()
  end
  return task
end

--- Runs f as a task, with all that it spawns, until the last of them has ended; then raises what the first failed one
--- raised.
---@param f function
---@param ... any its arguments
---@return any ... what f returned
function group.run(f, ...)
  local own <close> = group.new()
  local task = own:spawn(f, ...)
  own:finish()
  group.raise_failure(own)
  if task.state == "done" then
    return table.unpack(task.values, 1, task.values.n)
  end
  return nil, task.error
end

-- The mark of step().
local step_mark = setmetatable({}, {
  __close = function()
    stepping = stepping - 1
    attend_root()
  end,
})

--- Does what can be done without waiting, for at most `budget` seconds, for the tasks spawned outside of every group; one
--- that yields by itself goes on at the next step. Raises what the first of them that failed has raised.
---@param budget? number
---@return integer live how many of them have not ended
function group.step(budget)
  local deadline = budget and loop.now() + budget
  local mark <close> = step_mark -- luacheck: ignore mark
  stepping = stepping + 1
  if knock then
    knock:close()
    knock = nil
  end
  repeat
    loop.dispatch()
    if root.driven then
      break
    end
    root:turn(deadline)
  until not root:is_ready() or deadline and loop.now() >= deadline
  root:readmit()
  group.raise_failure(root)
  return root.live
end

return group

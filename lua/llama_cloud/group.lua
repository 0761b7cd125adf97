--- Groups: the one scheduler. A group owns tasks (coroutines of ours); whoever drives it waits for all of them as one
--- waiter, in whatever host it lives, or blocks. Groups nest: the driver may itself be a task of another group.

local errors = require("llama_cloud.errors")
local loop = require("llama_cloud.loop")

local group = {}

local current -- the task that is running

---@class LlamaCloud.Task
---@field private group LlamaCloud.Group
---@field private co thread
---@field private state "pending"|"done"|"failed"|"cancelled"
---@field private values? table what the function returned
---@field private error? any what it raised
---@field private queued boolean
---@field private observed boolean somebody has asked for the result, and so knows of a failure
---@field private watchers LlamaCloud.Waiter[] who waits for its end
local Task = {}
Task.__index = Task
Task.__name = "llama_cloud.task"

---@class LlamaCloud.Group
---@field private tasks table<LlamaCloud.Task, true> those that have not ended
---@field private live integer how many
---@field private first integer the queue of tasks that can go on
---@field private last integer
---@field private waiter? LlamaCloud.Waiter of the driver, while it waits
---@field private driven boolean
---@field private standby table<LlamaCloud.Waiter, true> who would drive if the driver left
---@field failure? LlamaCloud.Task the first that failed, unless its result was asked for
local Group = {}
Group.__index = Group

--- Makes a group; to be declared `<close>`: leaving it cancels its tasks.
---@return LlamaCloud.Group
function group.new()
  return setmetatable({ tasks = {}, live = 0, first = 1, last = 0, driven = false, standby = {} }, Group)
end

--- Puts the task into the queue of those that can go on; loop.signal calls this.
function Task:make_ready()
  if self.queued or self.state ~= "pending" then
    return
  end
  self.queued = true
  local owner = self.group
  owner.last = owner.last + 1
  owner[owner.last] = self
  if owner.waiter then
    loop.signal(owner.waiter)
  end
end

-- Ends a task and wakes whoever waits for that.
local function finish(task, state)
  local owner = task.group
  task.state = state
  owner.tasks[task] = nil
  owner.live = owner.live - 1
  if state == "failed" and not task.observed and not owner.failure then
    owner.failure = task
  end
  for _, waiter in ipairs(task.watchers) do
    loop.signal(waiter)
  end
  task.watchers = {}
  if owner.live == 0 and owner.waiter then
    loop.signal(owner.waiter)
  end
end

-- Runs a task until it waits or ends.
local function resume(task)
  local before = current
  current = task
  local results = table.pack(coroutine.resume(task.co))
  current = before
  if coroutine.status(task.co) == "suspended" then
    if task.cancelling then
      task:cancel()
    elseif not loop.is_park(results[2]) then
      task:make_ready() -- a plain coroutine.yield: others first
    end
  elseif results[1] then
    task.values = table.pack(table.unpack(results, 2, results.n))
    finish(task, "done")
  else
    task.traceback = debug.traceback(task.co)
    -- its to-be-closed variables are still open, and may raise in their turn
    local _, err = coroutine.close(task.co)
    task.error = err
    finish(task, task.cancelling and "cancelled" or "failed")
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
    state = "pending",
    queued = false,
    observed = false,
    watchers = {},
    co = coroutine.create(function()
      return f(table.unpack(arguments, 1, arguments.n))
    end),
  }, Task)
  loop.tasks[task.co] = task
  self.tasks[task] = true
  self.live = self.live + 1
  task:make_ready()
  return task
end

--- Runs the tasks that can go on, each once, until the deadline.
---@param deadline? number
function Group:turn(deadline)
  local till = self.last
  while self.first <= till do
    local task = self[self.first]
    self[self.first] = nil
    self.first = self.first + 1
    task.queued = false
    if task.state == "pending" then
      resume(task)
      if deadline and loop.now() >= deadline then
        return
      end
    end
  end
end

--- Whether a task can go on.
---@return boolean
function Group:is_ready()
  return self.first <= self.last
end

-- The mark of the driver: taken away however it leaves; then another of those who wait takes over.
local driver_mt = {
  __close = function(mark)
    local self = mark.group
    self.driven = false
    self.waiter = nil
    local successor = next(self.standby)
    if successor then
      self.standby[successor] = nil
      loop.signal(successor)
    end
  end,
}

--- Drives the group until done() is true; one at a time does, the others wait for their turn.
---@param done fun(): boolean
---@param task? LlamaCloud.Task whose end may make done() true
function Group:drive(done, task)
  while not done() do
    if self.driven then
      local waiter <close> = loop.waiter()
      self.standby[waiter] = true
      if task then
        task.watchers[#task.watchers + 1] = waiter
      end
      loop.suspend(waiter)
      self.standby[waiter] = nil
    else
      self.driven = true
      local mark <close> = setmetatable({ group = self }, driver_mt) -- luacheck: ignore mark
      while not done() do
        self:turn()
        if not done() and not self:is_ready() then
          local waiter <close> = loop.waiter()
          self.waiter = waiter
          loop.suspend(waiter)
          self.waiter = nil
        end
      end
    end
  end
end

--- Drives the group until all of its tasks have ended.
function Group:finish()
  self:drive(function()
    return self.live == 0
  end)
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

--- Ends the task where it waits: what it has declared to-be-closed is closed, its requests are cancelled. A task that has
--- ended stays as it is; one that is running (it cancels itself) ends when it waits next.
function Task:cancel()
  if self.state ~= "pending" then
    return
  end
  local status = coroutine.status(self.co)
  if status == "suspended" then
    local ok, err = coroutine.close(self.co)
    self.error = errors.new({ kind = "cancelled", message = "the task was cancelled" })
    if not ok then
      self.error.cause = err
    end
    finish(self, "cancelled")
  else
    self.cancelling = true
  end
end

--- Waits until the task has ended. Drives it, if it is one of step()'s and nobody else does.
---@return any ... what its function returned; or nil and what it raised (an error of kind "cancelled" if it was cancelled)
function Task:result()
  if self == current then
    error("a task cannot wait for itself", 2)
  end
  self.observed = true
  if self.group.failure == self then
    self.group.failure = nil
  end
  self.group:drive(function()
    return self.state ~= "pending"
  end, self)
  if self.state == "done" then
    return table.unpack(self.values, 1, self.values.n)
  end
  return nil, self.error
end

--- "pending", "done", "failed" or "cancelled".
---@return "pending"|"done"|"failed"|"cancelled"
function Task:status()
  return self.state
end

function Task:__tostring()
  return ("llama_cloud.task (%s)"):format(self.state)
end

local root = group.new() -- of what is spawned outside of every group; step() drives it
local knock -- a timer that makes the descriptor readable when a task of the root can go on

--- The group of the task that is running; the root's, outside of all.
---@return LlamaCloud.Group
function group.current()
  return current and current.group or root
end

--- Starts a task in the group that is running; outside of all, in the one that step() drives.
---@param f function
---@param ... any its arguments
---@return LlamaCloud.Task
function group.spawn(f, ...)
  local owner = group.current()
  local task = owner:spawn(f, ...)
  if owner == root and not root.driven then
    local function drive_root()
      root:finish()
      group.raise_failure(root)
    end
    if not loop.spawn_in_host(drive_root) and not knock then
      knock = loop.transport():timer(0)
    end
  end
  return task
end

--- Raises what the group's first failed task raised, once.
---@param owner LlamaCloud.Group
function group.raise_failure(owner)
  local failed = owner.failure
  if failed then
    owner.failure = nil
    error(failed.error, 0)
  end
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

--- Does what can be done without waiting, for at most `budget` seconds, for the tasks spawned outside of every group.
--- Raises what the first of them that failed has raised, when all that could go on has gone on.
---@param budget? number
---@return integer live how many of them have not ended
function group.step(budget)
  local deadline = budget and loop.now() + budget
  knock = nil
  repeat
    loop.dispatch()
    if root.driven then
      break
    end
    root:turn(deadline)
  until not root:is_ready() or deadline and loop.now() >= deadline
  if root:is_ready() and not root.driven then
    knock = loop.transport():timer(0)
  end
  group.raise_failure(root)
  return root.live
end

return group

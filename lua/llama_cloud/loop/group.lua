--- Groups and tasks, which are the core's (src/lua_group.c, src/lua_task.c): a group owns tasks, coroutines of ours; whoever
--- waits for the group runs them, in whatever host he lives, or blocking. Groups nest.

local loop = require("llama_cloud.loop")

local engine, root = loop.engine, loop.root
local stderr = io and io.stderr -- here, for an application may take them away later

local stepped = false -- whether the program steps, or has asked for what its own loop watches
local watch -- for tasks that nobody runs; it goes when the program ends

-- Told where a program ends with tasks that it has spawned outside of everything that runs them: else it would end without
-- a word, and nothing done.
local function tell_of_forgotten()
  local live = root:live()
  if live > 0 and not stepped and stderr then
    stderr:write(
      ("llama_cloud: tasks that nothing runs have not ended (%d of them): call llama_cloud.spawn inside "):format(live),
      "llama_cloud.run(function() … end), or call llama_cloud.step() until it returns 0\n"
    )
  end
end

local group = {}

---@class LlamaCloud.Task
---@field result fun(self: LlamaCloud.Task): any ... waits until the task has ended, and returns what its function returned, or nil and what it raised; of a cancelled task, an error of the kind `cancelled`. If you call it, `run` does not raise the task's error
---@field cancel fun(self: LlamaCloud.Task) ends the task where it waits, and its requests; its to-be-closed variables are closed. A task that cancels itself ends when it waits next; one that has ended stays as it is
---@field status fun(self: LlamaCloud.Task): "pending"|"done"|"failed"|"cancelled" how far the task is

---@class LlamaCloud.Group to be declared `<close>`: leaving it cancels its tasks
---@field spawn fun(self: LlamaCloud.Group, f: function, ...: any): LlamaCloud.Task starts a task, which runs when the group is driven
---@field drive fun(self: LlamaCloud.Group, done?: fun(): any): string? runs the tasks until done() is true, or none is left; what that has held up, as loop.await returns it
---@field notify fun(self: LlamaCloud.Group) those who drive it look again whether done() is true
---@field close fun(self: LlamaCloud.Group) cancels the tasks that have not ended
---@field live fun(self: LlamaCloud.Group): integer how many have not ended
---@field failed fun(self: LlamaCloud.Group): boolean whether one has failed whose result nobody has asked for
---@field raise fun(self: LlamaCloud.Group) raises what the first of those has raised, once

--- Makes a group.
---@return LlamaCloud.Group
function group.new()
  return engine:group()
end

--- Starts a task in the group that is running; outside of all, in the one that the host or step() drives.
---@param f function
---@param ... any its arguments
---@return LlamaCloud.Task
function group.spawn(f, ...)
  local owner = engine:current()
  if owner ~= root or loop.drive_root() then -- first, for the host may refuse
    return owner:spawn(f, ...)
  end
  local task = owner:spawn(f, ...)
  watch = watch or setmetatable({}, { __gc = tell_of_forgotten }) -- later than what ends tasks, so that it comes before
  return task
end

--- Runs f as a task, with all that it spawns, until the last of them has ended; then raises what the first failed one
--- raised.
---@param f function
---@param ... any its arguments
---@return any ... what f returned
function group.run(f, ...)
  return engine:run(f, ...)
end

--- Does what can be done without waiting, for at most `budget` seconds, for the tasks spawned outside of every group; one
--- that yields by itself goes on at the next step. Raises what the first of them that failed has raised.
---@param budget? number
---@return integer live how many of them have not ended
function group.step(budget)
  stepped = true
  return engine:step(budget)
end

--- The descriptor that is readable when `step` has work.
---@return integer
function group.pollfd()
  stepped = true
  return loop.transport():fd()
end

return group

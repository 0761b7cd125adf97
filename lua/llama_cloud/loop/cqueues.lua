--- Host: cqueues. A coroutine is parked on a condition; one coroutine of the controller watches the descriptor.

local auxlib = require("cqueues.auxlib")
local condition = require("cqueues.condition")
local cqueues = require("cqueues")

local host = {}

local weak_keys = { __mode = "k" }
local weak_values = { __mode = "v" }
local conditions = setmetatable({}, weak_keys) -- coroutine -> its condition
local watchers = setmetatable({}, weak_keys) -- controller -> descriptor -> watcher

-- Whether the application has replaced coroutine.resume and wrap by those of cqueues, which pass a wait on.
local function passes_on()
  return coroutine.wrap == auxlib.wrap and coroutine.resume == auxlib.resume
end

function host.running()
  return cqueues.running() ~= nil
end

function host.current(co)
  local controller, direct = cqueues.running()
  if controller and (direct or passes_on()) then
    local handle = conditions[co]
    if not handle then
      handle = condition.new()
      conditions[co] = handle
    end
    return handle, controller
  end
end

function host.park(handle)
  handle:wait()
end

function host.wake(handle)
  handle:signal()
end

-- Calls on_readable while the descriptor is readable, until the watcher is stopped, or nobody waits: whoever wanted it may
-- have been left by an error before he could wait, or stop it. What on_readable raises comes out of the controller's loop,
-- and the watcher goes on.
local function attend(watcher, fd, controller)
  local readable = { pollfd = fd, events = "r" }
  while not watcher.stopped and watcher.wanted() do
    cqueues.poll(readable, watcher.changed)
    if not watcher.stopped then
      local ok, err = pcall(watcher.on_readable)
      if not ok then
        controller:wrap(error, err, 0)
      end
    end
  end
  watcher.stopped = true
end

-- Whether a watcher's coroutine still goes on.
local function is_alive(watcher)
  local co = watcher.coroutine[1]
  return co ~= nil and coroutine.status(co) ~= "dead"
end

-- A watcher that is stopped and wanted again before it has run goes on: stopping and starting in one turn is common.
function host.watch(fd, on_readable, controller, wanted)
  local of_controller = watchers[controller]
  if not of_controller then
    of_controller = {}
    watchers[controller] = of_controller
  end
  local watcher = of_controller[fd]
  if watcher and is_alive(watcher) then
    watcher.stopped, watcher.on_readable, watcher.wanted = false, on_readable, wanted
  else
    watcher = { stopped = false, changed = condition.new(), on_readable = on_readable, wanted = wanted }
    local co = coroutine.create(function()
      attend(watcher, fd, controller)
    end)
    watcher.coroutine = setmetatable({ co }, weak_values) -- it holds the controller, which the application may drop
    controller:attach(co)
    of_controller[fd] = watcher -- once there is a coroutine for it
  end
  return function()
    if not watcher.stopped then
      watcher.stopped = true
      cqueues.cancel(fd) -- the controller's epoll must forget the descriptor, or it is polled for ever
      watcher.changed:signal()
    end
  end, function()
    return not watcher.stopped and is_alive(watcher)
  end
end

--- Starts f in a coroutine of the controller that runs this code.
---@param f fun()
---@return boolean started false when none does
function host.spawn(f)
  local controller = cqueues.running()
  if controller then
    controller:wrap(f)
  end
  return controller ~= nil
end

return host

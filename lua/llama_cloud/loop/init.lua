--- Who waits for what. The transport hands out tokens (transfers and timers); a token has one waiter, and ends once.
---
--- A waiter is parked where it lives: as a task of a group (group.lua), as a coroutine of somebody's event loop (a host,
--- loop/*.lua), or, where it cannot be suspended, by blocking the thread. Whoever steps the transport marks the waiters
--- of what has ended; none is ever resumed from there.

local later = require("llama_cloud.base.later")
local core = require("llama_cloud.core")
local trace = later.require("llama_cloud.base.trace")

local modules, require = package.loaded, require -- here, for an application may take them away later

local loop = {}

---@class LlamaCloud.Host an event loop of somebody else's
---@field current fun(co: thread): any, any a handle if it can park the running coroutine co, and a scope: what watches for it (nil where there is one loop); nil if it cannot
---@field park fun(handle: any) suspends the coroutine until it is woken; may return early
---@field wake fun(handle: any) marks it runnable, and does not resume it here and now; once per park
---@field watch fun(fd: integer, on_readable: fun(), scope: any): fun(), (fun(): boolean)? calls on_readable() while fd is readable; returns what ends that, and, where the application can end it too, what tells whether it still does
---@field spawn? fun(f: fun()): any starts a coroutine that it can park; false if it cannot now
---@field running? fun(): boolean whether its loop is running this code, parkable or not

---@class LlamaCloud.Waiter
---@field ready boolean
---@field token? table what it waits for, unless it waits for a group or a task
---@field task? table where it is parked
---@field host? LlamaCloud.Host where it is parked
---@field handle? any
---@field parked? boolean
---@field watch? table the watch that it counts for
---@field group? LlamaCloud.Group whose tasks may run here if this thread blocks
---@field done? fun(): boolean what the waiter waits for, if it has a group
---@field call? fun() of an alarm

local transport -- one for the whole Lua state, made at first use
local waiters = {} -- token -> waiter; keeps both alive until the token ends
local weak_keys = { __mode = "k" }
local wrapped = setmetatable({}, weak_keys) -- coroutine of loop.wrap -> true while it runs
local watches = setmetatable({}, weak_keys) -- scope -> { count, unwatch, alive }
local chosen -- the host of use_loop
local recognisable = { "cqueues", "copas" } -- these say themselves which coroutines are theirs
local recognised = {} -- those of them that the application has loaded

--- Coroutine of a group -> its task; filled by group.lua.
loop.tasks = setmetatable({}, weak_keys)

--- Called when a thread that was blocked goes on; set by group.lua.
function loop.on_unblocked() end

--- Whether there are tasks that stand still while the running one blocks the thread; set by group.lua.
---@return boolean
function loop.holds_up_tasks()
  return false
end

local PARK = {} -- what is yielded to park

--- The transport that all clients share.
---@return table
function loop.transport()
  if not transport then
    transport = core.transport()
  end
  return transport
end

--- Seconds of the monotonic clock.
---@return number
function loop.now()
  return core.now()
end

-- A waiter that waits no longer does not count for its watch; with the last one, the watch ends, so that the host's own
-- loop can end.
local function leave(waiter)
  local watch = waiter.watch
  if not watch then
    return
  end
  waiter.watch = nil
  watch.count = watch.count - 1
  if watch.count == 0 then
    local unwatch = watch.unwatch
    watch.unwatch = nil
    unwatch()
  end
end

local waiter_mt = {
  __close = function(waiter)
    leave(waiter)
    if waiter.token and waiters[waiter.token] == waiter then
      waiters[waiter.token] = nil
    end
    waiter.ready = true -- nobody is to wake it any more
  end,
}

--- Makes a waiter; to be declared `<close>`.
---@return LlamaCloud.Waiter
function loop.waiter()
  return setmetatable({ ready = false }, waiter_mt)
end

--- Marks a waiter as ready, wherever it is parked. Runs nothing.
---@param waiter LlamaCloud.Waiter
function loop.signal(waiter)
  if waiter.ready then
    return
  end
  waiter.ready = true
  if waiter.task then
    waiter.task:make_ready()
  elseif waiter.call then
    waiter.call()
  elseif waiter.parked then
    waiter.parked = false
    waiter.host.wake(waiter.handle)
  end
  leave(waiter) -- last: it calls into the host, and whatever goes wrong there, the waiter must wake
end

--- Steps the transport and signals the waiters of everything that has ended.
function loop.dispatch()
  if not transport or not transport:step() then
    return
  end
  for token in transport.next, transport do
    local waiter = waiters[token]
    if waiter then
      waiters[token] = nil
      loop.signal(waiter)
    end
  end
end

--- Whether what a coroutine has yielded is a wait of this module's.
---@param value any
---@return boolean
function loop.is_park(value)
  return value == PARK
end

-- The hosts that recognise their coroutines. A host is one of them from when the application has loaded its library.
local function hosts()
  for _, name in ipairs(recognisable) do
    if modules[name] and not recognised[name] then
      local host = require("llama_cloud.loop." .. name)
      recognised[name] = host
      recognised[#recognised + 1] = host
    end
  end
  return recognised
end

-- The host that can park coroutine co, its handle and its scope; the chosen one is asked first.
local function find_host(co)
  if chosen then
    local handle, scope = chosen.current(co)
    if handle then
      return chosen, handle, scope
    end
  end
  for _, host in ipairs(hosts()) do
    local handle, scope = host.current(co)
    if handle then
      return host, handle, scope
    end
  end
end

-- What watches the descriptor in a scope. Where the application has ended that (by closing all handles, say), it is made
-- again for those who still wait.
local function watch_in(host, scope)
  local watch = watches[scope]
  if not watch then
    watch = { count = 0 }
    watches[scope] = watch
  end
  if not watch.unwatch or watch.alive and not watch.alive() then
    watch.unwatch, watch.alive = host.watch(loop.transport():fd(), loop.dispatch, scope)
  end
  return watch
end

local function park_in_host(waiter, host, handle, scope)
  local watch = watch_in(host, scope or host)
  watch.count = watch.count + 1
  waiter.host, waiter.handle, waiter.watch = host, handle, watch
  while not waiter.ready do
    waiter.parked = true
    host.park(handle)
    waiter.parked = false
  end
end

-- Whether some event loop is held up if this thread blocks now.
local function under_host()
  if chosen and chosen.running and chosen.running() then
    return true
  end
  for _, host in ipairs(hosts()) do
    if host.running and host.running() then
      return true
    end
  end
  return false
end

-- Blocks this thread until the waiter is ready. What ends meanwhile is handed to its waiters, who run when their hosts
-- get control. Only the tasks of the group that the waiter waits for can run here. What is held up, if anything is.
local function block(waiter)
  local held_up = under_host() and "the event loop" or loop.holds_up_tasks() and "other tasks" or nil
  local owner = waiter.group
  if owner then
    owner:readmit()
  end
  while not waiter.ready do
    if owner and owner:is_ready() then
      owner:turn()
      owner:readmit()
      loop.dispatch() -- tasks that yield by themselves can always go on
      waiter.ready = waiter.ready or waiter.done()
    elseif loop.transport():count() == 0 then
      error("deadlock: every task waits for another, and no request or timer is under way", 0)
    else
      transport:wait()
      loop.dispatch()
    end
  end
  loop.on_unblocked()
  return held_up
end

--- Suspends the caller until its waiter is signalled.
---@param waiter LlamaCloud.Waiter
---@return string? held_up what stood still meanwhile, because the caller could not be suspended: "the event loop", "other tasks"
function loop.suspend(waiter)
  if not coroutine.isyieldable() then
    return block(waiter)
  end
  local co = coroutine.running()
  if wrapped[co] then
    local held_up
    while not waiter.ready do
      held_up = coroutine.yield(PARK, waiter) -- whoever has called the generator waits in its place
    end
    return held_up
  end
  local task = loop.tasks[co]
  if task then
    waiter.task = task
    while not waiter.ready do
      coroutine.yield(PARK)
    end
    return
  end
  local host, handle, scope = find_host(co)
  if host then
    return park_in_host(waiter, host, handle, scope)
  end
  return block(waiter)
end

--- Waits until a token has ended.
---@param token table
---@return string? held_up what stood still meanwhile, because the caller could not be suspended: "the event loop", "other tasks"
function loop.await(token)
  if token:done() then
    return
  end
  local waiter <close> = loop.waiter()
  waiter.token = token
  waiters[token] = waiter
  return loop.suspend(waiter)
end

--- Waits for a time.
---@param seconds number
function loop.sleep(seconds)
  local timer <close> = loop.transport():timer(seconds)
  loop.await(timer)
end

--- Calls f when a time has passed, from whatever steps the transport then. f does bookkeeping: it may end tokens, but never
--- waits, and runs nothing of the application's.
---@param seconds number
---@param f fun()
---@return table alarm
function loop.alarm(seconds, f)
  local alarm = loop.transport():timer(seconds)
  waiters[alarm] = { ready = false, call = f }
  return alarm
end

--- Ends an alarm; it is not called.
---@param alarm table
function loop.drop_alarm(alarm)
  waiters[alarm] = nil
  alarm:close()
end

-- What a generator leaves however the caller does: one that is closed while the generator waits closes that too.
local guard_mt = {
  __close = function(guard)
    wrapped[guard.co] = nil
    if guard.waiting then
      guard.waiting = false
      local ok, err = coroutine.close(guard.co)
      if not ok then
        error(err, 0)
      end
    end
  end,
}

--- A coroutine.wrap through which waiting works: for a wait inside f the caller waits, instead of getting it as a value.
---@param f function
---@return function
function loop.wrap(f)
  local co = coroutine.create(f)
  local guard = setmetatable({ co = co, waiting = false }, guard_mt)
  local function continue(ok, ...)
    local first, waiter = ...
    if not ok then
      local frames = trace.of(co, first)
      local closed, err = coroutine.close(co)
      if closed then
        err = first -- what its to-be-closed variables raised would count
      end
      trace.raise(err, frames)
    elseif first == PARK then
      guard.waiting = true
      local held_up = loop.suspend(waiter)
      guard.waiting = false
      return continue(coroutine.resume(co, held_up))
    end
    return ...
  end
  return function(...)
    local status = coroutine.status(co)
    if status ~= "suspended" then
      error(("cannot resume a %s generator"):format(status), 2)
    elseif guard.waiting then
      error("the generator waits for something already, in another coroutine", 2)
    end
    local leaving <close> = guard -- luacheck: ignore leaving
    wrapped[co] = true
    return continue(coroutine.resume(co, ...))
  end
end

local required = { "current", "park", "wake", "watch" }

--- Chooses the event loop that cannot be recognised by itself.
---@param host? "luv"|"cqueues"|"copas"|LlamaCloud.Host nil: none
---@return LlamaCloud.Host? host the chosen one
---@return string? problem
function loop.use(host)
  if host == "luv" or host == "cqueues" or host == "copas" then
    local found, loaded = pcall(require, "llama_cloud.loop." .. host)
    if not found then
      if tostring(loaded):find(("module '%s[^']*' not found"):format(host)) then
        local sentence =
          "the Lua module %s is not installed: it is the rock %s, and on Debian and Ubuntu the package lua-%s"
        loaded = sentence:format(host, host, host)
      end
      return nil, loaded
    end
    host = loaded
  elseif type(host) == "table" then
    for _, name in ipairs(required) do
      if type(host[name]) ~= "function" then
        return nil, ("a host needs a function '%s'"):format(name)
      end
    end
  elseif host ~= nil then
    return nil, 'a host is "luv" or a table of functions; cqueues and copas are recognised by themselves'
  end
  chosen = host
  return host
end

--- Starts f in a coroutine of the chosen host, or of one that runs this code, if that can start one.
---@param f fun()
---@return boolean started
function loop.spawn_in_host(f)
  if chosen then
    return chosen.spawn ~= nil and chosen.spawn(f) ~= false
  end
  for _, host in ipairs(hosts()) do
    if host.running() then
      return host.spawn(f) ~= false
    end
  end
  return false
end

return loop

--- Who waits for what. The transport hands out tokens (transfers and timers); a token has one waiter, and ends once.
---
--- A waiter is parked where it lives: as a task of a group (group.lua), as a coroutine of somebody's event loop (a host,
--- loop/*.lua), or, where it cannot be suspended, by blocking the thread. Whoever steps the transport marks the waiters
--- of what has ended; none is ever resumed from there.

local core = require("llama_cloud.core")

local loop = {}

---@class LlamaCloud.Host an event loop of somebody else's
---@field current fun(co: thread): any, any a handle if it can park coroutine co, and a scope: what watches for it (nil where there is one loop); nil if it cannot
---@field park fun(handle: any) suspends the coroutine until it is woken; may return early
---@field wake fun(handle: any) marks it runnable, and does not resume it here and now; once per park
---@field watch fun(fd: integer, on_readable: fun(), scope: any): fun() calls on_readable() while fd is readable; returns what ends that
---@field spawn? fun(f: fun()) starts a coroutine that it can park
---@field running? fun(): boolean whether its loop is running this code, parkable or not

---@class LlamaCloud.Waiter
---@field ready boolean
---@field token? table what it waits for, unless it waits for a group or a task
---@field task? table where it is parked
---@field host? LlamaCloud.Host where it is parked
---@field handle? any
---@field parked? boolean
---@field watch? table the watch that it counts for

local transport -- one for the whole Lua state, made at first use
local waiters = {} -- token -> waiter; keeps both alive until the token ends
local weak_keys = { __mode = "k" }
local outer = setmetatable({}, weak_keys) -- coroutine of loop.wrap -> the coroutine that resumed it
local watches = setmetatable({}, weak_keys) -- scope -> { count, unwatch }
local chosen -- the host of use_loop
local recognised = {} -- hosts that say themselves which coroutines are theirs

--- Coroutine of a group -> its task; filled by group.lua.
loop.tasks = setmetatable({}, weak_keys)

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
  leave(waiter)
  if waiter.task then
    waiter.task:make_ready()
  elseif waiter.parked then
    waiter.parked = false
    waiter.host.wake(waiter.handle)
  end
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

-- Yields to whoever owns the outermost coroutine; from inside loop.wrap, by way of the coroutines between.
local function yield_out(host, handle)
  if outer[coroutine.running()] or not host then
    coroutine.yield(PARK, host, handle)
  else
    host.park(handle)
  end
end

--- Whether what a coroutine has yielded is a wait of this module's.
---@param value any
---@return boolean
function loop.is_park(value)
  return value == PARK
end

-- The hosts to be asked, the chosen one first. A host is recognised from when the application has loaded its library.
local function hosts()
  for _, name in ipairs({ "cqueues", "copas" }) do
    if package.loaded[name] and not recognised[name] then
      local host = require("llama_cloud.loop." .. name)
      recognised[name] = host
      recognised[#recognised + 1] = host
    end
  end
  return recognised
end

-- The host that can park coroutine co, its handle and its scope.
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

local function park_in_host(waiter, host, handle, scope)
  scope = scope or host
  local watch = watches[scope]
  if not watch then
    watch = { count = 0 }
    watches[scope] = watch
  end
  waiter.host, waiter.handle, waiter.watch = host, handle, watch
  watch.count = watch.count + 1
  if watch.count == 1 then
    watch.unwatch = host.watch(loop.transport():fd(), loop.dispatch, scope)
  end
  while not waiter.ready do
    waiter.parked = true
    yield_out(host, handle)
    waiter.parked = false
  end
end

local blocked_before = false

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
-- get control. True the first time that an event loop is held up by it.
local function block(waiter)
  local first = not blocked_before and under_host()
  blocked_before = blocked_before or first
  while not waiter.ready do
    if loop.transport():count() == 0 then
      error("deadlock: every task waits for another, and no request or timer is under way", 0)
    end
    transport:wait()
    loop.dispatch()
  end
  return first
end

--- Suspends the caller until its waiter is signalled.
---@param waiter LlamaCloud.Waiter
---@return boolean? blocked true when this was the first time that an event loop was held up
function loop.suspend(waiter)
  local co = coroutine.running()
  local yieldable = coroutine.isyieldable()
  while outer[co] do
    co = outer[co]
    yieldable = yieldable and coroutine.isyieldable(co)
  end
  if yieldable then
    local task = loop.tasks[co]
    if task then
      waiter.task = task
      while not waiter.ready do
        yield_out()
      end
      return
    end
    local host, handle, scope = find_host(co)
    if host then
      return park_in_host(waiter, host, handle, scope)
    end
  end
  return block(waiter)
end

--- Waits until a token has ended.
---@param token table
---@return boolean? blocked true when this was the first time that an event loop was held up
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

--- A coroutine.wrap through which waiting works: a wait inside f is passed on to whoever owns the caller, instead of
--- coming out as a value.
---@param f function
---@return function
function loop.wrap(f)
  local co = coroutine.create(f)
  local function continue(ok, ...)
    local first, host, handle = ...
    if not ok then
      coroutine.close(co)
      error(first, 0)
    elseif first == PARK then
      yield_out(host, handle)
      return continue(coroutine.resume(co))
    end
    return ...
  end
  return function(...)
    outer[co] = coroutine.running()
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
    host = require("llama_cloud.loop." .. host)
  elseif type(host) == "table" then
    for _, name in ipairs(required) do
      if type(host[name]) ~= "function" then
        return nil, ("a host needs a function '%s'"):format(name)
      end
    end
  elseif host ~= nil then
    return nil, 'a host is "luv", "cqueues", "copas" or a table of functions'
  end
  chosen = host
  return host
end

--- Starts f in a coroutine of the chosen host, if that can start one.
---@param f fun()
---@return boolean started
function loop.spawn_in_host(f)
  if chosen and chosen.spawn then
    chosen.spawn(f)
    return true
  end
  return false
end

return loop

--- Who waits for what. Readiness is kept in the core (src/lua_loop.h); here are the event loops of others, generators, and
--- what they need.
---
--- A waiter is parked where it lives: as a task of a group (group.lua), as a coroutine of somebody's event loop (a host,
--- loop/*.lua), or, where it cannot be suspended, by blocking the thread. The core makes ready who waits for what has ended;
--- hosts are told here, and resume their coroutines themselves.

local later = require("llama_cloud.base.later")
local core = require("llama_cloud.core")
local errors = later.require("llama_cloud.base.errors")
local trace = later.require("llama_cloud.base.trace")

local modules, require = package.loaded, require -- kept, because an application may remove them later

local loop = {}

---@class LlamaCloud.Host an event loop of somebody else's
---@field current fun(co: thread): any, any if the loop can suspend the running coroutine `co`, returns a handle, which is any value that stands for it; otherwise nil. If there are several loops, it also returns a scope: which of them watches for this coroutine
---@field park fun(handle: any) suspends the running coroutine until it is woken; may return early
---@field wake fun(handle: any) makes the coroutine run again soon, but not here and now. It is called once for each `park`, and once more if it has raised, by its own error or that of a debug hook
---@field watch fun(fd: integer, on_readable: fun(), scope: any, wanted: fun(): boolean): fun(), (fun(): boolean)? from now on, calls `on_readable()` whenever `fd` is readable. Returns `unwatch`, which ends this, and may be called twice. `wanted()` tells whether anybody waits. While nobody does, the watch may end by itself, or the application may end it; then it also returns `alive`, a function that tells whether the watch still works
---@field spawn? fun(f: fun()): any starts `f` in a coroutine of the loop, or returns false if it cannot now. If `f` has not begun a second later, it may be called again
---@field running? fun(): boolean tells whether the loop is running this code

---@class LlamaCloud.ParkingPlace where a coroutine is parked, or what is called when a timer ends
---@field host? LlamaCloud.Host
---@field handle? any
---@field watch? { count: integer, unwatch: (fun())?, alive: (fun(): boolean)? }
---@field call? fun() of an alarm

local weak_keys = { __mode = "k" }
local wrapped = setmetatable({}, weak_keys) -- coroutine of loop.wrap -> true while it runs
local watches = setmetatable({}, weak_keys) -- scope -> what watches there
local chosen -- the host of use_loop
local recognisable = { "cqueues", "copas" } -- these say themselves which coroutines are theirs
local recognised = {} -- those of them that the application has loaded

local PARK = {} -- what a generator yields to wait

local engine, transport, root, aside -- see core.loop

--- The transport that all clients share.
---@return table
function loop.transport()
  return transport
end

--- Seconds of the monotonic clock.
---@return number
loop.now = core.now

-- Ends a watch that counts nobody any more, so that the host's own loop can end. An error that comes between leaves it
-- `ending`: then it is ended once more, and made anew, when it is needed next.
local function unwatch(watch)
  if watch and watch.count == 0 and watch.unwatch then
    watch.ending = true
    watch.unwatch()
    watch.unwatch = nil
    watch.ending = false
  end
end

-- Wakes what is parked at a place, or calls an alarm.
local function see_to(place)
  if place.call then
    place.call()
  else
    place.host.wake(place.handle)
  end
end

-- Sees to what has become ready of hosts and alarms. Each stays the first until it has been seen to, so that an error of a
-- hook loses none. Where one fails the others come first; a host that fails twice to wake the same is left alone with it.
local function attend()
  local place = engine:first()
  while place do
    local ok, err = pcall(see_to, place)
    if ok or place.failed then
      engine:pass(place)
      unwatch(place.watch)
    else
      place.failed = not place.call
      engine:postpone(place)
    end
    if not ok then
      error(err, 0)
    end
    place = engine:first()
  end
  if engine:stranded() then
    loop.drive_root() -- whoever was to has been left by an error
  end
end

--- Steps the transport; who waits for what has ended can go on. Runs nobody.
function loop.dispatch()
  engine:dispatch()
end

-- What a host does when the descriptor is readable.
local function on_readable()
  loop.dispatch()
  if engine:stranded() and not loop.drive_root() then
    engine:leave_root()
  end
end

-- The hosts that recognise their coroutines. A host is one of them from when the application has loaded its library.
local function hosts()
  for i = 1, #recognisable do
    local name = recognisable[i]
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
    watch = { count = 0, ending = false } -- the core counts
    function watch.wanted()
      return watch.count > 0
    end
    watches[scope] = watch
  end
  if watch.ending then
    if watch.unwatch then
      watch.unwatch()
      watch.unwatch = nil
    end
    watch.ending = false
  end
  if not watch.unwatch or watch.alive and not watch.alive() then
    watch.unwatch, watch.alive = host.watch(transport:fd(), on_readable, scope, watch.wanted)
  end
  return watch
end

-- Whether some event loop is held up if this thread blocks now.
local function under_host()
  if chosen and chosen.running and chosen.running() then
    return true
  end
  local all = hosts()
  for i = 1, #all do
    if all[i].running() then
      return true
    end
  end
  return false
end

-- Where the running coroutine, which is no task, can be suspended: a place in a host, or true in a generator, whose caller
-- waits for it. Otherwise nil, and what stands still while the thread is blocked.
local function place(yieldable)
  if yieldable then
    local co = coroutine.running()
    if wrapped[co] then
      return true
    end
    local host, handle, scope = find_host(co)
    if host then
      return { host = host, handle = handle, watch = watch_in(host, scope or host), failed = false }
    end
  end
  return nil, under_host() and "the event loop" or engine:holds_up() and "other tasks" or nil
end

--- Waits until a token has ended.
---@param token table
---@return string? held_up what stood still meanwhile, because the caller could not be suspended: "the event loop", "other tasks"
function loop.await(token)
  return engine:await(token)
end

--- Waits for a time.
---@param seconds number
function loop.sleep(seconds)
  local timer <close> = transport:timer(seconds)
  engine:await(timer)
end

--- Calls f when a time has passed, from whatever steps the transport then. f does bookkeeping: it may end tokens, but never
--- waits, and runs nothing of the application's. If it raises, it is called again.
---@param seconds number
---@param f fun()
---@return table alarm alarm:close() drops it; alarm:done() tells whether its time has come
function loop.alarm(seconds, f)
  return engine:alarm(transport:timer(seconds), f)
end

--- Why the task is being cancelled whose to-be-closed variables are being closed; nil elsewhere.
---@return LlamaCloud.Error?
function loop.cancellation()
  return engine:ending((coroutine.running()))
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
    local first, what, group = ...
    if not ok then
      local frames = trace.of(co, first)
      local closed, err = coroutine.close(co)
      if closed then
        err = first -- what its to-be-closed variables raised would count
      end
      trace.raise(err, frames)
    elseif first == PARK then
      guard.waiting = true
      local held_up = engine:wait_ready(what, group)
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

local PATIENCE = 1 -- seconds for a host to begin with a coroutine; then it is given another
local given_at, begun_then = -math.huge, 0 -- when it was last given one to drive the root, and how many had begun
local given = setmetatable({}, { __mode = "v" }) -- [1]: that one's function, unless the host has dropped it

--- Sees to it that the tasks outside of every group run: by a coroutine of the host; without one, step() runs them.
---@return boolean driven
function loop.drive_root()
  local now, begun = core.now(), engine:begun()
  if root:driven() or given[1] and begun == begun_then and now - given_at < PATIENCE then
    return true
  end
  local driver = engine:root_driver()
  if loop.spawn_in_host(driver) then
    given[1], given_at, begun_then = driver, now, begun
    return true
  end
  return false
end

local _
engine, transport, root, _, aside = core.loop(PARK, {
  attend = attend,
  place = place,
  unwatch = unwatch,
  root_left = loop.drive_root,
  cancelled = function()
    return errors.new { kind = "cancelled", message = "the task was cancelled", cause = false }
  end,
  trace_of = function(co, err)
    return trace.of(co, err)
  end,
  trace_raise = function(err, frames)
    trace.raise(err, frames)
  end,
  close = coroutine.close,
})
loop.engine, loop.root, loop.aside = engine, root, aside

return loop

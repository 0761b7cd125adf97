--- Host: libuv by way of luv. libuv has no coroutines of its own, so only those started by `spawn` here (and the tasks of
--- groups) are parked; libuv's callbacks resume them.

local uv = require("luv")

local host = {}

local weak_keys = { __mode = "k" }
local handles = setmetatable({}, weak_keys) -- coroutine -> { co, woken }; only of coroutines started here
local ready = {} -- handles to be resumed
local inside = false -- on_readable is running: what it wakes is resumed right after it
local timer -- resumes what was woken elsewhere; made at first use, closed when idle

local drain

local function resume(handle, ...)
  local ok, err = coroutine.resume(handle.co, ...)
  if ok then
    return
  end
  local traceback = type(err) == "string" and debug and debug.traceback and debug.traceback(handle.co, err)
  local closed, last = coroutine.close(handle.co) -- a to-be-closed variable may raise in its turn
  if closed or last == err then
    return traceback or err
  end
  return last
end

-- The application may have closed it, with all others.
local function end_handle(handle)
  if not handle:is_closing() then
    handle:stop()
    handle:close()
  end
end

-- Raises in a callback of libuv. luv prints strings only, before it ends the process.
local function raise(err)
  local printable = getmetatable(err) and getmetatable(err).__tostring
  error(printable and tostring(err) or err, 0)
end

-- Resumes everything that was woken. An error in one must not keep the others from running; the first is raised when
-- all have run, and libuv treats it as it treats any error in a callback.
drain = function()
  if timer then
    end_handle(timer)
    timer = nil
  end
  local batch, failure = ready, nil
  ready = {}
  for _, handle in ipairs(batch) do
    if handle.woken and coroutine.status(handle.co) == "suspended" then
      handle.woken = false
      local err = resume(handle)
      failure = failure or err
    end
  end
  if failure ~= nil then
    raise(failure)
  end
end

function host.running()
  return uv.loop_mode() ~= nil
end

function host.current(co)
  return handles[co]
end

function host.park(handle)
  coroutine.yield()
  handle.woken = false
end

function host.wake(handle)
  handle.woken = true
  ready[#ready + 1] = handle
  if not inside and not (timer and not timer:is_closing()) then
    timer = assert(uv.new_timer())
    timer:start(0, 0, drain)
  end
end

function host.watch(fd, on_readable)
  local poll = assert(uv.new_poll(fd))
  poll:start("r", function()
    inside = true
    local ok, err = pcall(on_readable)
    inside = false
    drain()
    if not ok then
      raise(err)
    end
  end)
  return function()
    end_handle(poll)
  end, function()
    return not poll:is_closing()
  end
end

--- Runs f in a coroutine that can wait. It begins at once; what it raises before its first wait is raised here, later it
--- is raised out of libuv's callback.
---@param f function
---@param ... any its arguments
---@return thread
function host.spawn(f, ...)
  local handle = { co = coroutine.create(f), woken = false }
  handles[handle.co] = handle
  local err = resume(handle, ...)
  if err ~= nil then
    error(err, 0)
  end
  return handle.co
end

return host

--- Host: Copas 4. A coroutine is parked by copas.pauseforever; one Copas thread watches the descriptor, through an object
--- that looks to Copas like a socket.

local copas = require("copas")

local host = {}

local main = debug.getregistry()[1] -- LUA_RIDX_MAINTHREAD
local source = debug.getinfo(copas.step, "S").source
local parked = {} -- coroutine -> true: Copas holds those of pauseforever weakly

-- The coroutine that resumed `target`, found by walking from the main thread along what each is resuming at the moment.
-- Nil when a C function other than coroutine.resume and a coroutine.wrap function is in between.
local function resumer(target)
  local co = main
  for _ = 1, 200 do -- LUAI_MAXCCALLS bounds how deep coroutines nest
    local info = debug.getinfo(co, 0, "f")
    if not info then
      return nil
    end
    local resumed, _
    if info.func == coroutine.resume then
      _, resumed = debug.getlocal(co, 0, 1)
    else
      _, resumed = debug.getupvalue(info.func, 1)
    end
    if type(resumed) ~= "thread" then
      return nil
    elseif resumed == target then
      return co
    end
    co = resumed
  end
end

function host.running()
  return copas.running == true
end

function host.current(co)
  if not copas.pauseforever then
    return nil -- older than Copas 4: nothing can be parked in it
  end
  local by = resumer(co)
  local info = by and debug.getinfo(by, 1, "S") -- the function that called coroutine.resume
  if info and info.source == source then
    return co
  end
end

-- Lets go of the running coroutine, also when it is closed where it is parked.
local unpark = setmetatable({}, {
  __close = function()
    parked[coroutine.running()] = nil
  end,
})

function host.park(co)
  local _ <close> = unpark
  parked[co] = true
  copas.pauseforever()
end

function host.wake(co)
  if parked[co] then
    parked[co] = nil
    copas.wakeup(co)
  end
end

function host.watch(fd, on_readable)
  local ready, closed, ended = false, false, false
  -- Copas asks a "socket" to receive, waits until it is readable when that times out, and asks again.
  local socket = {
    getfd = function()
      return fd
    end,
    dirty = function()
      return false
    end,
    settimeout = function() end,
    close = function()
      closed = true
    end,
    receive = function()
      if closed then
        return nil, "closed"
      elseif ready then
        ready = false
        return true
      end
      ready = true
      return nil, "timeout"
    end,
  }
  local function attend()
    while not closed do
      ready = false
      copas.receive(socket)
      if not closed then
        on_readable()
      end
    end
  end
  copas.addthread(function()
    -- copas.cancelall drops threads
    local _ = setmetatable({}, {
      __gc = function()
        ended = true
      end,
    })
    local ok, err = pcall(attend)
    ended = true
    if not ok then
      error(err, 0)
    end
  end)
  return function()
    if not closed then
      copas.close(socket)
    end
  end, function()
    return not closed and not ended
  end
end

--- Starts f in a Copas thread.
---@param f fun()
function host.spawn(f)
  copas.addthread(f)
end

return host

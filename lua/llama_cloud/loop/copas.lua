--- Host: Copas 4. A coroutine is parked by copas.pauseforever; an object that looks to Copas like a server's socket watches
--- the descriptor.

local copas = require("copas")

local host = {}

local main = debug.getregistry()[_VERSION == "Lua 5.4" and 1 or 3] -- LUA_RIDX_MAINTHREAD
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

local servers = {} -- descriptor -> what watches it; used again, for Copas never forgets a server

-- By this, Copas tells a TCP server from a UDP one.
local like_tcp = {
  __tostring = function()
    return "tcp{server}: llama_cloud"
  end,
}

-- Copas asks a "server" to accept when it is readable. A thread that reads would not do: copas.cancelall drops threads
-- without a word.
local function new_server(fd)
  local server = { closed = true }
  function server.getfd()
    return fd
  end
  function server.dirty()
    return false
  end
  function server.settimeout() end
  function server.close()
    server.closed = true
  end
  function server.accept()
    local ok, err = pcall(server.on_readable)
    if not ok then
      copas.addthread(error, err, 0) -- where Copas reports errors, and goes on
    end
  end
  return setmetatable(server, like_tcp)
end

function host.watch(fd, on_readable)
  local server = servers[fd] or new_server(fd)
  servers[fd] = server
  server.on_readable, server.closed = on_readable, false
  copas.addserver(server, function() end)
  return function()
    if not server.closed then
      copas.removeserver(server)
    end
  end, function()
    return not server.closed
  end
end

--- Starts f in a Copas thread.
---@param f fun()
function host.spawn(f)
  copas.addthread(f)
end

return host

--- Who waits for what. The transport hands out tokens (transfers and timers); a token has one waiter, and ends once.

local core = require("llama_cloud.core")

local loop = {}

local transport -- one for the whole Lua state, made at first use
local waiters = {} -- token -> waiter; keeps both alive until the token ends

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

-- Steps the transport and marks the waiters of everything that has ended.
local function dispatch()
  if not transport:step() then
    return
  end
  for token in transport.next, transport do
    local waiter = waiters[token]
    if waiter then
      waiters[token] = nil
      waiter.ready = true
    end
  end
end

local waiter_mt = {
  __close = function(waiter)
    if not waiter.ready then
      waiters[waiter.token] = nil
    end
  end,
}

--- Waits until a token has ended. Blocks this thread; tokens of others that end meanwhile are handed to their waiters.
---@param token table
function loop.await(token)
  if token:done() then
    return
  end
  local waiter <close> = setmetatable({ token = token, ready = false }, waiter_mt)
  waiters[token] = waiter
  while not waiter.ready do
    transport:wait()
    dispatch()
  end
end

--- Waits for a time.
---@param seconds number
function loop.sleep(seconds)
  local timer <close> = loop.transport():timer(seconds)
  loop.await(timer)
end

return loop

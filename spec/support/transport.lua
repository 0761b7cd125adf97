-- What specs of the transport share.

local core = require("llama_cloud.core")
local process = require("spec.support.process")

local transport = {}

-- Nothing takes longer than this unless it hangs.
local PATIENCE = 20 * process.slowdown

--- Steps until `condition` holds. Raises after PATIENCE.
---@param t table a transport
---@param condition fun(): any
function transport.step_until(t, condition)
  local deadline = core.now() + PATIENCE
  while not condition() do
    assert(core.now() < deadline, "the transport hangs")
    t:wait(1)
    t:step()
  end
end

--- Steps until a token has ended, and takes all that have.
---@param t table
---@param token table
---@return table token
function transport.finish(t, token)
  transport.step_until(t, function()
    return token:done()
  end)
  while t:next() do
  end
  return token
end

--- Sends a request (method GET by default) and waits for its end.
---@param t table
---@param request table
---@return table transfer
function transport.send(t, request)
  request.method = request.method or "GET"
  return transport.finish(t, t:start(request))
end

--- Steps for some seconds.
---@param t table
---@param seconds number
function transport.step_for(t, seconds)
  local deadline = core.now() + seconds
  while core.now() < deadline do
    t:wait(deadline - core.now())
    t:step()
  end
end

return transport

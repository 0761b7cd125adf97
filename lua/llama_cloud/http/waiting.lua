--- How calls wait: for what client:close can cancel, and with a word in the log where that has blocked the thread.

local core = require("llama_cloud.core")
local loop = require("llama_cloud.loop")

local waiting = {}

--- Tells the log of a call that has blocked the thread, once.
---@param state LlamaCloud.State
---@param held_up? string what stood still meanwhile, as loop.await returns it
function waiting.tell_block(state, held_up)
  if held_up and not state.shared.warned then
    state.shared.warned = true
    local message = "a call held up %s: it was made where Lua cannot suspend a coroutine"
    if held_up == "other tasks" then
      message = message .. ", as inside a coroutine.wrap; llama_cloud.wrap makes generators in which calls wait"
    end
    state.log:put("warn", message:format(held_up), { traceback = debug and debug.traceback and debug.traceback() })
  end
end

--- Waits for a token; client:close cancels it.
---@param state LlamaCloud.State
---@param token table
function waiting.await(state, token)
  local in_flight = state.in_flight
  in_flight[token] = true
  local held_up = loop.await(token)
  in_flight[token] = nil
  if held_up then
    waiting.tell_block(state, held_up)
  end
end

--- Sleeps, but not past the deadline.
---@param state LlamaCloud.State
---@param seconds number
---@param deadline number
---@return boolean on false: the client was closed meanwhile, or the process forked and this is the child
function waiting.pause(state, seconds, deadline)
  local process = core.process()
  local timer <close> = loop.transport():timer(math.min(seconds, deadline - core.now()))
  waiting.await(state, timer)
  return not state.closed and core.process() == process
end

return waiting

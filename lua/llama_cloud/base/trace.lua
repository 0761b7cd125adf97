--- Where a coroutine has failed, for those who get the error somewhere else. An error in a task ends its coroutine, and
--- whoever ran the task raises it again; a traceback made there, by xpcall(run, debug.traceback) or by the interpreter, would
--- show where it was raised again, which helps nobody.

local errors = require("llama_cloud.base.errors")
local text = require("llama_cloud.base.text")

local trace = {}

local MOST_FRAMES = 20 -- debug.traceback shows as many

---@class LlamaCloud.Frame a Lua function that was running, as debug.getinfo tells
---@field source string
---@field line integer
---@field name string

--- Records where a coroutine has failed, before it is closed; an error object also gets the traceback. Nil if that cannot be
--- found out: without Lua's `debug`, which some applications remove in part, or without memory.
---@param co thread
---@param err any what it raised
---@return LlamaCloud.Frame[]? frames the innermost first
function trace.of(co, err)
  if not (debug and debug.traceback and debug.getinfo) then
    return nil
  end
  local frames = {}
  local ok, problem = pcall(function()
    if errors.is_error(err) and not err.traceback then
      err.traceback = debug.traceback(co)
    end
    for level = 0, math.huge do
      local info = #frames < MOST_FRAMES and debug.getinfo(co, level, "Sln")
      if not info then
        break
      elseif info.currentline > 0 then
        local name = info.name or ("function <%s:%d>"):format(info.short_src, info.linedefined)
        frames[#frames + 1] = { source = info.short_src, line = info.currentline, name = text.line(name, 80, "?") }
      end
    end
  end)
  if not ok and problem ~= "not enough memory" then
    error(problem, 0) -- a hook's: somebody has pressed Ctrl-C
  end
  return ok and frames or nil
end

-- A function that calls another one, which it finds in a table by name: a traceback shows the first at a line of a source,
-- and the other under that name. Its argument is a link of the chain: the table, and the argument of the other function. Nil
-- if the application has a `load` of its own that refuses.
local function stand_in(frame, name)
  local code = ("%slocal link = ... link[1][%q](link[2], 0)"):format(("\n"):rep(frame.line - 1), name)
  return load(code, "=" .. frame.source, "t", {})
end

-- The outermost of the functions that stand for frames, and its argument. Nil if they cannot be made.
local function stand_for(frames, err)
  local link, name = { { error = error }, err }, "error"
  for position, frame in ipairs(frames) do
    local f = stand_in(frame, name)
    if not f then
      return nil
    elseif position == #frames then
      return f, link
    end
    name = frame.name
    link = { { [name] = f }, link }
  end
end

--- Raises an error out of functions that stand for those in which it was raised, so that a traceback shows them.
---@param err any
---@param frames? LlamaCloud.Frame[]|false
function trace.raise(err, frames)
  if frames and frames[1] and load then
    local ok, task, link = pcall(stand_for, frames, err)
    if ok and task then
      task(link, 0)
    elseif not ok and task ~= "not enough memory" then
      error(task, 0)
    end
  end
  error(err, 0)
end

return trace

-- What the specs of the client and its requests share. Nothing here sends anything: that is for the `it` bodies alone.

local busted = require("busted")

local llama_cloud = require("llama_cloud")
local retry = require("llama_cloud.http.retry")
local server = require("spec.support.server")

local support = {}

--- The key of every client here: long enough to be looked for.
support.KEY = "llx-0123456789abcdef"

--- A client of a server (or of a base URL), with `options` over those that specs use.
---@param target table|string
---@param options? table
---@return LlamaCloud.Client
function support.client(target, options)
  local given = {
    api_key = support.KEY,
    base_url = type(target) == "string" and target or target:url(),
    proxy = "",
    max_retries = 0,
  }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  return llama_cloud.new(given)
end

--- A server with this behaviour (as server.start takes it), and a client of it.
---@param behaviour string|table
---@param options? table the client's
---@return table server
---@return LlamaCloud.Client
function support.start(behaviour, options)
  local s = server.start(behaviour)
  return s, support.client(s, options)
end

--- In a `describe`: each pause before a retry takes so many seconds, instead of growing.
---@param seconds number
function support.pause_for(seconds)
  local backoff = retry.backoff
  busted.setup(function()
    retry.backoff = function()
      return seconds
    end
  end)
  busted.teardown(function()
    retry.backoff = backoff
  end)
end

--- The smallest parameters with which a batch can be created.
support.BATCH = {
  source_directory_id = "dir-1",
  config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } },
}

--- A time that is short, but long enough for a request on this machine: under valgrind all takes longer, though not by
--- the whole factor, since most of the time is spent waiting.
---@param seconds number
---@return number
function support.scaled(seconds)
  return seconds * math.sqrt(tonumber(os.getenv("LLAMA_CLOUD_TEST_SLOWDOWN") or "1") or 1)
end

--- Runs f with these environment variables; of all others whose names begin with LLAMA_ none is set.
---@param variables table<string, string>
---@param f fun()
function support.with_environment(variables, f)
  local real = os.getenv
  os.getenv = function(name) -- luacheck: ignore 122
    if name:find("^LLAMA_") then
      return variables[name]
    end
    return real(name)
  end
  local ok, message = pcall(f)
  os.getenv = real -- luacheck: ignore 122
  if not ok then
    error(message, 0)
  end
end

--- Checks that f raises a text that begins with a place inside f, that is, the caller's, and holds `text`. The call in f
--- must not be a tail call. Returns the text without the place.
---@param f function
---@param text string
---@return string
function support.raises_here(f, text)
  local ok, message = pcall(f)
  if ok then
    error("nothing was raised", 2)
  elseif type(message) ~= "string" then
    error("what was raised is not a text: " .. tostring(message), 2)
  end
  local where = debug.getinfo(f, "S")
  local file, line, rest = message:match("^(.-):(%d+): (.*)$")
  line = tonumber(line)
  if file ~= where.short_src or line < where.linedefined or line > where.lastlinedefined then
    error("not raised at the caller's line: " .. message, 2)
  end
  if not rest:find(text, 1, true) then
    error(("%q does not contain %q"):format(rest, text), 2)
  end
  return rest
end

--- Whether a text occurs anywhere in a value: in strings, in the keys and members of tables, in what tostring makes of it.
---@param value any
---@param text string
---@return boolean
function support.mentions(value, text, seen)
  seen = seen or {}
  if tostring(value):find(text, 1, true) then
    return true
  end
  if type(value) == "table" and not seen[value] then
    seen[value] = true
    for key, member in pairs(value) do
      if support.mentions(key, text, seen) or support.mentions(member, text, seen) then
        return true
      end
    end
  end
  return false
end

return support

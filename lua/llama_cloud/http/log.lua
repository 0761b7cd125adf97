--- Where messages go: nowhere, to standard error, or to a function of the application's.

local secrets = require("llama_cloud.http.secrets")
local tables = require("llama_cloud.base.tables")
local text = require("llama_cloud.base.text")

local log = {}

local ranks = { debug = 1, info = 2, warn = 3 }

local MOST_OF_FIELD = 1000 -- bytes, and of a message

-- A value of a field as it is written. Tables, in which only headers come, are written in one line, too.
local function written(value)
  if type(value) == "table" then
    local inner = {}
    for key, member in pairs(value) do
      inner[#inner + 1] = ("%s: %s"):format(tostring(key), written(member))
    end
    table.sort(inner)
    return "{" .. table.concat(inner, ", ") .. "}"
  end
  return type(value) == "number" and text.number(value, "%.14g") or tostring(value)
end

local function to_stderr(level, message, fields)
  local parts = { "llama_cloud ", level, ": ", message }
  for _, name in ipairs(tables.sorted_keys(fields or {})) do
    parts[#parts + 1] = (" %s=%s"):format(name, written(fields[name]))
  end
  parts[#parts + 1] = "\n"
  io.stderr:write(table.concat(parts))
end

---@alias LlamaCloud.LogLevel "debug"|"info"|"warn"

---@class LlamaCloud.Log
---@field private write fun(level: LlamaCloud.LogLevel, message: string, fields?: table)?
---@field private rank integer
---@field private secrets? string[] what must never be written
---@field private base? LlamaCloud.Log whose secrets are kept, too, where they are not put together yet
---@field private find? fun(): string[] looks for the others
local Log = {}
Log.__index = Log

--- The level that a value names, in any case and with blanks around it; nil if it names none.
---@param value any
---@return LlamaCloud.LogLevel?
function log.level(value)
  local name = type(value) == "string" and text.lower(text.trim(value)) or nil
  return ranks[name] and name or nil
end

--- Makes a log out of the client's option.
---@param target? LlamaCloud.LogLevel|fun(level: LlamaCloud.LogLevel, message: string, fields?: table) nil: nowhere
---@param hidden string[] what must never be written
---@param before? LlamaCloud.Log another, whose secrets are kept, too
---@return LlamaCloud.Log? log
---@return string? problem
function log.new(target, hidden, before)
  if before then
    hidden = table.move(before.secrets, 1, #before.secrets, #hidden + 1, hidden)
  end
  local self = setmetatable({ rank = math.huge, secrets = secrets.list(hidden) }, Log)
  if type(target) == "function" then
    self.write, self.rank = target, 0
  elseif log.level(target) then
    if not (io and io.stderr) then
      return nil, "needs Lua's io library to write to standard error: give it a function"
    end
    self.write, self.rank = to_stderr, ranks[log.level(target)]
  elseif target ~= nil then
    return nil, ('must be a function, "debug", "info", "warn" or "off", not %s'):format(type(target))
  end
  return self
end

--- The same log, which keeps more secrets, too: those of one call, which mostly nobody has to look for.
---@param find fun(): string[] looks for them
---@return LlamaCloud.Log
function Log:keeping(find)
  return setmetatable({ write = self.write, rank = self.rank, base = self, find = find }, Log)
end

--- The same log, which keeps a presigned URL's secrets, too.
---@param address string
---@return LlamaCloud.Log
function Log:keeping_address(address)
  return self:keeping(function()
    local found = {}
    secrets.add_signed_query(found, address:match("?([^#]*)"))
    return found
  end)
end

-- What text.redact takes.
local function secrets_of(self)
  if not self.secrets then
    local all, before = self.find(), secrets_of(self.base)
    self.secrets = secrets.list(table.move(before, 1, #before, #all + 1, all))
  end
  return self.secrets
end

--- Whether messages of a level are wanted; ask before making a costly one.
---@param level LlamaCloud.LogLevel
---@return boolean
function Log:wants(level)
  return ranks[level] >= self.rank
end

--- A text, or a copy of a table and its texts, without the secrets in it.
---@generic T: string|table|nil
---@param value T
---@return T
function Log:clean(value)
  return text.redact(value, secrets_of(self))
end

-- A field's value as it may be shown; `name` is the field's, or nil in a table in a field.
local function shown(value, name)
  if type(value) == "string" then
    if name == "traceback" then -- it has lines, indented by tabs
      return (
        value:gsub("\t", "    "):gsub("[^\n]+", function(line)
          return text.line(line, MOST_OF_FIELD, "?")
        end)
      )
    end
    return text.line(value, MOST_OF_FIELD, "?")
  elseif type(value) ~= "table" then
    return value
  end
  local copy = {}
  for key, member in pairs(value) do
    copy[shown(key)] = shown(member)
  end
  return copy
end

--- Writes a message if its level is wanted. What a server has sent may be in it: it is shown in one line that steers no
--- terminal.
---@param level LlamaCloud.LogLevel
---@param message string
---@param fields? table
function Log:put(level, message, fields)
  if self:wants(level) then
    local copy
    for name, value in pairs(fields and self:clean(fields) or {}) do
      copy = copy or {}
      copy[name] = shown(value, name)
    end
    self.write(level, text.line(self:clean(message), MOST_OF_FIELD, "?"), copy)
  end
end

return log

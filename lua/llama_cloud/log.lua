--- Where messages go: nowhere, to standard error, or to a function of the application's.

local core = require("llama_cloud.core")

local log = {}

local ranks = { debug = 1, info = 2, warn = 3 }

local function to_stderr(level, message, fields)
  local parts = { "llama_cloud ", level, ": ", message }
  local names = {}
  for name in pairs(fields or {}) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = fields[name]
    if type(value) == "table" then
      local inner = {}
      for key, member in pairs(value) do
        inner[#inner + 1] = ("%s: %s"):format(tostring(key), tostring(member))
      end
      table.sort(inner)
      value = "{" .. table.concat(inner, ", ") .. "}"
    end
    parts[#parts + 1] = (" %s=%s"):format(name, tostring(value))
  end
  -- what a server sends is not to steer a terminal
  local line = table.concat(parts):gsub("[\0-\8\11-\31\127]", "?")
  io.stderr:write(line, "\n")
end

---@alias LlamaCloud.LogLevel "debug"|"info"|"warn"

---@class LlamaCloud.Log
---@field private write fun(level: LlamaCloud.LogLevel, message: string, fields?: table)?
---@field private rank integer
---@field private secrets string[]
local Log = {}
Log.__index = Log

local MIN_SECRET = 6 -- bytes; what is shorter is no secret, and would be found in ordinary words

--- Whether a value names a level.
---@param value any
---@return boolean
function log.is_level(value)
  return ranks[value] ~= nil
end

--- Makes a log out of the client's option.
---@param target? LlamaCloud.LogLevel|fun(level: LlamaCloud.LogLevel, message: string, fields?: table) nil: nowhere
---@param secrets string[] what must never be written
---@return LlamaCloud.Log? log
---@return string? problem
function log.new(target, secrets)
  local self = setmetatable({ rank = math.huge, secrets = {} }, Log)
  for _, secret in ipairs(secrets) do
    if #secret >= MIN_SECRET then
      self.secrets[#self.secrets + 1] = secret
    end
  end
  if type(target) == "function" then
    self.write, self.rank = target, 0
  elseif ranks[target] then
    self.write, self.rank = to_stderr, ranks[target]
  elseif target ~= nil then
    return nil, 'must be a function, "debug", "info" or "warn"'
  end
  return self
end

--- The same log, which keeps another secret, too.
---@param secret? string
---@return LlamaCloud.Log
function Log:keeping(secret)
  if not secret or #secret < MIN_SECRET then
    return self
  end
  local secrets = table.move(self.secrets, 1, #self.secrets, 2, { secret })
  return setmetatable({ write = self.write, rank = self.rank, secrets = secrets }, Log)
end

--- Whether messages of a level are wanted; ask before making a costly one.
---@param level LlamaCloud.LogLevel
---@return boolean
function Log:wants(level)
  return ranks[level] >= self.rank
end

-- Removes the secrets from a text, or from the texts of a table (a copy).
local function clean(secrets, value)
  if type(value) == "table" then
    local copy = {}
    for key, member in pairs(value) do
      copy[clean(secrets, key)] = clean(secrets, member)
    end
    return getmetatable(value) == core.array and core.array(copy) or copy
  elseif type(value) ~= "string" then
    return value
  end
  for _, secret in ipairs(secrets) do
    local from, to = value:find(secret, 1, true)
    while from do
      value = value:sub(1, from - 1) .. "***" .. value:sub(to + 1)
      from, to = value:find(secret, from + 3, true)
    end
  end
  return value
end

--- A text, or a copy of a table and its texts, without the secrets in it.
---@generic T: string|table|nil
---@param value T
---@return T
function Log:clean(value)
  return clean(self.secrets, value)
end

--- Writes a message if its level is wanted.
---@param level LlamaCloud.LogLevel
---@param message string
---@param fields? table
function Log:put(level, message, fields)
  if self:wants(level) then
    self.write(level, self:clean(message), self:clean(fields))
  end
end

return log

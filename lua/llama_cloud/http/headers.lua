--- Request headers: merging sets of them, and refusing what would break out of its line.

local tables = require("llama_cloud.base.tables")
local text = require("llama_cloud.base.text")

local headers = {}

--- Why a set of headers cannot be sent, or nil. Values are strings or numbers; false removes a header.
---@param set table<string, string|number|false>
---@return string? problem
function headers.check(set)
  for name, value in pairs(set) do
    if type(name) ~= "string" then
      local complaint = ('invalid header name "%s"'):format(tostring(name))
      local line = type(value) == "string" and value:match("^[ \t]*([A-Za-z0-9-]+)[ \t]*:") -- its value may be a secret
      return line and ('%s: write ["%s"] = "…" instead of the line'):format(complaint, line) or complaint
    elseif not name:find("^[A-Za-z0-9!#$%%&'*+.^_`|~-]+$") then
      return ('invalid header name "%s"'):format(text.line(name, 100, "?")) -- RFC 9110 section 5.1
    elseif value ~= false and type(value) ~= "string" and type(value) ~= "number" then
      return ("header %s must be a string, or false to leave it out, not %s"):format(text.quote(name), type(value))
    elseif type(value) == "string" and text.breaks_line(value) then
      return ("header %s contains a line break or NUL"):format(text.quote(name))
    elseif value ~= value or value == math.huge or value == -math.huge then
      return ("header %s must be a finite number"):format(text.quote(name))
    end
  end
end

--- Merges sets of headers, later ones over earlier ones, names compared without case. The result is what the transport
--- takes: { name, value, name, value, … }, with false for what is to be left out.
---@param ... table<string, string|number|false>?
---@return (string|false)[]
function headers.merge(...)
  local place, list = {}, {}
  for i = 1, select("#", ...) do
    local set = select(i, ...)
    for _, name in ipairs(tables.sorted_keys(set or {})) do
      local key = text.lower(name)
      local at = place[key] or #list + 1
      place[key] = at
      list[at] = name
      list[at + 1] = set[name] and text.scalar(set[name])
    end
  end
  return list
end

--- The media type of a form, to which the core adds the boundary.
headers.form_type = "multipart/form-data"

-- What a form says of itself.
local of_forms = { ["content-length"] = true, ["content-type"] = true, ["transfer-encoding"] = true }

--- The headers of a call with a form: without those that the form has of its own, not even left out.
---@param list (string|false)[] what merge has returned
---@return (string|false)[]
function headers.for_form(list)
  local rest = {}
  for i = 1, #list, 2 do
    local name = list[i] --[[@as string]]
    if not of_forms[text.lower(name)] then
      table.move(list, i, i + 1, #rest + 1, rest)
    end
  end
  return rest
end

-- Headers whose values are shown in logs; everything else may be somebody's secret.
local shown = {
  ["accept"] = true,
  ["accept-encoding"] = true,
  ["cache-control"] = true,
  ["connection"] = true,
  ["content-encoding"] = true,
  ["content-length"] = true,
  ["content-type"] = true,
  ["date"] = true,
  ["retry-after"] = true,
  ["retry-after-ms"] = true,
  ["server"] = true,
  ["transfer-encoding"] = true,
  ["user-agent"] = true,
  ["x-correlation-id"] = true,
  ["x-request-id"] = true,
  ["x-should-retry"] = true,
}

local function is_shown(key)
  return shown[key] or key:find("x-stainless-", 1, true) == 1
end

-- What is in the names of headers that say who somebody is.
local telling = { "auth", "cookie", "credential", "key", "passw", "secret", "session", "signature", "token" }

--- Whether a name says that its value is a secret.
---@param name string
---@return boolean
function headers.is_telling(name)
  local key = text.lower(name)
  for _, word in ipairs(telling) do
    if key:find(word, 1, true) then
      return true
    end
  end
  return false
end

--- Whether the value of a header that was given is a secret wherever it is found. By its name it is; or because it is long
--- and one word, and no URL: many gateways have a header of their own. Other values may be ordinary words.
---@param name string
---@param value string
---@return boolean
function headers.is_secret(name, value)
  if is_shown(text.lower(name)) then
    return false
  elseif headers.is_telling(name) then
    return true
  end
  return #value >= 16 and not value:find("[ \t]") and not value:find("://", 1, true)
end

--- Headers for a log: values that may be secret become `***`.
---@param list (string|false)[]|table<string, string> what merge returns, or a response's headers
---@return table<string, string>
function headers.redact(list)
  local result = {}
  local function add(name, value)
    if value then
      result[name] = is_shown(text.lower(name)) and value or "***"
    end
  end
  if #list > 0 then
    for i = 1, #list, 2 do
      add(list[i], list[i + 1])
    end
  else
    for name, value in pairs(list) do
      add(name, value)
    end
  end
  return result
end

return headers

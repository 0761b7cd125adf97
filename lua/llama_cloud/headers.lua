--- Request headers: merging sets of them, and refusing what would break out of its line.

local headers = {}

--- Why a set of headers cannot be sent, or nil. Values are strings or numbers; false removes a header.
---@param set table<string, string|number|false>
---@return string? problem
function headers.check(set)
  for name, value in pairs(set) do
    if type(name) ~= "string" or not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
      return ("invalid header name %q"):format(tostring(name)) -- RFC 9110 section 5.1
    elseif value ~= false and type(value) ~= "string" and type(value) ~= "number" then
      return ("header '%s' must be a string, or false to leave it out, not %s"):format(name, type(value))
    elseif type(value) == "string" and value:find("[\r\n%z]") then
      return ("header '%s' contains a line break or NUL"):format(name)
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
    local names = {}
    for name in pairs(set or {}) do
      names[#names + 1] = name
    end
    table.sort(names)
    for _, name in ipairs(names) do
      local key = name:lower()
      local at = place[key] or #list + 1
      place[key] = at
      list[at] = name
      list[at + 1] = set[name] and tostring(set[name])
    end
  end
  return list
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

--- Headers for a log: values that may be secret become `***`.
---@param list (string|false)[]|table<string, string> what merge returns, or a response's headers
---@return table<string, string>
function headers.redact(list)
  local result = {}
  local function add(name, value)
    if value then
      local key = name:lower()
      result[name] = (shown[key] or key:find("^x%-stainless%-")) and value or "***"
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

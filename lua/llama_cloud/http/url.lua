--- Spelling paths and queries (RFC 3986; which characters stay as they are: the official SDKs' choice).

local core = require("llama_cloud.core")
local text = require("llama_cloud.base.text")

local url = {}

--- Escapes a query's key or value: everything but the unreserved characters of RFC 3986 section 2.3.
---@param s string
---@return string
function url.escape_query(s)
  return core.escape(s)
end

--- Escapes a segment of a path: a slash in it becomes `%2F`.
---@param s string
---@return string
function url.escape_segment(s)
  return core.escape(s, "!$&'()*+,;=:@")
end

-- Appends `name=value`; once per element for an array (RFC 6570 explode style, as the SDKs do).
local function append(parts, name, value)
  if type(value) == "table" then
    for _, element in ipairs(value) do
      append(parts, name, element)
    end
  elseif value ~= core.null then
    parts[#parts + 1] = url.escape_query(name) .. "=" .. url.escape_query(text.scalar(value))
  end
end

--- Writes a query string, without the question mark: the names of `order` first, then the others sorted; nulls are left
--- out.
---@param values table<string, any> strings, finite numbers, booleans, null, or arrays of them
---@param order string[]
---@return string
function url.query(values, order)
  if next(values) == nil then
    return ""
  end
  local parts, known = {}, {}
  for _, name in ipairs(order) do
    known[name] = true
    if values[name] ~= nil then
      append(parts, name, values[name])
    end
  end
  local others = {}
  for name in pairs(values) do
    if not known[name] then
      others[#others + 1] = name
    end
  end
  table.sort(others)
  for _, name in ipairs(others) do
    append(parts, name, values[name])
  end
  return table.concat(parts, "&")
end

--- Puts a query behind a URL that may have one already. A fragment, which is never sent, would swallow it, and goes.
---@param s string
---@param query string
---@return string
function url.with_query(s, query)
  if query == "" then
    return s
  end
  s = s:gsub("#.*", "")
  if s:find("[?&]$") then
    return s .. query
  end
  return s .. (s:find("?", 1, true) and "&" or "?") .. query
end

--- A URL as it may be shown: without its query, which may hold signatures and names.
---@param s string
---@return string
function url.without_query(s)
  return (s:gsub("[?#].*", ""))
end

--- A text without the queries of the URLs in it, which may be presigned.
---@param s string
---@return string
function url.hide_queries(s)
  return (s:gsub("([Hh][Tt][Tt][Pp][Ss]?:[^ ?\"'<>]*%?)[^ \"'<>]+", "%1***"))
end

local MOST_OF_URL = 300 -- bytes

--- What may be no URL at all, quoted in a complaint: without its query, and without a user name and password.
---@param s string
---@return string
function url.quote(s)
  local scheme, rest = url.without_query(s):match("^([A-Za-z0-9+.-]*:?//)(.*)$")
  rest = (rest or url.without_query(s)):gsub("^.*@", "")
  return "'" .. text.line((scheme or "") .. rest, MOST_OF_URL, "?") .. "'"
end

--- The parts of a URL that a caller has given. Nil and the problem.
---@param s string
---@return table? parts of core.url
---@return string? problem
function url.parse(s)
  local parts, problem = core.url(s)
  if not parts then
    return nil, ("%s is not a URL: %s"):format(url.quote(s), problem)
  elseif parts.user or parts.password then
    return nil, "the URL must not hold a user name or password: use options.headers"
  end
  return parts
end

local loopback = { localhost = true, ["[::1]"] = true, ["::1"] = true }

--- Whether a host name means this machine.
---@param host string
---@return boolean
function url.is_loopback(host)
  return loopback[text.lower(host)] or host:find("^127%.%d+%.%d+%.%d+$") ~= nil
end

--- Scheme, host and port of a URL in one string: the boundary that the API key does not cross.
---@param parts table of core.url
---@return string
function url.origin(parts)
  return ("%s://%s:%s"):format(text.lower(parts.scheme), text.lower(parts.host), parts.port or "")
end

return url

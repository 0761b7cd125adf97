--- URLs. An input is a base, a line break, and a text, which is taken as a URL, as a reference to be resolved against the
--- base, and as what becomes part of a path and a query.

local compare = require("fuzz.compare")
local core = require("llama_cloud.core")
local url = require("llama_cloud.http.url")

local PARTS = { "scheme", "user", "password", "host", "port", "path", "query", "fragment" }

-- What was parsed must parse again, to the same parts: otherwise two readers of one URL see two hosts.
local function check_parts(parts, problem, what)
  if not parts then
    if type(problem) ~= "string" then
      compare.fail("%s is refused without a reason", what)
    end
    return
  end
  if parts.text:find("[\0-\32\127]") then
    compare.fail("%s gives a URL with blanks or control characters: %s", what, parts.text)
  elseif not (parts.scheme and parts.path) then
    compare.fail("%s gives a URL without scheme or path: %s", what, parts.text)
  end
  local again, reason = core.url(parts.text)
  if not again then
    compare.fail("%s gives a URL that is none: %s: %s", what, parts.text, reason)
  elseif again.text ~= parts.text then
    compare.fail("%s is not stable: %s and %s", what, parts.text, again.text)
  end
  for _, name in ipairs(PARTS) do
    -- an empty part and none are the same to libcurl, which leaves the first out of the text
    if (parts[name] or "") ~= (again[name] or "") then
      compare.fail("%s: %s is %s and then %s", what, name, parts[name], again[name])
    end
  end
  if parts.host and url.origin(parts) ~= url.origin(again) then
    compare.fail("%s has two origins", what)
  end
end

local function unescape(text)
  return (text:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

-- Whatever a caller gives as an id or a parameter stays inside its segment or its value.
local function check_building(base, text)
  local parts = core.url(base)
  if not parts or not parts.host or parts.query or parts.fragment then
    base = "https://api.example:8443/root"
    parts = assert(core.url(base))
  end
  base = parts.text:gsub("/+$", "") -- as the client does
  local built = base .. "/" .. url.escape_segment(text) .. "/end"
  local query = url.query({ [text] = { text, "x" }, page_size = 3, flag = true, gone = core.null }, { "page_size" })
  local whole, problem = core.url(url.with_query(built, query))
  if not whole then
    compare.fail("%s cannot be built: %s", built, problem)
  elseif url.origin(whole) ~= url.origin(parts) or whole.user ~= parts.user then
    compare.fail("%s leads elsewhere", built)
  elseif whole.fragment then
    compare.fail("%s has a fragment", built)
  end
  local segment = whole.path:match("/([^/]*)/end$")
  if not segment or unescape(segment) ~= text then
    compare.fail("the segment %s has become %s", text, segment)
  end
  local given = "page_size=3&"
  if whole.query:sub(1, #given) ~= given then
    compare.fail("the query begins with %s", whole.query)
  end
  local values = 0
  for name, value in whole.query:sub(#given + 1):gmatch("([^&=]*)=([^&=]*)") do
    if unescape(name) == text and (unescape(value) == text or value == "x") then
      values = values + 1
    elseif name ~= "flag" or value ~= "true" then
      compare.fail("the query holds %s=%s", name, value)
    end
  end
  if values ~= 2 and text ~= "flag" then
    compare.fail("the query %s has lost a value of %s", whole.query, text)
  end
  local shown = url.without_query(url.with_query(built, query))
  if shown ~= built then
    compare.fail("%s is shown as %s", built, shown)
  end
end

return function(input)
  local base, text = input:match("^([^\n]*)\n(.*)$")
  base, text = base or "https://api.example/v1/", text or input
  local parts, problem = core.url(text)
  check_parts(parts, problem, text)
  local resolved
  resolved, problem = core.url(text, base)
  check_parts(resolved, problem, text)
  if parts and resolved and url.origin(parts) ~= url.origin(resolved) then
    compare.fail("%s is one URL by itself and another one after %s: %s", text, base, resolved.text)
  end
  url.is_loopback(resolved and resolved.host or text)
  if text ~= "page_size" and text ~= "gone" then
    check_building(base, text)
  end
end,
  true

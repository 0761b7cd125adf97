--- What of a client's options is secret: the API key, headers that say who somebody is, passwords of proxies, and what a
--- query carries by names that mean a secret. Each in every form in which a server, a proxy or libcurl may quote it; how its
--- characters may be escaped there is redact.c's.

local headers = require("llama_cloud.http.headers")
local text = require("llama_cloud.base.text")
local url = require("llama_cloud.http.url")

local secrets = {}

local MIN_SECRET = 6 -- bytes; what is shorter is no secret, and would be found in ordinary words

--- The secrets among texts, as text.redact takes them: what is long enough, without the blanks around it, each once; and as
--- it is spelt in a URL, because that may be escaped once more where it is quoted.
---@param candidates string[]
---@return string[]
function secrets.list(candidates)
  local list, known = {}, {}
  local function add(candidate)
    if #candidate >= MIN_SECRET and not known[candidate] then
      known[candidate] = true
      list[#list + 1] = candidate
    end
  end
  for _, candidate in ipairs(candidates) do
    candidate = text.trim(candidate)
    if #candidate >= MIN_SECRET then
      add(candidate)
      add(url.escape_query(candidate))
    end
  end
  return list
end

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

-- RFC 4648 section 4.
local function to_base64(bytes)
  local digits = bytes:gsub("..?.?", function(three)
    local a, b, c = three:byte(1, 3)
    local bits = a << 16 | (b or 0) << 8 | (c or 0)
    local four = ""
    for place = 0, 3 do
      local digit = bits >> (18 - 6 * place) & 63
      four = four .. (place <= #three and DIGITS:sub(digit + 1, digit + 1) or "=")
    end
    return four
  end)
  return digits
end

-- Nil for what is no base64.
local function from_base64(digits)
  digits = digits:gsub("=+$", "")
  if #digits % 4 == 1 or digits:find("[^A-Za-z0-9+/]") then
    return nil
  end
  local bytes, bits, count = {}, 0, 0
  for i = 1, #digits do
    bits = (bits << 6 | DIGITS:find(digits:sub(i, i), 1, true) - 1) & 0xFFFF
    count = count + 6
    if count >= 8 then
      count = count - 8
      bytes[#bytes + 1] = string.char(bits >> count & 255)
    end
  end
  return table.concat(bytes)
end

local function from_percents(escaped)
  return (
    escaped:gsub("%%([0-9A-Fa-f][0-9A-Fa-f])", function(digits)
      return string.char(tonumber(digits, 16))
    end)
  )
end

-- Adds what is secret of `user:password`.
local function add_credentials(list, pair)
  local user, password = pair:match("^([^:]*):(.*)$")
  list[#list + 1] = pair
  list[#list + 1] = to_base64(pair)
  list[#list + 1] = password
  if not password or password == "" then
    list[#list + 1] = user -- a token, then
  end
end

-- Adds what is secret of the value of a header that is: all but its scheme (RFC 9110 section 11.4), and the values in it, as
-- a cookie has them.
local function add_value(list, value)
  local scheme, rest = value:match("^[ \t]*([A-Za-z0-9-]+)[ \t]+(.-)[ \t]*$")
  list[#list + 1] = rest or value
  if scheme and text.lower(scheme) == "basic" then
    local pair = from_base64(rest)
    if pair then
      add_credentials(list, pair)
    end
  end
  for part in value:gmatch("=[ \t]*([^;,]+)") do
    list[#list + 1] = part:match('^"(.*)"') or part
  end
end

--- Adds what is secret of headers.
---@param list string[]
---@param set (string|false)[] what headers.merge has returned
function secrets.add_headers(list, set)
  for i = 1, #set, 2 do
    if set[i + 1] and headers.is_secret(set[i], set[i + 1]) then
      add_value(list, set[i + 1])
    end
  end
end

--- Adds what is secret of the URL of a proxy; the scheme may be missing, as curl has it.
---@param list string[]
---@param proxy? string
function secrets.add_proxy(list, proxy)
  local pair = proxy and proxy:gsub("^[A-Za-z0-9+.-]+://", ""):match("^(.*)@")
  if pair then
    add_credentials(list, pair)
    add_credentials(list, from_percents(pair))
  end
end

-- Names of query parameters that mean a secret, without what some write between the words of a name.
local query_names = {
  accesskey = true,
  accesstoken = true,
  apikey = true,
  apitoken = true,
  auth = true,
  authorization = true,
  authtoken = true,
  clientsecret = true,
  key = true,
  password = true,
  secret = true,
  sig = true,
  signature = true,
  subscriptionkey = true,
  token = true,
}

--- Adds what is secret of a query.
---@param list string[]
---@param query? table<string, any> values, or arrays of them
function secrets.add_query(list, query)
  for name, value in pairs(query or {}) do
    if type(name) == "string" and query_names[(text.lower(name):gsub("[_.-]", ""))] then
      for _, one in ipairs(type(value) == "table" and value or { value }) do
        list[#list + 1] = type(one) == "string" and one or type(one) == "number" and text.scalar(one) or nil
      end
    end
  end
end

--- Adds what is secret of a query that is written already: as it is, and as it would be shown elsewhere.
---@param list string[]
---@param written? string
function secrets.add_written_query(list, written)
  for name, value in (written or ""):gmatch("([^&=]+)=([^&]*)") do
    secrets.add_query(list, { [from_percents(name)] = { value, from_percents(value) } })
  end
end

local MIN_LONG = 16 -- bytes from which on a value of a presigned URL is taken for a secret, whatever it is called

--- Adds what is secret of the query of a presigned URL, which is a credential: all of it, each value that is long, and each that
--- is called like a secret.
---@param list string[]
---@param written? string
function secrets.add_signed_query(list, written)
  list[#list + 1] = written
  for name, value in (written or ""):gmatch("([^&=]+)=([^&]*)") do
    if #value >= MIN_LONG or headers.is_telling(from_percents(name)) then
      list[#list + 1] = value
      list[#list + 1] = from_percents(value)
    end
  end
end

-- The proxies that libcurl takes from the environment.
local VARIABLES = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" }

--- Adds what is secret of the proxies that the environment names.
---@param list string[]
---@param environment fun(name: string): string?
function secrets.add_environment(list, environment)
  for _, name in ipairs(VARIABLES) do
    secrets.add_proxy(list, environment(name))
  end
end

return secrets

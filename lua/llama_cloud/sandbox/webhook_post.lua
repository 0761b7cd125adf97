-- Sends one delivery of a webhook: a POST over a connection of its own.

local socket = require("cqueues.socket")

local post = {}

local TIMEOUT = 30

-- Host, port and path of an address, or nil.
local function parts_of(url)
  local authority, rest = url:match("^[Hh][Tt][Tt][Pp]://([^/?#]+)([^#]*)")
  if not authority or authority:find("@", 1, true) then
    return nil
  end
  local host, port = authority:match("^%[(.+)%]:?(%d*)$")
  if not host then
    host, port = authority:match("^([^:]+):?(%d*)$")
  end
  if not host then
    return nil
  end
  return host, port ~= "" and math.tointeger(tonumber(port)) or 80, rest:find("^/") and rest or "/" .. rest, authority
end

local function is_loopback(host)
  return host == "localhost" or host == "::1" or host:find("^127%.%d+%.%d+%.%d+$") ~= nil
end

--- `sha256=` and the HMAC-SHA256 of a body in hexadecimal digits; nil without luaossl.
---@param secret string
---@param body string
---@return string?
function post.signature(secret, body)
  local found, hmac = pcall(require, "openssl.hmac")
  if not found then
    return nil
  end
  local digest = hmac.new(secret, "sha256"):final(body)
  return "sha256=" .. digest:gsub(".", function(byte)
    return string.format("%02x", byte:byte())
  end)
end

local function exchange(host, port, head, body)
  local connection, code = socket.connect { host = host, port = port, nodelay = true }
  if not connection then
    return nil, "cannot connect: " .. tostring(code)
  end
  connection:onerror(function(_, _, error_code)
    return error_code
  end)
  connection:setmode("bn", "bn")
  connection:settimeout(TIMEOUT)
  local line
  if connection:connect(TIMEOUT) and connection:xwrite(head .. body, "bn", TIMEOUT) and connection:flush() then
    line = connection:xread("*l", "bn", TIMEOUT)
  end
  connection:close()
  local status = line and line:match("^HTTP/1%.%d (%d%d%d)")
  if not status then
    return nil, "no answer"
  end
  return math.tointeger(tonumber(status))
end

--- Sends a body to a webhook. Returns the status; or nil, why there is none, and whether that will not change.
---@param hook llama_cloud.sandbox.webhook
---@param headers table<string, string>
---@param body string
---@param anywhere boolean whether other hosts than this one are allowed
---@return integer? status
---@return string? message
---@return boolean? final
function post.send(hook, headers, body, anywhere)
  local host, port, path, authority = parts_of(hook.url)
  if not host then
    return nil, "not an address that begins with http://", true
  elseif not anywhere and not is_loopback(host) then
    return nil, "not a loopback address", true
  end
  local lines = {
    string.format("POST %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", path, authority),
    string.format("Content-Type: application/json\r\nContent-Length: %d\r\n", #body),
    "User-Agent: llamaindex-webhook-service/1.0\r\n",
  }
  local signature = hook.secret and post.signature(hook.secret, body)
  if hook.secret and not signature then
    return nil, "luaossl is needed to sign with the secret", true
  elseif signature then
    lines[#lines + 1] = "LC-Signature: " .. signature .. "\r\n"
  end
  for _, set in ipairs { headers, hook.headers or {} } do
    for name, value in pairs(set) do
      if type(value) == "string" and not (name .. value):find("[%c]") then
        lines[#lines + 1] = name .. ": " .. value .. "\r\n"
      end
    end
  end
  return exchange(host, port, table.concat(lines) .. "\r\n", body)
end

return post

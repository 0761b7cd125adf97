--- Webhooks: whether a delivery comes from the service. https://developers.llamaindex.ai/, "Webhooks".

local text = require("llama_cloud.base.text")

---@class LlamaCloud.Webhook
local webhook = {}

-- luaossl's HMAC. Raises where it is missing: only who receives webhooks needs it.
local function load_hmac()
  local found, hmac = pcall(require, "openssl.hmac")
  if found then
    return hmac
  elseif not tostring(hmac):find("module 'openssl.hmac' not found", 1, true) then
    error(hmac, 0) -- it is there, but cannot be loaded
  end
  error(
    "llama_cloud.webhook needs the Lua module openssl.hmac: "
      .. "install the rock luaossl, or on Debian and Ubuntu the package lua-luaossl",
    0
  )
end

-- The secrets as an array, and nil; or nil and what is wrong with them.
local function secrets_of(secret)
  local secrets = type(secret) == "table" and secret or { secret }
  if #secrets == 0 then
    return nil, "secret must be a string, or an array of strings, not " .. (secret == nil and "nil" or "an empty table")
  end
  for position, one in ipairs(secrets) do
    local name = type(secret) == "table" and ("secret[%d]"):format(position) or "secret"
    if type(one) ~= "string" then
      return nil, ("%s must be a string, not %s"):format(name, type(one))
    elseif one == "" then
      return nil, name .. " must not be empty"
    end
  end
  return secrets
end

-- Takes the same time wherever the texts differ, so that the time does not reveal how much of a guess was right.
local function equal(a, b)
  local difference = #a ~ #b
  for position = 1, math.min(#a, #b) do
    difference = difference | (a:byte(position) ~ b:byte(position))
  end
  return difference == 0
end

-- The bytes that a signature's text stands for. Nil and why it is none.
local function parse(signature)
  if signature == nil then
    return nil, "there is no signature: was the webhook given a signing secret?"
  end
  local scheme, hex = text.lower(text.trim(signature)):match("^([^=]*)=(.*)$")
  if scheme ~= "sha256" then
    return nil, "the signature does not begin with 'sha256='"
  elseif #hex ~= 64 or hex:find("[^0-9a-f]") then
    return nil, "the signature is not 64 hexadecimal digits"
  end
  return (hex:gsub("..", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

--- Whether the service has signed a delivery: its header `LC-Signature` is `sha256=` and the HMAC-SHA256 of the body by the
--- webhook's signing secret, in hexadecimal digits. Needs luaossl. Raises at the caller's line where an argument has the
--- wrong type or a secret is empty.
---@param body string the request's body, byte for byte
---@param signature string? the value of its header `LC-Signature`, or nil if there is none
---@param secret string|string[] the `webhook_signing_secret`, or an array of secrets, of which one has to match
---@return boolean verified
---@return string? reason why not, for a log: it holds nothing secret
function webhook.verify(body, signature, secret)
  if type(body) == "table" and body.verify == webhook.verify then
    error("call it with a dot: llama_cloud.webhook.verify(body, signature, secret)", 2)
  elseif type(body) ~= "string" then
    error(("body must be a string, the bytes as they came, not %s"):format(type(body)), 2)
  elseif signature ~= nil and type(signature) ~= "string" then
    error(("signature must be a string, not %s"):format(type(signature)), 2)
  end
  local secrets, problem = secrets_of(secret)
  if not secrets then
    error(problem, 2)
  end
  local hmac = load_hmac()
  local claimed, reason = parse(signature)
  if not claimed then
    return false, reason
  end
  local verified = false
  for _, one in ipairs(secrets) do -- all of them, whichever it is
    verified = equal(hmac.new(one, "sha256"):final(body), claimed) or verified
  end
  if verified then
    return true
  end
  return false, "the signature is not that of this body by this secret"
end

return webhook

-- The sandbox and a client of it, for the time of a function. This is the one file of the sandbox that knows the client.

local service_module = require("llama_cloud.sandbox.service")

-- The client's options. What is said here, and not by the caller, is what an address of this machine needs.
local function client_options(service, given, api_key)
  local options = { api_key = api_key or "llx-sandbox", proxy = "" }
  for name, value in pairs(given) do
    options[name] = value
  end
  options.base_url = service:url()
  return options
end

---@class llama_cloud.sandbox.with_options: llama_cloud.sandbox.options
---@field client? LlamaCloud.ClientOptions but for `base_url`
---@field lua? string the interpreter that the sandbox runs in, by default the one that runs this program

---@param options? llama_cloud.sandbox.with_options
---@param f fun(client: LlamaCloud.Client, service: llama_cloud.sandbox.service): ...
---@return any ...
return function(options, f)
  if options ~= nil and type(options) ~= "table" then
    error(("options must be a table, not %s"):format(type(options)), 2)
  elseif type(f) ~= "function" then
    error(("a function is needed, not %s"):format(type(f)), 2)
  end
  local own = {}
  for name, value in pairs(options or {}) do
    own[name] = value
  end
  local given = own.client or {}
  own.client = nil
  if type(given) ~= "table" then
    error("option 'client' must be a table", 2)
  end
  -- Closed however this ends. An error of f is not touched on its way: no pcall, which would cut its traceback.
  local service <close>, message = service_module.start(own)
  if not service then
    error(message, 2)
  end
  local made, client = pcall(require("llama_cloud").new, client_options(service, given, own.api_key))
  if not made then
    error(client, 2)
  end
  local _ <close> = client -- what it still has under way is cancelled before the service ends
  return f(client, service)
end

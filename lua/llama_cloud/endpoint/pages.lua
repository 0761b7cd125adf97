--- A declaration with pages, and arguments, become a list.

local call = require("llama_cloud.endpoint.call")
local core = require("llama_cloud.core")
local fields = require("llama_cloud.endpoint.fields")
local list = require("llama_cloud.endpoint.list")
local options = require("llama_cloud.endpoint.options")
local request = require("llama_cloud.http.request")
local text = require("llama_cloud.base.text")
local url = require("llama_cloud.http.url")

local pages = {}

-- Where a list begins. Nil: where the service begins; nil and the problem.
local function beginning(scheme, position)
  if scheme.kind == "offset" then
    position = math.tointeger(position or 0)
    if not position or position < 0 then
      return nil, "parameter 'offset' must be an integer that is not negative"
    end
  elseif position == "" then
    position = nil
  end
  return position
end

--- Makes a list. Its pages differ in one query parameter, which goes last. Nil and the problem, which is the caller's fault.
---@param declared LlamaCloud.Declared
---@param state LlamaCloud.State
---@param ids any[]
---@param params table
---@param given table the options, without nulls
---@return LlamaCloud.List?
---@return string? problem
function pages.list(declared, state, ids, params, given)
  local made, values = call.prepare(declared, state, ids, params, given)
  if not made then
    return nil, values --[[@as string]]
  end
  local scheme = declared.pagination
  local name = scheme.kind == "cursor" and "page_token" or "offset"
  local explicit = options.present(values[name]) ~= nil
  local position, problem = beginning(scheme, options.present(values[name]))
  if problem then
    return nil, problem
  end
  local limit = options.present(values.limit)
  limit = math.tointeger(tonumber(limit)) or scheme.default_limit -- options.query may hold anything
  values[name] = nil
  local base = url.with_query(made.url, url.query(values, declared.order))
  made.returns, made.decoder = "page", core.decoder()
  local prefix = url.with_query(base, name .. "=")
  local latest -- a page asked for ahead is fetched by the same call
  local function page_call(at)
    if not latest or latest.position ~= at then
      local named = at and (explicit or at ~= 0)
      local target = named and prefix .. url.escape_query(text.scalar(at)) or base
      latest = setmetatable({ url = target, position = at }, { __index = made })
    end
    return latest
  end
  local object = list.new({
    scheme = scheme,
    position = position,
    limit = limit,
    url = made.url,
    decoder = made.decoder,
    narrow = made.fields ~= nil,
    prefetch = given.prefetch,
    concurrency = given.concurrency,
  }, {
    fetch = function(at, ahead)
      return request.perform(state, page_call(at), ahead)
    end,
    start = function(at)
      return request.start_ahead(state, page_call(at))
    end,
  })
  if made.fields then
    object:watch(fields.watch(made.fields, state))
  end
  return object
end

return pages

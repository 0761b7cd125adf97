-- What the specs of lists share: servers of pages, and ways to go through a list.

local llama_cloud = require("llama_cloud")
local server = require("spec.support.server")

local lists = {}

--- A client of a server.
---@param s table
---@param options? table over those that specs use
---@return LlamaCloud.Client
function lists.client(s, options)
  local given = { api_key = "llx-key", base_url = s:url(), proxy = "", max_retries = 0 }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  return llama_cloud.new(given)
end

--- A server that gives these answers (texts are bodies) one after another, the last one from then on; and a client of it.
---@param answers (string|table)[]
---@param options? table
---@return table server
---@return LlamaCloud.Client
function lists.start(answers, options)
  local canned = {}
  for index, answer in ipairs(answers) do
    canned[index] = type(answer) == "table" and answer or { body = answer }
  end
  local s = server.start(canned)
  return s, lists.client(s, options)
end

--- The body of a page of items with these ids; token and total are null if they are not given.
---@param ids string[]
---@param token? string
---@param total? integer
---@return string
function lists.page(ids, token, total)
  local items = {}
  for index, id in ipairs(ids) do
    items[index] = ('{"id":"%s"}'):format(id)
  end
  return ('{"items":[%s],"next_page_token":%s,"total_size":%s}'):format(
    table.concat(items, ","),
    token and ('"%s"'):format(token) or "null",
    total or "null"
  )
end

--- Three pages with the five items a to e.
---@return string[]
function lists.three()
  return { lists.page({ "a", "b" }, "t1"), lists.page({ "c" }, "t2"), lists.page { "d", "e" } }
end

--- The ids of items in one text.
---@param items table[]
---@return string
function lists.ids(items)
  local found = {}
  for index, item in ipairs(items) do
    found[index] = item.id
  end
  return table.concat(found)
end

--- Goes through a list with a `for`: takes what `list` returns. The ids, and the error that it raised.
---@return string
---@return any err
function lists.walk(...)
  local found = {}
  local ok, err = pcall(function(...)
    for item in ... do
      found[#found + 1] = item.id
    end
  end, ...)
  return table.concat(found), not ok and err or nil
end

--- The targets of all requests so far, without the version of the API.
---@param s table
---@return string[]
function lists.targets(s)
  local found = {}
  for index, request in ipairs(s:requests()) do
    found[index] = request.target:gsub("^/api/v%d", "")
  end
  return found
end

return lists

--- List objects: what `list` returns. One object walks through the pages of one request, forwards, once.

local core = require("llama_cloud.core")
local errors = require("llama_cloud.errors")
local options = require("llama_cloud.options")
local request = require("llama_cloud.request")

local pagination = {}

local MAX_EMPTY_PAGES = 100 -- in a row

---@class LlamaCloud.Page the envelope of a list, decoded
---@field items table[]
---@field next_page_token? string
---@field total_size? integer

---@class LlamaCloud.List
---@field private fetch fun(token: string|integer|nil): LlamaCloud.Page?, LlamaCloud.Error? gets one page
---@field private scheme table how the next page is found
---@field private position string|integer|nil the token or offset of the next page
---@field private page? LlamaCloud.Page the current page
---@field private index integer of the item of it that was delivered last
---@field private pages_seen integer
---@field private empty integer how many pages in a row were empty
---@field private ended boolean there is no next page
---@field private failure? LlamaCloud.Error what it raised, and raises again
---@field private busy boolean a coroutine is fetching
---@field private closed boolean
local List = {}
List.__index = List
List.__name = "llama_cloud.list"

-- Cursor: `next_page_token` names the next page; missing, null or empty ends the list.
local cursor = {}

function cursor.start(list)
  list.seen = {}
end

function cursor.advance(list, page)
  local token = page.next_page_token
  if token == nil or token == "" then
    list.ended = true
    return
  elseif type(token) ~= "string" then
    return "next_page_token is not a string"
  elseif list.seen[token] then
    return "the service repeats a page token: the list would never end"
  end
  list.seen[token] = true
  list.position = token
end

-- Offset: the next offset is the last plus the items received. Tokens are ignored. A service that gives fewer items than
-- the limit may have reached its end or its own maximum: total_size tells.
local offset = {}

function offset.start() end

function offset.advance(list, page)
  local count, total = #page.items, page.total_size
  list.position = list.position + count
  if count == 0 then
    list.ended = true
  elseif math.type(total) == "integer" and list.position >= total and count < list.limit then
    list.ended = true
  end
end

local schemes = { cursor = cursor, offset = offset }

local function is_array(value)
  return type(value) == "table" and (value[1] ~= nil or getmetatable(value) == core.array)
end

-- Why an envelope is not a page, or nil.
local function envelope_fault(list, page)
  if page.items == nil and list.items_optional then
    page.items = core.array {}
  end
  if not is_array(page.items) then
    return "items is not an array"
  end
  for index, item in ipairs(page.items) do
    if not request.is_object(item) then
      return ("item %d is not an object"):format(index)
    end
  end
end

-- Ends the list with an error, for good.
local function fail(list, err)
  list.failure, list.page, list.ended = err, nil, true
  return nil, err
end

-- Makes an error of a response that was received whole but makes no sense as a page.
local function nonsense(list, fault)
  return fail(
    list,
    errors.new {
      kind = "decode",
      message = ("page %d: %s"):format(list.pages_seen, fault),
      method = "GET",
      url = list.url,
    }
  )
end

-- Gets the next page that has items; empty ones on the way are passed over. Nil at the end; nil and an error.
local function advance(list)
  if list.failure then
    return nil, list.failure
  end
  while not list.ended do
    local page, err = list.fetch(list.position)
    if list.closed then
      return nil -- closed while it was waiting
    elseif not page then
      return fail(list, err)
    end
    list.pages_seen = list.pages_seen + 1
    local fault = envelope_fault(list, page) or list.scheme.advance(list, page)
    if fault then
      return nonsense(list, fault)
    end
    if #page.items > 0 then
      list.empty, list.page, list.index = 0, page, 0
      return page
    end
    list.empty = list.empty + 1
    if list.empty > MAX_EMPTY_PAGES and not list.ended then
      return nonsense(list, ("more than %d empty pages in a row"):format(MAX_EMPTY_PAGES))
    end
  end
  list.page = nil
  return nil
end

-- Clears the mark of the coroutine that fetches, however it leaves.
local busy_mt = {
  __close = function(self)
    self.list.busy = false
  end,
}

-- advance, by one coroutine at a time: of two, each would get half of the items, and a page might be fetched twice. What
-- is wrong is an error of who called the caller.
local function exclusive(list)
  if getmetatable(list) ~= List then
    error("call the methods of a list with a colon: list:next_page()", 3)
  elseif list.busy then
    error("the list is being used by another coroutine", 3)
  end
  list.busy = true
  local mark <close> = setmetatable({ list = list }, busy_mt) -- luacheck: ignore mark
  return advance(list)
end

-- The next item; nil at the end. Raises.
local function next_item(list)
  local page = list.page
  if page and list.index < #page.items then
    list.index = list.index + 1
    return page.items[list.index]
  end
  local err
  page, err = exclusive(list)
  if err then
    error(err, 0)
  elseif page then
    list.index = 1
    return page.items[1]
  end
end

List.__call = next_item

--- Gets the next page: after the current one, where a `for` is inside a page.
---@return LlamaCloud.Page? page nil at the end
---@return LlamaCloud.Error? err
function List:next_page()
  local page, err = exclusive(self)
  if page then
    self.index = #page.items -- a `for` over the same list goes on behind it
  end
  return page, err
end

local function next_page_or_raise(list)
  local page, err = exclusive(list)
  if err then
    error(err, 0)
  elseif page then
    list.index = #page.items
  end
  return page
end

--- Iterates over the pages: `for page in list:pages() do … end`. Raises as a `for` over the items does.
---@return fun(list: LlamaCloud.List): LlamaCloud.Page? iterator
---@return LlamaCloud.List
---@return nil
---@return LlamaCloud.List closed when the loop ends
function List:pages()
  return next_page_or_raise, self, nil, self
end

--- Collects the items that are left, and closes the list.
---@param given? { max_items?: integer } max_items: at most so many, no limit by default
---@return table[]? items an array
---@return LlamaCloud.Error? err when a page could not be had; the items before it are lost
function List:all(given)
  if getmetatable(self) ~= List then
    error("call the methods of a list with a colon: list:all()", 2)
  end
  given = given == nil and {} or given
  local problem = options.check("option", given, { max_items = "count" })
  if problem then
    error(problem, 2)
  end
  local limit = given.max_items
  if limit == nil or limit == core.null then
    limit = math.huge
  end
  local items = {}
  while #items < limit do
    local page = self.page
    if not page or self.index >= #page.items then
      local err
      page, err = exclusive(self)
      if err then
        return nil, err
      elseif not page then
        break
      end
    end
    local count = math.min(#page.items - self.index, limit - #items) // 1 | 0
    table.move(page.items, self.index + 1, self.index + count, #items + 1, items)
    self.index = self.index + count
  end
  self:close()
  return #items > 0 and items or core.array(items)
end

--- Ends the list: nothing more is fetched. A `for` over it closes it by itself. Idempotent.
function List:close()
  self.closed, self.ended, self.page = true, true, nil
end

List.__close = List.close

function List:__tostring()
  local condition = self.failure and "failed" or self.closed and "closed" or self.ended and "at its last page" or "open"
  return ("llama_cloud.list (%s, %d pages)"):format(condition, self.pages_seen)
end

--- Makes a list object.
---@param scheme { kind: "cursor"|"offset", items_optional?: boolean }
---@param position string|integer|nil where to begin: a page token, or an offset
---@param limit integer? items per page, for offset lists
---@param shown_url string for error messages
---@param fetch fun(position: string|integer|nil): LlamaCloud.Page?, LlamaCloud.Error?
---@return LlamaCloud.List
function pagination.new(scheme, position, limit, shown_url, fetch)
  local list = setmetatable({
    fetch = fetch,
    scheme = schemes[scheme.kind],
    items_optional = scheme.items_optional,
    position = position,
    limit = limit,
    url = shown_url,
    index = 0,
    pages_seen = 0,
    empty = 0,
    ended = false,
    busy = false,
    closed = false,
  }, List)
  list.scheme.start(list)
  if position and scheme.kind == "cursor" then
    list.seen[position] = true
  end
  return list
end

return pagination

--- List objects: what `list` returns. One object walks through the pages of one request, forwards, once.

local core = require("llama_cloud.core")
local errors = require("llama_cloud.base.errors")
local loop = require("llama_cloud.loop")
local options = require("llama_cloud.endpoint.options")
local request = require("llama_cloud.http.request")

local pagination = {}

local MAX_EMPTY_PAGES = 100 -- in a row

--- The options of lists that are not given.
pagination.defaults = { prefetch = true, concurrency = 8 }

local ALL_OPTIONS = { max_items = "count" }

---@class LlamaCloud.Page the envelope of a list, decoded
---@field items table[]
---@field next_page_token? string
---@field total_size? integer

---@class LlamaCloud.AllOptions
---@field max_items? integer at most so many (default none)

--- What a list of any kind has. The resources have a class for each kind of item, beside the item's: so an editor knows what
--- a `for` over it gives. `scripts/types` sees to it that they are all there.
---@class LlamaCloud.List
---@field private source { fetch: function, start: function } gets pages
---@field private scheme table how the next page is found
---@field private position string|integer|nil the token or offset of the next page
---@field private current string|integer|nil that of the current page
---@field private decoder userdata what remembers how its items look
---@field private narrow boolean only some fields of its items are decoded
---@field private page? table the current page, as the core has it: items come out of it one by one
---@field private quick table|false the same, where nobody has to look at its items: what core.items_of_list takes from
---@field private pages_seen integer
---@field private empty integer how many pages in a row were empty
---@field private ahead table<any, LlamaCloud.Ahead> position -> the request for that page, under way
---@field private fields LlamaCloud.Fields|false what the items are to have
---@field private prefetch boolean
---@field private concurrency integer how many pages may be under way, where their positions are known
---@field private wanted number how many items will be taken yet, as far as is known
---@field private ended boolean there is no next page
---@field private failure? LlamaCloud.Error what it raised, and raises again
---@field private busy boolean a coroutine is fetching
---@field private closed boolean
local List = {}
List.__index = List
List.__name = "llama_cloud.list"

-- A list without a position begins where the service begins; a table cannot have nil as a key.
local BEGINNING = {}

-- Cursor: `next_page_token` names the next page; missing, null or empty ends the list.
local cursor = {}

function cursor.start(list)
  list.seen = {}
end

function cursor.advance(list, page)
  local token, message = page:member("next_page_token")
  if message then
    return message
  elseif token == nil or token == "" then
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

-- Says in an error where the list stopped: so many items of the page at this position were given.
function cursor.mark(err, position, delivered)
  err.page_token, err.delivered = position, delivered
end

-- The positions of the pages that come next and can be asked for already.
function cursor.upcoming(list)
  return { list.position }
end

-- Offset: the next offset is the last plus the items received. Tokens are ignored. A service that gives fewer items than
-- the limit may have reached its end or its own maximum: total_size tells.
local offset = {}

function offset.start() end

function offset.advance(list, page, count)
  local total, message = page:member("total_size")
  if message then
    return message
  end
  list.total = math.type(total) == "integer" and total or nil
  list.spacing = count -- a service that gives fewer items than the limit has a maximum of its own
  list.position = list.position + count
  if count == 0 then
    list.ended = true
  elseif list.total and list.position >= list.total and count < list.limit then
    list.ended = true
  end
end

function offset.mark(err, position, delivered)
  err.offset, err.delivered = position + delivered, 0
end

-- Where the total is known, the offsets of all pages are, if pages are full.
function offset.upcoming(list)
  local positions = { list.position }
  for i = 2, list.total and list.concurrency or 1 do
    local position = list.position + (i - 1) * list.spacing
    if position >= list.total then
      break
    end
    positions[i] = position
  end
  return positions
end

local schemes = { cursor = cursor, offset = offset }

-- Drops the requests that are under way.
local function forget_ahead(list)
  for position, ahead in pairs(list.ahead) do
    list.ahead[position] = nil
    ahead:close()
  end
end

-- Lets go of the current page.
local function leave_page(list)
  local page = list.page
  list.page, list.quick = nil, false
  if page then
    page:close()
  end
end

-- Ends the list with an error, for good. The error has the place where it stopped: `delivered` items of the page at
-- `position` were given.
local function fail(list, err, position, delivered)
  list.scheme.mark(err, position, delivered)
  list.failure, list.ended = err, true
  leave_page(list)
  forget_ahead(list)
  return nil, err
end

-- Fails with an error for a response that was received whole, but makes no sense as a page.
local function nonsense(list, fault, position, delivered)
  return fail(
    list,
    errors.new {
      kind = fault:find(core.overdue, 1, true) and "timeout" or "decode",
      message = ("page %d: %s"):format(list.pages_seen, fault),
      method = "GET",
      url = list.url,
    },
    position,
    delivered
  )
end

-- Asks for the pages that come next, if they are not under way already, and as far as they will be needed. `left` is how
-- many items of the current page are not taken yet, `size` how many it has.
local function look_ahead(list, left, size)
  if list.ended or not list.prefetch then
    return
  end
  for i, position in ipairs(list.scheme.upcoming(list)) do
    if list.wanted <= left + (i - 1) * size then
      break
    elseif not list.ahead[position] then
      list.ahead[position] = list.source.start(position)
    end
  end
  loop.dispatch() -- sends them now: the next look at what came in may be a while away
end

-- Gets the page at the list's position, which may be under way.
local function fetch(list)
  local key = list.position == nil and BEGINNING or list.position
  local ahead = list.ahead[key]
  list.ahead[key] = nil
  if not ahead then
    forget_ahead(list) -- pages were not as full as they were taken for
  end
  return list.source.fetch(list.position, ahead)
end

-- Tells of fields that no item had.
local function tell_fields(list)
  local fields = list.fields
  if fields then
    list.fields = false
    fields:tell()
  end
end

-- Gets the next page that has items, and makes it the current one; empty ones on the way are passed over. True; nil at
-- the end; nil and an error.
local function advance(list)
  if list.failure then
    return nil, list.failure
  end
  leave_page(list)
  while not list.ended do
    local page, err = fetch(list)
    if list.closed then
      if page then
        page:close()
      end
      return nil -- closed while it was waiting
    elseif not page then
      return fail(list, err, list.position, 0)
    end
    list.pages_seen, list.page, list.quick = list.pages_seen + 1, page, not list.fields and page
    list.current = list.position
    local count = page:count()
    if count == nil and list.items_optional then
      count = 0
    end
    local fault = not count and "items is not an array" or list.scheme.advance(list, page, count)
    if fault then
      return nonsense(list, fault, list.position, 0)
    elseif count > 0 then
      list.empty = 0
      return true
    end
    leave_page(list)
    list.empty = list.empty + 1
    if list.empty > MAX_EMPTY_PAGES and not list.ended then
      return nonsense(list, ("more than %d empty pages in a row"):format(MAX_EMPTY_PAGES), list.position, 0)
    end
  end
  tell_fields(list)
  return nil
end

-- Clears the mark of the coroutine that fetches, however it leaves.
local busy_mt = {
  __close = function(self)
    self.list.busy = false
  end,
}

-- Raises, `level` calls up, where a method was called with a dot, or on something else.
local function check_list(list, method, level)
  if getmetatable(list) ~= List then
    error(("call the methods of a list with a colon: list:%s()"):format(method), level)
  end
end

-- advance, by one coroutine at a time: of two, each would get half of the items, and a page might be fetched twice. What
-- is wrong is an error of whoever is `level` calls up.
local function exclusive(list, level)
  check_list(list, "next_page", level + 1)
  if list.busy then
    error("the list is being used by another coroutine", level)
  end
  list.busy = true
  local mark <close> = setmetatable({ list = list }, busy_mt) -- luacheck: ignore mark
  return advance(list)
end

-- What is done between the items of a page: the next page is requested at the second item, not before, so that taking one
-- item costs one request; while it is on its way, the transport is stepped now and then.
local function between_items(list)
  if list.page:delivered() == 1 then
    local size = list.page:count()
    look_ahead(list, size - 1, size)
  elseif next(list.ahead) then
    loop.dispatch()
  end
end

-- The next item; nil at the end; nil and an error. `fault` is what is wrong with the item, where that is known already;
-- who uses the list is `level` calls up.
local function take(list, level, fault)
  while true do
    local page, item = list.page, nil
    if page and not fault then
      if page:due() then
        between_items(list)
      end
      item, fault = page:next()
    end
    if item then
      if list.fields then
        list.fields:see(item)
      end
      return item
    elseif fault and page then
      local delivered = page:delivered()
      return nonsense(list, ("item %d: %s"):format(delivered + 1, fault), list.current, delivered)
    end
    local more, err = exclusive(list, level + 1)
    if not more then
      return nil, err
    end
  end
end

-- The next item; nil at the end. Raises.
List.__call = core.items_of_list(function(list, fault)
  local item, err = take(list, 4, fault)
  if item then
    return item
  elseif err then
    error(err, 0)
  end
end)

-- The current page as a table, which is the last use of it. Nil and an error.
local function whole_page(list)
  local page = list.page
  local envelope
  if list.narrow then
    envelope = { items = {}, next_page_token = page:member("next_page_token"), total_size = page:member("total_size") }
    local item, message = page:next()
    while item do
      envelope.items[#envelope.items + 1] = item
      if list.fields then
        list.fields:see(item)
      end
      item, message = page:next()
    end
    if message then
      return nonsense(list, ("item %d: %s"):format(#envelope.items + 1, message), list.current, 0)
    end
  else
    local message
    envelope, message = page:decode()
    if not envelope then
      return nonsense(list, message, list.current, 0)
    elseif not request.is_array(envelope.items) then
      return nonsense(list, "items is not an array", list.current, 0)
    end
    for index, item in ipairs(envelope.items) do
      if not request.is_object(item) then
        return nonsense(list, ("item %d: it is not an object"):format(index), list.current, 0)
      end
    end
  end
  leave_page(list)
  return envelope
end

-- The next page as a table; nil at the end; nil and an error.
local function take_page(list)
  local more, err = exclusive(list, 4)
  if not more then
    return nil, err
  end
  if list.pages_seen > 1 then
    look_ahead(list, 0, 0) -- not at the first: who takes one page pays for one request
  end
  return whole_page(list)
end

--- Gets the next page; inside a `for` over the items, the one after the current page. Nil at the end.
---@return LlamaCloud.Page? page nil at the end
---@return LlamaCloud.Error? err
function List:next_page()
  local page, err = take_page(self)
  return page, err
end

local function next_page_or_raise(list)
  local page, err = take_page(list)
  if err then
    error(err, 0)
  end
  return page
end

--- For a loop over the pages, `for page in list:pages() do`, which closes the list when it ends. It raises errors.
---@return fun(list: LlamaCloud.List): LlamaCloud.Page? iterator
---@return LlamaCloud.List
---@return nil
---@return LlamaCloud.List closed when the loop ends
function List:pages()
  check_list(self, "pages", 3)
  return next_page_or_raise, self, nil, self
end

--- Collects the remaining items, at most `max_items`, and closes the list.
---@param given? LlamaCloud.AllOptions
---@return table[]? items an array
---@return LlamaCloud.Error? err when a page could not be had; err.items has the items before it
function List:all(given)
  check_list(self, "all", 3)
  given = options.shown("option", given == nil and {} or given, ALL_OPTIONS)
  local problem = options.check("option", given, ALL_OPTIONS)
  if problem then
    error(problem, 2)
  end
  local limit = options.present(given.max_items) or math.huge
  local items, count = {}, 0
  while count < limit do
    self.wanted = limit - count
    local item, err = take(self, 3)
    if err then
      err.items = err.items or count > 0 and items or core.array(items)
      return nil, err
    elseif not item then
      break
    end
    count = count + 1
    items[count] = item
  end
  self.wanted = math.huge
  self:close()
  return count > 0 and items or core.array(items)
end

--- Ends fetching. A `for` over the four values does this automatically.
function List:close()
  check_list(self, "close", 3)
  self.closed, self.ended = true, true
  leave_page(self)
  forget_ahead(self)
  self.decoder:forget()
  tell_fields(self) -- last, because a log that is a function may raise
end

List.__close = List.close

-- ipairs and # would silently find nothing.
local function no_array()
  error("a list is not an array: loop with `for item in list do`, or get one from list:all()", 2)
end

List.__len = no_array

setmetatable(List, {
  __index = function(_, key)
    if math.type(key) == "integer" then
      return no_array() -- a tail call: the position in the message is the caller's
    end
  end,
})

function List:__tostring()
  local condition = self.failure and "failed" or self.closed and "closed" or self.ended and "at its last page" or "open"
  return ("llama_cloud.list (%s, %d pages)"):format(condition, self.pages_seen)
end

--- Warns at its end of fields that none of its items had.
---@param watch? LlamaCloud.Fields
function List:watch(watch)
  self.fields = watch or false
end

--- Whether a value is a list object.
---@param value any
---@return boolean
function pagination.is_list(value)
  return getmetatable(value) == List
end

--- Makes a list object.
---@param given { scheme: table, position: any, limit: integer?, url: string, decoder: userdata, narrow: boolean?, prefetch: boolean?, concurrency: integer? }
---       scheme: { kind = "cursor"|"offset", items_optional = true? }; position: where to begin, a page token or an offset;
---       limit: items per page, for offset lists; url: for messages
---@param source { fetch: fun(position: any, ahead: LlamaCloud.Ahead?): table?, LlamaCloud.Error?, start: fun(position: any): LlamaCloud.Ahead? }
---@return LlamaCloud.List
function pagination.new(given, source)
  local list = setmetatable({
    source = source,
    scheme = schemes[given.scheme.kind],
    items_optional = given.scheme.items_optional,
    position = given.position,
    limit = given.limit,
    url = given.url,
    decoder = given.decoder,
    narrow = given.narrow or false,
    fields = false,
    quick = false,
    prefetch = given.prefetch ~= false,
    concurrency = given.concurrency or pagination.defaults.concurrency,
    ahead = {},
    pages_seen = 0,
    empty = 0,
    wanted = math.huge,
    ended = false,
    busy = false,
    closed = false,
  }, List)
  list.scheme.start(list)
  if given.position and given.scheme.kind == "cursor" then
    list.seen[given.position] = true
  end
  return list
end

return pagination

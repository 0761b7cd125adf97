--- Lists over a service that answers anything. An input is a byte that says how to list, then the bodies of the answers,
--- with the byte 0x1E between them. Whatever they hold, a list ends or fails, and delivers what the bodies hold.

local compare = require("fuzz.compare")
local core = require("llama_cloud.core")
local errors = require("llama_cloud.base.errors")
local pagination = require("llama_cloud.endpoint.list")
local request = require("llama_cloud.http.request")

local MAX_EMPTY_PAGES = 100 -- as endpoint/list.lua has it
local MOST_BODIES = 12

local function split(text)
  local bodies = {}
  for body in (text .. "\x1E"):gmatch("([^\x1E]*)\x1E") do
    bodies[#bodies + 1] = body
  end
  return table.move(bodies, 1, MOST_BODIES, 1, {})
end

local function no_page(message)
  return nil, errors.new { kind = "decode", message = message }
end

-- A service that answers with the bodies in turn, and then fails, repeats its last answer, or has nothing but empty pages
-- for ever. Keeps account of what it was asked for.
local function new_service(bodies, how)
  local service = { fetches = 0, ahead = 0, delivered = {}, how = how, decoder = core.decoder() }

  local function body_of(position)
    local number = service.fetches
    if bodies[number] then
      return bodies[number]
    elseif how.offset or how.afterwards == 0 then
      return nil
    elseif how.afterwards == 1 then
      return bodies[#bodies]
    end
    return ('{"items":[],"next_page_token":"fresh %d %s"}'):format(number, tostring(position):gsub("[^%w]", ""))
  end

  function service.fetch(position, ahead)
    if ahead then
      ahead:close()
    end
    service.fetches = service.fetches + 1
    if service.fetches > #bodies + MAX_EMPTY_PAGES + 2 then
      compare.fail("the list goes on for ever: %s requests", service.fetches)
    end
    local body = body_of(position)
    if not body then
      return no_page("no more bodies")
    end
    local page, message = core.page(body, nil, nil, service.decoder, how.fields)
    if not page then
      return no_page(message)
    end
    service.delivered[#service.delivered + 1] = body
    return page
  end

  function service.start(position)
    if position == nil then
      compare.fail("a page is asked for ahead, and it is not known which")
    end
    service.ahead = service.ahead + 1
    local open = true
    return {
      close = function()
        if open then
          open, service.ahead = false, service.ahead - 1
        end
      end,
    }
  end

  return service
end

-- The items of a body, if it is a page without fault, told by decoding it as a whole.
local function items_of(body)
  local envelope = core.decode(body, { max_depth = 513, repair = true })
  local items = request.is_object(envelope) and envelope.items
  if type(items) ~= "table" or request.is_object(items) then
    return nil
  end
  for _, item in ipairs(items) do
    if not request.is_object(item) then
      return nil
    end
  end
  return items
end

local function filter(item, fields)
  if not fields then
    return item
  end
  local part = {}
  for _, name in ipairs(fields) do
    part[name] = item[name]
  end
  return part
end

-- Takes items in one of several ways. Returns them, and the error.
local function consume(list, how)
  local items = {}
  local function add(item)
    items[#items + 1] = item
  end
  if how.way == 0 then
    local ok, err = pcall(function()
      for item in list, nil, nil, list do
        add(item)
      end
    end)
    return items, not ok and err or nil
  elseif how.way == 1 then
    local all, err = list:all()
    for _, item in ipairs(all or {}) do
      add(item)
    end
    return items, err, all == nil
  elseif how.way == 2 then
    while true do
      local page, err = list:next_page()
      if not page then
        return items, err, true
      end
      for _, item in ipairs(page.items) do
        add(item)
      end
    end
  end
  local ok, err = pcall(function()
    local item = list()
    while item and #items < 20 do
      add(item)
      item = list()
    end
  end)
  list:close()
  return items, not ok and err or nil
end

local function check_error(list, err)
  if not errors.is_error(err) then
    compare.fail("what is raised is no error object: %s", err)
  elseif type(err.kind) ~= "string" or type(err.message) ~= "string" then
    compare.fail("the error says nothing: %s", err)
  end
  local again, same = list:next_page()
  if again ~= nil or same ~= err and not list.closed then
    compare.fail("a list that has failed goes on: %s, %s", again, same)
  end
end

-- The items are those of the bodies in turn, up to the first that is not in order.
local function check_items(items, service, how)
  local at = 0
  for _, body in ipairs(service.delivered) do
    local expected = items_of(body)
    if not expected then
      return
    end
    for _, item in ipairs(expected) do
      at = at + 1
      if at > #items then
        return
      elseif not compare.same(items[at], filter(item, how.fields)) then
        compare.fail("item %s is %s and not %s", at, core.encode(items[at]), core.encode(item))
      end
    end
  end
  if at < #items then
    compare.fail("%s items came, and the bodies hold %s", #items, at)
  end
end

-- A whole document and its page tell the same.
local function check_page(body)
  local page = core.page(body)
  local envelope, message = core.decode(body, { repair = true })
  if message or not request.is_object(envelope) then
    return
  elseif not page then
    compare.fail("%s is an object, and no page", body)
  elseif page:text() ~= body or not compare.same(page:decode(), envelope) then
    compare.fail("the page is not %s", body)
  end
  for _, name in ipairs { "next_page_token", "total_size" } do
    if not compare.same(page:member(name), envelope[name]) then
      compare.fail("%s of %s is %s", name, body, page:member(name))
    end
  end
  local items = items_of(body)
  if items and page:count() ~= #items then
    compare.fail("%s has %s items, not %s", body, #items, page:count())
  end
  page:close()
end

return function(input)
  local byte = input:byte() or 0
  local how = {
    offset = byte & 1 ~= 0,
    items_optional = byte & 2 ~= 0 or nil,
    prefetch = byte & 4 ~= 0,
    fields = byte & 8 ~= 0 and { "id", "status" } or nil,
    way = byte >> 4 & 3,
    afterwards = (byte >> 6) % 3,
  }
  local bodies = split(input:sub(2))
  for _, body in ipairs(bodies) do
    check_page(body)
  end
  local service = new_service(bodies, how)
  local list = pagination.new({
    scheme = { kind = how.offset and "offset" or "cursor", items_optional = how.items_optional },
    position = how.offset and 0 or nil,
    limit = how.offset and 3 or nil,
    url = "https://api.example/list",
    decoder = service.decoder,
    narrow = how.fields ~= nil,
    prefetch = how.prefetch,
    concurrency = 4,
  }, service)
  local items, err = consume(list, how)
  check_items(items, service, how)
  if err then
    check_error(list, err)
  end
  list:close()
  if service.ahead ~= 0 then
    compare.fail("%s requests are left under way", service.ahead)
  end
end,
  true

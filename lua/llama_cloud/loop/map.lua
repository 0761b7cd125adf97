--- map: a function of many items, some of them at once, whose results a loop takes as they come.

local streams = require("llama_cloud.loop.stream")
local tables = require("llama_cloud.base.tables")

local map = {}

map.concurrency = 8 -- unless the caller says otherwise

-- A metamethod of the items; nil where there is none.
local function metamethod(items, name)
  local meta = getmetatable(items)
  return type(meta) == "table" and meta[name] or nil
end

-- What gives the items one by one, and then nil.
local function puller(items)
  if type(items) == "table" and not metamethod(items, "__call") then
    local position = 0
    return function()
      position = position + 1
      return items[position]
    end
  end
  return items
end

-- One item.
local function work(pool, item)
  local f = pool.f
  local result, err = f(item)
  pool.running = pool.running - 1
  pool.stream:put { item, result, err }
end

-- Takes the items, one whenever another can be begun with.
local function feed(pool)
  local leaving <close> = metamethod(pool.items, "__close") and pool.items -- luacheck: ignore leaving
  local pull = puller(pool.items)
  while true do
    pool.may_begin:wait()
    if pool.stream:ending() then
      break
    end
    local item = pull()
    if item == nil or pool.stream:ending() then
      break
    end
    pool.running = pool.running + 1
    pool.stream:spawn(work, pool, item)
  end
end

local function give(entry)
  return entry[1], entry[2], entry[3]
end

local NEEDS_STATE = { [next] = "pairs", [(ipairs {})] = "ipairs" } -- what they return, and cannot be called without arguments

--- Why something is no source of items; nil if it is one.
---@param items any
---@return string? problem
function map.problem(items)
  if NEEDS_STATE[items] then
    local format = "items is called without arguments, and what %s returns needs some: wrap it in a function"
    return format:format(NEEDS_STATE[items])
  elseif type(items) == "function" or metamethod(items, "__call") then
    return nil
  elseif type(items) ~= "table" then
    return ("items must be an array or an iterator, not %s"):format(type(items))
  end
  local count = 0
  while items[count + 1] ~= nil do
    count = count + 1
  end
  local strange = "items must be an array or an iterator, and this table has other keys"
  return tables.array_problem(items, count, "items", strange)
end

--- As llama_cloud.map, of checked arguments.
---@param items any
---@param f fun(item: any): any, any
---@param concurrency integer
---@return LlamaCloud.StreamHandle
---@return nil
---@return nil
---@return LlamaCloud.StreamHandle
function map.new(items, f, concurrency)
  local stream = streams.new(math.huge) -- there is room for the result of each item that was begun with
  local pool = { items = items, f = f, running = 0, stream = stream }
  pool.may_begin = stream:condition(function()
    local free = concurrency - pool.running
    return free > 0 and stream:count() - concurrency < free or stream:ending()
  end)
  stream:spawn(feed, pool)
  return stream:loop(give)
end

return map

-- What the modules of routes share: the parameters that many of them take, the shape of errors and lists, page tokens.

local clock = require("llama_cloud.sandbox.clock")
local json = require("llama_cloud.sandbox.json")
local seed = require("llama_cloud.sandbox.seed")

local endpoint = {}

endpoint.SCOPE = { { "organization_id", "string" }, { "project_id", "string" } }
endpoint.EXPAND = { "expand", "string", many = true }
endpoint.PAGE_SIZE = { "page_size", "integer", above = 0, cap = 1000, default = 50 }
endpoint.PAGE_TOKEN = { "page_token", "string" }

--- Declarations of a query, with those of the scope.
---@param declarations table[]
---@return table[]
function endpoint.query(declarations)
  return table.move(endpoint.SCOPE, 1, #endpoint.SCOPE, #declarations + 1, declarations)
end

--- A member of a body; nil where it is missing or null.
---@param body table
---@param name string
---@return any
function endpoint.given(body, name)
  local value = body[name]
  return value ~= json.null and value or nil
end

--- An error with one sentence, or with an object.
---@param status integer
---@param text any
---@return integer status
---@return string body
function endpoint.detail(status, text)
  return status, json.encode { detail = text }
end

--- A handler that gets what `find` finds for the values of the path, or answers 404.
---@param find fun(sandbox: table, ...: string): any
---@param what string as in "Batch not found"
---@param handler fun(sandbox: table, request: table, found: any): ...
function endpoint.with(find, what, handler)
  return function(sandbox, request)
    local found = find(sandbox, table.unpack(request.path_values))
    if not found then
      return endpoint.detail(404, what .. " not found")
    end
    return handler(sandbox, request, found)
  end
end

--- Whether a request's `expand` asks for something. Nobody published all that may be asked for, so what is unknown passes.
---@param request llama_cloud.sandbox.checked_request
---@param name string
---@return boolean
function endpoint.expands(request, name)
  for _, value in ipairs(request.query.expand or {}) do
    for part in value:gmatch("[^,]+") do
      if part == name then
        return true
      end
    end
  end
  return false
end

--- Milliseconds of a date in a body that was checked already.
---@param value string|number
---@return integer
function endpoint.time(value)
  return math.tointeger(clock.parse(tostring(value)))
end

-- Page tokens ----------------------------------------------------------------------------------------------------------

-- A token holds the number of the last item of its page and a check that it belongs to this seed and these filters, in
-- 16 bytes and then in URL-safe letters; clients must not see through it.

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

local function check_of(sandbox, list, filters, number)
  local text = { list }
  for name, value in pairs(filters) do
    if name ~= "page_token" and name ~= "page_size" and name ~= "organization_id" and name ~= "project_id" then
      text[#text + 1] = name .. "=" .. (type(value) == "table" and table.concat(value, "\1") or tostring(value))
    end
  end
  table.sort(text)
  return seed.hash(sandbox.world, seed.hash_string(table.concat(text, "\0")), number)
end

local function make_token(sandbox, list, filters, number)
  local check = check_of(sandbox, list, filters, number)
  local bytes = string.pack(">i8i8", check, number ~ seed.hash(check))
  local letters = {}
  for position = 1, #bytes * 8, 6 do
    local byte, bit = (position - 1) // 8 + 1, (position - 1) % 8
    local pair = bytes:byte(byte) << 8 | (bytes:byte(byte + 1) or 0)
    local value = pair >> (10 - bit) & 63
    letters[#letters + 1] = ALPHABET:sub(value + 1, value + 1)
  end
  return table.concat(letters)
end

local function read_token(sandbox, list, filters, token)
  if #token ~= 22 or token:find("[^%w_-]") then
    return nil
  end
  local bytes, bits, count = {}, 0, 0
  for letter in token:gmatch(".") do
    bits = bits << 6 | ALPHABET:find(letter, 1, true) - 1
    count = count + 6
    if count >= 8 then
      count = count - 8
      bytes[#bytes + 1] = string.char(bits >> count & 255)
    end
  end
  local check, number = string.unpack(">i8i8", table.concat(bytes))
  number = number ~ seed.hash(check)
  return check == check_of(sandbox, list, filters, number) and number or nil
end

--- Answers a cursor list.
---@param sandbox table
---@param list string which list it is: tokens of one are no good for another
---@param filters table the checked query, `page_size` and `page_token` among it
---@param find fun(after: integer?, limit: integer): integer[], boolean numbers of up to `limit` items that follow the one of
--- number `after` in the list's order (from the start without it), and whether more follow
---@param encode fun(number: integer): string an item as JSON
---@return integer status
---@return string body
function endpoint.page(sandbox, list, filters, find, encode)
  local after
  if filters.page_token then
    after = read_token(sandbox, list, filters, filters.page_token)
    if not after then
      return endpoint.detail(400, "Invalid page token")
    end
  end
  local numbers, more = find(after, filters.page_size)
  local items = {}
  for index, number in ipairs(numbers) do
    items[index] = encode(number)
  end
  local token = more and json.quote(make_token(sandbox, list, filters, numbers[#numbers])) or "null"
  local total = "null"
  if sandbox.total_size then
    total = string.format("%d", #(find(nil, math.maxinteger)))
  end
  return 200,
    string.format('{"items":[%s],"next_page_token":%s,"total_size":%s}', table.concat(items, ","), token, total)
end

--- A handler that answers the cursor list of a store in the sandbox.
---@param name string of the store, and of the list
---@param encode fun(store: table, number: integer): string an item as JSON
---@return llama_cloud.sandbox.handler
function endpoint.list(name, encode)
  return function(sandbox, request)
    local store, filters = sandbox[name], request.query
    return endpoint.page(sandbox, name, filters, function(before, limit)
      return store:list(filters, before, limit)
    end, function(number)
      return encode(store, number)
    end)
  end
end

return endpoint

-- What the specs of resources share: tables of calls, and what each looks like on the wire.
--
-- Of each call a table has { place of its resource, method, arguments … }, the request line, and where they are not what is
-- usual the `body`, the Accept header as `accept`, and as `answer` "list", "array" or "nothing".

local busted = require("busted")
local assert = require("luassert")

local llama_cloud = require("llama_cloud")
local compare = require("spec.support.compare")
local lists = require("spec.support.lists")
local server = require("spec.support.server")

local array, null = llama_cloud.array, llama_cloud.null

local wire = {}

-- Answers 204 where nothing is to be answered, an array or a page where that is, and otherwise an object with a null, an
-- unknown field and an unknown status.
wire.SERVICE = [[
  local object = '{"id":"x","status":"SOMETHING_NEW","new_field":{"list":[],"nulls":[null]},"gone":null}'
  local arrays = { ["/api/v1/projects"] = true, ["/api/v1/beta/webhook-configs"] = true }
  return function(connection, request)
    if request.method == "DELETE" and request.headers.accept == "*/*" then
      return connection:respond(204, {}, "")
    elseif request.method == "GET" and arrays[request.path] then
      return connection:json(200, "[" .. object .. "]")
    elseif request.path:find("/untyped$") then
      return connection:json(200, "null")
    end
    connection:json(200, (object:gsub("}$", ',"items":[' .. object .. '],"next_page_token":null}')))
  end
]]

-- What the answers become.
local OBJECT = { id = "x", status = "SOMETHING_NEW", new_field = { list = array {}, nulls = { null } } }

--- The resource at a place such as "beta.directories.files".
---@param client table
---@param place string
---@return table
function wire.resource_at(client, place)
  for name in place:gmatch("[^.]+") do
    client = client[name]
  end
  return client
end

--- Makes a call of a table. What it returns.
---@param client table
---@param one table
---@return any ...
function wire.make(client, one)
  local resource = wire.resource_at(client, one[1][1])
  return resource[one[1][2]](resource, table.unpack(one[1], 3))
end

-- The request that a call of a table makes, and what comes of it.
local function perform(s, client, one)
  local before = s:count()
  local answer, err = wire.make(client, one)
  if one.answer == "list" then
    answer, err = answer:next_page()
    answer = answer and answer.items
  end
  assert.is_truthy(answer, err)
  assert.equal(before + 1, s:count())
  return s:requests()[before + 1], answer
end

-- Checks the request and the answer of a call of a table.
local function check(s, client, one)
  local request, answer = perform(s, client, one)
  assert.equal(one[2], request.method .. " " .. request.target)
  assert.equal(one.body or "", request.body)
  assert.equal(one.body and "application/json" or nil, request.headers["content-type"])
  assert.equal(one.accept or "application/json", request.headers.accept)
  assert.equal("Bearer llx-key", request.headers.authorization)
  local length = one.body and tostring(#one.body) or request.method == "POST" and "0" or nil
  assert.equal(length, request.headers["content-length"])
  local expected = OBJECT
  if one.answer == "nothing" then
    expected = true
  elseif one.answer then
    expected = { OBJECT }
  else
    answer.items = nil
  end
  assert.is_nil(compare.difference(expected, answer))
end

--- Describes the calls of a table, one spec for each.
---@param calls table[]
function wire.describe(calls)
  busted.describe("on the wire", function()
    local s, client

    busted.setup(function()
      s = server.start(wire.SERVICE)
      client = lists.client(s)
    end)

    busted.teardown(function()
      s:stop()
    end)

    for number, one in ipairs(calls) do
      busted.it(("%s:%s (%d)"):format(one[1][1], one[1][2], number), function()
        check(s, client, one)
      end)
    end
  end)
end

return wire

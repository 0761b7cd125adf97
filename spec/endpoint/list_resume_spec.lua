-- Where a list has stopped: its error says so, and another list goes on from there with nothing lost and nothing twice.

local llama_cloud = require("llama_cloud")
local server = require("spec.support.server")
local support = require("spec.support.client")

-- A service of the items 1 … 11, in pages of 3, by page_token and by offset, that breaks once: at the request for the page
-- that begins at item `at`, in one of these ways.
local SERVICE = [[
  local broken = false
  return function(connection, request)
    local query = {}
    for name, value in (request.query or ""):gmatch("([^&=]+)=([^&]*)") do
      query[name] = value
    end
    local from = math.tointeger(tonumber(query.offset or (query.page_token or "t0"):match("%d+")))
    local items = {}
    for index = from + 1, math.min(11, from + 3) do
      items[#items + 1] = ('{"id":"%d"}'):format(index)
    end
    local token = from + 3 < 11 and ('"t%d"'):format(from + 3) or "null"
    if from == args.at and not broken then
      broken = true
      if args.how == "status" then
        return connection:json(403, '{"detail":"no"}')
      elseif args.how == "connection" then
        connection:head(200, { ["Content-Length"] = 100 })
        connection:raw('{"items":[')
        return connection:close()
      elseif args.how == "no array" then
        return connection:json(200, '{"items":{},"next_page_token":null,"total_size":11}')
      elseif args.how == "token" then
        token = '{}'
      elseif args.how == "total" then
        return connection:json(200, '{"items":[' .. table.concat(items, ",") .. '],"total_size":[}')
      else
        items[math.min(args.how, #items)] = "7"
      end
    end
    local text = '{"items":[%s],"next_page_token":%s,"total_size":11}'
    connection:json(200, text:format(table.concat(items, ","), token))
  end
]]

local kinds = {
  ["client.batches:list"] = {
    list = function(client, at)
      return client.batches:list { page_token = at.page_token, page_size = 3 }
    end,
    token = true,
    ways = { "status", "connection", "no array", "token", 1, 2, 3 },
  },
  ["client.beta.batch:list"] = {
    list = function(client, at)
      return client.beta.batch:list({ offset = at.offset, limit = 3 }, { concurrency = 1 })
    end,
    ways = { "status", "connection", "no array", "total", 1, 2, 3 },
  },
}

-- Ways to go through a list: appends the ids to `found`; the error, or nil.
local walks = {
  ["for"] = function(list, found)
    local ok, err = pcall(function()
      for item in list do
        found[#found + 1] = item.id
      end
    end)
    return not ok and err or nil
  end,
  pages = function(list, found)
    local ok, err = pcall(function()
      for page in list:pages() do
        for _, item in ipairs(page.items) do
          found[#found + 1] = item.id
        end
      end
    end)
    return not ok and err or nil
  end,
  all = function(list, found)
    local items, err = list:all()
    for _, item in ipairs(items or err.items) do
      found[#found + 1] = item.id
    end
    return err
  end,
}

for name, kind in pairs(kinds) do
  describe(name, function()
    for walk_name, walk in pairs(walks) do
      it(("can be resumed where it stopped, by %s"):format(walk_name), function()
        for _, at in ipairs { 0, 3, 6, 9 } do
          for _, how in ipairs(kind.ways) do
            local s <close> = server.start(SERVICE, { args = { at = at, how = how } })
            local client = support.client(s)
            local found = {}
            local err = walk(kind.list(client, {}), found)
            local what = ("%s at %d"):format(how, at)
            assert.is_true(llama_cloud.is_error(err), what)
            if kind.token then
              assert.equal(at > 0 and "t" .. at or nil, err.page_token, what)
              assert.is_nil(err.offset)
              assert.equal(#found - at, err.delivered, what)
            else
              assert.equal(#found, err.offset, what)
              assert.is_nil(err.page_token)
              assert.equal(0, err.delivered)
            end
            local rest = {}
            assert.is_nil(walk(kind.list(client, err), rest))
            table.move(rest, err.delivered + 1, #rest, #found + 1, found)
            assert.equal("1 2 3 4 5 6 7 8 9 10 11", table.concat(found, " "), what)
          end
        end
      end)
    end

    it("gives what all() had as err.items, an empty array if it had nothing", function()
      for _, at in ipairs { 0, 3, 9 } do
        local s <close> = server.start(SERVICE, { args = { at = at, how = "status" } })
        local list = kind.list(support.client(s), {})
        local items, err = list:all()
        assert.is_nil(items)
        assert.equal(at, #err.items)
        if at == 0 then
          assert.equal("[]", llama_cloud.json.encode(err.items))
        end
        -- asked again it gives the same error, with the same items
        local _, again = list:all()
        assert.equal(err, again)
        assert.equal(at, #again.items)
        assert.equal(s:count(), at // 3 + 1)
      end
    end)

    it("gives what all() had beyond what a for had taken", function()
      local s <close> = server.start(SERVICE, { args = { at = 6, how = "status" } })
      local list = kind.list(support.client(s), {})
      assert.equal("1", list().id)
      assert.equal("2", list().id)
      local _, err = list:all()
      assert.same({ { id = "3" }, { id = "4" }, { id = "5" }, { id = "6" } }, err.items)
    end)
  end)
end

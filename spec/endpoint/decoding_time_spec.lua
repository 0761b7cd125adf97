-- Answers so large that decoding them takes long: total_timeout holds for that, too.

local client_support = require("spec.support.client")
local core = require("llama_cloud.core")
local pagination = require("llama_cloud.endpoint.list")

-- So many values that the clock is looked at more than once.
local MANY = 50000

-- A document that holds them in one of several ways.
local documents = {
  arrays = '{"id":"bat-1","x":[' .. ("[],"):rep(MANY) .. "[]]}",
  numbers = '{"id":"bat-1","x":[' .. ("0,"):rep(MANY) .. "0]}",
  nested = '{"id":"bat-1","x":[' .. (("["):rep(100) .. ("]"):rep(100) .. ","):rep(MANY // 100) .. "[]]}",
  duplicates = '{"id":"bat-1"' .. (',"a":0'):rep(MANY) .. "}",
  members = '{"id":"bat-1"' .. (',"a\xff":""'):rep(MANY) .. "}",
}

describe("the time for decoding", function()
  it("is over at some place of a large page, its items or the whole", function()
    for name, text in pairs(documents) do
      local page = assert(core.page(('{"items":[{"id":"a"},%s]}'):format(text), nil, 0))
      assert.same({ id = "a" }, (page:next()))
      local item, message, offset = page:next()
      assert.is_nil(item, name)
      assert.equal(core.overdue, message)
      assert.equal("integer", math.type(offset))
      assert.is_nil((page:next())) -- and for good
      page:close()
      page = assert(core.page(text, nil, 0))
      assert.equal(core.overdue, select(2, page:decode()))
      if name == "duplicates" or name == "members" then
        assert.equal(core.overdue, select(2, core.page(text, 0)))
        assert.equal(core.overdue, select(2, page:decode { "id" }))
      else
        assert.same({ id = "bat-1" }, (page:decode { "id" })) -- what is passed over takes next to nothing
      end
      page:close()
    end
  end)

  it("is none for small ones, and without a limit for all", function()
    local page = assert(core.page('{"items":[{"id":"a"}]}', 0, 0))
    assert.same({ id = "a" }, (page:next()))
    for _, text in pairs(documents) do
      page = assert(core.page(text, math.huge, math.huge))
      assert.equal("bat-1", assert(page:decode()).id)
      assert.equal("bat-1", assert(assert(core.page(text)):decode()).id)
      assert.equal("bat-1", assert(core.decode(text, { repair = true })).id)
      assert.equal("bat-1", assert(assert(core.page(text, 1000, 1000)):decode()).id)
    end
  end)

  it("leaves the decoder fit for the next document", function()
    for _ = 1, 3 do
      assert.equal(core.overdue, select(2, assert(core.page(documents.nested, nil, 0)):decode()))
      assert.same({ { a = { 1 } } }, (core.decode('[{"a":[1]}]')))
    end
  end)

  it("is what is left of total_timeout", function()
    local real, skew = core.now, 0
    core.now = function() -- luacheck: ignore 122
      return real() + skew
    end
    local function late(level)
      skew = level == "info" and 1000 or skew -- the line about the response comes before it is decoded
    end
    local ok, problem = pcall(function()
      for name, text in pairs(documents) do
        local headers = { ["Content-Type"] = "application/json" }
        local answer = { body = text, headers = headers }
        local s <close>, client = client_support.start({ answer }, { log = late, total_timeout = 100, max_retries = 3 })
        for kind, call in pairs {
          get = function()
            return client.batches:get("bat-1")
          end,
          path = function()
            return client:get("/x")
          end,
          create = function()
            return client.batches:create(client_support.BATCH)
          end,
        } do
          skew = 0
          local value, err = call()
          assert.is_nil(value, name .. kind)
          assert.equal("timeout", err.kind)
          assert.equal(200, err.status)
          assert.equal(1, err.attempts)
          assert.equal(kind == "create", err.maybe_sent)
          assert.matches(
            "total_timeout of 100 s has passed: the response came, but there was no time",
            err.message,
            1,
            true
          )
        end
        assert.equal(3, s:count())
      end
    end)
    core.now = real -- luacheck: ignore 122
    assert(ok, problem)
  end)

  it("of a list is each page's and each item's", function()
    local big = documents.arrays
    for _, body in ipairs { ('{"items":[{"id":"a"},%s]}'):format(big), '{"items":[{"id":"a"}],"x":[]}' } do
      local list = pagination.new({
        scheme = { kind = "cursor" },
        url = "http://name.example/",
      }, {
        fetch = function()
          return core.page(body, nil, 0)
        end,
      })
      local ids = {}
      local ok, err = pcall(function()
        for item in list do
          ids[#ids + 1] = item.id
        end
      end)
      assert.same({ "a" }, ids)
      if #body > #big then
        assert.is_false(ok)
        assert.equal("timeout", err.kind)
        assert.matches("page 1: item 2: there was no time to decode it", err.message, 1, true)
      else
        assert.is_true(ok, tostring(err))
      end
    end
  end)
end)

describe("an error's body", function()
  it("is decoded up to 1 MiB", function()
    local function body(size)
      local text = '{"detail":"the reason","x":"'
      return text .. ("x"):rep(size - #text - 2) .. '"}'
    end
    local s <close>, client = client_support.start {
      { status = 400, body = body(1 << 20) },
      { status = 400, body = body((1 << 20) + 1) },
    }
    local _, err = client.batches:get("bat-1")
    assert.equal("the reason", err.body.detail)
    assert.matches("^400: the reason", err.message)
    _, err = client.batches:get("bat-1")
    assert.equal(body((1 << 20) + 1), err.body)
    assert.matches('^400: {"detail":"the reason"', err.message)
    assert.equal(2, s:count())
  end)
end)

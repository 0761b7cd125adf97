-- Lists ask for pages before they are needed: when, how many, and what becomes of them.

local lists = require("spec.support.lists")
local llama_cloud = require("llama_cloud")
local loop = require("llama_cloud.loop")
local server = require("spec.support.server")

local page, start = lists.page, lists.start

-- Jobs by offset: `total` of them, `cap` at most per page; every answer takes `delay` seconds.
local shop = [[
  local total, cap, delay = args.total, args.cap or 1000, args.delay or 0
  return function(connection, request)
    local query = "&" .. (request.query or "")
    local from = tonumber(query:match("&offset=(%d+)") or 0)
    local limit = math.min(tonumber(query:match("&limit=(%d+)") or 50), cap)
    local items = {}
    for i = from, math.min(from + limit, total) - 1 do
      items[#items + 1] = '{"id":"' .. i .. '"}'
    end
    connection:sleep(delay)
    connection:json(200, '{"items":[' .. table.concat(items, ",") .. '],"total_size":' .. total .. "}")
  end
]]

-- Lets requests under way get on, without waiting for one in particular.
local function settle()
  llama_cloud.sleep(0.1)
end

local function take(list, count)
  local ids = {}
  for item in list do
    ids[#ids + 1] = item.id
    if #ids == count then
      break
    end
  end
  return table.concat(ids)
end

describe("prefetch", function()
  it("asks for the next page at the second item, not before", function()
    local s <close>, client = start { page({ "a", "b", "c" }, "t1"), page { "d" } }
    local list = client.batches:list()
    settle()
    assert.equal(0, s:count())
    assert.equal("a", take(list, 1))
    settle()
    assert.equal(1, s:count())
    assert.equal("b", take(list, 1))
    settle()
    assert.equal(2, s:count())
    assert.equal("cd", take(list))
    assert.equal(2, s:count())
  end)

  it("is sent at once, and not when the loop comes round again", function()
    local s <close>, client = start { page({ "a", "b", "c" }, "t1"), page { "d" } }
    local list = client.batches:list()
    assert.equal("ab", take(list, 2))
    local untill = loop.now() + 2 * tonumber(os.getenv("LLAMA_CLOUD_TEST_SLOWDOWN") or 1)
    while s:count() < 2 and loop.now() < untill do -- nobody steps
    end
    assert.equal(2, s:count())
  end)

  it("asks for the next page at the second page of next_page", function()
    local s <close>, client = start { page({ "a" }, "t1"), page({ "b" }, "t2"), page { "c" } }
    local list = client.batches:list()
    for _, count in ipairs { 1, 3, 3 } do
      assert(list:next_page())
      settle()
      assert.equal(count, s:count())
    end
  end)

  it("is not made for what all() does not need", function()
    local s <close> = server.start(shop, { args = { total = 1000 } })
    for max_items, requests in pairs { [10] = 1, [11] = 2, [40] = 4, [41] = 5 } do
      local client, before = lists.client(s), s:count()
      assert.equal(max_items, #assert(client.beta.batch:list({ limit = 10 }):all { max_items = max_items }))
      settle()
      assert.equal(before + requests, s:count())
    end
  end)

  it("can be switched off", function()
    local s <close>, client = start { page({ "a", "b", "c" }, "t1"), page { "d" } }
    local list = client.batches:list({}, { prefetch = false })
    assert.equal("abc", take(list, 3))
    settle()
    assert.equal(1, s:count())
    assert.equal("d", take(list))
  end)

  it("gets on while items are taken, without waiting", function()
    local many = {}
    for i = 1, 40 do
      many[i] = tostring(i)
    end
    local s <close>, client = start { page(many, "t1"), page { "end" } }
    local list = client.batches:list()
    local ended = false
    for item in list do
      -- a plain loop that computes, and never waits
      local untill = loop.now() + 0.005 * tonumber(os.getenv("LLAMA_CLOUD_TEST_SLOWDOWN") or 1)
      while loop.now() < untill do
      end
      if item.id == "40" then
        ended = s:count() == 2
      end
    end
    assert.is_true(ended)
  end)

  it("keeps order and every item, with eight pages under way", function()
    local s <close> = server.start(shop, { args = { total = 95, delay = 0.05 } })
    local client = lists.client(s)
    local ids = {}
    for job in client.beta.batch:list { limit = 10 } do
      ids[#ids + 1] = tonumber(job.id)
    end
    assert.equal(95, #ids)
    for i, id in ipairs(ids) do
      assert.equal(i - 1, id)
    end
    assert.equal(10, s:count())
  end)

  it("has as many under way as asked for, and no more", function()
    local s <close> = server.start(shop, { args = { total = 1000 } })
    for concurrency, expected in pairs { [1] = 2, [3] = 4, [8] = 9 } do
      local client = lists.client(s)
      local before = s:count()
      local list = client.beta.batch:list({ limit = 10 }, { concurrency = concurrency })
      assert.equal("01", take(list, 2))
      settle()
      assert.equal(before + expected, s:count())
      list:close()
    end
    local list = lists.client(s).beta.batch:list { limit = 10 }
    local before = s:count()
    assert.equal("01", take(list, 2))
    settle()
    assert.equal(before + 9, s:count())
  end)

  it("starts again where pages are not as full as expected", function()
    local s <close> = server.start(shop, { args = { total = 47, cap = 7 } })
    local client = lists.client(s)
    local count = 0
    for job in client.beta.batch:list { limit = 10 } do
      assert.equal(tostring(count), job.id)
      count = count + 1
    end
    assert.equal(47, count)
  end)

  it("is cancelled by break, by close, and with a list that nobody holds", function()
    local slow = [[
      return function(connection, request, n)
        if request.query then
          connection:wait_closed(5)
        end
        connection:json(200, '{"items":[{"id":"a"},{"id":"b"},{"id":"c"}],"next_page_token":"t"}')
      end
    ]]
    local s <close> = server.start(slow)
    local client = lists.client(s)
    local pending = loop.transport():count()
    for batch in client.batches:list() do
      if batch.id == "b" then
        break
      end
    end
    assert.equal(pending, (loop.transport():count()))
    local list = client.batches:list()
    assert.equal("ab", take(list, 2))
    list:close()
    assert.equal(pending, (loop.transport():count()))
    list = client.batches:list()
    assert.equal("ab", take(list, 2))
    list = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    assert.equal(pending, (loop.transport():count()))
  end)

  it("that failed is tried again as any request is, and what failed is raised at its place", function()
    local s <close>, client = start({
      page({ "a", "b" }, "t1"),
      { status = 500, body = "oops" },
      page({ "c", "d" }, "t2"),
      { status = 404, body = '{"detail":"gone"}' },
    }, { max_retries = 2 })
    local found = {}
    local ok, err = pcall(function()
      for batch in client.batches:list() do
        found[#found + 1] = batch.id
      end
    end)
    assert.is_false(ok)
    assert.equal("not_found", err.kind)
    assert.equal("abcd", table.concat(found))
    assert.equal(4, s:count())
  end)

  it("that timed out because nobody stepped it is fetched again, and is no attempt", function()
    local unit = math.min(tonumber(os.getenv("LLAMA_CLOUD_TEST_SLOWDOWN")) or 1, 10)
    local s <close>, client = start(
      { page({ "a", "b" }, "t1"), page { "c" } },
      { max_retries = 0, timeout = 0.2 * unit }
    )
    local list = client.batches:list()
    assert.equal("ab", take(list, 2))
    local untill = loop.now() + 0.5 * unit
    while loop.now() < untill do
    end
    assert.equal("c", take(list))
    assert.is_true(s:count() >= 2)
  end)

  it("does not get in the way of a closed gate", function()
    local s <close>, client = start({
      page({ "a", "b", "c" }, "t1"),
      { status = 429, headers = { ["Retry-After"] = "0" }, body = "{}" },
      { body = '{"id":"x"}' },
      page { "d" },
    }, { max_retries = 1 })
    local list = client.batches:list()
    assert.equal("a", take(list, 1))
    assert.equal("x", assert(client.batches:get("x")).id)
    assert.equal("bc", take(list, 2))
    settle()
    assert.equal(3, s:count()) -- not asked for ahead of time while the client is being slowed down
    assert.equal("d", take(list))
  end)
end)

describe("fields", function()
  local body = '{"items":[{"id":"a","x":1,"status":"S"},{"id":"b","status":"T"}],"next_page_token":null,"total_size":2}'

  it("of a list are all that its items have, in a for, a page and all()", function()
    local s <close>, client = start { body }
    local options = { fields = { "id", "x" } }
    local seen = {}
    for batch in client.batches:list({}, options) do
      seen[#seen + 1] = batch
    end
    assert.same({ { id = "a", x = 1 }, { id = "b" } }, seen)
    assert.same({ { id = "a", x = 1 }, { id = "b" } }, client.batches:list({}, options):all())
    assert.same(
      { items = { { id = "a", x = 1 }, { id = "b" } }, total_size = 2 },
      client.batches:list({}, options):next_page()
    )
    assert.same({ "id", "x" }, options.fields)
    assert.equal(3, s:count())
  end)

  it("of a get are all that it returns", function()
    local s <close>, client = start { '{"id":"a","config":{"job":{"type":"parse_v2"}},"status":"S"}' }
    assert.same({ status = "S" }, client.batches:get("a", {}, { fields = { "status" } }))
    assert.same({ job = nil }, client.beta.batch:get_status("a", {}, { fields = { "job" } }))
    assert.equal(2, s:count())
  end)

  it("must be names, and of something that is read", function()
    local s <close>, client = start { body }
    for _, fields in ipairs { 1, true, { id = true }, { 1 }, { "id", false } } do
      assert.has_error(function()
        client.batches:get("x", {}, { fields = fields })
      end)
    end
    assert.has_error(function()
      client.batches:cancel("x", {}, { fields = { "id" } })
    end, "unknown option 'fields'")
    assert.equal(0, s:count())
  end)
end)

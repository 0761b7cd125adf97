-- Where lists end: by tokens, and by offsets.

local llama_cloud = require("llama_cloud")
local lists = require("spec.support.lists")
local server = require("spec.support.server")

local client_of, start, page, ids, walk, targets =
  lists.client, lists.start, lists.page, lists.ids, lists.walk, lists.targets

local null = llama_cloud.null

describe("a list", function()
  describe("by tokens ends", function()
    for name, body in pairs {
      ["when the token is null"] = '{"items":[{"id":"z"}],"next_page_token":null}',
      ["when the token is missing"] = '{"items":[{"id":"z"}]}',
      ["when the token is empty"] = '{"items":[{"id":"z"}],"next_page_token":""}',
      ["even if total_size says otherwise"] = '{"items":[{"id":"z"}],"total_size":100}',
    } do
      it(name, function()
        local s <close>, client = start { page({ "a" }, "t1"), body }
        assert.equal("az", (walk(client.batches:list())))
        assert.equal(2, s:count())
      end)
    end

    it("not because a page is empty", function()
      local s <close>, client = start { page({}, "t1"), page({ "a" }, "t2"), page({}, "t3"), page { "b" } }
      assert.equal("ab", (walk(client.batches:list())))
      assert.equal(4, s:count())
    end)

    it("and next_page passes over empty pages, too", function()
      local s <close>, client = start { page({}, "t1"), page({ "a" }, "t2"), page {} }
      local list = client.batches:list()
      assert.equal("a", ids(list:next_page().items))
      assert.is_nil(list:next_page())
      assert.equal(3, s:count())
    end)

    -- Empty pages with tokens of their own, but for the page with the number `args`, which has an item.
    local mostly_empty = [[
      return function(connection, request, n)
        local items = n == args.full and '{"id":"x"}' or ""
        local token = n < args.last and ('"t%d"'):format(n) or "null"
        connection:json(200, ('{"items":[%s],"next_page_token":%s}'):format(items, token))
      end
    ]]

    it("not at 100 empty pages in a row", function()
      local s <close> = server.start(mostly_empty, { args = { full = 101, last = 201 } })
      local found, err = walk(client_of(s).batches:list())
      assert.is_nil(err)
      assert.equal("x", found)
      assert.equal(201, s:count())
    end)

    it("with an error at the 101st empty page in a row", function()
      local s <close> = server.start(mostly_empty, { args = { full = 1, last = 1000 } })
      local found, err = walk(client_of(s).batches:list())
      assert.equal("x", found)
      assert.equal("decode", err.kind)
      assert.equal("page 102: more than 100 empty pages in a row", err.message)
      assert.equal(102, s:count())
    end)

    it("quietly if the 101st empty page is the last", function()
      local s <close> = server.start(mostly_empty, { args = { full = 0, last = 101 } })
      local found, err = walk(client_of(s).batches:list())
      assert.is_nil(err)
      assert.equal("", found)
      assert.equal(101, s:count())
    end)

    local repeats = "the service repeats a page token: the list would never end"

    it("with an error when a token comes again", function()
      local s <close>, client = start { page({ "a" }, "t1"), page({ "b" }, "t1") }
      local found, err = walk(client.batches:list())
      assert.equal("a", found)
      assert.equal("decode", err.kind)
      assert.equal("page 2: " .. repeats, err.message)
      assert.equal("GET", err.method)
      assert.equal(s:url("/api/v2/batches"), err.url)
      assert.equal(2, s:count())
    end)

    it("with an error when tokens go in a circle", function()
      local s <close>, client = start {
        page({ "a" }, "t1"),
        page({ "b" }, "t2"),
        page({ "c" }, "t3"),
        page({ "d" }, "t1"),
      }
      local found, err = walk(client.batches:list())
      assert.equal("abc", found)
      assert.equal("page 4: " .. repeats, err.message)
      assert.equal(4, s:count())
    end)

    it("with an error when the token comes again that it began with", function()
      local s <close>, client = start { page({ "a" }, "t1"), page({ "b" }, "t0") }
      local found, err = walk(client.batches:list { page_token = "t0" })
      assert.equal("a", found)
      assert.equal("page 2: " .. repeats, err.message)
      assert.equal(2, s:count())
    end)

    it("with an error when the token is no string", function()
      local s <close>, client = start { '{"items":[{"id":"a"}],"next_page_token":5}' }
      local _, err = walk(client.batches:list())
      assert.equal("page 1: next_page_token is not a string", err.message)
      assert.equal(1, s:count())
    end)

    it("begins at the first page when the given token is empty or null", function()
      local s <close>, client = start { page { "a" } }
      walk(client.batches:list { page_token = "" })
      walk(client.batches:list { page_token = null })
      assert.same({ "/batches", "/batches" }, targets(s))
    end)
  end)

  describe("by offsets", function()
    -- Has args.total items, gives at most args.cap at once, and says args.says of their number.
    local shop = [[
      return function(connection, request, n)
        local query = "&" .. (request.query or "")
        local offset = tonumber(query:match("&offset=(%d+)") or 0)
        local limit = math.min(tonumber(query:match("&limit=(%d+)") or args.limit), args.cap or 1000)
        local items = {}
        for i = offset + 1, math.min(offset + limit, args.total) do
          items[#items + 1] = ('{"id":"%d"}'):format(i)
        end
        connection:json(200, ('{"items":[%s],"next_page_token":"same","total_size":%s}'):format(
          table.concat(items, ","), args.says or args.total))
      end
    ]]

    -- What a list of jobs does at a shop: how many items, in order and without gaps, with how many requests.
    local function visit(args, params)
      args.limit = args.limit or 50
      local s <close> = server.start(shop, { args = args })
      local first = params and math.tointeger(params.offset) or 0
      local count = 0
      for job in client_of(s).beta.batch:list(params) do
        count = count + 1
        assert.equal(tostring(first + count), job.id)
      end
      return { count, s:count() }, targets(s)
    end

    it("go on from the last offset plus the items received", function()
      local result, seen = visit({ total = 25 }, { limit = 10, status = "failed" })
      assert.same({ 25, 3 }, result)
      assert.same({
        "/beta/batch-processing?limit=10&status=failed",
        "/beta/batch-processing?limit=10&status=failed&offset=10",
        "/beta/batch-processing?limit=10&status=failed&offset=20",
      }, seen)
    end)

    it("begin where the caller says", function()
      local result, seen = visit({ total = 25 }, { limit = 10, offset = 7.0 })
      assert.same({ 18, 2 }, result)
      assert.same({
        "/beta/batch-processing?limit=10&offset=7",
        "/beta/batch-processing?limit=10&offset=17",
      }, seen)
      result, seen = visit({ total = 3 }, { offset = 0 })
      assert.same({ 3, 1 }, result)
      assert.same({ "/beta/batch-processing?offset=0" }, seen)
      result, seen = visit({ total = 3 }, { offset = null, limit = null })
      assert.same({ 3, 1 }, result)
      assert.same({ "/beta/batch-processing" }, seen)
    end)

    it("use the service's default limit where none is given", function()
      assert.same({ 50, 2 }, (visit { total = 50 }))
      assert.same({ 51, 2 }, (visit { total = 51 }))
      assert.same({ 49, 1 }, (visit { total = 49 }))
    end)

    it("end at an empty page when the last page was full", function()
      assert.same({ 20, 3 }, (visit({ total = 20 }, { limit = 10 })))
    end)

    it("go on when the service gives fewer items than asked for", function()
      assert.same({ 25, 7 }, (visit({ total = 25, cap = 4 }, { limit = 10 })))
      assert.same({ 24, 6 }, (visit({ total = 24, cap = 4 }, { limit = 1000 })))
    end)

    it("do not trust a total_size that is too small while pages are full", function()
      assert.same({ 25, 3 }, (visit({ total = 25, says = 5 }, { limit = 10 })))
      assert.same({ 25, 3 }, (visit({ total = 25, says = 0 }, { limit = 10 })))
    end)

    it("end at an empty page when total_size is too large, missing, or no integer", function()
      for _, says in ipairs { "null", '"many"', "1e1" } do
        assert.same({ 25, 4 }, (visit({ total = 25, says = says }, { limit = 10 })))
      end
      local result = visit({ total = 25, says = "1000" }, { limit = 10 })
      assert.equal(25, result[1])
    end)

    it("take a limit of options.query for theirs", function()
      local s <close> = server.start(shop, { args = { total = 6, cap = 2, limit = 50 } })
      local list = client_of(s).beta.batch:list({ limit = 9 }, { query = { limit = "2", offset = 1 } })
      assert.equal("23456", ids(list:all()))
      assert.same({
        "/beta/batch-processing?limit=2&offset=1",
        "/beta/batch-processing?limit=2&offset=3",
        "/beta/batch-processing?limit=2&offset=5",
      }, targets(s))
    end)

    it("hold for the items of a job, too", function()
      local s <close> = server.start(shop, { args = { total = 101, limit = 100 } })
      local items = assert(client_of(s).beta.batch.job_items:list("bjb-1"):all())
      assert.equal(101, #items)
      assert.same({ "/beta/batch-processing/bjb-1/items", "/beta/batch-processing/bjb-1/items?offset=100" }, targets(s))
    end)
  end)
end)

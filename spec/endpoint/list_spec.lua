-- List objects: how they are gone through, and when they ask for pages.

local llama_cloud = require("llama_cloud")
local lists = require("spec.support.lists")

local start, page, three, ids, walk, targets =
  lists.start, lists.page, lists.three, lists.ids, lists.walk, lists.targets

local null = llama_cloud.null

describe("a list", function()
  it("is four values, of which the first and the last are the list", function()
    local s <close>, client = start { "{}" }
    local list, state, control, closing = client.batches:list()
    assert.equal(list, closing)
    assert.is_nil(state)
    assert.is_nil(control)
    assert.equal(4, select("#", client.batches:list()))
    assert.equal("llama_cloud.list (open, 0 pages)", tostring(list))
    assert.equal(0, s:count())
  end)

  it("goes through all items of all pages in a `for`", function()
    local s <close>, client = start(three())
    local found, err = walk(client.batches:list())
    assert.is_nil(err)
    assert.equal("abcde", found)
    assert.same({ "/batches", "/batches?page_token=t1", "/batches?page_token=t2" }, targets(s))
  end)

  it("sends nothing before it is used, and one request per page, when its first item is asked for", function()
    local s <close>, client = start(three())
    local list = client.batches:list({}, { prefetch = false })
    local counts = { s:count() }
    for _ in list do
      counts[#counts + 1] = s:count()
    end
    assert.same({ 0, 1, 1, 2, 3, 3 }, counts)
    assert.equal(3, s:count())
  end)

  it("repeats its query on each page, with the token escaped at its end", function()
    local s <close>, client = start { page({ "a" }, "A b/+=&"), page { "b" } }
    walk(client.batches:list { page_size = 2, status = "RUNNING", page_token = "x y" })
    assert.same({
      "/batches?page_size=2&status=RUNNING&page_token=x%20y",
      "/batches?page_size=2&status=RUNNING&page_token=A%20b%2F%2B%3D%26",
    }, targets(s))
  end)

  it("repeats its headers and options on each page", function()
    local s <close>, client = start(three())
    walk(client.batches:list(nil, { headers = { ["X-A"] = "1" }, query = { new = true } }))
    assert.equal(3, s:count())
    for _, request in ipairs(s:requests()) do
      assert.equal("1", request.headers["x-a"])
      assert.matches("new=true", request.query, 1, true)
    end
  end)

  it("does not see changes of the tables that it was made from", function()
    local s <close>, client = start(three())
    local params = { status = "RUNNING", page_size = 2 }
    local options = { query = { many = { "x", "y" } }, headers = { ["X-A"] = "1" }, max_retries = 0, timeout = 30 }
    local list = client.batches:list(params, options)
    params.status, params.page_size, params.page_token = "FAILED", nil, "other"
    options.query.many[1], options.query.new, options.headers["X-A"], options.timeout = "z", 1, "2", 1e-9
    assert.equal("ab", ids(list:next_page().items))
    params.status, options.query.many, options.headers = nil, nil, nil
    assert.equal("cde", ids(list:all()))
    for _, request in ipairs(s:requests()) do
      assert.matches("page_size=2&status=RUNNING&many=x&many=y", request.query, 1, true)
      assert.equal("1", request.headers["x-a"])
    end
  end)

  it("can be used by `for` without its closing value, and then goes on where a break left it", function()
    local s <close>, client = start(three())
    local list = client.batches:list()
    for item in list do
      if item.id == "c" then
        break
      end
    end
    assert.equal("de", (walk(list)))
    assert.equal(3, s:count())
  end)

  describe("next_page", function()
    it("gives the decoded envelope, and nil at the end", function()
      local s <close>, client = start { page({ "a", "b" }, "t1", 3), page({ "c" }, nil, 3) }
      local list = client.batches:list()
      local first = assert(list:next_page())
      assert.same({ items = { { id = "a" }, { id = "b" } }, next_page_token = "t1", total_size = 3 }, first)
      assert.equal("integer", math.type(first.total_size))
      assert.same({ items = { { id = "c" } }, total_size = 3 }, list:next_page())
      assert.equal("llama_cloud.list (at its last page, 2 pages)", tostring(list))
      assert.equal(0, select("#", list:next_page()) - 2)
      assert.is_nil(list:next_page())
      assert.is_nil((walk(list)):match("."))
      assert.equal(2, s:count())
    end)

    it("goes on after the current page inside a `for`", function()
      local s <close>, client = start { page({ "a", "b" }, "t1"), page({ "c", "d" }, "t2"), page { "e", "f" } }
      local list = client.batches:list()
      local found = {}
      for item in list do
        found[#found + 1] = item.id
        if item.id == "a" then
          assert.equal("cd", ids(list:next_page().items))
        end
      end
      assert.same({ "a", "e", "f" }, found)
      assert.equal(3, s:count())
    end)

    it("resumes from a token that was kept", function()
      local s <close>, client = start { page({ "a" }, "t1"), page { "b" } }
      local kept = assert(client.batches:list():next_page()).next_page_token
      assert.equal("b", (walk(client.batches:list { page_token = kept })))
      assert.equal("/batches?page_token=t1", targets(s)[2])
    end)
  end)

  describe("pages", function()
    it("goes through the pages and closes the list", function()
      local s <close>, client = start(three())
      local list = client.batches:list({}, { prefetch = false })
      local found = {}
      for one in list:pages() do
        found[#found + 1] = ids(one.items)
        if #found == 2 then
          break
        end
      end
      assert.same({ "ab", "c" }, found)
      assert.is_nil(list:next_page())
      assert.equal("llama_cloud.list (closed, 2 pages)", tostring(list))
      assert.equal(2, s:count())
    end)

    it("raises what next_page returns", function()
      local s <close>, client = start { page({ "a" }, "t1"), { status = 404, body = '{"detail":"gone"}' } }
      local count = 0
      local ok, err = pcall(function()
        for _ in client.batches:list():pages() do
          count = count + 1
        end
      end)
      assert.is_false(ok)
      assert.equal("not_found", err.kind)
      assert.equal(1, count)
      assert.equal(2, s:count())
    end)
  end)

  describe("all", function()
    it("collects the items", function()
      local s <close>, client = start(three())
      local items = assert(client.batches:list():all())
      assert.equal("abcde", ids(items))
      assert.is_nil(getmetatable(items[1]))
      assert.equal(3, s:count())
    end)

    it("collects what a loop has left", function()
      local s <close>, client = start(three())
      local list = client.batches:list()
      assert.equal("a", list().id)
      assert.equal("bcde", ids(list:all()))
      assert.equal(3, s:count())
    end)

    it("stops at max_items, and fetches no more pages than it takes", function()
      for max_items, expected in pairs {
        [0] = { "", 0 },
        [1] = { "a", 1 },
        [2] = { "ab", 1 },
        [3] = { "abc", 2 },
        [4.0] = { "abcd", 3 },
        [9] = { "abcde", 3 },
        [math.huge] = { "abcde", 3 },
        [null] = { "abcde", 3 },
      } do
        local s <close>, client = start(three())
        local list = client.batches:list()
        assert.equal(expected[1], ids(list:all { max_items = max_items }))
        assert.equal(expected[2], s:count())
        assert.is_nil(list:next_page())
        assert.equal(expected[2], s:count())
      end
    end)

    it("of an empty list is an empty array", function()
      local s <close>, client = start { page {} }
      assert.equal("[]", llama_cloud.json.encode(client.batches:list():all()))
      assert.equal(1, s:count())
    end)

    it("returns an error instead of a part", function()
      local s <close>, client = start { page({ "a" }, "t1"), { status = 401, body = "{}" } }
      local items, err = client.batches:list():all()
      assert.is_nil(items)
      assert.equal("authentication", err.kind)
      assert.equal(2, s:count())
    end)

    it("are what makes an array of it: it is none itself", function()
      local s <close>, client = start { "{}" }
      local list = client.batches:list()
      local problem = "a list is not an array: loop with `for item in list do`, or get one from list:all()"
      local here = "endpoint/list_spec%.lua:%d+: a list is not an array"
      assert.matches(
        here,
        select(
          2,
          pcall(function()
            local _ = #list
          end)
        )
      )
      assert.matches(
        here,
        select(
          2,
          pcall(function()
            local _ = list[1]
          end)
        )
      )
      local _, message = pcall(function()
        for _ in ipairs(list) do
          error("there is nothing")
        end
      end)
      assert.equal(problem, message)
      assert.is_nil(list.items)
      assert.equal(0, s:count())
    end)

    it("refuses what it does not know", function()
      local s <close>, client = start { "{}" }
      local list = client.batches:list()
      local function of(options)
        return select(2, pcall(list.all, list, options))
      end
      local count = "option 'max_items' must be an integer that is not negative, not "
      assert.equal("unknown option 'maxitems' (did you mean 'max_items'?)", of { maxitems = 1 })
      assert.equal(count .. "2.5", of { max_items = 2.5 })
      assert.equal(count .. "-1", of { max_items = -1 })
      assert.equal(count .. "string", of { max_items = "1" })
      assert.equal("options must be a table, not number", of(5))
      assert.equal("call the methods of a list with a colon: list:all()", select(2, pcall(list.all, { max_items = 1 })))
      assert.equal("call the methods of a list with a colon: list:next_page()", select(2, pcall(list.next_page)))
      for _, method in ipairs { "pages", "close" } do
        local complaint = ("call the methods of a list with a colon: list:%s()"):format(method)
        assert.equal(complaint, select(2, pcall(list[method])))
      end
      assert.equal(0, s:count())
    end)
  end)

  describe("closes", function()
    it("at a break", function()
      local s <close>, client = start(three())
      local list, state, control, closing = client.batches:list()
      for item in list, state, control, closing do
        assert.equal("a", item.id)
        if item.id == "a" then
          break
        end
      end
      assert.equal("llama_cloud.list (closed, 1 pages)", tostring(list))
      assert.is_nil(list:next_page())
      assert.same({}, list:all())
      assert.equal(1, s:count())
    end)

    it("at an error in the body of the loop, which is passed on", function()
      local s <close>, client = start(three())
      local list
      local ok, err = pcall(function()
        local state, control, closing
        list, state, control, closing = client.batches:list()
        for _ in list, state, control, closing do
          error { "mine" }
        end
      end)
      assert.is_false(ok)
      assert.same({ "mine" }, err)
      assert.is_nil(list:next_page())
      assert.equal(1, s:count())
    end)

    it("by itself or by <close>, any number of times", function()
      local s <close>, client = start(three())
      local list = client.batches:list()
      list:close()
      list:close()
      assert.is_nil(list:next_page())
      do
        local closed <close> = list
        assert.is_nil(closed:next_page())
      end
      assert.equal(0, s:count())
    end)

    it("with its client", function()
      local s <close>, client = start(three())
      local list = client.batches:list()
      assert(list:next_page())
      client:close()
      local found, err = list:next_page()
      assert.is_nil(found)
      assert.equal("cancelled", err.kind)
      assert.matches("the client was closed", tostring(err), 1, true)
      assert.equal(1, s:count())
    end)

    it("while a page is under way", function()
      local list
      local s <close>, client = start(three(), {
        log = function()
          list:close()
        end,
      })
      list = client.batches:list()
      assert.is_nil(list:next_page())
      assert.equal("", (walk(list)))
      assert.equal(1, s:count())
    end)
  end)
end)

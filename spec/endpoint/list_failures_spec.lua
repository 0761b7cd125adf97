-- Lists that fail, and lists that two coroutines want.

local llama_cloud = require("llama_cloud")
local lists = require("spec.support.lists")
local server = require("spec.support.server")

local client_of, start, page, three, ids, walk, targets =
  lists.client, lists.start, lists.page, lists.three, lists.ids, lists.walk, lists.targets

describe("a list", function()
  describe("that fails", function()
    it("raises the error object in a `for`, and gives the same one ever after", function()
      local s <close>, client =
        start { page({ "a" }, "t1"), { status = 500, body = '{"detail":"broken"}' }, page { "b" } }
      local list = client.batches:list()
      local found, err = walk(list)
      assert.equal("a", found)
      assert.is_true(llama_cloud.is_error(err))
      assert.equal("internal_server", err.kind)
      assert.equal(500, err.status)
      assert.equal("llama_cloud.list (failed, 1 pages)", tostring(list))
      local none, again = list:next_page()
      assert.is_nil(none)
      assert.equal(err, again)
      assert.equal(err, select(2, list:all()))
      assert.equal(err, select(2, walk(list)))
      assert.equal(err, select(2, pcall((list:pages()), list)))
      list:close()
      assert.equal(err, select(2, list:next_page()))
      assert.equal(2, s:count())
    end)

    it("at its first page", function()
      local s <close>, client = start { { status = 401, body = '{"detail":"Invalid API key"}' } }
      local found, err = walk(client.batches:list())
      assert.equal("", found)
      assert.equal("authentication", err.kind)
      assert.matches("^llama_cloud: authentication: 401: Invalid API key", tostring(err))
      assert.equal(1, s:count())
    end)

    it("is not one that failed once and succeeded again", function()
      local s <close>, client = start({
        page({ "a" }, "t1"),
        { status = 503, headers = { ["Retry-After-Ms"] = "1" } },
        { truncate = 10, body = page { "b" } },
        page({ "b" }, "t2"),
        page { "c" },
      }, { max_retries = 3 })
      assert.equal("abc", ids(client.batches:list():all()))
      assert.same({
        "/batches",
        "/batches?page_token=t1",
        "/batches?page_token=t1",
        "/batches?page_token=t1",
        "/batches?page_token=t2",
      }, targets(s))
    end)

    it("gives each page its own retries", function()
      local s = server.start([[
        local failed = {}
        return function(connection, request, n)
          local token = (request.query or ""):match("page_token=t(%d)") or "0"
          failed[token] = (failed[token] or 0) + 1
          if failed[token] <= 2 then
            return connection:respond(500, { ["Retry-After-Ms"] = "1" }, "")
          end
          local following = token == "3" and "null" or ('"t%d"'):format(token + 1)
          connection:json(200, ('{"items":[{"id":"%s"}],"next_page_token":%s}'):format(token, following))
        end
      ]])
      local _ <close> = s
      assert.equal("0123", ids(client_of(s, { max_retries = 2 }).batches:list():all()))
      assert.equal(12, s:count())
    end)

    local nonsense = {
      ["{}"] = "items is not an array",
      ['{"items":null}'] = "items is not an array",
      ['{"items":{}}'] = "items is not an array",
      ['{"items":{"1":{"id":"a"}}}'] = "items is not an array",
      ['{"items":"abc"}'] = "items is not an array",
      ['{"items":0}'] = "items is not an array",
      ['{"items":[null]}'] = "item 1: not an object at byte 11",
      ['{"items":[{"id":"a"},null,{"id":"b"}]}'] = "item 2: not an object at byte 22",
      ['{"items":[{},[]]}'] = "item 2: not an object at byte 14",
      ['{"items":[[{"id":"a"}]]}'] = "item 1: not an object at byte 11",
      ['{"items":[{"id":"a"},"b"]}'] = "item 2: not an object at byte 22",
      ['{"items":[false]}'] = "item 1: not an object at byte 11",
      ['{"items":[{},1]}'] = "item 2: not an object at byte 14",
    }
    for body, complaint in pairs(nonsense) do
      it("because of a page like " .. body, function()
        local s <close>, client = start { page({ "x" }, "t1"), body }
        local found, err = walk(client.batches:list())
        -- the items before the one at fault are delivered
        assert.equal(body:find('{"id":"a"},', 1, true) and "xa" or "x", found)
        assert.equal("decode", err.kind)
        assert.equal("page 2: " .. complaint, err.message)
        assert.equal(2, s:count())
      end)
    end

    for _, body in ipairs { "[]", "null", '"x"', "", "{", "[{}]" } do
      it("because of a page that is no object: " .. body, function()
        local s <close>, client = start { body }
        local _, err = walk(client.batches:list())
        assert.equal("decode", err.kind)
        _, err = walk(client.beta.batch.job_items:list("x"))
        assert.equal("decode", err.kind)
        assert.equal(2, s:count())
      end)
    end

    it("but items may be missing from the items of a job: none", function()
      for _, body in ipairs { "{}", '{"items":null}', '{"items":[]}', '{"total_size":7}' } do
        local s <close>, client = start { body }
        local found, err = walk(client.beta.batch.job_items:list("x"))
        assert.is_nil(err)
        assert.equal("", found)
        assert.equal(1, s:count())
      end
      local s <close>, client = start { '{"items":{}}' }
      assert.equal("page 1: items is not an array", select(2, walk(client.beta.batch.job_items:list("x"))).message)
      assert.equal("page 1: items is not an array", select(2, walk(client.beta.batch:list())).message)
      assert.equal(2, s:count())
    end)

    it("takes an item that is an empty object", function()
      local s <close>, client = start { '{"items":[{},{"id":"a"}]}' }
      assert.same({ {}, { id = "a" } }, client.batches:list():all())
      assert.equal(1, s:count())
    end)
  end)

  describe("belongs to one coroutine at a time:", function()
    local busy = "the list is being used by another coroutine"

    it("a second one raises while the first waits for a page", function()
      local s <close>, client = start(three(), {
        log = function()
          coroutine.yield("waiting")
        end,
      })
      local list = client.batches:list()
      local first = coroutine.create(function()
        return list:next_page()
      end)
      local _, word = coroutine.resume(first)
      assert.equal("waiting", word)
      local at = debug.getinfo(1, "l").currentline + 2
      local _, message = pcall(function()
        list:next_page()
      end)
      assert.matches(("endpoint/list_failures_spec.lua:%d: %s"):format(at, busy), message, 1, true)
      for name, use in pairs {
        ["for"] = function()
          walk(list)
          for _ in list do
            error("reached")
          end
        end,
        all = function()
          list:all()
        end,
        pages = function()
          local iterate = list:pages()
          iterate(list)
          error("reached")
        end,
      } do
        local ok, complaint = pcall(use)
        assert.is_false(ok, name)
        assert.matches("endpoint/list_failures_spec%.lua:%d+: " .. busy .. "$", complaint)
      end
      -- The first is not disturbed.
      local value
      while coroutine.status(first) ~= "dead" do
        _, value = coroutine.resume(first)
      end
      assert.equal("ab", ids(value.items))
      assert.equal(1, s:count())
    end)

    it("one that is closed while it waits gives the list back", function()
      local quiet = false
      local s <close>, client = start(three(), {
        log = function()
          if not quiet then
            coroutine.yield()
          end
        end,
      })
      local list = client.batches:list()
      local first = coroutine.create(function()
        return list:next_page()
      end)
      coroutine.resume(first)
      assert.is_true(coroutine.close(first))
      quiet = true
      assert(list:next_page())
      assert.is_true(s:count() >= 1)
    end)

    it("a log function that uses it raises", function()
      local list
      local s <close>, client = start(three(), {
        log = function(level)
          if level == "info" and list then
            local mine = list
            list = nil
            mine:next_page()
          end
        end,
      })
      list = client.batches:list()
      local mine = list
      local ok, message = pcall(mine.next_page, mine)
      assert.is_false(ok)
      assert.matches(busy, message, 1, true)
      -- The list itself has not failed.
      assert(mine:next_page())
      assert.equal(2, s:count())
    end)
  end)
end)

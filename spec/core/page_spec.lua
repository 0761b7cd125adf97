-- core.page: the envelope of a list, whose items are decoded one by one.

local collector = require("spec.support.collector")
local core = require("llama_cloud.core")
local documents = require("bench.documents")
local process = require("spec.support.process")

-- All items of a page, and what ended it.
local function items_of(page)
  local items = {}
  while true do
    local item, message, offset = page:next()
    if not item then
      return items, message, offset
    end
    items[#items + 1] = item
  end
end

describe("a page", function()
  it("gives the items that decoding the whole gives", function()
    for _, text in ipairs { documents.v2_page(), documents.v1_page(), documents.v2_page(1), documents.v2_page(0) } do
      local whole = assert(core.decode(text))
      local page = assert(core.page(text))
      assert.equal(#whole.items, page:count())
      assert.equal(whole.next_page_token, page:member("next_page_token"))
      assert.equal(whole.total_size, page:member("total_size"))
      assert.same(whole.items, (items_of(page)))
      assert.same(whole, assert(page:decode()))
      assert.equal(text, page:text())
      page:close()
    end
  end)

  it("finds its members wherever they are, whatever is around them", function()
    local page = assert(core.page([[ { "total_size" : 3 , "x":{"items":[1,{"next_page_token":"no"}]},
      "items" : [ {"a":"]}\"{["} , {"b":[[],{}]} ] , "next_page_token":"\u0041\\" , "y":"\\" } ]]))
    assert.equal(2, page:count())
    assert.equal(3, page:member("total_size"))
    assert.equal("A\\", page:member("next_page_token"))
    local items, message = items_of(page)
    assert.is_nil(message)
    assert.same({ { a = ']}"{[' }, { b = { core.array {}, {} } } }, items)
  end)

  it("counts the last of members that come twice, and knows keys with escapes", function()
    local page = assert(core.page([[{"items":[{}],"\u0069tems":[{},{}],"total_size":1,"total_size":null}]]))
    assert.equal(2, page:count())
    assert.is_nil(page:member("total_size"))
  end)

  it("tells what items is", function()
    assert.equal(0, assert(core.page('{"items":[ \n]}')):count())
    assert.equal(1, assert(core.page('{"items":[1,2,3]}')):count()) -- not empty, and not a page either
    assert.is_nil(assert(core.page("{}")):count())
    assert.is_nil(assert(core.page('{"items":null}')):count())
    for _, text in ipairs { '{"items":{}}', '{"items":"x"}', '{"items":0}', '{"items":true}' } do
      assert.is_false(assert(core.page(text)):count())
      assert.is_nil((assert(core.page(text)):next()))
    end
  end)

  it("refuses a document that is not whole, or not an object, at the byte", function()
    local text = documents.v2_page(3)
    for length = 0, #text - 1 do
      local page, message, offset = core.page(text:sub(1, length))
      assert.is_nil(page)
      assert.is_string(message)
      assert.is_true(offset >= 1 and offset <= length + 1)
    end
    for body, at in pairs {
      ["[]"] = 1,
      ["null"] = 1,
      ['{"items":[]} x'] = 14,
      ['{"items":[]'] = 12,
      ['{"items":[],}'] = 13,
      ['{"items" []}'] = 10,
      ["{items:[]}"] = 2,
      ['{"items":[{"a":"]}'] = 19,
    } do
      local page, message, offset = core.page(body)
      assert.is_nil(page)
      assert.is_string(message)
      assert.equal(at, offset, body)
    end
  end)

  it("stops at an item that is no object or no JSON, after those before it", function()
    for body, expected in pairs {
      ['{"items":[{"a":1},nul]}'] = { 1, 19, "not an object" },
      ['{"items":[{"a":1},{"a":01}]}'] = { 1, 25, "leading zero" },
      ['{"items":[{"a":1} {"a":2}]}'] = { 1, 19, "expected ','" },
      ['{"items":[{"a":1},]}'] = { 1, 19, "not an object" },
      ['{"items":["a"]}'] = { 0, 11, "not an object" },
      ['{"items":[{"a":"\1"}]}'] = { 0, 17, "a control character" },
    } do
      local page = assert(core.page(body))
      local items, message, offset = items_of(page)
      assert.equal(expected[1], #items, body)
      assert.equal(expected[2], offset, body)
      assert.matches(expected[3], message)
      assert.is_nil((page:next())) -- and for good
      assert.is_nil((select(2, page:next())))
    end
  end)

  it("decodes only the fields that are wanted, of each item", function()
    local text = documents.v2_page(50)
    local whole = assert(core.decode(text)).items
    local function narrowed(names)
      return assert(core.page(text, nil, nil, nil, names))
    end
    local items = items_of(narrowed { "id", "status", "results", "none" })
    assert.equal(50, #items)
    for i, item in ipairs(items) do
      assert.same({ id = whole[i].id, status = whole[i].status }, item)
    end
    assert.same({ config = whole[1].config }, narrowed({ "config" }):next())
    assert.same({}, narrowed({}):next())
  end)

  it("can be closed at any time, by a finalizer inside its own decode as well", function()
    local page = assert(core.page(documents.v2_page(200)))
    page:close()
    page:close()
    assert.has_error(function()
      page:next()
    end, "attempt to use a closed page")
    local closed = 0
    local as_usual = collector.hurry()
    for _ = 1, 20 do
      local text = documents.v2_page(200)
      local victim = assert(core.page(text))
      for _ = 1, 20 do
        setmetatable({}, {
          __gc = function()
            victim:close()
            closed = closed + 1
          end,
        })
      end
      local whole = assert(core.decode(text))
      local ok, got = pcall(victim.decode, victim)
      if ok then
        assert.same(whole, got)
      else
        assert.matches("closed page", got)
      end
    end
    as_usual()
    assert.is_true(closed > 0)
  end)
end)

describe("a Lua state that closes", function()
  it("may decode in finalizers that run after those of the decoder", function()
    local output, well = process.run([[
      local core = require("llama_cloud.core")
      keep = setmetatable({}, {
        __gc = function()
          assert(core.decode('[{"a":"\\u0041"}]')[1].a == "A")
          assert(core.decode('{"a":1,"b":2}', { fields = { "a" } }).b == nil)
          local page <close> = core.page('{"items":[{}]}') -- nothing else would free it: Lua finalizes nothing new now
          assert(page:next())
          io.write("decoded")
        end,
      })
      core.decode("{}")
      core.decode("{}", { fields = {} })
    ]])
    assert.equal("decoded", output)
    assert.is_true(well)
  end)

  it("makes no tables of an item in the size of earlier ones that few items could fill", function()
    local long = "[" .. ("1,"):rep(200000) .. "1]"
    local short = {}
    for i = 1, 60 do
      items_of(assert(core.page(('{"items":[{"page%d":%s}]}'):format(i, long))))
      short[i] = ('{"page%d":[]}'):format(i)
    end
    local text = ('{"items":[%s],"padding":"%s"}'):format(table.concat(short, ","), ("x"):rep(#long))
    local page = assert(core.page(text))
    collectgarbage()
    collectgarbage()
    local before = collectgarbage("count")
    local items = items_of(page)
    assert.equal(60, #items)
    assert(collectgarbage("count") - before < 60 * 1024, "the tables are far larger than the text")
  end)

  it("hides the finalizer of pages", function()
    assert.is_false(getmetatable(assert(core.page("{}"))))
  end)
end)

describe("decoding with fields", function()
  local text = '{"id":"x","big":{"a":[1,2,{"b":"}\\""}]},"status":"S","list":[{"id":1}],"n":null,"s":"\\\\"}'

  it("takes them from the outermost object only", function()
    assert.same({ id = "x", list = { { id = 1 } } }, (core.decode(text, { fields = { "id", "list" } })))
    assert.same({ id = "x", status = "S" }, (core.decode(text, { fields = { "status", "id" } })))
    assert.same({ s = "\\" }, (core.decode(text, { fields = { "s", "n" } })))
    assert.same({}, (core.decode(text, { fields = {} })))
    assert.same({ { id = 1, x = 2 } }, (core.decode('[{"id":1,"x":2}]', { fields = { "id" } })))
  end)

  it("forgets other fields than those asked for last, and a changed array", function()
    local fields = { "id" }
    assert.same({ id = "x" }, (core.decode(text, { fields = fields })))
    fields[2] = "status"
    assert.same({ id = "x", status = "S" }, (core.decode(text, { fields = fields })))
    fields[1] = nil
    fields[1], fields[2] = "s", nil
    assert.same({ s = "\\" }, (core.decode(text, { fields = fields })))
    assert.equal("x", core.decode(text).id)
  end)

  it("still needs brackets, quotes and commas around what is passed over", function()
    for body, at in pairs {
      ['{"a":[1,2,"id":1}'] = 18,
      ['{"a":1 "id":1}'] = 8,
      ['{"a":,"id":1}'] = 6,
      ['{"a":"x,"id":1}'] = 10,
      ['{"a":1,}'] = 8,
      ['{"a":1'] = 7,
    } do
      local value, message, offset = core.decode(body, { fields = { "id" } })
      assert.is_nil(value)
      assert.is_string(message)
      assert.equal(at, offset, body)
    end
  end)

  it("of more keys than are remembered", function()
    local parts = {}
    for i = 1, 500 do
      parts[i] = ('"k%d":%d'):format(i, i)
    end
    local many = "{" .. table.concat(parts, ",") .. "}"
    for _ = 1, 3 do
      assert.same({ k3 = 3, k450 = 450 }, (core.decode(many, { fields = { "k450", "k3" } })))
    end
  end)

  it("raises for what is no array", function()
    assert.has_error(function()
      core.decode(text, { fields = "id" })
    end)
  end)
end)

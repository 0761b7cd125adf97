-- core.decoder: what is remembered of earlier texts belongs to whom it serves, and changes nothing but what a decode costs.

local collector = require("spec.support.collector")
local core = require("llama_cloud.core")
local documents = require("bench.documents")
local process = require("spec.support.process")

-- Another shape of text than the pages of bench/documents.lua: more keys, and all of them new.
local function strange(seed)
  local parts = {}
  for i = 1, 100 do
    parts[i] = ('"key %d of %d":{"x":[%d]}'):format(i, seed, i)
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- How many bytes of Lua's a function takes while the collector stands still. One that decodes what it has decoded before
-- takes what its values take; one that has to learn anew takes more.
local function bytes(work)
  collectgarbage()
  collectgarbage("stop")
  work() -- Lua's own stack grows to what it needs
  local before = collectgarbage("count")
  work()
  local taken = (collectgarbage("count") - before) * 1024
  collectgarbage("restart")
  return math.floor(taken)
end

describe("a decoder", function()
  it("decodes as core.decode does", function()
    local decoder = core.decoder()
    for _, text in ipairs {
      documents.v2_page(),
      documents.v1_page(),
      strange(1),
      documents.v2_page(),
      documents.results(10),
      '{"a":null,"b":[null]}',
      "[]",
      '"x"',
      "null",
      "[1,",
      '{"a":01}',
    } do
      for _, options in ipairs {
        false,
        { null = true },
        { fields = { "items", "a" } },
        { repair = true },
        { max_depth = 1 },
      } do
        local expected = table.pack(core.decode(text, options or nil))
        assert.same(expected, table.pack(decoder:decode(text, options or nil)))
      end
    end
    assert.equal(core.array, getmetatable(decoder:decode("[]")))
  end)

  it("is one, and wants a text", function()
    local decoder = core.decoder()
    assert.is_false(getmetatable(decoder))
    for _, call in ipairs {
      function()
        decoder:decode(1)
      end,
      function()
        decoder.decode("[]")
      end,
      function()
        decoder:decode("[]", { colour = true })
      end,
      function()
        decoder.forget {}
      end,
      function()
        core.page("{}", nil, nil, {})
      end,
      function()
        core.page("{}", nil, nil, io.stdout)
      end,
    } do
      assert.has_error(call)
    end
    assert.same({}, decoder:decode("[]"))
  end)

  it("learns nothing anew when others take turns with it", function()
    local texts, owners = {}, {}
    for i = 1, 12 do
      texts[i] = ('{"id %d":%d,"list":[1,2,3,4,5],"of":{"kind %d":[%d]}}'):format(i, i, i, i)
      owners[i] = core.decoder()
      owners[i]:decode(texts[i])
    end
    local function alone()
      for i = 1, 12 do
        for _ = 1, 5 do
          owners[i]:decode(texts[i])
        end
      end
    end
    local function in_turns()
      for _ = 1, 5 do
        for i = 1, 12 do
          owners[i]:decode(texts[i])
        end
      end
    end
    alone()
    assert.equal(bytes(alone), bytes(in_turns))
  end)

  it("learns nothing anew when the wanted fields take turns", function()
    local text = documents.running_batch()
    local decoder = core.decoder()
    local wanted = {}
    for i, name in ipairs { "id", "status", "config", "created_at", "project_id", "updated_at", "none" } do
      wanted[i] = { fields = { name } }
    end
    local function alone()
      for _, options in ipairs(wanted) do
        for _ = 1, 5 do
          decoder:decode(text, options)
        end
      end
    end
    local function in_turns()
      for _ = 1, 5 do
        for _, options in ipairs(wanted) do
          decoder:decode(text, options)
        end
      end
    end
    local whole = decoder:decode(text) -- whose strings live from now on
    alone()
    assert.equal(bytes(alone), bytes(in_turns))
    assert.equal(whole.id, decoder:decode(text, { fields = { "id" } }).id)
    assert.same({ status = "RUNNING" }, (decoder:decode(text, { fields = { "status" } })))
    assert.same(whole, (decoder:decode(text)))
  end)

  it("serves as well as before after odd texts", function()
    local decoder, text = core.decoder(), documents.running_batch()
    local function decode()
      for _ = 1, 10 do
        decoder:decode(text)
      end
    end
    decode()
    local usual = bytes(decode)
    for round = 1, 3 do
      assert(decoder:decode(strange(round)))
      for _ = 1, 100 do -- with a full memory a decoder begins anew after some texts
        decode()
      end
      assert.equal(usual, bytes(decode))
    end
  end)

  it("may be used by a finalizer, and forgets there, while it decodes", function()
    local decoder, text = core.decoder(), documents.v2_page()
    local whole = assert(core.decode(text))
    local runs, wrong = 0, 0
    local function breed()
      setmetatable({}, {
        __gc = function()
          runs = runs + 1
          local value = decoder:decode('{"id":"x\\n","items":[1,{"status":"\\u0041"}]}')
          if value.id ~= "x\n" or value.items[2].status ~= "A" then
            wrong = wrong + 1
          end
          if runs % 3 == 0 then
            decoder:forget()
          end
          if runs < 1000 then
            breed()
          end
        end,
      })
    end
    local as_usual = collector.hurry()
    for _ = 1, 10 do
      breed()
    end
    local got = {}
    for i = 1, 50 do
      got[i] = decoder:decode(text)
    end
    as_usual()
    assert(runs > 50)
    assert.equal(0, wrong)
    for i = 1, #got do
      assert.same(whole, got[i])
    end
  end)

  it("goes on after it has forgotten, and forgets twice", function()
    local decoder, text = core.decoder(), documents.v2_page()
    local whole = decoder:decode(text)
    decoder:forget()
    decoder:forget()
    assert.same(whole, (decoder:decode(text)))
    collectgarbage()
    decoder:forget()
    collectgarbage()
    assert.same(whole, (decoder:decode(text)))
  end)

  it("is that of a page, for its items and its whole", function()
    local decoder, text = core.decoder(), documents.v2_page(20)
    local whole = assert(core.decode(text))
    for _ = 1, 3 do
      local page = assert(core.page(text, nil, nil, decoder))
      local items = {}
      for i = 1, 20 do
        items[i] = page:next()
      end
      assert.is_nil((page:next()))
      assert.equal(20, page:delivered())
      assert.same(whole.items, items)
      assert.same(whole, (page:decode()))
      assert.same({ total_size = 200 }, (page:decode { "total_size" }))
      page:close()
    end
  end)

  it("may be used while its Lua state closes, in any order", function()
    local output, well = process.run([[
      local core = require("llama_cloud.core")
      local function late(of)
        keep = { keep, setmetatable({}, {
          __gc = function()
            local decoder = of()
            assert(decoder:decode('{"a":["\\u0041"]}').a[1] == "A")
            decoder:forget()
            assert(decoder:decode('{"a":["\\u0041"]}').a[1] == "A")
            io.write("decoded ")
          end,
        }) }
      end
      local early
      late(function() return early end)
      early = core.decoder()
      early:decode('{"a":[1]}')
      late(function() return early end)
      late(core.decoder)
    ]])
    assert.equal("decoded decoded decoded ", output)
    assert.is_true(well)
  end)
end)

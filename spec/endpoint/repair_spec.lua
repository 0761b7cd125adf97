-- Answers with a text that was cut inside a character, or is no UTF-8, or begins with a byte order mark: nothing that the
-- service sends besides is lost. What becomes of which bytes is in core/json_repair_spec.lua.

local client_support = require("spec.support.client")
local llama_cloud = require("llama_cloud")

local start = client_support.start
local R = "\u{fffd}"

-- Each way in which a text can be broken: how it stands in JSON, and what it becomes.
local broken = {
  ["half a pair of surrogates"] = { "the file \\ud83d", "the file " .. R },
  ["the other half"] = { "\\udcc2 the file", R .. " the file" },
  ["bytes that are no UTF-8"] = { "the file \xf0\x9f\x97", "the file " .. R },
  ["a byte in Latin-1"] = { "caf\xe9 \xa9", "caf" .. R .. " " .. R },
}

-- Runs f with each: the text in JSON and what it becomes, and what comes before the answer.
local function each(f)
  for name, case in pairs(broken) do
    for _, mark in ipairs { "", "\u{feff}" } do
      local ok, problem = pcall(f, case[1], case[2], mark)
      if not ok then
        error(("%s: %s"):format(name, tostring(problem)), 0)
      end
    end
  end
end

-- An object with a text of every kind of place: value, key, nested, in an array.
local function object(text, more)
  return ('{"id":"bat-1","%s":1,"a":"%s","b":{"%s":["%s"]}%s}'):format(text, text, text, text, more or "")
end

local function expected(text, more)
  local value = { id = "bat-1", [text] = 1, a = text, b = { [text] = { text } } }
  for name, member in pairs(more or {}) do
    value[name] = member
  end
  return value
end

describe("an answer with a broken text", function()
  it("is an object all the same", function()
    each(function(text, becomes, mark)
      local s <close>, client = start { { body = mark .. object(text) } }
      assert.same(expected(becomes), assert(client.batches:get("bat-1")))
      assert.same({ id = "bat-1" }, assert(client.batches:get("bat-1", nil, { fields = { "id" } })))
      assert.same({ a = becomes }, assert(client.batches:get("bat-1", nil, { fields = { "a" } })))
      assert.same({ [becomes] = 1 }, assert(client.batches:get("bat-1", nil, { fields = { becomes } })))
      assert.equal(4, s:count())
    end)
  end)

  it("is what a path gives, whatever it is", function()
    each(function(text, becomes, mark)
      local headers = { ["Content-Type"] = "application/json" }
      local s <close>, client = start {
        { body = ('%s"%s"'):format(mark, text), headers = headers },
        { body = ('%s["%s"]'):format(mark, text), headers = headers },
      }
      assert.equal(becomes, assert(client:get("/x")))
      assert.same({ becomes }, assert(client:get("/x")))
      assert.equal(2, s:count())
    end)
  end)

  it("tells what was created", function()
    each(function(text, becomes, mark)
      local s <close>, client = start { { status = 201, body = mark .. object(text) } }
      assert.same(expected(becomes), assert(client.batches:create(client_support.BATCH)))
      assert.equal(1, s:count())
    end)
  end)

  it("is waited for", function()
    each(function(text, becomes, mark)
      local done = { status = "COMPLETED" }
      local s <close>, client = start {
        { body = mark .. object(text, ',"status":"RUNNING"') },
        { body = mark .. object(text, ',"status":"COMPLETED"') },
      }
      local quick = { polling_interval = 0.001 }
      assert.same(expected(becomes, done), assert(client.batches:wait("bat-1", nil, quick)))
      assert.equal(2, s:count())
      assert.same(expected(becomes, done), assert(client.batches:run(client_support.BATCH, quick)))
      for id, batch, err in client.batches:wait_all({ "bat-1" }, nil, quick) do
        assert.equal("bat-1", id)
        assert.same(expected(becomes, done), batch)
        assert.is_nil(err)
      end
    end)
  end)

  it("is explained as an error", function()
    each(function(text, becomes, mark)
      local s <close>, client = start {
        { status = 400, body = ('%s{"detail":"name: %s"}'):format(mark, text) },
        { status = 422, body = ('%s{"detail":[{"loc":["body","%s"],"msg":"%s"}]}'):format(mark, text, text) },
      }
      local _, err = client.batches:get("bat-1")
      assert.equal("bad_request", err.kind)
      assert.same({ detail = "name: " .. becomes }, err.body)
      assert.matches("^400: name: " .. becomes, err.message)
      _, err = client.batches:create(client_support.BATCH)
      assert.equal("unprocessable_entity", err.kind)
      assert.same({ detail = { { loc = { "body", becomes }, msg = becomes } } }, err.body)
      assert.equal(2, s:count())
    end)
  end)
end)

describe("a list with a broken text", function()
  -- Two pages; the text is in their envelopes, in an item, and in the token between them.
  local function pages(text, mark)
    return {
      {
        body = ('%s{"%s":"%s","items":[{"id":"a"},%s],"next_page_token":"t%s"}'):format(
          mark,
          text,
          text,
          object(text),
          text
        ),
      },
      { body = ('%s{"x":[{"%s":"%s"}],"items":[{"id":"c"}],"next_page_token":null}'):format(mark, text, text) },
    }
  end

  it("has all its items", function()
    each(function(text, becomes, mark)
      for _, options in ipairs { {}, { prefetch = false } } do
        local s <close>, client = start(pages(text, mark))
        local items = {}
        for item in client.batches:list(nil, options) do
          items[#items + 1] = item
        end
        assert.same({ { id = "a" }, expected(becomes), { id = "c" } }, items)
        assert.equal(2, s:count())
        local query = s:requests()[2].query:gsub("%%(%x%x)", function(digits)
          return string.char(tonumber(digits, 16))
        end)
        assert.equal("page_token=t" .. becomes, query)
      end
    end)
  end)

  it("has them with some fields, in one array, and page by page", function()
    each(function(text, becomes, mark)
      local s <close>, client = start(pages(text, mark))
      local ids = {}
      for item in client.batches:list(nil, { fields = { "id" } }) do
        assert.same({ id = item.id }, item)
        ids[#ids + 1] = item.id
      end
      assert.same({ "a", "bat-1", "c" }, ids)
      assert.equal(2, s:count())
      local s2 <close>, client2 = start(pages(text, mark))
      assert.equal(3, #assert(client2.batches:list():all()))
      assert.equal(2, s2:count())
      local s3 <close>, client3 = start(pages(text, mark))
      local page = assert(client3.batches:list():next_page())
      assert.equal("t" .. becomes, page.next_page_token)
      assert.equal(becomes, page[becomes])
      assert.same(expected(becomes), page.items[2])
      assert.equal(1, s3:count())
    end)
  end)

  it("by offset, too", function()
    each(function(text, becomes, mark)
      local body = ('%s{"items":[{"id":"a"},%s],"total_size":2,"%s":0}'):format(mark, object(text), text)
      local s <close>, client = start { { body = body } }
      assert.same({ { id = "a" }, expected(becomes) }, assert(client.beta.batch:list({ limit = 100 }):all()))
      assert.equal(1, s:count())
    end)
  end)
end)

describe("a reader of its own", function()
  it("is strict, and takes repair", function()
    local text = '\u{feff}["\xff","\\ud83d"]'
    local value, message = llama_cloud.json.decode(text)
    assert.is_nil(value)
    assert.equal("a byte order mark at byte 1", message)
    assert.same({ R, R }, (llama_cloud.json.decode(text, { repair = true })))
  end)
end)

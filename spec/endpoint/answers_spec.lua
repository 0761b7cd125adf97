-- Declarations whose answers are arrays or nothing, and of what may be sent twice.

local client_support = require("spec.support.client")
local llama_cloud = require("llama_cloud")
local trial = require("spec.support.trial")

local start = trial.start

describe("a declared answer", function()
  client_support.pause_for(0.01)

  describe("that is an array", function()
    it("is one, empty or not", function()
      local s <close>, client = start { { body = '[{"id":"a"},{"id":"b"}]' }, { body = "[]" }, { body = "[null]" } }
      local value = assert(client.trial:array())
      assert.equal("b", value[2].id)
      value = assert(client.trial:array { project_id = "p" })
      assert.equal(llama_cloud.array, getmetatable(value))
      assert.is_nil(next(value))
      assert.equal(llama_cloud.null, assert(client.trial:array())[1])
      assert.equal("/array?project_id=p", s:requests()[2].target)
    end)

    it("and nothing else", function()
      for _, body in ipairs { "{}", '{"items":[]}', "null", "1", '"a"' } do
        local s <close>, client = start { { body = body } } -- luacheck: ignore s
        local value, err = client.trial:array()
        assert.is_nil(value)
        assert.equal("decode", err.kind)
        assert.matches("is JSON, but not an array; it begins:", err.message, 1, true)
      end
    end)
  end)

  it("that is nothing is true, whatever comes", function()
    local s <close>, client = start { { status = 204 }, { body = "null" }, { body = '{"id":' }, { body = "<html>" } }
    for _ = 1, 4 do
      assert.is_true(client.trial:delete("t-1"))
    end
    assert.equal("*/*", s:requests()[1].headers.accept)
    assert.equal("DELETE", s:requests()[1].method)
  end)

  it("that is an object is none but that", function()
    local s <close>, client = start { { body = "[]" } } -- luacheck: ignore s
    local _, err = client.trial:content("f")
    assert.equal("decode", err.kind)
  end)
end)

describe("a DELETE", function()
  client_support.pause_for(0.01)

  it("is done where 404 follows an attempt that may have been carried out", function()
    for _, doubt in ipairs { { close_before = true }, { status = 500, body = "{}" }, { status = 503, body = "" } } do
      for _, method in ipairs { "delete", "remove" } do
        local s <close>, client = start({ doubt, { status = 404, body = '{"detail":"gone"}' } }, { max_retries = 2 })
        assert.is_true((assert(client.trial[method](client.trial, "t-1"))))
        assert.equal(2, s:count())
      end
    end
  end)

  it("has failed where 404 is the first answer, or follows what was not carried out", function()
    for _, before in ipairs { false, { status = 429, body = "{}", headers = { ["Retry-After"] = "0" } } } do
      local last = { status = 404, body = "{}" }
      local answers = before and { before, last } or { last }
      local s <close>, client = start(answers, { max_retries = 2 })
      local value, err = client.trial:delete("t-1")
      assert.is_nil(value)
      assert.equal("not_found", err.kind)
      assert.equal(before and 2 or 1, s:count())
    end
  end)

  it("of a path is the same", function()
    local s <close>, client = start({ { close_before = true }, { status = 404, body = "{}" } }, { max_retries = 2 })
    assert.is_true(client:delete("/anything"))
    assert.equal(2, s:count())
  end)

  it("is all that 404 is done for", function()
    local s <close>, client = start({ { close_before = true }, { status = 404, body = "{}" } }, { max_retries = 2 })
    local _, err = client.trial:content("f-1")
    assert.equal("not_found", err.kind)
    assert.equal(2, s:count())
  end)
end)

describe("a PATCH", function()
  client_support.pause_for(0.01)

  it("is sent again only where that is declared to do no harm", function()
    local s <close>, client = start({ { close_before = true }, { body = '{"id":"t"}' } }, { max_retries = 2 })
    assert.equal("t", assert(client.trial:update("t", { name = "n" })).id)
    assert.equal('{"name":"n"}', s:requests()[2].body)
    local t <close>, other = start({ { close_before = true }, { body = '{"id":"t"}' } }, { max_retries = 2 })
    local value, err = other.trial:change("t", { name = "n" })
    assert.is_nil(value)
    assert.is_true(err.maybe_sent)
    assert.equal(1, t:count())
  end)
end)

describe("an idempotency key", function()
  client_support.pause_for(0.01)

  local function sent(request)
    return llama_cloud.json.decode(request.body)
  end

  it("is made up where none is given, the same for all attempts of a call", function()
    local s <close>, client = start({
      { close_before = true },
      { status = 500, body = "{}" },
      { body = '{"id":"c-1"}' },
    }, { max_retries = 3 })
    assert.equal("c-1", assert(client.trial:classify { file_input = "f" }).id)
    assert.equal("c-1", assert(client.trial:classify { file_input = "f", transaction_id = llama_cloud.null }).id)
    assert.equal(4, s:count())
    local keys = {}
    for index, request in ipairs(s:requests()) do
      keys[index] = sent(request).transaction_id
      assert.equal(36, #keys[index])
      assert.matches("^%x+%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x+$", keys[index])
    end
    assert.equal(keys[1], keys[2])
    assert.equal(keys[1], keys[3])
    assert.not_equal(keys[1], keys[4])
  end)

  it("is the caller's where one is given", function()
    local s <close>, client = start { { body = "{}" } }
    assert(client.trial:classify { transaction_id = "mine" })
    assert(client.trial:classify({}, { body = { transaction_id = "other" } }))
    assert.equal("mine", sent(s:requests()[1]).transaction_id)
    assert.equal("other", sent(s:requests()[2]).transaction_id)
  end)
end)

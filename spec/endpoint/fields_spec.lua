-- The option `fields` where nothing has a field that it names, and arrays of strings of which only one string is given.

local server = require("spec.support.server")
local support = require("spec.support.client")

-- A client of a server with a log, and the list of its warnings.
local function start(behaviour)
  local warnings = {}
  local s, client = support.start(behaviour, {
    log = function(level, message)
      if level == "warn" and message:find("fields", 1, true) then
        warnings[#warnings + 1] = message
      end
    end,
  })
  return s, client, warnings
end

local PAGES = {
  { body = '{"items":[{"id":"1","status":"RUNNING"},{"id":"2"}],"next_page_token":"t"}' },
  { body = '{"items":[{"id":"3","error_message":"late"}]}' },
}

local TOLD = "option 'fields': nothing that was received has "

describe("fields that no item has", function()
  for how, walk in pairs {
    ["a for"] = function(list)
      for item in list do
        assert.is_string(item.id)
      end
    end,
    ["all"] = function(list)
      assert.equal(3, #assert(list:all()))
    end,
    ["next_page"] = function(list)
      assert.equal(2, #list:next_page().items)
      assert.equal(1, #list:next_page().items)
      assert.is_nil(list:next_page())
    end,
    ["pages"] = function(list)
      for page in list:pages() do
        assert.is_table(page.items)
      end
    end,
  } do
    it("are told once, at the end: " .. how, function()
      local s <close>, client, warnings = start { PAGES[1], PAGES[2], PAGES[1], PAGES[2], PAGES[1], PAGES[2] }
      local given = { fields = { "id", "stauts", "error_message", "nope" } }
      walk((client.batches:list(nil, given)))
      assert.same({ TOLD .. "'nope', 'stauts'" }, warnings)
      walk((client.batches:list(nil, given)))
      walk((client:with_options({ timeout = 5 }).batches:list(nil, given)))
      assert.equal(1, #warnings)
      assert.is_true(s:count() >= 4)
    end)
  end

  it("are told when the list is closed, even if the log raises", function()
    local s <close>, client = support.start(PAGES, { -- luacheck: ignore s
      log = function(level)
        if level == "warn" then
          error("no log today", 0)
        end
      end,
    })
    local list = client.batches:list(nil, { fields = { "nope" } })
    assert(list())
    assert(list())
    assert.has_error(function()
      list:close()
    end, "no log today")
    assert.matches("%(closed", tostring(list))
    assert.is_nil(list())
  end)

  it("are told where a loop is left, too", function()
    local _ <close>, client, warnings = start(PAGES)
    for item in client.batches:list(nil, { fields = { "nope" } }) do -- luacheck: ignore 512
      assert.same({}, item)
      break
    end
    assert.same({ TOLD .. "'nope'" }, warnings)
  end)

  it("are not told where one item has it, or there is no item, or nobody reads", function()
    local _ <close>, client, warnings = start { PAGES[1], PAGES[2], { body = '{"items":[]}' } }
    assert(client.batches:list(nil, { fields = { "id", "error_message" } }):all())
    assert(client.batches:list(nil, { fields = { "nope" } }):all())
    assert.same({}, warnings)
    local quiet <close>, silent = support.start(PAGES)
    assert(silent.batches:list(nil, { fields = { "nope" } }):all())
    assert.equal(2, quiet:count())
  end)

  it("are told of a single answer, and of one that is waited for", function()
    local _ <close>, client, warnings = start { { body = '{"id":"b","status":"COMPLETED","created_at":"2026"}' } }
    assert(client.batches:get("b", nil, { fields = { "id", "one" } }))
    assert(client.batches:wait("b", nil, { fields = { "id", "two" } }))
    for batch in client.batches:watch("b", nil, { fields = { "three" } }) do
      assert.equal("b", batch.id)
    end
    for _, _, err in client.batches:wait_all({ "b", "c" }, nil, { fields = { "four", "created_at" } }) do
      assert.is_nil(err)
    end
    assert.same({ TOLD .. "'one'", TOLD .. "'two'", TOLD .. "'three'", TOLD .. "'four'" }, warnings)
  end)

  it("are quoted so that they steer no terminal", function()
    local _ <close>, client, warnings = start { { body = "{}" } }
    assert(client.batches:get("b", nil, { fields = { "x\27[31m\u{202E}" } }))
    assert.same({ TOLD .. "'x?[31m?'" }, warnings)
  end)
end)

describe("one string is taken for an array of one", function()
  it("in a query, a body and an option", function()
    local s <close>, client = support.start { { body = '{"id":"b","status":"COMPLETED","more":1}' } }
    local batches, jobs = client.batches, client.beta.batch
    local params = { expand = "results" }
    assert(batches:get("b", params))
    assert.equal("results", params.expand)
    assert.equal("expand=results", s:requests()[1].query)

    assert(batches:wait("b", params))
    assert.equal("expand=results", s:requests()[3].query) -- the last look only

    assert(batches:run(support.BATCH, { expand = "results", fields = "id" }))
    assert.equal("expand=results", s:requests()[6].query)

    assert(jobs:create { job_config = {}, item_ids = "item-1" })
    assert.equal('{"item_ids":["item-1"],"job_config":{}}', s:requests()[7].body)
    local one = { source_directory_id = "d", config = {}, webhook_configuration_ids = "w" }
    assert(batches:create(one))
    assert.equal("w", one.webhook_configuration_ids)
    assert.equal('{"config":{},"source_directory_id":"d","webhook_configuration_ids":["w"]}', s:requests()[8].body)

    assert.same({ id = "b" }, (batches:get("b", nil, { fields = "id" })))
  end)

  it("but nothing else is", function()
    local client = support.client("http://127.0.0.1:1")
    for _, value in ipairs { 1, true, { a = 1 } } do
      assert.is_false((pcall(client.batches.get, client.batches, "b", { expand = value })))
      assert.is_false((pcall(client.batches.get, client.batches, "b", nil, { fields = value })))
    end
    local ok, message = pcall(client.beta.batch.create, client.beta.batch, { job_config = "parse" })
    assert.is_false(ok)
    assert.equal("parameter 'job_config' must be a table, not string", message)
  end)
end)

describe("a line of headers", function()
  it("that stands where a name is wanted is told how to be written", function()
    local client = support.client("http://127.0.0.1:1")
    for _, call in ipairs {
      function()
        client:get("/x", { headers = { "X-Foo: secret" } })
      end,
      function()
        client.batches:get("x", nil, { headers = { "X-Foo: secret" } })
      end,
      function()
        client:with_options { default_headers = { "X-Foo: secret" } }
      end,
    } do
      local message = support.raises_here(call, 'write ["X-Foo"] = "…" instead of the line')
      assert.is_nil(message:find("secret", 1, true))
    end
  end)

  it("in the environment without a colon is told, and not shown", function()
    for lines, number in pairs {
      ["X-A: 1\nsecret\n"] = 2,
      ["secret"] = 1,
      ["X-A: 1\r\n\r\n: secret\r\n"] = 3,
      ["\nX-A secret"] = 1, -- the lines are counted from the first that is not blank
    } do
      support.with_environment({ LLAMA_CLOUD_CUSTOM_HEADERS = lines }, function()
        local message = support.raises_here(function()
          support.client("http://127.0.0.1:1")
        end, ("LLAMA_CLOUD_CUSTOM_HEADERS: line %d is not of the form 'Name: value'"):format(number))
        assert.is_nil(message:find("secret", 1, true))
      end)
    end
  end)

  it("in the environment is sent", function()
    local s <close> = server.start { { body = "{}" } }
    support.with_environment({ LLAMA_CLOUD_CUSTOM_HEADERS = "\r\n X-A : 1:2 \r\n\r\nX-B:3" }, function()
      assert(support.client(s):get("/x"))
    end)
    assert.equal("1:2", s:requests()[1].headers["x-a"])
    assert.equal("3", s:requests()[1].headers["x-b"])
  end)
end)

describe("names and values in complaints", function()
  it("steer no terminal", function()
    local client = support.client("http://127.0.0.1:1")
    local evil = "x\27[31m\u{9B}\u{202E}\xFF" .. ("y"):rep(5000)
    for _, call in ipairs {
      function()
        client.batches:list { [evil] = 1 }
      end,
      function()
        client.batches:list(nil, { [evil] = 1 })
      end,
      function()
        client:with_options { [evil] = 1 }
      end,
      function()
        client:with_options { region = evil }
      end,
      function()
        client:with_options { base_url = "http://u:p@" .. evil:gsub("[\27]", "") .. "^" }
      end,
      function()
        client:with_options { base_url = evil:gsub("[\27]", "") }
      end,
      function()
        client:get("/x", { headers = { [evil] = 1 } })
      end,
      function()
        client:get("/x", { query = { [evil] = print } })
      end,
      function()
        local other = setmetatable({}, {
          __pairs = function()
            return next, { 1 }
          end,
        })
        client:get("/x", { query = { [evil] = other } })
      end,
      function()
        client:post("/x", { body = { [evil] = print } })
      end,
      function()
        client.batches:wait("x", nil, { backoff = evil })
      end,
      function()
        client.batches:create { source_directory_id = "d", config = { [evil .. "_id"] = "a\nb" } }
      end,
    } do
      local ok, message = pcall(call)
      assert.is_false(ok)
      assert.is_string(message)
      assert.is_truthy(utf8.len(message), message)
      assert.is_nil(message:find("[\0-\31\127]"), message)
      assert.is_nil(message:find("\u{9B}", 1, true), message)
      assert.is_nil(message:find("\u{202E}", 1, true), message)
      assert.is_true(#message < 1000, #message)
    end
  end)
end)

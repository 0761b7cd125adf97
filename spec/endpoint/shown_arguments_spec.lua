-- Arguments that are proxies: tables that show other fields than they hold. What is sent is what they show, or the call is
-- refused; nothing goes out as if they were empty. How JSON takes them is in core/json_shown_spec.lua.

local cjson = require("cjson")
local client_support = require("spec.support.client")
local llama_cloud = require("llama_cloud")

local start, raises_here = client_support.start, client_support.raises_here
local HIDDEN = "cannot take the fields of an empty table whose metatable has __index"

-- Read-only views of a table, and of those in it: all that Lua offers for one; by pairs alone; by names alone.
local views = {}

function views.whole(hidden)
  return setmetatable({}, {
    __index = function(_, key)
      return type(hidden[key]) == "table" and views.whole(hidden[key]) or hidden[key]
    end,
    __len = function()
      return #hidden
    end,
    __pairs = function()
      return function(_, key)
        local k, v = next(hidden, key)
        return k, type(v) == "table" and views.whole(v) or v
      end
    end,
  })
end

function views.by_pairs(hidden)
  return setmetatable({}, {
    __pairs = function()
      return function(_, key)
        local k, v = next(hidden, key)
        return k, type(v) == "table" and views.by_pairs(v) or v
      end
    end,
  })
end

function views.by_name(hidden)
  return setmetatable({}, { __index = hidden })
end

local BATCH = client_support.BATCH

-- The last request that a server got.
local function last(s)
  local requests = s:requests()
  return requests[#requests]
end

describe("parameters", function()
  it("are sent as they show themselves", function()
    local s <close>, client = start { { body = '{"id":"bat-1"}' } }
    for _, view in pairs(views) do
      assert(client.batches:create(view(BATCH)))
      assert.same(BATCH, cjson.decode(last(s).body))
      assert(client.batches:get("bat-1", view { expand = { "results", "x" } }))
      assert.equal("expand=results&expand=x", last(s).query)
    end
    assert.equal(6, s:count())
  end)

  it("come with defaults behind __index, which are checked, too", function()
    local s <close>, client = start { { body = '{"id":"bat-1"}' } }
    local defaults = { source_directory_id = "dir-0", config = BATCH.config, project_id = "p" }
    assert(client.batches:create(setmetatable({ source_directory_id = "dir-1" }, { __index = defaults })))
    assert.same(BATCH, cjson.decode(last(s).body))
    assert.equal("project_id=p", last(s).query)
    raises_here(function()
      local _ = client.batches:create(setmetatable({ config = {} }, { __index = { source_directory_id = 1 } }))
    end, "parameter 'source_directory_id' must be a string, not number")
    raises_here(function()
      local _ = client.batches:create(views.by_pairs { source_directory = 1 })
    end, "unknown parameter 'source_directory'")
    assert.equal(1, s:count())
  end)

  it("may hold them", function()
    local s <close>, client = start { { body = '{"id":"bat-1"}' } }
    for _, name in ipairs { "whole", "by_pairs" } do
      local view = views[name]
      assert(client.batches:create { source_directory_id = "dir-1", config = view(BATCH.config) })
      assert.same(BATCH, cjson.decode(last(s).body))
      assert(client.batches:create { source_directory_id = "dir-1", config = { job = view(BATCH.config.job) } })
      assert.same(BATCH, cjson.decode(last(s).body))
      assert(client.batches:get("bat-1", { expand = view { "results", "x" } }))
      assert.equal("expand=results&expand=x", last(s).query)
      assert(client.batches:get("bat-1", nil, { query = view { a = 1 } }))
      assert.equal("a=1", last(s).query)
    end
    assert.equal(8, s:count())
  end)

  it("are refused where their fields cannot be enumerated", function()
    local s <close>, client = start { { body = '{"id":"bat-1"}' } }
    raises_here(function()
      local _ = client.batches:create { source_directory_id = "d", config = views.by_name(BATCH.config) }
    end, "parameter 'config': " .. HIDDEN)
    raises_here(function()
      local _ = client.batches:create { source_directory_id = "d", config = { job = views.by_name { type = "x" } } }
    end, "body.config.job: " .. HIDDEN)
    raises_here(function()
      local _ = client.batches:get("bat-1", { expand = views.by_name { "results" } })
    end, "parameter 'expand': " .. HIDDEN)
    raises_here(function()
      local _ = client.batches:get("bat-1", nil, { query = { a = views.whole { 1 } } })
    end, "query parameter 'a' cannot be a table that shows other fields than it holds")
    assert.equal(0, s:count())
  end)

  it("of a class are what they hold", function()
    local s <close>, client = start { { body = '{"id":"bat-1"}' } }
    local Config = { render = print }
    Config.__index = Config
    local config = setmetatable({ job = setmetatable({ type = "parse_v2" }, Config) }, Config)
    assert(client.batches:create(setmetatable({ source_directory_id = "dir-1", config = config }, Config)))
    assert.equal('{"config":{"job":{"type":"parse_v2"}},"source_directory_id":"dir-1"}', last(s).body)
    assert(client.batches:create { source_directory_id = "dir-1", config = setmetatable({}, Config) })
    assert.equal('{"config":{},"source_directory_id":"dir-1"}', last(s).body)
  end)
end)

describe("options", function()
  it("are taken as they show themselves", function()
    local s <close>, client = start { { body = '{"id":"bat-1","status":"COMPLETED"}' } }
    for _, view in pairs(views) do
      local answer = assert(client.batches:get("bat-1", nil, view { fields = { "id" }, headers = { ["X-A"] = "b" } }))
      assert.same({ id = "bat-1" }, answer)
      assert.equal("b", last(s).headers["x-a"])
      assert(client:post("/x", view { body = { a = 1 }, query = { q = 2 } }))
      assert.equal('{"a":1}', last(s).body)
      assert.equal("q=2", last(s).query)
      assert(client.batches:create(BATCH, view { body = { more = true } }))
      assert.is_true(cjson.decode(last(s).body).more)
      local polls = 0
      local on_poll = function()
        polls = polls + 1
      end
      assert(client.batches:wait("bat-1", nil, view { on_poll = on_poll }))
      assert.equal(1, polls)
      raises_here(function()
        local _ = client.batches:get("bat-1", nil, view { timeout = "1" })
      end, "option 'timeout' must be a number of seconds")
    end
    assert.equal(12, s:count())
  end)

  it("may be some of a table with defaults", function()
    local s <close>, client = start { { body = "{}" } }
    local given = setmetatable({ query = { a = 1 } }, { __index = { headers = { ["X-A"] = "b" } } })
    assert(client:get("/x", given))
    assert.equal("a=1", last(s).query)
    assert.equal("b", last(s).headers["x-a"])
  end)

  it("may hold them, or are refused", function()
    local s <close>, client = start { { body = "{}" } }
    for _, name in ipairs { "whole", "by_pairs" } do
      local view = views[name]
      assert(
        client:post("/x", { body = view { 1, { a = 2 } }, headers = view { ["X-A"] = "b" }, query = view { q = 1 } })
      )
      assert.equal('[1,{"a":2}]', last(s).body)
      assert.equal("b", last(s).headers["x-a"])
      assert.equal("q=1", last(s).query)
      assert.same({}, (assert(client.batches:get("bat-1", nil, { fields = view { "id" } }))))
    end
    for _, option in ipairs { "body", "headers", "query" } do
      raises_here(function()
        local _ = client:post("/x", { [option] = views.by_name { a = "b" } })
      end, ("option '%s': %s"):format(option, HIDDEN))
      raises_here(function()
        local _ = client.batches:create(BATCH, { [option] = views.by_name { a = "b" } })
      end, ("option '%s': %s"):format(option, HIDDEN))
    end
    assert.equal(4, s:count())
  end)

  it("of all hold, too", function()
    local page = '{"items":[{"id":"a"},{"id":"b"}]}'
    local s <close>, client = start { { body = page } }
    for _, view in pairs(views) do
      assert.equal(1, #assert(client.batches:list():all(view { max_items = 1 })))
    end
    assert.equal(3, s:count())
  end)

  it("that no table can be are refused", function()
    local s <close>, client = start { { body = "{}" } }
    local twice = setmetatable({}, {
      __pairs = function()
        return function()
          return "body", {}
        end
      end,
    })
    raises_here(function()
      local _ = client:post("/x", twice)
    end, "options: cannot take a table whose __pairs gives the same key twice")
    raises_here(function()
      local _ = client.batches:create(twice)
    end, "parameters: cannot take a table whose __pairs gives the same key twice")
    raises_here(function()
      local _ = client.batches:create(client_support.BATCH, { body = twice })
    end, "option 'body': cannot take a table whose __pairs gives the same key twice")
    assert.equal(0, s:count())
  end)
end)

describe("a client's options", function()
  it("are taken as they show themselves, and refused where they cannot be", function()
    local s <close> = start { { body = "{}" } }
    local hidden = {
      api_key = client_support.KEY,
      base_url = s:url(),
      proxy = "",
      default_headers = { ["X-A"] = "b" },
      default_query = { q = 1 },
    }
    for name, view in pairs(views) do
      local client = llama_cloud.new(view(hidden))
      assert(client:get("/x"))
      assert.equal("b", last(s).headers["x-a"])
      assert.equal("q=1", last(s).query)
      local other = client:with_options(view { default_headers = { ["X-A"] = "c" } })
      assert(other:get("/x"))
      assert.equal("c", last(s).headers["x-a"])
      if name ~= "by_name" then -- names that nobody asks for cannot be found there
        raises_here(function()
          local _ = client:with_options(view { time_out = 1 })
        end, "unknown option 'time_out'")
      end
    end
    raises_here(function()
      local _ = llama_cloud.new { api_key = "llx", default_headers = views.by_name { a = "b" } }
    end, "option 'default_headers': " .. HIDDEN)
  end)
end)

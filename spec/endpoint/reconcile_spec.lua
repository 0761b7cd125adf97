-- create with { reconcile = true }: one POST, whatever happens to its answer.

local core = require("llama_cloud.core")
local lists = require("spec.support.lists")
local llama_cloud = require("llama_cloud")
local reconcile = require("llama_cloud.endpoint.reconcile")
local sandbox = require("spec.support.sandbox")
local server = require("spec.support.server")
local waiting = require("spec.support.waiting")

local PATH = "/api/v2/batches"

-- What the nth POST does: makes batches (`makes`: their ids, or { id, configuration_id, type }; `at`: the number of the list
-- that shows them first) and then fails or answers (`fails`: "close", or an answer). Lists fail as `lists[n]` says.
local SERVICE = [[
  local cjson = require("cjson")
  local held, posts, listed = {}, 0, 0
  return function(connection, request)
    if request.method == "GET" then
      listed = listed + 1
      local failure = args.lists and args.lists[listed]
      if failure then
        return connection:json(failure, '{"detail":"no list"}')
      end
      local items = {}
      for _, batch in ipairs(held) do
        if (batch.at or 0) <= listed then
          items[#items + 1] = cjson.encode(batch.value)
        end
      end
      return connection:json(200, '{"items":[' .. table.concat(items, ",") .. ']}')
    end
    posts = posts + 1
    local act = args.posts[math.min(posts, #args.posts)]
    local sent = cjson.decode(request.body)
    local value
    for _, made in ipairs(act.makes or {}) do
      made = type(made) == "table" and made or { made }
      value = {
        id = made[1],
        status = "PENDING",
        project_id = "prj-1",
        source_directory_id = sent.source_directory_id,
        config = {
          job = {
            type = made[3] or sent.config.job.type,
            configuration_id = made[2] or sent.config.job.configuration_id,
          },
          added_by_the_service = true,
        },
      }
      held[#held + 1] = { value = value, at = act.at }
    end
    if act.delay then
      connection:sleep(act.delay)
    end
    if act.fails == "close" then
      return connection:close()
    elseif act.fails then
      return connection:json(act.fails.status, act.fails.body, act.fails.headers)
    end
    connection:json(200, cjson.encode(value))
  end
]]

local function start(posts, options)
  local s = server.start(SERVICE, { args = { posts = posts, lists = options and options.lists } })
  return s, lists.client(s)
end

local function params()
  return { source_directory_id = "dir-1", config = { job = { type = "parse_v2", configuration_id = "cfg-1" } } }
end

-- How many lists and how many POSTs came.
local function counts(s)
  local listed, posted = 0, 0
  for _, request in ipairs(s:requests()) do
    listed = listed + (request.method == "GET" and 1 or 0)
    posted = posted + (request.method == "POST" and 1 or 0)
  end
  return { lists = listed, posts = posted }
end

describe("create with reconcile", function()
  local pauses = reconcile.pauses

  before_each(function()
    reconcile.pauses = { 0.01, 0.02, 0.03 }
  end)

  after_each(function()
    reconcile.pauses = pauses
  end)

  it("looks after 1, 2 and 4 seconds", function()
    assert.same({ 1, 2, 4 }, pauses)
  end)

  it("returns the answer where there is one", function()
    local s <close>, client = start { { makes = { "bat-1" } } }
    assert.equal("bat-1", assert(client.batches:create(params(), { reconcile = true })).id)
    assert.same({ lists = 1, posts = 1 }, counts(s))
    assert.equal("source_directory_id=dir-1", s:requests()[1].query)
    assert.equal(PATH, s:requests()[1].path)
  end)

  it("lists nothing unless it is asked to", function()
    local s <close>, client = start { { makes = { "bat-1" } }, { makes = { "bat-2" }, fails = "close" } }
    assert(client.batches:create(params(), { reconcile = false }))
    local batch, err = client.batches:create(params())
    assert.is_nil(batch)
    assert.is_true(err.maybe_sent)
    assert.same({ lists = 0, posts = 2 }, counts(s))
  end)

  it("lists as the creation is sent: with its headers, its scope and its limits", function()
    local s <close>, client = start({ { makes = { "bat-1" }, fails = "close" } }, { lists = { [2] = 500 } })
    local headers = { Authorization = "Bearer other", ["X-Team"] = "t" }
    local batch = assert(client.batches:create(params(), {
      reconcile = true,
      headers = headers,
      query = { project_id = "prj-x", page_size = 7 },
      max_retries = 2,
    }))
    assert.equal("bat-1", batch.id)
    local seen = s:requests()
    assert.equal(4, #seen) -- the second list is tried again
    for index, request in ipairs(seen) do
      assert.equal("Bearer other", request.headers.authorization)
      assert.equal("t", request.headers["x-team"])
      assert.equal(
        index == 2 and "project_id=prj-x&page_size=7" or "project_id=prj-x&source_directory_id=dir-1",
        request.query
      )
    end
  end)

  describe("after an answer that is lost", function()
    it("returns the batch that was created", function()
      for _, failure in ipairs {
        "close",
        { status = 500, body = "{}" },
        { status = 502, body = "<html>" },
        { status = 503, body = "" },
        { status = 200, body = '{"id":"bat-' },
        { status = 200, body = "[]" },
      } do
        local s <close>, client = start { { makes = { "bat-1" }, fails = failure } }
        local batch, err = client.batches:create(params(), { reconcile = true })
        assert.is_nil(err)
        assert.equal("bat-1", batch.id)
        assert.equal("dir-1", batch.source_directory_id)
        assert.same({ lists = 2, posts = 1 }, counts(s))
      end
    end)

    it("and says so, at warn", function()
      local s <close>, client = start { { makes = { "bat-1" }, fails = "close" } } -- luacheck: ignore s
      local told = {}
      client = client:with_options {
        log = function(level, message)
          if level == "warn" then
            told[#told + 1] = message
          end
        end,
      }
      assert(client.batches:create(params(), { reconcile = true }))
      assert.equal(2, #told)
      assert.matches("^the answer to a creation was lost: looking for it in the list in [%d.]+ s$", told[1])
      assert.equal("the creation whose answer was lost is bat-1", told[2])
    end)

    it("or that took too long", function()
      local s <close>, client = start { { makes = { "bat-1" }, delay = 20 } }
      local given = { reconcile = true, timeout = 0.5 * waiting.patience }
      assert.equal("bat-1", assert(client.batches:create(params(), given)).id)
      assert.same({ lists = 2, posts = 1 }, counts(s))
    end)

    it("returns it though the list shows it late", function()
      local s <close>, client = start { { makes = { "bat-1" }, at = 4, fails = "close" } }
      assert.equal("bat-1", assert(client.batches:create(params(), { reconcile = true })).id)
      assert.same({ lists = 4, posts = 1 }, counts(s))
      local requests = s:requests()
      for look, pause in ipairs(reconcile.pauses) do
        assert.is_true(requests[look + 2].time - requests[look + 1].time >= pause * 0.9)
      end
    end)

    it("tells it from others that are new or were there", function()
      local s <close>, client = start {
        { makes = { "old-1" } },
        { makes = { { "other-1", "cfg-2" }, { "other-2", "cfg-1", "extract_v2" }, "bat-1" }, fails = "close" },
      }
      local before = llama_cloud.new { api_key = "k", base_url = s:url(), proxy = "" }
      assert(before.batches:create(params()))
      assert.equal("bat-1", assert(client.batches:create(params(), { reconcile = true })).id)
      assert.same({ lists = 2, posts = 2 }, counts(s))
    end)

    it("says that it was not seen, where it was not created", function()
      local s <close>, client = start { { fails = "close" } }
      local batch, err = client.batches:create(params(), { reconcile = true })
      assert.is_nil(batch)
      assert.equal("connection", err.kind)
      assert.is_true(err.maybe_sent)
      assert.matches("; reconcile: nothing new was seen in the list$", err.message)
      assert.equal("POST", err.method)
      assert.same({ lists = 4, posts = 1 }, counts(s))
    end)

    it("does not take one for it whose configuration differs", function()
      local s <close>, client = start { { makes = { { "other", "cfg-2" } }, fails = "close" } }
      local batch, err = client.batches:create(params(), { reconcile = true })
      assert.is_nil(batch)
      assert.is_true(err.maybe_sent)
      assert.same({ lists = 4, posts = 1 }, counts(s))
    end)

    it("does not choose between two", function()
      local s <close>, client = start { { makes = { "bat-1", "bat-2" }, fails = { status = 500, body = "{}" } } }
      local batch, err = client.batches:create(params(), { reconcile = true })
      assert.is_nil(batch)
      assert.equal("internal_server", err.kind)
      assert.is_true(err.maybe_sent)
      assert.matches("; reconcile: 2 new ones could be it$", err.message)
      assert.same({ lists = 2, posts = 1 }, counts(s))
    end)

    it("says that the list could not be read", function()
      local s <close>, client = start(
        { { makes = { "bat-1" }, fails = "close" } },
        { lists = { [2] = 500, [3] = 403, [4] = 503 } }
      )
      local batch, err = client.batches:create(params(), { reconcile = true })
      assert.is_nil(batch)
      assert.equal("connection", err.kind)
      assert.is_true(err.maybe_sent)
      assert.matches("; reconcile: the list could not be read$", err.message)
      assert.equal(503, err.cause.status)
      assert.same({ lists = 4, posts = 1 }, counts(s))
    end)

    it("looks again after a list that could not be read", function()
      local s <close>, client = start(
        { { makes = { "bat-1" }, fails = "close" } },
        { lists = { [2] = 500, [3] = 500 } }
      )
      assert.equal("bat-1", assert(client.batches:create(params(), { reconcile = true })).id)
      assert.same({ lists = 4, posts = 1 }, counts(s))
    end)

    it("does not take one for it that this client has returned from another call", function()
      for _, second in ipairs { "itself", "copy" } do
        local s <close>, client = start {
          { delay = 0.4 * waiting.patience, fails = "close" },
          { makes = { "bat-2" } },
        }
        local other = second == "copy" and client:with_options { timeout = 30 } or client
        local lost, err, found
        llama_cloud.run(function()
          llama_cloud.spawn(function()
            lost, err = client.batches:create(params(), { reconcile = true })
          end)
          llama_cloud.spawn(function()
            repeat
              llama_cloud.sleep(0.01)
            until s:count() == 2 -- its POST is under way
            found = assert(other.batches:create(params()))
          end)
        end)
        assert.equal("bat-2", found.id)
        assert.is_nil(lost)
        assert.is_true(err.maybe_sent)
        assert.same({ lists = 4, posts = 2 }, counts(s))
      end
    end)

    it("does not find the same one twice", function()
      local s <close>, client = start { { makes = { "bat-1" }, fails = "close" }, { fails = "close" } }
      local first = assert(client.batches:create(params(), { reconcile = true }))
      local second, err = client.batches:create(params(), { reconcile = true })
      assert.equal("bat-1", first.id)
      assert.is_nil(second)
      assert.is_true(err.maybe_sent)
      assert.same({ lists = 6, posts = 2 }, counts(s))
    end)

    it("compares the configuration as it was sent", function()
      local given = params()
      given.config.job.note = llama_cloud.null -- absent from what the service shows
      local s <close>, client = start { { makes = { "bat-1" }, fails = "close" } }
      assert.equal("bat-1", assert(client.batches:create(given, { reconcile = true })).id)
      given.config.job.note = "mine"
      local t <close>, other = start { { makes = { "bat-1" }, fails = "close" } }
      assert.is_nil((other.batches:create(given, { reconcile = true })))
      assert.same({ lists = 2, posts = 1 }, counts(s))
      assert.same({ lists = 4, posts = 1 }, counts(t))
    end)

    it("looks in the call's own project and directory", function()
      local s <close>, client = start { { makes = { "bat-1" }, fails = "close" } }
      local given = params()
      given.project_id, given.organization_id = "prj-1", "org-1"
      assert(client.batches:create(given, { reconcile = true }))
      for _, number in ipairs { 1, 3 } do
        local query = s:requests()[number].query
        assert.equal("organization_id=org-1&project_id=prj-1&source_directory_id=dir-1", query)
      end
      assert.equal(3, s:count())
    end)
  end)

  it("returns an error that leaves no doubt as it is", function()
    for status, kind in pairs { [400] = "bad_request", [409] = "conflict", [422] = "unprocessable_entity" } do
      local s <close>, client = start { { fails = { status = status, body = '{"detail":"no"}' } } }
      local batch, err = client.batches:create(params(), { reconcile = true })
      assert.is_nil(batch)
      assert.equal(kind, err.kind)
      assert.falsy(err.maybe_sent)
      assert.not_matches("reconcile", err.message)
      assert.same({ lists = 1, posts = 1 }, counts(s))
    end
  end)

  it("sends again what is known not to have been acted on", function()
    local s <close> = start {
      { fails = { status = 429, body = "{}", headers = { ["Retry-After"] = "0" } } },
      { makes = { "bat-1" } },
    }
    local client = lists.client(s, { max_retries = 1 })
    assert.equal("bat-1", assert(client.batches:create(params(), { reconcile = true })).id)
    assert.same({ lists = 1, posts = 2 }, counts(s))
  end)

  it("creates nothing when it cannot list before", function()
    local s <close>, client = start({ { makes = { "bat-1" } } }, { lists = { 500, 403 } })
    for _, kind in ipairs { "internal_server", "permission_denied" } do
      local batch, err = client.batches:create(params(), { reconcile = true })
      assert.is_nil(batch)
      assert.equal(kind, err.kind)
      assert.falsy(err.maybe_sent)
      assert.matches("^reconcile: what is there already could not be listed, so nothing was created: ", err.message)
    end
    assert.same({ lists = 2, posts = 0 }, counts(s))
  end)

  it("works in run as well", function()
    local s <close> = sandbox.start { batches = 5, speed = 100 }
    local client = lists.client(s)
    s:fault("POST " .. PATH .. ": reset processed x1")
    local batch = assert(client.batches:run(params(), waiting.quick { reconcile = true }))
    assert.equal("COMPLETED", batch.status)
    assert.equal(6, s:control("GET", "/").batches)
    assert.equal(1, s:stats().routes["POST " .. PATH])
  end)

  it("refuses what is not true or false, and is not there for jobs", function()
    local s <close>, client = start { {} }
    waiting.raises_here("option 'reconcile' must be a boolean, not string", function()
      client.batches:create(params(), { reconcile = "yes" })
    end)
    waiting.raises_here("unknown option 'reconcile'", function()
      client.beta.batch:create({ job_config = {}, directory_id = "dir-1" }, { reconcile = true })
    end)
    assert.equal(0, s:count())
  end)

  describe("in the sandbox", function()
    it("makes exactly one batch of each call, however answers are lost", function()
      local s <close> = sandbox.start { batches = 100 }
      local client = lists.client(s)
      for _, fault in ipairs { "reset processed", "close processed", "close=headers", "reset=body", "truncate=10" } do
        s:clear_stats()
        s:clear_faults()
        s:fault(("POST %s: %s"):format(PATH, fault))
        local before = s:control("GET", "/").batches
        local made = {}
        llama_cloud.run(function()
          for index = 1, 5 do
            llama_cloud.spawn(function()
              local given = params()
              given.source_directory_id = ("dir-%s-%d"):format(fault:gsub("%W", ""), index)
              made[index] = assert(client.batches:create(given, { reconcile = true }))
              assert.equal(given.source_directory_id, made[index].source_directory_id)
            end)
          end
        end)
        assert.equal(before + 5, s:control("GET", "/").batches)
        assert.equal(5, #made)
      end
    end)

    it("makes none of a call that was not processed", function()
      local s <close> = sandbox.start { batches = 100 }
      local client = lists.client(s)
      s:fault("POST " .. PATH .. ": reset x1")
      local began = core.now()
      local batch, err = client.batches:create(params(), { reconcile = true })
      assert.is_nil(batch)
      assert.is_true(err.maybe_sent)
      assert.equal(100, s:control("GET", "/").batches)
      assert.is_true(core.now() - began >= 0.06 * 0.9)
    end)
  end)
end)

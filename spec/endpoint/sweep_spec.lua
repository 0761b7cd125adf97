-- What wait_all costs: when it goes through the list, and when it gets each by itself.

local lists = require("spec.support.lists")
local llama_cloud = require("llama_cloud")
local sandbox = require("spec.support.sandbox")
local waiting = require("spec.support.waiting")

local quick = waiting.quick
local counts, created, items, service = waiting.counts, waiting.created, waiting.items, waiting.service
local slowdown, patience = waiting.slowdown, waiting.patience

-- For rounds with GETs, which must have been answered when the next begins.
local apart = quick { polling_interval = 0.08 * patience }

-- How many delivered, and how many of those with an error.
local function drain(all)
  local count, failed = 0, 0
  for _, _, err in all do
    count = count + 1
    failed = failed + (err and 1 or 0)
  end
  return count, failed
end

local function ids_of(held)
  local ids = {}
  for index, item in ipairs(held) do
    ids[index] = item.id
  end
  return ids
end

-- The values of a query parameter in the lists that a server was asked for; "-" where it was absent.
local function asked_for(resource, s, name)
  local values = {}
  for _, request in ipairs(s:requests()) do
    if request.path == resource.path then
      local value = ("&" .. (request.query or "")):match("&" .. name .. "=([^&]*)")
      values[#values + 1] = value and value:gsub("%%3A", ":") or "-"
    end
  end
  return values
end

for _, resource in ipairs(waiting.resources) do
  local of = resource.of

  describe("client." .. resource.name .. ":wait_all", function()
    it("sees 1,000 that were just created in 10 requests a round", function()
      local held = items(1000)
      local s <close>, client = service(resource, held)
      assert.equal(1000, (drain(of(client):wait_all(created(resource, held), nil, quick()))))
      assert.same({ 30, 0, 0 }, { counts(resource, s) }) -- three rounds
    end)

    it("gets each of 1,000 ids once, and then sees them in 10 requests a round", function()
      local held = items(slowdown > 5 and 200 or 1000)
      local s <close>, client = service(resource, held)
      local all = of(client):wait_all(ids_of(held), nil, quick { polling_interval = 1 })
      assert.equal(#held, (drain(all)))
      local listed, single = counts(resource, s)
      assert.is_true(single >= #held and single < 1.1 * #held, single)
      assert.is_true(listed >= 2 * #held / 100 and listed <= 4 * #held / 100, listed)
    end)

    it("gets one by itself", function()
      local held = items(1)
      local s <close>, client = service(resource, held)
      assert.equal(1, (drain(of(client):wait_all(created(resource, held), nil, quick()))))
      assert.equal(1, (drain(of(client):wait_all({ "id-1" }, nil, quick()))))
      assert.same({ 0, 4, 0 }, { counts(resource, s) })
    end)

    it("gets the last ones by themselves where the list was longer than they are many", function()
      local held = items(150)
      held[1].ends, held[2].ends = 6, 6
      local s <close>, client = service(resource, held)
      assert.equal(150, (drain(of(client):wait_all(created(resource, held), nil, apart))))
      assert.same({ 6, 6, 0 }, { counts(resource, s) })
    end)

    it("narrows the list to the directory, if they share one", function()
      local held = items(5, { directory = "dir-1" })
      local s <close>, client = service(resource, held)
      assert.equal(5, (drain(of(client):wait_all(created(resource, held), nil, quick()))))
      assert.same({ "dir-1", "dir-1", "dir-1" }, asked_for(resource, s, resource.directory))
      held[3].directory = "dir-2"
      local t <close>, other = service(resource, held)
      assert.equal(5, (drain(of(other):wait_all(created(resource, held), nil, quick()))))
      assert.same({ "-", "-", "-" }, asked_for(resource, t, resource.directory))
      held[1].directory = nil
      local u <close>, third = service(resource, held)
      assert.equal(5, (drain(of(third):wait_all(created(resource, held), nil, quick()))))
      assert.same({ "-", "-", "-" }, asked_for(resource, u, resource.directory))
      assert.same({ 3, 0, 0 }, { counts(resource, u) })
    end)

    it("gives up a list in which too many others come first, for good", function()
      local held = items(40)
      local s <close>, client = service(resource, held, { foreign = 10000 })
      assert.equal(40, (drain(of(client):wait_all(created(resource, held), nil, apart))))
      assert.same({ 10, 120, 0 }, { counts(resource, s) }) -- a quarter of the first round's GETs was tried
    end)

    it("goes on with a list in which some others come first", function()
      local held = items(40)
      local s <close>, client = service(resource, held, { foreign = 500 })
      assert.equal(40, (drain(of(client):wait_all(created(resource, held), nil, quick()))))
      assert.same({ 18, 0, 0 }, { counts(resource, s) })
    end)

    it("does not look for the last few by going through all the others", function()
      local held = {}
      for index = 1, 100 do
        held[index] = { id = "id-" .. index, created_at = "2026-02-01T00:00:00.000Z" }
      end
      for index = 101, 5000 do
        held[index] = { id = "other-" .. index, created_at = "2026-01-02T00:00:00.000Z" }
      end
      held[5001] = { id = "old", created_at = "2026-01-01T00:00:00.000Z" }
      local s <close>, client = service(resource, held)
      local ours = created(resource, held)
      ours = table.move(ours, 1, 100, 1, { [101] = ours[5001] })
      assert.equal(101, (drain(of(client):wait_all(ours, nil, apart))))
      assert.same({ 3, 3, 0 }, { counts(resource, s) })
    end)

    it("gets those singly that the list does not show", function()
      local held = items(20)
      held[4].hidden, held[9].hidden = true, true
      local s <close>, client = service(resource, held)
      assert.equal(20, (drain(of(client):wait_all(created(resource, held), nil, apart))))
      assert.same({ 3, 6, 0 }, { counts(resource, s) })
    end)

    it("gives up a list that shows none", function()
      local held = items(20, { hidden = true })
      local s <close>, client = service(resource, held)
      assert.equal(20, (drain(of(client):wait_all(created(resource, held), nil, apart))))
      assert.same({ 1, 60, 0 }, { counts(resource, s) })
    end)

    it("gives up a list that the service refuses", function()
      for _, status in ipairs { 422, 400, 403, 404 } do
        local held = items(5)
        local s <close>, client = service(resource, held, { lists = { every = status } })
        assert.same({ 5, 0 }, { drain(of(client):wait_all(created(resource, held), nil, apart)) })
        assert.same({ 1, 15, 0 }, { counts(resource, s) })
      end
    end)

    it("asks for the list again in the next round after an error that passes", function()
      local held = items(5)
      local s <close>, client = service(resource, held, { lists = { [2] = 503, [4] = 500 } })
      assert.same({ 5, 0 }, { drain(of(client):wait_all(created(resource, held), nil, quick())) })
      assert.same({ 5, 0, 0 }, { counts(resource, s) })
    end)

    it("gets each by itself after two such errors on end", function()
      local held = items(5, { ends = 5 })
      local s <close>, client = service(resource, held, { lists = { [1] = 503, [2] = 503, [4] = 503, [5] = 503 } })
      assert.same({ 5, 0 }, { drain(of(client):wait_all(created(resource, held), nil, apart)) })
      -- list 3 works, lists 1 and 4 are let pass; 2 and 5 are made up for singly
      local listed, single = counts(resource, s)
      assert.equal(10, single)
      assert.equal(7, listed)
    end)

    it("gets each by itself, in each round, where the list alone is in trouble", function()
      local held = items(5, { ends = 8 })
      local s <close>, client = service(resource, held, { lists = { every = 500 } })
      assert.same({ 5, 0 }, { drain(of(client):wait_all(created(resource, held), nil, apart)) })
      local listed, single = counts(resource, s)
      assert.equal(40, single)
      assert.is_true(listed <= 4, listed)
    end)

    it("leaves the service alone for as long as that asks", function()
      local held = items(5, { ends = 1 })
      local s <close> = service(resource, held, { lists = { [1] = 503 }, retry_after = 1 })
      local client = lists.client(s, { max_retry_after = 0.1, max_retries = 2 })
      assert.same({ 5, 0 }, { drain(of(client):wait_all(created(resource, held), nil, quick())) })
      local requests = s:requests()
      assert.equal(2, #requests)
      assert.is_true(requests[2].time - requests[1].time >= 0.99)
    end)
  end)
end

describe("client.batches:wait_all", function()
  local batches = waiting.resources[1]

  it("asks for the list from the oldest outstanding one on", function()
    local held = {
      { id = "a", created_at = "2026-01-01T10:00:00.500Z", ends = 4 },
      { id = "b", created_at = "2026-01-01T10:00:00Z", ends = 2 }, -- earlier, though it sorts after the first as text
      { id = "c", created_at = "2026-01-01T10:00:01.000Z", ends = 4 },
      { id = "d", created_at = "2026-01-01T09:59:59.999Z", ends = 1 },
    }
    local s <close>, client = service(batches, held)
    assert.equal(4, (drain(client.batches:wait_all(created(batches, held), nil, quick()))))
    assert.same({
      "2026-01-01T09:59:59.999Z",
      "2026-01-01T10:00:00Z",
      "2026-01-01T10:00:00.500Z",
      "2026-01-01T10:00:00.500Z",
    }, asked_for(batches, s, "created_at_on_or_after"))
    assert.same({ "100", "100", "100", "100" }, asked_for(batches, s, "page_size"))
  end)

  it("gets each by itself whose age is not known", function()
    local held = items(4)
    local s <close>, client = service(batches, held)
    local given = created(batches, held)
    given[1].created_at, given[2].created_at = nil, "yesterday"
    assert.equal(4, (drain(client.batches:wait_all(given, nil, quick()))))
    assert.same({ 3, 2, 0 }, { counts(batches, s) })
  end)

  it("decodes only the fields that are wanted, and those that it needs", function()
    local held = items(3, { directory = "dir-1" })
    local s <close>, client = service(batches, held)
    local seen = 0
    local options = quick {
      fields = { "project_id" },
      on_poll = function(batch)
        assert.is_nil(batch.config)
        assert.equal("prj-1", batch.project_id)
        seen = seen + 1
      end,
    }
    local given = { created(batches, held)[1], created(batches, held)[2], "id-3" }
    for id, batch in client.batches:wait_all(given, { expand = { "results" } }, options) do
      local expected = { id = id, project_id = "prj-1", status = "COMPLETED", source_directory_id = "dir-1" }
      expected.created_at = batch.created_at
      assert.same(expected, batch)
    end
    assert.equal(8, seen) -- the third was in the first list too, where nobody asked for it
    assert.same({ "dir-1", "dir-1", "dir-1" }, asked_for(batches, s, "source_directory_id"))
    assert.same({ 3, 1, 3 }, { counts(batches, s) })
  end)

  it("asks jobs' lists for nothing that they do not have", function()
    local jobs = waiting.resources[2]
    local held = items(3)
    local s <close>, client = service(jobs, held)
    assert.equal(3, (drain(client.beta.batch:wait_all(created(jobs, held), nil, quick()))))
    assert.equal("GET /api/v1/beta/batch-processing?limit=100", waiting.targets(s)[1])
    assert.equal(3, s:count())
  end)

  it("gets 600 ended ones of the sandbox with their results, and sees the rest in few requests", function()
    local total = slowdown > 5 and 150 or 600
    local s <close> = sandbox.start { batches = 2000, speed = 40 }
    local client = lists.client(s)
    local made = {}
    llama_cloud.run(function()
      for index = 1, total do
        llama_cloud.spawn(function()
          local params = { config = batches.creation.config }
          params.source_directory_id = index % 50 == 0 and "dir-fail" or "dir-files-" .. index % 7
          made[index] = assert(client.batches:create(params))
        end)
      end
    end)
    s:clear_stats()
    local rounds, completed, failed = 0, 0, 0
    local options = {
      polling_interval = 0.2,
      backoff = "constant",
      on_poll = function(batch)
        rounds = rounds + (batch.id == made[total].id and 1 or 0)
      end,
    }
    for id, batch, err in client.batches:wait_all(made, { expand = { "results" } }, options) do
      if batch then
        completed = completed + 1
        assert.equal(id, batch.id)
        assert.is_table(batch.results)
      else
        failed = failed + 1
        assert.equal("batch_failed", err.kind)
      end
    end
    assert.equal(total // 50, failed)
    assert.equal(total - total // 50, completed)
    local routes = s:stats().routes
    local single = routes["GET /api/v2/batches/{batch_id}"]
    assert.is_true(single >= total and single < total * 1.1, single)
    assert.is_true(routes["GET /api/v2/batches"] <= 7 * (rounds + 20), routes["GET /api/v2/batches"])
    assert.is_true(rounds >= 1)
  end)
end)

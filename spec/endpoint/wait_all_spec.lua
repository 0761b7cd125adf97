-- wait_all, of batches and of batch jobs: what is delivered. What it costs is in endpoint/sweep_spec.lua.

local core = require("llama_cloud.core")
local llama_cloud = require("llama_cloud")
local loop = require("llama_cloud.loop")
local waiting = require("spec.support.waiting")

local quick, raises_here = waiting.quick, waiting.raises_here
local counts, created, items, service = waiting.counts, waiting.created, waiting.items, waiting.service
local slowdown, patience = waiting.slowdown, waiting.patience

-- What a wait_all delivers: { id, batch, err }, in order, and what it raises.
local function collect(all)
  local delivered = {}
  local ok, raised = pcall(function()
    for id, batch, err in all do
      delivered[#delivered + 1] = { id, batch, err }
    end
  end)
  return delivered, not ok and raised or nil
end

local function ids_of(delivered)
  local ids = {}
  for index, one in ipairs(delivered) do
    ids[index] = one[1]
  end
  return ids
end

for _, resource in ipairs(waiting.resources) do
  local of = resource.of

  describe("client." .. resource.name .. ":wait_all", function()
    it("delivers each as it ends", function()
      local s <close>, client =
        service(resource, { { id = "a", ends = 2 }, { id = "b", ends = 4 }, { id = "c", ends = 1 } })
      local delivered = collect(of(client):wait_all({ "a", "b", "c" }, nil, quick { polling_interval = 0.05 }))
      assert.same({ "c", "a", "b" }, ids_of(delivered))
      for _, one in ipairs(delivered) do
        assert.equal(one[1], one[2].id)
        assert.equal(resource.completed, one[2].status)
        assert.is_nil(one[3])
      end
      assert.is_true(s:count() >= 4)
    end)

    it("takes ids and batches together, each once", function()
      local held = items(4, { ends = 2 })
      local s <close>, client = service(resource, held)
      local batches = created(resource, held)
      local given = { "id-1", batches[2], "id-3", "id-1", batches[3], batches[2], "id-4" }
      local delivered = collect(of(client):wait_all(given, nil, quick()))
      local ids = ids_of(delivered)
      table.sort(ids)
      assert.same({ "id-1", "id-2", "id-3", "id-4" }, ids)
      assert.is_true(s:count() > 0)
    end)

    it("takes arrays as Lua makes them", function()
      local s <close>, client = service(resource, items(2, { ends = 1 }))
      local arguments = { [-1] = "lua", [0] = "script", "id-1", "id-2" } -- as `arg`
      assert.equal(2, #collect(of(client):wait_all(arguments, nil, quick())))
      assert.equal(2, #collect(of(client):wait_all(table.pack("id-1", "id-2"), nil, quick())))
      assert.equal(4, s:count())
      assert.equal(0, #collect(of(client):wait_all({ [-1] = "lua", [0] = "script" }, nil, quick())))
      assert.equal(4, s:count())
    end)

    it("has nothing to do for none", function()
      local s <close>, client = service(resource, {})
      local pending = loop.transport():count()
      assert.same({}, collect(of(client):wait_all({}, nil, quick())))
      assert.same({}, collect(of(client):wait_all(llama_cloud.array {})))
      assert.equal(0, s:count())
      assert.equal(pending, loop.transport():count())
    end)

    it("delivers those that were given as ended without asking", function()
      local s <close>, client = service(resource, items(1))
      local ended = { resource.subject("x", resource.completed), resource.subject("y", resource.failed) }
      local delivered = collect(of(client):wait_all(ended, nil, quick()))
      assert.equal(ended[1], delivered[1][2])
      assert.is_nil(delivered[2][2])
      assert.equal("batch_failed", delivered[2][3].kind)
      assert.equal(ended[2], delivered[2][3].batch)
      assert.equal(0, s:count())
    end)

    it("delivers to each its own error", function()
      local held = {
        { id = "good" },
        { id = "bad", fate = resource.failed, ends = 1 },
        { id = "stopped", fate = resource.cancelled },
      }
      local s <close>, client = service(resource, held)
      local by_id = {}
      for id, batch, err in of(client):wait_all({ "good", "bad", "gone", "stopped" }, nil, quick()) do
        by_id[id] = { batch, err }
      end
      assert.equal(resource.completed, by_id.good[1].status)
      assert.is_nil(by_id.good[2])
      for id, kind in pairs { bad = "batch_failed", stopped = "batch_cancelled", gone = "not_found" } do
        assert.is_nil(by_id[id][1])
        assert.equal(kind, by_id[id][2].kind)
      end
      assert.equal("bad", by_id.bad[2].batch.id)
      assert.equal(resource.noun .. " bad ended as " .. resource.failed, by_id.bad[2].message)
      assert.equal(resource.cancelled, by_id.stopped[2].batch.status)
      assert.is_nil(by_id.gone[2].batch)
      assert.is_true(s:count() > 4)
    end)

    it("gives each that is late its own error, with the batch as last seen", function()
      local held =
        { { id = "quick", ends = 2 }, { id = "slow", ends = math.huge }, { id = "slower", ends = math.huge } }
      local s <close>, client = service(resource, held)
      local began = core.now()
      local delivered =
        collect(of(client):wait_all({ "quick", "slow", "slower" }, nil, quick { total_timeout = 0.5 * patience }))
      local took = core.now() - began
      assert.same({ "quick", "slow", "slower" }, ids_of(delivered))
      assert.equal(resource.completed, delivered[1][2].status)
      for position = 2, 3 do
        local _, batch, err = table.unpack(delivered[position], 1, 3)
        assert.is_nil(batch)
        assert.equal("timeout", err.kind)
        assert.equal(delivered[position][1], err.batch.id)
        assert.equal(resource.running, err.batch.status)
        local text = "%s %s was still %s after %g s"
        assert.equal(text:format(resource.noun, err.batch.id, resource.running, 0.5 * patience), err.message)
      end
      assert.not_equal(delivered[2][3], delivered[3][3])
      assert.is_true(took >= 0.5 * patience - 0.01 and took < 10 * slowdown, took)
      assert.is_true(s:count() > 4)
    end)

    it("keeps to total_timeout while a list or a GET hangs", function()
      local held = items(3)
      local s <close>, client = service(resource, held, { list_delay = 50 })
      local function outcome(given)
        local began = core.now()
        local delivered = collect(of(client):wait_all(given, nil, quick { total_timeout = 0.4 * patience }))
        assert.is_true(core.now() - began < 10 * slowdown)
        assert.equal(3, #delivered)
        for _, one in ipairs(delivered) do
          assert.equal("timeout", one[3].kind)
        end
        return delivered
      end
      assert.equal(resource.pending, outcome(created(resource, held))[1][3].batch.status)
      assert.same({ 1, 0, 0 }, { counts(resource, s) })
    end)

    it("goes on after errors that pass, and says the last one when the time is over", function()
      local held = items(1, { ends = math.huge })
      local s <close>, client = service(resource, held, { lists = { every = 503 } })
      local two = created(resource, held)
      two[2] = resource.subject("id-2", resource.pending)
      two[3] = resource.subject("id-3", resource.pending)
      local delivered = collect(of(client):wait_all(two, nil, quick { total_timeout = 0.5 * patience }))
      local kinds = {}
      for _, one in ipairs(delivered) do
        kinds[one[1]] = one[3].kind
      end
      -- The second and the third are not found once they are fetched singly.
      assert.same({ ["id-1"] = "timeout", ["id-2"] = "not_found", ["id-3"] = "not_found" }, kinds)
      assert.is_true(s:count() > 3)
    end)

    it("is not held up by one whose GET is slow", function()
      local held = { { id = "slow", ends = 1, delay = 1.5 * patience }, { id = "other", ends = 3 } }
      local s <close>, client = service(resource, held)
      local delivered = collect(of(client):wait_all({ "slow", "other" }, nil, quick { polling_interval = 0.1 }))
      assert.same({ "other", "slow" }, ids_of(delivered))
      assert.equal(resource.completed, delivered[2][2].status)
      local slow = 0
      for _, request in ipairs(s:requests()) do
        slow = slow + (request.path:find("slow$") and 1 or 0)
      end
      assert.equal(1, slow)
    end)

    -- The service counts how often it has shown each. A list may show one that is being got by itself at the moment, and that
    -- is not looked for in it; so where it is told exactly how often each is seen, the list does not show them.
    for _, hidden in ipairs { true, false } do
      it("calls on_poll each time that one is seen" .. (hidden and "" or ", in a list, too"), function()
        local s <close>, client = service(resource, items(3, { ends = 3, hidden = hidden }))
        local seen = { ["id-1"] = {}, ["id-2"] = {}, ["id-3"] = {} }
        local options = quick {
          on_poll = function(batch, ...)
            assert.equal(0, select("#", ...))
            table.insert(seen[batch.id], batch.status)
          end,
        }
        assert.equal(3, #collect(of(client):wait_all({ "id-1", "id-2", "id-3" }, nil, options)))
        for id, statuses in pairs(seen) do
          assert.equal(resource.completed, table.remove(statuses), id)
          for _, status in ipairs(statuses) do
            assert.equal(resource.running, status, id)
          end
          if hidden then
            assert.equal(2, #statuses, id)
          end
        end
        assert.is_true(s:count() > 0)
      end)
    end

    it("delivers what has ended before it raises what on_poll raised, and has ended then", function()
      for _, given in ipairs { { "id-1", "id-2", "id-3" }, created(resource, items(3)) } do
        local held = items(3, { ends = 9 })
        held[1].ends = 1
        local s <close>, client = service(resource, held)
        local reason = { "enough" }
        local looks = 0
        local options = quick {
          on_poll = function(batch)
            looks = looks + (batch.id == "id-2" and 1 or 0)
            if looks == 3 then
              error(reason)
            end
          end,
        }
        local all = of(client):wait_all(given, nil, options)
        local delivered, raised = collect(all)
        assert.same({ "id-1" }, ids_of(delivered))
        assert.equal(reason, raised)
        local count = s:count()
        llama_cloud.sleep(0.05)
        assert.equal(count, s:count())
        assert.is_nil(all())
      end
    end)

    it("ends with break: nothing of it is left", function()
      local held = items(20, { ends = math.huge, delay = 20 })
      held[1].ends, held[1].delay = 1, 0
      local s <close>, client = service(resource, held)
      local pending = loop.transport():count()
      local ids = {}
      for index, item in ipairs(held) do
        ids[index] = item.id
      end
      local delivered
      for id in of(client):wait_all(ids, nil, quick()) do
        delivered = id
        assert.is_true(loop.transport():count() > pending)
        if id then
          break
        end
      end
      assert.equal("id-1", delivered)
      assert.equal(pending, loop.transport():count())
      llama_cloud.sleep(0.2 * patience) -- what was sent before may still be on its way
      local count = s:count()
      llama_cloud.sleep(0.1)
      assert.equal(count, s:count())
    end)

    it("ends with an error in the loop, and with its task", function()
      local held = items(5, { ends = math.huge })
      held[1].ends = 1
      local s <close>, client = service(resource, held)
      local pending = loop.transport():count()
      local ok, err = pcall(function()
        for _ in of(client):wait_all({ "id-1", "id-2", "id-3" }, nil, quick()) do
          error("mine", 0)
        end
      end)
      assert.is_false(ok)
      assert.equal("mine", err)
      assert.equal(pending, loop.transport():count())
      local task
      llama_cloud.run(function()
        task = llama_cloud.spawn(collect, of(client):wait_all({ "id-2", "id-3" }, nil, quick()))
        llama_cloud.sleep(0.1)
        task:cancel()
      end)
      assert.equal("cancelled", task:status())
      assert.is_true(s:count() > 2)
    end)

    it("gives lists and GETs the call's scope and headers, GETs its query too", function()
      local held = items(3)
      local s <close>, client = service(resource, held)
      local given = { created(resource, held)[1], created(resource, held)[2], "id-3" }
      local options = quick { headers = { ["X-Mine"] = "yes" }, query = { extra = "1" } }
      assert.equal(3, #collect(of(client):wait_all(given, { project_id = "prj-2" }, options)))
      local listed, single = counts(resource, s)
      assert.is_true(listed > 0 and single > 0)
      for _, request in ipairs(s:requests()) do
        assert.equal("yes", request.headers["x-mine"])
        assert.truthy(request.query:find("project_id=prj-2", 1, true))
        assert.equal(request.path ~= resource.path, request.query:find("extra=1", 1, true) ~= nil)
      end
    end)

    it("looks once more at those that could not be looked at in time, for the loop was busy", function()
      local s <close>, client = service(resource, items(3, { ends = 1 }))
      local options = { polling_interval = 0.2, backoff = "constant", total_timeout = 0.5 * slowdown }
      local first = items(3)
      first[1].status = resource.completed -- delivered at once
      local delivered, errors = 0, 0
      for _, batch in of(client):wait_all({ first[1], "id-2", "id-3" }, nil, options) do
        delivered = delivered + 1
        errors = errors + (batch and 0 or 1)
        if delivered == 1 then
          local untill = core.now() + 0.8 * slowdown
          while core.now() < untill do -- no wait of ours, so nothing is looked at
          end
        end
      end
      assert.same({ 3, 0 }, { delivered, errors })
      assert.is_true(s:count() >= 2)
    end)

    it("ends with its total_timeout, whatever other tasks do", function()
      local hanging = { id = "id-1", delay = 50 }
      for _, case in ipairs {
        { given = "id-1", item = hanging },
        { given = created(resource, items(1))[1], item = hanging },
        { given = "id-1", item = { id = "id-1", ends = math.huge } },
      } do
        -- another task computes from here to there, in parts of total_timeout
        for _, busy in ipairs { { 0.9, 1.2 }, { 0.2, 1.3 } } do
          local s <close>, client = service(resource, { case.item, { id = "other", ends = 2 } })
          local total = 0.4 * patience
          local given = quick { total_timeout = total, polling_interval = 0.02, max_interval = 0.02 }
          local took
          llama_cloud.run(function()
            local began = core.now()
            llama_cloud.spawn(function()
              for _ in of(client):wait_all({ case.given, "other", "hangs" }, nil, given) do
                llama_cloud.sleep(0.4 * total)
              end
              took = core.now() - began
            end)
            llama_cloud.sleep(busy[1] * total)
            while core.now() < began + busy[2] * total do -- no wait of ours
            end
          end)
          -- three bodies of the loop may come on top
          assert.is_true(took < 1.3 * total + 1.2 * total + 1 + slowdown / 2, took)
          assert.is_true(s:count() > 0)
        end
      end
    end)

    it("ends when nobody has it any more", function()
      local s <close>, client = service(resource, items(3, { ends = math.huge }))
      collectgarbage()
      collectgarbage()
      local before = loop.transport():count()
      for _ = 1, 5 do
        local next_one = of(client):wait_all({ "id-1", "id-2", "id-3" }, nil, quick())
        local reader = llama_cloud.wrap(function()
          return next_one()
        end)
        llama_cloud.run(function()
          local task = llama_cloud.spawn(reader)
          llama_cloud.sleep(0.03)
          task:cancel()
        end)
      end
      collectgarbage()
      collectgarbage()
      assert.is_true((loop.transport():count()) <= before)
      assert.is_true(s:count() > 0)
    end)

    it("delivers to each that the client was closed, also between two looks", function()
      local s <close>, client = service(resource, items(3, { ends = math.huge }))
      local delivered = {}
      llama_cloud.run(function()
        llama_cloud.spawn(function()
          while s:count() < 3 do
            llama_cloud.sleep(0.01)
          end
          llama_cloud.sleep(0.1)
          client:close()
        end)
        local options = { polling_interval = 60 }
        delivered = collect(of(client):wait_all({ "id-1", "id-2", "id-3" }, nil, options))
      end)
      assert.equal(3, #delivered)
      for _, one in ipairs(delivered) do
        assert.equal("cancelled", one[3].kind)
      end
    end)

    it("delivers to each that the client was closed", function()
      local s <close>, client = service(resource, items(3, { ends = math.huge }))
      local options = quick {
        on_poll = function()
          client:close()
        end,
      }
      local delivered = collect(of(client):wait_all({ "id-1", "id-2", "id-3" }, nil, options))
      assert.equal(3, #delivered)
      for _, one in ipairs(delivered) do
        assert.equal("cancelled", one[3].kind)
      end
      assert.is_true(s:count() <= 3)
    end)

    it("says what to write for a list", function()
      local s <close>, client = service(resource, items(1))
      raises_here("wait_all takes an array: give it assert(list:all())", function()
        of(client):wait_all(of(client):list())
      end)
      assert.equal(0, s:count())
    end)

    it("refuses what is no array of ids or batches, at the caller's line", function()
      local s <close>, client = service(resource, items(1))
      local id = resource.name == "batches" and "batch_id" or "job_id"
      local function check(message, ...)
        local arguments = table.pack(...)
        raises_here(message, function()
          of(client):wait_all(table.unpack(arguments, 1, arguments.n))
        end)
      end
      local array = ("ids must be an array of ids or %s"):format(
        resource.name == "batches" and "batches" or "batch jobs"
      )
      check("ids must be an array, not nil")
      check("ids must be an array, not string", "id-1")
      check(("%s, not one %s"):format(array, resource.noun), { id = "id-1" })
      check(array, { first = "id-1" })
      check(array, { "id-1", [2.5] = "id-2" })
      check(("ids[2] must be an id or a %s, not number"):format(resource.noun), { "id-1", 2 })
      check(("ids[1] must be an id or a %s, not table"):format(resource.noun), { { { id = "id-1" } } })
      check("ids[2] is nil, but ids[3] is not: an array has no holes", { "id-1", nil, "id-3" })
      check("ids[1] is nil, but ids[2] is not: an array has no holes", { nil, "id-2" })
      check("ids[2]: " .. id .. " must not be empty", { "id-1", "" })
      check("unknown parameter 'projectid' (did you mean 'project_id'?)", {}, { projectid = "prj-1" })
      check("option 'backoff' must be a string, not number", {}, nil, { backoff = 1 })
      assert.equal(0, s:count())
    end)
  end)
end

describe("client.batches:wait_all, asked for results,", function()
  local batches = waiting.resources[1]
  local expand = { expand = { "results" } }

  it("asks for them once for each, when it has ended", function()
    local held = items(30)
    held[7].fate = "FAILED"
    local s <close>, client = service(batches, held)
    local delivered = collect(client.batches:wait_all(created(batches, held), expand, quick()))
    assert.equal(30, #delivered)
    for _, one in ipairs(delivered) do
      local batch = one[2] or one[3].batch
      assert.equal("dfl-1", batch.results[1].source_directory_file_id)
      assert.equal(one[1] == "id-7" and "FAILED" or "COMPLETED", batch.status)
    end
    local listed, single, final = counts(batches, s)
    assert.equal(30, final)
    assert.equal(0, single)
    assert.equal(3, listed)
  end)

  it("does so as it was asked, whatever becomes of the tables that it was given", function()
    local held = items(4)
    local s <close>, client = service(batches, held)
    local params = { expand = { "results" } }
    local all = client.batches:wait_all(created(batches, held), params, quick())
    params.expand[1] = nil
    local delivered = collect(all)
    assert.equal(4, #delivered)
    for _, one in ipairs(delivered) do
      assert.equal("dfl-1", one[2].results[1].source_directory_file_id)
    end
    assert.is_true(s:count() > 0)
  end)

  it("does so for one that was given as ended", function()
    local s <close>, client = service(batches, items(1, { ends = 1 }))
    local given = { batches.subject("id-1", "COMPLETED") }
    local delivered = collect(client.batches:wait_all(given, expand, quick()))
    assert.equal("dfl-1", delivered[1][2].results[1].source_directory_file_id)
    assert.same({ 0, 0, 1 }, { counts(batches, s) })
  end)

  it("delivers others meanwhile", function()
    local held = { { id = "slow", ends = 1, delay = 1.2 * patience }, { id = "b", ends = 4 }, { id = "c", ends = 4 } }
    local s <close>, client = service(batches, held)
    local delivered =
      collect(client.batches:wait_all(created(batches, held), expand, quick { polling_interval = 0.05 }))
    assert.equal("slow", ids_of(delivered)[3])
    assert.same({ 4, 0, 3 }, { counts(batches, s) })
  end)

  it("says in a timeout that it has ended", function()
    local held = { { id = "slow", ends = 1, delay = 50 }, { id = "b", ends = 1 } }
    local s <close>, client = service(batches, held)
    local delivered =
      collect(client.batches:wait_all(created(batches, held), expand, quick { total_timeout = 0.5 * patience }))
    assert.same({ "b", "slow" }, ids_of(delivered))
    local err = delivered[2][3]
    assert.equal("timeout", err.kind)
    assert.equal("COMPLETED", err.batch.status)
    assert.matches("^batch slow ended as COMPLETED, but could not be fetched in full within ", err.message)
    assert.equal(3, s:count())
  end)
end)

-- run, of batches and of batch jobs: create one, then wait for it.

local cjson = require("cjson")

local core = require("llama_cloud.core")
local waiting = require("spec.support.waiting")

local quick, start, targets = waiting.quick, waiting.start, waiting.targets
local raises_here = waiting.raises_here
local slowdown, patience = waiting.slowdown, waiting.patience
local batches, jobs = waiting.resources[1], waiting.resources[2]

for _, resource in ipairs(waiting.resources) do
  local pending, running, completed = resource.pending, resource.running, resource.completed
  local of = resource.of

  describe("client." .. resource.name .. ":run", function()
    local created = { status = 201, body = cjson.encode(resource.subject("bat-1", pending)) }

    it("creates it and waits for it", function()
      local s <close>, client = start(resource, { created, running, completed })
      local batch, err = of(client):run(resource.creation, quick())
      assert.is_nil(err)
      assert.equal(completed, batch.status)
      local get = "GET " .. resource.path .. "/bat-1"
      assert.same({ "POST " .. resource.path, get, get }, targets(s))
      assert.same(resource.creation, (core.decode(s:requests()[1].body)))
    end)

    it("returns the error of the creation, and sends nothing more", function()
      local s <close>, client = start(resource, { { status = 402, body = '{"detail":"no credits"}' } })
      local batch, err = of(client):run(resource.creation, quick())
      assert.is_nil(batch)
      assert.equal(
        "402: no credits (the plan has no credits left: add some, or wait until it gets new ones)",
        err.message
      )
      assert.is_nil(err.batch)
      assert.equal(1, s:count())
    end)

    it("has the batch in every error after that", function()
      local function outcome(answer, options)
        local s <close>, client = start(resource, { created, answer })
        local batch, err = of(client):run(resource.creation, quick(options))
        assert.is_nil(batch)
        assert.equal("bat-1", err.batch.id)
        assert.is_true(s:count() >= 2)
        return err
      end
      local err = outcome { status = 403 }
      assert.equal("permission_denied", err.kind)
      assert.equal(pending, err.batch.status)
      assert.equal("decode", outcome({ body = "{}" }).kind)
      err = outcome({ status = 503 }, { total_timeout = 0.3 * patience })
      assert.equal("timeout", err.kind)
      assert.equal(pending, err.batch.status)
      err = outcome(resource.failed)
      assert.equal("batch_failed", err.kind)
      assert.equal(resource.failed, err.batch.status)
      assert.equal("batch_cancelled", outcome(resource.cancelled).kind)
    end)

    it("sends what options.body adds with the creation, and with no poll", function()
      local s <close>, client = start(resource, { created, completed })
      assert(of(client):run(resource.creation, quick { body = { new_field = 1 } }))
      assert.equal(1, cjson.decode(s:requests()[1].body).new_field)
      assert.equal("", s:requests()[2].body or "")
    end)

    it("gives total_timeout to both together", function()
      local s <close>, client = start(resource, { { delay = 50, body = "{}" } })
      local began = core.now()
      local err = select(2, of(client):run(resource.creation, { total_timeout = 0.3 * patience }))
      assert.equal("timeout", err.kind)
      assert.is_true(err.maybe_sent)
      assert.is_true(core.now() - began < 10 * slowdown)
      local t <close>, slow = start(resource, {
        { delay = 0.3 * patience, status = 201, body = created.body },
        running,
      })
      began = core.now()
      err = select(2, of(slow):run(resource.creation, quick { total_timeout = 0.6 * patience }))
      assert.equal(running, err.batch.status)
      assert.is_true(core.now() - began < 0.85 * patience, core.now() - began)
      assert.equal(1, s:count())
      assert.is_true(t:count() > 1)
    end)

    it("says so when there is nothing to wait for", function()
      for _, answer in ipairs {
        { status = 201, body = '{"status":"PENDING"}' },
        { body = '{"id":7}' },
        { body = '{"id":".."}' },
        { status = 204 },
      } do
        local s <close>, client = start(resource, { answer })
        local batch, err = of(client):run(resource.creation, quick())
        assert.is_nil(batch)
        assert.equal("decode", err.kind)
        assert.is_true(err.maybe_sent)
        assert.matches("^it was created, but the response has no id to wait for: ", err.message)
        assert.equal(1, s:count())
      end
    end)

    it("gives the scope to the creation and to each poll", function()
      local s <close>, client = start(resource, { created, completed })
      local params = { project_id = "prj-7" }
      for name, value in pairs(resource.creation) do
        params[name] = value
      end
      assert(of(client):run(params, quick()))
      assert.equal("project_id=prj-7", s:requests()[1].query)
      assert.equal("project_id=prj-7", s:requests()[2].query)
    end)

    it("refuses bad arguments at the caller's line, before anything is created", function()
      local s <close>, client = start(resource, { created })
      raises_here("unknown option 'backof' (did you mean 'backoff'?)", function()
        of(client):run(resource.creation, { backof = "linear" })
      end)
      raises_here("option 'backoff' must be a string, not boolean", function()
        of(client):run(resource.creation, { backoff = true })
      end)
      raises_here(("missing parameter '%s'"):format(resource.required), function()
        of(client):run { project_id = "prj-1" }
      end)
      raises_here("parameters must be a table, not string", function()
        of(client):run("dir-1")
      end)
      assert.equal(0, s:count())
    end)
  end)
end

describe("client.batches:run, asked for results,", function()
  local results = { { source_directory_file_id = "dfl-1", error_message = "no such job" } }
  local full = { body = cjson.encode(batches.subject("bat-1", "COMPLETED", { results = results })) }

  it("asks for them once, when it has ended", function()
    local s <close>, client = start(batches, {
      { body = cjson.encode(batches.subject("bat-1", "PENDING")) },
      "COMPLETED",
      full,
    })
    local batch = assert(client.batches:run(batches.creation, quick { expand = { "results" } }))
    assert.same(results, batch.results)
    assert.equal("GET /api/v2/batches/bat-1?expand=results", targets(s)[3])
    raises_here("unknown option 'expand'", function()
      client.beta.batch:run(jobs.creation, { expand = { "results" } })
    end)
    raises_here("option 'expand' must be an array, not boolean", function()
      client.batches:run(batches.creation, { expand = true })
    end)
    assert.equal(3, s:count())
  end)
end)

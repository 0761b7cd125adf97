-- wait, of batches and of batch jobs.

local cjson = require("cjson")

local core = require("llama_cloud.core")
local lists = require("spec.support.lists")
local llama_cloud = require("llama_cloud")
local loop = require("llama_cloud.loop")
local polling = require("llama_cloud.endpoint.wait")
local retry = require("llama_cloud.http.retry")
local sender = require("llama_cloud.http.request")
local server = require("spec.support.server")
local waiting = require("spec.support.waiting")

local quick, start, targets = waiting.quick, waiting.start, waiting.targets
local raises_here = waiting.raises_here
local slowdown, patience = waiting.slowdown, waiting.patience
local batches = waiting.resources[1]

describe("the time between polls", function()
  local function intervals(first, backoff, max_interval, count)
    local result = { first }
    for index = 2, count do
      result[index] = polling.next_interval(result[index - 1], backoff, max_interval)
    end
    return result
  end

  it("grows by a second, doubles, or stays", function()
    assert.same({ 1, 2, 3, 4, 5, 5, 5 }, intervals(1, "linear", 5, 7))
    assert.same({ 0.5, 1, 2, 3, 3 }, intervals(0.5, "exponential", 3, 5))
    assert.same({ 2, 2, 2 }, intervals(2, "constant", 5, 3))
  end)

  it("is held to max_interval only where it has grown", function()
    assert.same({ 9, 9, 9 }, intervals(9, "constant", 3, 3))
    assert.same({ 9, 9, 9 }, intervals(9, "linear", 3, 3))
    assert.same({ 9, 9, 9 }, intervals(9, "exponential", 3, 3))
    assert.same({ math.huge, math.huge }, intervals(math.huge, "exponential", 3, 2))
  end)

  describe("by a clock of ours", function()
    local now, slept
    local real_now, real_pause = loop.now, sender.pause

    before_each(function()
      now, slept = 1000.00037, {}
      loop.now = function()
        return now
      end
      sender.pause = function(_, seconds, deadline)
        slept[#slept + 1] = math.min(seconds, deadline - now)
        now = now + slept[#slept]
        return true
      end
    end)

    after_each(function()
      loop.now, sender.pause = real_now, real_pause
    end)

    it("is up to a tenth shorter than the interval, and not always the same", function()
      local pace = polling.new_pace { polling_interval = 2, backoff = "constant" }
      for _ = 1, 200 do
        now = now + 0.01 + math.random() / 100 -- what a request takes
        assert.is_true(pace:rest())
      end
      local least, most = math.min(table.unpack(slept)), math.max(table.unpack(slept))
      assert.is_true(least >= 1.8 and most <= 2, ("%g to %g"):format(least, most))
      assert.is_true(most - least > 0.1, ("%g to %g"):format(least, most))
    end)

    it("is 1 s at first, then 1 s more each time up to 5", function()
      local pace = polling.new_pace {}
      for index, expected in ipairs { 1, 2, 3, 4, 5, 5 } do
        assert.is_true(pace:rest())
        assert.is_true(slept[index] > expected * 0.9 - 1e-9 and slept[index] <= expected, slept[index])
      end
    end)

    it("ends with total_timeout, to the moment", function()
      local pace = polling.new_pace { polling_interval = 3, backoff = "constant", total_timeout = 10 }
      local began = now
      repeat
        local goes_on = pace:rest()
      until not goes_on
      assert.is_true(math.abs(now - began - 10) < 1e-6, now - began)
      local count = #slept
      assert.is_false(pace:rest())
      assert.equal(count, #slept)
    end)

    it("is two hours in all, unless it is said otherwise", function()
      local pace = polling.new_pace { polling_interval = 1800, backoff = "constant" }
      local began = now
      repeat
        local goes_on = pace:rest()
      until not goes_on
      assert.is_true(math.abs(now - began - 7200) < 1e-6, now - began)
    end)

    it("is as long as the service asked for with its last error", function()
      local pace = polling.new_pace { polling_interval = 1, backoff = "constant", total_timeout = 100 }
      assert.is_true(pace:rest { retry_after = 70 })
      assert.equal(70, slept[1])
      assert.is_true(pace:rest { retry_after = 0 })
      assert.is_true(slept[2] <= 1 and slept[2] >= 0.9)
      assert.is_false(pace:rest { retry_after = 70 })
      assert.is_true(slept[3] < 30)
    end)

    it("begins anew in a fork, whose deadline is the same", function()
      local pace = polling.new_pace { polling_interval = 1, backoff = "exponential", total_timeout = 10 }
      pace:rest()
      pace:rest()
      local fork = pace:fork()
      fork:rest()
      assert.is_true(slept[2] > 1.5 and slept[3] <= 1)
      pace:rest()
      assert.is_true(slept[4] > 3)
      assert.is_false(fork:rest() and fork:rest() and fork:rest())
    end)
  end)
end)

for _, resource in ipairs(waiting.resources) do
  local pending, running, completed = resource.pending, resource.running, resource.completed
  local of = resource.of

  describe("client." .. resource.name .. ":wait", function()
    it("polls at once", function()
      local s <close>, client = start(resource, { completed })
      local began = core.now()
      local batch, err = of(client):wait("bat-1", nil, { polling_interval = 60 })
      assert.is_nil(err)
      assert.same(resource.subject("bat-1", completed), batch)
      assert.is_true(core.now() - began < 20)
      assert.same({ "GET " .. resource.path .. "/bat-1" }, targets(s))
    end)

    it("polls until it has ended", function()
      local s <close>, client = start(resource, { pending, running, running, completed })
      local batch = assert(of(client):wait("bat-1", nil, quick()))
      assert.equal(completed, batch.status)
      assert.equal(4, s:count())
    end)

    it("waits between the polls", function()
      local s <close>, client = start(resource, { pending, running, running, running, completed })
      assert(of(client):wait("bat-1", {}, { polling_interval = 0.05, max_interval = 0.12, backoff = "exponential" }))
      local requests = s:requests()
      for index, expected in ipairs { 0.05, 0.1, 0.12, 0.12 } do
        local gap = requests[index + 1].time - requests[index].time
        assert.is_true(gap >= expected * 0.9 - 0.01, ("%d: %g"):format(index, gap))
        assert.is_true(gap < expected + slowdown, ("%d: %g"):format(index, gap))
      end
      assert.is_true(requests[5].time - requests[1].time > 0.33)
    end)

    it("grows linearly unless it is told otherwise", function()
      local s <close>, client = start(resource, { running, running, running, completed })
      assert(of(client):wait("bat-1", {}, { polling_interval = 0.05, max_interval = 0.2 }))
      local requests = s:requests()
      assert.is_true(requests[3].time - requests[2].time > 0.15)
      assert.is_true(requests[4].time - requests[3].time > 0.15)
    end)

    it("takes a status that it does not know for one that does not end it", function()
      local s <close>, client = start(resource, { "PAUSED", "completed_with_errors", "", completed })
      assert.equal(completed, assert(of(client):wait("bat-1", nil, quick())).status)
      assert.equal(4, s:count())
    end)

    it("returns an error for one that has failed or was cancelled", function()
      local message = { error_message = "the orchestration broke" }
      local s <close>, client = start(resource, {
        running,
        { body = cjson.encode(resource.answer("bat-1", resource.failed, message)) },
        resource.failed,
        resource.cancelled,
      })
      local batch, err = of(client):wait("bat-1", nil, quick())
      assert.is_nil(batch)
      assert.is_true(llama_cloud.is_error(err))
      assert.equal("batch_failed", err.kind)
      assert.same(resource.subject("bat-1", resource.failed, message), err.batch)
      assert.equal(resource.noun .. " bat-1 ended as " .. resource.failed .. ": the orchestration broke", err.message)
      err = select(2, of(client):wait("bat-1", nil, quick()))
      assert.equal("batch_failed", err.kind)
      assert.equal(resource.noun .. " bat-1 ended as " .. resource.failed, err.message)
      err = select(2, of(client):wait("bat-1", nil, quick()))
      assert.equal("batch_cancelled", err.kind)
      assert.equal(resource.cancelled, err.batch.status)
      assert.equal(4, s:count())
    end)

    it("goes on after errors that pass", function()
      local passing = {
        { close_before = true },
        { status = 408 },
        { status = 429, headers = { ["Retry-After"] = "0" } },
        { status = 500 },
        { status = 503, body = "down" },
        { status = 529 },
        { body = '{"id":"bat-1","sta', headers = { ["Content-Length"] = "1000" }, close = true },
      }
      local answers = { running }
      table.move(passing, 1, #passing, 2, answers)
      answers[#answers + 1] = completed
      local s <close>, client = start(resource, answers)
      local seen = {}
      local batch, err = of(client):wait(
        "bat-1",
        nil,
        quick {
          on_poll = function(one)
            seen[#seen + 1] = one.status
          end,
        }
      )
      assert.is_nil(err)
      assert.equal(completed, batch.status)
      assert.same({ running, completed }, seen)
      assert.equal(#answers, s:count())
    end)

    it("goes on after a poll that took too long", function()
      local late = { delay = 3 * patience, body = cjson.encode(resource.answer("bat-1", completed)) }
      local s <close>, client = start(resource, { late, completed })
      assert(of(client):wait("bat-1", nil, quick { timeout = 0.5 * patience }))
      assert.equal(2, s:count())
    end)

    it("ends at any other error, with the batch as last seen", function()
      for status, kind in pairs {
        [400] = "bad_request",
        [401] = "authentication",
        [403] = "permission_denied",
        [404] = "not_found",
        [409] = "conflict",
        [422] = "unprocessable_entity",
        [418] = "status",
        [304] = "status",
      } do
        local s <close>, client = start(resource, { running, { status = status } })
        local batch, err = of(client):wait("bat-1", nil, quick())
        assert.is_nil(batch)
        assert.equal(kind, err.kind)
        assert.equal(status, err.status)
        assert.equal(running, err.batch.status)
        assert.equal(2, s:count())
      end
      local s <close>, client = start(resource, { { status = 404 } })
      local err = select(2, of(client):wait("bat-1", nil, quick()))
      assert.equal("not_found", err.kind)
      assert.is_nil(err.batch)
      assert.equal(1, s:count())
    end)

    it("ends at an answer that makes no sense", function()
      for _, answer in ipairs {
        { body = "{" },
        { body = "[]" },
        { body = '{"id":"bat-1"}' },
        { body = '{"job":[]}' },
        { body = '{"job":{"id":"bat-1","status":null},"status":7}' },
        { status = 204 },
      } do
        local s <close>, client = start(resource, { answer })
        local batch, err = of(client):wait("bat-1", nil, quick())
        assert.is_nil(batch)
        assert.equal("decode", err.kind)
        assert.equal(1, s:count())
      end
    end)

    it("sends a poll again as any call, and then goes on", function()
      local s <close>, client = start(resource, { { status = 503 }, { status = 503 }, completed })
      local began = core.now()
      assert(of(client):wait("bat-1", nil, quick { max_retries = 1 }))
      assert.equal(3, s:count())
      assert.is_true(core.now() - began > 0.3) -- the pause before a retry
      local counts = {}
      for index, request in ipairs(s:requests()) do
        counts[index] = request.headers["x-stainless-retry-count"]
      end
      assert.same({ "0", "1", "0" }, counts)
    end)

    it("waits for as long as the service asks, even if no call would", function()
      local s <close>, client = start(resource, {
        { status = 503, headers = { ["Retry-After-Ms"] = "300" } },
        completed,
      }, { max_retry_after = 0.1, max_retries = 3 })
      assert(of(client):wait("bat-1", nil, quick()))
      local requests = s:requests()
      assert.equal(2, #requests)
      assert.is_true(requests[2].time - requests[1].time >= 0.29)
    end)

    it("ends with total_timeout, the batch as last seen in the error", function()
      local s <close>, client = start(resource, { pending, running })
      local began = core.now()
      local batch, err =
        of(client):wait("bat-1", nil, quick { polling_interval = 0.05, total_timeout = 0.4 * patience })
      local took = core.now() - began
      assert.is_nil(batch)
      assert.equal("timeout", err.kind)
      assert.equal(running, err.batch.status)
      local text = "%s bat-1 was still %s after %g s"
      assert.equal(text:format(resource.noun, running, 0.4 * patience), err.message)
      assert.is_nil(err.cause)
      assert.is_true(took >= 0.4 * patience - 0.01 and took < 2 * slowdown, took)
      assert.is_true(s:count() > 2)
    end)

    it("does not sleep past total_timeout", function()
      local s <close>, client = start(resource, { running })
      local began = core.now()
      local err = select(2, of(client):wait("bat-1", nil, { polling_interval = 60, total_timeout = 0.3 * patience }))
      assert.equal("timeout", err.kind)
      assert.is_true(core.now() - began < 10 * slowdown)
      assert.equal(1, s:count())
    end)

    it("cuts a poll short that total_timeout does not leave time for", function()
      local s <close>, client = start(resource, { { delay = 50, body = "{}" } })
      local began = core.now()
      local err = select(2, of(client):wait("bat-1", nil, { total_timeout = 0.3 * patience }))
      assert.equal("timeout", err.kind)
      assert.is_nil(err.batch)
      assert.equal("timeout", err.cause.kind)
      assert.matches(
        "^" .. resource.noun .. " bat%-1 could not be seen within [%d.]+ s; the last error was: ",
        err.message
      )
      assert.is_true(core.now() - began < 10 * slowdown)
      assert.equal(1, s:count())
    end)

    it("does not take the end of the wait for what went wrong", function()
      local hangs = { delay = 50, body = "{}" }
      local given = quick { total_timeout = 0.4 * patience }
      local s <close>, client = start(resource, { running, hangs })
      local err = select(2, of(client):wait("bat-1", nil, given))
      assert.equal("timeout", err.kind)
      assert.equal(running, err.batch.status)
      assert.is_nil(err.cause)
      local t <close>, other = start(resource, { { status = 500 }, hangs })
      err = select(2, of(other):wait("bat-1", nil, given))
      assert.equal("internal_server", err.cause.kind)
      assert.equal(2, s:count())
      assert.equal(2, t:count())
    end)

    it("says in a timeout what went wrong last", function()
      local s <close>, client = start(resource, { running, { status = 503, body = '{"detail":"moving house"}' } })
      local err = select(2, of(client):wait("bat-1", nil, quick { total_timeout = 0.3 * patience }))
      assert.equal("timeout", err.kind)
      assert.equal(running, err.batch.status)
      assert.equal("internal_server", err.cause.kind)
      assert.matches("the last error was: 503: moving house", err.message, 1, true)
      assert.is_true(s:count() > 1)
    end)

    it("names what went wrong itself, not that a poll with its retries ran out of time", function()
      local s <close>, client = start(resource, { { status = 503, body = '{"detail":"moving house"}' } })
      -- By a clock that goes on where a wait pauses, so that no machine is too slow: the pause before a retry does not fit in.
      local real_now, real_pause, real_backoff = loop.now, sender.pause, retry.backoff
      local ahead = 0
      loop.now = function()
        return real_now() + ahead
      end
      sender.pause = function(_, seconds, deadline)
        ahead = ahead + math.min(seconds, deadline - loop.now())
        return true
      end
      retry.backoff = function()
        return 1000
      end
      finally(function()
        loop.now, sender.pause, retry.backoff = real_now, real_pause, real_backoff
      end)
      local err = select(2, of(client):wait("bat-1", nil, { total_timeout = 20 * patience, max_retries = 5 }))
      assert.equal("timeout", err.cause.kind)
      assert.equal("internal_server", err.cause.cause.kind)
      assert.matches(" s; the last error was: 503: moving house$", err.message)
      assert.is_nil(err.message:find("total_timeout", 1, true))
      assert.is_true(s:count() > 0)
    end)

    it("forgets an error after which it has seen the batch again", function()
      local s <close>, client = start(resource, { { status = 503 }, running })
      local err = select(2, of(client):wait("bat-1", nil, quick { total_timeout = 0.3 * patience }))
      assert.is_nil(err.cause)
      assert.is_true(s:count() > 2)
    end)

    it("calls on_poll with each answer", function()
      local s <close>, client = start(resource, { pending, { status = 500 }, running, running, completed })
      local seen = {}
      local batch = assert(of(client):wait(
        "bat-1",
        nil,
        quick {
          on_poll = function(one, ...)
            assert.equal(0, select("#", ...))
            seen[#seen + 1] = one
          end,
        }
      ))
      assert.equal(4, #seen)
      assert.equal(pending, seen[1].status)
      assert.equal("bat-1", seen[1].id)
      assert.equal(batch, seen[4])
      assert.equal(5, s:count())
    end)

    it("ends when on_poll raises, with what it raised", function()
      local s <close>, client = start(resource, { running })
      local reason = { "enough" }
      local count = 0
      local ok, err = pcall(function()
        of(client):wait(
          "bat-1",
          nil,
          quick {
            on_poll = function()
              count = count + 1
              if count == 2 then
                error(reason)
              end
            end,
          }
        )
      end)
      assert.is_false(ok)
      assert.equal(reason, err)
      assert.equal(2, s:count())
    end)

    it("gives each poll the call's scope, headers and query", function()
      local s <close>, client = start(resource, { running, completed }, { organization_id = "org-1" })
      local given = quick { headers = { ["X-Mine"] = "yes" }, query = { extra = "1" } }
      assert(of(client):wait("bat-1", { project_id = "prj-2" }, given))
      assert.equal(2, s:count())
      for _, request in ipairs(s:requests()) do
        assert.equal("organization_id=org-1&project_id=prj-2&extra=1", request.query)
        assert.equal("yes", request.headers["x-mine"])
      end
    end)

    it("takes null for an option that is not given", function()
      local null = llama_cloud.null
      local s <close>, client = start(resource, { completed })
      assert(of(client):wait("bat-1", nil, { polling_interval = null, backoff = null, on_poll = null, body = null }))
      assert.equal(1, s:count())
    end)

    it("refuses bad options at the caller's line, before any request", function()
      local s <close>, client = start(resource, { completed })
      for message, given in pairs {
        ["unknown option 'poling_interval' (did you mean 'polling_interval'?)"] = { poling_interval = 1 },
        ["unknown option 'on_pol' (did you mean 'on_poll'?)"] = { on_pol = print },
        ["unknown option 'reconcile'"] = { reconcile = true },
        ["option 'polling_interval' must be a number of seconds greater than 0 (math.huge for no limit), not 0"] = {
          polling_interval = 0,
        },
        ["option 'max_interval' must be a number of seconds greater than 0 (math.huge for no limit), not -1"] = {
          max_interval = -1,
        },
        ["option 'total_timeout' must be a number of seconds greater than 0 (math.huge for no limit), not string"] = {
          total_timeout = "1",
        },
        ["option 'on_poll' must be a function, not boolean"] = { on_poll = true },
        ["option 'backoff' must be a string, not number"] = { backoff = 2 },
        ['option \'backoff\' must be "linear", "constant" or "exponential", not \'quadratic\''] = {
          backoff = "quadratic",
        },
        ["waiting has no body"] = { body = {} },
        ["options must be a table, not string"] = "quickly",
      } do
        raises_here(message, function()
          of(client):wait("bat-1", nil, given)
        end)
        raises_here(message, function()
          of(client):watch("bat-1", nil, given)
        end)
        raises_here(message, function()
          of(client):wait_all({ "bat-1" }, nil, given)
        end)
      end
      assert.equal(0, s:count())
    end)

    it("refuses bad ids and params likewise", function()
      local s <close>, client = start(resource, { completed })
      local id = resource == batches and "batch_id" or "job_id"
      for message, arguments in pairs {
        [id .. " must be a string, not nil (a call that fails returns nil and an error: put assert() around it)"] = {
          nil,
        },
        [id .. " must be a string, not table"] = { {} },
        [id .. " must not be empty"] = { "" },
        [id .. " must not be '..'"] = { ".." },
        ["unknown parameter 'projectid' (did you mean 'project_id'?)"] = { "bat-1", { projectid = "prj-1" } },
        ["parameter 'project_id' must be a string, not number"] = { "bat-1", { project_id = 1 } },
        ["parameters must be a table, not string"] = { "bat-1", "results" },
      } do
        raises_here(message, function()
          of(client):wait(table.unpack(arguments, 1, 2))
        end)
        raises_here(message, function()
          of(client):watch(table.unpack(arguments, 1, 2))
        end)
      end
      raises_here("too many arguments for " .. resource.name .. ":wait", function()
        of(client):wait("bat-1", nil, nil, 1)
      end)
      assert.equal(0, s:count())
    end)

    it("ends with its client", function()
      local s <close>, client = start(resource, { running })
      local batch, err = of(client):wait(
        "bat-1",
        nil,
        quick {
          on_poll = function()
            client:close()
          end,
        }
      )
      assert.is_nil(batch)
      assert.equal("cancelled", err.kind)
      assert.equal(running, err.batch.status)
      assert.equal(1, s:count())
      raises_here("attempt to use a closed client: make another with llama_cloud.new", function()
        of(client):wait("bat-1")
      end)
    end)
  end)
end

describe("client.batches:wait, asked for results,", function()
  local results = { { source_directory_file_id = "dfl-1", error_message = "no such job" } }
  local full = { body = cjson.encode(batches.subject("bat-1", "COMPLETED", { results = results })) }
  local expand = { expand = { "results" } }

  it("asks for them once, when it has ended", function()
    local s <close>, client = start(batches, { "PENDING", "RUNNING", "COMPLETED", full })
    local seen = {}
    local batch = assert(client.batches:wait(
      "bat-1",
      { expand = { "results" }, project_id = "prj-1" },
      quick {
        on_poll = function(one)
          seen[#seen + 1] = one.status
        end,
      }
    ))
    assert.same(results, batch.results)
    assert.same({ "PENDING", "RUNNING", "COMPLETED" }, seen)
    local get = "GET /api/v2/batches/bat-1"
    assert.same({
      get .. "?project_id=prj-1",
      get .. "?project_id=prj-1",
      get .. "?project_id=prj-1",
      get .. "?expand=results&project_id=prj-1",
    }, targets(s))
  end)

  it("asks only once where nothing is to be expanded", function()
    local s <close>, client = start(batches, { "COMPLETED" })
    assert(client.batches:wait("bat-1", { expand = {} }))
    assert(client.batches:wait("bat-1", { expand = llama_cloud.null }))
    assert.equal(2, s:count())
  end)

  it("has them in the error too", function()
    local failed = { body = cjson.encode(batches.subject("bat-1", "FAILED", { results = results })) }
    local s <close>, client = start(batches, { "FAILED", failed })
    local err = select(2, client.batches:wait("bat-1", expand, quick()))
    assert.equal("batch_failed", err.kind)
    assert.same(results, err.batch.results)
    assert.equal(2, s:count())
  end)

  it("goes on after errors that pass", function()
    local s <close>, client = start(batches, { "COMPLETED", { status = 500 }, { close_before = true }, full })
    assert.same(results, assert(client.batches:wait("bat-1", expand, quick())).results)
    assert.equal(4, s:count())
  end)

  it("ends at other errors, with the batch that has ended", function()
    local s <close>, client = start(batches, { "COMPLETED", { status = 404 } })
    local batch, err = client.batches:wait("bat-1", expand, quick())
    assert.is_nil(batch)
    assert.equal("not_found", err.kind)
    assert.equal("COMPLETED", err.batch.status)
    assert.equal(2, s:count())
  end)

  it("ends with total_timeout, and says how far it came", function()
    local s <close>, client = start(batches, { "COMPLETED", { status = 500, body = '{"detail":"no disk"}' } })
    local err = select(2, client.batches:wait("bat-1", expand, quick { total_timeout = 0.5 }))
    assert.equal("timeout", err.kind)
    assert.equal("COMPLETED", err.batch.status)
    assert.equal(
      "batch bat-1 ended as COMPLETED, but could not be fetched in full within 0.5 s; "
        .. "the last error was: 500: no disk (the service is at fault: try again later)",
      err.message
    )
    assert.is_true(s:count() > 2)
  end)

  it("decodes only the fields that are wanted, and those that it needs", function()
    local s <close>, client = start(batches, { "COMPLETED", full })
    local given = quick { fields = { "results" } }
    local batch = assert(client.batches:wait("bat-1", expand, given))
    local created_at = "2026-01-01T00:00:00.000Z"
    assert.same({ id = "bat-1", status = "COMPLETED", created_at = created_at, results = results }, batch)
    assert.same({ "results" }, given.fields)
    raises_here("unknown option 'fields'", function()
      client.beta.batch:wait("bjb-1", nil, { fields = { "id" } })
    end)
    assert.equal(2, s:count())
  end)

  it("refuses what cannot be expanded", function()
    local s <close>, client = start(batches, { "COMPLETED" })
    raises_here("parameter 'expand' must be an array, not boolean", function()
      client.batches:wait("bat-1", { expand = true })
    end)
    raises_here("unknown parameter 'expand': there are organization_id, project_id", function()
      client.beta.batch:wait("bjb-1", expand)
    end)
    assert.equal(0, s:count())
  end)
end)

it("waiting ends when the client is closed, also between two polls", function()
  local s <close>, client = start(waiting.resources[1], { "RUNNING" })
  llama_cloud.run(function()
    local task = llama_cloud.spawn(function()
      return client.batches:wait("bat-1", nil, { polling_interval = 60 })
    end)
    while s:count() < 1 do
      llama_cloud.sleep(0.01)
    end
    llama_cloud.sleep(0.1)
    client:close()
    local batch, err = task:result()
    assert.is_nil(batch)
    assert.equal("cancelled", err.kind)
    assert.equal("RUNNING", err.batch.status)
  end)
end)

it("waiting goes on where the batch in full is behind what was seen of it", function()
  local resource = waiting.resources[1]
  local s <close>, client = start(resource, { "COMPLETED", "RUNNING", "COMPLETED" })
  local batch = assert(client.batches:wait("bat-1", { expand = { "results" } }, quick()))
  assert.equal("COMPLETED", batch.status)
  assert.equal(3, s:count())
end)

it("waiting for many at once takes as long as for one", function()
  local s <close> = server.start([[
    local seen = {}
    return function(connection, request)
      local id = request.path:match("[^/]*$")
      seen[id] = (seen[id] or 0) + 1
      connection:json(200, ('{"id":"%s","status":"%s"}'):format(id, seen[id] < 4 and "RUNNING" or "COMPLETED"))
    end
  ]])
  local client = lists.client(s)
  local began, ended = core.now(), 0
  llama_cloud.run(function()
    for index = 1, 20 do
      llama_cloud.spawn(function()
        local id = "bat-" .. index
        assert.equal(id, assert(client.batches:wait(id, nil, quick { polling_interval = 0.2 })).id)
        ended = ended + 1
      end)
    end
  end)
  assert.equal(20, ended)
  assert.equal(80, s:count())
  local took = core.now() - began
  assert.is_true(took > 0.5 and took < 3 * slowdown, took)
end)

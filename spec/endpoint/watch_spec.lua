-- watch, of batches and of batch jobs.

local cjson = require("cjson")

local core = require("llama_cloud.core")
local llama_cloud = require("llama_cloud")
local waiting = require("spec.support.waiting")

local quick, start, targets = waiting.quick, waiting.start, waiting.targets
local slowdown, patience = waiting.slowdown, waiting.patience
local batches = waiting.resources[1]

-- The statuses that a watch delivers, as one text, and what it raises.
local function statuses(watch)
  local seen = {}
  local ok, err = pcall(function()
    for one in watch do
      seen[#seen + 1] = one.status
    end
  end)
  return table.concat(seen, " "), not ok and err or nil
end

for _, resource in ipairs(waiting.resources) do
  local pending, running, completed = resource.pending, resource.running, resource.completed
  local of = resource.of

  describe("client." .. resource.name .. ":watch", function()
    it("delivers each change of the status once, the terminal one last", function()
      local s <close>, client = start(resource, { pending, pending, running, running, "THROTTLED", running, completed })
      local seen, err = statuses(of(client):watch("bat-1", nil, quick()))
      assert.is_nil(err)
      assert.equal(("%s %s THROTTLED %s %s"):format(pending, running, running, completed), seen)
      assert.equal(7, s:count())
    end)

    it("delivers the batch itself, as the service shows it", function()
      local s <close>, client = start(resource, { running, completed })
      local seen = {}
      for one, more in of(client):watch("bat-1", nil, quick()) do
        assert.is_nil(more)
        seen[#seen + 1] = one
      end
      assert.same({ resource.subject("bat-1", running), resource.subject("bat-1", completed) }, seen)
      assert.equal(2, s:count())
    end)

    it("delivers a terminal status whatever it is", function()
      for _, status in ipairs { completed, resource.failed, resource.cancelled } do
        local s <close>, client = start(resource, { running, status })
        local seen, err = statuses(of(client):watch("bat-1", nil, quick()))
        assert.is_nil(err)
        assert.equal(running .. " " .. status, seen)
        assert.equal(2, s:count())
      end
    end)

    it("delivers one that has ended already, at once", function()
      local s <close>, client = start(resource, { resource.failed })
      local began = core.now()
      assert.equal(resource.failed, (statuses(of(client):watch("bat-1", nil, { polling_interval = 60 }))))
      assert.is_true(core.now() - began < 20)
      assert.equal(1, s:count())
    end)

    it("sends nothing before it is asked", function()
      local s <close>, client = start(resource, { running, completed })
      local watch = of(client):watch("bat-1", nil, quick())
      llama_cloud.sleep(0.05)
      assert.equal(0, s:count())
      assert.equal(running, watch().status)
      llama_cloud.sleep(0.05)
      assert.equal(1, s:count())
      assert.equal(completed, watch().status)
      assert.is_nil(watch())
      assert.is_nil(watch())
      assert.equal(2, s:count())
    end)

    it("ends with break", function()
      local s <close>, client = start(resource, { running, completed })
      local watch = of(client):watch("bat-1", nil, quick())
      for one in watch do
        if one.status == running then
          break
        end
      end
      local kept <const>, _, _, closing = of(client):watch("bat-1", nil, quick())
      assert.equal(kept, closing)
      do
        local closed <close> = closing
        assert.is_table(closed)
      end
      assert.is_nil(kept())
      llama_cloud.sleep(0.05)
      assert.equal(1, s:count())
    end)

    it("ends where another coroutine closes it", function()
      local s <close>, client = start(resource, { running })
      local watch = of(client):watch("bat-1", nil, quick())
      local seen
      llama_cloud.run(function()
        llama_cloud.spawn(function()
          seen = statuses(watch)
        end)
        llama_cloud.spawn(function()
          llama_cloud.sleep(0.1)
          local closing <close> = watch -- luacheck: ignore closing
        end)
      end)
      assert.equal(running, seen)
      assert.is_true(s:count() >= 1)
    end)

    it("goes on after errors that pass", function()
      local s <close>, client =
        start(resource, { pending, { status = 500 }, { close_before = true }, pending, completed })
      local seen, err = statuses(of(client):watch("bat-1", nil, quick()))
      assert.is_nil(err)
      assert.equal(pending .. " " .. completed, seen)
      assert.equal(5, s:count())
    end)

    it("raises other errors, with the batch as last seen, and has ended then", function()
      local s <close>, client = start(resource, { running, { status = 404 } })
      local watch = of(client):watch("bat-1", nil, quick())
      local seen, err = statuses(watch)
      assert.equal(running, seen)
      assert.is_true(llama_cloud.is_error(err))
      assert.equal("not_found", err.kind)
      assert.equal(running, err.batch.status)
      assert.is_nil(watch())
      assert.equal(2, s:count())
    end)

    it("raises when total_timeout has passed", function()
      local s <close>, client = start(resource, { running, running, { status = 500 } })
      local began = core.now()
      local watch = of(client):watch("bat-1", nil, quick { total_timeout = 0.4 * patience })
      local seen, err = statuses(watch)
      assert.equal(running, seen)
      assert.equal("timeout", err.kind)
      assert.equal(running, err.batch.status)
      assert.equal("internal_server", err.cause.kind)
      assert.matches(("^%s bat%%-1 was still %s after "):format(resource.noun, running), err.message)
      assert.is_true(core.now() - began < 10 * slowdown)
      assert.is_nil(watch())
      assert.is_true(s:count() > 2)
    end)

    it("calls on_poll with each answer, and raises what that raises", function()
      local s <close>, client = start(resource, { pending, pending, running, completed })
      local polled = {}
      local watch = of(client):watch(
        "bat-1",
        nil,
        quick {
          on_poll = function(one)
            polled[#polled + 1] = one.status
            if one.status == completed then
              error("seen enough", 0)
            end
          end,
        }
      )
      local seen, err = statuses(watch)
      assert.equal(pending .. " " .. running, seen)
      assert.equal("seen enough", err)
      assert.same({ pending, pending, running, completed }, polled)
      assert.equal(4, s:count())
    end)
  end)
end

describe("client.batches:watch, asked for results,", function()
  local results = { { source_directory_file_id = "dfl-1", error_message = "no such job" } }

  it("delivers them with the terminal batch, whatever its status", function()
    for _, status in ipairs { "COMPLETED", "FAILED", "CANCELLED" } do
      local full = { body = cjson.encode(batches.subject("bat-1", status, { results = results })) }
      local s <close>, client = start(batches, { "RUNNING", status, full })
      local seen = {}
      for batch in client.batches:watch("bat-1", { expand = { "results" } }, quick()) do
        seen[#seen + 1] = batch
      end
      assert.equal(2, #seen)
      assert.is_nil(seen[1].results)
      assert.same(results, seen[2].results)
      assert.equal(status, seen[2].status)
      assert.equal("GET /api/v2/batches/bat-1?expand=results", targets(s)[3])
      assert.equal(3, s:count())
    end
  end)

  it("delivers the status that comes with them, if it is another", function()
    for _, ends in ipairs { { "COMPLETED", "FAILED" }, { "FAILED", "CANCELLED" }, { "CANCELLED", "COMPLETED" } } do
      local s <close>, client = start(batches, ends)
      local seen, err = statuses(client.batches:watch("bat-1", { expand = { "results" } }, quick()))
      assert.is_nil(err)
      assert.equal(ends[2], seen)
      assert.equal(2, s:count())
    end
  end)

  it("raises when they cannot be had", function()
    local s <close>, client = start(batches, { "FAILED", { status = 403 } })
    local seen, err = statuses(client.batches:watch("bat-1", { expand = { "results" } }, quick()))
    assert.equal("", seen)
    assert.equal("permission_denied", err.kind)
    assert.equal("FAILED", err.batch.status)
    assert.equal(2, s:count())
  end)
end)

-- What is under way when a process forks is the parent's: in the child it ends as cancelled, and sends nothing, wherever it
-- was: between two attempts, between two polls, or between two looks at many.

local core = require("llama_cloud.core")
local llama_cloud = require("llama_cloud")
local process = require("spec.support.process")
local support = require("spec.support.client")

-- Answers 503 to the first request for /retried, RUNNING twice, then COMPLETED, to each batch, also in the list, which shows
-- some of them, and all else.
local SERVICE = [[
  local seen = {}
  return function(c, r)
    seen[r.path] = (seen[r.path] or 0) + 1
    local n = seen[r.path]
    if r.path == "/retried" and n == 1 then
      c:json(503, "{}", { ["Retry-After"] = "0.3" })
    elseif r.path == "/api/v2/batches" then
      local items = {}
      for index = 1, 3 do
        local item = '{"id":"listed-%d","status":"%s","created_at":"2026-01-01T00:00:00Z"}'
        items[index] = item:format(index, n < 3 and "RUNNING" or "COMPLETED")
      end
      c:json(200, '{"items":[' .. table.concat(items, ",") .. "]}")
    else
      local id = r.path:match("[^/]*$")
      c:json(200, ('{"id":"%s","status":"%s"}'):format(id, n < 3 and "RUNNING" or "COMPLETED"))
    end
  end
]]

describe("after a fork", function()
  it("what the parent was doing ends in the child, and goes on in the parent", function()
    if os.getenv("LLAMA_CLOUD_TEST_HOST") then
      return pending("the event loop's own state would be shared")
    end
    local fork = process.fork()
    local s <close>, client = support.start(SERVICE, { max_retries = 3 })
    local pace = { polling_interval = 0.3, backoff = "constant" }

    -- The work of the parent: each returns nil and an error when it is cut off.
    local works = {
      retried = function()
        return client:get("/retried")
      end,
      waits = function()
        return client.batches:wait("waits", nil, pace)
      end,
      watched = function()
        local ok, err = pcall(function()
          for _ in client.batches:watch("watched", nil, pace) do -- luacheck: ignore
          end
        end)
        return ok or nil, err
      end,
      many = function()
        local ids, failure, value = { "many-1", "many-2" }, nil, nil
        for index = 1, 3 do -- these are seen in lists only
          local created = "2026-01-01T00:00:00Z"
          ids[index + 2] = { id = "listed-" .. index, status = "RUNNING", created_at = created }
        end
        for _, batch, err in client.batches:wait_all(ids, nil, pace) do
          failure, value = failure or err, value or batch
        end
        return value, failure
      end,
    }

    local ended, status
    llama_cloud.run(function()
      local tasks = {}
      for name, work in pairs(works) do
        tasks[name] = llama_cloud.spawn(work)
      end
      local limit = core.now() + support.scaled(10)
      while s:count() < 6 and core.now() < limit do
        llama_cloud.sleep(0.01)
      end
      llama_cloud.sleep(0.1) -- all are between two requests now
      local before = s:count()
      local pid = fork.fork()
      if pid == 0 then
        local ok, why = pcall(function()
          for name, task in pairs(tasks) do
            local value, err = task:result()
            assert(value == nil and err.kind == "cancelled", ("%s: %s"):format(name, err))
            assert(err.message:find("forked", 1, true), name)
          end
          assert(s:count() == before)
          assert(client:get("/child"))
        end)
        if not ok then
          io.stderr:write("in the child: ", tostring(why), "\n")
        end
        fork.exit(ok and 0 or 1)
      end
      status = select(2, pcall(fork.wait, pid))
      for name, task in pairs(tasks) do
        assert(task:result(), name)
      end
      ended = core.now()
    end)
    assert.equal(0, status)
    assert.is_number(ended)
    local seen = {}
    for _, request in ipairs(s:requests()) do
      seen[request.path] = (seen[request.path] or 0) + 1
    end
    assert.equal(1, seen["/child"])
    assert.equal(2, seen["/retried"])
    assert.equal(3, seen["/api/v2/batches/waits"])
  end)
end)

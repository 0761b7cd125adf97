-- What waiting tells the log, so that nobody has to wonder: polls that fail, statuses that nobody knows, ids of what was
-- created.

local cjson = require("cjson")

local errors = require("llama_cloud.base.errors")
local llama_cloud = require("llama_cloud")
local waiting = require("spec.support.waiting")

local quick, start = waiting.quick, waiting.start
local patience = waiting.patience

-- A log that keeps what it is told: "level: message" in order, and the fields by the message.
local function log()
  local told, fields = {}, {}
  return function(level, message, more)
    told[#told + 1] = level .. ": " .. message
    fields[message] = more
  end,
    told,
    fields
end

-- Those that match a pattern.
local function matching(told, pattern)
  local found = {}
  for _, line in ipairs(told) do
    if line:find(pattern) then
      found[#found + 1] = line
    end
  end
  return found
end

for _, resource in ipairs(waiting.resources) do
  local of, noun = resource.of, resource.noun
  local failing = { status = 503, body = '{"detail":"busy"}' }
  local created = { status = 201, body = cjson.encode(resource.subject("bat-1", resource.pending)) }

  local waits = {
    wait = function(client, given)
      return of(client):wait("bat-1", nil, given)
    end,
    watch = function(client, given)
      return pcall(function()
        for _ in of(client):watch("bat-1", nil, given) do
        end
      end)
    end,
    wait_all = function(client, given)
      local _, batch, err = of(client):wait_all({ "bat-1" }, nil, given)()
      return batch, err
    end,
  }

  for name, wait in pairs(waits) do
    describe(("client.%s:%s"):format(resource.name, name), function()
      it("tells of each failed poll that is followed by another", function()
        local write, told, fields = log()
        local s <close>, client = start(
          resource,
          { failing, resource.running, failing, failing, resource.completed },
          { log = write }
        )
        assert(wait(client, quick()))
        local lines = matching(told, "^warn: poll of ")
        assert.equal(3, #lines)
        for _, line in ipairs(lines) do
          assert.matches(("^warn: poll of %s bat%%-1 failed, again in .*: 503: busy"):format(noun), line)
          local its = fields[line:sub(7)]
          assert.equal("bat-1", its.id)
          assert.equal(503, its.status)
          assert.equal("internal_server", its.kind)
        end
        assert.equal(5, s:count())
      end)

      it("says nothing of a poll that ends the wait, nor of one after which there is no time", function()
        local write, told = log()
        local s <close>, client = start(resource, { { status = 403 } }, { log = write })
        wait(client, quick())
        local t <close>, other = start(resource, { failing }, { log = write })
        wait(other, quick { polling_interval = 50, total_timeout = 0.2 * patience })
        assert.equal(name == "wait_all" and 1 or 0, #matching(told, "^warn: poll")) -- rounds are not those of one batch
        assert.equal(2, s:count() + t:count())
      end)

      it("tells of an unknown status once", function()
        local write, told = log()
        local s <close>, client = start(
          resource,
          { "HALTED", "HALTED", resource.running, "HALTED", "ODD", "ODD", resource.completed },
          { log = write }
        )
        assert(wait(client, quick()))
        assert.same({
          ("warn: %s bat-1 has the status 'HALTED', which this version does not know: the wait goes on"):format(noun),
          ("warn: %s bat-1 has the status 'ODD', which this version does not know: the wait goes on"):format(noun),
        }, matching(told, "does not know"))
        assert.equal(7, s:count())
      end)

      it("says nothing of statuses that are known", function()
        local known = resource.name == "batches" and { "PENDING", "THROTTLED", "RUNNING", "COMPLETED" }
          or { "pending", "running", "dispatched", "completed" }
        local write, told = log()
        local s <close>, client = start(resource, known, { log = write })
        assert(wait(client, quick()))
        assert.same({}, matching(told, "^warn"))
        assert.equal(4, s:count())
      end)
    end)
  end

  describe(("client.%s"):format(resource.name), function()
    it(":create and :run tell the id of what was created, at once", function()
      local write, told, fields = log()
      local s <close>, client = start(resource, { created, created, resource.completed }, { log = write })
      assert(of(client):create(resource.creation))
      local message = ("POST %s created bat-1"):format(resource.path)
      assert.same({ "info: " .. message }, matching(told, " created "))
      assert.same({ id = "bat-1" }, fields[message])
      assert(of(client):run(
        resource.creation,
        quick {
          on_poll = function()
            assert.equal(2, #matching(told, " created "))
          end,
        }
      ))
      assert.same({}, matching(told, "interrupted"))
      assert.equal(3, s:count())
    end)

    it(":run tells the id when an error of on_poll interrupts it", function()
      local write, told, fields = log()
      local s <close>, client = start(resource, { created, resource.running }, { log = write })
      local ok, err = pcall(function()
        of(client):run(
          resource.creation,
          quick {
            on_poll = function()
              error("enough", 0)
            end,
          }
        )
      end)
      assert.is_false(ok)
      assert.equal("enough", err)
      local message = ("run was interrupted, but %s bat-1 goes on: wait for it by its id"):format(noun)
      assert.same({ "warn: " .. message }, matching(told, "interrupted"))
      assert.same({ id = "bat-1" }, fields[message])
      assert.equal(2, s:count())
    end)

    it(":run puts the batch into an error object that on_poll raises, and leaves one that is there", function()
      for _, given in ipairs { {}, { batch = { id = "other" } } } do
        local s <close>, client = start(resource, { created, resource.running })
        local mine = errors.new { kind = "decode", message = "enough", batch = given.batch }
        local ok, err = pcall(function()
          of(client):run(
            resource.creation,
            quick {
              on_poll = function()
                error(mine, 0)
              end,
            }
          )
        end)
        assert.is_false(ok)
        assert.equal(mine, err)
        assert.equal(given.batch and "other" or "bat-1", err.batch.id)
        assert.equal(2, s:count())
      end
    end)

    it(":run tells the id when its task is cancelled, and the task's error has the batch", function()
      local write, told = log()
      local s <close>, client = start(resource, { created, resource.running }, { log = write })
      llama_cloud.run(function()
        local task = llama_cloud.spawn(function()
          return of(client):run(resource.creation, quick())
        end)
        while s:count() < 2 do
          llama_cloud.sleep(0.01)
        end
        task:cancel()
        local result, err = task:result()
        assert.is_nil(result)
        assert.equal("cancelled", err.kind)
        assert.equal("bat-1", err.batch.id)
      end)
      assert.equal(1, #matching(told, "^warn: run was interrupted"))
    end)

    it(":run tells the id when it is interrupted by a hook, as lua.c does it at Ctrl-C", function()
      local write, told = log()
      local s <close>, client = start(resource, { created, resource.running }, { log = write })
      local ok, err = pcall(function()
        of(client):run(
          resource.creation,
          quick {
            on_poll = function()
              debug.sethook(function()
                debug.sethook()
                error("interrupted!", 0)
              end, "", 50)
            end,
          }
        )
      end)
      debug.sethook()
      assert.is_false(ok)
      assert.equal("interrupted!", err)
      assert.equal(1, #matching(told, "^warn: run was interrupted"))
      assert.is_true(s:count() >= 2)
    end)

    it(":run has the batch in its error when the client is closed", function()
      local s <close>, client = start(resource, { created, resource.running })
      local _, err = of(client):run(
        resource.creation,
        quick {
          on_poll = function()
            client:close()
          end,
        }
      )
      assert.equal("cancelled", err.kind)
      assert.equal("bat-1", err.batch.id)
      assert.equal(2, s:count())
    end)

    it(":run lets out what has interrupted it, even if the log raises, too", function()
      local s <close>, client = start(resource, { created, resource.running }, {
        log = function(_, message)
          if message:find("interrupted", 1, true) then
            error("the log has failed", 0)
          end
        end,
      })
      local ok, err = pcall(function()
        of(client):run(
          resource.creation,
          quick {
            on_poll = function()
              error("enough", 0)
            end,
          }
        )
      end)
      assert.is_false(ok)
      assert.equal("enough", err)
      assert.equal(2, s:count())
    end)

    it(":wait_all tells of a list that fails", function()
      local items = waiting.items(5)
      local write, told = log()
      local s <close>, plain = waiting.service(resource, items, { lists = { 503, 422 } })
      local client = plain:with_options { log = write }
      local count = 0
      for _ in of(client):wait_all(waiting.created(resource, items), nil, quick()) do
        count = count + 1
      end
      assert.equal(5, count)
      local lines = matching(told, "^warn: list of the ")
      assert.equal(2, #lines)
      assert.matches(
        ("^warn: list of the %s that are waited for failed, again in the next round: 503"):format(
          noun:gsub("batch$", "batches"):gsub("job$", "jobs")
        ),
        lines[1]
      )
      assert.matches("failed, each is fetched by itself: 422", lines[2])
      assert.is_true(s:count() > 5)
    end)
  end)
end

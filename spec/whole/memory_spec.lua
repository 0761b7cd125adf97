-- How much memory a program needs that goes through a long list.

local process = require("spec.support.process")
local sandbox = require("spec.support.sandbox")

local BATCHES = 100000
local JOBS = 20000
local MOST = 2048 -- KiB more than a program that has sent one request
local TASKS = 100000
local MOST_FOR_TASKS = 250e6 / 1024 -- KiB, of so many tasks in one group

-- Prints the peak of the resident memory, in KiB, when one request was sent, and again after what `%s` does. The first
-- one makes libcurl and OpenSSL resident, which is up to 3 MiB of code, and more with each version.
local PROGRAM = [[
local function peak()
  for line in io.lines("/proc/self/status") do
    local kib = line:match("^VmHWM:%%s*(%%d+)")
    if kib then return kib end
  end
end
local llama_cloud = require("llama_cloud")
local url = ...
local client = llama_cloud.new { api_key = "llx-1", base_url = url, proxy = "" }
client.batches:get("bat-none")
print(peak())
local count = 0
%s
print(peak())
print(count)
]]

describe("the memory of a program", function()
  local s

  if process.instrumented then
    pending("is not what it is otherwise under a sanitizer or valgrind")
    return
  end

  setup(function()
    s = sandbox.start { batches = BATCHES, jobs = JOBS }
  end)

  teardown(function()
    s:stop()
  end)

  -- Runs the chunk and returns how much its peak exceeds the idle program's, and how many things it counted.
  local function growth(chunk)
    local output, well = process.run(PROGRAM:format(chunk), { args = { s:url() } })
    assert.is_true(well, output)
    local idle, busy, count = output:match("^(%d+)\n(%d+)\n(%d+)\n$")
    assert.is_truthy(idle, output)
    print(("%d: %d KiB more than the %d KiB before"):format(count, busy - idle, idle))
    return busy - idle, tonumber(count)
  end

  it("hardly grows with a list of 100,000 batches", function()
    local kib, count = growth([[
      for batch in client.batches:list { page_size = 100 } do
        count = count + (batch.id and 1 or 0)
      end]])
    assert.equal(BATCHES, count)
    assert.is_true(kib <= MOST)
  end)

  it("hardly grows with 100 lists that are broken off", function()
    local kib, count = growth([[
      for _ = 1, 100 do
        for batch in client.batches:list { page_size = 100 } do
          count = count + (batch.id and 1 or 0)
          break
        end
      end]])
    assert.equal(100, count)
    assert.is_true(kib <= MOST)
  end)

  it("hardly grows outside of Lua with ever new lists of fields, where the collector does not come by", function()
    local kib, in_lua = growth([[
      local members = {}
      for i = 1, 60 do
        members[i] = ('"member%d":{"n":%d}'):format(i, i)
      end
      local text = "{" .. table.concat(members, ",") .. "}"
      collectgarbage("stop")
      for i = 1, 2000 do
        assert(llama_cloud.json.decode(text, { fields = { "member1", tostring(i) } }))
      end
      count = collectgarbage("count") // 1 | 0]])
    assert.is_true(kib <= MOST + in_lua)
  end)

  it("hardly grows with a list of 20,000 batch jobs", function()
    local kib, count = growth([[
      for job in client.beta.batch:list { limit = 100 } do
        count = count + (job.id and 1 or 0)
      end]])
    assert.equal(JOBS, count)
    assert.is_true(kib <= MOST)
  end)

  it("is no more than 2.5 kB for each of 100,000 tasks that sleep in one group", function()
    local kib, count = growth(([[
      llama_cloud.run(function()
        for _ = 1, %d do
          llama_cloud.spawn(function()
            llama_cloud.sleep(0)
            count = count + 1
          end)
        end
      end)]]):format(TASKS))
    assert.equal(TASKS, count)
    assert.is_true(kib <= MOST_FOR_TASKS)
  end)
end)

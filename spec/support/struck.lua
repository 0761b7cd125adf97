-- Programs that an error strikes at their n-th VM instruction, for every n, as lua.c's at Ctrl-C or a time limit of an
-- application may; run by spec/loop/hooks_spec.lua in a process of their own. Only the public face is used.
--
--   require("spec.support.struck").run("run", "cqueues", url, 3000)

local leftovers = require("spec.support.leftovers")
local llama_cloud = require("llama_cloud")
local process = require("spec.support.process")
local support = require("spec.support.client")

local probe -- here alone, for the spec asks for names only
local spawn, sleep, step = llama_cloud.spawn, llama_cloud.sleep, llama_cloud.step

local struck = {}

-- The first so many failures are told; what comes after them may come of them.
local MOST_FAILURES = 3
-- Seconds that one run may take: what takes longer hangs.
local SECONDS = 10 * math.ceil(process.slowdown ^ 0.5)

local client

-- What happened in one run.
local record_mt = {}
record_mt.__index = record_mt

local function new_record()
  return setmetatable({ begun = {}, ended = {}, co = {}, tasks = {}, errors = {}, wrong = {} }, record_mt)
end

function record_mt:fail(...)
  self.wrong[#self.wrong + 1] = string.format(...)
end

-- Takes note of an error that came out somewhere.
function record_mt:came_out(err)
  self.errors[#self.errors + 1] = err
  if err ~= "struck" then
    self:fail("another error came out: %s", tostring(err))
  end
end

-- The body of task i.
local function work(record, i)
  record.co[i] = coroutine.running() -- first: what is struck before it has not begun
  record.begun[i] = (record.begun[i] or 0) + 1
  sleep(0)
  if i % 2 == 0 then
    coroutine.yield()
  end
  sleep(0)
  record.ended[i] = (record.ended[i] or 0) + 1
  return i
end

-- The result of a task; raises what that raised, as it is.
local function result_of(task)
  local value, err = task:result()
  if not value then
    error(err, 0)
  end
  return value
end

function record_mt:spawn(i)
  local task = spawn(work, self, i)
  self.tasks[i] = task
  return task
end

-- Waits for the descriptor as an application does; in C, so that the count of instructions repeats.
local function step_all(record)
  while step() > 0 do
    if not probe.readable(llama_cloud.pollfd(), 2000) then
      record:fail("the descriptor is quiet though tasks can go on")
      return
    end
  end
end

local function ids_of(...)
  local ids = {}
  for item, batch, err in ... do
    if type(item) ~= "table" and not batch then
      error(err, 0)
    end
    ids[#ids + 1] = type(item) == "table" and item.id or batch.id
  end
  table.sort(ids)
  return table.concat(ids, " ")
end

local function list()
  return ids_of(client.batches:list { page_size = 2 })
end

local function wait_all()
  return ids_of(client.batches:wait_all({ "bat-1", "bat-2" }, nil, { polling_interval = 0.001, total_timeout = 5 }))
end

local function get()
  return assert(client.batches:get("bat-1", nil, { total_timeout = 5 })).id
end

-- `prepare` runs before, without a hook; `outside`: the tasks are of no group, so that all but the struck one end well
-- whatever becomes of their maker; `main_only`: other hosts would show nothing else.
local programs = {
  run = {
    expected = 6,
    body = function(record)
      return llama_cloud.run(function()
        local a, b = record:spawn(1), record:spawn(2)
        sleep(0)
        local c = record:spawn(3)
        return result_of(c) + result_of(a) + result_of(b)
      end)
    end,
  },
  spawn = {
    outside = true,
    body = function(record)
      for i = 1, 4 do
        record:spawn(i)
      end
      if not record.driven then
        step_all(record)
      end
    end,
  },
  result = {
    outside = true,
    expected = 6,
    body = function(record)
      local a, b = record:spawn(1), record:spawn(2)
      local c = spawn(function()
        return result_of(a) + result_of(b)
      end)
      local sum = result_of(c)
      return sum + result_of(record:spawn(3))
    end,
  },
  step = {
    outside = true,
    main_only = true,
    prepare = function(record)
      for i = 1, 6 do
        record:spawn(i)
      end
    end,
    body = step_all,
  },
  wait_all = { expected = "bat-1 bat-2", body = wait_all },
  list = { expected = "a b c d", body = list },
  get = { expected = "bat-1", body = get },
  ["calls in tasks"] = {
    expected = "bat-1 bat-1",
    body = function()
      return llama_cloud.run(function()
        local one, two = spawn(get), spawn(get)
        return result_of(one) .. " " .. result_of(two)
      end)
    end,
  },
  wrap = {
    main_only = true,
    expected = "a b c d",
    body = function()
      return ids_of(llama_cloud.wrap(function()
        for batch in client.batches:list { page_size = 2 } do
          coroutine.yield(batch)
        end
      end))
    end,
  },
}

local hosts = {}

function hosts.main(body)
  body()
end

-- An error that comes out of the controller's loop does not end it for the application, which goes on, and calls again.
function hosts.cqueues(body, record)
  local controller = require("cqueues").new()
  controller:wrap(body)
  for _ = 1, 20 do
    local ok, err = controller:loop(SECONDS / 5)
    if not ok then
      record:came_out(err)
      controller:wrap(sleep, 0)
    elseif controller:empty() then
      return
    else
      break
    end
  end
  record:fail("a coroutine of the controller waits for ever")
end

-- What comes out of a callback of libuv's ends the process, so all of it is inside of one group.
function hosts.luv(body, record)
  llama_cloud.use_loop("luv")
  local task = spawn(llama_cloud.run, body)
  require("luv").run()
  llama_cloud.use_loop(nil)
  if task:status() == "pending" then
    record:fail("uv.run has ended before the task")
  end
end

-- Whether the descriptor is quiet, at the latest when what ended unseen has been seen to.
local function becomes_quiet()
  for _ = 1, 100 do
    if not probe.readable(llama_cloud.pollfd()) then
      return true
    end
    step()
  end
  return false
end

-- Drives to their end all tasks that are left, without a hook.
local function settle(record)
  for _ = 1, 50 do
    local ok, left = pcall(step)
    if not ok then
      record:came_out(left)
    elseif left == 0 then
      if not becomes_quiet() then
        record:fail("the descriptor is readable though nothing is left")
      end
      return
    elseif not probe.readable(llama_cloud.pollfd(), 100) then
      sleep(0) -- another call may wake them
    end
  end
  record:fail("tasks are left for ever")
end

-- Runs the program once. Returns the record, and where it was struck, if it was.
local function run_once(program, host, n)
  local record = new_record()
  record.driven = host ~= "main"
  local function inner()
    probe.strike(n)
    local value = program.body(record)
    if not program.outside or host == "main" then
      probe.off() -- here, so that no instruction after it is struck
    end
    return value
  end
  local function body()
    local ok, value = pcall(inner)
    if not ok then
      record:came_out(value)
      sleep(0) -- calls again at once
    elseif value ~= program.expected then
      record:fail("it came to %s", tostring(value))
    end
  end
  if program.prepare then
    program.prepare(record)
  end
  hosts[host](body, record)
  probe.off()
  if not probe.struck() then
    for i, task in pairs(record.tasks) do
      if task:status() == "pending" then
        record:fail("task %d is pending when the host's loop has ended", i)
      end
    end
  end
  settle(record)
  return record, probe.struck()
end

-- What must hold of each task, and of the error.
local function judge(record, program, place, thread)
  local fail = record.fail
  local not_begun = 0
  for i = 1, 6 do
    local task, begun, ended = record.tasks[i], record.begun[i] or 0, record.ended[i] or 0
    local status = task and task:status()
    if begun > 1 or ended > 1 then
      fail(record, "task %d began %d times and ended %d times", i, begun, ended)
    end
    if status == "pending" then
      fail(record, "task %d is pending for ever", i)
    elseif status == "done" and (ended ~= 1 or task:result() ~= i) then
      fail(record, "task %d is done, ended %d times and gave %s", i, ended, tostring(task:result()))
    elseif status == "failed" and select(2, task:result()) ~= "struck" then
      fail(record, "task %d failed by %s", i, tostring(select(2, task:result())))
    elseif status == "failed" and begun == 0 then
      not_begun = not_begun + 1
    elseif
      program.outside
      and begun == 1
      and thread ~= record.co[i]
      and (ended ~= 1 or status and status ~= "done")
    then
      fail(record, "task %d was not struck, and is %s", i, tostring(status))
    elseif program.outside and status == "cancelled" then
      fail(record, "task %d was cancelled by nobody", i)
    end
  end
  if not_begun > 1 then
    fail(record, "%d tasks have never begun", not_begun)
  end
  if place and #record.errors == 0 then
    fail(record, "the error came out nowhere")
  end
end

-- Calls again, as an application would.
local function call_again(record, with_requests)
  local ok, value = pcall(function()
    local value = llama_cloud.run(function()
      local task = spawn(function()
        sleep(0)
        return 7
      end)
      return task:result()
    end)
    assert(value == 7, "run came to another value")
    assert(spawn(function()
      sleep(0)
      return 8
    end):result() == 8, "result came to another value")
    if with_requests then
      assert(client.batches:get("bat-1", nil, { total_timeout = 5 }))
    end
    assert(step() == 0, "something is left")
  end)
  if not ok then
    record:fail("the next call: %s", tostring(value))
  end
end

--- The names of the programs that run in a host.
---@param host string
---@return string[]
function struck.names(host)
  local names = {}
  for name, program in pairs(programs) do
    local outside = program.outside and host == "luv" or program.main_only and host ~= "main"
    names[#names + 1] = not outside and name or nil
  end
  table.sort(names)
  return names
end

--- Strikes a program at every `stride`-th instruction up to `most`, or to its end. Writes what was wrong, and how many
--- times it ran, and ends the process.
---@param name string
---@param host string
---@param url string
---@param most string|integer
---@param stride string|integer
function struck.run(name, host, url, most, stride)
  most, stride = math.tointeger(most), math.tointeger(stride)
  probe = process.probe()
  local program, failed, runs = programs[name], 0, 0
  local with_requests = not program.outside and name ~= "run"
  client = support.client(url)
  local before
  for n = 1 - stride, most, stride do -- the first one is not struck: it makes what is made once
    probe.guard(SECONDS, ("struck at %d"):format(n))
    local record, place, thread = run_once(program, host, n)
    judge(record, program, place, thread)
    call_again(record, with_requests)
    for _, what in ipairs(record.wrong) do
      print(("struck at %d (%s): %s"):format(n, place or "nowhere", what))
    end
    failed = failed + (record.wrong[1] and 1 or 0)
    if n > 0 and not place or failed >= MOST_FAILURES then
      break
    end
    runs = runs + 1
    if runs == 100 then
      before = leftovers.count()
    end
  end
  client:close()
  client = nil
  if failed == 0 and runs > 200 and leftovers.has_more(before) then
    failed = 1
  end
  probe.guard(0)
  print(("%d runs"):format(runs))
  os.exit(failed == 0, true)
end

return struck

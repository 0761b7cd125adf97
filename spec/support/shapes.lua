-- Tasks that wait for one another in many shapes: how much work they make, counted in VM instructions, for
-- spec/loop/shapes_spec.lua, and measured, for bench/waiting/shapes.lua. Only the public face is used.
--
--   require("spec.support.shapes").run("chain", 2500)

local llama_cloud = require("llama_cloud")

local run, spawn, sleep, step = llama_cloud.run, llama_cloud.spawn, llama_cloud.sleep, llama_cloud.step

local shapes = {}

--- name -> function(n): n tasks, which all end. Each checks what came of them.
---@type table<string, fun(n: integer)>
shapes.all = {}

-- Defines a shape: in a group, n tasks of which task i runs body(i, tasks, n). `check` gets the values of all of them.
local function in_group(name, body, check)
  shapes.all[name] = function(n)
    local tasks, sum = {}, 0
    run(function()
      for i = 1, n do
        tasks[i] = spawn(function()
          local value = body(i, tasks, n)
          sum = sum + 1
          return value
        end)
      end
    end)
    assert(sum == n, "not every task has come to its end")
    assert(not check or tasks[1]:result() == check or tasks[n]:result() == check, "a task came to another value")
  end
end

in_group("a chain, each waits for the next", function(i, tasks, n)
  if i < n then
    return tasks[i + 1]:result()
  end
  sleep(0)
  return "end"
end, "end")

in_group("a chain, each waits for the one before", function(i, tasks)
  if i > 1 then
    return tasks[i - 1]:result()
  end
  sleep(0)
  return "end"
end, "end")

in_group("a star, all wait for one", function(i, tasks)
  if i > 1 then
    return tasks[1]:result()
  end
  sleep(0)
  return "end"
end, "end")

in_group("a tree, each waits for two", function(i, tasks, n)
  sleep(0)
  for child = 2 * i, math.min(2 * i + 1, n) do
    tasks[child]:result()
  end
end)

in_group("pairs that cross", function(i, tasks, n)
  if 2 * i < n then
    tasks[n + 1 - i]:result()
  else
    sleep(0)
  end
end)

in_group("a net, each waits for three before it", function(i, tasks)
  for _, other in ipairs { i - 1, i - 2, i // 2 } do
    if other >= 1 and other < i then
      tasks[other]:result()
    end
  end
  sleep(0)
end)

in_group("one waits for all", function(i, tasks, n)
  if i == 1 then
    for other = 2, n do
      tasks[other]:result()
    end
  else
    sleep(0)
  end
end)

in_group("one waits for all, from the last to the first", function(i, tasks, n)
  if i == 1 then
    for other = n, 2, -1 do
      tasks[other]:result()
    end
  else
    sleep(0)
  end
end)

in_group("tasks that yield", function()
  for _ = 1, 3 do
    coroutine.yield()
  end
end)

in_group("tasks that sleep differently long", function(i, _, n)
  sleep((i * 7919 % n) * 1e-6)
end)

in_group("groups within tasks", function()
  run(function()
    spawn(sleep, 0):result()
  end)
end)

-- Runs f(n, tasks) in a group, and checks that this raises "the failure".
local function failing(name, f)
  shapes.all[name] = function(n)
    local tasks = {}
    local ok, err = pcall(run, f, n, tasks)
    assert(not ok and err == "the failure", err)
    for i = 1, n do
      assert(tasks[i]:status() ~= "pending", "a task is pending for ever")
    end
  end
end

failing("a chain through which a failure goes", function(n, tasks)
  for i = 1, n do
    tasks[i] = spawn(function()
      if i == n then
        sleep(0)
        error("the failure", 0)
      end
      local _, err = tasks[i + 1]:result()
      error(err, 0)
    end)
  end
end)

failing("a star around a failure", function(n, tasks)
  for i = 1, n do
    tasks[i] = spawn(function()
      if i == 1 then
        sleep(0)
        error("the failure", 0)
      end
      local _, err = tasks[1]:result()
      error(err, 0)
    end)
  end
end)

failing("tasks that all fail", function(n, tasks)
  for i = 1, n do
    tasks[i] = spawn(function()
      sleep(0)
      error("the failure", 0)
    end)
  end
end)

failing("tasks that all fail, and are asked from the last to the first", function(n, tasks)
  for i = 1, n do
    tasks[i] = spawn(error, "the failure", 0)
  end
  sleep(0)
  for i = n, 1, -1 do
    assert(select(2, tasks[i]:result()) == "the failure")
  end
  error("the failure", 0)
end)

-- n tasks that wait, in a shape, when each is cancelled.
local function cancelled(name, from_last, body)
  shapes.all[name] = function(n)
    run(function()
      local tasks = {}
      for i = 1, n do
        tasks[i] = spawn(body, i, tasks, n)
      end
      sleep(0)
      for i = 1, n do
        tasks[from_last and n + 1 - i or i]:cancel()
      end
      for i = 1, n do
        assert(tasks[i]:status() == "cancelled")
      end
    end)
  end
end

local function wait_for_next(i, tasks, n)
  if i < n then
    return tasks[i + 1]:result()
  end
  sleep(60)
end

local function wait_for_first(i, tasks)
  if i > 1 then
    return tasks[1]:result()
  end
  sleep(60)
end

cancelled("a chain that is cancelled from its head", false, wait_for_next)
cancelled("a chain that is cancelled from its end", true, function(i, tasks, n)
  local _, err = wait_for_next(i, tasks, n)
  error(err, 0)
end)
cancelled("a star that is cancelled from outside", true, wait_for_first)
cancelled("sleepers that are cancelled", false, function()
  sleep(60)
end)

-- n tasks that wait, in a shape, when the task is cancelled in which their group is.
local function left(name, body)
  shapes.all[name] = function(n)
    local tasks = {}
    run(function()
      local inner = spawn(run, function()
        for i = 1, n do
          tasks[i] = spawn(body, i, tasks, n)
        end
      end)
      repeat
        sleep(0.005)
      until tasks[n]
      sleep(0.005)
      inner:cancel()
    end)
    for i = 1, n do
      assert(tasks[i]:status() == "cancelled", tasks[i]:status())
    end
  end
end

left("a group that is closed, its tasks in a chain", wait_for_next)
left("a group that is closed, its tasks in a star", wait_for_first)
left("a group that is closed, its tasks asleep", function()
  sleep(60)
end)

shapes.all["results one after another from outside, while others stand by"] = function(n)
  local open = false
  local gate = spawn(function()
    repeat
      sleep(0.001)
    until open
  end)
  local waiters, quick = {}, {}
  for i = 1, n do
    waiters[i] = spawn(function()
      gate:result()
    end)
  end
  for i = 1, n do
    quick[i] = spawn(sleep, 0.000001 * i)
  end
  for i = 1, n do
    quick[i]:result()
  end
  open = true
  for i = 1, n do
    waiters[i]:result()
  end
  assert(step() == 0)
end

shapes.all["tasks outside of run, which step drives"] = function(n)
  local ended = 0
  for i = 1, n do
    spawn(function()
      if i % 2 == 0 then
        coroutine.yield()
      end
      ended = ended + 1
    end)
  end
  while step() > 0 do -- luacheck: ignore 542
  end
  assert(ended == n)
end

shapes.all["steps with no time for more than one task"] = function(n)
  local ended = 0
  for _ = 1, n do
    spawn(function()
      ended = ended + 1
    end)
  end
  while step(0) > 0 do -- luacheck: ignore 542
  end
  assert(ended == n)
end

--- The names of all shapes, sorted.
---@return string[]
function shapes.names()
  local names = {}
  for name in pairs(shapes.all) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

-- No shape needs so many instructions for a task: what does is ended early.
local MOST_FOR_A_TASK = 5000

--- Counts the VM instructions of a shape with n tasks and with 4 n, writes both, and ends the process; at once where they
--- become more than `most` times as many.
---@param name string
---@param n string|integer
---@param most string|integer
function shapes.run(name, n, most)
  n = math.tointeger(n)
  local probe = require("spec.support.process").probe()
  local function count(tasks, limit)
    probe.count(limit)
    shapes.all[name](tasks)
    return probe.off()
  end
  probe.guard(120, "with " .. n .. " tasks")
  count(10, 0) -- what is made once
  local few = count(n, n * MOST_FOR_A_TASK)
  probe.guard(120, ("%d instructions with %d tasks; with %d"):format(few, n, 4 * n))
  local many = count(4 * n, few * math.tointeger(most))
  print(("%d %d"):format(few, many))
  os.exit(true, true)
end

return shapes

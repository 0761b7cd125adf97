-- The descriptor of pollfd is readable whenever step has something to run, whatever was called before, in which order: all
-- sequences of a few calls are tried. An application that steps only then would wait for ever otherwise.

local llama_cloud = require("llama_cloud")
local process = require("spec.support.process")
local support = require("spec.support.client")

local probe = process.probe()
local spawn, sleep, step = llama_cloud.spawn, llama_cloud.sleep, llama_cloud.step

-- How many calls a sequence has.
local LENGTH = process.slowdown > 4 and 2 or 3

-- Milliseconds within which a timer that is due makes itself known on any machine.
local PATIENCE = 2000

local server, client

-- What one sequence has made: how often tasks went on, which are left, and a list that is read bit by bit.
local state

local function progress()
  state.progress = state.progress + 1
end

local function keep(task)
  state.tasks[#state.tasks + 1] = task
  return task
end

local calls = {
  {
    "spawn",
    function()
      keep(spawn(progress))
    end,
  },
  {
    "spawn what yields",
    function()
      keep(spawn(function()
        for _ = 1, 3 do
          progress()
          coroutine.yield()
        end
      end))
    end,
  },
  {
    "spawn what sleeps",
    function()
      keep(spawn(function()
        progress()
        sleep(0)
        progress()
      end))
    end,
  },
  {
    "spawn what waits for the first task",
    function()
      local first = state.tasks[1]
      keep(spawn(function()
        if first then
          first:result()
        end
        progress()
      end))
    end,
  },
  {
    "spawn what gets a batch",
    function()
      keep(spawn(function()
        assert(client.batches:get("bat-1"))
        progress()
      end))
    end,
  },
  { "step", step },
  {
    "step(0)",
    function()
      step(0)
    end,
  },
  {
    "sleep",
    function()
      sleep(0)
    end,
  },
  {
    "get",
    function()
      assert(client.batches:get("bat-1"))
    end,
  },
  {
    "an item of a list",
    function()
      state.list = state.list or client.batches:list { page_size = 4 }
      state.list()
    end,
  },
  {
    "two items of a list",
    function()
      state.list = state.list or client.batches:list { page_size = 4 }
      state.list()
      state.list()
    end,
  },
  {
    "result",
    function()
      if state.tasks[1] then
        state.tasks[1]:result()
      end
    end,
  },
  {
    "cancel",
    function()
      if state.tasks[1] then
        state.tasks[1]:cancel()
      end
    end,
  },
  {
    "run",
    function()
      llama_cloud.run(function()
        spawn(sleep, 0):result()
      end)
    end,
  },
}

-- Runs a sequence. Returns whether the descriptor was readable after it, and whether a step then had a task go on.
local function try(sequence, milliseconds)
  state = { progress = 0, tasks = {} }
  for _, call in ipairs(sequence) do
    call[2]()
  end
  local readable = probe.readable(llama_cloud.pollfd(), milliseconds)
  local before = state.progress
  step()
  local went_on = state.progress > before
  if state.list then
    state.list:close()
  end
  for _, task in ipairs(state.tasks) do
    task:cancel()
  end
  assert(step() == 0, "tasks are left")
  return readable, went_on
end

local function name_of(sequence)
  local names = {}
  for i, call in ipairs(sequence) do
    names[i] = call[1]
  end
  return table.concat(names, ", ")
end

describe("the descriptor of pollfd", function()
  lazy_setup(function()
    server, client = support.start([[
      return function(connection, request, n)
        if request.path:find("/batches/") then
          return connection:json(200, '{"id":"bat-1"}')
        end
        local items = '[{"id":"a"},{"id":"b"},{"id":"c"},{"id":"d"}]'
        connection:json(200, ('{"items":%s,"next_page_token":"t%d"}'):format(items, n))
      end]])
  end)

  lazy_teardown(function()
    client:close()
    server:stop()
  end)

  for _, first in ipairs(calls) do
    it("is readable when a task can go on, after " .. first[1] .. " and others", function()
      local sequence, quiet = { first }, {}
      local function extend(length)
        local readable, went_on = try(sequence, 0)
        if went_on and not readable then
          -- what it waited for may have come between the two, so once more with patience
          readable, went_on = try(sequence, PATIENCE)
          if went_on and not readable then
            quiet[#quiet + 1] = name_of(sequence)
          end
        end
        if length == LENGTH or #quiet >= 3 then
          return
        end
        for _, call in ipairs(calls) do
          sequence[length + 1] = call
          extend(length + 1)
          sequence[length + 1] = nil
        end
      end
      extend(1)
      assert.same({}, quiet)
    end)
  end

  it("is quiet when nothing is left, after any two calls", function()
    for _, first in ipairs(calls) do
      for _, second in ipairs(calls) do
        try({ first, second }, 0)
        for _ = 1, 100 do -- what ended unseen is seen to
          assert.equal(0, step())
          if not probe.readable(llama_cloud.pollfd()) then
            break
          end
        end
        assert.is_false(probe.readable(llama_cloud.pollfd()), name_of { first, second })
      end
    end
  end)
end)

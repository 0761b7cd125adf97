--- Streams: tasks side by side whose results a `for` loop takes. What map is made of, and other loops over work that goes
--- on while their bodies run.
---
---     local stream = streams.new(8)                  -- at most 8 values wait to be taken
---     local names = stream:queue(100)                -- between its tasks
---     stream:spawn(function() names:put("a"); names:close() end)
---     stream:spawn(function() for name in names:each() do stream:put(name:upper()) end end)
---     for name in stream:loop() do … end             -- ends when all tasks have ended; raises what one has raised
---
--- The tasks run while the loop's next value is waited for. While its body waits, a pump runs them: a task beside the one
--- that has the loop, or a coroutine of its event loop; in a plain script, a task that whoever blocks runs. It ends when they
--- all wait for the body to come back, so that nothing is held up by a loop that was left in the middle.

local loop = require("llama_cloud.loop")

local engine = loop.engine

local streams = {}

---@class LlamaCloud.Stream
---@field group LlamaCloud.Group of its tasks
---@field private output LlamaCloud.StreamQueue
---@field private resting integer how many tasks wait for a condition
---@field private awaited table<LlamaCloud.Condition, true> what somebody waits for
---@field private busy boolean somebody is waiting for the next value
---@field private failure? { [1]: any } what was raised
---@field private pump? LlamaCloud.Task
---@field private aside? LlamaCloud.Task that of a plain script
---@field private hosted fun()[] the pump of an event loop, unless that has dropped it
---@field private closed boolean
---@field private idle fun(): boolean whether nothing can be done before somebody takes a value
---@field private takeable fun(): boolean whether waiting for a value is over
local Stream = {}
Stream.__index = Stream

---@class LlamaCloud.Condition what tasks of a stream wait for
---@field private stream LlamaCloud.Stream
---@field private test fun(): boolean
---@field private waiting integer
local Condition = {}
Condition.__index = Condition

---@class LlamaCloud.StreamQueue between the tasks of a stream: first in, first out
---@field count integer how many values it holds
---@field private stream LlamaCloud.Stream
---@field private values any[]
---@field private first integer
---@field private closed boolean
---@field private has_room LlamaCloud.Condition
---@field private has_news LlamaCloud.Condition
local Queue = {}
Queue.__index = Queue

-- Leaving a wait, also by being cancelled.
function Condition:__close()
  self.waiting = self.waiting - 1
  self.stream.resting = self.stream.resting - 1
  if self.waiting == 0 then
    self.stream.awaited[self] = nil
  end
end

--- Waits, in a task of the stream, until the test is true. Whoever changes what a test looks at calls stream:notify().
function Condition:wait()
  if not self.test() then
    self.stream.awaited[self] = true
    self.waiting = self.waiting + 1
    self.stream.resting = self.stream.resting + 1
    local leaving <close> = self -- luacheck: ignore leaving
    self.stream.group:drive(self.test)
  end
end

--- Puts a value at the end; waits while the queue is full.
---@param value any not nil
---@return boolean taken false: the queue is closed, and the value was dropped
function Queue:put(value)
  assert(value ~= nil, "a queue holds no nil")
  self.has_room:wait()
  if self.closed then
    return false
  end
  self.values[self.first + self.count] = value
  self.count = self.count + 1
  self.stream:notify()
  return true
end

-- Takes the first value, if there is one.
local function shift(queue)
  if queue.count > 0 then
    local value = queue.values[queue.first]
    queue.values[queue.first] = nil
    queue.first, queue.count = queue.first + 1, queue.count - 1
    queue.stream:notify()
    return value
  end
end

-- Drops all values. Needs no memory.
function Queue:clear()
  for position in pairs(self.values) do
    self.values[position] = nil
  end
  self.count = 0
end

--- Takes the first value; waits while there is none.
---@return any value nil: the queue is closed, and empty
function Queue:take()
  self.has_news:wait()
  return shift(self)
end

--- `for value in queue:each() do … end`: until the queue is closed, and empty. Several tasks may share a queue.
---@return fun(queue: LlamaCloud.StreamQueue): any
---@return LlamaCloud.StreamQueue
function Queue:each()
  return Queue.take, self
end

--- Nothing more is put. What the queue holds can still be taken. Idempotent.
function Queue:close()
  self.closed = true
  self.stream:notify()
end

--- Makes something that tasks can wait for.
---@param test fun(): boolean whether it has come; looks only, and never waits
---@return LlamaCloud.Condition
function Stream:condition(test)
  return setmetatable({ stream = self, test = test, waiting = 0 }, Condition)
end

--- Makes a queue.
---@param bound integer how many values it holds at most
---@return LlamaCloud.StreamQueue
function Stream:queue(bound)
  local queue = setmetatable({ stream = self, values = {}, first = 1, count = 0, closed = false }, Queue)
  queue.has_room = self:condition(function()
    return queue.count < bound or queue.closed
  end)
  queue.has_news = self:condition(function()
    return queue.count > 0 or queue.closed
  end)
  return queue
end

--- Starts a task of the stream. What it raises, the loop raises, unless somebody asks for its result.
---@param f function
---@param ... any its arguments
---@return LlamaCloud.Task
function Stream:spawn(f, ...)
  return self.group:spawn(f, ...)
end

--- Those who wait look again at what they wait for.
function Stream:notify()
  self.group:notify()
end

--- Gives the loop a value, from a task of the stream; waits while as many as the bound wait to be taken. Where the stream
--- is closed, the value is dropped.
---@param value any not nil
function Stream:put(value)
  self.output:put(value)
end

--- How many values wait to be taken.
---@return integer
function Stream:count()
  return self.output.count
end

--- Whether nothing more is to be begun with: a task has failed, or the stream is closed, by what a task has called, too.
---@return boolean
function Stream:ending()
  return self.closed or self.group:failed()
end

local function pump(stream)
  stream.group:drive(stream.idle)
end

-- Sees to it that the tasks go on while the body of the loop waits.
local function go_on_meanwhile(stream)
  if stream.idle() then
    return
  end
  local current, task = engine:current()
  if task then
    if not stream.pump or stream.pump:status() ~= "pending" then
      stream.pump = current:spawn(pump, stream)
    end
  elseif not stream.hosted[1] then
    local function hosted()
      pump(stream)
      stream.hosted[1] = nil
    end
    if loop.spawn_in_host(hosted) then
      stream.hosted[1] = hosted
    else
      stream.aside = loop.aside:spawn(pump, stream)
    end
  end
end

-- Ends the pump of a plain script: nobody runs it where an event loop or step has the loop from here on.
local function end_aside(stream)
  if stream.aside then
    stream.aside:cancel()
    stream.aside = nil
  end
end

-- Leaving take: by an error the stream ends.
local taking_mt = {
  __close = function(taking, err)
    local stream = taking.stream
    stream.busy = false
    if err ~= nil then
      stream.failure = { err }
      stream:close()
    end
  end,
}

--- Waits for the next value. Raises what a task has raised, when the values that were there before it are taken: then the
--- others are cancelled, and later calls raise the same.
---@return any value nil: all tasks have ended, or the stream was closed
function Stream:take()
  if self.failure then
    error(self.failure[1], 0)
  elseif self.busy then
    error("the loop's iterator is being used by another coroutine", 3)
  end
  local taking <close> = setmetatable({ stream = self }, taking_mt) -- luacheck: ignore taking
  self.busy = true
  end_aside(self)
  self.group:drive(self.takeable)
  local value = shift(self.output)
  if value ~= nil then
    go_on_meanwhile(self)
    return value
  end
  self:close()
  self.group:raise()
end

--- Cancels the tasks, and drops what was not taken. Idempotent.
function Stream:close()
  self.closed = true
  self.output:clear()
  self.output:close()
  self.group:close()
  end_aside(self)
end

---@class LlamaCloud.StreamHandle what the caller of a loop has; when nobody has it any more, the stream is closed
---@field private stream LlamaCloud.Stream whose tasks do not know the handle
---@field private give? fun(value: any): any
local Handle = {}
Handle.__index = Handle
Handle.__name = "llama_cloud.loop"

function Handle:__call()
  local value = self.stream:take()
  if value ~= nil and self.give then
    return self.give(value)
  end
  return value
end

function Handle:__close()
  self.stream:close()
end

Handle.__gc = Handle.__close

--- What a `for` takes: leaving the loop closes the stream.
---@param give? fun(value: any): any what the loop's variables are for a value; the value itself, if it is left out
---@return LlamaCloud.StreamHandle
---@return nil
---@return nil
---@return LlamaCloud.StreamHandle
function Stream:loop(give)
  local handle = setmetatable({ stream = self, give = give }, Handle)
  return handle, nil, nil, handle
end

--- Makes a stream.
---@param bound number how many values wait to be taken at most; then the tasks wait
---@return LlamaCloud.Stream
function streams.new(bound)
  local stream = setmetatable({
    group = engine:group(),
    resting = 0,
    awaited = {},
    busy = false,
    closed = false,
    hosted = setmetatable({}, { __mode = "v" }),
  }, Stream)
  local group, output = stream.group, stream:queue(bound)
  stream.output = output
  function stream.takeable()
    -- where one has failed, those that wait to put what they have done still do
    return output.count > 0 or group:live() == 0 or group:failed() and output.has_room.waiting == 0
  end
  function stream.idle()
    local live = group:live()
    if live == 0 or stream:ending() then
      return true
    elseif live > stream.resting then
      return false
    end
    for condition in pairs(stream.awaited) do
      if condition.test() then
        return false
      end
    end
    return true
  end
  return stream
end

return streams

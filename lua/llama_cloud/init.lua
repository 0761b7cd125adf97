--- LlamaCloud (LlamaParse) batch processing for Lua.
---
---     local llama_cloud = require "llama_cloud"
---     local client = llama_cloud.new()
---     for batch in client.batches:list() do print(batch.id, batch.status) end

if _VERSION ~= "Lua 5.4" and _VERSION ~= "Lua 5.5" then -- older ones could not even read the rest
  error("llama_cloud needs Lua 5.4 or 5.5, and this is " .. _VERSION, 0)
end

-- The core, or one sentence about what it lacks.
local function load_core()
  local found, core = pcall(require, "llama_cloud.core")
  if found then
    return core
  end
  local problem = tostring(core)
  local library = problem:match("(lib[^ :/]+%.so[^ :/]*): cannot open shared object file")
  if problem:find("module 'llama_cloud.core' not found", 1, true) then
    problem = "llama_cloud does not find its core, llama_cloud/core.so, by package.cpath: in a checkout, run "
      .. "scripts/build, and then programs by scripts/lua; else install the rock again"
  elseif library then
    problem = ("llama_cloud needs the shared library %s, which is not there: install libcurl and zlib"):format(library)
  end
  error(problem, 0)
end

local core = load_core()
local later = require("llama_cloud.base.later")

-- Modules that are compiled when they are first used: all but this file and those that it has required.
local LATER = {
  "base/errors",
  "base/tables",
  "base/text",
  "base/trace",
  "client",
  "endpoint/arguments",
  "endpoint/body",
  "endpoint/call",
  "endpoint/download",
  "endpoint/fields",
  "endpoint/form",
  "endpoint/init",
  "endpoint/list",
  "endpoint/nearest",
  "endpoint/options",
  "endpoint/pace",
  "endpoint/pages",
  "endpoint/reconcile",
  "endpoint/results",
  "endpoint/tree",
  "endpoint/wait",
  "endpoint/wait_all",
  "endpoint/waiting",
  "http/attempt",
  "http/date",
  "http/decision",
  "http/failure",
  "http/gate",
  "http/headers",
  "http/log",
  "http/queue",
  "http/redirect",
  "http/request",
  "http/resume",
  "http/retry",
  "http/secrets",
  "http/url",
  "http/waiting",
  "loop/group",
  "loop/init",
  "loop/map",
  "loop/stream",
  "process/batches",
  "process/directories",
  "process/history",
  "process/init",
  "process/journal",
  "process/output",
  "process/results",
  "process/run",
  "process/source",
  "process/trouble",
  "process/uploads",
  "resources/batches",
  "resources/beta/attachments",
  "resources/beta/batch",
  "resources/beta/directories",
  "resources/beta/split",
  "resources/classify",
  "resources/configurations",
  "resources/extract",
  "resources/files",
  "resources/init",
  "resources/parsing",
  "resources/projects",
  "resources/shared",
  "resources/split",
  "resources/v2_projects",
  "resources/webhook_configs",
  "webhook",
}

local path = select(2, ...) -- of this file, as `require` tells
local directory = type(path) == "string" and path:match("^(.*[/\\])init%.lua$")
later.keep(directory, LATER)

local checking = later.require("llama_cloud.endpoint.options")
local client = later.require("llama_cloud.client")
local date = later.require("llama_cloud.http.date")
local errors = later.require("llama_cloud.base.errors")
local group = later.require("llama_cloud.loop.group")
local loop = later.require("llama_cloud.loop")
local map = later.require("llama_cloud.loop.map")
local texts = later.require("llama_cloud.base.text")

-- Modules beside the client, which use it as programs do, but are methods of its resources: resource -> method -> module.
local BESIDE = { batches = { process = later.require("llama_cloud.process") } }

---@class LlamaCloud
---@field null userdata
---@field array table|fun(t: table): table
---@field webhook LlamaCloud.Webhook
---@field json { decode: (fun(text: string, options?: { null?: boolean, max_depth?: integer, repair?: boolean }): any, string?, integer?), encode: (fun(value: any): string?, string?), null: userdata }
local llama_cloud = {
  _VERSION = require("llama_cloud.version"),

  --- JSON null inside arrays and in requests; the same value as cjson.null.
  null = core.null,

  --- The metatable of empty arrays. Called with a table, marks it as an array, so that it is written as `[]`.
  array = core.array,

  --- The JSON codec: strict, exact integers, `[]` and `{}` kept apart.
  ---   json.decode(text, { null = false, max_depth = 512, repair = false }) -> value | nil, message, offset
  ---   json.encode(value) -> text | nil, message
  json = { decode = core.decode, encode = core.encode, null = core.null },

  --- Whether a webhook's delivery comes from the service: webhook.verify(body, signature, secret).
  webhook = later.require("llama_cloud.webhook"),
}

--- Makes a client. Raises on a bad option, and says what to write instead.
---@param options? LlamaCloud.ClientOptions
---@return LlamaCloud.Client
function llama_cloud.new(options)
  return client.new(options, BESIDE)
end

--- Whether a value is an error object of this module.
---@param value any
---@return boolean
function llama_cloud.is_error(value)
  return errors.is_error(value)
end

--- Turns a date as the service writes it into seconds since the epoch: an integer if it has no fraction, nil if it is not
--- such a date.
---@param text string ISO 8601: `2019-12-27T18:11:19.117Z`
---@return number? seconds nil if it is not such a date
function llama_cloud.time(text)
  if type(text) ~= "string" then
    error(("a date must be a string, not %s"):format(type(text)), 2)
  end
  return date.parse(text)
end

--- Waits; other tasks and the event loop go on. `math.huge`: until the program is interrupted.
---@param seconds number not negative; math.huge waits until the program is interrupted
function llama_cloud.sleep(seconds)
  if type(seconds) ~= "number" or seconds ~= seconds or seconds < 0 then
    local got = type(seconds) == "number" and texts.number(seconds) or type(seconds)
    error(("sleep takes a number of seconds that is not negative, not %s"):format(got), 2)
  end
  loop.sleep(seconds)
end

local function check_function(f)
  if type(f) ~= "function" then
    error(("a function is needed, not %s"):format(type(f)), 3)
  end
end

--- Runs f, and all tasks that it spawns, until the last has ended; then raises the error of the first that failed, whose
--- traceback shows the task's functions.
---
--- Tasks wait concurrently, on one thread and without an event loop; inside an event loop or another task, only the caller
--- waits. Leaving run by an error of its own cancels them.
---@param f function
---@param ... any its arguments
---@return any ... what f returned
function llama_cloud.run(f, ...)
  check_function(f)
  return group.run(f, ...)
end

--- Starts a task in the current `run`; outside of `run` it belongs to the event loop, or to `step`.
---@param f function
---@param ... any its arguments
---@return LlamaCloud.Task task task:result(), task:cancel(), task:status()
function llama_cloud.spawn(f, ...)
  check_function(f)
  return group.spawn(f, ...)
end

---@class LlamaCloud.MapOptions
---@field concurrency? integer how many items are worked on at once, from 1 (default 8)

local MAP_OPTIONS = { concurrency = "integer" }

--- For a loop, `for item, result, err in llama_cloud.map(items, f) do`: calls f for each item in a task, at most `concurrency`
--- at a time, and gives the item and what f returned as the calls end. `items` is an array or an iterator. Errors that f raises
--- are raised.
---
--- Items are taken one by one, as calls can begin. Calls go on while the body of the loop waits, for a call of this module or
--- in an event loop. At most twice `concurrency` items are begun and not yet given to the loop, so that memory does not grow
--- with their number. If f or an iterator raises, the loop raises that and cancels the other calls; `break` cancels them, too.
--- The loop waits for tasks that f spawns before it ends. Raises at the caller's line if an argument is wrong, or if two
--- coroutines use one loop.
---@generic T, R, E
---@param items T[]|fun(): T?|LlamaCloud.List an array; or an iterator, called without arguments until it returns nil, by one task: a list, or what io.lines gives. One that has a `__close` is closed with the loop
---@param f fun(item: T): R?, E?
---@param given? LlamaCloud.MapOptions
---@return fun(): T?, R?, E? iterator
---@return nil
---@return nil
---@return any closed when the loop ends
function llama_cloud.map(items, f, given)
  check_function(f)
  given = checking.shown("option", given == nil and {} or given, MAP_OPTIONS)
  local problem = map.problem(items) or checking.check("option", given, MAP_OPTIONS)
  local concurrency = not problem and checking.present(given.concurrency) or map.concurrency
  if concurrency < 1 then
    problem = "concurrency must be an integer from 1"
  end
  if problem then
    error(problem, 2)
  end
  return map.new(items, f, concurrency)
end

--- Does what can be done without waiting for the tasks that were spawned outside of `run`, for at most `budget` seconds;
--- returns how many have not ended. Raises the error of the first that failed, unless its `result` was called. For a game or a
--- GUI, once per frame.
---@param budget? number seconds of work after which it stops; no limit by default
---@return integer live how many of those tasks have not ended
function llama_cloud.step(budget)
  if budget ~= nil and type(budget) ~= "number" then
    error("budget must be a number of seconds", 2)
  end
  return group.step(budget)
end

--- A descriptor that is readable when `step` has work: for a select or poll loop of your own.
---@return integer
function llama_cloud.pollfd()
  return group.pollfd()
end

--- A `coroutine.wrap` in which calls can wait: whoever calls the generator waits.
---@param f function
---@return function
function llama_cloud.wrap(f)
  check_function(f)
  return loop.wrap(f)
end

--- Chooses the event loop, unless it is cqueues or Copas, which are recognised: `"luv"`, or a table of functions, an event loop
--- of your own; nil: none.
---@param host? "luv"|"cqueues"|"copas"|LlamaCloud.Host nil: none
function llama_cloud.use_loop(host)
  local chosen, problem = loop.use(host)
  if not chosen and problem then
    error(problem, 2)
  end
end

--- How many requests may be under way at once, over all clients: 128 until you set it. The others wait their turn.
---@param n? integer the new bound, from 1
---@return integer n the bound
function llama_cloud.max_concurrency(n)
  if n ~= nil and (math.type(n) ~= "integer" or n < 1 or n > 100000) then
    error("max_concurrency must be an integer from 1 to 100000", 2)
  end
  return loop.transport():max_concurrency(n)
end

return llama_cloud

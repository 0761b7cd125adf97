-- Run by limits.c with all libraries: makes the globals of a script that is not trusted. It gets copies of libraries, and
-- functions for what it may do at LlamaCloud; the key is in LLAMA_CLOUD_API_KEY, where the script cannot read it.

local seconds = ...
local llama_cloud = require("llama_cloud")

-- No hook runs while a call waits, so each call has the time limit, too. Answers are received in memory that is not Lua's.
local client = llama_cloud.new { total_timeout = seconds, max_retries = 1, max_response_bytes = 1024 * 1024 }

local MOST = 100

-- A copy: what the script changes in it, nobody else calls.
local function copy(library, ...)
  local copied = {}
  for name, value in pairs(library) do
    copied[name] = value
  end
  for _, name in ipairs { ... } do
    copied[name] = nil
  end
  return copied
end

-- Finalizers run when they like, and Lua calls no hook in them: one that never returns would never be stopped.
local function set_metatable(t, metatable)
  if type(metatable) == "table" and rawget(metatable, "__gc") ~= nil then
    error("__gc is not allowed", 2)
  end
  return setmetatable(t, metatable)
end

-- Never the client itself, which reads and writes files, and sends the key to any base_url that it is given.
local batches = {}

--- Gets a batch: a table, or nil and a message.
function batches.get(id)
  if type(id) ~= "string" then
    error("get takes the id of a batch, a string", 2)
  end
  local batch, err = client.batches:get(id)
  return batch, err and tostring(err)
end

--- The newest batches that are running: an array, or nil and a message.
function batches.running()
  local found, err = client.batches:list({ status = "RUNNING" }):all { max_items = MOST }
  return found, err and tostring(err)
end

-- There is no `getmetatable`: that of strings leads to the table that all code calls, the client's, too. There is no `xpcall`:
-- where the hook raises, Lua calls the message handler inside of it, and no hook there.
return {
  assert = assert,
  error = error,
  ipairs = ipairs,
  next = next,
  pairs = pairs,
  pcall = pcall,
  print = print,
  select = select,
  setmetatable = set_metatable,
  tonumber = tonumber,
  tostring = tostring,
  type = type,
  coroutine = copy(coroutine),
  math = copy(math),
  string = copy(string, "dump"),
  table = copy(table),
  utf8 = copy(utf8),
  os = { clock = os.clock, date = os.date, time = os.time },
  batches = batches,
}

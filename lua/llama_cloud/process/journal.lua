--- The journal of a run: what was begun, and what came of it. A run that is started again reads what happened before, and
--- goes on from there.

local core = require("llama_cloud.core")

local journal = {}

---@alias LlamaCloud.Fact table<string, any> its values: strings of any bytes, booleans, finite numbers, and tables of these

---@class LlamaCloud.Journal
---@field run string the run's id: 16 hexadecimal digits, the same whenever it goes on
---@field resumed boolean whether it had a header when it was opened, so that a run goes on
---@field facts fun(self: LlamaCloud.Journal): fun(): LlamaCloud.Fact? the facts that it has, in their order, for a `for`; the file is read piece by piece. Raises an error of kind "file" at a line that cannot be read, with its number
---@field put fun(self: LlamaCloud.Journal, fact: LlamaCloud.Fact): true?, LlamaCloud.Error? adds a fact: all of it, or, where that fails, nothing, so that it can be tried again. What was put outlives the program, even if that is killed; after sync also the system. Raises for what is no fact, at the caller's line
---@field sync fun(self: LlamaCloud.Journal): true?, LlamaCloud.Error? waits until the disk has what was put. Once that has failed nobody can tell what the disk has, and the journal takes nothing more: open it again
---@field close fun(self: LlamaCloud.Journal) lets others open it; idempotent. Also __close

-- A new id of a run.
local function new_run()
  return (core.random(8):gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end))
end

---@class LlamaCloud.Journal.Memory: LlamaCloud.Journal
local Memory = {}
Memory.__index = Memory
Memory.__name = "llama_cloud.journal"

local function nothing() end

function Memory.facts()
  return nothing
end

function Memory:put(fact)
  if type(fact) ~= "table" then
    error(("a fact must be a table, not %s"):format(type(fact)), 2)
  elseif self.closed then
    error("the journal is closed", 2)
  end
  return true
end

function Memory:sync()
  if self.closed then
    error("the journal is closed", 2)
  end
  return true
end

function Memory:close()
  self.closed = true
end
Memory.__close = Memory.close

--- A journal for a run without one: it has no facts, and forgets what it is told, for nobody can open it again.
---@return LlamaCloud.Journal
function journal.memory()
  return setmetatable({ run = new_run(), resumed = false, closed = false }, Memory)
end

return journal

-- v2 batches. Number 1 is the oldest. The first `seeded` of them are computed from their number whenever they are looked
-- at, so that 100,000 cost nothing at the start; only created and cancelled ones are stored. A status is never stored: it
-- follows from the times at which a batch changes and the clock. The jobs of its files are in a store of their product's
-- (work.lua), which asks here what became of which file.

local clock_module = require("llama_cloud.sandbox.clock")
local directories = require("llama_cloud.sandbox.directories")
local json = require("llama_cloud.sandbox.json")
local lists = require("llama_cloud.sandbox.lists")
local seed = require("llama_cloud.sandbox.seed")

local format_time = clock_module.format
local hash, below = seed.hash, seed.below

local batches = {}

batches.STATUSES = { "PENDING", "THROTTLED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED" }

--- The final states, of batches and of their jobs.
batches.TERMINAL = { COMPLETED = true, FAILED = true, CANCELLED = true }
local TERMINAL = batches.TERMINAL

-- One minute between the seeded batches, which end an hour before the start; but the newest are only seconds old, and
-- still at work when the sandbox starts.
local SPACING = 60000
local AGE = 3600000
local LIVE_SPACING = 500
local MAX_LIVE = 20

-- No seeded batch takes more seconds than this at speed 1 (see `schedule`).
local MAX_WORK = 20

local NEVER = math.maxinteger // 2

--- More than the most files that a batch may cover: the jobs of a batch are numbered with it.
batches.SHARE = 1024

---@class llama_cloud.sandbox.batches
local batches_methods = {}
local batches_mt = { __name = "llama_cloud.sandbox.batches", __index = batches_methods }

--- An empty store, but for `seeded` batches that were made before.
---@param clock llama_cloud.sandbox.clock
---@param world integer the hash of the sandbox's seed
---@param seeded integer
---@return llama_cloud.sandbox.batches
function batches.new(clock, world, seeded)
  local directory_ids, directory_files = {}, {}
  for number = 1, directories.SEEDED do
    directory_ids[number] = directories.seeded(world, number)
    directory_files[number] = directories.named(directory_ids[number]).files
  end
  local start = clock:now()
  return setmetatable({
    clock = clock,
    world = world,
    scope = hash(world, 2),
    seeded = seeded,
    live = math.min(MAX_LIVE, seeded // 10),
    count = seeded,
    start = start,
    settled_at = start - AGE + clock:duration(MAX_WORK),
    directory_ids = directory_ids,
    directory_files = directory_files,
    project_id = seed.id("prj", world, 1),
    created = {}, -- number -> batch, of those created here
    cancelled = {}, -- number -> when its end was asked for
    encoded = {}, -- number -> JSON text of a batch that will not change any more
    work = {}, -- type -> the store of its jobs
  }, batches_mt)
end

--- Sets the store in which the jobs of batches of a type are.
---@param type string
---@param work llama_cloud.sandbox.work
function batches_methods:use(type, work)
  self.work[type] = work
end

function batches_methods:seeded_created_at(number)
  local rank = self.seeded - number -- 0 is the newest
  if rank < self.live then
    return self.start - (rank + 1) * LIVE_SPACING
  end
  local jitter = below(hash(self.scope, number, 1), SPACING)
  return self.start - AGE - (rank - self.live) * SPACING - jitter
end

function batches_methods:created_at(number)
  local made = self.created[number]
  return made and made.created_at or self:seeded_created_at(number)
end

local function directory_number(self, number)
  return 1 + below(hash(self.scope, number, 2), directories.SEEDED)
end

-- Sets when the phases end, in the clock's milliseconds.
local function schedule(self, batch, key)
  local clock = self.clock
  batch.pending_until = batch.created_at + clock:duration(1 + below(key, 2000) / 1000)
  batch.throttled_until = batch.pending_until + (batch.throttled and clock:duration(batch.throttled) or 0)
  batch.ends_at = batch.stuck and NEVER
    or batch.throttled_until + clock:duration(3 + below(hash(key, 1), 5000) / 1000 + batch.files / 10)
end

-- How an old seeded batch ended; THROTTLED for those that have not.
local function seeded_fate(key)
  local share = below(hash(key, 2), 100)
  return share < 4 and "FAILED" or share < 7 and "CANCELLED" or share < 8 and "THROTTLED" or "COMPLETED"
end

local function seeded_batch(self, number)
  local key = hash(self.scope, number, 3)
  local directory = directory_number(self, number)
  local extract = below(key, 5) == 0
  local batch = {
    number = number,
    created_at = self:seeded_created_at(number),
    directory_id = self.directory_ids[directory],
    project_id = self.project_id,
    type = extract and "extract_v2" or "parse_v2",
    configuration_id = extract and seed.id("cfg", self.world, below(key, 7)) or "cfg-PARSE_AGENTIC",
    files = self.directory_files[directory],
    fate = "COMPLETED",
  }
  if number <= self.seeded - self.live then
    batch.fate = seeded_fate(key)
    if batch.fate == "THROTTLED" then
      -- Over the plan's limit since then; goes on an hour after the start.
      batch.fate = "COMPLETED"
      batch.throttled = (self.start - batch.created_at) / 1000 * self.clock.speed + 3600
    end
  end
  schedule(self, batch, key)
  return batch
end

--- The batch of a number: its constant part. Its status is another question.
function batches_methods:at(number)
  return self.created[number] or seeded_batch(self, number)
end

---@param number integer
---@return string
function batches_methods:id(number)
  return seed.id("bat", self.scope, number)
end

--- The number of a batch id, or nil if there is no such batch.
---@param id string
---@return integer?
function batches_methods:find(id)
  local number = seed.number("bat", self.scope, id)
  return number and number >= 1 and number <= self.count and number or nil
end

-- Status, since when, and whether that is the last one.
local function state(self, batch)
  local now = self.clock:now()
  local cancelled_at = self.cancelled[batch.number]
  local ends_at, fate = batch.ends_at, batch.fate
  if cancelled_at then
    -- What runs needs a moment to stop; what waits is cancelled at once.
    ends_at, fate = cancelled_at, "CANCELLED"
    if cancelled_at >= batch.throttled_until then
      ends_at = cancelled_at + self.clock:duration(1)
    end
  end
  if now >= ends_at then
    return fate, ends_at
  elseif now < batch.pending_until then
    return "PENDING", batch.created_at
  elseif now < batch.throttled_until then
    return "THROTTLED", batch.pending_until
  end
  return "RUNNING", batch.throttled_until
end

--- When a batch was in the states that it has been in: times by their names.
---@param batch table
---@return table<string, integer>
function batches_methods:transitions(batch)
  local status, since = state(self, batch)
  local times = { PENDING = batch.created_at, [status] = since }
  if status ~= "PENDING" and status ~= "THROTTLED" and since >= batch.throttled_until then
    times.RUNNING = batch.throttled_until
  end
  return times
end

--- When the state of a batch ends by itself; nil for a terminal one.
---@param batch table
---@return integer?
function batches_methods:changes_at(batch)
  local status = state(self, batch)
  if TERMINAL[status] then
    return nil
  elseif status == "PENDING" then
    return batch.pending_until
  elseif status == "THROTTLED" then
    return batch.throttled_until
  end
  local cancelled_at = self.cancelled[batch.number]
  return cancelled_at and cancelled_at + self.clock:duration(1) or batch.ends_at
end

--- To be called when the clock was set: what was over may not be any more.
function batches_methods:clock_changed()
  self.encoded = {}
end

--- The current status of a batch. A list looks at many, so there is a short way for those that ended before the start.
---@param number integer
---@return string
function batches_methods:status(number)
  if number <= self.seeded - self.live and not self.cancelled[number] and self.clock:now() > self.settled_at then
    local fate = seeded_fate(hash(self.scope, number, 3))
    if fate ~= "THROTTLED" then
      return fate
    end
  end
  return (state(self, self:at(number)))
end

local BATCH = '{"id":"%s","project_id":%s,"source_directory_id":%s,'
  .. '"config":{"job":{"type":"%s","configuration_id":%s}},"status":"%s",'
  .. '"created_at":"%s","updated_at":"%s","results":%s}'

-- The files ------------------------------------------------------------------------------------------------------------

--- When a file's job begins: the files' turns come one after the other while the batch runs.
---@param batch table
---@param index integer
---@return integer
function batches_methods.mapped_at(_, batch, index)
  return batch.throttled_until + (batch.ends_at - batch.throttled_until) * index // batch.files
end

-- How many files have had their turn, for a status and since when that is.
local function mapped(self, batch, status, since)
  if status == "COMPLETED" then
    return batch.files
  elseif status == "FAILED" or status == "PENDING" or status == "THROTTLED" then
    return 0
  elseif status == "CANCELLED" and not self.cancelled[batch.number] then
    return batch.files // 2 -- one that was there at the start
  end
  local worked = (status == "CANCELLED" and since or self.clock:now()) - batch.throttled_until
  return math.floor(batch.files * math.max(0, math.min(1, worked / (batch.ends_at - batch.throttled_until))))
end

--- How many files of a batch have had their turn by now: those from the first on.
---@param batch table
---@return integer
function batches_methods:mapped(batch)
  return mapped(self, batch, state(self, batch))
end

---@class llama_cloud.sandbox.batch_file
---@field id string of the directory file
---@field name string
---@field key integer the hash from which its contents follow
---@field unmapped boolean whether it gets an error instead of a job
---@field fails boolean whether its job fails

--- A file of a batch, as it was when the batch was made.
---@param batch table
---@param index integer
---@return llama_cloud.sandbox.batch_file
function batches_methods:file(batch, index)
  local stored = batch.stored and batch.stored[index]
  if stored then
    return {
      id = stored.id,
      name = stored.name,
      key = stored.key,
      unmapped = stored.name:find("unmapped", 1, true) ~= nil,
      fails = false, -- that is for the job to see
    }
  end
  local scope, id = hash(self.scope, batch.number, 4), directories.file(batch.directory_id, index)
  return {
    id = id,
    name = string.format("document-%04d.pdf", index),
    key = seed.hash_string(id),
    unmapped = below(hash(scope, index), 33) == 0,
    fails = below(hash(scope, index, 1), 33) == 0,
  }
end

-- The results of a batch that has any: everything when completed, what was done by then when cancelled.
local function results(self, batch, status, ended_at)
  if status ~= "COMPLETED" and status ~= "CANCELLED" then
    return "null"
  end
  local entries, work = {}, self.work[batch.type]
  for index = 1, mapped(self, batch, status, ended_at) do
    local file = self:file(batch, index)
    if file.unmapped then
      entries[index] = string.format(
        '{"source_directory_file_id":"%s","job_reference":null,"error_message":"The file type is not supported"}',
        file.id
      )
    else
      entries[index] = string.format(
        '{"source_directory_file_id":"%s","job_reference":{"type":"%s","id":"%s"},"error_message":null}',
        file.id,
        batch.type,
        work:id(work:number_in(batch, index))
      )
    end
  end
  return "[" .. table.concat(entries, ",") .. "]"
end

--- The JSON text of a batch.
---@param number integer
---@param with_results? boolean
---@return string
function batches_methods:encode(number, with_results)
  local text = not with_results and self.encoded[number]
  if text then
    return text
  end
  local batch = self:at(number)
  local status, since = state(self, batch)
  text = BATCH:format(
    self:id(number),
    json.quote(batch.project_id),
    json.quote(batch.directory_id),
    batch.type,
    json.quote(batch.configuration_id),
    status,
    format_time(batch.created_at),
    format_time(since),
    with_results and results(self, batch, status, since) or "null"
  )
  if TERMINAL[status] and not with_results then
    self.encoded[number] = text
  end
  return text
end

--- Makes a batch and returns its number.
---@param directory_id string
---@param directory llama_cloud.sandbox.directory
---@param job { type: string, configuration_id: string, options?: table, ratio?: number }
---@param project_id? string
---@return integer
function batches_methods:create(directory_id, directory, job, project_id)
  local number = self.count + 1
  local previous = number > 1 and self:created_at(number - 1) or 0
  local batch = {
    number = number,
    created_at = math.max(self.work[job.type]:creation_time(), previous + 1), -- strictly ascending: lists are ordered by it
    directory_id = directory_id,
    project_id = project_id or self.project_id,
    type = job.type,
    configuration_id = job.configuration_id,
    options = job.options, -- of the configuration, as they are now
    ratio = job.ratio,
    files = directory.files,
    file_ids = directory.file_ids,
    fate = directory.fate,
    throttled = directory.throttled and 5 or nil,
    stuck = directory.stuck,
    stored = directory.list, -- of a directory that was made and filled here
  }
  schedule(self, batch, hash(self.scope, number, 3))
  self.created[number] = batch
  self.count = number
  self.work[batch.type]:add_batch(batch)
  return number
end

--- Asks a batch to stop; false if it is over already.
---@param number integer
---@return boolean
function batches_methods:cancel(number)
  if TERMINAL[self:status(number)] then
    return false
  end
  self.cancelled[number] = self.cancelled[number] or self.clock:now()
  return true
end

-- The lowest number whose batch was created at `time` or later.
local function first_since(self, time)
  return lists.lowest(1, self.count + 1, function(number)
    return self:created_at(number) >= time
  end)
end

---@class llama_cloud.sandbox.batch_filters
---@field created_at_on_or_after? integer
---@field created_at_on_or_before? integer
---@field status? string
---@field source_directory_id? string

--- The numbers of up to `limit` batches, newest first, that are older than number `before` and match; and whether more follow.
---@param filters llama_cloud.sandbox.batch_filters
---@param before? integer
---@param limit integer
---@return integer[]
---@return boolean more
function batches_methods:list(filters, before, limit)
  local first = filters.created_at_on_or_after and first_since(self, filters.created_at_on_or_after) or 1
  local last = filters.created_at_on_or_before and first_since(self, filters.created_at_on_or_before + 1) - 1
    or self.count
  if before then
    last = math.min(last, before - 1)
  end
  local directory_id, status = filters.source_directory_id, filters.status
  local seeded_directory = directory_id and directories.seeded_number(self.world, directory_id)
  if directory_id and not seeded_directory then
    first = math.max(first, self.seeded + 1) -- the batches that were there at the start are of seeded directories
  end
  return lists.take(limit, last, first, -1, function(number)
    local made = self.created[number]
    local matches = not directory_id
      or made and made.directory_id == directory_id
      or not made and directory_number(self, number) == seeded_directory
    return matches and (not status or self:status(number) == status) and number
  end)
end

return batches

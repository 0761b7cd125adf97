-- The jobs of one product: parse, extract, classify or split. All jobs of a store are in one order, oldest first. Its
-- entries are jobs that were asked for one by one, and batches, each of which stands for one job per file; the batches that
-- were there at the start are the entries 0, -1, -2 … backwards in time, and cost nothing. What a job goes through is not
-- stored: it follows from its number, its document and the clock.

local batches_module = require("llama_cloud.sandbox.batches")
local document = require("llama_cloud.sandbox.document")
local json = require("llama_cloud.sandbox.json")
local lists = require("llama_cloud.sandbox.lists")
local seed = require("llama_cloud.sandbox.seed")

local hash, below = seed.hash, seed.below

local work = {}

--- A job's number is its entry's times this, plus the index of the file where the entry is a batch.
local SHARE = batches_module.SHARE
-- Numbers of jobs that were there at the start are negative; an id carries the number plus this.
local ID_OFFSET = 1 << 40
local NEVER = math.maxinteger // 2

--- The error message of jobs that fail.
work.FAILURE = "The document could not be read"

work.STATUSES = { "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED" }

local TERMINAL = batches_module.TERMINAL

---@class llama_cloud.sandbox.work
---@field last integer the newest entry
local work_methods = {}
local work_mt = { __name = "llama_cloud.sandbox.work", __index = work_methods }

---@class llama_cloud.sandbox.work_options
---@field clock llama_cloud.sandbox.clock
---@field world integer the hash of the sandbox's seed
---@field prefix string of ids: "pjb"
---@field batches? llama_cloud.sandbox.batches whose jobs are of this product, if they are
---@field type? string the type of those batches: "parse_v2"
---@field spelled? table<string, string> how the product calls its statuses, if not as they are called here

--- A store without jobs, but for those of the batches that were there at the start.
---@param options llama_cloud.sandbox.work_options
---@return llama_cloud.sandbox.work
function work.new(options)
  local self = setmetatable({
    clock = options.clock,
    prefix = options.prefix,
    scope = hash(options.world, seed.hash_string(options.prefix)),
    project_id = seed.id("prj", options.world, 1),
    batches = options.batches,
    type = options.type,
    spelled = options.spelled,
    first = options.batches and 1 - options.batches.seeded or 1,
    last = 0,
    entries = {}, -- from 1: jobs and batches that were made here
    cancelled = {}, -- number -> when its end was asked for
    deleted = {}, -- number -> true
    transactions = {}, -- project and transaction id -> number
    shared = {}, -- JSON text -> the value
  }, work_mt)
  if options.batches then
    options.batches:use(options.type, self)
  end
  return self
end

-- The entry of an index: a job, a batch, or nil where the batch is of another product.
local function entry_at(self, index)
  if index > 0 then
    return self.entries[index]
  end
  local batch = self.batches:at(self.batches.seeded + index)
  return batch.type == self.type and batch or nil
end

local function created_at(self, index)
  return index > 0 and self.entries[index].created_at or self.batches:seeded_created_at(self.batches.seeded + index)
end

---@param number integer
---@return string
function work_methods:id(number)
  return seed.id(self.prefix, self.scope, number + ID_OFFSET)
end

--- The number of the job that a batch has for its file of an index.
---@param batch table
---@param index integer
---@return integer
function work_methods:number_in(batch, index)
  local entry = batch.entry or batch.number - self.batches.seeded
  return entry * SHARE + index
end

--- To be called with each new batch of this product.
---@param batch table
function work_methods:add_batch(batch)
  self.last = self.last + 1
  self.entries[self.last] = batch
  batch.entry = self.last
end

--- A value that is stored once, however many jobs have its like.
---@param value table
---@return table
function work_methods:share(value)
  local text = json.encode(value)
  self.shared[text] = self.shared[text] or value
  return self.shared[text]
end

-- The project and transaction id of a creation as one key.
local function transaction_key(project_id, transaction_id)
  return project_id .. "\0" .. transaction_id
end

--- The job that was created in a project with a transaction id and was not deleted, or nil.
---@param project_id? string
---@param transaction_id string
---@return integer? number
function work_methods:of_transaction(project_id, transaction_id)
  local number = self.transactions[transaction_key(project_id or self.project_id, transaction_id)]
  return not self.deleted[number or 0] and number or nil
end

--- When what is created now counts as created: lists are ordered by it, so all entries differ.
---@return integer
function work_methods:creation_time()
  local previous = self.last >= self.first and created_at(self, self.last) or 0
  return math.max(self.clock:now(), previous + 1)
end

--- Makes a job of `fields` (`input`, `name`, `key` and what the product needs) and returns its number.
---@param fields table
---@param project_id? string
---@param transaction_id? string
---@return integer number
function work_methods:create(fields, project_id, transaction_id)
  fields.created_at = self:creation_time()
  self.last = self.last + 1
  fields.project_id = project_id
  fields.transaction_id = transaction_id
  self.entries[self.last] = fields
  if transaction_id then
    self.transactions[transaction_key(project_id or self.project_id, transaction_id)] = self.last * SHARE
  end
  return self.last * SHARE
end

---@class llama_cloud.sandbox.job
---@field number integer
---@field project_id string
---@field created_at integer
---@field starts_at integer
---@field ends_at integer
---@field fate string
---@field input string the id of what it works on
---@field name string
---@field key integer the hash from which the document's contents follow
---@field pages integer of the document
---@field fields table what it was created with; of a job of a batch, the batch

-- Sets when work ends, and how.
local function schedule(self, job, ratio)
  local key = hash(self.scope, job.number, 2)
  job.ends_at = job.starts_at + self.clock:duration(1 + below(key, 2000) / 1000 + job.pages / 20)
  local fate = document.fate(job.name)
  if fate == "stuck" then
    job.ends_at = NEVER
  end
  job.fate = fate == "failed" and "FAILED" or "COMPLETED"
  if ratio and document.failed_pages(job.key, job.name) > ratio * job.pages then
    job.fate = "FAILED"
  end
  return job
end

local function batch_job(self, batch, index, number)
  local file = self.batches:file(batch, index)
  local job = schedule(self, {
    number = number,
    project_id = batch.project_id,
    created_at = batch.created_at,
    starts_at = self.batches:mapped_at(batch, index),
    input = file.id,
    name = file.name,
    key = file.key,
    pages = document.pages(file.key, file.name),
    fields = batch,
  }, batch.ratio)
  if file.fails then
    job.fate = "FAILED"
  end
  return job
end

--- The job of a number; its status is another question.
---@param number integer
---@return llama_cloud.sandbox.job
function work_methods:at(number)
  local entry, index = entry_at(self, number // SHARE), number % SHARE
  if entry.files then
    return batch_job(self, entry, index, number)
  end
  local key = hash(self.scope, number, 1)
  return schedule(self, {
    number = number,
    project_id = entry.project_id or self.project_id,
    created_at = entry.created_at,
    starts_at = entry.created_at + self.clock:duration(0.5 + below(key, 1000) / 1000),
    input = entry.input,
    name = entry.name,
    key = entry.key,
    pages = document.pages(entry.key, entry.name),
    fields = entry,
  }, entry.ratio)
end

-- How many of an entry's jobs there may be by now, and whether it is a batch. Those that could not be mapped are among them.
local function jobs_of(self, entry)
  if entry.files then
    return self.batches:mapped(entry), true
  end
  return 0, false
end

--- The number of a job id, or nil if there is no such job (yet, or any more).
---@param id string
---@return integer?
function work_methods:find(id)
  local number = seed.number(self.prefix, self.scope, id)
  number = number and number - ID_OFFSET
  local index = number and number // SHARE
  if not index or index < self.first or index > self.last or self.deleted[number] then
    return nil
  end
  local entry, share = entry_at(self, index), number % SHARE
  if not entry then
    return nil
  end
  local jobs, is_batch = jobs_of(self, entry)
  if not is_batch then
    return share == 0 and number or nil
  end
  return share >= 1 and share <= jobs and not self.batches:file(entry, share).unmapped and number or nil
end

--- The status of a job, and since when.
---@param job llama_cloud.sandbox.job
---@return string status
---@return integer since
function work_methods:state(job)
  local now = self.clock:now()
  local ends_at, fate = job.ends_at, job.fate
  local cancelled_at = self.cancelled[job.number]
  if cancelled_at then
    -- What runs needs a moment to stop; what waits is cancelled at once.
    fate = "CANCELLED"
    ends_at = cancelled_at < job.starts_at and cancelled_at or cancelled_at + self.clock:duration(1)
  end
  if now >= ends_at then
    return fate, ends_at
  elseif now < job.starts_at then
    return "PENDING", job.created_at
  end
  return "RUNNING", job.starts_at
end

--- When a job was pending, running, and over, as far as that has come: the times of its states by their names.
---@param job llama_cloud.sandbox.job
---@return table<string, integer>
function work_methods:transitions(job)
  local status, since = self:state(job)
  local times = { PENDING = job.created_at, [status] = since }
  if status ~= "PENDING" and since >= job.starts_at then
    times.RUNNING = job.starts_at
  end
  return times
end

--- When the state of a job ends by itself; nil for a terminal one.
---@param job llama_cloud.sandbox.job
---@return integer?
function work_methods:changes_at(job)
  local status = self:state(job)
  if TERMINAL[status] then
    return nil
  elseif status == "PENDING" then
    return job.starts_at
  end
  local cancelled_at = self.cancelled[job.number]
  return cancelled_at and cancelled_at + self.clock:duration(1) or job.ends_at
end

--- Asks a job to stop; false if it is over already.
---@param number integer
---@return boolean
function work_methods:cancel(number)
  if TERMINAL[self:state(self:at(number))] then
    return false
  end
  self.cancelled[number] = self.cancelled[number] or self.clock:now()
  return true
end

--- Removes a job; false if it is not over yet.
---@param number integer
---@return boolean
function work_methods:delete(number)
  if not TERMINAL[self:state(self:at(number))] then
    return false
  end
  self.deleted[number] = true
  return true
end

-- The lowest entry that was created at `time` or later.
local function first_since(self, time)
  return lists.lowest(self.first, self.last + 1, function(index)
    return created_at(self, index) >= time
  end)
end

---@class llama_cloud.sandbox.work_filters
---@field created_at_on_or_after? integer
---@field created_at_on_or_before? integer
---@field status? string|table<string, boolean>
---@field job_ids? string[]
---@field match? fun(job: llama_cloud.sandbox.job): boolean

local function matches(self, number, filters, status)
  if self.deleted[number] then
    return false
  elseif not status and not filters.match then
    return true
  end
  local job = self:at(number)
  return (not status or status[self:state(job)]) and (not filters.match or filters.match(job))
end

-- Of the jobs of given ids, those that are there, newest first.
local function by_ids(self, filters, status, before, limit)
  local numbers, seen = {}, {}
  for _, id in ipairs(filters.job_ids) do
    local number = self:find(id)
    if number and not seen[number] and not (before and number >= before) then
      seen[number] = true
      local made = created_at(self, number // SHARE)
      if
        (not filters.created_at_on_or_after or made >= filters.created_at_on_or_after)
        and (not filters.created_at_on_or_before or made <= filters.created_at_on_or_before)
        and matches(self, number, filters, status)
      then
        numbers[#numbers + 1] = number
      end
    end
  end
  table.sort(numbers, function(a, b)
    return a > b
  end)
  return table.move(numbers, 1, math.min(#numbers, limit), 1, {}), #numbers > limit
end

--- The numbers of up to `limit` jobs, newest first, that are older than number `before` and match; and whether more follow.
---@param filters llama_cloud.sandbox.work_filters
---@param before? integer
---@param limit integer
---@return integer[]
---@return boolean more
function work_methods:list(filters, before, limit)
  local status = filters.status
  status = type(status) == "string" and { [status] = true } or status
  if filters.job_ids then
    return by_ids(self, filters, status, before, limit)
  end
  local first = filters.created_at_on_or_after and first_since(self, filters.created_at_on_or_after) or self.first
  local last = filters.created_at_on_or_before and first_since(self, filters.created_at_on_or_before + 1) - 1
    or self.last
  last = before and math.min(last, (before - 1) // SHARE) or last
  local found = {}
  for index = last, first, -1 do
    local entry = entry_at(self, index)
    local jobs, is_batch = 0, false
    if entry then
      jobs, is_batch = jobs_of(self, entry)
    end
    for number = index * SHARE + jobs, index * SHARE + (is_batch and 1 or 0), -1 do
      if
        entry
        and not (before and number >= before)
        and not (is_batch and self.batches:file(entry, number % SHARE).unmapped)
        and matches(self, number, filters, status)
      then
        if #found == limit then
          return found, true
        end
        found[#found + 1] = number
      end
    end
  end
  return found, false
end

return work

-- v1 batch jobs and their items. As with batches: number 1 is the oldest, what was there at the start is computed from its
-- number, and status and counts follow from the clock.

local clock_module = require("llama_cloud.sandbox.clock")
local directories = require("llama_cloud.sandbox.directories")
local json = require("llama_cloud.sandbox.json")
local seed = require("llama_cloud.sandbox.seed")

local FATES = { COMPLETED = "completed", FAILED = "failed" } -- a directory's, as jobs spell them

local format_time = clock_module.format
local hash, below = seed.hash, seed.below

local jobs = {}

jobs.TYPES = { "parse", "extract", "classify" }
jobs.STATUSES = { "pending", "running", "dispatched", "completed", "failed", "cancelled" }
jobs.ITEM_STATUSES = { "pending", "processing", "completed", "failed", "skipped", "cancelled" }

local TERMINAL = { completed = true, failed = true, cancelled = true }

local SPACING = 90000
local AGE = 3600000
local LIVE_SPACING = 700
local MAX_LIVE = 10
local MAX_ITEMS = 1 << 20 -- an item's number is its job's number times this, plus its index

---@class llama_cloud.sandbox.jobs
local jobs_methods = {}
local jobs_mt = { __name = "llama_cloud.sandbox.jobs", __index = jobs_methods }

--- A store with `seeded` jobs that were made before.
---@param clock llama_cloud.sandbox.clock
---@param world integer the hash of the sandbox's seed
---@param seeded integer
---@return llama_cloud.sandbox.jobs
function jobs.new(clock, world, seeded)
  return setmetatable({
    clock = clock,
    world = world,
    scope = hash(world, 5),
    item_scope = hash(world, 6),
    seeded = seeded,
    live = math.min(MAX_LIVE, seeded // 10),
    count = seeded,
    start = clock:now(),
    project_id = seed.id("prj", world, 1),
    created = {}, -- number -> job
    cancelled = {}, -- number -> when
    over = {}, -- number -> a job that will not change any more, as `show` gives it
    named_items = {}, -- item id that a caller gave -> { job number, index }
  }, jobs_mt)
end

local function seeded_job(self, number)
  local key = hash(self.scope, number, 1)
  local rank = self.seeded - number
  local directory_id = directories.seeded(self.world, 1 + below(key, directories.SEEDED))
  local job = {
    number = number,
    directory_id = directory_id,
    project_id = self.project_id,
    total = directories.named(directory_id).files,
    type = jobs.TYPES[1 + below(hash(key, 1), 3)],
    fate = "completed",
  }
  if rank < self.live then
    job.created_at = self.start - (rank + 1) * LIVE_SPACING
  else
    job.created_at = self.start - AGE - (rank - self.live) * SPACING - below(hash(key, 2), SPACING)
    local share = below(hash(key, 3), 100)
    job.fate = share < 4 and "failed" or share < 8 and "cancelled" or "completed"
  end
  return job
end

-- Sets when work on the job starts and ends.
local function schedule(self, job)
  local key = hash(self.scope, job.number, 2)
  job.starts_at = job.created_at + self.clock:duration(1 + below(key, 1500) / 1000)
  job.ends_at = job.stuck and math.maxinteger // 2
    or job.starts_at + self.clock:duration(3 + below(hash(key, 1), 3000) / 1000 + job.total / 5)
  return job
end

function jobs_methods:at(number)
  return self.created[number] or schedule(self, seeded_job(self, number))
end

--- The number of a job id, or nil if there is no such job.
---@param id string
---@return integer?
function jobs_methods:find(id)
  local number = seed.number("bjb", self.scope, id)
  return number and number >= 1 and number <= self.count and number or nil
end

---@param number integer
---@return string
function jobs_methods:id(number)
  return seed.id("bjb", self.scope, number)
end

-- What becomes of an item when its turn comes.
local function item_outcome(self, job, index)
  local share = below(hash(self.item_scope, job.number, index), 100)
  return share < 4 and "failed" or share < 7 and "skipped" or "completed"
end

-- Status, since when, and how many items are dealt with.
local function state(self, job)
  local now = self.clock:now()
  local ends_at, fate = job.ends_at, job.fate
  local cancelled_at = self.cancelled[job.number]
  if cancelled_at then
    ends_at, fate = cancelled_at, "cancelled"
  end
  local at = math.min(now, ends_at)
  local done = 0
  if job.stuck then
    done = at > job.starts_at and job.total // 2 or 0
  elseif at > job.starts_at then
    done = math.floor(job.total * math.min(1, (at - job.starts_at) / (job.ends_at - job.starts_at)))
  end
  if now >= ends_at then
    -- A seeded job that did not complete got half way.
    return fate, ends_at, fate ~= "completed" and not cancelled_at and job.total // 2 or done
  elseif now < job.starts_at then
    return "pending", job.created_at, 0
  end
  return "running", job.starts_at, done
end

local function item_status(self, job, index, status, done)
  if index <= done then
    return item_outcome(self, job, index)
  elseif status == "running" then
    return index == done + 1 and "processing" or "pending"
  end
  return TERMINAL[status] and "cancelled" or "pending"
end

local JOB = '{"id":"%s","job_type":"%s","project_id":%s,"status":"%s","total_items":%d,"completed_at":%s,'
  .. '"created_at":"%s","directory_id":%s,"effective_at":"%s","error_message":%s,"failed_items":%d,'
  .. '"job_record_id":"%s","processed_items":%d,"skipped_items":%d,"started_at":%s,"updated_at":"%s",'
  .. '"workflow_id":"%s"}'

local function quoted_time(milliseconds)
  return '"' .. format_time(milliseconds) .. '"'
end

---@class llama_cloud.sandbox.shown_job
---@field id string
---@field status string
---@field processed_items integer
---@field progress number in percent
---@field text string the job as JSON

--- A job as the API shows it now.
---@param number integer
---@return llama_cloud.sandbox.shown_job
function jobs_methods:show(number)
  local shown = self.over[number]
  if shown then
    return shown
  end
  local job = self:at(number)
  local status, since, done = state(self, job)
  local counts = { completed = 0, failed = 0, skipped = 0 }
  for index = 1, done do
    local outcome = item_outcome(self, job, index)
    counts[outcome] = counts[outcome] + 1
  end
  local ended = TERMINAL[status]
  -- A job cancelled before it started never did.
  local started = status ~= "pending" and since >= job.starts_at
  shown = {
    id = self:id(number),
    status = status,
    processed_items = counts.completed,
    progress = job.total > 0 and math.floor(1000 * done / job.total) / 10 or ended and 100 or 0,
  }
  shown.text = JOB:format(
    shown.id,
    job.type,
    json.quote(job.project_id),
    status,
    job.total,
    ended and quoted_time(since) or "null",
    format_time(job.created_at),
    json.quote(job.directory_id),
    format_time(since),
    status == "failed" and '"The workflow was terminated"' or "null",
    counts.failed,
    seed.id("jrc", self.scope, number),
    counts.completed,
    counts.skipped,
    started and quoted_time(job.starts_at) or "null",
    format_time(since),
    seed.id("wfl", self.scope, number)
  )
  if ended then
    self.over[number] = shown
  end
  return shown
end

--- To be called when the clock was set: what was over may not be any more.
function jobs_methods:clock_changed()
  self.over = {}
end

--- Makes a job and returns its number.
---@param source { directory_id?: string, directory?: llama_cloud.sandbox.directory, item_ids?: string[], item_names?: string[], type: string }
---@param project_id? string
---@return integer
function jobs_methods:create(source, project_id)
  local number = self.count + 1
  local previous = number > 1 and self:at(number - 1).created_at or 0
  local directory = source.directory
  local job = {
    number = number,
    created_at = math.max(self.clock:now(), previous + 1),
    directory_id = source.directory_id,
    item_ids = source.item_ids,
    item_names = source.item_names,
    project_id = project_id or self.project_id,
    total = directory and directory.files or #source.item_ids,
    type = source.type,
    fate = directory and FATES[directory.fate] or "completed",
    stuck = directory and directory.stuck,
  }
  for index, id in ipairs(source.item_ids or {}) do
    self.named_items[id] = { number, index }
  end
  self.created[number] = schedule(self, job)
  self.count = number
  return number
end

--- Cancels a job; false if it is over already.
---@param number integer
---@return boolean
function jobs_methods:cancel(number)
  if TERMINAL[self:show(number).status] then
    return false
  end
  self.cancelled[number] = self.clock:now()
  return true
end

--- Up to `limit` jobs after the first `offset` that match, newest first, and how many match in all.
---@param filters { directory_id?: string, job_type?: string, status?: string }
---@param offset integer
---@param limit integer
---@return string[] jobs as JSON
---@return integer total
function jobs_methods:list(filters, offset, limit)
  local found = {}
  if not (filters.directory_id or filters.job_type or filters.status) then
    for number = self.count - offset, math.max(1, self.count - offset - limit + 1), -1 do
      found[#found + 1] = self:show(number).text
    end
    return found, self.count
  end
  local total = 0
  for number = self.count, 1, -1 do
    local job = self:at(number)
    if
      (not filters.directory_id or job.directory_id == filters.directory_id)
      and (not filters.job_type or job.type == filters.job_type)
      and (not filters.status or state(self, job) == filters.status)
    then
      total = total + 1
      if total > offset and #found < limit then
        found[#found + 1] = self:show(number).text
      end
    end
  end
  return found, total
end

local function item_id(self, job, index)
  return job.item_ids and job.item_ids[index] or seed.id("dfl", self.item_scope, job.number * MAX_ITEMS + index)
end

-- An item as the API shows it.
local function show_item(self, job, index)
  local status, since, done = state(self, job)
  local item = item_status(self, job, index, status, done)
  local finished = index <= done
  return {
    item_id = item_id(self, job, index),
    item_name = job.item_names and job.item_names[index] or string.format("document-%04d.pdf", index),
    status = item,
    job_id = finished and item == "completed" and seed.id("pjb", self.item_scope, job.number * MAX_ITEMS + index)
      or json.null,
    job_record_id = json.null,
    skip_reason = item == "skipped" and "already_processed" or json.null,
    error_message = item == "failed" and "The file is damaged" or json.null,
    started_at = (finished or item == "processing") and format_time(job.starts_at) or json.null,
    completed_at = finished and format_time(since) or json.null,
    effective_at = format_time(since),
  }
end

--- Items of a job, in order, and how many match.
---@param number integer
---@param status? string
---@param offset integer
---@param limit integer
---@return string[] items as JSON
---@return integer total
function jobs_methods:items(number, status, offset, limit)
  local job = self:at(number)
  local found, total = {}, 0
  local job_status, _, done = state(self, job)
  for index = 1, job.total do
    if not status or item_status(self, job, index, job_status, done) == status then
      total = total + 1
      if total > offset and #found < limit then
        found[#found + 1] = json.encode(show_item(self, job, index))
      end
    end
  end
  return found, total
end

--- The processing results of an item, or nil if there is no such item.
---@param id string
---@param job_type? string
---@return table?
function jobs_methods:processing_results(id, job_type)
  local number, index
  local named = self.named_items[id]
  if named then
    number, index = named[1], named[2]
  else
    local packed = seed.number("dfl", self.item_scope, id)
    if not packed then
      return nil
    end
    number, index = packed // MAX_ITEMS, packed % MAX_ITEMS
  end
  if number < 1 or number > self.count then
    return nil
  end
  local job = self:at(number)
  if index < 1 or index > job.total then
    return nil
  end
  local item = show_item(self, job, index)
  local results = json.array {}
  if item.status == "completed" and (not job_type or job_type == job.type) then
    local key = hash(self.item_scope, number, index)
    results[1] = {
      result_id = seed.id("res", self.item_scope, number * MAX_ITEMS + index),
      item_id = id,
      job_type = job.type,
      job_config = { job_name = job.type .. "_raw_file_job" },
      parameters_hash = string.format("%016x", key),
      output_s3_path = string.format("s3://sandbox/%s/%s/%04d.json", job.project_id, self:id(number), index),
      processed_at = item.completed_at,
      output_metadata = json.null,
    }
  end
  return { item_id = id, item_name = item.item_name, processing_results = results }
end

return jobs

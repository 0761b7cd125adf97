--- From a full directory to the jobs of its files: the batch, which maps each file to a job, and the wait for these.

local directories = require("llama_cloud.process.directories")
local errors = require("llama_cloud.base.errors")
local results = require("llama_cloud.process.results")
local tables = require("llama_cloud.base.tables")
local trouble = require("llama_cloud.process.trouble")

local batches = {}

local RESOURCES = { parse_v2 = "parsing", extract_v2 = "extract" }

--- Which resource has the jobs of a type.
---@param job_type string
---@return string? name
function batches.resource_of(job_type)
  return RESOURCES[job_type]
end

-- The batch over a directory, if it has one. Nobody else makes batches over it.
local function find(run, directory)
  local params = run:scope { source_directory_id = directory.id }
  local found, err = run.client.batches:list(params, run:call_options()):all()
  local oldest
  for _, batch in ipairs(found or {}) do -- the newest comes first
    oldest = batch.source_directory_id == directory.id and batch or oldest
  end
  return oldest, err
end

-- Creates the batch; its intent is on the disk before. False: the directory is no longer there.
local function create(run, directory)
  run.history:note { t = "batch", n = directory.n }
  run.history:sync()
  local function send()
    local params = run:scope { source_directory_id = directory.id, config = run.params.config }
    params.webhook_configuration_ids = run.params.webhook_configuration_ids
    params.webhook_configurations = run.params.webhook_configurations
    return run.client.batches:create(params, run:call_options())
  end
  local made, err = trouble.create(run, send, function()
    return find(run, directory)
  end)
  if made then
    run.history:note { t = "batch", n = directory.n, id = made.id }
    table.insert(run.progress.batches, made.id)
  elseif directories.is_gone(run, directory, err) then
    return false
  else
    error(err, 0)
  end
  return true
end

-- Finds the batch that an earlier run was about to create.
local function adopt(run, directory)
  local found, err = trouble.look(run, function()
    return find(run, directory)
  end)
  if err and err.status ~= 404 then
    error(err, 0)
  elseif found then
    run.history:note { t = "batch", n = directory.n, id = found.id }
    directories.release(run, directory)
  end
end

-- Sees to it that a directory has its batch. False: the directory is no longer there, or no file of it is left.
local function begin(run, directory)
  if directory.intent and not directory.batch then
    adopt(run, directory)
  end
  if directory.batch then
    return true
  end
  if directory.resumed then
    directories.look_for_changes(directory)
  end
  directories.await(run, directory)
  local there = directories.mend(run, directory)
  local any = false
  for _, entry in pairs(directory.entries) do
    any = any or not entry.failed
  end
  if there and any then
    there = create(run, directory)
  end
  if not there then
    directories.abandon(run, directory)
    return false
  end
  return any
end

-- Waits for the batch. What it says of its files, and an error where not all of them have a job.
local function outcome(run, directory)
  local batch, err = trouble.persist(run, function()
    local params = run:scope { expand = { "results" } }
    return run.client.batches:wait(directory.batch, params, run:wait_options())
  end)
  if batch then
    local message = ("batch %s has no result for this file"):format(directory.batch)
    return batch.results or {}, errors.new { kind = "batch_failed", message = message }
  elseif not err.batch then
    return {}, err
  end
  local ended, problem = trouble.persist(run, function()
    return run.client.batches:get(directory.batch, run:scope { expand = { "results" } }, run:call_options())
  end)
  if ended then
    return ended.results or {}, err
  elseif problem.status == 404 then
    return {}, problem -- it was deleted meanwhile
  end
  error(problem, 0)
end

-- Fails a file, and those with the same job, by what has become of its batch or job.
local function fail(run, entry, err)
  repeat
    run:fail(entry, err, err.kind == "batch_cancelled" and "CANCELLED" or "FAILED")
    entry = entry.twin
  until not entry
end

-- Hands over a file, and those with the same job, when that has ended.
local function hand_over(run, entry, job)
  repeat
    entry.result = run.rule.jobs_hold_results and job or nil
    results.hand_over(run, entry)
    entry = entry.twin
  until not entry
end

-- The files that have jobs, in the order of the results; the others fail. Files with the same content may have the same job:
-- then the first stands for all.
local function map(run, directory, outcomes, err)
  local by_id, by_job, mapped = {}, {}, {}
  for _, entry in pairs(directory.entries) do
    if entry.dfl and not entry.failed then
      by_id[entry.dfl] = entry
    end
  end
  for _, result in ipairs(outcomes) do
    local entry = by_id[result.source_directory_file_id]
    local job = type(result.job_reference) == "table" and result.job_reference.id
    if entry and job then
      by_id[result.source_directory_file_id] = nil
      local first = by_job[job]
      entry.job, by_job[job] = job, first or entry
      if first then
        entry.twin, first.twin = first.twin, entry
      else
        mapped[#mapped + 1] = entry
      end
    elseif entry and result.error_message then
      by_id[result.source_directory_file_id] = nil
      fail(run, entry, errors.new { kind = "batch_failed", message = tostring(result.error_message) })
    end
  end
  for _, entry in pairs(by_id) do
    fail(run, entry, err)
  end
  return mapped
end

-- Waits for the jobs of some files once. Each that has ended is handed over, or fails; of the others an error, which passes or
-- holds for the whole run.
local function look(run, waiting)
  local ids, last = tables.sorted_keys(waiting), nil
  local params = run:scope { expand = run.rule.jobs_hold_results and run.params.expand or nil }
  for id, job, err in run.client[run.resource]:wait_all(ids, params, run:wait_options()) do
    local entry = waiting[id]
    if not job and (trouble.passes(err) or trouble.is_of_all(err)) then
      last = err
    else
      waiting[id] = nil
      if job then
        hand_over(run, entry, job)
      else
        fail(run, entry, err)
      end
    end
  end
  return last == nil or nil, last
end

-- Waits for the jobs of files, and hands them over as they end.
local function await_jobs(run, entries)
  local waiting = {}
  for _, entry in ipairs(entries) do
    waiting[entry.job] = entry
  end
  trouble.persist(run, function()
    return look(run, waiting)
  end)
end

--- Takes a directory from when it is full to when all its jobs have ended.
---@param run LlamaCloud.Run
---@param directory LlamaCloud.RunDirectory
function batches.process(run, directory)
  local had = directory.batch
  local begun = begin(run, directory)
  if not had then
    run.unbatched = run.unbatched - 1
    run:notify()
  end
  if begun then
    for _, entry in pairs(directory.entries) do
      run:mark_processing(entry)
    end
    await_jobs(run, map(run, directory, outcome(run, directory)))
  end
  directory.processed = true
  directories.settle(run, directory)
end

--- Goes on with a directory of an earlier run. No further files are put into it.
---@param run LlamaCloud.Run
---@param directory LlamaCloud.RunDirectory
function batches.resume(run, directory)
  directory.resumed = not directory.batch
  batches.process(run, directory)
end

return batches

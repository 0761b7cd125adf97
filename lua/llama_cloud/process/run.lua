--- A run: what its stages share, and their tasks. Files come in by uploads.lua; their directories go through batches.lua;
--- results.lua hands over what came of them. Queues between them have bounds, so memory does not grow with the number of files.

local batches = require("llama_cloud.process.batches")
local directories = require("llama_cloud.process.directories")
local errors = require("llama_cloud.base.errors")
local history = require("llama_cloud.process.history")
local loop = require("llama_cloud.loop")
local results = require("llama_cloud.process.results")
local streams = require("llama_cloud.loop.stream")
local text = require("llama_cloud.base.text")
local uploads = require("llama_cloud.process.uploads")

local runs = {}

--- What is in the stream where the program is to be told of the progress.
runs.PROGRESS = {}

local BEAT = 0.1 -- seconds between two calls of on_progress

---@class LlamaCloud.RunProgress
---@field walked integer the files found so far
---@field uploaded integer the files that this run has uploaded
---@field bytes integer the bytes that this run has uploaded
---@field processing integer the files that are in a batch and have not been returned yet
---@field done integer the files that were completed and returned, including those of earlier runs
---@field failed integer the files that failed or were cancelled and returned, likewise
---@field batches string[] the ids of the batches that this run has begun; the table grows

---@class LlamaCloud.Run
---@field client LlamaCloud.Client
---@field params table
---@field options table with their defaults
---@field resource string "parsing" or "extract"
---@field rule { jobs_hold_results: boolean }
---@field source fun(): LlamaCloud.Item?
---@field journal LlamaCloud.Journal
---@field history LlamaCloud.History
---@field stream LlamaCloud.Stream of { file, entry } for the program, and of `runs.PROGRESS`
---@field room LlamaCloud.Condition that there may be another directory
---@field news LlamaCloud.Condition that a file has come back, or none can any more
---@field uploads LlamaCloud.StreamQueue entries that are to be uploaded
---@field fetches LlamaCloud.StreamQueue entries whose jobs have ended
---@field again LlamaCloud.Item[] files that go into another directory than they were in
---@field empty LlamaCloud.RunDirectory[] directories that earlier runs were about to make
---@field open integer directories that are not finished
---@field unbatched integer those that have no batch
---@field exhausted boolean the source has no more files
---@field filled boolean no more files will be uploaded
---@field successes { upload: integer, result: integer } steps about one file that have succeeded
---@field fetched integer files whose results have all been fetched
---@field next_upload number when the next upload may begin
---@field deadline number
---@field progress LlamaCloud.RunProgress
---@field progress_changed boolean since the program was told
---@field due boolean the program will be told of the progress
---@field private beat? LlamaCloud.Task
local Run = {}
Run.__index = Run

--- Parameters, with the project and organization.
---@param own? table
---@return table
function Run:scope(own)
  own = own or {}
  own.project_id, own.organization_id = self.params.project_id, self.params.organization_id
  return own
end

--- The options of a call.
---@param own? table
---@return table
function Run:call_options(own)
  own = own or {}
  own.timeout, own.max_retries, own.headers = self.options.timeout, self.options.max_retries, self.options.headers
  own.total_timeout = self.deadline < math.huge and math.max(self.deadline - loop.now(), 0.001) or nil
  return own
end

--- The options of waiting.
---@return table
function Run:wait_options()
  local options, own = self.options, self:call_options()
  own.total_timeout = own.total_timeout or math.huge
  own.polling_interval, own.max_interval, own.backoff = options.polling_interval, options.max_interval, options.backoff
  return own
end

--- The error for a run whose time is over.
---@param cause LlamaCloud.Error
---@return LlamaCloud.Error
function Run:overdue(cause)
  local message = "the run has not ended within %s s"
  message = self.options.journal and message .. "; started again with the same journal, it goes on" or message
  local seconds = text.number(self.options.total_timeout, "%.14g")
  return errors.new { kind = "timeout", message = message:format(seconds), cause = cause }
end

--- Counts something.
---@param what "walked"|"uploaded"|"processing"|"done"|"failed"|"bytes"
---@param n integer
function Run:count(what, n)
  self.progress[what] = self.progress[what] + n
  self.progress_changed = true
end

--- Gives no result of a file, if it is under way: it has changed since, and is a new one.
---@param name string
function Run:drop(name)
  local entry = self.history:leave(name)
  if entry then
    self:count("processing", entry.processing and -1 or 0)
    entry.dropped, entry.processing = true, nil
    directories.settle(self, entry.directory)
  end
end

--- Counts a file as one that is processed, until its result has been given.
---@param entry LlamaCloud.Entry.File
function Run:mark_processing(entry)
  if not entry.failed and not entry.dropped then
    entry.processing = true
    self:count("processing", 1)
  end
end

--- Tells whoever waits for something of the run that it may be so, and lets it end when there is nothing to do any more.
function Run:notify()
  if self.filled and self.open == 0 then
    self.fetches:close()
    if self.beat then
      self.beat:cancel()
    end
  end
  self.stream:notify()
end

--- Hands what came of a file to the program; waits where it has not taken the last ones yet.
---@param entry LlamaCloud.Entry.File|LlamaCloud.Item
---@param file table
function Run:deliver(entry, file)
  local directory = entry.directory
  if entry.dropped or directory and directory.entries[entry.name] ~= entry then
    return
  end
  file.path, file.name, file.id, file.job = entry.path, entry.name, entry.dfl, entry.job
  self.stream:put { file = file, entry = entry }
end

--- Hands over that a file has failed.
---@param entry LlamaCloud.Entry.File|LlamaCloud.Item
---@param err LlamaCloud.Error
---@param status? "FAILED"|"CANCELLED"
---@param written? string[]
function Run:fail(entry, err, status, written)
  entry.failed = true
  self:deliver(entry, { status = status or "FAILED", error = err, output = written })
end

--- Takes note that the program has come back for the next file, after it was given one.
---@param delivery { file: table, entry: LlamaCloud.Entry.File }
function Run:settle(delivery)
  local file, entry = delivery.file, delivery.entry
  self:count(file.status == "COMPLETED" and "done" or "failed", 1)
  self:count("processing", entry.processing and -1 or 0)
  local directory = entry.directory
  if not directory or directory.entries[entry.name] ~= entry then
    return
  end
  local fact = { t = "done", name = entry.name, status = file.status, job = file.job }
  fact.error = file.error and file.error.message
  self.history:note(fact)
  directories.settle(self, directory)
end

-- Says ten times a second that the program is to be told of the progress, if it has been told before.
local function beat(run)
  while true do
    loop.sleep(BEAT)
    if run.progress_changed and not run.due then
      run.progress_changed, run.due = false, true
      run.stream:put(runs.PROGRESS)
    end
  end
end

-- Goes on with what earlier runs have left, then with the source.
local function start(run)
  local left = {}
  for _, directory in pairs(run.history.directories) do
    left[#left + 1] = directory
  end
  table.sort(left, function(a, b)
    return a.n < b.n
  end)
  for _, directory in ipairs(left) do
    if directory.count == 0 and not directory.intent then
      run.empty[#run.empty + 1] = directory
    else
      if directory.batch then
        directories.release(run, directory)
      end
      run.open = run.open + 1
      run.unbatched = run.unbatched + (directory.batch and 0 or 1)
      run.stream:spawn(batches.resume, run, directory)
    end
  end
  if run.options.delete_directories then
    run.stream:spawn(directories.delete_finished, run)
  end
  run.stream:spawn(uploads.fill, run)
  for _ = 1, run.options.concurrency do
    run.stream:spawn(uploads.work, run)
    run.stream:spawn(results.work, run)
  end
  if run.options.on_progress then
    run.beat = run.stream:spawn(beat, run)
  end
end

--- Starts a run. Raises where the journal cannot be read.
---@param given { client: LlamaCloud.Client, params: table, options: table, resource: string, rule: table, source: function, journal: LlamaCloud.Journal, folder: string? }
---@return LlamaCloud.Run
function runs.start(given)
  local bound = given.options.concurrency
  local run = setmetatable({
    client = given.client,
    params = given.params,
    options = given.options,
    resource = given.resource,
    rule = given.rule,
    source = given.source,
    journal = given.journal,
    history = history.read(given.journal, given.folder),
    stream = streams.new(bound),
    again = {},
    empty = {},
    open = 0,
    unbatched = 0,
    exhausted = false,
    filled = false,
    successes = { upload = 0, result = 0 },
    fetched = 0,
    next_upload = -math.huge,
    deadline = loop.now() + given.options.total_timeout,
    progress = { walked = 0, uploaded = 0, processing = 0, done = 0, failed = 0, bytes = 0, batches = {} },
    progress_changed = false,
    due = false,
  }, Run)
  run.uploads, run.fetches = run.stream:queue(bound), run.stream:queue(bound)
  run.room = run.stream:condition(function()
    return run.open < run.options.batches
  end)
  run.news = run.stream:condition(function()
    return #run.again > 0 or run.unbatched == 0
  end)
  start(run)
  return run
end

return runs

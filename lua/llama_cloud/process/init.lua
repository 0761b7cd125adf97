--- The recipe: from files to results. It stands beside the client, and uses it as any program does; the client's resource
--- `batches` has it as its method `process`.
---
---     for file in client.batches:process("invoices/", {
---       config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } },
---       expand = { "markdown_full" },
---     }, { journal = "invoices.jsonl", output = "results/" }) do
---       print(file.path, file.status, file.error or table.concat(file.output, " "))
---     end

local batches = require("llama_cloud.process.batches")
local core = require("llama_cloud.core")
local journals = require("llama_cloud.process.journal")
local loop = require("llama_cloud.loop")
local output = require("llama_cloud.process.output")
local runs = require("llama_cloud.process.run")
local source = require("llama_cloud.process.source")
local tables = require("llama_cloud.base.tables")

local process = {}

---@class LlamaCloud.ProcessFile what a file is given as, instead of its path
---@field path? string of a local file
---@field id? string of a file that the service has, instead of a path
---@field name? string unique among all; the path, or the id, by default

---@class LlamaCloud.ProcessParams
---@field config LlamaCloud.BatchConfig the type of the jobs is "parse_v2" or "extract_v2"
---@field expand? string|string[] what is fetched of each result, as of `parsing:get` or `extract:get`
---@field webhook_configuration_ids? string|string[] as of `batches:create`
---@field webhook_configurations? LlamaCloud.WebhookConfiguration[] likewise
---@field organization_id? string
---@field project_id? string

---@class LlamaCloud.ProcessOptions
---@field journal? string the file that makes the run resumable (default none)
---@field output? string the folder for results, which is made if it does not exist; without it they are in `result` (default none)
---@field pattern? string|fun(name: string): boolean only files with such names: a Lua pattern (`"%.pdf$"`), or a function of the name (default all)
---@field exclude? string|fun(name: string): boolean no files with such names, likewise (default none)
---@field concurrency? integer how many files are uploaded, and how many results fetched, at the same time (default 8)
---@field uploads_per_second? number the published limit of a project is 50 in 5 seconds; `math.huge`: no limit (default 10)
---@field batch_size? integer files in a batch; the service takes no more (default 1000)
---@field batches? integer batches under way at the same time; bounds memory (default 10)
---@field name? string directories are called `NAME-RUN-NUMBER` (default llama-cloud-lua)
---@field delete_directories? boolean delete each directory when its files are done; otherwise the service does so in time (default false)
---@field retry_failed? boolean process files again that failed in an earlier run (default false)
---@field on_progress? fun(progress: LlamaCloud.RunProgress) called while the loop waits, at most ten times a second, and once at the end
---@field timeout? number seconds for one attempt of a call without a file (default the client's)
---@field total_timeout? number seconds for the whole run, after which the loop raises an error of the kind `timeout` (default none)
---@field max_retries? integer how often each call is retried; 0: not at all (default the client's)
---@field headers? table<string, string|false> of each call
---@field polling_interval? number as in [Waiting](reference.md#waiting)
---@field max_interval? number likewise
---@field backoff? "constant"|"linear"|"exponential" likewise

---@class LlamaCloud.ProcessedFile
---@field name string its name, which is unique in the run
---@field path? string of a local file
---@field status "COMPLETED"|"FAILED"|"CANCELLED"
---@field id? string of its entry in the directory (`dfl-…`), if it came that far
---@field job? string the id of its job, if it came that far
---@field result? table what `parsing:get` or `extract:get` returns; not with the option `output`
---@field output? string[] with the option `output`: the paths of the files that were written
---@field error? LlamaCloud.Error why it is not `COMPLETED`

---@alias LlamaCloud.ProcessFiles string|(string|LlamaCloud.ProcessFile)[]|fun(): (string|LlamaCloud.ProcessFile)? a folder; an array of paths, or of files that the service has; an iterator of such

--- Processes files and returns each with its result: `for file in client.batches:process(files, params, options) do … end`.
--- One bad file never ends the loop. It raises a wrong argument at the caller's line, and an error of this library for what holds for all files: a key
--- or plan that is refused, a service that cannot be reached, a disk that is full, a journal that cannot be used or written.
--- With a journal, running it again continues where it stopped.
---@class LlamaCloud.Batches
---@field process fun(self, files: LlamaCloud.ProcessFiles, params: LlamaCloud.ProcessParams, options?: LlamaCloud.ProcessOptions): fun(): LlamaCloud.ProcessedFile?

--- The names of its parameters and options, and their types, as the endpoints' are checked.
process.method = { ids = 1 }
process.method.parameters = {
  config = "table",
  expand = "strings",
  webhook_configuration_ids = "strings",
  webhook_configurations = "array",
  organization_id = "string",
  project_id = "string",
}
process.method.options = {
  journal = "string",
  output = "string",
  pattern = "any",
  exclude = "any",
  concurrency = "count",
  uploads_per_second = "rate",
  batch_size = "count",
  batches = "count",
  name = "string",
  delete_directories = "boolean",
  retry_failed = "boolean",
  on_progress = "function",
  timeout = "seconds",
  total_timeout = "seconds",
  max_retries = "count",
  headers = "table",
  polling_interval = "seconds",
  max_interval = "seconds",
  backoff = "string",
}

local DEFAULTS = {
  concurrency = 8,
  uploads_per_second = 10,
  batch_size = 1000,
  batches = 10,
  name = "llama-cloud-lua",
  total_timeout = math.huge,
}

process.method.defaults = DEFAULTS -- the reference is made of them, too

local MOST = { concurrency = 1000, batch_size = 1000, batches = 10000 }

-- What is wrong with parameters and options whose types are right, or nil.
local function misfit(params, options)
  local job = type(params.config) == "table" and params.config.job
  if type(job) ~= "table" or type(job.type) ~= "string" or type(job.configuration_id) ~= "string" then
    return "parameter 'config' must be { job = { type = …, configuration_id = … } }"
  elseif not batches.resource_of(job.type) then
    return "the type of 'config.job' must be parse_v2 or extract_v2: of other jobs there are no results to fetch"
  end
  for name, most in pairs(MOST) do
    local value = options[name]
    if math.tointeger(value) == nil or value < 1 or value > most then
      return ("option '%s' must be an integer from 1 to %d"):format(name, most)
    end
  end
  for _, name in ipairs { "journal", "output", "name" } do
    if options[name] == "" or (options[name] or ""):find("\0", 1, true) then
      return ("option '%s' must not be empty or contain a NUL"):format(name)
    end
  end
  return not utf8.len(options.name) and "option 'name' must be UTF-8" or nil
end

-- A deep copy of the parameters: the run lasts longer than the caller may leave its tables unchanged. Nil and the problem.
local function copy_of(params)
  local copy = {}
  for name, value in pairs(params) do
    copy[name] = value
    if type(value) == "table" then
      local json, problem = core.encode(value)
      if not json then
        return nil, ("parameter '%s': %s"):format(name, problem)
      end
      copy[name] = core.decode(json, { null = true })
    end
  end
  copy.expand = type(copy.expand) == "string" and { copy.expand } or copy.expand
  return copy
end

---@class LlamaCloud.ProcessHandle what the caller has of a run; when nobody has it any more, the run ends
---@field private run LlamaCloud.Run whose tasks do not know the handle
---@field private delivery? table what the loop's body has been given
---@field private ended boolean
local Handle = {}
Handle.__index = Handle
Handle.__name = "llama_cloud.process"

-- Ends the run, wherever it is. The journal can be opened by others then.
local function leave(self)
  self.ended = true
  self.run.stream:close()
  self.run.journal:close()
end

-- Takes note that the body of the loop has done with the file that it was given.
local function settle(self)
  local delivery = self.delivery
  self.delivery = nil
  if delivery then
    self.run:settle(delivery)
  end
end

local function tell_progress(run)
  run.due = false
  run.options.on_progress(tables.merged(run.progress))
end

function Handle:__call()
  local run = self.run
  if self.ended then
    return nil
  end
  settle(self)
  local value = run.stream:take()
  while value == runs.PROGRESS or value and value.entry.dropped do
    if value == runs.PROGRESS then
      tell_progress(run)
    end
    value = run.stream:take()
  end
  if value then
    self.delivery = value
    return value.file
  end
  if run.options.on_progress then
    tell_progress(run)
  end
  run.history:sync()
  leave(self)
end

-- The last file counts as done where the loop was left by `break`, not where its body has failed or was cancelled.
function Handle:__close(err)
  if self.ended then
    return
  elseif err == nil and not loop.cancellation() then
    local ok, problem = pcall(settle, self)
    leave(self)
    if not ok then
      error(problem, 0)
    end
  else
    leave(self)
  end
end

function Handle:__gc()
  if not self.ended then
    leave(self)
  end
end

-- The journal of a run.
local function open_journal(path, identity)
  if not path then
    return journals.memory(identity)
  end
  local journal, err = journals.open(path, identity)
  if not journal then
    error(err, 0)
  end
  return journal
end

-- Starts what has been checked.
local function start(given, path, identity)
  given.journal = open_journal(path, identity)
  local started, run = pcall(runs.start, given)
  if not started then
    given.journal:close()
    error(run, 0)
  end
  local handle = setmetatable({ run = run, ended = false }, Handle)
  return handle, nil, nil, handle
end

--- What runs it, of arguments whose types are right. Nil and the problem, which is the caller's fault.
---@param client LlamaCloud.Client
---@param service { base: string, scope: table } whose files these are
---@param files any
---@param params table
---@param given table the options, without nulls
---@return function?
---@return string? problem
function process.method.prepare(client, service, files, params, given)
  local options = tables.merged(DEFAULTS, given)
  options.headers = given.headers and tables.merged(given.headers)
  local problem = misfit(params, options)
  if problem then
    return nil, problem
  end
  local own_params, unfit = copy_of(params)
  if not own_params then
    return nil, unfit
  end
  local own = { options.journal }
  own[#own + 1] = options.output
  local pull, root, folder = source.open(files, options, own)
  if not pull then
    return nil, root
  elseif options.output then
    local made
    made, problem = output.prepare(options.output, folder)
    if not made then
      return nil, problem
    end
  end
  local job = own_params.config.job
  local identity = {
    folder = root,
    type = job.type,
    configuration_id = job.configuration_id,
    project_id = own_params.project_id or service.scope.project_id,
    base_url = service.base,
  }
  return function()
    return start({
      client = client,
      params = own_params,
      options = options,
      resource = batches.resource_of(job.type),
      -- without `expand`, waiting for jobs shows all that there is of them
      rule = { jobs_hold_results = not (own_params.expand and own_params.expand[1]) },
      source = pull,
      folder = folder,
    }, options.journal, identity)
  end
end

return process

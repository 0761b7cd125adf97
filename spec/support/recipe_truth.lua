-- What came of a trial of client.batches:process (recipe_trial.lua), counted at the sandbox, in the journal and on the disk.

local cjson = require("cjson")
local lfs = require("lfs")

local llama_cloud = require("llama_cloud")
local recipe_trial = require("spec.support.recipe_trial")
local sandbox = require("llama_cloud.sandbox")

local recipe_truth = {}

-- The options of a wait for a job that ends at once.
local function patience()
  return { polling_interval = 0.002, max_interval = 0.01 }
end

-- What the service makes of a file, asked for by itself.
local function ask(client, trial, configuration, name)
  local path = { path = trial.input .. "/" .. name }
  if trial.given.type == "parse_v2" then
    local options = patience()
    options.expand = { "markdown_full" }
    local result, err = client.parsing:run({ upload_file = path, configuration_id = configuration }, options)
    return result and result.markdown_full, err
  end
  local file, err = client.files:create { file = path, purpose = "extract" }
  if not file then
    return nil, err
  end
  local params = { file_input = file.id, configuration_id = configuration }
  local job, problem = client.extract:run(params, patience())
  return job and job.extract_result, problem
end

--- What the results of all files are to be: another sandbox, without faults, is asked for each of them.
---@param trial spec.RecipeTrial
---@return table<string, any> expected name -> markdown_full, or extract_result
function recipe_truth.expected(trial)
  local expected = {}
  local options = { batches = 0, jobs = 0, seed = trial.given.seed, speed = 100000 }
  sandbox.with(options, function(client)
    local configuration = recipe_trial.configuration(client, trial.given.type)
    local function of(name)
      return ask(client, trial, configuration, name)
    end
    for name, result, err in llama_cloud.map(trial.names, of) do
      expected[name] = assert(result, err)
    end
  end)
  return expected
end

-- How many keys a table has.
local function size(t)
  local n = 0
  for _ in pairs(t) do
    n = n + 1
  end
  return n
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b
  end
  for key, value in pairs(a) do
    if not same(value, b[key]) then
      return false
    end
  end
  for key in pairs(b) do
    if a[key] == nil then
      return false
    end
  end
  return true
end

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read("a")
  if file then
    file:close()
  end
  return text
end

-- All files below a folder, without its path.
local function walk(folder, below, found)
  for name in lfs.dir(folder) do
    if name ~= "." and name ~= ".." then
      local path = folder .. "/" .. name
      if lfs.attributes(path, "mode") == "directory" then
        walk(path, below .. name .. "/", found)
      else
        found[below .. name] = true
      end
    end
  end
  return found
end

-- Adds a line: what was counted; it holds where that is as many as it is to be.
local function count(report, what, n, wanted)
  report[#report + 1] = { text = ("%d of %d %s"):format(n, wanted, what), holds = n == wanted }
end

local function none(report, what, n)
  report[#report + 1] = { text = ("%d %s"):format(n, what), holds = n == 0 }
end

local function remark(report, what, n)
  report[#report + 1] = { text = ("%d %s"):format(n, what), holds = true }
end

-- The journal: its facts by what they are about.
local function read_journal(trial)
  local journal = { done = {}, directories = {}, jobs = {}, times = 0 }
  for line in io.lines(trial.journal) do
    local fact = cjson.decode(line)
    if fact.t == "done" then
      journal.done[fact.name] = (journal.done[fact.name] or 0) + (fact.status == "COMPLETED" and 1 or 1000)
      journal.jobs[fact.job or ""] = fact.name
      journal.times = journal.times + 1
    elseif fact.t == "directory" and fact.id then
      journal.directories[fact.id] = true
    end
  end
  return journal
end

local function check_journal(report, trial, journal)
  local once = 0
  for _, name in ipairs(trial.names) do
    once = once + (journal.done[name] == 1 and 1 or 0)
  end
  count(report, "files are completed in the journal, each once", once, #trial.names)
  none(report, "further results in the journal", journal.times - once)
end

-- The result of a file as it is on the disk, and the id of its job. Nil: not whole.
local function result_of(trial, name, found)
  local base, parse = trial.output .. "/" .. name, trial.given.type == "parse_v2"
  found[name .. ".json"], found[name .. ".md"] = nil, not parse and found[name .. ".md"] or nil
  local whole, rest = pcall(cjson.decode, read(base .. ".json") or "")
  if not whole then
    return nil
  elseif parse then
    return read(base .. ".md"), rest.job.id
  end
  return rest.extract_result, rest.id
end

local function check_disk(report, trial, journal, expected)
  local found, right, own = walk(trial.output, "", {}), 0, 0
  for _, name in ipairs(trial.names) do
    local result, job = result_of(trial, name, found)
    local there = result ~= nil and same(result, expected[name])
    right, own = right + (there and 1 or 0), own + (journal.jobs[job] == name and 1 or 0)
  end
  count(report, "files have their result on the disk, with the right content", right, #trial.names)
  count(report, "are of the job that the journal names", own, #trial.names)
  none(report, "further files on the disk", size(found))
end

local function check_told(report, trial)
  local told, once, again = trial:told(), 0, 0
  for _, name in ipairs(trial.names) do
    once = once + (told[name] and 1 or 0)
    again = again + (told[name] or 1) - 1
  end
  count(report, "files were told to the program", once, #trial.names)
  remark(report, "were told again, for the program was ended before it came back for the next", again)
end

-- Uploads: by the log, in the order in which they were answered.
local function check_uploads(report, trial)
  local acknowledged, doubled, late, refused = {}, 0, 0, 0
  for _, request in ipairs(trial.log) do
    local before = acknowledged[request.sha256 or ""]
    if request.sha256 and before and request.round >= before then
      doubled = doubled + 1
    elseif request.sha256 and before then
      late = late + 1
    elseif request.sha256 and request.status == "201" then
      acknowledged[request.sha256] = request.round
    elseif request.sha256 then
      refused = refused + 1
    end
  end
  remark(report, "uploads were acknowledged", size(acknowledged))
  none(report, "uploads of a file after its upload was acknowledged", doubled)
  remark(report, "uploads of a killed program, answered after another was acknowledged", late)
  remark(report, "uploads before that were answered wrongly", refused)
end

local function check_batches(report, trial, client)
  local over, batches, jobs = {}, 0, 0
  for batch in client.batches:list { page_size = 1000 } do
    over[batch.source_directory_id] = true
    batches = batches + 1
  end
  local kind = trial.given.type == "parse_v2" and "parsing" or "extract"
  for _ in client[kind]:list { page_size = 1000 } do
    jobs = jobs + 1
  end
  none(report, ("second batches over a directory, of %d batches"):format(batches), batches - size(over))
  count(report, "jobs, one for each file", jobs, #trial.names)
end

local function check_directories(report, trial, journal)
  local directories, unknown = trial.service:uploads().directories, 0
  for _, left in ipairs(directories.left) do
    unknown = unknown + (journal.directories[left.id] and 0 or 1)
  end
  none(report, ("directories that the journal does not know, of %d"):format(#directories.left), unknown)
  none(report, "directories that it knows and were not created", size(journal.directories) - directories.created)
  if trial.given.delete_directories then
    none(report, ("directories left, of %d created"):format(directories.created), #directories.left)
  end
end

--- Counts. The trial has ended; its faults are taken away.
---@param trial spec.RecipeTrial
---@param expected table<string, any>
---@return { text: string, holds: boolean }[]
function recipe_truth.check(trial, expected)
  local report = {}
  trial:collect()
  local struck, asked = 0, #trial.log
  none(report, ("requests whose record is lost, of %d"):format(asked), trial.service:stats().requests - asked)
  for _, fault in ipairs(trial.service:faults()) do
    struck = struck + fault.hits
  end
  report[#report + 1] = { text = ("%.1f %% of the answers were faulty"):format(100 * struck / asked), holds = true }
  trial.service:clear_faults()
  local journal = read_journal(trial)
  check_journal(report, trial, journal)
  check_disk(report, trial, journal, expected)
  check_told(report, trial)
  check_uploads(report, trial)
  check_batches(report, trial, trial:client())
  check_directories(report, trial, journal)
  return report
end

return recipe_truth

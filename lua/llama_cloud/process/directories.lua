--- The run's own directories: one for each batch. Nobody else uses them, so after a lost answer everything in them can be
--- looked up: a directory by its name, a file by its unique_id.

local loop = require("llama_cloud.loop")
local source = require("llama_cloud.process.source")
local trouble = require("llama_cloud.process.trouble")

local directories = {}

local MOST_ROUNDS = 5 -- of looking whether all files are there

--- By what a directory knows a file: its name; where that is no UTF-8, with percent signs for what is not ASCII. A name that
--- looks as if it had been made so is written so, too: thus different names stay different.
---@param name string
---@return string
function directories.unique_id(name)
  if utf8.len(name) and not name:find("%%25") and not name:find("%%[89A-F]%x") then
    return name
  end
  return (name:gsub("[%%\128-\255]", function(byte)
    return ("%%%02X"):format(byte:byte())
  end))
end

-- Whether a step that failed has done so because the directory is no longer there.
local function is_gone(run, directory, err)
  if err.status ~= 404 and err.status ~= 400 and err.status ~= 422 then
    return false
  end
  local _, cause = trouble.persist(run, function()
    return run.client.beta.directories:get(directory.id, run:scope(), run:call_options())
  end)
  return cause ~= nil and cause.status == 404
end
directories.is_gone = is_gone

-- Finds a directory by its name.
local function find(run, directory)
  local found, err = run.client.beta.directories:list(run:scope { name = directory.name }, run:call_options()):all()
  for _, one in ipairs(found or {}) do
    if one.name == directory.name then
      return one
    end
  end
  return nil, err
end

-- Creates a directory, or finds it.
local function create(run, directory)
  local function send()
    local params = run:scope { name = directory.name, type = "ephemeral" }
    return run.client.beta.directories:create(params, run:call_options())
  end
  local made, err = trouble.create(run, send, function()
    return find(run, directory)
  end, directory.doubtful)
  if not made then
    error(err, 0)
  end
  directory.doubtful = false
  run.history:note { t = "directory", n = directory.n, id = made.id }
end

--- Makes the next directory, or takes one that an earlier run was about to make; waits until so few are under way that there
--- may be another.
---@param run LlamaCloud.Run
---@return LlamaCloud.RunDirectory
function directories.open(run)
  run.room:wait()
  local directory = table.remove(run.empty)
  if not directory then
    local n = run.history.last + 1
    local name = ("%s-%s-%d"):format(run.options.name, run.journal.run, n)
    directory = run.history:note { t = "directory", n = n, name = name }
  end
  run.open, run.unbatched = run.open + 1, run.unbatched + 1
  create(run, directory)
  return directory
end

--- Puts a file into a directory: from here on it is under way.
---@param run LlamaCloud.Run
---@param directory LlamaCloud.RunDirectory
---@param item LlamaCloud.Item
function directories.put(run, directory, item)
  local entry = run.history:assign(directory, item)
  directory.uploading = directory.uploading + 1
  run.uploads:put(entry)
end

-- All of a directory's files. Nil: it is no longer there.
local function list(run, directory)
  local rows, err = trouble.persist(run, function()
    local params = run:scope { page_size = 1000 }
    local options = run:call_options { fields = { "id", "unique_id" } }
    return run.client.beta.directories.files:list(directory.id, params, options):all()
  end)
  if err and err.status ~= 404 then
    error(err, 0)
  end
  return rows
end

-- Takes a file out of the directory; it may be out already.
local function remove(run, directory, id)
  local _, err = trouble.persist(run, function()
    return run.client.beta.directories.files:delete(directory.id, id, run:scope(), run:call_options())
  end)
  if err and err.status ~= 404 then
    error(err, 0)
  end
end

-- What the directory has of the files that are to be in it: entry -> id. What else is in it is taken out: what failed here but
-- was received after all, the second of two, and what has changed since.
local function sort_out(run, directory, rows)
  local wanted, there = {}, {}
  for name, entry in pairs(directory.entries) do
    wanted[directories.unique_id(name)] = not entry.failed and entry or nil
  end
  for _, row in ipairs(rows) do
    local entry = wanted[row.unique_id]
    if not entry or entry.stale then
      remove(run, directory, row.id)
    elseif there[entry] and row.id ~= entry.dfl then
      remove(run, directory, row.id)
    else
      if there[entry] then
        remove(run, directory, there[entry])
      end
      there[entry] = row.id
    end
  end
  return there
end

-- Whether the directory has an entry that its list does not show: lists may lag behind.
local function is_there(run, directory, entry)
  if not entry.dfl or entry.stale then
    return false
  end
  local row, err = trouble.persist(run, function()
    return run.client.beta.directories.files:get(directory.id, entry.dfl, run:scope(), run:call_options())
  end)
  if err and err.status ~= 404 then
    error(err, 0)
  end
  return row ~= nil
end

--- Waits until all files of a directory have been uploaded, or have failed.
---@param run LlamaCloud.Run
---@param directory LlamaCloud.RunDirectory
function directories.await(run, directory)
  directory.idle = directory.idle or run.stream:condition(function()
    return directory.uploading == 0
  end)
  directory.idle:wait()
end

-- Uploads files that are missing. False: the directory is no longer there.
local function upload_again(run, directory, missing)
  directory.uploading = #missing
  for _, entry in ipairs(missing) do
    if entry.stale then
      run.history:assign(directory, entry) -- with its size and time as they are now
    end
    run.uploads:put(entry)
  end
  directories.await(run, directory)
  return not directory.gone
end

-- Which files are not in a directory that are to be in it.
local function missing_of(run, directory, there)
  local missing, may_come = {}, false
  for _, entry in pairs(directory.entries) do
    if there[entry] and entry.dfl ~= there[entry] then
      run.history:note { t = "uploaded", n = directory.n, name = entry.name, id = there[entry] }
    elseif not there[entry] and not entry.failed and not is_there(run, directory, entry) then
      missing[#missing + 1] = entry
      may_come = may_come or not entry.stale
    end
  end
  return missing, may_come
end

--- Sees to it that a directory has exactly the files that are to be in it. What was on its way when an earlier run ended is
--- given the same time to arrive as anything else that may have been created. False: it is no longer there.
---@param run LlamaCloud.Run
---@param directory LlamaCloud.RunDirectory
---@return boolean
function directories.mend(run, directory)
  local looks = directory.resumed and #trouble.looks or 1
  for round = 1, looks + MOST_ROUNDS do
    local rows = not directory.gone and list(run, directory)
    if not rows then
      return false
    end
    local missing, may_come = missing_of(run, directory, sort_out(run, directory, rows))
    if #missing == 0 then
      return true
    elseif may_come and round < looks then
      loop.sleep(trouble.looks[round + 1])
    elseif not upload_again(run, directory, missing) then
      return false
    end
  end
  for _, entry in pairs(directory.entries) do
    if not entry.failed and not entry.dfl then
      run:fail(entry, trouble.of_file("it was uploaded, but the directory does not show it"))
    end
  end
  return true
end

-- What a file is now, if it has changed since it was assigned to its directory.
local function change_of(entry)
  local now = source.look { path = entry.path, file = entry.file }
  return now.size and source.fingerprint(now) ~= source.fingerprint(entry) and now or nil
end

--- Looks which files of an earlier run's directory have changed since they were assigned to it: these are uploaded anew.
---@param directory LlamaCloud.RunDirectory
function directories.look_for_changes(directory)
  for _, entry in pairs(directory.entries) do
    local now = change_of(entry)
    if now then
      entry.size, entry.time, entry.stale = now.size, now.time, true
    end
  end
end

-- Takes a file out of its directory: it goes into another.
local function move(run, entry)
  run.history:leave(entry.name)
  run.again[#run.again + 1] = { name = entry.name, path = entry.path, file = entry.file, early = true }
end

--- Takes out of a directory, whose batch an earlier run has begun, the files that go into another: those that are not in the
--- batch because they could not be uploaded, which was not told yet; and those that have changed since.
---@param run LlamaCloud.Run
---@param directory LlamaCloud.RunDirectory
function directories.release(run, directory)
  for _, entry in pairs(directory.entries) do
    if not entry.dfl or change_of(entry) then
      move(run, entry)
    end
  end
end

--- Gives up a directory that is no longer there and had no batch: its files go into another.
---@param run LlamaCloud.Run
---@param directory LlamaCloud.RunDirectory
function directories.abandon(run, directory)
  directory.gone = true
  for _, entry in pairs(directory.entries) do
    if not entry.failed then
      move(run, entry)
    end
  end
end

-- Deletes a directory, whose batch has ended. That it may be gone already, and that it cannot be had now, does no harm: the
-- service deletes it by itself in the end.
local function delete(run, directory)
  local _, err = run.client.beta.directories:delete(directory.id, run:scope(), run:call_options())
  if not err or err.status == 404 then
    run.history:note { t = "deleted", n = directory.n }
  end
end

local function delete_and_close(run, directory)
  delete(run, directory)
  run.open = run.open - 1
  run:notify()
end

--- Ends a directory when all of its files are done.
---@param run LlamaCloud.Run
---@param directory LlamaCloud.RunDirectory
function directories.settle(run, directory)
  if not directory.processed or directory.left > 0 or directory.settled then
    return
  end
  directory.settled = true
  run.history.directories[directory.n] = nil
  if directory.gone then
    run.history:note { t = "gone", n = directory.n }
  elseif run.options.delete_directories then
    run.stream:spawn(delete_and_close, run, directory)
    return
  end
  run.open = run.open - 1
  run:notify()
end

--- Deletes the directories that earlier runs have left.
---@param run LlamaCloud.Run
function directories.delete_finished(run)
  for n, directory in pairs(run.history.finished) do
    run.history.finished[n] = nil
    run.open = run.open + 1
    delete_and_close(run, directory)
  end
end

--- Deletes the directories that earlier runs were about to make, if they are there. All files are done by then, so no error
--- ends the run: a later one looks again.
---@param run LlamaCloud.Run
function directories.delete_empty(run)
  for _, directory in ipairs(run.empty) do
    local found, err = trouble.look_once(function()
      return find(run, directory)
    end)
    if found then
      directory.id = found.id
      delete(run, directory)
    elseif not err then
      run.history:note { t = "gone", n = directory.n }
    end
  end
end

return directories

--- From files to directories: what pulls the files and assigns them, and what uploads them.

local batches = require("llama_cloud.process.batches")
local directories = require("llama_cloud.process.directories")
local loop = require("llama_cloud.loop")
local source = require("llama_cloud.process.source")
local trouble = require("llama_cloud.process.trouble")

local uploads = {}

-- Waits until the next upload may begin. They are spread evenly: so no window of the service's sees more than its share.
local function pace(run)
  local interval = 1 / run.options.uploads_per_second
  if interval > 0 then
    local now = loop.now()
    local turn = math.max(now, run.next_upload)
    run.next_upload = turn + interval
    if turn > now then
      loop.sleep(math.max(math.min(turn, run.deadline) - now, 0)) -- a request after the deadline ends the run
    end
  end
end

-- Puts one file into its directory. Nil and an error.
local function upload(run, entry)
  local resource, directory = run.client.beta.directories.files, entry.directory
  local unique_id = directories.unique_id(entry.name)
  local display_name = unique_id:match("[^/]*$")
  local params = run:scope { unique_id = unique_id, display_name = display_name }
  local function send()
    local options = run:call_options()
    if entry.file then
      params.file_id = entry.file
      return resource:add(directory.id, params, options)
    end
    params.upload_file, options.timeout = { path = entry.path, name = display_name }, nil
    local called, row, err = pcall(resource.upload, resource, directory.id, params, options)
    local problem = not called and tostring(row):match("parameter 'upload_file': (.*)$") -- what is wrong with the file
    if not called and not problem then
      error(row, 0)
    end
    return called and row or nil, not called and trouble.of_file(problem) or err
  end
  local function find()
    local list = resource:list(directory.id, run:scope { unique_id = unique_id }, run:call_options())
    local rows, err = list:all()
    for _, row in ipairs(rows or {}) do
      if row.unique_id == unique_id then
        return row
      end
    end
    return nil, err
  end
  return trouble.create(run, send, find, false, "upload")
end

-- Uploads one file, and says what came of it.
local function attend(run, entry)
  local directory = entry.directory
  local row, err
  if not directory.gone then
    pace(run)
    row, err = upload(run, entry)
  end
  if row then
    run.history:note { t = "uploaded", n = directory.n, name = entry.name, id = row.id }
    run:count("uploaded", 1)
    run:count("bytes", entry.size or 0)
  elseif err and directories.is_gone(run, directory, err) then
    directory.gone = true
  elseif err then
    run:fail(entry, err)
  end
  directory.uploading = directory.uploading - 1
  if directory.uploading == 0 then
    run:notify()
  end
end

--- Uploads what is assigned: several run side by side.
---@param run LlamaCloud.Run
function uploads.work(run)
  for entry in run.uploads:each() do
    attend(run, entry)
  end
end

-- The next file that is to be uploaded; nil: there is none, now or ever.
local function next_item(run)
  local item
  repeat
    item = table.remove(run.again)
  until not item or not run.history:knows(item.name)
  if item then
    return source.look(item)
  end
  while not run.exhausted do
    item = run.source()
    if not item then
      run.exhausted = true
      return nil
    end
    run:count("walked", 1)
    local status, failed = run.history:status(item, run.options.retry_failed)
    if status == "new" and item.problem then
      run:fail(item, trouble.of_file(item.problem))
    elseif status == "new" then
      run:drop(item.name)
      return item
    elseif status == "done" then -- what this run has given is counted
      run:count(failed and "failed" or "done", 1)
    end
  end
end

--- Pulls the files, and puts them into directories, until none is left and none can come back.
---@param run LlamaCloud.Run
function uploads.fill(run)
  local directory
  while true do
    local item = next_item(run)
    if item then
      directory = directory or directories.open(run)
      directories.put(run, directory, item)
    elseif not directory and run.unbatched == 0 then
      break
    elseif not directory then
      run.news:wait()
    end
    if directory and (not item or directory.count >= run.options.batch_size) then
      run.stream:spawn(batches.process, run, directory)
      directory = nil
    end
  end
  run.uploads:close()
  if run.options.delete_directories then
    directories.delete_empty(run)
  end
  run.filled = true
  run:notify()
end

return uploads

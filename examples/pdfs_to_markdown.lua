-- Converts PDFs to markdown: uploads them into a directory, runs a batch over it, and writes one `.md` file for each.
--
--   scripts/lua examples/pdfs_to_markdown.lua OUTPUT FILE_OR_FOLDER…       the key is in LLAMA_CLOUD_API_KEY
--
-- OUTPUT is a folder that exists. From each other folder the files that end in `.pdf` are taken; this needs the Lua module
-- lfs (rock luafilesystem, Debian's package lua-filesystem). A file that fails is reported with its name, and the others go
-- on; the exit status is 1 then.

local llama_cloud = require("llama_cloud")

local MOST_FILES = 1000 -- in a batch
local UPLOADS = 16 -- at once

local function stop(problem)
  io.stderr:write(problem, "\n")
  os.exit(1)
end

if #arg < 2 then
  stop("usage: pdfs_to_markdown.lua OUTPUT FILE_OR_FOLDER…")
end

-- Stops before anything has cost money if no files can be written to OUTPUT.
local function check_output()
  local path = arg[1] .. "/.pdfs_to_markdown"
  local file, problem = io.open(path, "w")
  if not file then
    return stop(("the folder for the markdown, '%s', cannot be written to: %s"):format(arg[1], problem))
  end
  file:close()
  os.remove(path)
end

local client = llama_cloud.new()
local failures = 0

local function fail(path, problem)
  failures = failures + 1
  io.stderr:write(("%s: %s\n"):format(path, problem))
end

local function is_folder(path)
  local opened <close> = io.open(path)
  return opened and select(3, opened:read(0)) == 21 -- EISDIR
end

-- The PDFs among the arguments from the second on, and in folders among those.
local function find_pdfs()
  local found = {}
  local has_lfs, lfs = pcall(require, "lfs")
  for index = 2, #arg do
    local path = arg[index]:gsub("(.)/+$", "%1")
    if is_folder(path) then
      if not has_lfs then
        stop("to read a folder, install the Lua module lfs: the rock luafilesystem, or Debian's lua-filesystem")
      end
      local names = {}
      for name in lfs.dir(path) do
        names[#names + 1] = name:lower():find("%.pdf$") and name or nil
      end
      table.sort(names)
      for _, name in ipairs(names) do
        found[#found + 1] = path .. "/" .. name
      end
    else
      found[#found + 1] = path
    end
  end
  return found
end

local taken = {}

-- Where the markdown of a file goes: two files of the same name do not go to the same place.
local function output_of(path)
  local name, suffix = path:match("[^/]*$"):gsub("%.[^.]*$", ""), ""
  while taken[name .. suffix] do
    suffix = ("-%d"):format((tonumber(suffix:sub(2)) or 1) + 1)
  end
  taken[name .. suffix] = true
  return ("%s/%s%s.md"):format(arg[1], name, suffix)
end

-- Uploads files into a directory. Their paths, by the ids that a batch calls them by.
local function upload(directory, paths)
  local files, by_id, next_path = client.beta.directories.files, {}, 0
  local function work()
    while next_path < #paths do
      next_path = next_path + 1
      local path = paths[next_path]
      local params = { upload_file = path, unique_id = path }
      -- of a file that is not there the call raises; with reconcile a lost answer makes no second file
      local ok, file, err = pcall(files.upload, files, directory.id, params, { reconcile = true })
      if ok and file then
        by_id[file.id] = path
      else
        fail(path, ok and err or file)
      end
    end
  end
  llama_cloud.run(function()
    for _ = 1, UPLOADS do
      llama_cloud.spawn(work)
    end
  end)
  return by_id
end

-- Runs a batch over a directory. The paths of its files, by the ids of their jobs.
local function start(directory, by_id)
  local batch = assert(client.batches:run({
    source_directory_id = directory.id,
    config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } },
  }, { expand = { "results" }, reconcile = true }))
  local by_job, ids = {}, {}
  for _, result in ipairs(batch.results or {}) do
    local path = by_id[result.source_directory_file_id]
    if result.job_reference then
      ids[#ids + 1] = result.job_reference.id
      by_job[result.job_reference.id] = path
    else
      fail(path, result.error_message)
    end
  end
  return by_job, ids
end

local function save(id, path)
  local output = output_of(path)
  local file, err = client.parsing:download(id, "markdown_full_content_metadata", output)
  if file then
    print(("%s: %s, %d bytes"):format(path, file.path, file.bytes))
  else
    fail(path, err)
  end
end

local function convert(paths)
  local directory = assert(client.beta.directories:create({
    name = ("pdfs_to_markdown %s %x"):format(os.date("%Y-%m-%d %H:%M:%S"), math.random(0)), -- names are unique in a project
    type = "ephemeral", -- the service removes it after some time, should this program not come so far
  }, { reconcile = true }))
  local by_id = upload(directory, paths)
  if next(by_id) then
    local by_job, ids = start(directory, by_id)
    llama_cloud.run(function()
      for id, result, err in client.parsing:wait_all(ids) do
        if result then
          llama_cloud.spawn(save, id, by_job[id]) -- the others are waited for meanwhile
        else
          fail(by_job[id], err)
        end
      end
    end)
  end
  assert(client.beta.directories:delete(directory.id))
end

check_output()
local paths = find_pdfs()
if #paths == 0 then
  stop("there are no files that end in .pdf")
end
for first = 1, #paths, MOST_FILES do
  convert(table.move(paths, first, math.min(first + MOST_FILES - 1, #paths), 1, {}))
end
os.exit(failures == 0)

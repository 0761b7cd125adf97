-- What a job works on: a file, a file of a directory, or a completed parse job, by its id.

local endpoint = require("llama_cloud.sandbox.endpoint")
local seed = require("llama_cloud.sandbox.seed")

local sources = {}

---@class llama_cloud.sandbox.job_source
---@field input string the id
---@field name string of the file
---@field key integer the hash from which its contents follow
---@field kind "file_id"|"parse_job_id"|"url"

--- The hash of a file's contents: of its bytes where their SHA-256 is known, else of `fallback`.
---@param blob? { sha256?: string, size: integer }
---@param fallback string
---@return integer
function sources.key(blob, fallback)
  return seed.hash_string(blob and blob.sha256 or fallback)
end

-- A file that was uploaded, or is in a directory that was made.
local function stored(sandbox, id)
  local file = sandbox.files:find(id)
  if file then
    return { name = file.name, key = sources.key(file, id) }
  end
  local entry = sandbox.directory_files:get(id)
  return entry and { name = entry.display_name, key = sources.key(entry.file, id) } or nil
end

-- Files that nobody uploaded: whatever is called `file-…` or `dfl-…` exists, as directories do, and is called after its id;
-- but for those that were deleted.
local function named(sandbox, id)
  local deleted = seed.number("file", sandbox.files.scope, id) or seed.number("dfl", sandbox.directory_files.scope, id)
  if deleted or not (id:find("^file%-.") or id:find("^dfl%-.")) or id:find("missing", 1, true) then
    return nil
  end
  return { name = id:find("%.%w+$") and id or id .. ".pdf", key = seed.hash_string(id) }
end

local function parse_job(sandbox, id)
  local store = sandbox.parse
  local number = store:find(id)
  if not number then
    return nil, endpoint.detail(404, "Parse job not found")
  end
  local job = store:at(number)
  local status = store:state(job)
  if status ~= "COMPLETED" then
    return nil, endpoint.detail(400, "Parse job is " .. status .. ": only a completed one can be worked on")
  end
  return { input = id, name = job.name, key = job.key, kind = "parse_job_id" }
end

--- What an id stands for; or nil and the answer that says why not.
---@param sandbox table
---@param id string
---@return llama_cloud.sandbox.job_source?
---@return integer? status
---@return string? body
function sources.find(sandbox, id)
  if id:find("^pjb%-") then
    return parse_job(sandbox, id)
  end
  local file = stored(sandbox, id) or named(sandbox, id)
  if not file then
    return nil, endpoint.detail(404, "File not found")
  end
  return { input = id, name = file.name, key = file.key, kind = "file_id" }
end

--- The files of a directory that was made, as they are now: what a batch keeps of them.
---@param sandbox table
---@param file_ids string[]
---@return { id: string, name: string, key: integer }[]
function sources.of_directory(sandbox, file_ids)
  local list = {}
  for index, id in ipairs(file_ids) do
    local file = stored(sandbox, id)
    list[index] = { id = id, name = file.name, key = file.key }
  end
  return list
end

--- What an address on the web stands for: nothing is fetched.
---@param url string
---@return llama_cloud.sandbox.job_source
function sources.of_url(url)
  local name = url:gsub("[?#].*$", ""):match("([^/]+)/*$") or "document"
  return { input = url, name = name, key = seed.hash_string(url), kind = "url" }
end

return sources

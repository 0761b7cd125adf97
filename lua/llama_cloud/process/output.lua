--- Results as files: beside each other under the paths that the input has, each whole or not there.
---
--- No two files can get in each other's way. What is written for `a/report.pdf` begins with `a/report.pdf.`, and no dot
--- follows in the rest. So it could meet only what is written below an input folder of such a name; those get an underscore at
--- their end (`report.md/` becomes `report.md_/`). A name cannot lead out of the folder: `..` becomes `_..`. One that would be
--- too long for a file system is cut, and ends with a hash of all of it.

local later = require("llama_cloud.base.later")
local core = require("llama_cloud.core")
local errors = later.require("llama_cloud.base.errors")
local source = require("llama_cloud.process.source")
local tables = require("llama_cloud.base.tables")
local texts = require("llama_cloud.base.text")
local trouble = require("llama_cloud.process.trouble")

local output = {}

-- The usual extensions of what the service calls these. Where one is taken, and for other names, the name is the extension.
local EXTENSIONS = { md = "md", fullMd = "md", text = "txt", fullText = "txt", outputPDF = "pdf" }

-- Endings by which input folders could meet what is written.
local ENDINGS = { images = true, json = true, md = true, pdf = true, txt = true }
for _, name in ipairs { "fullMd", "text", "fullText", "outputPDF", "xlsx", "metadata", "forms", "rawWords" } do
  ENDINGS[name] = true
end
for _, name in ipairs { "strippedMd", "concatenatedStrippedMd", "grounded_items" } do
  ENDINGS[name] = true
end

local TEMPORARY = "~" -- at the end of a name, while it is written

local MOST_BYTES = 220 -- of a segment: 255 are usual, and an extension follows
local KEPT_BYTES = 190 -- of one that is longer
local CUT = "~" .. ("%x"):rep(16) .. "$" -- what such a one ends with

-- A segment that is not too long. Two that are cut have the same name only if their hashes (FNV-1a) are the same.
local function cut(segment)
  if #segment <= MOST_BYTES and not segment:find(CUT) then
    return segment
  end
  local hash = 0xcbf29ce484222325
  for index = 1, #segment do
    hash = (hash ~ segment:byte(index)) * 0x100000001b3
  end
  local beginning = segment:sub(1, KEPT_BYTES):gsub("[\192-\255][\128-\191]*$", "") -- no part of a character
  return ("%s~%016x"):format(beginning, hash)
end

-- One segment of a path. Different ones stay different.
local function safe(segment, is_folder)
  if segment:find("^_*%.*$") then
    segment = "_" .. segment -- none, `.`, `..`, and what these become
  end
  segment = cut(segment)
  local ending = is_folder and segment:gsub("[_~]+$", ""):match("%.([^.]*)$")
  return ending and ENDINGS[ending] and segment .. "_" or segment
end

--- Where below the output folder the results of a file are, without their extensions; and the folders on the way.
---@param name string
---@return string path
---@return string[] folders from the outermost
function output.place(name)
  local segments, folders = {}, {}
  for segment, slash in name:gmatch("([^/]*)(/?)") do
    if segment ~= "" or slash ~= "" then
      segments[#segments + 1] = safe(segment, slash ~= "")
      if slash ~= "" then
        folders[#folders + 1] = table.concat(segments, "/")
      end
    end
  end
  return table.concat(segments, "/"), folders
end

-- The error of a file that could not be written; where no other could either, it ends the run.
local function unwritten(path, problem)
  local err = errors.new { kind = "file", message = ("%s could not be written: %s"):format(path, problem) }
  if trouble.no_place(problem) then
    errors.append(err, " (put that right, and run it again)")
    error(err, 0)
  end
  return nil, err
end

-- Sees to it that there is a folder.
local function make_folder(path)
  local lfs = assert(source.file_system())
  local made, problem = lfs.mkdir(path)
  if made or lfs.attributes(path, "mode") == "directory" then
    return true
  end
  return unwritten(path, problem)
end

-- Writes a text into a file, which takes its place when it is whole.
local function write(path, text)
  local temporary = path .. TEMPORARY
  local file, problem = io.open(temporary, "wb")
  if not file then
    return unwritten(path, problem)
  end
  local written
  written, problem = file:write(text)
  local closed, late = file:close()
  if written and closed then
    written, problem = os.rename(temporary, path)
  end
  if not written or not closed then
    os.remove(temporary)
    return unwritten(path, problem or late)
  end
  return true
end

-- A copy of what a result says, without addresses, which are secrets for a while and then lead nowhere.
local function without_addresses(value)
  if type(value) ~= "table" then
    return value
  end
  local copy = {}
  for key, inner in pairs(value) do
    if key ~= "presigned_url" then
      copy[key] = without_addresses(inner)
    end
  end
  return setmetatable(copy, getmetatable(value))
end

---@class LlamaCloud.Written the files of one result, while they are written
---@field run LlamaCloud.Run
---@field job string
---@field result table
---@field base string their path, without extensions
---@field list string[] those that are written
---@field taken table<string, true> their extensions
local Written = {}
Written.__index = Written

-- Writes a text, and adds it to the list.
function Written:text(extension, text)
  local path = self.base .. "." .. extension
  local done, err = write(path, text)
  if done then
    self.list[#self.list + 1] = path
  end
  return done, err
end

-- Whether the service answers for a job: what else was refused, a store has refused.
local function is_answered(run, job)
  return run.client[run.resource]:get(job, run:scope(), run:call_options()) ~= nil
end

-- Downloads a result by the name that the service has for it. Where a store refuses the first, it may refuse all.
function Written:download(name, path)
  local run, refusal = self.run, nil
  local file, err = trouble.persist(run, function()
    local options = run:call_options()
    options.timeout = nil -- that of a call does not fit bodies of any size
    local done, problem = run.client[run.resource]:download(self.result, name, path, options)
    local refused = problem and (problem.status == 401 or problem.status == 403)
    if refused and run.fetched > 0 and is_answered(run, self.job) then
      refusal = problem
      return false
    end
    return done, problem
  end, "result")
  err = err or refusal
  if file then
    self.list[#self.list + 1] = path
  elseif err.kind == "file" and trouble.no_place(err.message) then
    error(err, 0)
  end
  return file, err
end

-- Downloads what the service has stored of a result.
function Written:stored()
  local entries = self.result.result_content_metadata
  for _, key in ipairs(type(entries) == "table" and tables.sorted_keys(entries) or {}) do
    local entry = entries[key]
    if type(key) == "string" and type(entry) == "table" and entry.presigned_url and entry.exists ~= false then
      local own = key:gsub("[^0-9A-Za-z_-]", "_")
      local usual = EXTENSIONS[key] or own
      local extension = not self.taken[usual] and usual or not self.taken[own] and own or own .. "-stored"
      self.taken[extension] = true
      local file, err = self:download(key, self.base .. "." .. extension)
      if not file then
        return nil, err
      end
    end
  end
  return true
end

-- Downloads the images of a result.
function Written:images()
  local images = type(self.result.images_content_metadata) == "table" and self.result.images_content_metadata.images
  local folder = self.base .. ".images"
  for _, image in ipairs(images or {}) do
    if type(image.filename) == "string" and image.presigned_url then
      local made, err = make_folder(folder)
      local path = folder .. "/" .. safe((image.filename:gsub("[/\0]", "_")), false)
      if made then
        made, err = self:download(image.filename, path)
      end
      if not made then
        return nil, err
      end
    end
  end
  return true
end

-- Writes the texts of a result, and as JSON the rest of it.
function Written:texts()
  local rest = tables.merged(self.result)
  for key, extension in pairs { markdown_full = "md", text_full = "txt" } do
    if type(rest[key]) == "string" then
      self.taken[extension] = true
      local done, err = self:text(extension, rest[key])
      if not done then
        return nil, err
      end
      rest[key] = nil
    end
  end
  self.taken.json = true
  local json, problem = core.encode(without_addresses(rest))
  if not json then
    return nil, trouble.of_file("the result cannot be written as JSON: " .. problem)
  end
  return self:text("json", json)
end

-- Writes all that there is of a result. Nil and an error.
local function write_all(written, root, folders)
  for _, folder in ipairs(folders) do
    local made, err = make_folder(root .. "/" .. folder)
    if not made then
      return nil, err
    end
  end
  for _, part in ipairs { "texts", "stored", "images" } do
    local done, err = written[part](written)
    if not done then
      return nil, err
    end
  end
  return true
end

--- Writes the result of a file. Raises where no other could be written either.
---@param run LlamaCloud.Run
---@param entry LlamaCloud.Entry.File
---@param result table
---@return string[] written the paths of what was written, also where something could not be
---@return LlamaCloud.Error? err
function output.write(run, entry, result)
  local place, folders = output.place(entry.name)
  local root = run.options.output:gsub("(.)/+$", "%1")
  local written = setmetatable({ run = run, job = entry.job, result = result, list = {}, taken = {} }, Written)
  written.base = root .. "/" .. place
  local done, err = write_all(written, root, folders)
  if not done and assert(source.file_system()).attributes(root, "mode") ~= "directory" then
    error(err, 0)
  end
  return written.list, err
end

local OTHER = "give the path of a folder that can be made, or that you may write to"

--- Sees to it that there is an output folder, and that files can be made in it. Nil and the problem.
---@param path string
---@param input? string the folder of the files
---@return true?
---@return string? problem
function output.prepare(path, input)
  local lfs, missing = source.file_system()
  if not lfs then
    return nil, missing
  end
  local so_far, problem = "", nil
  for segment, slash in path:gmatch("([^/]*)(/?)") do
    so_far = so_far .. segment
    if segment ~= "" and not problem and not lfs.attributes(so_far) then
      problem = select(2, lfs.mkdir(so_far))
    end
    so_far = so_far .. slash
  end
  local mode = lfs.attributes(path, "mode")
  if mode ~= "directory" then
    problem = problem or mode and ("there is a %s"):format(mode) or "it is not there"
    return nil, ("the output folder %s cannot be made: %s; %s"):format(texts.quote(path), problem, OTHER)
  end
  local probe, unwritable = core.output(path .. "/probe.json" .. TEMPORARY) -- no folder has such a name
  if not probe then
    return nil, ("the output folder %s cannot be used: %s; %s"):format(texts.quote(path), unwritable, OTHER)
  end
  probe:close()
  local own, other = lfs.attributes(path), input and lfs.attributes(input)
  if own and other and own.dev == other.dev and own.ino == other.ino then
    return nil, "the results cannot be written into the folder of the files: give another 'output', which may be in it"
  end
  return true
end

return output

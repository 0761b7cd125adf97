--- What a run knows: which files have been given, which are under way in which directory. It is made of the journal's facts, and
--- each new fact is written to the journal before it is kept here.
---
--- The facts, by their `t`:
---
---   { t = "directory", n, name }         directory number n is about to be created, by this name
---   { t = "directory", n, id }           it has been
---   { t = "file", n, name, path?, size?, time?, file? }  a file is to be in directory n; it has left any other that it was in
---   { t = "uploaded", n, name, id }      it is there, as this entry of the directory
---   { t = "batch", n }                   the batch over directory n is about to be created (and this is on the disk)
---   { t = "batch", n, id }               it has been
---   { t = "done", name, status, job?, error? }  the program has been given the result of a file, and has come back
---   { t = "gone", n }                    directory n is not there, and had no batch: its files go into another
---   { t = "deleted", n }                 directory n was deleted
---
--- Of a file that is done, its name and a number are kept, and only where the source may come to it yet, as it does when a run
--- goes on; of those under way, an entry.

local source = require("llama_cloud.process.source")

local history = {}

---@class LlamaCloud.Entry.File: LlamaCloud.Item a file under way
---@field directory LlamaCloud.RunDirectory
---@field dfl? string the directory's entry for it
---@field job? string
---@field twin? LlamaCloud.Entry.File another with the same job
---@field early? boolean the source may come to it yet
---@field dropped? boolean it has changed since it was put into a batch: its result is not given
---@field failed? boolean
---@field processing? boolean it is in a batch
---@field stale? boolean it has changed since it was uploaded

---@class LlamaCloud.RunDirectory
---@field n integer
---@field name string
---@field id? string
---@field intent boolean its batch was about to be created
---@field batch? string
---@field entries table<string, LlamaCloud.Entry.File> by name: those that are not done
---@field left integer how many these are
---@field count integer how many were ever put into it
---@field uploading integer how many of them are on their way to it
---@field gone boolean it is no longer there
---@field doubtful boolean an earlier run began to create it
---@field idle? LlamaCloud.Condition that none is on its way any more
---@field resumed? boolean an earlier run has made it, and it had no batch
---@field processed? boolean its batch and jobs have ended
---@field settled? boolean its files are done, too

---@class LlamaCloud.History
---@field directories table<integer, LlamaCloud.RunDirectory> those that are not finished
---@field finished table<integer, LlamaCloud.RunDirectory> those of earlier runs that were made, have no files under way, and were not deleted
---@field last integer the number of the last directory
---@field private journal LlamaCloud.Journal
---@field private folder? string where files without a path lie
---@field private place table<string, LlamaCloud.RunDirectory> name -> where it is under way
---@field private done table<string, integer|string> name -> fingerprint
---@field private failed table<string, true> which of them had an error
---@field private given table<string, true> which of them this run has given
---@field private reading boolean the journal is being read
local History = {}
History.__index = History

local function directory_of(self, fact)
  local directory = self.directories[fact.n]
  if not directory then
    directory = { n = fact.n, entries = {}, left = 0, count = 0, uploading = 0 }
    directory.intent, directory.gone, directory.doubtful = false, false, false
    self.directories[fact.n] = directory
    self.last = math.max(self.last, fact.n)
  end
  return directory
end

-- Takes a file out of where it is under way.
local function leave(self, name)
  local directory = self.place[name]
  if not directory then
    return nil
  end
  local entry = directory.entries[name]
  self.place[name], directory.entries[name] = nil, nil
  directory.left = directory.left - 1
  return entry
end

-- What each fact means; the entry or directory that it is about.
local means = {}

function means.directory(self, fact)
  local directory = directory_of(self, fact)
  directory.name, directory.id = directory.name or fact.name, fact.id
  return directory
end

function means.file(self, fact, item)
  leave(self, fact.name)
  self.done[fact.name], self.failed[fact.name], self.given[fact.name] = nil, nil, nil
  local directory = directory_of(self, fact)
  local path = fact.path or not fact.file and self.folder and self.folder .. "/" .. fact.name or nil
  local entry = item or { name = fact.name, path = path, size = fact.size, time = fact.time, file = fact.file }
  entry.early = not item or item.early
  entry.directory, entry.dfl, entry.stale = directory, nil, nil
  directory.entries[fact.name], self.place[fact.name] = entry, directory
  directory.left, directory.count = directory.left + 1, directory.count + 1
  return entry
end

function means.uploaded(self, fact)
  local directory = self.directories[fact.n]
  local entry = directory and directory.entries[fact.name]
  if entry then
    entry.dfl = fact.id
  end
  return entry
end

function means.batch(self, fact)
  local directory = directory_of(self, fact)
  directory.intent, directory.batch = true, fact.id
  return directory
end

function means.done(self, fact)
  local entry = leave(self, fact.name)
  if entry and entry.early then
    self.done[fact.name] = source.fingerprint(entry)
    self.failed[fact.name] = fact.status ~= "COMPLETED" or nil
    self.given[fact.name] = not self.reading or nil
  end
  return entry
end

function means.gone(self, fact)
  local directory = self.directories[fact.n]
  self.directories[fact.n] = nil
  for name in pairs(directory and directory.entries or {}) do
    self.place[name] = nil
  end
  return directory
end

means.deleted = means.gone

-- Which facts have a directory's number, and which the name of a file.
local HAVE_N = { directory = true, file = true, uploaded = true, batch = true, gone = true, deleted = true }
local HAVE_NAME = { file = true, uploaded = true, done = true }

-- What is wrong with a fact that has not what its meaning needs.
local function misfit(fact)
  local whole = (not HAVE_N[fact.t] or math.type(fact.n) == "integer")
    and (not HAVE_NAME[fact.t] or type(fact.name) == "string")
  return not whole and "it is not what a run writes" or nil
end

--- Reads what the journal has. Raises an error of kind "file" where it cannot be read.
---@param journal LlamaCloud.Journal
---@param folder? string whose files they are: paths in it are not written
---@return LlamaCloud.History
function history.read(journal, folder)
  local self = setmetatable({
    directories = {},
    finished = {},
    last = 0,
    journal = journal,
    folder = folder,
    place = {},
    done = {},
    failed = {},
    given = {},
    reading = true,
  }, History)
  for fact in journal:facts(misfit) do
    local meaning = means[fact.t]
    if meaning then
      meaning(self, fact)
    end
  end
  self.reading = false
  for n, directory in pairs(self.directories) do
    directory.doubtful = not directory.id
    if directory.id and directory.left == 0 then
      self.directories[n], self.finished[n] = nil, directory
    end
  end
  return self
end

--- Writes a fact to the journal, and keeps it. Raises where the journal cannot be written.
---@param fact table
---@param item? LlamaCloud.Item of a "file": becomes the entry
---@return any what it is about
function History:note(fact, item)
  local written, err = self.journal:put(fact)
  if not written then
    error(err, 0)
  end
  return means[fact.t](self, fact, item)
end

--- Writes that a file goes into a directory, and keeps it there.
---@param directory LlamaCloud.RunDirectory
---@param item LlamaCloud.Item becomes the entry
---@return LlamaCloud.Entry.File
function History:assign(directory, item)
  local path = item.path
  if path and self.folder and path == self.folder .. "/" .. item.name then
    path = nil
  end
  local fact = { t = "file", n = directory.n, name = item.name, path = path, file = item.file }
  fact.size, fact.time = item.size, item.time
  return self:note(fact, item)
end

--- Waits until the disk has what was noted. Raises where that fails.
function History:sync()
  local written, err = self.journal:sync()
  if not written then
    error(err, 0)
  end
end

--- Takes a file out of where it is under way, until it is put into another directory. The journal learns of it then.
---@param name string
---@return LlamaCloud.Entry.File? entry
function History:leave(name)
  return leave(self, name)
end

--- Whether a file is under way or done.
---@param name string
---@return boolean
function History:knows(name)
  return self.place[name] ~= nil or self.done[name] ~= nil
end

--- What is to be done with a file: "new", "under way", "given" by this run, or "done" by an earlier one; and whether that ended
--- with an error. One that cannot be read any more is taken to be as it was.
---@param item LlamaCloud.Item
---@param retry_failed? boolean a file that has failed is a new one
---@return "new"|"under way"|"given"|"done"
---@return boolean? failed
function History:status(item, retry_failed)
  local directory = self.place[item.name]
  if directory then
    local same = item.problem or source.fingerprint(directory.entries[item.name]) == source.fingerprint(item)
    return (same or not directory.batch) and "under way" or "new"
  end
  local before, failed = self.done[item.name], self.failed[item.name] or false
  local same = before ~= nil and (item.problem or before == source.fingerprint(item))
  if same and self.given[item.name] then
    return "given", failed
  elseif not same or failed and retry_failed then
    return "new"
  end
  return "done", failed
end

return history

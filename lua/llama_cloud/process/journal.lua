--- The journal of a run: what was begun, and what came of it, a fact in each line of a file. A run that is started again
--- reads what happened before, and goes on from there.
---
--- The file is JSON lines, which nobody but the run writes, and only at the end. The first line is about the run. A text that
--- is no UTF-8, as the name of a file may be, is written as `{"$bytes":"caf%E9.pdf"}`.

local core = require("llama_cloud.core")
local errors = require("llama_cloud.base.errors")
local text = require("llama_cloud.base.text")

local journal = {}

---@alias LlamaCloud.Fact table<string, any> its values: strings of any bytes, booleans, finite numbers, and tables of these

---@class LlamaCloud.Journal
---@field run string the run's id: 16 hexadecimal digits, the same whenever it goes on
---@field resumed boolean whether there was a run before, which goes on
---@field facts fun(self: LlamaCloud.Journal, misfit?: fun(fact: LlamaCloud.Fact): string?): fun(): LlamaCloud.Fact? the facts that it has when it is called, in their order, for a `for`; the file is read piece by piece. Raises an error of kind "file" at a line that cannot be read, or whose fact is a misfit, with its number and what is wrong
---@field put fun(self: LlamaCloud.Journal, fact: LlamaCloud.Fact): true?, LlamaCloud.Error? adds a fact: all of it, or, where that fails, nothing, so that it can be tried again. What was put outlives the program, even if that is killed; after sync also the system. Raises for what is no fact, at the caller's line
---@field sync fun(self: LlamaCloud.Journal): true?, LlamaCloud.Error? waits until the disk has what was put. If the disk has failed, nobody can tell what it has, and the journal takes nothing more: open it again
---@field close fun(self: LlamaCloud.Journal) lets others open it; idempotent. Also __close

local FORMAT = 1 -- what this file writes, and the newest that it reads
local HEAD = '{"llama_cloud_journal":' -- with which each journal begins
local MOST_OF_LINE = 1 << 20 -- bytes, with its line break
local MOST_OF_IDENTITY = MOST_OF_LINE - 100 -- the rest of a header is shorter
local PIECE = 1 << 16 -- bytes that are read at once

-- A new id of a run.
local function new_run()
  return (core.random(8):gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end))
end

-- ---- texts of any bytes ----

local MARK = "$bytes"
local MOST_NESTED = 100

local function escape(byte)
  return ("%%%02X"):format(byte:byte())
end

local function unescape(digits)
  return string.char(tonumber(digits, 16))
end

-- The same value, with a table for each text that JSON has not. Nil and the problem.
local function expressible(value, depth)
  if type(value) == "string" and not utf8.len(value) then
    return { [MARK] = value:gsub("[%%\128-\255]", escape) }
  elseif type(value) ~= "table" then
    return value
  elseif depth > MOST_NESTED then
    return nil, "it is nested too deeply"
  end
  local copy = setmetatable({}, getmetatable(value) == core.array and core.array or nil)
  for key, member in pairs(value) do
    if key == MARK then
      return nil, ("'%s' cannot be the name of a field"):format(MARK)
    end
    local problem
    copy[key], problem = expressible(member, depth + 1)
    if problem then
      return nil, problem
    end
  end
  return copy
end

-- Puts the texts back into a table that was read.
local function restore(value)
  for key, member in pairs(value) do
    if type(member) == "table" then
      local escaped = member[MARK]
      value[key] = type(escaped) == "string" and escaped:gsub("%%([0-9A-F][0-9A-F])", unescape) or restore(member)
    end
  end
  return value
end

-- A table as JSON, in one line of fewer bytes than `most`; nil and the problem.
local function encode(value, most)
  local line = core.encode(value)
  if not line or line:find(MARK, 1, true) then
    local copy, problem = expressible(value, 1)
    if not copy then
      return nil, problem
    end
    line, problem = core.encode(copy)
    if not line then
      return nil, problem
    end
  end
  if line:byte() ~= 123 then -- {
    return nil, "it is an array"
  elseif #line >= most then
    return nil, ("it takes %d bytes, and %d are allowed"):format(#line, most - 1)
  end
  return line
end

-- The table of a line; nil and the problem.
local function decode(decoder, line)
  local value, problem = decoder:decode(line)
  if problem then
    return nil, problem
  elseif line:byte() ~= 123 then
    return nil, "it is no JSON object"
  end
  return line:find(MARK, 1, true) and restore(value) or value
end

-- ---- what goes wrong ----

local WHAT_TO_DO = {
  denied = "make it writable, or give another path",
  directory = "give the path of a file in it",
  full = "make room, and run again: the run goes on from there",
  missing = "make that, or give another path",
}

local function file_error(format, ...)
  return errors.new { kind = "file", message = format:format(...) }
end

-- The error for what the core has refused.
local function refused(path, message, why)
  if why == "locked" then
    return file_error(
      "another run is using the journal %s: wait until it has ended, or give this run a journal of its own",
      text.quote(path)
    )
  end
  local hint = WHAT_TO_DO[why]
  return file_error("the journal: %s%s", message, hint and " (" .. hint .. ")" or "")
end

local function unreadable(path, number, problem)
  return file_error(
    "line %d of the journal %s cannot be read: %s. Restore the file from a copy, or begin anew with another journal",
    number,
    text.quote(path),
    problem
  )
end

local function shown(value)
  if type(value) == "string" then
    return text.quote(value)
  elseif type(value) == "number" then
    return text.number(value, "%.14g")
  end
  return value == nil and "not set" or type(value) == "table" and "a table" or tostring(value)
end

-- Adds to `found` what differs between two tables, in words.
local function compare(there, here, prefix, found)
  local names = {}
  for name in pairs(there) do
    names[#names + 1] = name
  end
  for name in pairs(here) do
    if there[name] == nil then
      names[#names + 1] = name
    end
  end
  table.sort(names, function(a, b)
    return tostring(a) < tostring(b)
  end)
  for _, name in ipairs(names) do
    local old, new = there[name], here[name]
    if type(old) == "table" and type(new) == "table" then
      compare(old, new, prefix .. name .. ".", found)
    elseif old ~= new then
      found[#found + 1] = ("%s is %s there and %s here"):format(text.line(prefix .. name, 100), shown(old), shown(new))
    end
  end
  return found
end

local function check_open(self)
  if self.closed then
    error("the journal is closed", 3)
  end
end

local function check_fact(fact)
  if type(fact) ~= "table" then
    error(("a fact must be a table, not %s"):format(type(fact)), 3)
  end
end

-- ---- reading ----

-- A function that gives line after line of a log, from one offset to another; at the end nil and what has no line break, and
-- where reading fails nil, nil and the problem.
local function lines(log, offset, stop)
  local piece, from = "", 1
  return function()
    while true do
      local at = piece:find("\n", from, true)
      if at then
        local line = piece:sub(from, at - 1)
        from = at + 1
        return line
      end
      local rest = piece:sub(from)
      if offset >= stop then
        return nil, rest
      elseif #rest > MOST_OF_LINE then
        return nil, nil, "it is too long"
      end
      local more, problem = log:read(offset, math.min(PIECE, stop - offset))
      if not more or more == "" then
        return nil, nil, problem or "the file has become shorter"
      end
      piece, from, offset = rest .. more, 1, offset + #more
    end
  end
end

-- Where the last line of a log ends; nil and the problem.
local function last_end(log)
  local stop = log:size()
  while stop > 0 do
    local start = math.max(stop - PIECE, 0)
    local piece, problem = log:read(start, stop - start)
    if not piece then
      return nil, problem
    end
    local at = piece:match("^.*()\n")
    if at then
      return start + at
    end
    stop = start
  end
  return 0
end

---@class LlamaCloud.Journal.File: LlamaCloud.Journal
---@field log userdata of core.append
---@field path string
---@field first integer offset of the first fact
---@field closed boolean
local File = {}
File.__index = File
File.__name = "llama_cloud.journal"

function File:facts(misfit)
  check_open(self)
  local decoder = core.decoder()
  local next_line = lines(self.log, self.first, self.log:size())
  local number = 1 -- is the header
  return function()
    check_open(self)
    number = number + 1
    local line, _, problem = next_line()
    local fact
    if line then
      fact, problem = decode(decoder, line)
    end
    if fact and misfit then
      problem = misfit(fact)
    end
    if problem then
      error(unreadable(self.path, number, problem), 0)
    end
    return fact
  end
end

function File:put(fact)
  check_open(self)
  check_fact(fact)
  local line, problem = encode(fact, MOST_OF_LINE)
  if not line then
    error("this cannot be written as a fact: " .. problem, 2)
  end
  local done, message, why = self.log:write(line .. "\n")
  if not done then
    return nil, refused(self.path, message, why)
  end
  return true
end

function File:sync()
  check_open(self)
  local done, message, why = self.log:sync()
  if not done then
    return nil, refused(self.path, message, why)
  end
  return true
end

function File:close()
  self.closed = true
  self.log:close()
end
File.__close = File.close

-- ---- opening ----

-- Writes the header of a new run.
local function begin(self, identity)
  self.run, self.resumed = new_run(), false
  local header = ('%s%d,"run":"%s","identity":%s}\n'):format(HEAD, FORMAT, self.run, identity)
  local done, message, why = self.log:write(header)
  if done then
    done, message, why = self.log:sync()
  end
  if not done then
    return nil, refused(self.path, message, why)
  end
  self.first = #header
  return true
end

-- What is in the header of a journal; nil and the problem.
local function read_header(self, line)
  local header, problem = decode(core.decoder(), line)
  if not header then
    return nil, unreadable(self.path, 1, problem)
  end
  local format = header.llama_cloud_journal
  if math.type(format) == "integer" and format > FORMAT then
    return nil,
      file_error(
        "the journal %s is from a newer version of this library (format %d, and this one knows %d): "
          .. "update this one, or give this run a journal of its own",
        text.quote(self.path),
        format,
        FORMAT
      )
  elseif format ~= FORMAT or type(header.run) ~= "string" or type(header.identity) ~= "table" then
    return nil, unreadable(self.path, 1, "it is not what a journal begins with")
  end
  return header
end

-- Reads the header of a journal that has one, compares it, and drops a line that was not written to its end.
local function go_on(self, line, identity)
  local header, err = read_header(self, line)
  if not header then
    return nil, err
  end
  local found = compare(header.identity, decode(core.decoder(), identity), "", {})
  if found[1] then
    return nil,
      file_error(
        "the journal %s is another run's: %s. Do the same as that run, or give this one a journal of its own",
        text.quote(self.path),
        table.concat(found, ", ")
      )
  end
  local stop, message, why = last_end(self.log)
  if stop and stop < self.log:size() then
    stop, message, why = self.log:truncate(stop)
  end
  if not stop then
    return nil, refused(self.path, message, why)
  end
  self.run, self.resumed, self.first = header.run, true, #line + 1
  return true
end

-- Begins a run, or goes on with the one that the file is about.
local function start(self, identity)
  local log = self.log
  if log:size() == 0 then
    return begin(self, identity)
  end
  local line, rest, problem = lines(log, 0, math.min(log:size(), MOST_OF_LINE))()
  if problem then
    return nil, unreadable(self.path, 1, problem)
  end
  if (line or rest):sub(1, #HEAD) ~= HEAD then
    return nil, file_error("%s is no journal, and was left as it is: give another path", text.quote(self.path))
  elseif line then
    return go_on(self, line, identity)
  elseif log:size() >= MOST_OF_LINE then
    return nil, unreadable(self.path, 1, "it is too long")
  end
  local emptied, message, why = log:truncate(0) -- a header that was not written to its end
  if not emptied then
    return nil, refused(self.path, message, why)
  end
  return begin(self, identity)
end

--- Opens the journal of a run, or begins one where there is no file, or an empty one. It is locked until it is closed. What
--- is torn at its end, as by a loss of power, is dropped. Nothing is changed where it is refused, for another run is using
--- it, it is about another run (the message tells in what they differ), a newer version has written it, it is no journal, it
--- cannot be written, or the disk is full. Raises for a wrong argument.
---@param path string
---@param identity LlamaCloud.Fact what makes two runs the same: where these differ the run cannot go on
---@return LlamaCloud.Journal? journal
---@return LlamaCloud.Error? err of kind "file", which tells what to do
function journal.open(path, identity)
  if type(path) ~= "string" or path == "" or path:find("\0", 1, true) then
    error("the path of a journal must be a string that is not empty and has no NUL", 2)
  elseif type(identity) ~= "table" then
    error(("the identity of a run must be a table, not %s"):format(type(identity)), 2)
  end
  local encoded, problem = encode(identity, MOST_OF_IDENTITY)
  if not encoded then
    error("this cannot be the identity of a run: " .. problem, 2)
  end
  local log, message, why = core.append(path)
  if not log then
    return nil, refused(path, message, why)
  end
  local self = setmetatable({ log = log, path = path, closed = false }, File)
  local started, err = start(self, encoded)
  if not started then
    self:close()
    return nil, err
  end
  return self
end

-- ---- runs without a journal ----

---@class LlamaCloud.Journal.Memory: LlamaCloud.Journal
---@field closed boolean
local Memory = {}
Memory.__index = Memory
Memory.__name = "llama_cloud.journal"

local function nothing() end

function Memory:facts()
  check_open(self)
  return nothing
end

function Memory:put(fact)
  check_open(self)
  check_fact(fact)
  return true
end

function Memory:sync()
  check_open(self)
  return true
end

function Memory:close()
  self.closed = true
end
Memory.__close = Memory.close

--- A journal for a run without one: it has no facts, and forgets what it is told, because nobody can open it again.
---@return LlamaCloud.Journal
function journal.memory()
  return setmetatable({ run = new_run(), resumed = false, closed = false }, Memory)
end

return journal

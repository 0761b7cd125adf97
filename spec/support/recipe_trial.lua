-- A trial of client.batches:process: a folder, a sandbox that answers some requests wrongly, and a program that is ended in
-- the middle and started again, until it ends by itself. What came of it is in recipe_truth.lua.
--
--   local trial = recipe_trial.new { count = 60, seed = 1, program = "lua" }
--   local run = trial:start(); …; run:signal("KILL"); local ended = run:wait()
--   trial:collect()   -- what the sandbox was asked since: often enough that it has not forgotten it
--   trial:close()

local cjson = require("cjson")
local lfs = require("lfs")

local files = require("spec.support.files")
local process = require("spec.support.process")
local program = require("spec.support.program")
local sandbox = require("llama_cloud.sandbox")

local quote = process.quote

local recipe_trial = {}

-- What goes wrong, each as often as the others: before the service has acted, after it has, and on the way.
local ANY = {
  "500",
  "500 processed",
  "503",
  "503 retry-after=0",
  "503 processed",
  "429",
  "429 retry-after=0",
  "close",
  "close processed",
  "close=headers",
  "close=10",
  "close=body",
  "reset processed",
  "reset=body",
  "garbage",
  "garbage processed",
  "delay=0.2",
  "trickle=2000",
}
-- Not for uploads from the command line, which has no flag for how long they may stand still.
local STALLS = { "stall", "stall processed", "stall=body" }
-- Received slowly, and taken after all, though the program may have been killed meanwhile.
local SLOW = "POST */upload: take-rate=2000"
local STALLED = { "GET *", "POST /api/v2/batches", "POST /api/v1/beta/directories" }

-- The rules by which so many of all answers are wrong.
local function weather(rate)
  local kinds = #ANY + #STALLS + 1
  local rules = { ("%s p=%.6f"):format(SLOW, rate / kinds) }
  for _, kind in ipairs(ANY) do
    rules[#rules + 1] = ("* /api/*: %s p=%.6f"):format(kind, rate / kinds)
  end
  for _, kind in ipairs(STALLS) do
    for _, route in ipairs(STALLED) do
      rules[#rules + 1] = ("%s: %s p=%.6f"):format(route, kind, rate / kinds)
    end
  end
  return rules
end

-- Folders in folders, blanks, what shells and URLs take for something else, and letters of several languages.
local FOLDERS = { "", "2025/", "2025/März 04/", "2026/Q1 & Q2/a+b=100%/", "zażółć/日本語/", "it's #1; $HOME?/" }

local function name_of(number)
  local folder = FOLDERS[number % #FOLDERS + 1]
  local form = number % 3 == 0 and "%04d Rechnung ü.pdf" or number % 3 == 1 and "%04d.pdf" or "%04d scan (final).docx"
  return folder .. form:format(number)
end

---@class spec.RecipeTrial
---@field names string[] of the files
---@field input string
---@field output string
---@field journal string
---@field log table[] what the sandbox was asked: method, path, status, round, sha256 of what was uploaded
---@field service table the sandbox
---@field given table
local Trial = {}
Trial.__index = Trial

local function make_input(trial)
  assert(lfs.mkdir(trial.input))
  for number = 1, trial.given.count do
    local name, path = name_of(number), trial.input
    for folder in name:gmatch("([^/]+)/") do
      path = path .. "/" .. folder
      lfs.mkdir(path)
    end
    local file = assert(io.open(trial.input .. "/" .. name, "wb"))
    file:write(("text %d of trial %d\n"):format(number, trial.given.seed):rep(1 + number % 7))
    file:close()
    trial.names[number] = name
  end
end

local SCHEMA = { type = "object", properties = { total = { type = "number" }, vendor = { type = "string" } } }

--- The configuration that the jobs have.
---@param client LlamaCloud.Client of the sandbox
---@param job_type string
---@return string id
function recipe_trial.configuration(client, job_type)
  if job_type == "parse_v2" then
    return "cfg-PARSE_AGENTIC"
  end
  local parameters = { product_type = job_type, data_schema = SCHEMA }
  return assert(client.configurations:create { name = "trial", parameters = parameters }).id
end

--- Makes the folder, and starts the sandbox. `given`: `count` of files; `seed`; `program` ("command line" or "lua"); `type` of
--- the jobs; `rate` of wrong answers; `delete_directories`; `duplicates`, as of the sandbox, of files and of directories;
--- `batch_size`; whether the Lua program is `quick` to try again.
---@param given table
---@return spec.RecipeTrial
function recipe_trial.new(given)
  local root = files.new()
  local trial = setmetatable({ given = given, root = root, names = {}, log = {}, seen = {}, round = 0 }, Trial)
  trial.acknowledged, trial.fetched, trial.steps = {}, {}, 0
  trial.input, trial.output = root:path("in put"), root:path("output")
  trial.journal = root:path("journal.jsonl")
  make_input(trial)
  trial.service = sandbox.start {
    batches = 0,
    jobs = 0,
    seed = given.seed,
    speed = 2000,
    duplicates = given.duplicates,
    duplicate_directories = given.duplicates ~= "replace" and given.duplicates or nil,
  }
  local client = trial:client()
  trial.configuration = recipe_trial.configuration(client, given.type)
  trial.service:forget()
  for _, rule in ipairs(weather(given.rate)) do
    trial.service:add_fault(rule)
  end
  return trial
end

--- A client of its sandbox.
---@return LlamaCloud.Client
function Trial:client()
  return require("llama_cloud").new { api_key = "llx-truth", base_url = self.service:url(), proxy = "" }
end

-- A value in Lua's notation.
local function literal(value)
  if type(value) ~= "table" then
    return ("%q"):format(value)
  end
  local parts = {}
  for key, member in pairs(value) do
    parts[#parts + 1] = ("[%s]=%s"):format(literal(key), literal(member))
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local UPLOADS_PER_SECOND, TIMEOUT, QUICK_TIMEOUT = 2000, 1, 0.4

-- The words of the program that calls client.batches:process.
local function lua_program(trial, last_line)
  local given = trial.given
  local timeout = (given.quick and QUICK_TIMEOUT or TIMEOUT) * process.slowdown
  local options = {
    journal = trial.journal,
    output = trial.output,
    uploads_per_second = UPLOADS_PER_SECOND,
    batch_size = given.batch_size,
    delete_directories = given.delete_directories,
    polling_interval = 0.02,
    max_interval = 0.1,
    timeout = timeout,
    max_retries = given.quick and 0 or nil,
  }
  local argument = literal {
    folder = trial.input,
    params = {
      config = { job = { type = given.type, configuration_id = trial.configuration } },
      expand = given.type == "parse_v2" and { "markdown_full" } or nil,
    },
    options = options,
    timeout = timeout,
    quick = given.quick,
    last_line = last_line,
  }
  return { program.file("spec/support/recipe_program.lua"), argument }
end

-- The words of the command line.
local function command_line(trial)
  local given = trial.given
  local words = { program.file("bin/llama-cloud"), "process", trial.input, "--type", given.type, "--format", "jsonl" }
  local function add(...)
    table.move({ ... }, 1, select("#", ...), #words + 1, words)
  end
  add("--configuration", trial.configuration, "--output", trial.output, "--journal", trial.journal)
  add("--uploads-per-second", UPLOADS_PER_SECOND, "--batch-size", given.batch_size)
  add("--polling-interval", 0.02, "--max-interval", 0.1, "--timeout", TIMEOUT * process.slowdown)
  if given.type == "parse_v2" then
    add("--expand", "markdown_full")
  end
  if given.delete_directories then
    add("--delete-directories")
  end
  return words
end

--- The command that goes through the folder. Its requests have the number of the round in a header.
---@param last_line? integer of its log, at which it ends itself
---@return string
function Trial:command(last_line)
  local words = self.given.program == "lua" and lua_program(self, last_line) or command_line(self)
  local interpreter = os.getenv("LUA")
  table.insert(words, 1, interpreter ~= "" and interpreter or "lua" .. _VERSION:match("[%d.]+"))
  for index, word in ipairs(words) do
    words[index] = quote(tostring(word))
  end
  local set = {
    LUA_PATH = package.path,
    LUA_CPATH = package.cpath,
    LLAMA_CLOUD_API_KEY = "llx-trial",
    LLAMA_CLOUD_BASE_URL = self.service:url(),
    LLAMA_CLOUD_CUSTOM_HEADERS = "x-round: " .. self.round,
    no_proxy = "127.0.0.1",
  }
  for name, value in pairs(set) do
    table.insert(words, 1, name .. "=" .. quote(value))
  end
  return "exec env -u LLAMA_CLOUD_LOG -u NO_PROXY " .. table.concat(words, " ")
end

---@class spec.RecipeRun
---@field pid integer
local Run = {}
Run.__index = Run

--- Starts the program. What it writes goes into the files `out` and `err`.
---@param last_line? integer
---@return spec.RecipeRun
function Trial:start(last_line)
  self.round = self.round + 1
  local out, err = self.root:path("out." .. self.round), self.root:path("err." .. self.round)
  local redirected = ("%s >%s 2>%s </dev/null"):format(self:command(last_line), quote(out), quote(err))
  local pipe = assert(io.popen("echo $$; " .. redirected))
  -- the whole line: what is left unread, newer C libraries want to seek back when the pipe is closed
  return setmetatable({ pipe = pipe, pid = assert(tonumber(pipe:read("l"))), err = err }, Run)
end

--- Whether it has not ended yet.
---@return boolean
function Run:goes_on()
  local file = io.open(("/proc/%d/stat"):format(self.pid))
  local state = file and file:read("a"):match("%) (%a)")
  if file then
    file:close()
  end
  return state ~= nil and state ~= "Z"
end

--- Sends it a signal, such as "KILL".
---@param name string
function Run:signal(name)
  os.execute(("kill -%s %d"):format(name, self.pid))
end

--- Waits for its end.
---@return integer status as a shell has it: 128 and the signal's number, if it was one
---@return string said on standard error
function Run:wait()
  local _, how, status = self.pipe:close()
  local file = assert(io.open(self.err, "rb"))
  local said = file:read("a")
  file:close()
  return how == "signal" and 128 + status or status, said
end

-- Takes note of a request.
local function note(trial, request)
  local entry = { method = request.method, path = request.path, status = request.status }
  entry.round = math.tointeger(tonumber(request.headers["x-round"])) or 0
  for _, part in ipairs(request.parts or {}) do
    entry.sha256 = part.name == "upload_file" and part.sha256 or entry.sha256
  end
  trial.log[#trial.log + 1] = entry
  local done = entry.sha256 and entry.status == "201" and trial.acknowledged
    or entry.method == "GET" and entry.status == "200" and entry.path:find("^/api/v2/%a+/%a") and trial.fetched
  local key = entry.sha256 or entry.path
  if done and not done[key] then
    done[key] = true
    trial.steps = trial.steps + 1
  end
end

--- Asks the sandbox what it was asked since the last time. `steps` is then how many files were uploaded, and how many jobs were
--- asked for, each once.
function Trial:collect()
  local limit = self.service:stats().requests - #self.log
  local requests
  if limit <= 0 then
    return
  end
  repeat -- until none is left out that came meanwhile
    limit = math.min(2 * limit + 8, 1000)
    requests = self.service:requests(limit)
  until limit == 1000 or #requests < limit or #self.log == 0 or self.seen[requests[1].request_id]
  for _, request in ipairs(requests) do
    if not self.seen[request.request_id] then
      self.seen[request.request_id] = true
      note(self, request)
    end
  end
end

--- What all rounds have said on standard output: how often each name.
---@return table<string, integer>
function Trial:told()
  local told = {}
  for round = 1, self.round do
    for line in io.lines(self.root:path("out." .. round)) do
      local whole, file = pcall(cjson.decode, line)
      if whole then -- the last line of one that was killed need not be
        told[file.name] = (told[file.name] or 0) + 1
      end
    end
  end
  return told
end

function Trial:close()
  self.service:close()
  self.root:remove()
end

return recipe_trial

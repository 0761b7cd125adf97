--- llama-cloud process: a folder of files to results, by client.batches:process.

local act = require("llama_cloud.cli.act")
local core = require("llama_cloud.core")
local output = require("llama_cloud.cli.output")
local progress = require("llama_cloud.cli.progress")
local values = require("llama_cloud.cli.values")

local process = { name = "process" }

process.about = "Takes a folder of files to results: uploads, batches, waiting and fetching, and goes on where it was"

-- Flags: name, type, placeholder, text. The first ones are parameters, the others options of batches:process.
local PARAMETERS = {
  { "expand", "strings", "NAME", "what is fetched of each result, such as markdown_full; may be given several times" },
  { "organization_id", "string", "ID", "" },
  { "project_id", "string", "ID", "" },
}
local OPTIONS = {
  { "output", "string", "DIR", "the folder that results are written to; without it they are printed" },
  { "journal", "string", "FILE", "keeps what was done, so that the same command goes on where it was" },
  { "retry_failed", "boolean", nil, "process again what has failed in an earlier run" },
  { "delete_directories", "boolean", nil, "delete each directory at the service when its files are done" },
  { "pattern", "string", "PATTERN", "only files whose path below the folder has it (a Lua pattern: %.pdf$)" },
  { "exclude", "string", "PATTERN", "not those whose path has it" },
  { "concurrency", "count", "N", "uploads at once, and results fetched at once (8)" },
  { "uploads_per_second", "seconds", "N", "at most so many (10, which is what the service allows)" },
  { "batch_size", "count", "N", "files in a batch (1000, which is the most)" },
  { "batches", "count", "N", "batches at once (10)" },
  { "name", "string", "NAME", "what the names of directories at the service begin with" },
  { "polling_interval", "seconds", "SECONDS", "from the first look to the second (1)" },
  { "max_interval", "seconds", "SECONDS", "what this grows to (5)" },
}

local PATTERNS = "they are Lua patterns, such as %.pdf$"
local MOST_FAILURES = 1000 -- that are kept, to be listed in the end

local function add(parser, kind, one)
  local flag = "--" .. one[1]:gsub("_", "-")
  if one[2] == "boolean" then
    return parser:flag(flag, one[4]):target(kind .. one[1])
  end
  local option = parser:option(flag, one[4]):target(kind .. one[1]):argname(one[3])
  local convert = values.converter(flag, one[2])
  if convert then
    option:convert(convert)
  end
  if one[2] == "strings" then
    option:count("*")
  end
end

---@param parser table
function process.declare(parser)
  parser:argument("path", "a folder, or files"):target("paths"):args("+")
  parser
    :option("--configuration", "a saved configuration, or a preset such as cfg-PARSE_AGENTIC")
    :target("configuration")
    :argname("ID")
    :count(1)
  parser:option("--type", "of the jobs"):target("type"):choices({ "parse_v2", "extract_v2" }):default("parse_v2")
  for _, one in ipairs(OPTIONS) do
    add(parser, "o:", one)
  end
  for _, one in ipairs(PARAMETERS) do
    add(parser, "p:", one)
  end
  parser:epilog(
    "Example:\n  llama-cloud process invoices --output results --journal invoices.jsonl \\\n"
      .. "      --configuration cfg-PARSE_AGENTIC --expand markdown_full\n\n"
      .. "Flags of all commands: llama-cloud --help"
  )
end

local function usage(message)
  return setmetatable({ message = message }, act.Usage)
end

-- What is to be processed: one folder, or files. Raises wrong use for what can be neither; of several files, one that is not
-- there fails alone. Without LuaFileSystem the library says what it needs.
local function files_of(paths)
  local found, lfs = pcall(require, "lfs")
  for _, path in ipairs(found and paths or {}) do
    local mode = lfs.attributes(path, "mode")
    if not mode and #paths == 1 then
      error(usage(("there is no file or folder '%s'"):format(path)), 0)
    elseif mode == "directory" and #paths == 1 then
      return path
    elseif mode == "directory" then
      error(usage(("'%s' is a folder: give one folder, or files"):format(path)), 0)
    end
  end
  return paths
end

-- A word as a shell reads it.
local function quoted(word)
  return word:find("^[%w_@%%+=:,./-]+$") and word or "'" .. word:gsub("'", "'\\''") .. "'"
end

-- The command line that was given, with a flag more.
local function again(arguments, flag)
  local words, there = { "llama-cloud" }, false
  for _, word in ipairs(arguments) do
    words[#words + 1] = quoted(word)
    there = there or word == flag
  end
  words[#words + 1] = not there and flag or nil
  return table.concat(words, " ")
end

local function count(n, what)
  return ("%d %s%s"):format(n, what, n == 1 and "" or "s")
end

local QUIET = 60 -- seconds between two sentences about trouble that may pass

-- Says why nothing moves, lest an unreachable service look like a slow one.
local function tell_trouble(run, err)
  if err and core.now() >= run.tell_trouble_at then
    run.tell_trouble_at = core.now() + QUIET
    progress.say("trying again: " .. act.told(err))
  end
end

-- What `on_progress` is to be: counts, the rate since the first of them, and the time that is left if no more files are found.
local function teller(run)
  local begun, first
  return function(now)
    run.now = now
    tell_trouble(run, now.trouble)
    local ended = now.done + now.failed
    begun, first = begun or core.now(), first or ended
    local passed = core.now() - begun
    local line = ("%d of %s done"):format(now.done, count(now.walked, "file"))
    line = now.failed > 0 and ("%s  %d failed"):format(line, now.failed) or line
    line = ("%s  %d uploaded  %d processing"):format(line, now.uploaded, now.processing)
    if ended > first and passed > 0 then
      local rate = (ended - first) / passed
      line = ("%s  %.1f/s  %s left"):format(line, rate, progress.duration((now.walked - ended) / rate))
    end
    progress.show(line)
  end
end

-- A file as a row: the error is its message.
local function row_of(file)
  local row = {}
  for name, value in pairs(file) do
    row[name] = value
  end
  row.error = file.error and act.told(file.error) or nil
  return row
end

-- What failed, and the command that goes on. What earlier runs have done and failed to do counts, too.
local function report(run, result, state)
  local done, failed = run.now.done, run.now.failed
  progress.clear()
  if run.out.format == "table" then
    run.out:put(run.failures)
  end
  run.out:finish()
  if run.now.walked == 0 then
    progress.say(
      "there are no files" .. (run.filtered and " whose paths --pattern and --exclude leave: " .. PATTERNS or "")
    )
  end
  progress.say(("%s: %d completed, %d failed"):format(count(done + failed, "file"), done, failed))
  if failed > 0 and result["o:journal"] and state.arguments then
    progress.say("what failed is processed again by: " .. again(state.arguments, "--retry-failed"))
  end
  return failed > 0 and 1 or 0, run.now
end

-- Takes note of a file that was processed, and shows it.
local function take(run, file)
  local row = row_of(file)
  local failed = file.status ~= "COMPLETED"
  if failed and #run.failures < MOST_FAILURES then
    run.failures[#run.failures + 1] = row
  end
  if run.out.format ~= "table" then
    progress.clear()
    run.out:put { row }
    if failed then
      progress.say(("%s: %s"):format(file.name, row.error or file.status))
    end
  end
end

---@param client LlamaCloud.Client
---@param result table
---@param state table
---@return integer code
---@return LlamaCloud.RunProgress now
function process.run(client, result, state)
  local params = { config = { job = { type = result.type, configuration_id = result.configuration } } }
  local options = {}
  for _, one in ipairs(PARAMETERS) do
    local value = result["p:" .. one[1]]
    params[one[1]] = (type(value) ~= "table" or value[1]) and value or nil
  end
  for _, one in ipairs(OPTIONS) do
    options[one[1]] = result["o:" .. one[1]]
  end
  for _, name in ipairs { "timeout", "total_timeout", "max_retries" } do
    options[name] = result["g:" .. name]
  end
  local out = output.new {
    format = state.format or not options.output and "jsonl" or nil, -- a table has no room for results
    fields = state.fields,
    order = { "path", "name", "status", "id", "job", "result", "output", "error" },
    many = true,
  }
  if out.format == "table" then
    out.fields = out.fields or { "name", "status", "error" }
  end
  local run = { out = out, failures = {}, tell_trouble_at = 0, filtered = options.pattern or options.exclude }
  options.on_progress = teller(run)
  local files = files_of(result.paths)
  if result.type == "parse_v2" and not params.expand then
    progress.say(
      "no text will be fetched, only whether each job is completed: --expand markdown_full or text_full does"
    )
  end
  local iterate, _, _, closing = act.invoke(client.batches.process, client.batches, files, params, options)
  local journal = options.journal -- which could be opened: what is wrong with it, the same command would not mend
  state.hint = journal and state.arguments and "to go on: " .. again(state.arguments)
    or not journal and "without --journal nothing of this is known to another run"
    or nil
  for file in iterate, nil, nil, closing do
    take(run, file)
  end
  state.hint = nil
  return report(run, result, state)
end

return process

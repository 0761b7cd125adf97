--- llama-cloud process: processes a folder of files and saves the results, by client.batches:process.

local act = require("llama_cloud.cli.act")
local again = require("llama_cloud.cli.again")
local commands = require("llama_cloud.cli.commands")
local core = require("llama_cloud.core")
local flags = require("llama_cloud.cli.flags")
local lookup = require("llama_cloud.cli.lookup")
local output = require("llama_cloud.cli.output")
local progress = require("llama_cloud.cli.progress")
local text = require("llama_cloud.base.text")
local texts = require("llama_cloud.cli.texts")
local values = require("llama_cloud.cli.values")

local process = { name = "process" }

process.about =
  "Processes a folder of files and saves the results. Run again with the same journal, it continues where it stopped"

-- Flags: name, type, placeholder, text. The first ones are parameters, the others options of batches:process.
local PARAMETERS = {
  { "expand", "strings", "NAME", "what is fetched of each result, such as markdown_full; may be given several times" },
  { "webhook_configuration_ids", "strings", "ID", "as for batches create; may be given several times" },
  { "webhook_configurations", "array", "JSON", "as for batches create" },
  { "organization_id", "string", "ID", "" },
  { "project_id", "string", "ID", "" },
}
local OPTIONS = {
  { "output", "string", "DIR", "the folder that results are written to; without it they are printed" },
  { "journal", "string", "FILE", "keeps what was done, so that the same command continues where it stopped" },
  { "retry_failed", "boolean", nil, "process again what has failed in an earlier run" },
  { "delete_directories", "boolean", nil, "delete each directory at the service when its files are done" },
  { "pattern", "string", "PATTERN", "only files whose path below the folder matches this Lua pattern, such as %.pdf$" },
  { "exclude", "string", "PATTERN", "no files whose path matches this one" },
  { "concurrency", "count", "N", "uploads at once, and results fetched at once (8)" },
  { "uploads_per_second", "rate", "N", "at most this many (10, the published limit)" },
  { "batch_size", "count", "N", "files in a batch (1000, the most that the service takes)" },
  { "batches", "count", "N", "batches at once (10)" },
  { "name", "string", "NAME", "what the names of directories at the service begin with" },
  { "polling_interval", "seconds", "SECONDS", "from the first poll to the second (1)" },
  { "max_interval", "seconds", "SECONDS", "to which this grows (5)" },
  { "backoff", "string", "BACKOFF", "how it grows: linear, constant or exponential" },
}

local MOST_FAILURES = 1000 -- that are kept, to be listed in the end

local function add(parser, kind, one)
  local flag = "--" .. commands.dashed(one[1])
  if one[2] == "boolean" then
    return parser:flag(flag, one[4]):target(kind .. one[1])
  end
  local option = parser:option(flag, one[4]):target(kind .. one[1]):argname(one[3])
  values.read_as(option, flag, one[2])
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
  parser
    :option("--type", "of the jobs: parse_v2 or extract_v2")
    :target("type")
    :argname("TYPE")
    :choices({ "parse_v2", "extract_v2" })
    :default("parse_v2")
  for _, one in ipairs(OPTIONS) do
    add(parser, "o:", one)
  end
  for _, one in ipairs(PARAMETERS) do
    add(parser, "p:", one)
  end
  parser
    :option("--stall-timeout", "end an upload or download in which no byte moves for this many seconds (60)")
    :target("stall_timeout")
    :argname("SECONDS")
    :convert(values.converter("--stall-timeout", "seconds"))
  parser:epilog(
    "Example:\n  llama-cloud process invoices --output results --journal invoices.jsonl \\\n"
      .. "      --configuration cfg-PARSE_AGENTIC --expand markdown_full\n\n"
      .. "Flags of all commands: llama-cloud --help"
  )
end

local IS_FOLDER = 21 -- EISDIR

local function is_folder(path)
  local file = io.open(path, "rb")
  if not file then
    return false
  end
  local _, _, code = file:read(0)
  file:close()
  return code == IS_FOLDER
end

-- What is to be processed: the path of a folder, or an array of those of files. Raises wrong use for anything else.
local function files_of(paths)
  for _, path in ipairs(paths) do
    if is_folder(path) and #paths > 1 then
      error(act.usage(("give one folder, or files: %s is a folder"):format(text.quote(path))), 0)
    end
  end
  if #paths > 1 or is_folder(paths[1]) then
    return #paths > 1 and paths or paths[1]
  end
  local file, problem = io.open(paths[1], "rb")
  if not file then
    error(act.usage("cannot read " .. problem), 0)
  end
  file:close()
  return paths
end

-- Says what a program that ends well would leave unsaid: that there was nothing to do.
local function tell_if_empty(now, result)
  if now.walked > 0 then
    return
  elseif result["o:pattern"] or result["o:exclude"] then
    progress.say("no file is left by --pattern and --exclude, which are Lua patterns, such as %.pdf$")
  else
    local skipped = "; names that begin with a dot are left out"
    progress.say(("there are no files in %s%s"):format(text.quote(result.paths[1]), skipped))
  end
end

local function count(n, what)
  return ("%d %s%s"):format(n, what, n == 1 and "" or "s")
end

local PATIENCE, QUIET = 5, 60 -- seconds in which nothing moves before trouble is told of, and between two such sentences

local moved, told = -math.huge, -math.huge -- when a count has changed last, and when trouble was told of

--- What the client logs: tells why nothing moves, lest a service that cannot be reached look like a slow one.
---@param level string
---@param message string
function process.log(level, message)
  local now = core.now()
  if level == "warn" and now >= moved + PATIENCE and now >= told + QUIET then
    told = now
    progress.say("trying again: " .. message)
  end
end

-- What `on_progress` is to be: counts, the rate since the first of them, and the time that is left if no more files are found.
local function teller(run)
  local begun, first
  return function(now)
    run.now, moved = now, core.now()
    local ended = now.done + now.failed
    begun, first = begun or core.now(), first or ended
    local passed = core.now() - begun
    local line = ("%d of %s done"):format(now.done, count(now.walked, "file"))
    line = now.failed > 0 and ("%s  %d failed"):format(line, now.failed) or line
    line = ("%s  %d uploaded  %d processing"):format(line, now.uploaded, now.processing)
    if ended > first and passed > 0 then
      local rate = (ended - first) / passed
      local left = progress.duration((now.walked - ended) / rate)
      line = ("%s  %s/s  %s left"):format(line, text.number(rate, "%.1f"), left)
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

-- Shows what this run has seen fail, where it was not shown at once.
local function show_failures(run)
  progress.clear()
  if run.out.format == "table" then
    run.out:put(run.failures)
  end
  run.out:finish()
  if run.out.format == "table" and run.failed > MOST_FAILURES then
    progress.say(("these are the first %d that have failed"):format(MOST_FAILURES))
  end
end

-- What failed, and the command that goes on. What earlier runs have done and failed to do counts, too.
local function report(run, result, state)
  local done, failed = run.now.done, run.now.failed
  local earlier = failed - run.failed
  tell_if_empty(run.now, result)
  show_failures(run)
  progress.say(
    ("%s: %d completed, %d failed%s"):format(
      count(done + failed, "file"),
      done,
      failed,
      earlier > 0 and (" (%d in an earlier run)"):format(earlier) or ""
    )
  )
  if failed > 0 and result["o:journal"] and state.arguments then
    local parser = lookup.at(state.root, { process.name })
    local words = again.changed(parser, state.arguments, { ["--retry-failed"] = true })
    progress.say("to retry the failed files: " .. again.line(words))
  end
  return failed > 0 and 1 or 0, run.now
end

-- Takes note of a file that was processed, and shows it.
local function take(run, file)
  local row = row_of(file)
  local failed = file.status ~= "COMPLETED"
  if failed then
    run.failed = run.failed + 1
    run.failures[#run.failures + 1] = run.failed <= MOST_FAILURES and row or nil
  end
  if run.out.format ~= "table" then
    progress.clear()
    run.out:put { row }
    if failed then
      progress.say(("%s: %s"):format(file.name, row.error or file.status))
    end
  end
end

-- Where it goes: results that are written to no folder are printed, also on a terminal.
local function out_of(options, state)
  local order = { "path", "name", "status", "id", "job", "result", "output", "error" }
  local format = state.format or not options.output and "jsonl" or nil
  local out = output.new { format = format, fields = state.fields, order = order, many = true }
  if state.fields then
    act.check_fields(order, state.fields)
  elseif out.format == "table" then
    out.fields = { "name", "status", "error" }
  end
  return out
end

local GET = { parse_v2 = "parsing.get", extract_v2 = "extract.get" }

-- Checks what is to be fetched before anything is paid for. Raises wrong use for a slip, and for a list in one value.
local function check_expand(command, names)
  local known = {}
  for name in texts.commands[command].flags.expand:gmatch("[a-z_]+") do
    known[name] = true
  end
  for _, name in ipairs(names) do
    if name:find(",", 1, true) then
      error(act.usage(("--expand %s: give --expand once for each"):format(text.quote(name))), 0)
    end
  end
  act.check_values("value of --expand", names, known)
end

local MOST_BATCHES = 20 -- that are named

-- How to go on without a journal: what was begun is at the service, and paid for.
local function without_journal(now)
  local ids = now and now.batches or {}
  local words = "without --journal the next run begins anew"
  if not ids[1] then
    return words
  end
  local named = table.concat(ids, ", ", 1, math.min(#ids, MOST_BATCHES))
  local more = #ids > MOST_BATCHES and (" and %d more"):format(#ids - MOST_BATCHES) or ""
  return ("%s; 'llama-cloud batches get ID --expand results' shows the jobs of what this one has begun: %s%s"):format(
    words,
    named,
    more
  )
end

-- What has to be mended before the same command can go on, after an error: nil where it may be repeated as it is. The service
-- says which parameter it refuses, in its own words.
local function to_mend(err)
  if not err or err.status ~= 400 and err.status ~= 422 then
    return nil
  end
  for name in err.message:gmatch("[a-z_]+") do
    for _, one in ipairs(PARAMETERS) do
      if name == one[1] then
        return "--" .. commands.dashed(name)
      end
    end
  end
  return "what was refused"
end

-- How to continue with a journal.
local function with_journal(arguments, err)
  local wrong = to_mend(err)
  local after = wrong and (" after mending %s, with the same journal, which keeps what was done"):format(wrong) or ""
  return ("to continue%s: %s"):format(after, again.line(arguments))
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
  flags.add_call_options(result, options)
  moved = core.now()
  local run = { out = out_of(options, state), failed = 0, failures = {} }
  options.on_progress = teller(run)
  local files = files_of(result.paths)
  check_expand(GET[result.type], params.expand or {})
  if result.stall_timeout then
    client = client:with_options { stall_timeout = result.stall_timeout }
  end
  local iterate, _, _, handle = act.invoke(client.batches.process, client.batches, files, params, options)
  if not params.expand and result.type == "parse_v2" then
    progress.say("no text will be fetched: that takes --expand markdown_full, or text_full")
  end
  state.hint = state.arguments
      and function(err)
        return options.journal and with_journal(state.arguments, err) or without_journal(run.now)
      end
    or state.hint
  local ok, problem = pcall(function()
    for file in iterate, nil, nil, handle do
      take(run, file)
    end
  end)
  if not ok then
    if problem ~= output.CLOSED then
      show_failures(run) -- the next run only counts them
    end
    error(problem, 0)
  end
  state.hint = nil
  return report(run, result, state)
end

return process

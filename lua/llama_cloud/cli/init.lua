--- The command line of bin/llama-cloud: made of the declarations of the resources, and of a few commands written by hand.
---
--- Exit codes: 0 done; 1 something failed; 2 wrong use; 3 the service was not reached, or does not allow it; 130 interrupted;
--- 141 nobody reads the output any more.

local llama_cloud = require("llama_cloud")

local act = require("llama_cloud.cli.act")
local commands = require("llama_cloud.cli.commands")
local completion = require("llama_cloud.cli.completion")
local core = require("llama_cloud.core")
local errors = require("llama_cloud.base.errors")
local flags = require("llama_cloud.cli.flags")
local lookup = require("llama_cloud.cli.lookup")
local nearest = require("llama_cloud.endpoint.nearest")
local output = require("llama_cloud.cli.output")
local progress = require("llama_cloud.cli.progress")
local text = require("llama_cloud.base.text")
local values = require("llama_cloud.cli.values")

local argparse = require("llama_cloud.cli.library")()

local cli = {}

local WRONG_USE, INTERRUPTED, CLOSED = 2, 130, 141

-- The commands written by hand, each a module: { name, about, declare(parser), run(client, result, state) -> exit code }. `result`
-- is what the parser has read, by the targets that `declare` has named, and `state` a LlamaCloud.Cli.State. One that has
-- `offline` gets no client; the client of one that has `log` logs by that, unless the user has asked for a log.
local BY_HAND = { "process", "demo", "completion", "man", "sandbox" }

local GLOBAL = {
  {
    "key_file",
    "string",
    "FILE",
    "a file that holds the API key and that nobody else can read; else LLAMA_CLOUD_API_KEY",
  },
  { "base_url", "string", "URL", "the service; else LLAMA_CLOUD_BASE_URL" },
  { "region", "string", "REGION", "us or eu: a shorthand for --base-url" },
  { "timeout", "seconds", "SECONDS", "for one attempt of a request (60)" },
  { "total_timeout", "seconds", "SECONDS", "for the whole call, or for each page of a list" },
  { "max_retries", "count", "N", "how many times a request is sent again; 0: never (5)" },
  { "ca_file", "string", "FILE", "certificates to trust instead of the system's" },
  { "log", "string", "LEVEL", "debug, info or warn: tell on standard error what it does" },
}

-- Raised after the help was written.
local HELPED = {}

-- Sets a new parser up: how wide its help is, and the flag that asks for it.
local function plain(parser)
  parser:usage_max_width(80):help_max_width(80):help_description_margin(30):add_help(false)
  parser:flag("-h --help", "this text"):action(function()
    output.write(parser:get_help() .. "\n")
    error(HELPED, 0)
  end)
  return parser
end

local function add_globals(parser)
  local group = {}
  for _, one in ipairs(GLOBAL) do
    local flag = "--" .. commands.dashed(one[1])
    local option = parser:option(flag, one[4]):target("g:" .. one[1]):argname(one[3])
    values.read_as(option, flag, one[2])
    group[#group + 1] = option
  end
  group[#group + 1] = parser
    :option("--format", "table (on a terminal), jsonl (elsewhere), json or csv")
    :target("g:format")
    :choices(output.FORMATS)
  group[#group + 1] = parser
    :option("--fields", "only these, separated by commas, in this order; a dot leads into an object")
    :target("g:fields")
    :argname("NAMES")
  parser:group("Flags of all commands", table.unpack(group))
end

local function add_by_hand(root)
  for _, name in ipairs(BY_HAND) do
    local module = require("llama_cloud.cli." .. name)
    local parser = plain(root:command(module.name, module.about .. "."):summary(module.about))
    module.declare(parser)
    parser:action(function(result)
      result.by_hand = module
    end)
  end
end

-- The first sentence of a text, without its full stop.
local function summary_of(about)
  return ((about:match("^.-%.%f[ \n\0]") or about):gsub("%.$", ""))
end

-- The parser of a command below the words that lead to it, which are made where they are not there yet.
local function parser_of(root, made, words)
  local parser, path = root, ""
  for position, word in ipairs(words) do
    path = path == "" and word or path .. " " .. word
    if not made[path] then
      made[path] = plain(parser:command(word))
      if position < #words then
        local about = commands.about((path:gsub("-", "_"):gsub(" ", ".")))
        made[path]:description(about or ""):summary(summary_of(about or ""))
      end
    end
    parser = made[path]
  end
  return parser
end

local function add_commands(root, only)
  local made = {}
  for _, group in ipairs(commands.groups()) do
    local parser = parser_of(root, made, { group[1] })
    parser:description(group[2]):summary(summary_of(group[2]))
    if only and group[1] ~= only then
      parser:require_command(false)
    end
  end
  for _, command in ipairs(commands.all(only)) do
    local parser = parser_of(root, made, command.words)
    parser:description(command.text):summary(summary_of(command.text))
    parser:action(function(result)
      result.command = result.command or command
    end)
    flags.declare(parser, command)
  end
end

local HEAD = [[
LlamaCloud (LlamaParse) from the command line: every endpoint for files, batches,
parsing, extraction, classification and splitting; none for indexes, retrieval
and chat.

The API key comes from LLAMA_CLOUD_API_KEY, or from a file (--key-file).]]

local TAIL = [[
Examples:
  llama-cloud process invoices --output results --journal invoices.jsonl \
      --configuration cfg-PARSE_AGENTIC --expand markdown_full
  llama-cloud beta directories create --name invoices
  llama-cloud beta directories files upload dir-123 --upload-file report.pdf
  llama-cloud batches list --status RUNNING
  llama-cloud batches wait bat-123

llama-cloud COMMAND --help tells more, with an example.]]

--- Makes the parser. `only` is the first word of the command that will be parsed; the flags of others are left out.
---@param only? string
---@return table parser of lua-argparse
function cli.parser(only)
  local root = plain(argparse("llama-cloud", HEAD, TAIL))
  root:flag("--version", "the version of the library"):target("g:version")
  add_globals(root)
  add_by_hand(root)
  add_commands(root, only)
  root:require_command(false)
  return root
end

local KEYS = { ["--api-key"] = true, ["--key"] = true } -- as other programs have them

-- A complaint of the parser's; about a name that it does not know, with the nearest that it does.
local function complaint(parser, message)
  local flag, command = message:match("^unknown option '([^\n]*)'"), message:match("^unknown command '([^\n]*)'")
  local known = {}
  if command then
    for _, one in ipairs(parser._commands) do
      known[one._name] = true
    end
    return nearest.no_method(command, known, "command")
  elseif KEYS[flag] then
    return "others can see the flags of a program: the API key comes from LLAMA_CLOUD_API_KEY, or a file (--key-file)"
  elseif flag and flag:find("^%-%-") then
    for _, name in lookup.flags(parser) do
      known[name] = true
    end
    return nearest.unknown("flag", flag, known)
  elseif flag then
    return ("unknown flag %s; a value that begins with a dash is given as --flag=VALUE, or after --"):format(
      text.quote(flag)
    )
  end
  message = message:gsub("^too many arguments$", "%0: what is not an id is given by a flag")
  return (message:gsub("%f[a-z]option '", "flag '"):gsub("requires an argument$", "needs a value"))
end

-- Reads the arguments. Raises wrong use, with where to read about it.
local function parse(arguments, only)
  local root, current = cli.parser(only), "llama-cloud"
  function root.error(parser, message)
    current = parser:_get_fullname() or current
    error(act.usage(complaint(parser, message)), 0)
  end
  local ok, result = pcall(root.parse, root, arguments)
  if ok then
    return result, root
  elseif getmetatable(result) == act.Usage then
    result.advice = ("Try '%s --help'."):format(current)
  end
  error(result, 0)
end

-- The only word among the arguments with which commands begin; nil where there are several, or none.
local function only_group(arguments)
  local known, only, count = {}, nil, 0
  for _, group in ipairs(commands.groups()) do
    known[group[1]] = true
  end
  for _, argument in ipairs(arguments) do
    if known[argument] then
      only, count = argument, count + 1
    end
  end
  return count == 1 and only or nil
end

-- The API key in a file. Raises wrong use where others may read it.
local function read_key(path)
  local file, problem = io.open(path, "rb")
  if not file then
    error(act.usage("--key-file: " .. problem), 0)
  end
  local mode = core.mode(file)
  local content, cause = file:read("a") -- nil for a folder
  file:close()
  if not content then
    error(act.usage(("--key-file: cannot read %s: %s"):format(text.quote(path), cause)), 0)
  elseif not mode or mode & 63 ~= 0 then -- 077
    error(act.usage(("--key-file: others may read %s; run 'chmod 600' on it"):format(text.quote(path))), 0)
  elseif text.bare(content) == "" then
    error(act.usage(("--key-file: there is no key in %s"):format(text.quote(path))), 0)
  end
  return text.bare(content)
end

-- A complaint of the library's, with the names of parameters and options as flags, and those of ids as the help has them.
local function with_flags(message, command)
  message = message:gsub("pass api_key,", "give --key-file,")
  for _, kind in ipairs { "parameter", "option" } do
    message = message:gsub(("%%f[a-z]%s '([a-z_]+)'"):format(kind), function(name)
      return "--" .. commands.dashed(name)
    end)
  end
  local names = {}
  for _, one in ipairs(GLOBAL) do
    names[one[1]] = "--"
  end
  for _, one in ipairs(command and command.parameters or {}) do
    names[one.name] = "--"
  end
  for _, name in ipairs(command and command.ids or {}) do
    names[name] = ""
  end
  return (
    message:gsub("'?%f[0-9A-Za-z_]([a-z0-9]+_[a-z0-9_]+)%f[^0-9A-Za-z_]'?", function(name)
      return names[name] and names[name] .. commands.dashed(name)
    end)
  )
end

-- What is logged, and where: by the flag or the variable, else a terminal shows what a request waits for.
local function log_of(result)
  local asked = result["g:log"] or os.getenv("LLAMA_CLOUD_LOG")
  if asked and asked ~= "" then
    return result["g:log"]
  end
  return result.by_hand and result.by_hand.log or result.command and progress.retries() or nil
end

local function new_client(result)
  return act.invoke(llama_cloud.new, {
    api_key = result["g:key_file"] and read_key(result["g:key_file"]) or nil,
    base_url = result["g:base_url"],
    region = result["g:region"],
    ca_file = result["g:ca_file"],
    log = log_of(result),
  })
end

local function names_of(given)
  local names = {}
  for name in (given or ""):gmatch("[^,]+") do
    names[#names + 1] = text.trim(name)
  end
  return names[1] and names or nil
end

-- Runs what was parsed. `state` gets what is under way.
local function run(result, root, state)
  state.root, state.format, state.fields = root, result["g:format"], names_of(result["g:fields"])
  if result["g:version"] then
    output.write(("llama-cloud %s\n"):format(llama_cloud._VERSION))
    return 0
  elseif result.by_hand then
    local client = not result.by_hand.offline and new_client(result) or nil
    return result.by_hand.run(client, result, state)
  elseif not result.command then
    io.stderr:write(root:get_help(), "\n")
    return WRONG_USE
  end
  local command = result.command
  state.command = command
  local ids, params, options = flags.arguments(command, result)
  return act.perform(act.new(command, new_client(result), ids, params, options, state))
end

-- Says how to go on, after an error or Ctrl-C, if that can be said.
local function say_hint(state, err)
  local hint = state.hint and state.hint(err)
  if hint then
    progress.say(hint)
  end
end

-- Tells of what ended the program, and returns its exit code.
local function ended(problem, state)
  local kind = getmetatable(problem)
  if problem == HELPED then
    return 0
  elseif problem == output.CLOSED then
    progress.clear()
    return CLOSED
  elseif kind == act.Usage then
    progress.say(problem.of_library and with_flags(problem.message, state.command) or problem.message)
    if problem.advice then
      io.stderr:write(problem.advice, "\n")
    end
    return WRONG_USE
  elseif errors.is_error(problem) then
    progress.say(act.told(problem))
    say_hint(state, problem)
    return act.code_of(problem)
  elseif type(problem) == "string" and problem:find("interrupted!$") then
    progress.say("interrupted")
    say_hint(state)
    return INTERRUPTED
  end
  progress.say(tostring(problem))
  return 1
end

-- Opens /dev/null in place of standard files that are closed; otherwise a connection would get their number, and output would
-- go there. Returns what must not be collected.
local function fill_standard_files()
  local held = {}
  for _, file in ipairs { io.stdin, io.stdout, io.stderr } do
    if not core.mode(file) then
      held[#held + 1] = io.open("/dev/null", "rb")
    end
  end
  return held
end

--- Runs the program and returns its exit status.
---@param arguments string[]
---@return integer
function cli.main(arguments)
  local state = { arguments = arguments, held = fill_standard_files() }
  if arguments[1] == "sandbox" then -- has a parser of its own
    return require("llama_cloud.cli.sandbox").main(table.move(arguments, 2, #arguments, 1, {}))
  end
  local ok, code = pcall(function()
    if arguments[1] == completion.QUESTION then
      return completion.answer(cli.parser(), table.move(arguments, 2, #arguments, 1, {}))
    end
    local result, root = parse(arguments, only_group(arguments))
    return run(result, root, state)
  end)
  return ok and code or ended(code, state)
end

return cli

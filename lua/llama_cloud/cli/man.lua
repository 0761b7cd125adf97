--- llama-cloud man: the manual page, made of the same parser as the help.

local commands = require("llama_cloud.cli.commands")
local examples = require("llama_cloud.cli.examples")
local lookup = require("llama_cloud.cli.lookup")
local output = require("llama_cloud.cli.output")
local text = require("llama_cloud.base.text")
local version = require("llama_cloud.version")

local man = { name = "man", offline = true }

man.about = "Writes the manual page of the program: llama-cloud man | man -l -"

---@param parser table
function man.declare(parser)
  parser:epilog("Example:\n  llama-cloud man >/usr/local/share/man/man1/llama-cloud.1")
end

-- A text for troff: its own characters are escaped, and no line is a request.
local function escaped(s)
  return (s:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("%f[^\n\0]([.'])", "\\&%1"))
end

local function put(lines, format, ...)
  local given = { ... }
  for position, s in ipairs(given) do
    given[position] = escaped(s)
  end
  lines[#lines + 1] = format:format(table.unpack(given))
end

-- The flags of a parser, each with what it is about.
local function put_flags(lines, parser)
  for _, option in ipairs(parser._options) do
    local flag, about = option._aliases[#option._aliases], option._description or ""
    if flag ~= "--help" then
      local value = lookup.takes_value(option) and (option._argname or table.concat(option._choices, "|"))
      put(lines, value and ".TP\n.B %s \\fI%s\\fR" or ".TP\n.B %s", flag, value or nil)
      put(lines, "%s", about ~= "" and about or "see the API reference")
    end
  end
end

local HEAD = [[
.TH LLAMA\-CLOUD 1 %s "llama\-cloud %s" "User Commands"
.SH NAME
llama\-cloud \- LlamaCloud (LlamaParse) from the command line
.SH SYNOPSIS
.B llama\-cloud
.I COMMAND ARGUMENTS
[\fIFLAGS\fR]
.SH DESCRIPTION
Each endpoint for files, batches, parsing, extraction, classification and splitting is a command, and so are
waiting for batches and jobs, uploads and downloads. There are no commands for indexes, retrieval and chat. Answers go to
standard output: a table on a terminal, a line of JSON for each object elsewhere. Everything else goes to standard error.
.SH FLAGS OF ALL COMMANDS]]

local TAIL = [[
.SH EXIT STATUS
.TP
.B 0
done
.TP
.B 1
something failed, and standard error names it
.TP
.B 2
wrong use; nothing was sent
.TP
.B 3
the service was not reached, or does not allow it
.TP
.B 130
interrupted
.TP
.B 141
nobody reads the output any more
.SH ENVIRONMENT
.TP
.B LLAMA_CLOUD_API_KEY
the API key
.TP
.B LLAMA_CLOUD_BASE_URL
the service
.TP
.B NO_COLOR
if it is not empty, there are no colours
.SH SEE ALSO
.BR llama\-cloud\-sandbox (1),
.BR llama_cloud (3)]]

-- The commands that are written by hand: those that can be done without another word.
local function put_by_hand(lines, root)
  for _, command in ipairs(root._commands) do
    if #command._commands == 0 then
      local argument = command._arguments[1]
      put(lines, ".SS %s", command._name .. (argument and " " .. text.upper(argument._name) or ""))
      put(lines, "%s", command._description)
      put_flags(lines, command)
    end
  end
end

--- The manual page.
---@param root table the parser
---@param date string
---@param of string the version
---@return string
function man.page(root, date, of)
  local lines = { HEAD:format(date, of) }
  put_flags(lines, root)
  lines[#lines + 1] = ".SH COMMANDS"
  put_by_hand(lines, root)
  for _, command in ipairs(commands.all()) do
    local ids = {}
    for position, name in ipairs(command.ids) do
      ids[position] = text.upper(commands.dashed(name))
    end
    if command.kind == "wait_all" then
      ids[1] = text.upper(commands.dashed(command.id_name)) .. "..."
    end
    local words = table.concat(command.words, " ")
    put(lines, ".SS %s", ids[1] and words .. " " .. table.concat(ids, " ") or words)
    put(lines, "%s", command.text)
    put_flags(lines, lookup.at(root, command.words))
    put(lines, ".PP\nExample:\n.PP\n.EX\n%s\n.EE", examples.of(command))
  end
  lines[#lines + 1] = TAIL
  return table.concat(lines, "\n") .. "\n"
end

---@return integer code
function man.run()
  local epoch = math.tointeger(tonumber(os.getenv("SOURCE_DATE_EPOCH"))) -- of whoever wants the same page tomorrow
  output.write(man.page(require("llama_cloud.cli").parser(), os.date("!%Y-%m-%d", epoch), version))
  return 0
end

return man

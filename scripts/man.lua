--- Makes the manual pages in man/, which CMake installs with a date and the version in them:
---
---     scripts/lua scripts/man.lua     llama-cloud.1 from the command line's parser, llama-cloud-sandbox.1 from the options of
---                                     the sandbox and docs/sandbox.md, llama_cloud.3 from docs/reference.md
---
--- spec/cli/man_spec.lua fails where one of them is out of date.

local root = debug.getinfo(1, "S").source:match("^@(.*)/scripts/[^/]*$") or "."
package.path = root .. "/scripts/?.lua;" .. package.path
local roff = require("roff")

local manual = {}

-- What CMake replaces.
local DATE, VERSION = "@DATE@", "@VERSION@"

local function read(path)
  local file = assert(io.open(root .. "/" .. path))
  local text = file:read("a")
  file:close()
  return text
end

local function head(name, section, title)
  local heading = '.TH %s %d %s "llama\\-cloud %s" "%s"'
  return heading:format(roff.escaped(name:upper()), section, DATE, VERSION, title)
end

local SEE_ALSO = [[
.SH SEE ALSO
%s
.PP
The folder \fIdocs\fR of the sources has the guides that this page refers to.]]

local SANDBOX = [[
.SH NAME
llama\-cloud\-sandbox \- a local LlamaCloud service to develop and test against
.SH SYNOPSIS
.B llama\-cloud\-sandbox
[\fIOPTIONS\fR]
.br
.B llama\-cloud sandbox
[\fIOPTIONS\fR]
.SH DESCRIPTION
It has the endpoints of the service, needs neither key nor account, keeps everything in memory, and misbehaves on request. The
first line of standard output says where it listens; then it writes a line to standard error for each request. SIGINT and
SIGTERM end it. Point a client at it with the environment variable LLAMA_CLOUD_BASE_URL; any API key will do.
.SH OPTIONS]]

function manual.sandbox()
  local lines = { head("llama-cloud-sandbox", 1, "User Commands"), SANDBOX }
  for _, flag in ipairs(require("llama_cloud.sandbox.cli").flags()) do
    local name, value = flag[1]:match("^(%S+) ?(.*)$")
    lines[#lines + 1] = ".TP"
    lines[#lines + 1] = ".B "
      .. roff.escaped(name)
      .. (value ~= "" and (" \\fI%s\\fR"):format(roff.escaped(value)) or "")
    local text = flag[2]:gsub("`", "")
    lines[#lines + 1] = roff.escaped(flag[4] and ("%s (%s)"):format(text, flag[4]) or text)
  end
  local page = read("docs/sandbox.md")
  for _, title in ipairs { "Misbehaviour", "Control" } do
    roff.add(roff.section(page, title), lines)
  end
  lines[#lines + 1] = SEE_ALSO:format(".BR llama\\-cloud (1),\n.BR llama_cloud (3)")
  return table.concat(lines, "\n") .. "\n"
end

local LIBRARY = [[
.SH NAME
llama_cloud \- LlamaCloud (LlamaParse) from Lua
.SH SYNOPSIS
.nf
.B local llama_cloud = require("llama_cloud")
.B local client = llama_cloud.new()
.PP
.B for batch in client.batches:list() do print(batch.id, batch.status) end
.fi
.SH DESCRIPTION
This page describes what each part of the module takes and returns. Times are in seconds. \(-> separates arguments from
results; \fBnil, err\fR means nil and an error. A name with ? may be left out.]]

-- The sections of docs/reference.md that a manual page can use.
local SECTIONS = {
  "The module",
  "The client",
  "Calls",
  "Waiting",
  "Lists",
  "Tasks",
  "Event loops",
  "Errors",
  "What is logged",
  "Environment variables",
  "Webhooks",
}

function manual.library()
  local lines, page = { head("llama_cloud", 3, "Lua Modules"), LIBRARY }, read("docs/reference.md")
  for _, title in ipairs(SECTIONS) do
    roff.add(roff.section(page, title), lines)
  end
  lines[#lines + 1] = SEE_ALSO:format(".BR llama\\-cloud (1),\n.BR llama\\-cloud\\-sandbox (1)")
  return table.concat(lines, "\n") .. "\n"
end

function manual.program()
  local man = require("llama_cloud.cli.man")
  return man.page(require("llama_cloud.cli").parser(), DATE, VERSION)
end

--- All pages: name -> text, with what CMake replaces.
---@return table<string, string>
function manual.pages()
  return {
    ["llama-cloud.1"] = manual.program(),
    ["llama-cloud-sandbox.1"] = manual.sandbox(),
    ["llama_cloud.3"] = manual.library(),
  }
end

if arg and arg[0] and arg[0]:find("scripts/man.lua$") then
  for name, text in pairs(manual.pages()) do
    local file = assert(io.open(("%s/man/%s.in"):format(root, name), "w"))
    assert(file:write(text))
    file:close()
  end
end

return manual

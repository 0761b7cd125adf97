-- The Markdown files of the project.

local process = require("spec.support.process")
local program = require("spec.support.program")

local markdown = {}

--- Their paths in the project, sorted. What a build or a tool has left there is none of them.
---@return string[]
function markdown.files()
  local command =
    "cd %s && find . -type d \\( -name '.?*' -o -name 'build*' -o -name node_modules \\) -prune -o -name '*.md' -print"
  local pipe = assert(io.popen(command:format(process.quote(program.file(".")))))
  local found = {}
  for line in pipe:lines() do
    found[#found + 1] = line:gsub("^%./", "")
  end
  assert(pipe:close())
  table.sort(found)
  return found
end

--- The lines of a text that are not in a block of code.
---@param text string
---@return string[]
function markdown.prose(text)
  local lines, inside = {}, false
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    if line:find("^%s*```") then
      inside = not inside
    elseif not inside then
      lines[#lines + 1] = line
    end
  end
  return lines
end

return markdown

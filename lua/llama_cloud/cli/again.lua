--- Commands to go on with, as they can be pasted into a shell.

local lookup = require("llama_cloud.cli.lookup")
local tables = require("llama_cloud.base.tables")
local terminal = require("llama_cloud.cli.terminal")

local again = {}

-- A byte as $'…' of bash, zsh and ksh has it.
local function octal(byte)
  return ("\\%03o"):format(byte:byte())
end

--- A word as a shell reads it. What standard error cannot show as it is, such as a line break, is escaped.
---@param word string
---@return string
function again.quoted(word)
  if word:find("^[0-9A-Za-z_@%%+:,./-][0-9A-Za-z_@%%+=:,./-]*$") then
    return word
  elseif terminal.shown(terminal.of(io.stderr), word) ~= word then
    return "$'" .. word:gsub("[\0-\31'\\\127-\255]", octal) .. "'"
  end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- A command line of the program.
---@param words string[]
---@return string
function again.line(words)
  local parts = { "llama-cloud" }
  for _, word in ipairs(words) do
    parts[#parts + 1] = again.quoted(word)
  end
  return table.concat(parts, " ")
end

-- Goes through the arguments before a "--": f(word, value, last), where a flag that has its value in the next word comes with
-- it, and `last` is the position of the last word that is meant. Returns the position of what f was not called for.
local function each(parser, arguments, f)
  local position = 1
  while arguments[position] and arguments[position] ~= "--" do
    local word = arguments[position]
    local flag = word:find("^%-.") and lookup.flag(parser, word)
    local value = flag and lookup.takes_value(flag) and arguments[position + 1] or nil
    f(word, value)
    position = position + (value and 2 or 1)
  end
  return position
end

--- The arguments that were given, with other values of some flags.
---@param parser table that has read them
---@param arguments string[]
---@param changes table<string, string|integer|true> by flag; true: one that takes no value
---@return string[]
function again.changed(parser, arguments, changes)
  local words = {}
  local rest = each(parser, arguments, function(word, value)
    if changes[word:match("^[^=]*")] == nil then
      words[#words + 1] = word
      words[#words + 1] = value
    end
  end)
  for _, name in ipairs(tables.sorted_keys(changes)) do
    words[#words + 1] = changes[name] == true and name or ("%s=%s"):format(name, changes[name]) -- which may begin with a dash
  end
  return table.move(arguments, rest, #arguments, #words + 1, words)
end

--- Those of the given flags that another command takes, too, with their values.
---@param parser table that has read them
---@param other table the parser of the other command
---@param arguments string[]
---@return string[]
function again.flags(parser, other, arguments)
  local words = {}
  each(parser, arguments, function(word, value)
    local name = word:find("^%-.") and word:match("^[^=]*")
    local flag, same = lookup.flag(parser, name), lookup.flag(other, name)
    -- a name may stand for two things: --version of the program, and of a tier
    if same and lookup.takes_value(same) == lookup.takes_value(flag) then
      words[#words + 1] = word
      words[#words + 1] = value
    end
  end)
  return words
end

return again

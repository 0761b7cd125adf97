--- Finds commands and flags in the argument parser.

local lookup = {}

--- The command of a name that a parser has itself.
---@param parser table
---@param name string
---@return table?
function lookup.command(parser, name)
  for _, command in ipairs(parser._commands) do
    if command._name == name then
      return command
    end
  end
end

--- The parser that some words lead to.
---@param root table
---@param words string[]
---@return table
function lookup.at(root, words)
  local parser = root
  for _, word in ipairs(words) do
    parser = lookup.command(parser, word) or parser
  end
  return parser
end

--- Goes through the flags that can be given to a parser: its own, and those of the parsers above it.
---@param parser table
---@return fun(): table?, string? each, and its long name
function lookup.flags(parser)
  local position = 0
  return function()
    position = position + 1
    while parser and not parser._options[position] do
      parser, position = parser._parent, 1
    end
    local flag = parser and parser._options[position]
    return flag or nil, flag and flag._aliases[#flag._aliases] or nil
  end
end

--- The flag of a name, short or long, that can be given to a parser.
---@param parser table
---@param name string
---@return table?
function lookup.flag(parser, name)
  for flag in lookup.flags(parser) do
    for _, alias in ipairs(flag._aliases) do
      if alias == name then
        return flag
      end
    end
  end
end

--- Whether a flag takes a value.
---@param flag table
---@return boolean
function lookup.takes_value(flag)
  return flag._maxargs > 0
end

return lookup

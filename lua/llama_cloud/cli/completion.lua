--- llama-cloud completion SHELL: a script for the shell (shells.lua), and the answers to what it asks.

local lookup = require("llama_cloud.cli.lookup")
local output = require("llama_cloud.cli.output")
local shells = require("llama_cloud.cli.shells")

local completion = { name = "completion", offline = true }

completion.about = "Writes a script that completes commands and flags in a shell"

--- The first argument by which scripts ask; the words of the command line follow, the last of which is completed.
completion.QUESTION = "__complete"

---@param parser table
function completion.declare(parser)
  parser:argument("shell"):choices { "bash", "zsh", "fish" }
  parser:epilog('Example:\n  eval "$(llama-cloud completion bash)"')
end

---@param _ nil
---@param result table
---@return integer code
function completion.run(_, result)
  output.write(shells[result.shell])
  return 0
end

-- What the words before the last lead to: the parser that reads it, and the flag whose value it is.
local function follow(root, words)
  local parser, waiting = root, nil
  for position = 1, #words - 1 do
    local word = words[position]
    if waiting and word ~= "=" then -- bash takes a = for a word
      waiting = nil
    elseif word:find("^%-") then
      local flag = lookup.flag(parser, word)
      waiting = flag and lookup.takes_value(flag) and flag or nil
    elseif not waiting then
      parser = lookup.command(parser, word) or parser
    end
  end
  return parser, waiting
end

local function add(found, word, name, about)
  if name:sub(1, #word) == word then
    found[#found + 1] = { name, (about or ""):match("^[^\n\t]*") }
  end
end

local function add_choices(found, word, before, of)
  for _, choice in ipairs(of._choices or {}) do
    add(found, word, before .. choice)
  end
end

--- What the last of some words may become: each with what it means. None stands for the name of a file.
---@param root table the parser
---@param words string[]
---@return { [1]: string, [2]: string }[]
function completion.candidates(root, words)
  local found, word = {}, words[#words] or ""
  local parser, waiting = follow(root, words)
  local name = word:match("^(%-%-[^=]+)=")
  if waiting then
    add_choices(found, word == "=" and "" or word, "", waiting)
  elseif name then -- zsh and fish take --flag=value for one word
    add_choices(found, word, name .. "=", lookup.flag(parser, name) or {})
  elseif word:find("^%-") then
    for flag, long in lookup.flags(parser) do
      add(found, word, long, flag._description)
    end
  else
    for _, command in ipairs(parser._commands) do
      add(found, word, command._name, command._summary)
    end
    for _, argument in ipairs(parser._arguments) do
      add_choices(found, word, "", argument)
    end
  end
  return found
end

--- Answers what a script asks.
---@param root table the parser
---@param words string[]
---@return integer code
function completion.answer(root, words)
  for _, one in ipairs(completion.candidates(root, words)) do
    output.write(("%s\t%s\n"):format(one[1], one[2]))
  end
  return 0
end

return completion

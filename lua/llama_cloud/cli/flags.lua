--- A command becomes one of the argument parser's, and what that has read becomes the arguments of a method.

local commands = require("llama_cloud.cli.commands")
local examples = require("llama_cloud.cli.examples")
local text = require("llama_cloud.base.text")
local values = require("llama_cloud.cli.values")

local flags = {}

-- Options of methods that are flags of a command: how they are told. Those that all commands have are in init.lua.
local OPTIONS = {
  { "polling_interval", "seconds from the first poll to the second (1)" },
  { "max_interval", "seconds to which this grows (5)" },
  { "backoff", "how it grows: linear, constant or exponential" },
  { "connection_patience", "give up after this many seconds of nothing but connection errors (300)" },
  { "stall_timeout", "end an attempt in which no byte moves for this many seconds (60)" },
}

-- Types of parameters and options whose flags may be repeated, and are an empty table if they are not given.
local REPEATED = { strings = true, names = true }

-- A name as a flag, and where the parser is to put its value: a command's word may be the same.
local function flag(name)
  return "--" .. commands.dashed(name)
end

local function target(name)
  return "p:" .. name
end

local function add_value(parser, one, is_option)
  local option = parser:option(flag(one.name), one.text or "")
  option:target((is_option and "o:" or "p:") .. one.name):argname(values.placeholder(one.name, one.type))
  local convert = values.converter(flag(one.name), one.type)
  if convert then
    option:convert(convert)
  end
  if REPEATED[one.type] then
    option:count("*")
    option:description((one.text and one.text .. "; " or "") .. "may be given several times")
  elseif one.required then
    option:count(1)
  end
end

local function add_parameter(parser, one)
  if one.type ~= "boolean" then
    return add_value(parser, one)
  end
  parser:mutex(
    parser:flag(flag(one.name), one.text or ""):target(target(one.name)):action("store_true"),
    parser:flag("--no-" .. commands.dashed(one.name), "the opposite"):target(target(one.name)):action("store_false")
  )
end

-- name=value, for parameters that this version does not know.
local function add_unknown(parser, command)
  if command.kind ~= "download" then
    parser
      :option("--query", "a query parameter that this version does not know; may be given several times")
      :target("o:query")
      :argname("NAME=VALUE")
      :count("*")
      :convert(function(given)
        local name, value = given:match("^([^=]+)=(.*)$")
        if not name then
          return nil, ("%s is not of the form NAME=VALUE"):format(text.quote(given))
        end
        return { name, value }
      end)
  end
  if command.options.body and command.has_body then
    add_value(parser, { name = "body", type = "table", text = "members of the body, which win over the flags" }, true)
  end
end

local function add_options(parser, command)
  for _, one in ipairs(OPTIONS) do
    local type_name = command.options[one[1]]
    if type_name then
      add_value(parser, { name = one[1], type = type_name, text = one[2] }, true)
    end
  end
  local shown = {}
  for name in pairs(command.run_options or {}) do
    shown[#shown + 1] = name
  end
  table.sort(shown)
  for _, name in ipairs(shown) do
    add_value(parser, { name = name, type = command.run_options[name], text = "as for get, once it has ended" }, true)
  end
  if command.options.reconcile then
    parser:flag("--reconcile", "if the answer is lost, look for what was created"):target("o:reconcile")
  end
  if command.kind == "list" then
    add_value(parser, { name = "max_items", type = "count", text = "end after this many items" }, true)
  end
  add_unknown(parser, command)
end

-- An example in lines that fit, as a shell reads them.
local function folded(example)
  local lines, line = {}, nil
  for piece, blanks in (example .. " "):gsub(" %-%-", "\0--"):gsub(" | ", " |\0"):gmatch("([^%z]+)(%z?)") do
    local part = piece:gsub(" $", "")
    if line and #line + #part > 70 then
      lines[#lines + 1] = line .. " \\"
      line = "    " .. part
    else
      line = line and line .. " " .. part or part
    end
    if blanks == "" then
      lines[#lines + 1] = line
    end
  end
  return table.concat(lines, "\n  ")
end

--- Declares a command.
---@param parser table its own
---@param command LlamaCloud.Cli.Command
function flags.declare(parser, command)
  for position, name in ipairs(command.ids) do
    parser:argument(commands.dashed(name)):target("i:" .. position)
  end
  if command.kind == "wait_all" then
    parser:argument(commands.dashed(command.id_name)):target("i:all"):args("+")
  end
  for _, one in ipairs(command.parameters) do
    add_parameter(parser, one)
  end
  add_options(parser, command)
  parser:epilog(("Example:\n  %s\n\nFlags of all commands: llama-cloud --help"):format(folded(examples.of(command))))
end

-- The ids that a command was given, where it takes several; a - stands for the lines of standard input.
local function all_ids(given)
  local ids = {}
  for _, id in ipairs(given) do
    if id == "-" then
      for line in io.lines() do
        local trimmed = text.trim(line)
        ids[#ids + 1] = trimmed ~= "" and trimmed or nil
      end
    else
      ids[#ids + 1] = id
    end
  end
  return ids
end

-- The types of what a command takes, by the places where the parser puts the values.
local function types_of(command)
  local types = {}
  for _, one in ipairs(command.parameters) do
    types["p:" .. one.name] = one.type
  end
  for name, type_name in pairs(command.options) do
    types["o:" .. name] = type_name
  end
  for name, type_name in pairs(command.run_options or {}) do
    types["o:" .. name] = type_name
  end
  return types
end

--- Adds those flags of all commands that are options of each call.
---@param result table what the parser has read
---@param options table<string, any>
function flags.add_call_options(result, options)
  for _, name in ipairs { "timeout", "total_timeout", "max_retries" } do
    options[name] = result["g:" .. name]
  end
end

--- The arguments of the method: its ids, parameters and options.
---@param command LlamaCloud.Cli.Command
---@param result table what the parser has read
---@return any[] ids
---@return table<string, any> params
---@return table<string, any> options
function flags.arguments(command, result)
  local ids, params, options = {}, {}, {}
  for position in ipairs(command.ids) do
    ids[position] = result["i:" .. position]
  end
  if command.kind == "wait_all" then
    ids[1] = all_ids(result["i:all"])
  end
  local types = types_of(command)
  for name, value in pairs(result) do
    local kind, bare = name:match("^([op]):(.*)$")
    local absent = REPEATED[types[name]] and next(value) == nil
    if kind and not absent then
      (kind == "p" and params or options)[bare] = value
    end
  end
  if options.query then
    local query = {}
    for _, pair in ipairs(options.query) do
      query[pair[1]] = query[pair[1]] or {}
      table.insert(query[pair[1]], pair[2])
    end
    options.query = next(query) and query or nil
  end
  flags.add_call_options(result, options)
  return ids, params, options
end

return flags

--- The encoder. An input is taken in two ways: as JSON, whose value must survive being written and read again; and as
--- instructions for building a value that no JSON need have, which the encoder must take exactly if it can be written.

local fuzz = ...
local compare = require("fuzz.compare")
local core = require("llama_cloud.core")

local MOST_DEPTH = 512
local keep_nulls = { null = true, max_depth = MOST_DEPTH }

local function check_round_trip(value)
  local text, message = core.encode(value)
  if not text then
    compare.fail("a value that can be written is refused: %s", message)
  end
  local again, problem = fuzz.decode(text, keep_nulls)
  if problem then
    compare.fail("%s cannot be read again: %s", text, problem)
  elseif not compare.same(value, again) then
    compare.fail("%s is not what was written: that is %s", text, core.encode(again))
  elseif core.encode(again) ~= text then
    compare.fail("%s is written otherwise the second time: %s", text, core.encode(again))
  end
end

-- Tables that show others: by their __pairs (`shows`), or by names alone (`hides`).
local shows, hides = setmetatable({}, { __mode = "k" }), setmetatable({}, { __mode = "k" })

local function proxy(of, by_pairs)
  local t = setmetatable({}, {
    __pairs = by_pairs and function()
      return next, of
    end or nil,
    __index = not by_pairs and of or nil,
  })
  if by_pairs then
    shows[t] = of
  else
    hides[t] = of
  end
  return t
end

-- Whether a table that is empty itself has fields behind its __index.
local function hidden(t)
  for _ = 1, 100 do
    t = hides[t]
    if not t then
      return false
    elseif shows[t] then
      return true
    end
    for key, value in next, t do
      if type(value) ~= "function" and not (type(key) == "string" and key:find("^__")) then
        return true
      end
    end
  end
  return true
end

-- A copy of a value that can be written, with plain tables in the place of proxies.
local function plain(value)
  if type(value) ~= "table" then
    return value
  end
  local copy = getmetatable(value) == core.array and core.array {} or {}
  for key, member in next, shows[value] or value do
    copy[key] = plain(member)
  end
  return copy
end

-- Whether a value can be written, told without the core. `around` holds the tables that it lies in.
local function encodable(value, around, depth)
  local kind = math.type(value) or type(value)
  if kind == "integer" or kind == "boolean" or value == core.null then
    return true
  elseif kind == "float" then
    return value == value and value ~= math.huge and value ~= -math.huge
  elseif kind == "string" then
    return utf8.len(value) ~= nil
  elseif kind ~= "table" or around[value] or depth == MOST_DEPTH or hidden(value) then
    return false
  end
  around[value] = true
  local integers, strings, highest = 0, 0, 0
  for key, member in next, shows[value] or value do
    if math.type(key) == "integer" then
      integers = integers + 1
      highest = math.max(highest, key)
      strings = key < 1 and math.huge or strings
    elseif type(key) == "string" and utf8.len(key) then
      strings = strings + 1
    else
      return false
    end
    if not encodable(member, around, depth + 1) then
      return false
    end
  end
  around[value] = nil
  local is_array = integers > 0 or getmetatable(value) == core.array
  return highest == integers and (strings == 0 or not is_array)
end

-- Builds a value by the bytes of `input`: each says what to make, and what follows says of what. Deep and broad values
-- come of repetition, as libFuzzer likes to repeat.
local function build(input)
  local at = 1
  local made = {} -- tables, for those that hold themselves or each other

  local function byte()
    local b = input:byte(at) or 0
    at = at + 1
    return b
  end

  local function bytes(length)
    local text = input:sub(at, at + length - 1)
    at = at + length
    return text
  end

  local function number(format)
    local size = string.packsize(format)
    local text = bytes(size)
    return (string.unpack(format, text .. ("\0"):rep(size - #text)))
  end

  local make
  local function scalar(kind)
    if kind == 0 then
      return core.null
    elseif kind == 1 then
      return byte() % 2 == 1
    elseif kind == 2 then
      return number("<i8")
    elseif kind == 3 then
      return number("<d")
    elseif kind == 4 then
      return number("<i1")
    elseif kind == 5 then
      return bytes(byte() % 70)
    elseif kind == 6 then
      return number("<i2") / 100
    end
    return print -- what cannot be written at all
  end

  local function container(kind, depth)
    local t = {}
    made[#made + 1] = t
    if kind == 8 then
      core.array(t)
    end
    for i = 1, byte() % 12 do
      if at > #input then
        break
      end
      local key = i
      if kind == 10 then
        key = bytes(byte() % 12)
      elseif kind == 11 then
        key = scalar(byte() % 8)
        if key ~= key then
          key = i
        end
      end
      t[key] = make(depth + 1)
    end
    return t
  end

  function make(depth)
    local b = byte()
    local kind = b % 16
    if kind < 8 then
      return scalar(kind)
    elseif kind < 12 then
      return depth < 100 and container(kind, depth) or core.null
    elseif kind == 12 then
      return made[#made > 0 and byte() % #made + 1 or 0] or core.null
    elseif kind == 13 then
      local t = make(depth + 1)
      for _ = 1, byte() * 3 do
        t = { t }
      end
      return t
    elseif kind == 14 then
      local of = make(depth + 1)
      local t = type(of) == "table" and proxy(of, byte() % 4 > 0) or core.null
      made[#made + 1] = t ~= core.null and t or nil
      return t
    end
    return b // 16
  end

  return make(0)
end

local roots = { "value", "body", "a b", "" }

local function check_built(input)
  local value = build(input)
  local root = roots[#input % #roots + 1]
  local text, message = core.encode(value, root)
  local can = encodable(value, {}, 0)
  if text then
    if not can then
      compare.fail("what cannot be written is written: %s", text)
    end
    check_round_trip(plain(value))
  elseif can then
    compare.fail("what can be written is refused: %s", message)
  elseif message:sub(1, #root) ~= root or not message:find(": ", #root + 1, true) then
    compare.fail("the message %s does not begin with its path", message)
  elseif not utf8.len(message) or message:find("[\0-\31\127]") then
    compare.fail("the message is not one plain line: %s", message)
  end
end

return function(input)
  local value, message = fuzz.decode(input, keep_nulls)
  if not message then
    check_round_trip(value)
  end
  check_built(input)
end

--- The decoder, held against lua-cjson and against itself. An input is one document or several, with the byte 0x1E (the
--- record separator of RFC 7464, which no document can hold) between them: what the decoder remembers of one must not
--- show in the next. What is repaired is held against a repair of the text by Lua.

local fuzz = ...
local cjson = require("cjson").new()
local compare = require("fuzz.compare")
local core = require("llama_cloud.core")

local MOST_DOCUMENTS = 8
local VETERAN_DOCUMENTS = 256 -- after so many, the decoder that sees them all is another one

local decoder -- of all that is decoded here

local function decode_text(text, options)
  return fuzz.decode(text, options, decoder)
end

cjson.decode_invalid_numbers(false)
cjson.decode_max_depth(1000)

-- Why we may refuse what lua-cjson takes, which is laxer than RFC 8259.
local stricter = {
  "^invalid UTF%-8",
  "^a control character",
  "^a number out of range",
  "^a number with a leading zero",
  "^more arrays and objects",
  "^expected a digit after",
  "^lone surrogate",
}

local function may_refuse(message)
  for _, pattern in ipairs(stricter) do
    if message:find(pattern) then
      return true
    end
  end
  return false
end

-- A text up to any place in it that is not at fault must fail at its end, or not at all.
local function check_prefix(text, length)
  local prefix = text:sub(1, length)
  local _, message, offset = decode_text(prefix)
  if message and offset ~= length + 1 then
    compare.fail("the first %s bytes of %s fail at %s: %s", length, text, offset, message)
  end
end

local function check_fault(text, value, message, offset)
  if value ~= nil or type(message) ~= "string" or math.type(offset) ~= "integer" then
    compare.fail("%s gives %s, %s, %s", text, value, message, offset)
  elseif offset < 1 or offset > #text + 1 or tonumber(message:match(" at byte (%d+)$")) ~= offset then
    compare.fail("%s fails outside of itself: %s (%s)", text, message, offset)
  elseif message:find("[\0-\31\127-\255]") then
    compare.fail("the message is not plain: %s", message)
  end
  check_prefix(text, offset - 1)
end

local function check_against_cjson(text, value, message)
  if text:find("\0", 1, true) then
    return -- where lua-cjson takes a text to end
  end
  local accepted, theirs = pcall(cjson.decode, text)
  if message then
    if accepted and not may_refuse(message) then
      compare.fail("%s is refused: %s", text, message)
    end
  elseif not accepted then
    compare.fail("%s is taken, and lua-cjson says %s", text, theirs)
  elseif not compare.alike(value, theirs) then
    compare.fail("%s differs: %s and %s", text, core.encode(value), core.encode(theirs))
  end
end

local options = { null = true }
local repairing = { null = true, repair = true }

-- Where strict decoding stops, and repair may go on.
local broken = { "^invalid UTF%-8", "^lone surrogate", "^a byte order mark" }

-- All that a character of several bytes can begin with.
local beginnings = {}
for code = 0x80, 0x10ffff, 0x40 do
  if code < 0xd800 or code > 0xdfff then
    local character = utf8.char(code)
    for length = 1, #character - 1 do
      beginnings[character:sub(1, length)] = true
    end
  end
end

-- The text with U+FFFD in the place of bytes that are no UTF-8, by what Lua takes for UTF-8.
local function valid_bytes(text)
  local parts, at = {}, 1
  while at <= #text do
    local _, wrong = utf8.len(text, at)
    parts[#parts + 1] = text:sub(at, (wrong or #text + 1) - 1)
    at = wrong or #text + 1
    if wrong then
      local length = 1
      while at + length <= #text and beginnings[text:sub(at, at + length)] do
        length = length + 1
      end
      parts[#parts + 1] = "\u{fffd}"
      at = at + length
    end
  end
  return table.concat(parts)
end

-- The text with \ufffd in the place of the escapes of lone surrogates: of all escapes, for outside of strings none is right.
local function valid_escapes(text)
  local parts, from, at = {}, 1, text:find("\\", 1, true)
  while at do
    local after = at + 2
    local unit = tonumber(text:match("^u(%x%x%x%x)", at + 1) or "0", 16)
    if unit & 0xFC00 == 0xD800 and text:find("^\\u[dD][c-fC-F]%x%x", at + 6) then
      after = at + 12
    elseif unit & 0xF800 == 0xD800 then
      parts[#parts + 1] = text:sub(from, at - 1) .. "\\ufffd"
      from, after = at + 6, at + 6
    end
    at = text:find("\\", after, true)
  end
  return table.concat(parts) .. text:sub(from)
end

-- What repair makes of a document, of which `value` or `message` and `offset` came without it.
local function check_repair(text, value, message, offset)
  local repaired, problem, place = decode_text(text, repairing)
  local may_differ = false
  for _, pattern in ipairs(broken) do
    may_differ = may_differ or message ~= nil and message:find(pattern) ~= nil
  end
  if not may_differ and (problem ~= message or place ~= offset or not compare.same(repaired, value)) then
    compare.fail("repair makes a difference to %s: %s and %s", text, message, problem)
  elseif may_differ and problem and place < offset then
    compare.fail("with repair %s fails before its first fault: %s and %s", text, message, problem)
  end
  local expected, refusal = decode_text(valid_escapes(valid_bytes((text:gsub("^\u{feff}", "")))), options)
  if (problem == nil) ~= (refusal == nil) or not compare.same(repaired, expected) then
    compare.fail(
      "%s is repaired as %s (%s) and not %s (%s)",
      text,
      core.encode(repaired),
      problem,
      core.encode(expected),
      refusal
    )
  elseif not problem then
    local again, cause = decode_text(assert(core.encode(repaired)), options) -- which refuses what is no UTF-8
    if cause or not compare.same(again, repaired) then
      compare.fail("what is made of %s cannot be written and read again: %s", text, cause)
    end
  end
end

-- Of the outermost object, every other key, and one that it has not: nothing else may come, and nothing may be different.
local function check_fields(text, value)
  local names = {}
  for key in pairs(value) do
    names[#names + 1] = key
  end
  table.sort(names)
  local wanted = { "no such key" }
  for i = 1, #names, 2 do
    wanted[#wanted + 1] = names[i]
  end
  local part, message = decode_text(text, { fields = wanted })
  if message then
    compare.fail("of %s some fields cannot be decoded: %s", text, message)
  end
  local expected = {}
  for _, name in ipairs(wanted) do
    expected[name] = value[name]
  end
  if not compare.same(part, expected) then
    compare.fail("of %s some fields are %s and not %s", text, core.encode(part), core.encode(expected))
  end
end

-- Decodes one document; returns what came of it, for comparison with another decoder's work.
local function decode(text)
  local value, message, offset = decode_text(text, options)
  local plain, plain_message = decode_text(text)
  if message ~= plain_message then
    compare.fail("nulls make a difference to %s: %s and %s", text, message, plain_message)
  elseif not message and not compare.same(compare.without_nulls(value), plain) then
    compare.fail("nulls are not all that differs in %s: %s and %s", text, core.encode(value), core.encode(plain))
  elseif type(value) == "table" and text:find("^[ \t\r\n]*{") then
    check_fields(text, plain)
  end
  return value, message, offset
end

local function check_same(text, what, value, message, value2, message2)
  if message ~= message2 or not compare.same(value, value2) then
    compare.fail(
      what .. " makes a difference to %s: %s (%s) and %s (%s)",
      text,
      message == nil and core.encode(value) or nil,
      message,
      message2 == nil and core.encode(value2) or nil,
      message2
    )
  end
end

-- A decoder that has seen the documents of many inputs, and what they were: that is the input to report.
local veteran, history

local function check_veteran(text, value, message)
  if not veteran or #history == VETERAN_DOCUMENTS then
    veteran, history = core.decoder(), {}
  end
  history[#history + 1] = text
  local mine = decoder
  decoder = veteran
  local ok, problem = pcall(function()
    check_same(text, "a long life", value, message, decode(text))
  end)
  decoder = mine
  if not ok then
    local file = assert(io.open("veteran-" .. tostring(#history), "wb"))
    file:write(table.concat(history, "\x1E"))
    file:close()
    error(problem, 0)
  end
end

return function(input)
  decoder = core.decoder()
  local seen = 0
  for text in (input .. "\x1E"):gmatch("([^\x1E]*)\x1E") do
    seen = seen + 1
    if seen > MOST_DOCUMENTS then
      break
    end
    local value, message, offset = decode(text)
    if message then
      check_fault(text, value, message, offset)
    else
      check_prefix(text, #text // 2)
      check_prefix(text, math.max(0, #text - 1))
    end
    check_against_cjson(text, value, message)
    check_repair(text, value, message, offset)
    local shared = decoder
    decoder = core.decoder()
    check_same(text, "an earlier document", value, message, decode(text))
    check_veteran(text, value, message)
    decoder = shared
  end
end

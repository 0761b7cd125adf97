--- Texts: how they are compared, shown and cleaned. These rules are here, and nowhere else.
---
--- Nothing depends on the locale: letters are those of ASCII, and the classes of Lua's patterns (%a, %s, %c …) are not used,
--- because in ISO-8859-1 they take bytes of UTF-8 for letters, blanks and controls.

local core = require("llama_cloud.core")

local text = {}

local lower, upper = {}, {}
for code = 65, 90 do
  local capital, small = string.char(code), string.char(code + 32)
  lower[capital], upper[small] = small, capital
end

--- A text with its ASCII letters in lower case; in a Turkish locale `string.lower` would not make an i of an I.
---@param s string
---@return string
function text.lower(s)
  return (s:gsub("[A-Z]", lower))
end

--- A text with its ASCII letters in upper case.
---@param s string
---@return string
function text.upper(s)
  return (s:gsub("[a-z]", upper))
end

--- A text without the blanks and line breaks around it.
---@param s string
---@return string
function text.trim(s)
  return s:match("^[ \t-\r]*(.-)[ \t-\r]*$")
end

--- A text from a file or a variable: as of trim, and without the byte order mark that some editors put before it.
---@param s string
---@return string
function text.bare(s)
  return text.trim((s:gsub("^\u{FEFF}", "")))
end

--- Whether a text would break out of its line: line breaks, and NUL, at which C's texts end.
---@param s string
---@return boolean
function text.breaks_line(s)
  return core.breaks_line(s)
end

--- Whether a text has blanks or control characters in it, which no URL may have.
---@param s string
---@return boolean
function text.has_blanks(s)
  return s:find("[\0- \127]") ~= nil
end

-- What steers a terminal, or changes the order in which characters are shown, or cannot be seen, beyond ASCII: C1 controls,
-- line and paragraph separators, controls of direction, invisible operators, tags. Joiners stay: some scripts need them.
local STEERING = {}
for _, range in ipairs {
  { 0x80, 0x9F },
  { 0x61C, 0x61C },
  { 0x200B, 0x200B },
  { 0x200E, 0x200F },
  { 0x2028, 0x202E },
  { 0x2060, 0x206F },
  { 0xFEFF, 0xFEFF },
  { 0xFFF9, 0xFFFB },
  { 0xE0000, 0xE007F },
} do
  for code = range[1], range[2] do
    STEERING[utf8.char(code)] = "\0"
  end
end

local REPLACEMENT = "\u{FFFD}"

-- A text with U+FFFD in place of each byte that is not UTF-8.
local function valid(s)
  local parts, from = {}, 1
  while true do
    local count, bad = utf8.len(s, from)
    if count then
      parts[#parts + 1] = s:sub(from)
      return table.concat(parts)
    end
    parts[#parts + 1] = s:sub(from, bad - 1)
    parts[#parts + 1] = REPLACEMENT
    from = bad + 1
  end
end

-- The place of the last byte, not beyond `last`, with which a character ends; stray bytes are characters.
local function character_end(s, last)
  for first = last, math.max(last - 2, 1), -1 do
    local byte = s:byte(first)
    if byte >= 0xC0 then
      local length = byte >= 0xF0 and 4 or byte >= 0xE0 and 3 or 2
      return first + length - 1 > last and first - 1 or last
    elseif byte < 0x80 then
      break
    end
  end
  return last
end

-- At most `limit` bytes of a text: its beginning, or as much of its end, whole characters.
local function head(s, limit)
  return #s <= limit and s or s:sub(1, character_end(s, limit))
end

local function tail(s, limit)
  local first = #s - limit + 1
  while first <= #s and first < #s - limit + 4 and s:byte(first) & 0xC0 == 0x80 do
    first = first + 1
  end
  return s:sub(first)
end

local CUT = "…"

-- A text in at most `limit` bytes. The middle is left out: a message begins with what happened and ends with what to do.
local function bounded(s, limit)
  if #s <= limit then
    return s
  end
  local behind = (limit - #CUT) // 3
  return head(s, limit - #CUT - behind) .. CUT .. tail(s, behind)
end

-- A text as one line of UTF-8 that steers no terminal. `mark` replaces each control character.
local function harmless(s, mark)
  if s:find("[\128-\255]") then
    s = valid(s):gsub("[\xC2-\xF4][\x80-\xBF]+", STEERING)
  end
  if mark then
    return (s:gsub("[\0-\31\127]", mark))
  end
  return (s:gsub("[\0-\32\127]+", " "))
end

--- A text as it may be shown: one line of valid UTF-8 that steers no terminal, in at most `limit` bytes; of a longer one the
--- beginning and the end.
---@param s string
---@param limit integer bytes
---@param mark? string replaces each control character; without it, one blank replaces a run of control characters and blanks
---@return string
function text.line(s, limit, mark)
  return bounded(harmless(bounded(s, limit), mark), limit) -- before, because it may be long, and after, because it may have grown
end

-- A character as JSON escapes it.
local function escaped(character)
  local code = utf8.codepoint(character)
  if code < 0x10000 then
    return ("\\u%04x"):format(code)
  end
  return ("\\u%04x\\u%04x"):format(0xD7C0 + (code >> 10), 0xDC00 | code & 0x3FF)
end

--- JSON in which what steers a terminal is escaped.
---@param json string
---@return string
function text.harmless_json(json)
  json = json:gsub("\127", escaped)
  return (
    json:gsub("[\xC2-\xF4][\x80-\xBF]+", function(character)
      return STEERING[character] and escaped(character)
    end)
  )
end

--- The beginning of a text as it may be shown.
---@param s string
---@param limit integer bytes, without the "…" if more follows
---@return string
function text.excerpt(s, limit)
  local short = harmless(head(s, limit))
  return (#s > limit or #short > limit) and head(short, limit) .. CUT or short
end

local MOST_OF_NAME = 100 -- bytes

--- A name that the caller gave, quoted for an error message.
---@param s string
---@return string
function text.quote(s)
  return "'" .. text.line(s, MOST_OF_NAME, "?") .. "'"
end

--- A number for people: with a point, whatever the locale has.
---@param number number
---@param format? string as of string.format; "%g"
---@return string
function text.number(number, format)
  return ((format or "%g"):format(number):gsub("[^0-9A-Za-z+-]+", "."))
end

--- A number, text or boolean for machines, as in a query or a header: integers without a point, and never the locale's.
---@param value number|string|boolean
---@return string
function text.scalar(value)
  return type(value) == "number" and core.encode(math.tointeger(value) or value) or tostring(value)
end

local MOST_DEPTH = 512 -- of tables in tables, as in JSON

-- As text.redact. A table that is in itself is not followed.
local function redact(value, secrets, depth)
  if type(value) == "string" then
    return core.redact(value, secrets)
  elseif type(value) ~= "table" then
    return value
  elseif depth == 0 then
    return CUT
  end
  local copy = {}
  for key, member in pairs(value) do
    copy[redact(key, secrets, depth - 1)] = redact(member, secrets, depth - 1)
  end
  return getmetatable(value) == core.array and core.array(copy) or copy
end

--- A text with `***` in place of secrets, or a copy of a table with all its keys and members treated so. A secret is found
--- as it is, and with any of its characters escaped as in JSON, URLs or HTML (redact.c). Other values are returned as they are.
---@generic T
---@param value T
---@param secrets string[] what secrets.list has returned
---@return T
function text.redact(value, secrets)
  if #secrets == 0 then
    return value
  end
  return redact(value, secrets, MOST_DEPTH)
end

return text

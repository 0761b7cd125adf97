-- Runs Lua under locales with a decimal comma, or with Turkish letters, on machines that have none installed as well.

local process = require("spec.support.process")

local locale = {}

-- A locale of nothing but a decimal point.
local NUMERIC = [[
LC_NUMERIC
decimal_point "%s"
thousands_sep ""
grouping -1
END LC_NUMERIC
]]

-- ISO-8859-9, in which bytes of UTF-8 are letters, blanks and controls; and i is the small letter of another capital than I.
local TURKISH = [[
LC_CTYPE
upper <U0041>..<U005A>;<U00C0>..<U00CF>;<U011E>;<U0130>;<U015E>
lower <U0061>..<U007A>;<U00E0>..<U00EF>;<U011F>;<U0131>;<U015F>
space <U0009>..<U000D>;<U0020>;<U0085>;<U00A0>
cntrl <U0000>..<U001F>;<U007F>..<U009F>
%s
END LC_CTYPE
]]

local LETTERS = { [0xD0] = 0x11E, [0xDD] = 0x130, [0xDE] = 0x15E, [0xF0] = 0x11F, [0xFD] = 0x131, [0xFE] = 0x15F }

local function symbol(code)
  return ("<U%04X>"):format(code)
end

-- A character map of one byte for each character; the second has more bytes for one more.
local function charmap(last, more)
  local lines = {
    "<code_set_name> " .. (more and "UTF-8" or "ISO-8859-9"),
    "<comment_char> %",
    "<escape_char> /",
    "<mb_cur_min> 1",
    "<mb_cur_max> " .. (more and 4 or 1),
    "CHARMAP",
  }
  for code = 0, last do
    lines[#lines + 1] = ("%s /x%02x"):format(symbol(more and code or LETTERS[code] or code), code)
  end
  lines[#lines + 1] = more
  lines[#lines + 1] = "END CHARMAP\n"
  return table.concat(lines, "\n")
end

-- The letters that change: a to z, but for the two that are Turkish.
local function turkish()
  local pairs_of_letters = { "(<U0131>,<U0049>)", "(<U0069>,<U0130>)" }
  for code = 0x61, 0x7A do
    if code ~= 0x69 then
      table.insert(pairs_of_letters, ("(%s,%s)"):format(symbol(code), symbol(code - 32)))
    end
  end
  return TURKISH:format("toupper " .. table.concat(pairs_of_letters, ";"))
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function output_of(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read("a")
  local well = pipe:close()
  return text, well
end

-- Makes a locale and runs a chunk with it set. Nil if this machine cannot make such a locale.
local function run(map, source, check, chunk, args)
  local directory = output_of("mktemp -d"):gsub("\n", "")
  write(directory .. "/map", map)
  write(directory .. "/source", source)
  -- localedef complains of the categories that are not there, and makes the locale nevertheless.
  output_of(("cd %s && localedef -c -f ./map -i source ./made"):format(directory))
  local output, well
  if select(2, output_of(("test -s %s/made/LC_CTYPE || test -s %s/made/LC_NUMERIC"):format(directory, directory))) then
    output, well = process.run(check .. chunk, { environment = { LOCPATH = directory }, args = args })
  end
  output_of("rm -r " .. directory)
  return output, well
end

--- Runs a chunk of Lua in a process whose locale writes numbers with the decimal point `point`, "," or U+066B.
---@param point string
---@param chunk string
---@param args? string[] the chunk's `...`
---@return string? output what it printed; nil if this machine cannot make such a locale
---@return boolean? well whether the process ended well
function locale.run(point, chunk, args)
  local map = charmap(127, "<U066B> /xd9/xab") -- the Arabic decimal separator, which takes two bytes
  local check = ('assert(os.setlocale("made", "numeric")) assert("" .. 1.5 == "1%s5") '):format(point)
  return run(map, NUMERIC:format(symbol(utf8.codepoint(point))), check, chunk, args)
end

--- Likewise, where letters are those of Turkish in ISO-8859-9: the small letter of I is no i, and half of all bytes of
--- UTF-8 are letters, blanks or controls.
---@param chunk string
---@param args? string[] the chunk's `...`
---@return string? output
---@return boolean? well
function locale.run_turkish(chunk, args)
  local check = [[
    assert(os.setlocale("made", "ctype"))
    assert(("I"):lower() == "\xFD" and ("i"):upper() == "\xDD" and ("\xE9"):find("%a"))
    assert(("\xA0"):find("%s") and ("\x85"):find("%c"))
  ]]
  return run(charmap(255), turkish(), check, chunk, args)
end

return locale

-- Runs Lua under a locale with a decimal comma, on machines that have none installed as well.

local locale = {}

-- A locale of nothing but a decimal point, and the smallest character map in which it can be written.
local SOURCE = [[
LC_NUMERIC
decimal_point "%s"
thousands_sep ""
grouping -1
END LC_NUMERIC
]]

local function charmap()
  local lines = {
    "<code_set_name> UTF-8",
    "<comment_char> %",
    "<escape_char> /",
    "<mb_cur_min> 1",
    "<mb_cur_max> 4",
    "CHARMAP",
  }
  for code = 0, 127 do
    lines[#lines + 1] = ("<U%04X> /x%02x"):format(code, code)
  end
  lines[#lines + 1] = "<U066B> /xd9/xab" -- the Arabic decimal separator, which takes two bytes
  lines[#lines + 1] = "END CHARMAP\n"
  return table.concat(lines, "\n")
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

-- The program that runs this, under the same preloaded libraries and with the same paths.
local function interpreter()
  local index = 0
  while arg[index - 1] do
    index = index - 1
  end
  return arg[index]
end

--- Runs a chunk of Lua in a process whose locale writes numbers with the decimal point `point`, "," or U+066B.
---@param point string
---@param chunk string without single quotes
---@return string? output what it printed; nil if this machine cannot make such a locale
---@return boolean? well whether the process ended well
function locale.run(point, chunk)
  local directory = output_of("mktemp -d"):gsub("\n", "")
  write(directory .. "/map", charmap())
  write(directory .. "/source", SOURCE:format(("<U%04X>"):format(utf8.codepoint(point))))
  -- localedef complains of the categories that are not there, and makes the locale nevertheless.
  output_of(("cd %s && localedef -c -f ./map -i source ./point"):format(directory))
  local output, well
  local made = io.open(directory .. "/point/LC_NUMERIC")
  if made then
    made:close()
    local set = ('assert(os.setlocale("point", "numeric")) assert("" .. 1.5 == "1%s5") '):format(point)
    output, well = output_of(("LOCPATH=%s %s -e '%s'"):format(directory, interpreter(), set .. chunk))
  end
  output_of("rm -r " .. directory)
  return output, well
end

return locale

--- What is known of where the program writes: whether that is a terminal, how wide it is, and what it can show.

local core = require("llama_cloud.core")
local text = require("llama_cloud.base.text")

local terminal = {}

local USUAL_WIDTH = 80

--- What the environment says of the character set: by POSIX the first of these that is not empty counts.
---@return boolean
local function is_utf8()
  for _, name in ipairs { "LC_ALL", "LC_CTYPE", "LANG" } do
    local value = os.getenv(name)
    if value and value ~= "" then
      return text.lower(value):find("utf%-?8") ~= nil
    end
  end
  return false
end

---@class LlamaCloud.Cli.Terminal
---@field columns? integer nil where the file is no terminal
---@field steered boolean whether escape sequences steer it
---@field utf8 boolean whether it shows more than ASCII
---@field colour boolean https://no-color.org

--- Looks at an open file.
---@param file file*
---@return LlamaCloud.Cli.Terminal
function terminal.of(file)
  local columns = core.terminal(file)
  if columns == 0 then
    columns = math.tointeger(tonumber(os.getenv("COLUMNS"))) or USUAL_WIDTH
  end
  local plain, kind = os.getenv("NO_COLOR"), os.getenv("TERM")
  local steered = columns ~= nil and kind ~= nil and kind ~= "" and kind ~= "dumb"
  return {
    columns = columns and (columns > 0 and columns or USUAL_WIDTH),
    steered = steered,
    utf8 = is_utf8(),
    colour = steered and (plain == nil or plain == ""),
  }
end

-- Ranges of code points as "300-36F 5BF", in their order.
local function ranges(list)
  local found = {}
  for first, last in list:gmatch("([0-9A-F]+)%-?([0-9A-F]*)") do
    found[#found + 1] = { tonumber(first, 16), tonumber(last ~= "" and last or first, 16) }
  end
  return found
end

-- Characters that take two columns: Unicode's East Asian Width W and F.
local WIDE = ranges(
  "1100-115F 231A-231B 2329-232A 23E9-23EC 23F0 23F3 25FD-25FE 2614-2615 2648-2653 267F 2693 26A1 26AA-26AB 26BD-26BE "
    .. "26C4-26C5 26CE 26D4 26EA 26F2-26F3 26F5 26FA 26FD 2705 270A-270B 2728 274C 274E 2753-2755 2757 2795-2797 27B0 "
    .. "27BF 2B1B-2B1C 2B50 2B55 2E80-303E 3041-4DBF 4E00-A4CF A960-A97C AC00-D7A3 F900-FAFF FE10-FE19 FE30-FE6F "
    .. "FF00-FF60 FFE0-FFE6 16FE0-18D08 1AFF0-1B2FB 1F004 1F0CF 1F18E 1F191-1F19A 1F200-1F320 1F32D-1F335 1F337-1F37C "
    .. "1F37E-1F393 1F3A0-1F3CA 1F3CF-1F3D3 1F3E0-1F3F0 1F3F4 1F3F8-1F43E 1F440 1F442-1F4FC 1F4FF-1F53D 1F54B-1F54E "
    .. "1F550-1F567 1F57A 1F595-1F596 1F5A4 1F5FB-1F64F 1F680-1F6C5 1F6CC 1F6D0-1F6D2 1F6D5-1F6DF 1F6EB-1F6EC "
    .. "1F6F4-1F6FC 1F7E0-1F7EB 1F90C-1F93A 1F93C-1F945 1F947-1F9FF 1FA70-1FAFF 20000-3FFFD"
)

-- And those that take none: marks upon the character before, of the scripts that are much used, and joiners.
local NONE = ranges(
  "300-36F 483-489 591-5BD 5BF 5C1-5C2 5C4-5C5 5C7 610-61A 64B-65F 670 6D6-6DC 6DF-6E4 6E7-6E8 6EA-6ED 93A 93C "
    .. "941-948 94D 951-957 962-963 981 9BC 9C1-9C4 9CD A3C A41-A51 ABC AC1-AC8 ACD B3C BC0 BCD C46-C56 E31 E34-E3A "
    .. "E47-E4E EB1 EB4-EBC EC8-ECD 1AB0-1AFF 1DC0-1DFF 200B-200F 20D0-20F0 302A-302D 3099-309A FE00-FE0F FE20-FE2F "
    .. "E0100-E01EF"
)

local function is_in(code, list)
  local first, last = 1, #list
  while first <= last do
    local middle = (first + last) // 2
    if code > list[middle][2] then
      first = middle + 1
    elseif code < list[middle][1] then
      last = middle - 1
    else
      return true
    end
  end
  return false
end

local function columns_of(code)
  if code < 0x300 then
    return 1
  end
  return is_in(code, NONE) and 0 or is_in(code, WIDE) and 2 or 1
end

--- How many columns a text takes that is valid UTF-8 without control characters.
---@param s string
---@return integer
function terminal.width(s)
  if not s:find("[\128-\255]") then
    return #s
  end
  local width = 0
  for _, code in utf8.codes(s) do
    width = width + columns_of(code)
  end
  return width
end

--- A text in at most so many columns; of a longer one the beginning, and `mark`.
---@param s string valid UTF-8
---@param most number columns
---@param mark string
---@return string
function terminal.cut(s, most, mark)
  if terminal.width(s) <= most then
    return s
  end
  local left, last = most - terminal.width(mark), 0
  for position, code in utf8.codes(s) do
    left = left - columns_of(code)
    if left < 0 then
      break
    end
    last = position + #utf8.char(code) - 1
  end
  return s:sub(1, last) .. mark
end

--- A text as a terminal of this kind can show it: valid UTF-8 on one line, or ASCII.
---@param of LlamaCloud.Cli.Terminal
---@param s string
---@return string
function terminal.shown(of, s)
  s = text.line(s, 100000, " ")
  if not of.utf8 and s:find("[\128-\255]") then
    return (s:gsub("[\xC2-\xF4][\x80-\xBF]+", "?"))
  end
  return s
end

return terminal

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

-- Ranges of characters that take two columns (Unicode's East Asian Width W and F), and none.
local WIDE = {
  { 0x1100, 0x115F },
  { 0x2E80, 0x303E },
  { 0x3041, 0xA4CF },
  { 0xA960, 0xA97C },
  { 0xAC00, 0xD7A3 },
  { 0xF900, 0xFAFF },
  { 0xFE30, 0xFE6F },
  { 0xFF00, 0xFF60 },
  { 0xFFE0, 0xFFE6 },
  { 0x1F300, 0x1F64F },
  { 0x1F900, 0x1F9FF },
  { 0x20000, 0x3FFFD },
}
local NONE =
  { { 0x300, 0x36F }, { 0x483, 0x489 }, { 0x591, 0x5BD }, { 0x64B, 0x65F }, { 0x200B, 0x200F }, { 0x20D0, 0x20FF } }

local function is_in(code, ranges)
  for _, range in ipairs(ranges) do
    if code <= range[2] then
      return code >= range[1]
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

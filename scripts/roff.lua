--- Markdown, as docs/ has it, becomes a manual page: headings, paragraphs, lists, tables and blocks of code. A row of a table
--- becomes an entry: its first cell, with the type behind it; then the cells without a heading; then the others, named.

local roff = {}

local SYMBOLS = {
  ["→"] = "\\(->",
  ["…"] = "...",
  ["–"] = "\\(en",
  ["×"] = "\\(mu",
  ["µ"] = "\\(mc",
}

--- A text for troff: its own characters are escaped, and no line is a request.
---@param text string
---@return string
function roff.escaped(text)
  text = text:gsub("\\", "\\e"):gsub("%-", "\\-")
  text = text:gsub("[\xC2-\xF4][\x80-\xBF]+", function(character)
    return SYMBOLS[character] or ("\\[u%04X]"):format(utf8.codepoint(character))
  end)
  return (text:gsub("%f[^\n\0]([.'])", "\\&%1"))
end

-- A link: its text, and where it leads if that is another page.
local function link(text, target)
  if target:find("^#") then
    return text
  end
  local path = target:gsub("#.*$", ""):gsub("^%.%./", "")
  return ("%s (%s)"):format(text, path:find("^http") and path or path:find("/") and path or "docs/" .. path)
end

-- Text with what Markdown marks in a line.
local function inline(text)
  local codes = {}
  text = text:gsub("`([^`]+)`", function(code)
    codes[#codes + 1] = code
    return ("\1%d\2"):format(#codes)
  end)
  text = text:gsub("%[([^%]]+)%]%(([^)]+)%)", link):gsub("\\|", "|")
  text = roff.escaped(text)
  text = text:gsub("%*%*(.-)%*%*", "\\fB%1\\fR"):gsub("%f[%w*]%*(%w[^*]-)%*", "\\fI%1\\fR")
  return (
    text:gsub("\1(%d+)\2", function(number)
      return "\\fB" .. roff.escaped((codes[tonumber(number)]:gsub("\\|", "|"))) .. "\\fR"
    end)
  )
end

local function cells_of(line)
  local cells = {}
  local inner = line:match("^|%s*(.*)|%s*$"):gsub("\\|", "\1")
  for cell in inner:gmatch("([^|]*)|?") do
    cells[#cells + 1] = (cell:gsub("\1", "\\|"):match("^%s*(.-)%s*$"))
  end
  return cells
end

-- A sentence, as far as it is one.
local function sentence(text)
  return (text == "" or text:gsub("\\f[BIR]", ""):find("[.:?!]$")) and text or text .. "."
end

local Page = {}
Page.__index = Page

function Page:put(line)
  self.lines[#self.lines + 1] = line
end

-- Begins a paragraph; a heading has begun one already.
function Page:begin()
  if not self.lines[#self.lines]:find("^%.S[HS] ") then
    self:put(".PP")
  end
end

function Page:row(headings, cells)
  local tag, rest = inline(cells[1]), {}
  for position = 2, #headings do
    local heading, cell = headings[position], cells[position] or ""
    if heading == "type" and cell ~= "" then
      tag = tag .. " \\fI" .. inline(cell):gsub("\\f[BR]", "") .. "\\fR"
    elseif heading == "" or heading == "when" then
      table.insert(rest, 1, sentence(inline(cell)))
    elseif cell ~= "" then
      rest[#rest + 1] = sentence(heading:sub(1, 1):upper() .. heading:sub(2) .. ": " .. inline(cell))
    end
  end
  self:put(".TP")
  self:put(tag)
  local text = table.concat(rest, " "):match("^%s*(.*)$")
  self:put(text ~= "" and text or "\\&")
end

function Page:paragraph(text)
  if text ~= "" then
    self:begin()
    self:put(inline(text))
  end
end

-- Takes the lines of one block from `first` on; returns the number of the line behind it.
local blocks = {}

function blocks.code(page, all, first)
  page:begin()
  page:put(".EX")
  local number = first + 1
  while all[number] and not all[number]:find("^```") do
    page:put((roff.escaped(all[number]):gsub("^$", "\\&")))
    number = number + 1
  end
  page:put(".EE")
  return number + 1
end

-- Headings of a first column that need no words, as what they say is seen.
local PLAIN = { [""] = true, argument = true, field = true, kind = true, level = true, option = true }

function blocks.table(page, all, first)
  local headings, number = cells_of(all[first]), first + 2
  if not PLAIN[headings[1]] then
    page:paragraph(headings[1]:sub(1, 1):upper() .. headings[1]:sub(2) .. ":")
  end
  while all[number] and all[number]:find("^|") do
    page:row(headings, cells_of(all[number]))
    number = number + 1
  end
  return number
end

function blocks.list(page, all, first)
  local number, text = first, nil
  local function flush()
    if text then
      page:put(".IP \\(bu 2")
      page:put(inline(text))
    end
  end
  while all[number] and (all[number]:find("^%* ") or all[number]:find("^  %S")) do
    local item = all[number]:match("^%* (.*)$")
    if item then
      flush()
      text = item
    else
      text = text .. " " .. all[number]:match("^%s*(.*)$")
    end
    number = number + 1
  end
  flush()
  return number
end

function blocks.text(page, all, first)
  local number, parts = first, {}
  while all[number] and all[number] ~= "" and not all[number]:find("^[|#*`]%s?[|#`]*%s") or number == first do
    parts[#parts + 1] = all[number]
    number = number + 1
  end
  page:paragraph(table.concat(parts, " "))
  return number
end

-- What begins with a line.
local function kind_of(line)
  return line:find("^```") and "code" or line:find("^|") and "table" or line:find("^%* ") and "list" or "text"
end

--- Makes lines for troff of sections of Markdown.
---@param text string
---@param lines string[] what they are added to
---@param level? integer the level of the headings that become sections; 2
function roff.add(text, lines, level)
  level = level or 2
  local page, all = setmetatable({ lines = lines }, Page), {}
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    if not line:find("^<!%-%-.*%-%->$") and not line:find("^Next: %[") then
      all[#all + 1] = line
    end
  end
  local number = 1
  while all[number] do
    local line = all[number]
    local marks, title = line:match("^(#+) (.*)$")
    if marks then
      page:put(#marks <= level and ".SH " .. roff.escaped(title:upper()) or ".SS " .. roff.escaped(title))
      number = number + 1
    elseif line == "" then
      number = number + 1
    else
      number = blocks[kind_of(line)](page, all, number)
    end
  end
end

--- The part of a page from one heading of the second level to the next.
---@param text string
---@param title string
---@return string
function roff.section(text, title)
  local first = assert(text:find("\n## " .. title .. "\n", 1, true), title) + 1
  local last = text:find("\n## ", first, true)
  return text:sub(first, last or #text)
end

return roff

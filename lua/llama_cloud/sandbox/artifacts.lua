-- Small files of well-known formats, made without any library: PNG, XLSX, PDF.

local seed = require("llama_cloud.sandbox.seed")

local artifacts = {}

local CRC = {}
for index = 0, 255 do
  local value = index
  for _ = 1, 8 do
    value = value & 1 == 1 and value >> 1 ~ 0xedb88320 or value >> 1
  end
  CRC[index] = value
end

local function crc32(bytes)
  local value = 0xffffffff
  for index = 1, #bytes do
    value = CRC[(value ~ bytes:byte(index)) & 255] ~ value >> 8
  end
  return value ~ 0xffffffff
end

local function adler32(bytes)
  local a, b = 1, 0
  for index = 1, #bytes do
    a = (a + bytes:byte(index)) % 65521
    b = (b + a) % 65521
  end
  return b << 16 | a
end

-- PNG ----------------------------------------------------------------------------------------------------------------------

local function chunk(kind, bytes)
  return string.pack(">I4", #bytes) .. kind .. bytes .. string.pack(">I4", crc32(kind .. bytes))
end

--- A picture of coloured stripes that follow from a hash.
---@param key integer
---@param width integer
---@param height integer width * 3 + 1 times this is less than 64 KiB
---@return string
function artifacts.png(key, width, height)
  local rows = {}
  for y = 1, height do
    local colour = seed.hash(key, y // 4)
    local pixel = string.char(colour & 255, colour >> 8 & 255, colour >> 16 & 255)
    rows[y] = "\0" .. pixel:rep(width)
  end
  local raw = table.concat(rows)
  -- One block that is not compressed.
  local stream = "\x78\x01\x01" .. string.pack("<I2I2", #raw, #raw ~ 0xffff) .. raw .. string.pack(">I4", adler32(raw))
  return "\x89PNG\r\n\x1a\n"
    .. chunk("IHDR", string.pack(">I4I4BBBBB", width, height, 8, 2, 0, 0, 0))
    .. chunk("IDAT", stream)
    .. chunk("IEND", "")
end

-- XLSX ---------------------------------------------------------------------------------------------------------------------

-- An archive of files that are not compressed.
local function zip(files)
  local parts, directory, offset = {}, {}, 0
  for index, file in ipairs(files) do
    local name, bytes = file[1], file[2]
    -- Needs version 2.0; no flags, stored, 1 January 1980.
    local common = string.pack("<I2I2I2I2I2I4I4I4I2I2", 20, 0, 0, 0, 33, crc32(bytes), #bytes, #bytes, #name, 0)
    parts[index] = "PK\3\4" .. common .. name .. bytes
    directory[index] = "PK\1\2\20\0" .. common .. string.pack("<I2I2I2I4I4", 0, 0, 0, 0, offset) .. name
    offset = offset + #parts[index]
  end
  local listed = table.concat(directory)
  return table.concat(parts)
    .. listed
    .. "PK\5\6"
    .. string.pack("<I2I2I2I2I4I4I2", 0, 0, #files, #files, #listed, offset, 0)
end

local XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
local PACKAGE = "http://schemas.openxmlformats.org/package/2006/"
local OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
local SHEETS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
local TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml."

local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

local function escape(text)
  return (text:gsub('[&<>"]', ESCAPES))
end

local function worksheet(rows, text_of)
  local lines = {}
  for number, row in ipairs(rows) do
    local cells = {}
    for column, cell in ipairs(row) do
      local place = string.format("%s%d", string.char(64 + column), number)
      local text = escape(text_of(cell))
      if type(cell) == "number" then
        cells[#cells + 1] = string.format('<c r="%s"><v>%s</v></c>', place, text)
      elseif text ~= "" then
        cells[#cells + 1] = string.format('<c r="%s" t="inlineStr"><is><t>%s</t></is></c>', place, text)
      end
    end
    lines[number] = string.format('<row r="%d">%s</row>', number, table.concat(cells))
  end
  return string.format(
    '%s<worksheet xmlns="%s"><sheetData>%s</sheetData></worksheet>',
    XML,
    SHEETS,
    table.concat(lines)
  )
end

--- A workbook with one sheet for each table.
---@param tables { name: string, rows: table[] }[] of at most 26 columns
---@param text_of fun(cell: any): string
---@return string
function artifacts.xlsx(tables, text_of)
  local types, sheets, links, files = {}, {}, {}, {}
  for index, one in ipairs(tables) do
    types[index] =
      string.format('<Override PartName="/xl/worksheets/sheet%d.xml" ContentType="%sworksheet+xml"/>', index, TYPE)
    sheets[index] = string.format('<sheet name="%s" sheetId="%d" r:id="rId%d"/>', escape(one.name), index, index)
    links[index] = string.format(
      '<Relationship Id="rId%d" Type="%s/worksheet" Target="worksheets/sheet%d.xml"/>',
      index,
      OFFICE,
      index
    )
    files[index] = { string.format("xl/worksheets/sheet%d.xml", index), worksheet(one.rows, text_of) }
  end
  local relationships = '%s<Relationships xmlns="%srelationships">%s</Relationships>'
  local workbook = string.format('<Relationship Id="rId1" Type="%s/officeDocument" Target="xl/workbook.xml"/>', OFFICE)
  table.move(files, 1, #files, 5)
  files[1] = {
    "[Content_Types].xml",
    string.format(
      '%s<Types xmlns="%scontent-types"><Default Extension="rels" ContentType="%srelationships+xml"/>'
        .. '<Override PartName="/xl/workbook.xml" ContentType="%ssheet.main+xml"/>%s</Types>',
      XML,
      PACKAGE,
      "application/vnd.openxmlformats-package.",
      TYPE,
      table.concat(types)
    ),
  }
  files[2] = { "_rels/.rels", relationships:format(XML, PACKAGE, workbook) }
  files[3] = {
    "xl/workbook.xml",
    string.format(
      '%s<workbook xmlns="%s" xmlns:r="%s"><sheets>%s</sheets></workbook>',
      XML,
      SHEETS,
      OFFICE,
      table.concat(sheets)
    ),
  }
  files[4] = { "xl/_rels/workbook.xml.rels", relationships:format(XML, PACKAGE, table.concat(links)) }
  return zip(files)
end

-- PDF ----------------------------------------------------------------------------------------------------------------------

-- Text for one of the standard fonts, which know no more than Latin letters.
local function pdf_string(text)
  return "(" .. text:gsub("[^ -~]+", "?"):gsub("[()\\]", "\\%0") .. ")"
end

local function content_of(text)
  local lines = { "BT /F1 9 Tf 12 TL 72 740 Td" }
  for line in text:gmatch("[^\n]+") do
    for from = 1, #line, 100 do
      lines[#lines + 1] = pdf_string(line:sub(from, from + 99)) .. " Tj T*"
    end
  end
  lines[#lines + 1] = "ET"
  return table.concat(lines, "\n")
end

--- A document with these pages of text.
---@param pages string[]
---@param width integer
---@param height integer
---@return string
function artifacts.pdf(pages, width, height)
  local kids, objects = {}, {}
  objects[1] = "<</Type/Catalog/Pages 2 0 R>>"
  objects[3] = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
  for index, text in ipairs(pages) do
    local number = 2 + 2 * index
    kids[index] = number .. " 0 R"
    objects[number] = string.format(
      "<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d %d]/Contents %d 0 R/Resources<</Font<</F1 3 0 R>>>>>>",
      width,
      height,
      number + 1
    )
    local content = content_of(text)
    objects[number + 1] = string.format("<</Length %d>>stream\n%s\nendstream", #content, content)
  end
  objects[2] = string.format("<</Type/Pages/Count %d/Kids[%s]>>", #pages, table.concat(kids, " "))
  local parts, places, offset = { "%PDF-1.4\n" }, {}, 9
  for number, object in ipairs(objects) do
    parts[#parts + 1] = string.format("%d 0 obj\n%s\nendobj\n", number, object)
    places[number] = string.format("%010d 00000 n \n", offset)
    offset = offset + #parts[#parts]
  end
  parts[#parts + 1] = string.format(
    "xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n",
    #objects + 1,
    table.concat(places),
    #objects + 1,
    offset
  )
  return table.concat(parts)
end

return artifacts

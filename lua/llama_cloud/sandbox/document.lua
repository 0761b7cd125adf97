-- What is in a document: made up, page by page, from a hash of its bytes (or of its id), so that the same file has the same
-- contents in every job. Its name may say more: see `document.fate` and `document.pages`.

local ascii = require("llama_cloud.sandbox.ascii")
local json = require("llama_cloud.sandbox.json")
local seed = require("llama_cloud.sandbox.seed")

local hash, below = seed.hash, seed.below

local document = {}

document.WIDTH, document.HEIGHT = 612, 792 -- of a page, in points

local MAX_PAGES = 2000

-- Every page but the first fails with this chance: one in so many.
local FAILING = 40

local WORDS = {}
for word in
  ([[account acre agreement amount annual answer apply balance bank board budget café change claim clause client
  company contract cost credit customer data date delivery demand detail district document engine estimate façade figure
  firm forecast garden harbour income invoice item journey label ledger letter limit line margin market measure meeting
  member method minute month naïve network notice number offer office order owner page paper part partner payment period
  plan plant policy price product profit project quarter question rate reason record region report request résumé result
  review river road sample section service share station statement street supply survey system table term title total
  trade train unit value vendor visit warehouse water week weight year 東京 Zürich]]):gmatch("%S+")
do
  WORDS[#WORDS + 1] = word
end

--- What the name of a file says about its jobs: "failed", "stuck" (it runs until it is cancelled), or nothing.
---@param name string
---@return "failed"|"stuck"|nil
function document.fate(name)
  return name:find("stuck", 1, true) and "stuck" or name:find("fail", 1, true) and "failed" or nil
end

--- How many pages a document has: as its name says (`pages-12`), else 1 to 8.
---@param key integer
---@param name string
---@return integer
function document.pages(key, name)
  local named = math.tointeger(tonumber(name:match("pages%-(%d+)")))
  return named and math.max(1, math.min(named, MAX_PAGES)) or 1 + below(hash(key, 1), 8)
end

--- Whether a page cannot be made out: the last one of a file called `bad-page`, and now and then any but the first.
---@param key integer
---@param name string
---@param number integer from 1
---@return boolean
function document.page_fails(key, name, number)
  if name:find("bad-page", 1, true) and number == document.pages(key, name) then
    return true
  end
  return number > 1 and below(hash(key, 2, number), FAILING) == 0
end

---@param key integer
---@param name string
---@return integer
function document.failed_pages(key, name)
  local count = 0
  for number = 1, document.pages(key, name) do
    count = count + (document.page_fails(key, name, number) and 1 or 0)
  end
  return count
end

-- Words --------------------------------------------------------------------------------------------------------------------

-- Numbers below n that follow from a hash, one after the other.
local function dice(key)
  local rolls = 0
  return function(n)
    rolls = rolls + 1
    return below(hash(key, rolls), n)
  end
end

local function words(roll, least, spread)
  local chosen = {}
  for index = 1, least + roll(spread) do
    chosen[index] = WORDS[1 + roll(#WORDS)]
  end
  return table.concat(chosen, " ")
end

local function capitalized(text)
  return (text:gsub("^.", ascii.upper))
end

local function sentence(roll)
  return capitalized(words(roll, 6, 9)) .. "."
end

local function paragraph(roll)
  local sentences = {}
  for index = 1, 2 + roll(3) do
    sentences[index] = sentence(roll)
  end
  return table.concat(sentences, " ")
end

--- A few words that follow from a hash.
---@param key integer
---@param least integer
---@param spread integer
---@return string
function document.words(key, least, spread)
  return capitalized(words(dice(key), least, spread))
end

-- Items --------------------------------------------------------------------------------------------------------------------

-- One function for each type of item, with what it needs to know of its place.
local makers = {}

function makers.text(roll)
  local value = paragraph(roll)
  return { type = "text", value = value, md = value }
end

function makers.heading(roll, place)
  local level = place.number == 1 and place.index == 1 and 1 or 2 + roll(2)
  local value = capitalized(words(roll, 2, 4))
  return { type = "heading", level = level, value = value, md = string.rep("#", level) .. " " .. value }
end

local function list_of(roll, depth)
  local ordered = roll(2) == 0
  local items, lines = json.array {}, {}
  for index = 1, 2 + roll(3) do
    local value = capitalized(words(roll, 2, 5))
    local mark = ordered and index .. ". " or "- "
    items[#items + 1] = { type = "text", value = value, md = value }
    lines[#lines + 1] = mark .. value
    if depth == 0 and index == 2 then
      local inner = list_of(roll, 1)
      items[#items + 1] = inner
      lines[#lines + 1] = "    " .. inner.md:gsub("\n", "\n    ")
    end
  end
  return { type = "list", ordered = ordered, items = items, md = table.concat(lines, "\n") }
end

function makers.list(roll)
  return list_of(roll, 0)
end

local function csv_field(value)
  return value:find('[,"\n]') and '"' .. value:gsub('"', '""') .. '"' or value
end

local HTML = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }

-- The rows of a table, a header first: texts, numbers, and null where a cell is empty. Each table has an empty one.
local function table_rows(roll)
  local columns, count = 3 + roll(2), 3 + roll(4)
  local rows = json.array {}
  local header = json.array {}
  for column = 1, columns do
    header[column] = capitalized(words(roll, 1, 2))
  end
  rows[1] = header
  for number = 1, count do
    local row = json.array { capitalized(words(roll, 1, 2)) }
    for column = 2, columns do
      local kind = roll(6)
      if kind == 0 or number == 1 and column == columns then
        row[column] = json.null
      elseif kind == 1 then
        row[column] = words(roll, 1, 2) .. ", " .. words(roll, 1, 1)
      else
        row[column] = kind == 2 and roll(100000) / 4 or roll(5000)
      end
    end
    rows[#rows + 1] = row
  end
  return rows
end

--- A cell as text: empty for null.
---@param cell any
---@return string
local function cell_text(cell)
  if cell == json.null then
    return ""
  elseif math.type(cell) == "float" then
    -- Not %g: some countries write a comma.
    return string.format("%d.%02d", math.floor(cell), math.floor(cell * 100) % 100)
  end
  return tostring(cell)
end
document.cell_text = cell_text

function makers.table(roll)
  local rows = table_rows(roll)
  local csv, html, md = {}, { "<table>" }, {}
  for number, row in ipairs(rows) do
    local fields, cells, marked = {}, {}, {}
    local tag = number == 1 and "th" or "td"
    for column, cell in ipairs(row) do
      local text = cell_text(cell)
      fields[column] = csv_field(text)
      cells[column] = string.format("<%s>%s</%s>", tag, text:gsub("[&<>]", HTML), tag)
      marked[column] = text
    end
    csv[number] = table.concat(fields, ",")
    html[number + 1] = "<tr>" .. table.concat(cells) .. "</tr>"
    md[#md + 1] = "| " .. table.concat(marked, " | ") .. " |"
    if number == 1 then
      md[2] = "|" .. string.rep(" --- |", #row)
    end
  end
  html[#html + 1] = "</table>"
  return {
    type = "table",
    rows = rows,
    csv = table.concat(csv, "\n"),
    html = table.concat(html, "\n"),
    md = table.concat(md, "\n"),
    merged_from_pages = json.null,
    merged_into_page = json.null,
    parse_concerns = roll(8) == 0 and json.array {
      { type = "ambiguous_columns", details = "Two columns share one header" },
    } or json.null,
  }
end

function makers.image(roll, place)
  local caption = capitalized(words(roll, 3, 4))
  local url = document.image_name("layout", place.number, 1)
  return { type = "image", caption = caption, url = url, md = string.format("![%s](%s)", caption, url) }
end

function makers.code(roll)
  local value = string.format("local value = %d\nprint(%q)", roll(1000), words(roll, 2, 2))
  return { type = "code", value = value, language = "lua", md = "```lua\n" .. value .. "\n```" }
end

function makers.link(roll)
  local text = words(roll, 2, 3)
  local url = string.format("https://example.com/%d?a=1&b=%d", roll(10000), roll(100))
  return { type = "link", text = text, url = url, md = string.format("[%s](%s)", text, url) }
end

local function band(kind, text)
  local items = json.array { { type = "text", value = text, md = text, bbox = json.null } }
  return { type = kind, items = items, md = text }
end

--- The name of an image of a page.
---@param category "screenshot"|"embedded"|"layout"
---@param number integer of the page
---@param index? integer
---@return string
function document.image_name(category, number, index)
  if category == "screenshot" then
    return string.format("page_%d.png", number)
  end
  return string.format("%s_%d_%d.png", category == "layout" and "page" or "img", number, index)
end

-- Pages ------------------------------------------------------------------------------------------------------------------

-- The first page has one of each; on the others chance decides.
local ALL = { "heading", "text", "list", "table", "image", "code", "link", "text" }
local SOME = { "text", "text", "list", "table", "image", "code", "link", "heading" }

local function box(y, height, roll)
  return json.array {
    {
      x = 72,
      y = y,
      w = document.WIDTH - 144,
      h = height,
      confidence = (850 + roll(150)) / 1000,
      label = json.null,
      start_index = json.null,
      end_index = json.null,
      r = json.null,
    },
  }
end

---@class llama_cloud.sandbox.page
---@field number integer
---@field items table[] header and footer among them
---@field header string
---@field footer string
---@field confidence number
---@field text string
---@field markdown string

--- A page of a document.
---@param key integer
---@param number integer from 1
---@return llama_cloud.sandbox.page
function document.page(key, number)
  local roll = dice(hash(key, 3, number))
  local kinds = number == 1 and ALL or { "heading" }
  if number > 1 then
    for index = 2, 4 + roll(4) do
      kinds[index] = SOME[1 + roll(#SOME)]
    end
  end
  local header, footer = document.words(hash(key, 4), 2, 3), string.format("Page %d", number)
  local items, texts, md = json.array { band("header", header) }, {}, {}
  items[1].bbox = box(24, 12, roll)
  local y, step = 72, (document.HEIGHT - 144) // #kinds
  for index, kind in ipairs(kinds) do
    local item = makers[kind](roll, { number = number, index = index })
    item.bbox = box(y, step - 8, roll)
    y = y + step
    items[#items + 1] = item
    md[#md + 1] = item.md
    texts[#texts + 1] = item.value or item.csv or item.caption or item.text or item.md
  end
  items[#items + 1] = band("footer", footer)
  items[#items].bbox = box(document.HEIGHT - 36, 12, roll)
  return {
    number = number,
    items = items,
    header = header,
    footer = footer,
    confidence = (900 + roll(100)) / 1000,
    text = header .. "\n\n" .. table.concat(texts, "\n\n") .. "\n\n" .. footer,
    markdown = table.concat(md, "\n\n"),
  }
end

return document

--- Where answers go: tables for people, JSON, JSON lines and CSV for programs. What is written is flushed at once, and
--- a pipe that was closed ends the program.

local errors = require("llama_cloud.base.errors")
local json = require("llama_cloud.cli.json")
local core = require("llama_cloud.core")
local terminal = require("llama_cloud.cli.terminal")
local text = require("llama_cloud.base.text")

local output = {}

--- What is raised when nobody reads any more.
output.CLOSED = setmetatable({}, { __name = "llama_cloud.cli.closed" })

output.FORMATS = { "table", "json", "jsonl", "csv" }

local EPIPE = 32

---@class LlamaCloud.Cli.Output
---@field format "table"|"json"|"jsonl"|"csv"
---@field fields? string[] those that were asked for
---@field terminal LlamaCloud.Cli.Terminal
---@field order string[] the fields that rows are known to have
---@field many boolean whether there may be several rows
---@field rows integer how many there were
---@field columns? string[] of a table or of CSV
---@field widths? integer[] of a table
local Output = {}
Output.__index = Output

--- Writes to standard output, at once. Raises output.CLOSED, or an error object of kind "file".
---@param s string
function output.write(s)
  local ok, message, code = io.stdout:write(s)
  if ok then
    ok, message, code = io.stdout:flush()
  end
  if not ok then
    error(code == EPIPE and output.CLOSED or errors.new { kind = "file", message = "standard output: " .. message }, 0)
  end
end

--- Begins to write answers.
---@param given { format?: string, fields?: string[], order: string[], many: boolean }
---@return LlamaCloud.Cli.Output
function output.new(given)
  local of = terminal.of(io.stdout)
  return setmetatable({
    format = given.format or of.columns and "table" or "jsonl",
    fields = given.fields,
    terminal = of,
    order = given.order,
    many = given.many,
    rows = 0,
  }, Output)
end

-- What a field of a row is; a dot leads into an object.
local function field_of(row, name)
  local value = row[name]
  if value == nil and name:find(".", 1, true) then
    value = row
    for part in name:gmatch("[^.]+") do
      value = type(value) == "table" and value[part] or nil
    end
  end
  return value
end

-- A row that has only the fields that were asked for, under the names by which they were.
local function picked(self, row)
  if not self.fields then
    return row
  end
  local some = {}
  for _, name in ipairs(self.fields) do
    some[name] = field_of(row, name)
  end
  return some
end

-- A value in one cell.
local function cell(value)
  if value == nil or value == core.null then
    return ""
  elseif type(value) == "table" then
    return json.encode(value, {})
  end
  return type(value) == "string" and value or text.scalar(value)
end

local writers = {}

function writers.jsonl(self, rows)
  local lines = {}
  for position, row in ipairs(rows) do
    lines[position] = json.encode(picked(self, row), self.fields or self.order) .. "\n"
  end
  return table.concat(lines)
end

function writers.json(self, rows)
  local parts, indent = {}, self.many and "  " or ""
  for position, row in ipairs(rows) do
    local first = self.rows == 0 and position == 1
    local before = self.many and (first and "[\n  " or ",\n  ") or ""
    parts[position] = before .. json.encode(picked(self, row), self.fields or self.order, indent)
  end
  return table.concat(parts)
end

-- On a terminal, each cell is one line, without control characters.
local function csv_cell(self, value)
  local s = cell(value)
  s = self.terminal.columns and text.line(s, 3 * #s + 3, " ") or s
  return s:find('[",\r\n]') and '"' .. s:gsub('"', '""') .. '"' or s
end

local function csv_line(self, cells, count)
  local parts = {}
  for position = 1, count or #cells do
    parts[position] = csv_cell(self, cells[position])
  end
  return table.concat(parts, ",") .. "\n"
end

function writers.csv(self, rows)
  local lines = {}
  if not self.columns then
    self.columns = self.fields or self.order
    if #self.columns == 0 then
      self.columns = rows[1] and json.names(rows[1], {}) or {}
    end
    lines[1] = csv_line(self, self.columns)
  end
  for _, row in ipairs(rows) do
    local cells = {}
    for position, name in ipairs(self.columns) do
      cells[position] = field_of(row, name)
    end
    lines[#lines + 1] = csv_line(self, cells, #self.columns)
  end
  return table.concat(lines)
end

local MOST_OF_CELL = 40 -- columns, unless the fields were asked for, or no terminal bounds them
local GAP = 2

local function shown(self, value)
  return terminal.shown(self.terminal, cell(value))
end

-- The columns of a table: those that were asked for, or those of its first page that say something and fit. The project is the
-- same in every row, and what is in tables seldom fits.
local function choose_columns(self, rows)
  if self.fields then
    return self.fields
  end
  local some, all = {}, {}
  for _, row in ipairs(rows) do
    for name, value in pairs(row) do
      some[name] = some[name] or type(value) ~= "table" and name ~= "project_id" and name ~= "organization_id"
      all[name] = true
    end
  end
  local columns = {}
  for _, name in ipairs(json.names(all, self.order)) do
    if some[name] then
      columns[#columns + 1] = name
    end
  end
  return columns
end

-- How wide each column is, judged by the first page. Without a terminal as wide as its widest cell; ids are never cut.
local function measure(self, rows)
  local widths, kept, left = {}, {}, self.terminal.columns or math.huge
  for _, name in ipairs(self.columns) do
    local whole = self.fields or not self.terminal.columns or name == "id" or name:find("_id$")
    local bound = whole and math.huge or MOST_OF_CELL
    local width = terminal.width(name)
    for _, row in ipairs(rows) do
      width = math.max(width, terminal.width(shown(self, field_of(row, name))))
    end
    width = math.min(width, bound)
    if self.fields or #kept == 0 or width <= left then
      kept[#kept + 1] = name
      widths[#kept] = width
      left = left - width - GAP
    end
  end
  self.columns, self.widths = kept, widths
end

local COLOURS = {
  COMPLETED = "\27[32m",
  FAILED = "\27[31m",
  CANCELLED = "\27[33m",
}

-- Whether the cells of a line fit, though some may be wider than those of the first page.
local function fits(self, cells)
  local width = -GAP
  for position, s in ipairs(cells) do
    width = width + math.max(self.widths[position], terminal.width(s)) + GAP
  end
  return width <= (self.fields and math.huge or self.terminal.columns or math.huge)
end

-- One line of a table. `bold` is its head.
local function table_line(self, cells, bold)
  local parts, colour = {}, self.terminal.colour
  local mark, fit = self.terminal.utf8 and "…" or "...", fits(self, cells)
  for position, whole in ipairs(cells) do
    local s = fit and whole or terminal.cut(whole, self.widths[position], mark)
    local padding = position < #cells and (" "):rep(self.widths[position] - terminal.width(s) + GAP) or ""
    local paint = colour and (bold and "\27[1m" or self.columns[position] == "status" and COLOURS[text.upper(s)])
    parts[position] = (paint and paint .. s .. "\27[0m" or s) .. padding
  end
  return table.concat(parts):gsub(" +$", "") .. "\n"
end

local function table_of(self, rows)
  local lines = {}
  if not self.columns then
    self.columns = choose_columns(self, rows)
    measure(self, rows)
    lines[1] = table_line(self, self.columns, true)
  end
  for _, row in ipairs(rows) do
    local cells = {}
    for position, name in ipairs(self.columns) do
      cells[position] = shown(self, field_of(row, name))
    end
    lines[#lines + 1] = table_line(self, cells)
  end
  return table.concat(lines)
end

-- One object: a line for each of its fields.
local function record_of(self, row)
  local names, widest, lines = self.fields or json.names(row, self.order), 0, {}
  for _, name in ipairs(names) do
    widest = math.max(widest, terminal.width(name))
  end
  for _, name in ipairs(names) do
    local value = shown(self, field_of(row, name))
    local left = (self.terminal.columns or math.huge) * 4 - widest - GAP -- of a long text the first lines
    local label = self.terminal.colour and "\27[1m" .. name .. "\27[0m" or name
    local padding = (" "):rep(widest - terminal.width(name) + GAP)
    local s = terminal.cut(value, left, self.terminal.utf8 and "…" or "...")
    lines[#lines + 1] = (label .. padding .. s):gsub(" +$", "") .. "\n"
  end
  return table.concat(lines)
end

writers.table = function(self, rows)
  if self.many then
    return rows[1] and table_of(self, rows) or ""
  end
  return rows[1] and record_of(self, rows[1]) or ""
end

--- Writes rows, at once: the answer of a call, or the items of a page.
---@param rows table[]
function Output:put(rows)
  local s = writers[self.format](self, rows)
  local is_json = self.format == "json" or self.format == "jsonl"
  output.write(is_json and self.terminal.columns and text.harmless_json(s) or s)
  self.rows = self.rows + #rows
end

--- Ends what was written, where all of it was. What an error cuts off stays open, so that nobody takes it for the whole.
function Output:finish()
  if self.format == "json" then
    output.write(self.many and (self.rows == 0 and "[]\n" or "\n]\n") or self.rows > 0 and "\n" or "")
  elseif self.format == "csv" and self.rows == 0 and not self.columns then
    self:put {}
  end
end

return output

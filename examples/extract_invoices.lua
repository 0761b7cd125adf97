-- From invoices to a table: extracts the same fields from every file below a folder, and writes them as CSV.
--
--   scripts/lua examples/extract_invoices.lua FOLDER invoices.csv       the key is in LLAMA_CLOUD_API_KEY
--
-- The journal, invoices.csv.jsonl, says which files are done. Each row is written before its file counts as done, so after an
-- interruption none is missing; the one that was being written when the program was killed may be there twice. The exit status
-- is 1 as long as there are files that have failed.

local llama_cloud = require("llama_cloud")

local COLUMNS = { "number", "date", "supplier", "total", "currency" }

local SCHEMA = {
  type = "object",
  properties = {
    number = { type = "string", description = "The number of the invoice" },
    date = { type = "string", description = "When it was issued, as YYYY-MM-DD" },
    supplier = { type = "string", description = "Who issued it" },
    total = { type = "number", description = "The amount to be paid, taxes included" },
    currency = { type = "string", description = "The three-letter code of the currency" },
  },
}

local folder, path = arg[1], arg[2]
if not path then
  io.stderr:write("usage: extract_invoices.lua FOLDER CSV\n")
  os.exit(2)
end

-- A line of CSV (RFC 4180).
local function line(values)
  local cells = {}
  for index, value in ipairs(values) do
    cells[index] = '"' .. tostring(value):gsub('"', '""') .. '"'
  end
  return table.concat(cells, ",") .. "\r\n"
end

local client = llama_cloud.new()
local configuration = assert(client.configurations:create { -- or get the one that an earlier run has made
  name = "invoices of extract_invoices.lua",
  parameters = { product_type = "extract_v2", data_schema = SCHEMA },
})

local csv = assert(io.open(path, "a"))
if csv:seek("end") == 0 then
  assert(csv:write(line { "file", table.unpack(COLUMNS) }))
end

local failed = 0
for file in
  client.batches:process(folder, {
    config = { job = { type = "extract_v2", configuration_id = configuration.id } },
  }, {
    journal = path .. ".jsonl",
    delete_directories = true,
    on_progress = function(progress)
      failed = progress.failed -- in earlier runs, too
    end,
  })
do
  if file.error then
    io.stderr:write(("%s: %s\n"):format(file.name, file.error.message))
  else
    local row, fields = { file.name }, file.result.extract_result or {}
    for _, column in ipairs(COLUMNS) do
      local value = fields[column]
      row[#row + 1] = value == nil and "" or value
    end
    assert(csv:write(line(row)))
    assert(csv:flush())
  end
end
assert(csv:close())
os.exit(failed == 0, true)

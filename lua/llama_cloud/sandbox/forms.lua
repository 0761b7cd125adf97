-- The forms on a page: fields of every kind, a section, a table.

local document = require("llama_cloud.sandbox.document")
local json = require("llama_cloud.sandbox.json")
local seed = require("llama_cloud.sandbox.seed")

local hash, below = seed.hash, seed.below

local forms = {}

local KINDS = { "text", "checkbox", "single_select", "multi_select", "signature" }

local function field(key, index)
  local kind = KINDS[index]
  local empty = kind == "signature" or below(hash(key, index, 1), 4) == 0
  local value = json.null
  if kind == "checkbox" then
    value = below(hash(key, index, 2), 2) == 0
  elseif not empty then
    value = document.words(hash(key, index, 3), 1, 3)
  end
  local label = document.words(hash(key, index, 4), 1, 2)
  return {
    field = kind,
    type = "field",
    id = string.format("field_%d", index),
    label = label,
    value = value,
    isEmpty = kind ~= "checkbox" and empty,
    bbox = json.array { { x = 72, y = 60 * index, w = 200, h = 16 } },
    valueItems = kind == "multi_select" and json.array { { type = "text", value = label, md = label } } or json.null,
  }
end

local function grid(key)
  return {
    type = "table",
    id = "table_1",
    label = document.words(hash(key, 5), 1, 2),
    columns = json.array { document.words(hash(key, 6), 1, 1), document.words(hash(key, 7), 1, 1) },
    rows = json.array {
      json.array { document.words(hash(key, 8), 1, 2), json.null },
      json.array { json.null, { items = json.array { field(key, 1) } } },
    },
    bbox = json.null,
  }
end

--- The form of a page.
---@param document_key integer
---@param number integer of the page
---@return table
function forms.make(document_key, number)
  local key = hash(document_key, 9, number)
  local entries, listed, lines = json.array {}, json.array {}, {}
  for index = 1, #KINDS do
    entries[index] = field(key, index)
    local text = entries[index].label
      .. ": "
      .. tostring(entries[index].value ~= json.null and entries[index].value or "")
    listed[index] = { type = "text", value = text, md = text }
    lines[index] = "- " .. text
  end
  entries[#entries + 1] = {
    type = "section",
    id = "section_1",
    label = document.words(hash(key, 10), 2, 2),
    items = json.array { field(hash(key, 11), 1), grid(key) },
  }
  entries[#entries + 1] = grid(hash(key, 12))
  return {
    json = entries,
    list = { type = "list", ordered = false, items = listed, md = table.concat(lines, "\n") },
  }
end

return forms

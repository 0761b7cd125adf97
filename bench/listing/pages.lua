--- Writes the pages of a list as files for nginx, each naming the next: pages.lua DIRECTORY PAGES ITEMS_PER_PAGE KIND.
--- KIND v2: found by page_token; v1: found by offset.

local documents = require("bench.documents")

local directory, pages, size, kind = arg[1], tonumber(arg[2]), tonumber(arg[3]), arg[4]
for number = 1, pages do
  local text
  if kind == "v2" then
    text = documents.v2_page(size, number)
    local token = number < pages and ('"%d"'):format(number + 1) or "null"
    text =
      text:gsub('"next_page_token":"[^"]*","total_size":%d+', ('"next_page_token":%s,"total_size":null'):format(token))
  else
    text = documents.v1_page(size)
    text = text:gsub(
      '"next_page_token":"[^"]*","total_size":%d+',
      ('"next_page_token":null,"total_size":%d'):format(pages * size)
    )
  end
  local name = kind == "v2" and number or (number - 1) * size
  local file = assert(io.open(("%s/%d.json"):format(directory, name), "wb"))
  file:write(text)
  file:close()
end
if kind == "v1" then
  local file = assert(io.open(("%s/%d.json"):format(directory, pages * size), "wb"))
  file:write(('{"items":[],"next_page_token":null,"total_size":%d}'):format(pages * size))
  file:close()
end

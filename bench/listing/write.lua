--- Writes what nginx serves: write.lua DIRECTORY PAGES ITEMS_PER_PAGE. Each page of the list of v2 batches is a file of
--- its own, named by its token, and batch.json is a batch that runs.

local documents = require("bench.documents")
local pages = require("bench.listing.pages")

local directory, count, size = arg[1], tonumber(arg[2]), tonumber(arg[3])

local function write(name, text)
  local file = assert(io.open(directory .. "/" .. name, "wb"))
  assert(file:write(text))
  assert(file:close())
end

for number = 1, count do
  write(("%d.json"):format(number), pages.v2(number, count, size))
end
write("batch.json", documents.running_batch())

--- The pages of a list, as text: every page names the next one.

local documents = require("bench.documents")

local pages = {}

--- Page `number` of a list of v2 batches. The token of a page is its number.
---@param number integer from 1
---@param count integer how many pages there are
---@param size integer items per page
---@return string
function pages.v2(number, count, size)
  local token = number < count and ('"%d"'):format(number + 1) or "null"
  local text = documents.v2_page(size, number)
  return (
    text:gsub('"next_page_token":"[^"]*","total_size":%d+', ('"next_page_token":%s,"total_size":null'):format(token))
  )
end

--- A page of a list of v1 jobs, which is found by its offset.
---@param first integer the offset: a multiple of size
---@param count integer how many pages there are
---@param size integer items per page
---@return string
function pages.v1(first, count, size)
  local total = count * size
  if first >= total then
    return ('{"items":[],"next_page_token":null,"total_size":%d}'):format(total)
  end
  local text = documents.v1_page(size)
  return (
    text:gsub('"next_page_token":"[^"]*","total_size":%d+', ('"next_page_token":null,"total_size":%d'):format(total))
  )
end

return pages

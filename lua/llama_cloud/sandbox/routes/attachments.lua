-- The routes of attachments: screenshots of the pages of a file.

local artifacts = require("llama_cloud.sandbox.artifacts")
local clock_module = require("llama_cloud.sandbox.clock")
local document = require("llama_cloud.sandbox.document")
local endpoint = require("llama_cloud.sandbox.endpoint")
local lists = require("llama_cloud.sandbox.lists")
local presigned = require("llama_cloud.sandbox.presigned")
local seed = require("llama_cloud.sandbox.seed")
local sources = require("llama_cloud.sandbox.sources")

local PATH = "/api/v1/beta/attachments"
local WIDTH, HEIGHT = 48, 62

local function picture(key, number)
  return artifacts.png(seed.hash(key, 11, number), WIDTH, HEIGHT)
end

-- The number of the page that a name stands for; nil if the document has no such page.
local function page_of(name, source)
  local number = math.tointeger(tonumber(name:match("^screenshots/page_(%d+)%.png$")))
  return number and number >= 1 and number <= document.pages(source.key, source.name) and number or nil
end

local function list(sandbox, request)
  local source, status, text = sources.find(sandbox, request.query.source_id)
  if not source then
    return status, text
  end
  local pages, size = document.pages(source.key, source.name), #picture(source.key, 1)
  return endpoint.page(sandbox, "attachments", request.query, function(after, limit)
    return lists.take(limit, (after or 0) + 1, pages, 1, function(number)
      return number
    end)
  end, function(number)
    return string.format(
      '{"name":"screenshots/page_%d.png","size":%d,"last_modified":"%s"}',
      number,
      size,
      clock_module.format(sandbox.started_at)
    )
  end)
end

local function get(sandbox, request)
  local name = request.path_values[1]
  local source, status, text = sources.find(sandbox, request.query.source_id)
  if not source then
    return status, text
  elseif not page_of(name, source) then
    return endpoint.detail(404, "Attachment not found")
  end
  return 200, presigned.encode(sandbox, request.http, "attachments", request.query.source_id .. "/" .. name)
end

function presigned.kinds.attachments(sandbox, key)
  local source_id, name = key:match("^([^/]*)/(.*)$")
  local source = source_id and sources.find(sandbox, source_id)
  local number = source and page_of(name, source)
  return number and presigned.content(picture(source.key, number), "image/png", sandbox.started_at) or nil
end

local SOURCE = { "source_id", "string", required = true }

return {
  list = {
    {
      method = "GET",
      path = PATH,
      query = endpoint.query { SOURCE, endpoint.PAGE_SIZE, endpoint.PAGE_TOKEN },
      handler = list,
    },
    { method = "GET", path = PATH .. "/{attachment_name}", query = endpoint.query { SOURCE }, handler = get },
  },
}

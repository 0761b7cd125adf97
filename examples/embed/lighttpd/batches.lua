-- A page of the batches that are running, for lighttpd's mod_magnet (lighttpd.conf).
--
-- lighttpd runs this script for each request, on its only thread: while it runs, nobody else is served. So it never waits
-- for the service as long as that may take. A task asks the service; each request lets it go on by step(), which does not
-- wait, and shows what is known. Only whoever starts the task waits for it, and for about WAIT seconds at most.

local llama_cloud = require("llama_cloud")

local WAIT = 0.2 -- seconds that the server stands still, once in FRESH seconds, if the service is slow or down
local FRESH = 2 -- seconds after which the service is asked again
local TIMEOUT = 5 -- seconds after which it is given up
local MOST = 100 -- batches

-- A script has a Lua state of its own, which lasts as long as the process (with server.max-workers, one in each), but the
-- script's locals do not. What is to last is kept where require keeps modules.
---@class BatchesPage
---@field client LlamaCloud.Client
---@field task LlamaCloud.Task? what asks the service, or has
---@field asked integer? when it began to
---@field batches LlamaCloud.Batch[]? what the service has said,
---@field at integer? and when
---@field err string? the kind of error that it has got since
local page = package.loaded.batches_page
if not page then
  page = { client = llama_cloud.new { max_retries = 0, total_timeout = TIMEOUT } }
  package.loaded.batches_page = page
end

local function ask()
  page.asked = os.time()
  page.task = llama_cloud.spawn(function()
    local batches, err = page.client.batches:list({ status = "RUNNING" }):all { max_items = MOST }
    if batches then
      page.batches, page.at, page.err = batches, os.time(), nil
    else
      page.err = err.kind
      print(tostring(err)) -- to the log of the server; this print takes strings only
    end
  end)
end

local function is_asking()
  return page.task ~= nil and page.task:status() == "pending"
end

-- Lets a task go on, and starts one where what is known is old.
local function update()
  llama_cloud.step()
  if is_asking() or page.asked and os.time() - page.asked < FRESH then
    return
  end
  ask()
  for _ = 1, 20 do
    llama_cloud.step()
    if not is_asking() then
      break
    end
    llama_cloud.sleep(WAIT / 20)
  end
end

local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

-- Any value of the service as HTML text.
local function text(value)
  return (tostring(value):gsub("[&<>\"']", ESCAPES))
end

local function html()
  local parts = {
    "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'><meta http-equiv='refresh' content='5'>",
    "<title>Running batches</title></head><body><h1>Running batches</h1>\n",
  }
  local function add(format, ...)
    parts[#parts + 1] = format:format(...)
  end
  if page.err then
    add("<p>LlamaCloud does not answer (%s).</p>\n", text(page.err))
  end
  if page.batches then
    add("<p>%d at %s</p>\n<table>\n", #page.batches, os.date("!%H:%M:%S UTC", page.at))
    add("<tr><th>Batch<th>Directory<th>Since</tr>\n")
    for _, batch in ipairs(page.batches) do
      add("<tr><td>%s<td>%s<td>%s</tr>\n", text(batch.id), text(batch.source_directory_id), text(batch.created_at))
    end
    add("</table>\n")
  else
    add("<p>Nothing is known yet.</p>\n")
  end
  add("</body></html>\n")
  return table.concat(parts)
end

update()
local r = lighty.r
r.resp_header["Content-Type"] = "text/html; charset=utf-8"
r.resp_header["Content-Security-Policy"] = "default-src 'none'"
r.resp_header["Cache-Control"] = "no-store"
r.resp_body.set { html() }
return page.batches and 200 or 503

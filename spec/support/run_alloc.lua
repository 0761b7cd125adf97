-- Runs a chunk of spec/alloc, spec/close or spec/threads by its harness, beside one server for all its runs, whose URL is the
-- chunk's argument. A directory for files, which has to be empty in the end, is named by LLAMA_CLOUD_TEST_FILES.
--
--   scripts/lua spec/support/run_alloc.lua HARNESS CHUNK [-core|-curl]

local files = require("spec.support.files")
local server = require("spec.support.server")

local harness, chunk, source = arg[1], arg[2], arg[3] or ""

-- Two pages of two batches, by token or by offset; any other GET is a batch, where "bat-wait" has ended at every other look
-- and "bat-failed" has failed; a POST is answered with its own body, and the Content-Encoding that it asks for.
local s <close> = server.start([[
local form = '{"id":"%s","status":"%s","config":{"job":{"type":"parse_v2","configuration_id":"cfg-1"}},"n":[]}'
local batch = form:format("bat-1", "RUNNING")
local looks = 0
return function(connection, request)
  local query = request.query or ""
  if request.method == "POST" then
    connection:json(200, request.body, { ["Content-Encoding"] = request.headers["x-encoding"] })
  elseif request.path:find("/batches$") then
    local more = query:find("page_token=") == nil
    connection:json(200, ('{"items":[%s,%s],"next_page_token":%s}'):format(batch, batch, more and '"two"' or "null"))
  elseif request.path:find("batch%-processing$") then
    connection:json(200, ('{"items":[%s],"total_size":1}'):format(batch))
  elseif request.path:find("bat%-wait") then
    looks = looks + 1
    local over = looks % 2 == 0 or query:find("expand=")
    connection:json(200, form:format("bat-wait", over and "COMPLETED" or "RUNNING"))
  elseif request.path:find("bat%-failed") then
    connection:json(200, form:format("bat-failed", "FAILED"))
  else
    connection:json(200, batch, { ["X-Request-Id"] = "1" })
  end
end]])

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local room = files.new()
local environment = "LLAMA_CLOUD_TEST_FILES=" .. quote(room.directory)
local _, _, status = os.execute(("%s %s %s %s %s"):format(environment, quote(harness), source, quote(chunk), s:url()))
local left = room:list()
room:remove()
if status == 0 and left[1] then
  print("left behind: " .. table.concat(left, " "))
  status = 1
end
os.exit(status, true)

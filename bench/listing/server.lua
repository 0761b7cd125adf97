--- A server of pages that takes its time: server.lua SECONDS PAGES ITEMS_PER_PAGE. Prints its port. It answers each request
--- that many seconds after it came, on all connections at once, and ends by itself after a quarter of an hour.

local cqueues = require("cqueues")
local socket = require("cqueues.socket")
local pages = require("bench.listing.pages")

local LIFETIME = 900

local delay, count, size = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3])

local v2, v1 = {}, {}
for number = 1, count do
  v2[tostring(number)] = pages.v2(number, count, size)
end
for number = 0, count do
  v1[tostring(number * size)] = pages.v1(number * size, count, size)
end

local function page_for(target)
  local path, query = target:match("^([^?]*)%??(.*)$")
  if path == "/api/v2/batches" then
    return v2[query:match("page_token=([^&]*)") or "1"]
  elseif path == "/api/v1/beta/batch-processing" then
    return v1[query:match("offset=([^&]*)") or "0"]
  end
end

-- Answers one request. False at the end of the connection.
local function answer(connection)
  local line = connection:read("*l")
  if not line then
    return false
  end
  local body = page_for(line:match("^GET (%S+)"))
  for _ = 1, 100 do
    line = connection:read("*l")
    if not line then
      return false
    elseif line == "" or line == "\r" then
      break
    end
  end
  cqueues.sleep(delay)
  local head = "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
  return connection:write(head:format(body and "200 OK" or "404 Not Found", body and #body or 0, body or ""))
end

local function return_error(_, _, code)
  return code
end

local controller = cqueues.new()
local listener = assert(socket.listen { host = "127.0.0.1", port = 0, nodelay = true })
assert(listener:listen())
local _, _, port = listener:localname()
print(port)
io.stdout:flush()

controller:wrap(function()
  for connection in listener:clients { nodelay = true } do
    connection:onerror(return_error)
    connection:setmode("b", "bf")
    controller:wrap(function()
      while answer(connection) do
      end
      connection:close()
    end)
  end
end)

local ends = cqueues.monotime() + LIFETIME
repeat
  assert(controller:step(1))
until cqueues.monotime() > ends

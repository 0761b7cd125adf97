--- The same as ours.lua with what Lua users have otherwise: LuaSocket and lua-cjson. LuaSocket's own HTTP module opens a
--- connection for each request, so this speaks HTTP by hand, as much of it as this server needs, over one connection.

local cjson = require("cjson")
local socket = require("socket")

local host, port = arg[1]:match("^http://([^:/]+):(%d+)$")
local work = tonumber(arg[2])
local connection = assert(socket.connect(host, tonumber(port)))
connection:setoption("tcp-nodelay", true)

local function get(path)
  assert(
    connection:send(
      ("GET %s HTTP/1.1\r\nHost: %s:%s\r\nAuthorization: Bearer key\r\nAccept: application/json\r\n\r\n"):format(
        path,
        host,
        port
      )
    )
  )
  assert(assert(connection:receive("*l")):find("^HTTP/1.1 200 "))
  local length
  for _ = 1, 100 do
    local line = assert(connection:receive("*l"))
    if line == "" then
      break
    end
    length = tonumber(line:lower():match("^content%-length: *(%d+)")) or length
  end
  local body = assert(connection:receive(length))
  return cjson.decode(body)
end

local count, ids = 0, 0
local path = "/api/v2/batches?page_size=100"
repeat
  local page = get(path)
  for _, batch in ipairs(page.items) do
    count = count + 1
    ids = ids + #batch.id
    if work then
      local done = socket.gettime() + work
      while socket.gettime() < done do
      end
    end
  end
  local token = page.next_page_token
  local more = token ~= cjson.null
  path = more and "/api/v2/batches?page_size=100&page_token=" .. token
until not more
connection:close()
assert(ids == 40 * count)
print(count)

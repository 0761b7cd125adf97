-- Receives webhooks: checks the signature of each delivery, answers at once, and hands the event to a worker, which asks the
-- service what has become of the batch.
--
--   LLAMA_CLOUD_WEBHOOK_SECRET=… scripts/lua examples/webhook_receiver.lua [PORT]      the key is in LLAMA_CLOUD_API_KEY
--
-- It listens on this machine only (port 8090 by default) and without encryption: put a reverse proxy that has a certificate
-- in front of it. While you replace a secret, give both, separated by a blank. An event may come twice, late, or out of
-- order, so it only says where to look. To try it, start the sandbox with --deliver-webhooks, and create a batch whose
-- webhook_url is http://127.0.0.1:8090/.

local cqueues = require("cqueues")
local condition = require("cqueues.condition")
local socket = require("cqueues.socket")
local llama_cloud = require("llama_cloud")

local MAX_HEAD, MAX_BODY = 16 << 10, 1 << 20 -- bytes
local TIMEOUT = 10 -- seconds for a whole request
local MAX_CONNECTIONS, MAX_WAITING = 100, 1000

local secrets = {}
for secret in (os.getenv("LLAMA_CLOUD_WEBHOOK_SECRET") or ""):gmatch("%S+") do
  secrets[#secrets + 1] = secret
end
if #secrets == 0 then
  io.stderr:write("set LLAMA_CLOUD_WEBHOOK_SECRET to the webhook_signing_secret of the webhook\n")
  os.exit(1)
end

local client = llama_cloud.new()
local controller = cqueues.new()

-- The queue ---------------------------------------------------------------------------------------------------------------

local waiting, changed = {}, condition.new()

-- An id of a batch anywhere in an event.
local function batch_id_in(value)
  if type(value) == "string" then
    return value:match("^bat%-[%w-]+$")
  elseif type(value) == "table" then
    for _, member in pairs(value) do
      local id = batch_id_in(member)
      if id then
        return id
      end
    end
  end
end

-- Handles an event. It may take its time: the service has had its answer.
local function handle(event)
  local id = batch_id_in(event)
  if not id then
    return print("this event is not about a batch")
  end
  local batch, err = client.batches:get(id, { expand = { "results" } })
  print(id, batch and batch.status or err)
end

local function work()
  while true do
    while not waiting[1] do
      changed:wait()
    end
    local ok, problem = pcall(handle, table.remove(waiting, 1))
    if not ok then
      print("an event could not be handled: " .. tostring(problem))
    end
  end
end

-- One request -------------------------------------------------------------------------------------------------------------

-- What comes, until there is `mark` in it or there are `length` bytes. Nil after TIMEOUT, and at the end.
local function read(connection, mark, length, limit)
  while not (mark and connection.buffer:find(mark, 1, true) or length and #connection.buffer >= length) do
    local left = connection.deadline - cqueues.monotime()
    if left <= 0 or #connection.buffer > limit then
      return nil
    end
    local bytes = connection.socket:xread(-4096, "bn", left)
    if not bytes then
      return nil
    end
    connection.buffer = connection.buffer .. bytes
  end
  return connection.buffer
end

-- Reads a request and decides about it. The status of the answer.
local function receive(connection)
  local head = read(connection, "\r\n\r\n", nil, MAX_HEAD)
  if not head then
    return #connection.buffer > MAX_HEAD and 431 or 408
  end
  local headers = {}
  for name, value in head:match("^.-\r\n\r\n"):gmatch("\n([^:\r\n]+):[ \t]*([^\r\n]*)") do
    headers[name:lower()] = value
  end
  local length = tonumber((headers["content-length"] or ""):match("^%d+$"))
  if not head:find("^POST ") then
    return 405
  elseif not length then
    return 411
  elseif length > MAX_BODY then
    return 413
  end
  local start = select(2, head:find("\r\n\r\n", 1, true))
  local all = read(connection, nil, start + length, start + length)
  if not all then
    return 408
  end
  local body = all:sub(start + 1, start + length)
  local verified, reason = llama_cloud.webhook.verify(body, headers["lc-signature"], secrets)
  if not verified then
    print("refused: " .. reason)
    return 401
  elseif #waiting >= MAX_WAITING then
    return 503 -- it is delivered again later
  end
  local event = llama_cloud.json.decode(body)
  if type(event) == "string" then -- webhook_output_format = "string"
    event = llama_cloud.json.decode(event)
  end
  table.insert(waiting, event or {})
  changed:signal()
  return 204
end

local connections = 0

local function serve(peer)
  peer:onerror(function(_, _, code)
    return code -- instead of raising: a peer may go at any time
  end)
  peer:setmode("bn", "bn")
  local connection = { socket = peer, buffer = "", deadline = cqueues.monotime() + TIMEOUT }
  local status = receive(connection)
  peer:xwrite(("HTTP/1.1 %d \r\nContent-Length: 0\r\nConnection: close\r\n\r\n"):format(status), "bn", TIMEOUT)
  peer:shutdown("w")
  -- Closing at once could take the answer back from a peer that is still sending.
  while cqueues.monotime() < connection.deadline and peer:xread(-4096, "bn", 1) do
  end
  peer:close()
end

controller:wrap(work)
controller:wrap(function()
  local server = assert(socket.listen("127.0.0.1", tonumber(arg[1]) or 8090))
  assert(server:listen())
  local _, _, port = server:localname()
  print(("listening on 127.0.0.1:%d"):format(port))
  io.stdout:flush()
  for peer in server:clients() do
    if connections >= MAX_CONNECTIONS then
      peer:close()
    else
      connections = connections + 1
      controller:wrap(function()
        local ok, problem = pcall(serve, peer)
        connections = connections - 1
        if not ok then
          print(problem)
        end
      end)
    end
  end
end)

assert(controller:loop())

--- Prints ports of 127.0.0.1 that are free right now: free_ports.lua COUNT

local socket = require("cqueues.socket")

local listeners = {}
for i = 1, tonumber(arg[1]) do
  listeners[i] = assert(socket.listen("127.0.0.1", 0))
  assert(listeners[i]:listen())
end
for _, listener in ipairs(listeners) do
  local _, _, port = listener:localname()
  print(port)
  listener:close()
end

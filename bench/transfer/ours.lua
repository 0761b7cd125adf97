--- Sends a file, or fetches one, by the core alone: ours.lua idle | up URL FILE | down URL FILE. Prints how many bytes.

local core = require("llama_cloud.core")

local what, url, path = table.unpack(arg)

local function finish(request)
  local t = core.transport()
  local transfer = t:start(request)
  while not transfer:done() do
    t:wait(60)
    t:step()
  end
  local kind, message = transfer:outcome()
  assert(kind == "response", message)
  assert(transfer:status() == 200)
end

if what == "idle" then
  core.transport()
  print(0)
elseif what == "up" then
  local file = { part = "upload_file", name = "a.pdf", type = "application/pdf", path = path }
  local form = assert(core.form { file = file })
  finish { method = "POST", url = url, body = form, stall_timeout = 60 }
  print(form:bytes())
else
  local output <close> = assert(core.output(path))
  finish { method = "GET", url = url, output = output, stall_timeout = 60 }
  assert(output:commit())
  print(output:received())
end

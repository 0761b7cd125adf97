--- What programs that take a folder through the service share: the folder, and a service for each of them.

local process = require("bench.process")
local sandbox = require("llama_cloud.sandbox")

local setting = {}

--- Writes a folder of small files anew, beside what the contenders will leave.
---@param directory string
---@param count integer
---@return string folder
function setting.folder(directory, count)
  assert(os.execute(process.command_line { "rm", "-rf", directory }))
  assert(os.execute(process.command_line { "mkdir", "-p", directory .. "/files" }))
  for number = 1, count do
    local file = assert(io.open(("%s/files/%06d.txt"):format(directory, number), "w"))
    assert(file:write("text of file ", number))
    file:close()
  end
  return directory .. "/files"
end

--- A service of its own, without batches, which takes longer for some requests. Close it.
---@param seconds number what an upload and a fetched result take longer
---@return table
function setting.service(seconds)
  return sandbox.start {
    batches = 0,
    jobs = 0,
    keep = 0,
    speed = 100,
    faults = {
      ("POST /api/v1/beta/directories/*/files/upload: delay=%g"):format(seconds),
      ("GET /api/v2/parse/*: delay=%g"):format(seconds),
    },
  }
end

return setting

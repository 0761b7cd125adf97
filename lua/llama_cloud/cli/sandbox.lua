--- llama-cloud sandbox: the local service.

local act = require("llama_cloud.cli.act")

local sandbox = { name = "sandbox", offline = true }

sandbox.about = "A local service to develop and test against: llama-cloud sandbox --help"

---@param parser table
function sandbox.declare(parser)
  parser:argument("options", "see llama-cloud sandbox --help"):args("*")
end

--- Refuses flags before the command: the service has its own.
function sandbox.run()
  error(act.usage("sandbox must be the first word, followed by its own flags: see llama-cloud sandbox --help"), 0)
end

--- Runs the service until it is ended.
---@param arguments string[]
---@return integer code
function sandbox.main(arguments)
  return require("llama_cloud.sandbox.cli").main(arguments, "llama-cloud sandbox") -- where a library is missing, its error says which
end

return sandbox

--- llama-cloud sandbox: the local service.

local sandbox = { name = "sandbox", offline = true }

sandbox.about = "A local service to develop and test against: llama-cloud sandbox --help"

---@param parser table
function sandbox.declare(parser)
  parser:argument("options", "see llama-cloud sandbox --help"):args("*")
end

--- Runs the service until it is ended.
---@param arguments string[]
---@return integer code
function sandbox.main(arguments)
  return require("llama_cloud.sandbox.cli").main(arguments) -- where a library is missing, its error says which
end

return sandbox

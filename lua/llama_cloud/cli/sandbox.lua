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
  local found, cli = pcall(require, "llama_cloud.sandbox.cli")
  if not found then -- a library is missing, and this says which
    io.stderr:write("llama-cloud: ", cli, "\n")
    return 1
  end
  return cli.main(arguments)
end

return sandbox

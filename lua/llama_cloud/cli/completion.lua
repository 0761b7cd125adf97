--- llama-cloud completion SHELL: a script for the shell, which completes commands and flags.

local output = require("llama_cloud.cli.output")

local completion = { name = "completion", offline = true }

completion.about = "Writes a script that completes commands and flags in a shell"

---@param parser table
function completion.declare(parser)
  parser:argument("shell"):choices { "bash", "zsh", "fish" }
  parser:epilog('Example:\n  eval "$(llama-cloud completion bash)"')
end

---@param _ nil
---@param result table
---@return integer code
function completion.run(_, result)
  local root = require("llama_cloud.cli").parser()
  output.write(root["get_" .. result.shell .. "_complete"](root))
  return 0
end

return completion

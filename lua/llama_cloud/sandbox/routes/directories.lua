-- The routes of directories and their files.

local directories = require("llama_cloud.sandbox.directories")

return {
  setup = function(sandbox)
    sandbox.directories = directories.new()
  end,
  list = {},
}

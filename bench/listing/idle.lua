--- Loads the module and does nothing.

local _ = require("llama_cloud")
print(0)

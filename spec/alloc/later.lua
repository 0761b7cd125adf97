-- Run by spec/support/alloc_harness.c: a module that is compiled at its first use, which is tried again after an error.
failing(false)
local llama_cloud = require("llama_cloud")
failing(true)

assert(llama_cloud.time("1970-01-02") == 86400)

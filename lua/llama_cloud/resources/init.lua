--- The tree of resources as it hangs on a client.
return {
  batches = require("llama_cloud.resources.batches"),
  beta = {
    batch = require("llama_cloud.resources.beta.batch"),
  },
}

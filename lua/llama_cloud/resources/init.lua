--- The tree of resources as it hangs on a client. Each is compiled when it is first asked for.

local later = require("llama_cloud.base.later")

return {
  batches = later.require("llama_cloud.resources.batches"),
  beta = {
    attachments = later.require("llama_cloud.resources.beta.attachments"),
    batch = later.require("llama_cloud.resources.beta.batch"),
    directories = later.require("llama_cloud.resources.beta.directories"),
    split = later.require("llama_cloud.resources.beta.split"),
  },
  classify = later.require("llama_cloud.resources.classify"),
  configurations = later.require("llama_cloud.resources.configurations"),
  extract = later.require("llama_cloud.resources.extract"),
  files = later.require("llama_cloud.resources.files"),
  parsing = later.require("llama_cloud.resources.parsing"),
  projects = later.require("llama_cloud.resources.projects"),
  split = later.require("llama_cloud.resources.split"),
  v2_projects = later.require("llama_cloud.resources.v2_projects"),
  webhook_configs = later.require("llama_cloud.resources.webhook_configs"),
}

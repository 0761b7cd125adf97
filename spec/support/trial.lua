-- Resources that only specs declare: what the machinery of declarations can do, whatever the service has.

local client_support = require("spec.support.client")
local endpoint = require("llama_cloud.endpoint")
local server = require("spec.support.server")
local tree = require("llama_cloud.resources")

local trial = {}

local scope = { { "organization_id", "string" }, { "project_id", "string" } }

local declared = endpoint.resource("trial", {
  array = { "GET /array", returns = "array", query = scope },
  delete = { "DELETE /things/{thing_id}", query = scope, accept = "*/*", returns = "nothing" },
  remove = { "DELETE /objects/{thing_id}" },
  update = { "PATCH /things/{thing_id}", body = { { "name", "string" } }, repeatable = true },
  change = { "PATCH /other/{thing_id}", body = { { "name", "string" } } },
  classify = {
    "POST /classify",
    query = scope,
    body = { { "file_input", "string" }, { "transaction_id", "string" } },
    idempotency = "transaction_id",
  },
  upload = {
    "POST /d/{directory_id}/files/upload",
    query = scope,
    form = {
      { "display_name", "string" },
      { "unique_id", "string" },
      { "external_file_id", "string" },
      { "pages", "integer" },
      { "metadata", "json" },
      { "upload_file", "file", required = true },
    },
    reconcile = { list = "list", by = "unique_id" },
  },
  list = {
    "GET /d/{directory_id}/files",
    pagination = { kind = "cursor" },
    query = { { "page_token", "string" }, { "unique_id", "string" }, scope[1], scope[2] },
  },
  put = {
    "POST /files",
    form = { { "upload_file", "file", wire = "file", required = true }, { "purpose", "string", required = true } },
  },
  parse = {
    "POST /parse",
    query = scope,
    body = {
      { "tier", "string", required = true },
      { "version", "string" },
      { "file_id", "string" },
      { "max", "integer" },
    },
    upload = { "POST /parse/upload", file = { "upload_file", "file", wire = "file" }, json = "configuration" },
  },
  content = { "GET /files/{file_id}/content", query = scope },
  download = { from = "content" },
  jobs = endpoint.resource("trial.jobs", {
    get = {
      "GET /jobs/{job_id}",
      query = { { "expand", "strings" }, { "image_filenames", "string" }, scope[1], scope[2] },
    },
    download = {
      from = "get",
      results = "result_content_metadata",
      images = "images_content_metadata",
      image_names = "image_filenames",
      expand = { "markdown_content_metadata", "text_content_metadata", "xlsx_content_metadata" },
    },
  }),
})

--- A client that has them, as `trial`; and a server with this behaviour.
---@param behaviour string|table as server.start takes it
---@param options? table the client's; `server`: the server's
---@return table server
---@return table client
function trial.start(behaviour, options)
  local given = {}
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  local s = server.start(behaviour, given.server)
  given.server = nil
  return s, trial.client(s, given)
end

--- A client that has them, as `trial`.
---@param target table|string a server, or a base URL
---@param options? table
---@return table client
function trial.client(target, options)
  tree.trial = declared
  local client = client_support.client(target, options)
  assert(client.trial) -- bound when it is first asked for
  tree.trial = nil
  return client
end

return trial

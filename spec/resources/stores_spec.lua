-- Directories, files, configurations, projects, webhook configurations and attachments: what each call looks like on the
-- wire, and what its answer becomes.

local llama_cloud = require("llama_cloud")
local lists = require("spec.support.lists")
local server = require("spec.support.server")
local wire = require("spec.support.wire")

local null = llama_cloud.null

wire.describe {
  -- directories
  {
    { "beta.directories", "create", { name = "a", type = "ephemeral", project_id = "p", organization_id = "o" } },
    "POST /api/v1/beta/directories?organization_id=o&project_id=p",
    body = '{"name":"a","type":"ephemeral"}',
  },
  {
    {
      "beta.directories",
      "create",
      { name = "a", description = null, system_metadata = { k = { 1 } }, connector_subscription_id = "c" },
    },
    "POST /api/v1/beta/directories",
    body = '{"connector_subscription_id":"c","description":null,"name":"a","system_metadata":{"k":[1]}}',
  },
  {
    {
      "beta.directories",
      "list",
      {
        page_token = "t",
        page_size = 5,
        types = { "user", "new" },
        type = "index",
        project_id = "p",
        organization_id = "o",
        name = "a b",
        include_deleted = false,
      },
    },
    "GET /api/v1/beta/directories?include_deleted=false&name=a%20b&organization_id=o&project_id=p&type=index"
      .. "&types=user&types=new&page_size=5&page_token=t",
    answer = "list",
  },
  { { "beta.directories", "get", "dir/1" }, "GET /api/v1/beta/directories/dir%2F1" },
  {
    { "beta.directories", "update", "dir-1", { description = null, project_id = "p" } },
    "PATCH /api/v1/beta/directories/dir-1?project_id=p",
    body = '{"description":null}',
  },
  {
    { "beta.directories", "update", "dir-1", { name = "b", description = "c" } },
    "PATCH /api/v1/beta/directories/dir-1",
    body = '{"description":"c","name":"b"}',
  },
  { { "beta.directories", "update", "dir-1", {} }, "PATCH /api/v1/beta/directories/dir-1", body = "{}" },
  {
    { "beta.directories", "delete", "dir-1", { project_id = "p" } },
    "DELETE /api/v1/beta/directories/dir-1?project_id=p",
    accept = "*/*",
    answer = "nothing",
  },
  {
    {
      "beta.directories.files",
      "add",
      "dir-1",
      { file_id = "f", display_name = "d", unique_id = "u", metadata = { a = { "x" }, b = null, c = 1.5, d = true } },
    },
    "POST /api/v1/beta/directories/dir-1/files",
    body = '{"display_name":"d","file_id":"f","metadata":{"a":["x"],"b":null,"c":1.5,"d":true},"unique_id":"u"}',
  },
  {
    {
      "beta.directories.files",
      "list",
      "dir-1",
      {
        page_token = "t",
        page_size = 5,
        updated_at_on_or_before = 0,
        updated_at_on_or_after = "2026-01-01",
        unique_id = "u",
        project_id = "p",
        organization_id = "o",
        include_deleted = true,
        file_id = "f",
        expand = { "download_url", "metadata" },
        display_name_contains = "c",
        display_name = "d",
      },
    },
    "GET /api/v1/beta/directories/dir-1/files?display_name=d&display_name_contains=c"
      .. "&expand=download_url&expand=metadata"
      .. "&file_id=f&include_deleted=true&organization_id=o&project_id=p&unique_id=u"
      .. "&updated_at_on_or_after=2026-01-01&updated_at_on_or_before=1970-01-01T00%3A00%3A00.000Z"
      .. "&page_size=5&page_token=t",
    answer = "list",
  },
  {
    { "beta.directories.files", "get", "dir-1", "dfl/1", { expand = "metadata", organization_id = "o" } },
    "GET /api/v1/beta/directories/dir-1/files/dfl%2F1?expand=metadata&organization_id=o",
  },
  {
    {
      "beta.directories.files",
      "update",
      "dir-1",
      "dfl-1",
      { target_directory_id = "dir-2", metadata = {}, unique_id = "u", display_name = null },
    },
    "PATCH /api/v1/beta/directories/dir-1/files/dfl-1",
    body = '{"display_name":null,"metadata":{},"target_directory_id":"dir-2","unique_id":"u"}',
  },
  {
    { "beta.directories.files", "delete", "dir-1", "dfl-1" },
    "DELETE /api/v1/beta/directories/dir-1/files/dfl-1",
    accept = "*/*",
    answer = "nothing",
  },

  -- files
  {
    {
      "files",
      "list",
      {
        page_token = "t",
        page_size = 5,
        project_id = "p",
        organization_id = "o",
        order_by = "created_at",
        file_name = "n",
        file_ids = { "f1", "f2" },
        external_file_id = "e",
        expand = "download_url",
      },
    },
    "GET /api/v1/beta/files?expand=download_url&external_file_id=e&file_ids=f1&file_ids=f2&file_name=n"
      .. "&order_by=created_at&organization_id=o&project_id=p&page_size=5&page_token=t",
    answer = "list",
  },
  { { "files", "retrieve", "f", { expand = "download_url" } }, "GET /api/v1/beta/files/f?expand=download_url" },
  {
    { "files", "content", "f", { project_id = "p", organization_id = "o", expires_at_seconds = 60 } },
    "GET /api/v1/beta/files/f/content?expires_at_seconds=60&organization_id=o&project_id=p",
  },
  { { "files", "delete", "f" }, "DELETE /api/v1/beta/files/f", accept = "*/*", answer = "nothing" },

  -- configurations
  {
    {
      "configurations",
      "create",
      { name = "n", parameters = { product_type = "parse_v2", tier = "fast", version = "latest" }, project_id = "p" },
    },
    "POST /api/v1/beta/configurations?project_id=p",
    body = '{"name":"n","parameters":{"product_type":"parse_v2","tier":"fast","version":"latest"}}',
  },
  {
    {
      "configurations",
      "list",
      {
        page_token = "t",
        page_size = 5,
        project_id = "p",
        product_type = { "parse_v2", "new_v1" },
        organization_id = "o",
        name = "n",
        latest_only = true,
      },
    },
    "GET /api/v1/beta/configurations?latest_only=true&name=n&organization_id=o"
      .. "&product_type=parse_v2&product_type=new_v1"
      .. "&project_id=p&page_size=5&page_token=t",
    answer = "list",
  },
  { { "configurations", "retrieve", "cfg-PARSE_AGENTIC" }, "GET /api/v1/beta/configurations/cfg-PARSE_AGENTIC" },
  {
    { "configurations", "update", "cfg-1", { name = "m", organization_id = "o" } },
    "PUT /api/v1/beta/configurations/cfg-1?organization_id=o",
    body = '{"name":"m"}',
  },
  {
    { "configurations", "update", "cfg-1", { parameters = null } },
    "PUT /api/v1/beta/configurations/cfg-1",
    body = '{"parameters":null}',
  },
  {
    { "configurations", "delete", "cfg-1" },
    "DELETE /api/v1/beta/configurations/cfg-1",
    accept = "*/*",
    answer = "nothing",
  },

  -- projects
  {
    { "projects", "list", { project_name = "n", organization_id = "o" } },
    "GET /api/v1/projects?organization_id=o&project_name=n",
    answer = "array",
  },
  { { "projects", "get", "p", { organization_id = "o" } }, "GET /api/v1/projects/p?organization_id=o" },
  {
    { "v2_projects", "list", { page_token = "t", page_size = 5, organization_id = "o", name = "n" } },
    "GET /api/v2/projects?name=n&organization_id=o&page_size=5&page_token=t",
    answer = "list",
  },
  { { "v2_projects", "get", "p", { organization_id = "o" } }, "GET /api/v2/projects/p?organization_id=o" },

  -- webhook configurations
  {
    {
      "webhook_configs",
      "create",
      {
        webhook_url = "u",
        webhook_events = { "verify.success" },
        webhook_headers = { ["X-A"] = "b" },
        webhook_output_format = "json",
        webhook_signing_secret = "s",
        project_id = "p",
      },
    },
    "POST /api/v1/beta/webhook-configs?project_id=p",
    body = '{"webhook_events":["verify.success"],"webhook_headers":{"X-A":"b"},"webhook_output_format":"json",'
      .. '"webhook_signing_secret":"s","webhook_url":"u"}',
  },
  {
    { "webhook_configs", "list", { project_id = "p" } },
    "GET /api/v1/beta/webhook-configs?project_id=p",
    answer = "array",
  },
  {
    {
      "webhook_configs",
      "list_v2",
      { page_token = "t", page_size = 5, project_id = "p", organization_id = "o", include_total = true },
    },
    "GET /api/v2/webhook-configs?include_total=true&organization_id=o&project_id=p&page_size=5&page_token=t",
    answer = "list",
  },
  { { "webhook_configs", "retrieve", "w" }, "GET /api/v1/beta/webhook-configs/w" },
  {
    { "webhook_configs", "update", "w", { webhook_events = {}, webhook_signing_secret = null } },
    "PUT /api/v1/beta/webhook-configs/w",
    body = '{"webhook_events":[],"webhook_signing_secret":null}',
  },
  {
    { "webhook_configs", "delete", "w" },
    "DELETE /api/v1/beta/webhook-configs/w",
    accept = "*/*",
    answer = "nothing",
  },

  -- attachments
  {
    {
      "beta.attachments",
      "list",
      { page_token = "t", page_size = 5, project_id = "p", organization_id = "o", source_id = "dfl-1" },
    },
    "GET /api/v1/beta/attachments?source_id=dfl-1&organization_id=o&project_id=p&page_size=5&page_token=t",
    answer = "list",
  },
  {
    { "beta.attachments", "get", "page 1.png", { source_id = "dfl-1" } },
    "GET /api/v1/beta/attachments/page%201.png?source_id=dfl-1",
  },
}

-- The parts of calls with a file, each as it stands in the form.
local function text_part(name, value)
  return ('Content-Disposition: form-data; name="%s"\r\n\r\n%s'):format(name, value)
end

local function file_part(name, file, media, bytes)
  local head = 'Content-Disposition: form-data; name="%s"; filename="%s"\r\nContent-Type: %s\r\n\r\n%s'
  return head:format(name, file, media, bytes)
end

local FILE = { data = "%PDF", name = "in/a.pdf" }

local UPLOADS = {
  {
    {
      "beta.directories.files",
      "upload",
      "dir-1",
      {
        upload_file = FILE,
        metadata = { k = { "x", "y" } },
        external_file_id = "e",
        unique_id = "in/ä.pdf",
        display_name = "d",
        project_id = "p",
      },
    },
    "POST /api/v1/beta/directories/dir-1/files/upload?project_id=p",
    text_part("display_name", "d"),
    text_part("unique_id", "in/ä.pdf"),
    text_part("external_file_id", "e"),
    text_part("metadata", '{"k":["x","y"]}'),
    file_part("upload_file", "a.pdf", "application/pdf", "%PDF"),
  },
  {
    { "beta.directories.files", "upload", "dir-1", { upload_file = FILE, display_name = "", unique_id = null } },
    "POST /api/v1/beta/directories/dir-1/files/upload",
    file_part("upload_file", "a.pdf", "application/pdf", "%PDF"),
  },
  {
    { "files", "create", { file = FILE, external_file_id = "e", purpose = "parse", organization_id = "o" } },
    "POST /api/v1/beta/files?organization_id=o",
    text_part("purpose", "parse"),
    text_part("external_file_id", "e"),
    file_part("file", "a.pdf", "application/pdf", "%PDF"),
  },
  {
    {
      "parsing",
      "create",
      { upload_file = FILE, tier = "fast", disable_cache = null, webhook_configuration_ids = {}, project_id = "p" },
    },
    "POST /api/v2/parse/upload?project_id=p",
    text_part("configuration", '{"disable_cache":null,"tier":"fast","webhook_configuration_ids":[]}'),
    file_part("file", "a.pdf", "application/pdf", "%PDF"),
  },
  {
    { "parsing", "create", { upload_file = FILE } },
    "POST /api/v2/parse/upload",
    text_part("configuration", "{}"),
    file_part("file", "a.pdf", "application/pdf", "%PDF"),
  },
}

describe("a call with a file", function()
  local s, client

  setup(function()
    s = server.start(wire.SERVICE)
    client = lists.client(s)
  end)

  teardown(function()
    s:stop()
  end)

  for number, one in ipairs(UPLOADS) do
    it(("%s:%s (%d)"):format(one[1][1], one[1][2], number), function()
      local before = s:count()
      assert(wire.make(client, one))
      local request = s:requests()[before + 1]
      local boundary = request.headers["content-type"]:match("^multipart/form%-data; boundary=(.+)$")
      local parts = {}
      for index = 3, #one do
        parts[#parts + 1] = ("--%s\r\n%s\r\n"):format(boundary, one[index])
      end
      assert.equal(one[2], request.method .. " " .. request.target)
      assert.equal(("%s--%s--\r\n"):format(table.concat(parts), boundary), request.body)
      assert.equal(tostring(#request.body), request.headers["content-length"])
      assert.equal("application/json", request.headers.accept)
    end)
  end
end)

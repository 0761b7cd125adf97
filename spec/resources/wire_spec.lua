-- What each call of the resources around batches looks like on the wire, and what its answer becomes.

local llama_cloud = require("llama_cloud")
local compare = require("spec.support.compare")
local lists = require("spec.support.lists")
local server = require("spec.support.server")

local null, array = llama_cloud.null, llama_cloud.array

-- Answers 204 where nothing is to be answered, an array or a page where that is, and otherwise an object with a null, an
-- unknown field and an unknown status.
local SERVICE = [[
  local object = '{"id":"x","status":"SOMETHING_NEW","new_field":{"list":[],"nulls":[null]},"gone":null}'
  local arrays = { ["/api/v1/projects"] = true, ["/api/v1/beta/webhook-configs"] = true }
  return function(connection, request)
    if request.method == "DELETE" and request.headers.accept == "*/*" then
      return connection:respond(204, {}, "")
    elseif request.method == "GET" and arrays[request.path] then
      return connection:json(200, "[" .. object .. "]")
    elseif request.path:find("/untyped$") then
      return connection:json(200, "null")
    end
    connection:json(200, (object:gsub("}$", ',"items":[' .. object .. '],"next_page_token":null}')))
  end
]]

-- What the answers become.
local OBJECT = { id = "x", status = "SOMETHING_NEW", new_field = { list = array {}, nulls = { null } } }

-- Of each call: its name, the path to its resource, the method, the arguments, the request line, and where they are not
-- what is usual the body, the Accept header, and `answer`: "list", "array" or "nothing".
local CALLS = {
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
    "GET /api/v1/beta/directories/dir-1/files?display_name=d&display_name_contains=c&expand=download_url&expand=metadata"
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
    "GET /api/v1/beta/configurations?latest_only=true&name=n&organization_id=o&product_type=parse_v2&product_type=new_v1"
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

  -- parsing
  {
    { "parsing", "create", { file_id = "f", tier = "new", version = "latest", project_id = "p" } },
    "POST /api/v2/parse?project_id=p",
    body = '{"file_id":"f","tier":"new","version":"latest"}',
  },
  {
    {
      "parsing",
      "create",
      {
        source_url = "https://example.com/a?b",
        http_proxy = "p",
        configuration_id = "cfg-1",
        upload_file = null,
        agentic_options = { custom_prompt = "c" },
        client_name = "c",
        crop_box = { top = 0.5 },
        disable_cache = false,
        fast_options = null,
        input_options = { pdf = {} },
        output_options = { images_to_save = array {} },
        page_ranges = { target_pages = "1,3" },
        processing_control = { timeouts = { base_in_seconds = 60 } },
        processing_options = { forms = "enrich" },
        user_metadata = {},
        webhook_configuration_ids = {},
        webhook_configurations = {},
      },
    },
    "POST /api/v2/parse",
    body = '{"agentic_options":{"custom_prompt":"c"},"client_name":"c","configuration_id":"cfg-1","crop_box":{"top":0.5},'
      .. '"disable_cache":false,"fast_options":null,"http_proxy":"p","input_options":{"pdf":{}},'
      .. '"output_options":{"images_to_save":[]},"page_ranges":{"target_pages":"1,3"},'
      .. '"processing_control":{"timeouts":{"base_in_seconds":60}},"processing_options":{"forms":"enrich"},'
      .. '"source_url":"https://example.com/a?b","user_metadata":{},"webhook_configuration_ids":[],'
      .. '"webhook_configurations":[]}',
  },
  {
    {
      "parsing",
      "list",
      {
        page_token = "t",
        page_size = 5,
        status = "NEW",
        project_id = "p",
        organization_id = "o",
        job_ids = { "pjb-1", "pjb-2" },
        created_at_on_or_before = "b",
        created_at_on_or_after = "a",
      },
    },
    "GET /api/v2/parse?created_at_on_or_after=a&created_at_on_or_before=b&job_ids=pjb-1&job_ids=pjb-2"
      .. "&organization_id=o&project_id=p&status=NEW&page_size=5&page_token=t",
    answer = "list",
  },
  {
    {
      "parsing",
      "get",
      "pjb-1",
      {
        expand = { "markdown", "images_content_metadata" },
        image_filenames = "a b.png,c.png",
        project_id = "p",
        organization_id = "o",
      },
    },
    "GET /api/v2/parse/pjb-1?expand=markdown&expand=images_content_metadata&image_filenames=a%20b.png%2Cc.png"
      .. "&organization_id=o&project_id=p",
  },
  { { "parsing", "cancel", "pjb-1", { project_id = "p" } }, "POST /api/v2/parse/pjb-1/cancel?project_id=p" },
  { { "parsing", "delete", "pjb-1", { organization_id = "o" } }, "DELETE /api/v2/parse/pjb-1?organization_id=o" },
  { { "parsing", "list_versions" }, "GET /api/v2/parse/versions" },

  -- extract
  {
    {
      "extract",
      "create",
      {
        file_input = "dfl-1",
        configuration = { data_schema = { type = "object", required = array {} }, version = null },
        configuration_id = null,
        webhook_configuration_ids = "whc-1",
        webhook_configurations = null,
        organization_id = "o",
      },
    },
    "POST /api/v2/extract?organization_id=o",
    body = '{"configuration":{"data_schema":{"required":[],"type":"object"},"version":null},"configuration_id":null,'
      .. '"file_input":"dfl-1","webhook_configuration_ids":["whc-1"],"webhook_configurations":null}',
  },
  {
    {
      "extract",
      "list",
      {
        page_token = "t",
        page_size = 5,
        status = "THROTTLED",
        project_id = "p",
        organization_id = "o",
        job_ids = "e",
        file_input = "f",
        expand = { "configuration", "extract_metadata" },
        document_input_value = "v",
        document_input_type = "t",
        created_at_on_or_before = "b",
        created_at_on_or_after = "a",
        configuration_id = "c",
      },
    },
    "GET /api/v2/extract?configuration_id=c&created_at_on_or_after=a&created_at_on_or_before=b&document_input_type=t"
      .. "&document_input_value=v&expand=configuration&expand=extract_metadata&file_input=f&job_ids=e"
      .. "&organization_id=o&project_id=p&status=THROTTLED&page_size=5&page_token=t",
    answer = "list",
  },
  {
    { "extract", "get", "e", { expand = "usage", project_id = "p" } },
    "GET /api/v2/extract/e?expand=usage&project_id=p",
  },
  { { "extract", "cancel", "e" }, "POST /api/v2/extract/e/cancel" },
  {
    { "extract", "delete", "e", { force = true, project_id = "p" } },
    "DELETE /api/v2/extract/e?force=true&project_id=p",
    answer = "nothing",
  },
  { { "extract", "delete", "untyped" }, "DELETE /api/v2/extract/untyped", answer = "nothing" },
  {
    { "extract", "validate_schema", { data_schema = {} } },
    "POST /api/v2/extract/schema/validation",
    body = '{"data_schema":{}}',
  },
  {
    { "extract", "generate_schema", { prompt = "p", name = "n", file_id = "f", data_schema = null, project_id = "p" } },
    "POST /api/v2/extract/schema/generate?project_id=p",
    body = '{"data_schema":null,"file_id":"f","name":"n","prompt":"p"}',
  },
  { { "extract", "generate_schema", {} }, "POST /api/v2/extract/schema/generate", body = "{}" },

  -- classify
  {
    {
      "classify",
      "create",
      {
        file_input = "f",
        configuration = { rules = { { type = "a", description = "b" } }, mode = "FAST" },
        configuration_id = null,
        transaction_id = "t",
        webhook_configuration_ids = {},
        webhook_configurations = {},
        file_id = "f",
        parse_job_id = null,
        project_id = "p",
      },
    },
    "POST /api/v2/classify?project_id=p",
    body = '{"configuration":{"mode":"FAST","rules":[{"description":"b","type":"a"}]},"configuration_id":null,"file_id":"f",'
      .. '"file_input":"f","parse_job_id":null,"transaction_id":"t","webhook_configuration_ids":[],'
      .. '"webhook_configurations":[]}',
  },
  {
    {
      "classify",
      "list",
      {
        page_token = "t",
        page_size = 5,
        status = "NEW",
        project_id = "p",
        organization_id = "o",
        job_ids = { "j", "k" },
        created_at_on_or_before = "b",
        created_at_on_or_after = "a",
        configuration_id = "c",
      },
    },
    "GET /api/v2/classify?configuration_id=c&created_at_on_or_after=a&created_at_on_or_before=b&job_ids=j&job_ids=k"
      .. "&organization_id=o&project_id=p&status=NEW&page_size=5&page_token=t",
    answer = "list",
  },
  { { "classify", "get", "j", { project_id = "p" } }, "GET /api/v2/classify/j?project_id=p" },
  { { "classify", "cancel", "j" }, "POST /api/v2/classify/j/cancel" },
  { { "classify", "delete", "j" }, "DELETE /api/v2/classify/j" },

  -- split
  {
    {
      "split",
      "create",
      {
        file_input = "f",
        configuration = { categories = { { name = "a" } }, splitting_strategy = { allow_uncategorized = "omit" } },
        configuration_id = null,
        transaction_id = "t",
        webhook_configuration_ids = { "whc-1" },
        webhook_configurations = { { webhook_url = "u" } },
        organization_id = "o",
      },
    },
    "POST /api/v1/split/jobs?organization_id=o",
    body = '{"configuration":{"categories":[{"name":"a"}],"splitting_strategy":{"allow_uncategorized":"omit"}},'
      .. '"configuration_id":null,"file_input":"f","transaction_id":"t","webhook_configuration_ids":["whc-1"],'
      .. '"webhook_configurations":[{"webhook_url":"u"}]}',
  },
  {
    {
      "split",
      "list",
      {
        page_token = "t",
        page_size = 5,
        status = "new",
        project_id = "p",
        organization_id = "o",
        job_ids = { "j", "k" },
        created_at_on_or_before = "b",
        created_at_on_or_after = "a",
      },
    },
    "GET /api/v1/split/jobs?created_at_on_or_after=a&created_at_on_or_before=b&job_ids=j&job_ids=k"
      .. "&organization_id=o&project_id=p&status=new&page_size=5&page_token=t",
    answer = "list",
  },
  { { "split", "get", "j", { project_id = "p" } }, "GET /api/v1/split/jobs/j?project_id=p" },
  { { "split", "cancel", "j" }, "POST /api/v1/split/jobs/j/cancel" },
  { { "split", "delete", "j" }, "DELETE /api/v1/split/jobs/j", answer = "nothing" },
  {
    {
      "beta.split",
      "create",
      { document_input = { type = "file_id", value = "f" }, configuration = null, configuration_id = "c" },
    },
    "POST /api/v1/beta/split/jobs",
    body = '{"configuration":null,"configuration_id":"c","document_input":{"type":"file_id","value":"f"}}',
  },
  {
    { "beta.split", "list", { page_size = 5, job_ids = { "j", "k" }, status = "new", project_id = "p" } },
    "GET /api/v1/beta/split/jobs?job_ids=j&job_ids=k&project_id=p&status=new&page_size=5",
    answer = "list",
  },
  { { "beta.split", "get", "j" }, "GET /api/v1/beta/split/jobs/j" },

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

-- The resource at a place such as "beta.directories.files".
local function resource_at(client, place)
  for name in place:gmatch("[^.]+") do
    client = client[name]
  end
  return client
end

-- Makes a call of the table.
local function make(client, one)
  local resource = resource_at(client, one[1][1])
  return resource[one[1][2]](resource, table.unpack(one[1], 3))
end

describe("on the wire", function()
  local s, client

  setup(function()
    s = server.start(SERVICE)
    client = lists.client(s)
  end)

  teardown(function()
    s:stop()
  end)

  -- The request that a call of the table makes, and what comes of it.
  local function perform(one)
    local before = s:count()
    local answer, err = make(client, one)
    if one.answer == "list" then
      answer, err = answer:next_page()
      answer = answer and answer.items
    end
    assert(answer, err)
    assert.equal(before + 1, s:count())
    return s:requests()[before + 1], answer
  end

  for number, one in ipairs(CALLS) do
    it(("%s:%s (%d)"):format(one[1][1], one[1][2], number), function()
      local request, answer = perform(one)
      assert.equal(one[2], request.method .. " " .. request.target)
      assert.equal(one.body or "", request.body)
      assert.equal(one.body and "application/json" or nil, request.headers["content-type"])
      assert.equal(one.accept or "application/json", request.headers.accept)
      assert.equal("Bearer llx-key", request.headers.authorization)
      local length = one.body and tostring(#one.body) or request.method == "POST" and "0" or nil
      assert.equal(length, request.headers["content-length"])
      local expected = OBJECT
      if one.answer == "nothing" then
        expected = true
      elseif one.answer then
        expected = { OBJECT }
      else
        answer.items = nil
      end
      assert.is_nil(compare.difference(expected, answer))
    end)
  end

  it("puts the client's scope into every query that takes it", function()
    local scoped = lists.client(s, { project_id = "prj-1", organization_id = "org-1" })
    local before = s:count()
    assert(scoped.beta.directories:create { name = "a" })
    assert(scoped.beta.directories.files:delete("dir-1", "dfl-1"))
    assert(scoped.parsing:cancel("pjb-1", { project_id = "prj-2" }))
    assert(scoped.projects:get("prj-1"))
    assert(scoped.extract:validate_schema { data_schema = {} })
    assert(scoped.parsing:list_versions())
    local targets = {}
    for index = before + 1, s:count() do
      targets[#targets + 1] = s:requests()[index].target
    end
    assert.same({
      "/api/v1/beta/directories?organization_id=org-1&project_id=prj-1",
      "/api/v1/beta/directories/dir-1/files/dfl-1?organization_id=org-1&project_id=prj-1",
      "/api/v2/parse/pjb-1/cancel?organization_id=org-1&project_id=prj-2",
      "/api/v1/projects/prj-1?organization_id=org-1",
      "/api/v2/extract/schema/validation",
      "/api/v2/parse/versions",
    }, targets)
  end)

  it("is nothing of what an argument forbids", function()
    local before = s:count()
    local function refused(message, f, ...)
      local ok, problem = pcall(f, ...)
      assert.is_false(ok)
      assert.matches(message, problem, 1, true)
    end
    local files = client.beta.directories.files
    refused("directory_id must not be empty", files.get, files, "", "dfl-1")
    refused("directory_file_id must be a string, not nil", files.get, files, "dir-1")
    refused("directory_file_id must be a string, not table", files.get, files, "dir-1", { expand = "metadata" })
    refused("too many arguments", files.get, files, "dir-1", "dfl-1", nil, nil, nil)
    refused("missing parameter 'file_id'", files.add, files, "dir-1", {})
    refused("missing parameter 'name'", client.beta.directories.create, client.beta.directories, {})
    refused("missing parameter 'source_id'", client.beta.attachments.list, client.beta.attachments)
    refused("missing parameter 'file_input'", client.extract.create, client.extract, {})
    refused("missing parameter 'parameters'", client.configurations.create, client.configurations, { name = "n" })
    refused("unknown parameter 'expand'", client.parsing.create, client.parsing, { expand = "markdown" })
    refused("unknown parameter 'project_id'", client.parsing.list_versions, client.parsing, { project_id = "p" })
    refused("'job_ids' must be an array, not number", client.parsing.list, client.parsing, { job_ids = 1 })
    refused("config_id must not be '..'", client.configurations.retrieve, client.configurations, "..")
    refused("file_id contains a line break", client.files.delete, client.files, "f\n")
    assert.equal(before, s:count())
  end)
end)

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
    s = server.start(SERVICE)
    client = lists.client(s)
  end)

  teardown(function()
    s:stop()
  end)

  for number, one in ipairs(UPLOADS) do
    it(("%s:%s (%d)"):format(one[1][1], one[1][2], number), function()
      local before = s:count()
      assert(make(client, one))
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

-- Loses the first answer to each request.
local FORGETFUL = [[
  local seen = {}
  return function(connection, request)
    local key = request.method .. request.path
    if not seen[key] then
      seen[key] = true
      return connection:close()
    end
    connection:json(200, '{"id":"x"}')
  end
]]

local HARMLESS = {
  { "beta.directories", "update", "dir-1", { name = "a" } },
  { "beta.directories.files", "update", "dir-1", "dfl-1", { unique_id = "u" } },
  { "configurations", "create", { name = "n", parameters = {} } },
  { "configurations", "update", "cfg-1", {} },
  { "webhook_configs", "update", "w", {} },
  { "parsing", "cancel", "pjb-1" },
  { "extract", "cancel", "e" },
  { "extract", "validate_schema", { data_schema = {} } },
  { "classify", "cancel", "j" },
  { "classify", "create", { file_input = "f" } },
  { "split", "cancel", "j" },
  { "split", "create", { file_input = "f" } },
}

local HARMFUL = {
  { "beta.directories", "create", { name = "a" } },
  { "beta.directories.files", "add", "dir-1", { file_id = "f" } },
  { "beta.directories.files", "upload", "dir-1", { upload_file = { data = "1", name = "a.txt" } } },
  { "files", "create", { file = { data = "1", name = "a.txt" }, purpose = "parse" } },
  { "parsing", "create", { file_id = "f" } },
  { "parsing", "create", { upload_file = { data = "1", name = "a.txt" } } },
  { "extract", "create", { file_input = "f" } },
  { "extract", "generate_schema", {} },
  { "beta.split", "create", { document_input = { type = "file_id", value = "f" } } },
  { "webhook_configs", "create", { webhook_url = "u" } },
}

describe("what is repeated after a lost answer", function()
  local s, client

  before_each(function()
    s = server.start(FORGETFUL)
    client = lists.client(s, { max_retries = 1 })
  end)

  after_each(function()
    s:stop()
  end)

  -- Makes calls side by side. What each came to, by its place among them.
  local function make_all(calls)
    local outcomes = {}
    llama_cloud.run(function()
      for index, one in ipairs(calls) do
        llama_cloud.spawn(function()
          outcomes[index] = table.pack(make(client, { one }))
        end)
      end
    end)
    return outcomes
  end

  it("is what does no harm", function()
    for index, outcome in ipairs(make_all(HARMLESS)) do
      assert.is_table(outcome[1], HARMLESS[index][1] .. ":" .. HARMLESS[index][2])
    end
    assert.equal(2 * #HARMLESS, s:count())
  end)

  it("is nothing that could be done twice", function()
    for index, outcome in ipairs(make_all(HARMFUL)) do
      assert.is_nil(outcome[1], HARMFUL[index][1] .. ":" .. HARMFUL[index][2])
      assert.is_true(outcome[2].maybe_sent, HARMFUL[index][1] .. ":" .. HARMFUL[index][2])
    end
    assert.equal(#HARMFUL, s:count())
  end)

  it("carries the same transaction_id, made up where none is given", function()
    local calls = {}
    for _, place in ipairs { "classify", "split" } do
      calls[#calls + 1] = { place, "create", { file_input = "f" } }
    end
    make_all(calls)
    local bodies = {}
    for _, request in ipairs(s:requests()) do
      bodies[request.path] = bodies[request.path] or {}
      table.insert(bodies[request.path], request.body)
    end
    for _, path in ipairs { "/api/v2/classify", "/api/v1/split/jobs" } do
      local sent = bodies[path]
      assert.equal(2, #sent)
      assert.equal(sent[1], sent[2])
      assert.matches('^{"file_input":"f","transaction_id":"%x+%-%x+%-4%x+%-%x+%-%x+"}$', sent[1])
    end
    assert.are_not.equal(bodies["/api/v2/classify"][1], bodies["/api/v1/split/jobs"][1])
  end)
end)

describe("a client", function()
  local client = llama_cloud.new { api_key = "k", base_url = "http://127.0.0.1:1", proxy = "" }

  local function complaint(f)
    local ok, problem = pcall(f)
    assert.is_false(ok)
    return (problem:gsub("^[^:]*:%d+: ", ""))
  end

  it("has each resource once, under its name", function()
    for _, place in ipairs {
      "batches",
      "beta.attachments",
      "beta.batch",
      "beta.batch.job_items",
      "beta.directories",
      "beta.directories.files",
      "beta.split",
      "classify",
      "configurations",
      "extract",
      "files",
      "parsing",
      "projects",
      "split",
      "v2_projects",
      "webhook_configs",
    } do
      local resource = resource_at(client, place)
      assert.equal("llama_cloud." .. place, tostring(resource))
      assert.equal(resource, resource_at(client, place))
      assert.are_not.equal(resource, resource_at(client:with_options {}, place))
    end
  end)

  it("tells the nearest name of a resource or method that it does not have, at the caller's line", function()
    local line = debug.getinfo(1, "l").currentline + 2
    local ok, problem = pcall(function()
      return client.batch
    end)
    assert.is_false(ok)
    assert.matches(
      ("wire_spec.lua:%d: no resource or method 'batch' (did you mean 'batches'?)"):format(line),
      problem,
      1,
      true
    )
    assert.equal(
      "no resource or method 'with_option' (did you mean 'with_options'?)",
      complaint(function()
        client:with_option {}
      end)
    )
    assert.equal(
      "no resource 'directory' (did you mean 'directories'?)",
      complaint(function()
        return client.beta.directory
      end)
    )
    assert.equal(
      "no method 'file' (did you mean 'files'?)",
      complaint(function()
        return client.beta.directories.file
      end)
    )
  end)

  it("can be looked at by whoever wants to know what it is", function()
    for _, value in ipairs { client, client.beta, client.parsing } do
      assert.is_nil(value[1])
      assert.is_nil(value.__index)
      assert.is_nil(value._close)
    end
  end)
end)

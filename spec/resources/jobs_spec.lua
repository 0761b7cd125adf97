-- Jobs of each kind: what each call looks like on the wire, and what its answer becomes.

local llama_cloud = require("llama_cloud")
local wire = require("spec.support.wire")

local null, array = llama_cloud.null, llama_cloud.array

-- What the jobs of each kind can be listed by, and how it is sent.
local FILTERS = {
  page_token = "t",
  page_size = 5,
  status = "NEW",
  project_id = "p",
  organization_id = "o",
  job_ids = { "j", "k" },
  created_at_on_or_before = "b",
  created_at_on_or_after = "a",
}
local FILTERED = "created_at_on_or_after=a&created_at_on_or_before=b&job_ids=j&job_ids=k"
  .. "&organization_id=o&project_id=p&status=NEW&page_size=5&page_token=t"

-- The filters of all jobs, and one of a kind's own.
local function filters_and(name, value)
  local filters = { [name] = value }
  for filter, given in pairs(FILTERS) do
    filters[filter] = given
  end
  return filters
end

wire.describe {
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
    body = '{"agentic_options":{"custom_prompt":"c"},"client_name":"c","configuration_id":"cfg-1",'
      .. '"crop_box":{"top":0.5},'
      .. '"disable_cache":false,"fast_options":null,"http_proxy":"p","input_options":{"pdf":{}},'
      .. '"output_options":{"images_to_save":[]},"page_ranges":{"target_pages":"1,3"},'
      .. '"processing_control":{"timeouts":{"base_in_seconds":60}},"processing_options":{"forms":"enrich"},'
      .. '"source_url":"https://example.com/a?b","user_metadata":{},"webhook_configuration_ids":[],'
      .. '"webhook_configurations":[]}',
  },
  { { "parsing", "list", FILTERS }, "GET /api/v2/parse?" .. FILTERED, answer = "list" },
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
    body = '{"configuration":{"mode":"FAST","rules":[{"description":"b","type":"a"}]},'
      .. '"configuration_id":null,"file_id":"f",'
      .. '"file_input":"f","parse_job_id":null,"transaction_id":"t","webhook_configuration_ids":[],'
      .. '"webhook_configurations":[]}',
  },
  {
    { "classify", "list", filters_and("configuration_id", "c") },
    "GET /api/v2/classify?configuration_id=c&" .. FILTERED,
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
  { { "split", "list", FILTERS }, "GET /api/v1/split/jobs?" .. FILTERED, answer = "list" },
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
  { { "beta.split", "list", FILTERS }, "GET /api/v1/beta/split/jobs?" .. FILTERED, answer = "list" },
  { { "beta.split", "get", "j" }, "GET /api/v1/beta/split/jobs/j" },
}

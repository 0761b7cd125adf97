-- The routes of extract jobs, and of schemas.

local clock_module = require("llama_cloud.sandbox.clock")
local configured = require("llama_cloud.sandbox.configured")
local endpoint = require("llama_cloud.sandbox.endpoint")
local json = require("llama_cloud.sandbox.json")
local options_module = require("llama_cloud.sandbox.parse_options")
local product = require("llama_cloud.sandbox.product")
local product_parameters = require("llama_cloud.sandbox.product_parameters")
local schema_values = require("llama_cloud.sandbox.schema_values")
local seed = require("llama_cloud.sandbox.seed")
local sources = require("llama_cloud.sandbox.sources")
local validate = require("llama_cloud.sandbox.validate")
local work = require("llama_cloud.sandbox.work")

local given, get = endpoint.given, options_module.get
local format_time = clock_module.format

local PATH = "/api/v2/extract"
local STATUSES = { "PENDING", "THROTTLED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED" }

-- What is extracted by a configuration that nobody made.
local MADE_UP = { data_schema = schema_values.DEFAULT, tier = "agentic" }

-- What a job was asked for.
local function configuration_of(job)
  local options = job.fields.options
  return options and type(options.data_schema) == "table" and options or MADE_UP
end

-- The pages that a job works on.
local function pages_of(configuration, job)
  local ranges =
    { target_pages = get(configuration, "target_pages"), max_pages = math.tointeger(get(configuration, "max_pages")) }
  return options_module.pages({ page_ranges = ranges }, job.pages)
end

-- The results, one or many, and what is told of each.
local function results_of(configuration, job, pages)
  local schema, target = configuration.data_schema, get(configuration, "extraction_target")
  local about = {
    cite = get(configuration, "cite_sources") == true,
    confidence = get(configuration, "confidence_scores") == true,
    pages = math.max(1, #pages),
  }
  local function one(key)
    local value = schema_values.make(schema, key)
    return value, schema_values.metadata(value, key, about)
  end
  if target ~= "per_page" and target ~= "per_table_row" then
    return one(job.key)
  end
  local values, told = json.array {}, json.array {}
  for index = 1, target == "per_page" and #pages or 2 * #pages + 1 do
    values[index], told[index] = one(seed.hash(job.key, index))
  end
  return values, told
end

local function extract_metadata(configuration, told)
  local target = get(configuration, "extraction_target")
  return {
    field_metadata = {
      document_metadata = target ~= "per_page" and target ~= "per_table_row" and told or json.null,
      page_metadata = target == "per_page" and told or json.null,
      row_metadata = target == "per_table_row" and told or json.null,
    },
    parse_job_id = json.null,
    parse_tier = get(configuration, "parse_tier") or json.null,
  }
end

local JOB = '{"id":"%s","file_input":%s,"document_input_type":"%s","project_id":%s,"status":"%s","created_at":"%s",'
  .. '"updated_at":"%s","configuration_id":%s,"error_message":%s,%s}'

-- The members that cost something: only for one job, or when they are asked for.
local function details(job, status, wanted, alone)
  local members = {
    configuration = json.null,
    extract_metadata = json.null,
    extract_result = json.null,
    metadata = json.null,
    usage = json.null,
  }
  local configuration = (alone or next(wanted)) and configuration_of(job)
  if wanted.configuration then
    members.configuration = configuration
  end
  if status == "COMPLETED" and configuration then
    local pages = pages_of(configuration, job)
    local value, told = results_of(configuration, job, pages)
    members.extract_result = alone and value or json.null
    local asked = get(configuration, "cite_sources") == true or get(configuration, "confidence_scores") == true
    if wanted.extract_metadata or alone and asked then
      members.extract_metadata = extract_metadata(configuration, told)
    end
    members.metadata = { usage = { num_pages_extracted = #pages, num_pages_billed = #pages } }
    if wanted.usage then
      members.usage = { credits = 11 * #pages, extract_credits = 10 * #pages, parse_credits = #pages }
    end
  end
  return json.encode(members):sub(2, -2)
end

-- In a list a result would be long; it is there in the answer for one job.
local BARE = '"configuration":null,"extract_metadata":null,"extract_result":null,"metadata":null,"usage":null'

local function encode(sandbox, number, wanted, alone)
  local store = sandbox.extract
  local job = store:at(number)
  local status, since = store:state(job)
  return JOB:format(
    store:id(number),
    json.quote(job.input),
    job.fields.kind or "file_id",
    json.quote(job.project_id),
    status,
    format_time(job.created_at),
    format_time(since),
    json.quote(job.fields.configuration_id),
    json.quote(status == "FAILED" and work.FAILURE or nil),
    (alone or next(wanted)) and details(job, status, wanted, alone) or BARE
  )
end

local EXTRACT = {
  store = "extract",
  what = "Extract job",
  expand = { configuration = true, extract_metadata = true, usage = true },
  encode = encode,
  deleted = function()
    return "null"
  end,
  match = function(query)
    local input = query.file_input or query.document_input_value
    if not (input or query.configuration_id or query.document_input_type) then
      return nil
    end
    return function(job)
      return (not input or job.input == input)
        and (not query.configuration_id or job.fields.configuration_id == query.configuration_id)
        and (not query.document_input_type or (job.fields.kind or "file_id") == query.document_input_type)
    end
  end,
}

-- Creation -----------------------------------------------------------------------------------------------------------------

local function check_schema(schema, loc, problems)
  local message = schema_values.check(schema)
  if message then
    validate.add(problems, "value_error", loc, "Value error, " .. message, schema)
  end
end

local function check_creation(body, problems)
  product.check_one_of(body, "configuration", "configuration_id", problems)
  local configuration = given(body, "configuration")
  if configuration then
    check_schema(configuration.data_schema, { "body", "configuration", "data_schema" }, problems)
    product.check_pages(given(configuration, "target_pages"), { "body", "configuration", "target_pages" }, problems)
  end
end

local function create_job(sandbox, request)
  local number, status, text = configured.create(sandbox, request, {
    kind = "extract",
    store = "extract",
    product_type = "extract_v2",
    made_up = MADE_UP,
    input = request.body.file_input,
  })
  if not number then
    return status, text
  end
  return 200, encode(sandbox, number, {})
end

-- Schemas ------------------------------------------------------------------------------------------------------------------

local function validate_schema(_, request)
  return 200, json.encode { data_schema = request.body.data_schema }
end

-- A schema with a text for each longer word of a prompt.
local function schema_of(prompt)
  local properties, count = {}, 0
  for word in prompt:gmatch("%a[%w_]+") do
    if #word > 3 and count < 8 and not properties[word] then
      properties[word] = { type = "string", description = word }
      count = count + 1
    end
  end
  return count > 0 and { type = "object", properties = properties } or schema_values.DEFAULT
end

local function generate_schema(sandbox, request)
  local body = request.body
  if given(body, "file_id") then
    local source, status, text = sources.find(sandbox, body.file_id)
    if not source then
      return status, text
    end
  end
  return 200,
    json.encode {
      name = given(body, "name") or "Generated schema",
      parameters = {
        product_type = "extract_v2",
        data_schema = given(body, "data_schema") or schema_of(given(body, "prompt") or ""),
        tier = "agentic",
      },
    }
end

-- The table ----------------------------------------------------------------------------------------------------------------

local handlers = product.handlers(EXTRACT)

return {
  setup = function(sandbox)
    sandbox.extract = work.new {
      clock = sandbox.clock,
      world = sandbox.world,
      prefix = "exj",
      batches = sandbox.batches,
      type = "extract_v2",
    }
  end,
  list = {
    {
      method = "POST",
      path = PATH .. "/schema/validation",
      query = {},
      body = { { "data_schema", "object", required = true } },
      check = function(body, problems)
        check_schema(body.data_schema, { "body", "data_schema" }, problems)
      end,
      handler = validate_schema,
    },
    {
      method = "POST",
      path = PATH .. "/schema/generate",
      query = endpoint.SCOPE,
      body = {
        { "data_schema", "object", nullable = true },
        { "file_id", "string", nullable = true },
        { "name", "string", nullable = true },
        { "prompt", "string", nullable = true },
      },
      handler = generate_schema,
    },
    {
      method = "POST",
      path = PATH,
      query = endpoint.SCOPE,
      body = product.body {
        { "file_input", "string", required = true },
        { "configuration", "object", nullable = true, members = product_parameters.DECLARED.extract_v2 },
        { "configuration_id", "string", nullable = true },
      },
      check = check_creation,
      handler = create_job,
    },
    {
      method = "GET",
      path = PATH,
      query = product.list_query(STATUSES, {
        { "configuration_id", "string" },
        { "document_input_type", "string" },
        { "document_input_value", "string" },
        endpoint.EXPAND,
        { "file_input", "string" },
      }),
      handler = product.list(EXTRACT),
    },
    {
      method = "GET",
      path = PATH .. "/{job_id}",
      query = endpoint.query { endpoint.EXPAND },
      handler = handlers.get,
    },
    {
      method = "DELETE",
      path = PATH .. "/{job_id}",
      query = endpoint.query { { "force", "boolean" } },
      handler = handlers.delete,
    },
    { method = "POST", path = PATH .. "/{job_id}/cancel", query = endpoint.SCOPE, handler = handlers.cancel },
  },
}

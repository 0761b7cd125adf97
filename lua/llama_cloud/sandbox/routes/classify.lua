-- The routes of classify jobs.

local clock_module = require("llama_cloud.sandbox.clock")
local configured = require("llama_cloud.sandbox.configured")
local document = require("llama_cloud.sandbox.document")
local endpoint = require("llama_cloud.sandbox.endpoint")
local json = require("llama_cloud.sandbox.json")
local product = require("llama_cloud.sandbox.product")
local product_parameters = require("llama_cloud.sandbox.product_parameters")
local seed = require("llama_cloud.sandbox.seed")
local work = require("llama_cloud.sandbox.work")

local given = endpoint.given
local format_time = clock_module.format

local PATH = "/api/v2/classify"

-- The rules of a stored configuration that nobody made.
local MADE_UP = {
  rules = json.array {
    { type = "invoice", description = "A demand for payment" },
    { type = "contract", description = "An agreement of two parties" },
  },
  mode = "FAST",
}

-- The rule whose type is in the file's name; else one by chance, or none.
local function result_of(job, rules)
  for _, rule in ipairs(rules) do
    if rule.type ~= "" and job.name:find(rule.type, 1, true) then
      return { type = rule.type, confidence = 0.98, reasoning = "The name of the file says so." }
    end
  end
  local chance = seed.below(seed.hash(job.key, 5), 20)
  if chance == 0 or #rules == 0 then
    return { type = json.null, confidence = 0.2, reasoning = "No rule fits." }
  end
  return {
    type = rules[1 + seed.below(seed.hash(job.key, 6), #rules)].type,
    confidence = (600 + seed.below(seed.hash(job.key, 7), 400)) / 1000,
    reasoning = document.words(seed.hash(job.key, 8), 6, 6) .. ".",
  }
end

local function encode(sandbox, number, wanted)
  local store = sandbox.classify
  local job = store:at(number)
  local status, since = store:state(job)
  local fields = job.fields
  return json.encode {
    id = store:id(number),
    configuration = fields.options,
    configuration_id = fields.configuration_id or json.null,
    document_input_type = fields.kind,
    file_input = job.input,
    project_id = job.project_id,
    user_id = seed.id("usr", sandbox.world, 1),
    status = status,
    created_at = format_time(job.created_at),
    updated_at = format_time(since),
    error_message = status == "FAILED" and work.FAILURE or json.null,
    parse_job_id = fields.kind == "parse_job_id" and job.input or json.null,
    result = status == "COMPLETED" and result_of(job, fields.options.rules) or json.null,
    transaction_id = fields.transaction_id or json.null,
    usage = wanted.usage and status == "COMPLETED" and { credits = job.pages } or json.null,
  }
end

local CLASSIFY = {
  store = "classify",
  what = "Classify job",
  encode = encode,
  expand = { usage = true },
  match = function(query)
    return query.configuration_id
      and function(job)
        return job.fields.configuration_id == query.configuration_id
      end
  end,
}

local function input_of(body)
  return given(body, "file_input") or given(body, "file_id") or given(body, "parse_job_id")
end

local function check_creation(body, problems)
  product.check_one_of(body, "configuration", "configuration_id", problems)
  if not input_of(body) then
    product.missing("file_input", body, problems)
  end
end

local function create_job(sandbox, request)
  local number, status, text = configured.create(sandbox, request, {
    kind = "classify",
    store = "classify",
    product_type = "classify_v2",
    made_up = MADE_UP,
    input = input_of(request.body),
  })
  if not number then
    return status, text
  end
  return 200, encode(sandbox, number, {})
end

local handlers = product.handlers(CLASSIFY)

return {
  setup = function(sandbox)
    sandbox.classify = work.new { clock = sandbox.clock, world = sandbox.world, prefix = "clj" }
  end,
  list = {
    {
      method = "POST",
      path = PATH,
      query = endpoint.SCOPE,
      body = product.body {
        { "file_input", "string", nullable = true },
        { "file_id", "string", nullable = true },
        { "parse_job_id", "string", nullable = true },
        { "configuration", "object", nullable = true, members = product_parameters.DECLARED.classify_v2 },
        { "configuration_id", "string", nullable = true },
        { "transaction_id", "string", nullable = true },
      },
      check = check_creation,
      rate = "classify",
      handler = create_job,
    },
    {
      method = "GET",
      path = PATH,
      query = product.list_query(work.STATUSES, { { "configuration_id", "string" }, endpoint.EXPAND }),
      handler = product.list(CLASSIFY),
    },
    { method = "GET", path = PATH .. "/{job_id}", query = endpoint.query { endpoint.EXPAND }, handler = handlers.get },
    { method = "POST", path = PATH .. "/{job_id}/cancel", query = endpoint.SCOPE, handler = handlers.cancel },
    { method = "DELETE", path = PATH .. "/{job_id}", query = endpoint.SCOPE, handler = handlers.delete },
  },
}

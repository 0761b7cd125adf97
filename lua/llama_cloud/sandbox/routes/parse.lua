-- The routes of parse jobs.

local clock_module = require("llama_cloud.sandbox.clock")
local configured = require("llama_cloud.sandbox.configured")
local endpoint = require("llama_cloud.sandbox.endpoint")
local json = require("llama_cloud.sandbox.json")
local options_module = require("llama_cloud.sandbox.parse_options")
local product = require("llama_cloud.sandbox.product")
local product_parameters = require("llama_cloud.sandbox.product_parameters")
local presigned = require("llama_cloud.sandbox.presigned")
local results = require("llama_cloud.sandbox.parse_results")
local sources = require("llama_cloud.sandbox.sources")
local validate = require("llama_cloud.sandbox.validate")
local webhooks = require("llama_cloud.sandbox.webhooks")
local work = require("llama_cloud.sandbox.work")

local given = endpoint.given
local format_time = clock_module.format

local PATH = "/api/v2/parse"

-- A job --------------------------------------------------------------------------------------------------------------------

local JOB = '{"id":"%s","project_id":%s,"status":"%s","name":%s,"tier":%s,"error_message":%s,'
  .. '"created_at":"%s","updated_at":"%s","usage":%s,"user_metadata":%s}'

local function encode(sandbox, number, wanted)
  local store = sandbox.parse
  local job = store:at(number)
  local status, since = store:state(job)
  local options = options_module.of_job(sandbox, job)
  local usage = "null"
  if wanted.usage and status == "COMPLETED" then
    local pages = #options_module.pages(options, job.pages)
    usage = string.format('{"credits":%d}', pages * (options_module.CREDITS[options.tier] or 1))
  end
  return JOB:format(
    store:id(number),
    json.quote(job.project_id),
    status,
    json.quote(job.name),
    json.quote(options.tier),
    json.quote(status == "FAILED" and work.FAILURE or nil),
    format_time(job.created_at),
    format_time(since),
    usage,
    job.fields.user_metadata and json.encode(job.fields.user_metadata) or "null"
  )
end

local PARSE = { store = "parse", what = "Parse job", encode = encode }

-- Creation -----------------------------------------------------------------------------------------------------------------

local MEMBERS = table.move(product_parameters.PARSE, 1, #product_parameters.PARSE, 8, {
  { "tier", "enum", values = options_module.TIERS, nullable = true },
  { "version", "string", nullable = true },
  { "file_id", "string", nullable = true },
  { "source_url", "string", nullable = true },
  { "http_proxy", "string", nullable = true },
  { "configuration_id", "string", nullable = true },
  { "user_metadata", "object", values_of = "string", nullable = true },
})

-- What the part `configuration` of an upload may hold; anything else is refused there.
local UPLOADED = {}
for _, member in ipairs(MEMBERS) do
  UPLOADED[member[1]] = member[1] ~= "file_id" and member[1] ~= "source_url" or nil
end

local function check_options(body, problems)
  if not given(body, "configuration_id") then
    for _, name in ipairs { "tier", "version" } do
      if not given(body, name) then
        product.missing(name, body, problems)
      end
    end
  end
  local target = options_module.get(body, "page_ranges", "target_pages")
  product.check_pages(target, { "body", "page_ranges", "target_pages" }, problems)
end

local function check_creation(body, problems)
  product.check_one_of(body, "file_id", "source_url", problems)
  check_options(body, problems)
end

-- Members that are a job's own; the others are shared with all jobs that were asked for the same.
local OWN = { "file_id", "source_url", "user_metadata", "webhook_configurations", "webhook_configuration_ids" }

local function create(sandbox, request, body, source)
  local configuration_id = given(body, "configuration_id")
  local status, text = configured.refusal(sandbox, configuration_id, "parse_v2")
  if status then
    return status, text
  end
  local hooks
  hooks, status, text = webhooks.of(sandbox, body)
  if not hooks then
    return status, text
  end
  local options = options_module.merged(sandbox, body, configuration_id)
  for _, name in ipairs(OWN) do
    options[name] = nil
  end
  local store = sandbox.parse
  local number = store:create({
    input = source.input,
    name = source.name,
    key = source.key,
    options = store:share(options),
    user_metadata = given(body, "user_metadata"),
    ratio = options_module.allowed_failures(options),
  }, request.query.project_id)
  webhooks.watch(sandbox, "parse", store, number, hooks)
  return 200, encode(sandbox, number, {})
end

local function create_job(sandbox, request)
  local body = request.body
  local source, status, text
  if given(body, "source_url") then
    source = sources.of_url(body.source_url)
  else
    source, status, text = sources.find(sandbox, body.file_id)
  end
  if not source then
    return status, text
  end
  return create(sandbox, request, body, source)
end

local function upload_job(sandbox, request)
  local body, file = request.form.configuration, request.form.file
  local problems = {}
  validate.members(body, MEMBERS, { "body", "configuration" }, problems)
  for _, name in ipairs(json.names(body)) do
    if not UPLOADED[name] then
      local loc = { "body", "configuration", name }
      validate.add(problems, "extra_forbidden", loc, "Extra inputs are not permitted", body[name])
    end
  end
  if #problems == 0 then
    check_options(body, problems)
  end
  if #problems > 0 then
    return 422, json.encode { detail = json.array(problems) }
  end
  return create(sandbox, request, body, {
    input = file.name,
    name = file.name,
    key = sources.key(file, file.name .. "\0" .. file.size),
  })
end

-- Results ------------------------------------------------------------------------------------------------------------------

local function filenames_of(text)
  local names = {}
  for name in (text or ""):gmatch("[^,]+") do
    names[name:match("^%s*(.-)%s*$")] = true
  end
  return text and names or nil
end

local get_job = product.with_job(PARSE, function(sandbox, request, number)
  local query, store = request.query, sandbox.parse
  local wanted, status, text = product.expand(query.expand, results.EXPAND)
  if not wanted then
    return status, text
  end
  local job = store:at(number)
  local options = options_module.of_job(sandbox, job)
  for _, refused in ipairs(results.NOT_FAST) do
    if wanted[refused[1]] and options.tier == "fast" then
      return endpoint.detail(400, refused[2] .. " expansion is not available for FAST tier jobs.")
    end
  end
  local parsed = store:state(job) == "COMPLETED" and next(wanted) and results.read(job, options) or nil
  local members = results.encode(parsed, wanted, function(path)
    return (presigned.url(sandbox, request.http, "parse", store:id(number) .. "/" .. path))
  end, filenames_of(query.image_filenames))
  return 200, string.format('{"job":%s,%s', encode(sandbox, number, wanted), members:sub(2))
end)

-- What is behind the addresses.
function presigned.kinds.parse(sandbox, key)
  local id, path = key:match("^([^/]*)/(.*)$")
  local store = sandbox.parse
  local number = id and store:find(id)
  local job = number and store:at(number)
  if not job or store:state(job) ~= "COMPLETED" then
    return nil
  end
  local bytes, content_type = results.file(results.read(job, options_module.of_job(sandbox, job)), path)
  return bytes and presigned.content(bytes, content_type, job.ends_at)
end

local function list_versions()
  local answer = { latest = {} }
  for tier, versions in pairs(options_module.VERSIONS) do
    answer[tier] = json.array { table.unpack(versions) }
    answer.latest[tier] = versions[#versions]
  end
  return 200, json.encode(answer)
end

-- The table ----------------------------------------------------------------------------------------------------------------

local handlers = product.handlers(PARSE)

return {
  setup = function(sandbox)
    sandbox.parse = work.new {
      clock = sandbox.clock,
      world = sandbox.world,
      prefix = "pjb",
      batches = sandbox.batches,
      type = "parse_v2",
    }
  end,
  list = {
    {
      method = "POST",
      path = PATH,
      query = endpoint.SCOPE,
      body = MEMBERS,
      check = check_creation,
      handler = create_job,
    },
    {
      method = "POST",
      path = PATH .. "/upload",
      query = endpoint.SCOPE,
      form = { { "configuration", "json", required = true }, { "file", "file", required = true } },
      rate = "parse_upload",
      handler = upload_job,
    },
    { method = "GET", path = PATH, query = product.list_query(work.STATUSES), handler = product.list(PARSE) },
    { method = "GET", path = PATH .. "/versions", query = {}, handler = list_versions },
    {
      method = "GET",
      path = PATH .. "/{job_id}",
      query = endpoint.query { endpoint.EXPAND, { "image_filenames", "string" } },
      handler = get_job,
    },
    { method = "POST", path = PATH .. "/{job_id}/cancel", query = endpoint.SCOPE, handler = handlers.cancel },
    { method = "DELETE", path = PATH .. "/{job_id}", query = endpoint.SCOPE, handler = handlers.delete },
  },
}

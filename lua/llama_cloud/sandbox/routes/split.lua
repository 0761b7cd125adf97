-- The routes of split jobs: the family under /api/v1/split, and the older one under /api/v1/beta/split, which shows the same
-- jobs with other members.

local clock_module = require("llama_cloud.sandbox.clock")
local configured = require("llama_cloud.sandbox.configured")
local endpoint = require("llama_cloud.sandbox.endpoint")
local json = require("llama_cloud.sandbox.json")
local options_module = require("llama_cloud.sandbox.parse_options")
local product = require("llama_cloud.sandbox.product")
local product_parameters = require("llama_cloud.sandbox.product_parameters")
local seed = require("llama_cloud.sandbox.seed")
local work = require("llama_cloud.sandbox.work")

local get = options_module.get
local format_time = clock_module.format

local PATH = "/api/v1/split/jobs"
local BETA_PATH = "/api/v1/beta/split/jobs"

local STATUSES = { "pending", "processing", "completed", "failed", "cancelled" }
local SPELLED = {
  PENDING = "pending",
  RUNNING = "processing",
  COMPLETED = "completed",
  FAILED = "failed",
  CANCELLED = "cancelled",
}

-- A stored configuration that nobody made.
local MADE_UP = {
  categories = json.array {
    { name = "letter", description = "A letter" },
    { name = "annex", description = "What comes with it" },
  },
}

local CONFIDENCE = { "high", "high", "medium", "low" }

-- The pages of a document in segments of one to three, each of one category; what fits none is as the strategy says.
local function segments_of(job, configuration)
  local names = {}
  for index, category in ipairs(configuration.categories) do
    names[index] = category.name
  end
  local uncategorized = get(configuration, "splitting_strategy", "allow_uncategorized") or "forbid"
  local least = math.tointeger(get(configuration, "splitting_strategy", "min_pages_per_split")) or 1
  local chosen =
    options_module.pages({ page_ranges = { target_pages = get(configuration, "target_pages") } }, job.pages)
  local segments, first = json.array {}, 1
  while first <= #chosen do
    local key = seed.hash(job.key, 10, first)
    local last = math.min(#chosen, first + math.max(least, 1 + seed.below(key, 3)) - 1)
    local none = uncategorized ~= "forbid" and seed.below(seed.hash(key, 1), 5) == 0
    if not (none and uncategorized == "omit") then
      local pages = json.array(table.move(chosen, first, last, 1, {}))
      segments[#segments + 1] = {
        category = none and "uncategorized" or names[1 + seed.below(seed.hash(key, 2), math.max(1, #names))] or "",
        confidence_category = CONFIDENCE[1 + seed.below(seed.hash(key, 3), #CONFIDENCE)],
        pages = pages,
      }
    end
    first = last + 1
  end
  return segments
end

local function shown(sandbox, number)
  local store = sandbox.split
  local job = store:at(number)
  local status, since = store:state(job)
  local fields = job.fields
  return job,
    {
      id = store:id(number),
      categories = json.array(fields.options.categories),
      configuration_id = fields.configuration_id or json.null,
      project_id = job.project_id,
      user_id = seed.id("usr", sandbox.world, 1),
      status = SPELLED[status],
      created_at = format_time(job.created_at),
      updated_at = format_time(since),
      error_message = status == "FAILED" and work.FAILURE or json.null,
      result = status == "COMPLETED" and { segments = segments_of(job, fields.options) } or json.null,
    }
end

local function encode(sandbox, number)
  local job, members = shown(sandbox, number)
  local options = job.fields.options
  members.document_input_type = job.fields.kind
  members.file_input = job.input
  members.splitting_strategy = get(options, "splitting_strategy") or json.null
  members.transaction_id = job.fields.transaction_id or json.null
  for _, name in ipairs { "parse_tier", "parse_config_id", "target_pages" } do
    members[name] = get(options, name) or json.null
  end
  return json.encode(members)
end

local function encode_beta(sandbox, number)
  local job, members = shown(sandbox, number)
  members.document_input = { type = job.fields.kind, value = job.input }
  return json.encode(members)
end

local function product_of(encoder)
  return { store = "split", what = "Split job", spelled = SPELLED, encode = encoder }
end

-- Creation -----------------------------------------------------------------------------------------------------------------

local function members_of(declarations)
  table.insert(
    declarations,
    { "configuration", "object", nullable = true, members = product_parameters.DECLARED.split_v1 }
  )
  table.insert(declarations, { "configuration_id", "string", nullable = true })
  return declarations
end

local function check_creation(body, problems)
  product.check_one_of(body, "configuration", "configuration_id", problems)
  local target = get(body, "configuration", "target_pages")
  product.check_pages(target, { "body", "configuration", "target_pages" }, problems)
end

local function creation(encoder, input_of)
  return function(sandbox, request)
    local input = input_of(request.body)
    local pages_of_file = get(request.body, "configuration", "target_pages") and not input:find("^pjb%-")
    local number, status, text = configured.create(sandbox, request, {
      kind = "split",
      store = "split",
      product_type = "split_v1",
      made_up = MADE_UP,
      input = input,
      refusal = pages_of_file and "target_pages is only for parse jobs" or nil,
    })
    if not number then
      return status, text
    end
    return 200, encoder(sandbox, number)
  end
end

local SPLIT, BETA = product_of(encode), product_of(encode_beta)
local handlers, beta_handlers = product.handlers(SPLIT), product.handlers(BETA)

return {
  setup = function(sandbox)
    sandbox.split = work.new { clock = sandbox.clock, world = sandbox.world, prefix = "spl", spelled = SPELLED }
  end,
  list = {
    {
      method = "POST",
      path = PATH,
      query = endpoint.SCOPE,
      body = product.body(members_of {
        { "file_input", "string", required = true },
        { "transaction_id", "string", nullable = true },
      }),
      check = check_creation,
      handler = creation(encode, function(body)
        return body.file_input
      end),
    },
    { method = "GET", path = PATH, query = product.list_query(STATUSES), handler = product.list(SPLIT) },
    { method = "GET", path = PATH .. "/{job_id}", query = endpoint.SCOPE, handler = handlers.get },
    { method = "DELETE", path = PATH .. "/{job_id}", query = endpoint.SCOPE, handler = handlers.delete },
    { method = "POST", path = PATH .. "/{job_id}/cancel", query = endpoint.SCOPE, handler = handlers.cancel },
    {
      method = "POST",
      path = BETA_PATH,
      query = endpoint.SCOPE,
      body = members_of {
        {
          "document_input",
          "object",
          required = true,
          members = {
            { "type", "enum", values = { "file_id" }, required = true },
            { "value", "string", required = true },
          },
        },
      },
      check = check_creation,
      handler = creation(encode_beta, function(body)
        return body.document_input.value
      end),
    },
    { method = "GET", path = BETA_PATH, query = product.list_query(STATUSES), handler = product.list(BETA) },
    { method = "GET", path = BETA_PATH .. "/{job_id}", query = endpoint.SCOPE, handler = beta_handlers.get },
  },
}

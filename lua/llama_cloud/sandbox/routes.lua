-- The endpoints: what each takes and what it answers. A route is { method, path with {names}, query declarations,
-- body declarations, handler }. A handler gets what was checked already and returns status and JSON text.

local batches = require("llama_cloud.sandbox.batches")
local directories = require("llama_cloud.sandbox.directories")
local jobs = require("llama_cloud.sandbox.jobs")
local json = require("llama_cloud.sandbox.json")
local seed = require("llama_cloud.sandbox.seed")
local validate = require("llama_cloud.sandbox.validate")

local routes = {}

--- Most files that a batch may cover.
local MAX_FILES = 1000

local SCOPE = { { "organization_id", "string" }, { "project_id", "string" } }

local function query(declarations)
  return table.move(SCOPE, 1, #SCOPE, #declarations + 1, declarations)
end

local function detail(status, text)
  return status, json.encode { detail = text }
end

-- Page tokens ----------------------------------------------------------------------------------------------------------

-- A token holds the number of the last batch of its page and a check that it belongs to this seed and these filters, in
-- 16 bytes and then in URL-safe letters; clients must not see through it.

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

local function check_of(sandbox, filters, number)
  local text = {}
  for index, name in ipairs { "created_at_on_or_after", "created_at_on_or_before", "status", "source_directory_id" } do
    text[index] = tostring(filters[name])
  end
  return seed.hash(sandbox.world, seed.hash_string(table.concat(text, "\0")), number)
end

local function make_token(sandbox, filters, number)
  local check = check_of(sandbox, filters, number)
  local bytes = string.pack(">i8i8", check, number ~ seed.hash(check))
  local letters = {}
  for position = 1, #bytes * 8, 6 do
    local byte, bit = (position - 1) // 8 + 1, (position - 1) % 8
    local pair = bytes:byte(byte) << 8 | (bytes:byte(byte + 1) or 0)
    local value = pair >> (10 - bit) & 63
    letters[#letters + 1] = ALPHABET:sub(value + 1, value + 1)
  end
  return table.concat(letters)
end

local function read_token(sandbox, filters, token)
  if #token ~= 22 or token:find("[^%w_-]") then
    return nil
  end
  local bytes, bits, count = {}, 0, 0
  for letter in token:gmatch(".") do
    bits = bits << 6 | ALPHABET:find(letter, 1, true) - 1
    count = count + 6
    if count >= 8 then
      count = count - 8
      bytes[#bytes + 1] = string.char(bits >> count & 255)
    end
  end
  local check, number = string.unpack(">i8i8", table.concat(bytes))
  number = number ~ seed.hash(check)
  return check == check_of(sandbox, filters, number) and number or nil
end

-- v2 batches -----------------------------------------------------------------------------------------------------------

local BATCH_CONFIG = {
  {
    "job",
    "object",
    required = true,
    members = {
      { "type", "enum", required = true, values = { "parse_v2", "extract_v2" } },
      { "configuration_id", "string", required = true },
    },
  },
}

local function create_batch(sandbox, request)
  local body = request.body
  local directory = directories.find(body.source_directory_id)
  if not directory then
    return detail(404, "Directory not found")
  elseif directory.files > MAX_FILES then
    return detail(400, string.format("A batch may cover at most %d source files", MAX_FILES))
  end
  local store = sandbox.batches
  local number = store:create(body.source_directory_id, directory, body.config.job, request.query.project_id)
  return 200, store:encode(number)
end

local function list_batches(sandbox, request)
  local filters, store = request.query, sandbox.batches
  local before
  if filters.page_token then
    before = read_token(sandbox, filters, filters.page_token)
    if not before then
      return detail(400, "Invalid page token")
    end
  end
  local numbers, more = store:list(filters, before, filters.page_size)
  local items = {}
  for index, number in ipairs(numbers) do
    items[index] = store:encode(number)
  end
  local token = more and json.quote(make_token(sandbox, filters, numbers[#numbers])) or "null"
  local total = "null"
  if sandbox.total_size then
    total = string.format("%d", #(store:list(filters, nil, math.maxinteger)))
  end
  return 200,
    string.format('{"items":[%s],"next_page_token":%s,"total_size":%s}', table.concat(items, ","), token, total)
end

local function with_batch(handler)
  return function(sandbox, request)
    local number = sandbox.batches:find(request.path_values[1])
    if not number then
      return detail(404, "Batch not found")
    end
    return handler(sandbox, request, number)
  end
end

local get_batch = with_batch(function(sandbox, request, number)
  return 200, sandbox.batches:encode(number, request.query.expand ~= nil and #request.query.expand > 0)
end)

local cancel_batch = with_batch(function(sandbox, _, number)
  if not sandbox.batches:cancel(number) then
    return detail(400, "Batch is already " .. sandbox.batches:status(number) .. " and cannot be cancelled")
  end
  return 200, sandbox.batches:encode(number)
end)

-- v1 batch jobs --------------------------------------------------------------------------------------------------------

local CLASSIFY_JOB = {
  { "id", "string", required = true },
  { "project_id", "string", required = true },
  { "user_id", "string", required = true },
  {
    "rules",
    "array",
    required = true,
    of = "object",
    members = {
      { "type", "string", required = true },
      { "description", "string", required = true },
    },
  },
  { "status", "string", required = true },
  { "mode", "enum", values = { "FAST", "MULTIMODAL" } },
}

local function check_job(body, problems)
  local config = body.job_config
  if json.is_object(config) and config.rules ~= nil then
    validate.members(config, CLASSIFY_JOB, { "body", "job_config", "ClassifyJob" }, problems)
  end
  local directory_id = body.directory_id ~= json.null and body.directory_id or nil
  local item_ids = body.item_ids ~= json.null and body.item_ids or nil
  if (directory_id == nil) == (item_ids == nil) then
    local message = "Value error, Exactly one of directory_id and item_ids must be given"
    validate.add(problems, "value_error", { "body" }, message, body)
  end
end

local function create_job(sandbox, request)
  local body = request.body
  local directory
  local directory_id = body.directory_id ~= json.null and body.directory_id or nil
  if directory_id then
    directory = directories.find(directory_id)
    if not directory then
      return detail(404, "Directory not found")
    end
  end
  local number = sandbox.jobs:create({
    directory_id = directory_id,
    directory = directory,
    item_ids = not directory and body.item_ids or nil,
    type = body.job_config.rules and "classify" or "parse",
  }, request.query.project_id)
  return 201, sandbox.jobs:show(number).text
end

local function envelope(items, total)
  return 200, string.format('{"items":[%s],"next_page_token":null,"total_size":%d}', table.concat(items, ","), total)
end

local function list_jobs(sandbox, request)
  return envelope(sandbox.jobs:list(request.query, request.query.offset, request.query.limit))
end

local function with_job(handler)
  return function(sandbox, request)
    local number = sandbox.jobs:find(request.path_values[1])
    if not number then
      return detail(404, "Batch job not found")
    end
    return handler(sandbox, request, number)
  end
end

local get_job_status = with_job(function(sandbox, _, number)
  local job = sandbox.jobs:show(number)
  return 200, string.format('{"job":%s,"progress_percentage":%.14g}', job.text, job.progress)
end)

local cancel_job = with_job(function(sandbox, _, number)
  local done = sandbox.jobs:cancel(number)
  local job = sandbox.jobs:show(number)
  if not done then
    return detail(400, "Batch job is already " .. job.status .. " and cannot be cancelled")
  end
  return 200,
    json.encode {
      job_id = job.id,
      status = job.status,
      processed_items = job.processed_items,
      message = "Batch job cancelled",
    }
end)

local list_items = with_job(function(sandbox, request, number)
  return envelope(sandbox.jobs:items(number, request.query.status, request.query.offset, request.query.limit))
end)

local function get_processing_results(sandbox, request)
  local results = sandbox.jobs:processing_results(request.path_values[1], request.query.job_type)
  if not results then
    return detail(404, "Item not found")
  end
  return 200, json.encode(results)
end

-- The table ------------------------------------------------------------------------------------------------------------

local BATCHES = "/api/v2/batches"
local JOBS = "/api/v1/beta/batch-processing"

local LIMIT = { "limit", "integer", min = 1, max = 1000, default = 50 }
local OFFSET = { "offset", "integer", min = 0, default = 0 }

---@class llama_cloud.sandbox.route
---@field method string
---@field path string
---@field query table[]
---@field body? table[] declarations of its members; a route without them takes no body
---@field check? fun(body: table, problems: table) what declarations cannot say
---@field handler fun(sandbox: table, request: table): integer, string

---@type llama_cloud.sandbox.route[]
routes.list = {
  {
    method = "POST",
    path = BATCHES,
    query = SCOPE,
    body = {
      { "source_directory_id", "string", required = true },
      { "config", "object", required = true, members = BATCH_CONFIG },
      { "webhook_configuration_ids", "array", of = "string", nullable = true },
      { "webhook_configurations", "array", of = "object", nullable = true },
    },
    handler = create_batch,
  },
  {
    method = "GET",
    path = BATCHES,
    query = query {
      { "created_at_on_or_after", "datetime" },
      { "created_at_on_or_before", "datetime" },
      { "status", "enum", values = batches.STATUSES },
      { "source_directory_id", "string" },
      { "page_size", "integer", above = 0, cap = 1000, default = 50 },
      { "page_token", "string" },
    },
    handler = list_batches,
  },
  {
    method = "GET",
    path = BATCHES .. "/{batch_id}",
    query = query { { "expand", "enum", many = true, values = { "results" } } },
    handler = get_batch,
  },
  { method = "POST", path = BATCHES .. "/{batch_id}/cancel", query = SCOPE, handler = cancel_batch },
  {
    method = "POST",
    path = JOBS,
    query = SCOPE,
    body = {
      { "job_config", "object", required = true },
      { "directory_id", "string", nullable = true },
      { "item_ids", "array", of = "string", nullable = true },
      { "page_size", "integer", min = 1, max = 1000 },
      { "continue_as_new_threshold", "integer", nullable = true },
    },
    check = check_job,
    handler = create_job,
  },
  {
    method = "GET",
    path = JOBS,
    query = query {
      { "directory_id", "string" },
      { "job_type", "enum", values = jobs.TYPES },
      { "status", "enum", values = jobs.STATUSES },
      LIMIT,
      OFFSET,
    },
    handler = list_jobs,
  },
  { method = "GET", path = JOBS .. "/{job_id}", query = SCOPE, handler = get_job_status },
  {
    method = "POST",
    path = JOBS .. "/{job_id}/cancel",
    query = SCOPE,
    body = { { "reason", "string", nullable = true } },
    handler = cancel_job,
  },
  {
    method = "GET",
    path = JOBS .. "/{job_id}/items",
    query = query {
      { "status", "enum", values = jobs.ITEM_STATUSES },
      { "limit", "integer", min = 1, max = 1000, default = 100 },
      OFFSET,
    },
    handler = list_items,
  },
  {
    method = "GET",
    path = JOBS .. "/items/{item_id}/processing-results",
    query = query { { "job_type", "enum", values = jobs.TYPES } },
    handler = get_processing_results,
  },
}

-- Dispatch -------------------------------------------------------------------------------------------------------------

-- Lua patterns of the paths, made once. A literal segment beats a name, so `…/items/x/processing-results` is no job.
for _, route in ipairs(routes.list) do
  route.pattern = "^" .. route.path:gsub("%-", "%%-"):gsub("{[%w_]+}", "([^/]+)") .. "$"
end

--- The route of a request and the values of the names in its path; or nil and what else this path allows.
---@param method string
---@param path string
---@return llama_cloud.sandbox.route?
---@return string[] values the path's values, or the allowed methods
function routes.match(method, path)
  local allowed = {}
  for _, route in ipairs(routes.list) do
    local values = { path:match(route.pattern) }
    if values[1] then
      if route.method == method then
        for index, value in ipairs(values) do
          values[index] = value:gsub("%%(%x%x)", function(digits)
            return string.char(tonumber(digits, 16))
          end)
        end
        return route, values
      end
      allowed[#allowed + 1] = route.method
    end
  end
  return nil, allowed
end

--- Answers a request that is allowed to be asked.
---@param sandbox table
---@param request { method: string, path: string, query_string?: string, body_text: string }
---@return integer status
---@return string body
---@return table? headers
---@return string route how the request is counted
function routes.answer(sandbox, request)
  local route, values = routes.match(request.method, request.path)
  if not route then
    local headers
    local status, text = 404, "Not Found"
    if values[1] then
      status, text, headers = 405, "Method Not Allowed", { Allow = table.concat(values, ", ") }
    elseif request.path:find("./$") and routes.match(request.method, request.path:sub(1, -2)) then
      -- FastAPI redirects to the path without the slash.
      local target = request.path:sub(1, -2) .. (request.query_string and "?" .. request.query_string or "")
      return 307, "", { Location = target }, request.method .. " (unknown)"
    end
    return status, json.encode { detail = text }, headers, request.method .. " (unknown)"
  end
  local problems = {}
  local checked = {
    path_values = values,
    query = validate.query(route.query, validate.parse_query(request.query_string), problems),
  }
  if route.body then
    checked.body = validate.body(route.body, request.body_text, problems)
    if checked.body and route.check and #problems == 0 then
      route.check(checked.body, problems)
    end
  end
  local name = route.method .. " " .. route.path
  if #problems > 0 then
    return 422, json.encode { detail = json.array(problems) }, nil, name
  end
  local status, text = route.handler(sandbox, checked)
  return status, text, nil, name
end

return routes

-- What the routes of all products (parse, extract, classify, split) have in common: their jobs are listed, shown, cancelled
-- and deleted in the same way.

local endpoint = require("llama_cloud.sandbox.endpoint")
local json = require("llama_cloud.sandbox.json")
local parse_options = require("llama_cloud.sandbox.parse_options")
local validate = require("llama_cloud.sandbox.validate")
local work = require("llama_cloud.sandbox.work")

local product = {}

--- Declarations of the members that every creation takes.
---@param declarations table[]
---@return table[]
function product.body(declarations)
  declarations[#declarations + 1] = { "webhook_configuration_ids", "array", of = "string", nullable = true }
  declarations[#declarations + 1] = { "webhook_configurations", "array", of = "object", nullable = true }
  return declarations
end

--- Adds the problem that a member is missing.
---@param name string
---@param body table
---@param problems table
function product.missing(name, body, problems)
  validate.add(problems, "missing", { "body", name }, "Field required", body)
end

--- Adds a problem unless exactly one of two members is given.
---@param body table
---@param first string
---@param second string
---@param problems table
function product.check_one_of(body, first, second, problems)
  if (endpoint.given(body, first) == nil) == (endpoint.given(body, second) == nil) then
    local message = string.format("Value error, Exactly one of %s and %s must be given", first, second)
    validate.add(problems, "value_error", { "body" }, message, body)
  end
end

--- Adds a problem unless a text, if there is one, names pages.
---@param text? string
---@param loc string[]
---@param problems table
function product.check_pages(text, loc, problems)
  local _, message
  if text then
    _, message = parse_options.page_numbers(text)
  end
  if message then
    validate.add(problems, "value_error", loc, "Value error, " .. message, text)
  end
end

--- The status for what the state of a job does not allow.
---@param sandbox table
---@return integer
function product.refusal(sandbox)
  return sandbox.options.conflicts and 409 or 400
end

--- The values of `expand`, repeated or separated by commas, as a set; or nil and the answer that refuses an unknown one.
---@param values? string[]
---@param known table<string, boolean>
---@return table<string, boolean>?
---@return integer? status
---@return string? body
function product.expand(values, known)
  local wanted, problems = {}, {}
  for index, text in ipairs(values or {}) do
    for name in text:gmatch("[^,]+") do
      if not known[name] then
        validate.add(problems, "literal_error", { "query", "expand", index - 1 }, "Unknown value", name)
      end
      wanted[name] = true
    end
  end
  if #problems > 0 then
    return nil, 422, json.encode { detail = json.array(problems) }
  end
  return wanted
end

--- The query of a list.
---@param statuses string[]
---@param more? table[]
---@return table[]
function product.list_query(statuses, more)
  local declarations = {
    { "created_at_on_or_after", "datetime" },
    { "created_at_on_or_before", "datetime" },
    { "job_ids", "string", many = true },
    { "status", "enum", values = statuses },
    endpoint.PAGE_SIZE,
    endpoint.PAGE_TOKEN,
  }
  return endpoint.query(table.move(more or {}, 1, more and #more or 0, #declarations + 1, declarations))
end

---@class llama_cloud.sandbox.product
---@field store string the name of its store in the sandbox
---@field what string as in "Parse job not found"
---@field encode fun(sandbox: table, number: integer, expand: table<string, boolean>, alone?: boolean): string a job as JSON;
--- `alone` where a request is for this job only
---@field expand? table<string, boolean> values that `expand` may have
---@field spelled? table<string, string> how it calls its statuses, if not as the store does
---@field match? fun(query: table): (fun(job: llama_cloud.sandbox.job): boolean)? what its list's own filters ask for
---@field deleted? fun(sandbox: table, number: integer): string what a deletion answers

-- The names of the store's statuses by those of the product.
local function status_names(of)
  local names = {}
  for _, status in ipairs(work.STATUSES) do
    names[of.spelled and of.spelled[status] or status] = status
  end
  return names
end

--- The handler of a product's list.
---@param of llama_cloud.sandbox.product
---@return llama_cloud.sandbox.handler
function product.list(of)
  local names = status_names(of)
  return function(sandbox, request)
    local store, query = sandbox[of.store], request.query
    local wanted, status, text = product.expand(query.expand, of.expand or {})
    if not wanted then
      return status, text
    end
    local filters = {
      created_at_on_or_after = query.created_at_on_or_after,
      created_at_on_or_before = query.created_at_on_or_before,
      job_ids = query.job_ids,
      -- no job of the sandbox has this status: an empty set matches none
      status = query.status and (names[query.status] or {}),
      match = of.match and of.match(query),
    }
    return endpoint.page(sandbox, of.store, query, function(before, limit)
      return store:list(filters, before, limit)
    end, function(number)
      return of.encode(sandbox, number, wanted)
    end)
  end
end

--- A handler for one job, by the id in the path.
---@param of llama_cloud.sandbox.product
---@param handler fun(sandbox: table, request: table, number: integer): ...
---@return llama_cloud.sandbox.handler
function product.with_job(of, handler)
  return endpoint.with(function(sandbox, id)
    return sandbox[of.store]:find(id)
  end, of.what, handler)
end

local function refuse(sandbox, of, number, what)
  local store = sandbox[of.store]
  local status = store:state(store:at(number))
  status = of.spelled and of.spelled[status] or status
  return endpoint.detail(product.refusal(sandbox), string.format("%s is %s and cannot be %s", of.what, status, what))
end

--- The handlers for one job of a product.
---@param of llama_cloud.sandbox.product
---@return { get: function, cancel: function, delete: function }
function product.handlers(of)
  return {
    get = product.with_job(of, function(sandbox, request, number)
      local wanted, status, text = product.expand(request.query.expand, of.expand or {})
      if not wanted then
        return status, text
      end
      return 200, of.encode(sandbox, number, wanted, true)
    end),
    cancel = product.with_job(of, function(sandbox, _, number)
      if not sandbox[of.store]:cancel(number) then
        return refuse(sandbox, of, number, "cancelled")
      end
      sandbox.deliveries:clock_changed()
      return 200, of.encode(sandbox, number, {})
    end),
    delete = product.with_job(of, function(sandbox, _, number)
      local store = sandbox[of.store]
      local project_id = store:at(number).project_id
      if not store:delete(number) then
        return refuse(sandbox, of, number, "deleted")
      elseif of.deleted then
        return 200, of.deleted(sandbox, number)
      end
      return 200, json.encode { id = store:id(number), project_id = project_id }
    end),
  }
end

return product

-- The route of job data points: when the jobs of a product went from state to state.

local ascii = require("llama_cloud.sandbox.ascii")
local clock_module = require("llama_cloud.sandbox.clock")
local endpoint = require("llama_cloud.sandbox.endpoint")
local json = require("llama_cloud.sandbox.json")
local lists = require("llama_cloud.sandbox.lists")
local work = require("llama_cloud.sandbox.work")

local STATES = { "PENDING", "RUNNING", "THROTTLED", "COMPLETED", "FAILED", "CANCELLED" }

local function encode(store, number)
  local job = store:at(number)
  local status, since = store:state(job)
  local times, transitions = store:transitions(job), {}
  for _, state in ipairs(STATES) do
    transitions[ascii.lower(state) .. "_at"] = times[state] and clock_module.format(times[state]) or json.null
  end
  return json.encode {
    id = store:id(number),
    created_at = clock_module.format(job.created_at),
    updated_at = clock_module.format(since),
    custom_tag = "",
    project_id = job.project_id,
    status = status,
    error_message = status == "FAILED" and work.FAILURE or json.null,
    state_transitions = transitions,
  }
end

local function list(sandbox, request)
  local query = request.query
  local store = sandbox[query.job_type]
  local since = query.created_at_on_or_after
  if query.hours then
    since = math.max(since or 0, sandbox.clock:now() - query.hours * 3600000)
  end
  local filters = {
    created_at_on_or_after = since,
    created_at_on_or_before = query.created_at_on_or_before,
    status = lists.set(query.status),
  }
  return endpoint.page(sandbox, "job_data_points", query, function(before, limit)
    return store:list(filters, before, limit)
  end, function(number)
    return encode(store, number)
  end)
end

return {
  list = {
    {
      method = "GET",
      path = "/api/v1/job-data-points",
      query = endpoint.query {
        { "job_type", "enum", required = true, values = { "classify", "extract", "parse" } },
        { "status", "enum", many = true, values = work.STATUSES },
        { "hours", "integer", above = 0 },
        { "created_at_on_or_after", "datetime" },
        { "created_at_on_or_before", "datetime" },
        endpoint.PAGE_SIZE,
        endpoint.PAGE_TOKEN,
      },
      handler = list,
    },
  },
}

--- What several resources declare alike.

local shared = {}

--- The query parameters that name the project, and its organization.
shared.scope = { { "organization_id", "string" }, { "project_id", "string" } }

--- The query parameters of lists of jobs.
shared.job_filters = {
  { "created_at_on_or_after", "date" },
  { "created_at_on_or_before", "date" },
  { "job_ids", "strings" },
  { "organization_id", "string" },
  { "project_id", "string" },
  { "status", "string" },
  { "page_size", "integer" },
  { "page_token", "string" },
}

--- The declaration of waiting (see endpoint/wait.lua) for jobs with the methods `create`, `get` and `list`, which end as
--- COMPLETED, FAILED or CANCELLED.
---@param own table what a kind of job has of its own, or otherwise; `noun` and `pending` at least
---@return table
function shared.waiting(own)
  local declaration = {
    nouns = own.noun .. "s",
    job = true,
    get = "get",
    create = "create",
    final = {},
    complete = { COMPLETED = true },
    failed = { FAILED = "batch_failed", CANCELLED = "batch_cancelled" },
    sweep = { list = "list", page = "page_size", size = 100, ids = "job_ids", bare = true },
  }
  for name, value in pairs(own) do
    declaration[name] = value
  end
  return declaration
end

--- The same of split jobs, whose statuses are in lower case.
shared.split_waiting = shared.waiting {
  noun = "split job",
  pending = { pending = true, processing = true },
  complete = { completed = true },
  failed = { failed = "batch_failed", cancelled = "batch_cancelled" },
}

return shared

-- What the specs of waiting share: the two resources that can be waited for, in one form, and servers of their answers.

local cjson = require("cjson")

local lists = require("spec.support.lists")
local server = require("spec.support.server")

local waiting = {}

--- Where a spec measures time from above: valgrind and the sanitizers take their time too.
waiting.slowdown = tonumber(os.getenv("LLAMA_CLOUD_TEST_SLOWDOWN")) or 1

--- What time-outs are multiplied with, so that some polls fit into them.
waiting.patience = math.min(waiting.slowdown, 5)

---@class spec.waiting.resource
---@field name string
---@field noun string
---@field path string
---@field of fun(client: LlamaCloud.Client): table
---@field pending string
---@field running string
---@field completed string
---@field failed string
---@field cancelled string
---@field subject fun(id: string, status: string, fields?: table): table as it stands in a list
---@field answer fun(id: string, status: string, fields?: table): table as its own GET answers
---@field creation table params of create
---@field required string one of them that it cannot do without

local function subject(id, status, fields)
  local value = { id = id, project_id = "prj-1", status = status, created_at = "2026-01-01T00:00:00.000Z" }
  for name, one in pairs(fields or {}) do
    value[name] = one
  end
  return value
end

---@type spec.waiting.resource[]
waiting.resources = {
  {
    name = "batches",
    noun = "batch",
    path = "/api/v2/batches",
    of = function(client)
      return client.batches
    end,
    pending = "PENDING",
    running = "RUNNING",
    completed = "COMPLETED",
    failed = "FAILED",
    cancelled = "CANCELLED",
    subject = subject,
    answer = subject,
    creation = {
      source_directory_id = "dir-1",
      config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } },
    },
    required = "source_directory_id",
  },
  {
    name = "beta.batch",
    noun = "batch job",
    path = "/api/v1/beta/batch-processing",
    of = function(client)
      return client.beta.batch
    end,
    pending = "pending",
    running = "running",
    completed = "completed",
    failed = "failed",
    cancelled = "cancelled",
    subject = subject,
    answer = function(id, status, fields)
      return { job = subject(id, status, fields), progress_percentage = 50 }
    end,
    creation = { directory_id = "dir-1", job_config = { job_name = "parse_raw_file_job" } },
    required = "job_config",
  },
}

--- Starts a server whose GETs of one show it in these statuses, one after another; a table is an answer as it is. Returns
--- it and a client of it that sends nothing again by itself.
---@param resource spec.waiting.resource
---@param statuses (string|table)[]
---@param options? table of the client
---@return table server
---@return LlamaCloud.Client
function waiting.start(resource, statuses, options)
  local answers = {}
  for index, status in ipairs(statuses) do
    answers[index] = status
    if type(status) == "string" then
      answers[index] = { body = cjson.encode(resource.answer("bat-1", status)) }
    end
  end
  local s = server.start(answers)
  return s, lists.client(s, options)
end

--- Options that poll quickly, with these besides.
---@param more? table
---@return table
function waiting.quick(more)
  local given = { polling_interval = 0.01, backoff = "constant" }
  for name, value in pairs(more or {}) do
    given[name] = value
  end
  return given
end

--- Raises unless `f` raises `message` at a line of its own.
---@param message string
---@param f function
function waiting.raises_here(message, f)
  local ok, err = pcall(f)
  local info = debug.getinfo(f, "S")
  local file, line, said = tostring(err):match("^(.-):(%d+): (.*)$")
  line = tonumber(line) or 0
  if ok or said ~= message or info.short_src ~= file or line < info.linedefined or line > info.lastlinedefined then
    error(
      ("expected '%s' at %s:%d, got: %s"):format(message, info.short_src, info.linedefined, ok and "nothing" or err),
      2
    )
  end
end

--- The requests that a server has seen, as "GET /path?query".
---@param s table
---@return string[]
function waiting.targets(s)
  local seen = {}
  for index, request in ipairs(s:requests()) do
    seen[index] = request.method .. " " .. request.target
  end
  return seen
end

return waiting

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
---@field directory string the field that names the directory, and the parameter that narrows a list by it
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
    directory = "source_directory_id",
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
    directory = "directory_id",
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

-- A service whose batches or jobs end after they were looked at (fetched or listed) so many times.
local SERVICE = [[
  local cjson = require("cjson")
  local items, by_id, looks, lists = {}, {}, {}, 0

  local function add(item)
    items[#items + 1] = item
    by_id[item.id] = item
  end

  for index = 1, args.foreign or 0 do
    add { id = "foreign-" .. index, ends = math.huge, created_at = "2026-06-01T00:00:00.000Z" }
  end
  for _, item in ipairs(args.items) do
    add(item)
  end

  local function show(item, query)
    if not query.expand then
      looks[item.id] = (looks[item.id] or 0) + 1
    end
    local ended = (looks[item.id] or math.huge) >= (item.ends or args.ends)
    return {
      id = item.id,
      project_id = "prj-1",
      status = ended and (item.fate or args.completed) or args.running,
      created_at = item.created_at,
      [args.directory] = item.directory,
      results = query.expand and { { source_directory_file_id = "dfl-1" } } or nil,
    }
  end

  local function list(query)
    local found, shown = {}, {}
    local since, directory = query.created_at_on_or_after, query[args.directory]
    for _, item in ipairs(items) do
      if not item.hidden
        and (not since or item.created_at:gsub("Z", "") >= since:gsub("Z", ""))
        and (not directory or item.directory == directory)
      then
        found[#found + 1] = item
      end
    end
    local from = math.tointeger(tonumber(query.page_token or query.offset or 0))
    local till = math.min(#found, from + math.tointeger(tonumber(query.page_size or query.limit)))
    for index = from + 1, till do
      shown[#shown + 1] = cjson.encode(show(found[index], query))
    end
    return ('{"items":[%s],"next_page_token":%s,"total_size":%s}'):format(
      table.concat(shown, ","),
      args.cursor and till < #found and ('"%d"'):format(till) or "null",
      args.cursor and "null" or #found
    )
  end

  return function(connection, request)
    local query = {}
    for name, value in (request.query or ""):gmatch("([^&=]+)=([^&]*)") do
      query[name] = value:gsub("%%(%x%x)", function(digits)
        return string.char(tonumber(digits, 16))
      end)
    end
    if request.path == args.path then
      lists = lists + 1
      local failure = args.lists and (args.lists[lists] or args.lists.every)
      if args.list_delay then
        connection:sleep(args.list_delay)
      end
      if failure then
        return connection:json(failure, '{"detail":"no list"}', { ["Retry-After"] = args.retry_after })
      end
      return connection:json(200, list(query))
    end
    local item = by_id[request.path:match("[^/]*$")]
    if not item then
      return connection:json(404, '{"detail":"not here"}')
    elseif item.delay then
      connection:sleep(item.delay)
    end
    local shown = show(item, query)
    connection:json(200, cjson.encode(args.subject and { [args.subject] = shown } or shown))
  end
]]

--- Starts a service that holds items: { id, ends: at the how-manieth look it has ended, fate, created_at, directory,
--- hidden: not in lists, delay: of its GETs }. `options`: ends (of all items), foreign (so many newer ones that are not
--- ours), lists ({ [n] = status of the nth list, every = of all }), retry_after and list_delay (of lists).
---@param resource spec.waiting.resource
---@param items table[]
---@param options? table
---@return table server
---@return LlamaCloud.Client
function waiting.service(resource, items, options)
  local args = {
    items = items,
    ends = 3,
    path = resource.path,
    running = resource.running,
    completed = resource.completed,
    directory = resource.directory,
    cursor = resource.name == "batches",
    subject = resource.name ~= "batches" and "job" or nil,
  }
  for name, value in pairs(options or {}) do
    args[name] = value
  end
  for index, item in ipairs(items) do
    item.created_at = item.created_at or ("2026-01-01T00:%02d:%02d.000Z"):format(index // 60 % 60, index % 60)
  end
  local s = server.start(SERVICE, { args = args })
  return s, lists.client(s)
end

--- Some items for a service: "id-1" … "id-<count>".
---@param count integer
---@param fields? table
---@return table[]
function waiting.items(count, fields)
  local items = {}
  for index = 1, count do
    items[index] = { id = "id-" .. index }
    for name, value in pairs(fields or {}) do
      items[index][name] = value
    end
  end
  return items
end

--- Items as create returns them.
---@param resource spec.waiting.resource
---@param items table[]
---@return table[]
function waiting.created(resource, items)
  local batches = {}
  for index, item in ipairs(items) do
    local fields = { created_at = item.created_at, [resource.directory] = item.directory }
    batches[index] = resource.subject(item.id, resource.pending, fields)
  end
  return batches
end

--- How many lists, GETs of one, and GETs of one in full a service has seen.
---@param resource spec.waiting.resource
---@param s table
---@return integer lists
---@return integer singles
---@return integer finals
function waiting.counts(resource, s)
  local listed, singles, finals = 0, 0, 0
  for _, request in ipairs(s:requests()) do
    if request.path == resource.path then
      listed = listed + 1
    elseif (request.query or ""):find("expand=", 1, true) then
      finals = finals + 1
    else
      singles = singles + 1
    end
  end
  return listed, singles, finals
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

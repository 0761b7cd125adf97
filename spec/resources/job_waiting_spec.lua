-- Waiting for jobs of each kind. What waiting is like in general is in spec/endpoint/wait_spec.lua and its neighbours.

local llama_cloud = require("llama_cloud")
local lists = require("spec.support.lists")
local server = require("spec.support.server")
local patience = require("spec.support.waiting").patience

-- Each kind: its path, its resource, params of create, and the words for a job's statuses.
local UPPER =
  { pending = "PENDING", running = "RUNNING", completed = "COMPLETED", failed = "FAILED", cancelled = "CANCELLED" }
local LOWER =
  { pending = "pending", running = "processing", completed = "completed", failed = "failed", cancelled = "cancelled" }

local KINDS = {
  {
    "parsing",
    "/api/v2/parse",
    "parse job",
    { file_id = "f", tier = "fast", version = "latest" },
    UPPER,
    wrapper = "job",
  },
  { "extract", "/api/v2/extract", "extract job", { file_input = "f", configuration_id = "c" }, UPPER },
  { "classify", "/api/v2/classify", "classify job", { file_input = "f", configuration_id = "c" }, UPPER },
  { "split", "/api/v1/split/jobs", "split job", { file_input = "f", configuration_id = "c" }, LOWER },
  {
    "beta.split",
    "/api/v1/beta/split/jobs",
    "split job",
    { document_input = { type = "file_id", value = "f" }, configuration_id = "c" },
    LOWER,
  },
}

-- A service of jobs that end when they were looked at (fetched or listed) so many times: at the third, or after what `ends`
-- says; `fates` says how, if not well; those that are `hidden` are in no list, those that are `missing` nowhere. A job that
-- was just created is not found at first. Lists are without results, and answer as `lists` says: nth -> status.
local SERVICE = [[
  local cjson = require("cjson")
  local looks, lists = {}, 0

  local function status_of(id)
    looks[id] = (looks[id] or 0) + 1
    if looks[id] >= (args.ends and args.ends[id] or 3) then
      return args.fates and args.fates[id] or args.statuses.completed
    end
    return looks[id] == 1 and args.statuses.pending or args.statuses.running
  end

  local function job(id, status)
    return { id = id, status = status, error_message = status == args.statuses.failed and "because" or nil }
  end

  return function(connection, request)
    local query = request.query or ""
    if request.method == "POST" then
      return connection:json(200, cjson.encode(job("new", args.statuses.pending)))
    elseif request.path == args.path then
      lists = lists + 1
      local refusal = args.lists and (args.lists[lists] or args.lists.every)
      if refusal then
        return connection:json(refusal, '{"detail":"no list"}')
      end
      local found = {}
      for id in query:gmatch("job_ids=([^&]*)") do
        if not (args.hidden and args.hidden[id]) and not (args.missing and args.missing[id]) then
          found[#found + 1] = cjson.encode(job(id, status_of(id)))
        end
      end
      return connection:json(200, '{"items":[' .. table.concat(found, ",") .. "]}")
    end
    local id = request.path:match("[^/]*$")
    if args.missing and args.missing[id] or id == "new" and not looks[id] then
      looks[id] = 1
      return connection:json(404, '{"detail":"not here"}')
    end
    local answer = job(id, status_of(id))
    answer.result = answer.status == args.statuses.completed and "all of it" or nil
    if args.wrapper then
      answer = { [args.wrapper] = answer, text_full = query:find("expand=text_full", 1, true) and "text" or nil }
    end
    connection:json(200, cjson.encode(answer))
  end
]]

-- Options that poll quickly, with these besides.
local function quick(more)
  local given = { polling_interval = 0.01, backoff = "constant" }
  for name, value in pairs(more or {}) do
    given[name] = value
  end
  return given
end

-- What the server has seen after so many requests: GETs of jobs without their path, lists as how many ids they asked for.
local function seen(s, path, before)
  local found = {}
  for index, request in ipairs { table.unpack(s:requests(), (before or 0) + 1) } do
    local _, ids = (request.query or ""):gsub("job_ids=", "")
    local target = request.path == path and request.method == "GET" and "list " .. ids or request.target:sub(#path + 1)
    found[index] = request.method == "POST" and "create" or target
  end
  return found
end

local function ids_up_to(count)
  local ids = {}
  for index = 1, count do
    ids[index] = "id-" .. index
  end
  return ids
end

for _, kind in ipairs(KINDS) do
  local name, path, noun, creation, statuses = table.unpack(kind)

  -- A service, and the resource of a client.
  local function start(options)
    local args = { path = path, statuses = statuses, wrapper = kind.wrapper }
    for option, value in pairs(options or {}) do
      args[option] = value
    end
    local s = server.start(SERVICE, { args = args })
    local resource = lists.client(s)
    for part in name:gmatch("[^.]+") do
      resource = resource[part]
    end
    return s, resource
  end

  -- The job in what waiting gives.
  local function job_of(result)
    return kind.wrapper and result[kind.wrapper] or result
  end

  describe("client." .. name, function()
    local s, resource, before

    setup(function()
      s, resource = start {
        fates = {
          failed = statuses.failed,
          cancelled = statuses.cancelled,
          watched = statuses.cancelled,
          ["id-7"] = statuses.failed,
        },
        ends = { watched = 4 },
        hidden = { hidden = true },
        missing = { missing = true },
      }
    end)

    before_each(function()
      before = s:count()
    end)

    teardown(function()
      s:stop()
    end)

    it("waits until a job is complete, and gives what its GET has answered", function()
      local polled = {}
      local result = assert(resource:wait(
        "waited",
        nil,
        quick {
          on_poll = function(job)
            polled[#polled + 1] = job.status
          end,
        }
      ))
      assert.same({ statuses.pending, statuses.running, statuses.completed }, polled)
      assert.same({ id = "waited", status = statuses.completed, result = "all of it" }, job_of(result))
      assert.same({ "/waited", "/waited", "/waited" }, seen(s, path, before))
    end)

    it("gives an error with the job where that has failed or was cancelled", function()
      local result, err = resource:wait("failed", nil, quick())
      assert.is_nil(result)
      assert.equal("batch_failed", err.kind)
      assert.equal(("%s failed ended as %s: because"):format(noun, statuses.failed), err.message)
      assert.same({ id = "failed", status = statuses.failed, error_message = "because" }, err.job)
      assert.equal(err.job, err.batch)
      result, err = resource:wait("cancelled", nil, quick())
      assert.is_nil(result)
      assert.equal("batch_cancelled", err.kind)
      assert.equal(statuses.cancelled, err.job.status)
      assert.equal(6, s:count() - before)
    end)

    it("says in time what a job was doing", function()
      -- by a service of its own: the last poll, which time ends, may reach it later
      local service <close>, other = start { ends = { endless = math.huge } }
      local result, err = other:wait("endless", nil, quick { total_timeout = 0.5 * patience })
      assert.is_nil(result)
      assert.equal("timeout", err.kind)
      assert.equal(("%s endless was still %s after %g s"):format(noun, statuses.running, 0.5 * patience), err.message)
      assert.equal(statuses.running, err.job.status)
      assert.is_true(service:count() >= 2)
    end)

    it("runs a job, which the service may not show at once", function()
      assert.equal("all of it", job_of(assert(resource:run(creation, quick()))).result)
      assert.same({ "create", "/new", "/new", "/new" }, seen(s, path, before))
    end)

    it("watches a job's changes, whatever the last is", function()
      local found = {}
      for result in resource:watch("watched", nil, quick()) do
        found[#found + 1] = job_of(result).status
      end
      assert.same({ statuses.pending, statuses.running, statuses.cancelled }, found)
      assert.equal(4, s:count() - before)
    end)

    it("waits for many by lists of their ids, and fetches each that is complete there", function()
      local good, bad = 0, {}
      for id, result, err in resource:wait_all(ids_up_to(130), { project_id = "p" }, quick()) do
        if err then
          bad[#bad + 1] = id
          assert.equal("because", err.job.error_message)
        else
          good = good + 1
          assert.equal(id, job_of(result).id)
          assert.equal(kind.wrapper == nil and "all of it" or nil, job_of(result).result)
        end
      end
      assert.equal(129, good)
      assert.same({ "id-7" }, bad)
      local counts, singles = {}, 0
      for _, target in ipairs(seen(s, path, before)) do
        counts[target] = (counts[target] or 0) + 1
        singles = singles + (target:find("^/") and 1 or 0)
      end
      assert.same({ 3, 3 }, { counts["list 100"], counts["list 30"] })
      -- a list of parse jobs has all that a GET without `expand` would add to them
      assert.equal(kind.wrapper and 0 or 129, singles)
      assert.matches("&project_id=p&page_size=100$", s:requests()[before + 1].query)
    end)

    it("fetches by itself what the list leaves out", function()
      local ids, found, counts = { "a", "hidden", "missing", "b", "c", "d" }, {}, {}
      for id, result, err in resource:wait_all(ids, nil, quick { polling_interval = 0.05 * patience }) do
        found[id] = result and job_of(result).status or err.kind
      end
      local done = statuses.completed
      assert.same({ a = done, hidden = done, missing = "not_found", b = done, c = done, d = done }, found)
      for _, target in ipairs(seen(s, path, before)) do
        counts[target] = (counts[target] or 0) + 1
      end
      assert.same({ 1, 2, 3, 1 }, { counts["list 6"], counts["list 5"], counts["/hidden"], counts["/missing"] })
    end)

    it("fetches each by itself where the service refuses the list", function()
      local service <close>, other = start { lists = { every = 422 } }
      local count = 0
      for _, result in other:wait_all(ids_up_to(3), nil, quick { polling_interval = 0.05 }) do
        assert.equal("all of it", job_of(result).result)
        count = count + 1
      end
      assert.equal(3, count)
      assert.same({ "list 3" }, { seen(service, path)[1] })
      assert.equal(10, service:count())
    end)

    it("goes on where one of the lists fails", function()
      local service <close>, other = start { lists = { [2] = 500 } }
      local count = 0
      for _, result in other:wait_all(ids_up_to(102), nil, quick()) do
        assert.equal(statuses.completed, job_of(result).status)
        count = count + 1
      end
      assert.equal(102, count)
      assert.is_true(service:count() >= 7)
    end)

    it("refuses what is no array of ids or jobs", function()
      local ok, problem = pcall(resource.wait_all, resource, { id = "id-1" })
      assert.is_false(ok)
      assert.equal(("ids must be an array of ids or %ss, not one %s"):format(noun, noun), problem)
      assert.equal(before, s:count())
    end)
  end)
end

describe("client.parsing", function()
  local function start(options)
    local args = { path = "/api/v2/parse", statuses = UPPER, wrapper = "job" }
    for option, value in pairs(options or {}) do
      args[option] = value
    end
    local s = server.start(SERVICE, { args = args })
    return s, lists.client(s).parsing
  end

  local params = { expand = { "text_full" }, image_filenames = "a.png", project_id = "p" }
  local final = "expand=text_full&image_filenames=a.png&project_id=p"

  it("asks for what is to be expanded in the end only", function()
    local s <close>, parsing = start()
    local result = assert(parsing:wait("id-1", params, quick()))
    assert.equal("text", result.text_full)
    assert.equal("COMPLETED", result.job.status)
    assert.same({
      "/id-1?project_id=p",
      "/id-1?project_id=p",
      "/id-1?project_id=p",
      "/id-1?" .. final,
    }, seen(s, "/api/v2/parse"))
  end)

  it("runs a job with what is to be expanded among the options", function()
    local s <close>, parsing = start()
    local result = assert(
      parsing:run(
        { upload_file = { data = "%PDF", name = "a.pdf" }, configuration_id = "cfg-PARSE_AGENTIC", project_id = "p" },
        quick { expand = "text_full", image_filenames = "a.png" }
      )
    )
    assert.equal("text", result.text_full)
    local requests = s:requests()
    assert.equal("/api/v2/parse/upload?project_id=p", requests[1].target)
    assert.equal("/api/v2/parse/new?project_id=p", requests[2].target)
    assert.equal("/api/v2/parse/new?" .. final, requests[#requests].target)
  end)

  it("raises for a file that cannot be sent, at the caller's line, before anything is created", function()
    local s <close>, parsing = start()
    local ok, problem = pcall(parsing.run, parsing, { upload_file = "no such file.pdf" })
    assert.is_false(ok)
    assert.matches("parameter 'upload_file'", problem, 1, true)
    assert.equal(0, s:count())
  end)

  it("watches, and gives in the end what is to be expanded", function()
    local s <close>, parsing = start()
    local results = {}
    for result in parsing:watch("id-1", params, quick()) do
      results[#results + 1] = result
    end
    assert.equal(3, #results)
    assert.equal("PENDING", results[1].job.status)
    assert.equal("text", results[3].text_full)
    assert.equal(4, s:count())
  end)

  it("waits for many, and gives each in the end what is to be expanded", function()
    local s <close>, parsing = start { fates = { ["id-2"] = "CANCELLED" } }
    local texts, failed = {}, {}
    for id, result, err in parsing:wait_all({ { id = "id-1", status = "PENDING" }, "id-2", "id-3" }, params, quick()) do
      texts[id] = result and result.text_full
      failed[id] = err and err.kind
    end
    assert.same({ ["id-1"] = "text", ["id-3"] = "text" }, texts)
    assert.same({ ["id-2"] = "batch_cancelled" }, failed)
    assert.equal(6, s:count())
  end)

  it("has no option `fields` of waiting, for what it gives is more than the job", function()
    local s <close>, parsing = start()
    local ok, problem = pcall(parsing.wait, parsing, "id-1", nil, { fields = { "status" } })
    assert.is_false(ok)
    assert.equal("unknown option 'fields'", problem)
    assert.equal(0, s:count())
  end)
end)

describe("a task that waits for many jobs", function()
  it("ends with the error of on_poll, whichever of the lists it was called from", function()
    local s <close> = server.start(SERVICE, { args = { path = "/api/v2/parse", statuses = UPPER, wrapper = "job" } })
    local parsing = lists.client(s).parsing
    local problem = {}
    local options = quick {
      on_poll = function(job)
        if job.id == "id-150" then
          error(problem)
        end
      end,
    }
    local ok, err = pcall(function()
      for _ in parsing:wait_all(ids_up_to(250), nil, options) do
      end
    end)
    assert.is_false(ok)
    assert.equal(problem, err)
    assert.is_false(llama_cloud.is_error(err))
  end)
end)

-- Jobs of the sandbox that are not parse jobs, those of batches, and webhooks; over plain sockets.

local cjson = require("cjson")
local cqueues = require("cqueues")
local socket = require("cqueues.socket")

local asking = require("spec.support.asking")

local BATCHES = "/api/v2/batches"
local EXTRACT = "/api/v2/extract"
local CLASSIFY = "/api/v2/classify"
local SPLIT = "/api/v1/split/jobs"
local HOOKS = "/api/v1/beta/webhook-configs"
local null = cjson.null

local SCHEMA = {
  type = "object",
  properties = {
    name = { type = "string" },
    count = { type = "integer" },
    date = { type = "string", format = "date" },
    kind = { enum = { "a", "b" } },
    lines = { type = "array", items = { ["$ref"] = "#/$defs/line" } },
  },
  ["$defs"] = {
    line = { type = "object", properties = { amount = { anyOf = { { type = "number" }, { type = "null" } } } } },
  },
}

describe("the sandbox's jobs", function()
  local asked, start = asking.each_test { speed = 0.001, batches = 0 }

  local function batch_of(directory_id, type, more)
    local body = more or {}
    body.source_directory_id = directory_id
    body.config = { job = { type = type or "parse_v2", configuration_id = type and "cfg-1" or "cfg-PARSE_AGENTIC" } }
    return asked:post(BATCHES, body)
  end

  local function results_of(batch)
    return asked:get(BATCHES .. "/" .. batch.id .. "?expand=results").results
  end

  -- What a result refers to.
  local function job_of(result)
    local reference = result.job_reference
    local answer = asked:get((reference.type == "parse_v2" and "/api/v2/parse/" or EXTRACT .. "/") .. reference.id)
    return answer.job or answer
  end

  describe("of batches", function()
    it("are there for every file that was mapped", function()
      start()
      for _, type in ipairs { "parse_v2", "extract_v2" } do
        local batch = batch_of("dir-files-100", type)
        asked:advance(1e5)
        local counts = { COMPLETED = 0, FAILED = 0, unmapped = 0 }
        for _, result in ipairs(results_of(batch)) do
          if result.job_reference == null then
            counts.unmapped = counts.unmapped + 1
          else
            assert.equal(type, result.job_reference.type)
            local job = job_of(result)
            counts[job.status] = counts[job.status] + 1
          end
        end
        assert.equal(100, counts.COMPLETED + counts.FAILED + counts.unmapped)
        assert.is_true(counts.COMPLETED > 80 and counts.FAILED > 0)
      end
    end)

    it("that were there at the start, too", function()
      start { batches = 20, speed = 1 }
      for _, batch in ipairs(asked:get(BATCHES .. "?status=COMPLETED&page_size=3").items) do
        for _, result in ipairs(results_of(batch)) do
          if result.job_reference ~= null then
            assert.equal(batch.created_at, job_of(result).created_at)
          end
        end
      end
      assert.is_true(#asked:collect("/api/v2/parse?page_size=1000") > 50)
    end)

    it("come one after the other, and may run longer than the batch", function()
      start()
      local batch = batch_of("dir-files-100")
      assert.same({}, asked:get("/api/v2/parse").items)
      local seen, statuses, before = {}, {}, 0
      for _ = 1, 40 do
        asked:advance(1000)
        local status = asked:get(BATCHES .. "/" .. batch.id).status
        local jobs = asked:get("/api/v2/parse?page_size=1000").items
        assert.is_true(#jobs >= before)
        before = #jobs
        seen[status] = true
        for _, job in ipairs(jobs) do
          statuses[status .. " " .. job.status] = true
        end
      end
      assert.same({ PENDING = true, RUNNING = true, COMPLETED = true }, seen)
      assert.is_true(statuses["RUNNING COMPLETED"] and statuses["COMPLETED RUNNING"])
    end)

    it("are as the names of the files say, and have the contents of the files", function()
      start()
      local directory = asked:ask(201, "POST", "/api/v1/beta/directories", { name = "mine" })
      local names = {}
      for _, name in ipairs { "a.pdf", "b-fail.pdf", "c-unmapped.pdf", "d-stuck.pdf" } do
        local target = "/api/v1/beta/directories/" .. directory.id .. "/files/upload"
        local file = asked:upload(201, target, { { "upload_file", "bytes of " .. name, filename = name } })
        names[file.id] = name
      end
      local batch = batch_of(directory.id)
      asked:advance(1e5)
      local jobs = {}
      for _, result in ipairs(results_of(batch)) do
        local name = names[result.source_directory_file_id]
        jobs[name] = result.job_reference ~= null and job_of(result) or result
      end
      assert.equal("COMPLETED", jobs["a.pdf"].status)
      assert.equal("a.pdf", jobs["a.pdf"].name)
      assert.equal("FAILED", jobs["b-fail.pdf"].status)
      assert.equal("RUNNING", jobs["d-stuck.pdf"].status)
      assert.matches("%a", jobs["c-unmapped.pdf"].error_message)
      local configuration = { "configuration", '{"tier":"agentic","version":"latest"}' }
      local same =
        asked:upload(200, "/api/v2/parse/upload", { configuration, { "file", "bytes of a.pdf", filename = "x.pdf" } })
      asked:advance(1e5)
      local function text_of(id)
        return asked:get("/api/v2/parse/" .. id .. "?expand=text_full").text_full
      end
      assert.equal(text_of(same.id), text_of(jobs["a.pdf"].id))
    end)

    it("stop coming when the batch is cancelled", function()
      start()
      local batch = batch_of("dir-files-100")
      asked:advance(8000)
      asked:post(BATCHES .. "/" .. batch.id .. "/cancel")
      asked:advance(1e5)
      local results = results_of(batch)
      assert.is_true(#results > 0 and #results < 100)
      assert.is_true(#asked:get("/api/v2/parse?page_size=1000").items <= #results)
    end)

    it("are 100,000 if need be", function()
      start { speed = 1 }
      for _ = 1, 100 do
        batch_of("dir-files-1000")
      end
      asked:advance(1e5)
      local page = asked:get("/api/v2/parse?page_size=1000")
      assert.equal(1000, #page.items)
      local next_page = asked:get("/api/v2/parse?page_size=1000&page_token=" .. page.next_page_token)
      assert.not_equal(page.items[1000].id, next_page.items[1].id)
    end)
  end)

  describe("extract", function()
    local function extracted(configuration, expand, input)
      local job = asked:post(EXTRACT, { file_input = input or "file-pages-3", configuration = configuration })
      asked:advance(1e6)
      return asked:get(EXTRACT .. "/" .. job.id .. (expand and "?expand=" .. expand or "")), job
    end

    it("what a schema describes", function()
      start()
      local job, made = extracted { data_schema = SCHEMA }
      assert.equal("PENDING", made.status)
      assert.equal(null, made.extract_result)
      assert.equal("COMPLETED", job.status)
      local result = job.extract_result
      assert.is_string(result.name)
      assert.equal("integer", math.type(math.tointeger(result.count)))
      assert.matches("^%d%d%d%d%-%d%d%-%d%d$", result.date)
      assert.matches("^[ab]$", result.kind)
      assert.is_true(#result.lines > 0)
      assert.equal(null, job.extract_metadata)
      assert.equal(null, job.configuration)
      assert.equal(3, job.metadata.usage.num_pages_extracted)
    end)

    it("one object a page, or a row", function()
      start()
      assert.equal(3, #extracted({ data_schema = SCHEMA, extraction_target = "per_page" }).extract_result)
      local job = extracted({ data_schema = SCHEMA, extraction_target = "per_table_row" }, "extract_metadata")
      assert.equal(#job.extract_result, #job.extract_metadata.field_metadata.row_metadata)
    end)

    it("with citations, where they are asked for", function()
      start()
      local job = extracted({ data_schema = SCHEMA, cite_sources = true, confidence_scores = true }, "configuration")
      local told = job.extract_metadata.field_metadata.document_metadata
      assert.equal(job.extract_result.name, told.name.citation[1].matching_text)
      assert.is_number(told.name.confidence)
      assert.is_table(told.lines[1].amount)
      assert.is_true(job.configuration.cite_sources)
      local usage = extracted({ data_schema = SCHEMA }, "usage&expand=extract_metadata").usage
      assert.equal(usage.credits, usage.extract_credits + usage.parse_credits)
    end)

    it("from a parse job that is completed", function()
      start()
      local parsed = asked:post("/api/v2/parse", { tier = "fast", version = "latest", file_id = "file-1" })
      local body = { file_input = parsed.id, configuration = { data_schema = SCHEMA } }
      assert.matches("PENDING", asked:ask(400, "POST", EXTRACT, body).detail)
      asked:advance(1e5)
      assert.equal("parse_job_id", asked:post(EXTRACT, body).document_input_type)
    end)

    it("only from what is there, with a configuration of one kind", function()
      start()
      local configuration = { data_schema = SCHEMA }
      asked:ask(404, "POST", EXTRACT, { file_input = "file-missing", configuration = configuration })
      local both = { file_input = "file-1", configuration = configuration, configuration_id = "cfg-1" }
      assert.matches("^value_error ", asked:problem("POST", EXTRACT, both))
      assert.matches("^value_error ", asked:problem("POST", EXTRACT, { file_input = "file-1" }))
      local no_object = { file_input = "file-1", configuration = { data_schema = { type = "array" } } }
      assert.matches("^value_error ", asked:problem("POST", EXTRACT, no_object))
      assert.equal("PENDING", asked:post(EXTRACT, { file_input = "dfl-1", configuration_id = "cfg-1" }).status)
    end)

    it("of so many pages and no more", function()
      start()
      for name, pages in pairs { ["file-pages-0"] = 1, ["file-pages-2000"] = 2000, ["file-pages-2001"] = 2000 } do
        local job = extracted({ data_schema = { properties = {} } }, nil, name)
        assert.equal(pages, job.metadata.usage.num_pages_extracted, name)
      end
    end)

    it("and are listed and deleted", function()
      start()
      local one, two = extracted { data_schema = SCHEMA }, extracted({ data_schema = SCHEMA }, nil, "file-2")
      local listed = asked:get(EXTRACT .. "?file_input=file-2&expand=extract_metadata").items
      assert.equal(1, #listed)
      assert.equal(two.id, listed[1].id)
      assert.is_table(listed[1].extract_metadata)
      assert.equal(null, listed[1].extract_result)
      assert.same({}, asked:get(EXTRACT .. "?status=THROTTLED").items)
      local _, answer = asked:ask(200, "DELETE", EXTRACT .. "/" .. one.id .. "?force=true")
      assert.equal("null", answer.body)
      asked:ask(404, "GET", EXTRACT .. "/" .. one.id)
    end)

    it("and check and make schemas", function()
      start()
      local schema = '{"properties":{"a":{"type":"string"}},"required":[],"type":"object"}'
      local target = EXTRACT .. "/schema/validation"
      local _, answer = asked:ask(200, "POST", target, '{"data_schema":' .. schema .. "}")
      assert.equal('{"data_schema":' .. schema .. "}", answer.body)
      assert.matches("^value_error ", asked:problem("POST", target, { data_schema = { type = "string" } }))
      local made = asked:post(EXTRACT .. "/schema/generate", { prompt = "vendor and amount", name = "mine" })
      assert.equal("mine", made.name)
      assert.equal("extract_v2", made.parameters.product_type)
      assert.is_table(made.parameters.data_schema.properties.vendor)
      assert.is_table(asked:post(EXTRACT .. "/schema/generate", "{}").parameters.data_schema)
    end)
  end)

  it("are as a saved configuration says, as it was when they were made", function()
    start()
    local function save(name, parameters)
      return asked:ask(201, "POST", "/api/v1/beta/configurations", { name = name, parameters = parameters }).id
    end
    local parse = { product_type = "parse_v2", tier = "fast", version = "latest" }
    local parsing = save("parsing", parse)
    local extracting = save("extracting", { product_type = "extract_v2", data_schema = SCHEMA })
    local config = { job = { type = "extract_v2", configuration_id = extracting } }
    local batch = asked:post(BATCHES, { source_directory_id = "dir-files-2", config = config })
    local extract = asked:post(EXTRACT, { file_input = "file-1", configuration_id = extracting })
    local job = asked:post("/api/v2/parse", { file_id = "file-1", configuration_id = parsing })
    parse.tier = "agentic"
    asked:ask(200, "PUT", "/api/v1/beta/configurations/" .. parsing, { parameters = parse })
    asked:advance(1e5)
    assert.equal("fast", asked:get("/api/v2/parse/" .. job.id).job.tier)
    for _, id in ipairs { extract.id, results_of(batch)[1].job_reference.id } do
      assert.matches("^[ab]$", asked:get(EXTRACT .. "/" .. id).extract_result.kind)
    end
    local wrong = { file_input = "file-1", configuration_id = parsing }
    assert.matches("parse_v2", asked:ask(400, "POST", EXTRACT, wrong).detail)
    config.job.type = "parse_v2"
    assert.matches(
      "extract_v2",
      asked:ask(400, "POST", BATCHES, {
        source_directory_id = "dir-1",
        config = config,
      }).detail
    )
    asked:ask(204, "DELETE", "/api/v1/beta/configurations/" .. extracting)
    wrong.configuration_id = "cfg-PARSE_AGENTIC"
    asked:ask(400, "POST", EXTRACT, wrong)
    wrong.configuration_id = extracting
    asked:ask(404, "POST", EXTRACT, wrong)
  end)

  it("are not made with a configuration whose id says that it is missing", function()
    start()
    local job = { type = "parse_v2", configuration_id = "cfg-missing" }
    for path, body in pairs {
      [BATCHES] = { source_directory_id = "dir-1", config = { job = job } },
      [EXTRACT] = { file_input = "file-1", configuration_id = "cfg-is-missing-here" },
      [CLASSIFY] = { file_input = "file-1", configuration_id = "cfg-missing" },
      [SPLIT] = { file_input = "file-1", configuration_id = "cfg-missing" },
      ["/api/v2/parse"] = { file_id = "file-1", configuration_id = "cfg-missing" },
    } do
      assert.equal("Configuration not found", asked:ask(404, "POST", path, body).detail, path)
    end
  end)

  local RULES = { { type = "invoice", description = "x" }, { type = "letter", description = "y" } }

  it("classify; a transaction id is good for one", function()
    start()
    local body = { file_input = "file-my-letter", configuration = { rules = RULES }, transaction_id = "t1" }
    local job = asked:post(CLASSIFY, body)
    assert.equal(null, job.result)
    body.file_input = "file-missing" -- is not looked at any more
    assert.equal(job.id, asked:post(CLASSIFY, body).id)
    assert.not_equal(
      job.id,
      asked:post(CLASSIFY .. "?project_id=other", {
        file_input = "file-1",
        configuration_id = "cfg-1",
        transaction_id = "t1",
      }).id
    )
    asked:advance(1e5)
    job = asked:get(CLASSIFY .. "/" .. job.id .. "?expand=usage")
    assert.is_true(job.usage.credits > 0)
    assert.equal("letter", job.result.type)
    assert.equal("t1", job.transaction_id)
    assert.equal("letter", job.configuration.rules[2].type)
    assert.equal(1, #asked:get(CLASSIFY .. "?configuration_id=cfg-1").items)
    asked:ask(400, "POST", CLASSIFY .. "/" .. job.id .. "/cancel")
    assert.same({ id = job.id, project_id = job.project_id }, asked:ask(200, "DELETE", CLASSIFY .. "/" .. job.id))
  end)

  it("split, in two families", function()
    start()
    local configuration = { categories = { { name = "a" }, { name = "b" } } }
    local body = { file_input = "file-pages-9", configuration = configuration, transaction_id = "t" }
    local job = asked:post(SPLIT, body)
    assert.equal("pending", job.status)
    assert.equal(job.id, asked:post(SPLIT, body).id)
    asked:advance(1600)
    assert.equal("processing", asked:get(SPLIT .. "/" .. job.id).status)
    asked:advance(1e5)
    assert.equal("completed", asked:get(SPLIT .. "?status=completed").items[1].status)
    local pages = {}
    for _, segment in ipairs(asked:get(SPLIT .. "/" .. job.id).result.segments) do
      assert.matches("^[ab]$", segment.category)
      for _, page in ipairs(segment.pages) do
        pages[#pages + 1] = math.tointeger(page)
      end
    end
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9 }, pages)
    local beta = "/api/v1/beta/split/jobs"
    local input = { type = "file_id", value = "file-1" }
    assert.same(input, asked:post(beta, { document_input = input, configuration = configuration }).document_input)
    assert.equal(2, #asked:get(beta).items)
    local parsed = asked:post("/api/v2/parse", { tier = "fast", version = "latest", file_id = "file-pages-9" })
    configuration.target_pages = "2,4-5"
    assert.equal(job.id, asked:post(SPLIT, body).id)
    body.transaction_id = nil
    assert.matches("parse jobs", asked:ask(400, "POST", SPLIT, body).detail)
    asked:advance(1e5)
    job = asked:post(SPLIT, { file_input = parsed.id, configuration = configuration })
    asked:advance(1e5)
    pages = {}
    for _, segment in ipairs(asked:get(SPLIT .. "/" .. job.id).result.segments) do
      table.move(segment.pages, 1, #segment.pages, #pages + 1, pages)
    end
    assert.same({ 2, 4, 5 }, pages)
    asked:ask(405, "DELETE", beta .. "/" .. job.id)
    asked:ask(200, "DELETE", SPLIT .. "/" .. job.id)
  end)

  it("tell when they went from state to state", function()
    start()
    asked:post("/api/v2/parse", { tier = "fast", version = "latest", file_id = "file-1" })
    asked:advance(1e5)
    local points = "/api/v1/job-data-points"
    local point = asked:get(points .. "?job_type=parse&status=COMPLETED&status=FAILED").items[1]
    local times = point.state_transitions
    assert.is_true(times.pending_at < times.running_at and times.running_at < times.completed_at)
    assert.equal(null, times.failed_at)
    assert.same({}, asked:get(points .. "?job_type=parse&status=FAILED").items)
    assert.same({}, asked:get(points .. "?job_type=parse&hours=1").items)
    assert.equal("missing Field required", asked:problem("GET", points))
  end)

  it("belong to projects", function()
    start()
    local projects = asked:get("/api/v1/projects")
    assert.is_true(#projects > 1 and projects[1].is_default)
    assert.same({ projects[2] }, asked:get("/api/v1/projects?project_name=" .. projects[2].name))
    assert.same(projects, (asked:collect("/api/v2/projects?page_size=2")))
    assert.same({}, asked:get("/api/v2/projects?organization_id=org-other").items)
    assert.same(projects[2], asked:get("/api/v2/projects/" .. projects[2].id))
    assert.same(projects[1], asked:get("/api/v1/projects/" .. projects[1].id))
    local job = asked:post("/api/v2/parse", { tier = "fast", version = "latest", file_id = "file-1" })
    assert.equal(projects[1].id, job.project_id)
    asked:ask(404, "GET", "/api/v2/projects/prj-none")
  end)

  it("leave screenshots of a file's pages", function()
    start()
    local attachments = "/api/v1/beta/attachments"
    local items = asked:collect(attachments .. "?source_id=dfl-pages-5&page_size=2")
    assert.equal(5, #items)
    assert.equal("screenshots/page_1.png", items[1].name)
    local address = asked:get(attachments .. "/screenshots%2Fpage_1.png?source_id=dfl-pages-5")
    local _, answer = asked:download(200, address.url)
    assert.equal(math.tointeger(items[1].size), #answer.body)
    asked:ask(404, "GET", attachments .. "/screenshots%2Fpage_9.png?source_id=dfl-pages-5")
    assert.equal("missing Field required", asked:problem("GET", attachments))
  end)

  describe("are told to webhooks", function()
    it("that are stored", function()
      start()
      assert.same({}, asked:get(HOOKS))
      local body = '{"webhook_url":"http://127.0.0.1:1/a","webhook_signing_secret":"secret","webhook_events":[]}'
      local first, answer = asked:ask(201, "POST", HOOKS, body)
      assert.is_true(first.has_secret)
      assert.is_nil(answer.body:find("signing", 1, true))
      local second = asked:ask(201, "POST", HOOKS, { webhook_url = "http://127.0.0.1:1/b" })
      local listed = asked:get(HOOKS)
      assert.same({ second.id, first.id }, { listed[1].id, listed[2].id })
      local target = HOOKS .. "/" .. first.id
      local changed = asked:ask(200, "PUT", target, '{"webhook_events":["x.y"],"webhook_signing_secret":null}')
      assert.is_false(changed.has_secret)
      assert.equal("http://127.0.0.1:1/a", changed.webhook_url)
      assert.same({ "x.y" }, asked:get(target).webhook_events)
      local page = asked:get("/api/v2/webhook-configs?page_size=1&include_total=true")
      assert.equal(2, page.total_size)
      assert.equal(1, #page.items)
      assert.equal(null, asked:get("/api/v2/webhook-configs").total_size)
      asked:ask(204, "DELETE", target)
      asked:ask(404, "GET", target)
      assert.equal(1, #asked:get(HOOKS))
    end)

    -- A receiver: `status` for each request in turn; returns what came, by name in lower case, the body as `body`.
    local function receive(listener, status)
      local connection = assert(listener:accept(20))
      connection:setmode("bn", "bn")
      local request = { line = connection:xread("*l", "bn", 20) }
      for line in
        function()
          return connection:xread("*l", "bn", 20)
        end
      do
        local name, value = line:match("^([^:]+): (.-)\r?$")
        if not name then
          break
        end
        request[name:lower()] = value
      end
      request.body = connection:xread(tonumber(request["content-length"], 10), "bn", 20)
      connection:xwrite(string.format("HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n", status), "bn", 20)
      connection:flush()
      connection:close()
      return request
    end

    local function listen()
      local listener = socket.listen { host = "127.0.0.1", port = 0 }
      assert(listener:listen(5))
      local _, _, port = listener:localname()
      return listener, string.format("http://127.0.0.1:%d", port)
    end

    it("that are given, signed, again after a failure, with all events or some", function()
      start { deliver_webhooks = true, speed = 10 }
      local listener, url = listen()
      local stored = asked:ask(201, "POST", HOOKS, {
        webhook_url = url .. "/stored",
        webhook_events = { "parse.success" },
      })
      local job = asked:post("/api/v2/parse", {
        tier = "fast",
        version = "latest",
        file_id = "file-pages-1",
        webhook_configuration_ids = { stored.id },
        webhook_configurations = {
          {
            webhook_url = url .. "/inline",
            webhook_signing_secret = "secret",
            webhook_headers = { ["X-Mine"] = "1", ["X-Value"] = "1\r\nX-Added: 1", ["X-Name: 1\r\nX-Added"] = "1" },
          },
        },
      })
      local first = receive(listener, 500)
      assert.equal("POST /inline HTTP/1.1", (first.line:gsub("\r$", "")))
      assert.equal("1", first["x-mine"])
      assert.same({}, { first["x-value"], first["x-name"], first["x-added"] }) -- with control characters: none
      assert.equal("parse.pending", first["x-webhook-event-type"])
      local digest = require("openssl.hmac").new("secret", "sha256"):final(first.body)
      local hex = digest:gsub(".", function(byte)
        return string.format("%02x", byte:byte())
      end)
      assert.equal("sha256=" .. hex, first["lc-signature"])
      local event = cjson.decode(first.body)
      assert.equal("PENDING", event.data.status)
      assert.equal(job.id, event.data.job_id)
      assert.equal(first["x-webhook-event-id"], event.event_id)
      -- The first one comes again; when, as seen from the others, depends on how fast all of this is.
      local got = {}
      for _ = 1, 4 do
        local request = receive(listener, 204)
        got[request.line:match("/(%a+)") .. " " .. request["x-webhook-event-type"]] = request.body
      end
      assert.equal(first.body, got["inline parse.pending"])
      assert.is_string(got["inline parse.running"])
      assert.is_string(got["inline parse.success"])
      assert.is_string(got["stored parse.success"])
      listener:close()
    end)

    it("when a batch or a job is cancelled, and never beyond this machine", function()
      start { deliver_webhooks = true }
      local listener, url = listen()
      local elsewhere = { webhook_url = "http://192.0.2.1/x", webhook_events = { "batch.pending" } }
      local batch = batch_of("dir-stuck", nil, { webhook_configurations = { { webhook_url = url }, elsewhere } })
      assert.equal("batch.pending", receive(listener, 200)["x-webhook-event-type"])
      asked:post(BATCHES .. "/" .. batch.id .. "/cancel")
      local last = cjson.decode(receive(listener, 200).body)
      assert.equal("batch.cancelled", last.event_type)
      assert.equal(batch.id, last.data.batch_id)
      local job = asked:post("/api/v2/parse", {
        tier = "fast",
        version = "latest",
        file_id = "file-1",
        webhook_configurations = { { webhook_url = url, webhook_events = { "parse.cancelled" } } },
      })
      asked:post("/api/v2/parse/" .. job.id .. "/cancel")
      assert.equal(job.id, cjson.decode(receive(listener, 200).body).data.job_id)
      local deadline, refused = cqueues.monotime() + 20, nil
      repeat
        for _, delivery in ipairs(asked.service:control("GET", "/webhooks").webhooks) do
          refused = delivery.url == "http://192.0.2.1/x" and delivery or refused
        end
      until refused or cqueues.monotime() > deadline
      assert.equal("not a loopback address", refused.error)
      listener:close()
    end)
  end)
end)

-- The sandbox's endpoints, over plain sockets: the client is no part of this.

local cjson = require("cjson")

local asking = require("spec.support.asking")
local plain_http = require("spec.support.plain_http")

local BATCHES = "/api/v2/batches"
local JOBS = "/api/v1/beta/batch-processing"
local PARSE = '{"source_directory_id":"%s","config":{"job":{"type":"parse_v2","configuration_id":"cfg-PARSE_AGENTIC"}}}'
local ID = "%-%x%x%x%x%x%x%x%x%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"

describe("the sandbox", function()
  local asked, start = asking.each_test()

  local function create(directory_id)
    return (asked:ask(200, "POST", BATCHES, PARSE:format(directory_id or "dir-mine")))
  end

  -- The first problem of a 422 as "query.page_size type message".
  local function problem(method, target, body)
    local first = asked:ask(422, method, target, body).detail[1]
    for index, step in ipairs(first.loc) do
      first.loc[index] = math.type(step) == "float" and string.format("%d", step) or step
    end
    return table.concat(first.loc, ".") .. " " .. first.type .. " " .. first.msg
  end

  describe("asks for a key", function()
    it("and takes any one by default", function()
      start()
      local body, answer = asked:ask(401, "GET", BATCHES, nil, { Authorization = false })
      assert.equal("Not authenticated", body.detail)
      assert.equal("Bearer", answer.headers["www-authenticate"])
      asked:ask(401, "GET", BATCHES, nil, { Authorization = "Basic abc" })
      asked:ask(401, "GET", BATCHES, nil, { Authorization = "Bearer " })
      asked:ask(200, "GET", BATCHES, nil, { Authorization = "Bearer anything" })
    end)

    it("or only the one it was given", function()
      start { api_key = "llx-right" }
      assert.equal(
        "Invalid API key",
        asked:ask(401, "GET", BATCHES, nil, { Authorization = "Bearer llx-wrong" }).detail
      )
      asked:ask(200, "GET", BATCHES, nil, { Authorization = "Bearer llx-right" })
    end)
  end)

  it("puts a different request id on each answer", function()
    start()
    local connection = plain_http.connect(asked.service.port)
    local first = connection:request("GET", BATCHES)
    local second = connection:request("GET", "/nothing")
    connection:close()
    assert.matches("^req_%x+$", first.headers["x-request-id"])
    assert.equal(404, second.status)
    assert.matches("^req_%x+$", second.headers["x-request-id"])
    assert.not_equal(first.headers["x-request-id"], second.headers["x-request-id"])
  end)

  it("says what is not there and what is not allowed", function()
    start()
    assert.equal("Not Found", asked:ask(404, "GET", "/api/v3/batches").detail)
    local body, refused = asked:ask(405, "DELETE", BATCHES)
    assert.equal("Method Not Allowed", body.detail)
    assert.equal("POST, GET", refused.headers.allow)
    local _, redirected = asked:ask(307, "GET", BATCHES .. "/?page_size=1")
    assert.equal(BATCHES .. "?page_size=1", redirected.headers.location)
  end)

  describe("lists v2 batches", function()
    it("in pages, newest first, each once", function()
      start { batches = 250 }
      local items, pages = asked:collect(BATCHES .. "?page_size=100")
      assert.equal(250, #items)
      assert.equal(3, pages)
      local seen = {}
      for index, batch in ipairs(items) do
        assert.is_nil(seen[batch.id])
        seen[batch.id] = true
        assert.is_true(index == 1 or batch.created_at < items[index - 1].created_at)
      end
      items, pages = asked:collect(BATCHES .. "?")
      assert.equal(250, #items)
      assert.equal(5, pages)
    end)

    it("with every field of the reference", function()
      start()
      local batch = asked:get(BATCHES .. "?page_size=1").items[1]
      assert.matches("^bat" .. ID, batch.id)
      assert.matches("^prj" .. ID, batch.project_id)
      assert.matches("^dir" .. ID, batch.source_directory_id)
      assert.matches("^%w+_v2$", batch.config.job.type)
      assert.matches("^cfg%-", batch.config.job.configuration_id)
      assert.matches("^%u+$", batch.status)
      assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$", batch.created_at)
      assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$", batch.updated_at)
      assert.equal(cjson.null, batch.results)
    end)

    it("the same for the same seed", function()
      local function ids(seed)
        start { seed = seed, batches = 20 }
        local found = {}
        for index, batch in ipairs(asked:get(BATCHES).items) do
          found[index] = batch.id
        end
        return table.concat(found, " ")
      end
      local first = ids(7)
      assert.equal(first, ids(7))
      assert.not_equal(first, ids(8))
    end)

    it("empty when there are none", function()
      start { batches = 0 }
      local _, answer = asked:ask(200, "GET", BATCHES)
      assert.equal('{"items":[],"next_page_token":null,"total_size":null}', answer.body)
    end)

    it("by status", function()
      start { batches = 500 }
      local counts, total = {}, 0
      for _, status in ipairs { "PENDING", "THROTTLED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED" } do
        local items = asked:collect(BATCHES .. "?page_size=50&status=" .. status)
        counts[status] = #items
        total = total + #items
        for _, batch in ipairs(items) do
          assert.equal(status, batch.status)
        end
      end
      assert.equal(500, total)
      assert.is_true(counts.FAILED > 5 and counts.CANCELLED > 5 and counts.COMPLETED > 400)
    end)

    it("by directory", function()
      start { batches = 300 }
      local all = asked:collect(BATCHES .. "?page_size=100")
      local wanted, expected = all[1].source_directory_id, 0
      for _, batch in ipairs(all) do
        expected = expected + (batch.source_directory_id == wanted and 1 or 0)
      end
      local found = asked:collect(BATCHES .. "?page_size=5&source_directory_id=" .. wanted)
      assert.equal(expected, #found)
      assert.same({}, asked:get(BATCHES .. "?source_directory_id=dir-mine").items)
      local made = create("dir-mine")
      assert.equal(made.id, asked:get(BATCHES .. "?source_directory_id=dir-mine").items[1].id)
    end)

    it("by time, bounds included", function()
      start { batches = 100 }
      local all = asked:get(BATCHES .. "?page_size=100").items
      local older, newer = all[60], all[40]
      local function between(after, before)
        return asked:get(
          string.format("%s?page_size=100&created_at_on_or_after=%s&created_at_on_or_before=%s", BATCHES, after, before)
        ).items
      end
      local found = between(older.created_at, newer.created_at)
      assert.equal(21, #found)
      assert.equal(newer.id, found[1].id)
      assert.equal(older.id, found[21].id)
      -- The same moment in another zone.
      local hour = tonumber(older.created_at:sub(12, 13), 10)
      if hour < 22 then
        local elsewhere = older.created_at:gsub("T%d%d", string.format("T%02d", hour + 2)):gsub("Z", "%%2B02:00")
        assert.equal(21, #between(elsewhere, newer.created_at))
      end
      assert.equal(100, #asked:get(BATCHES .. "?page_size=100&created_at_on_or_after=2020-02-29").items)
      assert.equal(0, #asked:get(BATCHES .. "?created_at_on_or_before=1500000000").items)
    end)

    it("going on where a page ended, whatever was made since", function()
      start { batches = 20 }
      local first = asked:get(BATCHES .. "?page_size=5")
      create()
      local second = asked:get(BATCHES .. "?page_size=50&page_token=" .. first.next_page_token)
      assert.equal(15, #second.items)
      assert.is_true(second.items[1].created_at < first.items[5].created_at)
    end)

    it("taking only tokens that belong to the list", function()
      start()
      local token = asked:get(BATCHES .. "?page_size=5").next_page_token
      asked:ask(200, "GET", BATCHES .. "?page_token=" .. token)
      for _, wrong in ipairs { "x", "", token .. "x", token:sub(1, -2) .. "%21", "AAAAAAAAAAAAAAAAAAAAAA" } do
        assert.equal("Invalid page token", asked:ask(400, "GET", BATCHES .. "?page_token=" .. wrong).detail)
      end
      assert.equal("Invalid page token", asked:ask(400, "GET", BATCHES .. "?status=FAILED&page_token=" .. token).detail)
    end)

    it("with a total where that is asked of the sandbox", function()
      start { batches = 30, total_size = true }
      local page = asked:get(BATCHES .. "?page_size=5")
      assert.equal(30, page.total_size)
      assert.equal(30, asked:get(BATCHES .. "?page_size=5&page_token=" .. page.next_page_token).total_size)
    end)

    it("in pages of at most 1,000", function()
      start { batches = 1200 }
      assert.equal(1000, #asked:get(BATCHES .. "?page_size=5000").items)
    end)

    it("refusing bad parameters as FastAPI does", function()
      start()
      assert.equal(
        "query.page_size int_parsing Input should be a valid integer, unable to parse string as an integer",
        problem("GET", BATCHES .. "?page_size=ten")
      )
      assert.equal(
        "query.page_size greater_than Input should be greater than 0",
        problem("GET", BATCHES .. "?page_size=0")
      )
      assert.equal(
        "query.status literal_error Input should be "
          .. "'PENDING', 'THROTTLED', 'RUNNING', 'COMPLETED', 'FAILED' or 'CANCELLED'",
        problem("GET", BATCHES .. "?status=")
      )
      for _, date in ipairs { "yesterday", "2026-02-29", "2026-13-01", "2026-01-01T25:00:00Z", "" } do
        assert.matches(
          "^query.created_at_on_or_after datetime_from_date_parsing ",
          problem("GET", BATCHES .. "?created_at_on_or_after=" .. date)
        )
      end
      local detail = asked:ask(422, "GET", BATCHES .. "?page_size=-1&status=x").detail
      assert.equal(2, #detail)
      asked:ask(200, "GET", BATCHES .. "?no_such_parameter=1&organization_id=o&project_id=p")
    end)
  end)

  describe("creates v2 batches", function()
    it("that go from PENDING over RUNNING to COMPLETED", function()
      start { speed = 0.001 }
      local made = create("dir-files-3")
      assert.equal("PENDING", made.status)
      assert.equal(made.id, asked:get(BATCHES .. "?page_size=1").items[1].id)
      asked:advance(3500)
      local batch = asked:get(BATCHES .. "/" .. made.id .. "?expand=results")
      assert.equal("RUNNING", batch.status)
      assert.equal(cjson.null, batch.results)
      assert.is_true(batch.updated_at > batch.created_at)
      asked:advance(20000)
      assert.equal("COMPLETED", asked:get(BATCHES .. "/" .. made.id).status)
      assert.equal(cjson.null, asked:get(BATCHES .. "/" .. made.id).results)
      assert.equal(3, #asked:get(BATCHES .. "/" .. made.id .. "?expand=results").results)
    end)

    it("as fast as asked for", function()
      start { speed = 1000 }
      local made = create("dir-files-1")
      local deadline = plain_http.now() + 5
      local status
      repeat
        status = asked:get(BATCHES .. "/" .. made.id).status
      until status == "COMPLETED" or plain_http.now() > deadline
      assert.equal("COMPLETED", status)
    end)

    it("whose directory says how they go", function()
      start { speed = 0.001 }
      local failing, throttled, stuck = create("dir-fail"), create("dir-throttle"), create("dir-stuck")
      asked:advance(4000)
      assert.equal("THROTTLED", asked:get(BATCHES .. "/" .. throttled.id).status)
      asked:advance(1000000)
      local batch = asked:get(BATCHES .. "/" .. failing.id .. "?expand=results")
      assert.equal("FAILED", batch.status)
      assert.equal(cjson.null, batch.results)
      assert.equal("COMPLETED", asked:get(BATCHES .. "/" .. throttled.id).status)
      assert.equal("RUNNING", asked:get(BATCHES .. "/" .. stuck.id).status)
    end)

    it("with results of which some are errors", function()
      start()
      local made = create("dir-files-500")
      asked:advance(1000)
      local references, errors = 0, 0
      for _, result in ipairs(asked:get(BATCHES .. "/" .. made.id .. "?expand=results").results) do
        assert.matches("^dfl" .. ID, result.source_directory_file_id)
        if result.job_reference == cjson.null then
          errors = errors + 1
          assert.matches("%a", result.error_message)
        else
          references = references + 1
          assert.equal(cjson.null, result.error_message)
          assert.equal("parse_v2", result.job_reference.type)
          assert.matches("^pjb" .. ID, result.job_reference.id)
        end
      end
      assert.equal(500, references + errors)
      assert.is_true(errors > 0 and errors < 50)
    end)

    it("keeping what was said, in the given project", function()
      start()
      local body = cjson.encode {
        source_directory_id = 'dir-"x" €',
        config = { job = { type = "extract_v2", configuration_id = "cfg-1" }, extra = 1 },
        webhook_configuration_ids = { "whc-1" },
        webhook_configurations = cjson.null,
        unknown = { 1 },
      }
      local made = asked:ask(200, "POST", BATCHES .. "?project_id=prj-mine", body)
      assert.equal('dir-"x" €', made.source_directory_id)
      assert.equal("prj-mine", made.project_id)
      assert.same({ job = { type = "extract_v2", configuration_id = "cfg-1" } }, made.config)
      assert.equal('dir-"x" €', asked:get(BATCHES .. "/" .. made.id).source_directory_id)
    end)

    it("only of directories that are there, of 1,000 files at most", function()
      start()
      assert.equal("Directory not found", asked:ask(404, "POST", BATCHES, PARSE:format("abc")).detail)
      assert.equal("Directory not found", asked:ask(404, "POST", BATCHES, PARSE:format("dir-missing")).detail)
      asked:ask(200, "POST", BATCHES, PARSE:format("dir-files-1000"))
      assert.matches("at most 1000", asked:ask(400, "POST", BATCHES, PARSE:format("dir-files-1001")).detail)
    end)

    it("refusing bad bodies as FastAPI does", function()
      start()
      assert.equal("body missing Field required", problem("POST", BATCHES))
      assert.matches("^body.%d+ json_invalid JSON decode error", problem("POST", BATCHES, '{"a":'))
      local object = "body model_attributes_type Input should be a valid dictionary or object to extract fields from"
      assert.equal(object, problem("POST", BATCHES, "[1]"))
      assert.equal(object, problem("POST", BATCHES, "null"))
      assert.equal("body.source_directory_id missing Field required", problem("POST", BATCHES, '{"config":{}}'))
      assert.equal(
        "body.source_directory_id string_type Input should be a valid string",
        problem("POST", BATCHES, '{"source_directory_id":null,"config":{}}')
      )
      assert.equal(
        "body.config.job missing Field required",
        problem("POST", BATCHES, '{"source_directory_id":"dir-1","config":{}}')
      )
      assert.equal(
        "body.config.job.type literal_error Input should be 'parse_v2' or 'extract_v2'",
        problem(
          "POST",
          BATCHES,
          '{"source_directory_id":"dir-1","config":{"job":{"type":"parse","configuration_id":"cfg-1"}}}'
        )
      )
      local with_hooks = PARSE:format("dir-1"):sub(1, -2) .. ',"webhook_configuration_ids":[1]}'
      assert.equal(
        "body.webhook_configuration_ids.0 string_type Input should be a valid string",
        problem("POST", BATCHES, with_hooks)
      )
      assert.equal(0, asked.service:stats().statuses["200"] or 0)
    end)
  end)

  describe("gets and cancels v2 batches", function()
    it("of any age", function()
      start { batches = 120 }
      for _, batch in ipairs(asked:get(BATCHES .. "?page_size=120").items) do
        assert.equal(batch.created_at, asked:get(BATCHES .. "/" .. batch.id).created_at)
      end
    end)

    it("that exist", function()
      start()
      local id = asked:get(BATCHES .. "?page_size=1").items[1].id
      local last = id:sub(-1)
      for _, unknown in ipairs { "bat-1", "x", id .. "0", id:sub(1, -2) .. (last == "0" and "1" or "0"), "%2e%2e" } do
        assert.equal("Batch not found", asked:ask(404, "GET", BATCHES .. "/" .. unknown).detail)
        assert.equal("Batch not found", asked:ask(404, "POST", BATCHES .. "/" .. unknown .. "/cancel").detail)
      end
      assert.equal(
        "query.expand.0 literal_error Input should be 'results'",
        problem("GET", BATCHES .. "/" .. id .. "?expand=all")
      )
    end)

    it("CANCELLED at once while they wait, a little later while they run", function()
      start { speed = 0.001 }
      local waiting, running = create(), create("dir-files-100")
      assert.equal("CANCELLED", asked:ask(200, "POST", BATCHES .. "/" .. waiting.id .. "/cancel").status)
      asked:advance(8000)
      assert.equal("RUNNING", asked:ask(200, "POST", BATCHES .. "/" .. running.id .. "/cancel").status)
      assert.equal("RUNNING", asked:ask(200, "POST", BATCHES .. "/" .. running.id .. "/cancel").status)
      asked:advance(1001)
      local batch = asked:get(BATCHES .. "/" .. running.id .. "?expand=results")
      assert.equal("CANCELLED", batch.status)
      assert.is_true(#batch.results > 0 and #batch.results < 100)
    end)

    it("but not when they are over", function()
      start { speed = 0.001 }
      local made = create()
      asked:advance(100000)
      local path = BATCHES .. "/" .. made.id .. "/cancel"
      assert.equal("Batch is already COMPLETED and cannot be cancelled", asked:ask(400, "POST", path).detail)
      local second = create()
      path = BATCHES .. "/" .. second.id .. "/cancel"
      asked:ask(200, "POST", path)
      assert.equal("Batch is already CANCELLED and cannot be cancelled", asked:ask(400, "POST", path).detail)
    end)
  end)

  describe("has v1 batch jobs", function()
    local function create_job(body)
      return (
        asked:ask(
          201,
          "POST",
          JOBS,
          body or '{"job_config":{"job_name":"parse_raw_file_job"},"directory_id":"dir-files-10"}'
        )
      )
    end

    it("listed by offset", function()
      start { jobs = 120 }
      local page = asked:get(JOBS)
      assert.equal(50, #page.items)
      assert.equal(120, page.total_size)
      assert.equal(cjson.null, page.next_page_token)
      local seen, offset = {}, 0
      repeat
        page = asked:get(string.format("%s?limit=50&offset=%d", JOBS, offset))
        for _, job in ipairs(page.items) do
          assert.is_nil(seen[job.id])
          seen[job.id] = true
        end
        offset = offset + #page.items
      until #page.items == 0
      assert.equal(120, offset)
    end)

    it("with every field of the reference", function()
      start()
      local job = asked:get(JOBS .. "?limit=1&status=completed").items[1]
      assert.matches("^bjb" .. ID, job.id)
      assert.equal(job.total_items, job.processed_items + job.failed_items + job.skipped_items)
      for _, name in ipairs { "created_at", "updated_at", "started_at", "completed_at", "effective_at" } do
        assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$", job[name], name)
      end
      for _, name in ipairs { "job_type", "project_id", "directory_id", "workflow_id", "job_record_id" } do
        assert.is_string(job[name], name)
      end
      assert.equal(cjson.null, job.error_message)
    end)

    it("filtered", function()
      start { jobs = 300 }
      for _, filter in ipairs { "status=failed", "job_type=classify", "status=cancelled&job_type=parse" } do
        local page = asked:get(JOBS .. "?limit=1000&" .. filter)
        assert.is_true(page.total_size > 0 and page.total_size < 300, filter)
        assert.equal(page.total_size, #page.items)
        for _, job in ipairs(page.items) do
          assert.equal(filter:match("^status=(%l+)") or job.status, job.status)
          assert.equal(filter:match("job_type=(%l+)") or job.job_type, job.job_type)
        end
      end
      local directory = asked:get(JOBS .. "?limit=1").items[1].directory_id
      local page = asked:get(JOBS .. "?limit=3&offset=1&directory_id=" .. directory)
      assert.is_true(page.total_size > 4)
      assert.equal(3, #page.items)
    end)

    it("refusing bad parameters", function()
      start()
      local least = "query.limit greater_than_equal Input should be greater than or equal to 1"
      assert.equal(least, problem("GET", JOBS .. "?limit=0"))
      assert.equal(
        "query.limit less_than_equal Input should be less than or equal to 1000",
        problem("GET", JOBS .. "?limit=1001")
      )
      assert.equal(
        "query.offset greater_than_equal Input should be greater than or equal to 0",
        problem("GET", JOBS .. "?offset=-1")
      )
      assert.matches("^query.job_type literal_error ", problem("GET", JOBS .. "?job_type=PARSE"))
      assert.matches("^query.status literal_error ", problem("GET", JOBS .. "?status=RUNNING"))
      assert.equal("Batch job not found", asked:ask(404, "GET", JOBS .. "/bjb-1").detail)
      assert.equal("Batch job not found", asked:ask(404, "GET", JOBS .. "/bjb-1/items").detail)
    end)

    it("created from a directory or from items", function()
      start()
      local job = create_job()
      assert.equal("pending", job.status)
      assert.equal("parse", job.job_type)
      assert.equal(10, job.total_items)
      local rules = '"rules":[{"type":"invoice","description":"An invoice"}]'
      local classify =
        '{"job_config":{"id":"a","project_id":"p","user_id":"u","status":"PENDING",%s},"item_ids":["f1","f2"]}'
      job = create_job(classify:format(rules))
      assert.equal("classify", job.job_type)
      assert.equal(2, job.total_items)
      assert.equal(cjson.null, job.directory_id)
      assert.equal("f2", asked:get(JOBS .. "/" .. job.id .. "/items").items[2].item_id)
      assert.equal("f2", asked:get(JOBS .. "/items/f2/processing-results").item_id)
      for _, body in ipairs { '{"job_config":{}}', '{"job_config":{},"directory_id":"dir-1","item_ids":["a"]}' } do
        assert.matches("^body value_error ", problem("POST", JOBS, body))
      end
      assert.equal(
        "body.job_config.ClassifyJob.id missing Field required",
        problem("POST", JOBS, '{"job_config":{"rules":[]},"directory_id":"dir-1"}')
      )
      assert.matches(
        "^body.page_size less_than_equal ",
        problem("POST", JOBS, '{"job_config":{},"directory_id":"dir-1","page_size":1001}')
      )
      assert.equal(
        "Directory not found",
        asked:ask(404, "POST", JOBS, '{"job_config":{},"directory_id":"dir-missing"}').detail
      )
    end)

    it("that run to their end, item by item", function()
      start { speed = 0.001 }
      local id = create_job().id
      local status = asked:get(JOBS .. "/" .. id)
      assert.equal("pending", status.job.status)
      assert.equal(0, status.progress_percentage)
      asked:advance(5000)
      status = asked:get(JOBS .. "/" .. id)
      assert.equal("running", status.job.status)
      assert.is_true(status.progress_percentage > 0 and status.progress_percentage < 100)
      local counts = {}
      for _, item in ipairs(asked:get(JOBS .. "/" .. id .. "/items").items) do
        counts[item.status] = (counts[item.status] or 0) + 1
      end
      assert.equal(1, counts.processing)
      assert.is_true(counts.pending > 0)
      asked:advance(20000)
      status = asked:get(JOBS .. "/" .. id)
      assert.equal("completed", status.job.status)
      assert.equal(100, status.progress_percentage)
    end)

    it("whose items are listed and have results", function()
      start()
      local id = create_job('{"job_config":{},"directory_id":"dir-files-230"}').id
      asked:advance(10000)
      local page = asked:get(JOBS .. "/" .. id .. "/items")
      assert.equal(100, #page.items)
      assert.equal(230, page.total_size)
      assert.equal(30, #asked:get(JOBS .. "/" .. id .. "/items?offset=200").items)
      local skipped = asked:get(JOBS .. "/" .. id .. "/items?limit=1000&status=skipped")
      assert.is_true(skipped.total_size > 0 and skipped.total_size < 50)
      assert.equal("already_processed", skipped.items[1].skip_reason)
      assert.equal(
        0,
        #asked:get(JOBS .. "/items/" .. skipped.items[1].item_id .. "/processing-results").processing_results
      )
      local done = asked:get(JOBS .. "/" .. id .. "/items?limit=1&status=completed").items[1]
      assert.matches("^dfl" .. ID, done.item_id)
      local results = asked:get(JOBS .. "/items/" .. done.item_id .. "/processing-results")
      assert.equal(done.item_name, results.item_name)
      assert.equal(1, #results.processing_results)
      local result = results.processing_results[1]
      assert.equal(done.item_id, result.item_id)
      assert.equal("parse", result.job_type)
      assert.equal(done.completed_at, result.processed_at)
      for _, name in ipairs { "result_id", "parameters_hash", "output_s3_path" } do
        assert.is_string(result[name], name)
      end
      local of_type = JOBS .. "/items/" .. done.item_id .. "/processing-results?job_type="
      assert.equal(0, #asked:get(of_type .. "classify").processing_results)
      assert.equal("Item not found", asked:ask(404, "GET", JOBS .. "/items/dfl-1/processing-results").detail)
      assert.matches("^query.status literal_error ", problem("GET", JOBS .. "/" .. id .. "/items?status=running"))
    end)

    it("that are cancelled once, with a body", function()
      start { speed = 0.001 }
      local id = create_job().id
      local path = JOBS .. "/" .. id .. "/cancel"
      assert.equal("body missing Field required", problem("POST", path))
      assert.equal("body.reason string_type Input should be a valid string", problem("POST", path, '{"reason":1}'))
      local answer = asked:ask(200, "POST", path, '{"reason":"too late"}')
      assert.same({ job_id = id, status = "cancelled", processed_items = 0, message = "Batch job cancelled" }, answer)
      assert.equal("cancelled", asked:get(JOBS .. "/" .. id).job.status)
      assert.equal("cancelled", asked:get(JOBS .. "/" .. id .. "/items").items[1].status)
      assert.equal("Batch job is already cancelled and cannot be cancelled", asked:ask(400, "POST", path, "{}").detail)
    end)
  end)
end)

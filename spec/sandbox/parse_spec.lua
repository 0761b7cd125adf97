-- Parse jobs of the sandbox, over plain sockets.

local cjson = require("cjson")

local asking = require("spec.support.asking")

local PARSE = "/api/v2/parse"
local null = cjson.null

describe("the sandbox's parse jobs", function()
  local asked, start = asking.each_test { speed = 0.001, batches = 0 }

  -- Creates a job for a file that is made up by its id.
  local function create(file_id, members)
    local body = { tier = "agentic", version = "latest", file_id = file_id }
    for name, value in pairs(members or {}) do
      body[name] = value
    end
    return asked:post(PARSE, body)
  end

  -- The same, long after.
  local function parsed(file_id, members, expand)
    local job = create(file_id, members)
    asked:advance(10 * 24 * 3600)
    return asked:get(PARSE .. "/" .. job.id .. "?expand=" .. expand), job
  end

  local function upload(name, bytes, configuration)
    configuration = configuration or '{"tier":"agentic","version":"latest"}'
    return asked:upload(
      200,
      PARSE .. "/upload",
      { { "configuration", configuration }, { "file", bytes, filename = name } }
    )
  end

  describe("go from PENDING over RUNNING", function()
    it("to COMPLETED", function()
      start()
      local job = create("file-1", { user_metadata = { colour = "blue" } })
      assert.matches("^pjb%-%x+%-", job.id)
      assert.equal("PENDING", job.status)
      assert.equal("file-1.pdf", job.name)
      assert.equal("agentic", job.tier)
      assert.same({ colour = "blue" }, job.user_metadata)
      assert.equal(null, job.usage)
      asked:advance(1600)
      local answer = asked:get(PARSE .. "/" .. job.id .. "?expand=text")
      assert.equal("RUNNING", answer.job.status)
      assert.equal(null, answer.text)
      asked:advance(5000)
      answer = asked:get(PARSE .. "/" .. job.id .. "?expand=usage,job_metadata")
      assert.equal("COMPLETED", answer.job.status)
      assert.is_true(answer.job.usage.credits >= 10)
      assert.equal("file-1.pdf", answer.job_metadata.file_name)
      assert.equal(null, answer.text)
    end)

    it("to what the file's name says", function()
      start()
      local failing, stuck = create("file-fail"), create("file-stuck")
      asked:advance(1e6)
      failing = asked:get(PARSE .. "/" .. failing.id).job
      assert.equal("FAILED", failing.status)
      assert.matches("%a", failing.error_message)
      assert.equal("RUNNING", asked:get(PARSE .. "/" .. stuck.id).job.status)
      assert.equal(
        "File not found",
        asked:ask(404, "POST", PARSE, { tier = "fast", version = "latest", file_id = "x" }).detail
      )
    end)

    it("to FAILED where more pages fail than the job allows", function()
      start()
      local control = { job_failure_conditions = { allowed_page_failure_ratio = 0.1 } }
      local answer = parsed("file-pages-2-bad-page", { processing_control = control }, "usage")
      assert.equal("FAILED", answer.job.status)
    end)

    it("to CANCELLED: what waits at once, what runs a moment later, what is over not at all", function()
      start()
      local waiting, running = create("file-1"), create("file-2-stuck")
      assert.equal("CANCELLED", asked:post(PARSE .. "/" .. waiting.id .. "/cancel").status)
      asked:advance(2000)
      assert.equal("RUNNING", asked:post(PARSE .. "/" .. running.id .. "/cancel").status)
      asked:advance(1001)
      assert.equal("CANCELLED", asked:get(PARSE .. "/" .. running.id).job.status)
      local refused = asked:ask(400, "POST", PARSE .. "/" .. running.id .. "/cancel")
      assert.equal("Parse job is CANCELLED and cannot be cancelled", refused.detail)
    end)
  end)

  it("are deleted when they are over", function()
    start { conflicts = true }
    local job = create("file-1")
    assert.matches("PENDING", asked:ask(409, "DELETE", PARSE .. "/" .. job.id).detail)
    asked:advance(1e5)
    assert.same({ id = job.id, project_id = job.project_id }, asked:ask(200, "DELETE", PARSE .. "/" .. job.id))
    asked:ask(404, "GET", PARSE .. "/" .. job.id)
    asked:ask(404, "DELETE", PARSE .. "/" .. job.id)
    assert.same({}, asked:get(PARSE).items)
  end)

  describe("are created", function()
    it("of a file, an address or an upload, and of nothing else", function()
      start()
      assert.equal("PENDING", create("file-1").status)
      local of_url =
        asked:post(PARSE, { tier = "fast", version = "latest", source_url = "https://example.com/a/b.pdf?c" })
      assert.equal("b.pdf", of_url.name)
      local uploaded = upload("c.pdf", "some bytes")
      assert.equal("c.pdf", uploaded.name)
      local neither = "value_error Value error, Exactly one of file_id and source_url must be given"
      assert.equal(neither, asked:problem("POST", PARSE, { tier = "fast", version = "latest" }))
      local both = { tier = "fast", version = "latest", file_id = "file-1", source_url = "https://example.com" }
      assert.equal(neither, asked:problem("POST", PARSE, both))
      assert.equal("missing Field required", asked:problem("POST", PARSE, { file_id = "file-1", version = "latest" }))
      local wrong_tier = { file_id = "file-1", tier = "x", version = "latest" }
      assert.matches("^literal_error ", asked:problem("POST", PARSE, wrong_tier))
    end)

    it("with the tier of a configuration", function()
      start()
      local job = asked:post(PARSE, { file_id = "file-1", configuration_id = "cfg-PARSE_FAST", version = "configured" })
      assert.equal("fast", job.tier)
    end)

    it("of a form that holds nothing unknown", function()
      start()
      local target, file = PARSE .. "/upload", { "file", "bytes", filename = "a.pdf" }
      local with_more = { "configuration", '{"tier":"fast","version":"latest","expand":["text"]}' }
      local refused = asked:upload(422, target, { with_more, file })
      assert.equal("extra_forbidden", refused.detail[1].type)
      refused = asked:upload(422, target, { { "configuration", '{"tier":"fast"}' }, file })
      assert.same({ "body", "version" }, refused.detail[1].loc)
      refused = asked:upload(422, target, { { "configuration", "{}" } })
      assert.same({ "body", "file" }, refused.detail[1].loc)
    end)
  end)

  it("tell their versions", function()
    start()
    local versions = asked:get(PARSE .. "/versions")
    for _, tier in ipairs { "fast", "cost_effective", "agentic", "agentic_plus" } do
      assert.equal(versions[tier][#versions[tier]], versions.latest[tier])
    end
  end)

  describe("have contents", function()
    it("that follow from the bytes of the file", function()
      start()
      local one, same, other = upload("a.pdf", "bytes"), upload("b.pdf", "bytes"), upload("c.pdf", "other bytes")
      asked:advance(1e5)
      local function text_of(job)
        return asked:get(PARSE .. "/" .. job.id .. "?expand=text_full").text_full
      end
      assert.equal(text_of(one), text_of(same))
      assert.not_equal(text_of(one), text_of(other))
    end)

    it("of every kind, with all that the reference names", function()
      start()
      local answer = parsed("file-pages-3.docx", nil, "text,markdown,markdown_full,items,metadata")
      assert.equal(3, #answer.text.pages)
      local page = answer.markdown.pages[1]
      assert.equal(1, page.page_number)
      assert.is_true(page.success)
      assert.matches("^# %u", page.markdown)
      assert.matches("Page 1", page.footer)
      assert.equal(null, page.line_numbers)
      assert.truthy(answer.markdown_full:find(page.markdown, 1, true))
      local items, seen, nulls = answer.items.pages[1], {}, 0
      assert.equal(612, items.page_width)
      assert.equal("inserted", items.revisions[1].type)
      for _, item in ipairs(items.items) do
        seen[item.type] = item
        assert.is_string(item.md)
        assert.is_number(item.bbox[1].confidence)
      end
      for _, name in ipairs { "text", "heading", "list", "table", "image", "code", "link", "header", "footer" } do
        assert.is_table(seen[name], name)
      end
      for _, row in ipairs(seen.table.rows) do
        for _, cell in ipairs(row) do
          nulls = nulls + (cell == null and 1 or 0)
        end
      end
      assert.is_true(nulls > 0)
      assert.equal("list", seen.list.items[3].type)
      assert.matches("^<table>", seen.table.html)
      local told = answer.metadata
      assert.equal(3, told.document.confidence_breakdown.total_pages)
      assert.is_number(told.pages[3].confidence)
    end)

    it("with the numbers of lines in UTF-16, where they are asked for", function()
      start()
      local members = { output_options = { markdown = { annotate_line_numbers = true } } }
      local page = parsed("file-1", members, "markdown").markdown.pages[1]
      local first = page.markdown:match("^[^\n]*")
      assert.same({ line_number = "1", start_index = 0, end_index = utf8.len(first) }, page.line_numbers[1])
      assert.equal(utf8.len(page.markdown), page.line_numbers[#page.line_numbers].end_index)
    end)

    it("and forms, where they are asked for", function()
      start()
      assert.equal(null, parsed("file-1", nil, "forms").forms)
      local answer = parsed("file-1", { processing_options = { forms = "enrich" } }, "forms")
      local form, kinds = answer.forms.pages[1].forms[1], {}
      for _, node in ipairs(form.json) do
        kinds[node.field or node.type] = node
      end
      for _, name in ipairs { "text", "checkbox", "single_select", "multi_select", "signature", "section", "table" } do
        assert.is_table(kinds[name], name)
      end
      assert.is_boolean(kinds.checkbox.value)
      assert.equal(null, kinds.table.rows[2][1])
      assert.equal("list", form.list.type)
    end)

    it("and pages that failed", function()
      start()
      local answer = parsed("file-pages-4-bad-page", nil, "markdown,items,text")
      assert.equal("COMPLETED", answer.job.status)
      for _, name in ipairs { "markdown", "items" } do
        local page = answer[name].pages[4]
        assert.is_false(page.success)
        assert.equal(4, page.page_number)
        assert.matches("%a", page.error)
      end
      local failed = 0
      for _, page in ipairs(parsed("file-pages-500", nil, "markdown").markdown.pages) do
        failed = failed + (page.success and 0 or 1)
      end
      assert.is_true(failed > 0 and failed < 50)
    end)

    it("only of the pages that were asked for", function()
      start()
      local function numbers(ranges)
        local found = {}
        for index, page in ipairs(parsed("file-pages-9", { page_ranges = ranges }, "text").text.pages) do
          found[index] = string.format("%d", page.page_number)
        end
        return table.concat(found, " ")
      end
      assert.equal("1 2", numbers { max_pages = 2 })
      assert.equal("1 3 7 8 9", numbers { target_pages = "3,1,7-12", max_pages = 1 })
      local twice = { tier = "fast", version = "latest", file_id = "file-1", page_ranges = { target_pages = "1-3,2" } }
      assert.matches("Page 2 is given twice", asked:problem("POST", PARSE, twice))
    end)

    it("but no markdown and no items in the fast tier", function()
      start()
      local job = create("file-1", { tier = "fast" })
      asked:advance(1e5)
      local answer = asked:ask(400, "GET", PARSE .. "/" .. job.id .. "?expand=text&expand=markdown")
      assert.equal("Markdown expansion is not available for FAST tier jobs.", answer.detail)
      asked:get(PARSE .. "/" .. job.id .. "?expand=text")
    end)

    it("and nothing that is unknown", function()
      start()
      local job = create("file-1")
      assert.matches("^literal_error ", asked:problem("GET", PARSE .. "/" .. job.id .. "?expand=text,poem"))
    end)
  end)

  describe("keep images", function()
    local function images(members, more)
      local answer = parsed("file-pages-1", members, "images_content_metadata" .. (more or ""))
      return answer.images_content_metadata
    end

    it("of the kinds that were asked for", function()
      start()
      local kept = images()
      assert.equal(1, kept.total_count)
      assert.equal("layout", kept.images[1].category)
      assert.equal(0, images({ output_options = { images_to_save = cjson.decode("[]") } }).total_count)
      kept = images { output_options = { images_to_save = { "screenshot", "embedded" } } }
      assert.equal(2, kept.total_count)
      assert.equal("page_1.png", kept.images[1].filename)
      assert.equal(null, kept.images[1].size_bytes)
      assert.same({ x = 0, y = 0, w = 612, h = 792 }, kept.images[1].bbox)
    end)

    it("that are PNGs", function()
      start()
      local image = images().images[1]
      local bytes, answer = asked:download(200, image.presigned_url)
      assert.equal("image/png", answer.headers["content-type"])
      assert.equal("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", bytes:sub(1, 16))
      assert.equal("IEND\xae\x42\x60\x82", bytes:sub(-8))
    end)

    it("of which some can be named", function()
      start()
      local members = { output_options = { images_to_save = { "screenshot", "embedded", "layout" } } }
      local kept = images(members, "&image_filenames=page_1.png%2C%20page_1_1.png%2Cnone.png")
      assert.equal(3, kept.total_count)
      assert.equal(2, #kept.images)
    end)
  end)

  describe("have files behind presigned addresses", function()
    local NAMES = { "text", "text_full", "markdown", "markdown_full", "items", "metadata", "forms", "raw_words" }
    table.move({ "xlsx", "output_pdf", "stripped_markdown", "concatenated_stripped_markdown" }, 1, 4, #NAMES + 1, NAMES)
    local EXPAND = table.concat(NAMES, "_content_metadata,") .. "_content_metadata"

    it("that are as long as they say", function()
      start()
      local answer = parsed("file-pages-2", {
        processing_options = { forms = "enrich" },
        output_options = {
          additional_outputs = { "stripped_md", "concatenated_stripped_txt", "word_bbox" },
          granular_bboxes = { "word" },
          save_output_pdf = true,
          tables_as_spreadsheet = { enable = true },
        },
      }, EXPAND)
      local begins = { xlsx = "PK", outputPDF = "%PDF", md = "# ", json = '{"pages":' }
      local count = 0
      for name, file in pairs(answer.result_content_metadata) do
        local _, downloaded = asked:download(200, file.presigned_url)
        assert.is_true(file.exists)
        assert.equal(file.size_bytes, #downloaded.body)
        assert.equal(begins[name] or downloaded.body:sub(1, 1), downloaded.body:sub(1, #(begins[name] or "x")))
        count = count + 1
      end
      assert.equal(#NAMES + 1, count) -- grounded_items comes with items
    end)

    it("that say so where they were not made", function()
      start()
      local answer = parsed("file-pages-2", { tier = "fast" }, EXPAND)
      local files = answer.result_content_metadata
      for _, name in ipairs { "md", "json", "xlsx", "outputPDF", "forms", "rawWords", "strippedMd" } do
        assert.same({ exists = false, size_bytes = 0, presigned_url = null }, files[name])
      end
      assert.is_true(files.fullText.exists)
      assert.is_nil(files.grounded_items)
    end)

    it("that are good for some time, and only as they are", function()
      start { presigned_seconds = 60 }
      local answer, job = parsed("file-1", nil, "markdown_content_metadata")
      local url = answer.result_content_metadata.md.presigned_url
      asked:download(200, url)
      asked:ask(400, "GET", url:match("^http://[^/]+(/.*)$"))
      asked:download(400, (url:gsub("%%2b", "%%2B", 1)))
      asked:advance(61)
      asked:download(403, url)
      answer = asked:get(PARSE .. "/" .. job.id .. "?expand=markdown_content_metadata")
      url = answer.result_content_metadata.md.presigned_url
      asked:download(200, url)
      asked:ask(200, "DELETE", PARSE .. "/" .. job.id)
      asked:download(404, url)
    end)
  end)

  describe("are listed", function()
    it("newest first, in pages, by status and by time", function()
      start()
      local jobs = {}
      for index = 1, 7 do
        jobs[index] = create(index % 2 == 0 and "file-fail" or "file-1")
        asked:advance(1)
      end
      local items, pages = asked:collect(PARSE .. "?page_size=3")
      assert.equal(7, #items)
      assert.equal(3, pages)
      for index, job in ipairs(items) do
        assert.equal(jobs[8 - index].id, job.id)
      end
      assert.equal(0, #asked:get(PARSE .. "?status=COMPLETED").items)
      asked:advance(1e5)
      assert.equal(4, #asked:get(PARSE .. "?status=COMPLETED").items)
      local range = "?created_at_on_or_after=%s&created_at_on_or_before=%s"
      items = asked:get(PARSE .. range:format(jobs[3].created_at, jobs[5].created_at)).items
      assert.equal(3, #items)
      assert.equal(jobs[5].id, items[1].id)
    end)

    it("by their ids, with those of batches among them", function()
      start()
      local job, other = create("file-1"), create("file-2")
      local config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_FAST" } }
      local batch = asked:post("/api/v2/batches", { source_directory_id = "dir-files-3", config = config })
      asked:advance(1e5)
      local ids = { job.id, "pjb-none", job.id }
      for _, result in ipairs(asked:get("/api/v2/batches/" .. batch.id .. "?expand=results").results) do
        ids[#ids + 1] = result.job_reference ~= null and result.job_reference.id or nil
      end
      local items, pages = asked:collect(PARSE .. "?page_size=2&job_ids=" .. table.concat(ids, "&job_ids="))
      assert.equal(#ids - 2, #items)
      assert.is_true(pages > 1)
      assert.equal(job.id, items[#items].id)
      assert.equal("fast", items[1].tier)
      assert.same({ other.id }, { asked:get(PARSE .. "?job_ids=" .. other.id).items[1].id })
    end)
  end)
end)

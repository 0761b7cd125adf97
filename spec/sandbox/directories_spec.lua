-- The sandbox's directories, their files, and configurations, over plain sockets: the client is no part of this.

local cjson = require("cjson")

local asking = require("spec.support.asking")
local plain_http = require("spec.support.plain_http")

local DIRECTORIES = "/api/v1/beta/directories"
local CONFIGURATIONS = "/api/v1/beta/configurations"
local BATCHES = "/api/v2/batches"
local PARSE = '{"source_directory_id":"%s","config":{"job":{"type":"parse_v2","configuration_id":"cfg-PARSE_AGENTIC"}}}'
local TIME = "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$"

describe("the sandbox", function()
  local asked, start = asking.each_test()

  local function make(name, more)
    return (asked:ask(201, "POST", DIRECTORIES, string.format('{"name":"%s"%s}', name, more or "")))
  end

  -- Uploads into a directory; `parts` are texts by name.
  local function upload(status, directory_id, filename, bytes, parts)
    local list = { { "upload_file", bytes or "bytes", filename = filename } }
    for name, text in pairs(parts or {}) do
      table.insert(list, 1, { name, text })
    end
    return asked:upload(status, DIRECTORIES .. "/" .. directory_id .. "/files/upload", list)
  end

  local function files(directory_id, query)
    return asked:get(DIRECTORIES .. "/" .. directory_id .. "/files?" .. (query or "")).items
  end

  -- One field of each item.
  local function all(items, field)
    local values = {}
    for index, item in ipairs(items) do
      values[index] = item[field]
    end
    return table.concat(values, " ")
  end

  local function problem(method, target, body)
    local first = asked:ask(422, method, target, body).detail[1]
    return table.concat(first.loc, ".") .. " " .. first.type
  end

  describe("has directories", function()
    it("with every field of the reference", function()
      start()
      local made = make("invoices", ',"description":"of 2026","system_metadata":{"a":[],"b":{}},"unknown":1')
      assert.matches("^dir%-%x+%-", made.id)
      assert.matches("^prj%-", made.project_id)
      assert.equal("invoices", made.name)
      assert.equal("user", made.type)
      assert.equal("of 2026", made.description)
      assert.matches(TIME, made.created_at)
      assert.equal(made.created_at, made.updated_at)
      for _, name in ipairs { "deleted_at", "expires_at", "connector_subscription_id" } do
        assert.equal(cjson.null, made[name], name)
      end
      local _, answer = asked:ask(200, "GET", DIRECTORIES .. "/" .. made.id)
      assert.matches('"system_metadata":{"a":[],"b":{}}', answer.body, 1, true)
      assert.same(made, cjson.decode(answer.body))
    end)

    it("whose names are unique in their project, or not", function()
      start()
      local first = make("a")
      assert.matches("'a' already exists", asked:ask(409, "POST", DIRECTORIES, '{"name":"a"}').detail)
      asked:ask(201, "POST", DIRECTORIES .. "?project_id=prj-other", '{"name":"a"}')
      asked:ask(204, "DELETE", DIRECTORIES .. "/" .. first.id)
      local second = make("a")
      assert.equal(second.id, asked:get(DIRECTORIES .. "?name=a").items[1].id)
      start { duplicate_directories = "add" }
      make("a")
      make("a")
      assert.equal(2, #asked:get(DIRECTORIES .. "?name=a").items)
    end)

    it("one for each subscription of a connector", function()
      start()
      local made = make("a", ',"connector_subscription_id":"sub-1"')
      local detail = asked:ask(409, "POST", DIRECTORIES, '{"name":"b","connector_subscription_id":"sub-1"}').detail
      assert.equal(made.id, detail.directory_id)
    end)

    it("listed in pages, newest first, and filtered", function()
      start()
      for index = 1, 5 do
        make("d" .. index, index % 2 == 0 and ',"type":"ephemeral"' or nil)
      end
      local page = asked:get(DIRECTORIES .. "?page_size=3")
      assert.equal("d5 d4 d3", all(page.items, "name"))
      make("d6")
      page = asked:get(DIRECTORIES .. "?page_size=3&page_token=" .. page.next_page_token)
      assert.equal("d2 d1", all(page.items, "name"))
      assert.equal(cjson.null, page.next_page_token)
      assert.equal("d4 d2", all(asked:get(DIRECTORIES .. "?type=ephemeral").items, "name"))
      assert.equal("d6 d5 d3 d1", all(asked:get(DIRECTORIES .. "?types=user&types=index").items, "name"))
      assert.equal("d3", all(asked:get(DIRECTORIES .. "?name=d3").items, "name"))
      assert.equal("", all(asked:get(DIRECTORIES .. "?project_id=prj-other").items, "name"))
      asked:ask(204, "DELETE", DIRECTORIES .. "/" .. asked:get(DIRECTORIES .. "?name=d3").items[1].id)
      assert.equal("", all(asked:get(DIRECTORIES .. "?name=d3").items, "name"))
      local deleted = asked:get(DIRECTORIES .. "?name=d3&include_deleted=true").items[1]
      assert.matches(TIME, deleted.deleted_at)
    end)

    it("changed and deleted", function()
      start()
      local made, other = make("a", ',"description":"x"'), make("b")
      local path = DIRECTORIES .. "/" .. made.id
      asked:advance(1)
      local changed = asked:ask(200, "PATCH", path, '{"name":"c"}')
      assert.equal("c", changed.name)
      assert.equal("x", changed.description)
      assert.is_true(changed.updated_at > changed.created_at)
      assert.equal(cjson.null, asked:ask(200, "PATCH", path, '{"description":null}').description)
      assert.equal("c", asked:ask(200, "PATCH", path, "{}").name)
      asked:ask(409, "PATCH", path, '{"name":"b"}')
      asked:ask(200, "PATCH", DIRECTORIES .. "/" .. other.id, '{"name":"a"}') -- which is free now
      upload(201, made.id, "1.pdf")
      asked:ask(204, "DELETE", path)
      assert.equal("Directory not found", asked:ask(404, "DELETE", path).detail)
      assert.equal("Directory not found", asked:ask(404, "GET", path).detail)
      asked:ask(404, "GET", path .. "/files")
      asked:ask(404, "POST", BATCHES, PARSE:format(made.id))
      local uploads = asked.service:uploads()
      assert.equal(0, uploads.files)
      assert.same(
        { created = 2, deleted = 1, left = { { id = other.id, name = "a", files = 0 } } },
        uploads.directories
      )
    end)

    it("that expire", function()
      start()
      local made = make("a", ',"type":"ephemeral"')
      assert.is_true(made.expires_at > made.created_at)
      local given = make("b", ',"expires_at":"2999-12-31T00:00:00Z"')
      assert.equal("2999-12-31T00:00:00.000Z", given.expires_at)
      asked:advance(24 * 3600 + 1)
      asked:ask(404, "GET", DIRECTORIES .. "/" .. made.id)
      assert.equal("b", all(asked:get(DIRECTORIES).items, "name"))
      assert.equal(made.expires_at, asked:get(DIRECTORIES .. "?include_deleted=true").items[2].deleted_at)
      make("a")
    end)

    it("refusing what is wrong", function()
      start()
      assert.equal("body.name missing", problem("POST", DIRECTORIES, "{}"))
      assert.equal("body.name string_too_short", problem("POST", DIRECTORIES, '{"name":""}'))
      assert.equal("body.type literal_error", problem("POST", DIRECTORIES, '{"name":"a","type":"index"}'))
      assert.matches("^body.system_metadata ", problem("POST", DIRECTORIES, '{"name":"a","system_metadata":[]}'))
      assert.equal("query.include_deleted bool_parsing", problem("GET", DIRECTORIES .. "?include_deleted=x"))
      assert.equal("Invalid page token", asked:ask(400, "GET", DIRECTORIES .. "?page_token=x").detail)
    end)

    it("that nobody made: what their ids say is in them, to look at", function()
      start()
      assert.equal("dir-files-12", asked:get(DIRECTORIES .. "/dir-files-12").name)
      local page = asked:get(DIRECTORIES .. "/dir-files-12/files?page_size=5")
      assert.equal(5, #page.items)
      assert.equal("document-0012.pdf", page.items[1].display_name)
      page = asked:get(DIRECTORIES .. "/dir-files-12/files?page_size=50&page_token=" .. page.next_page_token)
      assert.equal(7, #page.items)
      assert.same(page.items[7], asked:get(DIRECTORIES .. "/dir-files-12/files/" .. page.items[7].id))
      local batch = asked:ask(200, "POST", BATCHES, PARSE:format("dir-files-12"))
      asked:advance(1000)
      local results = asked:get(BATCHES .. "/" .. batch.id .. "?expand=results").results
      assert.equal(page.items[7].id, results[1].source_directory_file_id)
      assert.matches("made up", upload(400, "dir-files-12", "a.pdf").detail)
      asked:ask(400, "PATCH", DIRECTORIES .. "/dir-files-12", "{}")
      asked:ask(404, "GET", DIRECTORIES .. "/dir-missing")
      asked:ask(404, "GET", DIRECTORIES .. "/dir-files-12/files/dfl-1")
      assert.equal(0, #asked:get(DIRECTORIES).items)
    end)
  end)

  describe("has files in directories", function()
    it("with every field of the reference", function()
      start()
      local directory = make("a")
      local entry = upload(201, directory.id, "x/ü.pdf", "123", {
        unique_id = "2026/ü.pdf",
        display_name = "Ü",
        external_file_id = "erp-1",
        metadata = '{"n":1,"t":"x","b":true,"z":null,"l":["a"],"e":[]}',
      })
      assert.matches("^dfl%-%x+%-", entry.id)
      assert.equal(directory.id, entry.directory_id)
      assert.equal(directory.project_id, entry.project_id)
      assert.equal("2026/ü.pdf", entry.unique_id)
      assert.equal("Ü", entry.display_name)
      assert.equal(1, entry.metadata.n)
      assert.equal(cjson.null, entry.metadata.z)
      assert.matches(TIME, entry.created_at)
      assert.equal(cjson.null, entry.deleted_at)
      assert.equal(cjson.null, entry.download_url)
      local path = DIRECTORIES .. "/" .. directory.id .. "/files/" .. entry.id
      assert.same({}, asked:get(path).metadata)
      assert.same(entry.metadata, asked:get(path .. "?expand=metadata").metadata)
      local shown = asked:get(path .. "?expand=metadata,download_url")
      local answer = plain_http.request(asked.service.port, "GET", shown.download_url.url:match("//[^/]*(/.*)$"), nil, {
        Authorization = false,
      })
      assert.equal("123", answer.body)
      local file = asked:get("/api/v1/beta/files/" .. entry.file_id)
      assert.equal("ü.pdf", file.name)
      assert.equal("erp-1", file.external_file_id)
    end)

    it("called after their file, unless they are called otherwise", function()
      start()
      local id = make("a").id
      local entry = upload(201, id, "a.pdf")
      assert.equal("a.pdf a.pdf", entry.unique_id .. " " .. entry.display_name)
      entry = upload(201, id, "a.pdf", "1", { external_file_id = "erp-1" })
      assert.equal("erp-1 a.pdf", entry.unique_id .. " " .. entry.display_name)
    end)

    it("whose unique_id is there already: refused, replaced, or added", function()
      start()
      local id = make("a").id
      upload(201, id, "a.pdf", "1")
      assert.matches("'a.pdf' already exists", upload(409, id, "a.pdf", "2").detail)
      local uploads = asked.service:uploads()
      assert.equal(2, uploads.total)
      assert.equal(2, uploads.by_unique_id["a.pdf"])
      assert.equal(1, uploads.bytes_kept)
      upload(201, make("b").id, "a.pdf")

      start { duplicates = "replace" }
      id = make("a").id
      local first = upload(201, id, "a.pdf", "1", { metadata = '{"a":1}' })
      asked:advance(1)
      local second = upload(201, id, "a.pdf", "22")
      assert.equal(first.id, second.id)
      assert.not_equal(first.file_id, second.file_id)
      assert.same({}, second.metadata)
      assert.equal(1, #files(id))
      assert.equal(2, asked.service:uploads().bytes_kept)

      start { duplicates = "add" }
      id = make("a").id
      upload(201, id, "a.pdf", "1")
      upload(201, id, "a.pdf", "2")
      assert.equal(2, #files(id, "unique_id=a.pdf"))
    end)

    it("added by the id of a file", function()
      start()
      local parts = { { "purpose", "parse" }, { "file", "1", filename = "a.pdf" } }
      local file = asked:upload(200, "/api/v1/beta/files", parts)
      local path = DIRECTORIES .. "/" .. make("a").id .. "/files"
      local entry = asked:ask(201, "POST", path, string.format('{"file_id":"%s","metadata":{"a":"b"}}', file.id))
      assert.equal(file.id, entry.file_id)
      assert.equal("a.pdf", entry.unique_id)
      assert.same({ a = "b" }, entry.metadata)
      asked:ask(409, "POST", path, string.format('{"file_id":"%s"}', file.id))
      asked:ask(201, "POST", path, string.format('{"file_id":"%s","unique_id":"2"}', file.id))
      assert.equal("File not found", asked:ask(404, "POST", path, '{"file_id":"file-x"}').detail)
      asked:ask(201, "POST", path, '{"file_id":"file-bytes-5000"}')
      asked:ask(204, "DELETE", path .. "/" .. entry.id)
      asked:get("/api/v1/beta/files/" .. file.id) -- which was not uploaded here, and stays
      local home = make("b").id
      local uploaded = upload(201, home, "b.pdf")
      entry = asked:ask(201, "POST", path, string.format('{"file_id":"%s"}', uploaded.file_id))
      asked:ask(204, "DELETE", path .. "/" .. entry.id)
      asked:get("/api/v1/beta/files/" .. uploaded.file_id)
      asked:ask(204, "DELETE", DIRECTORIES .. "/" .. home)
      asked:ask(404, "GET", "/api/v1/beta/files/" .. uploaded.file_id)
    end)

    it("listed in pages, and filtered", function()
      start()
      local id = make("a").id
      local made = {}
      for index = 1, 5 do
        made[index] = upload(201, id, "f" .. index .. ".pdf")
        asked:advance(10)
      end
      local page = asked:get(DIRECTORIES .. "/" .. id .. "/files?page_size=2")
      assert.equal("f5.pdf f4.pdf", all(page.items, "unique_id"))
      asked:ask(204, "DELETE", DIRECTORIES .. "/" .. id .. "/files/" .. made[4].id)
      page = asked:get(DIRECTORIES .. "/" .. id .. "/files?page_size=9&page_token=" .. page.next_page_token)
      assert.equal("f3.pdf f2.pdf f1.pdf", all(page.items, "unique_id"))
      for query, expected in pairs {
        ["unique_id=f2.pdf"] = "f2.pdf",
        ["unique_id=f4.pdf"] = "",
        ["unique_id=f4.pdf&include_deleted=1"] = "f4.pdf",
        ["display_name=f3.pdf"] = "f3.pdf",
        ["display_name=f3"] = "",
        ["display_name_contains=.pdf"] = "f5.pdf f3.pdf f2.pdf f1.pdf",
        ["display_name_contains=F5"] = "",
        ["file_id=" .. made[1].file_id] = "f1.pdf",
        ["updated_at_on_or_after=" .. made[3].updated_at] = "f5.pdf f3.pdf",
        ["updated_at_on_or_before=" .. made[2].updated_at] = "f2.pdf f1.pdf",
        ["unique_id=f2.pdf&display_name=f1.pdf"] = "",
      } do
        assert.equal(expected, all(files(id, query), "unique_id"), query)
      end
    end)

    it("changed, moved and deleted", function()
      start()
      local from, target = make("a").id, make("b").id
      local entry = upload(201, from, "a.pdf", "1", { metadata = '{"a":1,"b":2}' })
      upload(201, from, "b.pdf")
      upload(201, target, "c.pdf")
      local path = DIRECTORIES .. "/" .. from .. "/files/" .. entry.id
      local changed = asked:ask(200, "PATCH", path, '{"display_name":"x","metadata":{"c":3}}')
      assert.equal("x", changed.display_name)
      assert.same({ c = 3 }, changed.metadata)
      assert.same({ c = 3 }, asked:ask(200, "PATCH", path, '{"metadata":null}').metadata)
      assert.same({}, asked:ask(200, "PATCH", path, '{"metadata":{}}').metadata)
      asked:ask(409, "PATCH", path, '{"unique_id":"b.pdf"}')
      asked:ask(409, "PATCH", path, string.format('{"target_directory_id":"%s","unique_id":"c.pdf"}', target))
      for _, unfit in ipairs { "dir-missing", "dir-files-3" } do
        asked:ask(404, "PATCH", path, string.format('{"target_directory_id":"%s"}', unfit))
      end
      asked:ask(200, "PATCH", path, string.format('{"target_directory_id":"%s"}', target))
      asked:ask(404, "GET", path)
      assert.equal("b.pdf", all(files(from), "unique_id"))
      assert.equal("c.pdf a.pdf", all(files(target), "unique_id"))
      path = DIRECTORIES .. "/" .. target .. "/files/" .. entry.id
      asked:ask(204, "DELETE", path)
      assert.equal("Directory file not found", asked:ask(404, "DELETE", path).detail)
      assert.equal("File not found", asked:ask(404, "GET", "/api/v1/beta/files/" .. entry.file_id).detail)
      upload(201, target, "a.pdf") -- the id is free again
      local left = asked.service:uploads().directories.left
      assert.same({ { 1, from }, { 2, target } }, { { left[1].files, left[1].id }, { left[2].files, left[2].id } })
    end)

    it("refusing what is wrong", function()
      start()
      local id = make("a").id
      local function refused(parts)
        local first = upload(422, id, "a.pdf", "1", parts).detail[1]
        return table.concat(first.loc, ".") .. " " .. first.type
      end
      assert.equal("body.unique_id string_too_short", refused { unique_id = "" })
      assert.equal("body.display_name string_too_short", refused { display_name = "" })
      assert.equal("body.metadata json_invalid", refused { metadata = "{" })
      assert.equal("body.metadata dict_type", refused { metadata = "[]" })
      assert.equal("body.metadata dict_type", refused { metadata = '"x"' })
      assert.equal("body.metadata.a string_type", refused { metadata = '{"a":{"b":1}}' })
      assert.equal("body.metadata.a string_type", refused { metadata = '{"a":[1]}' })
      assert.equal("body.file_id missing", problem("POST", DIRECTORIES .. "/" .. id .. "/files", "{}"))
      assert.equal("Directory not found", upload(404, "dir-missing", "a.pdf").detail)
      assert.equal("Directory not found", upload(404, "x", "a.pdf").detail)
      assert.equal(0, asked.service:uploads().bytes_kept)
    end)
  end)

  describe("makes batches of what was uploaded", function()
    it("one result for each file", function()
      start()
      local id = make("a").id
      local expected = {}
      for index = 1, 4 do
        expected[upload(201, id, index .. ".pdf").id] = true
      end
      local deleted = upload(201, id, "x.pdf")
      asked:ask(204, "DELETE", DIRECTORIES .. "/" .. id .. "/files/" .. deleted.id)
      local batch = asked:ask(200, "POST", BATCHES, PARSE:format(id))
      upload(201, id, "later.pdf")
      asked:advance(1000)
      local results = asked:get(BATCHES .. "/" .. batch.id .. "?expand=results").results
      assert.equal(4, #results)
      for _, result in ipairs(results) do
        assert.is_true(expected[result.source_directory_file_id])
        expected[result.source_directory_file_id] = nil
      end
    end)

    it("that go as the directory's description says", function()
      start { speed = 0.001 }
      local batches = {}
      for index, word in ipairs { "fail", "stuck", "throttle" } do
        local id = make(word, string.format(',"description":"sandbox: %s"', word)).id
        upload(201, id, "a.pdf")
        batches[index] = asked:ask(200, "POST", BATCHES, PARSE:format(id)).id
      end
      asked:advance(4000)
      assert.equal("THROTTLED", asked:get(BATCHES .. "/" .. batches[3]).status)
      asked:advance(1000000)
      assert.equal("FAILED", asked:get(BATCHES .. "/" .. batches[1]).status)
      assert.equal("RUNNING", asked:get(BATCHES .. "/" .. batches[2]).status)
    end)

    it("of 1 to 1,000 files", function()
      start { keep = 0 }
      local id = make("a").id
      assert.equal("Directory contains no files", asked:ask(400, "POST", BATCHES, PARSE:format(id)).detail)
      local connection = plain_http.connect(asked.service.port)
      for index = 1, 1001 do
        local body, headers = plain_http.form { { "upload_file", "x", filename = index .. ".pdf" } }
        if index == 1001 then
          asked:ask(200, "POST", BATCHES, PARSE:format(id))
        end
        assert.equal(201, connection:request("POST", DIRECTORIES .. "/" .. id .. "/files/upload", body, headers).status)
      end
      connection:close()
      assert.matches("at most 1000", asked:ask(400, "POST", BATCHES, PARSE:format(id)).detail)
    end)
  end)

  describe("saves configurations", function()
    local function save(status, name, parameters)
      return (
        asked:ask(status, "POST", CONFIGURATIONS, string.format('{"name":"%s","parameters":%s}', name, parameters))
      )
    end

    local PARAMETERS = '{"product_type":"parse_v2","tier":"agentic","version":"latest"}'
    local CLASSIFY = '{"product_type":"classify_v2","rules":[{"type":"a","description":"b"}]}'

    it("once for each name and product", function()
      start()
      local first = save(201, "a", '{"product_type":"parse_v2","tier":"fast","version":"1","more":{"x":[]}}')
      assert.matches("^cfg%-%x+%-", first.id)
      assert.equal("parse_v2", first.product_type)
      assert.equal("fast", first.parameters.tier)
      for _, name in ipairs { "version", "created_at", "updated_at" } do
        assert.matches(TIME, first[name], name)
      end
      local second = save(200, "a", PARAMETERS)
      assert.equal(first.id, second.id)
      assert.is_true(second.version > first.version)
      assert.is_nil(second.parameters.more)
      assert.not_equal(first.id, save(201, "a", CLASSIFY).id)
      assert.same(second, asked:get(CONFIGURATIONS .. "/" .. first.id))
    end)

    it("listed, changed and deleted", function()
      start()
      local first, second = save(201, "a", PARAMETERS), save(201, "b", CLASSIFY)
      save(201, "c", PARAMETERS)
      local page = asked:get(CONFIGURATIONS .. "?page_size=2&latest_only=true")
      assert.equal("c b", all(page.items, "name"))
      page = asked:get(CONFIGURATIONS .. "?latest_only=true&page_token=" .. page.next_page_token)
      assert.equal("a", all(page.items, "name"))
      assert.equal(
        "c a",
        all(asked:get(CONFIGURATIONS .. "?product_type=parse_v2&product_type=split_v1").items, "name")
      )
      assert.equal("b", all(asked:get(CONFIGURATIONS .. "?name=b").items, "name"))
      assert.equal("", all(asked:get(CONFIGURATIONS .. "?project_id=prj-other").items, "name"))
      local path = CONFIGURATIONS .. "/" .. first.id
      assert.equal("d", asked:ask(200, "PUT", path, '{"name":"d"}').name)
      asked:ask(409, "PUT", path, '{"name":"c"}')
      asked:ask(400, "PUT", path, '{"parameters":' .. CLASSIFY .. "}")
      assert.equal("d", asked:ask(200, "PUT", path, "{}").name)
      asked:ask(204, "DELETE", path)
      asked:ask(404, "GET", path)
      asked:ask(404, "DELETE", path)
      assert.equal("c b", all(asked:get(CONFIGURATIONS).items, "name"))
      assert.equal("b", asked:get(CONFIGURATIONS .. "/" .. second.id).name)
    end)

    it("and has presets", function()
      start()
      local preset = asked:get(CONFIGURATIONS .. "/cfg-PARSE_AGENTIC")
      assert.equal("cfg-PARSE_AGENTIC", preset.id)
      assert.equal("agentic", preset.parameters.tier)
      assert.equal(0, #asked:get(CONFIGURATIONS).items)
      asked:ask(400, "PUT", CONFIGURATIONS .. "/cfg-PARSE_AGENTIC", "{}")
      asked:ask(400, "DELETE", CONFIGURATIONS .. "/cfg-PARSE_AGENTIC")
      asked:ask(404, "GET", CONFIGURATIONS .. "/cfg-PARSE_NOTHING")
    end)

    it("whose parameters fit their product", function()
      start()
      local EXTRACT_PAGES = "body.parameters.extract_v2.max_pages greater_than_equal"
      for parameters, expected in pairs {
        ["{}"] = "body.parameters union_tag_not_found",
        ["[]"] = "body.parameters model_attributes_type",
        ['{"product_type":"parse"}'] = "body.parameters union_tag_invalid",
        ['{"product_type":"parse_v2","version":"latest"}'] = "body.parameters.parse_v2.tier missing",
        ['{"product_type":"parse_v2","tier":"slow","version":"x"}'] = "body.parameters.parse_v2.tier literal_error",
        ['{"product_type":"extract_v2"}'] = "body.parameters.extract_v2.data_schema missing",
        ['{"product_type":"extract_v2","data_schema":{},"max_pages":0}'] = EXTRACT_PAGES,
        ['{"product_type":"classify_v2","rules":[]}'] = "body.parameters.classify_v2.rules too_short",
        ['{"product_type":"split_v1","categories":[{}]}'] = "body.parameters.split_v1.categories.0.name missing",
      } do
        local first = save(422, "a", parameters).detail[1]
        for index, step in ipairs(first.loc) do
          first.loc[index] = type(step) == "number" and string.format("%d", step) or step
        end
        assert.equal(expected, table.concat(first.loc, ".") .. " " .. first.type)
      end
      save(201, "a", '{"product_type":"extract_v2","data_schema":{}}')
      save(201, "a", '{"product_type":"unknown","anything":1}')
    end)
  end)
end)

-- What no well-behaved client sends to the sandbox: it answers all of it, and stays as it was. Over plain sockets.

local cjson = require("cjson")

local asking = require("spec.support.asking")
local locale = require("spec.support.locale")
local plain_http = require("spec.support.plain_http")

local FILES = "/api/v1/beta/files"
local DIRECTORIES = "/api/v1/beta/directories"
local CONFIGURATIONS = "/api/v1/beta/configurations"
local PARSE = "/api/v2/parse"
local EXTRACT = "/api/v2/extract"

describe("the sandbox", function()
  local asked, start = asking.each_test()

  local function directory(name)
    return asked:ask(201, "POST", DIRECTORIES, { name = name or "d" }).id
  end

  -- Uploads into a directory. Parts are `{ name, text }`, the file is called a.pdf.
  local function upload(status, directory_id, bytes, parts)
    local list = table.move(parts or {}, 1, #(parts or {}), 1, {})
    list[#list + 1] = { "upload_file", bytes, filename = "a.pdf" }
    return asked:upload(status, DIRECTORIES .. "/" .. directory_id .. "/files/upload", list)
  end

  -- The address of a file, without the host.
  local function address(file_id)
    return asked:get(FILES .. "/" .. file_id .. "/content").url:match("//[^/]*(/.*)$")
  end

  local function fetch(status, target, range)
    local _, answer = asked:ask(status, "GET", target, nil, { Authorization = false, Range = range })
    return answer
  end

  local function kept()
    return asked.service:uploads().bytes_kept
  end

  describe("reads forms", function()
    it("whose metadata looks like a file", function()
      start()
      local id = directory()
      upload(201, id, "12345", { { "metadata", '{"size":1,"data":"0123456789"}' } })
      assert.equal(5, kept())
      upload(201, id, "12345", { { "metadata", '{"size":1,"data":7}' }, { "unique_id", "b" } })
      assert.equal(10, kept())
    end)

    it("with bytes that begin like a boundary", function()
      start()
      local bytes = "a\r\n--form-boundaryx\r\n--form-boundary y\r\n--form-boundary-z\r\n--form-boundary \t-\r\n"
      local file = upload(201, directory(), bytes)
      assert.equal(bytes, fetch(200, address(file.file_id)).body)
      assert.equal(#bytes, kept())
    end)

    it("whose text is no UTF-8 as Latin-1", function()
      start()
      assert.equal("caf\u{e9}", upload(201, directory(), "x", { { "unique_id", "caf\xe9" } }).unique_id)
    end)

    it("with so much text and no more", function()
      start()
      local id, text = directory(), ("x"):rep(1 << 20)
      upload(201, id, "x", { { "a", text }, { "b", text } })
      local answer = upload(400, id, "x", { { "a", text }, { "b", text }, { "c", "x" } })
      assert.equal("Parts exceeded maximum size of 2048KB.", answer.detail)
      assert.equal(1, kept())
    end)

    it("with so many parts and no more", function()
      start { duplicates = "add" }
      local id, parts = directory(), {}
      for index = 1, 999 do
        parts[index] = { "part", "" }
      end
      upload(201, id, "x", parts)
      parts[1000] = parts[1]
      assert.equal("Too many parts.", upload(400, id, "x", parts).detail)
    end)

    it("and says what is wrong with a body that is no form", function()
      start()
      local head = "POST %s/%s/files/upload HTTP/1.1\r\nAuthorization: Bearer k\r\nContent-Type: text/plain\r\n%s\r\n"
      local id = directory()
      for more, status in pairs {
        ["Content-Length: 999999999999\r\n"] = 413,
        ["Transfer-Encoding: chunked\r\n\r\nzz\r\n"] = 400,
      } do
        local connection = plain_http.connect(asked.service.port)
        connection:send(head:format(DIRECTORIES, id, more))
        local answer, reason = connection:receive()
        assert.equal(status, answer and answer.status or reason)
        connection:close()
      end
    end)
  end)

  describe("serves files", function()
    it("of which ranges are asked that no integer can hold", function()
      start()
      local target = address("file-bytes-10")
      fetch(416, target, "bytes=99999999999999999999-")
      fetch(416, target, "bytes=99999999999999999999-5")
      assert.equal("bytes 5-9/10", fetch(206, target, "bytes=5-99999999999999999999").headers["content-range"])
      assert.equal("bytes 0-9/10", fetch(206, target, "bytes=-99999999999999999999").headers["content-range"])
    end)

    it("whole at any pace", function()
      start { faults = { "GET /presigned*: trickle=40000000" } }
      local body = fetch(200, address("file-bytes-300000")).body
      assert.equal(300000, #body)
    end)
  end)

  describe("refuses", function()
    it("numbers that JSON cannot hold", function()
      start()
      for _, value in ipairs { "NaN", "Infinity", "-Infinity", "0x10", "1e999", '{"a":[-1e999]}' } do
        asked:ask(422, "POST", DIRECTORIES, '{"name":"d","system_metadata":{"a":' .. value .. "}}")
      end
      asked:ask(422, "POST", DIRECTORIES, '{"name":1e999}')
    end)

    it("values of other types than texts", function()
      start()
      asked:ask(422, "POST", PARSE, '{"tier":"fast","version":"latest","file_id":"file-x","user_metadata":{"a":1}}')
      asked:ask(
        422,
        "POST",
        PARSE,
        '{"tier":"fast","version":"latest","file_id":"file-x","webhook_configurations":null}'
      )
      local hook = '{"webhook_url":"http://127.0.0.1/","webhook_headers":{"a":[]}}'
      asked:ask(422, "POST", "/api/v1/beta/webhook-configs", hook)
    end)

    it("parameters that are null", function()
      start()
      local problem = asked:problem("POST", CONFIGURATIONS, '{"name":"c","parameters":null}')
      assert.matches("^model_attributes_type ", problem)
      asked:ask(422, "POST", CONFIGURATIONS, '{"name":"c","parameters":[]}')
    end)

    it("rules and categories of which there are none", function()
      start()
      for path, configuration in pairs {
        ["/api/v2/classify"] = '{"rules":[]}',
        ["/api/v1/split/jobs"] = '{"categories":[]}',
      } do
        local body = '{"file_input":"file-x","configuration":' .. configuration .. "}"
        assert.matches("^too_short ", asked:problem("POST", path, body))
      end
    end)

    it("schemas and ranges of pages that are too large", function()
      start()
      local members = {}
      for index = 1, 5001 do
        members["m" .. index] = { type = "string" }
      end
      local deep = { type = "string" }
      for _ = 1, 8 do
        deep = { type = "array", items = deep }
      end
      local target = EXTRACT .. "/schema/validation"
      assert.matches("5000 properties", asked:problem("POST", target, { data_schema = { properties = members } }))
      assert.matches("7 levels deep", asked:problem("POST", target, { data_schema = { properties = { a = deep } } }))
      local pages =
        { tier = "fast", version = "latest", file_id = "file-x", page_ranges = { target_pages = "1-200000" } }
      assert.matches("Invalid page range", asked:problem("POST", PARSE, pages))
    end)

    it("to set the clock to where there are no dates", function()
      start()
      for _, seconds in ipairs { "1e300", "-1e300", "1e999", "NaN" } do
        asked:ask(422, "POST", "/__sandbox__/time", '{"advance":' .. seconds .. "}")
      end
      asked:get("/__sandbox__/time")
    end)
  end)

  describe("makes jobs", function()
    local function parse(status, members)
      members.tier, members.version, members.file_id = members.tier or "agentic", "latest", "file-pages-1"
      return (asked:ask(status, "POST", PARSE, members))
    end

    it("of parsing whose options are of other types", function()
      start { batches = 0 }
      for _, ratio in ipairs { "x", {}, 2 } do
        local conditions = { allowed_page_failure_ratio = ratio }
        parse(422, { processing_control = { job_failure_conditions = conditions } })
      end
      local job = parse(200, { output_options = { granular_bboxes = 5, images_to_save = 5 } })
      asked:advance(1000)
      asked:get(PARSE .. "/" .. job.id .. "?expand=raw_words_content_metadata&expand=images_content_metadata")
      asked:get(PARSE)
    end)

    it("of the fast tier, which refuse what comes first", function()
      start { batches = 0 }
      local job = parse(200, { tier = "fast" })
      local answer = asked:ask(400, "GET", PARSE .. "/" .. job.id .. "?expand=items&expand=markdown")
      assert.equal("Markdown expansion is not available for FAST tier jobs.", answer.detail)
    end)

    -- What a job with this schema extracts.
    local function extracted(schema)
      local body = '{"file_input":"file-x","configuration":{"data_schema":' .. schema .. ',"cite_sources":true}}'
      local job = asked:post(EXTRACT, body)
      asked:advance(1000)
      return asked:get(EXTRACT .. "/" .. job.id).extract_result
    end

    it("of schemas with members of other types", function()
      start { batches = 0 }
      assert.matches(
        "has no properties",
        asked:problem("POST", EXTRACT .. "/schema/validation", '{"data_schema":{"properties":[{"type":"string"}]}}')
      )
      for _, member in ipairs {
        '{"type":"integer","minimum":1e300}',
        '{"anyOf":5}',
        '{"properties":[{"type":"string"}]}',
        '{"$ref":"#/custom/x"}',
      } do
        assert.not_nil(extracted('{"properties":{"a":' .. member .. '},"custom":{"x":5}}').a, member)
      end
    end)

    it("of schemas that refer to themselves", function()
      start { batches = 0 }
      local members = {}
      for index = 1, 10 do
        members[index] = string.format('"m%d":{"$ref":"#/$defs/n"}', index)
      end
      local properties = '"properties":{' .. table.concat(members, ",") .. "}"
      local schema = string.format('{"type":"object",%s,"$defs":{"n":{"type":"object",%s}}}', properties, properties)
      assert.equal("table", type(extracted(schema).m1))
    end)
  end)

  it("finds what is left of files with one unique_id", function()
    start { duplicates = "add" }
    local id = directory()
    local first, second = upload(201, id, "1"), upload(201, id, "2")
    asked:ask(204, "DELETE", DIRECTORIES .. "/" .. id .. "/files/" .. second.id)
    local items = asked:get(DIRECTORIES .. "/" .. id .. "/files?unique_id=a.pdf").items
    assert.equal(1, #items)
    assert.equal(first.id, items[1].id)
  end)

  it("parses no files of directories that expired", function()
    start()
    local id = asked:ask(201, "POST", DIRECTORIES, { name = "d", type = "ephemeral" }).id
    local body = { tier = "fast", version = "latest", file_id = upload(201, id, "1").id }
    asked:post(PARSE, body)
    asked:advance(25 * 3600)
    assert.equal("File not found", asked:ask(404, "POST", PARSE, body).detail)
  end)

  it("replaces a file by itself without losing it", function()
    start { duplicates = "replace" }
    local id = directory()
    local file = upload(201, id, "bytes")
    local again = asked:ask(201, "POST", DIRECTORIES .. "/" .. id .. "/files", { file_id = file.file_id })
    assert.equal(file.id, again.id)
    assert.equal("bytes", fetch(200, address(file.file_id)).body)
  end)

  it("lists files by the filters of a body, whatever else is in it", function()
    start()
    local id = directory()
    upload(201, id, "1")
    upload(201, id, "2", { { "unique_id", "b" } })
    local page = asked:post(FILES .. "/query", '{"page_size":1,"filter":{"other":[{}],"file_ids":null}}')
    assert.equal(1, #page.items)
    local body = string.format('{"page_size":1,"filter":{"other":5},"page_token":"%s"}', page.next_page_token)
    assert.not_equal(page.items[1].id, asked:post(FILES .. "/query", body).items[1].id)
  end)

  it("creates nothing before what was there already", function()
    start { batches = 0 }
    local function request(path, body)
      local head = "POST %s HTTP/1.1\r\nAuthorization: Bearer k\r\nContent-Length: %d\r\n\r\n%s"
      return head:format(path, #body, body)
    end
    local job = request(PARSE, '{"tier":"fast","version":"latest","file_id":"file-x"}')
    local configuration = '{"type":"parse_v2","configuration_id":"cfg-x"}'
    local batch = request("/api/v2/batches", '{"source_directory_id":"dir-x","config":{"job":' .. configuration .. "}}")
    local connection = plain_http.connect(asked.service.port)
    connection:send(job:rep(60) .. batch)
    local last = ""
    for _ = 1, 61 do
      local created_at = cjson.decode(connection:receive().body).created_at
      assert.is_true(last < created_at, created_at)
      last = created_at
    end
    connection:close()
  end)

  it("keeps all digits of numbers", function()
    start()
    local numbers = '{"a":9007199254740993,"b":-9223372036854775808,"c":0.30000000000000004,"d":0.1,"e":1500000,"f":[]}'
    local _, answer = asked:ask(201, "POST", DIRECTORIES, '{"name":"d","system_metadata":' .. numbers .. "}")
    assert.is_truthy(answer.body:find(numbers, 1, true), answer.body)
    local more = '{"a":[1234567890123456789],"b":1234567890.1234567,"c":"1234567890123456789"}'
    _, answer = asked:ask(201, "POST", DIRECTORIES, '{"name":"e","system_metadata":' .. more .. "}")
    assert.is_truthy(answer.body:find(more, 1, true), answer.body)
  end)

  it("lists directories of any number of files", function()
    start()
    local path = DIRECTORIES .. "/dir-files-1000000000000/files?unique_id=none"
    assert.same({}, asked:get(path).items)
  end)

  it("is the same where an I has another small letter", function()
    local output, well = locale.run_turkish([[
      local multipart = require("llama_cloud.sandbox.multipart")
      local sandbox = require("llama_cloud.sandbox").new { batches = 0 }
      io.write(
        multipart.boundary("MULTIPART/FORM-DATA; BOUNDARY=I") or "none", " ",
        sandbox.configurations:find("cfg-PARSE_AGENTIC") and "found" or "missing"
      )
      sandbox:close()
    ]])
    if output == nil then
      return pending("no locale can be made here")
    end
    assert.equal("I found", output)
    assert.is_true(well)
  end)

  it("tells problems in one order", function()
    start()
    local refused = asked:upload(422, PARSE .. "/upload", {
      { "configuration", '{"tier":"fast","version":"latest","e":1,"d":1,"c":1,"b":1,"a":1}' },
      { "file", "x", filename = "a.pdf" },
    })
    local names = {}
    for index, problem in ipairs(refused.detail) do
      names[index] = problem.loc[3]
    end
    assert.same({ "a", "b", "c", "d", "e" }, names)
    assert.equal("null", cjson.encode(asked:get(FILES).next_page_token))
  end)
end)

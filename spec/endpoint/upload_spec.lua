-- Calls with a file: the bytes of their forms, what is refused before anything is sent, what is sent again.

local client_support = require("spec.support.client")
local files = require("spec.support.files")
local llama_cloud = require("llama_cloud")
local reconcile = require("llama_cloud.endpoint.reconcile")
local trial = require("spec.support.trial")

local raises_here = client_support.raises_here
local start = trial.start

local CREATED = { status = 201, body = '{"id":"dfl-1","unique_id":"u"}' }

local block = {}
for i = 0, 1023 do
  block[i + 1] = string.char((31 * i + 7 * (i // 256) + 11) % 256)
end
block = table.concat(block)

-- Any bytes, those of line breaks and boundaries among them.
local function generated(count)
  return block:rep(count // #block + 1):sub(1, count)
end

-- The body of a request with B in the place of its boundary.
local function plain_body(request)
  local boundary = request.headers["content-type"]:match("^multipart/form%-data; boundary=([^ ;]+)$")
  assert.is_string(boundary)
  return (request.body:gsub(boundary:gsub("%p", "%%%0"), "B"))
end

local function text_part(name, value)
  return ('--B\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'):format(name, value)
end

local function file_part(part, name, kind, bytes)
  local head = '--B\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\nContent-Type: %s\r\n\r\n'
  return head:format(part, name, kind) .. bytes .. "\r\n--B--\r\n"
end

describe("a call with a form", function()
  it("sends its text parts in order, and the file last, with a Content-Length", function()
    local bytes = generated(70000)
    local file <close> = files.temporary(bytes)
    local s <close>, client = start { CREATED }
    local value = assert(client.trial:upload("dir/1", {
      upload_file = { path = file.path, name = "invoices/März 1.pdf" },
      unique_id = "invoices/März 1.pdf",
      display_name = 'a "b"\r\nc',
      external_file_id = "",
      pages = 3.0,
      metadata = { k = "v", n = llama_cloud.null, list = { "a" } },
      project_id = "p",
    }))
    assert.equal("dfl-1", value.id)
    local request = s:requests()[1]
    assert.equal("POST /d/dir%2F1/files/upload?project_id=p", request.method .. " " .. request.target)
    local body = plain_body(request)
    local json = body:match('name="metadata"\r\n\r\n([^\r]*)')
    assert.same({ k = "v", n = llama_cloud.null, list = { "a" } }, llama_cloud.json.decode(json, { null = true }))
    assert.equal(
      text_part("display_name", 'a "b"\r\nc')
        .. text_part("unique_id", "invoices/März 1.pdf")
        .. text_part("pages", "3")
        .. text_part("metadata", json)
        .. file_part("upload_file", "März 1.pdf", "application/pdf", bytes),
      body
    )
    assert.equal(tostring(#request.body), request.headers["content-length"])
    assert.is_nil(request.headers["transfer-encoding"])
    assert.is_nil(request.headers.expect)
    assert.equal("application/json", request.headers.accept)
    assert.equal("Bearer " .. client_support.KEY, request.headers.authorization)
  end)

  it("spells names as browsers do", function()
    local s <close>, client = start { CREATED }
    local names = {
      { "a.pdf", "a.pdf", "application/pdf" },
      { 'x"y.PNG', "x%22y.PNG", "image/png" },
      { "x\ry\nz.txt", "x%0Dy%0Az.txt", "text/plain" },
      { "50%.docx", "50%.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document" },
      { "../../up.md", "up.md", "text/markdown" },
      { "C:\\dir\\file.csv", "file.csv", "text/csv" },
      { "naïve – ✓.unheard", "naïve – ✓.unheard", "application/octet-stream" },
      { ".hidden", ".hidden", "application/octet-stream" },
      { "no extension", "no extension", "application/octet-stream" },
      { "back\\slash'quote;semi.gif", "slash'quote;semi.gif", "image/gif" },
    }
    for _, name in ipairs(names) do
      assert(client.trial:put { upload_file = { data = "bytes", name = name[1] }, purpose = "parse" })
    end
    for index, request in ipairs(s:requests()) do
      local name = names[index]
      assert.equal(text_part("purpose", "parse") .. file_part("file", name[2], name[3], "bytes"), plain_body(request))
    end
  end)

  it("takes the name of a path, and the type that is given", function()
    local file <close> = files.temporary("x")
    local s <close>, client = start { CREATED }
    assert(client.trial:put { upload_file = file.path, purpose = "parse" })
    assert(client.trial:put {
      upload_file = { path = file.path, content_type = "text/x-mine; charset=utf-8" },
      purpose = "parse",
    })
    local base = file.path:match("[^/]*$")
    local requests = s:requests()
    assert.matches(file_part("file", base, "application/octet-stream", "x"), plain_body(requests[1]), 1, true)
    assert.matches(file_part("file", base, "text/x-mine; charset=utf-8", "x"), plain_body(requests[2]), 1, true)
  end)

  it("keeps its own Content-Type, whatever the headers say", function()
    local s <close>, client = start({ CREATED }, { default_headers = { ["content-type"] = "text/plain" } })
    local params = { upload_file = { data = "x", name = "a" }, purpose = "parse" }
    assert(client.trial:put(params, { headers = { ["CONTENT-Type"] = "application/json", ["X-Mine"] = "1" } }))
    assert(client.trial:put(params, { headers = { ["Content-Type"] = false } }))
    assert(client.trial:put(params, { headers = { ["Transfer-Encoding"] = "chunked", ["Content-Length"] = 3 } }))
    assert(client.trial:put(params))
    for _, request in ipairs(s:requests()) do
      assert.matches("^multipart/form%-data; boundary=[^ ,]+$", request.headers["content-type"])
      assert.matches('filename="a"', request.body, 1, true)
      assert.equal(tostring(#request.body), request.headers["content-length"])
      assert.is_nil(request.headers["transfer-encoding"])
    end
    assert.equal("1", s:requests()[1].headers["x-mine"])
  end)

  it("takes further parts from options.body", function()
    local s <close>, client = start { CREATED }
    assert(client.trial:put({ upload_file = { data = "x", name = "a" }, purpose = "parse" }, {
      body = { zeta = true, alpha = { 1 }, purpose = "extract", gone = llama_cloud.null },
    }))
    assert.equal(
      text_part("purpose", "extract")
        .. text_part("alpha", "[1]")
        .. text_part("zeta", "true")
        .. file_part("file", "a", "application/octet-stream", "x"),
      plain_body(s:requests()[1])
    )
  end)

  it("goes another way with a file than without, where that is declared", function()
    local s <close>, client = start { { body = '{"id":"pjb-1"}' } }
    local null = llama_cloud.null
    assert(client.trial:parse { tier = "agentic", file_id = "f", max = 2.0, project_id = "p" })
    assert(client.trial:parse { tier = "agentic", upload_file = null })
    local file = { data = "%PDF", name = "a.pdf" }
    assert(client.trial:parse({ tier = "agentic", version = null, upload_file = file, project_id = "p" }, {
      body = { more = { 1 } },
    }))
    local requests = s:requests()
    assert.equal("/parse?project_id=p", requests[1].target)
    assert.same({ tier = "agentic", file_id = "f", max = 2 }, llama_cloud.json.decode(requests[1].body))
    assert.same({ tier = "agentic", upload_file = nil }, llama_cloud.json.decode(requests[2].body))
    assert.equal("/parse/upload?project_id=p", requests[3].target)
    local body = plain_body(requests[3])
    local json = body:match('name="configuration"\r\n\r\n([^\r]*)')
    assert.same({ tier = "agentic", version = null, more = { 1 } }, llama_cloud.json.decode(json, { null = true }))
    assert.equal(text_part("configuration", json) .. file_part("file", "a.pdf", "application/pdf", "%PDF"), body)
  end)
end)

describe("a file argument that cannot be sent", function()
  local s, client

  setup(function()
    s, client = start { CREATED }
  end)

  teardown(function()
    s:stop()
  end)

  local function refuses(value, text)
    raises_here(function()
      local _ = client.trial:upload("d", { upload_file = value })
    end, text)
    raises_here(function()
      local _ = client.trial:parse { tier = "fast", upload_file = value }
    end, text)
  end

  it("raises at the caller's line, before anything is sent", function()
    local empty <close> = files.temporary("")
    refuses("/nonexistent/a.pdf", "parameter 'upload_file': ")
    refuses("/nonexistent/a.pdf", "/nonexistent/a.pdf")
    refuses("/tmp", "irectory")
    refuses("/dev/null", "no regular file")
    refuses(empty.path, "is empty")
    refuses({ path = empty.path }, "is empty")
    refuses({ data = "", name = "a" }, "is empty")
    refuses({ data = "x" }, "'data' needs a 'name'")
    refuses({ data = "x", name = "" }, "there is no file name in ''")
    refuses({ data = "x", name = "a/" }, "there is no file name in 'a/'")
    refuses({ data = "x", name = "a\\" }, "there is no file name in 'a\\'")
    refuses({ data = "x", name = "a/.." }, "there is no file name in 'a/..'")
    refuses({ data = "x", name = "a\0b" }, "the name contains a NUL")
    refuses({ data = "x", path = "y" }, "give either 'path' or 'data'")
    refuses({ name = "a" }, "give a path, or a table with 'path'")
    refuses({}, "give a path, or a table with 'path'")
    refuses("", "the path is empty")
    refuses("a\0b", "the path contains a NUL")
    refuses({ data = "x", name = "a", content_type = "a\nb" }, "'content_type' is empty, or contains a line break")
    refuses({ data = "x", nmae = "a" }, "unknown upload_file field 'nmae' (did you mean 'name'?)")
    refuses({ data = 1, name = "a" }, "upload_file field 'data' must be a string, not number")
    refuses(1, "parameter 'upload_file' must be a path, or a table with 'path', or with 'data' and 'name', not number")
    assert.equal(0, s:count())
  end)

  it("nor what else is wrong with the call", function()
    local file = { data = "x", name = "a" }
    local function raises(params, given, text)
      raises_here(function()
        local _ = client.trial:upload("d", params, given)
      end, text)
    end
    raises({}, nil, "missing parameter 'upload_file'")
    raises({}, { body = { upload_file = "x" } }, "missing parameter 'upload_file'")
    raises({ upload_file = llama_cloud.null }, nil, "missing parameter 'upload_file'")
    raises(
      { upload_file = file, metadata = { "a" } },
      nil,
      "parameter 'metadata' must be a table of named fields, not an array"
    )
    raises(
      { upload_file = file, metadata = llama_cloud.array {} },
      nil,
      "parameter 'metadata' must be a table of named"
    )
    raises(
      { upload_file = file, metadata = "{}" },
      nil,
      "parameter 'metadata' must be a table of named fields, not string"
    )
    raises({ upload_file = file, metadata = { f = print } }, nil, "metadata.f")
    raises({ upload_file = file }, { body = { upload_file = "x" } }, "the file is given by the parameter 'upload_file'")
    raises({ upload_file = file }, { body = { x = print } }, "'x' cannot be a function")
    raises({ upload_file = file }, { body = { x = 0 / 0 } }, "'x' must be a finite number")
    raises({ upload_file = file }, { reconcile = true }, "option 'reconcile' needs the parameter 'unique_id'")
    raises({ upload_file = file, unique_id = "" }, { reconcile = true }, "needs the parameter 'unique_id'")
    raises({ upload_file = file, unique_id = "a\nb" }, { reconcile = true }, "query parameter 'unique_id' cannot hold")
    raises({ upload_file = file }, { stall_timeout = 0 }, "option 'stall_timeout' must be a number of seconds greater")
    raises({ upload_file = file }, { on_progress = 1 }, "option 'on_progress' must be a function")
    raises_here(function()
      local _ = client.trial:put { upload_file = file, purpose = "" }
    end, "parameter 'purpose' must not be empty")
    raises_here(function()
      local _ = client.trial:content("f", nil, { on_progress = print })
    end, "unknown option 'on_progress'")
    assert.equal(0, s:count())
  end)
end)

describe("an upload", function()
  local pauses = reconcile.pauses

  client_support.pause_for(0.01)

  setup(function()
    reconcile.pauses = { 0.01, 0.02, 0.03 }
  end)

  teardown(function()
    reconcile.pauses = pauses
  end)

  local params = { upload_file = { data = generated(5000), name = "a.pdf" }, unique_id = "u" }

  it("is sent again as a whole where it was turned away", function()
    local turned_away = { status = 429, body = "{}", headers = { ["Retry-After"] = "0" } }
    local s <close>, client = start({
      turned_away,
      { status = 503, body = "", headers = { ["Retry-After"] = "0" } },
      CREATED,
    }, { max_retries = 5 })
    assert(client.trial:upload("d", params))
    local bodies = {}
    for index, request in ipairs(s:requests()) do
      bodies[index] = plain_body(request)
    end
    assert.equal(3, #bodies)
    assert.equal(bodies[1], bodies[2])
    assert.equal(bodies[1], bodies[3])
  end)

  it("is not sent again where it may have been accepted, nor after 409", function()
    for _, case in ipairs {
      { { close_before = true }, "connection", true },
      { { status = 500, body = "{}" }, "internal_server", true },
      { { status = 409, body = '{"detail":{"directory_id":"d"}}' }, "conflict", false },
      { { status = 402, body = '{"detail":"no"}' }, "status", false },
      { { status = 413, body = "" }, "status", false },
    } do
      local s <close>, client = start({ case[1] }, { max_retries = 5 })
      local value, err = client.trial:upload("d", params)
      assert.is_nil(value)
      assert.equal(case[2], err.kind)
      assert.equal(case[3], err.maybe_sent)
      assert.equal(1, s:count())
    end
  end)

  it("goes out on a connection that is kept, unless its loss costs something", function()
    local s <close>, client = start { { body = '{"id":"x"}' } }
    for _ = 1, 5 do
      assert(client.trial:upload("d", params))
    end
    local connections = s:connections()
    assert.is_true(connections < 5)
    for _ = 1, 2 do
      assert(client.trial:parse { tier = "fast", upload_file = params.upload_file })
    end
    assert.equal(connections + 2, s:connections())
  end)

  it("is not sent again where a kept connection dies of it, by nobody", function()
    for _, ending in ipairs { "close_before", "reset" } do
      local s <close>, client = start({ CREATED, { [ending] = true }, CREATED }, { max_retries = 3 })
      assert(client.trial:upload("d", params))
      local value, err = client.trial:upload("d", params)
      assert.is_nil(value)
      assert.equal("connection", err.kind)
      assert.is_true(err.maybe_sent)
      assert.equal(2, s:count())
      assert.equal(1, s:requests()[2].connection) -- libcurl may try another one, but gets no bytes for it
    end
  end)

  it("has no time-out of its own but that of standing still", function()
    local made
    local request = require("llama_cloud.http.request")
    local perform = request.perform
    request.perform = function(_, call)
      made = call
      return {}
    end
    local client = trial.client("http://127.0.0.1:1", { timeout = 5, stall_timeout = 7 })
    client.trial:upload("d", params)
    assert.equal(math.huge, made.timeout)
    assert.equal(7, made.stall_timeout)
    client.trial:upload("d", params, { timeout = 3, stall_timeout = 4, total_timeout = 9 })
    assert.same({ 3, 4, 9 }, { made.timeout, made.stall_timeout, made.total_timeout })
    client.trial:parse { tier = "fast" }
    assert.equal(5, made.timeout)
    assert.is_nil(made.stall_timeout)
    request.perform = perform
  end)

  it("tells its progress, at its end at the latest", function()
    local bytes = generated(300000)
    local s <close>, client = start { CREATED }
    local last, calls, total
    assert(client.trial:upload("d", { upload_file = { data = bytes, name = "a" } }, {
      on_progress = function(done, all)
        calls = (calls or 0) + 1
        assert.is_true(done >= (last or 0) and done <= all)
        last, total = done, all
      end,
    }))
    assert.is_true(calls >= 1)
    assert.same({ 300000, 300000 }, { last, total })
    assert.equal(1, s:count())
  end)

  it("tells it while it goes on, and ends with an error of who is told", function()
    local s <close>, client = start([[return function(c, r) c:json(200, "{}") end, function(c) c:sleep(1) end]])
    local file <close> = files.temporary(generated(200 * 65536))
    local seen
    local ok, problem = pcall(client.trial.upload, client.trial, "d", { upload_file = file.path }, {
      on_progress = function(done, total)
        seen = { done, total }
        error({ "mine" }, 0)
      end,
    })
    assert.is_false(ok)
    assert.same({ "mine" }, problem)
    assert.equal(200 * 65536, seen[2])
    assert.is_true(seen[1] < seen[2])
    assert.equal("{}", llama_cloud.json.encode(assert(client:get("/after"))))
    assert.is_true(s:connections() >= 2)
  end)

  it("holds no descriptor while it waits for its turn", function()
    local cells = require("spec.support.fault_cells")
    local file <close> = files.temporary("x")
    local s <close>, client = start { { body = "{}", delay = 0.01 } }
    local most, before = 0, cells.descriptors()
    local bound = llama_cloud.max_concurrency()
    llama_cloud.max_concurrency(4)
    llama_cloud.run(function()
      for _ = 1, 40 do
        llama_cloud.spawn(function()
          assert(client.trial:put { upload_file = file.path, purpose = "parse" })
          most = math.max(most, cells.descriptors())
        end)
      end
    end)
    llama_cloud.max_concurrency(bound)
    assert.equal(40, s:count())
    assert.is_true(most - before <= 2 * 4 + 1, most - before)
  end)

  describe("with reconcile", function()
    -- Keeps what is uploaded as `args` says, and answers the first upload with nothing.
    local SERVICE = [[
      local cjson = require("cjson")
      local rows = args.rows or {}
      return function(c, r)
        if r.method == "GET" then
          return c:json(200, rows[1] and cjson.encode { items = rows } or '{"items":[]}')
        end
        local unique_id = r.body:match('name="unique_id"\r\n\r\n([^\r]*)')
        local file_id = "fil-" .. #r.body
        if args.act == "insert" then
          rows[#rows + 1] = { id = "dfl-new", unique_id = unique_id, file_id = file_id }
        elseif args.act == "replace" then
          rows[1].file_id = file_id
        end
        if args.refuse then
          return c:json(409, '{"detail":"it is there"}')
        end
        c:close()
      end
    ]]

    local function upload(act, rows, refuse)
      local s, client = start(SERVICE, { server = { args = { act = act, rows = rows, refuse = refuse } } })
      local value, err = client.trial:upload("d/1", params, { reconcile = true })
      local seen = {}
      for index, request in ipairs(s:requests()) do
        seen[index] = request.method .. " " .. request.target
      end
      s:stop()
      return value, err, seen
    end

    it("finds the file whose answer was lost by its unique_id", function()
      local value, err, seen = upload("insert")
      assert.is_nil(err)
      assert.equal("dfl-new", value.id)
      assert.same({
        "GET /d/d%2F1/files?unique_id=u",
        "POST /d/d%2F1/files/upload",
        "GET /d/d%2F1/files?unique_id=u",
      }, seen)
    end)

    it("finds the one that took the place of another", function()
      local value = upload("replace", { { id = "dfl-old", unique_id = "u", file_id = "fil-old" } })
      assert.equal("dfl-old", value.id)
      assert.not_equal("fil-old", value.file_id)
    end)

    it("does not take one that was there for it, nor one of another name", function()
      local value, err, seen = upload(nil, {
        { id = "dfl-old", unique_id = "u", file_id = "fil-old" },
        { id = "dfl-2", unique_id = "other" },
      })
      assert.is_nil(value)
      assert.is_true(err.maybe_sent)
      assert.matches("; reconcile: nothing new was seen in the list$", err.message)
      assert.equal(5, #seen)
    end)

    it("leaves a refusal as it is", function()
      local value, err, seen = upload(nil, { { id = "dfl-old", unique_id = "u" } }, true)
      assert.is_nil(value)
      assert.equal("conflict", err.kind)
      assert.is_false(err.maybe_sent)
      assert.equal(2, #seen)
    end)
  end)
end)

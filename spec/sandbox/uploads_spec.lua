-- What goes wrong with uploads and downloads of the sandbox on request, its rate limits, and what it tells of uploads, over
-- plain sockets: the client is no part of this.

local cjson = require("cjson")

local asking = require("spec.support.asking")
local plain_http = require("spec.support.plain_http")

local FILES = "/api/v1/beta/files"
local DIRECTORIES = "/api/v1/beta/directories"
local has_digest = pcall(require, "openssl.digest")
local luv_found = pcall(require, "luv")

describe("the sandbox", function()
  local asked, start = asking.each_test()

  local function form(bytes, more)
    local parts = { { "purpose", "parse" }, { "file", bytes, filename = "a.pdf", type = "application/pdf" } }
    return plain_http.form(table.move(more or {}, 1, #(more or {}), #parts + 1, parts))
  end

  local function upload(bytes)
    return plain_http.request(asked.service.port, "POST", FILES, form(bytes or "bytes"))
  end

  -- The head of an upload, and its body.
  local function head_and_body(bytes, more)
    local body, headers = form(bytes)
    return string.format(
      "POST %s HTTP/1.1\r\nAuthorization: Bearer k\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n",
      FILES,
      headers["Content-Type"],
      #body,
      more or ""
    ),
      body
  end

  local function totals()
    return asked.service:uploads()
  end

  -- Path and query of the address of a file with these bytes.
  local function address(bytes)
    local file = cjson.decode(upload(bytes).body)
    local answer = plain_http.request(asked.service.port, "GET", FILES .. "/" .. file.id .. "/content")
    return cjson.decode(answer.body).url:match("//[^/]*(/.*)$")
  end

  local function fetch(target, headers)
    headers = headers or {}
    headers.Authorization = false
    return plain_http.request(asked.service.port, "GET", target, nil, headers)
  end

  describe("misbehaves to uploads", function()
    it("by an answer before the body is read", function()
      start { faults = { "POST " .. FILES .. ": 413 take=0 x1", "POST " .. FILES .. ": 429 take=1000 x1" } }
      for _, status in ipairs { 413, 429 } do
        local connection = plain_http.connect(asked.service.port)
        local head, body = head_and_body(("x"):rep(100000))
        connection:send(head .. body:sub(1, 2000))
        local answer = connection:receive()
        assert.equal(status, answer.status)
        assert.equal("close", answer.headers.connection)
        connection:close()
      end
      local requests = asked.service:requests()
      assert.equal(0, requests[1].body_length)
      assert.equal(1000, requests[2].body_length)
      assert.equal(0, totals().total)
      assert.equal(200, upload().status)
    end)

    it("by any answer after it, the upload taken or not", function()
      start { faults = { "POST " .. FILES .. ": 503 x1", "POST " .. FILES .. ": 503 processed x1" } }
      assert.equal(503, upload().status)
      assert.equal(0, totals().files)
      assert.equal(503, upload().status)
      assert.equal(1, totals().files)
    end)

    it("by losing the answer", function()
      start { faults = { "POST " .. FILES .. ": close x1", "POST " .. FILES .. ": close processed x1" } }
      assert.is_nil((upload()))
      assert.equal(0, totals().files)
      assert.is_nil((upload()))
      assert.equal(1, totals().files)
      assert.equal(2, asked.service:stats().statuses.close)
    end)

    local with_luv = luv_found and it or pending
    with_luv("by a reset in the middle of the body", function()
      start { faults = { "POST " .. FILES .. ": reset take=5000" } }
      local connection = plain_http.connect(asked.service.port)
      local head, body = head_and_body(("x"):rep(100000))
      connection:send(head .. body:sub(1, 6000))
      local _, reason = connection:receive()
      assert.equal("ECONNRESET", reason)
      connection:close()
      assert.equal(5000, asked.service:requests()[1].body_length)
    end)

    it("by stalling in the middle of it", function()
      start { faults = { "POST " .. FILES .. ": stall take=10 x1" } }
      local connection = plain_http.connect(asked.service.port)
      connection.socket:settimeout(0.2 * plain_http.slowdown)
      local head, body = head_and_body("x")
      connection:send(head .. body)
      local _, reason = connection:receive()
      assert.equal("ETIMEDOUT", reason)
      connection:close()
      assert.equal(200, upload().status)
    end)

    it("by reading slowly", function()
      start { faults = { "POST " .. FILES .. ": take-rate=2000" } }
      local from = plain_http.now()
      assert.equal(200, upload(("x"):rep(600)).status)
      local took = plain_http.now() - from
      assert.is_true(took > 0.3 and took < 2 + plain_http.slowdown, took)
    end)
  end)

  describe("misbehaves to downloads", function()
    it("by a cut after so many bytes, of a range too", function()
      start { faults = { "GET /presigned/*: close=3" } }
      local target = address("0123456789")
      for range, expected in pairs { ["bytes=0-"] = "012", ["bytes=4-"] = "456" } do
        local _, reason, partial = fetch(target, { Range = range })
        assert.equal("end", reason)
        assert.equal(expected, partial:match("\r\n\r\n(.*)$"))
      end
      asked.service:clear_faults()
      asked.service:fault("GET /presigned/*: close=100000")
      target = address(("x"):rep(200000))
      local _, _, partial = fetch(target)
      assert.equal(100000, #partial:match("\r\n\r\n(.*)$"))
    end)

    it("by lengths that are wrong or missing", function()
      start()
      local target = address("0123456789")
      for rule, expected in pairs {
        ["length=+5"] = "15",
        ["length=-2"] = "8",
        ["length=4"] = "4",
        ["length=none"] = false,
      } do
        local id = asked.service:fault("GET /presigned/*: " .. rule)
        local connection = plain_http.connect(asked.service.port)
        connection:send("GET " .. target .. " HTTP/1.1\r\n\r\n")
        local text = connection:read_all()
        connection:close()
        assert.equal(expected, text:match("\r\nContent%-Length: (%d+)\r\n") or false, rule)
        assert.matches("\r\n\r\n0123456789$", text)
        asked.service:control("DELETE", "/faults/" .. id)
      end
    end)

    it("by ranges that are not the ones asked for", function()
      start()
      local target = address("0123456789")
      asked.service:fault("GET /presigned/*: shift-range=2 x1")
      local answer = fetch(target, { Range = "bytes=3-5" })
      assert.same({ 206, "bytes 5-7/10", "345" }, { answer.status, answer.headers["content-range"], answer.body })
      asked.service:fault("GET /presigned/*: ignore=Range x1")
      assert.equal(200, fetch(target, { Range = "bytes=3-5" }).status)
      asked.service:fault("GET /presigned/*: ignore=If-Range x1")
      assert.equal(206, fetch(target, { Range = "bytes=3-5", ["If-Range"] = '"other"' }).status)
      asked.service:fault([[GET /presigned/*: header="ETag: \"changed\"" x1]])
      assert.equal('"changed"', fetch(target).headers.etag)
    end)

    it("by trickling, stalling, and addresses that are no good any more", function()
      start()
      local target = address("0123456789")
      asked.service:fault("GET /presigned/*: trickle=50 x1")
      local from = plain_http.now()
      assert.equal("0123456789", fetch(target).body)
      assert.is_true(plain_http.now() - from > 0.15)
      asked.service:fault("GET /presigned/*: stall=4 x1")
      local connection = plain_http.connect(asked.service.port)
      connection.socket:settimeout(0.2 * plain_http.slowdown)
      connection:send("GET " .. target .. " HTTP/1.1\r\n\r\n")
      local text, reason = connection:read_all()
      connection:close()
      assert.equal("ETIMEDOUT", reason)
      assert.matches("\r\n\r\n0123$", text)
      asked.service:fault("GET /presigned/*: 403 x1")
      assert.equal(403, fetch(target).status)
      assert.equal("0123456789", fetch(target).body)
    end)
  end)

  describe("reads what it answers early", function()
    it("if it is short, so that the connection goes on", function()
      start()
      local connection = plain_http.connect(asked.service.port)
      local head, body = head_and_body("x")
      head = head:gsub("Authorization: Bearer k\r\n", "")
      connection:send(head .. body)
      assert.equal(401, connection:receive().status)
      connection:send(head .. body)
      assert.equal(401, connection:receive().status)
      connection:close()
    end)

    it("and gives up on who goes away in the middle", function()
      start()
      local head, body = head_and_body(("x"):rep(1000))
      local connection = plain_http.connect(asked.service.port)
      connection:send(head .. body:sub(1, 500))
      connection:close()
      local deadline = plain_http.now() + 5 * plain_http.slowdown
      repeat
        local lost = asked.service:stats().statuses.lost
      until lost == 1 or plain_http.now() > deadline
      assert.equal(1, asked.service:stats().statuses.lost)
      assert.equal(0, totals().bytes_kept)
      assert.equal(0, totals().total)
    end)
  end)

  describe("limits rates", function()
    local function statuses(count, query)
      local connection = plain_http.connect(asked.service.port)
      local found, last = {}, nil
      for _ = 1, count do
        last = connection:request("POST", FILES .. (query or ""), form("x"))
        found[last.status] = (found[last.status] or 0) + 1
      end
      connection:close()
      return found, last
    end

    it("of uploads, for each project, as the service says", function()
      start { rate_limits = "published" }
      local found, last = statuses(60)
      -- On a machine so slow that these take more than five seconds, all of them pass.
      assert.equal(60, found[200] + (found[429] or 0))
      assert.is_true(found[200] >= 50)
      if last.status == 429 then
        assert.matches("^[1-5]$", last.headers["retry-after"])
        assert.equal("Rate limit exceeded", cjson.decode(last.body).detail)
      end
      assert.equal(found[200], totals().total)
      asked:advance(5)
      assert.equal(200, upload().status)
      assert.same({ [200] = 1 }, (statuses(1, "?project_id=prj-other")))
      assert.equal(200, plain_http.request(asked.service.port, "GET", FILES).status)
    end)

    it("of everything where the plan is free, without Retry-After where that is asked for", function()
      start { rate_limits = "free", no_retry_after = true }
      local connection = plain_http.connect(asked.service.port)
      local last
      for index = 1, 21 do
        last = connection:request("GET", FILES)
        assert.equal(index <= 20 and 200 or 429, last.status)
      end
      assert.is_nil(last.headers["retry-after"])
      for _, seconds in ipairs { 60, -3600 } do -- a clock that is set back does not lock anybody out
        asked:advance(seconds)
        assert.equal(200, connection:request("GET", FILES).status)
      end
      connection:close()
    end)
  end)

  it("tells what was uploaded, and keeps of a form's parts their sizes and hashes", function()
    start()
    local made = plain_http.request(asked.service.port, "POST", DIRECTORIES, '{"name":"a"}')
    local id = cjson.decode(made.body).id
    local body, headers = plain_http.form {
      { "unique_id", "x/1.pdf" },
      { "upload_file", "abc", filename = "1.pdf", type = "application/pdf" },
    }
    for _ = 1, 2 do
      plain_http.request(asked.service.port, "POST", DIRECTORIES .. "/" .. id .. "/files/upload", body, headers)
    end
    local answer = plain_http.request(asked.service.port, "GET", "/__sandbox__/uploads", nil, { Authorization = false })
    local shown = cjson.decode(answer.body)
    local abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert.equal(2, shown.total)
    assert.equal(6, shown.bytes)
    assert.same({ ["x/1.pdf"] = 2 }, shown.by_unique_id)
    assert.same(has_digest and { [abc] = 2 } or {}, shown.by_sha256)
    assert.equal(1, shown.files)
    assert.same({ created = 1, deleted = 0, left = { { id = id, name = "a", files = 1 } } }, shown.directories)
    local request = asked.service:requests()[2]
    assert.equal(#body, request.body_length)
    assert.same({
      name = "upload_file",
      filename = "1.pdf",
      content_type = "application/pdf",
      size = 3,
      sha256 = has_digest and abc or cjson.null,
    }, request.parts[2])
    assert.equal(7, request.parts[1].size)
    assert.equal(cjson.null, request.parts[1].filename)
    asked.service:control("DELETE", "/uploads")
    assert.equal(0, totals().total)
  end)

  it("has an option for each choice, which its program has too", function()
    local options = require("llama_cloud.sandbox.options")
    local cli = require("llama_cloud.sandbox.cli")
    local given, program = cli.parse {
      "--keep=1000",
      "--max-upload",
      "2000",
      "--presigned-seconds=60",
      "--duplicates",
      "replace",
      "--duplicate-directories=add",
      "--rate-limits=free",
      "--no-retry-after",
      "--quiet",
    }
    assert.is_true(program.quiet)
    assert.same({
      keep = 1000,
      max_upload = 2000,
      presigned_seconds = 60,
      duplicates = "replace",
      duplicate_directories = "add",
      rate_limits = "free",
      no_retry_after = true,
      faults = {},
    }, given)
    assert.equal(1000, options.checked(given).keep)
    for name, value in pairs { keep = -1, duplicates = "x", rate_limits = true, no_retry_after = 1 } do
      local ok, message = pcall(options.checked, { [name] = value })
      assert.is_false(ok)
      assert.matches("option '" .. name .. "' must be", message, 1, true)
    end
  end)
end)

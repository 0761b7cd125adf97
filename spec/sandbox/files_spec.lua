-- The sandbox's files, forms and presigned addresses, over plain sockets and curl: the client is no part of this.

local cjson = require("cjson")

local asking = require("spec.support.asking")
local plain_http = require("spec.support.plain_http")

local FILES = "/api/v1/beta/files"
local has_digest, digest = pcall(require, "openssl.digest")

local function sha256(text)
  return has_digest and ("%02x"):rep(32):format(digest.new("sha256"):final(text):byte(1, -1)) or cjson.null
end

-- The bytes of made-up files, as the documentation says them.
local function made_up_byte(index)
  return (31 * index + 7 * (index // 256) + 11) % 256
end

describe("the sandbox's files", function()
  local asked, start = asking.each_test()

  local function post(status, parts, query)
    return asked:upload(status, FILES .. (query or ""), parts)
  end

  local function upload(name, bytes, external_file_id)
    local parts = { { "purpose", "parse" }, { "file", bytes, filename = name, type = "application/pdf" } }
    if external_file_id then
      table.insert(parts, { "external_file_id", external_file_id })
    end
    return post(200, parts)
  end

  -- Path and query of a presigned address.
  local function address(id, query)
    local signed = asked:get(FILES .. "/" .. id .. "/content" .. (query or ""))
    assert.equal(cjson.null, signed.form_fields)
    local target = signed.url:match("^http://127%.0%.0%.1(/.*)$")
    return assert(target, signed.url), signed
  end

  -- A bare GET of such an address.
  local function fetch(status, target, headers)
    headers = headers or {}
    headers.Authorization = headers.Authorization or false
    local _, answer = asked:ask(status, "GET", target, nil, headers)
    return answer
  end

  describe("are created by forms", function()
    it("with every field of the reference", function()
      start()
      local file = upload("rechnung é.PDF", "%PDF-1.7", "erp-1")
      assert.matches("^file%-%x+%-", file.id)
      assert.matches("^prj%-", file.project_id)
      assert.equal("rechnung é.PDF", file.name)
      assert.equal("parse", file.purpose)
      assert.equal("erp-1", file.external_file_id)
      assert.equal("pdf", file.file_type)
      assert.equal(cjson.null, file.expires_at)
      assert.equal(cjson.null, file.download_url)
      assert.same(file, asked:get(FILES .. "/" .. file.id))
      assert.equal("%PDF-1.7", fetch(200, (address(file.id))).body)
      assert.equal("File not found", asked:ask(404, "GET", FILES .. "/file-1").detail)
    end)

    it("byte for byte, whatever is in them", function()
      start()
      local boundary = "\r\n--form-boundary"
      local awkward = {
        "",
        "\r\n",
        "a\r\n--form-boundar",
        "--form-boundary", -- only after a line break is it one
        "\r\r\n--form-boundar\r\n-",
        ("\r\n--form-"):rep(9000),
        ("x"):rep(65536 - 200) .. boundary:sub(1, -2) .. ("z"):rep(70000),
        string.char(0, 255, 10, 13):rep(50000),
      }
      for index, bytes in ipairs(awkward) do
        local file = upload(index .. ".bin", bytes)
        assert.is_true(fetch(200, (address(file.id))).body == bytes, index)
      end
    end)

    it("by the last segment of their name", function()
      start()
      for given, expected in pairs {
        ["a.pdf"] = "a.pdf",
        ["/tmp/x/a.pdf"] = "a.pdf",
        [ [[C:\tmp\a.pdf]] ] = "a.pdf",
        [ [[a\"b;c.pdf]] ] = [[a"b;c.pdf]],
        ["a%22b%0D.pdf"] = "a%22b%0D.pdf", -- as libcurl and browsers send quotation marks; nobody undoes it
        ["x; name=y.pdf"] = "x; name=y.pdf",
        ["/"] = "file",
        [""] = "file",
      } do
        assert.equal(expected, upload(given, "1").name, given)
      end
    end)

    it("in whatever order, with parts that nobody declared, the last of each name counting", function()
      start()
      local file = post(200, {
        { "file", "first", filename = "1.pdf" },
        { "unknown", "?" },
        { "other", "bytes", filename = "x" },
        { "purpose", "nonsense" },
        { "file", "second", filename = "2.pdf" },
        { "purpose", "extract" },
      })
      assert.equal("2.pdf", file.name)
      assert.equal("extract", file.purpose)
      local answer = fetch(200, (address(file.id)))
      assert.equal("second", answer.body)
      assert.equal("application/octet-stream", answer.headers["content-type"])
      assert.equal(#"second", asked.service:uploads().bytes_kept)
    end)

    it("however their bytes arrive", function()
      start()
      local body, headers = plain_http.form { { "purpose", "parse" }, { "file", "abc\r\n", filename = "a" } }
      local head = "POST "
        .. FILES
        .. " HTTP/1.1\r\nAuthorization: Bearer k\r\nContent-Type: "
        .. headers["Content-Type"]
      local connection = plain_http.connect(asked.service.port)
      connection:send(head .. "\r\nTransfer-Encoding: chunked\r\n\r\n")
      for index = 1, #body do
        connection:send("1\r\n" .. body:sub(index, index) .. "\r\n")
      end
      connection:send("0\r\n\r\n")
      local chunked = connection:receive()
      assert.equal(200, chunked.status, chunked.body)
      connection:send(head .. string.format("\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", #body))
      assert.equal(100, connection:receive().status)
      connection:send(body)
      assert.equal(200, connection:receive().status)
      connection:close()
      assert.equal(2, asked.service:uploads().total)
    end)

    it("as curl makes them", function()
      start()
      local path = os.tmpname()
      local file = assert(io.open(path, "wb"))
      local bytes = string.pack("z", ("0123456789\r\n"):rep(20000))
      file:write(bytes)
      file:close()
      local pipe = assert(
        io.popen(
          "curl -sS --noproxy '*' -H 'Authorization: Bearer k' -F purpose=parse "
            .. string.format("-F 'file=@%s;filename=a b.pdf;type=application/pdf' %s", path, asked.service:url(FILES))
        )
      )
      local made = cjson.decode(pipe:read("a"))
      pipe:close()
      os.remove(path)
      assert.equal("a b.pdf", made.name)
      assert.is_true(fetch(200, (address(made.id))).body == bytes)
    end)

    it("and refused as FastAPI does it", function()
      start()
      local function problems(parts, headers)
        local body, form_headers = plain_http.form(parts)
        local found = {}
        for index, problem in ipairs(asked:ask(422, "POST", FILES, body, headers or form_headers).detail) do
          found[index] = table.concat(problem.loc, ".") .. " " .. problem.type
        end
        return found
      end
      local file = { "file", "1", filename = "a" }
      assert.same({ "body.file missing", "body.purpose missing" }, problems {})
      assert.same({ "body.file value_error" }, problems { { "file", "text" }, { "purpose", "parse" } })
      assert.same({ "body.purpose literal_error" }, problems { file, { "purpose", "nonsense" } })
      assert.same(
        { "body.external_file_id string_too_short" },
        problems { file, { "purpose", "parse" }, { "external_file_id", "" } }
      )
      assert.same(
        { "body.file missing", "body.purpose missing" },
        problems({ file }, { ["Content-Type"] = "text/plain" })
      )
      for body, boundary in pairs {
        ["--B\r\n"] = "B",
        ["--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--\r\n"] = "B",
        ['--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--B'] = "B",
        ["nothing"] = "B",
        ["--Bx--\r\n"] = "",
      } do
        local headers = { ["Content-Type"] = "multipart/form-data; boundary=" .. boundary }
        assert.is_string(asked:ask(400, "POST", FILES, body, headers).detail, body)
      end
      assert.equal(0, asked.service:uploads().files)
    end)

    it("up to a length", function()
      start { max_upload = 1000 }
      upload("a", ("x"):rep(1000))
      assert.equal(
        "A file may have at most 1000 bytes",
        post(413, {
          { "file", ("x"):rep(1001), filename = "a" },
          { "purpose", "parse" },
        }).detail
      )
      local connection = plain_http.connect(asked.service.port)
      connection:send("POST " .. FILES .. " HTTP/1.1\r\nAuthorization: Bearer k\r\nContent-Length: 99999999\r\n")
      connection:send("Content-Type: multipart/form-data; boundary=B\r\n\r\n")
      assert.equal(413, connection:receive().status)
      connection:close()
    end)
  end)

  it("are kept as long as there is room", function()
    start { keep = 1000 }
    local first, second = upload("1", ("a"):rep(700)), upload("2", ("b"):rep(700))
    assert.equal(700, #fetch(200, (address(first.id))).body)
    assert.matches("did not keep", fetch(410, (address(second.id))).body)
    assert.equal(204, select(2, asked:ask(204, "DELETE", FILES .. "/" .. first.id)).status)
    assert.equal("File not found", asked:ask(404, "DELETE", FILES .. "/" .. first.id).detail)
    local third = upload("3", ("c"):rep(700))
    assert.equal(700, #fetch(200, (address(third.id))).body)
    local uploads = asked.service:uploads()
    assert.equal(700, uploads.bytes_kept)
    assert.equal(2, uploads.files)
    assert.equal(3, uploads.total)
    assert.equal(has_digest and 1 or nil, uploads.by_sha256[sha256(("b"):rep(700))])
  end)

  describe("are listed", function()
    -- The names of all files, or another field of theirs, in pages of two.
    local function names(query, field)
      local found = {}
      for index, file in ipairs((asked:collect(FILES .. "?page_size=2" .. query))) do
        found[index] = file[field or "name"]
      end
      return table.concat(found, " ")
    end

    it("in pages, in each order, and filtered", function()
      start()
      local ids = {}
      for _, name in ipairs { "b", "a", "d", "c", "a" } do
        ids[#ids + 1] = upload(name, "1", "ext-" .. name).id
      end
      assert.equal("a c d a b", names(""))
      assert.equal("a c d a b", names("&order_by=created_at"))
      assert.equal("a a b c d", names("&order_by=name"))
      local in_order = table.move(ids, 1, #ids, 1, {})
      table.sort(in_order)
      assert.equal(table.concat(in_order, " "), names("&order_by=id", "id"))
      assert.equal("a a", names("&file_name=a"))
      assert.equal("d", names("&external_file_id=ext-d"))
      assert.equal("d b", names("&file_ids=" .. ids[1] .. "&file_ids=" .. ids[3] .. "&file_ids=file-x"))
      assert.equal("", names("&project_id=prj-other"))
      asked:ask(422, "GET", FILES .. "?order_by=-name")
      -- What a page ended with may be gone when the next is asked for.
      local page = asked:get(FILES .. "?page_size=2&order_by=name")
      asked:ask(204, "DELETE", FILES .. "/" .. page.items[2].id)
      page = asked:get(FILES .. "?page_size=9&order_by=name&page_token=" .. page.next_page_token)
      assert.equal("b", page.items[1].name)
      assert.equal(3, #page.items)
    end)

    it("by the deprecated query too, and with their addresses", function()
      start()
      upload("b", "1")
      upload("a", "2")
      local body = '{"filter":{"file_name":"a"},"order_by":"name","page_size":1,"page_token":null}'
      local page = asked:ask(200, "POST", FILES .. "/query?project_id=", body)
      assert.equal(0, #page.items)
      page = asked:ask(200, "POST", FILES .. "/query", body)
      assert.equal("a", page.items[1].name)
      asked:ask(405, "PUT", FILES .. "/query", "{}")
      local listed = asked:get(FILES .. "?expand=download_url").items[1]
      assert.equal("2", fetch(200, listed.download_url.url:match("//[^/]*(/.*)$")).body)
    end)
  end)

  describe("have presigned addresses", function()
    it("which break when they are encoded anew, and need no key", function()
      start()
      local target = address(upload("a.pdf", "0123456789").id)
      for _, needed in ipairs { "+", "%2B", "%2b", "%20" } do
        assert.is_truthy(target:find(needed, 1, true), needed)
      end
      assert.matches("X%-Scope=.*&X%-Scope=", target)
      local answer = fetch(200, target)
      assert.equal("0123456789", answer.body)
      assert.equal("application/pdf", answer.headers["content-type"])
      assert.equal("bytes", answer.headers["accept-ranges"])
      assert.matches('^"%x+"$', answer.headers.etag)
      assert.matches("^%u%l%l, %d%d %u%l%l %d%d%d%d %d%d:%d%d:%d%d GMT$", answer.headers["last-modified"])
      local refused = fetch(400, target, { Authorization = "Bearer k" })
      assert.matches("Only one auth mechanism", refused.body)
      assert.equal("application/xml", refused.headers["content-type"])
      for _, spoilt in ipairs {
        (target:gsub("%+", "%%20")),
        (target:gsub("%+", "%%2B")),
        (target:gsub("%%2b", "%%2B")),
        (target:gsub("%%20", "+")),
        (target:gsub("X%-Scope=[^&]*&", "", 1)),
        (target:gsub("X%-Expires=(%d)", "X-Expires=9%1")),
        (target:gsub("%?.*", "")),
        target .. "&x=1",
      } do
        assert.matches("not the one that was signed", fetch(400, spoilt).body, 1, true)
      end
    end)

    it("for a time", function()
      start()
      local file = upload("a.pdf", "1")
      local target, signed = address(file.id)
      local short = address(file.id, "?expires_at_seconds=60")
      assert.is_true(signed.expires_at > file.last_modified_at)
      asked:advance(61)
      assert.matches("expired", fetch(403, short).body)
      fetch(200, target)
      asked:advance(3600)
      fetch(403, target)
      fetch(200, (address(file.id)))
      asked:ask(422, "GET", FILES .. "/" .. file.id .. "/content?expires_at_seconds=0")
      asked:ask(204, "DELETE", FILES .. "/" .. file.id)
      asked:ask(404, "GET", FILES .. "/" .. file.id .. "/content")
    end)

    it("which serve ranges", function()
      start()
      local target = address(upload("a.pdf", "0123456789").id)
      local etag, modified
      for range, expected in pairs {
        ["bytes=0-0"] = { "0", "0-0" },
        ["bytes=3-5"] = { "345", "3-5" },
        ["bytes=7-"] = { "789", "7-9" },
        ["bytes=7-99"] = { "789", "7-9" },
        ["bytes=-4"] = { "6789", "6-9" },
        ["bytes=-99"] = { "0123456789", "0-9" },
      } do
        local answer = fetch(206, target, { Range = range })
        assert.equal(expected[1], answer.body, range)
        assert.equal("bytes " .. expected[2] .. "/10", answer.headers["content-range"])
        etag, modified = answer.headers.etag, answer.headers["last-modified"]
      end
      for _, range in ipairs { "bytes=10-", "bytes=5-4", "bytes=-0" } do
        local answer = fetch(416, target, { Range = range })
        assert.equal("bytes */10", answer.headers["content-range"])
      end
      for _, range in ipairs { "bytes=", "bytes=-", "bytes=0-1,3-4", "lines=1-2", "bytes=a-b" } do
        assert.equal(10, #fetch(200, target, { Range = range }).body, range)
      end
      assert.equal("3", fetch(206, target, { Range = "bytes=3-3", ["If-Range"] = etag }).body)
      assert.equal("3", fetch(206, target, { Range = "bytes=3-3", ["If-Range"] = modified }).body)
      for _, other in ipairs { '"x"', "W/" .. etag, "Fri, 31 Dec 1999 23:59:59 GMT" } do
        assert.equal(10, #fetch(200, target, { Range = "bytes=3-3", ["If-Range"] = other }).body, other)
      end
    end)

    it("of made-up files of any length", function()
      start()
      local size = 3000000001
      local file = asked:get(FILES .. "/file-bytes-3000000001")
      assert.equal("file-bytes-3000000001.bin", file.name)
      local target = address(file.id)
      for _, first in ipairs { 0, 255, 65530, 131071, size - 20 } do
        local answer = fetch(206, target, { Range = string.format("bytes=%d-%d", first, first + 19) })
        for index = 1, 20 do
          assert.equal(made_up_byte(first + index - 1), answer.body:byte(index))
        end
      end
      local whole = fetch(200, (address("file-bytes-200000"))).body
      assert.equal(200000, #whole)
      for _, index in ipairs { 0, 65535, 65536, 199999 } do
        assert.equal(made_up_byte(index), whole:byte(index + 1))
      end
      asked:ask(400, "DELETE", FILES .. "/" .. file.id)
      asked:ask(404, "GET", FILES .. "/file-bytes-x")
    end)
  end)
end)

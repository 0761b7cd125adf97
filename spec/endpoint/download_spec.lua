-- Downloads: what the store is asked, what becomes of the file, and that nobody else learns of the key or of the address.

local cells = require("spec.support.fault_cells")
local client_support = require("spec.support.client")
local core = require("llama_cloud.core")
local llama_cloud = require("llama_cloud")
local server = require("spec.support.server")
local store = require("spec.support.store")
local trial = require("spec.support.trial")

local raises_here = client_support.raises_here
local digest, read = store.digest, store.read

local SIGNATURE = store.SIGNATURE
local QUERY = "?X-Amz-Expires=60&X-Amz-Signature=" .. SIGNATURE .. "&name=a+b%20c&name=x"
local SIZE = 5000
local WHOLE = digest(store.bytes(SIZE))

local check_stranger = store.check_stranger

local function new_client(target, options)
  return trial.client(target, store.client_options(options))
end

-- A client of a service that is not there, for the address is known.
local function stranger(options)
  return new_client("http://127.0.0.1:1", options)
end

-- Downloads from a store that acts like this, and checks what all have in common: what the store saw, and that nothing is left
-- behind beside the file. What came of it, its digest, and the requests.
local function fetch(acts, options, given)
  local directory <close> = store.directory()
  local path = directory.path .. "/a.pdf"
  local s <close> = store.start(acts, { size = SIZE })
  local file, err = stranger(given):download(s:url("/bucket/key") .. QUERY, path, options)
  local requests = s:requests()
  for _, request in ipairs(requests) do
    check_stranger(request)
  end
  assert.same(file and { "a.pdf" } or {}, directory.files())
  if file then
    assert.equal(path, file.path)
    assert.equal(#read(path), file.bytes)
  else
    assert.is_true(llama_cloud.is_error(err))
    assert.is_false(client_support.mentions(err, SIGNATURE))
    assert.is_nil(err.url and err.url:find("?", 1, true))
  end
  return file, err, file and digest(read(path)), requests
end

describe("client:download", function()
  client_support.pause_for(0.01)

  it("asks for exactly the URL, and tells nothing of the client", function()
    local file, _, sum, requests = fetch { "whole(c, r)" }
    assert.equal(WHOLE, sum)
    assert.same({ SIZE, "application/pdf" }, { file.bytes, file.content_type })
    local request = requests[1]
    assert.equal("/bucket/key" .. QUERY, request.target)
    local seen = {}
    for _, header in ipairs(request.header_list) do
      seen[#seen + 1] = header[1]:lower()
    end
    table.sort(seen)
    assert.same({ "accept", "accept-encoding", "host", "user-agent" }, seen)
    assert.equal("*/*", request.headers.accept)
    assert.equal("identity", request.headers["accept-encoding"])
    assert.matches("^llama%-cloud%-lua/", request.headers["user-agent"])
  end)

  it("takes a PresignedURL, and headers for the store", function()
    local directory <close> = store.directory()
    local s <close> = store.start({ "whole(c, r)" }, { size = SIZE })
    local client = stranger()
    local address = { url = s:url("/a/../b"), expires_at = "2026-01-01T00:00:00Z" }
    assert(client:download(address, directory.path .. "/x", { headers = { ["X-Own"] = "1", Accept = "image/png" } }))
    local request = s:requests()[1]
    assert.equal("/a/../b", request.target)
    assert.equal("1", request.headers["x-own"])
    assert.equal("image/png", request.headers.accept)
  end)

  it("does not give the key to the service's own origin either", function()
    local directory <close> = store.directory()
    local s <close> = store.start({ "whole(c, r)" }, { size = SIZE })
    assert(new_client(s):download(s:url("/x"), directory.path .. "/x"))
    check_stranger(s:requests()[1])
  end)

  it("goes on where it was cut off", function()
    for _, how in ipairs { "cut(c, r, 1000)", "cut(c, r, 1000, { reset = true })" } do
      local file, _, sum, requests = fetch { how, how, "whole(c, r)" }
      assert.equal(WHOLE, sum)
      assert.equal("application/pdf", file.content_type)
      assert.equal(3, #requests)
      assert.is_nil(requests[1].headers.range)
      for number = 2, 3 do
        assert.matches("^bytes=%d+%-$", requests[number].headers.range)
        assert.equal('"v1"', requests[number].headers["if-range"])
      end
      assert.equal(how:find("reset") and requests[2].headers.range or "bytes=1000-", requests[2].headers.range)
    end
  end)

  it("by the date of modification where there is no strong tag", function()
    local date = "Sun, 06 Nov 1994 08:49:37 GMT"
    local headers = ("{ headers = { ETag = %%s, ['Last-Modified'] = %q } }"):format(date)
    for _, tag in ipairs { "false", [['W/"v1"']] } do
      local options = headers:format(tag)
      local _, _, sum, requests = fetch { ("cut(c, r, 1000, %s)"):format(options), ("whole(c, r, %s)"):format(options) }
      assert.equal(WHOLE, sum)
      assert.equal(date, requests[2].headers["if-range"])
      assert.equal("bytes=1000-", requests[2].headers.range)
    end
  end)

  it("begins anew where nothing tells whether the file is the same", function()
    local now = "{ headers = { ETag = false, ['Last-Modified'] = d, Date = d } }"
    for _, options in ipairs { "{ headers = { ETag = false } }", [[{ headers = { ETag = 'W/"v1"' } }]], now } do
      local cut = ("local d = 'Sun, 06 Nov 1994 08:49:37 GMT' cut(c, r, 1000, %s)"):format(options)
      local _, _, sum, requests = fetch { cut, "whole(c, r)" }
      assert.equal(WHOLE, sum)
      assert.equal(2, #requests)
      assert.is_nil(requests[2].headers.range)
      assert.is_nil(requests[2].headers["if-range"])
    end
  end)

  it("takes the file anew where it is another by now", function()
    local _, _, sum, requests = fetch { "cut(c, r, 1000)", [[whole(c, r, { headers = { ETag = '"v2"' } })]] }
    assert.equal(WHOLE, sum)
    assert.equal("bytes=1000-", requests[2].headers.range)
  end)

  it("begins anew after a range that does not fit", function()
    for _, range in ipairs { "bytes 999-4999/5000", "bytes 0-4999/5000", "bytes 1001-4999/5000", "nonsense" } do
      local _, _, sum, requests = fetch {
        "cut(c, r, 1000)",
        ("whole(c, r, { content_range = %q })"):format(range),
        "whole(c, r)",
      }
      assert.equal(WHOLE, sum)
      assert.equal(3, #requests)
      assert.is_nil(requests[3].headers.range)
    end
  end)

  it("begins anew after a part of another file", function()
    local date = "{ headers = { ETag = false, ['Last-Modified'] = 'Sun, 06 Nov 1994 08:49:%d GMT' } }"
    for _, case in ipairs {
      { "{}", [[ETag = '"v2"']] },
      { date:format(37), "ETag = false, ['Last-Modified'] = 'Sun, 06 Nov 1994 08:49:38 GMT'" },
    } do
      local head = "c:head(206, { %s, ['Content-Length'] = 4000, ['Content-Range'] = 'bytes 1000-4999/5000' }) "
      local other = head:format(case[2])
      for _, body in ipairs { "c:raw(('z'):rep(4000))", "c:raw(('z'):rep(100)) c:close()" } do
        local _, _, sum, requests = fetch { ("cut(c, r, 1000, %s)"):format(case[1]), other .. body, "whole(c, r)" }
        assert.equal(WHOLE, sum)
        assert.equal("bytes=1000-", requests[2].headers.range)
        assert.is_nil(requests[3].headers.range)
      end
    end
  end)

  it("begins anew after a part of a file of another length, where the length was known", function()
    for _, size in ipairs { 1500, 6000 } do
      local part = "c:respond(206, { ['Content-Range'] = 'bytes 1000-%d/%d' }, ('z'):rep(%d))"
      local _, _, sum, requests = fetch { "cut(c, r, 1000)", part:format(size - 1, size, size - 1000), "whole(c, r)" }
      assert.equal(WHOLE, sum)
      assert.equal(3, #requests)
    end
    local begun = [[c:head(200, { ETag = '"v1"', ['Transfer-Encoding'] = 'chunked' })
      c:raw('3e8\r\n' .. DATA:sub(1, 1000)) c:close()]]
    local _, _, sum, requests = fetch { begun, "whole(c, r)" }
    assert.equal(WHOLE, sum)
    assert.same({ 2, "bytes=1000-" }, { #requests, requests[2].headers.range })
  end)

  it("begins anew after 416, once", function()
    local refuse = "c:respond(416, { ['Content-Range'] = 'bytes */10' }, '')"
    local _, _, sum, requests = fetch { "cut(c, r, 1000)", refuse, "whole(c, r)" }
    assert.equal(WHOLE, sum)
    assert.same({ nil, "bytes=1000-", nil }, {
      requests[1].headers.range,
      requests[2].headers.range,
      requests[3].headers.range,
    })
    local file, err
    file, err, _, requests = fetch { "cut(c, r, 1000)", refuse, "cut(c, r, 1000)", refuse }
    assert.is_nil(file)
    assert.equal(416, err.status)
    assert.equal(4, #requests)
    file, err, _, requests = fetch { refuse }
    assert.is_nil(file)
    assert.equal(416, err.status)
    assert.equal(1, #requests)
  end)

  it("keeps what has arrived over answers that bring nothing", function()
    local _, _, sum, requests = fetch {
      "cut(c, r, 1000)",
      "c:respond(503, {}, 'busy')",
      "c:respond(500, {}, 'broken')",
      "whole(c, r)",
    }
    assert.equal(WHOLE, sum)
    assert.equal("bytes=1000-", requests[4].headers.range)
  end)

  it("gives up at last, and leaves nothing behind", function()
    local file, err, _, requests = fetch({ "cut(c, r, 10)" }, { max_retries = 2 })
    assert.is_nil(file)
    assert.equal("connection", err.kind)
    assert.equal(3, err.attempts)
    assert.equal(3, #requests)
    assert.is_false(err.maybe_sent)
  end)

  it("checks the length that is expected", function()
    assert(fetch({ "whole(c, r)" }, { size = SIZE }))
    for _, size in ipairs { SIZE - 1, SIZE + 1, 0, math.huge } do
      local file, err, _, requests = fetch({ "whole(c, r)" }, { size = size })
      assert.is_nil(file)
      assert.equal("decode", err.kind)
      assert.matches(("the download has %d bytes instead of %s"):format(SIZE, size), err.message, 1, true)
      assert.equal(1, #requests)
    end
  end)

  it("takes an empty file, but not an answer without content", function()
    local file = fetch { "c:respond(200, {}, '')" }
    assert.equal(0, file.bytes)
    for _, status in ipairs { 204, 205 } do
      local none, err = fetch { ("c:respond(%d, {}, '')"):format(status) }
      assert.is_nil(none)
      assert.equal("decode", err.kind)
      assert.matches(("the response is %d, which has no content to download"):format(status), err.message, 1, true)
    end
  end)

  it("has no limit but that of the disk", function()
    local _, _, sum = fetch({ "whole(c, r)" }, nil, { max_response_bytes = 10 })
    assert.equal(WHOLE, sum)
  end)

  it("says that an address may have expired, whatever the store's words", function()
    local body = ("<Error><StringToSign>%s</StringToSign></Error>"):format(SIGNATURE)
    local _, err, _, requests = fetch { ("c:respond(403, {}, %q)"):format(body) }
    assert.equal("permission_denied", err.kind)
    assert.matches("the address may have expired: ask for a new one", err.message, 1, true)
    assert.equal(1, #requests)
  end)

  it("logs nothing of the address", function()
    local lines = {}
    local _, err = fetch({ "cut(c, r, 10)", "c:respond(302, { Location = r.target .. '&more' }, '')" }, nil, {
      log = function(level, message, fields)
        lines[#lines + 1] = { level, message, fields }
      end,
    })
    assert.equal("status", err.kind)
    assert.is_true(#lines > 5)
    assert.is_false(client_support.mentions(lines, SIGNATURE))
    assert.is_false(client_support.mentions(lines, "X-Amz"))
    assert.is_false(client_support.mentions(err, "X-Amz"))
  end)

  it("holds no descriptor while it waits for its turn", function()
    local directory <close> = store.directory()
    local s <close> = store.start({ "c:sleep(0.01) whole(c, r)" }, { size = SIZE })
    local client = stranger()
    local bound, before, most = llama_cloud.max_concurrency(), cells.descriptors(), 0
    llama_cloud.max_concurrency(4)
    llama_cloud.run(function()
      for number = 1, 60 do
        llama_cloud.spawn(function()
          assert(client:download(s:url("/"), ("%s/%d"):format(directory.path, number)))
          most = math.max(most, cells.descriptors())
        end)
      end
    end)
    llama_cloud.max_concurrency(bound)
    assert.equal(60, #directory.files())
    assert.is_true(most - before <= 2 * 4 + 1, most - before)
  end)

  it("keeps what was at the path until all is there", function()
    local directory <close> = store.directory()
    local path = directory.path .. "/a"
    local before = assert(io.open(path, "w"))
    before:write("before")
    before:close()
    local s <close> = store.start { "cut(c, r, 10)", "whole(c, r)" }
    local client = stranger()
    assert.is_nil((client:download(s:url("/"), path, { max_retries = 0 })))
    assert.equal("before", read(path))
    assert(client:download(s:url("/"), path))
    assert.equal(SIZE, #read(path))
    assert.same({ "a" }, directory.files())
  end)

  it("says why a file cannot be written, without asking for it", function()
    local s <close> = store.start { "whole(c, r)" }
    local client = stranger()
    local directory <close> = store.directory()
    for _, path in ipairs { directory.path, directory.path .. "/no/such", "/dev/null/x" } do
      local file, err = client:download(s:url("/"), path)
      assert.is_nil(file)
      assert.equal("file", err.kind)
      assert.is_true(err.permanent)
      assert.matches(path, err.message, 1, true)
    end
    assert.equal(0, s:count())
    assert.same({}, directory.files())
  end)

  it("raises at the caller's line for what cannot be a download", function()
    local client = stranger()
    local function raises(url, path, options, text)
      raises_here(function()
        local _ = client:download(url, path, options)
      end, text)
    end
    raises(nil, "x", nil, "the URL must be a string or a PresignedURL, not nil")
    raises({}, "x", nil, "the table must be a PresignedURL, with its 'url'")
    raises("/path", "x", nil, "the URL must begin with https:// or http://")
    raises("file:///etc/passwd", "x", nil, "the URL must begin with https:// or http://")
    raises("http://h/a b", "x", nil, "the URL contains white space")
    raises("http://h/#a", "x", nil, "the URL contains white space, a control character or '#'")
    raises("http://u:p@h/", "x", nil, "the URL must not hold a user name or password")
    raises("http://h:x/?sig=" .. SIGNATURE, "x", nil, "is not a URL")
    raises("http://h/", nil, nil, "the path must be a string, not nil")
    raises("http://h/", "", nil, "the path is empty")
    raises("http://h/", "a\0b", nil, "the path contains a NUL")
    raises("http://h/", "x", { siez = 1 }, "unknown option 'siez' (did you mean 'size'?)")
    raises("http://h/", "x", { size = -1 }, "option 'size' must be")
    raises("http://h/", "x", { query = {} }, "unknown option 'query'")
    raises("http://h/", "x", { headers = { Range = "bytes=1-" } }, "header 'Range' is the download's own")
    raises("http://h/", "x", { headers = { ["a b"] = "1" } }, "invalid header name")
    raises("http://h/", "x", 1, "options must be a table, not number")
    client:close()
    raises("http://h/", "x", nil, "attempt to use a closed client: make another with llama_cloud.new")
  end)

  describe("that is redirected", function()
    it("goes to any origin, and tells it nothing", function()
      local directory <close> = store.directory()
      local path = directory.path .. "/a"
      local other <close> = store.start({ "cut(c, r, 100)", "whole(c, r)" }, { size = SIZE })
      local target = other:url("/elsewhere") .. QUERY
      local s <close> = store.start { ("c:respond(302, { Location = %q }, '')"):format(target) }
      local client = stranger()
      local file = assert(client:download(s:url("/"), path, { headers = { ["X-Own"] = "for the first" } }))
      assert.equal(SIZE, file.bytes)
      assert.equal(WHOLE, digest(read(path)))
      assert.equal(1, s:count())
      assert.equal(2, other:count())
      assert.equal("bytes=100-", other:requests()[2].headers.range)
      for _, request in ipairs(other:requests()) do
        check_stranger(request)
        assert.is_nil(request.headers["x-own"])
        assert.equal("*/*", request.headers.accept)
        assert.equal("/elsewhere" .. QUERY, request.target)
      end
    end)

    it("does not show where to", function()
      local lines = {}
      local s <close> = server.start([[return function(c, r)
        if r.path == "/first" then
          c:respond(307, { Location = "/second?sig=]] .. SIGNATURE .. [[" }, "")
        else
          c:respond(400, { Location = "http://h/?x=]] .. SIGNATURE .. [[" }, "bad ]] .. SIGNATURE .. [[")
        end
      end]])
      local directory <close> = store.directory()
      local client = stranger {
        log = function(...)
          lines[#lines + 1] = { ... }
        end,
      }
      local _, err = client:download(s:url("/first"), directory.path .. "/a")
      assert.equal(400, err.status)
      assert.is_false(client_support.mentions(err, SIGNATURE))
      assert.is_false(client_support.mentions(lines, SIGNATURE))
      assert.equal(s:url("/second"), err.url)
    end)

    it("nor where it is not followed to", function()
      local to = "ftp://h/?X-Amz-Signature=" .. SIGNATURE
      local act = "c:respond(302, { Location = %q, Refresh = %q }, %q)"
      local _, err = fetch { act:format(to, "0; url=" .. to, ("<a href='%s'>"):format(to)) }
      assert.matches("302: <a href='ftp://h/?***'> (Location: ftp://h/); not followed", err.message, 1, true)
    end)

    it("is not followed to another protocol, or for ever", function()
      local _, err = fetch { "c:respond(302, { Location = 'ftp://127.0.0.1/x' }, '')" }
      assert.equal("status", err.kind)
      local requests
      _, err, _, requests = fetch { "c:respond(302, { Location = r.target }, '')" }
      assert.equal("status", err.kind)
      assert.equal(11, #requests)
    end)
  end)

  it("tells its progress, with the total in the end", function()
    local told = {}
    local function on_progress(done, total)
      told[#told + 1] = { done, total }
    end
    assert(fetch({ "cut(c, r, 1000)", "whole(c, r)" }, { on_progress = on_progress }))
    assert.same({ SIZE, SIZE }, told[#told])
    for index = 1, #told - 1 do
      assert.is_true(told[index][1] ~= told[index][2])
    end
  end)

  it("tells it at most ten times a second", function()
    local count, total = 0, nil
    local began = core.now()
    local slow = "c:head(200, { ['Content-Length'] = #DATA }) c:trickle(DATA, 10000)"
    assert(fetch({ slow }, {
      on_progress = function(_, all)
        count, total = count + 1, all
      end,
    }))
    assert.equal(SIZE, total)
    assert.is_true(count >= 1 and count <= (core.now() - began) * 10 + 1, count)
  end)

  it("ends with its total_timeout, and what has come is gone", function()
    local limit = client_support.scaled(0.3)
    local file, err = fetch({ "cut(c, r, 1000, { stall = true })" }, { total_timeout = limit })
    assert.is_nil(file)
    assert.equal("timeout", err.kind)
    assert.matches("^total_timeout of ", err.message)
  end)

  it("tells it while it goes on, and ends with an error of who is told", function()
    local directory <close> = store.directory()
    local s <close> = store.start({ "cut(c, r, 1000, { stall = true })" }, { size = SIZE })
    local client, seen = stranger(), nil
    local ok, problem = pcall(client.download, client, s:url("/"), directory.path .. "/a", {
      on_progress = function(done, total)
        seen = { done, total }
        error({ "mine" }, 0)
      end,
    })
    assert.is_false(ok)
    assert.same({ "mine" }, problem)
    assert.same({}, directory.files())
    assert.is_true(seen[1] <= 1000)
  end)

  it("ends when the client is closed, also while progress is told", function()
    for _, tells in ipairs { false, true } do
      local directory <close> = store.directory()
      local s <close> = store.start({ "cut(c, r, 1000, { stall = true })" }, { size = SIZE })
      local client, file, err = stranger(), nil, nil
      llama_cloud.run(function()
        llama_cloud.spawn(function()
          file, err =
            client:download(s:url("/"), directory.path .. "/a", { on_progress = tells and function() end or nil })
        end)
        repeat
          llama_cloud.sleep(0.01)
        until s:count() == 1
        client:close()
      end)
      assert.is_nil(file)
      assert.equal("cancelled", err.kind)
      assert.same({}, directory.files())
    end
  end)

  it("does not wait at the service's gate, nor close it", function()
    local directory <close> = store.directory()
    local s <close> = store.start { "c:respond(429, { ['Retry-After'] = '30' }, '')" }
    local api <close> = server.start { { body = "{}" } }
    local client = new_client(api, { max_retries = 0 })
    local _, err = client:download(s:url("/"), directory.path .. "/a")
    assert.equal("rate_limit", err.kind)
    assert(client:get("/x", { total_timeout = client_support.scaled(10) }))
  end)
end)

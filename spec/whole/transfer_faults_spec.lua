-- What can go wrong on the way of a file to the service, or from a store: what the call comes to, how many requests the server
-- saw, that what has arrived is what was sent (by its SHA-256), and that nothing is left behind, here or there.

local certificates = require("spec.support.certificates")
local client_support = require("spec.support.client")
local lfs = require("lfs") -- busted needs it, too
local llama_cloud = require("llama_cloud")
local process = require("spec.support.process")
local program = require("spec.support.program")
local retry = require("llama_cloud.http.retry")
local server = require("spec.support.server")
local store = require("spec.support.store")
local trial = require("spec.support.trial")

-- Seconds without a byte: of what is to stand still, and of what is only slow.
local STALL, PATIENCE = client_support.scaled(0.5), 60
local digest = store.digest
local digests = pcall(require, "openssl.digest") -- the server needs it, too

-- Reads the head of a request and does the next of its acts with it. These have the connection c, the path of the file, and:
-- some(c), which reads
-- the first of the file's bytes; all(c), the rest of the request; drain(c), whatever comes until the client closes; good(c),
-- which reads all and answers with the digest of the file; turned_away(c, status), which answers before it has read all.
local SERVICE = [[
  local digest = require("openssl.digest")

  local function take(c, count)
    while count > 0 do
      if #c.buffer == 0 then
        c.buffer = c:receive() or ""
        if c.buffer == "" then
          return false
        end
      end
      local piece = c.buffer:sub(1, count)
      c.buffer = c.buffer:sub(#piece + 1)
      count = count - #piece
      c.unread = c.unread - #piece
      local bytes = piece:sub(1, c.left)
      c.left = c.left - #bytes
      c.sum:update(bytes)
    end
    return true
  end

  function some(c)
    local part = c:take_until("\r\n\r\n")
    c.unread, c.left, c.sum = c.length - #part, args.size, digest.new("sha256")
    take(c, math.min(1 << 16, args.size // 2))
  end

  function all(c)
    if not c.sum then
      some(c)
    end
    return take(c, c.unread)
  end

  function drain(c)
    while c:receive(10) do end
    c:close()
  end

  function good(c)
    if all(c) then
      local sum = c.sum:final():gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
      c:json(201, ('{"id":"dfl-1","sum":"%s"}'):format(sum))
    end
  end

  function turned_away(c, status)
    c:json(status, "{}", { ["Retry-After"] = "0" })
    if c.unread ~= 0 then
      drain(c)
    end
  end

  local acts, counts = {}, {}
  for name, sources in pairs(args.acts) do
    acts[name] = {}
    for i, source in ipairs(sources) do
      acts[name][i] = assert(load("local c, path = ... " .. source))
    end
  end
  return function() end, function(c)
    while not c.is_closed do
      local head = c:take_until("\r\n\r\n")
      if not head then
        return
      end
      local name = head:match("^POST /d/(%d+)/")
      c.length, c.sum, c.unread = tonumber(head:match("[Cc]ontent%-[Ll]ength: (%d+)")), nil, nil
      c:note { method = "POST", path = name, raw = head, headers = {}, header_list = {} }
      counts[name] = (counts[name] or 0) + 1
      acts[name][math.min(counts[name], #acts[name])](c, ("%s/%s.pdf"):format(args.directory, name))
    end
  end
]]

-- What uploads come to: `kind` of the error (none: it succeeds), `requests` that the server saw, of 3 attempts at most,
-- `maybe_sent`; `slow`: an attempt ends because nothing moves.
local uploads = {
  { "closed after the headers", acts = { "c:close()" }, kind = "connection", requests = 3 },
  { "closed within the file", acts = { "some(c) c:close()" }, kind = "connection", requests = 3 },
  { "reset within the file", acts = { "some(c) c:reset()" }, kind = "connection", requests = 3 },
  { "closed within the file, once", acts = { "some(c) c:close()", "good(c)" }, requests = 2 },
  { "reset within the file, once", acts = { "some(c) c:reset()", "good(c)" }, requests = 2 },
  {
    "closed after the whole file",
    acts = { "all(c) c:close()" },
    kind = "connection",
    maybe_sent = true,
    requests = 1,
  },
  { "reset after the whole file", acts = { "all(c) c:reset()" }, kind = "connection", maybe_sent = true, requests = 1 },
  {
    "closed within the response's headers",
    acts = { "all(c) c:raw('HTTP/1.1 201 Cr') c:close()" },
    kind = "connection",
    maybe_sent = true,
    requests = 1,
  },
  {
    "closed within the response's body",
    acts = { "all(c) c:head(201, { ['Content-Length'] = 20 }) c:raw('{\"id\":') c:close()" },
    kind = "connection",
    maybe_sent = true,
    requests = 1,
  },
  { "stall within the file, once", slow = true, acts = { "some(c) c:sleep(60)", "good(c)" }, requests = 2 },
  {
    "stall before the response",
    slow = true,
    acts = { "all(c) c:sleep(60)" },
    kind = "timeout",
    maybe_sent = true,
    requests = 1,
  },
  { "413 before the whole file is sent", acts = { "some(c) turned_away(c, 413)" }, kind = "status", requests = 1 },
  { "401 before the whole file is sent", acts = { "turned_away(c, 401)" }, kind = "authentication", requests = 1 },
  { "429 within the file", acts = { "some(c) turned_away(c, 429)", "good(c)" }, requests = 2 },
  { "503 with Retry-After within the file", acts = { "some(c) turned_away(c, 503)", "good(c)" }, requests = 2 },
  { "429 after the whole file", acts = { "all(c) turned_away(c, 429)", "good(c)" }, requests = 2 },
  {
    "500 within the file",
    acts = { "some(c) turned_away(c, 500)" },
    kind = "internal_server",
    maybe_sent = true,
    requests = 1,
  },
  { "409 after the whole file", acts = { "all(c) turned_away(c, 409)" }, kind = "conflict", requests = 1 },
  { "100 Continue, not requested", acts = { "c:raw('HTTP/1.1 100 Continue\\r\\n\\r\\n') good(c)" }, requests = 1 },
  {
    "redirect within the file",
    acts = { "some(c) c:respond(307, { Location = 'upload' }, '') drain(c)", "good(c)" },
    requests = 2,
  },
  {
    "redirect to another host",
    acts = { "some(c) c:respond(307, { Location = 'http://name.example/' }, '') drain(c)" },
    kind = "status",
    requests = 1,
  },
  { "file that shrinks", acts = { "some(c) io.open(path, 'w'):close() all(c)" }, kind = "file", requests = 1 },
  {
    "file that grows",
    acts = { "some(c) local f = io.open(path, 'a') f:write('x') f:close() all(c)" },
    kind = "file",
    requests = 1,
  },
  {
    "file that is gone before the retry",
    acts = { "some(c) os.remove(path) turned_away(c, 429)" },
    kind = "file",
    requests = 1,
  },
  {
    "file that is replaced before the retry",
    acts = { "some(c) local f = io.open(path, 'w') f:write('x') f:close() turned_away(c, 429)" },
    kind = "file",
    requests = 1,
  },
}

local UPLOADED = 12 << 20 -- bytes: more than sockets take while nobody reads

-- What downloads come to, likewise. `stays`: what was at the path is there; so it is after every failure.
local CUT = 1000
local refuse_range = "c:respond(416, { ['Content-Range'] = 'bytes */7' }, '')"
local downloads = {
  { "closed before the first byte, once", acts = { "c:close()", "whole(c, r)" }, requests = 2 },
  { "reset before the first byte, once", acts = { "c:reset()", "whole(c, r)" }, requests = 2 },
  {
    "closed within the headers, once",
    acts = { "c:raw('HTTP/1.1 200 OK\\r\\nETag') c:close()", "whole(c, r)" },
    requests = 2,
  },
  { "closed after the headers, once", acts = { "cut(c, r, 0)", "whole(c, r)" }, requests = 2 },
  { "closed after the first byte, once", acts = { "cut(c, r, 1)", "whole(c, r)" }, requests = 2, range = 1 },
  { "closed within the file, once", acts = { "cut(c, r, 1000)", "whole(c, r)" }, requests = 2, range = CUT },
  { "closed before the last byte, once", acts = { "cut(c, r, #DATA - 1)", "whole(c, r)" }, requests = 2 },
  { "reset within the file, once", acts = { "cut(c, r, 1000, { reset = true })", "whole(c, r)" }, requests = 2 },
  { "closed within the file, twice", acts = { "cut(c, r, 1000)", "cut(c, r, 1000)", "whole(c, r)" }, requests = 3 },
  { "closed within the file, every time", acts = { "cut(c, r, 1000)" }, kind = "connection", requests = 3 },
  {
    "reset within the file, every time",
    acts = { "cut(c, r, 1000, { reset = true })" },
    kind = "connection",
    requests = 3,
  },
  {
    "stall within the file, once",
    slow = true,
    acts = { "cut(c, r, 1000, { stall = true })", "whole(c, r)" },
    requests = 2,
    range = CUT,
  },
  {
    "incomplete chunks, once",
    acts = {
      "c:head(200, { ETag = '\"v1\"', ['Transfer-Encoding'] = 'chunked' }) "
        .. "c:raw('3e8\\r\\n' .. DATA:sub(1, 1000) .. '\\r\\n') c:close()",
      "whole(c, r)",
    },
    requests = 2,
    range = CUT,
  },
  {
    "no ETag and no Last-Modified",
    acts = { "cut(c, r, 1000, { headers = { ETag = false } })", "whole(c, r)" },
    requests = 2,
  },
  { "500, then 503", acts = { "c:respond(500, {}, '')", "c:respond(503, {}, '')", "whole(c, r)" }, requests = 3 },
  { "429 for the rest", acts = { "cut(c, r, 1000)", "c:respond(429, {}, '')", "whole(c, r)" }, requests = 3 },
  {
    "range that begins too early",
    acts = {
      "cut(c, r, 1000)",
      "whole(c, r, { content_range = 'bytes 999-' .. #DATA - 1 .. '/' .. #DATA })",
      "whole(c, r)",
    },
    requests = 3,
  },
  {
    "range that begins too late",
    acts = {
      "cut(c, r, 1000)",
      "whole(c, r, { content_range = 'bytes 1001-' .. #DATA - 1 .. '/' .. #DATA })",
      "whole(c, r)",
    },
    requests = 3,
  },
  {
    "invalid range",
    acts = { "cut(c, r, 1000)", "whole(c, r, { content_range = 'x' })", "whole(c, r)" },
    requests = 3,
  },
  {
    "range that ends early",
    acts = {
      "cut(c, r, 1000)",
      "local from, total = 1000, #DATA c:respond(206, { ETag = '\"v1\"', ['Content-Range'] = "
        .. "('bytes %d-%d/%d'):format(from, from + 499, total) }, DATA:sub(from + 1, from + 500))",
      "whole(c, r)",
    },
    requests = 3,
    range = 1500,
  },
  {
    "range that is longer than it says",
    acts = {
      "cut(c, r, 1000)",
      "c:respond(206, { ETag = '\"v1\"', ['Content-Range'] = ('bytes 1000-%d/%d'):format(#DATA - 1, #DATA) }, "
        .. "DATA:sub(1001) .. ('x'):rep(500))",
      "whole(c, r)",
    },
    size = true,
    requests = 3,
  },
  { "416, once", acts = { "cut(c, r, 1000)", refuse_range, "whole(c, r)" }, requests = 3 },
  { "416, every time", acts = { refuse_range }, kind = "status", requests = 1 },
  {
    "file that was replaced meanwhile",
    acts = { "cut(c, r, 1000)", "whole(c, r, { headers = { ETag = '\"v2\"' } })" },
    requests = 2,
  },
  { "403", acts = { "c:respond(403, {}, '<Error/>')" }, kind = "permission_denied", requests = 1 },
  { "404", acts = { "c:respond(404, {}, '<Error/>')" }, kind = "not_found", requests = 1 },
  { "204", acts = { "c:respond(204, {}, '')" }, kind = "decode", requests = 1 },
  {
    "more bytes than expected",
    acts = { "c:respond(200, {}, DATA .. 'x')" },
    size = true,
    kind = "decode",
    requests = 1,
  },
  {
    "more bytes than its Content-Length",
    acts = { "c:head(200, { ['Content-Length'] = #DATA }) c:raw(DATA .. ('x'):rep(1000)) c:close()" },
    size = true,
    requests = 1,
  },
  { "fewer bytes than expected", acts = { "c:respond(200, {}, 'x')" }, size = true, kind = "decode", requests = 1 },
  {
    "redirect from https to http",
    tls = true,
    acts = { [[
      c:respond(302, { Location = "http://127.0.0.1/" }, "")
    ]] },
    kind = "status",
    requests = 1,
  },
  {
    "redirect to file://",
    acts = { "c:respond(302, { Location = 'file:///etc/passwd' }, '')" },
    kind = "status",
    requests = 1,
  },
  { "endless redirects", acts = { "c:respond(302, { Location = r.target }, '')" }, kind = "status", requests = 11 },
  { "folder at the path", acts = { "whole(c, r)" }, at = "directory", kind = "file", requests = 0 },
  { "path in a folder that does not exist", acts = { "whole(c, r)" }, at = "nowhere", kind = "file", requests = 0 },
  {
    "folder that is removed meanwhile",
    acts = { "os.execute('rm -r ' .. args.directory .. '/gone') whole(c, r)" },
    at = "gone",
    kind = "file",
    requests = 1,
  },
}

local DOWNLOADED = 100000

describe("the fault matrix of files:", function()
  local backoff, set = retry.backoff, nil

  setup(function()
    retry.backoff = function()
      return 0.01
    end
    set = certificates.available() and certificates.make()
  end)

  teardown(function()
    retry.backoff = backoff
    if set then
      set:remove()
    end
  end)

  local function skips(fault)
    return fault.slow and process.slowdown > 10 and "not under valgrind, where time means little"
      or fault.tls and not certificates.available() and "the openssl program or its Lua module is missing"
  end

  local function stall(fault)
    return fault.slow and STALL or PATIENCE
  end

  -- How many descriptors this process has of files in a directory, gone ones among them.
  local function held(directory)
    local count = 0
    for name in lfs.dir("/proc/self/fd") do
      local target = lfs.symlinkattributes("/proc/self/fd/" .. name, "target") or ""
      count = count + (target:find(directory, 1, true) and 1 or 0)
    end
    return count
  end

  -- The requests of one fault that a server saw.
  local function requests_of(s, path)
    local found = {}
    for _, request in ipairs(s:requests()) do
      found[#found + 1] = request.path == path and request or nil
    end
    return found
  end

  -- Checks what the two matrices have in common.
  local function check(fault, value, err, requests, directory)
    local where = ("%s: %s"):format(fault[1], tostring(err))
    if fault.kind then
      assert.is_nil(value, where)
      assert.is_true(llama_cloud.is_error(err), where)
      assert.equal(fault.kind, err.kind, where)
      assert.equal(fault.maybe_sent or false, err.maybe_sent or false, where)
      assert.equal(fault.kind == "file" or nil, err.permanent, where)
    else
      assert.is_nil(err, where)
    end
    assert.equal(fault.requests, #requests, where)
    assert.equal(0, held(directory), where)
  end

  describe("an upload,", function()
    if not digests then
      pending("luaossl is missing")
      return
    end
    local block = store.bytes(1 << 16)
    local sum

    local function write(path)
      local file = assert(io.open(path, "wb"))
      for _ = 1, UPLOADED // #block do
        assert(file:write(block))
      end
      file:close()
    end

    local s, directory

    setup(function()
      local acts = {}
      for index, fault in ipairs(uploads) do
        acts[tostring(index)] = fault.acts
      end
      directory = store.directory()
      s = server.start(SERVICE, { args = { acts = acts, size = UPLOADED, directory = directory.path } })
      sum = digest(block:rep(UPLOADED // #block))
    end)

    teardown(function()
      s:stop()
      directory:remove()
    end)

    for index, fault in ipairs(uploads) do
      local reason = skips(fault)
      if reason then
        pending(fault[1] .. ": " .. reason)
      else
        it(fault[1], function()
          local name = tostring(index)
          local path = ("%s/%s.pdf"):format(directory.path, name)
          write(path)
          local client <close> = trial.client(s, { max_retries = 2, stall_timeout = stall(fault) })
          local value, err = client.trial:upload(name, { upload_file = path })
          if value then
            assert.equal(sum, value.sum)
          elseif fault.kind == "file" then
            assert.matches(path, err.message, 1, true)
          end
          check(fault, value, err, requests_of(s, name), path)
          os.remove(path)
        end)
      end
    end
  end)

  describe("a download,", function()
    local sum = digest(store.bytes(DOWNLOADED))
    local s, secure, directory

    setup(function()
      local acts = {}
      for index, fault in ipairs(downloads) do
        acts["/" .. index] = fault.acts
      end
      acts["/full"] = { "whole(c, r)" }
      directory = store.directory()
      local options = { size = DOWNLOADED, directory = directory.path }
      s = store.start(acts, options)
      if set then
        options.server = { tls = set.good }
        secure = store.start(acts, options)
      end
    end)

    teardown(function()
      s:stop()
      if secure then
        secure:stop()
      end
      directory:remove()
    end)

    -- Where the file is to go, and what is to be there in the end if it fails.
    local function place(fault)
      local at, before = directory.path .. "/a", "before"
      if fault.at == "directory" then
        return directory.path, nil
      elseif fault.at == "nowhere" then
        return directory.path .. "/no/a", nil
      elseif fault.at == "gone" then
        assert(lfs.mkdir(directory.path .. "/gone"))
        return directory.path .. "/gone/a", nil
      end
      local file = assert(io.open(at, "w"))
      file:write(before)
      file:close()
      return at, before
    end

    for index, fault in ipairs(downloads) do
      local reason = skips(fault)
      if reason then
        pending(fault[1] .. ": " .. reason)
      else
        it(fault[1], function()
          local path, before = place(fault)
          local from = fault.tls and secure or s
          local client <close> = trial.client(
            "http://127.0.0.1:1",
            store.client_options {
              max_retries = fault.slow and 1 or 2,
              stall_timeout = STALL,
              ca_file = fault.tls and set.ca or nil,
            }
          )
          local url = from:url(("/%d?sig=%s"):format(index, store.SIGNATURE))
          local file, err = client:download(url, path, { size = fault.size and DOWNLOADED or nil })
          local requests = requests_of(from, "/" .. index)
          for _, request in ipairs(requests) do
            store.check_stranger(request)
          end
          if file then
            assert.equal(sum, digest(store.read(path)))
            assert.equal(DOWNLOADED, file.bytes)
          else
            assert.equal(before, store.read(path))
            assert.is_false(client_support.mentions(err, store.SIGNATURE))
          end
          if before then
            os.remove(path)
          end
          assert.same({}, directory.files())
          if fault.range then
            assert.equal(("bytes=%d-"):format(fault.range), requests[#requests].headers.range)
          end
          check(fault, file, err, requests, directory.path)
        end)
      end
    end

    it("a disk that takes no more", function()
      local output, well = process.run(
        [[
          local lfs = require("lfs") -- busted needs it, too
local llama_cloud = require("llama_cloud")
          local client = llama_cloud.new { api_key = "k", proxy = "", base_url = "http://127.0.0.1:1" }
          local file, err = client:download(...)
          print(file, err.kind, err.permanent, err.attempts)
        ]],
        { args = { s:url("/full"), directory.path .. "/a" }, before = "ulimit -f 100;" }
      )
      assert.equal("nil\tfile\ttrue\t1\n", output)
      assert.is_true(well)
      assert.equal(1, #requests_of(s, "/full"))
      assert.same({}, directory.files())
    end)
  end)

  -- A row of the table in docs/reliability.md.
  local function row(fault)
    local words = not fault.kind and (fault.requests > 1 and "retried, works" or "works")
      or ("%s`%s`%s"):format(
        fault.requests == 3 and "retried, then " or "",
        fault.kind,
        fault.maybe_sent and ", `maybe_sent`" or ""
      )
    return ("| %s | %s | %d |"):format(fault[1], words, fault.requests)
  end

  it("is in docs/reliability.md as it is here", function()
    local text = store.read(program.file("docs/reliability.md"))
    for name, faults in pairs { Uploads = uploads, Downloads = downloads } do
      local rows = {}
      for index, fault in ipairs(faults) do
        rows[index] = row(fault)
      end
      local head = ("### %s\n\n| | outcome | requests |\n|---|---|---|\n"):format(name)
      assert.matches(head .. table.concat(rows, "\n") .. "\n\n", text, 1, true)
    end
  end)
end)

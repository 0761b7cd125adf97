-- examples/embed/lighttpd: the page of running batches in a real lighttpd, which listens on a socket in the file system. It is
-- skipped where lighttpd or its Lua module is not installed (scripts/setup dev), or has another Lua than this.

local files = require("spec.support.files")
local process = require("spec.support.process")
local program = require("spec.support.program")
local sandbox = require("spec.support.sandbox")
local server = require("spec.support.server")

local quote = process.quote
local TOP = program.file("."):gsub("^%.", os.getenv("PWD") or ".", 1)

local function exists(path)
  local file = io.open(path)
  if file then
    file:close()
  end
  return file ~= nil
end

-- Where lighttpd and mod_magnet are: the system's, or what scripts/setup has unpacked. Nil and a reason where they are not.
local function find()
  for _, root in ipairs { "", TOP .. "/build/tools/lighttpd" } do
    local modules = root .. "/usr/lib/lighttpd"
    local executable = root .. "/usr/sbin/lighttpd"
    if exists(executable) and exists(modules .. "/mod_magnet.so") then
      local pipe = assert(io.popen(("ldd %s %s"):format(quote(executable), quote(modules .. "/mod_magnet.so"))))
      local needed = pipe:read("a")
      pipe:close()
      if not needed:find("liblua" .. _VERSION:sub(5) .. ".", 1, true) then
        return nil, "the Lua in lighttpd is not " .. _VERSION
      elseif needed:find("not found", 1, true) then
        return nil, "a library of lighttpd is missing: " .. needed:match("([^\n]*) not found")
      end
      return executable, modules
    end
  end
  return nil, "lighttpd or its Lua module is not installed; scripts/setup dev brings them"
end

local executable, modules = find()

local room, running

-- Starts lighttpd with the example's configuration, on a socket in `room`.
local function start(url, more)
  local file = assert(io.open(TOP .. "/examples/embed/lighttpd/lighttpd.conf"))
  local text, count = file:read("a"):gsub('server.bind = "127.0.0.1"\nserver.port = 8081\n', 'server.bind = "SOCKET"\n')
  file:close()
  assert.equal(1, count)
  local configuration = room:write("lighttpd.conf", (text:gsub("SOCKET", room:path("socket"))) .. (more or ""))
  local environment = { LLAMA_CLOUD_BASE_URL = url, LLAMA_CLOUD_API_KEY = "llx-secret", PWD = TOP }
  running = {}
  local arguments = { "-D", "-m", modules, "-f", configuration }
  running.output, running.pid = program.start_executable(executable, arguments, environment)
  server.wait_for(function()
    return os.execute("test -S " .. quote(room:path("socket")))
  end, "lighttpd")
end

-- Gets a path: the body, the status and the head.
local function get(path)
  local command = "curl -s -i --max-time 50 --unix-socket %s http://localhost%s"
  local pipe = assert(io.popen(command:format(quote(room:path("socket")), path)))
  local answer = pipe:read("a")
  pipe:close()
  local head, body = answer:match("^(.-\r\n)\r\n(.*)$")
  return body, math.tointeger(tonumber(head and head:match("^HTTP/[%d.]+ (%d+)"))), head
end

-- Gets the page once it knows something: on a busy machine the service may need longer than the page waits for it.
local function get_known()
  local body, status, head
  server.wait_for(function()
    body, status, head = get("/batches")
    return status ~= 503
  end, "the page to know something")
  return body, status, head
end

-- Ends lighttpd. What it has logged.
local function stop()
  if not running then
    return ""
  end
  os.execute("kill -TERM " .. running.pid)
  local log = running.output:read("a")
  running.output:close()
  running = nil
  return log
end

describe("the page of running batches", function()
  if not executable then
    it("in lighttpd", function()
      pending(modules)
    end)
    return
  end

  before_each(function()
    room = files.new()
  end)

  after_each(function()
    stop()
    room:remove()
  end)

  it("shows them", function()
    local s <close> = sandbox.start { batches = 40, seed = 3 }
    start(s:url())
    local body, status, head = get_known()
    assert.equal(200, status, body)
    assert.matches("\r\nContent-Type: text/html; charset=utf-8\r\n", head, 1, true)
    local count = tonumber(body:match("<p>(%d+) at "))
    local _, rows = body:gsub("<tr><td>bat%-[%x-]+<td>dir%-[%x-]+<td>%d%d%d%d%-[%d:T.-]+Z</tr>\n", "")
    assert.is_true(count > 0)
    assert.equal(count, rows)
    body, status = get("/")
    assert.equal(200, status)
    assert.matches('href="/batches"', body, 1, true)
    assert.equal(404, select(2, get("/batches.lua")))
    assert.not_matches("failed", stop())
  end)

  it("asks once for many visitors, and in each worker", function()
    local s <close> = sandbox.start { batches = 40, seed = 3 }
    start(s:url(), "server.max-worker = 2\n")
    for _ = 1, 12 do
      assert.equal(200, select(2, get_known()))
    end
    local asked = s:stats().routes["GET /api/v2/batches"]
    assert.is_true(asked < 12, asked)
  end)

  it("shows what the service says as text", function()
    local s <close> = server.start { { body = [[{"items":[{"id":"<b>&\"'","status":"RUNNING"}]}]] } }
    start(s:url())
    local body = get_known()
    assert.matches("<tr><td>&lt;b&gt;&amp;&quot;&#39;<td>nil<td>nil</tr>", body, 1, true)
  end)

  it("comes while the service does not answer, and so does everything else", function()
    local s <close> = server.start("return function(connection) connection:sleep(600) end")
    start(s:url())
    for _ = 1, 3 do
      local body, status = get("/batches")
      assert.equal(503, status)
      assert.matches("<p>Nothing is known yet.</p>", body, 1, true)
      assert.equal(200, select(2, get("/")))
    end
  end)

  it("shows what was known when the service is gone", function()
    local s = sandbox.start { batches = 40, seed = 3 }
    start(s:url())
    local before = get_known()
    s:stop()
    local body, status
    server.wait_for(function() -- it asks again after two seconds
      body, status = get("/batches")
      return body:find("does not answer", 1, true)
    end, "the page to notice")
    assert.equal(200, status)
    assert.matches("<p>LlamaCloud does not answer (connection).</p>", body, 1, true)
    assert.equal(before:match("<table>.*"), body:match("<table>.*"))
    local log = stop()
    assert.matches("llama_cloud: connection: ", log, 1, true)
    assert.not_matches("llx-secret", log .. body, 1, true)
  end)

  it("fails alone where the client cannot be made", function()
    start("no address")
    assert.equal(500, select(2, get("/batches")))
    assert.equal(200, select(2, get("/")))
    assert.matches("LLAMA_CLOUD_BASE_URL contains white space", stop(), 1, true)
  end)
end)

-- The sandbox's misbehaviours, its control routes, what its HTTP server bears, and its command line, over plain sockets.

local cjson = require("cjson")

local asking = require("spec.support.asking")
local plain_http = require("spec.support.plain_http")
local sandbox = require("spec.support.sandbox")
local server = require("spec.support.server")

local BATCHES = "/api/v2/batches"
local CREATE = '{"source_directory_id":"dir-new","config":{"job":{"type":"parse_v2","configuration_id":"cfg-1"}}}'

local luv_found = pcall(require, "luv")

describe("the sandbox", function()
  local asked, start_with = asking.each_test()

  local function start(...)
    start_with { faults = { ... } }
  end

  local function request(method, target, body, headers)
    return plain_http.request(asked.service.port, method, target, body, headers)
  end

  local function statuses(count, method, target)
    local found = {}
    for index = 1, count do
      found[index] = request(method or "GET", target or BATCHES).status
    end
    return table.concat(found, " ", 1, count):gsub("%.0", "")
  end

  -- How many batches of dir-new there are: what a create really did.
  local function created()
    return #cjson.decode(request("GET", BATCHES .. "?source_directory_id=dir-new").body).items
  end

  describe("misbehaves", function()
    it("with a status, a number of times", function()
      start("GET /api/v2/batches: 503 x2", "* *: status=429 retry-after=3 x1")
      assert.equal("503 503 429 200 200", (statuses(5)))
      local hits = {}
      for index, rule in ipairs(asked.service:faults()) do
        hits[index] = string.format("%d/%d", rule.hits, rule.seen)
      end
      assert.same({ "2/5", "1/3" }, hits)
    end)

    it("with the body and the headers that it is given", function()
      start(
        [[GET *: 500 body="{\"detail\": \"a, b: c\\n\"}" header="X-Should-Retry: false" content-type=text/plain x1]]
      )
      local answer = request("GET", BATCHES)
      assert.equal(500, answer.status)
      assert.equal('{"detail": "a, b: c\\n"}', answer.body)
      assert.equal("false", answer.headers["x-should-retry"])
      assert.equal("text/plain", answer.headers["content-type"])
      assert.matches("^req_", answer.headers["x-request-id"])
    end)

    it("with any Retry-After", function()
      start('GET *: 429 retry-after="Fri, 31 Dec 1999 23:59:59 GMT" x1', "GET *: 429 retry-after=-1 x1")
      assert.equal("Fri, 31 Dec 1999 23:59:59 GMT", request("GET", BATCHES).headers["retry-after"])
      assert.equal("-1", request("GET", BATCHES).headers["retry-after"])
    end)

    it("every so often, after some time", function()
      start("GET *: 500 every=3")
      assert.equal("200 200 500 200 200 500", (statuses(6)))
      asked.service:clear_faults()
      asked.service:fault("GET *: 500 after=2 x1")
      assert.equal("200 200 500 200", (statuses(4)))
    end)

    it("with a probability that follows from the seed", function()
      start("GET *: 500 p=0.5")
      local first = statuses(40)
      local failures = select(2, first:gsub("500", ""))
      assert.is_true(failures > 8 and failures < 32, first)
      start("GET *: 500 p=0.5")
      assert.equal(first, statuses(40))
    end)

    it("only on the routes that it is about", function()
      start("GET /api/v2/batches/*: 500", "POST /api/v1/beta/*: 501", "PATCH *: 502")
      assert.equal(200, request("GET", BATCHES).status)
      assert.equal(500, request("GET", BATCHES .. "/x").status)
      assert.equal(404, request("POST", BATCHES .. "/x/cancel").status)
      assert.equal(501, request("POST", "/api/v1/beta/batch-processing").status)
      assert.equal(502, request("PATCH", "/anything").status)
    end)

    it("by delays, of others' requests nothing", function()
      start("GET /api/v2/batches/*: delay=0.6")
      local slow = plain_http.connect(asked.service.port)
      local from = plain_http.now()
      slow:send("GET " .. BATCHES .. "/x HTTP/1.1\r\nAuthorization: Bearer k\r\n\r\n")
      assert.equal(200, request("GET", BATCHES).status)
      assert.is_true(plain_http.now() - from < 0.6)
      assert.equal(404, slow:receive().status)
      local took = plain_http.now() - from
      assert.is_true(took >= 0.6 and took < 1 + plain_http.slowdown, took)
      slow:close()
    end)

    it("by closing before any byte, the request processed or not", function()
      start("POST /api/v2/batches: close x1", "POST /api/v2/batches: close processed x1")
      local answer, reason, partial = request("POST", BATCHES, CREATE)
      assert.is_nil(answer)
      assert.equal("end", reason)
      assert.equal("", partial)
      assert.equal(0, created())
      assert.is_nil((request("POST", BATCHES, CREATE)))
      assert.equal(1, created())
      assert.equal(200, request("POST", BATCHES, CREATE).status)
      assert.equal(2, created())
    end)

    it("by any status, the request processed or not", function()
      start("POST /api/v2/batches: 502 x1", "POST /api/v2/batches: 502 processed x1")
      assert.equal(502, request("POST", BATCHES, CREATE).status)
      assert.equal(0, created())
      assert.equal(502, request("POST", BATCHES, CREATE).status)
      assert.equal(1, created())
    end)

    it("by closing within the headers and within the body", function()
      start("GET *: close=headers x1", "GET *: close=body x1", "GET *: truncate=7 x1")
      local _, reason, partial = request("GET", BATCHES)
      assert.equal("end", reason)
      assert.matches("^HTTP/1.1 200 OK\r\n", partial)
      assert.is_nil(partial:find("\r\n\r\n", 1, true))
      _, reason, partial = request("GET", BATCHES)
      assert.equal("end", reason)
      local length = tonumber(partial:match("Content%-Length: (%d+)"), 10)
      assert.equal(length // 2, #partial:match("\r\n\r\n(.*)$"))
      _, _, partial = request("GET", BATCHES)
      assert.equal('{"items', partial:match("\r\n\r\n(.*)$"))
    end)

    local with_luv = luv_found and it or pending
    with_luv("by resets before, within and after the headers", function()
      start(
        "POST *: reset x1",
        "POST *: reset processed x1",
        "GET /api/v2/batches: reset=headers x1",
        "GET /api/v2/batches: reset=body x1"
      )
      local _, reason, partial = request("POST", BATCHES, CREATE)
      assert.equal("ECONNRESET", reason)
      assert.equal("", partial)
      _, reason = request("POST", BATCHES, CREATE)
      assert.equal("ECONNRESET", reason)
      _, reason, partial = request("GET", BATCHES)
      assert.equal("ECONNRESET", reason)
      assert.matches("^HTTP/1.1 200 OK\r\n", partial)
      assert.is_nil(partial:find("\r\n\r\n", 1, true))
      _, reason, partial = request("GET", BATCHES)
      assert.equal("ECONNRESET", reason)
      assert.matches("\r\n\r\n{", partial)
      assert.equal(1, created())
      assert.equal(4, asked.service:stats().statuses.reset)
    end)

    it("by bytes that are no JSON, and by any bytes", function()
      start("GET *: garbage x1", [[GET *: raw="HTTP/1.1 200 OK\r\n\r\nno length" x1]])
      local answer = request("GET", BATCHES)
      assert.equal(200, answer.status)
      assert.is_false((pcall(cjson.decode, answer.body)))
      local connection = plain_http.connect(asked.service.port)
      connection:send("GET " .. BATCHES .. " HTTP/1.1\r\n\r\n")
      assert.equal("HTTP/1.1 200 OK\r\n\r\nno length", (connection:read_all()))
      connection:close()
    end)

    it("by trickling", function()
      start("GET /api/v2/batches/*: trickle=100")
      local from = plain_http.now()
      local answer = request("GET", BATCHES .. "/x")
      local took = plain_http.now() - from
      assert.equal('{"detail":"Batch not found"}', answer.body)
      assert.is_true(took > 0.15 and took < 1 + plain_http.slowdown, took)
    end)

    it("by stalling until the client has had enough", function()
      start("GET *: stall x1", "GET *: stall=body x1")
      for _, expected in ipairs { "^$", "^HTTP/1.1 200 OK.*\r\n\r\n{" } do
        local connection = plain_http.connect(asked.service.port)
        connection.socket:settimeout(0.2)
        connection:send("GET " .. BATCHES .. " HTTP/1.1\r\nAuthorization: Bearer k\r\n\r\n")
        local text, reason = connection:read_all()
        connection:close()
        assert.equal("ETIMEDOUT", reason)
        assert.matches(expected, text)
      end
      assert.equal(200, request("GET", BATCHES).status)
    end)

    it("by repeating a page token", function()
      start("GET /api/v2/batches: repeat-token")
      local first = cjson.decode(request("GET", BATCHES .. "?page_size=5").body)
      local second = cjson.decode(request("GET", BATCHES .. "?page_size=5&page_token=" .. first.next_page_token).body)
      assert.equal(5, #second.items)
      assert.not_equal(first.items[1].id, second.items[1].id)
      assert.equal(first.next_page_token, second.next_page_token)
    end)

    it("by limiting the rate", function()
      start("GET *: rate=5")
      local from = plain_http.now()
      -- All in one piece, so that they come within the second on any machine.
      local connection = plain_http.connect(asked.service.port)
      connection:send(("GET " .. BATCHES .. " HTTP/1.1\r\nAuthorization: Bearer k\r\n\r\n"):rep(8))
      local found, last = {}, nil
      for index = 1, 8 do
        last = connection:receive()
        found[index] = last.status
      end
      connection:close()
      assert.same({ 200, 200, 200, 200, 200, 429, 429, 429 }, found)
      assert.equal("1", last.headers["retry-after"])
      local answer
      repeat
        answer = request("GET", BATCHES)
      until answer.status == 200 or plain_http.now() - from > 3 + plain_http.slowdown
      local waited = plain_http.now() - from
      assert.is_true(waited >= 1 and waited < 2 + plain_http.slowdown, waited)
    end)

    it("only as far as it understands", function()
      for rule, message in pairs {
        ["GET"] = "expected METHOD PATTERN: ACTION",
        ["get /x: 500"] = "expected * or a method such as GET",
        ["GET x: 500"] = "a path that begins with / or *",
        ["GET /x:"] = "it does nothing",
        ["GET /x: x3"] = "it does nothing",
        ["GET /x: explode"] = "unknown word 'explode'",
        ["GET /x: delay"] = "'delay' needs a number",
        ["GET /x: delay=-1"] = "'delay' needs a number",
        ["GET /x: status=ten"] = "'status' needs a number",
        ["GET /x: every=1.5 500"] = "'every' needs a whole number",
        ["GET /x: close=middle"] = "'close' takes nothing, headers, body or a number of bytes",
        ["GET /x: close reset"] = "an answer can end only once",
        ["GET /x: header=a"] = "'header' needs",
        ['GET /x: body="abc'] = "cannot read",
        ["POST *: take=5"] = "it does nothing",
        ["POST *: 500 take=x"] = "'take' needs a number",
        ["POST *: 500 take=5 processed"] = "cannot be processed",
        ["POST *: take-rate=0"] = "'take-rate' needs a number",
        ["GET *: ignore"] = "'ignore' needs the name of a header",
        ["GET *: length=x"] = "'length' needs a number",
        ["GET *: shift-range=1.5"] = "'shift-range' needs a whole number",
      } do
        local ok, text = pcall(sandbox.start, { faults = { rule } })
        assert.is_false(ok, rule)
        assert.matches(message, text, 1, true)
      end
    end)
  end)

  it("understands every rule of its documentation", function()
    local root = debug.getinfo(1, "S").source:match("^@(.*)/spec/[^/]*$") or "."
    local file = assert(io.open(root .. "/docs/sandbox.md"))
    local examples = file:read("a"):match("Examples:\n\n```\n(.-)```")
    file:close()
    local faults = require("llama_cloud.sandbox.faults")
    local count = 0
    for line in examples:gmatch("[^\n]+") do
      faults.parse((line:gsub("%s%s%s+.*", "")))
      count = count + 1
    end
    assert.is_true(count >= 5)
  end)

  describe("is steered by its control routes", function()
    -- Over HTTP, as users do it.
    local function control(status, method, path, body)
      local answer = assert(request(method, "/__sandbox__" .. path, body, { Authorization = false }))
      assert.equal(status, answer.status, answer.body)
      return answer.body ~= "" and cjson.decode(answer.body) or nil
    end

    it("which tell what it is", function()
      start("GET *: 500")
      local overview = control(200, "GET", "/")
      assert.equal(250, overview.batches)
      assert.equal(100, overview.jobs)
      assert.equal(1, overview.faults)
      assert.equal(luv_found and "rst" or "close", overview.reset)
      assert.matches("^%d+%-%d+%-%d+T", overview.now)
      control(404, "GET", "/nothing")
      control(404, "PUT", "/faults")
    end)

    it("which count", function()
      start("GET /api/v2/batches/x: close")
      request("GET", BATCHES)
      request("GET", BATCHES .. "/bat-1")
      request("GET", BATCHES .. "/bat-2")
      request("GET", BATCHES .. "/x")
      request("GET", BATCHES, nil, { Authorization = false })
      request("GET", "/nothing")
      local stats = control(200, "GET", "/stats")
      assert.equal(6, stats.requests)
      assert.same({
        ["GET /api/v2/batches"] = 1,
        ["GET /api/v2/batches/{batch_id}"] = 2,
        ["GET (fault)"] = 1,
        ["GET (unauthorized)"] = 1,
        ["GET (unknown)"] = 1,
      }, stats.routes)
      assert.same({ ["200"] = 1, ["404"] = 3, ["401"] = 1, close = 1 }, stats.statuses)
      control(204, "DELETE", "/stats")
      assert.equal(0, control(200, "GET", "/stats").requests)
    end)

    it("which show the last requests without their keys", function()
      start()
      request("GET", BATCHES .. "?page_size=1&status=FAILED", nil, { Cookie = "secret", ["X-Mine"] = "yes" })
      local answer = request("POST", BATCHES, CREATE)
      local shown = control(200, "GET", "/requests").requests
      assert.equal(2, #shown)
      assert.equal("page_size=1&status=FAILED", shown[1].query)
      assert.equal("yes", shown[1].headers["x-mine"])
      assert.equal("(redacted)", shown[1].headers.authorization)
      assert.equal("(redacted)", shown[1].headers.cookie)
      assert.equal("POST", shown[2].method)
      assert.equal(BATCHES, shown[2].path)
      assert.equal(cjson.null, shown[2].query)
      assert.equal("200", shown[2].status)
      assert.equal(#CREATE, shown[2].body_length)
      assert.equal(answer.headers["x-request-id"], shown[2].request_id)
      assert.equal("POST", control(200, "GET", "/requests?limit=1").requests[1].method)
    end)

    it("which add and clear misbehaviours", function()
      start()
      local added = control(201, "POST", "/faults", '{"fault":"GET *: 500"}').faults
      assert.equal(1, #added)
      added = control(201, "POST", "/faults", '{"faults":["GET *: 501","GET *: 502"]}').faults
      assert.equal("GET *: 502", added[2].fault)
      assert.equal("500 500", (statuses(2)))
      control(204, "DELETE", "/faults/1")
      control(404, "DELETE", "/faults/1")
      assert.equal("501", (statuses(1)))
      assert.equal(2, #control(200, "GET", "/faults").faults)
      local refused = control(422, "POST", "/faults", '{"faults":["GET *: 503","nonsense"]}')
      assert.matches("bad fault 'nonsense'", refused.detail)
      control(422, "POST", "/faults", "{}")
      control(422, "POST", "/faults", "{")
      assert.equal(2, #control(200, "GET", "/faults").faults)
      control(204, "DELETE", "/faults")
      assert.equal("200", (statuses(1)))
    end)

    it("which set the clock", function()
      start()
      local before = control(200, "GET", "/time").seconds
      local after = control(200, "POST", "/time", '{"advance":86400}').seconds
      assert.is_true(after - before >= 86400 and after - before < 86410)
      control(422, "POST", "/time", '{"advance":"1"}')
      -- Back again: what was over is at work again.
      local made = cjson.decode(request("POST", BATCHES, CREATE).body)
      local function status()
        return cjson.decode(request("GET", BATCHES .. "/" .. made.id).body).status
      end
      control(200, "POST", "/time", '{"advance":1000}')
      assert.equal("COMPLETED", status())
      control(200, "POST", "/time", '{"advance":-1000}')
      assert.equal("PENDING", status())
    end)
  end)

  describe("speaks HTTP", function()
    local function talk(bytes)
      local connection = plain_http.connect(asked.service.port)
      connection:send(bytes)
      local answer = assert(connection:receive())
      return answer, connection
    end

    it("on one connection, however the bytes arrive", function()
      start()
      local connection = plain_http.connect(asked.service.port)
      local line = "GET " .. BATCHES .. "?page_size=1 HTTP/1.1\r\nAuthorization: Bearer k\r\n\r\n"
      connection:send(line .. line)
      assert.equal(200, connection:receive().status)
      assert.equal(200, connection:receive().status)
      for index = 1, #line do
        connection:send(line:sub(index, index))
      end
      assert.equal(200, connection:receive().status)
      connection:close()
      assert.equal(1, asked.service:stats().connections)
    end)

    it("with a head alone where that is asked for", function()
      start()
      local connection = plain_http.connect(asked.service.port)
      connection:send("HEAD /nothing HTTP/1.1\r\nAuthorization: Bearer k\r\nConnection: close\r\n\r\n")
      assert.matches("^HTTP/1.1 404 .*\r\n\r\n$", (connection:read_all()))
      connection:close()
    end)

    it("and closes when it is asked to", function()
      start()
      for _, line in ipairs { "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n" } do
        local answer, connection = talk(line)
        assert.equal(401, answer.status)
        assert.equal("close", answer.headers.connection)
        assert.equal("", (connection:read_all()))
        connection:close()
      end
    end)

    it("with chunked bodies", function()
      start()
      local head = "POST " .. BATCHES .. " HTTP/1.1\r\nAuthorization: Bearer k\r\nTransfer-Encoding: chunked\r\n\r\n"
      local chunks = string.format(
        "5\r\n%s\r\n%X;x=y\r\n%s\r\n0\r\nTrailer: 1\r\n\r\n",
        CREATE:sub(1, 5),
        #CREATE - 5,
        CREATE:sub(6)
      )
      local answer, connection = talk(head .. chunks)
      assert.equal(200, answer.status)
      connection:send(head .. "zz\r\n")
      assert.equal(400, connection:receive().status)
      connection:close()
    end)

    it("with 100-continue", function()
      start()
      local connection = plain_http.connect(asked.service.port)
      connection:send(
        string.format(
          "POST %s HTTP/1.1\r\nAuthorization: Bearer k\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n",
          BATCHES,
          #CREATE
        )
      )
      assert.equal(100, connection:receive().status)
      connection:send(CREATE)
      assert.equal(200, connection:receive().status)
      connection:close()
    end)

    it("and refuses what it should not take", function()
      start()
      for text, status in pairs {
        ["nonsense\r\n\r\n"] = 400,
        ["GET / HTTP/2.0\r\n\r\n"] = 400,
        ["GET / HTTP/1.1\r\nBad header\r\n\r\n"] = 400,
        ["POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"] = 400,
        ["POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"] = 400,
        ["POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"] = 400,
        ["POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"] = 413,
        ["POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n"] = 501,
        ["POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffff0\r\n"] = 413,
        ["POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n"] = 413,
        ["GET / HTTP/1.1\r\nX: " .. ("x"):rep(70000) .. "\r\n\r\n"] = 431,
      } do
        local answer, connection = talk(text)
        assert.equal(status, answer.status, text:sub(1, 60))
        connection:close()
      end
      assert.equal(200, request("GET", BATCHES).status)
    end)

    it("on thousands of connections at once", function()
      local cqueues = require("cqueues")
      local socket = require("cqueues.socket")
      local limit = io.popen("ulimit -n")
      local descriptors = tonumber(limit:read("l")) or math.huge
      limit:close()
      local wanted = math.min(2000, descriptors - 100)
      start()
      local controller = cqueues.new()
      local open, answered = 0, 0
      for _ = 1, wanted do
        controller:wrap(function()
          local connected = socket.connect("127.0.0.1", asked.service.port)
          connected:setmode("bn", "bn")
          for round = 1, 2 do
            connected:xwrite("GET " .. BATCHES .. "?page_size=1 HTTP/1.1\r\nAuthorization: Bearer k\r\n\r\n", "bn")
            local head = connected:xread("*l", "bn")
            answered = answered + (head:find("^HTTP/1.1 200") and 1 or 0)
            open = open + (round == 1 and 1 or 0)
            local deadline = cqueues.monotime() + 20
            while open < wanted and cqueues.monotime() < deadline do
              cqueues.sleep(0.05)
            end
            local line
            repeat
              line = connected:xread("*l", "bn")
            until line == "\r" or line == ""
            connected:xread(8, "bn")
            if round == 1 then
              connected:xread(-65536, "bn")
            end
          end
          connected:close()
        end)
      end
      assert(controller:loop(60))
      assert.equal(wanted, open)
      assert.equal(wanted * 2, answered)
    end)
  end)

  describe("in this process", function()
    it("serves inside a controller, until it is closed", function()
      local cqueues = require("cqueues")
      local socket = require("cqueues.socket")
      local lines = {}
      local here = require("llama_cloud.sandbox").new {
        batches = 3,
        log = function(line)
          lines[#lines + 1] = line
        end,
      }
      assert.equal("http://127.0.0.1:" .. here:port(), here:url())
      local controller = cqueues.new()
      here:attach(controller)
      local text
      controller:wrap(function()
        local connected = socket.connect("127.0.0.1", here:port())
        connected:setmode("bn", "bn")
        connected:write("GET /api/v2/batches HTTP/1.1\r\nAuthorization: Bearer k\r\n\r\n")
        text = connected:read("*l")
        here:close()
        here:close()
        connected:close()
      end)
      assert(controller:loop(10))
      assert.matches("^HTTP/1.1 200 OK", text)
      assert.is_true(controller:empty())
      assert.equal(1, #lines)
      assert.matches("^req_%x+ GET /api/v2/batches 200$", lines[1])
    end)

    it("raises on bad options", function()
      local module = require("llama_cloud.sandbox")
      for _, case in ipairs {
        { { batch = 1 }, "unknown option 'batch'" },
        { { batches = -1 }, "option 'batches' must be a whole number, 0 or more" },
        { { speed = 0 }, "option 'speed' must be a number greater than 0" },
        { { port = 70000 }, "option 'port' must be a port number" },
        { { api_key = "" }, "option 'api_key' must be a string" },
        { { faults = { "x" } }, "bad fault 'x'" },
        { { host = "192.0.2.1" }, "cannot listen on 192.0.2.1 port 0: " },
      } do
        local ok, message = pcall(module.new, case[1])
        assert.is_false(ok)
        assert.matches(case[2], message, 1, true)
      end
    end)

    it("knows nothing of the client", function()
      for name in pairs(package.loaded) do
        if name:find("^llama_cloud%.sandbox") then
          local file = assert(io.open(assert(package.searchpath(name, package.path))))
          local text = file:read("a")
          file:close()
          for required in text:gmatch('require%(?"(llama_cloud[^"]*)"') do
            assert.matches("^llama_cloud%.sandbox", required, name)
          end
        end
      end
    end)
  end)

  describe("as a program", function()
    local root = debug.getinfo(1, "S").source:match("^@(.*)/spec/[^/]*$") or "."
    local program = root .. "/bin/llama-cloud-sandbox"

    -- Runs it to its end; returns standard output and error together, and the exit status.
    local function run(...)
      local pipe = assert(io.popen(server.command(program, { ... }) .. " 2>&1 </dev/null"))
      local text = pipe:read("a")
      local _, _, status = pipe:close()
      return text, status
    end

    it("explains itself", function()
      local text, status = run("--help")
      assert.equal(0, status)
      for _, option in ipairs { "--fault", "--exit-with-stdin", "--quiet", "--help" } do
        assert.matches(option, text, 1, true)
      end
      for _, option in ipairs(require("llama_cloud.sandbox.options").LIST) do
        if option.help then
          assert.matches("  --" .. option[1]:gsub("_", "-") .. " ", text, 1, true)
        end
      end
      for line in text:gmatch("[^\n]+") do
        assert.is_true(#line <= 80, line)
      end
    end)

    it("refuses what it does not understand", function()
      for _, case in ipairs {
        { { "--nonsense" }, "unknown option '--nonsense'", 2 },
        { { "--quiet=1" }, "--quiet takes no value", 2 },
        { { "--port" }, "--port needs a value", 2 },
        { { "--port", "http" }, "--port: 'http' is not a number", 2 },
        { { "--batches=1.5" }, "--batches: '1.5' is not a number", 2 },
        { { "--speed", "-1" }, "--speed must be a number greater than 0", 2 },
        { { "--fault", "x" }, "bad fault 'x'", 2 },
      } do
        local text, status = run(table.unpack(case[1]))
        assert.matches(case[2], text, 1, true)
        assert.equal(case[3], status, text)
      end
    end)

    it("listens, serves, and ends with its input", function()
      local output = os.tmpname()
      local command = server.command(program, { "--exit-with-stdin", "--batches=3", "--fault", "GET *: 500 x1" })
      local input = assert(io.popen(string.format("%s >%s 2>&1", command, output), "w"))
      local function read()
        local file = assert(io.open(output))
        local text = file:read("a")
        file:close()
        return text
      end
      local port = tonumber(server.wait_for(function()
        return read():match("^listening on http://127%.0%.0%.1:(%d+)\n")
      end, "its first line"))
      assert.equal(500, plain_http.request(port, "GET", BATCHES).status)
      assert.equal(3, #cjson.decode(plain_http.request(port, "GET", BATCHES).body).items)
      assert.is_true(input:close())
      local text = read()
      os.remove(output)
      assert.matches("^listening on [^\n]*\nreq_%x+ GET /api/v2/batches 500\nreq_%x+ GET /api/v2/batches 200\n$", text)
    end)

    it("ends quietly on SIGTERM and SIGINT", function()
      for _, name in ipairs { "TERM", "INT" } do
        local pipe = assert(io.popen("echo $$; " .. server.command(program, { "--quiet" }) .. " 2>&1 </dev/null"))
        local pid = pipe:read("l")
        assert.matches("^listening on http://127%.0%.0%.1:%d+$", pipe:read("l"))
        os.execute(string.format("kill -%s %s", name, pid))
        assert.equal("", pipe:read("a"))
        local _, how, status = pipe:close()
        assert.equal("exit 0", how .. " " .. status)
      end
    end)
  end)
end)

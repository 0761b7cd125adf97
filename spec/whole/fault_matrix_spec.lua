-- Every fault (spec/support/faults.lua) against every kind of call: what the call comes to, how often it was sent and how
-- often the server saw it, how long it took, that it left no descriptor, and that the client works afterwards.
-- docs/reliability.md has the same table. Faults that are about lists or connections alone are in whole/fault_courses_spec.lua.

local cells = require("spec.support.fault_cells")
local certificates = require("spec.support.certificates")
local client_support = require("spec.support.client")
local core = require("llama_cloud.core")
local faults = require("spec.support.faults")
local process = require("spec.support.process")
local program = require("spec.support.program")
local serial = require("spec.support.serial")
local server = require("spec.support.server")

local slowdown = process.slowdown
local TOLERANCE = 0.5 * slowdown -- seconds
local MAX_GROWTH = 32 << 10 -- KiB

local tls_found = certificates.available()
local uv_found, uv = pcall(require, "luv")

-- The least that a good call sends.
local HEALTHY = { get = 1, create = 1, list = 2, wait = 2 }

-- The number of requests of a cell that the server saw.
local function seen_by(s, call)
  local count = 0
  for _, request in ipairs(s and s:requests() or {}) do
    if request.headers["x-cell"] == call then
      count = count + 1
    end
  end
  return count
end

-- Checks what a cell came to.
local function check(fault, call, result, seen)
  local expected = cells.expected(fault, call)
  local attempts = 1
  if expected.again then
    attempts = cells.attempts(fault)
  elseif fault.redirects then
    attempts = (expected.redirects or fault.redirects) + 1
  end
  local where = ("%s: %s: %s"):format(fault.name, call, result.message or result.raised or "no error")
  local unreached = fault.outcome:find("^unreached") ~= nil
  local before = (call == "list" or call == "wait") and 1 or 0
  assert.is_nil(result.raised, where)
  if expected.kind then
    assert.is_nil(result.value, where)
    assert.is_true(result.is_error, where)
    assert.equal(expected.kind, result.kind, where)
    if not expected.cause then
      if not expected.composed then
        assert.equal(attempts, result.attempts, where)
        assert.equal(expected.maybe_sent or false, result.maybe_sent, where)
      end
      assert.equal(unreached and 0 or before + attempts + (fault.kept and before or 0), seen, where)
    else
      assert.is_true(result.causes[expected.cause], where)
    end
    if call == "list" then
      assert.same({ ids = unreached and "" or expected.ids or "ab", same = true }, result.list, where)
    elseif call == "wait" and not unreached then
      assert.equal("RUNNING", result.last_seen, where)
    end
    assert.equal(expected.retry_after, not expected.again and result.retry_after or nil, where)
  else
    assert.equal(expected.value or "object", result.value, where)
    if expected.goes_on then
      assert.equal(HEALTHY.wait + cells.attempts(fault) + (fault.kept and 1 or 0), seen, where)
    elseif fault.outcome == "fine" then
      assert.equal(HEALTHY[call] + (fault.again or 0), seen, where)
      assert.equal(call == "list" and "abc" or "bat-1", result.id, where)
    else
      assert.equal(1, seen, where)
    end
    if call == "wait" then
      assert.equal("COMPLETED", result.status, where)
    end
  end
  -- none may outlast the time limits of its attempts, and those that are paced need their pace on top
  local limit = (fault.at_least or fault.paced or 0) + attempts * cells.TIMEOUT
  if expected.goes_on then
    limit = cells.attempts(fault) * cells.TIMEOUT
  elseif call == "wait" and expected.kind == "timeout" then
    limit = cells.WAIT
  end
  assert.is_true(result.seconds <= limit + TOLERANCE, ("%s (%.2f s)"):format(where, result.seconds))
  assert.is_true(result.seconds >= (fault.at_least or 0) * 0.99, where)
  assert.equal("well", result.afterwards, where)
end

describe("the fault matrix:", function()
  local set, healthy

  setup(function()
    set = tls_found and certificates.make()
    healthy = server.start(cells.script {})
    assert(client_support.client(healthy):get("/healthy")) -- now the transport has its own descriptors
  end)

  teardown(function()
    if set then
      set:remove()
    end
    healthy:stop()
  end)

  -- A port that is taken and where nobody listens.
  local function closed_port()
    local socket = uv.new_tcp()
    assert(socket:bind("127.0.0.1", 0))
    return socket:getsockname().port, { socket }
  end

  -- Places without a server: each gives the client's options, and what is to be closed afterwards.
  local places = {}

  function places.refused()
    local port, handles = closed_port()
    return { base_url = "http://127.0.0.1:" .. port }, handles
  end

  function places.unknown()
    return { base_url = "http://does-not-exist.invalid", connect_timeout = client_support.scaled(5) }, {}
  end

  -- Linux drops what comes to a full backlog.
  function places.backlog()
    local listener = uv.new_tcp()
    assert(listener:bind("127.0.0.1", 0))
    assert(listener:listen(0, function() end))
    local handles, port = { listener }, listener:getsockname().port
    for _ = 1, 3 do
      local filler = uv.new_tcp()
      filler:connect("127.0.0.1", port)
      handles[#handles + 1] = filler
    end
    return { base_url = "http://127.0.0.1:" .. port }, handles
  end

  function places.silent()
    local s = server.start("return function() end, function(c) c:sleep(30) c:close() end")
    return { base_url = "https://localhost:" .. s.port }, { s }
  end

  function places.plain()
    local s =
      server.start([[return function() end, function(c) c:raw("HTTP/1.1 400 Bad Request\r\n\r\n") c:close() end]])
    return { base_url = "https://localhost:" .. s.port }, { s }
  end

  function places.no_proxy()
    local port, handles = closed_port()
    return { base_url = "http://name.example", proxy = "http://127.0.0.1:" .. port }, handles
  end

  function places.proxy_407()
    local s = server.start { { status = 407, body = "{}" } }
    return { base_url = "https://name.example", proxy = s:url() }, { s }
  end

  function places.proxy_closes()
    local s = server.start { { close_before = true } }
    return { base_url = "https://name.example", proxy = s:url() }, { s }
  end

  function places.bad_proxy()
    return { base_url = "https://name.example", proxy = "ftp://127.0.0.1:1" }, {}
  end

  function places.no_ca_file()
    local s = server.start("return function() end, function(c) c:sleep(30) c:close() end")
    return { base_url = "https://localhost:" .. s.port, ca_file = "/nonexistent/ca.pem" }, { s }
  end

  function places.bad_host()
    return { base_url = ("http://%s.example"):format(("a"):rep(64)) }, {}
  end

  function places.long_header()
    local s = server.start { { body = "{}" } }
    return { base_url = s:url(), default_headers = { ["X-Long"] = ("x"):rep(400000) } }, { s }
  end

  local function close_all(handles)
    for _, handle in ipairs(handles) do
      if handle.stop then
        handle:stop()
      else
        handle:close()
      end
    end
    if uv_found then
      uv.run("nowait")
    end
  end

  -- One row: the four kinds of call, one after another.
  local function row(fault)
    local s, options, handles
    if fault.place then
      options, handles = places[fault.place]()
    else
      s = server.start(cells.script(fault), { tls = fault.tls and set[fault.tls] })
      options, handles = { base_url = s:url(), ca_file = fault.tls and set.ca or nil }, { s }
    end
    local reachable = s and (not fault.tls or fault.tls == "good")
    local url = (reachable and s or healthy):url("/healthy")
    local ok, message = pcall(function()
      for _, call in ipairs(cells.calls) do
        local descriptors, memory = cells.descriptors(), cells.memory()
        local result = cells.run(fault, call, options, url)
        check(fault, call, result, seen_by(s, call))
        local where = fault.name .. ": " .. call
        assert.equal(descriptors, cells.settled_descriptors(descriptors), where)
        if not process.instrumented then
          local growth = cells.memory() - memory
          assert.is_true(growth < MAX_GROWTH, ("%s: %d KiB more"):format(where, growth))
        end
      end
    end)
    close_all(handles)
    if not ok then
      error(message, 0)
    end
  end

  local needs_luv = { refused = true, backlog = true, no_proxy = true }

  for _, group in ipairs(faults.groups) do
    describe(group.name, function()
      for _, fault in ipairs(group) do
        fault.slow = fault.slow or group.slow or fault.outcome == "unreached_late"
        if fault.place == "name" then
          it(fault.name, function()
            local begin = core.now()
            local output, well = process.run(
              [[
                local cells = require("spec.support.fault_cells")
                local program = require("spec.support.program")
local serial = require("spec.support.serial")
                local fault, url = serial.decode(...), select(2, ...)
                local results = {}
                for _, call in ipairs(cells.calls) do
                  results[call] = cells.run(fault, call, { base_url = "http://name.example" }, url)
                end
                print(serial.encode(results))
              ]],
              {
                args = { serial.encode(fault), healthy:url("/healthy") },
                preload = process.library("slow_getaddrinfo"),
              }
            )
            assert.is_true(well, output)
            assert.is_true(core.now() - begin < 15 + 2 * slowdown, "the program did not end with the calls")
            for call, result in pairs(serial.decode(output)) do
              check(fault, call, result, 0)
            end
          end)
        elseif fault.slow and slowdown > 10 then
          pending(fault.name .. ": not under valgrind, where time means little")
        elseif (fault.tls or fault.place == "plain") and not tls_found then
          pending(fault.name .. ": the openssl program or its Lua module is missing")
        elseif needs_luv[fault.place] and not uv_found then
          pending(fault.name .. ": luv is missing")
        else
          it(fault.name, function()
            row(fault)
          end)
        end
      end
    end)
  end

  it("is in docs/reliability.md as it is here", function()
    local file = assert(io.open(program.file("docs/reliability.md")))
    local text = file:read("a")
    file:close()
    for _, group in ipairs(faults.groups) do
      local rows = {}
      for _, fault in ipairs(group) do
        rows[#rows + 1] = faults.row(fault)
      end
      assert.matches(("### %s\n"):format(group.name), text, 1, true)
      assert.matches("\n" .. table.concat(rows, "\n") .. "\n\n", text, 1, true)
    end
  end)
end)

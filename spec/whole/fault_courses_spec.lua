-- Faults that are a course of events: servers that go away and come back, connections that died unnoticed, clocks that are
-- wrong. What else a list or a connection may meet is in http/repetition_spec.lua (kept connections that are closed as soon as
-- they are used) and endpoint/list_ends_spec.lua (tokens, empty pages, totals).

local certificates = require("spec.support.certificates")
local client_support = require("spec.support.client")
local core = require("llama_cloud.core")
local lists = require("spec.support.lists")
local llama_cloud = require("llama_cloud")
local process = require("spec.support.process")
local server = require("spec.support.server")

local slowdown = process.slowdown
local scaled = client_support.scaled

-- Serves three pages by token, a batch that completes with the third look, and anything else as "{}".
local SERVICE = [[
  local looks = 0
  local next_token = { [""] = "t1", t1 = "t2" }
  local items = { [""] = '{"id":"a"},{"id":"b"}', t1 = '{"id":"c"}', t2 = '{"id":"d"},{"id":"e"}' }
  return function(c, r)
    if r.path == "/api/v2/batches" and r.method == "GET" then
      local token = (r.query or ""):match("page_token=(%w+)") or ""
      local following = next_token[token] and '"' .. next_token[token] .. '"' or "null"
      return c:json(200, ('{"items":[%s],"next_page_token":%s}'):format(items[token], following))
    elseif r.path:find("/batches/bat%-1$") then
      looks = looks + 1
      return c:json(200, ('{"id":"bat-1","status":"%s"}'):format(looks > (args or 2) and "COMPLETED" or "RUNNING"))
    end
    c:json(200, '{"id":"bat-new"}')
  end
]]

describe("a server that", function()
  client_support.pause_for(0.05)

  it("goes away in the middle of a list fails it there, and the client works with the next one", function()
    local s = server.start(SERVICE)
    local client = client_support.client(s, { max_retries = 2 })
    local ids, list = {}, client.batches:list(nil, { prefetch = false })
    local ok, err = pcall(function()
      for item in list do
        ids[#ids + 1] = item.id
        if item.id == "c" then
          s:stop()
        end
      end
    end)
    assert.is_false(ok)
    assert.equal("abc", table.concat(ids))
    assert.same({ "connection", 3, false }, { err.kind, err.attempts, err.maybe_sent })
    assert.equal(2, s:count())
    local _, again = list:next_page()
    assert.equal(err, again)
    local back <close> = server.start(SERVICE, { port = s.port })
    assert.equal("abcde", lists.walk(client.batches:list()))
    assert.equal(3, back:count())
  end)

  -- With and without the next page having been asked for before the server went.
  for _, prefetch in ipairs { true, false } do
    it("is started anew in the middle of a list loses no item, prefetch = " .. tostring(prefetch), function()
      local s = server.start(SERVICE)
      local client = client_support.client(s, { max_retries = 100 })
      local ids = {}
      llama_cloud.run(function()
        for item in client.batches:list(nil, { prefetch = prefetch }) do
          ids[#ids + 1] = item.id
          if item.id == "b" then
            s:stop()
            llama_cloud.spawn(function()
              llama_cloud.sleep(0.3)
              s = server.start(SERVICE, { port = s.port })
            end)
          end
        end
      end)
      s:stop()
      assert.equal("abcde", table.concat(ids))
    end)
  end

  it("is started anew in the middle of a wait does not end it", function()
    local s = server.start(SERVICE, { args = 1000 })
    local client = client_support.client(s, { max_retries = 0 })
    local batch, err
    llama_cloud.run(function()
      llama_cloud.spawn(function()
        for _ = 1, 1000 do -- not s:wait_for_requests, which would hold up the wait, too
          if s:count() >= 2 then
            break
          end
          llama_cloud.sleep(0.01)
        end
        s:stop()
        llama_cloud.sleep(0.3)
        s = server.start(SERVICE, { port = s.port })
      end)
      local quick = { polling_interval = 0.02, backoff = "constant", total_timeout = scaled(20) }
      batch, err = client.batches:wait("bat-1", nil, quick)
    end)
    s:stop()
    assert.is_nil(err)
    assert.equal("COMPLETED", batch.status)
  end)

  it("closes a kept connection while it is idle costs neither a get nor a create", function()
    local s <close> = server.start([[return function(c) c:json(200, '{"id":"x"}') c:sleep(0.02) c:close() end]])
    local client = client_support.client(s)
    for _, call in ipairs { "get", "create", "get", "create" } do
      local before = s:count()
      local value, err = client.batches[call](client.batches, call == "get" and "bat-1" or client_support.BATCH)
      assert.is_nil(err)
      assert.equal("x", value.id)
      assert.equal(1, s:count() - before)
      llama_cloud.sleep(scaled(0.15))
    end
    assert.equal(4, s:connections())
  end)

  for _, scheme in ipairs { "http", "https" } do
    for delay, when in pairs { [0] = "at once", [0.02] = "a little later" } do
      it(
        ("sends more than was asked for, %s, does not answer the next request with it (%s)"):format(when, scheme),
        function()
          if scheme == "https" and not certificates.available() then
            return pending("the openssl program or its Lua module is missing")
          end
          local set = scheme == "https" and certificates.make()
          local s <close> = server.start(
            [[
            local FORGED = 'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"id":"forged"}'
            return function(c, r)
              c:json(200, ('{"id":"%s"}'):format(r.method))
              if args > 0 then
                c:sleep(args)
              end
              c:raw(FORGED)
            end
          ]],
            { args = delay, tls = set and set.good }
          )
          local client = client_support.client(s, { ca_file = set and set.ca or nil, total_timeout = scaled(20) })
          for _ = 1, 3 do
            local batch, err = client.batches:get("bat-1")
            assert.equal("GET", batch and batch.id or err)
            llama_cloud.sleep(scaled(0.15)) -- what is not there yet cannot be told from an answer
            batch, err = client.batches:create(client_support.BATCH)
            assert.equal("POST", batch and batch.id or err)
            llama_cloud.sleep(scaled(0.15))
          end
          assert.equal(6, s:count())
          if set then
            set:remove()
          end
        end
      )
    end
  end

  it("says 408 to a kept connection that is idle, and closes it, loses no creation", function()
    local s <close> = server.start([[
      return function(c)
        c:json(200, '{"id":"x"}')
        c:sleep(0.02)
        c:raw("HTTP/1.0 408 Request Time-out\r\nConnection: close\r\n\r\n")
        c:close()
      end
    ]])
    local client = client_support.client(s)
    for i = 1, 4 do
      assert.equal("x", assert(client.batches:create(client_support.BATCH)).id)
      assert.equal(i, s:count())
      llama_cloud.sleep(scaled(0.15))
    end
  end)

  it("fails for a while and then hangs: the wait tells what failed, not that its own end came", function()
    local s <close> = server.start { { status = 503, body = '{"detail":"moving house"}' }, { delay = 30 } }
    local client = client_support.client(s)
    local given = { polling_interval = 0.01, backoff = "constant", total_timeout = scaled(0.4) }
    local err = select(2, client.batches:wait("bat-1", nil, given))
    assert.equal("timeout", err.kind)
    assert.equal("internal_server", err.cause.kind)
    assert.matches("the last error was: 503: moving house %(", err.message)
    local ok, raised = pcall(function()
      for _ in client.batches:watch("bat-1", nil, given) do -- luacheck: ignore
      end
    end)
    assert.is_false(ok)
    assert.equal("timeout", raised.cause.kind) -- that hung from the beginning
  end)
end)

describe("a wall clock that", function()
  local time, clock = os.time, os.clock

  after_each(function()
    os.time, os.clock = time, clock -- luacheck: ignore 122
  end)

  -- Each look at the clock is a day before, or after, the last one.
  for name, step in pairs { ["goes backwards"] = -86400, ["leaps ahead"] = 86400 } do
    it(name .. " changes nothing about time-outs, pauses, polls and lists", function()
      local s <close> = server.start([[
        local function service() ]] .. SERVICE .. [[ end
        local serve, failed = service(), {}
        return function(c, r)
          if r.path == "/slow" then
            c:wait_closed()
          elseif not failed[r.target] then
            failed[r.target] = true
            c:json(503, "{}", {
              Date = "Sun, 06 Nov 1994 08:49:37 GMT",
              ["Retry-After"] = "Sun, 06 Nov 1994 08:49:37 GMT",
            })
          else
            serve(c, r)
          end
        end
      ]])
      local client = client_support.client(s, { max_retries = 1 })
      local now = time()
      os.time = function(t) -- luacheck: ignore 122
        if t then
          return time(t)
        end
        now = now + step
        return now
      end
      os.clock = os.time -- luacheck: ignore 122
      local begin = core.now()
      assert.equal("abcde", lists.walk(client.batches:list()))
      local batch = assert(client.batches:wait("bat-1", nil, { polling_interval = 0.1, backoff = "constant" }))
      assert.equal("COMPLETED", batch.status)
      local took = core.now() - begin
      assert.is_true(took >= 0.17 and took < 20 * slowdown, ("%.2f s"):format(took)) -- not a day
      for _, limit in ipairs { "timeout", "total_timeout" } do
        begin = core.now()
        local err = select(2, client:get("/slow", { [limit] = 0.3, max_retries = 0 }))
        took = core.now() - begin
        assert.equal("timeout", err.kind)
        assert.is_true(took >= 0.29 and took < 0.3 + 0.5 * slowdown, ("%.2f s"):format(took))
      end
    end)
  end
end)

-- The client over HTTP/2: what was not processed is sent again, and a dead connection holds up nobody for long.

local certificates = require("spec.support.certificates")
local client_support = require("spec.support.client")
local core = require("llama_cloud.core")
local llama_cloud = require("llama_cloud")
local process = require("spec.support.process")
local server = require("spec.support.server")

local slowdown = process.slowdown

-- The first request with the directory `dir-NAME` is treated so.
local SERVER = [[
  local http2 = require("spec.support.http2")
  local seen = {}
  local faults = {
    refused = function(stream) stream:reset(http2.REFUSED_STREAM) end,
    goaway = function(stream) stream:goaway(0) end,
    failed = function(stream) stream:reset(http2.INTERNAL_ERROR) end,
    closed = function(stream) stream:goaway(stream.id) stream:close() end,
  }
  local connections = {}
  return http2.serve(function(stream)
    local name = stream.body:match("dir%-(%w+)") or ""
    connections[stream.connection] = true
    if name == "hole" then
      for connection in pairs(connections) do
        connection.silent = true
      end
    elseif faults[name] and not seen[name] then
      seen[name] = true
      faults[name](stream)
    else
      stream:respond(200, ('{"id":"bat-%d","status":"RUNNING"}'):format(stream.n))
    end
  end, args)
]]

describe("a client over HTTP/2", function()
  if not certificates.available() then
    pending("the openssl program or its Lua module is missing")
    return
  end

  local set, s

  setup(function()
    set = certificates.make()
  end)

  teardown(function()
    set:remove()
  end)

  after_each(function()
    s:stop()
  end)

  local function start(options, args)
    local tls = { certificate = set.good.certificate, key = set.good.key, alpn = "h2" }
    s = server.start(SERVER, { tls = tls, args = args })
    options = options or {}
    options.ca_file = set.ca
    return client_support.client(s, options)
  end

  local function batch(directory)
    return { source_directory_id = directory, config = client_support.BATCH.config }
  end

  local function seen(directory)
    local count = 0
    for _, request in ipairs(s:requests()) do
      count = count + (request.body:find(directory, 1, true) and 1 or 0)
    end
    return count
  end

  it("sends again a creation that was not processed", function()
    local client = start { max_retries = 1 }
    assert(client.batches:get("bat-1"))
    for _, name in ipairs { "refused", "goaway" } do
      local created = assert(client.batches:create(batch("dir-" .. name)))
      assert.is_string(created.id)
      assert.equal(2, seen("dir-" .. name))
    end
  end)

  it("sends no creation again that the service may have carried out", function()
    local client = start { max_retries = 3 }
    assert(client.batches:get("bat-1"))
    for _, name in ipairs { "failed", "closed" } do
      local created, err = client.batches:create(batch("dir-" .. name))
      assert.is_nil(created)
      assert.same({ "connection", true, 1 }, { err.kind, err.maybe_sent, err.attempts })
      assert.equal(1, seen("dir-" .. name))
    end
  end)

  it("loses none of many creations at once, however few streams there are", function()
    local creations = process.instrumented and 25 or 100
    local client = start({}, { max_streams = 1 })
    local ids = {}
    llama_cloud.run(function()
      for i = 1, creations do
        llama_cloud.spawn(function()
          ids[assert(client.batches:create(batch("dir-x" .. i))).id] = true
        end)
      end
    end)
    local count = 0
    for _ in pairs(ids) do
      count = count + 1
    end
    assert.equal(creations, count)
    assert.equal(creations, s:count())
  end)

  it("takes another connection when an attempt has timed out, and so do all others of the state", function()
    local timeout = 0.5 * slowdown
    local client = start { timeout = timeout, max_retries = 2 }
    local other = client_support.client(s, { ca_file = set.ca, timeout = timeout, max_retries = 0 })
    for round = 1, process.instrumented and 1 or 3 do
      assert(client.batches:get("bat-1"))
      assert(other.batches:get("bat-1"))
      local _, err = client:post("/x", { body = { source_directory_id = "dir-hole" }, max_retries = 0 })
      assert.equal("timeout", err.kind)
      local begin = core.now()
      assert(client.batches:get("bat-1")) -- at its second attempt: the creation had a connection of its own
      assert.is_true(core.now() - begin < 2.9 * timeout, round)
      assert(other.batches:get("bat-1"))
    end
  end)
end)

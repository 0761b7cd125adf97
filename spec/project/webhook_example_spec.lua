-- examples/webhook_receiver.lua, as it stands: a program that receives what this one sends.

local hmac = require("openssl.hmac")
local socket = require("cqueues.socket")
local llama_cloud = require("llama_cloud")

local process = require("spec.support.process")
local program = require("spec.support.program")
local sandbox = require("spec.support.sandbox")

local function signature(body, secret)
  local bytes = hmac.new(secret, "sha256"):final(body)
  return "sha256=" .. bytes:gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end)
end

describe("examples/webhook_receiver.lua", function()
  local s, receiver, pid, port

  setup(function()
    s = sandbox.start { batches = 3, speed = 1e6, deliver_webhooks = true }
    receiver, pid = program.start("examples/webhook_receiver.lua", { "0" }, {
      LLAMA_CLOUD_BASE_URL = s:url(),
      LLAMA_CLOUD_API_KEY = "llx-test",
      LLAMA_CLOUD_WEBHOOK_SECRET = "old new",
    })
    port = receiver:read("l"):match("^listening on 127%.0%.0%.1:(%d+)$")
  end)

  teardown(function()
    os.execute("kill " .. pid)
    receiver:close()
    s:stop()
  end)

  -- Sends bytes as they are. The status that comes back.
  local function send(bytes)
    local peer = socket.connect("127.0.0.1", tonumber(port))
    peer:settimeout(30 * process.slowdown)
    peer:onerror(function(_, _, code)
      return code
    end)
    peer:setmode("bn", "bn")
    peer:write(bytes)
    peer:shutdown("w")
    local answer = peer:read("*a")
    peer:close()
    return answer and tonumber(answer:match("^HTTP/1%.1 (%d+) "))
  end

  local function deliver(body, header)
    return send(
      ("POST /hook HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s"):format(
        header and "lc-signature: " .. header .. "\r\n" or "",
        #body,
        body
      )
    )
  end

  it("takes what is signed, and hands it over", function()
    local client = llama_cloud.new { base_url = s:url(), api_key = "llx-test" }
    local batch = client.batches:list()()
    local body = llama_cloud.json.encode { event_type = "batch.success", data = { batch_id = batch.id } }
    for _, secret in ipairs { "old", "new" } do
      assert.equal(204, deliver(body, signature(body, secret)))
      assert.equal(batch.id .. "\t" .. batch.status, receiver:read("l"))
    end
    local text = llama_cloud.json.encode(body) -- the service's format "string"
    assert.equal(204, deliver(text, signature(text, "new")))
    assert.equal(batch.id .. "\t" .. batch.status, receiver:read("l"))
    assert.equal(204, deliver('{"data":{"batch_id":"bat-none"}}', signature('{"data":{"batch_id":"bat-none"}}', "new")))
    assert.matches("^bat%-none\tllama_cloud: not_found: 404", receiver:read("l"))
    assert.equal(204, deliver("[1,null]", signature("[1,null]", "new")))
    assert.equal("this event is not about a batch", receiver:read("l"))
  end)

  it("takes what the service delivers", function()
    local client = llama_cloud.new { base_url = s:url(), api_key = "llx-test" }
    local batch = assert(client.batches:create {
      source_directory_id = "dir-files-3",
      config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } },
      webhook_configurations = {
        {
          webhook_url = ("http://127.0.0.1:%s/hook"):format(port),
          webhook_events = { "batch.success" },
          webhook_signing_secret = "new",
        },
      },
    })
    assert.equal(batch.id .. "\tCOMPLETED", receiver:read("l"))
  end)

  it("refuses the rest", function()
    assert.equal(401, deliver("{}", signature("{}", "other")))
    assert.equal("refused: the signature is not that of this body by this secret", receiver:read("l"))
    assert.equal(401, deliver("{}"))
    assert.matches("^refused: there is no signature", receiver:read("l"))
    assert.equal(405, send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert.equal(411, send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
    assert.equal(413, send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n"))
    assert.equal(431, send("POST / HTTP/1.1\r\nX: " .. ("x"):rep(20000)))
    assert.equal(408, send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{}")) -- it ends too early
    assert.equal(204, deliver("{}", signature("{}", "new"))) -- and it is still there
    assert.equal("this event is not about a batch", receiver:read("l"))
  end)

  it("wants a secret", function()
    local output, status = program.run("examples/webhook_receiver.lua", {}, {})
    assert.equal(1, status)
    assert.matches("set LLAMA_CLOUD_WEBHOOK_SECRET", output, 1, true)
  end)
end)

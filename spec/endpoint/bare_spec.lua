-- Calls of nothing but ids: after the first by a method, the next ones are put together of what it has left.

local client_support = require("spec.support.client")

local start = client_support.start

describe("a call of nothing but ids", function()
  it("is the second time as it was the first", function()
    local s <close>, client = start({ { body = "{}" } }, {
      project_id = "proj-1",
      default_query = { trace = "a b" },
      default_headers = { ["X-Mine"] = "1" },
    })
    for _, id in ipairs { "bat-1", "bat-1", "b/2" } do
      assert(client.batches:get(id))
    end
    local first, second, third = table.unpack(s:requests())
    assert.equal("/api/v2/batches/bat-1?project_id=proj-1&trace=a%20b", first.target)
    assert.equal(first.target, second.target)
    assert.equal("/api/v2/batches/b%2F2?project_id=proj-1&trace=a%20b", third.target)
    assert.same(first.header_list, third.header_list)
  end)

  it("has nothing of the calls between, nor they of it", function()
    local s <close>, client = start { { body = "{}" } }
    assert(client.batches:get("a"))
    assert(client.batches:get("b", { expand = { "results" } }, { headers = { ["X-Own"] = "1" }, query = { q = 1 } }))
    assert(client.batches:get("c"))
    assert(client.batches:cancel("d"))
    assert(client.batches:cancel("e"))
    local targets, own = {}, {}
    for i, request in ipairs(s:requests()) do
      targets[i] = request.method .. " " .. request.target
      own[i] = request.headers["x-own"] or false
    end
    assert.same({
      "GET /api/v2/batches/a",
      "GET /api/v2/batches/b?expand=results&q=1",
      "GET /api/v2/batches/c",
      "POST /api/v2/batches/d/cancel",
      "POST /api/v2/batches/e/cancel",
    }, targets)
    assert.same({ false, "1", false, false, false }, own)
  end)

  it("is the client's own", function()
    local s <close>, client = start({ { body = "{}" } }, { project_id = "proj-1" })
    local other = client:with_options { project_id = "proj-2", max_response_bytes = 1 }
    assert(client.batches:get("a"))
    local _, err = other.batches:get("a")
    assert.equal("too_large", err.kind)
    assert(client.batches:get("a"))
    assert.equal("/api/v2/batches/a?project_id=proj-2", s:requests()[2].target)
    assert.equal("/api/v2/batches/a?project_id=proj-1", s:requests()[3].target)
  end)

  it("has its ids checked each time", function()
    local s <close>, client = start { { body = "{}" } }
    assert(client.batches:get("a"))
    for _, id in ipairs { "", ".", "..", "a\n", "a\0", "a\rb" } do
      client_support.raises_here(function()
        local _ = client.batches:get(id)
      end, "batch_id")
    end
    assert.equal(1, s:count())
  end)
end)

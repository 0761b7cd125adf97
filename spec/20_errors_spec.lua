local array = require("llama_cloud.core").array
local errors = require("llama_cloud.errors")
local llama_cloud = require("llama_cloud")

local function from(status, body, headers)
  return errors.from_response(status, headers or {}, body)
end

describe("an error object", function()
  it("is recognised, and nothing else is", function()
    assert.is_true(llama_cloud.is_error(errors.new { kind = "timeout", message = "m" }))
    for _, value in ipairs { "text", 1, {}, true, print, setmetatable({}, {}) } do
      assert.is_false(llama_cloud.is_error(value))
    end
    assert.is_false(llama_cloud.is_error(nil))
  end)

  it("turns into one line that holds what support asks for", function()
    local err = errors.new { kind = "timeout", message = "too late" }
    assert.equal("llama_cloud: timeout: too late", tostring(err))
    err.method, err.url, err.attempts = "GET", "https://api.example/x", 1
    assert.equal("llama_cloud: timeout: too late (GET https://api.example/x)", tostring(err))
    err.attempts, err.request_id = 3, "req-7"
    assert.equal(
      "llama_cloud: timeout: too late (GET https://api.example/x, 3 attempts, request id req-7)",
      tostring(err)
    )
  end)

  it("can be raised and caught as it is", function()
    local err = errors.new { kind = "timeout", message = "m" }
    local ok, caught = pcall(error, err)
    assert.is_false(ok)
    assert.equal(err, caught)
  end)
end)

describe("errors.kind_of_status", function()
  it("names the statuses that the API uses", function()
    local expected = {
      [300] = "status",
      [304] = "status",
      [400] = "bad_request",
      [401] = "authentication",
      [402] = "status",
      [403] = "permission_denied",
      [404] = "not_found",
      [405] = "status",
      [408] = "status",
      [409] = "conflict",
      [410] = "status",
      [422] = "unprocessable_entity",
      [425] = "status",
      [429] = "rate_limit",
      [499] = "status",
      [500] = "internal_server",
      [501] = "internal_server",
      [503] = "internal_server",
      [529] = "internal_server",
      [599] = "internal_server",
    }
    for status, kind in pairs(expected) do
      assert.equal(kind, errors.kind_of_status(status), status)
    end
  end)
end)

describe("errors.from_response", function()
  it("unpacks detail, message and error", function()
    assert.equal("404: Batch not found", from(404, '{"detail":"Batch not found"}').message)
    assert.equal("404: gone", from(404, '{"message":"gone"}').message)
    assert.equal("404: gone", from(404, '{"error":{"message":"gone"}}').message)
    assert.equal("404: gone", from(404, '{"error":"gone"}').message)
    assert.equal("404: gone", from(404, '{"detail":{"message":"gone"}}').message)
    assert.equal("404: detail first", from(404, '{"message":"x","detail":"detail first"}').message)
  end)

  it("unpacks FastAPI's list of faults", function()
    local body = [[{"detail":[
      {"loc":["query","page_size"],"msg":"Input should be greater than 0","type":"greater_than"},
      {"loc":["body","items",3,"id"],"msg":"Field required","type":"missing"}]}]]
    local err = from(422, body)
    assert.equal("unprocessable_entity", err.kind)
    assert.equal("422: query.page_size: Input should be greater than 0; body.items.3.id: Field required", err.message)
    assert.equal("missing", err.body.detail[2].type)
  end)

  it("does its best with lists of another shape", function()
    assert.equal("422: plain", from(422, '{"detail":["plain"]}').message)
    assert.equal("422: no place", from(422, '{"detail":[{"msg":"no place"}]}').message)
    assert.equal("422: no place", from(422, '{"detail":[{"msg":"no place","loc":[]}]}').message)
    assert.equal("422: odd", from(422, '{"detail":[{"msg":"odd","loc":"query"}]}').message)
    assert.equal("422: second", from(422, '{"detail":[{"x":1},null,{"msg":"second"}]}').message)
    assert.equal('422: {"detail":[]}', from(422, '{"detail":[]}').message)
    assert.equal('422: {"detail":[1]}', from(422, '{"detail":[1]}').message)
  end)

  it("shows the beginning of any other body", function()
    assert.equal("500: <h1>Bad Gateway</h1>", from(500, "<h1>Bad\r\n  Gateway</h1>").message)
    assert.equal('500: {"code":7}', from(500, '{"code":7}').message)
    assert.equal("500: words", from(500, '"words"').message)
    assert.equal("500: null", from(500, "null").message)
    assert.equal('500: {"detail":""}', from(500, '{"detail":""}').message)
    assert.equal("500: " .. ("x"):rep(200) .. "…", from(500, ("x"):rep(5000)).message)
    assert.equal("500: a b", from(500, "a\27\0\7b").message)
  end)

  it("says so when there is no body", function()
    local err = from(500, "")
    assert.equal("500: no explanation in the response", err.message)
    assert.equal("", err.body)
  end)

  it("keeps the body, decoded if it is JSON", function()
    assert.same({ detail = "x", n = 9007199254740993 }, from(400, '{"detail":"x","n":9007199254740993}').body)
    assert.equal("<html>", from(400, "<html>").body)
    assert.equal('{"cut":', from(400, '{"cut":').body)
    assert.equal(array, getmetatable(from(400, "[]").body))
  end)

  it("keeps status, headers and the id of the request", function()
    local headers = { ["x-request-id"] = "req-1", ["content-type"] = "application/json" }
    local err = from(409, "{}", headers)
    assert.equal(409, err.status)
    assert.equal(headers, err.headers)
    assert.equal("req-1", err.request_id)
    assert.equal("cor-1", from(409, "{}", { ["x-correlation-id"] = "cor-1" }).request_id)
    assert.is_nil(from(409, "{}").request_id)
  end)

  it("says what to do about a refused key", function()
    assert.matches("check the API key", from(401, '{"detail":"Invalid token"}').message, 1, true)
    assert.matches("Invalid token", from(401, '{"detail":"Invalid token"}').message, 1, true)
    assert.matches("project or plan", from(403, '{"detail":"no"}').message, 1, true)
  end)

  it("names where a redirect leads", function()
    assert.equal("302: no explanation in the response (Location: /x)", from(302, "", { location = "/x" }).message)
    assert.equal("201: no explanation in the response", from(201, "", { location = "/x" }).message)
  end)
end)

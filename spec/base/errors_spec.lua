local array = require("llama_cloud.core").array
local errors = require("llama_cloud.base.errors")
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
    assert.equal("409: Batch not found", from(409, '{"detail":"Batch not found"}').message)
    assert.equal("409: gone", from(409, '{"message":"gone"}').message)
    assert.equal("409: gone", from(409, '{"error":{"message":"gone"}}').message)
    assert.equal("409: gone", from(409, '{"error":"gone"}').message)
    assert.equal("409: gone", from(409, '{"detail":{"message":"gone"}}').message)
    assert.equal("409: detail first", from(409, '{"message":"x","detail":"detail first"}').message)
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

  it("shows a detail that is an object", function()
    assert.equal('409: {"directory_id":"dir-1"}', from(409, '{"detail":{"directory_id":"dir-1"}}').message)
    assert.equal("dir-1", from(409, '{"detail":{"directory_id":"dir-1"}}').body.detail.directory_id)
    assert.equal("409: taken", from(409, '{"detail":{"directory_id":"dir-1","message":"taken"}}').message)
    assert.equal("409: words", from(409, '{"detail":{},"message":"words"}').message)
    local long = from(409, ('{"detail":{"a":"%s"}}'):format(("x"):rep(5000))).message
    assert.is_true(#long <= 1000)
  end)

  it("says of 402 that there are no credits", function()
    local err = from(402, '{"detail":"no"}')
    assert.equal("status", err.kind)
    assert.equal("402: no (the plan has no credits left: add some, or wait until it gets new ones)", err.message)
  end)

  it("gives other advice where it is told other", function()
    local advice = { permission_denied = "ask again" }
    assert.equal("403: no (ask again)", errors.from_response(403, {}, "no", nil, advice).message)
    assert.equal("401: no", errors.from_response(401, {}, "no", nil, advice).message)
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

describe("the text of an error", function()
  local err = errors.new { kind = "timeout", message = "m" }

  it("can be concatenated with texts, numbers and errors", function()
    assert.equal("failed: llama_cloud: timeout: m", "failed: " .. err)
    assert.equal("llama_cloud: timeout: m\n", err .. "\n")
    assert.equal("llama_cloud: timeout: m" .. tostring(err), err .. err)
    assert.equal("llama_cloud: timeout: m5", err .. 5)
    assert.equal("1 of 2: llama_cloud: timeout: m!", 1 .. " of " .. 2 .. ": " .. err .. "!")
    assert.equal("llama_cloud: timeout: m", ("%s"):format(err))
  end)

  it("cannot be concatenated with what no text can be, at the caller's line", function()
    for _, value in ipairs { true, {}, print } do
      local ok, message = pcall(function()
        local text = err .. value
        return text
      end)
      assert.is_false(ok)
      assert.matches("base/errors_spec.lua:%d+: attempt to concatenate a " .. type(value) .. " value", message)
      assert.is_false((pcall(function()
        return value .. err
      end)))
    end
    assert.is_false((pcall(function()
      return err .. nil
    end)))
  end)

  it("survives being raised, and stays an error", function()
    local ok, caught = pcall(error, err, 0)
    assert.is_false(ok)
    assert.is_true(llama_cloud.is_error(caught))
  end)

  it("is at most 2 kB of one line, whatever the service says; the body is whole", function()
    for _, piece in ipairs { "x", "é", "👍", "\255", "\27[", "a\n", " " } do
      local long = piece:rep(100000)
      local headers = { ["x-request-id"] = long, location = long }
      for _, body in ipairs {
        llama_cloud.json.encode { detail = (long:gsub("\255", "?")) },
        long,
        llama_cloud.json.encode { detail = { { loc = { (long:gsub("\255", "?")) }, msg = "m" } } },
      } do
        for _, status in ipairs { 302, 400, 401 } do
          local one = from(status, body, headers)
          one.method, one.url, one.attempts = "GET", "https://api.example/" .. long, 5
          local said = tostring(one)
          assert.is_true(#said <= 2000, #said)
          assert.is_truthy(utf8.len(said))
          assert.is_nil(said:find("%c"))
          assert.is_true(#one.message <= 1000)
          assert.is_nil(one.message:find("%c"))
          assert.is_true(#one.request_id <= 100)
          assert.is_true(#(type(one.body) == "string" and one.body or llama_cloud.json.encode(one.body)) >= #body)
        end
      end
    end
  end)

  it("keeps what to do, however long the service's words are", function()
    local one = from(401, ("x"):rep(5000) .. "y")
    assert.matches("needs the client's option region = eu%)$", one.message)
    for i = 1, 3 do
      errors.append(one, "; advice " .. i)
      assert.is_true(#one.message <= 1000)
    end
    errors.prepend(one, "all in all: ")
    assert.matches("^all in all: 401: xxx.*; advice 1; advice 2; advice 3$", one.message)
  end)

  it("tells of ten faults, and how many more there are", function()
    local faults = {}
    for i = 1, 12 do
      faults[i] = { loc = { "body", i }, msg = "wrong" }
    end
    local message = from(422, llama_cloud.json.encode { detail = faults }).message
    assert.matches("body.10: wrong; and 2 more$", message)
    assert.is_nil(message:find("body.11", 1, true))
  end)

  it("is bounded when somebody has made the message longer", function()
    local one = errors.new { kind = "timeout", message = "m", method = "GET", url = "u" }
    one.message = ("long\27\n"):rep(10000)
    assert.is_true(#tostring(one) <= 2000)
    assert.is_nil(tostring(one):find("%c"))
  end)
end)

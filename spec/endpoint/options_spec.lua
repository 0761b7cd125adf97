local core = require("llama_cloud.core")
local options = require("llama_cloud.endpoint.options")

describe("options.mismatch", function()
  local nan = 0 / 0
  local values = {
    string = { good = { "", "x" }, bad = { 1, true, {} } },
    boolean = { good = { true, false }, bad = { 0, "true" } },
    integer = { good = { 0, -3, 2.0 }, bad = { 1.5, "1", nan, math.huge } },
    count = { good = { 0, 3, 2.0, math.huge }, bad = { -1, 1.5, nan, "1", -math.huge } },
    seconds = { good = { 1, 0.001, math.huge }, bad = { 0, -1, nan, "1", -math.huge } },
    pause = { good = { 0, 1, 0.5, math.huge }, bad = { -1, -0.001, nan, "1" } },
    table = { good = { {}, { a = 1 }, { 1 } }, bad = { 1, "{}" } },
    array = { good = { {}, { 1 }, { "a", "b" } }, bad = { { a = 1 }, "a", 1 } },
    ["function"] = { good = { print }, bad = { "print", {} } },
    content = { good = { "x", "", {} }, bad = { 1, true } },
    date = { good = { "2024-01-01", 0, 1.5, -1 }, bad = { true, {}, nan, math.huge, 2 ^ 60 } },
    any = { good = { 1, "x", {}, true, print }, bad = {} },
  }

  it("accepts and refuses values of each type", function()
    for type_name, lists in pairs(values) do
      for _, value in ipairs(lists.good) do
        assert.is_nil(options.mismatch("option", "o", value, type_name), type_name .. " " .. tostring(value))
      end
      for _, value in ipairs(lists.bad) do
        local complaint = options.mismatch("option", "o", value, type_name)
        assert.is_string(complaint, type_name .. " " .. tostring(value))
        assert.matches("^option 'o' must be an?y? ?.*, not ", complaint)
      end
    end
  end)

  it("takes null for a value of any type", function()
    for type_name in pairs(values) do
      assert.is_nil(options.mismatch("option", "o", core.null, type_name))
    end
  end)

  it("shows a number where the number is what is wrong", function()
    assert.equal(
      "option 'max_retries' must be an integer that is not negative, not -1",
      options.mismatch("option", "max_retries", -1, "count")
    )
    assert.equal(
      "parameter 'limit' must be an integer, not 1.5",
      options.mismatch("parameter", "limit", 1.5, "integer")
    )
    assert.equal(
      "option 'timeout' must be a number of seconds greater than 0 (math.huge for no limit), not 0",
      options.mismatch("option", "timeout", 0, "seconds")
    )
  end)

  it("shows no other value: it may be a secret in the wrong place", function()
    assert.equal(
      "option 'api_key' must be a string, not number",
      options.mismatch("option", "api_key", 123456, "string")
    )
    assert.equal(
      "option 'timeout' must be a number of seconds greater than 0 (math.huge for no limit), not string",
      options.mismatch("option", "timeout", "llx-secret", "seconds")
    )
  end)
end)

describe("options.check", function()
  local declared = { status = "string", limit = "integer" }

  it("finds nothing wrong with what is declared", function()
    assert.is_nil(options.check("parameter", {}, declared))
    assert.is_nil(options.check("parameter", { status = "NEW_ONE", limit = 5 }, declared))
  end)

  it("wants a table", function()
    assert.equal("parameters must be a table, not string", options.check("parameter", "x", declared))
    assert.equal("options must be a table, not boolean", options.check("option", false, declared))
  end)

  it("complains about an unknown name and a wrong type", function()
    assert.equal(
      "unknown parameter 'state' (did you mean 'status'?)",
      options.check("parameter", { state = 1 }, declared)
    )
    assert.equal(
      "parameter 'limit' must be an integer, not string",
      options.check("parameter", { limit = "5" }, declared)
    )
  end)
end)

describe("options.without_nulls", function()
  it("leaves out what is null, in a copy", function()
    local given = { a = 1, b = core.null, c = false }
    assert.same({ a = 1, c = false }, options.without_nulls(given))
    assert.equal(core.null, given.b)
  end)
end)

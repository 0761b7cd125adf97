local core = require("llama_cloud.core")
local options = require("llama_cloud.endpoint.options")

describe("options.unknown", function()
  local known = { page_size = "integer", page_token = "string", status = "string", timeout = "seconds" }

  local function complaint(name)
    return options.unknown("parameter", name, known)
  end

  it("names the nearest name that exists", function()
    assert.equal("unknown parameter 'pagesize' (did you mean 'page_size'?)", complaint("pagesize"))
    assert.equal("unknown parameter 'page-size' (did you mean 'page_size'?)", complaint("page-size"))
    assert.equal("unknown parameter 'PAGE_SIZE' (did you mean 'page_size'?)", complaint("PAGE_SIZE"))
    assert.equal("unknown parameter 'pageSize' (did you mean 'page_size'?)", complaint("pageSize"))
    assert.equal("unknown parameter 'stauts' (did you mean 'status'?)", complaint("stauts"))
    assert.equal("unknown parameter 'timeot' (did you mean 'timeout'?)", complaint("timeot"))
  end)

  it("names none when none is near", function()
    assert.equal("unknown parameter 'colour'", complaint("colour"))
    assert.equal("unknown parameter ''", complaint(""))
  end)

  it("names the one or two that contain it, where none is near", function()
    local more = { max_items = 1, max_interval = 1, polling_interval = 1, api_key = 1 }
    assert.equal("unknown option 'key' (did you mean 'api_key'?)", options.unknown("option", "key", more))
    assert.equal("unknown option 'Items' (did you mean 'max_items'?)", options.unknown("option", "Items", more))
    assert.equal(
      "unknown option 'interval' (did you mean 'max_interval' or 'polling_interval'?)",
      options.unknown("option", "interval", more)
    )
    assert.equal("unknown option 'al'", options.unknown("option", "al", more))
    assert.equal(
      "unknown option 'foo'",
      options.unknown("option", "foo", { foo_first = 1, foo_second = 1, foo_third = 1 })
    )
  end)

  it("tells where a name belongs that is in the wrong table", function()
    local others = { timeout = "seconds" }
    assert.equal(
      "unknown parameter 'timeout': it is an option, and options are in a table after that of the parameters",
      options.check("parameter", { timeout = 1 }, { status = "string" }, others)
    )
    assert.equal(
      "unknown option 'status': it is a parameter, and parameters are in a table before that of the options",
      options.check("option", { status = 1 }, others, { status = "string" })
    )
    assert.equal("unknown option 'colour'", options.check("option", { colour = 1 }, others, { status = "string" }))
  end)

  it("takes the first in the alphabet of two that are equally near", function()
    assert.equal("unknown option 'ac' (did you mean 'aa'?)", options.unknown("option", "ac", { ab = 1, aa = 1 }))
  end)

  it("explains what a positional value is", function()
    assert.equal(
      "options are named, as in { name = value }; a number is not a name",
      options.unknown("option", 1, known)
    )
    assert.equal("parameters are named, as in { name = value }; a table is not a name", complaint {})
  end)
end)

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

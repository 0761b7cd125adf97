local nearest = require("llama_cloud.endpoint.nearest")
local options = require("llama_cloud.endpoint.options")

describe("nearest.unknown", function()
  local known = { page_size = "integer", page_token = "string", status = "string", timeout = "seconds" }

  local function complaint(name)
    return nearest.unknown("parameter", name, known)
  end

  it("names the nearest name that exists", function()
    assert.equal("unknown parameter 'pagesize' (did you mean 'page_size'?)", complaint("pagesize"))
    assert.equal("unknown parameter 'page-size' (did you mean 'page_size'?)", complaint("page-size"))
    assert.equal("unknown parameter 'PAGE_SIZE' (did you mean 'page_size'?)", complaint("PAGE_SIZE"))
    assert.equal("unknown parameter 'pageSize' (did you mean 'page_size'?)", complaint("pageSize"))
    assert.equal("unknown parameter 'stauts' (did you mean 'status'?)", complaint("stauts"))
    assert.equal("unknown parameter 'timeot' (did you mean 'timeout'?)", complaint("timeot"))
  end)

  it("names all parameters where none is near", function()
    local all = "there are page_size, page_token, status, timeout"
    assert.equal("unknown parameter 'colour': " .. all, complaint("colour"))
    assert.equal("unknown parameter '': " .. all, complaint(""))
    assert.equal("unknown parameter 'colour'", nearest.unknown("parameter", "colour", {}))
  end)

  it("names the one or two that contain it, where none is near", function()
    local more = { max_items = 1, max_interval = 1, polling_interval = 1, api_key = 1 }
    assert.equal("unknown option 'key' (did you mean 'api_key'?)", nearest.unknown("option", "key", more))
    assert.equal("unknown option 'Items' (did you mean 'max_items'?)", nearest.unknown("option", "Items", more))
    assert.equal(
      "unknown option 'interval' (did you mean 'max_interval' or 'polling_interval'?)",
      nearest.unknown("option", "interval", more)
    )
    assert.equal("unknown option 'al'", nearest.unknown("option", "al", more))
    assert.equal(
      "unknown option 'foo'",
      nearest.unknown("option", "foo", { foo_first = 1, foo_second = 1, foo_third = 1 })
    )
  end)

  it("names the one or two that it contains as words", function()
    local files = { file = 1, purpose = 1, le = 1 }
    assert.equal(
      "unknown parameter 'upload_file' (did you mean 'file'?)",
      nearest.unknown("parameter", "upload_file", files)
    )
    assert.equal(
      "unknown parameter 'uploadfile': there are file, le, purpose",
      nearest.unknown("parameter", "uploadfile", files)
    )
  end)

  it("tells of which method 'max_items' is an option", function()
    local place = ": it is an option of a list's method 'all', as in list:all { max_items = 50 }"
    assert.equal("unknown option 'max_items'" .. place, nearest.unknown("option", "max_items", known))
    assert.equal("unknown parameter 'max_items'" .. place, complaint("max_items"))
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

  it("takes a name with an ending before another that is nearer", function()
    assert.equal(
      "no resource 'batch' (did you mean 'batches'?)",
      nearest.no_method("batch", { batches = 1, patch = 1, match = 1 }, "resource")
    )
  end)

  it("takes the first in the alphabet of two that are equally near", function()
    assert.equal("unknown option 'ac' (did you mean 'aa'?)", nearest.unknown("option", "ac", { ab = 1, aa = 1 }))
  end)

  it("explains what a positional value is", function()
    assert.equal(
      "options are named, as in { name = value }; a number is not a name",
      nearest.unknown("option", 1, known)
    )
    assert.equal("parameters are named, as in { name = value }; a table is not a name", complaint {})
  end)
end)

describe("nearest.no_method", function()
  local known = { get = 1, cancel = 1, list = 1, wait = 1, wait_all = 1 }

  it("names the nearest that exists", function()
    assert.equal("no method 'cancle' (did you mean 'cancel'?)", nearest.no_method("cancle", known))
    assert.equal("no method 'waitall' (did you mean 'wait_all'?)", nearest.no_method("waitall", known))
    assert.equal(
      "no method 'wait_for_completion' (did you mean 'wait'?)",
      nearest.no_method("wait_for_completion", known)
    )
  end)

  it("names all where none is near", function()
    assert.equal(
      "no method 'retrieve': there are cancel, get, list, wait, wait_all",
      nearest.no_method("retrieve", known)
    )
  end)

  it("tells a slip from what may be new", function()
    local values = { markdown_full = true, items = true }
    for _, slip in ipairs { "markdwn_full", "Markdown_Full", "makrdown_full", "item" } do
      assert.is_true(nearest.is_slip(slip, values), slip)
    end
    for _, new in ipairs { "items_full", "markdown", "full", "x" } do
      assert.is_false(nearest.is_slip(new, values), new)
    end
  end)
end)

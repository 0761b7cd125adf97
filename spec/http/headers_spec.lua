local core = require("llama_cloud.core")
local headers = require("llama_cloud.http.headers")

describe("headers.check", function()
  it("accepts names that are tokens, and texts, numbers and false", function()
    assert.is_nil(headers.check {
      ["X-One"] = "text",
      ["x_two.3"] = 2,
      ["!#$%&'*+-.^_`|~"] = "",
      Authorization = false,
      ["X-Umlaut"] = "ü\t",
    })
    assert.is_nil(headers.check {})
  end)

  it("refuses a name that is no token", function()
    for _, name in ipairs { "", "a b", "a:b", "a\r\nb", "a\0", "ü", "a(b)" } do
      assert.matches("^invalid header name ", headers.check { [name] = "x" })
    end
    assert.equal('invalid header name "1"', headers.check { "x" })
    assert.equal(
      'invalid header name "1": write ["X-Foo"] = "…" instead of the line',
      headers.check { " X-Foo : secret" }
    )
    assert.equal('invalid header name "a?b?[31m"', headers.check { ["a\nb\27[31m"] = "x" })
  end)

  it("refuses what would break out of its line, without showing it", function()
    for _, value in ipairs { "a\nb", "a\rb", "a\0b", "\n", "secret\r\nX-Other: 1" } do
      assert.equal("header 'X-A' contains a line break or NUL", headers.check { ["X-A"] = value })
    end
  end)

  it("refuses numbers that are none", function()
    for _, value in ipairs { 0 / 0, math.huge, -math.huge } do
      assert.equal("header 'X-A' must be a finite number", headers.check { ["X-A"] = value })
    end
    assert.same({ "X-A", "0.5", "X-B", "2" }, headers.merge { ["X-A"] = 0.5, ["X-B"] = 2.0 })
  end)

  it("refuses other values", function()
    for _, value in ipairs { true, {}, core.null, print } do
      local expected = "header 'X-A' must be a string, or false to leave it out, not " .. type(value)
      assert.equal(expected, headers.check { ["X-A"] = value })
    end
  end)
end)

describe("headers.merge", function()
  it("lists names and values", function()
    assert.same({ "A", "1", "B", "2" }, headers.merge { B = "2", A = "1" })
    assert.same({}, headers.merge())
    assert.same({}, headers.merge({}, nil))
  end)

  it("lets later sets win, whatever the case of the name, and sends the later spelling", function()
    assert.same({ "B", "3", "x-a", "2" }, headers.merge({ ["X-A"] = "1", B = "3" }, { ["x-a"] = "2" }))
  end)

  it("marks with false what is left out, and takes it back when a later set gives it", function()
    assert.same({ "a", false }, headers.merge({ A = "1" }, { a = false }))
    assert.same({ "A", "2" }, headers.merge({ A = "1" }, { A = false }, { A = "2" }))
  end)

  it("writes numbers as texts", function()
    assert.same({ "A", "5" }, headers.merge { A = 5 })
  end)

  it("passes over absent sets between others", function()
    assert.same({ "A", "1", "B", "2" }, headers.merge({ A = "1" }, nil, { B = "2" }))
  end)
end)

describe("headers.redact", function()
  it("shows what is known to be harmless and hides the rest", function()
    local list = headers.merge {
      Authorization = "Bearer x",
      Cookie = "session=1",
      ["X-Api-Key"] = "k",
      ["X-Custom"] = "c",
      Accept = "application/json",
      ["X-Stainless-Lang"] = "lua",
      ["User-Agent"] = "u",
      Gone = false,
    }
    assert.same({
      Authorization = "***",
      Cookie = "***",
      ["X-Api-Key"] = "***",
      ["X-Custom"] = "***",
      Accept = "application/json",
      ["X-Stainless-Lang"] = "lua",
      ["User-Agent"] = "u",
    }, headers.redact(list))
  end)

  it("takes a response's headers as well", function()
    assert.same(
      { ["set-cookie"] = "***", ["x-request-id"] = "r-1", ["location"] = "***" },
      headers.redact { ["set-cookie"] = "s=1", ["x-request-id"] = "r-1", ["location"] = "https://h/?signature=1" }
    )
    assert.same({}, headers.redact {})
  end)
end)

describe("headers.for_form", function()
  it("takes away what a form says of itself, whatever the case and the value", function()
    local list = headers.merge {
      ["Content-TYPE"] = false,
      ["content-length"] = "7",
      ["Transfer-Encoding"] = "chunked",
      A = "1",
      ["X-Content-Type"] = "2",
    }
    assert.same({ "A", "1", "X-Content-Type", "2" }, headers.for_form(list))
    assert.equal(10, #list)
    assert.same({}, headers.for_form {})
  end)
end)

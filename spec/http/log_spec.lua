local array = require("llama_cloud.core").array
local log = require("llama_cloud.http.log")

-- A log into a list, with the function's own arguments as its entries.
local function recording(secrets)
  local entries = {}
  local made = assert(log.new(function(level, message, fields)
    entries[#entries + 1] = { level = level, message = message, fields = fields }
  end, secrets or {}))
  return made, entries
end

-- What a call writes to standard error.
local function captured(f)
  local real = io.stderr
  local file = assert(io.tmpfile())
  io.stderr = file -- luacheck: ignore 122
  local ok, message = pcall(f)
  io.stderr = real -- luacheck: ignore 122
  assert(ok, message)
  file:seek("set")
  local text = file:read("a")
  file:close()
  return text
end

describe("a log", function()
  it("says nothing by default", function()
    local quiet = assert(log.new(nil, {}))
    for _, level in ipairs { "debug", "info", "warn" } do
      assert.is_false(quiet:wants(level))
    end
    assert.equal(
      "",
      captured(function()
        quiet:put("warn", "text")
      end)
    )
  end)

  it("hands everything to a function", function()
    local made, entries = recording()
    for _, level in ipairs { "debug", "info", "warn" } do
      assert.is_true(made:wants(level))
      made:put(level, "about " .. level, { a = 1 })
    end
    assert.same({
      { level = "debug", message = "about debug", fields = { a = 1 } },
      { level = "info", message = "about info", fields = { a = 1 } },
      { level = "warn", message = "about warn", fields = { a = 1 } },
    }, entries)
  end)

  it("writes to standard error from its level on", function()
    for rank, wanted in ipairs { "debug", "info", "warn" } do
      local made = assert(log.new(wanted, {}))
      local text = captured(function()
        for _, level in ipairs { "debug", "info", "warn" } do
          made:put(level, "text")
        end
      end)
      local lines = select(2, text:gsub("\n", "\n"))
      assert.equal(4 - rank, lines, wanted)
      assert.equal(wanted == "debug", made:wants("debug"))
    end
  end)

  it("writes one line, with the fields sorted", function()
    local made = assert(log.new("debug", {}))
    assert.equal(
      "llama_cloud info: hello a=1 b={x: 1, y: 2} c=false\n",
      captured(function()
        made:put("info", "hello", { c = false, b = { y = 2, x = "1" }, a = 1 })
      end)
    )
  end)

  it("refuses another target", function()
    for _, target in ipairs { "trace", "", 1, true, {}, false } do
      local made, problem = log.new(target, {})
      assert.is_nil(made)
      assert.matches('^must be a function, "debug", "info", "warn" or "off", not ', problem)
    end
  end)

  it("never lets a secret through", function()
    local secret = "llx-sec.et%d"
    local made, entries = recording { secret }
    made:put("info", "key " .. secret .. secret .. " end", {
      header = "Bearer " .. secret,
      deep = { list = { "x" .. secret } },
      number = 5,
    })
    assert.same({
      level = "info",
      message = "key ****** end",
      fields = { header = "Bearer ***", deep = { list = { "x***" } }, number = 5 },
    }, entries[1])
  end)

  it("takes its level in any case, with blanks around it", function()
    for _, target in ipairs { "DEBUG", " Debug\n", "dEbug" } do
      assert.is_true(assert(log.new(target, {})):wants("debug"), target)
    end
    assert.is_false(assert(log.new("WARN", {})):wants("info"))
    assert.is_nil(log.level("bug"))
    assert.is_nil(log.level(nil))
  end)

  it("shows everything in one line that steers no terminal, to a function too", function()
    local evil = "a\27[31m\u{9B}\u{202E}\xFF\r\nllama_cloud warn: b\u{2028}" .. ("x"):rep(5000)
    local made, entries = recording()
    made:put("warn", evil, { text = evil, headers = { [evil] = evil }, traceback = "a\n\tb\27" })
    local line = assert(log.new("warn", {}))
    local text = captured(function()
      line:put("warn", evil, { text = evil, headers = { [evil] = evil } })
    end)
    assert.equal("a\n    b?", entries[1].fields.traceback)
    entries[1].fields.traceback = nil
    local function check(shown)
      assert.is_truthy(utf8.len(shown))
      assert.is_nil(shown:find("[\0-\31\127]"))
      assert.is_nil(shown:find("\u{9B}", 1, true) or shown:find("\u{202E}", 1, true) or shown:find("\u{2028}", 1, true))
      assert.is_true(#shown <= 1000)
    end
    local function look(value)
      if type(value) == "table" then
        for key, member in pairs(value) do
          look(key)
          look(member)
        end
      elseif type(value) == "string" then
        check(value)
      end
    end
    look(entries)
    assert.equal("\n", text:sub(-1))
    assert.is_nil(text:sub(1, -2):find("[\0-\31\127]"))
    assert.is_true(#text < 5000)
  end)

  it("keeps the secrets of another, and of a call", function()
    local first = recording { "first-secret" }
    local entries = {}
    local made = assert(log.new(function(_, message)
      entries[#entries + 1] = message
    end, { "second-secret" }, first))
    local asked = 0
    local own = made:keeping(function()
      asked = asked + 1
      return { "third-secret" }
    end)
    assert.equal(0, asked) -- nothing to hide it in yet
    own:put("warn", "first-secret second-secret third-secret")
    own:put("warn", "third-secret")
    made:put("warn", "third-secret")
    assert.same({ "*** *** ***", "***", "third-secret" }, entries)
    assert.equal(1, asked)
  end)

  it("leaves the caller's fields alone", function()
    local made = recording { "secret" }
    local fields = { a = "secret" }
    made:put("info", "x", fields)
    assert.equal("secret", fields.a)
  end)

  it("does not take a short key for a secret: it would be found in ordinary words", function()
    local made, entries = recording { "key", "" }
    made:put("warn", "check the key")
    assert.equal("check the key", entries[1].message)
  end)
end)

describe("log:clean", function()
  it("keeps what is not a text", function()
    local made = recording { "secret" }
    assert.is_nil(made:clean(nil))
    assert.equal(5, made:clean(5))
    assert.equal("a *** b", made:clean("a secret b"))
    assert.same({ 1, "***", { x = "***" } }, made:clean { 1, "secret", { x = "secret" } })
    assert.same({}, made:clean(array {}))
  end)

  it("keeps the secrets of a call, and of where that is redirected", function()
    local made, entries = recording { "first-secret" }
    local looked = 0
    local second = made:keeping(function()
      looked = looked + 1
      return { "second-secret" }
    end)
    local third = second:keeping(function()
      return { "third-secret" }
    end)
    assert.equal(0, looked)
    third:put("info", "first-secret second-secret third-secret")
    second:put("info", "first-secret second-secret third-secret")
    assert.equal("*** *** ***", entries[1].message)
    assert.equal("*** *** third-secret", entries[2].message)
    assert.equal(1, looked)
  end)
end)

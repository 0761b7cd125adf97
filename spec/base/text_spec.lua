local core = require("llama_cloud.core")
local secrets = require("llama_cloud.http.secrets")
local text = require("llama_cloud.base.text")

describe("text", function()
  it("compares letters of ASCII only", function()
    assert.equal("title-é", text.lower("TITLE-é"))
    assert.equal("TITLE-é", text.upper("title-é"))
    assert.equal("\xC9", text.lower("\xC9"))
  end)

  it("trims blanks and line breaks, and nothing else", function()
    assert.equal("a b", text.trim(" \t\r\n\f\va b\n "))
    assert.equal("", text.trim(" \n"))
    assert.equal("\0a\0", text.trim("\0a\0"))
    assert.equal("\u{A0}a", text.trim("\u{A0}a "))
  end)

  it("knows what breaks a line", function()
    for _, s in ipairs { "a\nb", "\r", "\0" } do
      assert.is_true(text.breaks_line(s))
    end
    assert.is_false(text.breaks_line("a\tb\u{2028}"))
  end)

  it("writes numbers with a point", function()
    assert.equal("0.5", text.number(0.5))
    assert.equal("-3", text.number(-3))
    assert.equal("inf", text.number(math.huge))
    assert.equal("12", text.scalar(12.0))
    assert.equal("9007199254740993", text.scalar(9007199254740993))
    assert.equal("true", text.scalar(true))
  end)
end)

describe("text.line", function()
  local function line(s, limit)
    local result = text.line(s, limit or 1000)
    assert.is_truthy(utf8.len(result), result)
    assert.is_true(#result <= (limit or 1000))
    return result
  end

  it("leaves alone what is harmless", function()
    for _, s in ipairs { "", "plain", "Grüße, 世界 👩‍👩‍👧 می‌خواهم", "a\u{A0}b\u{AD}" } do
      assert.equal(s, line(s))
    end
  end)

  it("makes one line of what is none", function()
    assert.equal("a b c", line("a\r\n\tb \0 c"))
    assert.equal("a b", line("a\u{2028}\u{2029}b"))
    assert.equal("a?b?", text.line("a\nb\27", 100, "?"))
  end)

  it("takes away everything that steers a terminal or hides", function()
    local codes = { 0x7F, 0x61C, 0x200B, 0x200E, 0x200F, 0x2060, 0xFEFF, 0xFFF9, 0xE0001, 0xE007F }
    for _, range in ipairs { { 0, 0x1F }, { 0x80, 0x9F }, { 0x2028, 0x202E }, { 0x2066, 0x2069 } } do
      for code = range[1], range[2] do
        codes[#codes + 1] = code
      end
    end
    for _, code in ipairs(codes) do
      assert.equal("a b", line("a" .. utf8.char(code) .. "b"), ("U+%04X"):format(code))
      assert.equal("a?b", text.line("a" .. utf8.char(code) .. "b", 100, "?"))
    end
  end)

  it("replaces what is no UTF-8, byte by byte", function()
    local R = "\u{FFFD}"
    assert.equal("a" .. R .. "b", line("a\xFFb"))
    assert.equal(R .. "[31m", line("\x9B[31m")) -- the C1 control CSI as a byte
    assert.equal(R .. R .. "x", line("\xC0\x80x")) -- an overlong NUL
    assert.equal(R .. R .. R, line("\xED\xA0\x80")) -- a surrogate
    assert.equal("é" .. R, line("é\xC3"))
  end)

  it("cuts in the middle, between characters, and keeps both ends", function()
    for limit = 20, 40 do
      for _, character in ipairs { "x", "é", "世", "👍" } do
        for shift = 0, 4 do
          local cut = line(("a"):rep(shift) .. "begin " .. character:rep(100) .. " end", limit)
          assert.is_truthy(cut:find("^a*begin .*….* end$"), cut)
          assert.is_true(#cut > limit - 8)
          assert.is_nil(cut:find("\u{FFFD}", 1, true))
        end
      end
    end
  end)

  it("is bounded also where it grows by cleaning", function()
    line(("\xFF"):rep(1000), 1000)
    line(("\xFF"):rep(100000), 100)
  end)

  it("takes no longer for a longer text", function()
    local long = ("\xFF\27é"):rep(1 << 24)
    local begin = core.now()
    line(long)
    assert.is_true(core.now() - begin < 1)
  end)
end)

describe("text.excerpt", function()
  it("is the beginning, and says that more follows", function()
    assert.equal("abc", text.excerpt("abc", 3))
    assert.equal("abc…", text.excerpt("abcd", 3))
    assert.equal("a b", text.excerpt("a\27\0\7b", 10))
    assert.equal("éé…", text.excerpt("ééé", 5))
    assert.equal("👍…", text.excerpt("👍👍", 7))
  end)
end)

describe("core.redact", function()
  local KEY = "llx-SECRET/KEY"

  local function redact(s, hidden)
    return core.redact(s, hidden or { KEY })
  end

  local function each(format)
    return (KEY:gsub(".", function(c)
      return (format:format(c:byte()))
    end))
  end

  it("replaces each mention, and returns the same text where there is none", function()
    assert.equal("a *** b******c", redact(("a %s b%s%sc"):format(KEY, KEY, KEY)))
    for _, s in ipairs { "", "nothing", KEY:sub(1, -2), KEY:sub(2), "l\\u", "%", "&#", "&#x", "\\", "\\u00" } do
      assert.equal(s, redact(s))
      assert.equal(s, redact(s, {}))
    end
    assert.equal("***\0***", redact(KEY .. "\0" .. KEY))
  end)

  it("finds characters that are escaped, all or some", function()
    for _, format in ipairs {
      "\\u%04x",
      "\\u%04X",
      "\\x%02x",
      "\\\\u%04x",
      "%%%02X",
      "%%%02x",
      "%%25%02X",
      "&#%d;",
      "&#x%x;",
      "&#%04d;",
    } do
      assert.equal("[***]", redact("[" .. each(format) .. "]"), format)
    end
    for at = 1, #KEY do
      for _, format in ipairs { "\\u%04x", "%%%02x", "&#%d;" } do
        local mixed = KEY:sub(1, at - 1) .. format:format(KEY:byte(at)) .. KEY:sub(at + 1)
        assert.equal("<***>", redact("<" .. mixed .. ">"), mixed)
      end
    end
    assert.equal("***", redact((KEY:gsub("/", "\\/"))))
    assert.equal("***", redact((KEY:gsub("/", "\\\\\\/"))))
  end)

  it("finds characters that have to be escaped", function()
    local hard = [[p"w\d&<é>' 100%]]
    for _, spelling in ipairs {
      hard,
      [[p\"w\\d&<é>' 100%]],
      [[p\"w\\d&<\u00e9>' 100%]],
      "p%22w%5Cd%26%3C%C3%A9%3E%27+100%25",
      "p&quot;w\\d&amp;&lt;é&gt;&apos; 100%",
    } do
      assert.equal("***", redact(spelling, { hard }), spelling)
    end
  end)

  it("takes overlapping secrets for one, and the longest of several", function()
    assert.equal("***!", redact("abcdefghij!", { "abcdef", "defghij" }))
    assert.equal("***!", redact("abcdefghij!", { "defghi", "abcdefghij" }))
    assert.equal("***k", redact("abcdefghijk", { "abcdef", "abcdefghij" }))
    assert.equal("***b", redact(("a"):rep(20) .. "b", { "aaaaaa" }))
    assert.equal("*** ***", redact("abcdefg cdefghi", { "abcdefg", "cdefghi" }))
  end)

  it("refuses what is no secret", function()
    assert.has_error(function()
      core.redact("x", { "ab" })
    end)
    assert.has_error(function()
      core.redact("x", { 1234567 })
    end)
    assert.has_error(function()
      core.redact("x", "secret")
    end)
    assert.has_error(function()
      core.redact(nil, {})
    end)
  end)

  -- Twice the text may take twice the time; a quadratic one takes four times, and for these sizes hours.
  it("is linear", function()
    local begin = core.now()
    local pieces = { KEY .. " ", KEY:sub(1, -2), "\\", "%25", "&#00", "\\u006c", "l", "&amp;", each("\\u%04x") }
    for _, piece in ipairs(pieces) do
      local long = piece:rep((1 << 22) // #piece)
      redact(long, { KEY, "another-" .. KEY, "l" .. KEY })
      redact(long, { KEY, "\\" .. KEY, "%" .. KEY, "&" .. KEY })
    end
    assert.is_true(core.now() - begin < 30 * (tonumber(os.getenv("LLAMA_CLOUD_TEST_SLOWDOWN")) or 1))
  end)
end)

describe("text.redact", function()
  it("cleans keys and members of tables, in a copy", function()
    local hidden = secrets.list { " key-123 ", "short" }
    local given = { "key-123", ["key-123"] = { x = "a key-123" }, n = 5, [1.5] = true, short = "short" }
    assert.same({ "***", ["***"] = { x = "a ***" }, n = 5, [1.5] = true, short = "short" }, text.redact(given, hidden))
    assert.equal("key-123", given[1])
    assert.equal(core.array, getmetatable(text.redact(core.array {}, hidden)))
    assert.is_nil(text.redact(nil, hidden))
    assert.is_false(text.redact(false, hidden))
  end)

  it("ends in a table that is in itself", function()
    local loop = {}
    loop.again = loop
    assert.is_table(text.redact(loop, { "key-123" }))
  end)
end)

describe("secrets.list", function()
  it("takes each once, trimmed, as it is and as in a URL, and leaves out what is short", function()
    local candidates = { "abcdef", " abcdef\n", "abcde", "", "\tghijk/", "a+b+c" }
    assert.same({ "abcdef", "ghijk/", "ghijk%2F" }, secrets.list(candidates))
  end)
end)

-- What a module writes for itself would depend on the locale, or be another rule for the same.
describe("the modules", function()
  it("leave letters, blanks and numbers to text.lua", function()
    local pipe = assert(io.popen("find lua/llama_cloud -name '*.lua' -not -path '*/sandbox/*'"))
    local count = 0
    for path in pipe:lines() do
      count = count + 1
      local number = 0
      for line in io.lines(path) do
        number = number + 1
        local code = line:gsub("%-%-.*$", "")
        local place = ("%s:%d: %s"):format(path, number, line)
        assert.is_nil(code:find(":lower%(") or code:find(":upper%(") or code:find("string%.[lu][op][wp]"), place)
        -- a class in a pattern; %s and %u, %g and the like of formats stand alone, or with a width
        for _, call in ipairs { "match", "gmatch", "gsub", "find" } do
          local pattern = code:gsub('%("[^"]*"%):format', ""):match(":" .. call .. "(%b())") or ""
          assert.is_nil(pattern:gsub("%%%%", ""):find("%%[acglpsuwACGLPSUWz]"), place)
        end
        if not path:find("text.lua", 1, true) then
          assert.is_nil(
            code:gsub("%%%.0f", ""):gsub("%%f%[", ""):gsub("texts?%.number%b()", ""):find("%%[%d.]*[gfe][^%a]"),
            place
          )
        end
      end
    end
    pipe:close()
    assert.is_true(count > 20)
  end)
end)

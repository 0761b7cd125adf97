local cjson = require("cjson")
local collector = require("spec.support.collector")
local compare = require("spec.support.compare")
local core = require("llama_cloud.core")
local locale = require("spec.support.locale")

local NULL = core.null
local EMPTY = core.array {}

local function decodes(text, expected, options)
  local value, message = core.decode(text, options)
  assert.is_nil(message, text)
  local difference = compare.difference(expected, value)
  assert(not difference, difference)
end

local function refuses(text, expected_message, expected_offset, options)
  local value, message, offset = core.decode(text, options)
  assert.is_nil(value, text)
  assert.equal(("%s at byte %d"):format(expected_message, expected_offset), message)
  assert.equal(expected_offset, offset)
  assert.equal("integer", math.type(offset))
end

describe("decode", function()
  describe("builds", function()
    it("scalars as whole documents", function()
      decodes("true", true)
      decodes("false", false)
      decodes("12", 12)
      decodes('"text"', "text")
      decodes('""', "")
      decodes("null", NULL)
    end)

    it("objects and arrays, in each other", function()
      decodes('{"a":1,"b":"x","c":[true,false],"d":{"e":{}}}', {
        a = 1,
        b = "x",
        c = { true, false },
        d = { e = {} },
      })
      decodes('[[1],[2,[3]],{"a":[4]},5]', { { 1 }, { 2, { 3 } }, { a = { 4 } }, 5 })
      decodes("[[],[[]],{},[{}]]", { EMPTY, { EMPTY }, {}, { {} } })
    end)

    it("white space of four kinds anywhere between the parts", function()
      decodes(' \t\r\n{ \n"a"\t:\r1 , "b" : [ 1 ,\n2 ] , "c" : [ ] , "d" : { } }\n ', {
        a = 1,
        b = { 1, 2 },
        c = EMPTY,
        d = {},
      })
    end)

    it("the metatable of arrays on empty ones only", function()
      assert.equal(core.array, getmetatable(core.decode("[]")))
      assert.is_nil(getmetatable(core.decode("[1]")))
      assert.is_nil(getmetatable(core.decode("{}")))
      local value = core.decode('{"a":[ ],"b":[[]]}')
      assert.equal(core.array, getmetatable(value.a))
      assert.is_nil(getmetatable(value.b))
      assert.equal(core.array, getmetatable(value.b[1]))
    end)

    it("the last of duplicate keys", function()
      decodes('{"a":1,"b":2,"a":3}', { a = 3, b = 2 })
      decodes('{"a":1,"\\u0061":{"b":1}}', { a = { b = 1 } })
      decodes('{"a":1,"a":null}', {})
      decodes('{"a":1,"a":null}', { a = NULL }, { null = true })
      decodes('{"a":null,"a":1}', { a = 1 })
      decodes('{"a":1,"a":null,"a":2}', { a = 2 })
    end)

    it("null by its place", function()
      decodes('{"a":null,"b":{"c":null},"d":[null,{"e":null},null]}', { b = {}, d = { NULL, {}, NULL } })
      decodes('{"a":null,"b":{"c":null},"d":[null,{"e":null}]}', {
        a = NULL,
        b = { c = NULL },
        d = { NULL, { e = NULL } },
      }, { null = true })
      decodes('{"a":null}', {}, { null = false })
      decodes("[null]", { NULL }, { null = false })
      assert.equal(cjson.null, core.decode("null"))
      assert.equal("userdata", type(NULL))
    end)

    it("keys of every kind", function()
      decodes('{"":1,"a\\u0000b":2,"\\n":3,"\u{e9}":4,"1":5}', {
        [""] = 1,
        ["a\0b"] = 2,
        ["\n"] = 3,
        ["\u{e9}"] = 4,
        ["1"] = 5,
      })
    end)

    it("many elements and many keys", function()
      local elements, members, expected = {}, {}, {}
      for i = 1, 5000 do
        elements[i] = tostring(i)
        members[i] = ('"key %d":%d'):format(i, i)
        expected["key " .. i] = i
      end
      local array = core.decode("[" .. table.concat(elements, ",") .. "]")
      assert.equal(5000, #array)
      assert.equal(5000, array[5000])
      decodes("{" .. table.concat(members, ",") .. "}", expected)
    end)
  end)

  describe("reads numbers:", function()
    it("integers exactly, as long as they fit 64 bits", function()
      for text, value in pairs {
        ["0"] = 0,
        ["-1"] = -1,
        ["12"] = 12,
        ["9007199254740993"] = 9007199254740993,
        ["-9007199254740993"] = -9007199254740993,
        ["9223372036854775807"] = math.maxinteger,
        ["-9223372036854775808"] = math.mininteger,
        ["1000000000000000000"] = 1000000000000000000,
      } do
        decodes(text, value)
        decodes("[" .. text .. "]", { value })
      end
    end)

    it("larger ones as the nearest float", function()
      decodes("9223372036854775808", 0x1p63)
      decodes("-9223372036854775809", -0x1p63)
      decodes("9999999999999999999", 0x1.158e460913dp+63)
      decodes("18446744073709551616", 0x1p64)
      decodes("1" .. ("0"):rep(300), 1e300)
    end)

    it("a negative zero as a float, the only number that is one", function()
      decodes("-0", -0.0)
      decodes("-0.0", -0.0)
      decodes("-0e5", -0.0)
      decodes("0.0", 0.0)
    end)

    it("all with a fraction or an exponent as floats", function()
      decodes("3.0", 3.0)
      decodes("1e2", 100.0)
      decodes("1E+2", 100.0)
      decodes("100e-2", 1.0)
      decodes("-2.5", -2.5)
      decodes("0.1", 0x1.999999999999ap-4)
      decodes("1e00", 1.0)
    end)

    it("to the nearest double, ties to even, however many digits there are", function()
      for text, value in pairs {
        ["9007199254740993.0"] = 0x1p53,
        ["9007199254740995.0"] = 0x1.0000000000002p53,
        ["9007199254740993." .. ("0"):rep(2000) .. "1"] = 0x1.0000000000001p53,
        ["9007199254740993" .. ("0"):rep(1000) .. "e-1000"] = 0x1p53,
        ["9007199254740993" .. ("0"):rep(1000) .. "1e-1001"] = 0x1.0000000000001p53,
        ["0." .. ("0"):rep(1000) .. "1e1001"] = 1.0,
        ["1" .. ("0"):rep(1000) .. "e-1000"] = 1.0,
        ["2.2250738585072011e-308"] = 0x0.fffffffffffffp-1022,
        ["2.2250738585072014e-308"] = 0x1p-1022,
        ["4.9406564584124654e-324"] = 0x1p-1074,
        ["2.4703282292062328e-324"] = 0x1p-1074,
        ["2.4703282292062327e-324"] = 0.0,
        ["1.7976931348623157e308"] = 0x1.fffffffffffffp1023,
        ["1.7976931348623158e308"] = 0x1.fffffffffffffp1023,
        ["1e23"] = 0x1.52d02c7e14af6p+76,
        ["123456789012345678901234567890.5"] = 0x1.8ee90ff6c373ep+96,
      } do
        decodes(text, value)
        decodes("-" .. text, -value)
      end
    end)

    it("too small ones as zero, too large ones not at all", function()
      decodes("1e-400", 0.0)
      decodes("-1e-400", -0.0)
      decodes("1e-99999999999999999999999", 0.0)
      decodes("0e99999999999999999999999", 0.0)
      decodes("0." .. ("0"):rep(500) .. "1", 0.0)
      refuses("1e400", "a number out of range", 1)
      refuses("[0,-1e309]", "a number out of range", 4)
      refuses("1.7976931348623159e308", "a number out of range", 1)
      refuses("1e99999999999999999999999", "a number out of range", 1)
      refuses("1" .. ("0"):rep(309), "a number out of range", 1)
    end)

    it("as Lua itself does, for doubles at random", function()
      math.randomseed(20, 4)
      for _ = 1, 3000 do
        local value = string.unpack("d", string.pack("i8", math.random(0)))
        if value == value and value ~= math.huge and value ~= -math.huge then
          for _, format in ipairs { "%.17g", "%.40e", "%.5e" } do
            local text = format:format(value)
            if text:find("[.e]") then
              decodes(text, tonumber(text))
            end
          end
        end
      end
    end)

    for _, point in ipairs { ",", "\u{66b}" } do
      it("whatever the locale's decimal point, here " .. point, function()
        local chunk = [[
          local core = require("llama_cloud.core")
          local texts = { "1.5", "0.1", "2.2250738585072011e-308", "123456789012345678901234567890.5", "1e23" }
          for _, text in ipairs(texts) do
            io.write(("%016x "):format(string.unpack("i8", string.pack("d", core.decode(text)))))
          end
          io.write(#core.decode("[1,5]"), " ", tostring((core.decode("1\217\1715"))))
        ]]
        local output = locale.run(point, chunk)
        if not output then
          pending("no localedef here to make a locale with another decimal point")
        end
        assert.equal(
          "3ff8000000000000 3fb999999999999a 000fffffffffffff 45f8ee90ff6c373e 44b52d02c7e14af6 2 nil",
          output
        )
      end)
    end
  end)

  describe("reads strings:", function()
    it("every escape", function()
      decodes([["\"\\\/\b\f\n\r\t"]], '"\\/\b\f\n\r\t')
      decodes([["\u0000\u001f\u0041\u00e9\u20AC\uffff"]], "\0\31A\u{e9}\u{20ac}\u{ffff}")
      decodes([["\ud800\udc00 \uD83D\uDE00 \udbff\udfff"]], "\u{10000} \u{1f600} \u{10ffff}")
      decodes([["a\u0000b"]], "a\0b")
      decodes([["\\u0041"]], "\\u0041")
    end)

    it("long ones with and without escapes", function()
      local plain = ("plain \u{e9} "):rep(5000)
      decodes('"' .. plain .. '"', plain)
      decodes('"' .. plain .. "\\n" .. plain .. '"', plain .. "\n" .. plain)
      decodes('["' .. ("\\u00e9"):rep(5000) .. '",1]', { ("\u{e9}"):rep(5000), 1 })
      decodes('{"' .. ("\\t"):rep(5000) .. '":1}', { [("\t"):rep(5000)] = 1 })
    end)

    it("characters from every part of Unicode, raw and escaped", function()
      local edges = { 0x20, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfeff, 0xfffe, 0xffff, 0x10000, 0x10ffff }
      for code = 0x5d, 0x10ffff, 977 do
        edges[#edges + 1] = code
      end
      for _, code in ipairs(edges) do
        if code < 0xd800 or code > 0xdfff then
          local character = utf8.char(code)
          decodes('"' .. character .. '"', character)
          local escape = ("\\u%04x"):format(code)
          if code > 0xffff then
            local rest = code - 0x10000
            escape = ("\\u%04X\\u%04X"):format(0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff))
          end
          decodes('"' .. escape .. '"', character)
        end
      end
    end)

    it("what Lua takes for UTF-8 and nothing else", function()
      local accepted, refused = 0, 0
      for lead = 0x80, 0xff do
        for second = 0x20, 0xff do
          if second ~= 0x22 and second ~= 0x5c then
            for _, tail in ipairs { "", "\x80", "\xbf\x80", "a" } do
              local text = string.char(lead, second) .. tail
              local valid, wrong = utf8.len(text)
              local value, message, offset = core.decode('"' .. text .. '"')
              -- luassert would take most of the time here.
              if valid then
                accepted = accepted + 1
                assert(value == text, message)
              else
                refused = refused + 1
                assert(offset == wrong + 1 and message == "invalid UTF-8 at byte " .. offset, text)
              end
            end
          end
        end
      end
      assert(accepted > 5000 and refused > 50000)
    end)
  end)

  describe("refuses", function()
    it("what is no JSON, and says where", function()
      for _, case in ipairs {
        { "", "the text is empty", 1 },
        { " \n", "expected a value but the text ends", 3 },
        { "\u{feff}{}", "a byte order mark", 1 },
        { "\xff\xfe[\0]\0", "expected a value but found 0xff", 1 },
        -- after the value
        { "1 2", "text after the value", 3 },
        { "{}}", "text after the value", 3 },
        { "[]\0", "text after the value", 3 },
        { "null,", "text after the value", 5 },
        { "1 // one", "text after the value", 3 },
        -- commas, colons, brackets
        { "[1,]", "expected a value after ',' but found ']'", 4 },
        { '{"a":1,}', "expected a key after ',' but found '}'", 8 },
        { "[,1]", "expected a value or ']' but found ','", 2 },
        { "[1,,2]", "expected a value after ',' but found ','", 4 },
        { "[1 2]", "expected ',' or ']' but found '2'", 4 },
        { "[1}", "expected ',' or ']' but found '}'", 3 },
        { '{"a":1]', "expected ',' or '}' but found ']'", 7 },
        { '{"a" 1}', "expected ':' but found '1'", 6 },
        { '{"a":}', "expected a value after ':' but found '}'", 6 },
        { '{"a":1,"b":}', "expected a value after ':' but found '}'", 12 },
        { "{1:2}", "expected a key or '}' but found '1'", 2 },
        { "{a:1}", "expected a key or '}' but found 'a'", 2 },
        { "{'a':1}", "expected a key or '}' but found '''", 2 },
        { '{"a":1,b:2}', "expected a key after ',' but found 'b'", 8 },
        { "]", "expected a value but found ']'", 1 },
        { "[\f]", "expected a value or ']' but found 0x0c", 2 },
        { "[\u{a0}1]", "expected a value or ']' but found 0xc2", 2 },
        -- words
        { "nul", "expected null but the text ends", 4 },
        { "nulx", "expected null but found 'x'", 4 },
        { "[tru]", "expected true but found ']'", 5 },
        { "falsE", "expected false but found 'E'", 5 },
        { "True", "expected a value but found 'T'", 1 },
        { "nullnull", "text after the value", 5 },
        -- numbers
        { "01", "a number with a leading zero", 2 },
        { "[-012]", "a number with a leading zero", 4 },
        { "00", "a number with a leading zero", 2 },
        { "+1", "expected a value but found '+'", 1 },
        { ".5", "expected a value but found '.'", 1 },
        { "-", "expected a digit after '-' but the text ends", 2 },
        { "-a", "expected a digit after '-' but found 'a'", 2 },
        { "1.", "expected a digit after '.' but the text ends", 3 },
        { "[1.]", "expected a digit after '.' but found ']'", 4 },
        { "1.e5", "expected a digit after '.' but found 'e'", 3 },
        { "1e", "expected a digit of the exponent but the text ends", 3 },
        { "1e+", "expected a digit of the exponent but the text ends", 4 },
        { "[1e-]", "expected a digit of the exponent but found ']'", 5 },
        { "0x10", "text after the value", 2 },
        { "1_000", "text after the value", 2 },
        { "[NaN]", "NaN and Infinity are not JSON", 2 },
        { "-Infinity", "NaN and Infinity are not JSON", 2 },
        { "Infinity", "NaN and Infinity are not JSON", 1 },
        { "nan", "expected null but found 'a'", 2 },
        -- strings
        { '"', "the text ends inside a string", 2 },
        { '"abc', "the text ends inside a string", 5 },
        { '"abc\\', "the text ends inside a string", 6 },
        { '"abc\\"', "the text ends inside a string", 7 },
        { '"\\u12', "the text ends inside a string", 6 },
        { '"\\ud83d\\u', "the text ends inside a string", 10 },
        { '"ab\xc3', "the text ends inside a string", 5 },
        { '"a\nb"', "a control character that is not escaped", 3 },
        { '"a\0b"', "a control character that is not escaped", 3 },
        { '{"a\t":1}', "a control character that is not escaped", 4 },
        { '"\31"', "a control character that is not escaped", 2 },
        { '"ab\\x41"', "invalid escape", 4 },
        { '"\\\0"', "invalid escape", 2 },
        { '"\\U0041"', "invalid escape", 2 },
        { '"a\\u12g4"', "\\u without four hexadecimal digits", 3 },
        { '"a\\u12"', "\\u without four hexadecimal digits", 3 },
        { '"\\u 123"', "\\u without four hexadecimal digits", 2 },
        { '"\\ud800"', "lone surrogate", 2 },
        { '"ab\\ud800x"', "lone surrogate", 4 },
        { '"\\udc00"', "lone surrogate", 2 },
        { '"\\ud800\\n"', "lone surrogate", 2 },
        { '"\\ud800\\ud800\\udc00"', "lone surrogate", 2 },
        { '"\\ud800\\u0041"', "lone surrogate", 2 },
        { '{"\\udead":1}', "lone surrogate", 3 },
        -- UTF-8
        { '"a\x80"', "invalid UTF-8", 3 },
        { '"\xc3"', "invalid UTF-8", 2 },
        { '"\xc0\xaf"', "invalid UTF-8", 2 },
        { '"\xc1\xbf"', "invalid UTF-8", 2 },
        { '"\xe0\x9f\xbf"', "invalid UTF-8", 2 },
        { '"\xed\xa0\x80"', "invalid UTF-8", 2 },
        { '"\xf0\x8f\xbf\xbf"', "invalid UTF-8", 2 },
        { '"\xf4\x90\x80\x80"', "invalid UTF-8", 2 },
        { '"\xf5\x80\x80\x80"', "invalid UTF-8", 2 },
        { '{"a":"ok","b\xff":1}', "invalid UTF-8", 13 },
      } do
        refuses(table.unpack(case))
      end
    end)

    it("every document that is cut short, at its end", function()
      local text = [==[ {"a":[1,-2.5e+10,true,false,null,"\u00e9\ud83d\ude00\n]==]
        .. "\u{e9}\u{20ac}\u{1f600}"
        .. [==[","",[],{}],"b":{"c":[[{"d":0.5}]]}}]==]
      assert(core.decode(text))
      for length = 1, #text - 1 do
        local value, message, offset = core.decode(text:sub(1, length))
        assert.is_nil(value)
        assert.equal(length + 1, offset)
        assert.matches("the text ends", message, 1, true)
      end
    end)

    it("or accepts what is damaged, but never reads past its end or gives an offset outside", function()
      math.randomseed(7, 7)
      local text = core.encode {
        items = { 1, -2.5, 1e300, '\u{e9}\n"x"', true, NULL, core.array {}, { deep = { { {} } } } },
        next_page_token = "abc",
      }
      local accepted = 0
      for _ = 1, 5000 do
        local place = math.random(#text)
        local rest = text:sub(place + math.random(0, 2))
        local damaged = text:sub(1, place - 1) .. string.char(math.random(0, 255)) .. rest
        local value, message, offset = core.decode(damaged)
        if value ~= nil then
          accepted = accepted + 1
          assert.is_nil(message)
          assert.is_not_nil(core.encode(value))
        else
          assert(offset >= 1 and offset <= #damaged + 1)
        end
      end
      assert(accepted > 100)
    end)
  end)

  describe("counts depth:", function()
    local function nested(depth)
      return ("["):rep(depth) .. ("]"):rep(depth)
    end

    local message = "more arrays and objects within each other than max_depth allows"

    it("512 by default, arrays and objects alike", function()
      assert.equal("table", type(core.decode(nested(512))))
      refuses(nested(513), message, 513)
      assert.equal("table", type(core.decode(('{"a":['):rep(256) .. ("]}"):rep(256))))
      refuses(('{"a":['):rep(256) .. "{", message, 256 * 6 + 1)
    end)

    it("as the option says", function()
      decodes("1", 1, { max_depth = 1 })
      decodes("[]", EMPTY, { max_depth = 1 })
      decodes("[{},[]]", { {}, EMPTY }, { max_depth = 2 })
      refuses("[[]]", message, 2, { max_depth = 1 })
      refuses('{"a":[1,{}]}', message, 9, { max_depth = 2 })
    end)

    it("to the greatest depth, which no stack of C or Lua can feel", function()
      local value = core.decode(nested(100000), { max_depth = 100000 })
      local depth = 0
      while value do
        depth = depth + 1
        value = value[1]
      end
      assert.equal(100000, depth)
      refuses(nested(100001), message, 100001, { max_depth = 100000 })
    end)

    it("and raises where Lua's own stack is full already", function()
      local function hold(...)
        local ok, raised = pcall(core.decode, nested(100000), { max_depth = 100000 })
        return ok, raised, (...)
      end
      local ok, raised = hold(table.unpack({}, 1, 930000))
      assert.is_false(ok)
      assert.matches("stack overflow", raised, 1, true)
      decodes("[1]", { 1 })
    end)
  end)

  it("raises for wrong arguments", function()
    for _, case in ipairs {
      { "#1", "string expected, got nil", nil },
      { "#1", "string expected, got number", 12 },
      { "#1", "string expected, got table", {} },
      { "#2", "table expected, got boolean", "1", true },
      { "#2", "unknown option 'nulls'", "1", { nulls = true } },
      { "#2", "unknown option 'number'", "1", { 1 } },
      { "#2", "'null' must be a boolean", "1", { null = 1 } },
      { "#2", "'max_depth' must be an integer from 1 to 100000", "1", { max_depth = 0 } },
      { "#2", "'max_depth' must be an integer from 1 to 100000", "1", { max_depth = -1 } },
      { "#2", "'max_depth' must be an integer from 1 to 100000", "1", { max_depth = 1.5 } },
      { "#2", "'max_depth' must be an integer from 1 to 100000", "1", { max_depth = 100001 } },
      { "#2", "'max_depth' must be an integer from 1 to 100000", "1", { max_depth = math.huge } },
      { "#2", "'max_depth' must be an integer from 1 to 100000", "1", { max_depth = "512" } },
    } do
      local ok, message = pcall(core.decode, case[3], case[4])
      assert.is_false(ok)
      assert.matches(case[1], message, 1, true)
      assert.matches(case[2], message, 1, true)
    end
    decodes("1", 1, {})
    decodes("[[]]", { EMPTY }, { max_depth = 2.0 })
  end)

  it("is not disturbed by finalizers that decode and encode", function()
    local text = '{"items":[' .. ('{"id":"x\\n","values":[1,2.5,[],{}]},'):rep(300) .. "0]}"
    local runs, wrong = 0, 0
    local function breed()
      setmetatable({}, {
        __gc = function()
          runs = runs + 1
          local value = core.decode('{"a":[1,{"b":"\\u0041"}]}')
          if core.encode(value) ~= '{"a":[1,{"b":"A"}]}' or core.decode("[1,{") ~= nil then
            wrong = wrong + 1
          end
          if runs < 1000 then
            breed()
          end
        end,
      })
    end
    -- With hardly a pause between its cycles the collector works, and finalizes, nearly all the time. luassert, which
    -- allocates much, would then take minutes.
    local as_usual = collector.hurry()
    for _ = 1, 20 do
      breed()
    end
    local good = 0
    for _ = 1, 300 do
      local value = core.decode(text)
      for i = 1, 300 do
        local item = value.items[i]
        if item.id == "x\n" and #item.values == 4 then
          good = good + 1
        end
      end
    end
    as_usual()
    assert.equal(300 * 300, good)
    assert(runs > 100)
    assert.equal(0, wrong)
  end)

  it("makes no tables in the size of earlier ones that the whole text could not fill", function()
    local long = "[" .. ("1,"):rep(200000) .. "1]"
    local short = {}
    for i = 1, 60 do
      assert(core.decode(('{"long%d":%s}'):format(i, long)))
      short[i] = ('"long%d":[]'):format(i)
    end
    local text = ('{%s,"padding":"%s"}'):format(table.concat(short, ","), ("x"):rep(#long))
    collectgarbage()
    collectgarbage()
    local before = collectgarbage("count")
    local value = core.decode(text)
    assert(collectgarbage("count") - before < 20 * #text / 1024, "the tables are far larger than the text")
    assert.same({}, value.long60)
  end)

  it("goes on right after documents that are more than it can remember", function()
    local wide = {}
    for i = 1, 100 do
      wide[i] = ('"k%d":%d'):format(i, i)
    end
    wide = "{" .. table.concat(wide, ",") .. "}"
    local deep = ("["):rep(150) .. ("]"):rep(150)
    local text = '{"id":"a","config":{"job":{"type":"t"}},"results":[{"n":1},{"n":2}]}'
    for round = 1, 300 do
      local value = assert(core.decode(round % 3 == 0 and wide or text))
      assert.same(round % 3 == 0 and 100 or "a", value.k100 or value.id)
      assert.same({ { n = 1 }, { n = 2 } }, assert(core.decode(text)).results)
      assert(core.decode(deep))
    end
  end)

  it("takes turns with more lists of fields than it remembers", function()
    local text = '{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":{"a":7}}'
    for round = 1, 30 do
      for i = 1, 7 do
        local name, expected = ("abcdefg"):sub(i, i), i < 7 and i or { a = 7 }
        assert.same({ [name] = expected }, core.decode(text, { fields = { name } }), round)
      end
    end
  end)

  it("works inside coroutines, and agrees with itself there", function()
    local read = coroutine.wrap(function(text)
      while true do
        text = coroutine.yield(core.decode(text))
      end
    end)
    assert.same({ 1, { 2 } }, read("[1,[2]]"))
    assert.is_nil(read("[1,[2]"))
    assert.same({ a = "b" }, read('{"a":"b"}'))
  end)

  it("gives what lua-cjson gives for what both accept", function()
    local documents = {
      "[]",
      "{}",
      '"\\u00e9\\ud83d\\ude00\\"\\\\\\/\\b\\f\\n\\r\\t"',
      '{"a":null,"b":[null,true,false],"c":{"d":"e"}}',
      "[0,-1,12,1e5,1.5,-2.25,123456789,0.1,1E-7,9007199254740992,-0.0]",
      ' { "a" : [ 1 , 2 , { "b" : [ ] } ] , "a" : "again" } ',
      '{"id":"bat-1","status":"RUNNING","total_items":12,"created_at":"2025-01-01T00:00:00Z","config":{"job":{}}}',
      '["\u{e9}\u{20ac}\u{1f600}","a\\u0000b"]',
    }
    for _, text in ipairs(documents) do
      local ours = core.decode(text, { null = true })
      local difference = compare.difference(cjson.decode(text), ours, true)
      assert(not difference, difference)
    end
  end)
end)

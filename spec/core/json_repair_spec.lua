-- Decoding with `repair`: what a service's answer may have broken in a string. Over the wire it is in endpoint/repair_spec.lua.

local compare = require("spec.support.compare")
local core = require("llama_cloud.core")

local R = "\u{fffd}"
local REPAIR = { repair = true }

local function repairs(text, expected, options)
  local value, message = core.decode(text, options or REPAIR)
  assert.is_nil(message, text)
  local difference = compare.difference(expected, value)
  assert(not difference, difference)
end

local function refuses(text, message, offset)
  for _, options in ipairs { REPAIR, { repair = false } } do
    local value, got, at = core.decode(text, options)
    assert.is_nil(value, text)
    assert.equal(("%s at byte %d"):format(message, offset), got)
    assert.equal(offset, at)
  end
end

-- All that a character of several bytes can begin with, and all such characters but for their last byte.
local beginnings = {}
for code = 0x80, 0x10ffff, 0x40 do
  if code < 0xd800 or code > 0xdfff then
    local character = utf8.char(code)
    for length = 1, #character - 1 do
      beginnings[character:sub(1, length)] = true
    end
  end
end

-- The same as the decoder does, from the words of the Unicode Standard, section 3.9.
local function reference(text)
  local parts, at = {}, 1
  while at <= #text do
    local _, wrong = utf8.len(text, at)
    parts[#parts + 1] = text:sub(at, (wrong or #text + 1) - 1)
    at = wrong or #text + 1
    if wrong then
      local length = 1
      while beginnings[text:sub(at, at + length)] and at + length <= #text do
        length = length + 1
      end
      parts[#parts + 1] = R
      at = at + length
    end
  end
  return table.concat(parts)
end

describe("decode with repair", function()
  it("puts U+FFFD where half a pair of surrogates is", function()
    repairs([["\ud83d"]], R)
    repairs([["\udc00"]], R)
    repairs([["cut \uD83D"]], "cut " .. R)
    repairs([["\ud83dx"]], R .. "x")
    repairs([["\ud83d\ud83d\ude00"]], R .. "\u{1f600}")
    repairs([["\ude00\ud83d"]], R .. R)
    repairs([["\ud83d\n\ude00"]], R .. "\n" .. R)
    repairs([["\ud83d\u0041"]], R .. "A")
    repairs([["\ud83d\\ude00"]], R .. "\\ude00")
    repairs('"\\ud83d\u{e9}"', R .. "\u{e9}")
    repairs([["\ud800\udc00\udbff\udfff"]], "\u{10000}\u{10ffff}")
    repairs('"' .. ("\\ud83d"):rep(5000) .. '"', R:rep(5000))
  end)

  it("puts U+FFFD where bytes are no UTF-8, once for what can begin a character, once for each other byte", function()
    repairs('"\xff"', R)
    repairs('"caf\xe9"', "caf" .. R) -- Latin-1
    repairs('"\xe9t\xe9"', R .. "t" .. R)
    repairs('"\x80\xbf"', R .. R)
    repairs('"\xe2\x82"', R) -- cut at the end
    repairs('"\xf0\x9f\x98"', R)
    repairs('"\xf0\x9f\x98a"', R .. "a")
    repairs('"\xe2\x82\\n"', R .. "\n")
    repairs('"\xf0\x9f\xf0\x9f\x98\x80"', R .. "\u{1f600}")
    repairs('"\xc0\xaf"', R .. R) -- overlong
    repairs('"\xe0\x80\xaf"', R .. R .. R)
    repairs('"\xf0\x80\x80\xaf"', R .. R .. R .. R)
    repairs('"\xed\xa0\xbd\xed\xb8\x80"', R:rep(6)) -- a pair of surrogates, each as UTF-8
    repairs('"\xf4\x90\x80\x80"', R:rep(4)) -- above U+10FFFF
    repairs('"\xf8\x88\x80\x80\x80"', R:rep(5))
    repairs('"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"', R:rep(4) .. "A") -- table 3-11 of the standard
    repairs('"' .. ("\xff"):rep(5000) .. '"', R:rep(5000))
    repairs('"' .. ("\u{e9}\xff"):rep(5000) .. '"', ("\u{e9}" .. R):rep(5000))
  end)

  it("does so for any bytes", function()
    math.randomseed(8, 5)
    local leads = "\x7f\x80\x8f\x90\x9f\xa0\xbf\xc1\xc2\xdf\xe0\xe1\xec\xed\xee\xef\xf0\xf1\xf3\xf4\xf5\xff"
    for _ = 1, 20000 do
      local bytes = {}
      for i = 1, math.random(40) do
        local place = math.random(#leads)
        bytes[i] = math.random(3) == 1 and "plain text" or leads:sub(place, place)
      end
      local text = table.concat(bytes)
      local value, message = core.decode('"' .. text .. '"', REPAIR)
      if message or value ~= reference(text) then -- luassert would take most of the time here
        error(("%q gives %q and not %q (%s)"):format(text, value, reference(text), message))
      end
    end
  end)

  it("reaches every string: keys, values, in arrays, in objects, the whole text", function()
    repairs('{"a\\udc00":["\xff",{"b\xe2\x82":"\\ud800"}],"c":"d"}', {
      ["a" .. R] = { R, { ["b" .. R] = R } },
      c = "d",
    })
  end)

  it("compares keys as they are after it", function()
    repairs('{"\\ud800":1,"\xff":2}', { [R] = 2 })
    repairs('{"\u{fffd}":1,"\xff":null}', {})
    repairs('{"a":1,"a\xff":2,"a\\udfff":3}', { a = 1, ["a" .. R] = 3 })
    repairs('{"a\xff":1,"b":"\xff"}', { ["a" .. R] = 1 }, { repair = true, fields = { "a" .. R } })
    repairs('{"a\xff":1,"b":"\xff"}', { b = R }, { repair = true, fields = { "b" } })
  end)

  it("passes over a byte order mark before the text, once", function()
    repairs("\u{feff}{}", {})
    repairs("\u{feff} [1]", { 1 })
    repairs('\u{feff}"\u{feff}"', "\u{feff}")
    for text, fault in pairs {
      ["\u{feff}"] = { "the text is empty", 4 },
      ["\u{feff}\u{feff}1"] = { "expected a value but found 0xef", 4 },
      [" \u{feff}1"] = { "expected a value but found 0xef", 2 },
      ["\xef\xbb"] = { "expected a value but found 0xef", 1 },
      ["\xff\xfe1\0"] = { "expected a value but found 0xff", 1 },
      ["\u{feff}[1,]"] = { "expected a value after ',' but found ']'", 7 },
    } do
      local value, message, offset = core.decode(text, REPAIR)
      assert.is_nil(value)
      assert.equal(fault[1] .. " at byte " .. fault[2], message)
      assert.equal(fault[2], offset)
    end
  end)

  it("leaves all other faults faults", function()
    refuses('"a\nb"', "a control character that is not escaped", 3)
    refuses('"\t"', "a control character that is not escaped", 2)
    refuses([["\x41"]], "invalid escape", 2)
    refuses([["\u12"]], "\\u without four hexadecimal digits", 2)
    refuses('["a"\xff]', "expected ',' or ']' but found 0xff", 5)
    refuses("[1,]", "expected a value after ',' but found ']'", 4)
    refuses("NaN", "NaN and Infinity are not JSON", 1)
    refuses('"a', "the text ends inside a string", 3)
    refuses('"\xe2\x82', "the text ends inside a string", 4)
    refuses([["\ud83d]], "the text ends inside a string", 8)
    refuses([["\ud83d\u]], "the text ends inside a string", 10)
    local value, message = core.decode([["\ud83d\u12"]], REPAIR)
    assert.is_nil(value)
    assert.equal("\\u without four hexadecimal digits at byte 8", message)
    value, message = core.decode('"\xff\1"', REPAIR)
    assert.is_nil(value)
    assert.equal("a control character that is not escaped at byte 3", message)
  end)

  it("changes nothing where nothing is broken, and is not done unless it is asked for", function()
    local text = '{"a":"\u{e9}\\ud83d\\ude00\u{10ffff}","\\u00e9":["",1.5,null,true,[]],"\u{fffd}":"\u{fffd}"}'
    repairs(text, (core.decode(text)))
    for broken, message in pairs {
      ['{"a":"\xff"}'] = "invalid UTF-8 at byte 7",
      [ [=[["\ud800"]]=] ] = "lone surrogate at byte 3",
      ["\u{feff}1"] = "a byte order mark at byte 1",
    } do
      for _, options in ipairs { {}, { repair = false } } do
        local value, got = core.decode(broken, options)
        assert.is_nil(value)
        assert.equal(message, got)
      end
    end
    assert.has_error(function()
      core.decode("1", { repair = 1 })
    end)
  end)

  it("remembers nothing broken of one document for the next", function()
    for _ = 1, 3 do
      repairs('[{"id":"a\xff","s":"b"},{"id":"a\xfe","s":"\\ud800"},{"id":"a","s":"b"},{"i\xff":"a"}]', {
        { id = "a" .. R, s = "b" },
        { id = "a" .. R, s = R },
        { id = "a", s = "b" },
        { ["i" .. R] = "a" },
      })
      local value, message = core.decode('[{"id":"a\xff"}]')
      assert.is_nil(value)
      assert.equal("invalid UTF-8 at byte 10", message)
      repairs('[{"id":"a\u{fffd}"}]', { { id = "a" .. R } }, {})
    end
  end)
end)

describe("a page", function()
  local broken = '\u{feff}{"x\xff":"\xff\\ud800","items":[{"id":"a\xff","\\udc00":1},{"id":"b"}],"\xff":{"a":"\xff"},'
    .. '"next_page_token":"t\xe2\x82","total_size":2,"items\xff":[]}'

  it("is repaired, its items, its members and its keys", function()
    local page = assert(core.page(broken))
    assert.equal(2, page:count())
    assert.equal("t" .. R, page:member("next_page_token"))
    assert.equal(2, page:member("total_size"))
    assert.same({ id = "a" .. R, [R] = 1 }, (page:next()))
    assert.same({ id = "b" }, (page:next()))
    assert.same({ nil }, { page:next() })
    assert.same(assert(core.decode(broken, REPAIR)), (page:decode()))
    assert.equal(broken, page:text())
  end)

  it("is repaired where only some fields are wanted", function()
    local page = assert(core.page(broken, nil, nil, nil, { "id" }))
    assert.same({ id = "a" .. R }, (page:next()))
    assert.same({ id = "b" }, (page:next()))
    assert.same({ [R] = { a = R } }, (page:decode { R }))
  end)

  it("finds a member by its key as it is after the repair", function()
    local page = assert(core.page('{"items":[{}],"items\xff":[{},{}],"total_size\\ud800":1}'))
    assert.equal(1, page:count())
    assert.is_nil((page:member("total_size")))
  end)
end)

-- Run by spec/support/alloc_harness.c: every way through the codec, once for each allocation that can fail.
local core = require("llama_cloud.core")

local function check(condition)
  if not condition then
    error("wrong result")
  end
end

local text = [=[
{"id":"bat-1","escaped":"line\nquote\" \u00fc \ud83d\ude00","items":[1,-2.5,1e300,9007199254740993,"x",null,true,[],{}],
"a key of more than forty bytes, so that it is no short string":{"deep":[[[{"a":[1,2,3,4,5,6,7,8,9]}]]]},"gone":null}]=]

local value = core.decode(text, { max_depth = 20 })
check(value.id == "bat-1" and #value.items == 9 and value.items[6] == core.null)
local kept = core.decode(text, { null = true })
check(kept.gone == core.null)

local long = string.rep("\\u00fc", 3000)
check(core.decode('"' .. long .. '"') == string.rep("ü", 3000))
check(#core.decode(string.rep("[", 300) .. string.rep("]", 300)) == 1)

-- Strings that are repaired, whose places grow while they are.
local repair = { repair = true }
local broken = string.rep("\xff\\ud800\u{fc}", 1000)
local mended = string.rep("\u{fffd}\u{fffd}\u{fc}", 1000)
check(core.decode('"' .. broken .. '"', repair) == mended)
local whole = core.decode('\u{feff}{"' .. broken .. '":["' .. broken .. '"],"a":"\xe2\x82"}', repair)
check(whole[mended][1] == mended and whole.a == "\u{fffd}")
local page = core.page('\u{feff}{"' .. broken .. '":1,"items":[{"id":"' .. broken .. '"}],"next_page_token":"\xff"}')
check(page:next().id == mended and page:member("next_page_token") == "\u{fffd}" and not page:next())
page:close()

local none, message, offset = core.decode('{"a":[1,2,{"b":"\\n \\ud800"}]}')
check(none == nil and message == "lone surrogate at byte 20" and offset == 20)

-- An error while a decoder's tables and an encoder's buffers are open must not hurt what a finalizer does meanwhile.
local finalized = 0
local function breed()
  setmetatable({}, {
    __gc = function()
      finalized = finalized + 1
      local again = core.decode('{"a":[1,{"b":"\\n"}]}')
      check(core.encode(again) == '{"a":[1,{"b":"\\n"}]}')
    end,
  })
end
breed()
collectgarbage()
if finalized ~= 1 then
  error("not enough memory") -- Lua calls no finalizer that it has no memory for, without a word
end

local encoded = core.encode(value)
check(core.encode(core.decode(encoded)) == encoded)
check(core.encode(core.array { 1, 2.5, "\1", core.array {} }, "body") == '[1,2.5,"\\u0001",[]]')
local long_list = {}
for i = 1, 200 do
  long_list[i] = { number = i, name = "name " .. i }
end
check(#core.decode(core.encode(long_list)) == 200)

local refused
refused, message = core.encode({ a = { 1, 2, { ["b c"] = print } } }, "body")
check(refused == nil and message == 'body.a[3]["b c"]: cannot encode a function')
refused, message = core.encode { 1, nil, 3 }
check(refused == nil and message == "value: cannot encode an array with gaps: nothing at 2")

-- Tables that show what they do not hold.
local hidden = { a = { 1, 2 }, b = "x", ["a key of more than forty bytes, so that it is no short string"] = true }
local function view(of)
  return setmetatable({}, {
    __pairs = function()
      return function(_, key)
        local name, member = next(of, key)
        return name, type(member) == "table" and view(member) or member
      end
    end,
  })
end
check(core.encode { view(hidden), { view(hidden) } } == core.encode { hidden, { hidden } })
check(core.shown(view(hidden)).b == "x")
refused, message = core.encode { setmetatable({}, { __index = hidden }) }
check(refused == nil and message:find("^value%[1%]: cannot take the fields of an empty table"))
check(core.decode('{"a":null}', view { null = true }).a == core.null)

-- Tables that show other fields than they hold: how they are encoded, and core.shown. As arguments of calls they are in
-- endpoint/shown_arguments_spec.lua.

local core = require("llama_cloud.core")
local process = require("spec.support.process")

local HIDDEN = "cannot take the fields of an empty table whose metatable has __index: copy them into a plain table"

local function encodes(value, expected)
  local text, message = core.encode(value)
  assert.is_nil(message)
  assert.equal(expected, text)
end

local function refuses(value, expected, root)
  local text, message = core.encode(value, root)
  assert.is_nil(text)
  assert.equal(expected, message)
end

-- A table that holds nothing and shows another one: to pairs, to readers by name, and to #. Tables in it are wrapped anew
-- at each access.
local function proxy(hidden, meta)
  local function wrapped(value)
    return type(value) == "table" and proxy(value, meta) or value
  end
  local mt = {
    __index = function(_, key)
      return wrapped(hidden[key])
    end,
    __newindex = function()
      error("read-only")
    end,
    __len = function()
      return #hidden
    end,
    __pairs = function(t)
      return function(_, key)
        local k, v = next(hidden, key)
        return k, wrapped(v)
      end, t, nil
    end,
    __metatable = false,
  }
  for event in pairs(meta or {}) do
    mt[event] = nil
  end
  return setmetatable({}, mt)
end

-- A table whose __pairs calls this iterator.
local function iterated(iterator, holds)
  return setmetatable(holds or {}, {
    __pairs = function()
      return iterator
    end,
  })
end

-- An iterator over these keys and values.
local function each(list)
  local n = 0
  return function()
    n = n + 1
    if list[n] then
      return list[n][1], list[n][2]
    end
  end
end

describe("a table with __pairs is encoded", function()
  it("as the object or array that it gives", function()
    encodes(proxy { a = 1, b = "x" }, '{"a":1,"b":"x"}')
    encodes(proxy { 1, 2, 3 }, "[1,2,3]")
    encodes(proxy {}, "{}")
    encodes(
      { config = proxy { job = { type = "parse_v2", pages = { 1, 2 } } } },
      '{"config":{"job":{"pages":[1,2],"type":"parse_v2"}}}'
    )
    encodes({ proxy { a = 1 }, proxy { 1 }, proxy {} }, '[{"a":1},[1],{}]')
    encodes(proxy({ a = { 1 } }, { __index = true }), '{"a":[1]}')
    local frozen = proxy { id = 1 }
    encodes({ a = frozen, b = frozen }, '{"a":{"id":1},"b":{"id":1}}')
  end)

  it("by that alone, whatever it holds", function()
    encodes(iterated(each { { "public", 1 } }, { private = print }), '{"public":1}')
    encodes(iterated(each {}, { private = 1 }), "{}")
    encodes(iterated(each { { 2, "b" }, { 1.0, "a" } }), '["a","b"]')
    encodes(iterated(each { { "b", 2 }, { "a", nil }, { "c", core.null } }), '{"b":2,"c":null}')
    encodes(
      setmetatable({ 1, 2 }, {
        __pairs = function(t)
          return next, { n = #t }
        end,
      }),
      '{"n":2}'
    )
  end)

  it("with the state and the first key that it gives", function()
    encodes(
      setmetatable({}, {
        __pairs = function()
          return function(state, key)
            if key < state.last then
              return key + 1, state
            end
          end,
            setmetatable({ last = 2 }, {
              __pairs = function()
                return each { { "x", 1 } }
              end,
            }),
            0
        end,
      }),
      '[{"x":1},{"x":1}]'
    )
  end)

  it("unless JSON cannot hold what it gives", function()
    refuses({ a = proxy { b = { print } } }, "value.a.b[1]: cannot encode a function")
    refuses(iterated(each { { 1, 1 }, { 3, 1 } }), "value: cannot encode an array with gaps: nothing at 2")
    refuses({ iterated(each { { true, 1 } }) }, "value[1]: cannot encode a table with the key of type boolean")
    refuses(iterated(each { { "\xff", 1 } }), 'value["\\xff"]: the key is not valid UTF-8')
    refuses(iterated(each { { 0 / 0, 1 } }), "value: cannot take a table whose __pairs gives NaN as a key")
    refuses(
      { a = iterated(each { { "b", 1 }, { "b", 2 } }) },
      "body.a: cannot take a table whose __pairs gives the same key twice",
      "body"
    )
    local own
    own = iterated(function(_, key)
      if not key then
        return "own", own
      end
    end)
    refuses(own, "value.own: cannot encode a table that contains itself")
    own = setmetatable({}, {
      __pairs = function()
        return each { { "own", own } }
      end,
    })
    refuses({ a = own }, "value.a.own: cannot encode a table that contains itself")
  end)

  it("unless it has no end", function()
    local most = "value: cannot take more than 1000000 fields that __pairs gives"
    local same = iterated(function()
      return "same", 1
    end)
    refuses(same, "value: cannot take a table whose __pairs gives the same key twice")
    local meta = {}
    function meta.__pairs() -- of which each holds 600 more
      local n = 0
      return function()
        n = n + 1
        return n <= 600 and n or nil, setmetatable({}, meta)
      end
    end
    local _, message = core.encode(setmetatable({}, meta))
    assert.matches("^value%[1%]%[1%].*: cannot encode more than 512 tables within each other$", message)
    if process.slowdown >= 30 then -- a million turns take a minute there
      return
    end
    local numbers = iterated(function(_, key)
      return (key or 0) + 1, 1
    end)
    refuses(numbers, most)
    local nothing = iterated(function()
      return "same", nil
    end)
    refuses(nothing, most)
  end)

  it("up to a million fields in all", function()
    if process.slowdown >= 30 then
      return
    end
    local held, rows = {}, {}
    for i = 1, 1000 do
      held[i] = i
    end
    local row = setmetatable({}, {
      __pairs = function()
        return next, held
      end,
    })
    for i = 1, 1001 do
      rows[i] = row
    end
    refuses(rows, "value[1001]: cannot take more than 1000000 fields that __pairs gives")
    rows[1001] = nil
    assert.equal(1000, #assert(core.decode(core.encode(rows))))
  end)

  it("unless it raises, which comes out as it is", function()
    local problem = { "an object" }
    for _, raising in ipairs {
      setmetatable({}, {
        __pairs = function()
          error(problem)
        end,
      }),
      iterated(function()
        error(problem)
      end),
    } do
      for _ = 1, 50 do
        local ok, raised = pcall(core.encode, { ("x"):rep(1000), { a = { raising } } })
        assert.is_false(ok)
        assert.equal(problem, raised)
      end
    end
    encodes({ 1 }, "[1]")
    assert.error_matches(function()
      core.encode(setmetatable({}, { __pairs = 1 }))
    end, "attempt to call a number value", 1, true)
    local ok, raised = coroutine.resume(coroutine.create(core.encode), iterated(coroutine.yield))
    assert.is_false(ok)
    assert.matches("attempt to yield", raised)
  end)

  it("soundly where that changes what is encoded, encodes itself, or collects", function()
    local list = { 1, 2, 3, 4 }
    list[2] = iterated(function()
      for i = 3, 1, -1 do
        list[i + 1] = nil
      end
      collectgarbage()
    end)
    refuses(list, "value[3]: the table changed while it was encoded")
    local object = {}
    object.b = iterated(function()
      object.c, object.a, object.d = nil, nil, 1
    end)
    object.a, object.c = 1, 1
    refuses(object, "value.c: the table changed while it was encoded")
    local inner = iterated(function(_, key)
      if not key then
        collectgarbage()
        return "text", core.encode { proxy { a = { 1 } } }
      end
    end)
    encodes({ a = inner, b = { inner } }, '{"a":{"text":"[{\\"a\\":[1]}]"},"b":[{"text":"[{\\"a\\":[1]}]"}]}')
  end)
end)

describe("an empty table with __index is", function()
  local function with(index)
    return setmetatable({}, { __index = index })
  end

  it("refused where there may be fields behind that, and never {}", function()
    for _, hiding in ipairs {
      with(function() end),
      with { a = 1 },
      with { 1 },
      with { [""] = false },
      with { method = print, field = 1 },
      with { field = {} },
      with(with { a = 1 }),
      with(with(function() end)),
      with(proxy { a = 1 }),
      with(proxy({ a = 1 }, { __index = true })),
      with(io.stdout),
      proxy({ a = 1 }, { __pairs = true }),
      proxy({ 1, 2 }, { __pairs = true, __len = true }),
      setmetatable({}, { __index = { a = 1 }, __metatable = "locked" }),
    } do
      refuses(hiding, "value: " .. HIDDEN)
      refuses({ config = { jobs = { 1, hiding } } }, "body.config.jobs[2]: " .. HIDDEN, "body")
    end
    local circular = {}
    setmetatable(circular, { __index = circular })
    refuses(circular, "value: " .. HIDDEN)
  end)

  it("an object without fields where it is of a class", function()
    local Class = { __name = "class", method = function() end, __tostring = print, __version = 1 }
    Class.__index = Class
    encodes(setmetatable({}, Class), "{}")
    local Derived = setmetatable({ other = print }, { __index = Class, __call = print })
    Derived.__index = Derived
    encodes({ setmetatable({}, Derived) }, "[{}]")
    encodes(setmetatable({}, { __index = {} }), "{}")
    encodes(setmetatable({}, { __newindex = print, __len = print, __name = "thing" }), "{}")
  end)
end)

describe("a table that holds fields", function()
  it("is encoded by these, whatever its class is", function()
    local called = 0
    local function call()
      called = called + 1
    end
    local Class = { constant = 1, method = print }
    Class.__index = Class
    encodes(setmetatable({ a = 1 }, Class), '{"a":1}')
    local mt = { __index = call, __len = call, __name = "thing", __metatable = "locked" }
    encodes(setmetatable({ a = 1 }, mt), '{"a":1}')
    encodes(setmetatable({ 1, 2 }, mt), "[1,2]")
    assert.equal(0, called)
  end)

  it("is an array by its mark, whatever that has", function()
    encodes(core.array {}, "[]")
    encodes({ core.array { 1 } }, "[[1]]")
  end)
end)

describe("array", function()
  it("takes no table for empty that is not", function()
    for _, hiding in ipairs {
      iterated(each { { 1, 1 } }),
      setmetatable({}, { __index = { 1 } }),
      setmetatable({}, { __index = print }),
    } do
      assert.error_matches(function()
        core.array(hiding)
      end, "cannot mark a table that shows other fields than it holds", 1, true)
      assert.not_equal(core.array, getmetatable(hiding))
    end
    local Class = { method = print }
    Class.__index = Class
    encodes(core.array(setmetatable({ 1 }, Class)), "[1]")
    encodes(core.array(setmetatable({}, Class)), "[]")
    encodes(core.array(core.array {}), "[]")
  end)
end)

describe("a userdata with __pairs", function()
  it("is refused by its path", function()
    local meta = getmetatable(io.stdout)
    meta.__pairs = function()
      return each { { "a", 1 } }
    end
    local ok, problem = pcall(refuses, { a = { io.stdout } }, "value.a[1]: cannot encode a userdata")
    meta.__pairs = nil
    assert(ok, problem)
  end)
end)

describe("core.shown", function()
  it("gives a plain table of what a table shows, or says why it cannot", function()
    local plain, class = { 1, a = 2 }, setmetatable({ a = 1 }, { __index = print })
    assert.equal(plain, core.shown(plain))
    assert.equal(class, core.shown(class))
    local empty = core.array {}
    assert.equal(empty, core.shown(empty))
    local shown = core.shown(proxy { a = 1, [2] = true })
    assert.is_nil(getmetatable(shown))
    assert.same({ a = 1, [2] = true }, shown)
    assert.same({ nil, HIDDEN, true }, { core.shown(setmetatable({}, { __index = print })) })
    local endless = iterated(function(_, key)
      return (key or 0) + 1, 1
    end)
    assert.same({ nil, "cannot take more than 1000000 fields that __pairs gives", false }, { core.shown(endless) })
    assert.has_error(function()
      core.shown(1)
    end)
  end)
end)

describe("options of decode", function()
  it("are what their table shows", function()
    assert.same({ a = core.null }, (core.decode('{"a":null}', proxy { null = true })))
    assert.same("\u{fffd}", (core.decode('"\xff"', proxy { repair = true })))
    assert.error_matches(function()
      core.decode("1", setmetatable({}, { __index = { null = true } }))
    end, HIDDEN, 1, true)
    assert.error_matches(function()
      core.decode("1", proxy { nul = true })
    end, "unknown option 'nul'", 1, true)
  end)
end)

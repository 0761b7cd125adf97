-- Requests whose settings were read before, and whose fields are arguments.

local core = require("llama_cloud.core")
local server = require("spec.support.server")
local support = require("spec.support.transport")

describe("a request with a profile", function()
  local t, s

  setup(function()
    s = server.start { { body = '"' .. ("x"):rep(100) .. '"' } }
  end)

  teardown(function()
    s:stop()
  end)

  before_each(function()
    t = core.transport()
  end)

  after_each(function()
    t:close()
  end)

  local function send(profile, method, body, repeatable)
    return support.finish(t, t:start(profile, method, s:url("/a?b=c"), { "X-One", "1" }, body, repeatable, 20, 20))
  end

  it("has the method, URL, headers and body that are its arguments", function()
    local profile = core.profile { proxy = "" }
    for _, case in ipairs { { "GET", nil, true }, { "POST", "a\0b", true }, { "POST", "c", false } } do
      local transfer = send(profile, case[1], case[2], case[3])
      local requests = s:requests()
      local seen = requests[#requests]
      assert.same({ "response", 200, true }, { (transfer:outcome()), transfer:status(), transfer:sent() })
      assert.same({ case[1], "/a?b=c", "1" }, { seen.method, seen.target, seen.headers["x-one"] })
      assert.equal(case[2] or "", seen.body)
    end
  end)

  it("takes a connection of its own if it is not repeatable", function()
    local profile = core.profile { proxy = "" }
    send(profile, "GET", nil, true)
    local before = s:connections()
    send(profile, "GET", nil, true)
    assert.equal(before, s:connections())
    send(profile, "POST", "x", false)
    assert.equal(before + 1, s:connections())
  end)

  it("has the profile's settings, whatever becomes of the table that they were read from", function()
    local settings = { proxy = "http://127.0.0.1:1", max_response_bytes = 200 }
    local profile = core.profile(settings)
    settings.proxy = ""
    settings = nil -- luacheck: ignore 311
    collectgarbage()
    local _, _, about = send(profile, "GET"):outcome()
    assert.equal("proxy", about)
    assert.equal("too_large", (send(core.profile { proxy = "", max_response_bytes = 99 }, "GET"):outcome()))
    local url = s:url():gsub("^http:", "https:")
    local transfer = t:start(core.profile { proxy = "", ca_file = "/no/such/file" }, "GET", url, {})
    local _, message = support.finish(t, transfer):outcome()
    assert.matches("the file of certificates cannot be read", message)
  end)

  it("is made of arguments that are checked", function()
    local profile = core.profile {}
    local url = s:url()
    for _, case in ipairs {
      { "string expected", profile },
      { "the method must be a word in capital letters", profile, "get", url },
      { "the method must be a word in capital letters", profile, "", url },
      { "string expected", profile, "GET", 1 },
      { "contains a NUL", profile, "GET", url .. "\0" },
      { "table expected", profile, "GET", url, "X: 1" },
      { "must be a string or a form", profile, "GET", url, {}, 1 },
      { "number expected", profile, "GET", url, {}, nil, true, "x" },
      { "NaN", profile, "GET", url, {}, nil, true, 1, 0 / 0 },
      { "llama_cloud.profile expected", io.stdout, "GET", url, {} },
    } do
      assert.error_matches(function()
        t:start(table.unpack(case, 2, 9))
      end, case[1], nil, true)
    end
    for _, case in ipairs {
      { "table expected" },
      { "field 'proxy' must be a string", { proxy = 1 } },
      { "field 'ca_file' contains a NUL", { ca_file = "a\0b" } },
      { "field 'connect_timeout' is NaN", { connect_timeout = 0 / 0 } },
      { "field 'max_response_bytes' is negative", { max_response_bytes = -1 } },
    } do
      assert.error_matches(function()
        core.profile(case[2])
      end, case[1], nil, true)
    end
    assert.is_false(getmetatable(profile))
  end)
end)

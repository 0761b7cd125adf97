-- core.url: what libcurl makes of a URL, which is also what it will connect to.

local core = require("llama_cloud.core")

describe("core.url", function()
  it("takes a URL apart", function()
    assert.same({
      text = "https://User:Pa%20ss@Api.Example.COM:8443/a/../b%2fc;x?q=1&r=%20#frag",
      scheme = "https",
      user = "User",
      password = "Pa%20ss",
      host = "Api.Example.COM",
      port = "8443",
      path = "/a/../b%2fc;x",
      query = "q=1&r=%20",
      fragment = "frag",
    }, core.url("HTTPS://User:Pa%20ss@Api.Example.COM:8443/a/../b%2fc;x?q=1&r=%20#frag"))
  end)

  it("leaves out what is not there, but for the port and the path", function()
    assert.same(
      { text = "https://api.example.com/", scheme = "https", host = "api.example.com", port = "443", path = "/" },
      core.url("https://api.example.com")
    )
    assert.same(
      { text = "http://a/?x", scheme = "http", host = "a", port = "80", path = "/", query = "x" },
      core.url("http://a?x")
    )
    assert.equal("[::1]", core.url("http://[::1]:80/").host)
  end)

  it("names schemes that the transport then refuses", function()
    for _, scheme in ipairs { "ftp", "foo" } do
      assert.equal(scheme, core.url(scheme .. "://host/x").scheme)
    end
  end)

  it("says why something is no URL", function()
    for _, text in ipairs {
      "",
      "api.example.com/x",
      "//host/x",
      "http://",
      "mailto:x@y",
      "http://a b/",
      "http://a/ b",
      "http://a/\r\nX: 1",
      "http://a/\127",
      "http://a:99999/",
      "http://a:x/",
      "http://[/",
      "http://[::1/",
      "http://a/" .. ("z"):rep(9 << 20),
    } do
      local parts, message = core.url(text)
      assert.is_nil(parts, text:sub(1, 50))
      assert.is_true(type(message) == "string" and #message > 5)
    end
    assert.same({ nil, "it contains a NUL" }, { core.url("http://a\0.evil.example/") })
    assert.same({ nil, "it contains a NUL" }, { core.url("x\0y", "http://a/") })
    assert.same({ nil, "it contains a NUL" }, { core.url("x", "http://a/\0") })
  end)

  describe("resolves a reference", function()
    -- Checks what becomes of references at a base.
    local function check(base, cases)
      for reference, expected in pairs(cases) do
        local parts, message = core.url(reference, base)
        assert.equal(expected, parts and parts.text or message, ("'%s' at %s"):format(reference, base))
      end
    end

    it("as the examples of RFC 3986 section 5.4 have it", function()
      check("http://a/b/c/d;p?q", {
        ["g"] = "http://a/b/c/g",
        ["./g"] = "http://a/b/c/g",
        ["g/"] = "http://a/b/c/g/",
        ["/g"] = "http://a/g",
        ["//g"] = "http://g/", -- libcurl writes the path
        ["?y"] = "http://a/b/c/d;p?y",
        ["g?y"] = "http://a/b/c/g?y",
        ["#s"] = "http://a/b/c/d;p?q#s",
        ["g#s"] = "http://a/b/c/g#s",
        ["g?y#s"] = "http://a/b/c/g?y#s",
        [";x"] = "http://a/b/c/;x",
        ["g;x"] = "http://a/b/c/g;x",
        ["g;x?y#s"] = "http://a/b/c/g;x?y#s",
        [""] = "http://a/b/c/d;p?q",
        ["."] = "http://a/b/c/",
        ["./"] = "http://a/b/c/",
        [".."] = "http://a/b/",
        ["../"] = "http://a/b/",
        ["../g"] = "http://a/b/g",
        ["../.."] = "http://a/",
        ["../../"] = "http://a/",
        ["../../g"] = "http://a/g",
        ["../../../g"] = "http://a/g",
        ["../../../../g"] = "http://a/g",
        ["/./g"] = "http://a/g",
        ["/../g"] = "http://a/g",
        ["g."] = "http://a/b/c/g.",
        [".g"] = "http://a/b/c/.g",
        ["g.."] = "http://a/b/c/g..",
        ["..g"] = "http://a/b/c/..g",
        ["./../g"] = "http://a/b/g",
        ["./g/."] = "http://a/b/c/g/",
        ["g/./h"] = "http://a/b/c/g/h",
        ["g/../h"] = "http://a/b/c/h",
        ["g;x=1/./y"] = "http://a/b/c/g;x=1/y",
        ["g;x=1/../y"] = "http://a/b/c/y",
        ["g?y/./x"] = "http://a/b/c/g?y/./x",
        ["g?y/../x"] = "http://a/b/c/g?y/../x",
        ["g#s/./x"] = "http://a/b/c/g#s/./x",
        ["g#s/../x"] = "http://a/b/c/g#s/../x",
      })
      for _, reference in ipairs { "g:h", "http:g" } do
        assert.is_nil((core.url(reference, "http://a/b/c/d;p?q")))
      end
    end)

    it("at a base with slashes in its query or fragment, without a path, and with a port", function()
      check("http://a/b/c?q=/x/y", { g = "http://a/b/g", ["#s"] = "http://a/b/c?q=/x/y#s", ["?y"] = "http://a/b/c?y" })
      check("http://a/b/c#f/g", { g = "http://a/b/g", ["../g"] = "http://a/g", [""] = "http://a/b/c" })
      check("http://a?q=/x/y", { g = "http://a/g", ["?y"] = "http://a/?y" })
      check("http://a", { g = "http://a/g", ["../g"] = "http://a/g", ["//g:1/x"] = "http://g:1/x" })
      check("http://a:81/b/", { g = "http://a:81/b/g", ["/g"] = "http://a:81/g" })
    end)

    it("that is a whole URL by itself", function()
      check("http://a/b", {
        ["http://other/x"] = "http://other/x",
        ["https://other:444/x?y"] = "https://other:444/x?y",
        ["http://other/x/../y/./z"] = "http://other/y/z",
      })
    end)
  end)

  it("escapes raw spaces and UTF-8 in a Location", function()
    assert.equal("http://a/b%20c", core.url("b c", "http://a/").text)
    assert.equal("http://a/%c3%bc", core.url("ü", "http://a/").text:lower())
  end)

  it("does not resolve against what is no URL", function()
    for _, base in ipairs { "nonsense", "mailto:a@b", "" } do
      assert.is_nil((core.url("x", base)))
    end
  end)

  it("wants strings", function()
    assert.error_matches(function()
      core.url()
    end, "string expected")
    assert.error_matches(function()
      core.url("http://a/", {})
    end, "string expected")
  end)
end)

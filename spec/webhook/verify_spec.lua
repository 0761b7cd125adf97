-- Whether a webhook's delivery comes from the service.

local llama_cloud = require("llama_cloud")

local process = require("spec.support.process")
local program = require("spec.support.program")

local verify = llama_cloud.webhook.verify

local function bytes(hex)
  return (hex:gsub("%s", ""):gsub("%x%x", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

-- RFC 4231 section 4: key, data, HMAC-SHA-256. Its case 5 is about a truncated one, which no signature is.
local VECTORS = {
  {
    ("\x0b"):rep(20),
    "Hi There",
    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
  },
  {
    "Jefe",
    "what do ya want for nothing?",
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  },
  {
    ("\xaa"):rep(20),
    ("\xdd"):rep(50),
    "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
  },
  {
    bytes("0102030405060708090a0b0c0d0e0f10111213141516171819"),
    ("\xcd"):rep(50),
    "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
  },
  {
    ("\xaa"):rep(131),
    "Test Using Larger Than Block-Size Key - Hash Key First",
    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
  },
  {
    ("\xaa"):rep(131),
    "This is a test using a larger than block-size key and a larger than block-size data. "
      .. "The key needs to be hashed before being used by the HMAC algorithm.",
    "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
  },
}

describe("llama_cloud.webhook.verify", function()
  local key, body, hex = table.unpack(VECTORS[2])

  it("knows the signatures of RFC 4231", function()
    for _, vector in ipairs(VECTORS) do
      assert.is_true(verify(vector[2], "sha256=" .. vector[3], vector[1]))
    end
  end)

  it("takes hexadecimal digits of either case, and blanks around them", function()
    assert.is_true(verify(body, "sha256=" .. hex:upper(), key))
    assert.is_true(verify(body, " SHA256=" .. hex .. "\r\n", key))
  end)

  it("signs every byte", function()
    for _, changed in ipairs { body .. "\n", body:sub(2), body:gsub("w", "W", 1), "" } do
      local verified, reason = verify(changed, "sha256=" .. hex, key)
      assert.is_false(verified)
      assert.equal("the signature is not that of this body by this secret", reason)
    end
    for position = 1, #hex do
      local other = hex:sub(position, position) == "0" and "1" or "0"
      assert.is_false((verify(body, "sha256=" .. hex:sub(1, position - 1) .. other .. hex:sub(position + 1), key)))
    end
    assert.is_false((verify(body, "sha256=" .. hex, key .. " ")))
  end)

  it("takes several secrets, of which any will do", function()
    assert.is_true(verify(body, "sha256=" .. hex, { "old", key }))
    assert.is_true(verify(body, "sha256=" .. hex, { key, "new" }))
    assert.is_false((verify(body, "sha256=" .. hex, { "old", "new" })))
  end)

  it("says why a signature is none", function()
    for reason, signatures in pairs {
      ["there is no signature: was the webhook given a signing secret?"] = { false },
      ["the signature does not begin with 'sha256='"] = { "", hex, "sha1=" .. hex, "=" .. hex, "sha256 " .. hex },
      ["the signature is not 64 hexadecimal digits"] = {
        "sha256=",
        "sha256=" .. hex:sub(2),
        "sha256=" .. hex .. "00",
        "sha256=" .. hex:gsub("^.", "g"),
        "sha256=" .. hex .. ",sha256=" .. hex,
        "sha256=" .. hex:gsub("^.", "\0"),
        "sha256==" .. hex,
      },
    } do
      for _, signature in ipairs(signatures) do
        local verified, why = verify(body, signature or nil, key)
        assert.is_false(verified)
        assert.equal(reason, why)
      end
    end
  end)

  it("raises at the caller's line where an argument is wrong", function()
    for _, case in ipairs {
      { "body must be a string, the bytes as they came, not table", {}, "", "s" },
      { "body must be a string, the bytes as they came, not nil", nil, "", "s" },
      { "call it with a dot: llama_cloud.webhook.verify(body, signature, secret)", llama_cloud.webhook, "", "", "s" },
      { "signature must be a string, not table", "", {}, "s" },
      { "secret must be a string, or an array of strings, not nil", "", "", nil },
      { "secret must be a string, or an array of strings, not an empty table", "", "", {} },
      { "secret must be a string, not number", "", "", 7 },
      { "secret must not be empty", "", "", "" },
      { "secret[2] must not be empty", "", "", { "s", "" } },
      { "secret[1] must be a string, not boolean", "", "", { true } },
    } do
      local line = debug.getinfo(1, "l").currentline + 2
      local ok, message = pcall(function()
        verify(case[2], case[3], case[4])
      end)
      assert.is_false(ok)
      assert.equal(("%s:%d: %s"):format(debug.getinfo(1, "S").short_src, line, case[1]), message)
    end
  end)

  it("without luaossl says what to install, and nothing else of the library needs it", function()
    local output = process.run(([[
      package.path, package.cpath = %q, package.cpath:match("^[^;]*")
      assert(not pcall(require, "openssl.hmac"), "it is there, and this shows nothing")
      local llama_cloud = require("llama_cloud")
      local webhook = llama_cloud.webhook
      print(pcall(webhook.verify, "", "", ""))
      print(pcall(webhook.verify, "", "", "secret"))
    ]]):format(program.file("lua/?.lua;" .. program.file("lua/?/init.lua"))))
    assert.equal(
      "false\tsecret must not be empty\n"
        .. "false\tllama_cloud.webhook needs the Lua module openssl.hmac: install the rock luaossl, "
        .. "or on Debian and Ubuntu the package lua-luaossl\n",
      output
    )
  end)
end)

-- What the client needs of other people's Lua libraries: nothing. What the sandbox and the event loops need, they name.

local process = require("spec.support.process")
local program = require("spec.support.program")

-- The paths of a program that has this checkout and nothing else. `others` adds modules that are there, but empty.
local function alone(chunk, others)
  local setup = ([[
    package.path, package.cpath = %q, %q
    for name in (%q):gmatch("%%S+") do package.preload[name] = function() return {} end end
  ]]):format(
    program.file("lua/?.lua;" .. program.file("lua/?/init.lua")),
    package.cpath:match("^[^;]*"),
    others or ""
  )
  return process.run(setup .. chunk, { environment = { LUA_INIT = false } })
end

describe("the client without any other Lua library", function()
  it("is loaded, and is whole", function()
    local output, well = alone([[
      assert(not pcall(require, "cjson") and not pcall(require, "cqueues"), "they are there, and this shows nothing")
      local llama_cloud = require("llama_cloud")
      local client = llama_cloud.new({ api_key = "llx-test", base_url = "http://127.0.0.1:1", max_retries = 0 })
      local value, err = client.batches:get("bat-1")
      assert(value == nil and err.kind == "connection", err)
      print(llama_cloud.json.encode({ llama_cloud.null, llama_cloud.array {} }))
    ]])
    assert.is_true(well, output)
    assert.equal("[null,[]]\n", output)
  end)

  it("says what process needs", function()
    local output, well = alone([[
      assert(not pcall(require, "lfs"), "it is there, and this shows nothing")
      local llama_cloud = require("llama_cloud")
      local client = llama_cloud.new({ api_key = "llx-test", base_url = "http://127.0.0.1:1" })
      local params = { config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } } }
      for _, files in ipairs { "/tmp", { "a.pdf" } } do
        local ok, err = pcall(function()
          local iterate = client.batches:process(files, params)
          return iterate
        end)
        assert(not ok)
        print(err:match(": (.*)"))
      end
    ]])
    local packages = "the rock luafilesystem, or on Debian and Ubuntu the package lua-filesystem"
    local sentence = ("process needs the Lua module lfs: install %s\n"):format(packages)
    assert.is_true(well, output)
    assert.equal(sentence:rep(2), output)
  end)

  it("has the null of lua-cjson", function()
    local cjson = require("cjson")
    local llama_cloud = require("llama_cloud")
    assert.equal(cjson.null, llama_cloud.null)
    assert.equal(cjson.null, llama_cloud.json.null)
    assert.equal("[null]", cjson.encode { llama_cloud.null })
    assert.equal("[null]", llama_cloud.json.encode { cjson.null })
    assert.equal(llama_cloud.null, llama_cloud.json.decode("[null]")[1])
    assert.equal(llama_cloud.null, cjson.decode("[null]")[1])
  end)
end)

describe("the sandbox", function()
  for module, packages in pairs {
    cqueues = "the rock cqueues, or on Debian and Ubuntu the package lua-cqueues",
    cjson = "the rock lua-cjson, or on Debian and Ubuntu the package lua-cjson",
  } do
    local sentence = ("the sandbox needs the Lua module %s: install %s"):format(module, packages)

    it("without " .. module .. " says what to install", function()
      local output, well = alone(
        [[
        local ok, err = pcall(require, "llama_cloud.sandbox")
        assert(not ok)
        io.write(err)
      ]],
        module == "cjson" and "cqueues cqueues.socket cqueues.signal cqueues.errno" or nil
      )
      assert.is_true(well, output)
      assert.equal(sentence, output)
    end)
  end

  it("as a program without a library ends with that sentence alone", function()
    local output, status = program.run("bin/llama-cloud-sandbox", { "--help" }, {
      LUA_PATH = program.file("lua/?.lua;" .. program.file("lua/?/init.lua")),
      LUA_CPATH = package.cpath:match("^[^;]*"),
    })
    assert.equal(
      "llama-cloud-sandbox: the sandbox needs the Lua module cqueues: install the rock cqueues, or on Debian and Ubuntu"
        .. " the package lua-cqueues\n",
      output
    )
    assert.equal(1, status)
  end)

  it("with a library that cannot be loaded says why", function()
    local output = alone([[
      package.preload.cqueues = function() error("libssl.so.3: cannot open shared object file", 0) end
      io.write(select(2, pcall(require, "llama_cloud.sandbox")))
    ]])
    assert.matches("libssl.so.3: cannot open shared object file", output, 1, true)
    assert.not_matches("install", output, 1, true)
  end)
end)

describe("the core without a library that it is linked against", function()
  it("names the library, and what to install", function()
    local output = alone([[
      package.preload["llama_cloud.core"] = function()
        error("error loading module 'llama_cloud.core' from file '/x/core.so':\n"
          .. "\tlibcurl.so.4: cannot open shared object file: No such file or directory", 0)
      end
      io.write(select(2, pcall(require, "llama_cloud")))
    ]])
    assert.equal(
      "llama_cloud needs the shared library libcurl.so.4, which is not there: install libcurl and zlib",
      output
    )
  end)
end)

describe("an event loop that is not installed", function()
  for _, host in ipairs { "luv", "cqueues", "copas" } do
    it("is named: " .. host, function()
      local output = alone(([[
        local ok, err = pcall(require("llama_cloud").use_loop, %q)
        assert(not ok)
        io.write(err)
      ]]):format(host))
      assert.matches(("the Lua module %s is not installed"):format(host), output, 1, true)
      assert.not_matches("\n", output, 1, true)
    end)
  end
end)

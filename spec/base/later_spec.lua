-- Modules that are compiled at their first use: nothing may be read then. Each case is a program of its own.

local process = require("spec.support.process")
local server = require("spec.support.server")

-- Copies the modules to where the program can change them, and loads the library from there.
local COPY = [[
  local write, url, directory = io.write, ...
  local path = package.path
  package.path = directory .. "/?.lua;" .. directory .. "/?/init.lua"
  local llama_cloud = require("llama_cloud")
  local function finish()
    local client = llama_cloud.new { api_key = "llx-key", base_url = url, proxy = "" }
    assert(client.batches:wait("bat-1", nil, { fields = "status" }).status == "COMPLETED")
    assert(client.batches:run({ source_directory_id = "dir-1", config = {} }, { reconcile = true }).id == "bat-1")
    assert(#client.batches:list({ created_at_on_or_after = 0 }):all() == 0)
    for id in client.batches:wait_all { "bat-1" } do assert(id == "bat-1") end
    llama_cloud.run(llama_cloud.spawn, llama_cloud.sleep, 0)
    assert(not llama_cloud.is_error(nil) and llama_cloud.time("1970-01-01") == 0)
    assert(not pcall(function() client.batches:lst() end))
    assert(tostring(client.beta.directories.files) == "llama_cloud.beta.directories.files")
    assert(tostring(client:with_options({}).parsing) == "llama_cloud.parsing")
    assert(not pcall(function() return client.batch end))
    write("well\n")
  end
]]

describe("a module that is compiled later", function()
  local s, directory

  before_each(function()
    s = server.start([[
      return function(c, r)
        local page = r.method == "GET" and r.path == "/api/v2/batches"
        c:json(200, page and '{"items":[]}' or '{"id":"bat-1","status":"COMPLETED"}')
      end
    ]])
    directory = os.tmpname()
    os.remove(directory)
    assert(os.execute(("mkdir %s && cp -r lua/llama_cloud %s"):format(directory, directory)))
  end)

  after_each(function()
    s:stop()
    os.execute(("rm -rf %s"):format(directory))
  end)

  local function works(chunk)
    local output, well = process.run(COPY .. chunk .. " finish()", { args = { s:url(), directory } })
    assert.is_true(well, output)
    assert.equal("well\n", output)
  end

  it("is there when its file is not any more", function()
    works([[assert(os.execute("rm -r " .. directory .. "/llama_cloud"))]])
  end)

  it("is of the version that was loaded when another has taken its place", function()
    works([[
      for file in io.popen("find " .. directory .. " -name '*.lua'"):lines() do
        local f = assert(io.open(file, "w"))
        f:write("error('of another version')")
        f:close()
      end
    ]])
  end)

  it(
    "is there when package.path leads elsewhere, and when package, require, load, io, os and debug are gone",
    function()
      works([[package.path = ""]])
      works([[package, require, load, io, os, debug = nil]])
      works([[package.loaded.io, package.loaded.os, package.path, io, os = nil, nil, "", nil, nil]])
    end
  )

  it("is there where the application has no load, or one that refuses", function()
    for _, load in ipairs { "nil", "function() return nil, 'refused' end" } do
      local output, well =
        process.run(("load = %s "):format(load) .. COPY .. " finish()", { args = { s:url(), directory } })
      assert.is_true(well, output)
      assert.equal("well\n", output)
    end
  end)

  it("is loaded at once where its text cannot be kept", function()
    local uses = [[
      local url, directory = ...
      package.path = directory .. "/?.lua;" .. directory .. "/?/init.lua"
      %s
      local llama_cloud = require("llama_cloud")
      %s
      local client = llama_cloud.new { api_key = "llx-key", base_url = url, proxy = "" }
      assert(client.batches:get("bat-1").status == "COMPLETED")
    ]]
    local gone = "require, package, io, load = nil, nil, nil, nil"
    -- as programs do that bring their modules along
    local bundled = [[
      for path in io.popen("cd " .. directory .. " && find . -name '*.lua' -not -path '*/sandbox/*'"):lines() do
        local name = path:sub(3):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
        package.preload[name] = assert(loadfile(directory .. path:sub(2)))
      end
      package.path = ""
    ]]
    for _, before in ipairs { "io = nil", "load = nil", bundled } do
      local output, well = process.run(uses:format(before, gone), { args = { s:url(), directory } })
      assert.is_true(well, output)
    end
  end)

  it("is of the same library after package.loaded was emptied, as test runners do", function()
    works([[
      local client = llama_cloud.new { api_key = "k", base_url = "http://127.0.0.1:1", proxy = "", max_retries = 0 }
      for name in pairs(package.loaded) do
        if name:find("^llama_cloud") then
          package.loaded[name] = nil
        end
      end
      local _, err = client:get("/x")
      assert(llama_cloud.is_error(err), "errors are of another copy of their module")
    ]])
  end)

  it("is what require gives, once", function()
    works([[
      local polling = require("llama_cloud.endpoint.wait")
      assert(polling == require("llama_cloud.endpoint.wait") and polling.young == 10)
      assert(package.preload["llama_cloud.endpoint.wait"] == nil)
      -- who loads it anew gets the file
      package.loaded["llama_cloud.endpoint.wait"] = nil
      local f = assert(io.open(directory .. "/llama_cloud/endpoint/wait.lua"))
      local text = f:read("a")
      f:close()
      f = assert(io.open(directory .. "/llama_cloud/endpoint/wait.lua", "w"))
      f:write(text:gsub("polling.young = 10", "polling.young = 11"), "")
      f:close()
      assert(require("llama_cloud.endpoint.wait").young == 11)
    ]])
  end)

  it("is what the application has in its place", function()
    local output, well = process.run([[
      package.preload["llama_cloud.http.date"] = function() return { parse = function() return "its own" end } end
      assert(require("llama_cloud").time("1970-01-01") == "its own")
    ]])
    assert.is_true(well, output)
  end)

  it("is compiled again after an error in the middle of it", function()
    works([[
      local count = 0
      repeat
        count = count + 1
        debug.sethook(function() debug.sethook() error("interrupted!", 0) end, "", count * 200)
        local ok, message = pcall(llama_cloud.new, { api_key = "llx-key", base_url = url })
        debug.sethook()
        assert(ok or message:find("interrupted!", 1, true), message)
      until ok
      assert(count > 5)
    ]])
  end)

  it("is any but those that every program needs at once", function()
    local output = process.run([[
      require("llama_cloud")
      local kept, loaded = {}, {}
      for name in pairs(package.preload) do kept[#kept + 1] = name end
      for name in pairs(package.loaded) do loaded[#loaded + 1] = name:match("^llama_cloud.*") end
      table.sort(loaded)
      print(#kept, table.concat(loaded, " "))
    ]])
    local pipe =
      assert(io.popen("find lua/llama_cloud -name '*.lua' ! -path '*/sandbox/*' ! -path '*/cli/*' ! -path '*/types/*'"))
    local count = 0
    for file in pipe:lines() do
      -- those of hosts are required when their library is there
      count = count + (file:find("/loop/[cl][a-z]+%.lua$") and 0 or 1)
    end
    pipe:close()
    local loaded = "llama_cloud llama_cloud.base.later llama_cloud.core llama_cloud.version"
    assert.equal(("%d\t%s\n"):format(count - 3, loaded), output)
  end)
end)

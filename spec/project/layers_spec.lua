-- scripts/layers.lua, which lets no arrow between the rooms point up, in small checkouts made for it.
local program = require("spec.support.program")

local SCRIPT = program.file("scripts/layers.lua")

describe("scripts/layers.lua", function()
  local directory

  before_each(function()
    directory = os.tmpname()
    os.remove(directory)
    for _, room in ipairs { "lua/llama_cloud/http", "lua/llama_cloud/loop", "lua/llama_cloud/sandbox", "src" } do
      assert(os.execute(("mkdir -p '%s/%s'"):format(directory, room)))
    end
  end)

  after_each(function()
    os.execute(("rm -r '%s'"):format(directory))
  end)

  local function write(path, text)
    local file = assert(io.open(directory .. "/" .. path, "w"))
    file:write(text)
    file:close()
  end

  local function check()
    local command = ("'%s' '%s' '%s' 2>&1"):format(os.getenv("LUA") or "lua5.4", SCRIPT, directory)
    local pipe = assert(io.popen(command))
    local output = pipe:read("a")
    return pipe:close() == true, output
  end

  it("lets arrows point down, and into the same room", function()
    write("lua/llama_cloud/http/request.lua", 'require("llama_cloud.loop")\nrequire "llama_cloud.http.url"\n')
    write("lua/llama_cloud/http/url.lua", 'require("llama_cloud.version") -- not require("llama_cloud.client")\n')
    write("lua/llama_cloud/sandbox/with.lua", 'require("llama_cloud")\n')
    write("src/lua_url.c", '#include "url.h"\n#include <lua.h>\n')
    write("src/transport.c", '#include "exchange.h"\n')
    local ok, output = check()
    assert.equal("", output)
    assert.is_true(ok)
  end)

  local function refuses(path, text, ...)
    write(path, text)
    local ok, output = check()
    assert.is_false(ok)
    for _, part in ipairs { path .. ":", ... } do
      assert.is_truthy(output:find(part, 1, true), output)
    end
  end

  it("names a require that points up, or beside", function()
    refuses(
      "lua/llama_cloud/loop/init.lua",
      '\nlocal x = require("llama_cloud.http.url")\n',
      ":2:",
      "llama_cloud.http.url"
    )
    refuses("lua/llama_cloud/sandbox/http.lua", "require 'llama_cloud.http.url'\n", "sandbox")
    refuses("lua/llama_cloud/sandbox/with.lua", "require 'llama_cloud.client'\n", "sandbox")
    refuses("lua/llama_cloud/http/url.lua", 'require("llama_cloud")\n')
  end)

  it("names an include that points up, and engine code that knows Lua", function()
    refuses("src/exchange.c", '#include "transport.h"\n', "transport.h")
    refuses("src/url.c", "#include <lauxlib.h>\n", "must not know Lua")
    refuses("src/transport.c", '#include "lua_core.h"\n')
  end)

  it("wants to know every file and room", function()
    refuses("lua/llama_cloud/attic.lua", 'require("llama_cloud.loop")\n', "attic")
    refuses("src/attic.c", '#include "url.h"\n')
  end)

  it("does not take an empty checkout for a good one", function()
    assert.is_false((check()))
  end)
end)

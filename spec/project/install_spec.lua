-- What `cmake --install` installs is below the prefix, and runs from there.

local program = require("spec.support.program")

local build = package.cpath:match("^(.-)/%?%.so")

describe("cmake --install", function()
  it("puts all below the prefix, and a program that runs from anywhere, also by a symbolic link", function()
    local cache = assert(io.open(build .. "/CMakeCache.txt"))
    if cache:read("a"):find("\nINSTALL_LMOD:%a+=/") then
      return pending("this build directory has a place for modules of its own: cmake -U 'INSTALL_*' " .. build)
    end
    cache:close()
    local folder = os.tmpname()
    os.remove(folder)
    local script = ([[
      set -eu
      folder=%s build=%s
      trap 'rm -rf $folder' EXIT
      DESTDIR=$folder cmake --install $build --prefix /there >/dev/null
      rm -f $build/install_manifest.txt
      find $folder -type f -not -path "$folder/there/*"
      ln -s $folder/there/bin/llama-cloud $folder/link
      lua=$(echo $folder/there/share/lua/*) c=$(echo $folder/there/lib/lua/*)
      cd /
      sed 1q $folder/link
      LUA_PATH="$lua/?.lua;$lua/?/init.lua;;" LUA_CPATH="$c/?.so;;" $folder/link --version
    ]]):format(folder, build)
    local pipe = assert(io.popen("env -u LD_PRELOAD sh -c '" .. script:gsub("'", "'\\''") .. "' 2>&1"))
    local output = pipe:read("a")
    pipe:close()
    local version = _VERSION:match("[%d.]+")
    local library = require("llama_cloud")._VERSION
    assert.equal(("#!/usr/bin/env lua%s\nllama-cloud %s\n"):format(version, library), output)
  end)
end)

describe("bin/llama-cloud", function()
  it("says which Lua it needs to one that is older", function()
    local output, status = program.run("bin/llama-cloud", {}, { LUA_INIT = "_VERSION = 'Lua 5.1'" })
    assert.equal(1, status)
    assert.matches(
      "^llama%-cloud: it needs Lua 5.4 or newer, and this is Lua 5.1: run 'lua5.4 /%S+/bin/llama%-cloud'\n$",
      output
    )
  end)
end)

-- What `cmake --install` installs is below the prefix, and runs from there.

local program = require("spec.support.program")

local build = package.cpath:match("^(.-)/%?%.so")

-- Runs a script that finds the build directory in $build, and a folder of its own, which is removed, in $folder. Returns what
-- it writes, and nothing where this build directory has places of its own for modules.
local function sh(script)
  local cache = assert(io.open(build .. "/CMakeCache.txt"))
  local elsewhere = cache:read("a"):find("\nINSTALL_LMOD:%a+=/")
  cache:close()
  if elsewhere then
    return pending("this build directory has a place for modules of its own: cmake -U 'INSTALL_*' " .. build)
  end
  local folder = os.tmpname()
  os.remove(folder)
  script = ("set -eu\nfolder=%s build=%s\ntrap 'rm -rf $folder' EXIT\n%s"):format(folder, build, script)
  local pipe = assert(io.popen("env -u LD_PRELOAD sh -c '" .. script:gsub("'", "'\\''") .. "' 2>&1"))
  local output = pipe:read("a")
  pipe:close()
  return output
end

describe("cmake --install", function()
  it("puts all below the prefix, and a program that runs from anywhere, also by a symbolic link", function()
    local output = sh([[
      DESTDIR=$folder cmake --install $build --prefix /there >/dev/null
      rm -f $build/install_manifest.txt
      find $folder -type f -not -path "$folder/there/*"
      ln -s $folder/there/bin/llama-cloud $folder/link
      lua=$(echo $folder/there/share/lua/*) c=$(echo $folder/there/lib*/lua/*)
      cd /
      sed 1q $folder/link
      LUA_PATH="$lua/?.lua;$lua/?/init.lua;;" LUA_CPATH="$c/?.so;;" $folder/link --version
    ]])
    local version = _VERSION:match("[%d.]+")
    local library = require("llama_cloud")._VERSION
    assert.equal(("#!/usr/bin/env lua%s\nllama-cloud %s\n"):format(version, library), output)
  end)

  it("puts the scripts of completion where shells look", function()
    local shells = require("llama_cloud.cli.shells")
    local output = sh([[
      DESTDIR=$folder cmake --install $build --prefix /there >/dev/null
      rm -f $build/install_manifest.txt
      cd $folder/there/share
      cat bash-completion/completions/llama-cloud zsh/site-functions/_llama-cloud fish/vendor_completions.d/llama-cloud.fish
    ]])
    assert.equal(shells.bash .. shells.zsh .. shells.fish, output)
  end)

  it("has zsh complete the first word already", function()
    if not os.execute("command -v zsh >/dev/null") then
      return pending("zsh is not installed")
    end
    local output = sh([[
      DESTDIR=$folder cmake --install $build --prefix /there >/dev/null
      rm -f $build/install_manifest.txt
      HOME=$folder functions=$folder/there/share/zsh/site-functions zsh -f -c '
        fpath=($functions $fpath)
        autoload -U compinit && compinit -D -u
        print $_comps[llama-cloud]
        llama-cloud() { print "batches\tall of them" }
        _describe() { print -rl -- "${(P@)2}" }
        words=(llama-cloud bat) CURRENT=2
        _llama-cloud
        _llama-cloud'
    ]])
    assert.equal("_llama-cloud\nbatches:all of them\nbatches:all of them\n", output)
  end)

  it("is undone by the target uninstall, which leaves what others have put beside it", function()
    local output = sh([[
      export DESTDIR=$folder
      cmake --install $build --prefix /there >/dev/null
      cd $folder/there
      modules=$(echo share/lua/*)
      mkdir $modules/other
      touch $modules/other/mine.lua $modules/llama_cloud/mine.lua
      cmake --build $build --target uninstall >/dev/null 2>&1 # it may configure anew, and say so
      find . -type f -printf "%f in %h\n" -o -type d -path "*llama_cloud/*" | sed "s:[.]/$modules/::" | sort
      cmake --build $build --target uninstall 2>&1 | tr -s " \n" "  " | grep -o "nothing was installed from this build directory"
    ]])
    local left = "mine.lua in llama_cloud\nmine.lua in other\n"
    assert.equal(left .. "nothing was installed from this build directory\n", output)
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

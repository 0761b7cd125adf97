-- The scripts where something is not as they need it: each says in one sentence what to do, and fails.

local process = require("spec.support.process")
local program = require("spec.support.program")

local quote = process.quote

local here = program.file("."):gsub("^%.", os.getenv("PWD") or ".", 1)

-- Runs a line of shell; its output, errors included, and its status.
local function shell(line)
  local pipe = assert(io.popen("{ " .. line .. "\n} 2>&1 </dev/null"))
  local output = pipe:read("a")
  local _, how, status = pipe:close()
  return output, how == "exit" and status or 128 + status
end

local function check(line)
  local output, status = shell(line)
  assert(status == 0, output)
  return (output:gsub("\n$", ""))
end

local is_root = check("id -u") == "0"
local top -- a directory of each spec
local no_lua -- LUA is not set
local bin -- in it, all programs of this machine, less some and with some of the spec's own

-- Before a command: as somebody who owns nothing here.
local function as_stranger()
  return is_root and "setpriv --reuid=65534 --regid=65534 --clear-groups " or ""
end

-- What the scripts use. Whoever needs more has a PATH with more.
local USED = [[
  apt-get basename bash cat cc chmod clang cmake cp curl cut date dd debootstrap dirname dpkg env expr find flock
  gcc getconf git grep head id kill ld ln ls lua5.4 lua5.5 luarocks make mkdir mktemp mount mountpoint mv nm
  openssl pkg-config printf readlink rm script sed seq setpriv sh sleep sort sudo tail tar timeout touch tr true
  uname unshare valgrind wc wget
]]

local found
local function programs()
  if not found then
    found = {}
    for name in USED:gmatch("%S+") do
      for directory in (os.getenv("PATH") .. ":/usr/sbin:/sbin"):gmatch("[^:]+") do
        local file = io.open(directory .. "/" .. name)
        if file then
          file:close()
          found[#found + 1] = directory .. "/" .. name
          break
        end
      end
    end
  end
  return found
end

-- A checkout without a build, as a path.
local function checkout()
  local path = top .. "/checkout"
  check(
    ("rm -rf %s && mkdir %s && cd %s && cp -R CMakeLists.txt cmake src lua bin man scripts spec fuzz %s"):format(
      quote(path),
      quote(path),
      quote(here),
      quote(path)
    )
  )
  return path
end

-- Takes programs away.
local function without(...)
  for _, name in ipairs { ... } do
    check(("rm -f %s/%s"):format(bin, name))
  end
end

local function fake(name, script)
  without(name)
  local file = assert(io.open(bin .. "/" .. name, "w"))
  file:write("#!/bin/sh\n", script, "\n")
  file:close()
  check(("chmod 755 %s/%s"):format(bin, name))
end

-- Runs a script of a checkout, with the Lua that this is, unless `no_lua`. `prefix` goes before it: variables, or another
-- user.
local function run(path, command, prefix)
  return shell(
    ("cd %s && env %s -u LLAMA_CLOUD_BUILD -u CI PATH=%s LLAMA_CLOUD_API_KEY= %s scripts/%s"):format(
      quote(path),
      no_lua and "-u LUA" or "",
      quote(bin),
      prefix or "",
      command
    )
  )
end

-- Runs it and expects one sentence of the script, with all of these in it. scripts/demo has said before that it builds.
local function stops(path, command, expected, prefix)
  local output, status = run(path, command, prefix)
  assert.equal(1, status, output)
  if command == "demo" then
    output = output:gsub("^scripts/demo: building[^\n]*\n", "")
  end
  assert.matches("^scripts/%w+: [^\n]+\n$", output)
  for _, part in ipairs(expected) do
    assert.matches(part, output, 1, true)
  end
end

before_each(function()
  no_lua = false
  top = check("mktemp -d")
  bin = top .. "/bin"
  check(("chmod 755 %s && mkdir %s"):format(top, bin))
  check(("ln -s -t %s %s"):format(bin, table.concat(programs(), " ")))
  fake("cmake", 'echo "cmake $*"') -- what is looked at here comes before it
  for _, name in ipairs { "apt-get", "sudo" } do -- nothing is to be installed here
    fake(name, "echo " .. name .. " is called; exit 99")
  end
end)

after_each(function()
  check(("chmod -R u+w %s && rm -rf %s"):format(top, top))
end)

describe("before a build", function()
  it("scripts/lua and scripts/spec say to build", function()
    local path = checkout()
    stops(path, "lua -e ''", { "there is no core", "run 'scripts/build' first" })
    stops(path, "spec plain spec/http/url_spec.lua", { "run 'scripts/build' first" })
    stops(
      path,
      "spec asan spec/http/url_spec.lua",
      { "run 'scripts/build' and 'cmake --build", "--target asan' first" }
    )
    stops(path, "spec threads spec/threads/work.lua", { "--target tsan' first" })
  end)

  it("scripts/spec says when there is no such spec", function()
    stops(checkout(), "spec plain spec/no_spec.lua", { "there is no file", "spec/no_spec.lua" })
  end)
end)

describe("a build directory of another place", function()
  local function copied()
    local path = checkout()
    local build = package.cpath:match("^([^;]*)/%?%.so")
    check(("mkdir %s/build && cp %s/CMakeCache.txt %s/build"):format(path, quote(build), path))
    return path, check(("sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' %s/build/CMakeCache.txt"):format(path))
  end

  it("is not used, and the sentence says to remove it", function()
    local path, origin = copied()
    for _, command in ipairs { "build", "demo", "test" } do
      stops(path, command, { path .. "/build was made for " .. origin, "'rm -r " .. path .. "/build'" })
    end
  end)

  it("is found in the directories of the other scripts, too", function()
    local path = copied()
    fake("clang-tidy", "exit 0")
    check(("mkdir -p %s/build/analyse && cp -R %s/build/CMakeCache.txt %s"):format(path, path, top))
    for command, directory in pairs {
      ["analyse clang-tidy"] = "build/analyse/clang-tidy",
      ["fuzz 1 url"] = "build/fuzz",
      coverage = "build-coverage",
    } do
      check(("mkdir -p %s/%s && cp %s/CMakeCache.txt %s/%s"):format(path, directory, top, path, directory))
      stops(path, command, { path .. "/" .. directory .. " was made for " })
    end
  end)

  it("is another place, too, when only the build directory was moved", function()
    local path = checkout()
    check(("mkdir %s/build"):format(path))
    local file = assert(io.open(path .. "/build/CMakeCache.txt", "w"))
    file:write(("CMAKE_CACHEFILE_DIR:INTERNAL=%s/old\nCMAKE_HOME_DIRECTORY:INTERNAL=%s\n"):format(path, path))
    file:close()
    stops(path, "build", { "was made for " .. path .. "/old" })
  end)

  it("is the same place by way of a symbolic link", function()
    local path = checkout()
    check(("mkdir %s/build && ln -s %s %s/link"):format(path, path, top))
    local file = assert(io.open(path .. "/build/CMakeCache.txt", "w"))
    file:write(("CMAKE_CACHEFILE_DIR:INTERNAL=%s/build\nCMAKE_HOME_DIRECTORY:INTERNAL=%s\n"):format(path, path))
    file:close()
    local output, status = run(top .. "/link", "build")
    assert.equal(0, status, output)
    assert.matches("cmake %-S", output)
  end)
end)

describe("what may not be written to", function()
  local function protect(...)
    check(("chmod a-w %s"):format(table.concat({ ... }, " ")))
  end

  it("is a build directory of somebody else", function()
    local path = checkout()
    check(("mkdir %s/build"):format(path))
    protect(path .. "/build")
    for _, command in ipairs { "build", "demo", "test" } do
      stops(path, command, { path .. "/build may not be written to by you", "LLAMA_CLOUD_BUILD" }, as_stranger())
    end
  end)

  it("is a file in it", function()
    local path = checkout()
    check(("mkdir -p %s/build/llama_cloud && touch %s/build/llama_cloud/core.so"):format(path, path))
    check(("chmod 777 %s/build %s/build/llama_cloud"):format(path, path))
    protect(path .. "/build/llama_cloud/core.so")
    stops(path, "build", { "core.so may not be written to by you: remove " .. path .. "/build" }, as_stranger())
  end)

  it("is the checkout", function()
    local path = checkout()
    protect(path)
    for _, command in ipairs { "build", "demo", "test" } do
      stops(path, command, { path .. "/build cannot be made", "set LLAMA_CLOUD_BUILD" }, as_stranger())
    end
  end)

  it("does not matter with LLAMA_CLOUD_BUILD, whose path may be relative", function()
    local path = checkout()
    check(("mkdir %s/elsewhere && chmod 777 %s/elsewhere"):format(top, top))
    protect(path)
    local output, status = run(path, "build", "LLAMA_CLOUD_BUILD=../elsewhere/b " .. as_stranger())
    assert.equal(0, status, output)
    assert.matches("%-B " .. path .. "/../elsewhere/b ", output)
  end)

  it("is a disk that is full", function()
    local path = checkout()
    fake("cmake", "echo long story; exit 1")
    local enter = is_root and "unshare --mount" or "unshare --user --map-root-user --mount"
    if select(2, shell(enter .. " mount -t tmpfs none /mnt")) ~= 0 then
      pending("nothing may be mounted here")
      return
    end
    local output, status =
      run(path, "build'", enter .. (" sh -c 'mkdir build && mount -t tmpfs -o size=64k none %s/build && "):format(path))
    assert.equal(1, status)
    assert.matches("^long story\nscripts/build: the disk that [^\n]*/build is on is full: make room", output)
    output = run(path, "build")
    assert.equal("long story\n", output) -- another failure
  end)
end)

describe("a program that is missing", function()
  it("is named by scripts/build", function()
    local path = checkout()
    for _, name in ipairs { "cmake", "make", "cc" } do
      local kept = check(("readlink %s/%s || cat %s/%s"):format(bin, name, bin, name))
      without(name)
      stops(path, "build", { name .. " is not installed: run 'scripts/setup run'" })
      fake(name, kept:find("^/") and ('exec %s "$@"'):format(kept) or kept)
    end
  end)

  it("is valgrind, for scripts/spec", function()
    local path = checkout()
    check(("mkdir -p %s/build/llama_cloud && touch %s/build/llama_cloud/core.so"):format(path, path))
    without("valgrind")
    stops(path, "spec valgrind spec/http/url_spec.lua", { "valgrind is not installed: run 'scripts/setup all'" })
  end)

  it("is Lua", function()
    no_lua = true
    local path = checkout()
    without("lua", "lua5.4", "lua5.5", "lua54", "lua55")
    for _, command in ipairs { "build", "lua -e ''" } do
      stops(path, command, { "Lua 5.4 or 5.5 is not installed", "'scripts/setup run'" })
      stops(path, command, { "LUA is 'lua9', which is not installed" }, "LUA=lua9")
      fake("lua5.1", "printf 'Lua 5.1'")
      stops(path, command, { "LUA is 'lua5.1', which is Lua 5.1 and not an" }, "LUA=lua5.1")
    end
    stops(path, "setup", { "LUA is 'lua5.1', which is Lua 5.1" }, "LUA=lua5.1")
  end)
end)

describe("the interpreter", function()
  it("tells CMake which Lua the core is for", function()
    local path = checkout()
    for version, name in pairs { ["5.4"] = "mylua", ["5.5"] = "lua-new" } do
      fake(name, ("printf 'Lua %s'"):format(version))
      local output = run(path, "build", "LUA=" .. name)
      assert.matches("-DLUA_VERSION=" .. version, output, 1, true)
    end
  end)

  it("is the first that will do", function()
    no_lua = true
    local path = checkout()
    without("lua5.4", "lua5.5", "lua54", "lua55", "lua")
    fake("lua", "printf 'Lua 5.3'")
    stops(path, "build", { "Lua 5.4 or 5.5 is not installed" })
    fake("lua55", "printf 'Lua 5.5'")
    assert.matches("-DLUA_VERSION=5.5", run(path, "build"), 1, true)
    fake("lua5.4", "printf 'Lua 5.4'")
    assert.matches("-DLUA_VERSION=5.4", run(path, "build"), 1, true)
  end)
end)

describe("a warning of the compiler", function()
  it("is an error in CI only", function()
    local path = checkout()
    assert.matches("-DLLAMA_CLOUD_WERROR=OFF", run(path, "build"), 1, true)
    assert.matches("-DLLAMA_CLOUD_WERROR=ON", run(path, "build", "CI=true"), 1, true)
  end)
end)

describe("the core", function()
  it("of another Lua is not loaded, and says of which it is", function()
    -- The headers of this Lua, that say they are of the other.
    local other = _VERSION == "Lua 5.4" and "5.5" or "5.4"
    local path = checkout()
    without("cmake")
    local headers = check(
      ("sed -n 's/^LUA_INCLUDE_DIR_USED:[A-Z]*=//p' %s/CMakeCache.txt"):format(
        quote(package.cpath:match("^([^;]*)/%?%.so"):gsub("/asan$", ""))
      )
    )
    check(("cp -RL %s %s/include"):format(quote(headers), top))
    check(
      (
        "sed -i -E 's/^(#define[ \t]+LUA_VERSION_MINOR(_N)?[ \t]+\"?)[45]/\\1%s/;"
        .. "s/^(#define[ \t]+LUA_VERSION_NUM[ \t]+)50[45]/\\150%s/' %s/include/lua.h"
      ):format(other:sub(3), other:sub(3), top)
    )
    fake("lua-other", ("printf 'Lua %s'"):format(other))
    bin = bin .. ":" .. os.getenv("PATH") -- a compiler needs more
    local output, status = run(path, ("build -DBUILD_TESTING=OFF -DLUA_INCDIR=%s/include"):format(top), "LUA=lua-other")
    assert.equal(0, status, output)
    output, status = run(
      path,
      "lua -e 'print(pcall(require, [[llama_cloud]]))'",
      "LUA=" .. quote(check('command -v "${LUA:-lua' .. _VERSION:sub(5) .. '}"'))
    )
    assert.equal(0, status)
    assert.matches(
      ("^false\t[^\n]*llama_cloud.core was built for Lua %s, and this is %s: build it for this one\n$"):format(
        other,
        _VERSION
      ),
      output
    )
  end)
end)

describe("scripts/setup", function()
  local SENTENCE = "'apt%-get install make' as root, and start again.\n$"
  local path

  -- `sudo` asks for a password unless `free`; apt-get brings what is asked for, if `brings`.
  local function system(options)
    path = checkout()
    without("make", "sudo", "apt-get")
    fake("id", "echo " .. (options.root and 0 or 1000))
    if options.sudo then
      local words = 'echo "sudo $*" >>' .. top .. "/log; "
      fake(
        "sudo",
        words .. (options.free and "" or '[ "$1" != -n ] || exit 1; ') .. '[ "$1" != -n ] || shift; exec "$@"'
      )
    end
    if options.apt then
      fake(
        "apt-get",
        ('case "$*" in *" make"*) %s;; esac'):format(
          options.brings and "touch " .. bin .. "/make; chmod 755 " .. bin .. "/make" or ":"
        )
      )
    end
  end

  -- In a terminal, of which `script` makes one.
  local function on_terminal()
    return shell(("cd %s && env PATH=%s script -qec 'scripts/setup run' /dev/null"):format(quote(path), quote(bin)))
  end

  local function log()
    return (shell(("cat %s/log"):format(top)))
  end

  it("does nothing where nothing is missing", function()
    path = checkout()
    fake("sudo", "echo sudo")
    fake("apt-get", "echo apt-get")
    assert.equal("", (run(path, "setup run")))
  end)

  it("names what to install where there is no apt-get", function()
    system {}
    stops(path, "setup run", { "please install make, and start again" })
  end)

  it("says what root has to do where there is no sudo, or no terminal for its password", function()
    system { apt = true }
    stops(path, "setup run", { "only root can install packages; please run 'apt-get install make' as root" })
    system { apt = true, sudo = true }
    local output, status = run(path, "setup run")
    assert.equal(1, status)
    assert.matches(
      "^scripts/setup: only root can install packages, and sudo asks for a password, [^\n]*" .. SENTENCE,
      output
    )
    assert.equal("sudo -n true\n", log())
  end)

  it("lets sudo ask on a terminal, and says what for", function()
    system { apt = true, sudo = true, brings = true }
    local output, status = on_terminal()
    assert.equal(0, status, output)
    assert.matches("^scripts/setup: sudo may ask for your password, to install make\r\n", output)
    assert.matches("^sudo %-n true\nsudo apt%-get %-qq update\nsudo env [^\n]* install [^\n]* make\n$", log())
  end)

  it("asks for nothing where sudo needs no password, terminal or not", function()
    for _, terminal in ipairs { false, true } do
      system { apt = true, sudo = true, free = true, brings = true }
      local output, status
      if terminal then
        output, status = on_terminal()
      else
        output, status = run(path, "setup run")
      end
      assert.equal(0, status, output)
      assert.not_matches("password", output, 1, true)
      assert.matches("sudo %-n apt%-get", log())
      check(("rm %s/log"):format(top))
    end
  end)

  it("says when apt-get has not brought it", function()
    system { apt = true, root = true }
    local output, status = run(path, "setup run")
    assert.equal(1, status)
    assert.matches("\nscripts/setup: apt%-get has not brought make: [^\n]*\n$", output)
  end)

  it("fails as apt-get does, with the end of what that has said", function()
    system { apt = true, root = true }
    fake("apt-get", "seq 100; echo 'E: No space left on device' >&2; exit 100")
    local output, status = run(path, "setup run")
    assert.equal(100, status)
    assert.matches("\n100\nE: No space left on device\n$", output)
    assert.not_matches("\n50\n", output)
  end)

  it("says what apt-get installs in one line, and nothing of what that says, nor leaves its log", function()
    system { root = true }
    fake("apt-get", ("seq 100; echo W: >&2; touch %s/make; chmod 755 %s/make"):format(bin, bin))
    check(("mkdir %s/tmp"):format(top))
    local output, status = run(path, "setup run", ("TMPDIR=%s/tmp"):format(top))
    assert.equal(0, status, output)
    assert.equal("scripts/setup: installing 1 package with apt-get: make; this may take some minutes\n", output)
    assert.equal("", check(("ls %s/tmp"):format(top)))
  end)

  it("installs Debian's packages of the Lua that is asked for", function()
    no_lua = true
    system { apt = true, root = true }
    without("lua5.5", "lua")
    local packages = "installing %d+ packages with apt%-get: make lua5.5 .*lua%-cjson lua%-cqueues.*; this may"
    assert.matches(packages, run(path, "setup run", "LUA=lua5.5"))
    without("lua5.4", "lua54")
    fake("lua5.5", "printf 'Lua 5.5'")
    -- For whoever has not asked it is the one for which there are modules.
    assert.matches(" with apt-get: make lua5.4 ", run(path, "setup run"), 1, true)
  end)
end)

describe("scripts/systems", function()
  local function cannot(path, arguments, expected, prefix)
    local output, status = run(path, "systems " .. arguments, prefix)
    assert.equal(77, status, output)
    assert.matches("^scripts/systems: [^\n]+\n$", output)
    assert.matches(expected, output, 1, true)
  end

  it("names what it needs and does not have", function()
    local path = checkout()
    fake("id", "echo 1000")
    cannot(path, "", "only root may make systems and go into them: run it with sudo")
    fake("id", "echo 0")
    without("debootstrap")
    cannot(path, "trixie", "debootstrap is not installed: run 'apt-get install debootstrap'")
    fake("debootstrap", "echo debootstrap; exit 1")
    cannot(path, "", path .. " is no git repository", "GIT_CEILING_DIRECTORIES=" .. top)
    fake("git", "echo 1234567")
    fake("unshare", "exit 1")
    cannot(path, "", "root may not mount here")
    fake("unshare", "exit 0")
    fake("update-binfmts", "exit 1")
    cannot(
      path,
      "trixie:s390x",
      "trixie:s390x needs an emulator: run 'apt-get install qemu-user-static binfmt-support'"
    )
    fake("curl", "exit 7")
    fake("mkdir", "exit 1")
    cannot(path, "", "cannot be made: set LLAMA_CLOUD_SYSTEMS")
    fake("mkdir", "exit 0")
    cannot(
      path,
      "",
      "the mirror http://127.0.0.1:1/debian cannot be reached, or has no bookworm",
      "DEBIAN_MIRROR=http://127.0.0.1:1/debian"
    )
  end)

  it("can be asked whether it could run", function()
    local path = checkout()
    for name, script in pairs { id = "echo 0", debootstrap = "", git = "echo 1234567", unshare = "", curl = "" } do
      fake(name, script)
    end
    local output, status = run(path, "systems --check", "LLAMA_CLOUD_SYSTEMS=" .. top .. "/kept")
    assert.equal("", output)
    assert.equal(0, status)
  end)

  it("takes only what it knows", function()
    local path = checkout()
    local wrongs =
      { "--fast", "--deb none", "Trixie", "trixie:", "trixie:../x", "../x", "forky+lua5.3", "'trixie forky'" }
    for _, wrong in ipairs(wrongs) do
      local output, status = run(path, "systems " .. wrong)
      assert.equal(2, status, wrong)
      assert.matches("^usage: scripts/systems ", output)
    end
  end)

  it("counts a system that cannot be made as failed, and goes on with the next", function()
    local path = checkout()
    for name, script in pairs { id = "echo 0", git = "echo 1234567", unshare = "", curl = "" } do
      fake(name, script)
    end
    fake("debootstrap", "echo no such release >&2; exit 1")
    local output, status = run(path, "systems bookworm forky", "LLAMA_CLOUD_SYSTEMS=" .. top .. "/kept")
    assert.equal(1, status)
    assert.matches("bookworm could not be made; the end of", output, 1, true)
    assert.matches("no such release", output, 1, true)
    assert.matches("forky +%w+ +%- +%- +%- +not made", output)
    assert.matches("\n0 passed, 2 failed\n$", output)
    assert.equal("", (shell(("ls -d %s/kept/copy.* %s/kept/*.part 2>/dev/null"):format(top, top))))
  end)
end)

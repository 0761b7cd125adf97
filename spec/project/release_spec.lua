-- scripts/release and scripts/release.lua: one version everywhere, what is refused, and the same archive every time. The rock and
-- Debian's package are tried by spec/packaging/.

local process = require("spec.support.process")
local program = require("spec.support.program")

local quote = process.quote
local version = require("llama_cloud")._VERSION

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

-- Runs a line of shell; its output, errors included, and its status.
local function shell(line)
  local pipe = assert(io.popen("{ " .. line .. "\n} 2>&1 </dev/null"))
  local output = pipe:read("a")
  local _, how, status = pipe:close()
  return output, how == "exit" and status or 128 + status
end

local function lines_with(text, files)
  return (shell(("cd %s && grep -rnF %s %s"):format(quote(program.file(".")), quote(text), files)))
end

describe("the version", function()
  it("is the same for programs, CMake, the manual page, the changelog and LuaRocks", function()
    assert.matches("^%d+%.%d+%.%d+$", version)
    local build = package.cpath:match("^(.-)/%?%.so")
    assert.equal(version, read(build .. "/CMakeCache.txt"):match("\nCMAKE_PROJECT_VERSION:STATIC=([^\n]+)"))
    assert.matches('"llama\\-cloud ' .. version .. '"', read(build .. "/man/llama-cloud.1"):match("^[^\n]+"), 1, true)
    assert.equal(version, read(program.file("CHANGELOG.md")):match("\n## %[(%d[^%]]*)%]"))
    assert.matches(
      '\nversion = "' .. version .. '-1"\n',
      read(program.file("llama-cloud-" .. version .. "-1.rockspec")),
      1,
      true
    )
  end)

  it("is written in one place of what is installed, and nowhere in what installs it", function()
    assert.equal(
      ('lua/llama_cloud/version.lua:2:return "%s"\n'):format(version),
      lines_with('"' .. version, "lua src bin cmake CMakeLists.txt scripts llama-cloud-scm-1.rockspec")
    )
  end)
end)

describe("the rockspec of the release", function()
  it("is what is made of the other, and differs only in its version and source", function()
    local path = program.file(("llama-cloud-%s-1.rockspec"):format(version))
    local made = shell(
      ("cd %s && %s scripts/release.lua rockspec %s"):format(
        quote(program.file(".")),
        os.getenv("LUA") or "lua5.4",
        version
      )
    )
    assert.equal(made, read(path))
    local release, scm = {}, {}
    assert(loadfile(path, "t", release))()
    assert(loadfile(program.file("llama-cloud-scm-1.rockspec"), "t", scm))()
    assert.equal(version .. "-1", release.version)
    assert.equal(("file://llama-cloud-%s.tar.gz"):format(version), release.source.url)
    release.version, release.source = scm.version, scm.source
    assert.same(scm, release)
  end)
end)

describe("scripts/release", function()
  if not os.execute("command -v git >/dev/null") then
    it("makes releases", function()
      pending("git is not installed")
    end)
    return
  end

  local folder, top -- a directory of each spec; in it, a small repository

  local function write(path, text)
    local file = assert(io.open(top .. "/" .. path, "wb"))
    file:write(text)
    file:close()
  end

  local function run(line)
    -- whatever the user's own settings are, and also where git itself has started this
    local setting = [[
      unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
      export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
      cd %s && git() { command git -c user.name=A -c user.email=a@example.org "$@"; }; %s]]
    return shell(setting:format(quote(top), line))
  end

  local function check(line)
    local output, status = run(line)
    assert(status == 0, output)
    return output
  end

  local function refuses(expected, arguments)
    local output, status = run("scripts/release --source-only --output ../out " .. (arguments or ""))
    assert.equal(1, status, output)
    assert.matches("^scripts/release: [^\n]+\n$", output)
    assert.matches(expected, output, 1, true)
    assert.is_nil(io.open(folder .. "/out/SHA256SUMS"))
  end

  -- A repository in which version 1.2.3 is prepared, but not committed.
  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    top = folder .. "/checkout"
    assert.is_true(os.execute(("mkdir -p %s/lua/llama_cloud"):format(top)))
    shell(("cd %s && cp -R scripts llama-cloud-scm-1.rockspec %s"):format(quote(program.file(".")), top))
    write("lua/llama_cloud/version.lua", '-- The version.\nreturn "1.2.2"\n')
    write(
      "CHANGELOG.md",
      "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- News.\n\n## [1.2.2] - 2026-01-01\n\n- Old.\n"
    )
    check("git init -q . && scripts/release --prepare 1.2.3")
  end)

  after_each(function()
    os.execute("rm -rf " .. folder)
  end)

  local function commit()
    check("git add -A && git commit -qm 'A release'")
  end

  it("prepares a version: its number, its rockspec, and a section of the changelog", function()
    assert.equal('-- The version.\nreturn "1.2.3"\n', read(top .. "/lua/llama_cloud/version.lua"))
    local heading = "\n## [Unreleased]\n\n## [1.2.3] - "
      .. os.date("!%Y-%m-%d")
      .. "\n\n### Added\n\n- News.\n\n## [1.2.2]"
    assert.matches(heading, read(top .. "/CHANGELOG.md"), 1, true)
    assert.matches('\nversion = "1.2.3-1"\n', read(top .. "/llama-cloud-1.2.3-1.rockspec"), 1, true)
    for wrong, sentence in pairs {
      ["1.2.0"] = "1.2.0 is older than 1.2.3",
      ["1.3"] = "'1.3' is not a version",
      ["1.10.0"] = "CHANGELOG.md has nothing under Unreleased",
    } do
      local output, status = run("scripts/release --prepare " .. wrong)
      assert.equal(1, status)
      assert.matches(sentence, output, 1, true)
    end
    check("sed -i 's/## .Unreleased./&\\n\\n- More./' CHANGELOG.md && scripts/release --prepare 1.10.0")
    assert.equal("llama-cloud-1.10.0-1.rockspec\nllama-cloud-scm-1.rockspec\n", check("ls *.rockspec"))
  end)

  it("refuses what is not committed, or is no repository", function()
    refuses("is no git repository") -- without a commit
    commit()
    write("stray", "")
    refuses("there are changes that are not committed")
  end)

  it("refuses another version than the one that is prepared", function()
    commit()
    refuses("says 1.2.3, not 1.3.0: run 'scripts/release --prepare 1.3.0'", "1.3.0")
  end)

  it("refuses a rockspec that is not made of the other one", function()
    check("sed -i 's/MIT/BSD/' llama-cloud-scm-1.rockspec")
    commit()
    refuses("llama-cloud-1.2.3-1.rockspec is not what llama-cloud-scm-1.rockspec makes of it")
  end)

  it("refuses a changelog without a section for the version, and one with entries that no version has", function()
    check("sed -i 's/## .1.2.3.*/## [1.2.3]/' CHANGELOG.md")
    commit()
    refuses("CHANGELOG.md has no section '## [1.2.3] - DATE'")
    write("CHANGELOG.md", "## [Unreleased]\n\n- More.\n\n## [1.2.3] - 2026-02-02\n\n- News.\n")
    commit()
    refuses("CHANGELOG.md has entries under Unreleased")
  end)

  it("refuses a version whose tag is at another commit", function()
    commit()
    check("git tag v1.2.3")
    check("scripts/release --source-only --output ../first")
    write("more", "")
    commit()
    refuses("version 1.2.3 has been released already: the tag v1.2.3 is at ")
  end)

  it("makes the same archive from the same commit, with its checksum and its notes", function()
    commit()
    check("chmod 755 . && scripts/release 1.2.3 --source-only --output ../first")
    local said = check([[
      umask 077
      git clone -q . ../clone
      cd ../clone
      TZ=Pacific/Auckland scripts/release --source-only --output ../second
    ]])
    assert.matches("git tag %-a v1.2.3 %-m 'llama%-cloud 1.2.3' %x+\n", said)
    check("cmp ../first/llama-cloud-1.2.3.tar.gz ../second/llama-cloud-1.2.3.tar.gz")
    check("cmp ../first/SHA256SUMS ../second/SHA256SUMS && cd ../first && sha256sum --quiet -c SHA256SUMS")
    check("git ls-files | sed s:^:llama-cloud-1.2.3/: | sort >../tracked")
    check("tar -tf ../first/llama-cloud-1.2.3.tar.gz | grep -v /$ | sort | diff - ../tracked")
    assert.equal("### Added\n\n- News.\n", read(folder .. "/first/notes-1.2.3.md"))
    assert.equal("", check("git status --porcelain"))
  end)
end)

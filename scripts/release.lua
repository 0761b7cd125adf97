--- What a release says about itself. Of the version, lua/llama_cloud/version.lua is the source; the rockspec of a release is made
--- of llama-cloud-scm-1.rockspec, and its notes are its section of CHANGELOG.md.
---
---     lua scripts/release.lua check [VERSION]          fails, with a sentence, where these disagree; writes the version
---     lua scripts/release.lua notes VERSION            writes the section
---     lua scripts/release.lua rockspec VERSION         writes the rockspec
---     lua scripts/release.lua prepare VERSION DATE     makes all of them those of a new version
---
--- It works in the checkout that is the working directory.

local VERSION, CHANGES = "lua/llama_cloud/version.lua", "CHANGELOG.md"
local SCM = "llama-cloud-scm-1.rockspec"

local function fail(message, ...)
  io.stderr:write("scripts/release: ", message:format(...), "\n")
  os.exit(1)
end

local function read(path)
  local file = io.open(path, "rb")
  if not file then
    return nil
  end
  local text = file:read("a")
  file:close()
  return text
end

local function write(path, text)
  local file, problem = io.open(path, "wb")
  if not (file and file:write(text) and file:close()) then
    fail("%s could not be written: %s", path, problem or "make room on the disk")
  end
end

local function must_read(path)
  return read(path) or fail("%s is not there: this is not a whole checkout", path)
end

-- Replaces what a pattern finds, once. Raises where it finds nothing: a file has another form then than this one knows.
local function replace(text, pattern, replacement, path)
  local result, count = text:gsub(pattern, (replacement:gsub("%%", "%%%%")), 1)
  return count == 1 and result or fail("%s has no line that matches %s", path, pattern)
end

local function version_here()
  return must_read(VERSION):match('\nreturn "(%d+%.%d+%.%d+)"\n$')
    or fail("%s does not end with a version such as 1.2.3", VERSION)
end

local function rockspec_path(version)
  return ("llama-cloud-%s-1.rockspec"):format(version)
end

-- The rockspec of a release differs from the other only in its version and in where it comes from.
local function rockspec(version)
  local source = ([[

-- The archive, which scripts/release makes of the tag v%s, lies beside this file.
source = {
  url = "file://llama-cloud-%s.tar.gz",
}
]]):format(version, version)
  local text = replace(must_read(SCM), '\nversion = "scm%-1"\n', ('\nversion = "%s-1"\n'):format(version), SCM)
  return replace(text, "\n%-%-[^\n]*\nsource = %b{}\n", source, SCM)
end

-- The sections of the changelog, by version: date and text.
local function sections()
  local found, all = {}, "\n" .. must_read(CHANGES) .. "\n## ["
  local position = all:find("\n## [", 1, true)
  while position do
    local after = all:find("\n## [", position + 1, true)
    local name, rest, text = all:sub(position, (after or 0) - 1):match("^\n## %[(.-)%]([^\n]*)%s*(.-)%s*$")
    if name then
      found[name] = { date = rest:match("^ %- (%d%d%d%d%-%d%d%-%d%d)$"), text = text }
    end
    position = after
  end
  return found
end

local function notes(version)
  local section = sections()[version]
  if not (section and section.date and section.text ~= "") then
    fail(
      "%s has no section '## [%s] - DATE' with a text: 'scripts/release --prepare %s' makes it of Unreleased",
      CHANGES,
      version,
      version
    )
  end
  return section.text
end

local function check(version)
  local here = version_here()
  if version and version ~= here then
    fail(
      "%s says %s, not %s: run 'scripts/release --prepare %s', and commit what it changes",
      VERSION,
      here,
      version,
      version
    )
  end
  notes(here)
  local unreleased = sections().Unreleased
  if unreleased and unreleased.text ~= "" then
    fail("%s has entries under Unreleased, which no release would have: move them to the section [%s]", CHANGES, here)
  end
  local path = rockspec_path(here)
  if read(path) ~= rockspec(here) then
    fail(
      "%s is not what %s makes of it: run 'scripts/release --prepare %s', and commit what it changes",
      path,
      SCM,
      here
    )
  end
  return here
end

-- Whether a version is later than another.
local function is_later(a, b)
  local x, y = a:gmatch("%d+"), b:gmatch("%d+")
  for _ = 1, 3 do
    local this, that = tonumber(x()), tonumber(y())
    if this ~= that then
      return this > that
    end
  end
  return false
end

local function prepare(version, date)
  local here, all = version_here(), sections()
  if not version:find("^%d+%.%d+%.%d+$") then
    fail("'%s' is not a version: give three numbers, such as 1.2.3", version)
  elseif is_later(here, version) then
    fail("%s is older than %s, which is the version here: give a later one", version, here)
  end
  if not all[version] then
    if not all.Unreleased or all.Unreleased.text == "" then
      fail("%s has nothing under Unreleased: write there what is new in %s", CHANGES, version)
    end
    local heading = ("\n## [Unreleased]\n\n## [%s] - %s\n"):format(version, date)
    write(CHANGES, replace(must_read(CHANGES), "\n## %[Unreleased%]\n", heading, CHANGES))
  end
  write(VERSION, replace(must_read(VERSION), '\nreturn "[^"]*"\n$', ('\nreturn "%s"\n'):format(version), VERSION))
  if here ~= version then
    os.remove(rockspec_path(here))
  end
  write(rockspec_path(version), rockspec(version))
end

local command, version = arg[1], arg[2]
if command == "check" then
  io.write(check(version), "\n")
elseif command == "notes" then
  io.write(notes(version), "\n")
elseif command == "rockspec" then
  io.write(rockspec(version))
elseif command == "prepare" then
  prepare(version, arg[3])
else
  fail("usage: lua scripts/release.lua check|notes|rockspec|prepare [VERSION]")
end

-- What a folder, an array and an iterator give.

local files = require("spec.support.files")
local lfs = require("lfs")
local source = require("llama_cloud.process.source")

describe("the source", function()
  local folder

  before_each(function()
    folder = files.new()
  end)

  after_each(function()
    folder:remove()
  end)

  local function names_of(given, options, own)
    local pull = assert(source.open(given, options or {}, own or {}))
    local names = {}
    for item in pull do
      names[#names + 1] = item.name .. (item.problem and "!" or "")
    end
    return names
  end

  it("walks a folder in order, without what is hidden, links to folders, and what is no file", function()
    for _, name in ipairs { "b", "b/c", "a", "z", ".hidden" } do
      assert(lfs.mkdir(folder:path(name)))
    end
    for _, name in ipairs { "b/c/3.pdf", "b/1.pdf", "b2.pdf", "a/x.pdf", "\xffname.pdf", ".secret", ".hidden/x.pdf" } do
      folder:write(name, "12345")
    end
    assert(lfs.link(folder:path("b"), folder:path("link-to-folder"), true))
    assert(lfs.link(folder:path("b2.pdf"), folder:path("link-to-file"), true))
    assert(lfs.link(folder:path("none"), folder:path("link-to-nothing"), true))
    os.execute("mkfifo '" .. folder:path("pipe") .. "'")
    local expected = { "a/x.pdf", "b/1.pdf", "b/c/3.pdf", "b2.pdf", "link-to-file", "link-to-nothing!", "\xffname.pdf" }
    assert.same(expected, names_of(folder.directory))
    assert.same(expected, names_of(folder.directory .. "///"))
    local pull, root, prefix = source.open(folder.directory .. "/", {}, {})
    local item = pull()
    assert.same({ folder.directory, folder.directory }, { root, prefix })
    assert.same({ "a/x.pdf", folder:path("a/x.pdf"), 5 }, { item.name, item.path, item.size })
    assert.equal(lfs.attributes(item.path, "modification"), item.time)
  end)

  it("takes one folder at a time", function()
    assert(lfs.mkdir(folder:path("b")))
    folder:write("a.pdf", "a")
    local pull = source.open(folder.directory, {}, {})
    assert.equal("a.pdf", pull().name)
    folder:write("b/late.pdf", "b")
    assert.equal("b/late.pdf", pull().name)
    assert.is_nil(pull())
  end)

  it("a folder that disappears or cannot be read is an item with a problem", function()
    assert(lfs.mkdir(folder:path("b")))
    folder:write("a.pdf", "a")
    local pull = source.open(folder.directory, {}, {})
    assert.equal("a.pdf", pull().name)
    assert(lfs.rmdir(folder:path("b")))
    local item = pull()
    local problem = ("cannot read '%s': No such file or directory"):format(folder:path("b"))
    assert.same({ "b", problem }, { item.name, item.problem })
  end)

  it("a folder that cannot be read is an item, whatever the pattern", function()
    assert(lfs.mkdir(folder:path("b")))
    folder:write("a.pdf", "a")
    folder:write("c.txt", "c")
    local dir = lfs.dir
    lfs.dir = function(path) -- root may read everything -- luacheck: ignore
      if path:find("/b$") then
        error("cannot open " .. path .. ": Permission denied")
      end
      return dir(path)
    end
    local ok, names = pcall(names_of, folder.directory, { pattern = "%.pdf$" })
    lfs.dir = dir -- luacheck: ignore
    assert.is_true(ok, names)
    assert.same({ "a.pdf", "b!" }, names)
  end)

  it("leaves out what is the run's own, however its path is written", function()
    assert(lfs.mkdir(folder:path("out")))
    folder:write("out/a.md", "x")
    folder:write("a.pdf", "x")
    folder:write("journal", "x")
    local own = { folder:path("../" .. folder.directory:match("[^/]*$") .. "/out/"), folder:path("./journal") }
    assert.same({ "a.pdf" }, names_of(folder.directory, {}, own))
  end)

  it("takes an array and an iterator", function()
    local path = folder:write("a.pdf", "x")
    local given =
      { path, { path = path, name = "b" }, { id = "file-1" }, { id = "file-2", name = "d" }, folder:path("no") }
    assert.same({ path, "b", "file-1", "d", folder:path("no") .. "!" }, names_of(given))
    local position = 0
    local function iterate()
      position = position + 1
      return given[position]
    end
    assert.same({ path, "b", "file-1", "d", folder:path("no") .. "!" }, names_of(iterate))
    assert.same({ "b" }, names_of(given, { pattern = "^b$" }))
  end)

  it("keeps nothing of an array's files that it has given", function()
    local pull = assert(source.open({ { id = "file-1" }, { id = "file-2" } }, {}, {}))
    local given = setmetatable({ [pull()] = true }, { __mode = "k" })
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(given))
    assert.equal("file-2", pull().name)
  end)

  it("an iterator that gives a name twice, or no file, is told of where it is", function()
    local given = { { id = "file-1" }, { id = "file-1" }, 5 }
    local pull = source.open(function()
      return table.remove(given, 1)
    end, {}, {})
    assert.equal("file-1", pull().name)
    local ok, err = pcall(pull)
    assert.is_false(ok)
    assert.equal('file 2 of the iterator has the name "file-1" of another', err.message:gsub("'", '"'))
    ok, err = pcall(pull)
    assert.is_false(ok)
    assert.equal("file 3 of the iterator must be a path or a table, not number", err.message)
  end)

  it("tells files apart by size, time and id", function()
    local prints = {}
    for _, item in ipairs { { size = 1, time = 2 }, { size = 2, time = 1 }, { size = 1, time = 3 }, { file = "x" } } do
      local print = source.fingerprint(item)
      assert.is_nil(prints[print])
      prints[print] = true
    end
    assert.equal(source.fingerprint { size = 7, time = 8 }, source.fingerprint { size = 7, time = 8, path = "p" })
  end)

  it("gives no local file without the module lfs, from wherever it comes", function()
    local path, given, items = folder:write("a.pdf", "x"), { { id = "file-1" } }, {}
    given[2] = path
    local function iterate()
      return table.remove(given, 1)
    end
    local loaded = package.loaded.lfs
    package.loaded.lfs = nil
    package.preload.lfs = function()
      error("module 'lfs' not found:", 0)
    end
    local well, problem = pcall(function()
      items[1], items[2] = source.open({ path }, {}, {})
      local pull = assert(source.open(iterate, {}, {}))
      items[3] = pull()
      return pull()
    end)
    package.loaded.lfs, package.preload.lfs = loaded, nil
    assert.same({ false, "file" }, { well, problem.kind })
    assert.matches("process needs the Lua module lfs: install ", problem.message, 1, true)
    assert.same({ nil, problem.message, { name = "file-1", file = "file-1" } }, items)
  end)

  it("does not take a module lfs that cannot be loaded for one that is missing", function()
    local loaded = package.loaded.lfs
    package.loaded.lfs = nil
    package.preload.lfs = function()
      error("interrupted!", 0) -- as Ctrl-C does it
    end
    local ok, err = pcall(source.file_system)
    package.loaded.lfs, package.preload.lfs = loaded, nil
    assert.same({ false, "interrupted!" }, { ok, err })
  end)
end)

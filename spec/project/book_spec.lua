-- docs/ is a book: docs/README.md has its pages in reading order, and each page says for whom it is and which page is next.
-- And every link within the project, in any of its Markdown files, leads somewhere.

local markdown = require("spec.support.markdown")
local program = require("spec.support.program")

local prose = markdown.prose

-- The content of a file of the checkout; nil if there is none. That of a directory is empty.
local function read(path)
  local file = io.open(program.file(path), "rb")
  if not file then
    return nil
  end
  local text = file:read("a") or ""
  file:close()
  return text
end

-- What a link into a page may name, as GitHub makes it of the headings: a second one of the same name ends with -1.
local function anchors(text)
  local found = {}
  for _, line in ipairs(prose(text)) do
    local heading = line:match("^#+ (.*)$")
    if heading then
      heading = heading:gsub("%[(.-)%]%b()", "%1")
      local anchor = "#" .. heading:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-")
      local name, count = anchor, 0
      while found[name] do
        count = count + 1
        name = anchor .. "-" .. count
      end
      found[name] = true
    end
  end
  return found
end

-- The links of a page that lead nowhere. `open` gives the text of another page, or nil.
local function lost_links(name, text, open)
  local folder = name:match("^(.*/)[^/]*$") or ""
  local lost = {}
  for _, line in ipairs(prose(text)) do
    for target in line:gsub("`[^`]*`", ""):gmatch("%]%(([^)%s]+)[^)]*%)") do
      if not target:find("^%a+:") then
        local path, anchor = target:match("^([^#]*)(.*)$")
        local there = path == "" and text or open(folder .. path)
        if not there or anchor ~= "" and not anchors(there)[anchor] then
          lost[#lost + 1] = target
        end
      end
    end
  end
  return lost
end

describe("the links of", function()
  for _, name in ipairs(markdown.files()) do
    it(name .. " lead somewhere", function()
      assert.same({}, lost_links(name, read(name), read))
    end)
  end

  it("a text with faults do not", function()
    local pages = { ["docs/b.md"] = "# B\n\n## The same\n\n## The same\n\n```\n# no heading\n```\n" }
    local text = table.concat({
      "# A `page`, and [more](b.md)",
      "[here](#a-page-and-more) [there](b.md#the-same-1) [out](https://example.com/#x) `[code](none.md)`",
      "```",
      "[code](none.md)",
      "```",
      "[1](c.md) [2](b.md#no-heading) [3](#b) [4](b.md#the-same-2)",
    }, "\n")
    local lost = lost_links("docs/a.md", text, function(path)
      return pages[path]
    end)
    assert.same({ "c.md", "b.md#no-heading", "#b", "b.md#the-same-2" }, lost)
  end)
end)

describe("the book", function()
  local pages = {} -- in reading order
  for _, line in ipairs(prose(assert(read("docs/README.md")))) do
    local title, path, about = line:match("^%d+%. %[(.-)%]%(([^)]+)%): (.*)$")
    if title then
      pages[#pages + 1] = { title = title, path = path, about = about, text = read("docs/" .. path) }
    end
  end

  it("has every page of docs/ once in its order, by its title", function()
    local listed, files = {}, {}
    for index, page in ipairs(pages) do
      listed[index] = "docs/" .. page.path
      assert.equal(page.title, assert(page.text, page.path):match("^# ([^\n]*)\n"))
      assert.matches("^for ", page.about, nil, page.path)
    end
    for _, name in ipairs(markdown.files()) do
      if name:find("^docs/") and name ~= "docs/README.md" then
        files[#files + 1] = name
      end
    end
    table.sort(listed)
    assert.same(files, listed)
  end)

  for index, page in ipairs(pages) do
    it("says on " .. page.path .. " for whom it is, and what is next", function()
      if page.path ~= "resources.md" then -- scripts/reference.lua makes it
        local opening = page.text:match("^[^\n]*\n\n(.-)\n\n"):gsub("\n", " ")
        assert.matches("^This page is for .+%. After it,? you ", opening)
      end
      local following = pages[index + 1]
      if following then
        local link = ("\n\nNext: [%s](%s) · [Contents](README.md)\n"):format(following.title, following.path)
        assert.equal(link, page.text:sub(-#link))
      end
    end)
  end
end)

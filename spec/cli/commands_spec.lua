-- Commands are made from the declarations: all of them, with all parameters, and an example that can be given.

local llama_cloud = require("llama_cloud")

local again = require("llama_cloud.cli.again")
local cli = require("llama_cloud.cli")
local commands = require("llama_cloud.cli.commands")
local command_line = require("spec.support.cli")
local completion = require("llama_cloud.cli.completion")
local examples = require("llama_cloud.cli.examples")
local lookup = require("llama_cloud.cli.lookup")
local man = require("llama_cloud.cli.man")
local process = require("spec.support.process")
local resources = require("llama_cloud.resources")
local terminal = require("llama_cloud.cli.terminal")

local all = commands.all()

local function spelled(command)
  return table.concat(command.words, " ")
end

-- f(place, resource) for each resource of the tree.
local function each_resource(f, node, place)
  for name, member in pairs(node or resources) do
    local path = place and place .. "." .. name or name
    if member.members then
      f(path, member)
      each_resource(f, member.children, path)
    else
      each_resource(f, member, path)
    end
  end
end

-- The words of a command line, as a shell has them.
local function words_of(line)
  local pipe = assert(io.popen("printf '%s\\n' " .. line))
  local words = {}
  for word in pipe:lines() do
    words[#words + 1] = word
  end
  pipe:close()
  return words
end

describe("the commands", function()
  it("are those of the declarations, with their waits and downloads", function()
    local there = {}
    for _, command in ipairs(all) do
      assert.is_nil(there[spelled(command)])
      there[spelled(command)] = command
    end
    local expected = 0
    each_resource(function(place, resource)
      local words = place:gsub("[.]", " "):gsub("_", "-")
      for member, declaration in pairs(resource.members) do
        if type(declaration[1]) == "string" or member == "download" then
          expected = expected + 1
          assert.truthy(there[words .. " " .. member:gsub("_", "-")], place .. "." .. member)
        elseif member == "waiting" then
          expected = expected + 4
          assert.truthy(there[words .. " wait-all"], place)
        end
      end
    end)
    assert.equal(expected, #all)
    assert.is_true(expected > 70)
  end)

  it("have a text, are methods of the client, and have the fields of their answers", function()
    local client <close> = llama_cloud.new { api_key = "llx-test" }
    for _, command in ipairs(all) do
      assert.matches("^%u.*%.$", command.text, spelled(command))
      local resource = client
      for _, name in ipairs(command.place) do
        resource = resource[name]
      end
      assert.equal("function", type(resource[command.method]), spelled(command))
      if command.kind == "list" or command.kind == "wait" then
        assert.is_true(#command.order > 1, spelled(command))
      end
    end
  end)

  it("take all parameters as flags, the required ones first", function()
    for _, command in ipairs(all) do
      local optional = false
      for _, one in ipairs(command.parameters) do
        assert.is_false(optional and one.required == true, spelled(command))
        optional = optional or not one.required
      end
    end
    local root = cli.parser()
    for _, command in ipairs(all) do
      local question = table.move(command.words, 1, #command.words, 1, {})
      question[#question + 1] = "--"
      local flags = {}
      for _, candidate in ipairs(completion.candidates(root, question)) do
        flags[candidate[1]] = true
      end
      for _, one in ipairs(command.parameters) do
        assert.is_true(flags["--" .. one.name:gsub("_", "-")], spelled(command) .. " " .. one.name)
      end
      assert.is_true(flags["--format"])
    end
  end)

  it("each have an example, which can be given as it stands", function()
    local folder = os.tmpname()
    os.remove(folder)
    assert.is_true(os.execute(("mkdir %s"):format(folder)))
    local json = assert(io.open(folder .. "/any.json", "w"))
    json:write("{}")
    json:close()
    local root = cli.parser()
    function root.error(_, message)
      error(message, 0)
    end
    for _, command in ipairs(all) do
      local example = examples.of(command)
      local line = example:match("[^|]*$"):gsub("@[%w_-]+%.json", "@" .. folder .. "/any.json")
      local words = words_of(line)
      assert.equal("llama-cloud", table.remove(words, 1))
      local ok, result = pcall(root.parse, root, words)
      assert.is_true(ok, ("%s: %s"):format(example, tostring(result)))
      assert.equal(spelled(command), spelled(result.command))
      local changing = command.method == "create" or command.method == "update" or command.method == "run"
      assert.is_true(not changing or line:find(" --", 1, true) ~= nil, example)
      -- the help has it in lines that a shell joins again, and none is broken
      local help = lookup.at(root, command.words):get_help()
      local shown = help:match("Example:\n(.-)\n\n"):gsub(" \\\n *", " "):gsub("^ *", "")
      assert.equal(example, shown)
    end
    os.execute(("rm -r %s"):format(folder))
  end)
end)

describe("a command to go on with", function()
  local root = cli.parser()

  it("has those flags of another that it takes", function()
    local given = { "--key-file", "k", "parsing", "run", "--version", "latest", "--expand=a=b", "--no-disable-cache" }
    local words = again.flags(lookup.at(root, { "parsing", "run" }), lookup.at(root, { "parsing", "wait" }), given)
    assert.same({ "--key-file", "k", "--expand=a=b" }, words)
  end)

  it("has other values of flags, before what stands behind --", function()
    local given = { "batches", "list", "--page-token", "a", "--page-token=b", "--status", "x", "--", "--page-token" }
    local parser = lookup.at(root, { "batches", "list" })
    assert.same(
      { "batches", "list", "--status", "x", "--page-token=-c", "--", "--page-token" },
      again.changed(parser, given, { ["--page-token"] = "-c" })
    )
  end)

  it("is quoted as a shell reads it", function()
    local words = { "a", "", "a b", "it's", "$HOME", "a\nb\t'", "=a", "\\", "~", "für", "\xFF'\\", "\u{202E}" }
    for _, word in ipairs(words) do
      local pipe = assert(io.popen("bash -c " .. process.quote("printf %s " .. again.quoted(word))))
      assert.equal(word, pipe:read("a"))
      pipe:close()
    end
    assert.equal("a-b/c.pdf", again.quoted("a-b/c.pdf"))
  end)
end)

describe("completion", function()
  local root = cli.parser()

  local function candidates(...)
    local names = {}
    for _, one in ipairs(completion.candidates(root, { ... })) do
      names[#names + 1] = one[1]
    end
    return table.concat(names, " ")
  end

  it("knows commands, flags of the command and of all commands, and choices", function()
    assert.equal("batches", candidates("ba"))
    assert.equal("wait watch wait-all", candidates("batches", "wa"))
    assert.equal("--status", candidates("batches", "list", "--st"))
    assert.equal("update upload", candidates("beta", "directories", "files", "u"))
    assert.equal("--file --format --fields", candidates("files", "create", "--f"))
    assert.equal("table json jsonl csv", candidates("batches", "list", "--format", ""))
    assert.equal("json jsonl", candidates("batches", "list", "--format", "=", "js"))
    assert.equal("--format=json --format=jsonl", candidates("batches", "list", "--format=js"))
    assert.equal("bash zsh fish", candidates("completion", ""))
  end)

  it("leaves values, and arguments, to the shell", function()
    assert.equal("", candidates("--key-file", ""))
    assert.equal("", candidates("--key-file=k", ""):match("^%-%-") or "")
    assert.equal("", candidates("--no-such-flag=k"))
    assert.equal("", candidates("batches", "get", ""))
    assert.equal("", candidates("batches", "list", "--status", "l"))
  end)

  it("takes no value for a command", function()
    assert.equal("list", candidates("--fields", "files", "batches", "li"))
  end)
end)

describe("the manual page", function()
  it("has all commands and flags, and nothing in it is taken for a request", function()
    local page = man.page(cli.parser(), "2026-11-27", "1.0.0")
    for _, command in ipairs(all) do
      local head = ("\n.SS %s"):format(spelled(command):gsub("%-", "\\-"))
      assert.truthy(page:find(head .. "\n", 1, true) or page:find(head .. " ", 1, true), head)
      for _, one in ipairs(command.parameters) do
        assert.truthy(page:find("\n.B \\-\\-" .. one.name:gsub("_", "\\-"), 1, true), one.name)
      end
    end
    assert.truthy(page:find("\n.SS process PATH\n", 1, true))
    assert.truthy(page:find("\n.SS man\n", 1, true))
    assert.truthy(page:find("\n.B \\-\\-retry\\-failed\n", 1, true))
    local known =
      { TH = true, SH = true, SS = true, TP = true, B = true, I = true, PP = true, EX = true, EE = true, BR = true }
    for line in page:gmatch("[^\n]+") do
      local request = line:match("^[.'](.*)$")
      assert.is_true(not request or known[request:match("^%u+")] ~= nil, line)
      assert.is_nil(line:gsub("\\f[IR]", ""):find("\\[^-e&]"), line)
    end
  end)

  it("is one for troff, where there is one", function()
    local groff = os.execute("command -v groff >/dev/null")
    if not groff then
      return pending("groff is not installed")
    end
    local out, err, status = command_line.shell(nil, "lc man | groff -k -man -ww -Tutf8 -P -cbou")
    assert.equal("", err)
    assert.equal(0, status)
    assert.matches("batches wait%-all BATCH%-ID", out)
    assert.matches("%-%-source%-directory%-id ID", out)
  end)
end)

describe("the width of a text", function()
  it("is that of its characters, which may take two columns, or none", function()
    for s, width in pairs {
      ["report"] = 6,
      ["für"] = 3,
      ["fu\u{308}r"] = 3,
      ["東京"] = 4,
      ["ｱ"] = 1,
      ["✅ \u{1F680}"] = 5,
      ["✔\u{FE0F}"] = 1,
      ["\u{5E9}\u{5C1}"] = 1,
      ["\u{20000}\u{E0100}"] = 2,
      ["…–"] = 2,
    } do
      assert.equal(width, terminal.width(s), s)
    end
    assert.equal("東…", terminal.cut("東京都", 4, "…"))
    assert.equal("東京都", terminal.cut("東京都", 6, "…"))
  end)
end)

-- What the core tells of open files. That it knows a terminal is in spec/cli/terminal_spec.lua.

local core = require("llama_cloud.core")

describe("core.terminal and core.mode", function()
  local path, file

  before_each(function()
    path = os.tmpname()
    file = assert(io.open(path, "w"))
  end)

  after_each(function()
    if io.type(file) == "file" then
      file:close()
    end
    os.remove(path)
  end)

  it("tell that a file is no terminal, and its permission bits", function()
    assert.is_nil(core.terminal(file))
    for _, mode in ipairs { "600", "640", "604" } do
      assert.is_true(os.execute(("chmod %s %s"):format(mode, path)))
      assert.equal(tonumber(mode, 8), core.mode(file))
    end
  end)

  it("raise for a closed file, and for what is none", function()
    file:close()
    for _, ask in ipairs { core.terminal, core.mode } do
      assert.has_error(function()
        ask(file)
      end)
      assert.error_matches(function()
        ask("standard output")
      end, "FILE%*")
      assert.error_matches(ask, "FILE%*")
    end
  end)
end)

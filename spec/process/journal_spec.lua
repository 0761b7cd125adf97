-- The journal of a run: what it keeps, what it refuses, and what happens to it when its writer dies or its disk is full.

local journal = require("llama_cloud.process.journal")

-- Whether a call raises a message at its caller's line, which is in this file.
local function raises(message, f, ...)
  local arguments = table.pack(...)
  local well, problem = pcall(function()
    f(table.unpack(arguments, 1, arguments.n))
  end)
  assert.is_false(well)
  assert.matches("journal_spec%.lua:%d+: " .. message, problem)
end

describe("a journal in memory", function()
  it("has an id, and no facts, whatever it is told", function()
    local one, other = journal.memory(), journal.memory()
    assert.matches("^%x+$", one.run)
    assert.equal(16, #one.run)
    assert.not_equal(one.run, other.run)
    assert.is_false(one.resumed)
    assert.is_true(one:put { kind = "uploaded" })
    assert.is_true(one:sync())
    for _ in one:facts() do
      error("a fact")
    end
  end)

  it("can be closed more than once, and then takes nothing", function()
    local one = journal.memory()
    do
      local _ <close> = one
    end
    one:close()
    raises("the journal is closed", one.put, one, {})
    raises("the journal is closed", one.sync, one)
    raises("a fact must be a table, not string", one.put, journal.memory(), "text")
  end)
end)

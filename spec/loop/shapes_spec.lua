-- However 10,000 tasks wait for one another, each makes as much work as if it were one of 2,500. Counted in VM instructions,
-- which repeat as times do not; the time that it takes is for bench/waiting/shapes.lua. The shapes are in
-- spec/support/shapes.lua.

local process = require("spec.support.process")
local shapes = require("spec.support.shapes")

local TASKS = process.instrumented and 250 or 2500

describe("four times as many tasks make not much more than four times the work in", function()
  for _, name in ipairs(shapes.names()) do
    it(name, function()
      local chunk = 'require("spec.support.shapes").run(...)'
      local output, well = process.run(chunk, { args = { name, tostring(TASKS), "5" } })
      assert.is_true(well, output)
      assert.matches("^%d+ %d+\n$", output)
    end)
  end
end)

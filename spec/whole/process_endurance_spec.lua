-- client.batches:process is killed over and over, and counted at the service: every file has one result, and nothing was made
-- twice. bench/recipe/endurance.lua is the same with thousands of files.

local recipe_trial = require("spec.support.recipe_trial")
local recipe_truth = require("spec.support.recipe_truth")

local KILLED = 128 + 9

describe("process, killed and started again,", function()
  -- A trial, of which `given` says what is unusual.
  local function new(given)
    given.program, given.quick = "lua", true
    given.rate, given.type = given.rate or 0.03, given.type or "parse_v2"
    return recipe_trial.new(given)
  end

  -- Runs it once. Whether it has ended by itself.
  local function run(trial, last_line)
    local status, said = trial:start(last_line):wait()
    trial:collect()
    assert.is_true(status == 0 or status == KILLED and last_line ~= nil, ("%d: %s"):format(status, said))
    return status == 0
  end

  local function check(trial, expected, what)
    for _, line in ipairs(recipe_truth.check(trial, expected)) do
      assert.is_true(line.holds, ("%s: %s"):format(what, line.text))
    end
    trial:close()
  end

  for what, given in pairs {
    ["parse jobs"] = { seed = 1, duplicates = "conflict" },
    ["extract jobs, and directories are deleted"] = {
      seed = 2,
      type = "extract_v2",
      duplicates = "add",
      delete_directories = true,
    },
  } do
    it("has one result of each of 60 files: " .. what, function()
      given.count, given.batch_size = 60, 10
      math.randomseed(given.seed)
      local trial, killed = new(given), 0
      for _ = 1, 6 do
        killed = killed + (run(trial, math.random(10, 150)) and 0 or 1)
      end
      assert.is_true(killed >= 4, killed)
      assert.is_true(run(trial))
      check(trial, recipe_truth.expected(trial), what)
    end)
  end
end)

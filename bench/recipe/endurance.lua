--- Does client.batches:process keep its promises when it is ended over and over, while the service answers wrongly?
---
---   scripts/lua bench/recipe/endurance.lua [--scenarios kill,interrupt,output,journal,steps] [--seeds 1,2,3]
---     [--files 2500] [--times 20] [--program "command line"|lua] [--type parse_v2|extract_v2] [--delete-directories] [--duplicates conflict|add|replace]
---     [--rate 0.03] [--batch-size 100]
---
--- A folder of small files goes through a sandbox that answers some requests wrongly. The program is ended at so many random
--- moments and started again each time:
---
---   kill        by SIGKILL
---   interrupt   by SIGINT; its exit code is to be 130
---   output      once, for the disk with the results is full; it is to say so. Then there is room again
---   journal     the same of the disk with the journal
---
---   steps       three files, by SIGKILL at each line of the client's log, one after another
---
--- Then it is counted at the sandbox, in the journal and on the disk. A line for each rule; exit status 0: all of them hold.
--- The moments, the faults and the files depend on the seed; what is under way at these moments, on the machine.
--- To have a disk get full takes the right to mount one: without it, these scenarios are skipped.

local lfs = require("lfs")

local core = require("llama_cloud.core")
local llama_cloud = require("llama_cloud")
local recipe_trial = require("spec.support.recipe_trial")
local recipe_truth = require("spec.support.recipe_truth")

local LOOK = 0.005 -- seconds between two looks at what the sandbox was asked
local LONGEST = 300 -- seconds without a step after which a run is given up

local settings = {
  scenarios = "kill,interrupt,output,journal,steps",
  seeds = "1,2,3",
  files = 2500,
  times = 20,
  program = "command line",
  type = "parse_v2",
  ["delete-directories"] = false,
  duplicates = "conflict",
  rate = 0.03,
  ["batch-size"] = 100,
}

-- Reads the arguments.
local function read_arguments()
  local position = 1
  while arg[position] do
    local name = arg[position]:match("^%-%-(.*)$")
    local default = settings[name or ""]
    if default == nil then
      error("unknown argument: " .. arg[position], 0)
    elseif default == false then
      settings[name] = true
    else
      position = position + 1
      local value = arg[position]
      if type(default) == "number" then
        value = tonumber(value)
      end
      settings[name] = value or error(arg[position - 1] .. " needs a value", 0)
    end
    position = position + 1
  end
end

local function words_of(text)
  return text:gmatch("[^,]+")
end

-- Moments: numbers of steps, of which there are two for each file.
local function moments(count, steps)
  local list = {}
  for index = 1, count do
    list[index] = math.random(1, steps * 97 // 100)
  end
  table.sort(list)
  return list
end

-- Waits until a run has come so far, or has ended; whether it still goes on.
local function await(trial, run, step)
  local before, since = trial.steps, core.now()
  while run:goes_on() do
    trial:collect()
    if trial.steps ~= before then
      before, since = trial.steps, core.now()
    end
    if trial.steps >= step then
      return true
    elseif core.now() - since > LONGEST then
      run:signal("KILL")
      io.stderr:write(("no step for %d seconds\n"):format(LONGEST))
      return false
    end
    llama_cloud.sleep(LOOK)
  end
  return false
end

local scenarios = {}

-- Ends the program at random moments by a signal. What its exit status is to be each time.
local function strike(trial, name, wanted)
  local struck, right = 0, 0
  for _, moment in ipairs(moments(settings.times, 2 * settings.files)) do
    local run = trial:start()
    if trial.steps >= moment then -- the last moment is hardly over: any moment of its start
      llama_cloud.sleep(math.random() * 0.5)
    end
    if await(trial, run, moment) then
      run:signal(name)
      struck = struck + 1
    end
    local status, said = run:wait()
    right = right + (status == wanted and 1 or 0)
    if status ~= wanted then
      io.stderr:write(("exit status %d: %s\n"):format(status, said))
    end
  end
  return {
    { text = ("%d of %d times ended by SIG%s"):format(struck, settings.times, name), holds = struck == settings.times },
    { text = ("%d of %d times with the status %d"):format(right, struck, wanted), holds = right == struck },
  }
end

function scenarios.kill(trial)
  return strike(trial, "KILL", 137)
end

function scenarios.interrupt(trial)
  return strike(trial, "INT", settings.program == "lua" and 1 or 130)
end

local function shell(command, ...)
  return os.execute(command:format(...)) == true
end

-- Fills a file system but for so many bytes.
local function fill(directory, left)
  local pipe = assert(io.popen(("df --output=avail -B1 '%s' | tail -n 1"):format(directory)))
  local available = pipe:read("n")
  pipe:close()
  assert(shell("head -c %d /dev/zero >'%s/filler'", math.max(available - left, 0) // 4096 * 4096, directory))
end

-- Runs it on a disk that gets full, twice; then there is room.
local function fill_up(trial, directory, left)
  lfs.mkdir(directory)
  if not shell("mount -t tmpfs -o size=256m llama-cloud-trial '%s' 2>/dev/null", directory) then
    return nil, "a disk to be filled cannot be mounted: that needs root"
  end
  trial.mounted = directory
  fill(directory, left)
  local report, steps = {}, {}
  for time = 1, 2 do
    local run = trial:start()
    await(trial, run, math.huge)
    local status, said = run:wait()
    local clear = said:find("No space left on device", 1, true) ~= nil
    report[time] =
      { text = ("exit status %d: %s"):format(status, said:gsub("%s+$", "")), holds = status == 1 and clear }
    steps[time] = trial.steps
  end
  local middle = steps[1] > 0 and steps[1] < 2 * settings.files
  report[#report + 1] =
    { text = ("it was full after %d of %d steps"):format(steps[1], 2 * settings.files), holds = middle }
  os.remove(directory .. "/filler")
  return report
end

function scenarios.output(trial)
  local blocks = settings.type == "parse_v2" and 2 or 1 -- for the files of a result
  return fill_up(trial, trial.output, settings.files * blocks * 4096 // 2)
end

function scenarios.journal(trial)
  local directory = trial.root:path("journal")
  trial.journal = directory .. "/journal.jsonl"
  return fill_up(trial, directory, settings.files * 150)
end

-- Lets it end by itself.
local function finish(trial, report)
  local run = trial:start()
  await(trial, run, math.huge)
  local status, said = run:wait()
  report[#report + 1] = {
    text = ("at last it ends with the status %d"):format(status),
    holds = status == 0,
  }
  if status ~= 0 then
    io.stderr:write(said)
  end
end

-- Whether all rules hold.
local function tell(report)
  local well = true
  for _, line in ipairs(report) do
    print((line.holds and "  holds   " or "  BROKEN  ") .. line.text)
    well = well and line.holds
  end
  return well
end

-- Files so few that each step of the work can be the last one, with and without faults.
local function try_steps(seed)
  local expected, line, broken = nil, 0, 0
  repeat
    line = line + 1
    local trial = recipe_trial.new {
      count = 3,
      seed = seed,
      program = "lua",
      quick = true,
      type = settings.type,
      rate = settings.rate,
      delete_directories = settings["delete-directories"],
      duplicates = settings.duplicates,
      batch_size = 2,
    }
    expected = expected or recipe_truth.expected(trial)
    local ended = trial:start(line):wait() == 0
    local report = {}
    if not ended then
      finish(trial, report)
    end
    trial:collect()
    for _, one in ipairs(table.move(recipe_truth.check(trial, expected), 1, 100, #report + 1, report)) do
      if not one.holds then
        broken = broken + 1
        print(("  BROKEN  killed at line %d: %s"):format(line, one.text))
      end
    end
    trial:close()
  until ended or line == 2000
  return tell {
    {
      text = ("%d rules broken, of what was killed at each of %d lines"):format(broken, line - 1),
      holds = broken == 0,
    },
    { text = "and once it was not killed any more", holds = line < 2000 },
  }
end

-- One trial of a scenario.
local function try(scenario, seed, expected)
  math.randomseed(seed)
  local trial = recipe_trial.new {
    count = settings.files,
    seed = seed,
    program = settings.program,
    type = settings.type,
    rate = settings.rate,
    delete_directories = settings["delete-directories"],
    duplicates = settings.duplicates,
    batch_size = settings["batch-size"],
  }
  local done, report, problem = xpcall(function()
    expected[seed] = expected[seed] or recipe_truth.expected(trial)
    local begun = core.now()
    local lines, why = scenarios[scenario](trial)
    if not lines then
      return nil, why
    end
    finish(trial, lines)
    lines[#lines + 1] = { text = ("%.0f s"):format(core.now() - begun), holds = true }
    return table.move(recipe_truth.check(trial, expected[seed]), 1, 100, #lines + 1, lines)
  end, debug.traceback)
  if trial.mounted then
    shell("umount '%s'", trial.mounted)
  end
  if done and report then
    local well = tell(report)
    if not well then
      print("  its files are in " .. trial.root.directory)
      trial.service:close()
      return false
    end
  end
  trial:close()
  if not done then
    error(report, 0)
  elseif not report then
    print("  skipped: " .. problem)
  end
  return true
end

read_arguments()
local well, expected = true, {}
for scenario in words_of(settings.scenarios) do
  if not scenarios[scenario] and scenario ~= "steps" then
    error("unknown scenario: " .. scenario, 0)
  end
  for seed in words_of(settings.seeds) do
    local form = "%s, seed %s: %d files, %s, %s, %s%.1f %% faulty answers, batches of %d, duplicates: %s"
    local deleted = settings["delete-directories"] and "directories deleted, " or ""
    print(
      form:format(
        scenario,
        seed,
        scenario == "steps" and 3 or settings.files,
        scenario == "steps" and "lua" or settings.program,
        settings.type,
        deleted,
        100 * settings.rate,
        scenario == "steps" and 2 or settings["batch-size"],
        settings.duplicates
      )
    )
    local number = assert(math.tointeger(tonumber(seed)), "a seed must be an integer")
    local held
    if scenario == "steps" then
      held = try_steps(number)
    else
      held = try(scenario, number, expected)
    end
    well = held and well
    io.stdout:flush()
  end
end
print(well and "all rules hold" or "a rule is broken")
os.exit(well, true)

--- What was measured, as Markdown and as a plot:
---   report.lua report [PART...]   prints the tables of what was measured last (without PART: of all)
---   report.lua write PART...      keeps what was measured in bench/measured; then as `page`
---   report.lua page [DIRECTORY]   writes the blocks of docs/performance.md and README.md, and docs/performance.svg, from
---                                 bench/measured; with DIRECTORY into files there, by the same names without folders

local figures = require("bench.figures")
local goals = require("bench.goals")
local plot = require("bench.plot")
local results = require("bench.results")
local tables = require("bench.tables")

local PAGE, PLOT, README = "docs/performance.md", "docs/performance.svg", "README.md"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

-- How a part was measured, as a sentence.
local function measured(how)
  local load = how.load and (", load of the machine %.0f"):format(how.load) or ""
  return ("Measured at commit %s, %d %s%s."):format(
    how.commit,
    how.rounds,
    how.rounds == 1 and "round" or "rounds",
    load
  )
end

-- The goals of some parts, as a table; nil where there are none.
local function standing(shown, parts)
  local lines = { "| goal | measured | to reach | reached |", "| --- | ---: | ---: | ---: |" }
  for _, part in ipairs(parts) do
    for _, goal in ipairs(shown.how[part] and goals.of(shown, part) or {}) do
      local reached = goal.more and goal.measured >= goal.bound or not goal.more and goal.measured <= goal.bound
      lines[#lines + 1] = ("| %s | %s | %s | %s |"):format(
        goal.what,
        (goal.measured < 1 and "%.3f" or "%.2f"):format(goal.measured),
        (goal.more and "≥ %g" or "≤ %g"):format(goal.bound),
        reached and "yes" or "**no**"
      )
    end
  end
  return #lines > 2 and table.concat(lines, "\n") or nil
end

-- Each machine that something was measured on, and what.
local function machines(shown)
  local parts_of, order = {}, {}
  for _, part in ipairs(results.parts) do
    local machine = shown.how[part] and shown.how[part].machine
    if machine and not parts_of[machine] then
      parts_of[machine] = {}
      order[#order + 1] = machine
    end
    if machine then
      table.insert(parts_of[machine], part)
    end
  end
  for i, machine in ipairs(order) do
    order[i] = ("* %s: %s"):format(table.concat(parts_of[machine], ", "), machine)
  end
  return table.concat(order, "\n")
end

local commands = {}

function commands.report(parts)
  local shown = figures.read(false)
  parts = #parts > 0 and parts or results.parts
  for _, part in ipairs(parts) do
    for _, block in ipairs(tables.blocks) do
      if block.part == part and shown.how[part] then
        local how = shown.how[part]
        print(("%s. %s\n\n%s\n"):format(block.title(how), measured(how), block.make(shown, how)))
      end
    end
  end
  print(standing(shown, parts) or "")
  print("\n" .. machines(shown))
end

-- What is between the marks of each block, by its name. A block without figures in bench/measured is not among them.
local function content(shown)
  local made = {
    goals = standing(shown, results.parts),
    machines = machines(shown),
    overview = tables.overview(shown),
  }
  for _, block in ipairs(tables.blocks) do
    local how = shown.how[block.part]
    made[block.name] = how and ("**%s.** %s\n\n%s"):format(block.title(how), measured(how), block.make(shown, how))
  end
  return made
end

-- A text with new blocks. Those that are in it are taken out of `made`; what has no figures stays as it is.
local function filled(text, made)
  return (
    text:gsub("(<!%-%- bench: ([^\n]-) %-%->\n)(.-)(\n*<!%-%- /bench %-%->)", function(first, name, _, last)
      local new = made[name]
      made[name] = nil
      return new and first .. "\n" .. new .. "\n\n" .. last:gsub("^\n+", "")
    end)
  )
end

function commands.page(arguments)
  local shown = figures.read(true)
  local made = content(shown)
  local pages = { [PAGE] = filled(read(PAGE), made), [README] = filled(read(README), made), [PLOT] = plot.draw(shown) }
  made.overview = nil -- README.md need not have it
  local lost = next(made)
  assert(lost == nil, ("%s has no block '%s'"):format(PAGE, lost))
  for path, text in pairs(pages) do
    write(arguments[1] and arguments[1] .. "/" .. path:match("[^/]*$") or path, text)
  end
end

function commands.write(parts)
  for _, part in ipairs(parts) do
    if results.read(part) then
      results.publish(part)
    end
  end
  commands.page {}
end

commands[arg[1]](table.move(arg, 2, #arg, 1, {}))

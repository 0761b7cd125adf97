-- Adds up what gcov has counted, and prints the lines and branches of src/ that ran: per file, what is missing, in all.
--
--   lua5.4 cmake/coverage.lua BUILD_DIRECTORY [LINES% BRANCHES%]
--
-- A file is compiled into several objects (the core, the one with the shim before malloc); a line or branch counts if it
-- ran in any of them. Exits with 1 where less ran in all than the two figures ask for.

local cjson = require("cjson")

local build, least_lines, least_branches = arg[1], tonumber(arg[2]), tonumber(arg[3])

local function read_command(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("a")
  assert(pipe:close(), command .. " failed")
  return text
end

local files = {} -- name -> { lines = { [number] = count }, branches = { ["line:index"] = count }, line_of = { key = number } }

local function add(name, data)
  local file = files[name] or { lines = {}, branches = {}, line_of = {} }
  files[name] = file
  for _, line in ipairs(data.lines) do
    local number = math.tointeger(line.line_number) -- lua-cjson makes floats
    file.lines[number] = (file.lines[number] or 0) + line.count
    for index, branch in ipairs(line.branches) do
      local key = number .. ":" .. index
      file.branches[key] = (file.branches[key] or 0) + branch.count
      file.line_of[key] = number
    end
  end
end

for object in read_command(("find '%s' -name '*.gcda' -path '*/src/*'"):format(build)):gmatch("[^\n]+") do
  local directory, base = object:match("^(.*)/([^/]*)$")
  local text = read_command(
    ("cd '%s' && gcov --json-format --branch-probabilities --stdout '%s' 2>/dev/null"):format(directory, base)
  )
  for line in text:gmatch("[^\n]+") do
    for _, data in ipairs(cjson.decode(line).files) do
      local name = data.file:match("(src/[%w_]+%.[ch])$")
      if name then
        add(name, data)
      end
    end
  end
end

local function tally(counts)
  local all, ran = 0, 0
  for _, count in pairs(counts) do
    all, ran = all + 1, ran + (count > 0 and 1 or 0)
  end
  return all, ran
end

-- Numbers of lines as `3 7-9 12`.
local function ranges(numbers)
  table.sort(numbers)
  local parts, first = {}, nil
  for i, number in ipairs(numbers) do
    first = first or number
    if numbers[i + 1] ~= number + 1 then
      parts[#parts + 1] = first == number and tostring(number) or first .. "-" .. number
      first = nil
    end
  end
  return table.concat(parts, " ")
end

local function missing_lines(file)
  local missing = {}
  for number, count in pairs(file.lines) do
    if count == 0 then
      missing[#missing + 1] = number
    end
  end
  return ranges(missing)
end

-- Lines that ran, but not each way out of them.
local function half_lines(file)
  local seen, missing = {}, {}
  for key, count in pairs(file.branches) do
    local number = file.line_of[key]
    if count == 0 and file.lines[number] > 0 and not seen[number] then
      seen[number] = true
      missing[#missing + 1] = number
    end
  end
  return ranges(missing)
end

local function percent(ran, all)
  return all > 0 and 100 * ran / all or 100
end

local names = {}
for name in pairs(files) do
  names[#names + 1] = name
end
table.sort(names)
assert(#names > 0, "nothing was counted in " .. build)

local total = { lines = 0, lines_ran = 0, branches = 0, branches_ran = 0 }
local format = "%-22s %5d of %5d lines %6.1f %%   %5d of %5d branches %6.1f %%"
for _, name in ipairs(names) do
  local file = files[name]
  local lines, lines_ran = tally(file.lines)
  local branches, branches_ran = tally(file.branches)
  total.lines, total.lines_ran = total.lines + lines, total.lines_ran + lines_ran
  total.branches, total.branches_ran = total.branches + branches, total.branches_ran + branches_ran
  print(
    format:format(
      name,
      lines_ran,
      lines,
      percent(lines_ran, lines),
      branches_ran,
      branches,
      percent(branches_ran, branches)
    )
  )
  local without, half = missing_lines(file), half_lines(file)
  if without ~= "" then
    print("    never ran: " .. without)
  end
  if half ~= "" then
    print("    one way only: " .. half)
  end
end
local lines, branches = percent(total.lines_ran, total.lines), percent(total.branches_ran, total.branches)
print(format:format("all", total.lines_ran, total.lines, lines, total.branches_ran, total.branches, branches))
if lines < (least_lines or 0) or branches < (least_branches or 0) then
  print(("less than the %g %% of lines and %g %% of branches that are asked for"):format(least_lines, least_branches))
  os.exit(1)
end

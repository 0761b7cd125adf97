-- Runs one Lua block of a Markdown file, as spec/project/readme_spec.lua asks for:
--
--   lua5.4 run_block.lua FILE FIRST_LINE LAST_LINE [DIRECTORY]
--
-- It runs in DIRECTORY, or in the current one, against the service of LLAMA_CLOUD_BASE_URL. A block finds what one has at hand
-- in the middle of a text: the module, a client, and the ids of a batch, a job and an item. Names that nobody has defined are
-- errors.

local path, first, last = arg[1], math.tointeger(tonumber(arg[2])), math.tointeger(tonumber(arg[3]))

-- Empty lines in front, so that errors name the line of the file.
local lines, number = {}, 0
for line in io.lines(path) do
  number = number + 1
  lines[number] = number >= first and number <= last and line or ""
end

if arg[4] then
  assert(require("lfs").chdir(arg[4]))
end

local llama_cloud = require("llama_cloud")
local client = llama_cloud.new()
local known = { llama_cloud = llama_cloud, client = client }
local at_hand = {
  batch_id = function()
    return assert(client.batches:list():all { max_items = 1 })[1].id
  end,
  job_id = function()
    return assert(client.beta.batch:list():all { max_items = 1 })[1].id
  end,
  item_id = function()
    return assert(client.beta.batch.job_items:list(client.beta.batch:list()().id):all { max_items = 1 })[1].item_id
  end,
}

local environment = setmetatable({}, {
  __index = function(_, name)
    if known[name] == nil then
      known[name] = at_hand[name] and at_hand[name]() or _G[name]
    end
    if known[name] == nil then
      error(("undefined name '%s'"):format(name), 2)
    end
    return known[name]
  end,
  __newindex = function(_, name)
    error(("global variable '%s' is set"):format(name), 2)
  end,
})

assert(load(table.concat(lines, "\n"), "@" .. path, "t", environment))()

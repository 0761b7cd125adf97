-- A program that calls client.batches:process, for trials of it (recipe_trial.lua). Its argument is a table in Lua's notation.
-- It says in a line of JSON what it was given, before it goes on.

local cjson = require("cjson")
local llama_cloud = require("llama_cloud")
local trouble = require("llama_cloud.process.trouble")

local given = assert(load("return " .. arg[1]))()

if given.quick then -- to try again: pauses need not be as long as those for a service
  trouble.pauses, trouble.looks = { 0.01, 0.02, 0.02, 0.02, 0.02 }, { 0, 0.01, 0.02 }
end

-- Ends itself by SIGKILL at a line of its log, if it is to: at the same step of its work, however fast the machine is.
local lines = 0
local function log()
  lines = lines + 1
  if lines == given.last_line then
    os.execute("kill -KILL $PPID")
  end
end

local client = llama_cloud.new { proxy = "", timeout = given.timeout, stall_timeout = given.timeout, log = log }
for file in client.batches:process(given.folder, given.params, given.options) do
  io.write(cjson.encode { name = file.name, status = file.status, error = file.error and tostring(file.error) }, "\n")
  io.flush()
end

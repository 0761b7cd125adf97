--- From jobs to results: fetches them, writes them where there is a place for them, and hands them to the program.

local later = require("llama_cloud.base.later")
local output = later.require("llama_cloud.process.output")
local trouble = require("llama_cloud.process.trouble")

local results = {}

-- The result of a file's job. Nil and an error.
local function fetch(run, entry)
  local result = entry.result
  entry.result = nil
  if result then
    return result
  end
  local err
  result, err = trouble.persist(run, function()
    local params = run:scope { expand = run.params.expand }
    return run.client[run.resource]:get(entry.job, params, run:call_options())
  end, "result")
  if err and (err.status == 400 or err.status == 422) and run.fetched == 0 then
    error(err, 0) -- about `expand`, which holds for all: started again with another, the run goes on
  end
  return result, err
end

local function attend(run, entry)
  local result, err = fetch(run, entry)
  local written
  if result and run.options.output then
    written, err = output.write(run, entry, result)
  end
  if err then
    run:fail(entry, err, "FAILED", written)
  else
    run.fetched = run.fetched + 1
    run:deliver(entry, {
      status = "COMPLETED",
      result = not run.options.output and result or nil,
      output = written,
    })
  end
end

--- Takes a file whose job has ended: one of those who fetch takes it, if there is something to fetch or to write.
---@param run LlamaCloud.Run
---@param entry LlamaCloud.Entry.File
function results.hand_over(run, entry)
  if entry.result and not run.options.output then
    attend(run, entry)
  else
    run.fetches:put(entry)
  end
end

--- Fetches what has ended: several run side by side.
---@param run LlamaCloud.Run
function results.work(run)
  for entry in run.fetches:each() do
    attend(run, entry)
  end
end

return results

--- llama-cloud demo: the whole job on a few files of its own, in a sandbox of its own.

local act = require("llama_cloud.cli.act")
local again = require("llama_cloud.cli.again")
local output = require("llama_cloud.cli.output")
local process = require("llama_cloud.cli.process")
local progress = require("llama_cloud.cli.progress")
local source = require("llama_cloud.process.source")

local demo = { name = "demo", offline = true }

demo.about = "Shows the whole job, without a key: a folder in, results out, in a sandbox of its own"

local FILES = {
  ["invoices/2026-01.txt"] = "Invoice 1\nAmount due: 11979.75\n",
  ["invoices/2026-02.txt"] = "Invoice 2\nAmount due: 4758.00\n",
  ["invoices/empty.txt"] = "",
  ["letter.txt"] = "Dear Sir or Madam,\nplease find the invoices enclosed.\n",
}

---@param parser table
function demo.declare(parser)
  parser:argument("folder", "a new folder for the files and the results"):target("folder"):default("llama-cloud-demo")
  parser:epilog("Example:\n  llama-cloud demo")
end

-- Writes a file. Raises what there is to do where that fails.
local function write(path, content)
  local file, problem = io.open(path, "wb")
  local written = file and file:write(content)
  if file then
    local closed, late = file:close()
    written, problem = written and closed, late
  end
  if not written then
    error(("cannot write %s: %s; name a folder where there is room: llama-cloud demo FOLDER"):format(path, problem), 0)
  end
end

-- Makes the folder with the files. Raises wrong use where there is something already.
local function make_files(lfs, folder)
  for _, name in ipairs { "", "/in", "/in/invoices" } do
    local made, problem = lfs.mkdir(folder .. name)
    if not made then
      problem = ("cannot make the folder %s: %s; give the name of a new one: llama-cloud demo FOLDER"):format(
        folder .. name,
        problem
      )
      error(act.usage(problem), 0)
    end
  end
  for name, content in pairs(FILES) do
    write(("%s/in/%s"):format(folder, name), content)
  end
end

---@param _ nil
---@param result table
---@param state table
---@return integer code
function demo.run(_, result, state)
  local lfs, missing = source.file_system()
  if not lfs then
    error(act.usage(missing), 0)
  end
  local sandbox = require("llama_cloud.sandbox")
  local folder = result.folder
  make_files(lfs, folder)
  state.hint = function()
    return "to begin again, remove the folder that it has made: rm -r " .. again.quoted(folder)
  end
  local arguments = {
    "process",
    folder .. "/in",
    "--configuration",
    "cfg-PARSE_AGENTIC",
    "--expand",
    "markdown_full",
    "--output",
    folder .. "/out",
    "--journal",
    folder .. "/journal.jsonl",
  }
  output.write("$ " .. again.line(arguments) .. "\n")
  return sandbox.with({ batches = 0, jobs = 0, speed = 20 }, function(client)
    state.arguments = nil -- this cannot be done again: the sandbox ends
    local _, now = process.run(client, require("llama_cloud.cli").parser():parse(arguments), state)
    progress.say(
      ("the files are in %s/in, the results in %s/out; one file is empty, to show what fails"):format(folder, folder)
    )
    return now.done == 3 and now.failed == 1 and 0 or 1 -- one of the files is empty, which is part of what it shows
  end)
end

return demo

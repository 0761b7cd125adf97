-- A folder in, results out: parses every file below a folder, and can be started again after whatever has ended it.
--
--   scripts/lua examples/parse_folder.lua FOLDER OUTPUT       the key is in LLAMA_CLOUD_API_KEY
--
-- The markdown of FOLDER/a/report.pdf becomes OUTPUT/a/report.pdf.md. OUTPUT.jsonl, the journal, says what has been done:
-- started again, the program uploads and pays nothing twice. A file that fails is reported, and the others go on. The exit
-- status is 1 as long as there are files that have failed; the option retry_failed processes them again.

local llama_cloud = require("llama_cloud")

local folder, output = arg[1], arg[2]
if not output then
  io.stderr:write("usage: parse_folder.lua FOLDER OUTPUT\n")
  os.exit(2)
end
output = output:gsub("(.)/+$", "%1")

local client = llama_cloud.new()
local failed = 0

local function clear_line()
  io.stderr:write("\r\27[K")
end

for file in
  client.batches:process(folder, {
    config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } },
    expand = { "markdown_full" },
  }, {
    journal = output .. ".jsonl",
    output = output,
    delete_directories = true,
    on_progress = function(progress)
      failed = progress.failed -- in earlier runs, too
      clear_line()
      io.stderr:write(("%d of %d files done, %d failed"):format(progress.done, progress.walked, failed))
    end,
  })
do
  clear_line()
  if file.error then
    io.stderr:write(("%s: %s\n"):format(file.name, file.error.message))
  else
    print(table.concat(file.output, " "))
  end
end
io.stderr:write("\n")
os.exit(failed == 0, true)

-- A folder in, results out: parses every file below a folder, and can be started again after whatever has ended it.
--
--   scripts/lua examples/parse_folder.lua FOLDER OUTPUT       the key is in LLAMA_CLOUD_API_KEY
--
-- The markdown of FOLDER/a/report.pdf becomes OUTPUT/a/report.pdf.md. What has been done is in OUTPUT.jsonl, the journal: started
-- again, it uploads and pays nothing twice. A file that fails is reported, and the others go on; the exit status is 1 then.

local llama_cloud = require("llama_cloud")

local folder, output = arg[1], arg[2]
if not output then
  io.stderr:write("usage: parse_folder.lua FOLDER OUTPUT\n")
  os.exit(2)
end
output = output:gsub("(.)/+$", "%1")

local client = llama_cloud.new()
local failed = 0

for file in
  client.batches:process(folder, {
    config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } },
    expand = { "markdown_full" },
  }, {
    journal = output .. ".jsonl",
    output = output,
    delete_directories = true,
    on_progress = function(progress)
      local ended = progress.done + progress.failed
      io.stderr:write(("\r%d of %d files, %d uploaded "):format(ended, progress.walked, progress.uploaded))
    end,
  })
do
  if file.error then
    failed = failed + 1
    io.stderr:write(("\r%s: %s\n"):format(file.name, file.error.message))
  else
    print(table.concat(file.output, " "))
  end
end
io.stderr:write("\n")
os.exit(failed == 0, true)

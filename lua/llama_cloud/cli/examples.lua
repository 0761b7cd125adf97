--- An example for each command: written here, or made of values that look like the real ones.

local examples = {}

local WRITTEN = {
  ["batches create"] = "llama-cloud batches create --source-directory-id dir-123 "
    .. '--config \'{"job": {"type": "parse_v2", "configuration_id": "cfg-PARSE_AGENTIC"}}\'',
  ["batches list"] = "llama-cloud batches list --status RUNNING --format jsonl",
  ["batches get"] = "llama-cloud batches get bat-123 --expand results",
  ["batches run"] = "llama-cloud batches run --source-directory-id dir-123 --config @batch.json",
  ["batches wait-all"] = "llama-cloud batches list --status RUNNING --fields id --format csv | tail -n +2 | "
    .. "llama-cloud batches wait-all -",
  ["parsing create"] = "llama-cloud parsing create --upload-file report.pdf --tier agentic --version latest",
  ["parsing run"] = "llama-cloud parsing run --upload-file report.pdf --tier agentic --version latest "
    .. "--expand markdown_full",
  ["parsing get"] = "llama-cloud parsing get pjb-123 --expand markdown_full --fields markdown_full --format json",
  ["parsing download"] = "llama-cloud parsing download pjb-123 xlsx_content_metadata tables.xlsx",
  ["files list"] = "llama-cloud files list --order-by created_at --fields id,name --format csv",
  ["extract create"] = "llama-cloud extract create --file-input dfl-123 --configuration @schema.json",
}

local VALUES = {
  batch_id = "bat-123",
  body = "@body.json",
  categories = "@categories.json",
  config = "@config.json",
  configuration_id = "cfg-123",
  data_schema = "@schema.json",
  directory_file_id = "dfl-123",
  directory_id = "dir-123",
  source_directory_id = "dir-123",
  file_id = "file-123",
  file_input = "dfl-123",
  file = "report.pdf",
  upload_file = "report.pdf",
  job_config = "@job.json",
  item_id = "itm-123",
  name = "invoices",
  path = "report.pdf",
  purpose = "parse",
  source_id = "file-123",
  webhook_url = "https://example.com/hook",
}

-- Ids of jobs, by the resource's first word or its last.
local JOBS = { parsing = "pjb-123", extract = "ext-123", classify = "cls-123", split = "spl-123" }

local function value_of(command, name, type_name)
  if name == "job_id" then
    return JOBS[command.place[#command.place]] or "job-123"
  elseif VALUES[name] then
    return VALUES[name]
  elseif type_name == "table" or type_name == "array" or type_name == "json" then
    return ("@%s.json"):format(name)
  elseif type_name == "integer" or type_name == "count" then
    return "10"
  end
  return name:find("_id$") and "id-123" or name:gsub("_", "-")
end

--- The example of a command.
---@param command LlamaCloud.Cli.Command
---@return string
function examples.of(command)
  local words = table.concat(command.words, " ")
  if WRITTEN[words] then
    return WRITTEN[words]
  end
  local parts = { "llama-cloud", words }
  for _, name in ipairs(command.ids) do
    parts[#parts + 1] = value_of(command, name)
  end
  if command.kind == "wait_all" then
    parts[#parts + 1] = value_of(command, command.id_name) .. " " .. value_of(command, command.id_name):gsub("3$", "4")
  end
  for _, one in ipairs(command.parameters) do
    if one.required then
      parts[#parts + 1] = ("--%s %s"):format(one.name:gsub("_", "-"), value_of(command, one.name, one.type))
    end
  end
  if command.kind == "list" then
    parts[#parts + 1] = "--format jsonl"
  end
  return table.concat(parts, " ")
end

return examples

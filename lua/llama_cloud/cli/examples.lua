--- An example for each command: written here, or made of values that look like the real ones.

local examples = {}

local WRITTEN = {
  ["batches create"] = "llama-cloud batches create --source-directory-id dir-123 "
    .. '--config \'{"job": {"type": "extract_v2", "configuration_id": "cfg-123"}}\'',
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
}

-- What is optional by the declaration, and yet needed: of two flags one, or something to change. That of create is that of run.
local MORE = {
  ["beta batch create"] = "--directory-id dir-123",
  ["beta directories update"] = "--name invoices-2026",
  ["beta directories files update"] = "--metadata '{\"year\": 2026}'",
  ["beta split create"] = "--configuration-id cfg-123",
  ["classify create"] = "--file-input dfl-123 --configuration-id cfg-123",
  ["configurations update"] = "--name invoices-2026",
  ["extract create"] = "--configuration @schema.json",
  ["extract generate-schema"] = "--file-id file-123",
  ["split create"] = "--configuration-id cfg-123",
  ["webhook-configs update"] = "--webhook-url https://example.com/hook",
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

-- Ids that are named alike, by the last word of the resource.
local IDS = {
  classify = "cls-123",
  configurations = "cfg-123",
  extract = "ext-123",
  parsing = "pjb-123",
  projects = "prj-123",
  split = "spl-123",
  v2_projects = "prj-123",
  webhook_configs = "whc-123",
}

local function value_of(command, name, type_name)
  local id = IDS[command.place[#command.place]]
  if VALUES[name] or name == "job_id" then
    return VALUES[name] or id or "job-123"
  elseif type_name == "table" or type_name == "array" or type_name == "json" then
    return ("@%s.json"):format(name)
  elseif type_name == "integer" or type_name == "count" then
    return "10"
  end
  return name:find("_id$") and (id or "id-123") or name:gsub("_", "-")
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
  parts[#parts + 1] = MORE[words:gsub(" run$", " create")]
  if command.kind == "list" then
    parts[#parts + 1] = "--format jsonl"
  end
  return table.concat(parts, " ")
end

return examples

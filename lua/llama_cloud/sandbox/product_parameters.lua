-- What the parameters of each product may be in a saved configuration, which names its product. What is nested deeper than
-- here passes as it is.

local parse_options = require("llama_cloud.sandbox.parse_options")
local validate = require("llama_cloud.sandbox.validate")

local product_parameters = {}

--- The declarations of each product's parameters.
---@type table<string, table[]>
product_parameters.DECLARED = {}

local function side(name)
  return { name, "number", min = 0, max = 1, nullable = true }
end

--- What a parse job and a saved configuration for it have in common.
product_parameters.PARSE = {
  { "disable_cache", "boolean", nullable = true },
  { "client_name", "string", nullable = true },
  { "agentic_options", "object", nullable = true },
  { "fast_options", "object", nullable = true },
  { "crop_box", "object", members = { side("top"), side("bottom"), side("left"), side("right") } },
  {
    "page_ranges",
    "object",
    members = {
      { "max_pages", "integer", min = 1, nullable = true },
      { "target_pages", "string", nullable = true },
    },
  },
  { "input_options", "object" },
  { "output_options", "object" },
  {
    "processing_control",
    "object",
    members = {
      {
        "job_failure_conditions",
        "object",
        nullable = true,
        members = { { "allowed_page_failure_ratio", "number", min = 0, max = 1, nullable = true } },
      },
    },
  },
  { "processing_options", "object" },
  { "webhook_configuration_ids", "array", of = "string", nullable = true },
  { "webhook_configurations", "array", of = "object" },
}

product_parameters.DECLARED.parse_v2 = table.move(product_parameters.PARSE, 1, #product_parameters.PARSE, 3, {
  { "tier", "enum", required = true, values = parse_options.TIERS },
  { "version", "string", required = true, min_length = 1 },
})

product_parameters.DECLARED.extract_v2 = {
  { "data_schema", "object", required = true },
  { "tier", "enum", values = { "cost_effective", "agentic", "agentic_plus", "turbo" } },
  { "version", "string" },
  { "extraction_target", "enum", values = { "per_doc", "per_page", "per_table_row" } },
  { "cite_sources", "boolean" },
  { "confidence_scores", "boolean" },
  { "disable_cache", "boolean" },
  { "spreadsheet_mode", "boolean" },
  { "max_pages", "integer", min = 1, nullable = true },
  { "target_pages", "string", nullable = true },
  { "system_prompt", "string", nullable = true },
  { "parse_tier", "string", nullable = true },
  { "parse_config_id", "string", nullable = true },
  { "sheet_names", "array", of = "string", nullable = true },
}

product_parameters.DECLARED.classify_v2 = {
  {
    "rules",
    "array",
    required = true,
    of = "object",
    min_items = 1,
    members = {
      { "type", "string", required = true, min_length = 1 },
      { "description", "string", required = true },
    },
  },
  { "mode", "enum", values = { "FAST" } },
  { "parsing_configuration", "object", nullable = true },
}

product_parameters.DECLARED.split_v1 = {
  {
    "categories",
    "array",
    required = true,
    of = "object",
    min_items = 1,
    members = {
      { "name", "string", required = true, min_length = 1 },
      { "description", "string", nullable = true },
    },
  },
  {
    "splitting_strategy",
    "object",
    members = {
      { "allow_uncategorized", "enum", values = { "include", "forbid", "omit" } },
      { "custom_instructions", "string", nullable = true },
      { "min_pages_per_split", "integer", min = 1 },
    },
  },
  { "parse_tier", "string", nullable = true },
  { "parse_config_id", "string", nullable = true },
  { "target_pages", "string", nullable = true },
  { "version", "string", nullable = true },
}

product_parameters.DECLARED.spreadsheet_v1 = {}
product_parameters.DECLARED.unknown = {}

--- Checks parameters that name their product.
---@param parameters table
---@param products string[] those that may be named
---@param loc (string|integer)[]
---@param problems llama_cloud.sandbox.problem[]
function product_parameters.check(parameters, products, loc, problems)
  local tag = parameters.product_type
  if tag == nil then
    local message = "Unable to extract tag using discriminator 'product_type'"
    return validate.add(problems, "union_tag_not_found", loc, message, parameters, { discriminator = "'product_type'" })
  end
  for _, product in ipairs(products) do
    if tag == product then
      local deeper = table.move(loc, 1, #loc, 1, {})
      deeper[#deeper + 1] = product
      return validate.members(parameters, product_parameters.DECLARED[product], deeper, problems)
    end
  end
  local expected = "'" .. table.concat(products, "', '") .. "'"
  validate.add(
    problems,
    "union_tag_invalid",
    loc,
    "Input tag '"
      .. tostring(tag)
      .. "' found using 'product_type' does not match any of the expected tags: "
      .. expected,
    parameters,
    { discriminator = "'product_type'", tag = tostring(tag), expected_tags = expected }
  )
end

return product_parameters

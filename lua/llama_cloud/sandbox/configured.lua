-- Jobs that are created with a configuration of their own or a stored one: how that is found.

local endpoint = require("llama_cloud.sandbox.endpoint")
local seed = require("llama_cloud.sandbox.seed")
local sources = require("llama_cloud.sandbox.sources")
local webhooks = require("llama_cloud.sandbox.webhooks")

local configured = {}

--- The answer that refuses the id of a configuration; nil if it is good for jobs of this product. An id that nobody made is
--- good, too, as with directories, unless it contains `missing`.
---@param sandbox table
---@param id? string
---@param product_type string
---@return integer? status
---@return string? text
function configured.refusal(sandbox, id, product_type)
  local store = sandbox.configurations
  local was_saved = id and seed.number("cfg", store.scope, id)
  local saved = id and store:find(id)
  if was_saved and not saved or id and id:find("missing", 1, true) then
    return endpoint.detail(404, "Configuration not found")
  elseif saved and saved.product_type ~= product_type then
    return endpoint.detail(400, "Configuration is for " .. saved.product_type .. ", not for " .. product_type)
  end
end

--- Creates a job, or finds the one that was created with the same transaction id: then nothing else is looked at.
---@param sandbox table
---@param request table
---@param of { kind: string, store: string, product_type: string, made_up?: table, input: string, refusal?: string } `made_up`
--- is for what is configured by an id that nobody made, `refusal` why it cannot be created
---@return integer? number nil: the answer follows
---@return integer? status
---@return string? text
function configured.create(sandbox, request, of)
  local body, store, project_id = request.body, sandbox[of.store], request.query.project_id
  local transaction_id = endpoint.given(body, "transaction_id")
  local earlier = transaction_id and store:of_transaction(project_id, transaction_id)
  if earlier then
    return earlier
  end
  if of.refusal then
    return nil, endpoint.detail(400, of.refusal)
  end
  local source, status, text = sources.find(sandbox, of.input)
  if not source then
    return nil, status, text
  end
  local configuration_id = endpoint.given(body, "configuration_id")
  status, text = configured.refusal(sandbox, configuration_id, of.product_type)
  if status then
    return nil, status, text
  end
  local hooks
  hooks, status, text = webhooks.of(sandbox, body)
  if not hooks then
    return nil, status, text
  end
  local options = endpoint.given(body, "configuration")
    or sandbox.configurations:parameters(configuration_id)
    or of.made_up
  local number = store:create({
    input = source.input,
    name = source.name,
    key = source.key,
    kind = source.kind,
    options = store:share(options),
    configuration_id = configuration_id,
  }, project_id, transaction_id)
  webhooks.watch(sandbox, of.kind, store, number, hooks)
  return number
end

return configured

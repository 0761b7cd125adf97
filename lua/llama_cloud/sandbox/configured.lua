-- Jobs that are created with a configuration of their own or a stored one: how that is found.

local endpoint = require("llama_cloud.sandbox.endpoint")
local product = require("llama_cloud.sandbox.product")
local sources = require("llama_cloud.sandbox.sources")
local webhooks = require("llama_cloud.sandbox.webhooks")

local configured = {}

--- The configuration that the body of a creation asks for, `made_up` where the id is of none that is stored; or nil and the
--- answer that refuses it.
---@param sandbox table
---@param body table
---@param made_up table
---@return table?
---@return integer? status
---@return string? text
function configured.find(sandbox, body, made_up)
  local own, id = product.given(body, "configuration"), product.given(body, "configuration_id")
  if own then
    return own
  elseif id:find("missing", 1, true) then
    return nil, endpoint.detail(404, "Configuration not found")
  end
  return sandbox.configurations and sandbox.configurations:parameters(id) or made_up
end

--- Creates a job, or finds the one that was created with the same transaction id: then nothing else is looked at.
---@param sandbox table
---@param request table
---@param of { kind: string, store: string, made_up: table, input: string }
---@return integer? number nil: the answer follows
---@return integer? status
---@return string? text
function configured.create(sandbox, request, of)
  local body, store, project_id = request.body, sandbox[of.store], request.query.project_id
  local transaction_id = product.given(body, "transaction_id")
  local earlier = transaction_id and store:of_transaction(project_id, transaction_id)
  if earlier then
    return earlier
  end
  local source, status, text = sources.find(sandbox, of.input)
  if not source then
    return nil, status, text
  end
  local options, hooks
  options, status, text = configured.find(sandbox, body, of.made_up)
  if not options then
    return nil, status, text
  end
  hooks, status, text = webhooks.of(sandbox, body)
  if not hooks then
    return nil, status, text
  end
  local number = store:create({
    input = source.input,
    name = source.name,
    key = source.key,
    kind = source.kind,
    options = store:share(options),
    configuration_id = product.given(body, "configuration_id"),
  }, project_id, transaction_id)
  webhooks.watch(sandbox, of.kind, store, number, hooks)
  return number
end

return configured

--- The methods of waiting, out of a resource's own calls.

local call = require("llama_cloud.endpoint.call")
local crowd = require("llama_cloud.endpoint.wait_all")
local options = require("llama_cloud.endpoint.options")
local pages = require("llama_cloud.endpoint.pages")
local polling = require("llama_cloud.endpoint.wait")
local tables = require("llama_cloud.base.tables")

local waiting = {}

---@class LlamaCloud.Method what endpoint/init.lua makes a method of
---@field ids integer how many arguments come before params
---@field parameters table<string, string> name to type
---@field options table<string, string> name to type
---@field prepare fun(state: LlamaCloud.State, ids: any[], params: table, given: table): any, string? what runs, or the problem
---@field run? fun(prepared: any): any ... runs that; nil: it is a function
---@field refuse? fun(id: any): string? what is wrong with the first argument, whatever else there is

--- Makes them.
---@param rule table the declaration, see wait.lua
---@param declared table<string, LlamaCloud.Declared> the resource's own methods
---@param create function prepares the creation
---@return table<string, LlamaCloud.Method>
function waiting.methods(rule, declared, create)
  local api = {
    waiting = rule,
    plans = { __index = { waiting = rule } },
    id_name = declared[rule.get].ids[1],
    creation = declared[rule.create].options,
    get = function(state, ids, params, given)
      return call.build(declared[rule.get], state, ids, params, given)
    end,
    create = create,
    list = function(state, ids, params, given)
      return pages.list(declared[rule.sweep.list], state, ids, params, given)
    end,
  }
  local methods = polling.methods(api)
  methods.wait_all = crowd.method(api)
  for name, method in pairs(methods) do
    local types = tables.merged(call.options, polling.options, method.options)
    local parameters = declared[name == "run" and rule.create or rule.get].types
    method.parameters, method.options = parameters, types
    local prepare = method.prepare
    method.prepare = function(state, ids, params, given)
      local problem = options.check("parameter", params, parameters, types)
        or options.check("option", given, types, parameters)
        or polling.check(given, name == "run")
      if problem then
        return nil, problem
      end
      params, given = options.with_arrays(params, parameters), options.with_arrays(given, types)
      return prepare(state, ids, options.kept(params, parameters), options.kept(given, types))
    end
  end
  return methods
end

return waiting

--- A declaration (method, path, parameters, pagination) becomes a method of a resource.
---
--- A declaration:
---   "GET /api/v2/batches/{batch_id}"   the method and the path; each {name} is an argument before params
---   query, header, body                arrays of { name, type, required = true? }, in the order of the API reference;
---                                      a type is one of options.lua. `body` present: a JSON body is always sent
---   pagination                         { kind = "cursor"|"offset", … }: the method returns a list object
---   form                               the parts of a form (multipart/form-data), in place of `body`: "string", "json" (a
---                                      table, sent as JSON) …, and one "file", which goes last; `wire` is its name there
---   upload                             { "POST /path", file = { name, "file" }, json = name, excludes = names }: beside
---                                      `body`, where calls with a file go; what the body would hold is the text part
---                                      `json`, and `excludes` are parameters that cannot be given with the file
---   returns                            "array": a JSON array; "nothing": true, whatever a 2xx holds; an object by default
---   reconcile                          { list, by, same }: the option `reconcile` looks a lost creation up in that list,
---                                      among those with the same `by`, by its `same` if one is named
---   repeatable                         a POST or PATCH that does no harm when it is sent twice
---   idempotency                        the member of the body by which the service knows a repetition; generated if not given
---   accept                             another Accept header
---
--- A member `download` without a path makes a method of that name: { from = "get" } names the method whose answer is the
--- PresignedURL of a file; (ids…, path, options). With `results`, the answer is a job that shows addresses: the field
--- `results` maps names to { presigned_url, size_bytes, exists }, the field `images` has an array `images` of { filename,
--- presigned_url }, which the parameter `image_names` narrows, and `expand` are its values that ask for `results`; (job, name,
--- path, options).

local later = require("llama_cloud.base.later")
local call = require("llama_cloud.endpoint.call")
local download = later.require("llama_cloud.endpoint.download")
local fields = later.require("llama_cloud.endpoint.fields")
local headers = later.require("llama_cloud.http.headers")
local nearest = later.require("llama_cloud.endpoint.nearest")
local options = require("llama_cloud.endpoint.options")
local pages = later.require("llama_cloud.endpoint.pages")
local polling = later.require("llama_cloud.endpoint.wait")
local reconcile = later.require("llama_cloud.endpoint.reconcile")
local request = require("llama_cloud.http.request")
local tables = require("llama_cloud.base.tables")
local waiting = later.require("llama_cloud.endpoint.waiting")

local endpoint = {}

local WAITING = { wait = true, watch = true, run = true, wait_all = true } -- the methods of waiting.lua

local states = setmetatable({}, { __mode = "k" }) -- resource -> the state of its client; not a field, because it holds the key

-- What prepares a list.
local function listing(declared)
  return function(state, ids, params, given)
    local list, problem = pages.list(declared, state, ids, params, given)
    if not list then
      return nil, problem
    end
    return function()
      return list, nil, nil, list
    end
  end
end

-- run, which also warns of field names that its answer does not have.
local function watched(run, watch)
  return function()
    local value, err = run()
    if value then
      watch:see(value)
      watch:tell()
    end
    return value, err
  end
end

-- run for a creation: it also logs what was created, and looks for it if the answer was lost. Nil and the problem.
local function creating(declared, members, run, state, arguments, made)
  local remember = declared.reconcile and reconcile.remember
  if arguments.given.reconcile then
    local problem
    run, problem = reconcile.prepare(declared, members[declared.reconcile.list], run, state, arguments, made)
    if not run then
      return nil, problem
    end
  end
  return function()
    local value, err = run()
    if type(value) == "table" and type(value.id) == "string" then
      if made.log:wants("info") then
        made.log:put("info", ("%s created %s"):format(declared.title, value.id), { id = value.id })
      end
      if remember then
        remember(state.shared.created, value)
      end
    end
    return value, err
  end
end

-- What prepares a declared method: something to run, made of checked arguments; nil and the problem.
local function preparation(declared, members)
  if declared.pagination then
    return listing(declared)
  end
  local creates = declared.method == "POST" and (declared.idempotency ~= nil or not declared.repeatable)
  return function(state, ids, params, given)
    local made, problem = call.build(declared, state, ids, params, given)
    if not made then
      return nil, problem
    end
    local function run()
      return request.perform(state, made)
    end
    local watch = made.fields and fields.watch(made.fields, state)
    if watch then
      return watched(run, watch)
    end
    if creates then
      return creating(declared, members, run, state, { ids = ids, params = params, given = given }, made)
    end
    return run
  end
end

-- What a method has to run for its arguments: ids, params and options. Nil and the problem.
local function prepared(class, member, method, self, ...)
  if getmetatable(self) ~= class then
    return nil, ("call it with a colon: client.%s:%s(…)"):format(class.place, member)
  end
  local state, count, ids = states[self], method.ids, { ... }
  local params, given = ids[count + 1], ids[count + 2]
  if not method.parameters then
    params, given = nil, params
    count = count - 1
  end
  local problem = method.refuse and method.refuse(ids[1])
  if problem then
    return nil, problem
  elseif select("#", ...) > count + 2 then
    return nil, ("too many arguments for %s:%s"):format(class.place, member)
  elseif state.closed then
    return nil, "attempt to use a closed client: make another with llama_cloud.new"
  end
  if params == nil then
    params = {}
  else
    params, problem = options.shown("parameter", params, method.parameters)
  end
  if not problem then
    given, problem = options.read(given, method.options)
  end
  if problem then
    return nil, problem
  end
  return method.prepare(state, ids, params, given)
end

-- The level of a method's caller, for error(). After a tail call, such as the last one in a function that is given to `map`,
-- the code found there may be the task's own: its line would put the fault in this module, so no line is shown.
local function blamed()
  local caller = debug and debug.getinfo and debug.getinfo(3, "S")
  return caller and caller.source:find("llama_cloud/loop/", 1, true) and 0 or 2
end

-- Adds a method. What is wrong with its arguments is raised at the caller's line.
local function add(class, member, method)
  local run = method.run
  class.__index[member] = function(self, ...)
    local subject, problem = prepared(class, member, method, self, ...)
    if not subject then
      error(problem, blamed())
    elseif run then
      return run(subject)
    end
    return subject()
  end
end

-- A method that is a module beside the client: checked like the others, and given the client as programs have it.
local function beside(module)
  return setmetatable({
    prepare = function(state, ids, params, given)
      local known = module.method
      local problem = options.check("parameter", params, known.parameters, known.options)
        or options.check("option", given, known.options, known.parameters)
        or given.headers and headers.check(given.headers)
        or polling.check(given, true)
      if problem then
        return nil, problem
      end
      params = options.without_nulls(params)
      local service = { base = state.base, scope = state.scope }
      return known.prepare(state:face(), service, ids[1], params, given)
    end,
  }, {
    __index = function(_, field) -- loads the module, when the method is called
      return field ~= "run" and module.method[field] or nil
    end,
  })
end

-- The method that downloads.
local function downloading(rule, declared)
  return {
    ids = rule.results and 3 or 2,
    options = call.download_options,
    prepare = function(state, ids, _, given)
      return download.prepare_method(rule, declared[rule.from], state, ids, given)
    end,
  }
end

-- Looks for a member that is not there: a method of waiting, which are all made when the first is asked for; or a misspelt
-- name, which is an error at the caller's line. Names that are no methods are nil, for code that asks what kind of value it has.
local function look_up(class, declaration, declared)
  return function(methods, member)
    if declaration and WAITING[member] then
      local create = preparation(declared[declaration.create], declared)
      for name, method in pairs(waiting.methods(declaration, declared, create)) do
        add(class, name, method)
      end
      declaration = nil
      return methods[member]
    elseif type(member) == "string" and not member:find("^_") then
      error(nearest.no_method(member, tables.merged(methods, class.children, declaration and WAITING)), 2)
    end
  end
end

--- Declares a resource. String keys hold declarations (tables with a string at [1]) or further resources; `waiting` is
--- what wait.lua and wait_all.lua need to know.
---@param name string as it is reached from the client: "beta.batch"
---@param members table<string, table>
---@return table resource for endpoint.bind; its `bind` does that, for whoever has the module only; `members` is what was declared
function endpoint.resource(name, members)
  local class = { __name = "llama_cloud." .. name, __index = {}, place = name, children = {}, members = members }
  function class.__tostring()
    return class.__name
  end
  local declared = {}
  for member, declaration in pairs(members) do
    if type(declaration[1]) == "string" then
      declared[member] = call.declare(declaration)
    elseif member ~= "waiting" and not declaration.from then
      class.children[member] = declaration
    end
  end
  for member, one in pairs(declared) do
    local prepare = preparation(one, declared)
    add(class, member, { ids = #one.ids, parameters = one.types, options = one.options, prepare = prepare })
  end
  if members.download and members.download.from then
    add(class, "download", downloading(members.download, declared))
  end
  setmetatable(class.__index, { __index = look_up(class, members.waiting, declared) })
  function class.bind(state)
    return endpoint.bind(class, state)
  end
  return class
end

--- Makes the resource of one client out of a declared one.
---@param class table
---@param state LlamaCloud.State
---@return table
function endpoint.bind(class, state)
  local resource = {}
  for name, module in pairs(state.beside and state.beside[class.place] or {}) do
    if not rawget(class.__index, name) then
      add(class, name, beside(module))
    end
  end
  for name, child in pairs(class.children) do
    resource[name] = endpoint.bind(child, state)
  end
  states[resource] = state
  return setmetatable(resource, class)
end

return endpoint

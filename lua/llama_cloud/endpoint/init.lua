--- A declaration (method, path, parameters, pagination) becomes a method of a resource.
---
--- A declaration:
---   "GET /api/v2/batches/{batch_id}"   the method and the path; each {name} is an argument before params
---   query, header, body                arrays of { name, type, required = true? }, in the order of the API reference;
---                                      a type is one of options.lua. `body` present: a JSON body is always sent
---   pagination                         { kind = "cursor"|"offset", … }: the method returns a list object
---   reconcile                          { list, by, same }: the option `reconcile` looks a lost creation up in that list,
---                                      among those with the same `by`, by its `same`
---   repeatable                         a POST that does no harm when it is sent twice
---   accept                             another Accept header

local body_json = require("llama_cloud.endpoint.body")
local core = require("llama_cloud.core")
local crowd = require("llama_cloud.endpoint.wait_all")
local date = require("llama_cloud.http.date")
local fields = require("llama_cloud.endpoint.fields")
local headers = require("llama_cloud.http.headers")
local options = require("llama_cloud.endpoint.options")
local pagination = require("llama_cloud.endpoint.list")
local polling = require("llama_cloud.endpoint.wait")
local reconcile = require("llama_cloud.endpoint.reconcile")
local request = require("llama_cloud.http.request")
local text = require("llama_cloud.base.text")
local url = require("llama_cloud.http.url")

local endpoint = {}

local states = setmetatable({}, { __mode = "k" }) -- resource -> the state of its client; not a field, for it holds the key

--- The options that any call takes.
local call_options = {
  timeout = "seconds",
  total_timeout = "seconds",
  max_retries = "count",
  headers = "table",
  query = "table",
  body = "table",
}
endpoint.call_options = call_options

local HARMLESS = { GET = true, PUT = true, DELETE = true } -- idempotent by RFC 9110 section 9.2.2

---@class LlamaCloud.Options options of one call
---@field timeout? number seconds for one attempt
---@field total_timeout? number seconds for the whole call: queueing, pauses and all attempts; of a list: for each page
---@field max_retries? integer
---@field headers? table<string, string|false> over the client's; false leaves one out
---@field query? table<string, any> over what the method built, for parameters that this version does not know
---@field body? table<string, any> over what the method built, likewise
---@field fields? string[] of a GET: only these fields of the answer, or of each item, are decoded
---@field prefetch? boolean of a list: false: no page is asked for before it is needed
---@field concurrency? integer of a list by offset: how many pages may be under way at once, where the total is known; 8

--- Puts what belongs to one call's options into a call. Everything is checked before.
---@param call table
---@param state LlamaCloud.State
---@param given table
function endpoint.apply_limits(call, state, given)
  call.timeout = given.timeout or state.options.timeout
  call.total_timeout = given.total_timeout or state.options.total_timeout
  call.max_retries = given.max_retries or state.options.max_retries
end

local function null_to_nil(value)
  if value ~= core.null then
    return value
  end
end

-- A value as it goes into a query or a header.
local function plain(value, type_name)
  if type_name == "date" and type(value) == "number" then
    return date.format(value)
  end
  return value
end

-- A value as it goes into the body: what is declared an integer or an array is written as one.
local function bodily(value, type_name)
  if value == core.null then
    return value
  elseif type_name == "integer" then
    return math.tointeger(value)
  elseif (type_name == "array" or type_name == "strings") and next(value) == nil then
    return core.array {}
  end
  return plain(value, type_name)
end

-- Why a path id cannot be sent, or nil.
local function bad_id(name, id)
  if type(id) ~= "string" then
    local hint = type(id) == "table" and type(id.id) == "string" and ": give its 'id'" or ""
    return ("%s must be a string, not %s%s"):format(name, type(id), hint)
  elseif id == "" then
    return ("%s must not be empty"):format(name)
  elseif id == "." or id == ".." then
    return ("%s must not be '%s'"):format(name, id) -- it would lead to another path (RFC 3986 section 5.2.4)
  elseif text.breaks_line(id) then
    return ("%s contains a line break or NUL"):format(name)
  end
end

-- Whether a value can stand in a query; null can, for it is left out. No parameter of the API has lines: a line break is
-- a file that was read with its last one, say.
local function is_scalar(value)
  if type(value) == "number" then
    return value == value and math.abs(value) < math.huge
  elseif type(value) == "string" then
    return not text.breaks_line(value)
  end
  return type(value) == "boolean" or value == core.null
end

-- A value that cannot stand in a query, for a complaint.
local function called(value)
  if type(value) == "string" then
    return "hold a line break or NUL"
  end
  return "be " .. (type(value) == "number" and text.number(value) or "a " .. type(value))
end

-- What is wrong with the values of a query, or nil: each is a scalar or an array of scalars.
local function bad_query(query)
  for name, value in pairs(query) do
    if type(name) ~= "string" then
      return ("option 'query' has a name that is a %s"):format(type(name))
    elseif not is_scalar(name) then
      return "a query parameter's name holds a line break or NUL"
    elseif type(value) == "table" then
      if not rawequal(core.shown(value), value) then
        return ("query parameter %s cannot be a table that shows other fields than it holds"):format(text.quote(name))
      end
      local count = 0
      for _ in pairs(value) do
        count = count + 1
      end
      for position = 1, count do
        if value[position] == nil then
          return ("query parameter %s cannot be a table that is not an array"):format(text.quote(name))
        elseif not is_scalar(value[position]) then
          return ("query parameter %s cannot %s"):format(text.quote(name), called(value[position]):gsub("^be", "hold"))
        end
      end
    elseif not is_scalar(value) then
      return ("query parameter %s cannot %s"):format(text.quote(name), called(value))
    end
  end
end
endpoint.bad_query = bad_query

-- A declaration, taken apart once.
local function compile(declaration)
  local method, path = declaration[1]:match("^([A-Z]+) (/[^ ]*)$")
  local compiled = {
    method = method,
    path = path,
    ids = {},
    types = {}, -- of all parameters
    required = {},
    order = {}, -- of the query
    header_names = {},
    query_names = {},
    body_names = {},
    declaration = declaration,
    repeatable = HARMLESS[method] or declaration.repeatable or false,
  }
  for name in path:gmatch("{([a-z0-9_]+)}") do
    compiled.ids[#compiled.ids + 1] = name
  end
  local function add(place, names, in_order)
    for _, parameter in ipairs(place or {}) do
      local name, type_name = parameter[1], parameter[2]
      compiled.types[name] = type_name
      names[name] = parameter.wire or name
      if parameter.required then
        compiled.required[#compiled.required + 1] = name
      end
      if in_order then
        compiled.order[#compiled.order + 1] = name
      end
    end
  end
  add(declaration.query, compiled.query_names, true)
  add(declaration.header, compiled.header_names)
  add(declaration.body, compiled.body_names)
  compiled.options = {}
  for name, type_name in pairs(call_options) do
    compiled.options[name] = type_name
  end
  compiled.options.reconcile = declaration.reconcile and "boolean"
  compiled.options.fields = method == "GET" and "names" or nil
  if declaration.pagination then
    compiled.options.prefetch = "boolean"
    compiled.options.concurrency = declaration.pagination.kind == "offset" and "count" or nil
  end
  return compiled
end

-- The path with its ids in it. Nil and the problem.
local function fill_path(compiled, ids)
  local path = compiled.path
  for position, name in ipairs(compiled.ids) do
    local problem = bad_id(name, ids[position])
    if problem then
      return nil, problem
    end
    -- a function, since a replacement text would have its percent signs read
    path = path:gsub("{" .. name .. "}", function()
      return url.escape_segment(ids[position])
    end, 1)
  end
  return path
end

-- The query's values: the client's defaults, its scope, the call's own, and options.query over all of them.
local function query_values(compiled, state, params, extra)
  local values = {}
  for name, value in pairs(state.options.default_query) do
    values[name] = value
  end
  for name in pairs(compiled.query_names) do
    local value = params[name]
    if value == nil then
      value = state.scope[name]
    end
    if value ~= nil then
      values[name] = plain(value, compiled.types[name])
    end
  end
  for name, value in pairs(extra or {}) do
    values[name] = value
  end
  return values
end

-- The JSON body. Nil when the call has none; nil and the problem.
local function build_body(compiled, params, extra)
  if not compiled.declaration.body and not extra then
    return nil
  end
  local body = {}
  for name in pairs(compiled.body_names) do
    if params[name] ~= nil then
      body[name] = bodily(params[name], compiled.types[name])
    end
  end
  for name, value in pairs(extra or {}) do
    body[name] = value
  end
  return body_json.encode(body)
end

-- Why the arguments cannot be sent, or nil.
local function problem_with(compiled, params, given)
  local problem = options.check("parameter", params, compiled.types, compiled.options)
    or options.check("option", given, compiled.options, compiled.types)
    or given.headers and headers.check(given.headers)
  if problem then
    return problem
  elseif given.body and compiled.method == "GET" then
    return "a GET has no body"
  end
  for _, name in ipairs(compiled.required) do
    local elsewhere = given.body and given.body[name] ~= nil
    if (params[name] == nil or params[name] == core.null) and not elsewhere then
      return ("missing parameter '%s'"):format(name)
    end
  end
  for name in pairs(compiled.header_names) do
    local value = params[name]
    if type(value) == "string" and text.breaks_line(value) then
      return ("parameter '%s' contains a line break or NUL"):format(name)
    end
  end
end

-- The call for these arguments. Nil and the problem, which is the caller's fault.
local function build(compiled, state, ids, params, given)
  local problem = problem_with(compiled, params, given)
  if problem then
    return nil, problem
  end
  params, given = options.with_arrays(params, compiled.types), options.with_arrays(given, compiled.options)
  local path
  path, problem = fill_path(compiled, ids)
  if not path then
    return nil, problem
  end
  local values = query_values(compiled, state, params, given.query)
  problem = bad_query(values)
  if problem then
    return nil, problem
  end
  local body
  body, problem = build_body(compiled, params, given.body)
  if problem then
    return nil, problem
  end
  local own
  for name, wire in pairs(compiled.header_names) do
    own = own or {}
    own[wire] = null_to_nil(params[name])
  end
  local accept = compiled.declaration.accept
  local call = {
    method = compiled.method,
    url = state.base .. path,
    headers = state:headers(body ~= nil, accept and { Accept = accept }, own, given.headers),
    body = body,
    repeatable = compiled.repeatable,
    returns = "object",
  }
  call.log = state:log_for(call.headers, given)
  if given.fields and given.fields ~= core.null then
    call.fields = table.move(given.fields, 1, #given.fields, 1, {})
  end
  endpoint.apply_limits(call, state, given)
  return call, values
end

--- What decodes the answers of one endpoint to one client.
---@param state LlamaCloud.State
---@param key any names the endpoint
---@return userdata decoder
function endpoint.decoder(state, key)
  local decoders = state.shared.decoders
  decoders[key] = decoders[key] or core.decoder()
  return decoders[key]
end

-- A method that sends one request.
local function single(compiled, state, ids, params, given)
  local call, values = build(compiled, state, ids, params, given)
  if not call then
    return nil, values
  end
  call.url = url.with_query(call.url, url.query(values, compiled.order))
  call.decoder = endpoint.decoder(state, compiled)
  return call
end

-- A method that returns a list. The list's pages differ in one query parameter, which goes last.
local function paginated(compiled, state, ids, params, given)
  local call, values = build(compiled, state, ids, params, given)
  if not call then
    return nil, values
  end
  local scheme = compiled.declaration.pagination
  local name = scheme.kind == "cursor" and "page_token" or "offset"
  local position = null_to_nil(values[name])
  local explicit = position ~= nil
  if scheme.kind == "offset" then
    position = math.tointeger(position or 0)
    if not position or position < 0 then
      return nil, "parameter 'offset' must be an integer that is not negative"
    end
  elseif position == "" then
    position = nil
  end
  local limit = null_to_nil(values.limit)
  limit = math.tointeger(tonumber(limit)) or scheme.default_limit -- options.query may hold anything
  values[name] = nil
  local base = url.with_query(call.url, url.query(values, compiled.order))
  call.returns = "page"
  call.decoder = core.decoder()
  local prefix = url.with_query(base, name .. "=")
  local latest -- a page asked for ahead is fetched by the same call
  local function page_call(at)
    if not latest or latest.position ~= at then
      local named = at and (explicit or at ~= 0)
      local target = named and prefix .. url.escape_query(text.scalar(at)) or base
      latest = setmetatable({ url = target, position = at }, { __index = call })
    end
    return latest
  end
  return pagination.new({
    scheme = scheme,
    position = position,
    limit = limit,
    url = call.url,
    decoder = call.decoder,
    narrow = call.fields ~= nil,
    prefetch = given.prefetch,
    concurrency = given.concurrency,
  }, {
    fetch = function(at, ahead)
      return request.perform(state, page_call(at), ahead)
    end,
    start = function(at)
      return request.start_ahead(state, page_call(at))
    end,
  })
end

-- What runs a creation that is looked for in the list if its answer is lost.
local function reconciled(state, members, declaration, params, given, call)
  local rule = declaration.reconcile
  local sent = assert(core.decoder():decode(call.body, { null = true })) -- the caller may change params meanwhile
  local narrowed = { [rule.by] = sent[rule.by] }
  local scope = {} -- of the query that is the caller's own
  for _, name in ipairs { "organization_id", "project_id" } do
    narrowed[name] = params[name]
    scope[name] = given.query and given.query[name]
  end
  -- total_timeout is each look's anew: what is left of the creation's own may be nothing
  local each = {
    timeout = call.timeout,
    total_timeout = call.total_timeout,
    max_retries = call.max_retries,
    headers = given.headers and options.without_nulls(given.headers), -- a copy
    query = scope,
  }
  return function()
    return reconcile.create(function()
      return request.perform(state, call)
    end, function(seconds)
      return request.pause(state, seconds, math.huge)
    end, function()
      return assert(paginated(members[rule.list], state, {}, narrowed, each))
    end, sent[rule.same], state.shared.created, call.log)
  end
end

-- run, which also tells the names of fields that its answer has not.
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

-- What prepares a declared method: something to run, made of checked arguments; nil and the problem.
local function preparation(compiled, members)
  local declaration = compiled.declaration
  if declaration.pagination then
    return function(state, ids, params, given)
      local list, problem = paginated(compiled, state, ids, params, given)
      if list and given.fields then
        list:watch(fields.watch(given.fields, state))
      end
      return list and function()
        return list, nil, nil, list
      end, problem
    end
  end
  return function(state, ids, params, given)
    local call, problem = single(compiled, state, ids, params, given)
    if not call then
      return nil, problem
    end
    local run = function()
      return request.perform(state, call)
    end
    local watch = fields.watch(call.fields, state)
    if watch then
      run = watched(run, watch)
    end
    if compiled.method ~= "POST" or compiled.repeatable then
      return run
    elseif given.reconcile then
      run = reconciled(state, members, declaration, params, given, call)
    end
    return function()
      local value, err = run()
      if type(value) == "table" and type(value.id) == "string" then
        call.log:put("info", ("%s created %s"):format(declaration[1], value.id), { id = value.id })
        if declaration.reconcile then
          reconcile.remember(state.shared.created, value.id)
        end
      end
      return value, err
    end
  end
end

-- A table of option types with more of them.
local function extended(types, more)
  local result = {}
  for name, type_name in pairs(types) do
    result[name] = type_name
  end
  for name, type_name in pairs(more or {}) do
    result[name] = type_name
  end
  return result
end

-- The methods of waiting, out of the resource's own calls.
local function waiting_methods(waiting, members)
  local api = {
    get = function(state, ids, params, given)
      return single(members[waiting.get], state, ids, params, given)
    end,
    create = preparation(members[waiting.create], members),
    list = function(state, ids, params, given)
      return paginated(members[waiting.sweep.list], state, ids, params, given)
    end,
  }
  local methods = polling.methods(api, waiting)
  methods.wait_all = crowd.method(api, waiting)
  for name, method in pairs(methods) do
    local types = extended(extended(call_options, polling.options), method.options)
    local parameters = members[name == "run" and waiting.create or waiting.get].types
    method.parameters, method.options = parameters, types
    local prepare = method.prepare
    method.prepare = function(state, ids, params, given)
      local problem = options.check("parameter", params, parameters, types)
        or options.check("option", given, types, parameters)
        or polling.check(given, name == "run")
      if problem then
        return nil, problem
      end
      return prepare(state, ids, options.with_arrays(params, parameters), options.with_arrays(given, types))
    end
  end
  return methods
end

--- Declares a resource. String keys hold declarations (tables with a string at [1]) or further resources; `waiting` is
--- what wait.lua and wait_all.lua need to know.
---@param name string as it is reached from the client: "beta.batch"
---@param members table<string, table>
---@return table resource for endpoint.bind
function endpoint.resource(name, members)
  local class = { __name = "llama_cloud." .. name, children = {} }
  local methods = {}
  class.__index = methods
  class.__tostring = function()
    return class.__name
  end

  -- Adds a method of `count` arguments, params and options. What is wrong with them is raised at the caller's line.
  local function add(member, count, prepare, parameters, types)
    methods[member] = function(self, ...)
      if getmetatable(self) ~= class then
        error(("call it with a colon: client.%s:%s(…)"):format(name, member), 2)
      end
      local state = states[self]
      local arguments = { ... }
      local params, given = arguments[count + 1], arguments[count + 2]
      params, given = params == nil and {} or params, given == nil and {} or given
      if member == "wait_all" and pagination.is_list(arguments[1]) then
        error("wait_all takes an array: give it assert(list:all())", 2)
      elseif select("#", ...) > count + 2 then
        error(("too many arguments for %s:%s"):format(name, member), 2)
      elseif state.closed then
        error("attempt to use a closed client", 2)
      end
      local run, problem, faulty
      params, problem = options.shown("parameter", params, parameters)
      given, faulty = options.shown("option", given, types)
      problem = problem or faulty
      if not problem then
        given = type(given) == "table" and options.without_nulls(given) or given
        run, problem = prepare(state, arguments, params, given)
      end
      if not run then
        error(problem, 2)
      end
      return run()
    end
  end

  local compiled = {}
  for member, declaration in pairs(members) do
    if type(declaration[1]) == "string" then
      compiled[member] = compile(declaration)
    elseif member ~= "waiting" then
      class.children[member] = declaration
    end
  end
  for member, one in pairs(compiled) do
    add(member, #one.ids, preparation(one, compiled), one.types, one.options)
  end
  if members.waiting then
    for member, method in pairs(waiting_methods(members.waiting, compiled)) do
      add(member, method.ids, method.prepare, method.parameters, method.options)
    end
  end
  return class
end

--- Makes the resource of one client out of a declared one.
---@param class table
---@param state LlamaCloud.State
---@return table
function endpoint.bind(class, state)
  local resource = {}
  for name, child in pairs(class.children) do
    resource[name] = endpoint.bind(child, state)
  end
  states[resource] = state
  return setmetatable(resource, class)
end

return endpoint

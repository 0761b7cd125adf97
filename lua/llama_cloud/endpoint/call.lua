--- A declaration, and arguments, become a call: path, query, headers and body. A path that no resource covers is called by
--- a declaration made on the spot, which has no parameters.

local later = require("llama_cloud.base.later")
local arguments = require("llama_cloud.endpoint.arguments")
local body_json = later.require("llama_cloud.endpoint.body")
local core = require("llama_cloud.core")
local form = later.require("llama_cloud.endpoint.form")
local headers = require("llama_cloud.http.headers")
local options = require("llama_cloud.endpoint.options")
local tables = require("llama_cloud.base.tables")
local text = require("llama_cloud.base.text")
local url = require("llama_cloud.http.url")

local call = {}

--- The options that any call takes.
call.options = {
  timeout = "seconds",
  total_timeout = "seconds",
  max_retries = "count",
  headers = "table",
  query = "table",
  body = "table",
}

--- Those that a call with a file takes besides.
call.transfer_options = {
  stall_timeout = "seconds",
  on_progress = "function",
}

--- Those of a download.
call.download_options = tables.merged(call.options, call.transfer_options, { size = "count" })
call.download_options.body = nil

---@class LlamaCloud.Options options of one call
---@field timeout? number seconds for one attempt (default the client's)
---@field total_timeout? number seconds for the whole call: queueing, pauses, all attempts; of a list: for each page, from the moment it is waited for (default the client's)
---@field max_retries? integer how often the call is retried; 0: not at all (default the client's)
---@field headers? table<string, string|false> they override all others; `false` leaves one out
---@field query? table<string, any> overrides what the method has built: for parameters that this version does not know
---@field body? table<string, any> likewise
---@field fields? string[] only these fields of the response, or of a list's items, are decoded. If a name never occurs, the log says so at `warn`, once (default all)
---@field prefetch? boolean whether the next page is requested ahead; if false, a page is requested only when it is needed (default true)
---@field concurrency? integer how many pages may be requested at once, if the total is known (default 8)

---@class LlamaCloud.TransferOptions: LlamaCloud.Options of a call with a file, which has no `timeout` unless it is given
---@field stall_timeout? number seconds after which an attempt ends if no byte has moved (default the client's)
---@field on_progress? fun(done: integer, total: integer?) called with the bytes of the file: at most ten times a second while the call waits, and once at the end with `done == total`. A retry begins at 0 again. An error in it ends the call

local HARMLESS = { GET = true, PUT = true, DELETE = true } -- idempotent by RFC 9110 section 9.2.2

---@class LlamaCloud.Declared a declaration, taken apart once
---@field title string the method and the path, for messages
---@field method string
---@field path string[] the pieces of the path: before, between and after its ids
---@field ids string[] the names in the path
---@field types table<string, string> of all parameters
---@field required string[]
---@field order string[] of the query
---@field header_names table<string, string> name to the name on the wire
---@field query_names table<string, string> likewise
---@field body_names table<string, string> likewise
---@field has_body boolean a JSON body is always sent
---@field form_names table<string, string>
---@field form? { name: string, type: string, wire: string, required: boolean? }[] the text parts of a form
---@field file? { name: string, wire: string } the part that is a file
---@field upload? { path: string[], json: string } how calls with a file are sent, where those without one have a JSON body
---@field excludes? table<string, string[]> parameters with which others cannot be given
---@field idempotency? string the member of the body that is generated where the caller gives none
---@field accept? string another Accept header
---@field pagination? table
---@field reconcile? table
---@field repeatable boolean
---@field returns "object"|"array"|"nothing"|"any"
---@field options table<string, string> name to type
---@field anywhere? boolean the path is an argument, and may be a URL

-- The pieces of a declared path, and the names between them.
local function take_path(path)
  local pieces, ids = {}, {}
  for piece, name in (path .. "{}"):gmatch("([^{]*){([a-z0-9_]*)}") do
    table.insert(pieces, piece)
    ids[#pieces] = name ~= "" and name or nil
  end
  return pieces, ids
end

-- Adds a declared parameter that goes to such a place.
local function add_parameter(declared, place, parameter)
  local name, wire = parameter[1], parameter.wire or parameter[1]
  declared.types[name] = parameter[2]
  declared[place .. "_names"][name] = wire
  if parameter.required then
    table.insert(declared.required, name)
  end
  if place == "query" then
    table.insert(declared.order, name)
  elseif parameter[2] == "file" then
    declared.file = { name = name, wire = wire }
  elseif place == "form" then
    table.insert(declared.form, { name = name, type = parameter[2], wire = wire, required = parameter.required })
  end
end

-- The options that the calls of a declaration take.
local function declared_options(declared)
  local taken = tables.merged(call.options, declared.file and call.transfer_options)
  taken.reconcile = declared.reconcile and "boolean"
  taken.fields = declared.method == "GET" and declared.returns == "object" and "names" or nil
  if declared.pagination then
    taken.prefetch = "boolean"
    taken.concurrency = declared.pagination.kind == "offset" and "count" or nil
  end
  return taken
end

--- Takes a declaration apart.
---@param declaration table see endpoint/init.lua
---@return LlamaCloud.Declared
function call.declare(declaration)
  local method, path = declaration[1]:match("^([A-Z]+) (/[^ ]*)$")
  local pieces, ids = take_path(path)
  local declared = {
    title = declaration[1],
    method = method,
    path = pieces,
    ids = ids,
    types = {},
    required = {},
    order = {},
    header_names = {},
    query_names = {},
    body_names = {},
    form_names = {},
    has_body = declaration.body ~= nil,
    form = declaration.form and {},
    accept = declaration.accept,
    pagination = declaration.pagination,
    reconcile = declaration.reconcile,
    idempotency = declaration.idempotency,
    repeatable = HARMLESS[method] or declaration.repeatable or declaration.idempotency ~= nil,
    returns = declaration.returns or "object",
  }
  for _, place in ipairs { "query", "header", "body", "form" } do
    for _, parameter in ipairs(declaration[place] or {}) do
      add_parameter(declared, place, parameter)
    end
  end
  local upload = declaration.upload
  if upload then
    add_parameter(declared, "form", upload.file)
    declared.upload = { path = take_path(upload[1]:match("^POST (/[^ ]*)$")), json = upload.json }
    declared.excludes = { [upload.file[1]] = upload.excludes }
  end
  declared.options = declared_options(declared)
  return declared
end

--- The declaration of all paths that no resource covers: the path, or a URL, takes the place of the only id.
---@param method string
---@return LlamaCloud.Declared
function call.undeclared(method)
  local declared = call.declare { method .. " /" }
  declared.anywhere, declared.returns = true, "any"
  declared.options.body, declared.options.fields = "content", nil
  return declared
end

-- The URL of a path that no resource covers, and its parts. Nil and the problem.
local function find_anywhere(state, path)
  if type(path) ~= "string" or not (path:find("^/") or path:find("^https?://")) then
    return nil, "the path must be a string that begins with '/', or a URL"
  elseif text.has_blanks(path) or path:find("#", 1, true) then
    return nil, "the path contains white space, a control character or '#': escape it, as %20 or %23"
  end
  local target = path:find("^/") and state.base .. path or path
  local parts, problem = url.parse(target)
  return parts and target, problem, parts
end

-- Why one of the ids cannot be sent, or nil.
local function bad_id(declared, ids)
  for position, name in ipairs(declared.ids) do
    local problem = arguments.bad_id(name, ids[position])
    if problem then
      return problem
    end
  end
end

-- The URL without the query that the arguments make, and of one that the caller has written its parts. Nil and the problem.
local function find_target(declared, state, ids, pieces)
  if declared.anywhere then
    return find_anywhere(state, ids[1])
  end
  local problem = bad_id(declared, ids)
  if problem then
    return nil, problem
  end
  local path = pieces[1]
  for position = 1, #declared.ids do
    path = path .. url.escape_segment(ids[position]) .. pieces[position + 1]
  end
  return state.base .. path
end

-- The query's values: the client's defaults, which another origin does not get, its scope, the call's own, and
-- options.query over all of them.
local function query_values(declared, state, params, extra, own_origin)
  local values = tables.merged(own_origin and state.options.default_query)
  local names = declared.query_names
  for name, value in pairs(state.scope) do
    if names[name] then
      values[name] = value
    end
  end
  for name, value in pairs(params) do
    if names[name] then
      values[name] = arguments.plain(value, declared.types[name])
    end
  end
  for name, value in pairs(extra or {}) do
    values[name] = value
  end
  return values
end

-- The body and its media type. Nil where the call has none; nil, nil and the problem.
local function write_body(declared, params, extra)
  if type(extra) == "string" then
    return extra, "application/octet-stream"
  elseif not declared.has_body and not extra then
    return nil
  end
  local body = declared.has_body and body_json.members(declared, params, extra) or extra
  local json, problem = body_json.encode(body)
  return json, "application/json", problem
end

-- The decoder of one endpoint's answers, for a client and for those that with_options has made from it.
local function decoder_of(declared, state)
  local decoders, key = state.shared.decoders, declared.anywhere and "any path" or declared
  decoders[key] = decoders[key] or core.decoder()
  return decoders[key]
end

-- What the calls of one endpoint share, as a metatable, so that a call that waits holds little more than its URL. After the
-- first call that has only ids, it also has the headers and, beside __index, the query.
local function common(declared, state)
  local meta = state.common[declared]
  if not meta then
    meta = {
      __index = {
        method = declared.method,
        repeatable = declared.repeatable,
        returns = declared.returns,
        log = state.log,
        decoder = decoder_of(declared, state),
        timeout = state.options.timeout,
        total_timeout = state.options.total_timeout,
        max_retries = state.options.max_retries,
      },
    }
    state.common[declared] = meta
  end
  return meta
end

-- The headers. Those of the client are only for its own origin.
local function write_headers(declared, state, params, given, media, own_origin)
  if not own_origin then
    return headers.merge(state.anonymous_headers, { ["Content-Type"] = media or false }, given.headers)
  end
  local own
  for name, wire in pairs(declared.header_names) do
    own = own or {}
    own[wire] = options.present(params[name])
  end
  return state:headers(media, declared.accept and { Accept = declared.accept }, own, given.headers)
end

--- The call for these arguments, its query apart. Nil and the problem, which is the caller's fault.
---@param declared LlamaCloud.Declared
---@param state LlamaCloud.State
---@param ids any[]
---@param params table
---@param given table the options, without nulls
---@return LlamaCloud.Call?
---@return table|string values of the query, or the problem
function call.prepare(declared, state, ids, params, given)
  local problem = arguments.problem(declared, params, given)
  if problem then -- if an id was left out, what follows it is in the wrong place
    return nil, not declared.anywhere and bad_id(declared, ids) or problem
  end
  params, given = options.with_arrays(params, declared.types), options.with_arrays(given, declared.options)
  local target, parts
  local uploads = declared.file and form.applies(declared, params)
  local pieces = uploads and declared.upload and declared.upload.path or declared.path
  target, problem, parts = find_target(declared, state, ids, pieces)
  if not target then
    return nil, problem
  end
  local own_origin = not parts or url.origin(parts) == state.origin
  local values = query_values(declared, state, params, given.query, own_origin)
  problem = arguments.bad_query(values)
  if problem then
    return nil, problem
  end
  local body, media, texts
  if uploads then
    body, texts = form.write(declared, params, given.body)
    media, problem = headers.form_type, not body and texts --[[@as string]]
  else
    body, media, problem = write_body(declared, params, given.body)
  end
  if problem then
    return nil, problem
  end
  local list = write_headers(declared, state, params, given, media, own_origin)
  local made = setmetatable({ url = target, headers = list }, common(declared, state))
  made.body = body
  made.timeout, made.total_timeout, made.max_retries = given.timeout, given.total_timeout, given.max_retries
  made.fields = given.fields and tables.merged(given.fields)
  if uploads then
    made.timeout = given.timeout or math.huge
    made.stall_timeout = given.stall_timeout or state.options.stall_timeout
    made.on_progress = given.on_progress
    made.kept = declared.form ~= nil -- a lost upload costs little, and a list shows it
    made.texts = given.reconcile and texts
  end
  local log = state:log_for(list, given, parts and parts.query)
  if log ~= state.log then
    made.log = log
  end
  return made, values
end

local function is_empty(value)
  return type(value) == "table" and next(value) == nil
end

-- A call that has only ids, after another one like it: only the URL differs. Nil and the problem.
local function after_another(meta, declared, state, ids)
  local target, problem = find_target(declared, state, ids, declared.path)
  return target and setmetatable({ url = url.with_query(target, meta.query) }, meta), problem
end

--- The call for these arguments. Nil and the problem, which is the caller's fault.
---@param declared LlamaCloud.Declared
---@param state LlamaCloud.State
---@param ids any[]
---@param params table
---@param given table the options, without nulls
---@return LlamaCloud.Call?
---@return string? problem
function call.build(declared, state, ids, params, given)
  local bare = is_empty(params) and is_empty(given) and not declared.anywhere
  local meta = bare and state.common[declared]
  if meta and meta.query then
    return after_another(meta, declared, state, ids)
  end
  local made, values = call.prepare(declared, state, ids, params, given)
  if not made then
    return nil, values --[[@as string]]
  end
  local query = url.query(values --[[@as table]], declared.order)
  made.url = url.with_query(made.url, query)
  if bare and not made.body then
    meta = getmetatable(made)
    meta.query, meta.__index.headers = query, made.headers
  end
  return made
end

return call

--- The client: options and environment, the tree of resources, and calls to paths that no resource covers.

local later = require("llama_cloud.base.later")
local arguments = require("llama_cloud.endpoint.arguments")
local calls = require("llama_cloud.endpoint.call")
local core = require("llama_cloud.core")
local download = later.require("llama_cloud.endpoint.download")
local headers = require("llama_cloud.http.headers")
local log = require("llama_cloud.http.log")
local options = require("llama_cloud.endpoint.options")
local queue = require("llama_cloud.http.queue")
local request = later.require("llama_cloud.http.request")
local resources = require("llama_cloud.resources")
local secrets = require("llama_cloud.http.secrets")
local tables = require("llama_cloud.base.tables")
local text = require("llama_cloud.base.text")
local tree = require("llama_cloud.endpoint.tree")
local url = require("llama_cloud.http.url")
local version = require("llama_cloud.version")

local modules = package.loaded -- kept, because an application may remove `package` later

local client = {}

---@class LlamaCloud.ClientOptions
---@field api_key? string blanks and line breaks around it are ignored (default `LLAMA_CLOUD_API_KEY`, then `LLAMA_PARSE_API_KEY`)
---@field base_url? string `http` or `https`; may have a path (default `LLAMA_CLOUD_BASE_URL`, then `https://api.cloud.llamaindex.ai`)
---@field region? "us"|"eu" instead of a `base_url`
---@field project_id? string sent with every call that takes it, unless the call says otherwise
---@field organization_id? string likewise
---@field timeout? number seconds for one attempt, from its start to the last byte; uploads and downloads have none, unless the call gives one (default 60)
---@field connect_timeout? number seconds for making a connection (default 10)
---@field total_timeout? number seconds for a whole call: queueing, pauses, all attempts (default none)
---@field stall_timeout? number seconds after which an attempt to upload or download ends if no byte has moved (default 60)
---@field max_retries? integer how often a call is retried; 0: not at all (default 5)
---@field max_retry_after? number the longest `Retry-After` that is obeyed, in seconds; if it is longer, the error is returned at once (default 60)
---@field max_response_bytes? integer after decompression (default 256 MiB)
---@field default_headers? table<string, string|false> they override the built-in ones; `false` leaves one out
---@field default_query? table<string, any> a call's own parameters override it
---@field proxy? string URL; `""` for none (default the environment's, as curl does)
---@field ca_file? string PEM file of certificates to trust (default the system's)
---@field verify? boolean whether the server's certificate is checked (default true)
---@field log? "off"|false|LlamaCloud.LogLevel|fun(level: LlamaCloud.LogLevel, message: string, fields?: table) the least level that goes to standard error, in upper or lower case; `off` and `false`: nothing, whatever the environment says. A function gets all levels: `function(level, message, fields)` (default `LLAMA_CLOUD_LOG`, then none)

local declared = {
  api_key = "string",
  base_url = "string",
  region = "string",
  project_id = "string",
  organization_id = "string",
  timeout = "seconds",
  connect_timeout = "seconds",
  total_timeout = "seconds",
  stall_timeout = "seconds",
  max_retries = "count",
  max_retry_after = "pause",
  max_response_bytes = "count",
  default_headers = "table",
  default_query = "table",
  proxy = "string",
  ca_file = "string",
  verify = "boolean",
  log = "any", -- log.lua knows
}

local defaults = {
  timeout = 60,
  connect_timeout = 10,
  total_timeout = math.huge,
  stall_timeout = 60,
  max_retries = 5,
  max_retry_after = 60,
  max_response_bytes = 256 << 20,
  verify = true,
}

client.options, client.defaults = declared, defaults -- the reference is made of them, too

local regions = {
  us = "https://api.cloud.llamaindex.ai",
  eu = "https://api.cloud.eu.llamaindex.ai",
}

---@class LlamaCloud.Shared what copies by with_options share
---@field created table the ids of the batches they created last (reconcile.remember)
---@field told table<string, true> names of fields that nothing had (fields.lua)
---@field decoders table<any, userdata> of each endpoint (endpoint/call.lua)

---@class LlamaCloud.State what a client's calls need; not in the client object itself, because it holds the API key
---@field options table with every default filled in
---@field base string the base URL without a slash at its end
---@field origin string what may see the API key
---@field scope table<string, string> project_id and organization_id
---@field gate LlamaCloud.Queue where calls wait after a 429
---@field log LlamaCloud.Log
---@field anonymous_headers table<string, string> what other origins get
---@field shared LlamaCloud.Shared
---@field in_flight table<table, true> tokens that calls of this client wait for
---@field common table<LlamaCloud.Declared, table> what its calls of one endpoint share (endpoint/call.lua)
---@field closed boolean
---@field beside? table<string, table<string, table>> methods of resources that are not declared there (init.lua)
---@field given table the options as the caller gave them
local State = {}
State.__index = State

-- An environment variable without the white space around it, and without a byte order mark; nil if it is unset or blank, or
-- where the application has taken away Lua's `os`.
local function environment(name)
  local value = os and os.getenv and os.getenv(name)
  value = value and text.bare(value)
  return value ~= "" and value or nil
end

-- LLAMA_CLOUD_CUSTOM_HEADERS: lines of `Name: value`. Nil and the problem.
local function environment_headers()
  local set, number = {}, 0
  for line in ((environment("LLAMA_CLOUD_CUSTOM_HEADERS") or "") .. "\n"):gmatch("([^\n]*)\n") do
    number = number + 1
    local name, value = text.trim(line):match("^([^:]-)[ \t]*:[ \t]*(.*)$")
    if name and name ~= "" then
      set[name] = value
    elseif text.trim(line) ~= "" then -- not shown: it may be a secret
      return nil, ("line %d is not of the form 'Name: value'"):format(number)
    end
  end
  return set, headers.check(set)
end

-- Takes the base URL apart. Nil and what to write instead. `name` is where the URL comes from.
local function parse_base(name, given)
  if text.has_blanks(given) then
    return nil, ("%s contains white space or a control character"):format(name)
  elseif not given:find("^[A-Za-z][A-Za-z0-9+.-]*://") then
    local shown = url.quote(given)
    local host = given:match("^%[[^%]]*%]") or given:match("^[^:/]*")
    local scheme = url.is_loopback(host) and "http" or "https"
    return nil, ("%s %s has no scheme: write '%s://%s"):format(name, shown, scheme, shown:sub(2))
  end
  local parts, problem = core.url(given)
  if not parts then
    return nil, ("%s %s is not a URL: %s"):format(name, url.quote(given), problem)
  end
  local scheme = text.lower(parts.scheme)
  if scheme ~= "https" and scheme ~= "http" then
    return nil, ("%s must begin with https:// or http://, not %s://"):format(name, scheme)
  elseif parts.user or parts.password then
    return nil, ("%s must not hold a user name or password: use api_key or default_headers"):format(name)
  elseif parts.query or parts.fragment then
    return nil, ("%s must not hold a query or fragment: use default_query"):format(name)
  elseif parts.text:find("/api/v%d+/*$") then
    return nil, ("%s must end before %s, which the client adds"):format(name, parts.text:match("/api/v%d+"))
  end
  return parts
end

-- Fills a state's options. The problem, or nil.
local function resolve(state, given)
  local resolved = tables.merged(defaults, options.without_nulls(given))
  state.options = resolved
  if resolved.base_url == "" then
    resolved.base_url = nil
  end
  -- copies: what is checked here must not change afterwards
  resolved.default_query = tables.merged(resolved.default_query)
  resolved.default_headers = tables.merged(resolved.default_headers)
  resolved.api_key = resolved.api_key and text.bare(resolved.api_key)
    or environment("LLAMA_CLOUD_API_KEY")
    or environment("LLAMA_PARSE_API_KEY")
  if resolved.region and resolved.base_url then
    return "give either option 'region' or option 'base_url', not both"
  elseif resolved.region and not regions[resolved.region] then
    return ("unknown region %s: it is 'us' or 'eu', or give a base_url"):format(text.quote(resolved.region))
  end
  state.base_url_from = "base_url"
  resolved.base_url = resolved.base_url or regions[resolved.region]
  if not resolved.base_url then
    state.base_url_from = "LLAMA_CLOUD_BASE_URL"
    resolved.base_url = environment("LLAMA_CLOUD_BASE_URL") or regions.us
  end
  for _, name in ipairs { "proxy", "ca_file" } do
    if text.breaks_line(resolved[name] or "") then
      return name .. " contains a line break or NUL"
    end
  end
  local problem = arguments.bad_query(resolved.default_query)
  return problem and "default_query: " .. problem
end

-- Why no service can take this for a key, or nil. It shows nothing of the key.
local function bad_key(key)
  local problem
  if key:find("[\0-\31\127]") then
    problem = "contains a line break or another control character"
  elseif text.has_blanks(key) then
    problem = "contains a blank"
  elseif key:find("^[\"']") or key:find("[\"']$") then
    problem = "stands in quotes"
  elseif key:find("^[A-Z_]+=") then
    problem = "begins with the name of a variable"
  elseif key:find("[\128-\255]") then
    problem = "contains a character that is not ASCII, as a placeholder may"
  end
  return problem and ("the API key %s: give the key alone, without 'Bearer' or quotes"):format(problem)
end

-- Sets up the state's headers. The problem, or nil.
local function prepare_headers(state)
  local resolved = state.options
  local from_environment, problem = environment_headers()
  if problem then
    return "LLAMA_CLOUD_CUSTOM_HEADERS: " .. problem
  end
  problem = headers.check(resolved.default_headers)
  if problem then
    return "default_headers: " .. problem
  end
  local key = resolved.api_key
  problem = key and bad_key(key)
  if problem then
    return problem
  end
  local authorized = false
  for name in pairs(resolved.default_headers) do
    authorized = authorized or text.lower(name) == "authorization"
  end
  for name in pairs(from_environment) do
    authorized = authorized or text.lower(name) == "authorization"
  end
  if (not key or key == "") and not authorized then
    return "no API key: pass api_key, or set the environment variable LLAMA_CLOUD_API_KEY"
  end
  state.anonymous_headers = {
    Accept = "application/json",
    ["User-Agent"] = ("llama-cloud-lua/%s (%s; %s)"):format(version, _VERSION, core.curl_version:match("^[^ ]+")),
  }
  state.own_headers = {
    Authorization = key and key ~= "" and "Bearer " .. key or nil,
    ["X-Stainless-Arch"] = core.architecture,
    ["X-Stainless-Lang"] = "lua",
    ["X-Stainless-OS"] = "Linux",
    ["X-Stainless-Package-Version"] = version,
    ["X-Stainless-Retry-Count"] = "0",
    ["X-Stainless-Runtime"] = "lua",
    ["X-Stainless-Runtime-Version"] = _VERSION:match("[%d.]+"),
  }
  state.environment_headers = from_environment
  state.with_body = state:merged_headers { ["Content-Type"] = "application/json" }
  state.without_body = state:merged_headers { ["Content-Type"] = false }
  state.with_form = headers.for_form(state.without_body)
end

--- Merges headers as the official SDKs do: built-in, authorization, defaults, the content's type, the call's own.
---@param ... table?
---@return (string|false)[]
function State:merged_headers(...)
  return headers.merge(
    self.anonymous_headers,
    self.own_headers,
    self.environment_headers,
    self.options.default_headers,
    ...
  )
end

-- The headers of calls that have none of their own, by the type of their body.
local common = { none = "without_body", ["application/json"] = "with_body", [headers.form_type] = "with_form" }

--- The headers of a call.
---@param media? string the type of the body; nil: there is none
---@param accept? table another Accept
---@param own? table header parameters
---@param given? table options.headers
---@return (string|false)[]
function State:headers(media, accept, own, given)
  local ready = common[media or "none"]
  if ready and not (accept or own or given) then
    return self[ready]
  end
  local list = self:merged_headers(accept, { ["Content-Type"] = media or false }, own, given)
  return media == headers.form_type and headers.for_form(list) or list
end

--- The log of a call, which also hides the secrets of this call.
---@param list (string|false)[] the call's headers, all of them
---@param given { headers?: table, query?: table } the options
---@param written? string the query of a URL that the caller has given
---@return LlamaCloud.Log
function State:log_for(list, given, written)
  if not (given.headers or given.query or written) then
    return self.log
  end
  return self.log:keeping(function()
    local found = {}
    secrets.add_headers(found, list)
    secrets.add_query(found, given.query)
    secrets.add_written_query(found, written)
    return found
  end)
end

-- Levels of the official SDKs, which read the same variable, that say nothing here.
local silent = { off = true, error = true }

-- Sets up the state's log. `before` is the log of the client that this one was made from; its secrets are hidden, too. The
-- problem, or nil.
local function prepare_log(state, before)
  local resolved, target, name = state.options, state.options.log, "log"
  if target == nil then
    target, name = environment("LLAMA_CLOUD_LOG"), "LLAMA_CLOUD_LOG"
  end
  if target == false or type(target) == "string" and silent[text.lower(text.trim(target))] then
    target = nil
  elseif type(target) == "string" and not log.level(target) then
    return ('%s must be "debug", "info", "warn" or "off", not %s'):format(name, text.quote(target))
  end
  local found = { resolved.api_key } -- also where another is sent in its place
  secrets.add_headers(found, state.without_body)
  secrets.add_query(found, resolved.default_query)
  secrets.add_proxy(found, resolved.proxy)
  if not resolved.proxy then
    secrets.add_environment(found, environment)
  end
  local problem
  state.log, problem = log.new(target, found, before)
  return problem and ("%s %s"):format(name, problem)
end

-- Makes a state. Nil and the problem.
local function new_state(given, shared)
  if rawequal(given, modules.llama_cloud) then
    return nil, "call it with a dot: llama_cloud.new(…)"
  elseif type(given) ~= "table" then
    return nil, ("options must be a table, not %s"):format(type(given))
  end
  local problem
  given, problem = options.shown("option", given, declared)
  problem = problem or options.check("option", given, declared)
  if problem then
    return nil, problem
  end
  local state = setmetatable({
    given = options.without_nulls(given), -- a copy: the caller's table is the caller's
    gate = shared and shared.gate or queue.new(),
    beside = shared and shared.beside,
    shared = shared and shared.shared or { created = {}, told = {}, decoders = {} },
    in_flight = setmetatable({}, { __mode = "k" }),
    common = {},
    closed = false,
  }, State)
  problem = resolve(state, given)
  if problem then
    return nil, problem
  end
  local parts
  parts, problem = parse_base(state.base_url_from, state.options.base_url)
  if not parts then
    return nil, problem
  end
  state.base = parts.text:gsub("/+$", "")
  state.origin = url.origin(parts)
  problem = prepare_headers(state)
  if problem then
    return nil, problem
  end
  state.scope = { project_id = state.options.project_id, organization_id = state.options.organization_id }
  problem = prepare_log(state, shared and shared.log)
  if problem then
    return nil, problem
  end
  local warned = shared and shared.base == state.base
  if not warned and parts.scheme == "http" and not url.is_loopback(parts.host) then
    state.log:put("warn", ("the API key goes to %s without encryption: use https"):format(parts.host))
  end
  return state
end

---@class LlamaCloud.Client
---@field batches LlamaCloud.Batches
---@field beta LlamaCloud.Beta
---@field classify LlamaCloud.Classify
---@field configurations LlamaCloud.Configurations
---@field extract LlamaCloud.Extract
---@field files LlamaCloud.Files
---@field parsing LlamaCloud.Parsing
---@field projects LlamaCloud.Projects
---@field split LlamaCloud.Split
---@field v2_projects LlamaCloud.V2Projects
---@field webhook_configs LlamaCloud.WebhookConfigs
local methods = {}

---@class LlamaCloud.Beta
---@field attachments LlamaCloud.Attachments
---@field batch LlamaCloud.BatchJobs
---@field directories LlamaCloud.Directories
---@field split LlamaCloud.BetaSplit

local Client = { __name = "llama_cloud.client" }

local states = setmetatable({}, { __mode = "k" })

local function state_of(self, method)
  if getmetatable(self) ~= Client then
    error(("call it with a colon: client:%s(…)"):format(method), 3)
  elseif states[self].closed and method ~= "close" then
    error("attempt to use a closed client: make another with llama_cloud.new", 3)
  end
  return states[self]
end

function Client.__index(self, name)
  if methods[name] then
    return methods[name]
  end
  local member, problem = tree.member(self, resources, name, states[self], "", methods)
  if problem then
    error(problem, 2)
  end
  return member
end

local function from_state(state)
  local self = setmetatable({}, Client)
  states[self] = state
  return self
end

--- The client as programs have it, for the modules beside it.
State.face = from_state

--- Makes a client. Raises on a bad option, with what to write instead.
---@param given? LlamaCloud.ClientOptions
---@param beside? table<string, table<string, table>> resource -> method -> the module beside the client that is this method
---@return LlamaCloud.Client
function client.new(given, beside)
  local state, problem = new_state(given == nil and {} or given)
  if not state then
    error(problem, 2)
  end
  state.beside = beside
  return from_state(state)
end

--- Makes a client with some options changed. After a 429 to one of the two, both slow down.
---@param changes LlamaCloud.ClientOptions llama_cloud.null takes an option back to its default
---@return LlamaCloud.Client
function methods:with_options(changes)
  local state = state_of(self, "with_options")
  if type(changes) ~= "table" then
    error(("options must be a table, not %s"):format(type(changes)), 2)
  end
  local problem
  changes, problem = options.shown("option", changes, declared)
  if problem then
    error(problem, 2)
  end
  local merged = tables.merged(state.given, changes)
  -- region and base_url say the same thing: the newer one counts
  if changes.region ~= nil and changes.base_url == nil then
    merged.base_url = nil
  elseif changes.base_url ~= nil and changes.region == nil then
    merged.region = nil
  end
  local new
  new, problem = new_state(merged, state)
  if not new then
    error(problem, 2)
  end
  return from_state(new)
end

--- Ends the client's calls under way with the kind `cancelled`; later ones raise. A variable that is declared `<close>` does
--- this, too.
---
--- Idempotent. Other clients, and connections that can be used again, are not affected.
function methods:close()
  local state = state_of(self, "close")
  state.closed = true
  for token in pairs(state.in_flight) do
    token:cancel()
  end
end

Client.__close = methods.close

function Client:__tostring()
  local state = states[self]
  return ("llama_cloud.client (%s%s)"):format(state.base, state.closed and ", closed" or "")
end

---@class LlamaCloud.PathOptions: LlamaCloud.Options
---@field body? table|string a table is sent as JSON; a string as it is, with the Content-Type of `headers`

-- The call to a path or URL. Nil and the problem.
local function path_call(state, route, path, given)
  local call, problem
  given, problem = options.read(given, route.options)
  if problem then
    return nil, problem
  end
  call, problem = calls.build(route, state, { path }, {}, given)
  if problem and problem:find("^unknown option '[^']*'$") then
    local place = (route.method == "GET" or route.method == "DELETE") and "query = { … }" or "body = { … }"
    problem = ("%s: parameters go into %s"):format(problem, place)
  end
  return call, problem
end

for _, method in ipairs { "GET", "POST", "PUT", "PATCH", "DELETE" } do
  local name, route = text.lower(method), calls.undeclared(method)
  methods[name] = function(self, path, given)
    local state = state_of(self, name)
    local call, problem = path_call(state, route, path, given)
    if not call then
      error(problem, 2)
    end
    return request.perform(state, call)
  end
end

--- Downloads from a presigned URL, or a table with a `url`, as in responses, into a file.
---
--- Exactly that URL is asked for, without the API key and the client's headers and query. A file that is at the path stays until the new one is complete; if it is a symbolic link, the file that it leads to
--- is replaced. A download that is cut off continues where it stopped; one that fails leaves nothing behind. Raises on a wrong
--- argument.
---@param address string|LlamaCloud.PresignedURL
---@param path string
---@param given? LlamaCloud.DownloadOptions
---@return LlamaCloud.Download? file nil: it failed
---@return LlamaCloud.Error? err of kind "file" where the file cannot be written; "decode" where its length is not `size`, or an answer without content (204) came
function methods:download(address, path, given)
  local run, problem = download.prepare(state_of(self, "download"), address, path, given)
  if not run then
    error(problem, 2)
  end
  return run()
end

---@alias LlamaCloud.PathCall fun(self: LlamaCloud.Client, path: string, options?: LlamaCloud.PathOptions): any, LlamaCloud.Error?

--- Calls to routes that no resource covers: the path below base_url, or a URL (the API key goes to base_url's origin
--- only). JSON answers are decoded, whatever they hold; others are strings; 204 and 205 are true.
---@class LlamaCloud.Client
---@field get LlamaCloud.PathCall
---@field post LlamaCloud.PathCall
---@field put LlamaCloud.PathCall
---@field patch LlamaCloud.PathCall
---@field delete LlamaCloud.PathCall

return client

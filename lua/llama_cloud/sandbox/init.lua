--- A local LlamaCloud service, to develop and test against. See docs/sandbox.md.
--
-- It is an implementation of its own: nothing of the client is used here. Only with.lua makes a client, for tests.

local cqueues = require("llama_cloud.sandbox.library")("cqueues")

local blobs = require("llama_cloud.sandbox.blobs")
local clock = require("llama_cloud.sandbox.clock")
local control = require("llama_cloud.sandbox.control")
local faults = require("llama_cloud.sandbox.faults")
local http = require("llama_cloud.sandbox.http")
local json = require("llama_cloud.sandbox.json")
local options_module = require("llama_cloud.sandbox.options")
local rates = require("llama_cloud.sandbox.rates")
local recorder = require("llama_cloud.sandbox.recorder")
local routes = require("llama_cloud.sandbox.routes")
local seed = require("llama_cloud.sandbox.seed")
local uploads = require("llama_cloud.sandbox.uploads")
local validate = require("llama_cloud.sandbox.validate")

local sandbox = {}

-- What a form may have beside its file.
local MAX_ENVELOPE = 2 * 1024 * 1024

---@class llama_cloud.sandbox.options
---@field host? string default "127.0.0.1"
---@field port? integer default 0: any free one
---@field batches? integer how many v2 batches there are at the start, default 250
---@field jobs? integer how many v1 batch jobs there are at the start, default 100
---@field seed? integer what is made up follows from it, default 1
---@field speed? number how many times faster than at 1 batches are processed, default 1
---@field api_key? string the only key that is accepted; without one, any is
---@field total_size? boolean whether cursor lists tell their `total_size`, default false, as the service
---@field keep? integer how many bytes of what is uploaded are kept in all, default 64 MiB
---@field max_upload? integer longest file that is taken, default 512 MiB
---@field presigned_seconds? integer how long presigned addresses are good, default 3600
---@field duplicates? "conflict"|"replace"|"add" what a second file with a unique_id does, default "conflict"
---@field duplicate_directories? "conflict"|"add" what a second directory with a name does, default "conflict"
---@field rate_limits? "none"|"published"|"free" default "none"
---@field no_retry_after? boolean whether the 429 of these limits come without Retry-After
---@field conflicts? boolean whether what the state of a job does not allow is 409, default false: 400
---@field deliver_webhooks? boolean whether webhooks are called, at loopback addresses only, default false
---@field deliver_anywhere? boolean whether they are called at other addresses, too, default false
---@field faults? string[] misbehaviours, as docs/sandbox.md describes them
---@field log? fun(line: string) called once for each request

---@class llama_cloud.sandbox
local sandbox_methods = {}
local sandbox_mt = { __name = "llama_cloud.sandbox", __index = sandbox_methods }

-- The answer to a request without the right key; nil if the key is right.
local function refusal(self, request)
  local given = (request.headers.authorization or ""):match("^[Bb]earer[ \t]+([^ \t].*)$")
  if not given then
    return { status = 401, body = '{"detail":"Not authenticated"}', headers = { ["WWW-Authenticate"] = "Bearer" } }
  elseif self.api_key and given ~= self.api_key then
    return { status = 401, body = '{"detail":"Invalid API key"}', headers = { ["WWW-Authenticate"] = "Bearer" } }
  end
end

-- The answer to a request over a rate limit; nil if it is within.
local function limited(self, request, route)
  local query = validate.parse_query(request.query_string)
  local scope = {}
  for _, name in ipairs { "project_id", "organization_id" } do
    scope[name] = query[name] and query[name][1]
  end
  local wait = self.rates:check(route.rate, scope)
  if not wait then
    return nil
  end
  local retry_after = not self.options.no_retry_after and string.format("%.0f", math.ceil(wait / 1000)) or nil
  return { status = 429, body = '{"detail":"Rate limit exceeded"}', headers = { ["Retry-After"] = retry_after } }
end

-- Answers as the service would; nil when the peer is gone. What has no form is read before anything is said about it.
local function process(self, request, route, values)
  if not routes.streams(route) then
    local complete, failure = http.read_text(request)
    if not complete then
      return failure, request.method .. " (broken)"
    end
  end
  local refused = not (route and route.public) and refusal(self, request)
  if refused then
    return refused, request.method .. " (unauthorized)"
  end
  local name = routes.name(request, route)
  local too_many = route and not route.public and limited(self, request, route)
  if too_many then
    return too_many, name
  end
  local ok, status, body, headers, content_type = xpcall(routes.answer, debug.traceback, self, request, route, values)
  if not ok then
    io.stderr:write("llama-cloud-sandbox: ", status, "\n")
    return { status = 500, body = '{"detail":"Internal Server Error"}' }, request.method .. " (failed)"
  end
  return status and { status = status, body = body, headers = headers, content_type = content_type }, name
end

-- The answer that a fault puts in place of the real one.
local function replacement(rule)
  if rule.rate then
    return { status = 429, body = '{"detail":"Rate limit exceeded"}', headers = { ["Retry-After"] = "1" } }
  end
  local made = rule.response or { status = 200, body = "", headers = {} }
  return { status = made.status, body = made.body, raw = made.raw, headers = {} }
end

-- A page that leads to itself: the token that it was asked for with is also its next one.
local function repeat_token(request, response)
  local token = request.query_string and ("&" .. request.query_string):match("&page_token=([^&]*)")
  if token and type(response.body) == "string" then
    response.body = response.body:gsub('"next_page_token":[^,}]*', '"next_page_token":' .. json.quote(token), 1)
  end
end

-- Takes as much of a request as a rule wants; false when the peer is gone, and what it did wrong.
local function take(rule, request, route)
  local body = request.body
  if rule.take then
    return body:skip(rule.take) or not body.failed, body.failure
  elseif routes.streams(route) then
    return body:skip(), body.failure
  end
  return http.read_text(request)
end

-- What a rule does to an answer.
local function spoil(rule, request, response)
  if rule.repeat_token then
    repeat_token(request, response)
  end
  response.content_type = rule.content_type or response.content_type
  response.headers = response.headers or {}
  for header, value in pairs(rule.headers or {}) do
    response.headers[header] = value
  end
  if rule.length then
    local size = type(response.body) == "string" and #response.body or response.body.size
    response.length = rule.length == "none" and "none" or math.max(0, rule.length + (rule.relative and size or 0))
  end
  local range = rule.shift and response.headers["Content-Range"]
  if range then
    response.headers["Content-Range"] = range:gsub("(%d+)%-(%d+)", function(first, last)
      return string.format("%d-%d", first + rule.shift, last + rule.shift)
    end)
  end
end

local function misbehave(self, rule, request, route, values)
  request.body.pace = rule.take_rate
  for _, name in ipairs(rule.ignored or {}) do
    request.headers[name] = nil
  end
  local response, name
  if rule.processed then
    response, name = process(self, request, route, values)
    if not response then
      return nil, name
    end
  else
    local taken, failure = take(rule, request, route)
    if not taken then
      return failure, request.method .. " (broken)"
    end
  end
  if rule.delay then
    cqueues.sleep(rule.delay)
  end
  if rule.response or rule.rate or not response then
    response = replacement(rule)
    response.early = rule.take ~= nil
  end
  spoil(rule, request, response)
  return response, name or request.method .. " (fault)"
end

local function answer(self, request)
  if control.owns(request.path) then
    local complete, failure = http.read_text(request)
    return complete and control.answer(self, request) or failure
  end
  local route, values = routes.match(request.method, request.path)
  self.request_count = self.request_count + 1
  local request_id = string.format("req_%016x", seed.hash(self.world, 7, self.request_count))
  local rule = self.faults:pick(request.method, request.path)
  local response, name, delivery
  if rule then
    response, name = misbehave(self, rule, request, route, values)
    delivery = rule.delivery
  else
    response, name = process(self, request, route, values)
  end
  local outcome = response and (delivery and delivery.ending or response.status) or "lost"
  self.recorder:add(request, name, outcome, request_id, self.clock:now())
  if self.log then
    local query = request.query_string and "?" .. request.query_string or ""
    self.log(string.format("%s %s %s%s %s", request_id, request.method, request.path, query, outcome))
  end
  if response then
    response.headers = response.headers or {}
    response.headers["x-request-id"] = request_id
  end
  return response, delivery
end

--- A sandbox that listens already. Raises on a bad option, and when the port cannot be had.
---@param options? llama_cloud.sandbox.options
---@return llama_cloud.sandbox
function sandbox.new(options)
  local valid, checked = pcall(options_module.checked, options or {})
  if not valid then
    error(checked, 2)
  end
  local self = {
    options = checked,
    host = checked.host,
    api_key = checked.api_key,
    total_size = checked.total_size,
    log = checked.log,
    world = seed.hash(checked.seed),
    clock = clock.new(checked.speed),
    recorder = recorder.new(),
    blobs = blobs.new(checked.keep),
    uploads = uploads.new(),
    request_count = 0,
  }
  self.rates = rates.new(self.clock, checked.rate_limits)
  self.faults = faults.new(self.world)
  for _, text in ipairs(checked.faults) do
    local ok, message = pcall(self.faults.add, self.faults, text)
    if not ok then
      error(message, 2)
    end
  end
  routes.setup(self)
  local server, message = http.listen(self.host, checked.port, checked.max_upload + MAX_ENVELOPE, function(request)
    return answer(self, request)
  end)
  if not server then
    error(message, 2)
  end
  self.server = server
  self.bound_port = server.port
  return setmetatable(self, sandbox_mt)
end

--- Starts a sandbox in a process of its own, which ends when it is closed, and with this program. Raises as `sandbox.new`.
---@param options? llama_cloud.sandbox.options but `log`
---@return llama_cloud.sandbox.service
function sandbox.start(options)
  if options ~= nil and type(options) ~= "table" then
    error(("options must be a table, not %s"):format(type(options)), 2)
  end
  local service, message = require("llama_cloud.sandbox.service").start(options)
  return service or error(message, 2)
end

--- Calls f with a client of a sandbox that is started for it in a process of its own, and with that sandbox. Both are closed
--- when f returns or raises. Raises what f raises, and where an option is wrong.
---@param options? llama_cloud.sandbox.with_options
---@param f fun(client: LlamaCloud.Client, service: llama_cloud.sandbox.service): ...
---@return any ... what f returned
function sandbox.with(options, f)
  return require("llama_cloud.sandbox.with")(options, f)
end

--- The port that it listens on.
---@return integer
function sandbox_methods:port()
  return self.bound_port
end

--- Its base URL, such as `http://127.0.0.1:8080`.
---@return string
function sandbox_methods:url()
  local host = self.host:find(":", 1, true) and "[" .. self.host .. "]" or self.host
  return string.format("http://%s:%d", host, self.bound_port)
end

--- Serves inside a cqueues controller of yours, which you step or loop.
---@param controller table
---@return llama_cloud.sandbox self
function sandbox_methods:attach(controller)
  controller:wrap(function()
    self.server:serve(controller)
  end)
  if self.options.deliver_webhooks then
    controller:wrap(function()
      self.deliveries:serve(controller)
    end)
  end
  return self
end

--- Serves until it is closed; blocks.
function sandbox_methods:loop()
  local controller = cqueues.new()
  self:attach(controller)
  assert(controller:loop())
end

--- Adds a misbehaviour; raises if the text is none.
---@param text string
---@return integer id
function sandbox_methods:add_fault(text)
  local ok, rule = pcall(self.faults.add, self.faults, text)
  if not ok then
    error(rule, 2)
  end
  return rule.id
end

--- Removes all misbehaviours.
function sandbox_methods:clear_faults()
  self.faults:clear()
end

--- Sets the clock forward.
---@param seconds number
function sandbox_methods:advance(seconds)
  self.clock:advance(seconds)
  for _, store in pairs(self) do
    local methods = getmetatable(store)
    if type(methods) == "table" and type(methods.__index) == "table" and methods.__index.clock_changed then
      store:clock_changed()
    end
  end
end

--- Stops listening and closes all connections. Calling it again does nothing.
function sandbox_methods:close()
  self.server:close()
  self.deliveries:clock_changed() -- it looks whether the server is closed
end

return sandbox

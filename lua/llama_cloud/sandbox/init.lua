--- A local service with the batch endpoints of LlamaCloud, to develop and test against. See docs/sandbox.md.
--
-- It is an implementation of its own: nothing of the client is used here.

local cqueues = require("llama_cloud.sandbox.library")("cqueues")

local batches = require("llama_cloud.sandbox.batches")
local clock = require("llama_cloud.sandbox.clock")
local control = require("llama_cloud.sandbox.control")
local faults = require("llama_cloud.sandbox.faults")
local http = require("llama_cloud.sandbox.http")
local jobs = require("llama_cloud.sandbox.jobs")
local json = require("llama_cloud.sandbox.json")
local recorder = require("llama_cloud.sandbox.recorder")
local routes = require("llama_cloud.sandbox.routes")
local seed = require("llama_cloud.sandbox.seed")

local sandbox = {}

---@class llama_cloud.sandbox.options
---@field host? string default "127.0.0.1"
---@field port? integer default 0: any free one
---@field batches? integer how many v2 batches there are at the start, default 250
---@field jobs? integer how many v1 batch jobs there are at the start, default 100
---@field seed? integer what is made up follows from it, default 1
---@field speed? number how many times faster than at 1 batches are processed, default 1
---@field api_key? string the only key that is accepted; without one, any is
---@field total_size? boolean whether lists of v2 batches tell their `total_size`, default false, as the service
---@field faults? string[] misbehaviours, as docs/sandbox.md describes them
---@field log? fun(line: string) called once for each request

---@class llama_cloud.sandbox
local sandbox_methods = {}
local sandbox_mt = { __name = "llama_cloud.sandbox", __index = sandbox_methods }

local function is_count(value)
  return math.type(value) == "integer" and value >= 0
end

-- name -> default, check, what is expected
local OPTIONS = {
  host = {
    "127.0.0.1",
    function(value)
      return type(value) == "string" and value ~= ""
    end,
    "a string",
  },
  port = {
    0,
    function(value)
      return is_count(value) and value < 65536
    end,
    "a port number",
  },
  batches = { 250, is_count, "a whole number" },
  jobs = { 100, is_count, "a whole number" },
  seed = {
    1,
    function(value)
      return math.type(value) == "integer"
    end,
    "a whole number",
  },
  speed = {
    1,
    function(value)
      return type(value) == "number" and value > 0 and value < math.huge
    end,
    "a number greater than 0",
  },
  api_key = {
    nil,
    function(value)
      return type(value) == "string" and value ~= ""
    end,
    "a string",
  },
  total_size = {
    false,
    function(value)
      return type(value) == "boolean"
    end,
    "true or false",
  },
  faults = {
    {},
    function(value)
      return type(value) == "table"
    end,
    "an array of strings",
  },
  log = {
    nil,
    function(value)
      return type(value) == "function"
    end,
    "a function",
  },
}

local function checked(options)
  local result = {}
  for name, value in pairs(options) do
    local declared = OPTIONS[name]
    if not declared then
      error(string.format("unknown option '%s'", tostring(name)), 3)
    elseif not declared[2](value) then
      error(string.format("option '%s' must be %s", name, declared[3]), 3)
    end
    result[name] = value
  end
  for name, declared in pairs(OPTIONS) do
    if result[name] == nil then
      result[name] = declared[1]
    end
  end
  return result
end

-- Whether the key is right; if not, the answer that says so.
local function refusal(self, request)
  local given = (request.headers.authorization or ""):match("^[Bb]earer[ \t]+([^ \t].*)$")
  if not given then
    return { status = 401, body = '{"detail":"Not authenticated"}', headers = { ["WWW-Authenticate"] = "Bearer" } }
  elseif self.api_key and given ~= self.api_key then
    return { status = 401, body = '{"detail":"Invalid API key"}', headers = { ["WWW-Authenticate"] = "Bearer" } }
  end
end

local function process(self, request)
  local refused = refusal(self, request)
  if refused then
    return refused, request.method .. " (unauthorized)"
  end
  local ok, status, body, headers, route = xpcall(routes.answer, debug.traceback, self, request)
  if not ok then
    io.stderr:write("llama-cloud-sandbox: ", status, "\n")
    return { status = 500, body = '{"detail":"Internal Server Error"}' }, request.method .. " (failed)"
  end
  return { status = status, body = body, headers = headers }, route
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
  if token then
    response.body = response.body:gsub('"next_page_token":[^,}]*', '"next_page_token":' .. json.quote(token), 1)
  end
end

local function misbehave(self, rule, request)
  local response, route
  if rule.processed then
    response, route = process(self, request)
  end
  if rule.delay then
    cqueues.sleep(rule.delay)
  end
  if rule.response or rule.rate or not response then
    response = replacement(rule)
  end
  if rule.repeat_token then
    repeat_token(request, response)
  end
  response.content_type = rule.content_type
  response.headers = response.headers or {}
  for name, value in pairs(rule.headers or {}) do
    response.headers[name] = value
  end
  return response, route or request.method .. " (fault)"
end

local function answer(self, request)
  if control.owns(request.path) then
    return control.answer(self, request)
  end
  self.request_count = self.request_count + 1
  local request_id = string.format("req_%016x", seed.hash(self.world, 7, self.request_count))
  local rule = self.faults:pick(request.method, request.path)
  local response, route, delivery
  if rule then
    response, route = misbehave(self, rule, request)
    delivery = rule.delivery
  else
    response, route = process(self, request)
  end
  response.headers = response.headers or {}
  response.headers["x-request-id"] = request_id
  local outcome = delivery and delivery.ending or response.status
  self.recorder:add(request, route, outcome, request_id, self.clock:now())
  if self.log then
    local query = request.query_string and "?" .. request.query_string or ""
    self.log(string.format("%s %s %s%s %s", request_id, request.method, request.path, query, outcome))
  end
  return response, delivery
end

--- A sandbox that listens already. Raises on a bad option, and when the port cannot be had.
---@param options? llama_cloud.sandbox.options
---@return llama_cloud.sandbox
function sandbox.new(options)
  local self = checked(options or {})
  self.world = seed.hash(self.seed)
  self.clock = clock.new(self.speed)
  self.batches = batches.new(self.clock, self.world, self.batches)
  self.jobs = jobs.new(self.clock, self.world, self.jobs)
  local rules = faults.new(self.world)
  for _, text in ipairs(self.faults) do
    local ok, message = pcall(rules.add, rules, text)
    if not ok then
      error(message, 2)
    end
  end
  self.faults = rules
  self.recorder = recorder.new()
  self.request_count = 0
  local server, message = http.listen(self.host, self.port, function(request)
    return answer(self, request)
  end)
  if not server then
    error(message, 2)
  end
  self.server = server
  self.bound_port, self.port = server.port, nil
  return setmetatable(self, sandbox_mt)
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
  self.batches:clock_changed()
  self.jobs:clock_changed()
end

--- Stops listening and closes all connections. Calling it again does nothing.
function sandbox_methods:close()
  self.server:close()
end

return sandbox

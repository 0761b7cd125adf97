-- Misbehaviour on request. A rule is one line of text: which requests, what happens to them, how often.
--
--   METHOD PATTERN: ACTION… [HOW OFTEN…]
--   POST /api/v2/batches: close processed x1
--   GET /api/v2/batches*: 429 retry-after=2 every=5
--
-- docs/sandbox.md lists the words.

local cqueues = require("cqueues")

local ascii = require("llama_cloud.sandbox.ascii")
local seed = require("llama_cloud.sandbox.seed")

local faults = {}

---@class llama_cloud.sandbox.fault
---@field id integer
---@field text string
---@field seen integer how many requests were of this route
---@field hits integer how many were misbehaved to
---@field delivery llama_cloud.sandbox.delivery?
---@field response llama_cloud.sandbox.http_response? what is answered instead
---@field processed boolean whether the request has its effect
---@field take? integer how many bytes of the request's body are read before it happens
---@field take_rate? integer how many bytes a second are read of the request's body
---@field ignored? string[] headers of the request that are as if they had not been sent
---@field shift? integer how many bytes too far a Content-Range is
---@field length? integer|"none" what Content-Length says
---@field relative? boolean whether `length` is added to the truth

local function fail(text, message)
  error(string.format("bad fault '%s': %s", text, message), 0)
end

-- The words of the part after the colon: `word`, `name=value`, `name="quoted \" value"`.
local function split(text, rest)
  local words, position = {}, 1
  while true do
    position = rest:find("[^%s,]", position)
    if not position then
      return words
    end
    local name, after = rest:match("^([%w-]+)()", position)
    if not name then
      fail(text, "cannot read '" .. rest:sub(position) .. "'")
    end
    local value
    if rest:sub(after, after) == "=" then
      -- Up to the first quotation mark without a backslash before it.
      local quoted, behind = rest:match('^"(.-[^\\])"()', after + 1)
      if rest:sub(after + 1, after + 2) == '""' then
        value, after = "", after + 3
      elseif quoted then
        value = quoted:gsub("\\(.)", { n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\" })
        after = behind
      elseif rest:find('^"', after + 1) then
        fail(text, "cannot read '" .. rest:sub(position) .. "'")
      else
        value, after = rest:match("^([^%s,]*)()", after + 1)
      end
    end
    words[#words + 1] = { name, value }
    position = after
  end
end

local function number(text, name, value, lowest)
  local result = tonumber(value)
  if not result or result < lowest then
    fail(text, string.format("'%s' needs a number of at least %s", name, lowest))
  end
  return result
end

local function integer(text, name, value, lowest)
  local result = math.tointeger(number(text, name, value, lowest))
  if not result then
    fail(text, string.format("'%s' needs a whole number", name))
  end
  return result
end

-- Where an answer ends: nothing, a place, or a number of bytes of the body.
local function place(text, name, value)
  if value == nil then
    return "start"
  elseif value == "headers" or value == "body" then
    return value
  elseif value:find("^%d+$") then
    return tonumber(value, 10)
  end
  fail(text, string.format("'%s' takes nothing, headers, body or a number of bytes", name))
end

local function ending(text, rule, name, value)
  if rule.delivery and rule.delivery.ending then
    fail(text, "an answer can end only once")
  end
  rule.delivery = rule.delivery or {}
  rule.delivery.ending, rule.delivery.at = name, place(text, name, value)
end

local function response_of(rule)
  rule.response = rule.response or { status = 200, headers = {}, body = "" }
  return rule.response
end

-- One function for each word: the rule, the value, the whole text for messages.
local words = {}

function words.delay(rule, value, text)
  rule.delay = number(text, "delay", value, 0)
end

function words.status(rule, value, text)
  response_of(rule).status = integer(text, "status", value, 100)
  if rule.response.body == "" then
    rule.response.body = string.format('{"detail":"Sandbox fault %s"}', value)
  end
end

function words.body(rule, value)
  response_of(rule).body = value or ""
end

function words.header(rule, value, text)
  local name, content = (value or ""):match("^([%w-]+):%s*(.*)$")
  if not name or content:find("[\r\n]") then
    fail(text, "'header' needs \"Name: value\"")
  end
  rule.headers = rule.headers or {}
  rule.headers[name] = content
end

words["retry-after"] = function(rule, value, text)
  words.header(rule, "Retry-After: " .. (value or ""), text)
end

words["content-type"] = function(rule, value)
  rule.content_type = value
end

function words.garbage(rule)
  response_of(rule).body = '{"items": [{"id": "bat-'
end

function words.raw(rule, value)
  response_of(rule).raw = value or ""
end

function words.truncate(rule, value, text)
  ending(text, rule, "close", value or "body")
end

for _, name in ipairs { "close", "reset", "stall" } do
  words[name] = function(rule, value, text)
    ending(text, rule, name, value)
  end
end

function words.trickle(rule, value, text)
  rule.delivery = rule.delivery or {}
  rule.delivery.trickle = integer(text, "trickle", value, 1)
end

function words.take(rule, value, text)
  rule.take = integer(text, "take", value, 0)
end

words["take-rate"] = function(rule, value, text)
  rule.take_rate = integer(text, "take-rate", value, 1)
end

function words.ignore(rule, value, text)
  if not (value or ""):find("^[%w-]+$") then
    fail(text, "'ignore' needs the name of a header")
  end
  rule.ignored = rule.ignored or {}
  table.insert(rule.ignored, ascii.lower(value))
end

words["shift-range"] = function(rule, value, text)
  rule.shift = integer(text, "shift-range", value, math.mininteger)
end

function words.length(rule, value, text)
  if value == "none" then
    rule.length = value
  else
    rule.relative = (value or ""):find("^[+-]") ~= nil
    rule.length = integer(text, "length", value, math.mininteger)
  end
end

words["repeat-token"] = function(rule)
  rule.repeat_token = true
end

function words.rate(rule, value, text)
  rule.rate = integer(text, "rate", value, 1)
  rule.allowed_at = {} -- a ring of the last `rate` requests that were let through
  rule.allowed = 0
end

function words.processed(rule)
  rule.processed = true
end

function words.every(rule, value, text)
  rule.every = integer(text, "every", value, 1)
end

function words.after(rule, value, text)
  rule.after = integer(text, "after", value, 0)
end

function words.p(rule, value, text)
  rule.probability = number(text, "p", value, 0)
end

local METHODS = { ["*"] = true, DELETE = true, GET = true, HEAD = true, PATCH = true, POST = true, PUT = true }

--- Reads a rule; raises a message if it is not one.
---@param text string
---@return llama_cloud.sandbox.fault
function faults.parse(text)
  local method, pattern, rest = text:match("^%s*(%S+)%s+([^%s:]+):%s*(.-)%s*$")
  if not method then
    fail(text, "expected METHOD PATTERN: ACTION, such as GET *: 503 x2")
  elseif not METHODS[method] or not pattern:find("^[/*]") then
    fail(text, "expected * or a method such as GET, then a path that begins with / or *")
  end
  local rule = { text = text, method = method, seen = 0, hits = 0, after = 0 }
  rule.pattern = "^" .. pattern:gsub("[%^$()%%.%[%]+?-]", "%%%0"):gsub("%*", ".*") .. "$"
  for _, word in ipairs(split(text, rest)) do
    local name, value = word[1], word[2]
    local times = not value and name:match("^x(%d+)$")
    if times then
      rule.times = tonumber(times, 10)
    elseif not value and name:find("^%d%d%d$") then
      words.status(rule, name, text)
    elseif words[name] then
      words[name](rule, value, text)
    else
      fail(text, "unknown word '" .. name .. "'")
    end
  end
  local answers = rule.delay or rule.response or rule.delivery or rule.rate or rule.headers or rule.content_type
  local changes = rule.repeat_token or rule.take_rate or rule.ignored or rule.shift or rule.length
  if not (answers or changes) then
    fail(text, "it does nothing")
  elseif rule.take and rule.processed then
    fail(text, "what is not read to its end cannot be processed")
  end
  -- What is answered instead, or ends before anything is said, had no effect, unless the rule says that it had.
  rule.processed = rule.processed
    or not (rule.take or rule.response or rule.rate)
      and not (rule.delivery and rule.delivery.ending and rule.delivery.at == "start")
  return rule
end

---@class llama_cloud.sandbox.faults
local faults_methods = {}
local faults_mt = { __name = "llama_cloud.sandbox.faults", __index = faults_methods }

--- An ordered set of rules.
---@param world integer the hash of the sandbox's seed: probabilities are seeded too
---@return llama_cloud.sandbox.faults
function faults.new(world)
  return setmetatable({ world = world, rules = {}, last_id = 0 }, faults_mt)
end

--- Adds a rule at the end and returns it; raises a message if the text is none.
---@param text string
---@return llama_cloud.sandbox.fault
function faults_methods:add(text)
  local rule = faults.parse(text)
  self.last_id = self.last_id + 1
  rule.id = self.last_id
  self.rules[#self.rules + 1] = rule
  return rule
end

--- Removes the rule of an id, or all of them; returns how many went.
---@param id? integer
---@return integer
function faults_methods:clear(id)
  local kept, removed = {}, 0
  for _, rule in ipairs(self.rules) do
    if id and rule.id ~= id then
      kept[#kept + 1] = rule
    else
      removed = removed + 1
    end
  end
  self.rules = kept
  return removed
end

-- Whether a request may pass a rate limit: fewer than `rate` were let through in the last second.
local function passes_rate(rule)
  local now = cqueues.monotime()
  local slot = rule.allowed % rule.rate
  local oldest = rule.allowed_at[slot]
  if oldest and now - oldest < 1 then
    return false
  end
  rule.allowed_at[slot] = now
  rule.allowed = rule.allowed + 1
  return true
end

local function fires(rule, world)
  if rule.seen <= rule.after or (rule.times and rule.hits >= rule.times) then
    return false
  elseif rule.every and (rule.seen - rule.after) % rule.every ~= 0 then
    return false
  elseif rule.probability then
    local roll = seed.below(seed.hash(world, rule.id, rule.seen), 1 << 30) / (1 << 30)
    if roll >= rule.probability then
      return false
    end
  end
  return not rule.rate or not passes_rate(rule)
end

--- The rule that decides about a request: the first that is about it and whose turn it is. Each call counts.
---@param method string
---@param path string
---@return llama_cloud.sandbox.fault?
function faults_methods:pick(method, path)
  for _, rule in ipairs(self.rules) do
    if (rule.method == "*" or rule.method == method) and path:find(rule.pattern) then
      rule.seen = rule.seen + 1
      if fires(rule, self.world) then
        rule.hits = rule.hits + 1
        return rule
      end
    end
  end
  return nil
end

return faults

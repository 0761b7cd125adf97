-- Webhooks: what is to be told to whom when a batch or a job changes its state, and the deliveries. Nothing is delivered
-- unless the sandbox was started with the option `deliver_webhooks`.

local cqueues = require("cqueues")
local condition = require("cqueues.condition")
local json = require("llama_cloud.sandbox.json")
local post = require("llama_cloud.sandbox.webhook_post")
local seed = require("llama_cloud.sandbox.seed")
local document = require("llama_cloud.sandbox.document")
local endpoint = require("llama_cloud.sandbox.endpoint")

local webhooks = {}

-- As the service documents it: three attempts, the second a second after the first, the third two after that.
local ATTEMPTS = 3
local SENDERS = 8
local KEPT = 1000

-- The states in their order, and what their events are called after the name of the product and a dot.
local STATES = { "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED" }
local EVENTS =
  { PENDING = "pending", RUNNING = "running", COMPLETED = "success", FAILED = "error", CANCELLED = "cancelled" }
local NAMES = {
  extract = { RUNNING = false }, -- there is no such event
  split = { RUNNING = "processing" },
}

---@class llama_cloud.sandbox.webhook
---@field url string
---@field events? table<string, boolean> nil for all
---@field headers? table<string, string>
---@field secret? string

-- One as a request describes it; nil without an address.
local function hook_of(described)
  local function given(name, kind)
    local value = described[name]
    return type(value) == kind and value or nil
  end
  local url, events = given("webhook_url", "string"), given("webhook_events", "table")
  if not url then
    return nil
  end
  local set
  if events then
    set = {}
    for _, event in ipairs(events) do
      set[event] = true
    end
  end
  local secret = given("webhook_signing_secret", "string")
  return {
    url = url,
    events = set,
    headers = given("webhook_headers", "table"),
    secret = secret ~= "" and secret or nil,
  }
end

--- The webhooks that the body of a creation asks for; or nil and the answer that refuses an unknown id.
---@param sandbox table
---@param body table
---@return llama_cloud.sandbox.webhook[]?
---@return integer? status
---@return string? text
function webhooks.of(sandbox, body)
  local hooks = {}
  for _, described in ipairs(endpoint.given(body, "webhook_configurations") or {}) do
    hooks[#hooks + 1] = hook_of(described)
  end
  for _, id in ipairs(endpoint.given(body, "webhook_configuration_ids") or {}) do
    local stored = sandbox.webhook_configs:find(id)
    if id:find("missing", 1, true) then
      return nil, endpoint.detail(404, "Webhook configuration not found")
    end
    -- An id that nobody made exists as well, as that of a directory does; it stands for no webhook.
    hooks[#hooks + 1] = stored and hook_of(stored)
  end
  return hooks
end

---@class llama_cloud.sandbox.deliveries
---@field recent table[] the last deliveries
local deliveries_methods = {}
local deliveries_mt = { __name = "llama_cloud.sandbox.deliveries", __index = deliveries_methods }

--- The deliveries of a sandbox.
---@param sandbox table
---@return llama_cloud.sandbox.deliveries
function webhooks.new(sandbox)
  return setmetatable({
    sandbox = sandbox,
    watched = {}, -- what may still have something to tell
    queue = {}, -- deliveries that nobody has begun
    senders = 0,
    count = 0,
    recent = {},
    changed = condition.new(),
  }, deliveries_mt)
end

--- Tells these webhooks from now on what becomes of a job or a batch.
---@param sandbox table
---@param kind "batch"|"parse"|"extract"|"classify"|"split"
---@param store table that it is in
---@param number integer
---@param hooks llama_cloud.sandbox.webhook[]
function webhooks.watch(sandbox, kind, store, number, hooks)
  local deliveries = sandbox.deliveries
  if #hooks > 0 and sandbox.options.deliver_webhooks then
    table.insert(deliveries.watched, { kind = kind, store = store, number = number, hooks = hooks, told = {} })
    deliveries.changed:signal()
  end
end

--- To be called when a state may have changed: a cancellation, or the clock was set.
function deliveries_methods:clock_changed()
  self.changed:signal()
end

local function event_name(watched, status, one)
  local own = NAMES[watched.kind] and NAMES[watched.kind][status]
  if own == false then
    return nil
  elseif watched.kind == "parse" and status == "COMPLETED" and document.failed_pages(one.key, one.name) > 0 then
    return "parse.partial_success"
  end
  return watched.kind .. "." .. (own or EVENTS[status])
end

-- What an event tells: the bytes of its body, and its id.
local function payload(self, watched, name, status, time, one)
  local id = watched.store:id(watched.number)
  local event_id = seed.id("evt", seed.hash(seed.hash_string(id), seed.hash_string(name)), 1)
  local spelled = watched.store.spelled
  local data = { id = id, status = spelled and spelled[status] or status, project_id = one.project_id }
  data[watched.kind == "batch" and "batch_id" or "job_id"] = id
  local event = { event_id = event_id, event_type = name, timestamp = time / 1000, data = data }
  self.count = self.count + 1
  return json.encode(event), event_id
end

-- Queues what is to be told of one; whether it is over.
local function tell(self, watched)
  local one = watched.store:at(watched.number)
  local times = watched.store:transitions(one)
  local over = false
  for _, status in ipairs(STATES) do
    local time = times[status]
    if time and not watched.told[status] then
      watched.told[status] = true
      local name = event_name(watched, status, one)
      if name then
        local body, event_id = payload(self, watched, name, status, time, one)
        for _, hook in ipairs(watched.hooks) do
          if not hook.events or hook.events[name] then
            table.insert(self.queue, { hook = hook, body = body, event_id = event_id, event_type = name })
          end
        end
      end
    end
    over = over or time ~= nil and status ~= "PENDING" and status ~= "RUNNING"
  end
  return over, not over and watched.store:changes_at(one) or nil
end

local function record(self, delivery, attempts, status, message)
  table.insert(self.recent, {
    event_id = delivery.event_id,
    event_type = delivery.event_type,
    url = delivery.hook.url,
    attempts = attempts,
    status = status or json.null,
    error = message or json.null,
  })
  if #self.recent > KEPT then
    table.remove(self.recent, 1)
  end
end

local function deliver(self, delivery)
  local headers = {
    ["X-Webhook-Event-ID"] = delivery.event_id,
    ["X-Webhook-Event-Type"] = delivery.event_type,
  }
  for attempt = 1, ATTEMPTS do
    local status, message, final =
      post.send(delivery.hook, headers, delivery.body, self.sandbox.options.deliver_anywhere)
    if final or status and status // 100 == 2 or attempt == ATTEMPTS then
      return record(self, delivery, attempt, status, message)
    end
    cqueues.sleep(2 ^ (attempt - 1) / self.sandbox.clock.speed)
  end
end

-- Starts as many senders as there are deliveries for, within bounds.
local function start_senders(self, controller)
  while self.senders < SENDERS and self.senders < #self.queue do
    self.senders = self.senders + 1
    controller:wrap(function()
      while #self.queue > 0 do
        deliver(self, table.remove(self.queue, 1))
      end
      self.senders = self.senders - 1
    end)
  end
end

--- Delivers until the sandbox is closed. To be called inside the controller.
---@param controller table
function deliveries_methods:serve(controller)
  while not self.sandbox.server.closed do
    local next_at
    for index = #self.watched, 1, -1 do
      local over, changes_at = tell(self, self.watched[index])
      if over then
        table.remove(self.watched, index)
      elseif changes_at and (not next_at or changes_at < next_at) then
        next_at = changes_at
      end
    end
    start_senders(self, controller)
    -- A state that ends in a millisecond's time has not ended yet.
    local wait = next_at and (next_at - self.sandbox.clock:now() + 1) / 1000
    self.changed:wait(wait and math.max(0.001, math.min(wait, 3600)) or nil)
  end
end

return webhooks

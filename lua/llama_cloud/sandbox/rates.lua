-- Rate limits as the service publishes them, by the sandbox's clock. A request that is refused does not count.

local rates = {}

---@class llama_cloud.sandbox.rate
---@field [1] integer how many requests
---@field [2] integer in how many seconds
---@field per "project"|"organization"

---@type table<string, llama_cloud.sandbox.rate>
rates.PUBLISHED = {
  upload = { 50, 5, per = "project" },
  parse_upload = { 50, 10, per = "organization" },
  classify = { 40, 1, per = "project" },
}

--- Counts every request where the plan is free.
rates.FREE = { 20, 60, per = "organization" }

---@class llama_cloud.sandbox.rates
local rates_methods = {}
local rates_mt = { __name = "llama_cloud.sandbox.rates", __index = rates_methods }

---@param clock llama_cloud.sandbox.clock
---@param plan "none"|"published"|"free"
---@return llama_cloud.sandbox.rates
function rates.new(clock, plan)
  return setmetatable({ clock = clock, plan = plan, windows = {} }, rates_mt)
end

-- How many milliseconds a window is full for; nil if there is room.
local function full_for(self, key, rate, now)
  local window = self.windows[key]
  if not window then
    window = { count = 0 } -- a ring of when the last ones were let through
    self.windows[key] = window
  end
  local oldest = window[window.count % rate[1]]
  local wait = oldest and oldest + rate[2] * 1000 - now or 0
  -- The clock may have been set back: then what is in the ring is of a time to come.
  return wait > 0 and wait <= rate[2] * 1000 and wait or nil, window
end

--- Whether a request may pass: nil, or after how many milliseconds it may be tried again.
---@param name? string which limit its route has
---@param scope { project_id?: string, organization_id?: string }
---@return integer?
function rates_methods:check(name, scope)
  if self.plan == "none" then
    return nil
  end
  local now, passed = self.clock:now(), {}
  for _, rate in ipairs { self.plan == "free" and rates.FREE or false, rates.PUBLISHED[name] or false } do
    if rate then
      local owner = rate.per == "project" and scope.project_id or scope.organization_id or ""
      local wait, window = full_for(self, string.format("%d/%d %s", rate[1], rate[2], owner), rate, now)
      if wait then
        return wait
      end
      passed[#passed + 1] = { window, rate }
    end
  end
  for _, pair in ipairs(passed) do
    local window, rate = pair[1], pair[2]
    window[window.count % rate[1]] = now
    window.count = window.count + 1
  end
  return nil
end

return rates

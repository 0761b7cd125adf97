-- The sandbox's clock: the time of day plus what it was advanced by, in whole milliseconds.

local cqueues = require("cqueues")

local clock = {}

---@class llama_cloud.sandbox.clock
---@field speed number how many times faster than real batches are processed
local clock_methods = {}
local clock_mt = { __name = "llama_cloud.sandbox.clock", __index = clock_methods }

---@param speed number
---@return llama_cloud.sandbox.clock
function clock.new(speed)
  return setmetatable(
    { speed = speed, origin = os.time() * 1000, started = cqueues.monotime(), advanced = 0 },
    clock_mt
  )
end

--- Milliseconds since the epoch.
---@return integer
function clock_methods:now()
  return self.origin + self.advanced + math.floor((cqueues.monotime() - self.started) * 1000)
end

---@param seconds number
function clock_methods:advance(seconds)
  self.advanced = self.advanced + math.floor(seconds * 1000)
end

--- How many milliseconds of the clock work takes that takes `seconds` at speed 1.
---@param seconds number
---@return integer
function clock_methods:duration(seconds)
  return math.floor(seconds * 1000 / self.speed)
end

local DAY = 86400000
local last_day, last_date

--- `2019-12-27T18:11:19.117Z`
---@param milliseconds integer
---@return string
function clock.format(milliseconds)
  local day, rest = milliseconds // DAY, milliseconds % DAY
  if day ~= last_day then
    -- os.date looks at the time zone's file each time; neighbours in a list are mostly of one day.
    last_day, last_date = day, os.date("!%Y-%m-%d", day * 86400)
  end
  return string.format(
    "%sT%02d:%02d:%02d.%03dZ",
    last_date,
    rest // 3600000,
    rest // 60000 % 60,
    rest // 1000 % 60,
    rest % 1000
  )
end

local function days_from_civil(year, month, day)
  -- Counting years from March puts the leap day last.
  if month <= 2 then
    year, month = year - 1, month + 12
  end
  return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469
end

local function days_in_month(year, month)
  local next_year, next_month = year + month // 12, month % 12 + 1
  return days_from_civil(next_year, next_month, 1) - days_from_civil(year, month, 1)
end

--- Milliseconds since the epoch of an ISO 8601 date or date-time (UTC unless it has an offset), or of a number of
--- seconds since the epoch; nil if it is neither.
---@param text string
---@return number?
function clock.parse(text)
  if text:find("^%-?%d+%.?%d*$") and not text:find("^%d%d%d%d%d%d%d%d$") then
    return math.floor(tonumber(text) * 1000)
  end
  local year, month, day, rest = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$")
  if not year then
    return nil
  end
  year, month, day = tonumber(year, 10), tonumber(month, 10), tonumber(day, 10)
  if month < 1 or month > 12 or day < 1 or day > days_in_month(year, month) then
    return nil
  end
  local seconds = days_from_civil(year, month, day) * 86400
  if rest == "" then
    return seconds * 1000
  end
  local hour, minute, tail = rest:match("^[Tt ](%d%d):(%d%d)(.*)$")
  if not hour or tonumber(hour) > 23 or tonumber(minute) > 59 then
    return nil
  end
  local second, fraction, zone = tail:match("^:(%d%d)(%.?%d*)(.*)$")
  if not second then
    second, fraction, zone = "0", "", tail
  end
  if tonumber(second) > 59 or fraction == "." then
    return nil
  end
  seconds = seconds + tonumber(hour, 10) * 3600 + tonumber(minute, 10) * 60 + tonumber(second, 10)
  if zone ~= "" and zone ~= "Z" and zone ~= "z" then
    local sign, zone_hour, zone_minute = zone:match("^([+-])(%d%d):?(%d%d)$")
    if not sign then
      return nil
    end
    local offset = tonumber(zone_hour, 10) * 3600 + tonumber(zone_minute, 10) * 60
    seconds = sign == "+" and seconds - offset or seconds + offset
  end
  return seconds * 1000 + (fraction ~= "" and math.floor(tonumber("0" .. fraction) * 1000 + 0.0005) or 0)
end

return clock

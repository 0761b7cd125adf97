--- Dates as the API writes them (ISO 8601, RFC 3339) and as HTTP does (RFC 9110 section 5.6.7), to and from seconds.

local date = {}

-- Days from 1970-01-01 to a date of the proleptic Gregorian calendar. Not os.time, which is in local time.
local function days(year, month, day)
  -- years counted from March, so that the leap day is the last
  if month <= 2 then
    year, month = year - 1, month + 12
  end
  local century = year // 100
  return 365 * year + year // 4 - century + century // 4 + (153 * (month - 3) + 2) // 5 + day - 719469
end

-- The other way round: the year, month and day of so many days from 1970-01-01.
local function civil(count)
  local shifted = count + 719468 -- from the first of March of the year 0
  local era, day_of_era = shifted // 146097, shifted % 146097
  local year = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
  local day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
  local month = (5 * day_of_year + 2) // 153 -- from March, which is 0
  local day = day_of_year - (153 * month + 2) // 5 + 1
  local in_next = month >= 10
  return era * 400 + year + (in_next and 1 or 0), month + (in_next and -9 or 3), day
end

local lengths = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function is_leap(year)
  return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
end

local function seconds(year, month, day, hour, minute, second)
  if month < 1 or month > 12 or day < 1 or day > lengths[month] or month == 2 and day == 29 and not is_leap(year) then
    return nil
  elseif hour > 23 and (hour > 24 or minute > 0 or second > 0) or minute > 59 or second > 60 then
    return nil -- 24:00:00 is the next midnight, and a minute with a leap second has 61 seconds
  end
  return ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
end

--- Seconds since the epoch of an ISO 8601 date and time, as the API writes it: `2019-12-27T18:11:19.117Z`. Any number of
--- fractional digits, `Z`, an offset such as `+02:00`, or nothing (then UTC); a date alone is its midnight in UTC.
---@param text string
---@return number? seconds an integer where there is no fraction; nil if it is not such a date
function date.parse(text)
  local year, month, day, rest = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$")
  if not year then
    return nil
  end
  local hour, minute, second, fraction = "0", "0", "0", nil
  if rest ~= "" then
    hour, minute, second, rest = rest:match("^[Tt ](%d%d):(%d%d):(%d%d)(.*)$")
    if not hour then
      return nil
    end
    local digits, after = rest:match("^[.,](%d+)(.*)$")
    if digits then
      -- by division and not by tonumber, which knows the decimal point of the locale only
      fraction, rest = tonumber(digits:sub(1, 15)) / 10 ^ math.min(#digits, 15), after
    end
  end
  local offset = 0
  if rest ~= "" and rest ~= "Z" and rest ~= "z" then
    local sign, digits_of_hour, digits_of_minute = rest:match("^([+-])(%d%d):?(%d%d)$")
    local hours, minutes = tonumber(digits_of_hour), tonumber(digits_of_minute)
    if not sign or hours > 23 or minutes > 59 then
      return nil
    end
    offset = (hours * 60 + minutes) * 60 * (sign == "-" and -1 or 1)
  end
  local whole = seconds(
    tonumber(year), --[[@as integer]]
    tonumber(month), --[[@as integer]]
    tonumber(day), --[[@as integer]]
    tonumber(hour), --[[@as integer]]
    tonumber(minute), --[[@as integer]]
    tonumber(second) --[[@as integer]]
  )
  if not whole then
    return nil
  end
  whole = whole - offset
  return fraction and whole + fraction or whole
end

--- The API's spelling of a time: `2019-12-27T18:11:19.117Z`.
---@param time number seconds since the epoch
---@return string
function date.format(time)
  -- Not by os.date, which knows no time after 2038 where C's time_t has 32 bits.
  local milliseconds = math.floor(time * 1000 + 0.5) | 0
  local whole = milliseconds // 1000
  local second = whole % 86400
  local year, month, day = civil(whole // 86400)
  return ("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ"):format(
    year,
    month,
    day,
    second // 3600,
    second // 60 % 60,
    second % 60,
    milliseconds % 1000
  )
end

local months =
  { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11, Dec = 12 }

--- Seconds since the epoch of a date in HTTP's preferred form: `Sun, 06 Nov 1994 08:49:37 GMT`.
---@param text string
---@return integer? seconds nil if it is not such a date
function date.parse_http(text)
  local day, month, year, hour, minute, second =
    text:match("^[A-Za-z]+, (%d%d) ([A-Za-z]+) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT$")
  if not day or not months[month] then
    return nil
  end
  return seconds(
    tonumber(year), --[[@as integer]]
    months[month],
    tonumber(day), --[[@as integer]]
    tonumber(hour), --[[@as integer]]
    tonumber(minute), --[[@as integer]]
    tonumber(second) --[[@as integer]]
  )
end

return date

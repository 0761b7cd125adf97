--- A download that goes on where it was cut off: what the next attempt asks for, and what the answers have told. The core
--- writes the file, and sees to it that what a 206 brings fits what is there.

local date = require("llama_cloud.http.date")
local text = require("llama_cloud.base.text")

local resume = {}

---@class LlamaCloud.Resume
---@field output userdata of core.output
---@field content_type? string of the whole, because a 206 need not have it
---@field private size? integer bytes that the whole must have
---@field private validator? string of what there is a part of, for If-Range
---@field private total? integer its length
---@field private asked boolean whether the last attempt asked for the rest
---@field private strange boolean whether it was answered by a part of something else
---@field private restarted boolean whether it has begun anew
local Resume = {}
Resume.__index = Resume

---@param output userdata
---@return LlamaCloud.Resume
function resume.new(output)
  return setmetatable({ output = output, asked = false, strange = false, restarted = false }, Resume)
end

--- Tells how many bytes the whole must have.
---@param size? integer
function Resume:expect(size)
  self.size = size
end

-- What tells whether the whole is still the same (RFC 9110 section 13.1.5): a strong entity tag, or a date of modification
-- that was past when the answer was made. Nil if there is neither.
local function validator_of(headers)
  local tag, modified = headers.etag, headers["last-modified"]
  if tag and tag:find('^"[^"]*"$') then
    return tag
  end
  local changed = modified and date.parse_http(modified)
  local answered = changed and headers.date and date.parse_http(headers.date)
  if changed and not (answered and answered - changed < 1) then
    return modified
  end
end

-- The length of the whole by an answer's headers. Nil where they do not tell.
local function total_of(headers)
  local range = headers["content-range"]
  return tonumber(range and range:match("/(%d+)$") or not range and headers["content-length"])
end

-- Whether a part is one of what has that validator and that length, as far as that is known and its headers tell.
local function is_part(headers, validator, total)
  local other = headers["last-modified"]
  if validator:find('^"') then
    other = headers.etag and headers.etag:gsub("^W/", "")
  end
  return (not other or other == validator) and (total and total_of(headers) or total) == total
end

--- The headers of the next attempt: with Range, where there is something to go on from.
---@param list (string|false)[]
---@return (string|false)[]
function Resume:headers(list)
  local received = self.output:received()
  self.asked = received > 0 and self.validator ~= nil and not self.strange
  self.strange = false
  if not self.asked then
    self.output:reset()
    return list
  end
  local copy = table.move(list, 1, #list, 1, {})
  local count = #copy
  copy[count + 1], copy[count + 2] = "Range", ("bytes=%d-"):format(received)
  copy[count + 3], copy[count + 4] = "If-Range", self.validator
  return copy
end

--- Takes note of what an attempt was answered.
---@param status integer
---@param headers table<string, string>
function Resume:note(status, headers)
  if status == 206 and self.asked then
    self.strange = not is_part(headers, self.validator, self.total)
    self.content_type = headers["content-type"] or self.content_type
  elseif status >= 200 and status < 300 then
    self.validator, self.total = validator_of(headers), total_of(headers)
    self.content_type = headers["content-type"]
  end
end

--- Whether a download begins again after a useless answer: if only the rest had been asked for, and only once.
---@return boolean
function Resume:may_restart()
  return self.asked and not self.restarted
end

--- Begins anew.
function Resume:restart()
  self.restarted, self.validator = true, nil
end

--- Why what has arrived is not what was asked for, or nil.
---@param status integer
---@return string?
function Resume:problem(status)
  local received = self.output:received()
  if self.strange then
    return "the response is a part of another file than the one that was begun"
  elseif status == 204 or status == 205 then
    return ("the response is %d, which has no content to download"):format(status)
  elseif self.size and received ~= self.size then
    return ("the download has %d bytes instead of %s"):format(received, text.number(self.size))
  end
end

return resume

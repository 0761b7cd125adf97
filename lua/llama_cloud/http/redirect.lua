--- Where a redirect leads, and whether it is followed. Pure functions.

local core = require("llama_cloud.core")
local errors = require("llama_cloud.base.errors")
local text = require("llama_cloud.base.text")
local url = require("llama_cloud.http.url")

local redirect = {}

local MOST = 10 -- of one call
local ELSEWHERE = ": " .. errors.LOG_IN
local REDIRECTS = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }
local KEEPS_METHOD = { [307] = true, [308] = true }

-- Where a location leads, if it is followed: a GET to the same host, or to any host if nothing secret goes with it; any method
-- that stays the same, to the same origin; never from https to http. Otherwise nil and why not.
local function destination(method, from, status, location, anywhere)
  local parts, problem = core.url(location, from)
  if not parts then
    return nil, problem
  end
  local base = assert(core.url(from))
  local scheme = text.lower(parts.scheme)
  if scheme ~= "https" and scheme ~= "http" then
    return nil, "it leads to another protocol"
  elseif parts.user or parts.password then
    return nil, "it holds a user name" -- libcurl would send that as Authorization
  elseif base.scheme == "https" and scheme == "http" then
    return nil, "it leads from https to http" .. (anywhere and "" or ELSEWHERE)
  elseif url.origin(base) == url.origin(parts) then
    if method == "GET" or KEEPS_METHOD[status] then
      return parts.text
    end
    return nil, "it would turn a " .. method .. " into a GET"
  elseif method == "GET" and (anywhere or text.lower(base.host) == text.lower(parts.host)) then
    return parts.text
  end
  return nil, "it leads to another origin" .. ELSEWHERE
end

--- Where an attempt redirects its call to. Nil if nowhere; nil and why not if that is not followed.
---@param call LlamaCloud.Call
---@param course LlamaCloud.Course
---@param attempt LlamaCloud.Attempt
---@return string? target
---@return string? obstacle
function redirect.follow(call, course, attempt)
  local location = attempt.headers.location
  if attempt.kind ~= "response" or not REDIRECTS[attempt.status] or not location then
    return nil
  elseif course.redirects == MOST then
    return nil, ("there were more than %d redirects"):format(MOST)
  end
  return destination(call.method, course.target, attempt.status, location, call.signed)
end

return redirect

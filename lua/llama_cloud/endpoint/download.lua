--- Downloads: what a presigned URL leads to becomes a file. The URL is a credential, and is fetched exactly as it is. The
--- methods `download` of resources ask for it first, and once more where the store no longer accepts it.

local later = require("llama_cloud.base.later")
local arguments = require("llama_cloud.endpoint.arguments")
local calls = require("llama_cloud.endpoint.call")
local core = require("llama_cloud.core")
local errors = require("llama_cloud.base.errors")
local headers = require("llama_cloud.http.headers")
local options = require("llama_cloud.endpoint.options")
local request = require("llama_cloud.http.request")
local results = later.require("llama_cloud.endpoint.results")
local resume = require("llama_cloud.http.resume")
local tables = require("llama_cloud.base.tables")
local text = require("llama_cloud.base.text")
local url = require("llama_cloud.http.url")

local download = {}

---@class LlamaCloud.DownloadOptions
---@field timeout? number seconds for one attempt (default none)
---@field total_timeout? number seconds for the whole download (default the client's)
---@field stall_timeout? number seconds after which an attempt ends if no byte has moved (default the client's)
---@field max_retries? integer how often it is retried; 0: not at all (default the client's)
---@field headers? table<string, string|false> sent to the store
---@field on_progress? fun(done: integer, total: integer?) called with the bytes, as for uploads; `total` is nil as long as it is unknown
---@field size? integer the expected number of bytes; any other length is an error
---@field query? table<string, any> only for `files:download` and `parsing:download`: for the call that gets the address, such as `project_id`

---@class LlamaCloud.Download
---@field path string
---@field bytes integer
---@field content_type? string

local taken = tables.merged(calls.download_options) -- by client:download
taken.query = nil

---@class LlamaCloud.Address
---@field url string
---@field parts table of core.url
---@field size? integer bytes that are promised

-- An address of what may be one: a URL or a PresignedURL. Nil and the problem.
local function address_of(given)
  if type(given) == "table" then
    local shown = core.shown(given) or {}
    given = shown.url
    if type(given) ~= "string" then
      return nil, "the table must be a PresignedURL, with its 'url'"
    end
  elseif type(given) ~= "string" then
    return nil, ("the URL must be a string or a PresignedURL, not %s"):format(type(given))
  end
  if not given:find("^[Hh][Tt][Tt][Pp][Ss]?://") then
    return nil, "the URL must begin with https:// or http://"
  elseif text.has_blanks(given) or given:find("#", 1, true) then
    return nil, "the URL contains white space, a control character or '#'"
  end
  local parts, problem = url.parse(given)
  return parts and { url = given, parts = parts }, problem
end

local RESERVED = { range = true, ["if-range"] = true }

-- What is wrong with options, or nil.
local function bad_options(given, known)
  local problem = options.check("option", given, known) or given.headers and headers.check(given.headers)
  for name in pairs(not problem and given.headers or {}) do
    if RESERVED[text.lower(name)] then
      return ("header '%s' is the download's own"):format(name)
    end
  end
  return problem or given.query and arguments.bad_query(given.query)
end

-- The headers that a store gets.
local function store_headers(state, given)
  return headers.merge({
    Accept = "*/*",
    ["Accept-Encoding"] = "identity", -- an encoded body could not be resumed, and its length would say nothing
    ["User-Agent"] = state.anonymous_headers["User-Agent"],
  }, given)
end

---@class LlamaCloud.Course.Download what a download is made of
---@field path string
---@field given table the options, a copy
---@field deadline number
---@field total_timeout number

-- Fetches an address, or what is missing of it.
local function get(state, address, progress, course)
  local given = course.given
  local list = store_headers(state, given.headers)
  progress:expect(given.size or address.size)
  local call = {
    method = "GET",
    url = address.url,
    headers = list,
    others_headers = store_headers(state),
    repeatable = true,
    returns = "file",
    resume = progress,
    signed = true,
    ungated = url.origin(address.parts) ~= state.origin,
    on_progress = given.on_progress,
    timeout = given.timeout or math.huge,
    total_timeout = course.total_timeout,
    deadline = course.deadline,
    stall_timeout = given.stall_timeout or state.options.stall_timeout,
    max_retries = given.max_retries or state.options.max_retries,
    log = state:log_for(list, given):keeping_address(address.url),
  }
  return request.perform(state, call)
end

local EXPIRED = { [400] = true, [403] = true } -- what stores answer when an address has expired

-- The error for a file that cannot be written.
local function unwritten(message)
  return nil, errors.new { kind = "file", permanent = true, message = message }
end

-- Downloads what `find` finds the address of, and finds it once more where the store refuses it.
local function run(state, find, course)
  local output <close>, message = core.output(course.path)
  if not output then
    return unwritten(message)
  end
  local address, err, renewable = find(course, false)
  if not address then
    return nil, err
  end
  local progress = resume.new(output)
  local answer
  answer, err = get(state, address, progress, course)
  if not answer and renewable and EXPIRED[err.status] then
    local refusal = err
    address, err = find(course, true)
    if not address then
      err.cause = err.cause or refusal
      return nil, err
    end
    answer, err = get(state, address, progress, course)
  end
  if not answer then
    return nil, err
  end
  local bytes = output:received()
  local done, problem = output:commit()
  if not done then
    return unwritten(problem)
  end
  return { path = course.path, bytes = bytes, content_type = answer.content_type }
end

-- What runs a download; its time begins when it is run.
local function prepared(state, find, path, given)
  local total_timeout = given.total_timeout or state.options.total_timeout
  given = tables.merged(given)
  given.headers = given.headers and tables.merged(given.headers)
  return function()
    local deadline = core.now() + total_timeout
    return run(state, find, { path = path, given = given, deadline = deadline, total_timeout = total_timeout })
  end
end

--- What client:download runs. Nil and the problem, which is the caller's fault.
---@param state LlamaCloud.State
---@param address string|LlamaCloud.PresignedURL
---@param path string
---@param given table the options
---@return (fun(): LlamaCloud.Download?, LlamaCloud.Error?)?
---@return string? problem
function download.prepare(state, address, path, given)
  local found, problem = address_of(address)
  if not found then
    return nil, problem
  end
  given, problem = options.read(given, taken)
  problem = problem or arguments.bad_path(path) or bad_options(given, taken)
  if problem then
    return nil, problem
  end
  return prepared(state, function()
    return found, nil, false
  end, path, given)
end

-- An address that the service has given, or nil and an error.
local function given_address(presigned, size)
  local address, problem = address_of(presigned)
  if not address then
    return nil, errors.new { kind = "decode", message = "the service gave no address to download from: " .. problem }
  end
  address.size = math.type(size) == "integer" and size or nil
  return address, nil, true
end

-- What asks an endpoint: a function of the download and of the endpoint's parameters. Nil and the problem.
local function asking(declared, state, ids, given)
  local own = { query = given.query, max_retries = given.max_retries }
  local _, problem = calls.build(declared, state, ids, {}, own)
  if problem then
    return nil, problem
  end
  return function(course, params)
    local call = assert(calls.build(declared, state, ids, params or {}, own))
    call.deadline, call.total_timeout = course.deadline, course.total_timeout
    return request.perform(state, call)
  end
end

-- Finds the address of a file by an endpoint that answers with it.
local function plain_finder(declared, state, ids, given)
  local ask, problem = asking(declared, state, ids, given)
  return ask and function(course)
    local answer, err = ask(course)
    if not answer then
      return nil, err
    end
    return given_address(answer)
  end,
    problem
end

-- Finds the address of one of a job's results.
local function results_finder(rule, declared, state, ids, given)
  local job, name = ids[1], ids[2]
  local id, problem = results.id_of(job)
  if type(name) ~= "string" or name == "" then
    problem = problem or "the name of the result must be a string"
  end
  local ask
  if not problem then
    ask, problem = asking(declared, state, { id }, given)
  end
  if not ask then
    return nil, problem
  end
  return function(course, anew)
    local entry, err = results.find(rule, not anew and type(job) == "table" and job or nil, name, function(params)
      return ask(course, params)
    end)
    if not entry then
      return nil, err
    end
    return given_address(entry.url, entry.size)
  end
end

--- What the method `download` of a resource runs. Nil and the problem, which is the caller's fault.
---@param rule { from: string, results: string?, images: string?, image_names: string?, expand: string[]? } the declaration: see endpoint/init.lua
---@param declared LlamaCloud.Declared the endpoint that knows the address
---@param state LlamaCloud.State
---@param ids any[] the arguments
---@param given table the options
---@return (fun(): LlamaCloud.Download?, LlamaCloud.Error?)?
---@return string? problem
function download.prepare_method(rule, declared, state, ids, given)
  local path = ids[rule.results and 3 or 2]
  local problem = bad_options(given, calls.download_options)
  if problem then
    return nil, problem
  end
  local find
  if rule.results then
    find, problem = results_finder(rule, declared, state, ids, given)
  else
    find, problem = plain_finder(declared, state, ids, given)
  end
  problem = problem or arguments.bad_path(path)
  if problem then
    return nil, problem
  end
  return prepared(state, find, path, given)
end

return download

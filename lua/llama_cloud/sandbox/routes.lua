-- Which route a request is for, and how it is answered. The routes themselves are in the modules of routes/, one for each
-- area of the service.

local form = require("llama_cloud.sandbox.form")
local json = require("llama_cloud.sandbox.json")
local validate = require("llama_cloud.sandbox.validate")

local routes = {}

--- An area is `{ setup, list }`: `setup(sandbox)` puts the area's stores into the sandbox (one with a method `clock_changed`
--- hears when the clock was set), `list` has its routes.
local AREAS = {
  "batches",
  "batch_jobs",
  "directories",
  "directory_files",
  "files",
  "presigned",
  "configurations",
  "webhook_configs",
  "parse",
  "extract",
  "classify",
  "split",
  "projects",
  "attachments",
  "data_points",
}

---@class llama_cloud.sandbox.route
---@field method string
---@field path string with {names} for the segments that are in `path_values`
---@field query table[] declarations of its parameters, as validate.lua describes them
---@field body? table[] declarations of the members of its JSON body; a route without them takes no body
---@field check? fun(body: table, problems: table) what declarations of the body or the form cannot say
---@field form? table[] declarations of the parts of its multipart form, as form.lua describes them
---@field streamed? boolean the handler reads `request.http.body` itself, piece by piece
---@field public? boolean no key is asked for
---@field rate? "upload"|"parse_upload"|"classify" which of the service's rate limits counts its requests
---@field handler llama_cloud.sandbox.handler

---@class llama_cloud.sandbox.checked_request what a handler gets
---@field path_values string[]
---@field query table<string, any>
---@field body? table
---@field form? table<string, any> texts, and uploads: `sandbox.files` can take them
---@field http llama_cloud.sandbox.http_request headers and all

--- Returns the status, the body (JSON text unless a content type is returned, or a source), headers, and the content type.
---@alias llama_cloud.sandbox.handler fun(sandbox: table, request: llama_cloud.sandbox.checked_request): integer, string|llama_cloud.sandbox.source, table<string, string>?, string?

-- Matching -------------------------------------------------------------------------------------------------------------

-- A tree by segments: the node of a literal segment is under its text, that of a name under NAME, a node's routes, in
-- their order, under ROUTES.
local NAME, ROUTES = {}, {}
local tree = {}

local function insert(route)
  local node = tree
  for segment in route.path:gmatch("[^/]+") do
    local key = segment:find("^{") and NAME or segment
    node[key] = node[key] or {}
    node = node[key]
  end
  node[ROUTES] = node[ROUTES] or {}
  table.insert(node[ROUTES], route)
end

local function unescape(text)
  return (text:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

-- Looks below a node for the segments from `index` on. A literal segment beats a name. Other methods are collected.
local function search(node, segments, index, method, values, allowed)
  local segment = segments[index]
  if not segment then
    for _, route in ipairs(node[ROUTES] or {}) do
      if route.method == method then
        return route
      end
      allowed[#allowed + 1] = route.method
    end
    return nil
  end
  local found = node[segment] and search(node[segment], segments, index + 1, method, values, allowed)
  if not found and node[NAME] and segment ~= "" then
    values[#values + 1] = unescape(segment)
    found = search(node[NAME], segments, index + 1, method, values, allowed)
    if not found then
      values[#values] = nil
    end
  end
  return found
end

--- The route of a request and the values of the names in its path; or nil and what else this path allows.
---@param method string
---@param path string
---@return llama_cloud.sandbox.route?
---@return string[] values the path's values, or the allowed methods
function routes.match(method, path)
  local segments, values, allowed = {}, {}, {}
  for segment in path:sub(2):gmatch("[^/]*") do
    segments[#segments + 1] = segment
  end
  local route = search(tree, segments, 1, method, values, allowed)
  return route, route and values or allowed
end

local areas = {}
for index, name in ipairs(AREAS) do
  areas[index] = require("llama_cloud.sandbox.routes." .. name)
  for _, route in ipairs(areas[index].list) do
    insert(route)
  end
end

--- Gives a sandbox the stores of all areas.
---@param sandbox table
function routes.setup(sandbox)
  for _, area in ipairs(areas) do
    if area.setup then
      area.setup(sandbox)
    end
  end
end

-- Dispatch -------------------------------------------------------------------------------------------------------------

-- Answers a request that no route is for.
local function answer_unknown(request, allowed)
  if allowed[1] then
    return 405, json.encode { detail = "Method Not Allowed" }, { Allow = table.concat(allowed, ", ") }
  elseif request.path:find("./$") and routes.match(request.method, request.path:sub(1, -2)) then
    -- FastAPI redirects to the path without the slash.
    local target = request.path:sub(1, -2) .. (request.query_string and "?" .. request.query_string or "")
    return 307, "", { Location = target }
  end
  return 404, json.encode { detail = "Not Found" }
end

local function finish(sandbox, route, checked, problems)
  if route.check and #problems == 0 then
    route.check(checked.form or checked.body, problems)
  end
  if #problems > 0 then
    return 422, json.encode { detail = json.array(problems) }
  end
  return route.handler(sandbox, checked)
end

local function answer_form(sandbox, request, route, checked, problems)
  local values, status, body = form.read(sandbox, request, route.form, problems)
  if not values then
    return status, body
  end
  checked.form = values
  local answer = table.pack(xpcall(finish, debug.traceback, sandbox, route, checked, problems))
  form.release(sandbox, route.form, values)
  if not answer[1] then
    error(answer[2], 0)
  end
  return table.unpack(answer, 2, answer.n)
end

--- Whether the body of a route's requests is not read as a whole before they are answered.
---@param route? llama_cloud.sandbox.route
---@return boolean
function routes.streams(route)
  return route ~= nil and (route.streamed or route.form ~= nil)
end

--- How requests of a route are counted.
---@param request llama_cloud.sandbox.http_request
---@param route? llama_cloud.sandbox.route
---@return string
function routes.name(request, route)
  return route and route.method .. " " .. route.path or request.method .. " (unknown)"
end

--- Answers a request that is allowed to be asked. Returns what a handler returns.
---@param sandbox table
---@param request llama_cloud.sandbox.http_request
---@param route? llama_cloud.sandbox.route
---@param values string[] as `match` returned it
function routes.answer(sandbox, request, route, values)
  if not route then
    return answer_unknown(request, values)
  end
  local problems = {}
  local checked = {
    http = request,
    path_values = values,
    query = validate.query(route.query, validate.parse_query(request.query_string), problems),
  }
  if route.body then
    checked.body = validate.body(route.body, request.body_text, problems)
  end
  if route.form then
    return answer_form(sandbox, request, route, checked, problems)
  end
  return finish(sandbox, route, checked, problems)
end

return routes

-- The routes of files.

local endpoint = require("llama_cloud.sandbox.endpoint")
local files = require("llama_cloud.sandbox.files")
local parse_options = require("llama_cloud.sandbox.parse_options")

local function find(sandbox, id)
  return sandbox.files:find(id)
end

local function encode(sandbox, request, file)
  local with_url = endpoint.expands(request, "download_url")
  return sandbox.files:encode(file, with_url and sandbox.files:presigned(sandbox, request.http, file) or nil)
end

local function create(sandbox, request)
  local form = request.form
  sandbox.uploads:count(form.file, form.external_file_id)
  local file = sandbox.files:take(form.file, form.purpose, form.external_file_id, request.query.project_id)
  return 200, encode(sandbox, request, file)
end

local function list(sandbox, request, filters)
  local store = sandbox.files
  return endpoint.page(sandbox, "files", filters or request.query, function(after, limit)
    return store:list(filters or request.query, after, limit)
  end, function(number)
    return encode(sandbox, request, store.records[number])
  end)
end

local function retrieve(sandbox, request, file)
  return 200, encode(sandbox, request, file)
end

local function content(sandbox, request, file)
  return 200, sandbox.files:presigned(sandbox, request.http, file, request.query.expires_at_seconds)
end

local function delete(sandbox, _, file)
  if not sandbox.files:remove(file) then
    return endpoint.detail(400, "This file is made up; it cannot be deleted")
  end
  return 204, ""
end

local FILTER = {
  { "file_ids", "array", of = "string", nullable = true },
  { "file_name", "string", nullable = true },
  { "external_file_id", "string", nullable = true },
  { "project_id", "string", nullable = true },
}

-- The deprecated list: its filters are in a body.
local function query(sandbox, request)
  local body = request.body
  local filters = {}
  for _, member in ipairs(FILTER) do
    filters[member[1]] = parse_options.get(body, "filter", member[1])
  end
  filters.project_id = filters.project_id or request.query.project_id
  filters.order_by = type(body.order_by) == "string" and body.order_by or nil
  filters.page_token = type(body.page_token) == "string" and body.page_token ~= "" and body.page_token or nil
  filters.page_size = math.min(math.tointeger(body.page_size) or 50, 1000)
  return list(sandbox, request, filters)
end

local PATH = "/api/v1/beta/files"

return {
  setup = function(sandbox)
    sandbox.files = files.new(sandbox)
  end,
  list = {
    {
      method = "POST",
      path = PATH,
      query = endpoint.SCOPE,
      form = {
        { "file", "file", required = true },
        { "purpose", "enum", required = true, values = files.PURPOSES },
        { "external_file_id", "string", min_length = 1 },
      },
      rate = "upload",
      handler = create,
    },
    {
      method = "GET",
      path = PATH,
      query = endpoint.query {
        endpoint.EXPAND,
        { "external_file_id", "string" },
        { "file_ids", "string", many = true },
        { "file_name", "string" },
        { "order_by", "enum", values = files.ORDERS },
        endpoint.PAGE_SIZE,
        endpoint.PAGE_TOKEN,
      },
      handler = list,
    },
    {
      method = "GET",
      path = PATH .. "/{file_id}",
      query = endpoint.query { endpoint.EXPAND },
      handler = endpoint.with(find, "File", retrieve),
    },
    {
      method = "GET",
      path = PATH .. "/{file_id}/content",
      query = endpoint.query { { "expires_at_seconds", "integer", min = 1, max = 604800 } },
      handler = endpoint.with(find, "File", content),
    },
    {
      method = "DELETE",
      path = PATH .. "/{file_id}",
      query = endpoint.SCOPE,
      handler = endpoint.with(find, "File", delete),
    },
    {
      method = "POST",
      path = PATH .. "/query",
      query = endpoint.SCOPE,
      body = {
        {
          "filter",
          "object",
          nullable = true,
          members = FILTER,
        },
        { "order_by", "enum", values = files.ORDERS, nullable = true },
        { "page_size", "integer", above = 0, nullable = true },
        { "page_token", "string", nullable = true },
      },
      handler = query,
    },
  },
}

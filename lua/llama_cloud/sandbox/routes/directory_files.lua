-- The routes of directories' files.

local directory_files = require("llama_cloud.sandbox.directory_files")
local endpoint = require("llama_cloud.sandbox.endpoint")
local json = require("llama_cloud.sandbox.json")
local validate = require("llama_cloud.sandbox.validate")

local detail = endpoint.detail

local function find_directory(sandbox, id)
  return sandbox.directories:get(id)
end

local function find(sandbox, directory_id, id)
  local directory = sandbox.directories:get(directory_id)
  return directory and sandbox.directory_files:find(directory, id)
end

local function encode(sandbox, request, entry)
  local url
  if entry.file and endpoint.expands(request, "download_url") then
    url = sandbox.files:presigned(sandbox, request.http, entry.file)
  end
  -- What changes a file takes no expand, and tells what it made of it.
  local with_metadata = request.http.method ~= "GET" or endpoint.expands(request, "metadata")
  return sandbox.directory_files:encode(entry, url, with_metadata)
end

-- The values of metadata: texts, numbers, booleans, nulls and arrays of texts.
local function check_metadata(body, problems)
  if type(body.metadata) ~= "table" then
    return
  end
  for _, name in ipairs(json.names(body.metadata)) do
    local value, loc = body.metadata[name], { "body", "metadata", name }
    if type(value) == "table" then
      for _, element in ipairs(json.is_array(value) and value or { false }) do
        if type(element) ~= "string" then
          validate.add(problems, "string_type", loc, "Input should be a valid string or list of strings", value)
          break
        end
      end
    end
  end
end

local function fields_of(body)
  local fields = {}
  for _, name in ipairs { "display_name", "unique_id", "metadata" } do
    fields[name] = endpoint.given(body, name)
  end
  return fields
end

-- What becomes of a file whose unique_id may be there already, as the option `duplicates` says.
local function put(sandbox, request, directory, file_of, unique_id)
  local store = sandbox.directory_files
  local fields = fields_of(request.form or request.body)
  fields.unique_id = fields.unique_id or unique_id
  fields.added = not request.form or nil
  local there = directory.by_unique_id[fields.unique_id]
  local policy = sandbox.options.duplicates
  if there and policy == "conflict" then
    return detail(
      409,
      string.format("A file with the unique_id '%s' already exists in this directory", fields.unique_id)
    )
  elseif there and policy == "replace" then
    store:replace(there, file_of(), fields)
    return 201, encode(sandbox, request, there)
  end
  return 201, encode(sandbox, request, store:add(directory, file_of(), fields))
end

-- Handlers for directories that were made: the others cannot be changed.
local function changing(find_it, what, handler)
  return endpoint.with(find_it, what, function(sandbox, request, found)
    local directory = found.directory or found
    if directory.id then
      return detail(400, "This directory is made up; its files cannot be changed")
    end
    return handler(sandbox, request, found)
  end)
end

local add = changing(find_directory, "Directory", function(sandbox, request, directory)
  local file = sandbox.files:find(request.body.file_id)
  if not file then
    return detail(404, "File not found")
  end
  return put(sandbox, request, directory, function()
    return file
  end, file.external_file_id or file.name)
end)

local upload = changing(find_directory, "Directory", function(sandbox, request, directory)
  local form = request.form
  local unique_id = form.unique_id or form.external_file_id or form.upload_file.name
  sandbox.uploads:count(form.upload_file, unique_id)
  return put(sandbox, request, directory, function()
    return sandbox.files:take(form.upload_file, nil, form.external_file_id, directory.project_id)
  end, unique_id)
end)

local list = endpoint.with(find_directory, "Directory", function(sandbox, request, directory)
  local store, filters = sandbox.directory_files, request.query
  local name = "files of " .. sandbox.directories:id(directory)
  return endpoint.page(sandbox, name, filters, function(before, limit)
    return store:list(directory, filters, before, limit)
  end, function(number)
    return encode(sandbox, request, store:at(directory, number))
  end)
end)

local get = endpoint.with(find, "Directory file", function(sandbox, request, entry)
  return 200, encode(sandbox, request, entry)
end)

local update = changing(find, "Directory file", function(sandbox, request, entry)
  local fields, target = fields_of(request.body), entry.directory
  local target_id = endpoint.given(request.body, "target_directory_id")
  if target_id then
    target = sandbox.directories:get(target_id)
    if not target or target.id then
      return detail(404, "Directory not found")
    end
  end
  local unique_id = fields.unique_id or entry.unique_id
  local there = target.by_unique_id[unique_id]
  if there and there ~= entry and sandbox.options.duplicates ~= "add" then
    return detail(409, string.format("A file with the unique_id '%s' already exists in this directory", unique_id))
  end
  sandbox.directory_files:update(entry, fields, target)
  return 200, encode(sandbox, request, entry)
end)

local delete = changing(find, "Directory file", function(sandbox, _, entry)
  sandbox.directory_files:remove(entry)
  return 204, ""
end)

local PATH = "/api/v1/beta/directories/{directory_id}/files"
local METADATA = { "metadata", "object", nullable = true }

return {
  setup = function(sandbox)
    sandbox.directory_files = directory_files.new(sandbox)
  end,
  list = {
    {
      method = "POST",
      path = PATH,
      query = endpoint.SCOPE,
      body = {
        { "file_id", "string", required = true },
        { "display_name", "string", nullable = true, min_length = 1 },
        { "unique_id", "string", nullable = true, min_length = 1 },
        METADATA,
      },
      check = check_metadata,
      handler = add,
    },
    {
      method = "POST",
      path = PATH .. "/upload",
      query = endpoint.SCOPE,
      form = {
        { "upload_file", "file", required = true },
        { "display_name", "string", min_length = 1 },
        { "unique_id", "string", min_length = 1 },
        { "external_file_id", "string", min_length = 1 },
        { "metadata", "json" },
      },
      check = check_metadata,
      rate = "upload",
      handler = upload,
    },
    {
      method = "GET",
      path = PATH,
      query = endpoint.query {
        { "display_name", "string" },
        { "display_name_contains", "string" },
        endpoint.EXPAND,
        { "file_id", "string" },
        { "include_deleted", "boolean" },
        { "unique_id", "string" },
        { "updated_at_on_or_after", "datetime" },
        { "updated_at_on_or_before", "datetime" },
        endpoint.PAGE_SIZE,
        endpoint.PAGE_TOKEN,
      },
      handler = list,
    },
    {
      method = "GET",
      path = PATH .. "/{directory_file_id}",
      query = endpoint.query { endpoint.EXPAND },
      handler = get,
    },
    {
      method = "PATCH",
      path = PATH .. "/{directory_file_id}",
      query = endpoint.SCOPE,
      body = {
        { "display_name", "string", nullable = true, min_length = 1 },
        { "unique_id", "string", nullable = true, min_length = 1 },
        METADATA,
        { "target_directory_id", "string", nullable = true },
      },
      check = check_metadata,
      handler = update,
    },
    { method = "DELETE", path = PATH .. "/{directory_file_id}", query = endpoint.SCOPE, handler = delete },
  },
}

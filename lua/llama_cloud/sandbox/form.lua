-- The form of a request: its parts read, kept and checked against declarations.

local blobs = require("llama_cloud.sandbox.blobs")
local json = require("llama_cloud.sandbox.json")
local multipart = require("llama_cloud.sandbox.multipart")
local validate = require("llama_cloud.sandbox.validate")

local form = {}

---@class llama_cloud.sandbox.upload : llama_cloud.sandbox.blob a file part
---@field name string the last segment of the name that was given
---@field content_type string

local function upload(part)
  local name = part.filename:match("([^/\\]*)$")
  part.blob.name = name ~= "" and name or "file"
  part.blob.content_type = part.content_type or "application/octet-stream"
  return part.blob
end

-- What the recorder keeps of the parts.
local function noted(parts)
  local list = {}
  for index, part in ipairs(parts) do
    list[index] = {
      name = part.name,
      filename = part.filename,
      content_type = part.content_type,
      size = part.size,
      sha256 = part.blob and part.blob.sha256 or blobs.hash(part.text or ""),
    }
  end
  return list
end

-- Checks one declared part; returns its value.
local function value_of(declaration, part, problems)
  local name, kind = declaration[1], declaration[2]
  local loc = { "body", name }
  if kind == "file" then
    if part and part.blob then
      return upload(part)
    elseif part then
      validate.add(problems, "value_error", loc, "Value error, Expected UploadFile, received: <class 'str'>", part.text)
    elseif declaration.required then
      validate.add(problems, "missing", loc, "Field required", nil)
    end
  elseif part and part.blob then
    validate.add(problems, "string_type", loc, "Input should be a valid string", part.filename)
  elseif part then
    return validate.value(part.text, declaration, loc, problems)
  elseif declaration.required then
    validate.add(problems, "missing", loc, "Field required", nil)
  end
  return nil
end

-- The values of all declared parts. Of a repeated part the last counts; undeclared ones are passed over.
local function checked(parts, declarations, problems)
  local last, values = {}, {}
  for _, part in ipairs(parts) do
    last[part.name] = part
  end
  for _, declaration in ipairs(declarations) do
    values[declaration[1]] = value_of(declaration, last[declaration[1]], problems)
  end
  return values
end

-- The answer to a body that does not come as it should: none where the peer is gone.
local function unreadable(body)
  local failure = body.failure or {}
  return nil, failure.status, failure.body
end

--- Reads the form of a request. What it returns has to be given to `form.release` when the request was answered.
---@param sandbox table
---@param request llama_cloud.sandbox.http_request gets `parts`, for the recorder
---@param declarations table[] of its parts: `{ name, kind, required, … }` (kinds: file, string, enum, json)
---@param problems llama_cloud.sandbox.problem[]
---@return table? values by name: texts, and uploads; nil when it cannot be read: the answer follows
---@return integer? status nil where the peer is gone
---@return string? body
function form.read(sandbox, request, declarations, problems)
  local body, most = request.body, sandbox.options.max_upload
  local boundary = multipart.boundary(request.headers["content-type"])
  if not boundary and not body:skip() then
    return unreadable(body)
  elseif boundary == false then
    return nil, 400, '{"detail":"Missing boundary in multipart."}'
  elseif not boundary then
    return checked({}, declarations, problems)
  end
  local writer
  local parts, message = multipart.read(body, boundary, function()
    writer = sandbox.blobs:writer(most, body.length or 0)
    return writer
  end)
  request.parts = noted(parts)
  local values = message and {} or checked(parts, declarations, problems)
  -- Nobody needs a file that no declaration asks for.
  for _, part in ipairs(parts) do
    if part.blob and values[part.name] ~= part.blob then
      sandbox.blobs:release(part.blob)
    end
  end
  if not message then
    return values
  elseif writer and writer.too_large then
    return nil, 413, string.format('{"detail":"A file may have at most %d bytes"}', most)
  elseif body.failed then
    return unreadable(body)
  end
  body:skip()
  return nil, 400, json.encode { detail = message }
end

--- Gives back the room of the files that nobody holds.
---@param sandbox table
---@param declarations table[] as `read` got them
---@param values table what `read` returned
function form.release(sandbox, declarations, values)
  for _, declaration in ipairs(declarations) do
    local file = declaration[2] == "file" and values[declaration[1]]
    if file and not file.held then
      sandbox.blobs:release(file)
    end
  end
end

return form

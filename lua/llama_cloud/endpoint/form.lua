--- Calls with a file: the file argument, and the form (multipart/form-data) that takes it to the service. The text parts come
--- first, in the order of the declaration, and the file last; the core reads it as it goes out.

local arguments = require("llama_cloud.endpoint.arguments")
local body_json = require("llama_cloud.endpoint.body")
local core = require("llama_cloud.core")
local options = require("llama_cloud.endpoint.options")
local text = require("llama_cloud.base.text")

local form = {}

---@class LlamaCloud.FileTable a file to send: `path`, or `data` with a `name`
---@field path? string path of a file, which is read while it is sent
---@field data? string the bytes themselves
---@field name? string what the service calls it; its extension tells the type. By default the last segment of the path
---@field content_type? string by default that of the extension, or application/octet-stream

---@alias LlamaCloud.FileArgument string|LlamaCloud.FileTable a path, or a table

local fields = { path = "string", data = "string", name = "string", content_type = "string" }

-- The types of what people send most; for everything else the service goes by name and content.
local media_types = {
  bmp = "image/bmp",
  csv = "text/csv",
  doc = "application/msword",
  docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  epub = "application/epub+zip",
  gif = "image/gif",
  htm = "text/html",
  html = "text/html",
  jpeg = "image/jpeg",
  jpg = "image/jpeg",
  json = "application/json",
  m4a = "audio/mp4",
  md = "text/markdown",
  mp3 = "audio/mpeg",
  mp4 = "video/mp4",
  odp = "application/vnd.oasis.opendocument.presentation",
  ods = "application/vnd.oasis.opendocument.spreadsheet",
  odt = "application/vnd.oasis.opendocument.text",
  pdf = "application/pdf",
  png = "image/png",
  ppt = "application/vnd.ms-powerpoint",
  pptx = "application/vnd.openxmlformats-officedocument.presentationml.presentation",
  rtf = "application/rtf",
  svg = "image/svg+xml",
  tif = "image/tiff",
  tiff = "image/tiff",
  tsv = "text/tab-separated-values",
  txt = "text/plain",
  wav = "audio/wav",
  webm = "video/webm",
  webp = "image/webp",
  xls = "application/vnd.ms-excel",
  xlsx = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  xml = "application/xml",
}

-- The type of a file by the extension of its name.
local function media_type(name)
  local extension = name:match("%.([A-Za-z0-9]+)$")
  return extension and media_types[text.lower(extension)] or "application/octet-stream"
end

-- The name under which a file is sent: the last segment of the given one, or of the path. Nil and the problem.
local function sent_name(given)
  local name = (given.name or given.path):match("[^/\\]*$")
  if name == "" or name == "." or name == ".." then
    return nil, ("there is no file name in %s"):format(text.quote(given.name or given.path))
  elseif name:find("\0", 1, true) then
    return nil, "the name contains a NUL"
  end
  return name
end

-- What is wrong with a file argument, as far as it can be seen without looking at the disk; or nil.
local function misfit(given)
  if given.path and given.data then
    return "give either 'path' or 'data', not both"
  elseif not given.path and not given.data then
    return "give a path, or a table with 'path', or with 'data' and 'name'"
  elseif given.data and not given.name then
    return "'data' needs a 'name', by which the service knows what it is"
  end
  local problem = given.path and arguments.bad_path(given.path)
  if problem then
    return problem
  elseif given.content_type and (given.content_type == "" or text.breaks_line(given.content_type)) then
    return "'content_type' is empty, or contains a line break or NUL"
  end
end

-- What the core is to know of a file argument. Nil and the problem.
local function described(parameter, given, part)
  if type(given) == "string" then
    given = { path = given }
  end
  local problem = options.check(parameter .. " field", given, fields)
  if problem then
    return nil, problem
  end
  given = options.without_nulls(given)
  problem = misfit(given)
  local name
  if not problem then
    name, problem = sent_name(given)
  end
  if problem then
    return nil, ("parameter '%s': %s"):format(parameter, problem)
  end
  local kind = given.content_type or media_type(name)
  return { part = part, name = name, type = kind, path = given.path, data = given.data }
end

-- A value as a text part. Nil where it is left out; nil and the problem.
local function as_text(name, value, type_name)
  if value == core.null or value == "" then
    return nil
  elseif type(value) == "table" then
    local json, problem = core.encode(value, name)
    return json, problem and text.line(problem, 500, "?")
  elseif type(value) == "number" then
    if value ~= value or math.abs(value) == math.huge then
      return nil, ("'%s' must be a finite number"):format(name)
    end
    return text.scalar(arguments.plain(value, type_name))
  elseif type(value) ~= "string" and type(value) ~= "boolean" then
    return nil, ("'%s' cannot be a %s"):format(name, type(value))
  end
  return text.scalar(value)
end

-- The names of options.body that no part is declared for, in order. Nil and the problem.
local function further_names(declared, extra)
  local names = {}
  for name in pairs(extra or {}) do
    if type(name) ~= "string" then
      return nil, ("option 'body' has a name that is a %s"):format(type(name))
    elseif name == declared.file.name or name == declared.file.wire then
      return nil, ("the file is given by the parameter '%s'"):format(declared.file.name)
    elseif text.breaks_line(name) then
      return nil, "option 'body' has a name that contains a line break or NUL"
    elseif not declared.form_names[name] then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

-- The text parts of a form: { name, value } each. Nil and the problem.
local function text_parts(declared, params, extra)
  local names, problem = further_names(declared, extra)
  if not names then
    return nil, problem
  end
  local parts = {}
  for index = 1, #declared.form + #names do
    local part = declared.form[index] or { name = names[index - #declared.form] }
    local value = extra and extra[part.name]
    if value == nil then
      value = params[part.name]
    end
    local written
    if value ~= nil then
      written, problem = as_text(part.name, value, part.type)
    end
    if not written and not problem and part.required then
      problem = ("parameter '%s' must not be empty"):format(part.name)
    end
    if problem then
      return nil, problem
    elseif written then
      parts[#parts + 1] = { part.wire or part.name, written }
    end
  end
  return parts
end

-- The text part that holds as JSON what the body of the call without a file holds. Nil and the problem.
local function json_part(declared, params, extra)
  local json, problem = body_json.encode(body_json.members(declared, params, extra))
  return json and { { declared.upload.json, json } }, problem
end

--- Whether a call has a form: it is declared with one, or with an alternative for calls with a file and has got one.
---@param declared LlamaCloud.Declared
---@param params table
---@return boolean
function form.applies(declared, params)
  if not declared.file or declared.form then
    return declared.form ~= nil
  end
  local file = params[declared.file.name]
  return file ~= nil and file ~= core.null
end

--- The form of a call, and its text parts by their names. Nil and the problem.
---@param declared LlamaCloud.Declared
---@param params table
---@param extra? table options.body
---@return userdata? form
---@return table<string, string>|string texts or the problem
function form.write(declared, params, extra)
  local parts, problem = (declared.form and text_parts or json_part)(declared, params, extra)
  if not parts then
    return nil, problem --[[@as string]]
  end
  local parameter = declared.file.name
  local file, misfits = described(parameter, params[parameter], declared.file.wire)
  if not file then
    return nil, misfits --[[@as string]]
  end
  local made
  made, problem = core.form { text = parts, file = file }
  if not made or made:bytes() == 0 then
    problem = problem or ("the file %s is empty"):format(text.quote(file.path or file.name))
    return nil, ("parameter '%s': %s"):format(parameter, text.line(problem, 500, "?"))
  end
  local texts = {}
  for _, part in ipairs(parts) do
    texts[part[1]] = part[2]
  end
  return made, texts
end

return form

-- Reads multipart/form-data as it comes. What it holds is one piece and the text parts, whose length is bounded; files go
-- to their writer piece by piece.

local multipart = {}

-- As in Starlette: text parts of 1 MiB, 1,000 parts.
local MAX_TEXT = 1 << 20
local MAX_PARTS = 1000
local MAX_HEADERS = 16 << 10

local MALFORMED = "There was an error parsing the body"

---@class llama_cloud.sandbox.part
---@field name string
---@field filename? string a part with one is a file
---@field content_type? string
---@field size integer
---@field text? string of a part that is no file
---@field blob? llama_cloud.sandbox.blob of a file

local reader_methods = {}
local reader_mt = { __name = "llama_cloud.sandbox.multipart", __index = reader_methods }

-- The parameters of a header value, such as `name="a \"b\""; filename=c`, by name.
local function parameters(text)
  local found, position = {}, 1
  while true do
    local name, after = text:match("^[ \t;]*([%w*-]+)=()", position)
    if not name then
      return found
    end
    local value
    if text:sub(after, after) == '"' then
      local stop = text:find('["\\]', after + 1) or #text + 1
      while text:byte(stop) == 92 do -- a backslash: it says that the next one is a quotation mark, if it is one
        stop = text:find('["\\]', stop + (text:find('^["\\]', stop + 1) and 2 or 1)) or #text + 1
      end
      value, position = text:sub(after + 1, stop - 1):gsub('\\(["\\])', "%1"), stop + 1
    else
      value, position = text:match("^([^;%s]*)()", after)
    end
    found[name:lower()] = value
  end
end

--- The boundary that a Content-Type names; nil if it is of no form, false if it names none.
---@param content_type? string
---@return string|false|nil
function multipart.boundary(content_type)
  local kind, rest = (content_type or ""):match("^%s*([%w/-]+)(.*)$")
  if not kind or kind:lower() ~= "multipart/form-data" then
    return nil
  end
  local boundary = parameters(rest).boundary
  return boundary and #boundary <= 70 and #boundary > 0 and boundary or false
end

-- Gets more of the body; false at its end.
function reader_methods:fill()
  local piece = self.body:read()
  if not piece then
    return false
  end
  self.buffer = self.buffer == "" and piece or self.buffer .. piece
  return true
end

-- Gives what comes before `mark` to `take`, and takes the mark away; false if it does not come. `take` may refuse.
function reader_methods:until_mark(mark, take)
  while true do
    local first, last = self.buffer:find(mark, 1, true)
    -- What may be the beginning of the mark is left.
    local stop = first and first - 1 or math.max(0, #self.buffer - #mark + 1)
    if stop > 0 and take(self.buffer:sub(1, stop)) == false then
      return false
    end
    self.buffer = self.buffer:sub((last or stop) + 1)
    if first then
      return true
    elseif not self:fill() then
      return false
    end
  end
end

-- The next line, without its end; nil if it is too long or does not come.
function reader_methods:line()
  local text = ""
  local found = self:until_mark("\r\n", function(piece)
    text = text .. piece
    return #text <= MAX_HEADERS
  end)
  return found and text or nil
end

-- The headers of a part.
function reader_methods:part()
  local part = { size = 0 }
  for _ = 1, 100 do
    local line = self:line()
    if line == "" then
      return part.name and part or nil
    end
    local name, value = (line or ""):match("^([%w-]+):[ \t]*(.-)[ \t]*$")
    if not name then
      return nil
    end
    name = name:lower()
    if name == "content-type" then
      part.content_type = value
    elseif name == "content-disposition" then
      local kind, rest = value:match("^([%w-]+)(.*)$")
      if kind and kind:lower() == "form-data" then
        local given = parameters(rest)
        part.name, part.filename = given.name, given.filename
      end
    end
  end
  return nil
end

-- Reads a part's content. Returns a message if it is too long.
function reader_methods:content(part, new_writer)
  local writer = part.filename and new_writer(part)
  local pieces = {}
  local too_long = false
  local found = self:until_mark(self.mark, function(piece)
    part.size = part.size + #piece
    if writer then
      return writer:write(piece)
    end
    too_long = part.size > MAX_TEXT
    pieces[#pieces + 1] = piece
    return not too_long
  end)
  if writer and found then
    part.blob = writer:finish()
  elseif writer then
    writer:drop()
  else
    part.text = table.concat(pieces)
  end
  return found, too_long and "Part exceeded maximum size of 1024KB." or nil
end

-- What follows a boundary: another part, the end of the form, or nonsense (nil).
function reader_methods:after_boundary()
  while #self.buffer < 2 do
    if not self:fill() then
      return nil
    end
  end
  if self.buffer:sub(1, 2) == "--" then
    return "end"
  end
  local rest = self:line()
  return rest and not rest:find("[^ \t]") and "part" or nil
end

--- Reads a form to the end of the body. `new_writer` makes the writer for a file.
---@param body llama_cloud.sandbox.request_body
---@param boundary string
---@param new_writer fun(part: llama_cloud.sandbox.part): table
---@return llama_cloud.sandbox.part[] parts in their order; also of a form that breaks off
---@return string? message what is wrong with it; also where the peer is gone: then the body is not complete
function multipart.read(body, boundary, new_writer)
  local self = setmetatable({ body = body, mark = "\r\n--" .. boundary, buffer = "\r\n" }, reader_mt)
  local parts = {}
  local found, message = self:until_mark(self.mark, function() end), nil
  while found do
    local follows = self:after_boundary()
    if follows == "end" then
      body:skip()
      return parts, not body.complete and MALFORMED or nil
    elseif #parts == MAX_PARTS then
      return parts, "Too many parts."
    end
    local part = follows and self:part()
    if not part then
      break
    end
    found, message = self:content(part, new_writer)
    parts[#parts + 1] = part
  end
  return parts, message or MALFORMED
end

return multipart

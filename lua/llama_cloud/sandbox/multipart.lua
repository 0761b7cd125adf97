-- Reads multipart/form-data as it comes. It holds one piece at a time and the text parts, whose length is bounded; files
-- go to their writer piece by piece.

local ascii = require("llama_cloud.sandbox.ascii")

local multipart = {}

-- As in Starlette: text parts of 1 MiB, 1,000 parts. All texts of a form together are bounded here as well.
local MAX_TEXT = 1 << 20
local MAX_TEXTS = 2 << 20
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
    found[ascii.lower(name)] = value
  end
end

-- Text that is no UTF-8 is taken for Latin-1, as Starlette takes it.
local function decoded(text)
  return utf8.len(text) and text or (text:gsub("[\x80-\xff]", function(byte)
    return utf8.char(byte:byte())
  end))
end

--- The boundary that a Content-Type names; nil if it is of no form, false if it names none.
---@param content_type? string
---@return string|false|nil
function multipart.boundary(content_type)
  local kind, rest = (content_type or ""):match("^%s*([%w/-]+)(.*)$")
  if not kind or ascii.lower(kind) ~= "multipart/form-data" then
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
    name = ascii.lower(name)
    if name == "content-type" then
      part.content_type = value
    elseif name == "content-disposition" then
      local kind, rest = value:match("^([%w-]+)(.*)$")
      if kind and ascii.lower(kind) == "form-data" then
        local given = parameters(rest)
        part.name, part.filename = given.name and decoded(given.name), given.filename and decoded(given.filename)
      end
    end
  end
  return nil
end

-- What follows a boundary: another part, or the end of the form; false if that was no boundary, but only looked like one;
-- nil if nothing comes.
function reader_methods:after_boundary()
  while true do
    local after = self.buffer:match("^[ \t]*\r\n()")
    if after then
      self.buffer = self.buffer:sub(after)
      return "part"
    elseif self.buffer:find("^%-%-") then
      return "end"
    elseif #self.buffer > MAX_HEADERS or not (self.buffer:find("^%-?$") or self.buffer:find("^[ \t]*\r?$")) then
      return false
    elseif not self:fill() then
      return nil
    end
  end
end

-- Gives what comes before the next boundary to `take`, which may refuse it. What follows the boundary; nil if none comes.
function reader_methods:until_boundary(take)
  while self:until_mark(self.mark, take) do
    local follows = self:after_boundary()
    if follows ~= false then
      return follows
    elseif take(self.mark) == false then
      return nil
    end
  end
  return nil
end

-- Reads a part's content. Returns what follows it, and a message if it is too long.
function reader_methods:content(part, new_writer)
  local writer = part.filename and new_writer(part)
  local pieces = {}
  local message
  local follows = self:until_boundary(function(piece)
    part.size = part.size + #piece
    if writer then
      return writer:write(piece)
    end
    self.texts = self.texts + #piece
    message = part.size > MAX_TEXT and "Part exceeded maximum size of 1024KB."
      or self.texts > MAX_TEXTS and "Parts exceeded maximum size of 2048KB."
      or nil
    pieces[#pieces + 1] = piece
    return not message
  end)
  if writer and follows then
    part.blob = writer:finish()
  elseif writer then
    writer:drop()
  else
    part.text = decoded(table.concat(pieces))
  end
  return follows, message
end

--- Reads a form to the end of the body. `new_writer` makes the writer for a file.
---@param body llama_cloud.sandbox.request_body
---@param boundary string
---@param new_writer fun(part: llama_cloud.sandbox.part): table
---@return llama_cloud.sandbox.part[] parts in their order; also of a form that breaks off
---@return string? message what is wrong with it; also where the peer is gone: then the body is not complete
function multipart.read(body, boundary, new_writer)
  local self = setmetatable({ body = body, mark = "\r\n--" .. boundary, buffer = "\r\n", texts = 0 }, reader_mt)
  local parts = {}
  local follows, message = self:until_boundary(function() end), nil
  while follows == "part" do
    local part = #parts < MAX_PARTS and self:part()
    if not part then
      return parts, #parts == MAX_PARTS and "Too many parts." or MALFORMED
    end
    follows, message = self:content(part, new_writer)
    parts[#parts + 1] = part
  end
  if follows == "end" then
    body:skip()
    return parts, not body.complete and MALFORMED or nil
  end
  return parts, message or MALFORMED
end

return multipart

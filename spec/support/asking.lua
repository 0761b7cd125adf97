-- A sandbox, and questions to it over plain sockets: for specs of the sandbox, of which the client is no part.
--
--   local asked = require("spec.support.asking").start({ speed = 0.001 })
--   asked:ask(404, "GET", "/api/v2/parse/pjb-x").detail
--   asked:get("/api/v2/parse"), asked:post("/api/v2/parse", { … }), asked:advance(seconds), asked:stop()

local cjson = require("cjson")

local plain_http = require("spec.support.plain_http")
local sandbox = require("spec.support.sandbox")

local asking = {}

local methods = {}
local mt = { __index = methods }

---@param options? llama_cloud.sandbox.options
function asking.start(options)
  return setmetatable({ service = sandbox.start(options) }, mt)
end

function methods:stop()
  self.service:stop()
end

function methods:advance(seconds)
  self.service:advance(seconds)
end

--- Asks, checks the status, and returns the decoded body (the text if it is no JSON) and the answer.
function methods:ask(status, method, target, body, headers)
  local text = type(body) == "table" and cjson.encode(body) or body
  local answer = assert(plain_http.request(self.service.port, method, target, text, headers))
  if answer.status ~= status then
    error(string.format("%s %s: %d instead of %d: %s", method, target, answer.status, status, answer.body), 2)
  end
  local decoded, value = pcall(cjson.decode, answer.body)
  return decoded and value or answer.body, answer
end

function methods:get(target)
  return (self:ask(200, "GET", target))
end

function methods:post(target, body)
  return (self:ask(200, "POST", target, body))
end

--- The message of the first problem of a 422.
function methods:problem(method, target, body)
  local first = self:ask(422, method, target, body).detail[1]
  return first.type .. " " .. first.msg
end

--- Sends a form: `{ { name, text }, { name, bytes, filename }, … }`.
function methods:upload(status, target, parts)
  local pieces = {}
  for index, part in ipairs(parts) do
    local file = part[3] and string.format('; filename="%s"\r\nContent-Type: application/pdf', part[3]) or ""
    pieces[index] =
      string.format('--boundary\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n', part[1], file, part[2])
  end
  local body = table.concat(pieces) .. "--boundary--\r\n"
  local connection = plain_http.connect(self.service.port)
  connection:send(
    string.format("POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer llx-test\r\n", target)
      .. "Content-Type: multipart/form-data; boundary=boundary\r\n"
      .. string.format("Content-Length: %d\r\n\r\n%s", #body, body)
  )
  local answer = assert(connection:receive())
  connection:close()
  if answer.status ~= status then
    error(string.format("POST %s: %d instead of %d: %s", target, answer.status, status, answer.body), 2)
  end
  return cjson.decode(answer.body)
end

--- Gets a presigned address, without a key.
function methods:download(status, url)
  local body, answer = self:ask(status, "GET", url:match("^http://[^/]+(/.*)$"), nil, { Authorization = false })
  return body, answer
end

--- All items of a cursor list, and how many pages they came in.
function methods:collect(target)
  local items, pages, token = {}, 0, nil
  repeat
    local page = self:get(target .. (token and "&page_token=" .. token or ""))
    pages = pages + 1
    table.move(page.items, 1, #page.items, #items + 1, items)
    token = page.next_page_token ~= cjson.null and page.next_page_token or nil
  until not token
  return items, pages
end

return asking

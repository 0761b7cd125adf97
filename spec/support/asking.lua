-- A sandbox for each test, and questions to it over plain sockets: for specs of the sandbox, of which the client is no part.
--
--   local asked, start = require("spec.support.asking").each_test()
--   start { speed = 0.001 }
--   asked:ask(404, "GET", "/api/v2/parse/pjb-x").detail
--   asked:get("/api/v2/parse"), asked:post("/api/v2/parse", { … }), asked:advance(seconds)
--   asked.service is what spec/support/sandbox.lua starts

local busted = require("busted")
local cjson = require("cjson")

local plain_http = require("spec.support.plain_http")
local sandbox = require("spec.support.sandbox")

local asking = {}

local methods = {}
local mt = { __index = methods }

--- What the tests of a `describe` ask, and a function that starts the sandbox, which is stopped after each test and before
--- it is started again.
---@param defaults? llama_cloud.sandbox.options those of every start, where it does not say otherwise
---@return table asked
---@return fun(options?: llama_cloud.sandbox.options) start
function asking.each_test(defaults)
  local asked = setmetatable({}, mt)
  busted.after_each(function()
    asked:stop()
  end)
  return asked,
    function(options)
      local all = {}
      for _, some in ipairs { defaults or {}, options or {} } do
        for name, value in pairs(some) do
          all[name] = value
        end
      end
      asked:stop()
      asked.service = sandbox.start(all)
    end
end

function methods:stop()
  if self.service then
    self.service:stop()
    self.service = nil
  end
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
  local is_json = answer.body ~= "" and answer.headers["content-type"] == "application/json"
  return is_json and cjson.decode(answer.body) or answer.body, answer
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

--- Sends a form, of parts as `plain_http.form` takes them.
function methods:upload(status, target, parts)
  local body, headers = plain_http.form(parts)
  return (self:ask(status, "POST", target, body, headers))
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

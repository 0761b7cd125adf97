-- The same in every country, and where the application has taken libraries of Lua's away.

local locale = require("spec.support.locale")
local process = require("spec.support.process")
local server = require("spec.support.server")

-- Calls of all sorts, with capital I's and letters beyond ASCII where they are compared.
local CALLS = [==[
  local llama_cloud = require("llama_cloud")
  local url = ...
  local lines = {}
  local client = llama_cloud.new {
    api_key = "llx-0123456789 \n",
    base_url = url:gsub("^http", "HTTP"),
    proxy = "",
    max_retries = 1,
    timeout = 20.5,
    default_headers = { ["X-TITLE-ID"] = "one", ["x-title-id"] = nil, ["X-RATIO"] = 0.5 },
    log = function(level, message) lines[#lines + 1] = message end,
  }
  -- a name in capitals is the same name
  local given = { headers = { ["x-TITLE-id"] = "two" }, query = { q = 0.5 } }
  local batch = assert(client.batches:get("ÉÀ\u{A0}Ş", nil, given))
  assert(batch.id == "İI", batch.id)
  assert(type(assert(client:get("/MEDIA")).id) == "string")
  local _, err = client:get("/error")
  assert(err.kind == "bad_request")
  assert(err.message == "400: Größe à İstanbul ( ) \u{A0}x", err.message)
  assert(utf8.len(tostring(err)))
  _, err = client:get("/slow", { total_timeout = 0.25 })
  assert(tostring(err):find("total_timeout of 0.25 s", 1, true), tostring(err))
  _, err = client:get("/later")
  assert(tostring(err):find("wait 90.5 s, which is more than max_retry_after (60 s)", 1, true), tostring(err))
  assert(assert(client:get("/soon")).id == "soon")
  _, err = client.batches:wait("RUNNING", nil, { total_timeout = 0.25, polling_interval = 0.1 })
  assert(tostring(err):find("after 0.25 s", 1, true), tostring(err))
  local ok, message = pcall(client.batches.list, client.batches, { PAGE_SIZE = 1 })
  assert(message:find("did you mean 'page_size'", 1, true), message)
  ok, message = pcall(client.batches.list, client.batches, { page_size = 1.5 })
  assert(message:find("not 1.5", 1, true), message)
  ok, message = pcall(llama_cloud.new, { api_key = "k", timeout = -0.5 })
  assert(message:find("not -0.5", 1, true), message)
  ok, message = pcall(client.get, client, "/x", { headers = { ["X-É"] = "x" } })
  assert(not ok and message:find("invalid header name", 1, true), message)
  ok, message = pcall(client.get, client, "/à\u{A0}") -- bytes of UTF-8 are no blanks
  assert(ok, message)
  assert(llama_cloud.time("2026-01-01T00:00:00.5Z") == 1767225600.5)
  io.write("well\n")
]==]

local function service()
  return server.start([[
    local n = 0
    return function(connection, request)
      local path = request.path
      if path:find("error") then
        connection:json(400, '{"detail":"Größe à İstanbul (\u{85}) \u{A0}x"}')
      elseif path:find("slow") then
        connection:sleep(60)
      elseif path:find("later") then
        connection:json(503, "{}", { ["Retry-After"] = "90.5" })
      elseif path:find("soon") then
        n = n + 1
        connection:json(n == 1 and 503 or 200, '{"id":"soon"}', n == 1 and { ["RETRY-AFTER"] = "0.25 s" } or nil)
      elseif path:find("MEDIA") then
        connection:respond(200, { ["CONTENT-TYPE"] = "APPLICATION/JSON ; charset=utf-8" }, '{"id":"x"}')
      elseif path:find("RUNNING") then
        connection:json(200, '{"id":"x","status":"RUNNING"}')
      else
        connection:json(200, '{"id":"İI"}')
      end
    end
  ]])
end

local function look(requests)
  local first = requests[1]
  assert.equal("/api/v2/batches/%C3%89%C3%80%C2%A0%C5%9E", first.path)
  assert.equal("q=0.5", first.query:match("q=[^&]*"))
  assert.equal("two", first.headers["x-title-id"])
  assert.equal("0.5", first.headers["x-ratio"])
  assert.equal("Bearer llx-0123456789", first.headers.authorization)
end

describe("calls are the same", function()
  for name, run in pairs {
    ["in the C locale"] = function(url)
      return process.run(CALLS, { args = { url } })
    end,
    ["where numbers have a comma"] = function(url)
      return locale.run(",", CALLS, { url })
    end,
    ["where the small letter of I is no i, and UTF-8 looks like letters and controls"] = function(url)
      return locale.run_turkish(CALLS, { url })
    end,
  } do
    it(name, function()
      local s <close> = service()
      local output, well = run(s:url())
      if not output then
        return pending("no such locale can be made here")
      end
      assert.is_true(well, output)
      assert.equal("well\n", output)
      look(s:requests())
    end)
  end
end)

describe("where the application has taken away", function()
  local function without(names, after)
    local s <close> = service()
    local chunk = [[
      local write, url = io.write, ...
      local names, loaded = "%s", package.loaded
      local function take() for name in names:gmatch("%%a+") do _G[name] = nil loaded[name] = nil end end
      if not %s then take() end
      local llama_cloud = require("llama_cloud")
      take()
      local client = llama_cloud.new { api_key = "llx-key", base_url = url, proxy = "", max_retries = 1 }
      local _, err = client:get("/error")
      assert(err.kind == "bad_request")
      assert(client:get("/soon"))
      assert(client.batches:list({ created_at_on_or_after = 1767225600.5 }, { max_retries = 0 }))
      assert(client.batches:get("x", nil, { query = { q = 1 } }))
      local ok, message = pcall(llama_cloud.run, function() llama_cloud.sleep(0) error("a fault", 0) end)
      assert(not ok and message == "a fault")
      ok, message = pcall(llama_cloud.new, { base_url = url })
      assert(not ok and message:find("no API key", 1, true), message)
      write("well\n")
    ]]
    -- without a Date of the response's, the clock is asked
    local key = names:find("os") and "llx-that-nobody-reads" or false
    local environment = { LLAMA_CLOUD_API_KEY = key, LLAMA_PARSE_API_KEY = false }
    local output, well =
      process.run(chunk:format(names, tostring(after)), { args = { s:url() }, environment = environment })
    assert.is_true(well, output)
    assert.equal("well\n", output)
  end

  for _, names in ipairs { "os", "io", "debug", "os io debug" } do
    it(names .. ", a client works", function()
      without(names, true)
      without(names, false)
    end)
  end

  it("package, require and load afterwards, a client works", function()
    without("package require load", true)
  end)

  it("os, dates and waits are the same", function()
    local output, well = process.run([[
      os = nil
      package.loaded.os = nil
      local date = require("llama_cloud.http.date")
      assert(date.format(1767225600.5) == "2026-01-01T00:00:00.500Z")
      assert(date.format(-1) == "1969-12-31T23:59:59.000Z")
      local later = date.format(require("llama_cloud.core").time() + 100)
      local delay = require("llama_cloud.http.retry").server_delay { ["retry-after"] = "Fri, 01 Jan 2100 00:00:00 GMT" }
      assert(delay > 86400 and date.parse(later) > 1767225600)
    ]])
    assert.is_true(well, output)
  end)

  it("io, or its stderr, a log needs a function, and is told so", function()
    local output, well = process.run([[
      local write = io.write
      io = {}
      assert(not pcall(require("llama_cloud").new, { api_key = "llx-key", log = "warn" }))
      io = nil
      local llama_cloud = require("llama_cloud")
      write(select(2, pcall(llama_cloud.new, { api_key = "llx-key", log = "warn" })), "\n")
      llama_cloud.new { api_key = "llx-key", log = print }
    ]])
    assert.is_true(well, output)
    assert.equal("log needs Lua's io library to write to standard error: give it a function\n", output)
  end)
end)

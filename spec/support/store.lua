-- A store of one file behind presigned URLs, and what can go wrong on the way from it or to it.
--
--   local store = require("spec.support.store")
--   local s = store.start({ "cut(c, r, 1000)", "whole(c, r)" }, { size = 5000, server = { … } })
--
-- Each text is Lua source that answers one request, the last also those that follow. It has the connection c, the request r,
-- the file's bytes DATA, and: whole(c, r, options), which obeys Range and If-Range, with the options `headers`, `ranges =
-- false`; cut(c, r, count, options), which sends the head of that, `count` bytes of its body, and then closes (or resets, with
-- `reset`, or sends nothing more, with `stall`).

local client_support = require("spec.support.client")
local server = require("spec.support.server")

local store = {}

--- What makes an address a credential; long enough to be looked for.
store.SIGNATURE = "c2lnbmF0dXJlLW9mLXRoZS1hZGRyZXNz"

local SCRIPT = [[
  local bytes = {}
  for i = 0, args.size - 1 do
    bytes[i + 1] = string.char((31 * i + 7 * (i // 256) + 11) %% 256)
  end
  DATA = table.concat(bytes)

  local function answer(r, options)
    options = options or {}
    local headers = { ETag = '"v1"', ["Content-Type"] = "application/pdf" }
    for name, value in pairs(options.headers or {}) do
      headers[name] = value or nil
    end
    local from = tonumber((r.headers.range or ""):match("^bytes=(%%d+)%%-$"))
    local same = r.headers["if-range"] == (headers.ETag or headers["Last-Modified"])
    if from and same and options.ranges ~= false then
      headers["Content-Range"] = options.content_range or ("bytes %%d-%%d/%%d"):format(from, #DATA - 1, #DATA)
      return 206, headers, DATA:sub(from + 1)
    end
    return 200, headers, DATA
  end

  function whole(c, r, options)
    c:respond(answer(r, options))
  end

  function cut(c, r, count, options)
    options = options or {}
    local status, headers, body = answer(r, options)
    if options.length ~= false then
      headers["Content-Length"] = #body
    end
    c:head(status, headers)
    c:raw(body:sub(1, count))
    if options.stall then
      c:wait_closed(20)
    elseif options.reset then
      c:sleep(0.05)
      return c:reset()
    end
    c:close()
  end

  local acts, counts = {}, {}
  for path, sources in pairs(args.acts) do
    acts[path] = {}
    for i, source in ipairs(sources) do
      acts[path][i] = assert(load("local c, r = ... " .. source))
    end
  end
  return function(c, r)
    local path = acts[r.path] and r.path or "any"
    counts[path] = (counts[path] or 0) + 1
    acts[path][math.min(counts[path], #acts[path])](c, r)
  end
]]

--- The bytes of the file.
---@param size integer
---@return string
function store.bytes(size)
  local bytes = {}
  for i = 0, size - 1 do
    bytes[i + 1] = string.char((31 * i + 7 * (i // 256) + 11) % 256)
  end
  return table.concat(bytes)
end

local found, digest = pcall(require, "openssl.digest")

--- What tells bytes apart: their SHA-256, where luaossl is there.
---@param bytes string
---@return string
function store.digest(bytes)
  if not found then
    return bytes
  end
  return (digest.new("sha256"):final(bytes):gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end))
end

--- The bytes of a local file; nil if it is not there.
---@param path string
---@return string?
function store.read(path)
  local file = io.open(path, "rb")
  if not file then
    return nil
  end
  local bytes = file:read("a")
  file:close()
  return bytes
end

--- Checks that whoever saw a request saw nothing that is for the service only.
---@param request table
function store.check_stranger(request)
  for _, name in ipairs { "authorization", "x-default", "cookie" } do
    assert(not request.headers[name], name)
  end
  for name in pairs(request.headers) do
    assert(not name:find("^x%-stainless"), name)
  end
  assert(not request.raw:find(client_support.KEY, 1, true), "the key")
  assert(not request.target:find("default", 1, true), request.target)
end

--- A client's options, with defaults that no store may see.
---@param options? table over these
---@return table
function store.client_options(options)
  local given = { default_headers = { ["X-Default"] = "1" }, default_query = { default = "1" }, max_retries = 3 }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  return given
end

--- Starts one.
---@param acts string[]|table<string, string[]> for all paths, or of each path
---@param options? { size: integer?, directory: string?, server: table? } `directory`: for acts, as args.directory
---@return table server
function store.start(acts, options)
  options = options or {}
  local given = options.server or {}
  given.args = { acts = acts[1] and { any = acts } or acts, size = options.size or 5000, directory = options.directory }
  return server.start(SCRIPT:gsub("%%%%", "%%"), given)
end

--- A directory for files; removed with all that is in it when it goes out of scope. `files()` tells what is in it.
---@return table directory with `path`
function store.directory()
  local lfs = require("lfs") -- busted needs it, too
  local path = os.tmpname()
  os.remove(path)
  assert(lfs.mkdir(path))
  local directory = { path = path }
  function directory.files()
    local names = {}
    for name in lfs.dir(path) do
      if name ~= "." and name ~= ".." then
        names[#names + 1] = name
      end
    end
    table.sort(names)
    return names
  end
  function directory.remove()
    for _, name in ipairs(lfs.attributes(path) and directory.files() or {}) do
      os.remove(path .. "/" .. name)
    end
    lfs.rmdir(path)
  end
  return setmetatable(directory, { __close = directory.remove })
end

return store

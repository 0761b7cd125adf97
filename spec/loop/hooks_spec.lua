-- An error of a count hook, such as lua.c's at Ctrl-C or a time limit of an application, may strike at any VM instruction:
-- here at the first, at the second, and so on. It comes out where Lua raises it, no task is lost or runs twice, nothing
-- loops or hangs, and the next call works. The programs are in spec/support/struck.lua.

local hosts = require("spec.support.hosts")
local process = require("spec.support.process")
local server = require("spec.support.server")
local struck = require("spec.support.struck")

local MOST = 3000
local STRIDE = ({ [1] = 1, [4] = 7 })[process.slowdown] or 61

local SERVER = [[
  return function(connection, request)
    local id = request.path:match("/batches/(.*)$")
    if id then
      connection:json(200, ('{"id":"%s","status":"COMPLETED"}'):format(id))
    elseif (request.query or ""):find("page_token=") then
      connection:json(200, '{"items":[{"id":"c"},{"id":"d"}],"next_page_token":null}')
    else
      connection:json(200, '{"items":[{"id":"a"},{"id":"b"}],"next_page_token":"two"}')
    end
  end]]

describe("an error at every instruction", function()
  local s

  lazy_setup(function()
    s = server.start(SERVER)
  end)

  lazy_teardown(function()
    s:stop()
  end)

  for _, host in ipairs { "main", "cqueues", "luv" } do
    for _, name in ipairs(struck.names(host)) do
      it(("of %s, in %s"):format(name, host), function()
        if hosts.missing(host) then
          return pending(hosts.missing(host))
        end
        local chunk = 'require("spec.support.struck").run(...)'
        local output, well = process.run(chunk, { args = { name, host, s:url(), tostring(MOST), tostring(STRIDE) } })
        assert.is_true(well, output)
        assert.matches("^%d+ runs\n$", output)
      end)
    end
  end
end)

-- A finalizer runs wherever something allocates, and may use the client or end what is under way: here at the first
-- allocation of each kind of call, at the second, and so on. Each call gives its answer or its error in time, and nothing
-- is left of either. The calls are in spec/support/finalizing.lua.

local finalizing = require("spec.support.finalizing")
local process = require("spec.support.process")
local server = require("spec.support.server")

local STRIDE = ({ [1] = 1, [4] = 3 })[process.slowdown] or 61

local SERVER = [[
  return function(connection, request)
    local id = request.path:match("/batches/(.*)$")
    if id or request.method == "POST" then
      connection:json(200, ('{"id":"%s","status":"COMPLETED"}'):format(id or "bat-new"))
    elseif (request.query or ""):find("page_token=") then
      connection:json(200, '{"items":[{"id":"c"},{"id":"d"}],"next_page_token":null}')
    else
      connection:json(200, '{"items":[{"id":"a"},{"id":"b"}],"next_page_token":"two"}')
    end
  end]]

describe("a finalizer at every allocation of", function()
  local s

  lazy_setup(function()
    s = server.start(SERVER)
  end)

  lazy_teardown(function()
    s:stop()
  end)

  for _, name in ipairs(finalizing.names()) do
    for _, way in ipairs { "uses", "ends" } do
      local what = way == "uses" and "uses the client" or "ends what is under way"
      it(("%s, which %s"):format(name, what), function()
        local chunk = 'require("spec.support.finalizing").run(...)'
        local output, well = process.run(chunk, { args = { name, way, s:url(), tostring(STRIDE) } })
        assert.is_true(well, output)
        assert.matches("^%d+ runs\n$", output)
      end)
    end
  end
end)

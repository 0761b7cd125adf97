--- 50 coroutines make 4 calls of 100 ms each, in a host: how long that takes, and how often a 10 ms timer ticks beside.
---   scripts/lua bench/waiting/concurrency.lua group|cqueues|luv|copas      bench/waiting/run.lua sets the service up

local core = require("llama_cloud.core")
local llama_cloud = require("llama_cloud")

local COROUTINES, CALLS, TICK = 50, 4, 0.01

local client = llama_cloud.new()
local id = assert(client.batches:list({ page_size = 1 }):next_page()).items[1].id

local ticks, live, began, took = 0, COROUTINES, nil, nil

local function work()
  for _ = 1, CALLS do
    assert(client.batches:get(id))
  end
  live = live - 1
  if live == 0 then
    took = core.now() - began
  end
end

local hosts = {}

function hosts.group()
  llama_cloud.run(function()
    for _ = 1, COROUTINES do
      llama_cloud.spawn(work)
    end
    while live > 0 do
      llama_cloud.sleep(TICK)
      ticks = ticks + 1
    end
  end)
end

function hosts.cqueues()
  local cqueues = require("cqueues")
  local controller = cqueues.new()
  for _ = 1, COROUTINES do
    controller:wrap(work)
  end
  controller:wrap(function()
    while live > 0 do
      cqueues.sleep(TICK)
      ticks = ticks + 1
    end
  end)
  assert(controller:loop())
end

function hosts.luv()
  local uv = require("luv")
  local luv_host = require("llama_cloud.loop.luv")
  llama_cloud.use_loop("luv")
  local timer = uv.new_timer()
  timer:start(TICK * 1000 // 1, TICK * 1000 // 1, function()
    ticks = ticks + 1
    if live == 0 then
      timer:close()
    end
  end)
  for _ = 1, COROUTINES do
    luv_host.spawn(work)
  end
  uv.run()
end

function hosts.copas()
  local copas = require("copas")
  for _ = 1, COROUTINES do
    copas.addthread(work)
  end
  copas.addthread(function()
    while live > 0 do
      copas.pause(TICK)
      ticks = ticks + 1
    end
  end)
  copas.loop()
end

local name = arg[1]
local library = name ~= "group" and name
if library and not pcall(require, library) then
  print(("  %-8s is not installed"):format(name))
  return
end
began = core.now()
hosts[name]()
print(("  %-8s %.3f s, %d ticks"):format(name, took, ticks))

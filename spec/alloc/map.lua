-- Run by spec/support/alloc_harness.c: a loop over map whose body waits, too, in a task.
failing(false)
local llama_cloud = require("llama_cloud")
require("spec.support.compiled")

local function check(value, message)
  if not value then
    error(message or "wrong result")
  end
  return value
end

-- Goes through some, two at a time; how many they were.
local function go_through()
  local count = 0
  for item, result in
    llama_cloud.map({ 1, 2, 3 }, function(item)
      llama_cloud.sleep(0)
      return item
    end, { concurrency = 2 })
  do
    check(item == result)
    llama_cloud.sleep(0)
    count = count + 1
  end
  return count
end

function afterwards()
  check(go_through() == 3)
  check(llama_cloud.run(go_through) == 3)
end
failing(true)

check(llama_cloud.run(go_through) == 3)

-- What is left in the middle ends; another's error is raised.
for _, result in llama_cloud.map({ "a", "b" }, check) do -- luacheck: ignore 512
  check(result)
  break
end
local problem = {}
local ok, message = pcall(llama_cloud.map({ problem }, error))
if ok or message ~= problem then
  error(message)
end

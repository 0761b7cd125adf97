-- Inside a game or a GUI, which draws 60 frames a second and must never wait: step() once a frame does what can be done
-- without waiting, for at most the time that it is given.
--
--   scripts/lua examples/frame_loop.lua bat-…       the key is in LLAMA_CLOUD_API_KEY
--
-- Without an id it starts a batch, in the sandbox only.

local llama_cloud = require("llama_cloud")

-- What the engine would have: a clock, and the display's beat.
local cqueues = require("cqueues")
local clock, sleep = cqueues.monotime, cqueues.sleep

local FRAME = 1 / 60
local BUDGET = 0.004 -- seconds of each frame that step() may take

local client = llama_cloud.new()
local shown = "…"

-- A task: it is written as if it waited, and is continued by step().
local task = llama_cloud.spawn(function()
  local id = arg[1]
  if not id then
    assert((os.getenv("LLAMA_CLOUD_BASE_URL") or ""):find("^http://127%.0%.0%.1"), "usage: frame_loop.lua BATCH_ID")
    id = assert(client.batches:create {
      source_directory_id = "dir-files-5",
      config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } },
    }).id
  end
  for batch in client.batches:watch(id, nil, { polling_interval = 0.25 }) do
    shown = batch.status
  end
end)

local frames, drawn = 0, nil
local due = clock()
while task:status() == "pending" do
  llama_cloud.step(BUDGET) -- raises what a task has raised
  if shown ~= drawn then -- draw
    print(("frame %d: %s"):format(frames, shown))
    drawn = shown
  end
  frames = frames + 1
  due = due + FRAME
  sleep(math.max(0, due - clock()))
end
print(("the batch has ended after %d frames"):format(frames))

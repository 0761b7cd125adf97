--- The recipe by this module: ours.lua WHAT BASE_URL FOLDER JOURNAL [OUTPUT]
---
--- WHAT is `idle` (the module is loaded, nothing is done), `uploads` (each file is uploaded into a directory of 1,000, and
--- nothing else) or `process`, which fetches the results into the folder OUTPUT, or does not fetch them. It prints how many
--- files came through.

local llama_cloud = require("llama_cloud")

local CONCURRENCY, BATCH = 8, 1000

local what, base_url, folder, journal, output = table.unpack(arg)
local client = llama_cloud.new { api_key = "llx-bench", base_url = base_url }

local contenders = {}

function contenders.idle()
  client.files:list() -- so that what is loaded later is loaded
  return 0
end

function contenders.uploads()
  local lfs = require("lfs")
  local count, directory = 0, nil
  local function paths()
    for name in lfs.dir(folder) do
      if name ~= "." and name ~= ".." then
        coroutine.yield(folder .. "/" .. name, name)
      end
    end
  end
  local next_path = coroutine.wrap(paths)
  local function items()
    local path, name = next_path()
    if not path then
      return nil
    end
    if count % BATCH == 0 then
      directory = assert(client.beta.directories:create { name = ("bench-%d"):format(count), type = "ephemeral" })
    end
    count = count + 1
    return { path = path, name = name, directory = directory.id }
  end
  local uploaded = 0
  local function upload(item)
    return client.beta.directories.files:upload(item.directory, {
      upload_file = { path = item.path, name = item.name },
      unique_id = item.name,
    })
  end
  for _, row, err in llama_cloud.map(items, upload, { concurrency = CONCURRENCY }) do
    assert(row, err)
    uploaded = uploaded + 1
  end
  return uploaded
end

function contenders.process()
  local count = 0
  for file in
    client.batches:process(folder, {
      config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } },
      expand = output and { "markdown_full" },
    }, {
      journal = journal,
      output = output,
      concurrency = CONCURRENCY,
      uploads_per_second = math.huge,
      batch_size = BATCH,
      polling_interval = output and 0.5,
      max_interval = output and 0.5,
    })
  do
    assert(file.status == "COMPLETED", file.error)
    count = count + 1
  end
  return count
end

print(contenders[what]())

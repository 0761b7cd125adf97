--- Uploads the files of a directory, or downloads as many into one: ours.lua idle|up|down BASE_URL DIRECTORY COUNT SIZE AT_ONCE
--- `idle` has loaded what the others need and does nothing. Prints how many files came through.

local llama_cloud = require("llama_cloud")

local what, base_url, directory = table.unpack(arg)
local count, size, at_once = tonumber(arg[4]), tonumber(arg[5]), tonumber(arg[6])
local client = llama_cloud.new { api_key = "k", base_url = base_url, proxy = "", max_retries = 0 }

local contenders = {}

function contenders.up(name)
  local row = assert(client.beta.directories.files:upload("dir-1", {
    display_name = name,
    unique_id = name,
    upload_file = directory .. "/" .. name,
  }))
  assert(row.received > size, "the file is not there")
  return true
end

function contenders.down(name)
  local file = assert(client:download(("%s/%d"):format(base_url, size), directory .. "/" .. name))
  assert(file.bytes == size)
  return true
end

local names = {}
for number = 1, what == "idle" and 0 or count do
  names[number] = ("%d.pdf"):format(number)
end
local done = 0
for _, well, err in llama_cloud.map(names, contenders[what] or print, { concurrency = at_once }) do
  assert(well, err)
  done = done + 1
end
print(done)

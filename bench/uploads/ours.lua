-- Uploads the files of a directory, so many at once, over one client.
local llama_cloud = require("llama_cloud")

local base_url, directory, count, at_once = ...
local client = llama_cloud.new { api_key = "k", base_url = base_url, proxy = "", max_retries = 0 }
local latest = 0

llama_cloud.run(function()
  for _ = 1, at_once do
    llama_cloud.spawn(function()
      while latest < tonumber(count) do
        latest = latest + 1
        local name = ("%d.pdf"):format(latest)
        assert(client.beta.directories.files:upload("dir-1", {
          display_name = name,
          unique_id = name,
          upload_file = directory .. "/" .. name,
        }))
      end
    end)
  end
end)

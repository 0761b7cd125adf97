-- What an editor with lua-language-server knows of the library: spec/project/types_spec.lua has it checked. Each line ends in
-- the complaints that are expected there, and no other is; `nope` is a field that nothing has, of which a server that does
-- not know a value's type would not complain.

local llama_cloud = require("llama_cloud")
local client = llama_cloud.new { timeout = 5 }

local batch, err = client.batches:get("bat-…")
print(batch and batch.nope, err and err.nope) --> undefined-field undefined-field
print(assert(client.batches:get("bat-…")).nope) --> undefined-field
print(assert(client.batches:get("bat-…")).results[1].nope) --> undefined-field

for item in client.batches:list({ status = "FAILED" }, { fields = { "id" } }) do
  print(item.id, item.nope) --> undefined-field
end

local list <close> = client.batches:list()
print(list.nope, list.position) --> undefined-field invisible
list:close()
list:clos() --> undefined-field
local page = assert(list:next_page())
print(page.items[1].nope, page.next_page_token, page.nope) --> undefined-field undefined-field
for each in list:pages() do
  print(each.total_size, each.items[1].nope) --> undefined-field
end
for _, item in ipairs(assert(list:all { max_items = 3 })) do
  print(item.nope) --> undefined-field
end

for change in client.batches:watch("bat-…") do
  print(change.nope) --> undefined-field
end
for id, ended, problem in client.batches:wait_all { "bat-…" } do
  print(id, ended and ended.nope, problem and problem.nope) --> undefined-field undefined-field
end
local job = assert(client.beta.batch:run { job_config = {} })
print(job.nope) --> undefined-field

local config = { job = { type = "parse_v2", configuration_id = "cfg-PARSE_AGENTIC" } }
client.batches:create { source_directory_id = "dir-…", config = config }
client.batches:create { source_directory_id = 7, config = config } --> assign-type-mismatch
client.batches:create { config = config } --> missing-fields
client.batches:craete { config = config } --> undefined-field
client.baches:list() --> undefined-field

for _, item in ipairs(assert(client.parsing:get("pjb-…", { expand = { "items" } })).items.pages[1].items) do -->
  if item.type == "table" then
    print(item.rows[1][1], item.nope) --> undefined-field
  end
end

print(llama_cloud.webhook.verify("body", "sha256=…", "secret"))
print(llama_cloud.webhook.nope) --> undefined-field

-- What all resources have in common: how a client gets them, what they refuse, and what of them is sent again.

local llama_cloud = require("llama_cloud")
local lists = require("spec.support.lists")
local reconcile = require("llama_cloud.endpoint.reconcile")
local server = require("spec.support.server")
local wire = require("spec.support.wire")

describe("resources", function()
  local s, client

  setup(function()
    s = server.start(wire.SERVICE)
    client = lists.client(s)
  end)

  teardown(function()
    s:stop()
  end)

  it("put the client's scope into every query that takes it", function()
    local scoped = lists.client(s, { project_id = "prj-1", organization_id = "org-1" })
    local before = s:count()
    assert(scoped.beta.directories:create { name = "a" })
    assert(scoped.beta.directories.files:delete("dir-1", "dfl-1"))
    assert(scoped.parsing:cancel("pjb-1", { project_id = "prj-2" }))
    assert(scoped.projects:get("prj-1"))
    assert(scoped.extract:validate_schema { data_schema = {} })
    assert(scoped.parsing:list_versions())
    local targets = {}
    for index = before + 1, s:count() do
      targets[#targets + 1] = s:requests()[index].target
    end
    assert.same({
      "/api/v1/beta/directories?organization_id=org-1&project_id=prj-1",
      "/api/v1/beta/directories/dir-1/files/dfl-1?organization_id=org-1&project_id=prj-1",
      "/api/v2/parse/pjb-1/cancel?organization_id=org-1&project_id=prj-2",
      "/api/v1/projects/prj-1?organization_id=org-1",
      "/api/v2/extract/schema/validation",
      "/api/v2/parse/versions",
    }, targets)
  end)

  it("send nothing of what an argument forbids", function()
    local before = s:count()
    local function refused(message, f, ...)
      local ok, problem = pcall(f, ...)
      assert.is_false(ok)
      assert.matches(message, problem, 1, true)
    end
    local files = client.beta.directories.files
    refused("directory_id must not be empty", files.get, files, "", "dfl-1")
    refused(
      "directory_file_id must be a string, not nil"
        .. " (a call that fails returns nil and an error: put assert() around it)",
      files.get,
      files,
      "dir-1"
    )
    refused("directory_file_id must be a string, not table", files.get, files, "dir-1", { expand = "metadata" })
    refused("too many arguments", files.get, files, "dir-1", "dfl-1", nil, nil, nil)
    refused("missing parameter 'file_id'", files.add, files, "dir-1", {})
    refused("missing parameter 'name'", client.beta.directories.create, client.beta.directories, {})
    refused("missing parameter 'source_id'", client.beta.attachments.list, client.beta.attachments)
    refused("missing parameter 'file_input'", client.extract.create, client.extract, {})
    refused("missing parameter 'parameters'", client.configurations.create, client.configurations, { name = "n" })
    refused("unknown parameter 'expand'", client.parsing.create, client.parsing, { expand = "markdown" })
    refused("unknown parameter 'project_id'", client.parsing.list_versions, client.parsing, { project_id = "p" })
    local both = { upload_file = { data = "x", name = "a" }, file_id = "file-1" }
    refused("give either 'upload_file' or 'file_id', not both", client.parsing.create, client.parsing, both)
    refused("'job_ids' must be an array, not number", client.parsing.list, client.parsing, { job_ids = 1 })
    refused("config_id must not be '..'", client.configurations.retrieve, client.configurations, "..")
    refused("file_id contains a line break", client.files.delete, client.files, "f\n")
    assert.equal(before, s:count())
  end)
end)

-- Loses the first answer to each request.
local FORGETFUL = [[
  local seen = {}
  return function(connection, request)
    local key = request.method .. request.path
    if not seen[key] then
      seen[key] = true
      return connection:close()
    end
    connection:json(200, '{"id":"x"}')
  end
]]

local HARMLESS = {
  { "beta.directories", "update", "dir-1", { name = "a" } },
  { "beta.directories.files", "update", "dir-1", "dfl-1", { unique_id = "u" } },
  { "configurations", "create", { name = "n", parameters = {} } },
  { "configurations", "update", "cfg-1", {} },
  { "webhook_configs", "update", "w", {} },
  { "parsing", "cancel", "pjb-1" },
  { "extract", "cancel", "e" },
  { "extract", "validate_schema", { data_schema = {} } },
  { "classify", "cancel", "j" },
  { "classify", "create", { file_input = "f" } },
  { "split", "cancel", "j" },
  { "split", "create", { file_input = "f" } },
}

local HARMFUL = {
  { "beta.directories", "create", { name = "a" } },
  { "beta.directories.files", "add", "dir-1", { file_id = "f" } },
  { "beta.directories.files", "upload", "dir-1", { upload_file = { data = "1", name = "a.txt" } } },
  { "files", "create", { file = { data = "1", name = "a.txt" }, purpose = "parse" } },
  { "parsing", "create", { file_id = "f" } },
  { "parsing", "create", { upload_file = { data = "1", name = "a.txt" } } },
  { "extract", "create", { file_input = "f" } },
  { "extract", "generate_schema", {} },
  { "beta.split", "create", { document_input = { type = "file_id", value = "f" } } },
  { "webhook_configs", "create", { webhook_url = "u" } },
}

describe("what is repeated after a lost answer", function()
  local s, client

  before_each(function()
    s = server.start(FORGETFUL)
    client = lists.client(s, { max_retries = 1 })
  end)

  after_each(function()
    s:stop()
  end)

  -- Makes calls side by side. What each came to, by its place among them.
  local function make_all(calls)
    local outcomes = {}
    llama_cloud.run(function()
      for index, one in ipairs(calls) do
        llama_cloud.spawn(function()
          outcomes[index] = table.pack(wire.make(client, { one }))
        end)
      end
    end)
    return outcomes
  end

  it("is what does no harm", function()
    for index, outcome in ipairs(make_all(HARMLESS)) do
      assert.is_table(outcome[1], HARMLESS[index][1] .. ":" .. HARMLESS[index][2])
    end
    assert.equal(2 * #HARMLESS, s:count())
  end)

  it("is nothing that could be done twice", function()
    for index, outcome in ipairs(make_all(HARMFUL)) do
      assert.is_nil(outcome[1], HARMFUL[index][1] .. ":" .. HARMFUL[index][2])
      assert.is_true(outcome[2].maybe_sent, HARMFUL[index][1] .. ":" .. HARMFUL[index][2])
    end
    assert.equal(#HARMFUL, s:count())
  end)

  it("carries the same transaction_id, made up where none is given", function()
    local calls = {}
    for _, place in ipairs { "classify", "split" } do
      calls[#calls + 1] = { place, "create", { file_input = "f" } }
    end
    make_all(calls)
    local bodies = {}
    for _, request in ipairs(s:requests()) do
      bodies[request.path] = bodies[request.path] or {}
      table.insert(bodies[request.path], request.body)
    end
    for _, path in ipairs { "/api/v2/classify", "/api/v1/split/jobs" } do
      local sent = bodies[path]
      assert.equal(2, #sent)
      assert.equal(sent[1], sent[2])
      assert.matches('^{"file_input":"f","transaction_id":"%x+%-%x+%-4%x+%-%x+%-%x+"}$', sent[1])
    end
    assert.are_not.equal(bodies["/api/v2/classify"][1], bodies["/api/v1/split/jobs"][1])
  end)
end)

-- A service that loses the answers of POSTs, and whose lists are empty before the first.
local LOST = [[
  local posts = 0
  return function(connection, request)
    if request.method == "POST" then
      posts = posts + 1
      return connection:close()
    end
    connection:json(200, posts == 0 and '{"items":[]}' or '{"items":[{"id":"found","file_id":"f"}]}')
  end
]]

describe("the option reconcile", function()
  local pauses = reconcile.pauses

  setup(function()
    reconcile.pauses = { 0.001 }
  end)

  teardown(function()
    reconcile.pauses = pauses
  end)

  local file = { data = "1", name = "a.txt" }
  for _, one in ipairs {
    { { "beta.directories", "create", { name = "k" } }, "/api/v1/beta/directories?name=k" },
    {
      { "beta.directories.files", "add", "dir-1", { file_id = "f", unique_id = "k", project_id = "p" } },
      "/api/v1/beta/directories/dir-1/files?project_id=p&unique_id=k",
    },
    {
      { "beta.directories.files", "upload", "dir-1", { upload_file = file, unique_id = "k" } },
      "/api/v1/beta/directories/dir-1/files?unique_id=k",
    },
    {
      { "files", "create", { file = file, purpose = "parse", external_file_id = "k" } },
      "/api/v1/beta/files?external_file_id=k",
    },
  } do
    it(("finds what %s:%s has made"):format(one[1][1], one[1][2]), function()
      local s <close> = server.start(LOST)
      local call = table.move(one[1], 1, #one[1], 1, {})
      call[#call + 1] = { reconcile = true }
      local found, err = wire.make(lists.client(s), { call })
      assert.equal("found", assert(found, err).id)
      local requests = s:requests()
      assert.same({ 3, one[2], one[2] }, { #requests, requests[1].target, requests[3].target })
    end)
  end
end)

describe("a client", function()
  local client = llama_cloud.new { api_key = "k", base_url = "http://127.0.0.1:1", proxy = "" }

  local function complaint(f)
    local ok, problem = pcall(f)
    assert.is_false(ok)
    return (problem:gsub("^[^:]*:%d+: ", ""))
  end

  it("has each resource once, under its name", function()
    for _, place in ipairs {
      "batches",
      "beta.attachments",
      "beta.batch",
      "beta.batch.job_items",
      "beta.directories",
      "beta.directories.files",
      "beta.split",
      "classify",
      "configurations",
      "extract",
      "files",
      "parsing",
      "projects",
      "split",
      "v2_projects",
      "webhook_configs",
    } do
      local resource = wire.resource_at(client, place)
      assert.equal("llama_cloud." .. place, tostring(resource))
      assert.equal(resource, wire.resource_at(client, place))
      assert.are_not.equal(resource, wire.resource_at(client:with_options {}, place))
    end
  end)

  it("tells the nearest name of a resource or method that it does not have, at the caller's line", function()
    local line = debug.getinfo(1, "l").currentline + 2
    local ok, problem = pcall(function()
      return client.batch
    end)
    assert.is_false(ok)
    assert.matches(
      ("tree_spec.lua:%d: no resource or method 'batch' (did you mean 'batches'?)"):format(line),
      problem,
      1,
      true
    )
    assert.equal(
      "no resource or method 'with_option' (did you mean 'with_options'?)",
      complaint(function()
        client:with_option {}
      end)
    )
    assert.equal(
      "no resource 'directory' (did you mean 'directories'?)",
      complaint(function()
        return client.beta.directory
      end)
    )
    assert.equal(
      "no method 'file' (did you mean 'files'?)",
      complaint(function()
        return client.beta.directories.file
      end)
    )
  end)

  it("tells where a resource is that is looked for in another place", function()
    assert.equal(
      "no resource 'files': it is client.files",
      complaint(function()
        return client.beta.files
      end)
    )
    assert.equal(
      "no resource or method 'directories': it is client.beta.directories",
      complaint(function()
        return client.directories
      end)
    )
  end)

  it("can be looked at by whoever wants to know what it is", function()
    for _, value in ipairs { client, client.beta, client.parsing } do
      assert.is_nil(value[1])
      assert.is_nil(value.__index)
      assert.is_nil(value._close)
    end
  end)
end)

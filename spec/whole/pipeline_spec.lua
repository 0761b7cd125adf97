-- Every resource against the sandbox, which was written without knowing the client: what one sends the other takes.

local lists = require("spec.support.lists")
local sandbox = require("spec.support.sandbox")
local waiting = require("spec.support.waiting")

local quick = waiting.quick { total_timeout = 60 * waiting.patience }
local PDF = { data = ("%PDF-1.7 some text\n"):rep(50), name = "in/a.pdf" }
local SCHEMA = { type = "object", properties = { total = { type = "number" } } }

local function quick_with(more)
  more.polling_interval, more.backoff, more.total_timeout = quick.polling_interval, quick.backoff, quick.total_timeout
  return more
end

describe("against the sandbox", function()
  local s, client

  setup(function()
    s = sandbox.start { speed = 100 }
    client = lists.client(s)
  end)

  teardown(function()
    s:stop()
  end)

  it("a folder of files becomes texts, by a directory, a configuration, a batch and its jobs", function()
    local directory = assert(client.beta.directories:create { name = "folder", type = "ephemeral" })
    local paths = {}
    for _, path in ipairs { "a.pdf", "b/ä.pdf", "b/c.pdf" } do
      local params = { upload_file = PDF, unique_id = path, display_name = path, metadata = { tags = { "x", "y" } } }
      local file = assert(client.beta.directories.files:upload(directory.id, params))
      assert.equal(path, file.unique_id)
      paths[file.id] = path
    end
    for file in client.beta.directories.files:list(directory.id, { expand = "metadata", page_size = 2 }) do
      assert.equal(paths[file.id], file.unique_id)
      assert.same({ "x", "y" }, file.metadata.tags)
    end
    local parameters = { product_type = "parse_v2", tier = "cost_effective", version = "latest" }
    local saved = assert(client.configurations:create { name = "mine", parameters = parameters })
    local batch = assert(client.batches:run({
      source_directory_id = directory.id,
      config = { job = { type = "parse_v2", configuration_id = saved.id } },
    }, quick_with { expand = "results" }))
    local ids, path_of = {}, {}
    for index, result in ipairs(batch.results) do
      ids[index] = result.job_reference.id
      path_of[ids[index]] = paths[result.source_directory_file_id]
    end
    assert.equal(3, #ids)
    local seen = {}
    for id, result, err in client.parsing:wait_all(ids, { expand = { "text_full", "usage" } }, quick) do
      assert(result, err)
      assert.equal(id, result.job.id)
      assert.is_string(result.text_full)
      seen[path_of[id]] = true
    end
    assert.same({ ["a.pdf"] = true, ["b/ä.pdf"] = true, ["b/c.pdf"] = true }, seen)
    assert.is_true(client.beta.directories:delete(directory.id))
    assert.equal("not_found", select(2, client.beta.directories:get(directory.id)).kind)
  end)

  it("a file is parsed, and its results are downloaded", function()
    local params = { upload_file = PDF, tier = "agentic", output_options = { images_to_save = { "screenshot" } } }
    params.version = assert(client.parsing:list_versions()).latest.agentic
    local expand = { "markdown", "items", "metadata", "images_content_metadata", "markdown_content_metadata" }
    local result = assert(client.parsing:run(params, quick_with { expand = expand }))
    assert.equal("COMPLETED", result.job.status)
    assert.is_true(result.markdown.pages[1].success)
    assert.is_string(result.items.pages[1].items[1].type)
    local name, shown = next(result.result_content_metadata)
    local target = os.tmpname()
    assert.equal(shown.size_bytes, assert(client.parsing:download(result, name, target)).bytes)
    local image = result.images_content_metadata.images[1].filename
    assert.is_true(assert(client.parsing:download(result.job.id, image, target)).bytes > 0)
    os.remove(target)
    assert.equal(result.job.id, assert(client.parsing:delete(result.job.id)).id)
  end)

  it("a file is kept, and extracted from, classified and split", function()
    local file = assert(client.files:create { file = PDF, purpose = "extract", external_file_id = "mine" })
    assert.equal(file.id, assert(client.files:list({ external_file_id = "mine" }):all())[1].id)
    assert.equal("a.pdf", assert(client.files:retrieve(file.id)).name)
    local target = os.tmpname()
    assert.equal(#PDF.data, assert(client.files:download(file.id, target)).bytes)
    os.remove(target)

    local schema = assert(client.extract:validate_schema { data_schema = SCHEMA }).data_schema
    local jobs = {}
    for index = 1, 5 do
      jobs[index] = assert(client.extract:create { file_input = file.id, configuration = { data_schema = schema } })
    end
    local count = 0
    for id, job, err in client.extract:wait_all(jobs, { expand = "usage" }, quick) do
      assert(job, err)
      assert.is_table(job.extract_result, id)
      count = count + 1
    end
    assert.equal(5, count)
    assert.is_true(client.extract:delete(jobs[1].id, { force = true }))
    local generated = assert(client.extract:generate_schema { prompt = "invoices" })
    assert.equal("extract_v2", generated.parameters.product_type)

    local rules = { { type = "invoice", description = "asks for money" } }
    local classified = assert(client.classify:run({ file_input = file.id, configuration = { rules = rules } }, quick))
    assert.is_number(classified.result.confidence)
    assert.equal(classified.id, assert(client.classify:delete(classified.id)).id)

    local configuration = { categories = { { name = "letter" } } }
    local split = assert(client.split:run({ file_input = file.id, configuration = configuration }, quick))
    assert.is_table(split.result.segments)
    assert.is_true(client.split:delete(split.id))
    local input = { type = "file_id", value = file.id }
    local older = assert(client.beta.split:run({ document_input = input, configuration = configuration }, quick))
    assert.is_table(older.result.segments)
    assert.is_true(client.files:delete(file.id))
  end)

  it("a transaction id makes one job of two creations", function()
    local params = { file_input = "f", configuration = { rules = { { type = "a", description = "b" } } } }
    params.file_input = assert(client.files:create { file = PDF, purpose = "classify" }).id
    params.transaction_id = "t-1"
    local first = assert(client.classify:create(params))
    assert.equal(first.id, assert(client.classify:create(params)).id)
    params.transaction_id = nil
    assert.are_not.equal(first.id, assert(client.classify:create(params)).id)
  end)

  it("projects, webhook configurations and attachments are as declared", function()
    local project = assert(client.projects:list())[1]
    assert.equal(project.name, assert(client.projects:get(project.id)).name)
    local page = assert(client.v2_projects:list({ organization_id = project.organization_id }):next_page())
    assert.equal(page.items[1].name, assert(client.v2_projects:get(page.items[1].id)).name)

    local made =
      assert(client.webhook_configs:create { webhook_url = "http://127.0.0.1:1/hook", webhook_signing_secret = "s" })
    assert.is_true(made.has_secret)
    assert.same(
      { "parse.success" },
      assert(client.webhook_configs:update(made.id, { webhook_events = "parse.success" })).webhook_events
    )
    assert.equal(made.id, assert(client.webhook_configs:list())[1].id)
    assert.equal(1, assert(client.webhook_configs:list_v2({ include_total = true }):next_page()).total_size)
    assert.equal(made.id, assert(client.webhook_configs:retrieve(made.id)).id)
    assert.is_true(client.webhook_configs:delete(made.id))
    assert.same({}, assert(client.webhook_configs:list()))

    local file = assert(client.files:create { file = PDF, purpose = "parse" })
    local attachments = assert(client.beta.attachments:list({ source_id = file.id }):all())
    assert.is_true(#attachments > 0)
    for _, attachment in ipairs(attachments) do
      local address = assert(client.beta.attachments:get(attachment.name, { source_id = file.id }))
      assert.is_string(address.url)
    end
  end)

  it("what is there already is told by its kind, and is not asked for again", function()
    assert(client.beta.directories:create { name = "twice" })
    local function asked()
      return s:stats().routes["POST /api/v1/beta/directories"]
    end
    local before = asked()
    local again, err = client.beta.directories:create { name = "twice" }
    assert.is_nil(again)
    assert.equal("conflict", err.kind)
    assert.equal(before + 1, asked())
  end)
end)

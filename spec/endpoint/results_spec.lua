-- The methods `download` of resources: which address they ask for, how often, and what they say where there is none.

local client_support = require("spec.support.client")
local server = require("spec.support.server")
local store = require("spec.support.store")
local trial = require("spec.support.trial")

local raises_here = client_support.raises_here
local digest, read = store.digest, store.read
local check_stranger = store.check_stranger

local SIGNATURE = store.SIGNATURE
local QUERY = "?X-Amz-Expires=60&X-Amz-Signature=" .. SIGNATURE
local SIZE = 5000
local WHOLE = digest(store.bytes(SIZE))

local function new_client(target, options)
  return trial.client(target, store.client_options(options))
end

describe("a resource's download", function()
  -- The service: its answers are Lua source of r and n that gives a status and a table.
  local function service(source)
    return server.start(([[
      local cjson = require("cjson")
      return function(c, r, n)
        local status, value = (function() %s end)()
        c:json(status, type(value) == "string" and value or cjson.encode(value))
      end
    ]]):format(source))
  end

  it("asks for the address of a file, and fetches it", function()
    local directory <close> = store.directory()
    local path = directory.path .. "/a"
    local s <close> = store.start({ "whole(c, r)" }, { size = SIZE })
    local api <close> = service(("return 200, { url = %q, expires_at = 'x' }"):format(s:url("/k") .. QUERY))
    local client = new_client(api, { project_id = "p" })
    local file = assert(client.trial:download("fil/1", path, { query = { expires_at_seconds = 9 } }))
    assert.equal(SIZE, file.bytes)
    assert.equal(WHOLE, digest(read(path)))
    assert.equal("/files/fil%2F1/content?project_id=p&default=1&expires_at_seconds=9", api:requests()[1].target)
    assert.equal("Bearer " .. client_support.KEY, api:requests()[1].headers.authorization)
    assert.equal("/k" .. QUERY, s:requests()[1].target)
    check_stranger(s:requests()[1])
  end)

  it("asks for the address once more where the store refuses it", function()
    for _, status in ipairs { 400, 403 } do
      local directory <close> = store.directory()
      local s <close> = store.start({
        ("if r.path == '/1' then c:respond(%d, {}, 'expired') else whole(c, r) end"):format(status),
      }, { size = SIZE })
      local api <close> = service(("return 200, { url = %q .. n }"):format(s:url("/")))
      assert(new_client(api).trial:download("f", directory.path .. "/a"))
      assert.equal(2, api:count())
      assert.equal(2, s:count())
    end
    local directory <close> = store.directory()
    local s <close> = store.start { "c:respond(403, {}, '')" }
    local api <close> = service(("return 200, { url = %q }"):format(s:url("/")))
    local file, err = new_client(api).trial:download("f", directory.path .. "/a")
    assert.is_nil(file)
    assert.equal("permission_denied", err.kind)
    assert.same({ 2, 2 }, { api:count(), s:count() })
    assert.same({}, directory.files())
  end)

  it("goes on with the new address where the old one left off", function()
    local directory <close> = store.directory()
    local s <close> = store.start({
      ["/1"] = { "cut(c, r, 1000)", "c:respond(403, {}, 'expired')" },
      ["/2"] = { "whole(c, r)" },
    }, { size = SIZE })
    local api <close> = service(("return 200, { url = %q .. n }"):format(s:url("/")))
    assert(new_client(api).trial:download("f", directory.path .. "/a"))
    assert.equal(WHOLE, digest(read(directory.path .. "/a")))
    assert.equal("/2", s:requests()[3].target)
    assert.equal("bytes=1000-", s:requests()[3].headers.range)
  end)

  it("says what the service said", function()
    local directory <close> = store.directory()
    local api <close> = service([[
      if n == 1 then
        return 404, { detail = "no file" }
      elseif n == 2 then
        return 200, { no = 1 }
      elseif n == 3 then
        return 200, '{"expires_at":"x","url":"https://h/a?sig=]] .. SIGNATURE .. [['
      end
      return 200, { url = "ftp://h/?sig=]] .. SIGNATURE .. [[" }
    ]])
    local client = new_client(api)
    local found, err = client.trial:download("f", directory.path .. "/a")
    assert.is_nil(found)
    assert.equal("not_found", err.kind)
    assert.matches("no file", err.message, 1, true)
    for _, message in ipairs {
      "the service gave no address to download from",
      'it begins: {"expires_at":"x","url":"https://h/a?***',
      "the service gave no address to download from",
    } do
      found, err = client.trial:download("f", directory.path .. "/a")
      assert.is_nil(found)
      assert.equal("decode", err.kind)
      assert.matches(message, err.message, 1, true)
      assert.is_false(client_support.mentions(err.message, SIGNATURE))
    end
    assert.same({}, directory.files())
  end)

  it("raises at the caller's line", function()
    local client = new_client("http://127.0.0.1:1")
    local function raises(text, ...)
      local arguments = table.pack(...)
      raises_here(function()
        local _ = client.trial:download(table.unpack(arguments, 1, arguments.n))
      end, text)
    end
    raises("file_id must be a string, not nil (a call that fails returns nil and an error: put assert() around it)")
    raises("file_id must not be empty", "", "x")
    raises("the path must be a string, not nil", "f")
    raises("unknown option 'soze' (did you mean 'size'?)", "f", "x", { soze = 1 })
    raises("too many arguments for trial:download", "f", "x", {}, {})
    raises_here(function()
      local _ = client.trial.jobs:download({}, "md", "x")
    end, "the job must be an id")
    raises_here(function()
      local _ = client.trial.jobs:download("j", nil, "x")
    end, "the name of the result must be a string")
    raises_here(function()
      local _ = client.trial.jobs:download("", "md", "x")
    end, "job_id must not be empty")
  end)

  describe("of a job's results", function()
    -- A job whose results are in the store: md, xlsx that was not made, an image, and one that only its expand value shows.
    local JOB = [[
      local url = args.store
      local query = r.query or ""
      local function asks(name) return query:find("expand=" .. name, 1, true) ~= nil end
      local value = { job = { id = "pjb-1", status = "COMPLETED" } }
      if args.fast and asks("markdown") then
        return 400, { detail = "Markdown expansion is not available for FAST tier jobs." }
      end
      local map = {}
      if asks("markdown") then map.md = { size_bytes = 5000, exists = true, presigned_url = url .. "md?n=" .. n } end
      if asks("text") then map.fullText = { size_bytes = 5000, presigned_url = url .. "text" } end
      if asks("xlsx") then map.xlsx = { size_bytes = 0, exists = false } end
      if next(map) then value.result_content_metadata = map end
      if asks("images") then
        value.images_content_metadata = { total_count = 1, images = {
          { filename = "page_1.png", index = 0, presigned_url = url .. "image", size_bytes = 1 },
        } }
      end
      return 200, value
    ]]

    local function start(acts, fast)
      local s = store.start(acts or { "whole(c, r)" }, { size = SIZE })
      local api = server.start(
        ([[
        local cjson = require("cjson")
        return function(c, r, n)
          local status, value = (function() %s end)()
          c:json(status, cjson.encode(value))
        end
      ]]):format(JOB),
        { args = { store = s:url("/"), fast = fast } }
      )
      local place = { s = s, api = api, jobs = new_client(api).trial.jobs, directory = store.directory() }
      return setmetatable(place, {
        __close = function()
          s:stop()
          api:stop()
          local _ <close> = place.directory -- luacheck: ignore
        end,
      })
    end

    local function targets(s)
      local seen = {}
      for index, request in ipairs(s:requests()) do
        seen[index] = request.target:gsub("[?&]default=1", "")
      end
      return seen
    end

    local ALL = "/jobs/pjb-1?expand=markdown_content_metadata&expand=text_content_metadata&expand=xlsx_content_metadata"

    it("takes them by their key, an image's file name, or the value of expand", function()
      local place <close> = start()
      local s, api, jobs, directory = place.s, place.api, place.jobs, place.directory
      local path = directory.path .. "/a"
      assert.equal(SIZE, assert(jobs:download("pjb-1", "md", path)).bytes)
      assert.equal(WHOLE, digest(read(path)))
      assert(jobs:download("pjb-1", "page_1.png", path)) -- the size of images means nothing
      assert(jobs:download("pjb-1", "text_content_metadata", path))
      assert(jobs:download("pjb-1", "images_content_metadata", path))
      assert.same({
        ALL,
        "/jobs/pjb-1?expand=images_content_metadata&image_filenames=page_1.png",
        "/jobs/pjb-1?expand=text_content_metadata",
        "/jobs/pjb-1?expand=images_content_metadata",
      }, targets(api))
      assert.same({ "/md?n=1", "/image", "/text", "/image" }, targets(s))
      for _, request in ipairs(s:requests()) do
        check_stranger(request)
      end
    end)

    it("asks nothing where it is given what get has returned", function()
      local place <close> = start()
      local s, api, jobs, directory = place.s, place.api, place.jobs, place.directory
      local job = assert(jobs:get("pjb-1", { expand = { "markdown_content_metadata" } }))
      assert(jobs:download(job, "md", directory.path .. "/a"))
      assert.same({ "/md?n=1" }, targets(s))
      assert.equal(1, api:count())
      assert(jobs:download(job, "fullText", directory.path .. "/a")) -- which it does not have
      assert(jobs:download({ id = "pjb-1", status = "COMPLETED" }, "md", directory.path .. "/a"))
      assert.same({ "/md?n=1", "/text", "/md?n=3" }, targets(s))
    end)

    it("asks for the address once more where the store refuses it", function()
      local place <close> = start {
        "if r.query == 'n=1' then c:respond(403, {}, 'expired') else whole(c, r) end",
      }
      local s, api, jobs, directory = place.s, place.api, place.jobs, place.directory
      local job = assert(jobs:get("pjb-1", { expand = { "markdown_content_metadata" } }))
      assert(jobs:download(job, "md", directory.path .. "/a"))
      assert.same({ "/md?n=1", "/md?n=2" }, targets(s))
      assert.equal(2, api:count())
    end)

    it("asks for one after another where the job cannot have all", function()
      local place <close> = start(nil, true)
      local s, api, jobs, directory = place.s, place.api, place.jobs, place.directory
      assert(jobs:download("pjb-1", "fullText", directory.path .. "/a"))
      assert.same({
        ALL,
        "/jobs/pjb-1?expand=markdown_content_metadata",
        "/jobs/pjb-1?expand=text_content_metadata",
      }, targets(api))
      local _, err = jobs:download("pjb-1", "markdown_content_metadata", directory.path .. "/a")
      assert.equal("bad_request", err.kind)
      assert.equal(1, s:count())
    end)

    it("asks anew for what was not made yet when get returned", function()
      local place <close> = start()
      local job = { job = { id = "pjb-1", status = "RUNNING" } }
      job.result_content_metadata = { md = { size_bytes = 0, exists = false } }
      assert(place.jobs:download(job, "md", place.directory.path .. "/a"))
    end)

    it("says why, where every question is refused", function()
      local api <close> = service([[return 422, { detail = "malformed id" }]])
      local file, err = new_client(api).trial.jobs:download("pjb-1", "md", "/tmp/none")
      assert.is_nil(file)
      assert.equal("422: malformed id", err.message)
    end)

    it("says what was not produced, and what is there", function()
      local place <close> = start()
      local s, api, jobs, directory = place.s, place.api, place.jobs, place.directory -- luacheck: ignore api
      local function fails(name, message)
        local file, err = jobs:download("pjb-1", name, directory.path .. "/a")
        assert.is_nil(file)
        assert.equal("not_found", err.kind)
        assert.equal(message, err.message)
      end
      fails("xlsx", "the result 'xlsx' was not produced: there are 'fullText', 'md'")
      fails("json", "the job has no result 'json': there are 'fullText', 'md'")
      fails(
        "xlsx_content_metadata",
        "the result 'xlsx_content_metadata' was not produced: a job's tier and options decide what is"
      )
      fails("page_2.png", "the job has no result 'page_2.png': there are 'fullText', 'md', 'page_1.png'")
      assert.equal(0, s:count())
      assert.same({}, directory.files())
    end)

    it("checks the length that the job tells", function()
      local place <close> = start { "c:respond(200, {}, 'short')" }
      local jobs, directory = place.jobs, place.directory
      local file, err = jobs:download("pjb-1", "md", directory.path .. "/a")
      assert.is_nil(file)
      assert.equal("the download has 5 bytes instead of 5000", err.message)
      assert(jobs:download("pjb-1", "page_1.png", directory.path .. "/a"))
    end)
  end)
end)

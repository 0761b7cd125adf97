-- Wrong turns: what somebody does who is new here, or tired, and the sentence that says what to do. Each row is one: what is
-- done, what must be read, where, and how the program exits. Rows of a key, an address and a service come first, then those
-- of the command line, of folders, of the machine, of the sandbox, and of programs in Lua.
--
-- Those of scripts/ are in project/scripts_spec, of certificates in http/permanent_spec.

local cli = require("spec.support.cli")
local files = require("spec.support.files")
local llama_cloud = require("llama_cloud")
local process = require("spec.support.process")
local program = require("spec.support.program")
local sandbox = require("spec.support.sandbox")
local server = require("spec.support.server")

local quote = process.quote

-- A service whose answer is named by the first part of the path; so a base URL chooses it.
local ANSWERS = [[
  local answers = {
    page = { 200, "<html>Welcome to the hotel</html>", { ["Content-Type"] = "text/html" } },
    nginx = { 404, "<html>404</html>", { ["Content-Type"] = "text/html; charset=utf-8" } },
    portal = { 302, "", { Location = "http://portal.invalid/login" } },
    credits = { 402, '{"detail":"You have no credits"}' },
    forbidden = { 403, '{"detail":"Not a member of the project"}' },
    unsupported = { 422, '{"detail":"Unsupported file type: .xyz"}' },
    limited = { 429, '{"detail":"Rate limit exceeded"}', { ["Retry-After"] = "0" } },
    broken = { 503, '{"detail":"Moving house"}' },
  }
  return function(connection, request)
    local answer = answers[request.path:match("^/(%w+)")]
    if not answer then
      return connection:wait_closed(30)
    end
    local headers = answer[3] or { ["Content-Type"] = "application/json" }
    connection:respond(answer[1], headers, answer[2])
  end
]]

local box, other, room

setup(function()
  box = sandbox.start { api_key = "llx-test", batches = 3, jobs = 0, speed = 50 }
  other = server.start(ANSWERS)
  room = files.new()
  for _, folder in ipairs { "in", "in2", "empty", "full" } do
    assert(os.execute("mkdir " .. quote(room:path(folder))))
  end
  room:write("in/letter.txt", "Dear Sir or Madam")
  room:write("in2/letter.txt", "Dear Sir or Madam")
  room:write("notes.txt", "no journal\n")
  room:write("no_key", "\n")
  room:write("open_key", "llx-test\n")
  room:write("bom_key", "\u{FEFF}llx-test\r\n")
  room:write("quoted_key", '"llx-test"\n')
  os.execute(("cd %s && chmod 600 no_key bom_key quoted_key && chmod 644 open_key"):format(quote(room.directory)))
end)

teardown(function()
  box:stop()
  other:stop()
  room:remove()
end)

-- ---- the command line and other programs: in a shell, in a directory of its own ----

local MOUNT = "unshare --mount mount -t tmpfs none full"
local NEEDS_KEY = "give the key alone, without 'Bearer' or quotes"

-- What is typed, what is read on standard error, and the exit status. `lc` is bin/llama-cloud; $other is the service above.
-- Further fields: `also`, what else is read; `needs`, a command that fails where the row is passed over; `out`, what standard
-- output begins with, if it is not empty.
local TYPED = {
  -- the key
  { "unset LLAMA_CLOUD_API_KEY; lc batches list", "no API key: give --key-file, or set the environment variable", 2 },
  {
    "LLAMA_CLOUD_API_KEY=llx-old; lc batches list",
    "401: Invalid API key (check the API key; one that was made in the EU needs --region eu)",
    3,
  },
  { [[LLAMA_CLOUD_API_KEY='"llx-test"'; lc batches list]], "the API key stands in quotes: " .. NEEDS_KEY, 2 },
  { "LLAMA_CLOUD_API_KEY='Bearer llx-test'; lc batches list", "the API key contains a blank: " .. NEEDS_KEY, 2 },
  {
    "LLAMA_CLOUD_API_KEY='llx-…'; lc batches list",
    "contains a character that is not ASCII, as a placeholder may: ",
    2,
  },
  { "LLAMA_CLOUD_API_KEY=LLAMA_CLOUD_API_KEY=llx-test; lc batches list", "begins with the name of a variable: ", 2 },
  { "LLAMA_CLOUD_API_KEY=$(printf 'llx-test\\nllx-test'); lc batches list", "the API key contains a line break", 2 },
  { "lc --key-file quoted_key batches list", "the API key stands in quotes: " .. NEEDS_KEY, 2 },
  { "lc --key-file open_key batches list", "--key-file: others may read 'open_key'; run 'chmod 600' on it", 2 },
  { "lc --key-file no_key batches list", "--key-file: there is no key in 'no_key'", 2 },
  { "lc --key-file nowhere batches list", "--key-file: nowhere: No such file or directory", 2 },
  { "lc --key-file in batches list", "--key-file: cannot read 'in': Is a directory", 2 },
  { "lc --key-file bom_key batches list", "", 0, out = '{"id":"bat-' }, -- a byte order mark is no part of the key
  { "lc --api-key llx-test batches list", "the API key comes from LLAMA_CLOUD_API_KEY, or a file (--key-file)", 2 },

  -- the address, and what is on the way
  { "lc --region EU batches list", "unknown region 'EU': it is 'us' or 'eu', or give a --base-url", 2 },
  { "lc --region eu --base-url $other batches list", "give either --region or --base-url, not both", 2 },
  { "lc --base-url api.example batches list", "has no scheme: write 'https://api.example'", 2 },
  { "lc --base-url htps://api.example batches list", "must begin with https:// or http://, not htps://", 2 },
  { "lc --base-url $LLAMA_CLOUD_BASE_URL/api/v2 batches list", "must end before /api/v2, which the client adds", 2 },
  {
    "lc --base-url $LLAMA_CLOUD_BASE_URL/v1 batches list",
    "404: Not Found (the service has no such path: check --base-url or LLAMA_CLOUD_BASE_URL)",
    1,
  },
  {
    "lc --base-url http://127.0.0.1:1 --max-retries 0 batches list",
    "(check the network, and that --base-url or LLAMA_CLOUD_BASE_URL leads to a service that runs)",
    3,
  },
  {
    "lc --base-url http://no-such-host.invalid --max-retries 0 batches list",
    "(check the network, and the name of the host in --base-url or LLAMA_CLOUD_BASE_URL)",
    3,
  },
  {
    "unset no_proxy NO_PROXY; export http_proxy=http://127.0.0.1:1; lc --max-retries 0 batches list",
    "the proxy is that of the environment variable http_proxy; unset it, or list the host in no_proxy",
    3,
  },
  {
    "lc --base-url $other/page --max-retries 0 batches get x",
    "this is a web page and not a response of the service: check --base-url or LLAMA_CLOUD_BASE_URL, and whether",
    1,
  },
  {
    "lc --base-url $other/nginx batches get x",
    "404: <html>404</html> (this is a web page and not a response of the service: ",
    1,
  },
  {
    "lc --base-url $other/portal batches get x",
    "it leads to another origin: check --base-url or LLAMA_CLOUD_BASE_URL, and whether the network wants you to log in",
    1,
  },

  -- what the service says
  {
    "lc batches get bat-nope",
    "404: Batch not found (check the id, and that it is of the key's project and region)",
    1,
  },
  {
    "lc parsing get pjb-nope",
    "404: Parse job not found (check the id, and that it is of the key's project and region)",
    1,
  },
  {
    "lc --base-url $other/credits batches get x",
    "402: You have no credits (the plan has no credits left: add some, or wait",
    3,
  },
  {
    "lc --base-url $other/forbidden batches get x",
    "403: Not a member of the project (the key's project or plan does not allow this: use a key",
    3,
  },
  {
    "lc --base-url $other/unsupported files create --purpose parse --file notes.txt",
    "422: Unsupported file type: .xyz",
    1,
  },
  {
    "lc --base-url $other/limited --max-retries 1 batches get x",
    "429: Rate limit exceeded (wait a while, or send fewer requests at once)",
    1,
  },
  {
    "lc --base-url $other/broken --max-retries 0 batches get x",
    "503: Moving house (the service is at fault: try again later)",
    1,
  },
  { "lc --base-url $other/silent --max-retries 0 --timeout 0.2 batches get x", "(the limit is --timeout)", 3 },
  { "lc batches list --status RUNING", "422: query.status: Input should be 'PENDING'", 1 },

  -- typing
  { "lc batchs list", "no command 'batchs' (did you mean 'batches'?)", 2 },
  { "lc files get x", "no command 'get': there are content, create, delete, download, list, retrieve", 2 },
  { "lc batches list --pagesize 3", "unknown flag '--pagesize' (did you mean '--page-size'?)", 2 },
  {
    "lc batches list --page-size three",
    "--page-size: 'three' is not an integer\nTry 'llama-cloud batches list --help'.",
    2,
  },
  { "lc batches list --format tabel", "must be one of 'table', 'json', 'jsonl', 'csv'", 2 },
  { "lc batches list --fields idd --max-items 1", "unknown field 'idd' (did you mean 'id'?)", 2 },
  { "lc batches list --fields weather --max-items 1", "unknown field 'weather'\n", 0, out = "{}" },
  { "lc batches get", "missing argument 'batch-id'\nTry 'llama-cloud batches get --help'.", 2 },
  { "lc parsing run letter.pdf", "too many arguments: what is not an id is given by a flag", 2 },
  { "lc batches create --source-directory-id d --config '{job}'", "--config: '{job}' is not JSON: ", 2 },
  {
    "lc files create --purpose parse --file leter.txt",
    "--file: cannot read 'leter.txt': No such file or directory",
    2,
  },
  {
    "lc parsing run --upload-file notes.txt --tier fast --version latest --expand texts --polling-interval 0.1",
    "goes on at the service: llama-cloud parsing wait pjb-",
    1,
    out = "{",
  },

  -- folders
  { "process nowhere", "cannot read nowhere: No such file or directory", 2 },
  { "process empty", "there are no files in 'empty'; names that begin with a dot are left out", 0 },
  {
    "process in --pattern '*.txt'",
    "no file is left by --pattern and --exclude, which are Lua patterns, such as %.pdf$",
    0,
  },
  { "process in --pattern '%'", "--pattern: malformed pattern", 2 },
  { "process in notes.txt", "give one folder, or files: 'in' is a folder", 2 },
  { "lc process in --expand markdown_full", "missing flag '--configuration'", 2 },
  { "process in --type parse", "must be one of 'parse_v2', 'extract_v2'", 2 },
  {
    "process in --expand text_full,markdown_full",
    "--expand 'text_full,markdown_full': give --expand once for each",
    2,
  },
  { "process in --expand markdwon_full", "'markdwon_full' (did you mean 'markdown_full'?)", 2 },
  {
    "process in --expand of_tomorrow --journal j3",
    "to continue after mending --expand, with the same journal, which keeps what was done: llama-cloud process ",
    1,
    also = "unknown value of --expand 'of_tomorrow'\n",
  },
  {
    "process in --expand of_tomorrow",
    "unknown value of --expand 'of_tomorrow'\n",
    1,
    also = "'llama-cloud batches get ID --expand results' shows the jobs of what this one has begun: bat-",
  },
  {
    "process in --output notes.txt",
    "the output folder 'notes.txt' cannot be made: there is a file; give the path of a folder",
    2,
  },
  { "process in --output /proc/results", "the output folder '/proc/results' cannot be made: ", 2 },
  { "process in --output in", "the results cannot be written into the folder of the files", 2 },
  { "process in --journal notes.txt", "'notes.txt' is no journal, and was left as it is: give another path", 1 },
  { "process in --journal nowhere/j", "the journal: ", 1 },
  {
    "process empty --journal j1 2>/dev/null; process in2 --journal j1",
    "the journal 'j1' is another run's: folder is '$room/empty' there and '$room/in2' here. Do the same",
    1,
  },
  {
    "process empty --journal j2 2>/dev/null; process in/letter.txt --journal j2",
    "and 'none, but a list of files' here. Do the same",
    1,
  },
  { "lc demo in", "cannot make the folder in: File exists; give the name of a new one: llama-cloud demo FOLDER", 2 },
  { "lc batches list >/dev/full", "standard output: No space left on device", 1 },

  -- a disk that is full
  {
    "on_full_disk demo full/d",
    ": No space left on device; name a folder where there is room: llama-cloud demo FOLDER",
    1,
    needs = MOUNT,
  },
  {
    "on_full_disk process in --output full --configuration c --polling-interval 0.05",
    "could not be written: No space left on device (put that right, and run it again)",
    1,
    needs = MOUNT,
  },
  {
    "on_full_disk process in --journal full/j --configuration c",
    "the journal: cannot write 'full/j': No space left on device (make room, and run again: the run goes on",
    1,
    needs = MOUNT,
  },

  -- the machine
  {
    "without argparse; lc batches list",
    "the command line needs the Lua module argparse: install the rock argparse, or on Debian",
    1,
  },
  { "without lfs; process in", "process needs the Lua module lfs: install the rock luafilesystem, or on Debian", 2 },
  {
    "without cjson; lc sandbox",
    "the sandbox needs the Lua module cjson: install the rock lua-cjson, or on Debian",
    1,
  },
  {
    "without cqueues; lc sandbox",
    "the sandbox needs the Lua module cqueues: install the rock cqueues, or on Debian",
    1,
  },
  {
    "without llama_cloud.core; lc batches list",
    "in a checkout, run scripts/build, and then programs by scripts/lua; else install the rock again",
    1,
  },
  {
    "without llama_cloud.cli; lc batches list",
    "does not find the module llama_cloud: install it, or in a checkout, run scripts/lua ",
    1,
  },
  {
    "without llama_cloud.sandbox.cli; $lua $program-sandbox",
    "does not find the module llama_cloud: install it, or in a checkout, run scripts/lua ",
    1,
  },
  {
    "$lua -e '_VERSION = \"Lua 5.1\"' $program",
    "llama-cloud: it needs Lua 5.4 or newer, and this is Lua 5.1: run 'lua5.4 ",
    1,
  },
  {
    "lua5.1 -e 'require [[llama_cloud]]'",
    "llama_cloud needs Lua 5.4 or 5.5, and this is Lua 5.1",
    1,
    needs = "lua5.1 -v",
  },
  {
    "lua5.3 -e 'require [[llama_cloud]]'",
    "llama_cloud needs Lua 5.4 or 5.5, and this is Lua 5.3",
    1,
    needs = "lua5.3 -v",
  },
  {
    "luajit -e 'require [[llama_cloud]]'",
    "llama_cloud needs Lua 5.4 or 5.5, and this is Lua 5.1",
    1,
    needs = "luajit -v",
  },
  {
    "lua5.1 -e 'require [[llama_cloud.sandbox]]'",
    "the sandbox needs Lua 5.4 or 5.5, and this is Lua 5.1",
    1,
    needs = "lua5.1 -v",
  },
  { "lua5.3 $program-sandbox", "the sandbox needs Lua 5.4 or 5.5, and this is Lua 5.3", 1, needs = "lua5.3 -v" },

  -- the sandbox
  {
    "lc sandbox --prot 8080",
    "llama-cloud sandbox: unknown option '--prot' (did you mean '--port'?)\nTry 'llama-cloud sandbox --help'.",
    2,
  },
  { "lc sandbox 8080", "llama-cloud sandbox: unknown option '8080'\nTry 'llama-cloud sandbox --help'.", 2 },
  { "lc sandbox --quiet=yes", "llama-cloud sandbox: --quiet takes no value", 2 },
  { "lc sandbox --port", "llama-cloud sandbox: --port needs a value", 2 },
  {
    "lc sandbox --port 99999",
    "llama-cloud sandbox: --port must be a port number, from 0 (any that is free) to 65535",
    2,
  },
  {
    "lc sandbox --port ${LLAMA_CLOUD_BASE_URL##*:}",
    "Address already in use: choose another port, or 0 for any that is free",
    1,
  },
  { "lc sandbox --rate-limits some", "llama-cloud sandbox: --rate-limits must be one of none, published, free", 2 },
  { "lc sandbox --fault 'GETT *: 503'", "expected * or a method such as GET, then a path that begins with / or *", 2 },
  { "lc --format json sandbox", "sandbox must be the first word, followed by its own flags", 2 },

  -- programs that end without a word
  {
    "$lua -e 'require([[llama_cloud]]).spawn(print)'",
    "call llama_cloud.spawn inside llama_cloud.run(function() … end)",
    0,
  },
}

-- $other, and what rows have in common.
local PRELUDE = [[
unset http_proxy https_proxy HTTPS_PROXY all_proxy ALL_PROXY # what is on the way here is no matter of these
cd %s
other=%s
without() {
  export LUA_INIT="table.insert(package.searchers, 1, function(name)
    if name == '$1' then error([[module '$1' not found:]] .. "]]" .. [[, 0) end
  end)"
}
on_full_disk() {
  unshare --mount sh -c 'mount -t tmpfs -o size=4k none full && head -c 4096 /dev/zero >full/x &&
    exec "$lua" "$program" "$@"' sh "$@"
}
process() { lc process "$@" --configuration c --polling-interval 0.05; }
]]

local AT_ONCE = 8

-- Runs all rows, some at the same time. What came of the row N is in the files N.out, N.err and N.status.
local function run_all()
  local lines = { PRELUDE:format(quote(room.directory), quote(other:url())) }
  for index, row in ipairs(TYPED) do
    local passed_over = row.needs and ("%s >/dev/null 2>&1 || exit 0; "):format(row.needs) or ""
    local line = ("{ ( %s%s ) >%d.out 2>%d.err; echo $? >%d.status; } &"):format(
      passed_over,
      row[1],
      index,
      index,
      index
    )
    lines[#lines + 1] = index % AT_ONCE == 0 and line .. " wait" or line
  end
  lines[#lines + 1] = "wait"
  local _, err, status = cli.shell(box, table.concat(lines, "\n"))
  assert(status == 0 and err == "", err)
end

describe("typed, and answered by what to do:", function()
  setup(run_all)

  for index, row in ipairs(TYPED) do
    it(row[1], function()
      local out, err = room:read(index .. ".out"), room:read(index .. ".err")
      local status = tonumber(room:read(index .. ".status"))
      if row.needs and out == "" and err == "" then
        return pending("this fails here: " .. row.needs)
      end
      for _, sentence in ipairs { row[2], row.also } do
        sentence = sentence:gsub("%$room", room.directory)
        assert.truthy(err:find(sentence, 1, true), ("%s\n%s"):format(sentence, err))
      end
      assert.equal(row[3], status, err)
      assert.equal(row.out or "", out:sub(1, #(row.out or "x")))
      assert.is_true(row.needs ~= nil or not err:find("traceback", 1, true), err)
      assert.is_nil(err:find("llx-test", 1, true), err)
    end)
  end
end)

-- ---- programs in Lua ----

-- What is written, and what is read: the error that it raises at its line, or that it returns.
local WRITTEN = {
  { "client.batches.get('bat-1')", "call it with a colon: client.batches:get(…)" },
  { "client.batches:gett('bat-1')", "no method 'gett' (did you mean 'get'?)" },
  { "client.batchs:get('bat-1')", "no resource or method 'batchs' (did you mean 'batches'?)" },
  {
    "client.batches:get(nil)",
    "batch_id must be a string, not nil (a call that fails returns nil and an error: put assert() around it)",
  },
  { "client.batches:wait()", "batch_id must be a string, not nil (a call that fails returns nil" },
  { "client.batches:wait({ id = 'bat-1' })", "batch_id must be a string, not table: give its 'id'" },
  { "client.batches:list('RUNNING')", "parameters must be a table, not string" },
  { "client.batches:list { pagesize = 3 }", "unknown parameter 'pagesize' (did you mean 'page_size'?)" },
  { "client.batches:list { page_size = '3' }", "parameter 'page_size' must be an integer, not string" },
  { "client.batches:get('bat-1', {}, { timout = 3 })", "unknown option 'timout' (did you mean 'timeout'?)" },
  {
    "client.batches:get('bat-1', { timeout = 3 })",
    "it is an option, and options are in a table after that of the parameters",
  },
  {
    "print(#client.batches:list())",
    "a list is not an array: loop with `for item in list do`, or get one from list:all()",
  },
  { "client.batches:wait_all('bat-1')", "ids must be an array, not string" },
  { "client.batches:create { source_directory_id = 'dir-1' }", "missing parameter 'config'" },
  {
    "client.batches:process('in', { configuration = 'cfg-1' })",
    "unknown parameter 'configuration' (did you mean 'config'?)",
  },
  { "client.batches:process('in', {})", "parameter 'config' must be { job = { type = …, configuration_id = … } }" },
  { "client.batches:process('/nowhere', PARSE)", "the folder '/nowhere' cannot be read: No such file or directory" },
  {
    "client.parsing:create { upload_file = '/nowhere.pdf', tier = 'fast', version = 'latest' }",
    "parameter 'upload_file': cannot read '/nowhere.pdf': No such file or directory",
  },
  { "client:get('api/v2/batches')", "the path must be a string that begins with '/', or a URL" },
  { "client:close() client.batches:get('bat-1')", "attempt to use a closed client: make another with llama_cloud.new" },
  { "llama_cloud:new()", "call it with a dot: llama_cloud.new(…)" },
  { "llama_cloud.new('llx-test')", "options must be a table, not string" },
  { "llama_cloud.new { key = 'llx-test' }", "unknown option 'key' (did you mean 'api_key'?)" },
  {
    "llama_cloud.new { api_key = 'llx-test', timeout = '5' }",
    "option 'timeout' must be a number of seconds greater than 0",
  },
  { "llama_cloud.new { api_key = 'llx-test\\nx' }", "the API key contains a line break" },
  { "llama_cloud.run(client.batches:list())", "a function is needed, not table" },
  { "llama_cloud.use_loop('uv')", 'a host is "luv" or a table of functions' },
  {
    "return client.batches:wait('bat-nope')",
    "404: Batch not found (check the id, and that it is of the key's project and region)",
  },
  {
    "return client:get('/api/v2/batchs')",
    "404: Not Found (the service has no such path: check the client's option base_url)",
  },
  { "return silent.batches:get('bat-1')", "(the limit is the client's option timeout)" },
  {
    "return tls.batches:get('bat-1')",
    "does the service speak TLS there? If not, the client's option base_url must begin with http://",
    "check the network, and that the client's option base_url leads to a service that runs and speaks TLS", -- libcurl 8.14
  },
}

describe("written, and answered by what to do:", function()
  for _, row in ipairs(WRITTEN) do
    it(row[1], function()
      local function client(base_url, options)
        options = options or {}
        options.api_key, options.base_url, options.proxy, options.max_retries = "llx-test", base_url, "", 0
        return llama_cloud.new(options)
      end
      local environment = {
        PARSE = { config = { job = { type = "parse_v2", configuration_id = "cfg-1" } } },
        client = client(box:url()),
        llama_cloud = llama_cloud,
        print = print,
        silent = client(other:url("/silent"), { timeout = 0.2 * process.slowdown }),
        tls = client((other:url("/page"):gsub("^http:", "https:")), { connect_timeout = 0.2 * process.slowdown }),
      }
      local done, value, err = pcall(assert(load(row[1], "=program", "t", environment)))
      if not done then
        assert.matches("^program:1: ", value)
      end
      local read = tostring(not done and value or err)
      assert.is_nil(done and value or nil)
      assert.truthy(read:find(row[2], 1, true) or row[3] and read:find(row[3], 1, true), read)
    end)
  end

  it("a name server that does not answer: the network, and the name", function()
    local output = process.run(
      [[
        local client = require("llama_cloud").new {
          api_key = "llx-test", base_url = "http://slow.example", proxy = "", max_retries = 0, connect_timeout = 0.2,
        }
        print(select(2, client.batches:get("bat-1")))
        io.stdout:flush()
        os.exit(0) -- at once, and not when the name server has answered
      ]],
      { preload = process.library("slow_getaddrinfo") }
    )
    assert.truthy(
      output:find("(check the network, and the name of the host in the client's option base_url)", 1, true),
      output
    )
  end)
end)

describe("docs/troubleshooting.md", function()
  it("has headings that are read somewhere above, or are Lua's own", function()
    local known =
      { "attempt to index a nil value", "module 'llama_cloud' not found", "check the clock of this machine" }
    for _, rows in ipairs { TYPED, WRITTEN } do
      for _, row in ipairs(rows) do
        known[#known + 1] = row[2]
      end
    end
    local all, count = table.concat(known, "\n"), 0
    for line in io.lines(program.file("docs/troubleshooting.md")) do
      local heading = line:match("^## `(.*)`$")
      if heading then
        count = count + 1
        assert.truthy(all:find(heading, 1, true), heading)
      end
    end
    assert.is_true(count >= 10)
  end)
end)

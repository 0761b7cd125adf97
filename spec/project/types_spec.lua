-- scripts/types.lua, which compares declarations and annotations, and scripts/drift.lua, which compares them with an SDK's, in
-- small checkouts made for them; and what an editor makes of the annotations, where there is a lua-language-server.

local program = require("spec.support.program")

local COMMON = [[
---@class LlamaCloud.Error
---@field kind string
---@class LlamaCloud.Options
---@field timeout? number
---@class LlamaCloud.Page
---@field items table[]
---@class LlamaCloud.List
---@class LlamaCloud.Client
---@field things LlamaCloud.Things
]]

local THINGS = [[
local endpoint = require("llama_cloud.endpoint")

---@alias LlamaCloud.Colour "red"|"blue"|string

---@class LlamaCloud.Thing
---@field id string

---@class LlamaCloud.ThingPage: LlamaCloud.Page
---@field items LlamaCloud.Thing[]

---@class LlamaCloud.ThingList: LlamaCloud.List
---@field next_page fun(self: LlamaCloud.ThingList): LlamaCloud.ThingPage?, LlamaCloud.Error?
---@field pages fun(self: LlamaCloud.ThingList): fun(): LlamaCloud.ThingPage?
---@field all fun(self: LlamaCloud.ThingList, options?: table): LlamaCloud.Thing[]?, LlamaCloud.Error?
---@overload fun(): LlamaCloud.Thing?

---@class LlamaCloud.ThingCreateParams
---@field name string
---@field colour? LlamaCloud.Colour
---@field born? string|number ISO 8601, or seconds since the epoch
---@field tags? string|string[]
---@field count? integer
---@field more? table<string, any>

---@class LlamaCloud.ThingListParams
---@field page_token? string

---@class LlamaCloud.Things
---@field create fun(self, params: LlamaCloud.ThingCreateParams, options?: LlamaCloud.Options): LlamaCloud.Thing?, LlamaCloud.Error?
---@field list fun(self, box_id: string, params?: LlamaCloud.ThingListParams, options?: LlamaCloud.Options): LlamaCloud.ThingList

return endpoint.resource("things", {
  create = {
    "POST /things",
    body = {
      { "name", "string", required = true },
      { "colour", "string" },
      { "born", "date" },
      { "tags", "strings" },
      { "count", "integer" },
      { "more", "table" },
    },
  },
  list = {
    "GET /boxes/{box_id}/things",
    pagination = { kind = "cursor" },
    query = { { "page_token", "string" } },
  },
})
]]

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local function temporary()
  local directory = os.tmpname()
  os.remove(directory)
  assert(os.execute(("mkdir '%s'"):format(directory)))
  return directory,
    setmetatable({}, {
      __close = function()
        os.execute(("rm -r '%s'"):format(directory))
      end,
    })
end

-- Writes a checkout with one resource.
local function write_checkout(directory, things)
  assert(os.execute(("mkdir -p '%s/lua/llama_cloud/resources'"):format(directory)))
  write(directory .. "/lua/llama_cloud/client.lua", COMMON)
  write(directory .. "/lua/llama_cloud/resources/things.lua", things)
  write(
    directory .. "/lua/llama_cloud/resources/init.lua",
    'return { things = require("llama_cloud.base.later").require("llama_cloud.resources.things") }'
  )
end

describe("scripts/types.lua", function()
  -- What it says of a checkout with such a resource.
  local function check(things)
    local directory, removed <close> = temporary() -- luacheck: ignore removed
    write_checkout(directory, things)
    return program.run("scripts/types.lua", { directory })
  end

  it("is content where they agree", function()
    local output, status = check(THINGS)
    assert.equal("", output)
    assert.equal(0, status)
  end)

  for name, case in pairs {
    ["a parameter that has no field"] = { "%-%-%-@field count.-\n", "", "has no field 'count'" },
    ["a field that is no parameter"] = { '%s+{ "count", "integer" },', "", "there is no parameter 'count'" },
    ["a type that does not fit"] = { "count%? integer", "count? number", "has a type that is not 'integer'" },
    ["a type that is not all"] = { "tags%? string|string%[%]", "tags? string[]", "not all of 'strings'" },
    ["a date that takes no number"] = { "born%? string|number", "born? string", "not all of 'date'" },
    ["what is required, and is annotated as optional"] = { "name string", "name? string", "'name' .*required" },
    ["what may be left out, and is annotated as required"] = { "more%? table", "more table", "'more' .*left out" },
    ["parameters that are required"] = { "params: LlamaCloud", "params?: LlamaCloud", "params are required" },
    ["a method that has no annotation"] = { "%-%-%-@field create.-\n", "", "has no field 'create'" },
    ["an annotation that has no method"] = {
      "%-%-%-@field list f",
      "---@field lst fun()\n%0",
      "declares the field 'lst'",
    },
    ["an id that is called otherwise"] = { "box_id: string", "id: string", "argument 1 is 'box_id'" },
    ["a list without types"] = { "ions%): LlamaCloud.ThingList", "ions): LlamaCloud.List", "not a class of lists" },
    ["a list that does not say what it gives"] = { "%-%-%-@overload.-\n", "", "has no overload" },
    ["a list with another item"] = {
      "options%?: table%): LlamaCloud.Thing%[%]",
      "options?: table): string[]",
      ":all%(%)",
    },
    ["a page with other items"] = { "items LlamaCloud.Thing%[%]", "items table[]", "ThingPage is no LlamaCloud.Page" },
    ["a class that does not exist"] = { "id string", "id LlamaCloud.Id", "no class or alias 'LlamaCloud.Id'" },
    ["an answer without an error"] = { "(: LlamaCloud.Thing%?), LlamaCloud.Error%?", "%1", "what it returns" },
    ["a type that cannot be read"] = { "id string", "id fun(", "things.lua:6: a parameter's name is missing" },
    ["options that a call does not take"] = {
      "@class LlamaCloud.Thing\n",
      "@class LlamaCloud.More: LlamaCloud.Options\n---@field reconcile? boolean\n\n---%0",
      nil,
    },
  } do
    it("finds " .. name, function()
      local things, count = THINGS:gsub(case[1], case[2], 1)
      assert.equal(1, count)
      if not case[3] then
        things = things:gsub(
          "options%?: LlamaCloud.Options%): LlamaCloud.Thing%?",
          "options?: LlamaCloud.More): LlamaCloud.Thing?"
        )
      end
      local output, status = check(things)
      assert.equal(1, status, output)
      assert.matches(case[3] or "does not take the option 'reconcile'", output)
      assert.equal(1, select(2, output:gsub("\n", "")), output)
    end)
  end
end)

describe("scripts/drift.lua", function()
  local SDK = [[
/** A resource. */
import { APIResource } from "../core/resource.js";
import * as SharedAPI from "./shared.js";
import { type BoxesPage } from './boxes.js';
export declare class Things extends APIResource {
  /** Makes a thing: `things.create({ name: 'it' })` */
  create(params: ThingCreateParams & { more?: { [key: string]: unknown } | null; }, options?: RequestOptions): APIPromise<SharedAPI.Thing>;
  list(boxID: string, query?: ThingListParams | null | undefined, options?: RequestOptions): PagePromise<ThingsPage, Thing>;
}
export type Thing = SharedAPI.Thing;
export interface ThingCreateParams {
  name: string;
  colour?: 'red' | 'blue' | null;
  born?: string | null;
  tags?: Array<ThingCreateParams.Tag> | null;
  count?: number;
}
export declare namespace ThingCreateParams { type Tag = string; }
export interface ThingListParams extends SharedAPI.Paging { }
export declare namespace Things { export { type Thing as Thing, type ThingCreateParams as ThingCreateParams, }; }
]]

  -- What it says of the same checkout beside such an SDK.
  local function check(sdk)
    local directory, removed <close> = temporary() -- luacheck: ignore removed
    write_checkout(directory, THINGS)
    assert(os.execute(("mkdir -p '%s/sdk/resources'"):format(directory)))
    write(
      directory .. "/sdk/client.d.ts",
      'import * as API from "./resources/index.js"; export declare class LlamaCloud { private x; things: API.Things; }'
    )
    write(
      directory .. "/sdk/resources/index.d.ts",
      'export { Things, type Thing } from "./things.js"; export * from "./a.js";'
    )
    write(
      directory .. "/sdk/resources/shared.d.ts",
      "export interface Thing { id: string; } export interface Paging { page_token?: string; }"
    )
    write(directory .. "/sdk/resources/things.d.ts", sdk)
    local output, status = program.run("scripts/drift.lua", { directory, directory .. "/sdk" })
    return output:gsub("on the list, and no longer so: [^\n]*\n", ""), status
  end

  it("finds nothing where they agree", function()
    local output, status = check(SDK)
    assert.equal("0 differences, 0 of them not on the list\n", output)
    assert.equal(0, status)
  end)

  for name, case in pairs {
    ["a method"] = { "  list%(", "  clear(): APIPromise<void>;\n%0", "theirs: things:clear" },
    ["a method that is gone"] = { "  list%(.-\n", "", "ours: things:list" },
    ["a parameter"] = { "  count", "  weight: number;\n%0", "theirs: things:create, parameter weight" },
    ["a parameter that is gone"] = { "  count.-\n", "", "ours: things:create, parameter count" },
    ["a field"] = { "SharedAPI.Thing;", "SharedAPI.Thing & { weight: number; };", "theirs: Thing.weight" },
    ["a value"] = { "| 'blue'", "%0 | 'green'", "theirs: things:create, parameter colour: the value green" },
    ["a resource"] = { "Things extends APIResource {", "%0\n boxes: BoxesAPI.Boxes;", "theirs: things.boxes" },
  } do
    it("finds " .. name, function()
      local sdk, count = SDK:gsub(case[1], case[2], 1)
      assert.equal(1, count)
      local output, status = check(sdk)
      assert.equal(case[3] .. "\n1 differences, 1 of them not on the list\n", output)
      assert.equal(1, status)
    end)
  end
end)

-- The command of a lua-language-server; nil where there is none.
local function language_server()
  local command = os.getenv("LUA_LANGUAGE_SERVER") or "lua-language-server"
  return os.execute(("command -v '%s' >/dev/null"):format(command)) and command
end

-- What is expected of the lines of a text: number -> names of complaints.
local function expected_in(text)
  local expected, number = {}, 0
  for line in text:gmatch("([^\n]*)\n") do
    number = number + 1
    for name in (line:match("%-%-> (.*)$") or ""):gmatch("%S+") do
      expected[#expected + 1] = ("%d %s"):format(number, name)
    end
  end
  table.sort(expected)
  return expected
end

-- Complaints that are about types; others are about style, and differ from version to version.
local ABOUT_TYPES = {
  ["undefined-field"] = true,
  invisible = true,
  ["assign-type-mismatch"] = true,
  ["param-type-mismatch"] = true,
  ["missing-fields"] = true,
}

-- What the server complains of in a program that uses this checkout.
local function complaints(command, text)
  local directory, removed <close> = temporary() -- luacheck: ignore removed
  local json = require("llama_cloud").json
  write(directory .. "/program.lua", text)
  write(
    directory .. "/.luarc.json",
    json.encode { ["runtime.version"] = "Lua 5.4", ["workspace.library"] = { program.file("lua") } }
  )
  local options = "--check=DIR --checklevel=Hint --check_format=json --check_out_path=DIR/check.json --logpath=DIR/log"
  os.execute(("'%s' %s >/dev/null 2>&1"):format(command, (options:gsub("DIR", directory))))
  local file = io.open(directory .. "/check.json") or assert(io.open(directory .. "/log/check.json")) -- older ones
  local found = {}
  for uri, list in pairs(assert(json.decode(file:read("a")))) do
    for _, one in ipairs(uri:find("/program%.lua$") and list or {}) do
      if ABOUT_TYPES[one.code] then
        found[#found + 1] = ("%d %s"):format(one.range.start.line + 1, one.code)
      end
    end
  end
  file:close()
  table.sort(found)
  return found
end

-- A program that looks, in each item of each list, for a field that it has not.
local function lists_program()
  package.path = program.file("scripts/?.lua;") .. package.path
  local annotations = require("annotations")
  local lines = { 'local client = require("llama_cloud").new()' }
  local function visit(tree, place)
    for name, node in pairs(tree) do
      local members = node.members or node
      for member, declaration in pairs(node.members or {}) do
        if annotations.is_method(declaration) and declaration.pagination then
          local ids = ('"id", '):rep(#annotations.ids(declaration))
          lines[#lines + 1] = ("for item in %s.%s:%s(%s{}) do print(item.nope) end --> undefined-field"):format(
            place,
            name,
            member,
            ids
          )
        elseif type(declaration) == "table" and declaration.place then
          visit({ [member] = declaration }, place .. "." .. name)
        end
      end
      if not node.members then
        visit(members, place .. "." .. name)
      end
    end
  end
  visit(annotations.declarations(program.file("")), "client")
  table.sort(lines, function(a, b)
    return a:find("^local") ~= nil or not b:find("^local") and a < b
  end)
  return table.concat(lines, "\n") .. "\n"
end

describe("in an editor with lua-language-server", function()
  local command = language_server()
  local test = command and it or pending

  test("values have their types, and what is wrong is told", function()
    local file = assert(io.open(program.file("spec/support/editor.lua")))
    local text = file:read("a")
    file:close()
    assert.same(expected_in(text), complaints(command, text))
  end)

  test("the items of every list have theirs", function()
    local text = lists_program()
    local expected, found = expected_in(text), complaints(command, text)
    assert.is_true(#expected >= 3)
    for position = #found, 1, -1 do
      if not found[position]:find("undefined-field", 1, true) then
        table.remove(found, position) -- parameters that are missing
      end
    end
    assert.same(expected, found)
  end)
end)

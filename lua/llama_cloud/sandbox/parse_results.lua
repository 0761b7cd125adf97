-- What `GET /api/v2/parse/{job_id}` answers to each value of `expand`, and the files behind its presigned addresses.

local artifacts = require("llama_cloud.sandbox.artifacts")
local document = require("llama_cloud.sandbox.document")
local forms = require("llama_cloud.sandbox.forms")
local json = require("llama_cloud.sandbox.json")
local options_module = require("llama_cloud.sandbox.parse_options")
local seed = require("llama_cloud.sandbox.seed")

local get, has = options_module.get, options_module.has

local results = {}

-- The pages of a job, made once for an answer.
---@class llama_cloud.sandbox.parsed
---@field job llama_cloud.sandbox.job
---@field options table
---@field pages llama_cloud.sandbox.page[]
---@field failed table<integer, boolean> page numbers

---@param job llama_cloud.sandbox.job
---@param options table
---@return llama_cloud.sandbox.parsed
function results.read(job, options)
  local pages, failed = {}, {}
  for index, number in ipairs(options_module.pages(options, job.pages)) do
    pages[index] = document.page(job.key, number)
    failed[number] = document.page_fails(job.key, job.name, number)
  end
  return { job = job, options = options, pages = pages, failed = failed }
end

-- One entry for each page: what `make` makes of it, or that it failed.
local function each_page(parsed, make)
  local pages = json.array {}
  for index, page in ipairs(parsed.pages) do
    pages[index] = parsed.failed[page.number]
        and { page_number = page.number, success = false, error = "The page could not be reconstructed" }
      or make(page)
  end
  return { pages = pages }
end

-- How many UTF-16 code units a text takes.
local function utf16_length(text)
  local length = 0
  for _, code in utf8.codes(text) do
    length = length + (code > 0xffff and 2 or 1)
  end
  return length
end

local function line_numbers(markdown)
  local lines, offset = json.array {}, 0
  for line in (markdown .. "\n"):gmatch("([^\n]*)\n") do
    local length = utf16_length(line)
    lines[#lines + 1] = { line_number = tostring(#lines + 1), start_index = offset, end_index = offset + length }
    offset = offset + length + 1
  end
  return lines
end

local function joined(parsed, member, separator)
  local texts = {}
  for _, page in ipairs(parsed.pages) do
    if not parsed.failed[page.number] then
      texts[#texts + 1] = page[member]
    end
  end
  return table.concat(texts, separator)
end

-- A function that makes one text of all pages.
local function all_pages(member, separator)
  return function(parsed)
    return joined(parsed, member, separator)
  end
end

local function text_of(parsed)
  local pages = json.array {}
  for index, page in ipairs(parsed.pages) do
    pages[index] = { page_number = page.number, text = parsed.failed[page.number] and "" or page.text }
  end
  return { pages = pages }
end

local function markdown_of(parsed)
  local numbered = get(parsed.options, "output_options", "markdown", "annotate_line_numbers")
  return each_page(parsed, function(page)
    return {
      page_number = page.number,
      success = true,
      markdown = page.markdown,
      header = page.header,
      footer = page.footer,
      line_numbers = numbered and line_numbers(page.markdown) or json.null,
    }
  end)
end

-- Documents of word processors come with one change in them.
local function revisions(parsed, page)
  if page.number > 1 or not parsed.job.name:find("%.docx?$") then
    return json.null
  end
  local box = { x = 72, y = 72, w = 200, h = 14 }
  return json.array {
    {
      type = "inserted",
      content = document.words(parsed.job.key, 2, 3),
      target = page.header,
      revision_bbox = box,
      target_bbox = box,
      author = "Reviewer",
      start_index = json.null,
      end_index = json.null,
      target_spans = json.null,
    },
  }
end

local function items_of(parsed)
  return each_page(parsed, function(page)
    return {
      page_number = page.number,
      page_width = document.WIDTH,
      page_height = document.HEIGHT,
      success = true,
      items = page.items,
      revisions = revisions(parsed, page),
    }
  end)
end

local function metadata_of(parsed)
  local pages, lowest, sum = json.array {}, 1, 0
  for index, page in ipairs(parsed.pages) do
    lowest, sum = math.min(lowest, page.confidence), sum + page.confidence
    pages[index] = {
      page_number = page.number,
      confidence = page.confidence,
      cost_optimized = false,
      original_orientation_angle = 0,
      printed_page_number = get(parsed.options, "output_options", "extract_printed_page_number") and tostring(
        page.number
      ) or json.null,
      slide_section_name = json.null,
      speaker_notes = json.null,
      triggered_auto_mode = false,
    }
  end
  local count = #pages
  return {
    pages = pages,
    document = {
      confidence = count > 0 and sum / count or json.null,
      confidence_breakdown = { min_page_score = lowest, scored_pages = count, total_pages = parsed.job.pages },
    },
  }
end

local function forms_of(parsed)
  if get(parsed.options, "processing_options", "forms") ~= "enrich" then
    return json.null
  end
  return each_page(parsed, function(page)
    return {
      page_number = page.number,
      page_width = document.WIDTH,
      page_height = document.HEIGHT,
      success = true,
      forms = json.array { forms.make(parsed.job.key, page.number) },
    }
  end)
end

local function job_metadata_of(parsed)
  return {
    file_name = parsed.job.name,
    page_count = parsed.job.pages,
    parsed_page_count = #parsed.pages,
    version = parsed.options.version,
  }
end

-- Images -------------------------------------------------------------------------------------------------------------------

-- The images of a page that are kept, of each category that was asked for.
local function images_of_page(page, wanted, add)
  if wanted.screenshot then
    local whole = { x = 0, y = 0, w = document.WIDTH, h = document.HEIGHT }
    add(document.image_name("screenshot", page.number), "screenshot", whole)
  end
  local found = { embedded = 0, layout = 0 }
  for _, item in ipairs(page.items) do
    for _, category in ipairs { "embedded", "layout" } do
      if item.type == "image" and wanted[category] then
        local box = item.bbox[1]
        found[category] = found[category] + 1
        local name = document.image_name(category, page.number, found[category])
        add(name, category, { x = box.x, y = box.y, w = box.w, h = box.h })
      end
    end
  end
end

-- The images that a job keeps.
local function images_of(parsed)
  local given = get(parsed.options, "output_options", "images_to_save")
  local wanted = { layout = given == nil or has(given, "layout") }
  wanted.screenshot, wanted.embedded = has(given, "screenshot"), has(given, "embedded")
  local images = json.array {}
  for _, page in ipairs(parsed.pages) do
    if not parsed.failed[page.number] then
      images_of_page(page, wanted, function(name, category, box)
        images[#images + 1] = {
          filename = name,
          index = #images,
          category = category,
          content_type = "image/png",
          bbox = box,
          size_bytes = json.null,
        }
      end)
    end
  end
  return images
end

local function images_metadata_of(parsed, address, filenames)
  local all = images_of(parsed)
  local images = json.array {}
  for _, image in ipairs(all) do
    if not filenames or filenames[image.filename] then
      image.presigned_url = address("images/" .. image.filename)
      images[#images + 1] = image
    end
  end
  return { total_count = #all, images = images }
end

-- Files --------------------------------------------------------------------------------------------------------------------

local function words_of(parsed)
  local pages = json.array {}
  for index, page in ipairs(parsed.pages) do
    local words = json.array {}
    for word in page.text:gmatch("%S+") do
      local number = #words
      words[number + 1] = { text = word, x = 72 + number % 8 * 58, y = 72 + number // 8 % 54 * 12, w = 54, h = 10 }
    end
    pages[index] = { page_number = page.number, words = words }
  end
  return { pages = pages }
end

local function stripped(markdown)
  return (markdown:gsub("[#*`|]", ""):gsub("!?%[(.-)%]%b()", "%1"))
end

local function tables_of(parsed)
  local tables = {}
  for _, page in ipairs(parsed.pages) do
    for _, item in ipairs(page.items) do
      if item.type == "table" and not parsed.failed[page.number] then
        tables[#tables + 1] = { name = string.format("Page %d table %d", page.number, #tables + 1), rows = item.rows }
      end
    end
  end
  return tables
end

local PAGE_BREAK = "\n\n---\n\n"

local function encoded(make)
  return function(parsed)
    return json.encode(make(parsed))
  end
end

local function output(name)
  return function(parsed)
    return has(get(parsed.options, "output_options", "additional_outputs"), name)
  end
end

local function granular(parsed)
  local boxes = get(parsed.options, "output_options", "granular_bboxes")
  return type(boxes) == "table" and #boxes > 0
end

local function not_fast(parsed)
  return parsed.options.tier ~= "fast"
end

local JSON, TEXT, MARKDOWN = "application/json", "text/plain; charset=utf-8", "text/markdown; charset=utf-8"

-- expand value without `_content_metadata` -> name in the answer, media type, bytes, whether it is produced (nil: always).
local FILES = {
  text = { "text", JSON, encoded(text_of) },
  text_full = { "fullText", TEXT, all_pages("text", "\n\n") },
  markdown = { "md", MARKDOWN, all_pages("markdown", PAGE_BREAK), not_fast },
  markdown_full = { "fullMd", MARKDOWN, all_pages("markdown", "\n\n"), not_fast },
  items = { "json", JSON, encoded(items_of), not_fast },
  metadata = { "metadata", JSON, encoded(metadata_of) },
  forms = {
    "forms",
    JSON,
    encoded(forms_of),
    function(parsed)
      return get(parsed.options, "processing_options", "forms") == "enrich"
    end,
  },
  raw_words = {
    "rawWords",
    JSON,
    encoded(words_of),
    function(parsed)
      return output("word_bbox")(parsed) or granular(parsed)
    end,
  },
  grounded_items = { "grounded_items", JSON, encoded(items_of), granular },
  stripped_markdown = {
    "strippedMd",
    TEXT,
    function(parsed)
      return stripped(joined(parsed, "markdown", PAGE_BREAK))
    end,
    output("stripped_md"),
  },
  concatenated_stripped_markdown = {
    "concatenatedStrippedMd",
    TEXT,
    function(parsed)
      return stripped(joined(parsed, "markdown", "\n\n"))
    end,
    output("concatenated_stripped_txt"),
  },
  xlsx = {
    "xlsx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    function(parsed)
      return artifacts.xlsx(tables_of(parsed), document.cell_text)
    end,
    function(parsed)
      return get(parsed.options, "output_options", "tables_as_spreadsheet", "enable") and #tables_of(parsed) > 0
    end,
  },
  output_pdf = {
    "outputPDF",
    "application/pdf",
    function(parsed)
      local texts = {}
      for index, page in ipairs(parsed.pages) do
        texts[index] = page.text
      end
      return artifacts.pdf(texts, document.WIDTH, document.HEIGHT)
    end,
    function(parsed)
      return get(parsed.options, "output_options", "save_output_pdf")
    end,
  },
}

--- The bytes of a file of a job and its media type, by the path in its address; nil if there is none.
---@param parsed llama_cloud.sandbox.parsed
---@param path string "md", "images/page_1.png"
---@return string? bytes
---@return string? content_type
function results.file(parsed, path)
  local image = path:match("^images/(.+)$")
  if image then
    return artifacts.png(seed.hash(parsed.job.key, seed.hash_string(image)), 48, 32), "image/png"
  end
  for _, file in pairs(FILES) do
    if file[1] == path then
      return file[3](parsed), file[2]
    end
  end
  return nil
end

local function add_file(found, parsed, file, address)
  if file[4] and not file[4](parsed) then
    found[file[1]] = { size_bytes = 0, exists = false, presigned_url = json.null }
  else
    found[file[1]] = { size_bytes = #file[3](parsed), exists = true, presigned_url = address(file[1]) }
  end
end

local function content_metadata_of(parsed, wanted, address)
  local found
  for name, file in pairs(FILES) do
    if wanted[name .. "_content_metadata"] then
      found = found or {}
      add_file(found, parsed, file, address)
      -- Items by word or line come beside the plain ones.
      if name == "items" and granular(parsed) then
        add_file(found, parsed, FILES.grounded_items, address)
      end
    end
  end
  return found or json.null
end

-- The answer -----------------------------------------------------------------------------------------------------------------

-- Those that fill the member of their own name.
local PLAIN = {
  text = text_of,
  markdown = markdown_of,
  items = items_of,
  metadata = metadata_of,
  forms = forms_of,
  job_metadata = job_metadata_of,
  text_full = all_pages("text", "\n\n"),
  markdown_full = all_pages("markdown", "\n\n"),
}

--- What jobs of the fast tier refuse: expand value and its name in the error.
results.NOT_FAST = { { "markdown", "Markdown" }, { "markdown_full", "Markdown" }, { "items", "Items" } }

--- All values of `expand`.
results.EXPAND = { usage = true, images_content_metadata = true }
for name in pairs(PLAIN) do
  results.EXPAND[name] = true
end
for name in pairs(FILES) do
  if name ~= "grounded_items" then
    results.EXPAND[name .. "_content_metadata"] = true
  end
end

--- The members of the answer beside `job`: null unless asked for, and until the job is completed.
---@param parsed? llama_cloud.sandbox.parsed nil until then
---@param wanted table<string, boolean> values of `expand`
---@param address fun(path: string): string the presigned address of a file of the job
---@param filenames? table<string, boolean> which images, if not all
---@return table
local function expand(parsed, wanted, address, filenames)
  local answer = {
    raw_parameters = json.null,
    images_content_metadata = json.null,
    result_content_metadata = json.null,
  }
  for name, make in pairs(PLAIN) do
    answer[name] = parsed and wanted[name] and make(parsed) or json.null
  end
  if parsed then
    if wanted.images_content_metadata then
      answer.images_content_metadata = images_metadata_of(parsed, address, filenames)
    end
    answer.result_content_metadata = content_metadata_of(parsed, wanted, address)
  end
  return answer
end

-- What most are asked for: nothing.
local NOTHING = json.encode(expand(nil, {}, function() end))

--- The same as JSON.
---@param parsed? llama_cloud.sandbox.parsed
---@param wanted table<string, boolean>
---@param address fun(path: string): string
---@param filenames? table<string, boolean>
---@return string
function results.encode(parsed, wanted, address, filenames)
  return parsed and json.encode(expand(parsed, wanted, address, filenames)) or NOTHING
end

return results

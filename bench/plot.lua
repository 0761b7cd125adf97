--- The plot: how much others need for the same, as a share of what this module needs, in SVG. Text is text, colours follow the
--- reader's theme, and nothing is scripted.

local tables = require("bench.tables")

local plot = {}

local WIDTH, LABELS, PANEL, GAP = 860, 206, 206, 10
local TOP, ROW, HEADING, FOOT, MARGIN = 84, 19, 27, 34, 38 -- MARGIN: room for a figure on each side of a panel

local FIELDS = { { "wall", "wall time" }, { "cpu", "CPU time" }, { "peak_kib", "peak memory" } }

-- What is shown: a job, what was measured of it, whose needs are 1, and beside whom.
local JOBS = {
  {
    "recipe",
    "recipe",
    "batches:process",
    function(how)
      return ("folder of %s files to results"):format(tables.thousands(how.count))
    end,
    { { "TypeScript SDK", "TypeScript SDK, by hand" }, { "shell, curl and jq", "shell, curl and jq, by hand" } },
  },
  {
    "files",
    "up",
    "llama_cloud",
    function(how)
      return ("%d uploads of %s"):format(how.count, tables.size(how.size))
    end,
    { { "TypeScript SDK" }, { "curl", "curl --parallel" } },
  },
  {
    "files",
    "down",
    "llama_cloud",
    function(how)
      return ("%d downloads of %s"):format(how.count, tables.size(how.size))
    end,
    {
      { "TypeScript SDK", "TypeScript SDK and fetch" },
      { "curl", "curl --parallel" },
      { "curl, then sync", "curl --parallel, then sync" },
    },
  },
  {
    "transfer",
    "up",
    "llama_cloud",
    function(how)
      return ("upload of %s"):format(tables.size(how.size))
    end,
    { { "TypeScript SDK" }, { "curl" } },
  },
  {
    "transfer",
    "down",
    "llama_cloud",
    function(how)
      return ("download of %s"):format(tables.size(how.size))
    end,
    { { "TypeScript SDK", "TypeScript SDK and fetch" }, { "curl" }, { "curl, then sync" } },
  },
  {
    "listing",
    "list",
    "llama_cloud",
    function(how)
      return ("list of %s batches"):format(tables.thousands(how.count))
    end,
    { { "TypeScript SDK" }, { "LuaSocket", "LuaSocket, lua-cjson" }, { "curl", "curl to /dev/null" } },
  },
}

local STYLE = [[
<style>
text { font: 12px -apple-system, "Segoe UI", "DejaVu Sans", Helvetica, Arial, sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.job { font-weight: 600 }
.note, .tick { fill: #59636e }
.tick, .value { font-size: 11px }
.value { paint-order: stroke; stroke: #ffffff; stroke-width: 4px }
.paper { fill: #ffffff; stroke: #d1d9e0 }
.line { stroke: #d1d9e0 }
.one { stroke: #59636e }
.more { fill: #2f81d7 }
.less { fill: #d9822b }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .note, .tick { fill: #9198a1 }
  .paper { fill: #0d1117; stroke: #3d444d }
  .value { stroke: #0d1117 }
  .line { stroke: #3d444d }
  .one { stroke: #9198a1 }
}
</style>]]

local function escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

-- The rows to draw: a heading for each job, and the ratios of each rival that was measured. And the largest doubling.
local function rows_of(figures)
  local rows, low, high = {}, -1, 1
  for _, job in ipairs(JOBS) do
    local part, what, ours, title, rivals = table.unpack(job)
    local how = figures.how[part]
    local heading = how and { heading = title(how) }
    for _, rival in ipairs(how and rivals or {}) do
      local row = { label = rival[2] or rival[1] }
      for i, field in ipairs(FIELDS) do
        row[i] = figures:ratio(part, what, rival[1], ours, field[1])
        if row[i] then
          low, high = math.min(low, math.log(row[i], 2)), math.max(high, math.log(row[i], 2))
        end
      end
      if row[1] then
        rows[#rows + 1], heading = heading, nil
        rows[#rows + 1] = row
      end
    end
  end
  return rows, math.floor(low), math.ceil(high)
end

local Drawing = {}
Drawing.__index = Drawing

function Drawing:add(format, ...)
  self[#self + 1] = format:format(...)
end

function Drawing:text(x, y, class, anchor, text)
  self:add('<text x="%.0f" y="%.0f" class="%s" text-anchor="%s">%s</text>', x, y, class, anchor, escape(text))
end

-- The frame of a panel: its name, the line of 1, and a line for each third doubling.
local function frame(drawing, panel, name, scale, low, high, bottom)
  local left = LABELS + (panel - 1) * (PANEL + GAP)
  drawing:text(left + scale(0), TOP - 26, "job", "middle", name)
  for doubling = low - low % -3, high, 3 do
    local x = left + scale(doubling)
    local class = doubling == 0 and "one" or "line"
    drawing:add('<path d="M%.1f %dV%d" class="%s"/>', x, TOP - 4, bottom, class)
    local text = doubling < 0 and ("1/%d"):format(2 ^ -doubling) or ("%d"):format(2 ^ doubling)
    drawing:text(x, TOP - 9, "tick", "middle", text)
  end
end

-- A bar from the line of 1, and its figure beyond its end.
local function bar(drawing, panel, scale, ratio, y)
  local left = LABELS + (panel - 1) * (PANEL + GAP)
  local one, x = left + scale(0), left + scale(math.log(ratio, 2))
  local class = ratio >= 1 and "more" or "less"
  local width = math.max(1, math.abs(x - one))
  drawing:add('<rect x="%.1f" y="%d" width="%.1f" height="%d" class="%s"/>', math.min(x, one), y, width, ROW - 6, class)
  local anchor = ratio >= 1 and "start" or "end"
  drawing:text(x + (ratio >= 1 and 4 or -4), y + 10, "value", anchor, tables.ratio(ratio))
end

--- Draws what was measured.
---@param figures bench.Figures
---@return string
function plot.draw(figures)
  local rows, low, high = rows_of(figures)
  local bottom = TOP
  for _, row in ipairs(rows) do
    bottom = bottom + (row.heading and HEADING or ROW)
  end
  local function scale(doubling)
    return MARGIN + (doubling - low) / (high - low) * (PANEL - 2 * MARGIN)
  end
  local title = "What others need for the same, llama_cloud = 1"
  local drawing = setmetatable({}, Drawing)
  local height = bottom + FOOT
  drawing:add(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">',
    WIDTH,
    height,
    WIDTH,
    height
  )
  drawing:add("<title>%s</title>", title)
  drawing:add("%s", STYLE)
  drawing:add('<rect x="0.5" y="0.5" width="%d" height="%d" rx="6" class="paper"/>', WIDTH - 1, height - 1)
  drawing:text(16, 30, "title", "start", title)
  for panel, field in ipairs(FIELDS) do
    frame(drawing, panel, field[2], scale, low, high, bottom)
  end
  local y = TOP
  for _, row in ipairs(rows) do
    if row.heading then
      drawing:text(16, y + HEADING - 8, "job", "start", row.heading)
      y = y + HEADING
    else
      drawing:text(28, y + 11, "label", "start", row.label)
      for panel = 1, #FIELDS do
        if row[panel] then
          bar(drawing, panel, scale, row[panel], y + 1)
        end
      end
      y = y + ROW
    end
  end
  local note =
    "Blue: needs more than llama_cloud. Orange: needs less. Medians of ratios within each round; logarithmic."
  drawing:text(16, bottom + 22, "note", "start", note)
  drawing:add("</svg>")
  return table.concat(drawing, "\n") .. "\n"
end

return plot

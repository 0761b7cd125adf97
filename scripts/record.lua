--- Records a session of the command line as an SVG. It is scripts/record that calls this, with a checkout, a mode, an empty
--- directory to work in, and the file to write.
---
--- The session runs in a pseudo-terminal, which the program `script` makes; it also logs what is written there, and when. A small
--- terminal then replays the log, and each line that was to be seen becomes a text of the SVG. CSS shows it for the time for
--- which it was there. Without animation, everything is seen that is there in the end.

local llama_cloud = require("llama_cloud")
local sandbox = require("llama_cloud.sandbox")

local root, mode, directory, target = arg[1], arg[2], arg[3], arg[4]

local COLUMNS, ROWS = 90, 24

local MODES = {
  full = { files = 24, pause = 1.2, speed = 3 },
  quick = { files = 6, pause = 0, speed = 0.001 }, -- the clock is moved on when the first run has been interrupted
}
local settings = assert(MODES[mode])

-- What is typed. While the first `process` waits for its jobs, Ctrl-C is pressed.
local PROCESS = [[llama-cloud process invoices --configuration cfg-PARSE_AGENTIC --expand markdown_full \
    --output results --journal invoices.jsonl]]
local COMMANDS = {
  "ls invoices | wc -l",
  PROCESS,
  PROCESS,
  "ls results | head -n 2",
  "head -n 1 results/2026-01.pdf.md",
}

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

-- Makes the folder, the program `llama-cloud`, and the script of the session.
local function prepare(service)
  assert(os.execute(("mkdir %s %s"):format(quote(directory .. "/invoices"), quote(directory .. "/bin"))))
  for number = 1, settings.files do -- the sandbox does not look into them
    write(("%s/invoices/2026-%02d.pdf"):format(directory, number), ("%%PDF-1.4\nInvoice %d\n"):format(number))
  end
  local program = directory .. "/bin/llama-cloud"
  write(program, ('#!/bin/sh\nexec "$LUA" %s "$@"\n'):format(quote(root .. "/bin/llama-cloud")))
  assert(os.execute("chmod +x " .. quote(program)))
  local lines = {
    ("stty cols %d rows %d"):format(COLUMNS, ROWS),
    "cd " .. quote(directory),
    "export PATH=" .. quote(directory .. "/bin") .. ":$PATH LANG=C.UTF-8 TERM=xterm no_proxy=127.0.0.1",
    "unset LC_ALL LC_CTYPE NO_COLOR COLUMNS LUA_INIT LUA_INIT_5_4 LUA_INIT_5_5",
    "unset LLAMA_CLOUD_LOG LLAMA_CLOUD_CUSTOM_HEADERS",
    "export LLAMA_CLOUD_API_KEY=llx-sandbox LLAMA_CLOUD_BASE_URL=" .. service:url(),
    "trap : INT", -- it is for the program, not for this script
  }
  for _, command in ipairs(COMMANDS) do
    lines[#lines + 1] = "printf '\\033[1m$ %s\\033[0m\\n' " .. quote(command)
    lines[#lines + 1] = command
    lines[#lines + 1] = ("sleep %g"):format(settings.pause)
  end
  write(directory .. "/session.sh", table.concat(lines, "\n") .. "\n")
end

local PATIENCE = 60 -- seconds for what takes five

-- Waits until the log of what was written has a text.
local function await(text)
  local waited = 0
  while not read(directory .. "/output"):find(text, 1, true) do
    llama_cloud.sleep(0.02)
    waited = waited + 0.02
    if waited > PATIENCE then
      error(("the session does not come to '%s':\n%s"):format(text, read(directory .. "/output")))
    end
  end
end

-- Runs the session, and presses Ctrl-C when the first run has uploaded all files.
local function run(service)
  write(directory .. "/output", "")
  local command = ("SHELL=/bin/sh exec timeout -k 5 %d script -qefc %s -O %s -T %s >/dev/null"):format(
    3 * PATIENCE,
    quote("exec sh " .. quote(directory .. "/session.sh")),
    quote(directory .. "/output"),
    quote(directory .. "/times")
  )
  local terminal = assert(io.popen(command, "w"))
  await((" %d processing"):format(settings.files))
  llama_cloud.sleep(settings.pause)
  terminal:write("\3")
  terminal:flush()
  await("llama-cloud: interrupted")
  if mode == "quick" then
    service:advance(24 * 3600)
  end
  assert(terminal:close(), "the session has failed: its last command has")
end

-- What was written, as an array of { at = seconds since the beginning, text = … }.
local function log()
  local text = read(directory .. "/output"):gsub("^Script started[^\n]*\n", "")
  local chunks, at, position = {}, 0, 1
  for delay, length in read(directory .. "/times"):gmatch("([%d.]+) (%d+)\n") do
    at = at + tonumber(delay)
    chunks[#chunks + 1] = { at = at, text = text:sub(position, position + length - 1) }
    position = position + math.tointeger(tonumber(length))
  end
  return chunks
end

-- A terminal that knows what the session needs. `rows` are arrays of cells: a character, and whether it is bold.
local screen = { rows = { {} }, row = 1, column = 1, bold = false, rest = "" }

local CONTROL = {
  ["\r"] = function()
    screen.column = 1
  end,
  ["\n"] = function()
    screen.row = screen.row + 1
    assert(screen.row <= ROWS, "the session has more lines than the terminal")
    screen.rows[screen.row] = screen.rows[screen.row] or {}
  end,
  ["\27[K"] = function()
    local row = screen.rows[screen.row]
    for column = #row, screen.column, -1 do
      row[column] = nil
    end
  end,
  ["\27[1m"] = function()
    screen.bold = true
  end,
  ["\27[0m"] = function()
    screen.bold = false
  end,
}

-- Puts a character where the cursor is.
local function put(character)
  if screen.column > COLUMNS then
    CONTROL["\r"]()
    CONTROL["\n"]()
  end
  screen.rows[screen.row][screen.column] = { character, screen.bold }
  screen.column = screen.column + 1
end

-- Shows what is written. What is cut off in the middle of a sequence waits for the rest.
local function show(text)
  text = screen.rest .. text
  local position = 1
  while position <= #text do
    local piece = text:match("^\27%[[%d;]*%a", position) or text:match("^" .. utf8.charpattern, position)
    if not piece or piece == "\27" or piece:find("^[\xC2-\xF4]$") then
      break
    elseif CONTROL[piece] then
      CONTROL[piece]()
    elseif piece:find("^%c") then
      error(("the terminal does not know %q"):format(piece))
    else
      put(piece)
    end
    position = position + #piece
  end
  screen.rest = text:sub(position)
end

local ESCAPED = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }

-- A row as content of an SVG's text, and its width; nil where nothing is to be seen.
local function marked(row)
  local pieces, bold = {}, false
  for _, cell in ipairs(row) do
    if cell[2] ~= bold then
      bold = cell[2]
      pieces[#pieces + 1] = bold and "<tspan>" or "</tspan>"
    end
    pieces[#pieces + 1] = ESCAPED[cell[1]] or cell[1]
  end
  pieces[#pieces + 1] = bold and "</tspan>" or nil
  return #row > 0 and table.concat(pieces) or nil, #row
end

local SHORTEST = 0.03 -- seconds: what is replaced sooner is not shown

-- Replays the log. What was seen: an array of { row, text, width, from, till }; of what stays, `till` is nil.
local function replay(chunks)
  local seen, now = {}, {}
  for index, chunk in ipairs(chunks) do
    show(chunk.text)
    local following = chunks[index + 1]
    if not following or following.at - chunk.at >= SHORTEST then
      for number, row in ipairs(screen.rows) do
        local text, width = marked(row)
        if text ~= (now[number] and now[number].text) then
          if now[number] then
            now[number].till = chunk.at
          end
          now[number] = text and { row = number, text = text, width = width, from = chunk.at }
          seen[#seen + 1] = now[number] or nil
        end
      end
    end
  end
  return seen
end

local WIDTH, HEIGHT, MARGIN = 8.4, 20, 16 -- of a character, of a line, around all

local HEAD = [[
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" role="img" xml:space="preserve">
<title>A folder of files is processed, interrupted, and processed to its end</title>
<style>
rect{fill:#161b22;stroke:#6e7681}
text{fill:#c9d1d9;font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre}
tspan{fill:#fff;font-weight:bold}
.p{visibility:hidden}
@keyframes later{from,to{visibility:hidden}}
@keyframes passing{from,to{visibility:visible}}
@media(prefers-reduced-motion:reduce){text{animation:none!important}}
</style>
<rect x=".5" y=".5" width="%g" height="%g" rx="8"/>
]]

local TEXT = '<text %sx="%d" y="%d" textLength="%.1f" lengthAdjust="spacingAndGlyphs" style="animation:%s">%s</text>\n'

-- A text: what stays is hidden until it comes, what passes is shown while it is there.
local function element(text)
  local class, animation = "", ("later %.2fs"):format(text.from)
  if text.till then
    class, animation = 'class="p" ', ("passing %.2fs %.2fs"):format(text.till - text.from, text.from)
  end
  return TEXT:format(class, MARGIN, MARGIN + text.row * HEIGHT - 5, text.width * WIDTH, animation, text.text)
end

-- The SVG of what was seen.
local function drawing(seen)
  local lines, last = {}, 0
  for index, text in ipairs(seen) do
    lines[index] = element(text)
    last = math.max(last, text.row)
  end
  local width, height = COLUMNS * WIDTH + 2 * MARGIN, last * HEIGHT + 2 * MARGIN
  return HEAD:format(width, height, width, height, width - 1, height - 1) .. table.concat(lines) .. "</svg>\n"
end

sandbox.with({ batches = 0, jobs = 0, speed = settings.speed }, function(_, service)
  prepare(service)
  run(service)
end)
write(target, drawing(replay(log())))

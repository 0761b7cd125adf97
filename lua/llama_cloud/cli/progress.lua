--- One line on standard error that tells how far something is: only on a terminal, and gone before anything else is written.

local core = require("llama_cloud.core")
local terminal = require("llama_cloud.cli.terminal")
local text = require("llama_cloud.base.text")

local progress = {}

local shown

--- Shows a line in place of the one before.
---@param line string
function progress.show(line)
  local of = terminal.of(io.stderr) -- whose width may have changed
  if of.steered then
    io.stderr:write("\r\27[K", terminal.cut(terminal.shown(of, line), of.columns - 1, ""))
    io.stderr:flush()
    shown = true
  end
end

--- Takes the line away.
function progress.clear()
  if shown then
    io.stderr:write("\r\27[K")
    io.stderr:flush()
    shown = false
  end
end

--- Says something on standard error.
---@param line string
function progress.say(line)
  progress.clear()
  io.stderr:write("llama-cloud: ", terminal.shown(terminal.of(io.stderr), line), "\n")
  io.stderr:flush()
end

--- What a client's option `log` is to be that shows on a terminal what it waits for before a request is sent again; nil
--- where that cannot be shown.
---@return fun(level: string, message: string)?
function progress.retries()
  return terminal.of(io.stderr).steered
      and function(level, message)
        local attempt = level == "warn" and message:match("attempt %d+ of %d+ in .*")
        if attempt then
          progress.show(attempt)
        end
      end
    or nil
end

local function bytes(n)
  for _, unit in ipairs { "B", "kB", "MB", "GB" } do
    if n < 1000 or unit == "GB" then
      return text.number(n, unit == "B" and "%.0f" or "%.1f") .. " " .. unit
    end
    n = n / 1000
  end
end

--- A time in words.
---@param seconds number
---@return string
function progress.duration(seconds)
  seconds = math.floor(seconds)
  if seconds < 60 then
    return seconds .. " s"
  end
  local hours, minutes = seconds // 3600, seconds // 60 % 60
  return hours > 0 and ("%d:%02d h"):format(hours, minutes) or ("%d:%02d min"):format(minutes, seconds % 60)
end

--- The time that has passed since a beginning, for people.
---@param since number of core.now
---@return string
function progress.since(since)
  return progress.duration(core.now() - since)
end

--- What `on_progress` of an upload or download is to be: bytes, rate, and the time that is left.
---@param name string
---@return fun(done: integer, total: integer?)
function progress.transfer(name)
  local begun = core.now()
  return function(done, total)
    local passed = core.now() - begun
    local rate = passed > 0 and done / passed or 0
    local line = ("%s  %s"):format(name, bytes(done))
    if total and total > 0 then
      line = ("%s of %s"):format(line, bytes(total))
    end
    if rate > 0 then
      line = ("%s  %s/s"):format(line, bytes(rate))
      if total and total > done then
        line = ("%s  %s left"):format(line, progress.duration((total - done) / rate))
      end
    end
    progress.show(line)
  end
end

return progress

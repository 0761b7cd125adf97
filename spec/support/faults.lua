-- The faults of the matrix (whole/fault_matrix_spec.lua) and what each comes to. A fault is what a server does (`answer`, Lua
-- source with the connection c, the request r and the number k of the faulty answer; spec/support/serve.lua), or a place
-- where there is no server (`place`, see fault_cells.lua).
--
--   outcome   the name of a row of `outcomes`: what the four kinds of call come to
--   cells     what some of them come to instead
--   before    Lua source that runs once in the server, before `answer` is compiled
--   kept      on a connection that was used before libcurl sends a GET once more by itself, on a new one
--   retries   max_retries; 2
--   count     how often the server is at fault; unless it is given, for as long as the call goes on
--   again     how often the call is sent again until it succeeds; with `count`
--   redirects how often it is redirected until it ends
--   at_least  seconds that the call must take
--   paced     seconds that the gate may hold up calls for
--   slow      attempts end by their time-out; not under valgrind
--   options   the client's, besides

local faults = {}

-- What a call comes to: `kind` of the error (none: it succeeds), `again`: whether it is sent max_retries more times,
-- `maybe_sent`, `value`: what it returns if that is not the object, `cause`: a kind among what a time-out was caused by,
-- `ids`: what a list gave before. A wait that passes over the fault `goes_on`.
local lost, late = { kind = "connection", again = true }, { kind = "timeout", again = true }
local goes_on = { goes_on = true }
local fine = {}
local composed = { kind = "decode", composed = true } -- found by who asked, not by who sent

faults.outcomes = {
  unreached = { get = lost, create = lost, list = lost, wait = { kind = "timeout", cause = "connection" } },
  unreached_late = { get = late, create = late, list = late, wait = { kind = "timeout", cause = "timeout" } },
  unreached_for_good = {
    get = { kind = "connection" },
    create = { kind = "connection" },
    list = { kind = "connection" },
    wait = { kind = "connection" },
  },
  lost = { get = lost, create = { kind = "connection", maybe_sent = true }, list = lost, wait = goes_on },
  late = { get = late, create = { kind = "timeout", maybe_sent = true }, list = late, wait = goes_on },
  broken = {
    get = { kind = "internal_server", again = true },
    create = { kind = "internal_server", maybe_sent = true },
    list = { kind = "internal_server", again = true },
    wait = goes_on,
  },
  unavailable = {
    get = { kind = "internal_server", again = true },
    create = { kind = "internal_server", again = true },
    list = { kind = "internal_server", again = true },
    wait = goes_on,
  },
  limited = {
    get = { kind = "rate_limit", again = true },
    create = { kind = "rate_limit", again = true },
    list = { kind = "rate_limit", again = true },
    wait = goes_on,
  },
  nonsense = {
    get = { kind = "decode" },
    create = { kind = "decode", maybe_sent = true },
    list = { kind = "decode" },
    wait = { kind = "decode" },
  },
  too_large = {
    get = { kind = "too_large" },
    create = { kind = "too_large", maybe_sent = true },
    list = { kind = "too_large" },
    wait = { kind = "too_large" },
  },
  status = {
    get = { kind = "status" },
    create = { kind = "status" },
    list = { kind = "status" },
    wait = { kind = "status" },
  },
  -- an object, but no page and no batch
  object = { get = fine, create = fine, list = composed, wait = composed },
  empty = { get = { value = true }, create = { value = true }, list = composed, wait = composed },
  fine = { get = fine, create = fine, list = fine, wait = fine },
}

local OK = "HTTP/1.1 200 OK\r\n"

-- Sends these bytes and closes.
local function raw(bytes)
  return ("c:raw(%q) c:close()"):format(bytes)
end

-- A whole 200 with this body.
local function json(body)
  return ("c:json(200, %q)"):format(body)
end

-- What a healthy server answers, with its body changed: an expression of `body`.
local function altered(expression)
  local respond = ("function(_, code, headers, body) c:respond(code, headers, (%s)) end"):format(expression)
  return ("healthy({ respond = %s }, r, k + skip)"):format(respond)
end

local function status(code, headers)
  return ('c:json(%d, \'{"detail":"no"}\', { %s })'):format(code, headers or "")
end

local function redirect(code, target)
  return ("c:respond(%d, { Location = %s }, '')"):format(code, target)
end

faults.groups = {
  {
    name = "No connection",
    { name = "connection refused", outcome = "unreached", place = "refused" },
    { name = "unknown host name", outcome = "unreached", place = "unknown" },
    {
      name = "connection that is never accepted (full backlog)",
      outcome = "unreached_late",
      place = "backlog",
      retries = 1,
    },
    { name = "name server that does not respond", outcome = "unreached_late", place = "name", retries = 1 },
    { name = "TLS: certificate for another name", outcome = "unreached_for_good", tls = "wrong_name" },
    { name = "TLS: expired certificate", outcome = "unreached_for_good", tls = "expired" },
    { name = "TLS: certificate from an unknown CA", outcome = "unreached_for_good", tls = "unknown_ca" },
    { name = "TLS: missing ca_file", outcome = "unreached_for_good", place = "no_ca_file" },
    { name = "TLS: handshake without a response", outcome = "unreached_late", place = "silent", retries = 1 },
    { name = "TLS: plain HTTP instead", outcome = "unreached", place = "plain" },
    { name = "proxy: connection refused", outcome = "unreached", place = "no_proxy" },
    { name = "proxy: refuses the tunnel with 407", outcome = "unreached", place = "proxy_407" },
    { name = "proxy: closes the tunnel", outcome = "unreached", place = "proxy_closes" },
    { name = "proxy: invalid URL", outcome = "unreached_for_good", place = "bad_proxy" },
    { name = "impossible host name", outcome = "unreached_for_good", place = "bad_host" },
    { name = "request header that is too long", outcome = "unreached_for_good", place = "long_header" },
  },
  {
    name = "Connections that break",
    { name = "closed before the first byte", outcome = "lost", kept = true, answer = "c:close()" },
    { name = "reset before the headers", outcome = "lost", kept = true, answer = "c:reset()" },
    {
      name = "reset within the headers",
      outcome = "lost",
      answer = "c:raw('" .. [[HTTP/1.1 200 OK\r\nContent-Ty') c:sleep(0.02) c:reset()]],
    },
    { name = "closed within the headers", outcome = "lost", answer = raw(OK .. "Content-Length: 2\r\n") },
    {
      name = "reset within the body",
      outcome = "lost",
      answer = [[c:head(200, { ["Content-Length"] = 20 }) c:raw('{"id":') c:sleep(0.02) c:reset()]],
    },
    {
      name = "body shorter than its Content-Length",
      outcome = "lost",
      answer = raw(OK .. 'Content-Length: 20\r\n\r\n{"id":"x"}'),
    },
    { name = "truncated body without Content-Length", outcome = "nonsense", answer = raw(OK .. '\r\n{"id":"x"') },
    {
      name = "body longer than its Content-Length",
      outcome = "nonsense",
      answer = raw(OK .. 'Content-Length: 8\r\n\r\n{"id":"x"}'),
    },
    {
      name = "incomplete chunked body",
      outcome = "lost",
      answer = raw(OK .. "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
    },
    {
      name = "invalid chunk size",
      outcome = "lost",
      answer = raw(OK .. "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
    },
    {
      name = "invalid trailer",
      outcome = "lost",
      answer = raw(OK .. "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\ngarbage\r\n\r\n"),
    },
    {
      name = "chunk that is not of its announced size",
      outcome = "lost",
      answer = raw(OK .. "Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n"),
    },
    {
      name = "invalid Content-Length",
      outcome = "lost",
      answer = raw(OK .. "Content-Length: many\r\n\r\n{}"),
    },
    {
      name = "NUL in a header",
      outcome = "lost",
      answer = [[c:raw("HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\n{}") c:close()]],
    },
    {
      name = "damaged gzip",
      outcome = "lost",
      answer = [[c:respond(200, { ["Content-Encoding"] = "gzip" }, "\31\139\8\0\0\0\0\0\0\3" .. ("\255"):rep(20))]],
    },
    {
      name = "unknown Content-Encoding",
      outcome = "nonsense",
      answer = [[c:respond(200, { ["Content-Encoding"] = "unheard-of" }, "{}")]],
    },
    {
      name = "Content-Encoding that names no encoding, such as UTF-8",
      outcome = "fine",
      answer = [[healthy({ respond = function(_, status, headers, body)
        headers["Content-Encoding"] = k % 2 == 0 and "UTF-8" or "aws-chunked"
        c:respond(status, headers, body)
      end }, r, k + skip)]],
    },
    { name = "not HTTP", outcome = "lost", answer = raw("SSH-2.0-OpenSSH_9.2\r\n\r\n") },
    { name = "status line without a number", outcome = "lost", answer = raw("HTTP/1.1 abc OK\r\n\r\n") },
    { name = "100 Continue and nothing after it", outcome = "lost", answer = raw("HTTP/1.1 100 Continue\r\n\r\n") },
    {
      name = "101 Switching Protocols, not requested",
      outcome = "lost",
      answer = raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n{}"),
    },
  },
  {
    name = "Slow responses",
    slow = true,
    { name = "no response", outcome = "late", retries = 1, answer = "c:wait_closed()" },
    {
      name = "slow headers",
      outcome = "late",
      retries = 1,
      answer = [[c:trickle("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 10)]],
    },
    {
      name = "stall within the headers",
      outcome = "late",
      retries = 1,
      answer = [[c:raw("HTTP/1.1 200 OK\r\nContent") c:wait_closed()]],
    },
    {
      name = "slow body (a byte at a time)",
      outcome = "late",
      retries = 1,
      answer = [[c:head(200, { ["Content-Length"] = 100 }) c:trickle(("x"):rep(100), 10)]],
    },
    {
      name = "stall within the body",
      outcome = "late",
      retries = 1,
      answer = [[c:head(200, { ["Content-Length"] = 100 }) c:raw('{"id":') c:wait_closed()]],
    },
    {
      name = "stall between two chunks",
      outcome = "late",
      retries = 1,
      answer = [[c:head(200, { ["Transfer-Encoding"] = "chunked" }) c:raw("2\r\n{}\r\n") c:wait_closed()]],
    },
  },
  {
    name = "Responses that are too large",
    {
      name = "body of 1 GB, announced",
      outcome = "too_large",
      answer = [[c:head(200, { ["Content-Length"] = 1 << 30 }) while c:raw(("x"):rep(1 << 16)) do end c:close()]],
    },
    {
      name = "body of 1 GB, chunked",
      outcome = "too_large",
      answer = [[c:head(200, { ["Transfer-Encoding"] = "chunked" })
        for _ = 1, 1 << 14 do if not c:raw("10000\r\n" .. ("x"):rep(1 << 16) .. "\r\n") then break end end c:close()]],
    },
    {
      name = "gzip bomb (200 MB)",
      outcome = "too_large",
      before = [[local pipe = io.popen("head -c 200000000 /dev/zero | gzip") local BOMB = pipe:read("a") pipe:close()]],
      answer = [[c:respond(200, { ["Content-Encoding"] = "gzip" }, BOMB) c:close()]],
    },
    {
      name = "100,000 header lines",
      outcome = "too_large",
      answer = [[
        c:raw("HTTP/1.1 200 OK\r\n" .. ("X-Line: 1\r\n"):rep(100000) .. "Content-Length: 2\r\n\r\n{}") c:close()
      ]],
    },
    {
      name = "header of 1 MB",
      outcome = "too_large",
      answer = [[
        c:raw("HTTP/1.1 200 OK\r\nX-Long: " .. ("x"):rep(1 << 20) .. "\r\nContent-Length: 2\r\n\r\n{}") c:close()
      ]],
    },
    {
      name = "endless 100 Continue",
      outcome = "too_large",
      answer = [[
        for _ = 1, 1000 do if not c:raw(("HTTP/1.1 100 Continue\r\n\r\n"):rep(1000)) then break end end c:close()
      ]],
    },
  },
  {
    name = "Unusual responses",
    {
      name = "100 Continue first",
      outcome = "fine",
      answer = [[c:raw("HTTP/1.1 100 Continue\r\n\r\n") healthy(c, r, k + skip)]],
    },
    {
      name = "103 Early Hints first",
      outcome = "fine",
      answer = [[c:raw("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n") healthy(c, r, k + skip)]],
    },
    {
      name = "204 with a body",
      outcome = "empty",
      answer = raw('HTTP/1.1 204 No Content\r\nContent-Length: 10\r\n\r\n{"id":"x"}'),
    },
    {
      name = "205 with a body",
      outcome = "empty",
      answer = raw('HTTP/1.1 205 Reset Content\r\nContent-Length: 10\r\n\r\n{"id":"x"}'),
    },
    {
      name = "304 with a body",
      outcome = "status",
      answer = raw('HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n{"id":"x"}'),
    },
    {
      name = "200 with HTML",
      outcome = "nonsense",
      answer = [[c:respond(200, { ["Content-Type"] = "text/html" }, "<html>maintenance</html>")]],
    },
    { name = "200 with an empty body", outcome = "nonsense", answer = json("") },
    { name = "invalid JSON", outcome = "nonsense", answer = json("{'id': x}") },
    { name = "truncated JSON", outcome = "nonsense", answer = json('{"id":"x","items":[{"id":"a"}') },
    {
      name = "JSON with bytes that are not UTF-8",
      outcome = "fine",
      answer = altered([[body:gsub("{", '{"\xff":"\xe2\x82",')]]),
    },
    {
      name = "JSON with a lone surrogate",
      outcome = "fine",
      answer = altered([[body:gsub("{", '{"\\ud83d":"\\ude00",')]]),
    },
    { name = "JSON after a byte order mark", outcome = "fine", answer = altered([["\u{feff}" .. body]]) },
    {
      name = "JSON 100,000 levels deep",
      outcome = "nonsense",
      cells = { list = composed },
      answer = [[c:json(200, '{"items":[{"id":' .. ("["):rep(100000) .. ("]"):rep(100000) .. "}]}")]],
    },
    { name = "`null`", outcome = "nonsense", answer = json("null") },
    { name = "`[]`", outcome = "nonsense", answer = json("[]") },
    { name = '`"text"`', outcome = "nonsense", answer = json('"text"') },
    { name = "`42`", outcome = "nonsense", answer = json("42") },
    { name = "`items` missing (`{}`)", outcome = "object", answer = json("{}") },
    { name = "`items` null", outcome = "object", answer = json('{"items":null}') },
    { name = "`items` an object", outcome = "object", answer = json('{"items":{"id":"a"}}') },
    {
      name = "an item that is null",
      outcome = "object",
      cells = { list = { kind = "decode", composed = true, ids = "aba" } },
      answer = json('{"items":[{"id":"a"},null]}'),
    },
    { name = "an item that is not an object", outcome = "object", answer = json('{"items":["a"]}') },
  },
  {
    name = "Redirects",
    { name = "endless redirects (307)", outcome = "status", redirects = 10, answer = redirect(307, "r.target") },
    {
      name = "endless redirects (302)",
      outcome = "status",
      redirects = 10,
      cells = { create = { kind = "status", redirects = 0 } },
      answer = redirect(302, "r.target"),
    },
    { name = "redirect to another host", outcome = "status", answer = redirect(307, "'http://name.example/'") },
    {
      name = "redirect from https to http",
      outcome = "status",
      tls = "good",
      answer = redirect(307, "'http://' .. r.headers.host .. r.target"),
    },
    { name = "redirect to file://", outcome = "status", answer = redirect(302, "'file:///etc/passwd'") },
    {
      name = "redirect to a URL with a password",
      outcome = "status",
      answer = redirect(302, "'http://user:word@' .. r.headers.host .. r.target"),
    },
    { name = "redirect without Location", outcome = "status", answer = "c:respond(302, {}, '')" },
  },
  {
    name = "Limits of the service",
    { name = "429 with Retry-After: 0", outcome = "limited", paced = 1, answer = status(429, "['Retry-After'] = '0'") },
    {
      name = "429 with Retry-After: 1, once",
      outcome = "fine",
      count = 1,
      again = 1,
      at_least = 1,
      slow = true,
      answer = status(429, "['Retry-After'] = '1'"),
    },
    {
      name = "429 with Retry-After: 3600",
      outcome = "limited",
      cells = {
        get = { kind = "rate_limit", retry_after = 3600 },
        create = { kind = "rate_limit", retry_after = 3600 },
        list = { kind = "rate_limit", retry_after = 3600 },
        wait = { kind = "timeout", cause = "rate_limit" },
      },
      slow = true,
      answer = status(429, "['Retry-After'] = '3600'"),
    },
    {
      name = "429 with Retry-After: a date, a second later",
      outcome = "fine",
      count = 1,
      again = 1,
      at_least = 1,
      slow = true,
      -- years away from the real time: only the difference counts
      answer = status(429, "Date = 'Sun, 06 Nov 1994 08:49:37 GMT', ['Retry-After'] = 'Sun, 06 Nov 1994 08:49:38 GMT'"),
    },
    {
      name = "429 with Retry-After: -1",
      outcome = "limited",
      paced = 1,
      answer = status(429, "['Retry-After'] = '-1'"),
    },
    {
      name = "429 with Retry-After: soon",
      outcome = "limited",
      paced = 1,
      answer = status(429, "['Retry-After'] = 'soon'"),
    },
    {
      name = "storm of 503 with Retry-After: 0",
      outcome = "unavailable",
      answer = status(503, "['Retry-After'] = '0'"),
    },
    { name = "storm of 503 without Retry-After", outcome = "broken", answer = status(503) },
    { name = "storm of 500", outcome = "broken", answer = status(500) },
    {
      name = "storm of 500 with x-should-retry: true",
      outcome = "broken",
      answer = status(500, "['X-Should-Retry'] = 'true'"),
    },
  },
}

-- What a cell comes to, in words.
local function in_words(fault, call)
  local cell = fault.cells and fault.cells[call] or faults.outcomes[fault.outcome][call]
  if cell.goes_on then
    return "continues"
  elseif cell.cause then
    return "continues until its `total_timeout`"
  elseif not cell.kind then
    local unchanged = fault.outcome == "object" and "the object as it is" or fault.again and "retried, works"
    return cell.value and "`true`" or unchanged or "works"
  end
  local text = ("`%s`"):format(cell.kind)
  if cell.maybe_sent then
    text = text .. ", `maybe_sent`"
  end
  return cell.again and "retried, then " .. text or text
end

--- The row of a fault in the table of docs/reliability.md.
---@param fault table
---@return string
function faults.row(fault)
  local columns = { fault.name }
  for _, call in ipairs { "get", "create", "list", "wait" } do
    columns[#columns + 1] = in_words(fault, call)
  end
  return "| " .. table.concat(columns, " | ") .. " |"
end

return faults

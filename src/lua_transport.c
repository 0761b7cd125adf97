/* Lua's view of transport, transfer and timer: arguments in, results out.

   A transport is a userdata whose uservalue is a weak-valued table: address of a token -> its handle. A token
   is the transport's; its handle is a userdata that refers to it, and whose uservalue keeps the transport
   alive. The transport never keeps a handle, so one that nobody holds is collected, which cancels and frees
   the token. */
#include "lua_transport.h"

#include "lua_request.h"

#include <math.h>

#define TRANSPORT "llama_cloud.transport"
#define TRANSFER "llama_cloud.transfer"
#define TIMER "llama_cloud.timer"

/* ---- transport ---- */

transport *lua_open_transport(lua_State *L, lua_transport *h) {
  if (h->closed)
    luaL_error(L, "attempt to use a closed transport");
  if (h->transport == NULL) {
    h->transport = transport_new();
    if (h->transport == NULL)
      luaL_error(L, "cannot make a transport: no memory or no file descriptor left");
    transport_serve(h->transport, h->attended, h->root, h->quiet);
  } else if (!transport_own(h->transport)) {
    luaL_error(L, "cannot make a transport after fork: no memory or no file descriptor left");
  }
  return h->transport;
}

/* The open transport at stack index 1, which in a forked process becomes that process's own at its first use.
   Raises for a closed one, and if there is nothing left to make it, or to make it one's own, of. */
static transport *check_transport(lua_State *L) {
  return lua_open_transport(L, luaL_checkudata(L, 1, TRANSPORT));
}

static void close_transport(void *userdata) {
  lua_transport *h = userdata;
  transport *t = h->transport;
  h->transport = NULL;
  h->closed = true;
  transport_free(t);
}

lua_transport *lua_push_transport(lua_State *L) {
  lua_transport *h = lua_newuserdatauv(L, sizeof *h, 1);
  *h = (lua_transport){0};
  luaL_setmetatable(L, TRANSPORT);
  lua_own(L, &h->owned, h, close_transport);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_setiuservalue(L, -2, 1);
  return h;
}

/* core.transport() -> transport. Raises when there is no memory or no descriptor left. */
static int core_transport(lua_State *L) {
  lua_open_transport(L, lua_push_transport(L));
  return 1;
}

/* transport:close(), __gc, __close: idempotent; cancels what is under way. */
static int transport_close(lua_State *L) {
  lua_transport *h = luaL_checkudata(L, 1, TRANSPORT);
  lua_disown(&h->owned);
  close_transport(h);
  return 0;
}

static int transport_tostring(lua_State *L) {
  lua_transport *h = luaL_checkudata(L, 1, TRANSPORT);
  if (h->closed)
    lua_pushfstring(L, "%s (closed)", TRANSPORT);
  else
    lua_pushfstring(L, "%s (%p)", TRANSPORT, (void *)h->transport);
  return 1;
}

/* transport:fd() -> integer: the descriptor that is readable exactly when step or next has something to do.
 */
static int transport_l_fd(lua_State *L) {
  lua_pushinteger(L, transport_fd(check_transport(L)));
  return 1;
}

/* transport:step() -> boolean: does what can be done without waiting; whether next has tokens to hand out. */
static int transport_l_step(lua_State *L) {
  transport *t = check_transport(L);
  transport_step(t);
  lua_pushboolean(L, transport_has_finished(t));
  return 1;
}

/* transport:next() -> token | nil: an ended token, in the order in which they ended. A token whose handle
   is being collected is passed over. */
static int transport_l_next(lua_State *L) {
  transport *t = check_transport(L);
  token *k;
  lua_getiuservalue(L, 1, 1);
  while ((k = transport_next(t)) != NULL) {
    if (lua_rawgetp(L, -1, k) == LUA_TUSERDATA)
      return 1;
    lua_pop(L, 1);
  }
  return 0;
}

/* transport:wait([seconds]) -> boolean: blocks until there is something to do (true), until seconds have
   passed (false) or until a signal arrives (false), so that a hook set by a signal handler gets to run. */
static int transport_l_wait(lua_State *L) {
  transport *t = check_transport(L);
  lua_Number seconds = luaL_optnumber(L, 2, HUGE_VAL);
  lua_pushboolean(L, transport_wait(t, seconds) == 1);
  return 1;
}

/* transport:count() -> pending, active: tokens started and not handed out yet; transfers inside the multi. */
static int transport_l_count(lua_State *L) {
  transport *t = check_transport(L);
  lua_pushinteger(L, (lua_Integer)transport_pending(t));
  lua_pushinteger(L, (lua_Integer)transport_active(t));
  return 2;
}

/* transport:max_concurrency([n]) -> integer: how many transfers may be under way at once; sets it to n
   first. */
static int transport_l_max_concurrency(lua_State *L) {
  transport *t = check_transport(L);
  if (!lua_isnoneornil(L, 2)) {
    lua_Integer n = luaL_checkinteger(L, 2);
    luaL_argcheck(L, n >= 1 && n <= 100000, 2, "from 1 to 100000");
    transport_set_concurrency(t, (size_t)n);
  }
  lua_pushinteger(L, (lua_Integer)transport_concurrency(t));
  return 1;
}

/* ---- making tokens ---- */

/* Pushes a handle that has no token yet, with the transport at index 1 as its uservalue. */
static token_handle *push_handle(lua_State *L, const char *metatable) {
  token_handle *h = lua_newuserdatauv(L, sizeof *h, 1);
  *h = (token_handle){0};
  luaL_setmetatable(L, metatable);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  return h;
}

/* Makes the token on top of the stack, a handle, one of the transport at index 1, which finds the handle by
   it. `k` is freed if that fails. The transport is looked at only now: whatever allocated memory before may
   have run a finalizer that closed it. Raises when it is closed and when there is no memory. */
static void start_handle(lua_State *L, token_handle *h, token *k) {
  if (k == NULL)
    lua_out_of_memory(L);
  h->token = k; /* the handle's finalizer frees it if this raises */
  lua_getiuservalue(L, 1, 1);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, k);
  lua_pop(L, 1);
  if (!transport_start(check_transport(L), k, h))
    lua_out_of_memory(L);
}

/* transport:start(request…) -> transfer. request: as lua_read_request takes it. Raises for what that refuses,
   and when there is no memory. */
static int transport_l_start(lua_State *L) {
  transfer_options options;
  token_handle *h;
  check_transport(L);
  lua_settop(L, 1 + LUA_REQUEST_ARGUMENTS);
  h = push_handle(L, TRANSFER);
  lua_read_request(L, 2, &options);
  token *k = transfer_new(&options);
  lua_settop(L, 2 + LUA_REQUEST_ARGUMENTS);
  start_handle(L, h, k);
  return 1;
}

/* transport:timer(seconds) -> timer: a token that ends after that time. */
static int transport_l_timer(lua_State *L) {
  lua_Number seconds = luaL_checknumber(L, 2);
  token_handle *h;
  check_transport(L);
  luaL_argcheck(L, !isnan(seconds), 2, "NaN");
  lua_settop(L, 2);
  h = push_handle(L, TIMER);
  start_handle(L, h, timer_new(seconds));
  return 1;
}

/* transport:tick(transfer, seconds) -> timer: a token that ends after that time or with the transfer,
   whichever comes first; now, if that has ended. Raises for a transfer of another transport. */
static int transport_l_tick(lua_State *L) {
  token_handle *of = luaL_checkudata(L, 2, TRANSFER), *h;
  lua_Number seconds = luaL_checknumber(L, 3);
  check_transport(L);
  luaL_argcheck(L, !isnan(seconds), 3, "NaN");
  lua_getiuservalue(L, 2, 1);
  luaL_argcheck(L, lua_rawequal(L, 1, -1), 2, "of another transport");
  lua_settop(L, 3);
  h = push_handle(L, TIMER);
  start_handle(L, h, timer_new(seconds));
  timer_follow(h->token, of->token); /* which a finalizer may have closed meanwhile */
  return 1;
}

/* ---- tokens ---- */

token_handle *lua_check_token(lua_State *L, int index) {
  token_handle *h = luaL_testudata(L, index, TRANSFER);
  return h != NULL ? h : luaL_checkudata(L, index, TIMER);
}

bool lua_token_has_ended(const token_handle *h) {
  return h->token == NULL || token_get_state(h->token) >= TOKEN_FINISHED;
}

/* The transfer at index 1; raises for a closed one, and for one that has not ended. */
static token *check_ended(lua_State *L) {
  token_handle *h = luaL_checkudata(L, 1, TRANSFER);
  if (h->token == NULL)
    luaL_error(L, "attempt to use a closed transfer");
  if (token_get_state(h->token) < TOKEN_FINISHED)
    luaL_error(L, "the transfer has not ended");
  return h->token;
}

/* __gc: ends and frees the token. Whatever pinned it was unwound by an error. */
static int token_gc(lua_State *L) {
  token_handle *h = lua_check_token(L, 1);
  token *k = h->token;
  h->token = NULL;
  token_free(k);
  return 0;
}

/* token:close(), __close: idempotent; ends the token and frees it. While a call reads the result (a
   finalizer that runs meanwhile may call this) the memory stays until that call is done. */
static int token_close(lua_State *L) {
  token_handle *h = lua_check_token(L, 1);
  if (h->pinned == 0)
    return token_gc(L);
  h->closing = true;
  return 0;
}

/* The result of the transfer at index 1, which stays in place, whatever finalizers run, until unpin. An error
   that unwinds leaves it pinned: then only __gc frees it. */
static exchange *pin(lua_State *L) {
  token *k = check_ended(L);
  token_handle *h = lua_touserdata(L, 1);
  h->pinned++;
  return transfer_result(k);
}

/* Ends what pin began, and does the closing that was asked for meanwhile. */
static void unpin(lua_State *L) {
  token_handle *h = lua_touserdata(L, 1);
  if (--h->pinned == 0 && h->closing)
    token_gc(L);
}

/* token:cancel(): ends it now, as cancelled, so that its owner wakes; no effect on one that has ended. */
static int token_l_cancel(lua_State *L) {
  token_handle *h = lua_check_token(L, 1);
  if (h->token != NULL)
    token_cancel(h->token);
  return 0;
}

/* token:done() -> boolean: whether it has ended. */
static int token_l_done(lua_State *L) {
  token_handle *h = lua_check_token(L, 1);
  lua_pushboolean(L, lua_token_has_ended(h));
  return 1;
}

static int token_tostring(lua_State *L) {
  static const char *const names[] = {"idle", "queued", "active", "finished", "taken"};
  token_handle *h = lua_check_token(L, 1);
  const char *kind = luaL_testudata(L, 1, TRANSFER) != NULL ? TRANSFER : TIMER;
  lua_pushfstring(L, "%s (%s)", kind, h->token == NULL ? "closed" : names[token_get_state(h->token)]);
  return 1;
}

/* transfer:outcome() -> kind, message, about, variable.

   kind: "response" | "connection" | "refused" (waiting and trying again cannot mend it) | "timeout" |
   "too_large" | "encoding" (a response whose Content-Encoding is not known; its status and headers are there)
   | "file" (a local file could not be read or written; the message names it) | "cancelled". Raises "not
   enough memory" when that is what happened. message: why there is no response; "" if there is one.

   about: what of the caller's choices has failed, nil if it was none: "ca_file", "certificate" (the server's,
   which ca_file and verify decide about), "proxy", "url", "host". With kind "connection" or "timeout":
   "proxy" if it was the proxy that was not reached or did not let the request through; without one, "name" if
   the host was not found, "address" if it was not reached, "tls" if what is there has not answered as TLS
   asks. variable: the environment variable that names the proxy, if `about` is "proxy" and the request's own
   field `proxy` does not name one. */
static int transfer_l_outcome(lua_State *L) {
  static const char *const names[] = {"response",  "connection", "refused", "timeout",
                                      "too_large", "encoding",   "file",    "cancelled"};
  const exchange *x = pin(L);
  if (x->result == OUTCOME_NO_MEMORY) {
    unpin(L);
    return lua_out_of_memory(L);
  }
  lua_pushstring(L, names[x->result]);
  lua_pushstring(L, x->message);
  lua_pushstring(L, x->about); /* nil for NULL */
  lua_pushstring(L, x->variable);
  unpin(L);
  return 4;
}

/* transfer:status() -> integer: the HTTP status, 0 when none arrived. */
static int transfer_l_status(lua_State *L) {
  lua_pushinteger(L, transfer_result(check_ended(L))->status);
  return 1;
}

/* transfer:sent() -> boolean: whether the server may have seen the whole request. */
static int transfer_l_sent(lua_State *L) {
  lua_pushboolean(L, transfer_result(check_ended(L))->sent);
  return 1;
}

/* transfer:progress() -> sent, to_send, received, to_receive: bytes, at any time. Sent is what libcurl has
   taken of the body, or of the form's file, for the attempt that goes on. Received is what there is of the
   body, with what an output had before; to_receive what there will be, or nil while that is not known. All
   nil for a closed transfer. */
static int transfer_l_progress(lua_State *L) {
  token_handle *h = luaL_checkudata(L, 1, TRANSFER);
  const exchange *x;
  if (h->token == NULL)
    return 0;
  x = transfer_result(h->token);
  lua_pushinteger(L, (lua_Integer)x->sending.position);
  lua_pushinteger(L, (lua_Integer)sending_size(&x->sending));
  lua_pushinteger(L, (lua_Integer)receiving_received(&x->receiving));
  if (receiving_total(&x->receiving) == RECEIVING_UNKNOWN)
    lua_pushnil(L);
  else
    lua_pushinteger(L, (lua_Integer)receiving_total(&x->receiving));
  return 4;
}

/* transfer:body([most]) -> string: what arrived of the body, decompressed; at most so many bytes of it. */
static int transfer_l_body(lua_State *L) {
  const buffer *body = &transfer_result(check_ended(L))->receiving.body;
  lua_Integer most = luaL_optinteger(L, 2, LUA_MAXINTEGER);
  size_t length = body->length;
  luaL_argcheck(L, most >= 0, 2, "negative");
  if ((lua_Unsigned)most < length)
    length = (size_t)most;
  lua_pushlstring(L, length > 0 ? body->data : "", length);
  return 1;
}

/* transfer:decode([decoder[, seconds[, names]]]) -> value | nil, message, offset: the body as JSON, repaired,
   straight from where it arrived, by that decoder; core.overdue is the message where it takes longer than
   `seconds`. Of an object only the fields of these names are decoded. */
static int transfer_l_decode(lua_State *L) {
  const buffer *body;
  lua_decoding how = lua_answer_decoding(luaL_optnumber(L, 3, HUGE_VAL));
  int n;
  lua_settop(L, 4);
  how.decoder = lua_given_decoder(L, 2);
  how.names = lua_wanted_fields(L, 4);
  body = &pin(L)->receiving.body;
  n = lua_decode_text(L, body->length > 0 ? body->data : "", body->length, NULL, &how);
  unpin(L);
  return n;
}

/* transfer:page([decoder[, seconds[, each[, names]]]]) -> page | nil, message, offset: the body as a page of
   a list, which takes it over, and whose items that decoder decodes; core.overdue is the message where that
   takes longer than `seconds`, or decoding an item of it longer than `each`. Of items only the fields of
   these names are decoded: an array that must stay as it is. */
static int transfer_l_page(lua_State *L) {
  int n;
  token_handle *h;
  lua_Number seconds = luaL_optnumber(L, 3, HUGE_VAL);
  lua_Number each = luaL_optnumber(L, 4, HUGE_VAL);
  lua_settop(L, 5);
  int decoder = lua_given_decoder(L, 2);
  int names = lua_wanted_fields(L, 5);
  check_ended(L);
  h = lua_touserdata(L, 1);
  if (h->pinned > 0)
    return luaL_error(L, "attempt to take the body of a transfer while it is read");
  n = lua_page_push(L, &pin(L)->receiving.body, seconds, each, decoder, names);
  unpin(L);
  return n;
}

/* transfer:headers() -> table: the response's headers, as lua_push_headers gives them. Trailers are not among
   them. */
static int transfer_l_headers(lua_State *L) {
  const buffer *lines = &pin(L)->header_lines;
  lua_push_headers(L, lines->length > 0 ? lines->data : "", lines->length);
  unpin(L);
  return 1;
}

/* ---- registration ---- */

static const luaL_Reg core_functions[] = {{"transport", core_transport}, {NULL, NULL}};

static const luaL_Reg transport_methods[] = {{"fd", transport_l_fd},
                                             {"step", transport_l_step},
                                             {"next", transport_l_next},
                                             {"wait", transport_l_wait},
                                             {"count", transport_l_count},
                                             {"max_concurrency", transport_l_max_concurrency},
                                             {"start", transport_l_start},
                                             {"timer", transport_l_timer},
                                             {"tick", transport_l_tick},
                                             {"close", transport_close},
                                             {NULL, NULL}};

static const luaL_Reg transport_metamethods[] = {{"__gc", transport_close},
                                                 {"__close", transport_close},
                                                 {"__tostring", transport_tostring},
                                                 {NULL, NULL}};

static const luaL_Reg token_methods[] = {
    {"cancel", token_l_cancel}, {"done", token_l_done}, {"close", token_close}, {NULL, NULL}};

static const luaL_Reg transfer_methods[] = {
    {"outcome", transfer_l_outcome}, {"status", transfer_l_status},     {"sent", transfer_l_sent},
    {"body", transfer_l_body},       {"decode", transfer_l_decode},     {"page", transfer_l_page},
    {"headers", transfer_l_headers}, {"progress", transfer_l_progress}, {NULL, NULL}};

static const luaL_Reg token_metamethods[] = {
    {"__gc", token_gc}, {"__close", token_close}, {"__tostring", token_tostring}, {NULL, NULL}};

void lua_transport_open(lua_State *L) {
  static const luaL_Reg *const of_transport[] = {transport_methods, NULL};
  static const luaL_Reg *const of_transfer[] = {token_methods, transfer_methods, NULL};
  static const luaL_Reg *const of_timer[] = {token_methods, NULL};
  lua_make_class(L, TRANSPORT, transport_metamethods, of_transport);
  lua_make_class(L, TRANSFER, token_metamethods, of_transfer);
  lua_make_class(L, TIMER, token_metamethods, of_timer);
  luaL_setfuncs(L, core_functions, 0);
}

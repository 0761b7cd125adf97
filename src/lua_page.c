/* A page of a list: the bytes of its envelope, and its items one by one.

   The envelope is looked at once, when the page is made: whether the document is whole, where `items` begins,
   and where the other members are. Pages are answers of the service, and repaired (lua_core.h). An item is
   decoded when it is asked for, so that its memory can be used again for the next one. The bytes are given
   back after the last item, on close, or by the collector. */
#include "json_skip.h"
#include "lua_core.h"
#include "lua_decoder_state.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define PAGE "llama_cloud.page"

enum { NEXT_PAGE_TOKEN, TOTAL_SIZE, MEMBERS };
static const char *const member_names[MEMBERS] = {"next_page_token", "total_size"};

/* Offsets into the text; 0, where the opening bracket is, means that there is none. */
typedef struct envelope {
  size_t items;            /* where its value begins */
  size_t count;            /* how many arrays and objects are in it */
  size_t members[MEMBERS]; /* where their values begin */
} envelope;

/* Its uservalues are the decoder of its items, and the names of their wanted fields. */
typedef struct lua_page {
  lua_owned owned;
  buffer text;
  envelope envelope;
  double each;      /* how many seconds decoding an item, or the whole, may take */
  size_t at;        /* where the next item begins; 0: not begun */
  size_t delivered; /* how many items it has given */
  bool narrow;      /* there are such names */
  bool ended;       /* the last item was delivered, or a fault was found */
  bool closing;     /* closed while it was pinned */
  unsigned pinned;  /* how many calls read the text right now */
} lua_page;

/* Whether a scanned key is a name. */
static bool key_is(const json_string *key, const char *name) {
  return key->length == strlen(name) && memcmp(key->bytes, name, key->length) == 0;
}

/* Whether nothing is in the array that begins at an offset. */
static bool is_empty_array(const json_scan *scan, size_t offset) {
  json_scan inside = *scan;
  inside.at = scan->text + offset + 1;
  json_skip_space(&inside);
  return *inside.at == ']';
}

/* Goes over one member of the envelope: of a name that comes again the last one counts. */
static bool scan_member(json_scan *scan, envelope *e, buffer *scratch) {
  json_string key;
  size_t inner;
  if (!json_in_time(scan))
    return false;
  json_skip_space(scan);
  if (scan->at == scan->end || *scan->at != '"')
    return json_expected(scan, "a key");
  if (!json_scan_string(scan, &key, scratch))
    return false;
  json_skip_space(scan);
  if (scan->at == scan->end || *scan->at != ':')
    return json_expected(scan, "':'");
  scan->at++;
  json_skip_space(scan);
  size_t value = (size_t)(scan->at - scan->text);
  if (!json_skip_value(scan, &inner))
    return false;
  if (key_is(&key, "items")) {
    e->items = value;
    e->count = inner;
    if (inner == 0 && scan->text[value] == '[' && !is_empty_array(scan, value))
      e->count = 1; /* something that is no item: the first look at it tells */
  }
  for (int i = 0; i < MEMBERS; i++) {
    if (key_is(&key, member_names[i]))
      e->members[i] = value;
  }
  return true;
}

/* Goes over the whole envelope. False, with a fault, if it is not whole or not an object. */
static bool scan_envelope(json_scan *scan, envelope *e, buffer *scratch) {
  *e = (envelope){0};
  scan->repair = true;
  if (!json_scan_mark(scan))
    return false;
  json_skip_space(scan);
  if (scan->at == scan->end || *scan->at != '{')
    return json_expected(scan, "an object");
  scan->at++;
  json_skip_space(scan);
  if (scan->at < scan->end && *scan->at == '}') {
    scan->at++;
  } else {
    for (bool more = true; more;) {
      if (!scan_member(scan, e, scratch))
        return false;
      json_skip_space(scan);
      if (scan->at == scan->end || (*scan->at != ',' && *scan->at != '}'))
        return json_expected(scan, "',' or '}'");
      more = *scan->at++ == ',';
    }
  }
  json_skip_space(scan);
  return scan->at == scan->end || json_fault(scan, scan->at, "text after the value");
}

/* Pushes nil, the fault's message and its offset. */
static int push_fault(lua_State *L, const json_scan *scan) {
  char message[JSON_MESSAGE_SIZE];
  if (scan->fault == json_no_memory)
    return lua_out_of_memory(L);
  json_describe_fault(scan, message, sizeof message);
  lua_pushnil(L);
  lua_pushstring(L, scan->fault == json_overdue ? json_overdue : message);
  lua_pushinteger(L, (lua_Integer)(scan->at - scan->text) + 1);
  return 3;
}

static void release(void *userdata) { buffer_free(&((lua_page *)userdata)->text); }

/* Pushes a page without a text, whose decoder is at a stack index, and the names of wanted fields at another;
   0: it gets a decoder of its own; all are wanted. */
static lua_page *new_page(lua_State *L, int decoder, int names) {
  lua_page *page = lua_newuserdatauv(L, sizeof *page, 2);
  *page = (lua_page){0};
  luaL_setmetatable(L, PAGE);
  lua_own(L, &page->owned, page, release);
  if (decoder != 0)
    lua_pushvalue(L, decoder);
  else
    decoder_new(L);
  lua_setiuservalue(L, -2, 1);
  page->narrow = names != 0;
  if (names != 0) {
    lua_pushvalue(L, names);
    lua_setiuservalue(L, -2, 2);
  }
  return page;
}

/* As lua_core.h says. The page comes first, so that nothing is held when memory for it is short. */
int lua_page_push(lua_State *L, buffer *text, double seconds, double each, int decoder, int names) {
  json_scan scan;
  lua_page *page = new_page(L, decoder, names);
  page->each = each;
  json_scan_begin(&scan, text->data, text->length);
  scan.seconds = seconds;
  /* the page's own buffer serves for keys with escapes, as long as it holds nothing else */
  if (!scan_envelope(&scan, &page->envelope, &page->text)) {
    buffer_free(&page->text);
    return push_fault(L, &scan);
  }
  buffer_free(&page->text);
  page->text = *text;
  *text = (buffer){0};
  return 1;
}

/* The page at a stack index; NULL if there is none. As luaL_testudata, but without looking the metatable up
   by its name, which is the first upvalue of every function that asks. */
static lua_page *to_page(lua_State *L, int index) {
  if (!lua_getmetatable(L, index))
    return NULL;
  bool is_page = lua_topointer(L, -1) == lua_topointer(L, lua_upvalueindex(1));
  lua_pop(L, 1);
  return is_page ? lua_touserdata(L, index) : NULL;
}

/* The page at index 1. */
static lua_page *check_page(lua_State *L) {
  lua_page *page = to_page(L, 1);
  return page != NULL ? page : luaL_checkudata(L, 1, PAGE); /* which raises */
}

/* The page at index 1. Raises for a closed one. */
static lua_page *check_open(lua_State *L) {
  lua_page *page = check_page(L);
  if (page->text.data == NULL)
    luaL_error(L, "attempt to use a closed page");
  return page;
}

/* The same, pinned: a finalizer that closes it meanwhile does not take the text away. */
static lua_page *pin(lua_State *L) {
  lua_page *page = check_open(L);
  page->pinned++;
  return page;
}

/* Ends what pin began, and does the closing that was asked for meanwhile. */
static void unpin(lua_page *page) {
  if (--page->pinned == 0 && page->closing)
    buffer_free(&page->text);
}

/* page:count() -> integer | nil | false: how many arrays and objects `items` holds, at least 1 if it is not
   empty; nil if `items` is absent or null, false if it is something else. */
static int page_count(lua_State *L) {
  lua_page *page = check_page(L);
  char first = '\0';
  if (page->text.data != NULL && page->envelope.items != 0)
    first = page->text.data[page->envelope.items];
  if (first == '[')
    lua_pushinteger(L, (lua_Integer)page->envelope.count);
  else if (first == '\0' || first == 'n')
    lua_pushnil(L);
  else
    lua_pushboolean(L, 0);
  return 1;
}

/* page:member(name) -> value | nil, message, offset: a member of the envelope, "next_page_token" or
   "total_size"; nil if it is absent or null. */
static int page_member(lua_State *L) {
  int i = luaL_checkoption(L, 2, NULL, (const char *[]){"next_page_token", "total_size", NULL});
  lua_page *page = pin(L);
  int n = 1;
  size_t at = page->envelope.members[i];
  if (at == 0 || page->text.data[at] == 'n') {
    lua_pushnil(L);
  } else {
    lua_decoding how = lua_answer_decoding(HUGE_VAL);
    lua_getiuservalue(L, 1, 1);
    how.decoder = lua_gettop(L);
    n = lua_decode_text(L, page->text.data, page->text.length, &at, &how);
  }
  unpin(page);
  return n;
}

/* Moves to the first byte of the next item. False if there is none, or on a fault. */
static bool find_item(lua_page *page, json_scan *scan) {
  bool first = page->at == 0;
  scan->at += first ? page->envelope.items : page->at;
  if (first)
    scan->at++;
  json_skip_space(scan);
  if (scan->at < scan->end && *scan->at == ']') {
    page->ended = true;
    return false;
  }
  if (!first) {
    if (scan->at == scan->end || *scan->at != ',')
      return json_expected(scan, "',' or ']'");
    scan->at++;
    json_skip_space(scan);
  }
  if (scan->at == scan->end || *scan->at != '{')
    return json_fault(scan, scan->at, "not an object");
  return true;
}

/* Decodes the next item of the page at a stack index; what page:next returns. */
static int next_item(lua_State *L, lua_page *page, int index) {
  json_scan scan;
  int n = 0;
  page->pinned++;
  json_scan_begin(&scan, page->text.data, page->text.length);
  if (!page->ended && page->text.data[page->envelope.items] == '[') {
    if (find_item(page, &scan)) {
      size_t at = (size_t)(scan.at - scan.text);
      lua_decoding how = lua_answer_decoding(page->each);
      lua_getiuservalue(L, index, 1);
      how.decoder = lua_gettop(L);
      if (page->narrow) {
        lua_getiuservalue(L, index, 2);
        how.names = how.decoder + 1;
      }
      n = lua_decode_text(L, scan.text, page->text.length, &at, &how);
      page->at = at;
    } else if (!page->ended) {
      n = push_fault(L, &scan);
    }
    if (n == 1)
      page->delivered++;
    else
      page->ended = true;
  }
  unpin(page);
  return n;
}

/* page:next() -> item | nil | nil, message, offset: the next item, an object; nil after the last one; a
   message where it is not JSON, or not an object: there the page ends. */
static int page_next(lua_State *L) {
  lua_page *page = check_open(L);
  lua_settop(L, 1);
  return next_item(L, page, 1);
}

/* page:delivered() -> integer: how many items it has given. */
static int page_delivered(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_page(L)->delivered);
  return 1;
}

/* Whether a list has to look after its other pages before it takes the next item: before the second one, so
   that who takes one pays for one request, and now and then after that. */
static inline bool is_due(const lua_page *page) {
  enum { EVERY = 16 };
  return page->delivered % EVERY == 1;
}

/* page:due() -> boolean: is_due. */
static int page_due(lua_State *L) {
  lua_pushboolean(L, is_due(check_page(L)));
  return 1;
}

/* What `otherwise` has given is what the list gives. */
static int give(lua_State *L, int status, lua_KContext context) {
  (void)L, (void)status, (void)context;
  return 1;
}

/* list() -> item | nil, for core.items_of_list: the most frequent call of a list, in one step. */
static int next_of_list(lua_State *L) {
  lua_page *page;
  int n = 0;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_rawget(L, 1);
  page = to_page(L, 2);
  if (page != NULL && page->text.data != NULL && !is_due(page)) {
    n = next_item(L, page, 2);
    if (n == 1)
      return 1;
  }
  lua_pushvalue(L, lua_upvalueindex(3));
  lua_pushvalue(L, 1);
  if (n == 3)
    lua_pushvalue(L, -4);
  lua_callk(L, n == 3 ? 2 : 1, 1, 0, give);
  return give(L, LUA_OK, 0);
}

/* core.items_of_list(otherwise) -> function(list): what gives the next item of list.quick, a page, as long as
   it has one and nothing else is to be done; else what otherwise(list[, message]) gives, the message being
   page:next's. */
static int core_items_of_list(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  luaL_getmetatable(L, PAGE);
  lua_pushliteral(L, "quick");
  lua_rotate(L, 1, 2);
  lua_pushcclosure(L, next_of_list, 3);
  return 1;
}

/* page:decode([names]) -> table | nil, message, offset: the whole envelope, items and all; or only its fields
   of these names. */
static int page_decode(lua_State *L) {
  lua_settop(L, 2);
  int names = lua_wanted_fields(L, 2);
  lua_page *page = pin(L);
  lua_decoding how = lua_answer_decoding(page->each);
  lua_getiuservalue(L, 1, 1);
  how.decoder = 3;
  how.names = names;
  int n = lua_decode_text(L, page->text.data, page->text.length, NULL, &how);
  unpin(page);
  return n;
}

/* page:text() -> string: the bytes. */
static int page_text(lua_State *L) {
  lua_page *page = pin(L);
  lua_pushlstring(L, page->text.data, page->text.length);
  unpin(page);
  return 1;
}

/* page:close(), __close: idempotent; gives the bytes back. */
static int page_close(lua_State *L) {
  lua_page *page = check_page(L);
  page->closing = true;
  if (page->pinned == 0)
    buffer_free(&page->text);
  return 0;
}

/* __gc: whatever pinned it was unwound by an error. */
static int page_gc(lua_State *L) {
  lua_page *page = check_page(L);
  lua_disown(&page->owned);
  release(page);
  return 0;
}

static const luaL_Reg page_methods[] = {
    {"count", page_count}, {"member", page_member},       {"next", page_next},
    {"due", page_due},     {"delivered", page_delivered}, {"decode", page_decode},
    {"text", page_text},   {"close", page_close},         {NULL, NULL}};

static const luaL_Reg page_metamethods[] = {{"__gc", page_gc}, {"__close", page_close}, {NULL, NULL}};

/* core.page(text[, seconds[, each[, decoder[, names]]]]) -> page | nil, message, offset: a page over a copy
   of the text, which need not be valid UTF-8. As transfer:page. */
static int core_page(lua_State *L) {
  size_t length;
  const char *bytes = luaL_checklstring(L, 1, &length);
  lua_Number seconds = luaL_optnumber(L, 2, HUGE_VAL);
  lua_Number each = luaL_optnumber(L, 3, HUGE_VAL);
  lua_settop(L, 5);
  int decoder = lua_given_decoder(L, 4);
  int names = lua_wanted_fields(L, 5);
  lua_page *holder = new_page(L, 0, 0); /* frees the copy if it is not taken */
  if (!buffer_append(&holder->text, bytes, length))
    return lua_out_of_memory(L);
  return lua_page_push(L, &holder->text, seconds, each, decoder, names);
}

void lua_page_open(lua_State *L) {
  luaL_newmetatable(L, PAGE);
  lua_pushvalue(L, -1);
  luaL_setfuncs(L, page_metamethods, 1);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable"); /* __gc is the collector's alone */
  luaL_newlibtable(L, page_methods);
  lua_pushvalue(L, -2);
  luaL_setfuncs(L, page_methods, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_pushcfunction(L, core_page);
  lua_setfield(L, -2, "page");
  lua_pushcfunction(L, core_items_of_list);
  lua_setfield(L, -2, "items_of_list");
}

/* A page of a list: the bytes of its envelope, and its items one by one.

   The envelope is looked at once, when the page is made: whether the document is whole, where `items` begins,
   and where the other members are. Pages are answers of the service, and repaired (lua_core.h). An item is
   decoded when it is asked for, so that its memory can be used again for the next one. The bytes are given
   back after the last item, on close, or by the collector. */
#include "json_skip.h"
#include "lua_core.h"

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

/* Its uservalues are the options that `next` had last, and the names of wanted fields in them. */
typedef struct lua_page {
  buffer text;
  envelope envelope;
  lua_decoding options; /* the same ones, read */
  double each;          /* how many seconds decoding an item, or the whole, may take */
  size_t at;            /* where the next item begins; 0: not begun */
  bool ended;           /* the last item was delivered, or a fault was found */
  bool closing;         /* closed while it was pinned */
  unsigned pinned;      /* how many calls read the text right now */
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

/* Pushes a page without a text. */
static lua_page *new_page(lua_State *L) {
  lua_page *page = lua_newuserdatauv(L, sizeof *page, 2);
  *page = (lua_page){0};
  luaL_setmetatable(L, PAGE);
  lua_pushnil(L);
  page->options = lua_answer_options(L, -1);
  lua_pop(L, 2);
  return page;
}

/* As lua_core.h says. The page comes first, so that nothing is held when memory for it is short. */
int lua_page_push(lua_State *L, buffer *text, double seconds, double each) {
  json_scan scan;
  lua_page *page = new_page(L);
  page->each = page->options.seconds = each;
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

/* The page at index 1. As luaL_checkudata, but without looking the metatable up by its name, which is the
   upvalue of every method. */
static lua_page *check_page(lua_State *L) {
  bool is_page = lua_getmetatable(L, 1) && lua_rawequal(L, -1, lua_upvalueindex(1));
  if (!is_page)
    luaL_typeerror(L, 1, PAGE);
  lua_pop(L, 1);
  return lua_touserdata(L, 1);
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
    lua_pushnil(L);
    n = lua_decode_text(L, page->text.data, page->text.length, &at, lua_answer_options(L, -1), 0);
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

/* Reads the options at index 2 if they are not those of the last item, and pushes the names of wanted fields.
 */
static void read_options(lua_State *L, lua_page *page) {
  lua_getiuservalue(L, 1, 1);
  bool same = lua_rawequal(L, 2, -1);
  lua_pop(L, 1);
  if (same) {
    lua_getiuservalue(L, 1, 2);
    return;
  }
  page->options = lua_answer_options(L, 2);
  page->options.seconds = page->each;
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, 2);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 1, 1);
}

/* page:next([options]) -> item | nil | nil, message, offset: the next item, an object; nil after the last
   one; a message where it is not JSON, or not an object: there the page ends. options as for core.decode; a
   table must stay as it is while it is given again and again. */
static int page_next(lua_State *L) {
  json_scan scan;
  lua_page *page;
  int n = 0;
  lua_settop(L, 2);
  page = check_open(L);
  read_options(L, page); /* before it is pinned: this may raise, and run code that closes the page */
  page = pin(L);
  json_scan_begin(&scan, page->text.data, page->text.length);
  if (!page->ended && page->text.data[page->envelope.items] == '[') {
    if (find_item(page, &scan)) {
      size_t at = (size_t)(scan.at - scan.text);
      n = lua_decode_text(L, scan.text, page->text.length, &at, page->options, 3);
      page->at = at;
    } else if (!page->ended) {
      n = push_fault(L, &scan);
    }
    page->ended = page->ended || n == 3;
  }
  unpin(page);
  return n;
}

/* page:decode([options]) -> table | nil, message, offset: the whole envelope, items and all. */
static int page_decode(lua_State *L) {
  lua_page *page;
  lua_decoding options;
  int n;
  lua_settop(L, 2);
  options = lua_answer_options(L, 2);
  page = pin(L);
  options.seconds = page->each;
  n = lua_decode_text(L, page->text.data, page->text.length, NULL, options, 3);
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
  buffer_free(&page->text);
  return 0;
}

static const luaL_Reg page_methods[] = {
    {"count", page_count}, {"member", page_member}, {"next", page_next}, {"decode", page_decode},
    {"text", page_text},   {"close", page_close},   {NULL, NULL}};

static const luaL_Reg page_metamethods[] = {{"__gc", page_gc}, {"__close", page_close}, {NULL, NULL}};

/* core.page(text) -> page | nil, message, offset: a page over a copy of the text, which need not be valid
 * UTF-8. */
static int core_page(lua_State *L) {
  size_t length;
  const char *bytes = luaL_checklstring(L, 1, &length);
  lua_Number seconds = luaL_optnumber(L, 2, HUGE_VAL);
  lua_Number each = luaL_optnumber(L, 3, HUGE_VAL);
  lua_page *holder = new_page(L); /* frees the copy if it is not taken */
  if (!buffer_append(&holder->text, bytes, length))
    return lua_out_of_memory(L);
  return lua_page_push(L, &holder->text, seconds, each);
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
  lua_getfield(L, -1, "next"); /* for a loop that cannot afford looking the method up */
  lua_setfield(L, -4, "next_of_page");
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_pushcfunction(L, core_page);
  lua_setfield(L, -2, "page");
}

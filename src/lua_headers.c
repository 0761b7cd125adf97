/* Headers: a Lua array to those of a request; the lines of a response's head to a Lua table. */
#include "lua_core.h"

#include <stdbool.h>
#include <string.h>

/* ---- of a request ---- */

#define HEADERS "llama_cloud.headers"

typedef struct lua_headers {
  lua_owned owned;
  header_set *set; /* NULL: not made yet, or released */
} lua_headers;

static void release(void *userdata) {
  lua_headers *h = userdata;
  header_set_release(h->set);
  h->set = NULL;
}

/* A header's name or value at that index. Raises unless it is one line, and a name without a colon. */
static const char *check_line(lua_State *L, int index, bool is_name) {
  size_t length;
  const char *text = lua_tolstring(L, index, &length);
  if (text == NULL)
    luaL_error(L, "a header's name or value is not a string");
  else if (strlen(text) != length || strpbrk(text, "\r\n") != NULL)
    luaL_error(L, "a header contains CR, LF or NUL");
  else if (is_name && (length == 0 || strchr(text, ':') != NULL))
    luaL_error(L, "a header's name is empty or contains a colon");
  return text;
}

/* Pushes a set of the headers in the array at stack index `list`, or an empty one if that is nil. The
   userdata owns the set before anything is added, so nothing leaks when what follows raises. */
static header_set *push_set(lua_State *L, int list) {
  lua_headers *h = lua_newuserdatauv(L, sizeof *h, 0);
  *h = (lua_headers){0};
  luaL_setmetatable(L, HEADERS);
  lua_own(L, &h->owned, h, release);
  h->set = header_set_new();
  if (h->set == NULL)
    lua_out_of_memory(L);
  lua_Integer n = lua_isnil(L, list) ? 0 : luaL_len(L, list);
  for (lua_Integer i = 1; i < n; i += 2) {
    const char *name, *value = NULL;
    lua_geti(L, list, i);
    lua_geti(L, list, i + 1);
    name = check_line(L, -2, true);
    if (lua_toboolean(L, -1))
      value = check_line(L, -1, false);
    if (!header_set_add(h->set, name, value))
      lua_out_of_memory(L);
    lua_pop(L, 2);
  }
  if (!header_set_complete(h->set))
    lua_out_of_memory(L);
  return h->set;
}

/* As lua_core.h says. */
header_set *lua_to_header_set(lua_State *L, int index) {
  lua_headers *h = luaL_testudata(L, index, HEADERS);
  if (h != NULL && h->set == NULL)
    luaL_error(
        L, "attempt to use headers that were collected"); /* in a later finalizer of a closing Lua state */
  if (h != NULL)
    return h->set;
  index = lua_absindex(L, index);
  if (!lua_isnil(L, index))
    luaL_checktype(L, index, LUA_TTABLE);
  header_set *set = push_set(L, index);
  lua_replace(L, index);
  return set;
}

/* core.headers(list) -> headers: what transport:start takes, ready for libcurl, and to be used for any number
   of requests. list: { name, value|false, name, value|false, ... }; false leaves out a header that libcurl
   would send by itself. Raises for a name or value that would break out of its line, and when there is no
   memory. */
static int core_headers(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  push_set(L, 1);
  return 1;
}

static int headers_gc(lua_State *L) {
  lua_headers *h = luaL_checkudata(L, 1, HEADERS);
  lua_disown(&h->owned);
  release(h);
  return 0;
}

/* As lua_core.h says. */
void lua_headers_open(lua_State *L) {
  luaL_newmetatable(L, HEADERS);
  lua_pushcfunction(L, headers_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable"); /* __gc is the collector's alone */
  lua_pop(L, 1);
  lua_pushcfunction(L, core_headers);
  lua_setfield(L, -2, "headers");
}

/* ---- of a response ---- */

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* Pushes a header's name in lower case. */
static void push_name(lua_State *L, const char *start, const char *end) {
  luaL_Buffer name;
  while (end > start && is_blank(end[-1]))
    end--;
  luaL_buffinit(L, &name);
  for (; start < end; start++)
    luaL_addchar(&name, (char)(*start >= 'A' && *start <= 'Z' ? *start + ('a' - 'A') : *start));
  luaL_pushresult(&name);
}

/* Pushes a header's value without the white space around it; a line break inside, with what indents the
   next line, becomes one space (RFC 9112 section 5.2). */
static void push_value(lua_State *L, const char *start, const char *end) {
  luaL_Buffer value;
  while (start < end && is_blank(*start))
    start++;
  while (end > start && is_blank(end[-1]))
    end--;
  luaL_buffinit(L, &value);
  while (start < end) {
    const char *stop = start;
    while (stop < end && *stop != '\r' && *stop != '\n')
      stop++;
    luaL_addlstring(&value, start, (size_t)(stop - start));
    if (stop < end)
      luaL_addchar(&value, ' ');
    while (stop < end && is_blank(*stop))
      stop++;
    start = stop;
  }
  luaL_pushresult(&value);
}

/* The end of the header that begins at p: of its line and of those that continue it, which begin with white
   space. */
static const char *header_end(const char *p, const char *end) {
  while (p < end) {
    const char *newline = memchr(p, '\n', (size_t)(end - p));
    p = newline != NULL ? newline + 1 : end;
    if (p == end || (*p != ' ' && *p != '\t'))
      break;
  }
  return p;
}

/* Sets the header whose name and value are on top of the stack, and pops both. A name that comes again has an
   array of its values instead; true if it does. */
static bool add_header(lua_State *L, int table) {
  lua_pushvalue(L, -2);
  int seen = lua_rawget(L, table);
  if (seen == LUA_TNIL) {
    lua_pop(L, 1);
    lua_rawset(L, table);
    return false;
  }
  if (seen == LUA_TSTRING) {
    lua_createtable(L, 2, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, -3);
    lua_pushvalue(L, -2);
    lua_rawset(L, table);
  }
  lua_insert(L, -2);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 2);
  return true;
}

/* Makes one string of each array of values: all at once, because a hostile head has tens of thousands of
 * them. */
static void join_values(lua_State *L, int table) {
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (!lua_istable(L, -1))
      continue;
    int values = lua_gettop(L);
    lua_Integer n = (lua_Integer)lua_rawlen(L, values);
    luaL_Buffer joined;
    lua_pushvalue(L, -2);
    luaL_buffinit(L, &joined);
    for (lua_Integer i = 1; i <= n; i++) {
      if (i > 1)
        luaL_addstring(&joined, ", ");
      lua_rawgeti(L, values, i);
      luaL_addvalue(&joined);
    }
    luaL_pushresult(&joined);
    lua_rawset(L, table);
  }
}

/* As lua_core.h says. */
void lua_push_headers(lua_State *L, const char *lines, size_t length) {
  const char *p = lines;
  const char *end = p + length;
  bool repeated = false;
  int table;
  luaL_checkstack(L, LUA_MINSTACK, "reading headers");
  lua_newtable(L);
  table = lua_gettop(L);
  p = header_end(p, end); /* the status line */
  while (p < end) {
    const char *next = header_end(p, end);
    const char *colon = memchr(p, ':', (size_t)(next - p));
    if (colon != NULL && colon > p) {
      push_name(L, p, colon);
      push_value(L, colon + 1, next);
      if (add_header(L, table))
        repeated = true;
    }
    p = next;
  }
  if (repeated)
    join_values(L, table);
}

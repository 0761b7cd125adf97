/* The lines of a response's head to a Lua table. */
#include "lua_core.h"

#include <stdbool.h>
#include <string.h>

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

/* Makes one string of each array of values: all at once, for a hostile head has tens of thousands of them. */
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

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

/* As lua_core.h says. */
void lua_push_headers(lua_State *L, const char *lines, size_t length) {
  const char *p = lines;
  const char *end = p + length;
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
      lua_pushvalue(L, -1);
      if (lua_rawget(L, table) == LUA_TSTRING) {
        lua_pushliteral(L, ", ");
        push_value(L, colon + 1, next);
        lua_concat(L, 3);
      } else {
        lua_pop(L, 1);
        push_value(L, colon + 1, next);
      }
      lua_rawset(L, table);
    }
    p = next;
  }
}

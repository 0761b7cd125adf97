/* Lua's view of URLs: text in, a table of parts out; the escaping of parts, and what none may hold. */
#include "lua_core.h"
#include "url.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define URL "llama_cloud.url"

static int url_gc(lua_State *L) {
  url_free(luaL_checkudata(L, 1, URL));
  return 0;
}

/* Sets field `name` of the table on top of the stack to part, if there is one. */
static void set_part(lua_State *L, const char *name, const char *part) {
  if (part == NULL)
    return;
  lua_pushstring(L, part);
  lua_setfield(L, -2, name);
}

/* core.url(text[, base]) -> table | nil, message: parses text, resolved against base if given (RFC 3986
   section 5). Fields, absent where the URL has none: text (the whole, normalised), scheme, user, password,
   host, port, path, query, fragment; all strings. Raises when memory runs out. */
static int core_url(lua_State *L) {
  size_t length, base_length = 0;
  const char *text = luaL_checklstring(L, 1, &length);
  const char *base = luaL_optlstring(L, 2, NULL, &base_length);
  const char *problem;
  url *u = lua_newuserdatauv(L, sizeof *u, 0);
  *u = (url){0};
  luaL_setmetatable(L, URL);
  if (strlen(text) != length || (base != NULL && strlen(base) != base_length))
    problem = "it contains a NUL";
  else
    problem = url_parse(u, text, base);
  if (problem == url_no_memory)
    return lua_out_of_memory(L);
  if (problem != NULL) {
    lua_pushnil(L);
    lua_pushstring(L, problem);
    return 2;
  }
  lua_createtable(L, 0, 9);
  set_part(L, "text", u->text);
  set_part(L, "scheme", u->scheme);
  set_part(L, "user", u->user);
  set_part(L, "password", u->password);
  set_part(L, "host", u->host);
  set_part(L, "port", u->port);
  set_part(L, "path", u->path);
  set_part(L, "query", u->query);
  set_part(L, "fragment", u->fragment);
  url_free(u);
  return 1;
}

/* Whether a byte stands for itself: the unreserved characters of RFC 3986 section 2.3, and those in `also`.
 */
static bool is_kept(char c, const char *also) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
    return true;
  return c == '-' || c == '.' || c == '_' || c == '~' || (c != '\0' && strchr(also, c) != NULL);
}

/* core.escape(text[, also]) -> text: every byte as %XX but the unreserved characters and those in `also`.
   Raises when memory runs out. */
static int core_escape(lua_State *L) {
  size_t length, kept = 0;
  const char *text = luaL_checklstring(L, 1, &length);
  const char *also = luaL_optstring(L, 2, "");
  luaL_Buffer escaped;
  while (kept < length && is_kept(text[kept], also))
    kept++;
  if (kept == length) {
    lua_settop(L, 1);
    return 1;
  }
  luaL_buffinit(L, &escaped);
  for (size_t i = 0; i < length; i++) {
    if (is_kept(text[i], also)) {
      luaL_addchar(&escaped, text[i]);
    } else {
      luaL_addchar(&escaped, '%');
      luaL_addchar(&escaped, "0123456789ABCDEF"[(unsigned char)text[i] >> 4]);
      luaL_addchar(&escaped, "0123456789ABCDEF"[(unsigned char)text[i] & 15]);
    }
  }
  luaL_pushresult(&escaped);
  return 1;
}

/* core.breaks_line(text) -> boolean: whether it has a line break, or a NUL, at which C strings end. */
static int core_breaks_line(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  lua_pushboolean(L, strlen(text) != length || strpbrk(text, "\r\n") != NULL);
  return 1;
}

/* As lua_core.h says. */
void lua_url_open(lua_State *L) {
  luaL_newmetatable(L, URL);
  lua_pushcfunction(L, url_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  lua_pushcfunction(L, core_url);
  lua_setfield(L, -2, "url");
  lua_pushcfunction(L, core_escape);
  lua_setfield(L, -2, "escape");
  lua_pushcfunction(L, core_breaks_line);
  lua_setfield(L, -2, "breaks_line");
}

/* Lua's view of finding secrets. */
#include "lua_core.h"
#include "redact.h"

#include <string.h>

/* The secrets in the array at index 2, as an array of structures that Lua owns and that is pushed. Raises for
   what is no secret, and when memory runs out. The strings stay where they are as long as the table has them.
 */
static const redact_secret *to_secrets(lua_State *L, size_t *count) {
  redact_secret *secrets;
  luaL_checktype(L, 2, LUA_TTABLE);
  *count = (size_t)lua_rawlen(L, 2);
  secrets = lua_newuserdatauv(L, *count * sizeof *secrets + 1, 0);
  for (size_t i = 0; i < *count; i++) {
    if (lua_rawgeti(L, 2, (lua_Integer)i + 1) != LUA_TSTRING)
      luaL_argerror(L, 2, "an array of strings expected");
    secrets[i].text = lua_tolstring(L, -1, &secrets[i].length);
    luaL_argcheck(L, secrets[i].length >= REDACT_LEAST, 2, "too short for a secret");
    lua_pop(L, 1);
  }
  return secrets;
}

/* Writes bytes and returns where the next ones go. */
static char *append(char *out, const char *bytes, size_t length) {
  memcpy(out, bytes, length);
  return out + length;
}

/* core.redact(text, secrets) -> text: the text with `***` in place of each of the secrets (an array of
   strings of at least 3 bytes), also where characters of them are escaped as in JSON, URLs or HTML; the same
   text if there is none. In one pass. Raises for a wrong argument, and when memory runs out. */
static int core_redact(lua_State *L) {
  size_t length, count;
  const char *text = luaL_checklstring(L, 1, &length), *end = text + length, *after, *found;
  char *begin, *out;
  const redact_secret *secrets = to_secrets(L, &count);
  redact_search search;
  luaL_Buffer b;
  redact_begin(&search, secrets, count, end);
  found = redact_next(&search, text, &after);
  if (found == NULL) {
    lua_pushvalue(L, 1);
    return 1;
  }
  begin = out = luaL_buffinitsize(L, &b, length); /* a text never grows */
  do {
    out = append(out, text, (size_t)(found - text));
    out = append(out, REDACT_MARK, sizeof REDACT_MARK - 1);
    text = after;
    found = redact_next(&search, text, &after);
  } while (found != NULL);
  out = append(out, text, (size_t)(end - text));
  luaL_pushresultsize(&b, (size_t)(out - begin));
  return 1;
}

/* As lua_core.h says. */
void lua_redact_open(lua_State *L) {
  lua_pushcfunction(L, core_redact);
  lua_setfield(L, -2, "redact");
}

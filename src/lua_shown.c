/* Tables that show other fields than they hold: proxies, read-only wrappers, lazily filled ones. Taken raw
   such a table is empty, and a request would go out without what the caller put into it. */

#include "lua_core.h"

#include <stdbool.h>
#include <string.h>

static const char *const hidden =
    "cannot take the fields of an empty table whose metatable has __index: copy them into a plain table";
static const char *const twice = "cannot take a table whose __pairs gives the same key twice";
static const char *const not_a_number = "cannot take a table whose __pairs gives NaN as a key";
static const char *const endless = "cannot take more than 1000000 fields that __pairs gives";

/* Replaces a table and its __pairs, which are on top of the stack, by a plain table of what that gives, as
   `pairs` would. NULL, or why not; the stack is then the caller's to put right. */
static const char *take_pairs(lua_State *L, lua_Integer *left) {
  int shown = lua_gettop(L) - 1;
  lua_pushvalue(L, shown);
  lua_call(L, 1, 3); /* now the iterator, its state and its last key */
  lua_newtable(L);
  lua_replace(L, shown);
  for (;;) {
    lua_pushvalue(L, shown + 1);
    lua_pushvalue(L, shown + 2);
    lua_pushvalue(L, shown + 3);
    lua_call(L, 2, 2);
    if (lua_isnil(L, -2))
      break;
    if (--*left < 0)
      return endless;
    if (lua_type(L, -2) == LUA_TNUMBER && !lua_rawequal(L, -2, -2))
      return not_a_number;
    lua_pushvalue(L, -2);
    lua_replace(L, shown + 3);
    lua_pushvalue(L, -2);
    if (lua_rawget(L, shown) != LUA_TNIL)
      return twice;
    lua_pop(L, 1);
    lua_rawset(L, shown);
  }
  lua_settop(L, shown);
  return NULL;
}

/* Whether the table on top of the stack holds a field. Methods are none, and neither are the names of events.
 */
static bool holds_field(lua_State *L) {
  int table = lua_gettop(L);
  bool found = false;
  for (lua_pushnil(L); !found && lua_next(L, table); lua_pop(L, 1)) {
    bool event = lua_type(L, -2) == LUA_TSTRING && strncmp(lua_tostring(L, -2), "__", 2) == 0;
    found = !event && !lua_isfunction(L, -1);
  }
  lua_settop(L, table);
  return found;
}

/* Whether something may be found behind the __index on top of the stack, which is popped: in a table with
   fields, or behind that one's __index, and so on; behind a function always. So the class of an object with
   methods alone hides nothing. */
static bool hides_fields(lua_State *L) {
  enum { MOST_CLASSES = 100 }; /* derived from one another; chains may be circular */
  int index = lua_gettop(L);
  bool hides = true;
  for (int n = 0; n < MOST_CLASSES && lua_istable(L, index) && !holds_field(L); n++) {
    if (luaL_getmetafield(L, index, "__pairs") != LUA_TNIL)
      break;
    if (luaL_getmetafield(L, index, "__index") == LUA_TNIL) {
      hides = false;
      break;
    }
    lua_replace(L, index);
  }
  lua_settop(L, index - 1);
  return hides;
}

/* As lua_core.h says. */
const char *lua_show_table(lua_State *L, lua_Integer *left) {
  int table = lua_gettop(L);
  if (!lua_getmetatable(L, table))
    return NULL;
  bool is_array = luaL_getmetatable(L, LUA_CORE_ARRAY) == LUA_TTABLE && lua_rawequal(L, -1, -2);
  lua_settop(L, table);
  if (is_array)
    return NULL;
  if (luaL_getmetafield(L, table, "__pairs") != LUA_TNIL)
    return take_pairs(L, left);
  lua_pushnil(L);
  bool empty = lua_next(L, table) == 0;
  lua_settop(L, table);
  bool has_index = empty && luaL_getmetafield(L, table, "__index") != LUA_TNIL;
  return has_index && hides_fields(L) ? hidden : NULL;
}

/* core.shown(t) -> table | nil, message: the table itself, if what it holds is what `pairs` gives of it; a
   plain table of that, if it has __pairs; and a message for an empty one with __index, behind which are
   fields that nobody can enumerate. Raises what __pairs raises. */
static int core_shown(lua_State *L) {
  lua_Integer left = LUA_MOST_SHOWN;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  const char *problem = lua_show_table(L, &left);
  if (problem == NULL)
    return 1;
  lua_pushnil(L);
  lua_pushstring(L, problem);
  lua_pushboolean(L, problem == hidden);
  return 3;
}

/* As lua_core.h says. */
void lua_shown_open(lua_State *L) {
  lua_pushcfunction(L, core_shown);
  lua_setfield(L, -2, "shown");
}

/* The module llama_cloud.core: puts together what the lua_*.c files offer. Exports luaopen_llama_cloud_core
 * only. */

#include "lua_core.h"

__attribute__((visibility("default"))) int luaopen_llama_cloud_core(lua_State *L);

/* As lua_core.h says. */
int lua_out_of_memory(lua_State *L) {
  lua_pushliteral(L, "not enough memory");
  return lua_error(L);
}

void lua_make_class(lua_State *L, const char *name, const luaL_Reg *metamethods,
                    const luaL_Reg *const *methods) {
  luaL_newmetatable(L, name);
  if (metamethods != NULL)
    luaL_setfuncs(L, metamethods, 0);
  lua_newtable(L);
  for (; *methods != NULL; methods++)
    luaL_setfuncs(L, *methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

/* ---- what is released when the Lua state is closed ---- */

typedef struct owner {
  chain owned;
  bool closed;
} owner;

static const char owner_key = 0; /* its address is the owner's key in the registry */

static int owner_gc(lua_State *L) {
  owner *o = lua_touserdata(L, 1);
  lua_owned *part;
  o->closed = true;
  while (o->owned.first != NULL) {
    void *userdata = chain_first(&o->owned);
    part = (lua_owned *)(void *)o->owned.first; /* `link` is its first field */
    chain_remove(&part->link);
    part->release(userdata);
  }
  return 0;
}

/* Makes the owner of this Lua state, unless it has one. What is finalized after it was made before it. */
static void open_owner(lua_State *L) {
  owner *o;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &owner_key) != LUA_TUSERDATA) {
    o = lua_newuserdatauv(L, sizeof *o, 0);
    *o = (owner){0};
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, owner_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &owner_key);
  }
  lua_pop(L, 1);
}

void lua_own(lua_State *L, lua_owned *part, void *userdata, void (*release)(void *userdata)) {
  owner *o;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &owner_key);
  o = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (o->closed)
    luaL_error(L, "the Lua state is being closed");
  *part = (lua_owned){.link = {.of = userdata}, .release = release};
  chain_append(&o->owned, &part->link);
}

void lua_disown(lua_owned *part) { chain_remove(&part->link); }

/* Marks a table as an array, so that it is encoded as `[]` and not as `{}` when it is empty.

   ---@generic T: table
   ---@param t T
   ---@return T t the same table, with core.array as its metatable

   Raises if `t` is no table, has a protected metatable, or shows other fields than it holds, which it would
   lose with its metatable. The first argument here is core.array itself, as it always is for __call. */
static int array_call(lua_State *L) {
  luaL_checktype(L, 2, LUA_TTABLE);
  if (luaL_getmetafield(L, 2, "__metatable") != LUA_TNIL)
    return luaL_error(L, "cannot change a protected metatable");
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  lua_Integer left = LUA_MOST_SHOWN;
  if (lua_show_table(L, &left) != NULL || !lua_rawequal(L, 2, 3))
    return luaL_error(
        L, "cannot mark a table that shows other fields than it holds: copy them into a plain table");
  lua_settop(L, 2);
  luaL_setmetatable(L, LUA_CORE_ARRAY);
  return 1;
}

/* Adds core.array, a metatable that can be called, to the module table on top of the stack. */
static void open_array(lua_State *L) {
  luaL_newmetatable(L, LUA_CORE_ARRAY);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, array_call);
  lua_setfield(L, -2, "__call");
  lua_setmetatable(L, -2);
  lua_setfield(L, -2, "array");
}

/* What `require "llama_cloud.core"` calls: returns a new module table. Raises when memory runs out, and in
 * another Lua than the one whose headers this was compiled with: their functions have the same names and not
 * the same structures. */
int luaopen_llama_cloud_core(lua_State *L) {
  int version = (int)lua_version(L);
  if (version != LUA_VERSION_NUM)
    return luaL_error(
        L, "llama_cloud.core was built for Lua %d.%d, and this is Lua %d.%d: build it for this one",
        LUA_VERSION_NUM / 100, LUA_VERSION_NUM % 100, version / 100, version % 100);
  luaL_checkversion(L);
  open_owner(L);
  lua_newtable(L);
  lua_pushlightuserdata(L, NULL); /* the same value as cjson.null */
  lua_setfield(L, -2, "null");
  open_array(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX,
                   "llama_cloud.loaders"); /* the same for all who load this: base/later.lua */
  lua_setfield(L, -2, "loaders");
  lua_append_open(L);
  lua_shown_open(L);
  lua_decoder_open(L);
  lua_encode_open(L);
  lua_form_open(L);
  lua_headers_open(L);
  lua_loop_open(L);
  lua_machine_open(L);
  lua_output_open(L);
  lua_page_open(L);
  lua_redact_open(L);
  lua_request_open(L);
  lua_transport_open(L);
  lua_url_open(L);
  return 1;
}

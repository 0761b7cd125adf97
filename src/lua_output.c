/* Outputs in Lua: files that a response's body is written into, and that take their place when they are
 * whole.
 */
#include "lua_files.h"

#include <string.h>

#define OUTPUT "llama_cloud.output"

typedef struct lua_output {
  lua_owned owned;
  output *output; /* NULL: not made yet, or collected */
} lua_output;

/* As lua_files.h says. */
int lua_push_fault(lua_State *L, const fault *wrong) {
  if (wrong->kind == OUTCOME_NO_MEMORY)
    return lua_out_of_memory(L);
  lua_pushnil(L);
  lua_pushstring(L, wrong->reason);
  return 2;
}

static void release(void *userdata) {
  lua_output *h = userdata;
  if (h->output != NULL)
    output_discard(h->output);
  output_release(h->output);
  h->output = NULL;
}

/* core.output(path) -> output | nil, message: a file beside `path`, or beside what that points at as a
   symbolic link, that nobody else can read, empty. Message: the directory is missing or cannot be written to,
   or `path` is a directory or anything else that is no regular file. Raises when memory runs out. */
static int core_output(lua_State *L) {
  size_t length;
  const char *path = luaL_checklstring(L, 1, &length);
  fault wrong = {0};
  lua_output *h;
  luaL_argcheck(L, strlen(path) == length, 1, "contains a NUL");
  h = lua_newuserdatauv(L, sizeof *h, 0);
  *h = (lua_output){0};
  luaL_setmetatable(L, OUTPUT);
  lua_own(L, &h->owned, h, release);
  h->output = output_new(path, &wrong);
  return h->output != NULL ? 1 : lua_push_fault(L, &wrong);
}

/* The output at stack index 1. Raises for one that is closed. */
static output *check_output(lua_State *L) {
  lua_output *h = luaL_checkudata(L, 1, OUTPUT);
  if (h->output == NULL || !output_is_open(h->output))
    luaL_error(L, "attempt to use a closed output");
  return h->output;
}

/* As lua_files.h says. */
output *lua_opt_output(lua_State *L, int index) {
  const lua_output *h = luaL_testudata(L, index, OUTPUT);
  if (h == NULL && !lua_isnil(L, index))
    luaL_error(L, "the output of a request must be one that core.output has made");
  else if (h != NULL && (h->output == NULL || !output_is_open(h->output)))
    luaL_error(L, "attempt to use a closed output");
  return h != NULL ? h->output : NULL;
}

/* output:received() -> integer: how many bytes it has, or had when it was closed. */
static int output_l_received(lua_State *L) {
  const lua_output *h = luaL_checkudata(L, 1, OUTPUT);
  lua_pushinteger(L, h->output != NULL ? (lua_Integer)output_received(h->output) : 0);
  return 1;
}

/* Pushes true, or nil and what the fault says. */
static int push_success(lua_State *L, bool well, const fault *wrong) {
  if (!well)
    return lua_push_fault(L, wrong);
  lua_pushboolean(L, 1);
  return 1;
}

/* output:reset() -> true | nil, message: empties it; not while a response is being written into it. */
static int output_l_reset(lua_State *L) {
  fault wrong = {0};
  return push_success(L, output_reset(check_output(L), NULL, &wrong), &wrong);
}

/* output:commit() -> true | nil, message: waits until the disk has it, and puts it in place of `path`, or
   of what that points at as a symbolic link. It has the mode of the file that it replaces, or that of any new
   file. If that fails, or a response is still being written into it, `path` is as before. */
static int output_l_commit(lua_State *L) {
  fault wrong = {0};
  return push_success(L, output_commit(check_output(L), &wrong), &wrong);
}

/* output:close(), __close: removes it unless it is committed; idempotent. Whatever writes it then fails. A
   forked process removes nothing of its parent's. */
static int output_close(lua_State *L) {
  const lua_output *h = luaL_checkudata(L, 1, OUTPUT);
  if (h->output != NULL)
    output_discard(h->output);
  return 0;
}

/* __gc: the same. */
static int output_gc(lua_State *L) {
  lua_output *h = luaL_checkudata(L, 1, OUTPUT);
  lua_disown(&h->owned);
  release(h);
  return 0;
}

static int output_tostring(lua_State *L) {
  const lua_output *h = luaL_checkudata(L, 1, OUTPUT);
  lua_pushfstring(L, h->output != NULL && output_is_open(h->output) ? "%s (%p)" : "%s (closed)", OUTPUT,
                  (const void *)h->output);
  return 1;
}

void lua_output_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"received", output_l_received},
                                     {"reset", output_l_reset},
                                     {"commit", output_l_commit},
                                     {"close", output_close},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__gc", output_gc}, {"__close", output_close}, {"__tostring", output_tostring}, {NULL, NULL}};
  static const luaL_Reg *const sets[] = {methods, NULL};
  lua_make_class(L, OUTPUT, metamethods, sets);
  lua_pushcfunction(L, core_output);
  lua_setfield(L, -2, "output");
}

/* Locked files that grow by whole pieces of text, in Lua. */
#include "append.h"
#include "lua_core.h"

#include <string.h>

#define LOG "llama_cloud.log"

/* What one read gives at most. */
#define MOST_READ ((lua_Integer)1 << 24)

typedef struct lua_log {
  lua_owned owned;
  append *file; /* NULL: not opened yet, or closed */
} lua_log;

static void release(void *userdata) {
  lua_log *h = userdata;
  append_free(h->file);
  h->file = NULL;
}

/* Pushes nil, a message, and a word for the reason or nil; raises what lack of memory is. */
static int push_fault(lua_State *L, const append_fault *wrong) {
  if (wrong->what.kind == OUTCOME_NO_MEMORY)
    return lua_out_of_memory(L);
  lua_pushnil(L);
  lua_pushstring(L, wrong->what.reason);
  lua_pushstring(L, wrong->why); /* nil for NULL */
  return 3;
}

/* Pushes true, or what the fault says. */
static int push_success(lua_State *L, bool well, const append_fault *wrong) {
  if (!well)
    return push_fault(L, wrong);
  lua_pushboolean(L, 1);
  return 1;
}

/* core.append(path) -> log | nil, message, why: opens a file, or makes one that others cannot read, and locks
   it until it is closed. Why, where somebody may want to act on it: "locked" (by another open, in this
   process or another), "denied", "missing" (its directory), "directory" (it is one), "full" (the disk, a
   quota, or the limit of the process); nothing was changed then. Raises when memory runs out. */
static int core_append(lua_State *L) {
  size_t length;
  const char *path = luaL_checklstring(L, 1, &length);
  append_fault wrong = {0};
  lua_log *h;
  luaL_argcheck(L, strlen(path) == length, 1, "contains a NUL");
  h = lua_newuserdatauv(L, sizeof *h, 0);
  *h = (lua_log){0};
  luaL_setmetatable(L, LOG);
  lua_own(L, &h->owned, h, release);
  h->file = append_new(path, &wrong);
  return h->file != NULL ? 1 : push_fault(L, &wrong);
}

/* The log at stack index 1. Raises for one that is closed. To be called behind the last allocation before its
   file is used, because a finalizer may close it. */
static append *check_log(lua_State *L) {
  const lua_log *h = luaL_checkudata(L, 1, LOG);
  if (h->file == NULL)
    luaL_error(L, "attempt to use a closed log");
  return h->file;
}

/* log:write(text) -> true | nil, message, why: adds it at the end, all of it or nothing. The system has it
   then; the disk after log:sync. */
static int log_write(lua_State *L) {
  size_t length;
  append_fault wrong = {0};
  luaL_checkudata(L, 1, LOG);
  const char *text = luaL_checklstring(L, 2, &length);
  return push_success(L, append_write(check_log(L), text, length, &wrong), &wrong);
}

/* log:sync() -> true | nil, message, why: waits until the disk has all of it. Where the disk does not take it
   nothing is written any more. Fails also where the file was removed, or changed by somebody else. */
static int log_sync(lua_State *L) {
  append_fault wrong = {0};
  return push_success(L, append_sync(check_log(L), &wrong), &wrong);
}

/* log:size() -> integer: bytes. */
static int log_size(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)append_size(check_log(L)));
  return 1;
}

/* log:truncate(size) -> true | nil, message, why: takes away all but its beginning. Raises for more bytes
   than it has. */
static int log_truncate(lua_State *L) {
  append_fault wrong = {0};
  lua_Integer size = luaL_checkinteger(L, 2);
  append *file = check_log(L);
  luaL_argcheck(L, size >= 0 && (uint64_t)size <= append_size(file), 2, "must be from 0 to its size");
  return push_success(L, append_truncate(file, (uint64_t)size, &wrong), &wrong);
}

/* log:read(offset, n) -> string | nil, message, why: up to n bytes, from 0 to 16 MiB, from the offset on;
   fewer at the end only. Raises when memory runs out. */
static int log_read(lua_State *L) {
  append_fault wrong = {0};
  luaL_Buffer result;
  lua_Integer offset = luaL_checkinteger(L, 2), n = luaL_checkinteger(L, 3);
  ssize_t got;
  luaL_argcheck(L, offset >= 0, 2, "must not be negative");
  luaL_argcheck(L, n >= 0 && n <= MOST_READ, 3, "must be from 0 to 16777216");
  luaL_checkudata(L, 1, LOG);
  char *bytes = luaL_buffinitsize(L, &result, (size_t)n);
  got = append_read(check_log(L), (uint64_t)offset, bytes, (size_t)n, &wrong);
  if (got < 0)
    return push_fault(L, &wrong);
  luaL_pushresultsize(&result, (size_t)got);
  return 1;
}

/* log:close(), __close: unlocks and closes it, and removes it if core.append has made it and nothing is in
   it; idempotent. A forked process closes its own end only. */
static int log_close(lua_State *L) {
  release(luaL_checkudata(L, 1, LOG));
  return 0;
}

/* __gc: the same. */
static int log_gc(lua_State *L) {
  lua_log *h = luaL_checkudata(L, 1, LOG);
  lua_disown(&h->owned);
  release(h);
  return 0;
}

static int log_tostring(lua_State *L) {
  const lua_log *h = luaL_checkudata(L, 1, LOG);
  lua_pushfstring(L, h->file != NULL ? "%s (%p)" : "%s (closed)", LOG, (const void *)h->file);
  return 1;
}

void lua_append_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"write", log_write}, {"sync", log_sync},   {"size", log_size}, {"truncate", log_truncate},
      {"read", log_read},   {"close", log_close}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__gc", log_gc}, {"__close", log_close}, {"__tostring", log_tostring}, {NULL, NULL}};
  static const luaL_Reg *const sets[] = {methods, NULL};
  lua_make_class(L, LOG, metamethods, sets);
  lua_pushcfunction(L, core_append);
  lua_setfield(L, -2, "append");
}

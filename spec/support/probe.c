/* A Lua module for specs that look at every point of a call: an error at its n-th VM instruction, a
   collection at its n-th allocation, how many instructions it took. Its hooks are C functions, and so belong
   to every coroutine that is made while one is set, which those of debug.sethook do not. One state of a
   process can use it. */

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>
#include <signal.h>

__attribute__((visibility("default"))) int luaopen_probe(lua_State *L);

/* What the hook does: nothing, count only, or also raise at an instruction. */
static enum { OFF, COUNTING, STRIKING } mode;
static long long instructions; /* since the hook was set */
static long long
    limit; /* COUNTING: raises from here on; STRIKING: raises once, at this one, if it is not 0 */
static bool struck;
static char place[LUA_IDSIZE + 32]; /* where it did */
static const char thread_key;       /* of the registry: in which coroutine */

/* After a strike so many instructions more are a loop without an end. */
enum { MOST_AFTERWARDS = 20000000 };

/* Where the guard says what it has ended; made beforehand, since a signal handler cannot. */
static char guarded[256];

/* The allocator that this module stands before, and how many requests for memory come before the collection.
 */
static lua_Alloc allocate;
static void *allocate_data;
static lua_State *collecting; /* NULL: no collection is to come */
static long requests, collect_at;

/* Ends the process with a line on stderr, such as "struck at 12 (x.lua:3): hangs": from a signal handler,
 * too. */
static void give_up(const char *what) {
  const char *parts[] = {guarded, struck ? " (" : "", place, struck ? "): " : ": ", what, "\n"};
  ssize_t written = 0;
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
    written += write(STDERR_FILENO, parts[i], strlen(parts[i]));
  _exit(written > 0 ? 70 : 71);
}

static void on_alarm(int number) {
  (void)number;
  give_up("hangs");
}

/* The count hook. Raises a string without a position: "struck". */
static void on_instruction(lua_State *L, lua_Debug *ar) {
  if (mode == OFF)
    return;
  instructions++;
  if (mode == COUNTING) {
    if (limit > 0 && instructions > limit)
      give_up("too many instructions");
    return;
  }
  if (struck) {
    if (instructions > limit + MOST_AFTERWARDS)
      give_up("loops");
    return;
  }
  if (limit <= 0 || instructions < limit)
    return;
  struck = true;
  lua_getinfo(L, "Sl", ar);
  const char *file = strrchr(ar->short_src, '/');
  snprintf(place, sizeof place, "%s:%d", file ? file + 1 : ar->short_src, ar->currentline);
  lua_pushthread(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &thread_key);
  lua_pushliteral(L, "struck");
  lua_error(L);
}

/* Sets the hook for the calling coroutine, and what that makes. */
static void set_hook(lua_State *L) {
  instructions = 0;
  struck = false;
  place[0] = '\0';
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &thread_key);
  lua_sethook(L, on_instruction, LUA_MASKCOUNT, 1);
}

/* probe.strike(n): raises "struck", once, at the n-th VM instruction from here on in this coroutine and those
   that are made meanwhile. */
static int probe_strike(lua_State *L) {
  limit = luaL_checkinteger(L, 1);
  set_hook(L);
  mode = STRIKING;
  return 0;
}

/* probe.count(limit): counts VM instructions from here on, in this coroutine and those that are made
   meanwhile; ends the process beyond the limit, if there is one. */
static int probe_count(lua_State *L) {
  limit = luaL_optinteger(L, 1, 0);
  set_hook(L);
  mode = COUNTING;
  return 0;
}

/* probe.off() -> instructions so far. */
static int probe_off(lua_State *L) {
  mode = OFF;
  lua_sethook(L, NULL, 0, 0);
  lua_pushinteger(L, (lua_Integer)instructions);
  return 1;
}

/* probe.struck() -> place, coroutine of the strike; nil if there has been none. */
static int probe_struck(lua_State *L) {
  if (!struck)
    return 0;
  lua_pushstring(L, place);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &thread_key);
  return 2;
}

/* The state's lua_Alloc meanwhile. Restarting a stopped collector only sets its debt, which may be done here;
   the collection comes at the check that follows the allocation, as any other would. */
static void *counting_allocate(void *data, void *block, size_t old_size, size_t new_size) {
  (void)data;
  if (collecting && new_size > (block ? old_size : 0) && ++requests == collect_at) {
    lua_gc(collecting, LUA_GCRESTART);
    collecting = NULL;
  }
  return allocate(allocate_data, block, old_size, new_size);
}

/* probe.collect_at(n): stops the collector until the n-th allocation from here on. */
static int probe_collect_at(lua_State *L) {
  if (!allocate) {
    allocate = lua_getallocf(L, &allocate_data);
    lua_setallocf(L, counting_allocate, NULL);
  }
  lua_gc(L, LUA_GCSTOP);
  collect_at = (long)luaL_checkinteger(L, 1);
  requests = 0;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD); /* the caller may go meanwhile */
  collecting = lua_tothread(L, -1);
  return 0;
}

/* probe.collected() -> whether it came to that; and ends it, for this module goes before its state's memory
 * does. */
static int probe_collected(lua_State *L) {
  lua_pushboolean(L, collecting == NULL);
  collecting = NULL;
  if (allocate)
    lua_setallocf(L, allocate, allocate_data);
  allocate = NULL;
  return 1;
}

/* probe.guard(seconds, text): ends the process with this text unless it is called again within that time. 0:
 * no guard. */
static int probe_guard(lua_State *L) {
  snprintf(guarded, sizeof guarded, "%s", luaL_optstring(L, 2, ""));
  signal(SIGALRM, on_alarm);
  alarm((unsigned)luaL_checkinteger(L, 1));
  return 0;
}

/* probe.readable(fd, milliseconds) -> whether fd is, at once or within that time. */
static int probe_readable(lua_State *L) {
  struct pollfd one = {.fd = (int)luaL_checkinteger(L, 1), .events = POLLIN};
  lua_pushboolean(L, poll(&one, 1, (int)luaL_optinteger(L, 2, 0)) > 0);
  return 1;
}

int luaopen_probe(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"strike", probe_strike}, {"count", probe_count},           {"off", probe_off},
      {"struck", probe_struck}, {"collect_at", probe_collect_at}, {"collected", probe_collected},
      {"guard", probe_guard},   {"readable", probe_readable},     {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
